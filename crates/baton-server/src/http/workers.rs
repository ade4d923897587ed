//! `/api/v1/tasks/lease` and what workers answer: leases, heartbeats, outputs, failures.
//!
//! Bodies are read and bounded here; who gets what, and whose answer counts, the engine says.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use baton_core::body::{Body, Json as Text};
use baton_core::failure::CallFailure;
use baton_core::ids::{TaskId, WorkflowId};
use baton_core::time::{Span, Timestamp};
use baton_core::words::{FailureKind, Happened, TaskStatus};
use baton_engine::exchange::{Gone, Reply, Request};
use baton_engine::said::Said;
use baton_engine::workers::{BATCH_MAX, Holding, Lease, LeaseAsk};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::code::ProblemCode;
use super::extract::IdOf;
use super::page::Page;
use super::problem::Problem;
use super::schema::{
    AliveSchema, AnsweredSchema, HappenedWord, HoldingPageSchema, LeaseSchema, NameText, Problems,
    SpanText, TaskInPath,
};
use super::{Api, now};

/// The most types of worker that one request may name.
const TYPES_MAX: usize = 64;
/// The longest name of a worker, or of a type of worker, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The longest wait for a task.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The shortest and the longest lease.
const LEASE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
/// How long a lease lasts where nothing is said.
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// The largest answer of a worker, in bytes: as much as a tool may bring, and what is around it.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024 + 4_096;
/// The most JSON, in bytes, that a worker may say of its progress.
const PROGRESS_BYTES_MAX: usize = 4_096;
/// From this many bytes on, an output is hashed and compressed beside the asynchronous threads.
const LARGE_BYTES: usize = 64 * 1024;

/// How deep an output may be nested: what templates and clients read without trouble.
const DEPTH_MAX: usize = 100;

/// The paths that workers call.
pub(super) fn paths() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(lease))
        .routes(routes!(heartbeat))
        .routes(routes!(complete))
        .routes(routes!(fail))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn one() -> u32 {
    1
}

/// A worker asks for tasks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseBody {
    /// The types of worker it is: what `worker` says in definitions.
    #[schema(value_type = Vec<NameText>, min_items = 1, max_items = 64)]
    types: Vec<String>,
    /// Its own name, for people.
    #[schema(min_length = 1, max_length = 50)]
    worker: String,
    /// How many tasks it takes at most.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    max: u32,
    /// How long it waits for the first, at most `60s`; not at all where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<SpanText>, example = "20s")]
    wait: Option<Span>,
    /// How long a task is its own without a heartbeat, `1s` to `24h`; `30s` where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<SpanText>, example = "30s")]
    lease: Option<Span>,
}

/// A worker still works on a task.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeartbeatBody {
    /// The lease's token.
    token: u32,
    /// How far it is: any JSON of at most 4096 bytes, kept until the next. A number, a text, or an
    /// object of `progress`, `total` and `message` is shown to those who watch the task.
    #[serde(default)]
    progress: Option<Value>,
}

/// A worker brings a task's output.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompleteBody {
    /// The lease's token.
    token: u32,
    /// The output: any JSON; `null` where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    output: Option<Text>,
}

/// A worker could not do a task.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FailBody {
    /// The lease's token.
    token: u32,
    /// What happened, where, and what to do, for people.
    error: String,
    /// Whether trying again may help; the task's `retry` says how often.
    #[serde(default)]
    retryable: bool,
    /// Whether it had its effect: `no`, `yes` or `unknown`, which it is where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<HappenedWord>, example = "no")]
    happened: Option<Happened>,
}

#[derive(Serialize)]
struct LeaseView {
    task_id: TaskId,
    workflow_id: WorkflowId,
    token: u32,
    #[serde(rename = "type")]
    worker_type: Arc<str>,
    input: Text,
    idempotency_key: String,
    lease_until: Timestamp,
}

#[derive(Serialize)]
struct AliveView {
    lease_until: Timestamp,
    cancelled: bool,
}

#[derive(Serialize)]
struct AnsweredView {
    task_id: TaskId,
    status: TaskStatus,
}

/// A lease that is held.
#[derive(Serialize)]
pub(super) struct HoldingView {
    task_id: TaskId,
    token: u32,
    worker: Arc<str>,
    lease_until: Timestamp,
    progress: Option<Value>,
}

/// Takes tasks: waits until there are some, or as long as it asks for.
#[utoipa::path(post, path = "/tasks/lease", tag = "workers", operation_id = "lease_tasks", request_body = LeaseBody,
    responses((status = 200, body = Vec<LeaseSchema>), Problems))]
pub(super) async fn lease(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Problem> {
    let LeaseBody { types, worker, max, wait, lease } = read(&body)?;
    check_names(&types, &worker)?;
    let wait = wait.map_or(Duration::ZERO, |span| span.0);
    let span = lease.map_or(LEASE_DEFAULT, |span| span.0);
    if max == 0 || max > BATCH_MAX {
        return Err(refused(format!("`max` is 1 to {BATCH_MAX}, and not {max}")));
    }
    if wait > WAIT_MAX {
        return Err(refused(format!("`wait` is at most {}", Span(WAIT_MAX))));
    }
    if !LEASE.contains(&span) {
        let (least, most) = (Span(*LEASE.start()), Span(*LEASE.end()));
        return Err(refused(format!("`lease` is {least} to {most}")));
    }
    let here = Arc::new(());
    let asker = Arc::downgrade(&here);
    let ask = LeaseAsk { types, worker: worker.into(), max, wait, span, asker };
    let leases = wait_for(&api, &caller, ask).await?;
    drop(here);
    let views: Result<Vec<LeaseView>, Problem> = leases.into_iter().map(view).collect();
    Ok(Json(views?).into_response())
}

/// Asks for leases. Those that come when nobody waits for them any more are given back at once.
async fn wait_for(api: &Api, caller: &Caller, ask: LeaseAsk) -> Result<Vec<Lease>, Problem> {
    let (sender, receiver) = oneshot::channel();
    let (door, actor) = (Arc::clone(&api.door), caller.actor.clone());
    let then = move |reply: Result<Reply, Gone>| {
        let Err(Ok(Reply::Leased(leases))) = sender.send(reply) else {
            return;
        };
        for lease in leases {
            let message = "the worker left before it got the task";
            let failure = CallFailure::passing(FailureKind::Lost, message);
            let back = Request::FailWork { task: lease.task, token: lease.token, failure };
            door.ask(&actor, back, Box::new(drop));
        }
    };
    api.door.ask(&caller.actor, Request::Lease(Box::new(ask)), Box::new(then));
    let reply = receiver.await.unwrap_or(Err(Gone::OwnerEnded))?;
    let Reply::Leased(leases) = reply else { return Err(unexpected(&reply)) };
    Ok(leases)
}

/// Keeps a lease, and learns whether the work is still wanted.
#[utoipa::path(post, path = "/tasks/{id}/heartbeat", tag = "workers", operation_id = "keep_task", request_body = HeartbeatBody,
    params(TaskInPath),
    responses((status = 200, body = AliveSchema), Problems))]
pub(super) async fn heartbeat(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    IdOf(task): IdOf<TaskId>,
    body: Bytes,
) -> Result<Response, Problem> {
    if body.len() > PROGRESS_BYTES_MAX {
        let message = format!("a heartbeat has at most {PROGRESS_BYTES_MAX} bytes");
        return Err(Problem::new(ProblemCode::BodyTooLarge, message));
    }
    let HeartbeatBody { token, progress } = read(&body)?;
    let said = progress.as_ref().and_then(|it| Said::by_worker((task, token), it, now()));
    let reply = api.ask(&caller.actor, Request::Heartbeat { task, token, progress }).await?;
    let Reply::Alive { lease_until, cancelled } = reply else { return Err(unexpected(&reply)) };
    said.into_iter().for_each(|said| api.live.report(said));
    Ok(Json(AliveView { lease_until, cancelled }).into_response())
}

/// Brings a task's output. Brought again under the same token, it is answered the same.
#[utoipa::path(post, path = "/tasks/{id}/complete", tag = "workers", operation_id = "complete_task", request_body = CompleteBody,
    params(TaskInPath),
    responses((status = 200, body = AnsweredSchema), Problems))]
pub(super) async fn complete(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    IdOf(task): IdOf<TaskId>,
    body: Bytes,
) -> Result<Response, Problem> {
    let CompleteBody { token, output } = read(&body)?;
    let output = output.unwrap_or_else(Text::null);
    if is_deep(output.as_str()) {
        return Err(refused(format!("`output` is nested deeper than {DEPTH_MAX}")));
    }
    let output = if body.len() < LARGE_BYTES {
        Body::split(output)
    } else {
        let split = tokio::task::spawn_blocking(move || Body::split(output)).await;
        let panicked = |_| Problem::new(ProblemCode::Internal, "the output could not be packed");
        split.map_err(panicked)?
    };
    let reply = api.ask(&caller.actor, Request::Complete { task, token, output }).await?;
    api.live.end(task, token);
    answered(reply)
}

/// Says why a task could not be done.
#[utoipa::path(post, path = "/tasks/{id}/fail", tag = "workers", operation_id = "fail_task", request_body = FailBody,
    params(TaskInPath),
    responses((status = 200, body = AnsweredSchema), Problems))]
pub(super) async fn fail(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    IdOf(task): IdOf<TaskId>,
    body: Bytes,
) -> Result<Response, Problem> {
    let FailBody { token, error, retryable, happened } = read(&body)?;
    let kind = if retryable { FailureKind::Unavailable } else { FailureKind::Refused };
    let happened = happened.unwrap_or(Happened::Unknown);
    let failure = CallFailure { retryable, happened, ..CallFailure::refused(kind, error) };
    let reply = api.ask(&caller.actor, Request::FailWork { task, token, failure }).await?;
    api.live.end(task, token);
    answered(reply)
}

/// The leases that are held.
#[utoipa::path(get, path = "/tasks/leases", tag = "workers", operation_id = "list_leases",
    responses((status = 200, body = HoldingPageSchema), Problems))]
pub(super) async fn leases(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Page<HoldingView>>, Problem> {
    let reply = api.ask(&caller.actor, Request::Leases).await?;
    let Reply::Leases(held) = reply else { return Err(unexpected(&reply)) };
    let view = |Holding { task, token, worker, until, progress }| HoldingView {
        task_id: task,
        token,
        worker,
        lease_until: until,
        progress,
    };
    Ok(Json(Page { items: held.into_iter().map(view).collect(), next_cursor: None }))
}

fn view(lease: Lease) -> Result<LeaseView, Problem> {
    let damaged = |fault: String| Problem::new(ProblemCode::StoreDamaged, fault);
    let input = match lease.input {
        (Body::Inline(text), _) => text,
        (Body::Blob { .. }, Some(blob)) => blob.unpack().map_err(|e| damaged(e.to_string()))?,
        (Body::Blob { hash, .. }, None) => return Err(damaged(format!("{hash} is not there"))),
    };
    Ok(LeaseView {
        task_id: lease.task,
        workflow_id: lease.workflow,
        token: lease.token,
        worker_type: lease.worker_type,
        input,
        idempotency_key: lease.idempotency_key,
        lease_until: lease.until,
    })
}

fn answered(reply: Reply) -> Result<Response, Problem> {
    let Reply::Answered { task, status } = reply else { return Err(unexpected(&reply)) };
    Ok(Json(AnsweredView { task_id: task, status }).into_response())
}

fn unexpected(reply: &Reply) -> Problem {
    Problem::new(ProblemCode::Internal, format!("the owner answered {reply:?}"))
}

fn check_names(types: &[String], worker: &str) -> Result<(), Problem> {
    if types.is_empty() || types.len() > TYPES_MAX {
        return Err(refused(format!("`types` has 1 to {TYPES_MAX} entries")));
    }
    for (field, name) in
        types.iter().map(|name| ("types", name.as_str())).chain([("worker", worker)])
    {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(refused(format!("a name in `{field}` has 1 to {NAME_BYTES_MAX} bytes")));
        }
    }
    Ok(())
}

/// Whether JSON is nested deeper than is read back.
fn is_deep(json: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn refused(detail: String) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, detail)
}

/// A body as JSON, whatever its media type says: workers are short programs.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|fault| refused(format!("the body: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_what_is_open_at_a_time() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!is_deep(&nested(DEPTH_MAX)) && is_deep(&nested(DEPTH_MAX + 1)));
        assert!(!is_deep(&format!("[{}]", vec!["[]"; 500].join(","))));
        assert!(!is_deep(&format!("{:?}", "[".repeat(500))), "in a text it is none");
        assert!(!is_deep(&format!(r#"["\"{}"]"#, "[".repeat(500))));
    }

    #[test]
    fn names_are_bounded() {
        let name = |bytes: usize| "n".repeat(bytes);
        assert!(check_names(&[name(200)], &name(200)).is_ok());
        assert!(check_names(&[], "ada").is_err());
        assert!(check_names(&[name(201)], "ada").is_err());
        assert!(check_names(&[name(1)], "").is_err());
        assert!(check_names(&vec![name(1); 65], "ada").is_err());
    }
}
