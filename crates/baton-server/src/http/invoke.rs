//! `POST /api/v1/invoke`: one call of one tool, journaled as a workflow of one task.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use baton_core::body::{Body, Json};
use baton_core::definition::invocation;
use baton_core::plan::ToolSpec;
use baton_core::time::Span;
use baton_core::words::Origin;
use baton_engine::exchange::{Reply, Request, Submit};
use baton_engine::ports::Tools;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::commands::told;
use super::definitions::blocking;
use super::extract::Sent;
use super::problem::Problem;
use super::schema::{Any, Problems, SpanText, WorkflowSchema};
use super::start::{PRIORITY, PRIORITY_MAX, Plans, input_error, refused};

/// How long the end of a call is waited for where nothing is said.
const WAIT: Duration = Duration::from_secs(30);
/// The longest that it is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Which tool is called, and with what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invoke {
    /// `server.tool`.
    tool: String,
    /// Its input, an object.
    #[serde(default)]
    #[schema(value_type = Option<Any>)]
    with: Value,
    /// Higher starts sooner; 5 where nothing is said.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// How long its end is waited for, such as `10s`; 30 s where nothing is said, at most 60 s.
    #[schema(value_type = Option<SpanText>)]
    wait: Option<Span>,
}

/// Calls a tool; answers when the call has ended, or the wait is over.
#[utoipa::path(post, path = "/invoke", tag = "tools", operation_id = "invoke_tool", request_body = Invoke,
    responses((status = 201, body = WorkflowSchema), Problems))]
pub(super) async fn invoke(
    State(api): State<Api>,
    caller: Caller,
    Sent(asked): Sent<Invoke>,
) -> Result<Response, Problem> {
    let wait = asked.wait.map_or(WAIT, |span| span.0.min(WAIT_MAX));
    let at_hand = api.clone();
    let submit = blocking(move || submit_of(asked, &at_hand)).await?;
    let mut reply = api.ask(&caller.actor, Request::Submit(Box::new(submit))).await?;
    if let Reply::Workflow { id, .. } = &reply {
        let end = api.ask(&caller.actor, Request::AwaitEnd { workflow: *id });
        if let Ok(ended) = tokio::time::timeout(wait, end).await {
            reply = ended?;
        }
    }
    told(&api, reply, StatusCode::CREATED).await
}

fn submit_of(asked: Invoke, api: &Api) -> Result<Submit, Problem> {
    let spec = find(api.tools.as_ref(), &asked.tool)?;
    let most = api.definitions.permission_max();
    if spec.permission > most {
        let (name, needs) = (&spec.name, spec.permission);
        let detail =
            format!("`{name}` needs the permission `{needs}`, above `{most}`, the highest here");
        return Err(Problem::new(ProblemCode::Forbidden, detail));
    }
    let priority = asked.priority.unwrap_or(PRIORITY);
    if priority > PRIORITY_MAX {
        let detail = format!("the priority is {priority}; it is 0 to {PRIORITY_MAX}");
        return Err(Problem::new(ProblemCode::InvalidRequest, detail));
    }
    let (plan, inputs) = invocation(&spec, asked.with).map_err(|faults| {
        let errors = faults.into_iter().map(|fault| input_error("/with", fault)).collect();
        refused(ProblemCode::InvalidInputs, "input", errors)
    })?;
    Ok(Submit {
        // Each call has a plan of its own: none is worth keeping.
        loaded: Plans::default().loaded(plan)?,
        inputs: Body::split(Json::of(&inputs)),
        origin: Origin::Invoke,
        priority,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    })
}

fn find(tools: &dyn Tools, name: &str) -> Result<ToolSpec, Problem> {
    let known = || tools.specs().iter().find(|spec| spec.name == name).cloned();
    if let Some(spec) = known() {
        return Ok(spec);
    }
    let server = name.split('.').next().unwrap_or_default();
    let trouble = tools.learn(server).err().map(|why| format!(": {why}")).unwrap_or_default();
    known().ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let detail = format!(
            "the tool `{shown}` is not at hand{trouble}; `GET /api/v1/tools` lists those that are"
        );
        Problem::new(ProblemCode::NotFound, detail)
    })
}
