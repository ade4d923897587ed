//! What commands read of workflows, wherever those are: in a store at hand, or behind a server.
//!
//! It changes nothing, and it words no answers beyond those to a name that leads nowhere.

use std::collections::HashMap;

use anyhow::bail;
use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::plan::Plan;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_core::workflow::{Event, EventKind, Output, UnreadableEvent};
use baton_engine::events::Showing;
use baton_engine::exchange::Declined;
use baton_engine::inbox::{InboxItem, inbox};
use baton_engine::store::{Filter, Record, StoreError, Views};
use baton_engine::tool_events::tool_events;
use baton_engine::view::{self, TaskView, WorkflowView, workflow_brief};
use baton_engine::wording::Wording;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::exit::Failed;
use crate::text::{clean, cut};

/// Among how many of the newest workflows the one is looked for that was probably meant.
const SUGGESTED_FROM_MAX: u32 = 1_000;
/// From how many characters on the beginning of an id is taken for one.
const SUGGESTED_CHARS_MIN: usize = 6;

/// What commands read. Every answer is what was committed when it was asked for, or later.
pub trait Reading {
    /// Workflows, newest first, without what is not in a list: descriptions, outputs, errors.
    fn list(&mut self, filter: &Filter) -> anyhow::Result<Vec<WorkflowView>>;

    /// What needs a person; at most this many plans, and as many tasks.
    fn inbox(&mut self, most: u32) -> anyhow::Result<Vec<InboxItem>>;

    /// One workflow as a list shows it.
    fn brief(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>>;

    /// One workflow with its description, output and error.
    fn workflow(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>>;

    /// The tasks of a workflow that was not purged, by ordinal.
    fn tasks(&mut self, id: WorkflowId) -> anyhow::Result<Vec<TaskView>>;

    /// The plan of a workflow that was not purged.
    fn plan(&mut self, id: WorkflowId) -> anyhow::Result<Plan>;

    /// At most so many events of a workflow behind a position; none where there are no more.
    fn events(&mut self, id: WorkflowId, after: u64, most: u32) -> anyhow::Result<Vec<ShownEvent>>;

    /// Who was behind the events of a workflow, by position, as far as that can be told.
    fn actors(&mut self, id: WorkflowId) -> anyhow::Result<HashMap<u64, String>>;

    /// What a task brought, if it is a value.
    fn output(&mut self, task: &TaskView) -> anyhow::Result<Option<Json>>;

    /// The ends of a workflow's calls as CloudEvents, as far as they can be told.
    fn tool_events(&mut self, id: WorkflowId) -> anyhow::Result<Vec<Json>>;
}

/// An event as every surface shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownEvent {
    /// Its place in the journal.
    pub position: u64,
    /// The word of its kind, such as `task.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// The workflow it belongs to; none of an event of the store.
    pub workflow_id: Option<WorkflowId>,
    /// The key of the task it is about.
    pub task: Option<String>,
    /// The id of that task.
    pub task_id: Option<TaskId>,
    /// Its body, as it is stored.
    pub data: Box<RawValue>,
}

impl ShownEvent {
    /// What it says; an error where this version does not know its kind, or it is damaged.
    pub fn event(&self) -> anyhow::Result<Event> {
        let place = self.position;
        let Some(kind) = EventKind::from_word(&self.kind) else {
            let kind = clean(&cut(&self.kind, 60));
            bail!(Failed::unreachable(anyhow::anyhow!(
                "the event at position {place} is of the unknown kind `{kind}`; use the same \
                 version of baton as wrote it"
            )));
        };
        let damaged = |fault: UnreadableEvent| {
            Failed::unreachable(anyhow::anyhow!("the event at position {place}: {fault}"))
        };
        Ok(Event::read(kind, self.data.get()).map_err(damaged)?)
    }
}

/// Reads a store.
pub struct StoreReading {
    views: Box<dyn Views>,
    showing: Showing,
    /// The workflow whose events were read last, and its number.
    last: Option<(WorkflowId, u64)>,
}

impl StoreReading {
    /// Through these views.
    pub fn new(views: Box<dyn Views>) -> Self {
        Self { views, showing: Showing::default(), last: None }
    }

    fn rows(&mut self, id: WorkflowId) -> anyhow::Result<(WorkflowCard, WorkflowRow)> {
        let missing = || Failed::usage(Declined::NoSuchWorkflow(id).to_string());
        Ok(self.views.workflow(id)?.ok_or_else(missing)?)
    }

    fn number(&mut self, id: WorkflowId) -> anyhow::Result<u64> {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == id) {
            return Ok(number);
        }
        let (card, _) = self.rows(id)?;
        self.last = Some((id, card.number));
        Ok(card.number)
    }
}

impl Reading for StoreReading {
    fn list(&mut self, filter: &Filter) -> anyhow::Result<Vec<WorkflowView>> {
        let found = self.views.list(filter)?;
        Ok(found.iter().map(|(card, row)| workflow_brief(card, row)).collect())
    }

    fn inbox(&mut self, most: u32) -> anyhow::Result<Vec<InboxItem>> {
        Ok(inbox(self.views.as_mut(), most)?)
    }

    fn brief(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>> {
        Ok(self.views.workflow(id)?.map(|(card, row)| workflow_brief(&card, &row)))
    }

    fn workflow(&mut self, id: WorkflowId) -> anyhow::Result<Option<WorkflowView>> {
        let Some((card, row)) = self.views.workflow(id)? else { return Ok(None) };
        if row.purged_at().is_some() {
            return Ok(Some(workflow_brief(&card, &row)));
        }
        let views = self.views.as_mut();
        let plan = view::plan_of(&card, views)?;
        Ok(Some(view::workflow_view(&card, &row, &Wording::of(&plan), views)?))
    }

    fn tasks(&mut self, id: WorkflowId) -> anyhow::Result<Vec<TaskView>> {
        let (card, row) = self.rows(id)?;
        let plan = view::plan_of(&card, self.views.as_mut())?;
        let rows = self.views.tasks(card.number)?;
        Ok(view::task_views(&card, &row, &plan, &rows))
    }

    fn plan(&mut self, id: WorkflowId) -> anyhow::Result<Plan> {
        let (card, _) = self.rows(id)?;
        Ok(view::plan_of(&card, self.views.as_mut())?)
    }

    fn events(&mut self, id: WorkflowId, after: u64, most: u32) -> anyhow::Result<Vec<ShownEvent>> {
        let number = self.number(id)?;
        let records = self.views.events(after, Some(number), most)?;
        shown(&records, &mut self.showing, self.views.as_mut())
    }

    fn actors(&mut self, id: WorkflowId) -> anyhow::Result<HashMap<u64, String>> {
        let number = self.number(id)?;
        let mut actors = HashMap::new();
        for record in self.views.stream(number)? {
            let actor = self.views.actor(record.actor)?;
            actors.extend(actor.map(|actor| (record.position, actor.to_string())));
        }
        Ok(actors)
    }

    fn output(&mut self, task: &TaskView) -> anyhow::Result<Option<Json>> {
        let Some((workflow, _)) = task.id.split() else { return Ok(None) };
        let number = self.number(workflow)?;
        let ended = self.views.events(task.position.saturating_sub(1), Some(number), 1)?;
        let ended = ended.first().map(baton_engine::live::read_event).transpose()?;
        Ok(match ended {
            Some(Event::TaskCompleted(done)) => match &done.output {
                Output::Value(body) => Some(view::text_of(body, self.views.as_mut())?),
                Output::Items { .. } => None,
            },
            Some(_) | None => None,
        })
    }

    fn tool_events(&mut self, id: WorkflowId) -> anyhow::Result<Vec<Json>> {
        let number = self.number(id)?;
        let events = tool_events(number, self.views.as_mut())?;
        let texts = events.iter().map(|event| Ok(Json::parse(serde_json::to_string(event)?)?));
        texts.collect()
    }
}

/// Records as every surface shows them.
fn shown(
    records: &[Record],
    showing: &mut Showing,
    views: &mut dyn Views,
) -> anyhow::Result<Vec<ShownEvent>> {
    let mut show = |record| -> Result<ShownEvent, StoreError> {
        let (view, _) = showing.show(record, views)?;
        Ok(ShownEvent {
            position: view.position,
            kind: view.kind.to_owned(),
            at: view.at,
            workflow_id: view.workflow_id,
            task: view.task,
            task_id: view.task_id,
            data: view.data.to_owned(),
        })
    };
    records.iter().map(|record| Ok(show(record)?)).collect()
}

/// The workflow that a person names: by its id, by one of its tasks' ids, or `last`.
pub fn find_workflow(reading: &mut dyn Reading, named: &str) -> anyhow::Result<WorkflowView> {
    let (named, _) = named.split_once('/').unwrap_or((named, ""));
    if named == "last" {
        let newest = reading.list(&Filter { limit: 1, ..Filter::default() })?.pop();
        return newest.ok_or_else(|| Failed::usage("there is no workflow yet").into());
    }
    let id =
        match (named.parse::<TaskId>().ok().and_then(TaskId::split), named.parse::<WorkflowId>()) {
            (Some((workflow, _)), _) => workflow,
            (None, Ok(workflow)) => workflow,
            (None, Err(_)) => bail!(Failed::usage(no_id(named, reading)?)),
        };
    let missing =
        || Failed::usage(format!("there is no workflow {id}; `baton list` shows those there are"));
    Ok(reading.brief(id)?.ok_or_else(missing)?)
}

/// What to say of something that is no id: the workflow that was probably meant.
fn no_id(named: &str, reading: &mut dyn Reading) -> anyhow::Result<String> {
    let newest = reading.list(&Filter { limit: SUGGESTED_FROM_MAX, ..Filter::default() })?;
    let is_meant = |workflow: &&WorkflowView| {
        let id = workflow.id.to_string();
        let is_part = named.len() >= SUGGESTED_CHARS_MIN && id.starts_with(named);
        is_part || workflow.name == named
    };
    let shown = clean(&cut(named, 60));
    Ok(match newest.iter().find(is_meant) {
        Some(workflow) => {
            let (name, id, status) = (clean(&workflow.name), workflow.id, workflow.status);
            format!("`{shown}` is no id; did you mean {id}, the newest `{name}` ({status})?")
        }
        None => format!(
            "`{shown}` is no id; `baton list` shows the ids of workflows, `baton inbox` those of tasks"
        ),
    })
}

/// The task that a person names: by its id, or as `WORKFLOW/KEY`. `None` where they name a whole
/// workflow.
pub fn find_task(
    reading: &mut dyn Reading,
    named: &str,
) -> anyhow::Result<(WorkflowView, Option<Ordinal>)> {
    let workflow = find_workflow(reading, named)?;
    if let Some((_, ordinal)) = named.parse::<TaskId>().ok().and_then(TaskId::split) {
        return Ok((workflow, Some(ordinal)));
    }
    let Some((_, key)) = named.split_once('/') else {
        return Ok((workflow, None));
    };
    if workflow.purged_at.is_some() {
        return Err(Failed::usage(Declined::Purged(workflow.id).to_string()).into());
    }
    let tasks = reading.tasks(workflow.id)?;
    let task = tasks.iter().find(|task| task.key == key).ok_or_else(|| {
        let (name, key, id) = (clean(&workflow.name), clean(key), workflow.id);
        Failed::usage(format!(
            "the workflow `{name}` has no task `{key}`; `baton show {id}` lists them"
        ))
    })?;
    let ordinal = task.ordinal;
    Ok((workflow, Some(ordinal)))
}
