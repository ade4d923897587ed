//! `/api/v1/servers`: the servers behind the tools, and how each stands.
//!
//! What is shown of one is what the tools say; nothing is known of servers here.

use axum::Json;
use axum::extract::State;
use baton_core::body;

use super::Api;
use super::page::Page;
use super::schema::{Any, Problems};

/// The MCP servers: status, leases, attempts, the last error, latencies.
#[utoipa::path(get, path = "/servers", tag = "tools", operation_id = "list_servers",
    responses((status = 200, body = Page<Any>), Problems))]
pub(super) async fn list(State(api): State<Api>) -> Json<Page<body::Json>> {
    Json(Page { items: api.tools.servers(), next_cursor: None })
}
