//! A workflow in its owner's memory: its state, and what only the owner needs beside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::body::{Blob, BlobHash, Body, Json};
use baton_core::codes::Code;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::workflow::{BlockOf, Event, EventKind, WorkflowState};

use crate::calling::Calling;
use crate::clock::{Ahead, offset};
use crate::engine::Now;
use crate::exchange::{Held, Token};
use crate::ledger::Payer;
use crate::loaded::Loaded;
use crate::snapshot::Mark;
use crate::store::{Record, Store, StoreError};

/// What the store is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reading {
    /// A task's templates.
    Task(Ordinal),
    /// The workflow's output.
    Output,
}

/// A workflow in its owner's memory.
#[derive(Debug)]
pub struct Live {
    /// The store's number of it.
    pub number: u64,
    /// Its state.
    pub state: WorkflowState,
    /// Its plan, ready to run.
    pub loaded: Arc<Loaded>,
    /// The position of its newest event.
    pub head: u64,
    /// The tool calls that are under way.
    pub calling: Calling,
    /// Tasks whose templates are being rendered elsewhere, and for which run.
    pub preparing: HashMap<Ordinal, u32>,
    /// What could not be read of the store, and how often in a row.
    pub unread: HashMap<Reading, u32>,
    /// Tasks in doubt of which a probe is asked, and about which attempt.
    pub probing: HashMap<Ordinal, u32>,
    /// The elements of expanded lists, by the task with `each`.
    pub lists: HashMap<Ordinal, Arc<[Json]>>,
    /// Who waits for the end of its run.
    pub waiters: Vec<Token>,
    /// Whether its output is being rendered elsewhere.
    pub concluding: bool,
    /// Its snapshots.
    pub mark: Mark,
    /// How far its time in the journal has gone ahead of the steady clock.
    pub clock: Ahead,
    /// By the steady clock, when the pauses of this owner before the next attempt are over; the
    /// attempt before them.
    pub pauses: HashMap<Ordinal, (u32, Duration)>,
    /// How many tokens the next request of an agent has, and after which attempt.
    pub counted: HashMap<Ordinal, (u32, u64)>,
    /// Agents' tasks that are held back as none of their models can be asked here.
    pub held: HashMap<Ordinal, Held>,
    /// The heads of the families it is in: the workflows of which something is bounded and whose child
    /// it is, itself among them.
    pub families: Arc<[WorkflowId]>,
    /// Calls for which a budget has no room while others run.
    pub without_room: Vec<Ordinal>,
}

impl Live {
    /// A workflow that was just admitted or read: its number, and the position of its newest event.
    pub fn new(
        (number, head): (u64, u64),
        state: WorkflowState,
        loaded: Arc<Loaded>,
        now: &Now,
    ) -> Self {
        Self {
            number,
            state,
            loaded,
            head,
            calling: Calling::default(),
            preparing: HashMap::new(),
            unread: HashMap::new(),
            probing: HashMap::new(),
            lists: HashMap::new(),
            waiters: Vec::new(),
            concluding: false,
            mark: Mark::default(),
            clock: Ahead::from(offset(now)),
            pauses: HashMap::new(),
            counted: HashMap::new(),
            held: HashMap::new(),
            families: Arc::new([]),
            without_room: Vec::new(),
        }
    }

    /// How many tokens an agent's next request has, where that was counted.
    pub fn count_of(&self, task: Ordinal) -> Option<u64> {
        let (attempt, tokens) = self.counted.get(&task)?;
        (self.state.task(task)?.attempts == *attempt).then_some(*tokens)
    }

    /// Whose budgets it is under.
    pub fn payer(&self) -> Payer {
        let user = self.state.user.as_ref().map(|user| Arc::from(user.to_string()));
        let (workflow, families) = (self.state.id, Arc::clone(&self.families));
        Payer { workflow, families, conversation: self.state.conversation, user }
    }

    /// The index and value of an item; the list is read anew after a restart.
    pub fn item(
        &mut self,
        task: Ordinal,
        store: &mut dyn Store,
    ) -> Result<Option<(u32, Json)>, StoreError> {
        let Some((items, index)) = self.state.item(task) else {
            return Ok(None);
        };
        let BlockOf::Each { list } = &items.of else {
            return Ok(None);
        };
        let values = match self.lists.get(&items.parent) {
            Some(values) => Arc::clone(values),
            None => {
                let values = read_list(list, store)?;
                self.lists.insert(items.parent, Arc::clone(&values));
                values
            }
        };
        let value = values.get(index as usize).cloned().unwrap_or_else(Json::null);
        Ok(Some((index, value)))
    }
}

fn read_list(list: &Body, store: &mut dyn Store) -> Result<Arc<[Json]>, StoreError> {
    let text = match list {
        Body::Inline(json) => json.clone(),
        Body::Blob { hash, .. } => read_blob(*hash, store)?,
    };
    let list = serde_json::from_str::<Vec<Json>>(text.as_str());
    list.map(Arc::from).map_err(|e| StoreError::Corrupt(format!("a stored list is no list: {e}")))
}

/// The text of a blob.
pub fn read_blob(hash: BlobHash, store: &mut dyn Store) -> Result<Json, StoreError> {
    text_of(hash, store.blob(hash)?)
}

/// The text of what a store has under a hash. An event names it: where it is not, it was lost.
pub fn text_of(hash: BlobHash, blob: Option<Blob>) -> Result<Json, StoreError> {
    let lost = || StoreError::Corrupt(format!("the blob {hash} is not there"));
    blob.ok_or_else(lost)?.unpack().map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// Reads an event back.
pub fn read_event(record: &Record) -> Result<Event, StoreError> {
    let place = || format!("the event at position {}", record.position);
    let kind = EventKind::from_code(record.kind).ok_or_else(|| {
        StoreError::Corrupt(format!("{} is of the unknown kind {}", place(), record.kind))
    })?;
    Event::read(kind, &record.body).map_err(|e| StoreError::Corrupt(format!("{}: {e}", place())))
}

/// Applies an event that was read to a state and its plan; `load` brings another plan where it names one.
pub(crate) fn follow(
    (state, loaded): (&mut WorkflowState, &mut Arc<Loaded>),
    event: &Event,
    at: Timestamp,
    load: &mut dyn FnMut(BlobHash) -> Result<Arc<Loaded>, StoreError>,
) -> Result<(), StoreError> {
    if let Some(plan) = event.new_plan() {
        *loaded = load(plan)?;
        state.replan(Arc::clone(&loaded.plan), Arc::clone(&loaded.graph));
    }
    state.evolve(event, at);
    Ok(())
}

/// Folds a stream up to and with a position into its workflow's state. `load` brings the plan.
/// `None` where there are no events: the workflow was purged.
pub fn fold(
    records: &[Record],
    until: u64,
    load: &mut dyn FnMut(BlobHash) -> Result<Arc<Loaded>, StoreError>,
) -> Result<Option<(WorkflowState, Arc<Loaded>, u64)>, StoreError> {
    fold_with(records, until, load, &mut |_, _, _| {})
}

/// The same; each event after the admission is seen with the state after it.
pub(crate) fn fold_with(
    records: &[Record],
    until: u64,
    load: &mut dyn FnMut(BlobHash) -> Result<Arc<Loaded>, StoreError>,
    see: &mut dyn FnMut(&WorkflowState, &Event, u64),
) -> Result<Option<(WorkflowState, Arc<Loaded>, u64)>, StoreError> {
    let Some(first) = records.first() else {
        return Ok(None);
    };
    let first_event = read_event(first)?;
    let Event::Admitted(admitted) = first_event else {
        return Err(StoreError::Corrupt(format!(
            "the stream {} does not begin with an admission",
            first.stream
        )));
    };
    let mut loaded = load(admitted.plan)?;
    let (plan, graph) = (Arc::clone(&loaded.plan), Arc::clone(&loaded.graph));
    let mut state = WorkflowState::admitted(&admitted, plan, graph, first.at);
    let mut head = first.position;
    for record in records.iter().skip(1).take_while(|record| record.position <= until) {
        let event = read_event(record)?;
        follow((&mut state, &mut loaded), &event, record.at, load)?;
        see(&state, &event, record.position);
        head = record.position;
    }
    Ok(Some((state, loaded, head)))
}
