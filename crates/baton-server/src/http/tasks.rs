//! What a workflow consists of: its tasks, stages, plan and events; and one task with its calls.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use baton_core::definition::written;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::plan::Plan;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::exchange::Declined;
use baton_engine::stages::{StageView, stage_views};
use baton_engine::store::{UsageOfTask, Views};
use baton_engine::trace::SpanView;
use baton_engine::view::{TaskView, add_live, all_tasks, plan_of};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::calls::{TaskDetail, detail};
use super::code::ProblemCode;
use super::commands::REVISION;
use super::events::{self, Listing};
use super::extract::{Asked, IdOf};
use super::page::{Page, cursor_of, limit_of};
use super::problem::Problem;
use super::schema::{
    Any, EventSchema, Problems, SpanSchema, StageSchema, TaskDetailSchema, TaskInPath, TaskSchema,
    WorkflowInPath,
};
use super::workflows::found;

/// A part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[0-9]+$")]
    cursor: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

impl Part {
    /// How many are skipped, and how many are wanted.
    pub fn wanted(&self) -> Result<(u64, u32), Problem> {
        Ok((cursor_of(self.cursor.as_deref())?.unwrap_or(0), limit_of(self.limit)?))
    }
}

/// A workflow that was read with its tasks.
pub(super) struct Shown {
    pub card: WorkflowCard,
    pub plan: Plan,
    /// Its tasks by ordinal, items and agents' calls behind those of the plan.
    pub tasks: Vec<TaskView>,
    /// What they used of models.
    usage: Vec<UsageOfTask>,
}

impl Shown {
    /// Takes out one of its tasks.
    pub fn take(
        &mut self,
        (workflow, ordinal): (WorkflowId, Ordinal),
    ) -> Result<TaskView, Problem> {
        let at = self.tasks.iter().position(|task| task.ordinal == ordinal);
        let none = || {
            let id = workflow.task(ordinal);
            let detail = format!("the workflow {workflow} has no task {id}; `…/tasks` lists them");
            Problem::new(ProblemCode::NoSuchTask, detail)
        };
        at.map(|at| self.tasks.swap_remove(at)).ok_or_else(none)
    }
}

/// A workflow with its tasks; 410 where they were purged.
pub(super) fn shown(id: WorkflowId, views: &mut dyn Views) -> Result<Shown, Problem> {
    let (card, row) = kept(id, views)?;
    let plan = plan_of(&card, views)?;
    let rows = views.tasks(card.number)?;
    let usage = views.usage_of_tasks(card.number)?;
    let tasks = all_tasks((&card, &row), &plan, (&rows, &usage), views)?;
    Ok(Shown { card, plan, tasks, usage })
}

/// The rows of a workflow; 410 where its events and tasks were purged.
pub(super) fn kept(
    id: WorkflowId,
    views: &mut dyn Views,
) -> Result<(WorkflowCard, WorkflowRow), Problem> {
    let (card, row) = found(id, views)?;
    if row.purged_at().is_some() {
        let declined = Declined::Purged(id);
        return Err(Problem::new((&declined).into(), declined.to_string()));
    }
    Ok((card, row))
}

/// A task's workflow, and its place there.
pub(super) fn workflow_of(id: TaskId) -> Result<(WorkflowId, Ordinal), Problem> {
    let none = || Problem::new(ProblemCode::NoSuchTask, format!("{id} is no task's id"));
    id.split().ok_or_else(none)
}

/// The tasks of a workflow in the order of its plan; behind them the items of `each`, and the calls that
/// agents asked for.
#[utoipa::path(get, path = "/workflows/{id}/tasks", tag = "workflows", operation_id = "list_tasks", params(WorkflowInPath, Part),
    responses((status = 200, description = "A page of tasks", body = Page<TaskSchema>), Problems))]
pub(super) async fn list(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    Asked(part): Asked<Part>,
) -> Result<Json<Page<TaskView>>, Problem> {
    let wanted = part.wanted()?;
    let live = Arc::clone(&api.live);
    let read = move |views: &mut dyn Views| {
        let mut tasks = shown(id, views)?.tasks;
        add_live(&mut tasks, live.of(id));
        Ok(tasks)
    };
    Ok(Json(Page::of(api.readers.read(read).await?, wanted)))
}

/// The stages of a workflow, in order.
#[utoipa::path(get, path = "/workflows/{id}/stages", tag = "workflows", operation_id = "list_stages", params(WorkflowInPath),
    responses((status = 200, description = "The stages", body = Page<StageSchema>), Problems))]
pub(super) async fn stages(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
) -> Result<Json<Page<StageView>>, Problem> {
    let read = move |views: &mut dyn Views| {
        shown(id, views).map(|shown| stage_views(&shown.plan, &shown.tasks, &shown.usage))
    };
    let items = api.readers.read(read).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// A workflow as a trace: a span for itself, and one for each attempt, in the order of their beginning.
#[utoipa::path(get, path = "/workflows/{id}/trace", tag = "workflows", operation_id = "show_trace", params(WorkflowInPath, Part),
    responses((status = 200, description = "A page of spans", body = Page<SpanSchema>), Problems))]
pub(super) async fn trace(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    Asked(part): Asked<Part>,
) -> Result<Json<Page<SpanView>>, Problem> {
    let wanted = part.wanted()?;
    let wordings = api.wordings.clone();
    let read = move |views: &mut dyn Views| {
        let (card, row) = kept(id, views)?;
        Ok(baton_engine::trace::trace((&card, &row), wordings, views)?)
    };
    Ok(Json(Page::of(api.readers.read(read).await?, wanted)))
}

/// In which shape a plan is shown.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Shape {
    /// With all that was looked up when it was admitted.
    #[default]
    Plan,
    /// As the definition that it can be written as: what edits are made on.
    Definition,
}

/// How a plan is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Shaped {
    /// In which shape; `plan` where nothing is said.
    #[param(inline, value_type = Option<Shape>)]
    r#as: Option<Shape>,
}

/// The plan that a workflow runs, or that is in review, as the newest edit left it; the header says at
/// which revision.
#[utoipa::path(get, path = "/workflows/{id}/plan", tag = "workflows", operation_id = "show_plan", params(WorkflowInPath, Shaped),
    responses((status = 200, description = "The plan", body = Any, headers(
        ("Baton-Revision" = u64, description = "The workflow's revision that it was read at"))), Problems))]
pub(super) async fn plan(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    Asked(Shaped { r#as: shape }): Asked<Shaped>,
) -> Result<Response, Problem> {
    let read = move |views: &mut dyn Views| {
        let (card, row) = kept(id, views)?;
        let plan = plan_of(&card, views)?;
        let text = match shape.unwrap_or_default() {
            Shape::Plan => serde_json::to_string(&plan),
            Shape::Definition => serde_json::to_string(&written(&plan)),
        };
        Ok((text.unwrap_or_default(), row.revision))
    };
    let (text, revision) = api.readers.read(read).await?;
    let kind = (header::CONTENT_TYPE, "application/json".to_owned());
    Ok(([kind, (REVISION, revision.to_string())], text).into_response())
}

/// What has happened to a workflow, oldest first.
#[utoipa::path(get, path = "/workflows/{id}/events", tag = "workflows", operation_id = "list_events", params(WorkflowInPath, events::Part),
    responses((status = 200, description = "A page of events", body = Page<EventSchema>), Problems))]
pub(super) async fn events(
    State(api): State<Api>,
    IdOf(id): IdOf<WorkflowId>,
    Asked(part): Asked<events::Part>,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let wanted = Listing::of(part)?;
    let wordings = api.wordings.clone();
    let read = move |views: &mut dyn Views| {
        let (card, _) = kept(id, views)?;
        Ok(wanted.page(Some(card.number), wordings, views)?)
    };
    api.readers.read(read).await.map(Json)
}

/// One task with its calls.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", operation_id = "show_task", params(TaskInPath),
    responses((status = 200, description = "The task", body = TaskDetailSchema), Problems))]
pub(super) async fn show(
    State(api): State<Api>,
    IdOf(id): IdOf<TaskId>,
) -> Result<Json<TaskDetail>, Problem> {
    let (workflow, ordinal) = workflow_of(id)?;
    let live = Arc::clone(&api.live);
    let read = move |views: &mut dyn Views| {
        let mut shown = shown(workflow, views)?;
        add_live(&mut shown.tasks, live.of(workflow));
        let task = shown.take((workflow, ordinal))?;
        Ok(detail(&shown.card, &shown.plan, task, views)?.detail)
    };
    api.readers.read(read).await.map(Json)
}
