//! `/api/v1/servers`: the servers behind the tools, how each stands, and that one may be called again.
//!
//! What is shown of one is what the tools say; nothing is known of servers here.

use axum::Json;
use axum::extract::{Path, State};
use baton_core::body;
use baton_engine::exchange::Request;

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::page::Page;
use super::problem::Problem;
use super::schema::{Any, Problems};

/// The MCP servers: status, leases, attempts, the last error, latencies.
#[utoipa::path(get, path = "/servers", tag = "tools", operation_id = "list_servers",
    responses((status = 200, body = Page<Any>), Problems))]
pub(super) async fn list(State(api): State<Api>) -> Json<Page<body::Json>> {
    Json(Page { items: api.tools.servers(), next_cursor: None })
}

/// Lifts a server's quarantine: it is called again at once.
#[utoipa::path(post, path = "/servers/{name}/release", tag = "tools", operation_id = "release_server",
    params(("name" = String, Path, description = "Its name in the configuration")),
    responses((status = 200, description = "The server after it", body = Any), Problems))]
pub(super) async fn release(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<body::Json>, Problem> {
    // Only what there is to release is worth a line of the journal.
    shown(&api, &name)?;
    api.ask(&caller.actor, Request::ReleaseServer { name: name.clone() }).await?;
    api.tools.release(&name);
    shown(&api, &name).map(Json)
}

fn shown(api: &Api, name: &str) -> Result<body::Json, Problem> {
    let is_it = |server: &body::Json| server.value().get("name").is_some_and(|it| it == name);
    api.tools.servers().into_iter().find(is_it).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let detail = format!("no server `{shown}` is there; `GET /api/v1/servers` lists them");
        Problem::new(ProblemCode::NoSuchServer, detail)
    })
}
