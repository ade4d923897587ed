//! `/api/v1/workflows`: listing and showing workflows.
//!
//! What changes them stands in `start.rs` and `commands.rs`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_core::codes::UnknownWord;
use baton_core::ids::{ProjectId, WorkflowId};
use baton_core::time::{Span, Timestamp};
use baton_core::words::{Origin, WorkflowStatus};
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::store::{Filter, Views};
use baton_engine::view::{KIND, WorkflowView, workflow_brief, workflow_briefs, workflow_view};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::code::ProblemCode;
use super::extract::{Asked, IdOf, SHOWN_CHARS_MAX};
use super::page::{Page, cursor_of, limit_of};
use super::problem::Problem;
use super::schema::{OriginWord, Problems, SpanText, StatusList, WorkflowInPath, WorkflowSchema};
use super::waiting::{Subject, reach};

/// How long a revision is waited for where nothing is said.
const WAIT: Span = Span(Duration::from_secs(10));
/// The longest wait for a revision.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Which workflows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only these statuses, divided by commas.
    #[param(inline, value_type = Option<StatusList>)]
    status: Option<String>,
    /// Only those that are shown as this `type`; all are `workflow` so far.
    #[param(value_type = Option<String>, pattern = "^workflow$")]
    r#type: Option<String>,
    /// Only those that belong to this project.
    #[param(value_type = Option<String>, format = "uuid")]
    project: Option<ProjectId>,
    /// Only those that came to be like this.
    #[param(value_type = Option<OriginWord>)]
    origin: Option<Origin>,
    /// Only those whose name contains this.
    q: Option<String>,
    /// Only those that were admitted at this moment or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// At which revision.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AtRevision {
    /// Answer when it is at this revision or later.
    revision: Option<u64>,
    /// How long that may take, `10s` where nothing is said and at most `60s`; then 504.
    #[param(inline, value_type = Option<SpanText>, example = "10s")]
    wait: Option<Span>,
}

impl AtRevision {
    /// Returns when the subject is there, or at once where nothing is said.
    pub(super) async fn reach(self, api: &Api, subject: Subject) -> Result<(), Problem> {
        let Some(revision) = self.revision else { return Ok(()) };
        let wait = self.wait.unwrap_or(WAIT).0.min(WAIT_MAX);
        reach(api, subject, revision, wait).await
    }
}

/// Workflows, newest first.
#[utoipa::path(get, path = "/workflows", tag = "workflows", operation_id = "list_workflows", params(Which),
    responses((status = 200, description = "A page of workflows", body = Page<WorkflowSchema>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(which): Asked<Which>,
) -> Result<Json<Page<WorkflowView>>, Problem> {
    let limit = limit_of(which.limit)?;
    if let Some(kind) = which.r#type.as_deref().filter(|kind| *kind != KIND) {
        let kind: String = kind.chars().take(SHOWN_CHARS_MAX).collect();
        let detail = format!("`type`: there is no `{kind}`; every workflow is a `{KIND}` so far");
        return Err(Problem::new(ProblemCode::InvalidRequest, detail));
    }
    let filter = Filter {
        statuses: statuses_of(which.status.as_deref())?,
        name: which.q,
        origin: which.origin,
        project: which.project,
        since: which.since,
        before: cursor_of(which.cursor.as_deref())?,
        limit: limit + 1,
        ..Filter::default()
    };
    let read = move |views: &mut dyn Views| {
        let mut found = views.list(&filter)?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| more).map(|(card, _)| card.number.to_string());
        Ok(Page { items: workflow_briefs(&found, views)?, next_cursor: last })
    };
    Ok(Json(api.readers.read(read).await?))
}

/// One workflow; with `revision`, as it is then or later.
#[utoipa::path(get, path = "/workflows/{id}", tag = "workflows", operation_id = "show_workflow", params(WorkflowInPath, AtRevision),
    responses((status = 200, description = "The workflow", body = WorkflowSchema),
        (status = 304, description = "It is as `If-None-Match` says"), Problems))]
pub(super) async fn show(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    Asked(asked): Asked<AtRevision>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    asked.reach(&api, Subject::Workflow(id)).await?;
    let view = view_of(&api, id).await?;
    let tag = tag_of(&view);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(view)).into_response())
}

/// What changes whenever the view does.
pub(super) fn tag_of(view: &WorkflowView) -> String {
    let purged = if view.purged_at.is_some() { "-purged" } else { "" };
    format!("W/\"{}{purged}\"", view.revision)
}

/// Whether a reader has what this tag stands for.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let bare = tag.trim_start_matches("W/");
    let mut tags = known.into_iter().flat_map(|tags| tags.split(','));
    tags.any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == bare)
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
pub(super) async fn view_of(api: &Api, id: WorkflowId) -> Result<WorkflowView, Problem> {
    let wordings = Arc::clone(&api.wordings);
    let read = move |views: &mut dyn Views| {
        let (card, row) = found(id, views)?;
        if row.purged_at().is_some() {
            return Ok(workflow_brief(&card, &row, views)?);
        }
        let wording = wordings.of(card.plan, views)?;
        Ok(workflow_view(&card, &row, &wording, views)?)
    };
    api.readers.read(read).await
}

fn statuses_of(asked: Option<&str>) -> Result<Vec<WorkflowStatus>, Problem> {
    let words = asked.into_iter().flat_map(|words| words.split(','));
    let read = words.map(|word| {
        word.parse().map_err(|fault: UnknownWord| {
            Problem::new(ProblemCode::InvalidRequest, format!("`status`: {fault}"))
        })
    });
    read.collect()
}
