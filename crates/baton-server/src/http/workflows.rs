//! `/api/v1/workflows`: listing and showing workflows.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use baton_core::ids::WorkflowId;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::store::{Filter, Views};
use baton_engine::view::{WorkflowView, plan_of, workflow_brief, workflow_view};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::code::ProblemCode;
use super::extract::{Asked, IdOf};
use super::page::{Page, cursor_of, limit_of};
use super::problem::Problem;
use super::schema::{ProblemSchema, WorkflowPageSchema, WorkflowSchema};

/// Which workflows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only these statuses, divided by commas.
    status: Option<String>,
    /// Only those whose name contains this.
    q: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// Workflows, newest first.
#[utoipa::path(get, path = "/workflows", tag = "workflows", params(Which),
    responses((status = 200, body = WorkflowPageSchema), (status = "4XX", body = ProblemSchema, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(which): Asked<Which>,
) -> Result<Json<Page<WorkflowView>>, Problem> {
    let limit = limit_of(which.limit)?;
    let filter = Filter {
        statuses: statuses_of(which.status.as_deref())?,
        name: which.q,
        before: cursor_of(which.cursor.as_deref())?,
        limit: limit + 1,
        ..Filter::default()
    };
    let mut found = api.readers.read(move |views| Ok(views.list(&filter)?)).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| more).map(|(card, _)| card.number.to_string());
    let items = found.iter().map(|(card, row)| workflow_brief(card, row)).collect();
    Ok(Json(Page { items, next_cursor: last }))
}

/// One workflow.
#[utoipa::path(get, path = "/workflows/{id}", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    responses((status = 200, body = WorkflowSchema), (status = "4XX", body = ProblemSchema, content_type = "application/problem+json")))]
pub(super) async fn show(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
) -> Result<Response, Problem> {
    let view = api.readers.read(move |views| view_of(id, views)).await?;
    Ok(Json(view).into_response())
}

/// The rows of a workflow.
pub(super) fn found(
    id: WorkflowId,
    views: &mut dyn Views,
) -> Result<(WorkflowCard, WorkflowRow), Problem> {
    let missing = || {
        let detail = format!("there is no workflow {id}; `GET /api/v1/workflows` lists them");
        Problem::new(ProblemCode::NoSuchWorkflow, detail)
    };
    views.workflow(id)?.ok_or_else(missing)
}

/// A workflow as it is shown; of a purged one, what is left.
pub(super) fn view_of(id: WorkflowId, views: &mut dyn Views) -> Result<WorkflowView, Problem> {
    let (card, row) = found(id, views)?;
    if row.purged_at().is_some() {
        return Ok(workflow_brief(&card, &row));
    }
    let plan = plan_of(&card, views)?;
    Ok(workflow_view(&card, &row, &plan, views)?)
}

fn statuses_of(asked: Option<&str>) -> Result<Vec<WorkflowStatus>, Problem> {
    let words = asked.into_iter().flat_map(|words| words.split(','));
    let read = words.map(|word| {
        let wrong = |fault| Problem::new(ProblemCode::InvalidRequest, format!("`status`: {fault}"));
        word.parse().map_err(|fault: baton_core::codes::UnknownWord| wrong(fault.to_string()))
    });
    read.collect()
}
