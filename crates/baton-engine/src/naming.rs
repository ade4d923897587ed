//! What events' workflows and tasks are called: looked up once for each workflow, and remembered.
//!
//! A function of the journal: items and calls are named alike by whoever saw them made and by whoever
//! comes later. How an event is shown is not its business.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::workflow::Event;

use crate::made::{Blocks, Provenance};
use crate::store::{Record, SYSTEM_STREAM, StoreError, Views};
use crate::wording::{Wording, Wordings};

/// How many workflows are remembered before they are looked up anew.
const WORKFLOWS_MAX: usize = 20_000;
/// How often tasks may have been made in them.
const BLOCKS_MAX: usize = 500_000;

/// What the workflows of the events that were seen are called.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    wordings: Arc<Wordings>,
    workflows: HashMap<u64, Named>,
    /// How many times tasks were made, in all workflows that are remembered.
    blocks: usize,
}

/// What is known of one workflow.
#[derive(Debug)]
pub(crate) struct Named {
    pub id: WorkflowId,
    pub conversation: ConversationId,
    pub wording: Wording,
    blocks: Blocks,
}

impl Naming {
    /// With the words that others have looked up.
    pub fn with(wordings: Arc<Wordings>) -> Self {
        Self { wordings, ..Self::default() }
    }

    /// The workflow of an event, and where the task it is about comes from.
    pub fn of(
        &mut self,
        record: &Record,
        event: Option<&Event>,
        views: &mut dyn Views,
    ) -> Result<Option<(&Named, Option<Provenance>)>, StoreError> {
        if record.stream == SYSTEM_STREAM || matches!(event, Some(Event::Conversation(_))) {
            return Ok(None);
        }
        self.learn(record, event, views)?;
        let Some(named) = self.workflows.get_mut(&record.stream) else { return Ok(None) };
        let before = named.blocks.len();
        named.blocks.learn(record, event);
        let task = event.and_then(Event::task);
        let origin = task.map(|task| named.origin(task, record, views)).transpose()?.flatten();
        self.blocks += named.blocks.len().saturating_sub(before);
        Ok(Some((named, origin)))
    }

    /// Looks up the workflow of an event, unless it is known or the event itself says.
    fn learn(
        &mut self,
        record: &Record,
        event: Option<&Event>,
        views: &mut dyn Views,
    ) -> Result<(), StoreError> {
        if self.workflows.len() > WORKFLOWS_MAX || self.blocks > BLOCKS_MAX {
            self.workflows.clear();
            self.blocks = 0;
        }
        if let Some(Event::Admitted(admitted)) = event {
            let wording = self.wordings.of(admitted.plan, views)?;
            let named = Named::new(admitted.id, admitted.conversation, wording);
            self.workflows.insert(record.stream, named);
        } else if let Some(plan) = event.and_then(Event::new_plan)
            && let Some(named) = self.workflows.get_mut(&record.stream)
        {
            named.wording = self.wordings.of(plan, views)?;
        } else if !self.workflows.contains_key(&record.stream) {
            let named = self.look_up(record.stream, views)?;
            self.workflows.extend(named.map(|named| (record.stream, named)));
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
        Self { id, conversation, wording, blocks: Blocks::default() }
    }

    /// The key of a task; an item's has its index behind it, a call's the number of the call.
    pub fn key(&self, origin: Provenance) -> Option<String> {
        Some(origin.key(self.wording.key(origin.of)?))
    }

    fn origin(
        &mut self,
        task: Ordinal,
        record: &Record,
        views: &mut dyn Views,
    ) -> Result<Option<Provenance>, StoreError> {
        let planned = self.wording.tasks();
        let origin = self.blocks.origin(task, planned);
        let is_purged = planned == 0;
        if origin.is_some() || self.blocks.known() >= record.position || is_purged {
            return Ok(origin);
        }
        self.blocks = Blocks::scan(record.stream, views)?;
        Ok(self.blocks.origin(task, planned))
    }
}
