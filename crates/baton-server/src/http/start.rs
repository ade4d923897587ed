//! `POST /api/v1/workflows`: from a definition and inputs to a workflow, with every fault at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use baton_core::body::{BlobHash, Body, Json};
use baton_core::definition::{Fault, InputFault, input_faults};
use baton_core::ids::{ConversationId, ProjectId};
use baton_core::plan::Plan;
use baton_core::words::Origin;
use baton_engine::exchange::{Request, Submit};
use baton_engine::loaded::Loaded;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::commands::told;
use super::definitions::{Definitions, blocking, error_of, named};
use super::extract::Sent;
use super::problem::{FieldError, Problem};
use super::schema::{Any, Problems, WorkflowSchema};

/// How many compiled plans are kept.
const PLANS_MAX: usize = 32;
/// A workflow's priority where nothing is said.
pub(super) const PRIORITY: u8 = 5;
/// The highest priority.
pub(super) const PRIORITY_MAX: u8 = 9;

/// What to start, and on what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The name of a definition, a definition itself, or its text in YAML, of more than one line.
    #[schema(value_type = Any)]
    definition: Box<RawValue>,
    /// Its inputs, an object.
    #[serde(default)]
    #[schema(value_type = Option<Any>)]
    inputs: Value,
    /// Higher starts sooner; 5 where nothing is said.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Whether a person approves the plan first.
    #[serde(default)]
    review: bool,
    /// The conversation it belongs to; its own where none is given.
    #[schema(value_type = Option<String>, format = "uuid")]
    conversation_id: Option<ConversationId>,
    /// The project it belongs to, and with it every workflow that its tasks start.
    #[schema(value_type = Option<String>, format = "uuid")]
    project_id: Option<ProjectId>,
}

/// The plans that were compiled last, by their content.
#[derive(Clone, Default)]
pub(super) struct Plans(Arc<Mutex<VecDeque<Arc<Loaded>>>>);

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plans")
    }
}

impl Plans {
    /// The plan made ready to run, compiled only where it was not lately.
    pub(super) fn loaded(&self, plan: Plan) -> Result<Arc<Loaded>, Problem> {
        let text = serde_json::to_string(&plan).unwrap_or_default();
        let hash = BlobHash::of(text.as_bytes());
        let is_it = |loaded: &&Arc<Loaded>| loaded.blob.hash == hash;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = known.iter().find(is_it) {
            return Ok(Arc::clone(loaded));
        }
        drop(known);
        let unusable = |fault| Problem::new(ProblemCode::InvalidDefinition, format!("{fault}"));
        let loaded = Arc::new(Loaded::new(plan).map_err(unusable)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_front(Arc::clone(&loaded));
        known.truncate(PLANS_MAX);
        Ok(loaded)
    }
}

/// Starts a workflow.
#[utoipa::path(post, path = "/workflows", tag = "workflows", operation_id = "start_workflow", request_body = Start,
    responses((status = 201, description = "The workflow that was started", body = WorkflowSchema, headers(
        ("Location" = String, description = "Where the workflow is"),
        ("Baton-Revision" = u64, description = "The revision that this brought it to"))), Problems))]
pub(super) async fn start(
    State(api): State<Api>,
    caller: Caller,
    Sent(start): Sent<Start>,
) -> Result<Response, Problem> {
    let (definitions, plans) = (api.definitions.clone(), api.plans.clone());
    let submit = blocking(move || submit_of(start, definitions.as_ref(), &plans)).await?;
    let reply = api.ask(&caller.actor, Request::Submit(Box::new(submit))).await?;
    told(&api, reply, StatusCode::CREATED).await
}

fn submit_of(
    start: Start,
    definitions: &dyn Definitions,
    plans: &Plans,
) -> Result<Submit, Problem> {
    let mut errors = Vec::new();
    let priority = start.priority.unwrap_or(PRIORITY);
    if priority > PRIORITY_MAX {
        let detail = format!("the priority is {priority}; it is 0 to {PRIORITY_MAX}");
        errors.push(FieldError {
            pointer: "/priority".to_owned(),
            detail,
            line: None,
            column: None,
        });
    }
    let plan = match read(start.definition.get(), definitions)? {
        Ok(plan) => plan,
        Err(faults) => {
            errors.extend(faults.iter().map(|fault| error_of("/definition", fault)));
            return Err(refused(ProblemCode::InvalidDefinition, "definition", errors));
        }
    };
    let inputs = match input_faults(&plan, &start.inputs) {
        Ok(inputs) if errors.is_empty() => inputs,
        Ok(_) => return Err(refused(ProblemCode::InvalidRequest, "request", errors)),
        Err(faults) => {
            errors.extend(faults.into_iter().map(|fault| input_error("/inputs", fault)));
            return Err(refused(ProblemCode::InvalidInputs, "inputs", errors));
        }
    };
    Ok(Submit {
        loaded: plans.loaded(plan)?,
        inputs: Body::split(Json::of(&inputs)),
        origin: Origin::Api,
        priority,
        review: start.review,
        conversation: start.conversation_id,
        project: start.project_id,
        folder: None,
    })
}

/// The plan of a name, or of a definition that was sent: as an object, or as a text, whose faults then
/// have their lines. No name has more than one line.
fn read(
    definition: &str,
    definitions: &dyn Definitions,
) -> Result<Result<Plan, Vec<Fault>>, Problem> {
    match serde_json::from_str::<String>(definition) {
        Ok(text) if text.contains('\n') => Ok(definitions.check(&text)),
        Ok(name) => named(definitions, &name).map(Ok),
        Err(_) => Ok(definitions.check(definition)),
    }
}

pub(super) fn refused(code: ProblemCode, what: &str, errors: Vec<FieldError>) -> Problem {
    let faults = if errors.len() == 1 { "fault" } else { "faults" };
    let detail = format!("{} {faults} in the {what}; nothing was started", errors.len());
    Problem::new(code, detail).with_errors(errors)
}

/// A fault of the inputs, which stand at `within` in what was sent.
pub(super) fn input_error(within: &str, fault: InputFault) -> FieldError {
    let help = fault.help.map_or_else(String::new, |help| format!(" ({help})"));
    FieldError {
        pointer: format!("{within}{}", fault.pointer),
        detail: format!("{}{help}", fault.message),
        line: None,
        column: None,
    }
}
