//! What people tell workflows and their tasks: one path for each command.
//!
//! Every answer shows the workflow at the revision that the command brought it to, or later: it is
//! read after the commit.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_core::body;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::workflow::{Command, PauseCause, Verdict};
use baton_engine::exchange::{Reply, Request};
use baton_engine::inbox::misfits;
use baton_engine::store::Views;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::extract::{IdOf, Perhaps, Sent};
use super::problem::{FieldError, Problem};
use super::schema::{Any, Problems, TaskInPath, WorkflowInPath, WorkflowSchema};
use super::tasks::{shown, workflow_of};
use super::workflows::{tag_of, view_of};

/// The revision that a command brought its workflow to.
pub(super) const REVISION: HeaderName = HeaderName::from_static("baton-revision");

/// Which plan is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approve {
    /// The workflow's revision that was looked at.
    revision: u64,
}

/// Why a plan is sent back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// For whoever mends the plan.
    comments: String,
}

/// Why a workflow is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    /// For the record.
    reason: Option<String>,
}

/// What is done again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Retry {
    /// Tasks, by key or id; all that did not complete where none is given.
    #[serde(default)]
    tasks: Vec<String>,
}

/// Where a copy begins.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fork {
    /// Up to and with this position of the journal; the newest where none is given.
    position: Option<u64>,
}

/// An answer to a task's question: a `value`, or `decline`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Respond {
    /// `true`, `false` or `{approved, comment}`; an option; or the fields of a form.
    #[schema(value_type = Option<Any>)]
    value: Option<Value>,
    /// `true`: what a running call asks is not answered, and the call is told so.
    #[serde(default)]
    decline: bool,
    /// The `question` of the inbox that is answered: where another one is open by now, the answer is
    /// refused.
    question: Option<u32>,
}

/// Whether a call in doubt happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settle {
    /// If it did not, it is done again.
    happened: bool,
    /// What it brought, if it happened; null where nothing is said.
    #[schema(value_type = Option<Any>)]
    result: Option<body::Json>,
}

/// Approves the plan of a workflow in review.
#[utoipa::path(post, path = "/workflows/{id}/approve", tag = "workflows", operation_id = "approve_workflow", params(WorkflowInPath),
    request_body = Approve, responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn approve(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
    Sent(Approve { revision }): Sent<Approve>,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Command::Approve { revision }).await
}

/// Sends the plan of a workflow in review back.
#[utoipa::path(post, path = "/workflows/{id}/reject", tag = "workflows", operation_id = "reject_workflow", params(WorkflowInPath),
    request_body = Reject, responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn reject(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
    Sent(Reject { comments }): Sent<Reject>,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Command::SendBack { comments }).await
}

/// Stops a workflow.
#[utoipa::path(post, path = "/workflows/{id}/cancel", tag = "workflows", operation_id = "cancel_workflow", params(WorkflowInPath),
    request_body = Option<Cancel>, responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn cancel(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
    Perhaps(Cancel { reason }): Perhaps<Cancel>,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Command::Cancel { reason }).await
}

/// Lets running tasks end and starts nothing more.
#[utoipa::path(post, path = "/workflows/{id}/pause", tag = "workflows", operation_id = "pause_workflow", params(WorkflowInPath),
    responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn pause(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Command::Pause { cause: PauseCause::Actor }).await
}

/// Goes on with a paused workflow.
#[utoipa::path(post, path = "/workflows/{id}/resume", tag = "workflows", operation_id = "resume_workflow", params(WorkflowInPath),
    responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn resume(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
) -> Result<Response, Problem> {
    tell(&api, &caller, id, Command::Resume).await
}

/// Opens the next run of an ended workflow, keeping what completed.
#[utoipa::path(post, path = "/workflows/{id}/retry", tag = "workflows", operation_id = "retry_workflow", params(WorkflowInPath),
    request_body = Option<Retry>, responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn retry(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
    Perhaps(Retry { tasks }): Perhaps<Retry>,
) -> Result<Response, Problem> {
    let tasks = ordinals_of(&api, id, tasks).await?;
    tell(&api, &caller, id, Command::Retry { tasks }).await
}

/// Starts a copy of a workflow as it stood at a position.
#[utoipa::path(post, path = "/workflows/{id}/fork", tag = "workflows", operation_id = "fork_workflow", params(WorkflowInPath),
    request_body = Option<Fork>, responses((status = 201, description = "The copy", body = WorkflowSchema), Problems))]
pub(super) async fn fork(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
    Perhaps(Fork { position }): Perhaps<Fork>,
) -> Result<Response, Problem> {
    let reply = api.ask(&caller.actor, Request::Fork { workflow: id, position }).await?;
    told(&api, reply, StatusCode::CREATED).await
}

/// Answers a task that waits for a person.
#[utoipa::path(post, path = "/tasks/{id}/respond", tag = "tasks", operation_id = "respond_to_task", params(TaskInPath),
    request_body = Respond, responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn respond(
    State(api): State<Api>,
    IdOf(id): IdOf<TaskId>,
    caller: Caller,
    Sent(Respond { value, decline, question }): Sent<Respond>,
) -> Result<Response, Problem> {
    let (workflow, task) = workflow_of(id)?;
    let value = match (value, decline) {
        (None, true) => {
            return tell(&api, &caller, workflow, Command::Decline { task, question }).await;
        }
        (Some(value), false) => value,
        (_, _) => {
            let detail = "send `value`, or `decline` as true, and not both";
            return Err(Problem::new(ProblemCode::InvalidRequest, detail));
        }
    };
    let by = caller.actor.to_string();
    let command = Command::Respond { task, value: value.clone(), by, question };
    match tell(&api, &caller, workflow, command).await {
        Err(problem) if problem.code == ProblemCode::InvalidAnswer => {
            let read = move |views: &mut dyn Views| Ok(misfits((workflow, task), &value, views)?);
            let errors = api.readers.read(read).await?.into_iter().map(|fault| FieldError {
                pointer: format!("/value{}", fault.pointer),
                detail: fault.message,
                line: None,
                column: None,
            });
            Err(problem.with_errors(errors.collect()))
        }
        told => told,
    }
}

/// Says whether a call in doubt happened.
#[utoipa::path(post, path = "/tasks/{id}/settle", tag = "tasks", operation_id = "settle_task", params(TaskInPath),
    request_body = Settle, responses((status = 200, description = "The workflow after it", body = WorkflowSchema), Problems))]
pub(super) async fn settle(
    State(api): State<Api>,
    IdOf(id): IdOf<TaskId>,
    caller: Caller,
    Sent(Settle { happened, result }): Sent<Settle>,
) -> Result<Response, Problem> {
    let (workflow, task) = workflow_of(id)?;
    if !happened && result.is_some() {
        let detail = "a call that did not happen has no result; leave `result` out";
        return Err(Problem::new(ProblemCode::InvalidRequest, detail));
    }
    let (verdict, blob) = if happened {
        let (body, blob) = body::Body::split(result.unwrap_or_else(body::Json::null));
        (Verdict::Happened(body), blob)
    } else {
        (Verdict::DidNotHappen, None)
    };
    let command = Box::new(Command::Settle { task, verdict });
    let reply = api.ask(&caller.actor, Request::Command { workflow, command, blob }).await?;
    told(&api, reply, StatusCode::OK).await
}

async fn tell(
    api: &Api,
    caller: &Caller,
    workflow: WorkflowId,
    command: Command,
) -> Result<Response, Problem> {
    let request = Request::Command { workflow, command: Box::new(command), blob: None };
    let reply = api.ask(&caller.actor, request).await?;
    told(api, reply, StatusCode::OK).await
}

/// The workflow that a command has changed or made, as it can be read now.
pub(super) async fn told(api: &Api, reply: Reply, status: StatusCode) -> Result<Response, Problem> {
    let (Reply::Workflow { id, revision, .. } | Reply::Ended { id, revision, .. }) = reply else {
        let detail = "the owner answered with something else than a workflow";
        return Err(Problem::new(ProblemCode::Internal, detail));
    };
    let view = view_of(api, id).await?;
    let tag = tag_of(&view);
    let headers = [(header::ETAG, tag), (REVISION, revision.to_string())];
    let mut response = (status, headers, Json(view)).into_response();
    if status == StatusCode::CREATED
        && let Ok(place) = format!("/api/v1/workflows/{id}").parse()
    {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// The tasks of these keys or ids; a problem names each that is none.
async fn ordinals_of(
    api: &Api,
    id: WorkflowId,
    named: Vec<String>,
) -> Result<Vec<Ordinal>, Problem> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let tasks = api.readers.read(move |views| shown(id, views).map(|shown| shown.tasks)).await?;
    let mut errors = Vec::new();
    let mut ordinals = Vec::new();
    for (at, name) in named.iter().enumerate() {
        let is_it = |id: &TaskId| id.to_string() == *name;
        match tasks.iter().find(|task| task.key == *name || is_it(&task.id)) {
            Some(task) => ordinals.push(task.ordinal),
            None => errors.push(FieldError {
                pointer: format!("/tasks/{at}"),
                detail: "the workflow has no such task".to_owned(),
                line: None,
                column: None,
            }),
        }
    }
    if errors.is_empty() {
        return Ok(ordinals);
    }
    let detail = format!("`GET /api/v1/workflows/{id}/tasks` lists the tasks there are");
    Err(Problem::new(ProblemCode::NoSuchTask, detail).with_errors(errors))
}
