//! `/api/v1/workflows/{id}/edits`: what is changed of a plan while it is in review.
//!
//! An edit is written against the plan at a revision, read as a definition is, and told to the workflow
//! whole. Whether it may be edited is the workflow's to say.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use baton_core::body::{self, Body};
use baton_core::definition::{input_faults, written};
use baton_core::ids::WorkflowId;
use baton_core::patch;
use baton_core::plan::Plan;
use baton_core::workflow::Refusal;
use baton_engine::edits::{EditView, Editable, editable, edits, out_of_reach};
use baton_engine::exchange::{Declined, Edit, Gone, Reply, Request};
use baton_engine::store::Views;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::commands::REVISION;
use super::definitions::{Definitions, blocking, error_of};
use super::extract::{IdOf, Sent};
use super::page::Page;
use super::problem::{FieldError, Problem};
use super::schema::{Any, EditInPath, EditSchema, Problems, WorkflowInPath};
use super::start::{Plans, input_error};
use super::tasks::kept;

/// What is to be changed: a `patch` of the plan as it is at `…/plan?as=definition`, or the whole `plan`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The workflow's revision that was looked at.
    revision: u64,
    /// A JSON Patch (RFC 6902).
    #[schema(value_type = Option<Any>)]
    patch: Option<Value>,
    /// A definition, or its text in YAML.
    #[schema(value_type = Option<Any>)]
    plan: Option<Box<RawValue>>,
}

/// The edits of a plan, oldest first.
#[utoipa::path(get, path = "/workflows/{id}/edits", tag = "workflows", operation_id = "list_edits", params(WorkflowInPath),
    responses((status = 200, description = "The edits", body = Page<EditSchema>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
) -> Result<Json<Page<EditView>>, Problem> {
    let items = edits_of(&api, id).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// Replaces the plan of a workflow in review, or that was sent back, by an edited one, which is in review
/// then: an approval names the revision that this brings it to.
#[utoipa::path(post, path = "/workflows/{id}/edits", tag = "workflows", operation_id = "edit_plan", params(WorkflowInPath),
    request_body = Change, responses((status = 201, description = "The edit", body = EditSchema, headers(
        ("Baton-Revision" = u64, description = "The revision that this brought the workflow to"))), Problems))]
pub(super) async fn edit(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    caller: Caller,
    Sent(change): Sent<Change>,
) -> Result<Response, Problem> {
    let revision = change.revision;
    let read = move |views: &mut dyn Views| {
        let (card, row) = kept(id, views)?;
        let found = editable(&card, revision, views)?;
        found.ok_or_else(|| Problem::from(refused(out_of_reach(row.status))))
    };
    let of = api.readers.read(read).await?;
    let (definitions, plans) = (api.definitions.clone(), api.plans.clone());
    let edit = blocking(move || edit_of(id, change, &of, definitions.as_ref(), &plans)).await?;
    let reply = api.ask(&caller.actor, Request::Edit(Box::new(edit))).await?;
    let revision = revision_of(&reply)?;
    let made = edits_of(&api, id).await?.into_iter().find(|edit| edit.revision == revision);
    shown(StatusCode::CREATED, revision, made)
}

/// Takes the newest edit that is applied back: the plan before it is in review again.
#[utoipa::path(post, path = "/workflows/{id}/edits/{n}/undo", tag = "workflows", operation_id = "undo_edit", params(EditInPath),
    responses((status = 200, description = "The edit after it", body = EditSchema, headers(
        ("Baton-Revision" = u64, description = "The revision that this brought the workflow to"))), Problems))]
pub(super) async fn undo(
    State(api): State<Api>,
    Path((id, number)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Problem> {
    let wrong = || {
        let detail = "the path names a workflow by its id, and an edit by its number";
        Problem::new(ProblemCode::InvalidRequest, detail)
    };
    let workflow: WorkflowId = id.parse().map_err(|_| wrong())?;
    let edit: u32 = number.parse().map_err(|_| wrong())?;
    let reply = api.ask(&caller.actor, Request::UndoEdit { workflow, edit }).await?;
    let revision = revision_of(&reply)?;
    let undone = edits_of(&api, workflow).await?.into_iter().find(|view| view.edit == edit);
    shown(StatusCode::OK, revision, undone)
}

async fn edits_of(api: &Api, id: WorkflowId) -> Result<Vec<EditView>, Problem> {
    let read = move |views: &mut dyn Views| {
        let (card, _) = kept(id, views)?;
        Ok(edits(&card, views)?)
    };
    api.readers.read(read).await
}

fn shown(status: StatusCode, revision: u64, edit: Option<EditView>) -> Result<Response, Problem> {
    let lost = || Problem::new(ProblemCode::Internal, "the edit cannot be read back");
    let edit = edit.ok_or_else(lost)?;
    Ok((status, [(REVISION, revision.to_string())], Json(edit)).into_response())
}

fn revision_of(reply: &Reply) -> Result<u64, Problem> {
    let (Reply::Workflow { revision, .. } | Reply::Ended { revision, .. }) = reply else {
        let detail = "the owner answered with something else than a workflow";
        return Err(Problem::new(ProblemCode::Internal, detail));
    };
    Ok(*revision)
}

fn refused(refusal: Refusal) -> Gone {
    Gone::Declined(Declined::Refused(refusal))
}

fn edit_of(
    workflow: WorkflowId,
    change: Change,
    of: &Editable,
    definitions: &dyn Definitions,
    plans: &Plans,
) -> Result<Edit, Problem> {
    let Change { revision, patch, plan } = change;
    let (within, source) = match (patch, plan) {
        (Some(patch), None) => ("/patch", patched(&patch, &of.plan)?),
        (None, Some(plan)) => ("/plan", text_of(plan.get())),
        (_, _) => {
            let detail = "send either `patch` or `plan`";
            return Err(Problem::new(ProblemCode::InvalidRequest, detail));
        }
    };
    let plan = definitions.edited(&source, &of.plan).map_err(|faults| {
        let errors = faults.iter().map(|fault| match within {
            // Nobody has seen the text that a patch leads to: its lines say nothing.
            "/patch" => FieldError { line: None, column: None, ..error_of("", fault) },
            within => error_of(within, fault),
        });
        unfit(ProblemCode::InvalidDefinition, "plan", errors.collect())
    })?;
    let given = serde_json::from_str(of.inputs.as_str()).unwrap_or(Value::Null);
    let inputs = input_faults(&plan, &given).map_err(|faults| {
        let errors = faults.into_iter().map(|fault| input_error("/inputs", fault));
        unfit(ProblemCode::InvalidInputs, "inputs that it has", errors.collect())
    })?;
    let inputs = if inputs == given { of.inputs.clone() } else { body::Json::of(&inputs) };
    Ok(Edit { workflow, revision, loaded: plans.loaded(plan)?, inputs: Body::split(inputs) })
}

fn patched(patch: &Value, plan: &Plan) -> Result<String, Problem> {
    let patched = patch::apply(patch, &written(plan)).map_err(|bad| {
        let at = bad.operation.map(|at| format!("/patch/{at}"));
        let pointer = at.unwrap_or_else(|| "/patch".to_owned());
        let error = FieldError { pointer, detail: bad.message.clone(), line: None, column: None };
        Problem::new(ProblemCode::InvalidPatch, bad.to_string()).with_errors(vec![error])
    })?;
    Ok(patched.to_string())
}

/// A definition that was sent: as an object, or as a text.
fn text_of(plan: &str) -> String {
    serde_json::from_str::<String>(plan).unwrap_or_else(|_| plan.to_owned())
}

fn unfit(code: ProblemCode, what: &str, errors: Vec<FieldError>) -> Problem {
    let faults = if errors.len() == 1 { "fault" } else { "faults" };
    let detail = format!("{} {faults} in the {what}; nothing was edited", errors.len());
    Problem::new(code, detail).with_errors(errors)
}
