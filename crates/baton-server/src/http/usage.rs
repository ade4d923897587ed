//! `/api/v1/usage`: what calls of models used, added up; and what a workflow will probably use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::UsageBy;
use baton_engine::forecast::{Forecast, forecast};
use baton_engine::store::Views;
use baton_engine::usage::{UsageFault, UsageQuery, UsageReport, usage};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::code::ProblemCode;
use super::extract::{Asked, IdOf};
use super::page::limit_of;
use super::problem::Problem;
use super::schema::{ForecastSchema, Problems, UsageByWord, UsageReportSchema, WorkflowInPath};
use super::tasks::kept;

/// Which part of the books, and by what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// One line for each of these.
    #[param(value_type = Option<UsageByWord>)]
    by: Option<UsageBy>,
    /// From this day on, in UTC.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
    from: Option<String>,
    /// Up to and with this day, in UTC.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
    to: Option<String>,
    /// Only of this workflow.
    #[param(value_type = Option<String>, format = "uuid")]
    workflow: Option<WorkflowId>,
    /// Only of this conversation.
    #[param(value_type = Option<String>, format = "uuid")]
    conversation: Option<ConversationId>,
    /// Only of this model: `provider/name`.
    model: Option<String>,
    /// Only of this agent.
    agent: Option<String>,
    /// Only of workflows that this actor started, and of their children: `user:ada`.
    user: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// What calls of models used, added up: by day where nothing is said, the newest first.
#[utoipa::path(get, path = "/usage", tag = "watching", operation_id = "show_usage", params(Which),
    responses((status = 200, description = "A page of sums, and the sum of all", body = UsageReportSchema), Problems))]
pub(super) async fn show(
    State(api): State<Api>,
    Asked(which): Asked<Which>,
) -> Result<Json<UsageReport>, Problem> {
    let query = UsageQuery {
        by: which.by,
        from: which.from,
        to: which.to,
        workflow: which.workflow,
        conversation: which.conversation,
        model: which.model,
        agent: which.agent,
        user: which.user,
        cursor: which.cursor,
        limit: limit_of(which.limit)?,
    };
    let read = move |views: &mut dyn Views| usage(&query, views).map_err(problem);
    Ok(Json(api.readers.read(read).await?))
}

fn problem(fault: UsageFault) -> Problem {
    let detail = fault.to_string();
    match fault {
        UsageFault::NoDay(..) | UsageFault::NoCursor => {
            Problem::new(ProblemCode::InvalidRequest, detail)
        }
        UsageFault::NoWorkflow(_) => Problem::new(ProblemCode::NoSuchWorkflow, detail),
        UsageFault::Store(fault) => fault.into(),
    }
}

/// What a workflow will probably use, from what the same tasks used in earlier runs.
#[utoipa::path(get, path = "/workflows/{id}/forecast", tag = "workflows", operation_id = "show_forecast", params(WorkflowInPath),
    responses((status = 200, description = "The forecast; without a history it says so", body = ForecastSchema), Problems))]
pub(super) async fn ahead(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
) -> Result<Json<Forecast>, Problem> {
    let wordings = Arc::clone(&api.wordings);
    let read = move |views: &mut dyn Views| {
        let (card, _) = kept(id, views)?;
        let wording = wordings.of(card.plan, views)?;
        Ok(forecast((&card.name, Some(card.number)), &wording.agents(), views)?)
    };
    Ok(Json(api.readers.read(read).await?))
}
