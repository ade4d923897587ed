//! Registering definitions by their name, removing them, and the schedules of those that have some.
//!
//! Showing and checking definitions is beside; when a schedule fires is the engine's.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_core::body::Blob;
use baton_core::fact::{LastDue, schedule_key};
use baton_core::ids::WorkflowId;
use baton_core::plan::{Occasion, Plan};
use baton_core::time::Timestamp;
use baton_core::words::{FactKind, Missed, Role};
use baton_engine::exchange::Request;
use baton_engine::loaded::Loaded;
use baton_engine::schedules::schedule_of;
use baton_engine::store::{DefinitionRow, StoreError, Views};
use baton_engine::view::plan_at;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::code::ProblemCode;
use super::definitions::{Definitions, Shown, blocking, error_of};
use super::extract::Text;
use super::page::Page;
use super::problem::{FieldError, Problem};
use super::schema::{Any, MissedWord, Problems};

/// Registers a definition, YAML or JSON, and arms its triggers. The same version with other content is
/// refused.
#[utoipa::path(put, path = "/definitions/{name}", tag = "definitions", operation_id = "register_definition",
    params(("name" = String, Path, description = "Its name, as it stands in the definition")),
    request_body(content((String = "application/yaml"), (Any = "application/json"))),
    responses((status = 200, body = Shown), Problems))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Text(source): Text,
) -> Result<Json<Shown>, Problem> {
    caller.require(Role::Admin)?;
    let definitions = api.definitions.clone();
    let read = move || loaded(definitions.as_ref(), &name, &source);
    let (loaded, source) = blocking(read).await?;
    let shown = Shown::of(Plan::clone(&loaded.plan));
    let request = Request::Define { loaded: Arc::new(loaded), source: Some(source) };
    api.ask(&caller.actor, request).await?;
    Ok(Json(shown))
}

fn loaded(
    definitions: &dyn Definitions,
    name: &str,
    source: &str,
) -> Result<(Loaded, Blob), Problem> {
    let refused = |errors: Vec<FieldError>| {
        let detail = format!("the definition has {} faults; nothing was registered", errors.len());
        Problem::new(ProblemCode::InvalidDefinition, detail).with_errors(errors)
    };
    let plan = definitions.check(source).map_err(|faults| {
        refused(faults.iter().map(|fault| error_of("", fault)).collect::<Vec<_>>())
    })?;
    if plan.name != name {
        let detail = format!("it is `{}` here, and another name in the path", plan.name);
        let pointer = "/name".to_owned();
        return Err(refused(vec![FieldError { pointer, detail, line: None, column: None }]));
    }
    let unusable = |fault: String| Problem::new(ProblemCode::InvalidDefinition, fault);
    let text = serde_json::to_string(source).map_err(|fault| unusable(fault.to_string()))?;
    let loaded = Loaded::new(plan).map_err(|fault| unusable(fault.to_string()))?;
    Ok((loaded, Blob::pack(&text)))
}

/// Removes every registered version of a definition; its triggers fire no more, its workflows stay.
#[utoipa::path(delete, path = "/definitions/{name}", tag = "definitions", operation_id = "remove_definition",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is removed"), Problems))]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Role::Admin)?;
    api.ask(&caller.actor, Request::RemoveDefinition { name }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A schedule of a registered definition.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct ScheduleView {
    /// The definition.
    definition: String,
    /// Its newest version, whose triggers count.
    version: u32,
    /// Which of its triggers, from 0.
    trigger: u32,
    /// The cron expression.
    schedule: String,
    /// The time zone its times are in.
    zone: String,
    /// What becomes of moments that pass while no server is there.
    #[schema(value_type = MissedWord)]
    missed: Missed,
    /// When it is due next.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_due: Option<Timestamp>,
    /// The newest moment it fired for.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_due: Option<Timestamp>,
    /// The workflow that it started then.
    #[schema(value_type = Option<String>, format = "uuid")]
    last_workflow_id: Option<WorkflowId>,
    /// Why it started none then.
    last_error: Option<String>,
}

/// The schedules of registered definitions; `GET /events` shows every firing.
#[utoipa::path(get, path = "/schedules", tag = "definitions", operation_id = "list_schedules",
    responses((status = 200, body = Page<ScheduleView>), Problems))]
pub(super) async fn schedules(State(api): State<Api>) -> Result<Json<Page<ScheduleView>>, Problem> {
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let items = api.readers.read(move |views| Ok(schedules_of(views, now)?)).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

fn schedules_of(views: &mut dyn Views, now: Timestamp) -> Result<Vec<ScheduleView>, StoreError> {
    let rows = views.definitions()?;
    // By name and then by version: the last of a name is its newest.
    let of_names = rows.chunk_by(|one, other| one.name == other.name);
    let newest = of_names.filter_map(|versions| versions.last()).filter(|row| row.triggers > 0);
    let mut items = Vec::new();
    for row in newest {
        let plan = plan_at(row.plan, views)?;
        for (index, trigger) in (0_u32..).zip(&plan.triggers) {
            match &trigger.on {
                Occasion::Event { .. } => {}
                Occasion::Schedule { cron, zone, missed } => {
                    let written = (cron.clone(), zone.clone(), *missed);
                    items.push(schedule_view((row, &plan, index), written, views, now)?);
                }
            }
        }
    }
    Ok(items)
}

fn schedule_view(
    (row, plan, trigger): (&DefinitionRow, &Plan, u32),
    (schedule, zone, missed): (String, String, Missed),
    views: &mut dyn Views,
    now: Timestamp,
) -> Result<ScheduleView, StoreError> {
    let fact = views.fact(FactKind::Schedule, &schedule_key(&row.name, trigger))?;
    let last = fact.and_then(|fact| LastDue::read(&fact.value));
    let last = last.filter(|last| last.version == row.version);
    // A clock that was set back waits until it has passed what fired already.
    let from = last.as_ref().map_or(now, |last| last.due.max(now));
    let next_due = schedule_of(plan, trigger as usize).and_then(|(it, _)| it.after(from));
    Ok(ScheduleView {
        definition: row.name.clone(),
        version: row.version,
        trigger,
        schedule,
        zone,
        missed,
        next_due,
        last_due: last.as_ref().map(|last| last.due),
        last_workflow_id: last.as_ref().and_then(|last| last.workflow),
        last_error: last.and_then(|last| last.fault),
    })
}
