//! What events' workflows and tasks are called: looked up once for each workflow, and remembered.
//!
//! A function of the journal: items are named alike by whoever saw them made and by whoever comes
//! later. How an event is shown is not its business.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::workflow::{Event, EventKind};

use crate::live::read_event;
use crate::store::{Record, SYSTEM_STREAM, StoreError, Views};
use crate::wording::{Wording, Wordings};

/// How many workflows are remembered before they are looked up anew.
const WORKFLOWS_MAX: usize = 20_000;

/// What the workflows of the events that were seen are called.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    wordings: Arc<Wordings>,
    workflows: HashMap<u64, Named>,
}

/// What is known of one workflow.
#[derive(Debug)]
pub(crate) struct Named {
    pub id: WorkflowId,
    pub conversation: ConversationId,
    pub wording: Wording,
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

/// Where a task comes from: the plan, or an expansion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// The task of the plan.
    pub of: Ordinal,
    /// An item's place in its list.
    index: Option<u32>,
}

impl Naming {
    /// With the words that others have looked up.
    pub fn with(wordings: Arc<Wordings>) -> Self {
        Self { wordings, workflows: HashMap::new() }
    }

    /// The workflow of an event, and where the task it is about comes from.
    pub fn of(
        &mut self,
        record: &Record,
        event: Option<&Event>,
        views: &mut dyn Views,
    ) -> Result<Option<(&Named, Option<Provenance>)>, StoreError> {
        if record.stream == SYSTEM_STREAM {
            return Ok(None);
        }
        self.learn(record, event, views)?;
        let Some(named) = self.workflows.get_mut(&record.stream) else { return Ok(None) };
        let task = event.and_then(Event::task);
        let origin = task.map(|task| named.origin(task, record, views)).transpose()?.flatten();
        Ok(Some((named, origin)))
    }

    /// Looks up the workflow of an event, unless it is known or the event itself says.
    fn learn(
        &mut self,
        record: &Record,
        event: Option<&Event>,
        views: &mut dyn Views,
    ) -> Result<(), StoreError> {
        if self.workflows.len() > WORKFLOWS_MAX {
            self.workflows.clear();
        }
        if let Some(Event::Admitted(admitted)) = event {
            let wording = self.wordings.of(admitted.plan, views)?;
            let named = Named::new(admitted.id, admitted.conversation, wording);
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
        Ok(Some(Named::new(id, card.conversation, wording)))
    }
}

impl Named {
    fn new(id: WorkflowId, conversation: ConversationId, wording: Wording) -> Self {
        Self { id, conversation, wording, items: Vec::new(), scanned: 0 }
    }

    /// The key of a task; an item's has its index behind it.
    pub fn key(&self, origin: Provenance) -> Option<String> {
        let key = self.wording.key(origin.of)?;
        Some(match origin.index {
            None => key.to_owned(),
            Some(index) => format!("{key}[{index}]"),
        })
    }

    fn origin(
        &mut self,
        task: Ordinal,
        record: &Record,
        views: &mut dyn Views,
    ) -> Result<Option<Provenance>, StoreError> {
        if self.wording.key(task).is_some() {
            return Ok(Some(Provenance { of: task, index: None }));
        }
        let origin = self.item(task);
        let is_purged = self.wording.key(Ordinal(0)).is_none();
        if origin.is_some() || self.scanned >= record.position || is_purged {
            return Ok(origin);
        }
        (self.items, self.scanned) = expansions(record, views)?;
        Ok(self.item(task))
    }

    fn item(&self, task: Ordinal) -> Option<Provenance> {
        self.items.iter().find_map(|items| {
            let index = task.0.checked_sub(items.first.0).filter(|index| *index < items.count)?;
            Some(Provenance { of: items.of, index: Some(index) })
        })
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
