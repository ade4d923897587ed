//! `/api/v1/inbox` and `/api/v1/tools`: what needs a person, and what can be called.

use axum::Json;
use axum::extract::State;
use baton_core::plan::ToolSpec;
use baton_engine::inbox::{InboxItem, inbox};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::extract::Asked;
use super::page::{Page, limit_of};
use super::problem::Problem;
use super::schema::{InboxItemSchema, Problems, ToolSchema};

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Most {
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// What needs a person: plans to review, then tasks, the oldest first.
#[utoipa::path(get, path = "/inbox", tag = "inbox", operation_id = "list_inbox", params(Most),
    responses((status = 200, description = "What needs a person", body = Page<InboxItemSchema>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(most): Asked<Most>,
) -> Result<Json<Page<InboxItem>>, Problem> {
    let limit = limit_of(most.limit)?;
    let mut items = api.readers.read(move |views| Ok(inbox(views, limit)?)).await?;
    items.truncate(limit as usize);
    Ok(Json(Page { items, next_cursor: None }))
}

/// The tools that definitions can use.
#[utoipa::path(get, path = "/tools", tag = "tools", operation_id = "list_tools",
    responses((status = 200, description = "The tools", body = Page<ToolSchema>), Problems))]
pub(super) async fn tools(State(api): State<Api>) -> Json<Page<ToolSpec>> {
    Json(Page { items: api.tools.specs().to_vec(), next_cursor: None })
}
