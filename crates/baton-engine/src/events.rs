//! How an event is shown: one form for `GET …/events`, every stream and `baton show --events`.
//!
//! The form is a function of the journal alone, so that whoever reads an event, live or years later,
//! reads the same bytes. It decides nothing, and a damaged body is shown as `null`, not hidden.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::workflow::{Event, EventKind, Waiting};
use serde::Serialize;
use serde_json::value::RawValue;

pub use crate::deliver::matches_type;
use crate::live::read_event;
use crate::store::{Record, StoreError, Views};
use crate::wording::{Wording, Wordings};

/// How many workflows are remembered before they are looked up anew.
const WORKFLOWS_MAX: usize = 20_000;

/// An event as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct EventView<'r> {
    /// Its place in the journal.
    pub position: u64,
    /// The word of its kind, such as `task.completed`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The workflow it belongs to; none of an event of the store.
    pub workflow_id: Option<WorkflowId>,
    /// The key of the task it is about; an item's has its index behind it.
    pub task: Option<String>,
    /// The id of that task.
    pub task_id: Option<TaskId>,
    /// Its body, as it is stored.
    pub data: &'r RawValue,
}

/// The name under which streams send an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamName {
    /// A workflow has changed.
    WorkflowUpdated,
    /// A task has changed.
    TaskUpdated,
    /// A person is asked.
    ApprovalRequested,
    /// A definition has changed.
    DefinitionUpdated,
    /// An event came from outside.
    EventReceived,
    /// A trigger fired.
    TriggerFired,
    /// A token was created or revoked.
    TokenUpdated,
}

impl StreamName {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::WorkflowUpdated => "workflow.updated",
            Self::TaskUpdated => "task.updated",
            Self::ApprovalRequested => "approval.requested",
            Self::DefinitionUpdated => "definition.updated",
            Self::EventReceived => "event.received",
            Self::TriggerFired => "trigger.fired",
            Self::TokenUpdated => "token.updated",
        }
    }

    /// The name for an event.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::TaskWaited(waited) => match waited.on {
                Waiting::Person { .. } => Self::ApprovalRequested,
                Waiting::Timer { .. }
                | Waiting::Question { .. }
                | Waiting::Event { .. }
                | Waiting::InDoubt { .. }
                | Waiting::Child { .. } => Self::TaskUpdated,
            },
            Event::QuestionAsked(_) => Self::ApprovalRequested,
            Event::TaskStarted(_)
            | Event::TaskExpanded(_)
            | Event::TaskCompleted(_)
            | Event::AttemptFailed(_)
            | Event::TaskFailed(_)
            | Event::TaskSkipped(_)
            | Event::TaskCancelled(_)
            | Event::CallUndone(_)
            | Event::QuestionAnswered(_)
            | Event::QuestionWithdrawn(_)
            | Event::TaskEmitted(_) => Self::TaskUpdated,
            Event::Admitted(_)
            | Event::Approved(_)
            | Event::SentBack(_)
            | Event::Started(_)
            | Event::Paused(_)
            | Event::Resumed(_)
            | Event::CancelRequested(_)
            | Event::Finished(_)
            | Event::Retried(_)
            | Event::ClockSet(_)
            | Event::Purged(_)
            | Event::BatchPurged(_) => Self::WorkflowUpdated,
            Event::DefinitionRegistered(_) | Event::DefinitionRemoved(_) => Self::DefinitionUpdated,
            Event::EventReceived(_) => Self::EventReceived,
            Event::TriggerFired(_) => Self::TriggerFired,
            Event::TokenCreated(_) | Event::TokenRevoked(_) => Self::TokenUpdated,
        }
    }
}

/// Shows events, and remembers what their workflows' tasks are called.
#[derive(Debug, Default)]
pub struct Showing {
    wordings: Arc<Wordings>,
    workflows: HashMap<u64, Named>,
}

#[derive(Debug)]
struct Named {
    id: WorkflowId,
    wording: Wording,
    items: Vec<Items>,
    /// Every expansion up to this position is among `items`.
    scanned: u64,
}

/// The items that one expansion made.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Items {
    of: Ordinal,
    first: Ordinal,
    count: u32,
}

impl Showing {
    /// With the words that others have looked up.
    pub fn with(wordings: Arc<Wordings>) -> Self {
        Self { wordings, workflows: HashMap::new() }
    }

    /// An event as it is shown, and what it says where it can be read.
    pub fn show<'r>(
        &mut self,
        record: &'r Record,
        views: &mut dyn Views,
    ) -> Result<(EventView<'r>, Option<Event>), StoreError> {
        let event = read_event(record).ok();
        self.learn(record, event.as_ref(), views)?;
        let task = event.as_ref().and_then(Event::task);
        let key = task.map(|task| self.key(record, task, views)).transpose()?.flatten();
        let id = self.workflows.get(&record.stream).map(|named| named.id);
        let view = EventView {
            position: record.position,
            kind: EventKind::from_code(record.kind).map_or("unknown", |kind| kind.word()),
            at: record.at,
            workflow_id: id,
            task: key,
            task_id: id.zip(task).map(|(id, task)| id.task(task)),
            data: serde_json::from_str(&record.body).unwrap_or(RawValue::NULL),
        };
        Ok((view, event))
    }

    /// Looks up the workflow of an event, unless it is known or the event itself says.
    fn learn(
        &mut self,
        record: &Record,
        event: Option<&Event>,
        views: &mut dyn Views,
    ) -> Result<(), StoreError> {
        if record.stream == crate::store::SYSTEM_STREAM {
            return Ok(());
        }
        if self.workflows.len() > WORKFLOWS_MAX {
            self.workflows.clear();
        }
        if let Some(Event::Admitted(admitted)) = event {
            let wording = self.wordings.of(admitted.plan, views)?;
            let named = Named { id: admitted.id, wording, items: Vec::new(), scanned: 0 };
            self.workflows.insert(record.stream, named);
        } else if !self.workflows.contains_key(&record.stream) {
            let named = self.look_up(record.stream, views)?;
            self.workflows.extend(named.map(|named| (record.stream, named)));
        }
        if let (Some(Event::TaskExpanded(expanded)), Some(named)) =
            (event, self.workflows.get_mut(&record.stream))
        {
            let (of, first, count) = (expanded.task, expanded.first, expanded.count);
            let items = Items { of, first, count };
            if !named.items.contains(&items) {
                named.items.push(items);
            }
        }
        Ok(())
    }

    fn look_up(&self, number: u64, views: &mut dyn Views) -> Result<Option<Named>, StoreError> {
        let Some(id) = views.id_of(number)? else { return Ok(None) };
        let Some((card, row)) = views.workflow(id)? else { return Ok(None) };
        // The plan of a purged workflow went with it.
        let wording = match row.purged_at() {
            Some(_) => Wording::default(),
            None => self.wordings.of(card.plan, views)?,
        };
        Ok(Some(Named { id, wording, items: Vec::new(), scanned: 0 }))
    }

    /// The key of a task: that of the plan's, or of the item that an expansion made.
    fn key(
        &mut self,
        record: &Record,
        task: Ordinal,
        views: &mut dyn Views,
    ) -> Result<Option<String>, StoreError> {
        let Some(named) = self.workflows.get_mut(&record.stream) else { return Ok(None) };
        if let Some(key) = named.wording.key(task) {
            return Ok(Some(key.to_string()));
        }
        let key = named.item(task);
        if key.is_some()
            || named.scanned >= record.position
            || named.wording.key(Ordinal(0)).is_none()
        {
            return Ok(key);
        }
        (named.items, named.scanned) = expansions(record, views)?;
        Ok(named.item(task))
    }
}

impl Named {
    fn item(&self, task: Ordinal) -> Option<String> {
        let items = self.items.iter().find(|items| {
            task.0.checked_sub(items.first.0).is_some_and(|index| index < items.count)
        })?;
        let key = self.wording.key(items.of)?;
        Some(format!("{key}[{}]", task.0 - items.first.0))
    }
}

/// Every expansion of an event's workflow, and up to which position: those that a later one
/// superseded too, as no row tells of these.
fn expansions(record: &Record, views: &mut dyn Views) -> Result<(Vec<Items>, u64), StoreError> {
    let records = views.stream(record.stream)?;
    let newest = records.last().map_or(0, |record| record.position);
    let expanded = records.iter().filter(|r| r.kind == EventKind::TaskExpanded.code());
    let items = expanded.filter_map(|record| match read_event(record) {
        Ok(Event::TaskExpanded(e)) => Some(Items { of: e.task, first: e.first, count: e.count }),
        Ok(_) | Err(_) => None,
    });
    Ok((items.collect(), newest.max(record.position)))
}
