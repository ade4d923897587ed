//! Follows one workflow: reads its events as they are committed and folds them, so that what is
//! shown is the journal's truth and nothing else.

use std::sync::Arc;

use anyhow::anyhow;
use baton_core::body::BlobHash;
use baton_core::definition::NESTING_MAX;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::words::WorkflowStatus;
use baton_core::workflow::{Event, Phase, Waiting, WorkflowState};
use baton_engine::live::{fold, read_event};
use baton_engine::loaded::Loaded;
use baton_engine::store::{Record, StoreError, Views};

/// How many events are read at a time.
const BATCH: u32 = 2_000;

/// A workflow as its events tell it.
pub struct Follower {
    /// The state after the events read so far.
    pub state: WorkflowState,
    views: Box<dyn Views>,
    number: u64,
    cursor: u64,
}

/// Why nothing more will happen to a workflow for now.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// Its run has ended.
    Ended,
    /// Only people can make it go on.
    People,
}

impl Follower {
    /// Reads everything there is of the workflow of this number.
    pub fn new(
        mut views: Box<dyn Views>,
        number: u64,
    ) -> anyhow::Result<(Self, Vec<(Record, Event)>)> {
        let records = views.stream(number)?;
        let folded = fold(&records, u64::MAX, &mut |hash| load(hash, views.as_mut()))?;
        let (state, _, cursor) = folded.ok_or_else(|| {
            anyhow!("the events of this workflow were purged; `baton show` says when")
        })?;
        let events = records.into_iter().map(|record| Ok((read_event(&record)?, record)));
        let events =
            events.map(|read: Result<_, StoreError>| read.map(|(event, record)| (record, event)));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        Ok((Self { state, views, number, cursor }, events))
    }

    /// Applies what was committed since, and hands each event on with the state after it.
    pub fn catch_up(
        &mut self,
        each: &mut dyn FnMut(&WorkflowState, &Record, &Event),
    ) -> anyhow::Result<()> {
        loop {
            let records = self.views.events(self.cursor, Some(self.number), BATCH)?;
            let read = records.len();
            for record in records {
                let event = read_event(&record)?;
                self.cursor = record.position;
                self.state.evolve(&event, record.at);
                each(&self.state, &record, &event);
            }
            if read < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// A reader of the same store.
    pub fn views(&mut self) -> &mut dyn Views {
        self.views.as_mut()
    }

    /// Whether nothing will happen by itself.
    pub fn rest(&mut self) -> anyhow::Result<Option<Rest>> {
        rest(&self.state, self.views.as_mut(), 0)
    }

    /// What people are asked, in the order of ordinals.
    pub fn questions(&self) -> Vec<(Ordinal, Waiting)> {
        let waiting = self.state.waiting().filter(|(_, on)| on.is_for_people());
        waiting.map(|(task, on)| (task, on.clone())).collect()
    }
}

fn rest(
    state: &WorkflowState,
    views: &mut dyn Views,
    depth: usize,
) -> anyhow::Result<Option<Rest>> {
    let idle = state.executing().next().is_none();
    Ok(match &state.phase {
        Phase::Ended(_) => Some(Rest::Ended),
        Phase::Draft { .. } | Phase::PendingReview | Phase::Paused { .. } => {
            idle.then_some(Rest::People)
        }
        Phase::Queued => None,
        Phase::Running { .. } | Phase::Cancelling { .. } => {
            let held = idle
                && state.ready() == 0
                && state.waiting().next().is_some()
                && all_held(state, views, depth)?;
            held.then_some(Rest::People)
        }
    })
}

/// Whether every wait is for people, or for a child that itself waits for nothing else.
fn all_held(state: &WorkflowState, views: &mut dyn Views, depth: usize) -> anyhow::Result<bool> {
    for (_, on) in state.waiting() {
        let held = match on {
            Waiting::Person { .. } | Waiting::InDoubt { .. } => true,
            Waiting::Timer { .. } | Waiting::Event { .. } => false,
            Waiting::Child { child } => depth < NESTING_MAX && is_child_held(*child, views, depth)?,
        };
        if !held {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_child_held(child: WorkflowId, views: &mut dyn Views, depth: usize) -> anyhow::Result<bool> {
    let Some((_, row)) = views.workflow(child)? else {
        return Ok(false);
    };
    if row.waiting_people == 0 && !matches!(row.status, WorkflowStatus::Paused) {
        return Ok(false);
    }
    let records = views.stream(row.number)?;
    let folded = fold(&records, u64::MAX, &mut |hash| load(hash, views))?;
    match folded {
        Some((state, _, _)) => Ok(rest(&state, views, depth + 1)? == Some(Rest::People)),
        None => Ok(false),
    }
}

fn load(hash: BlobHash, views: &mut dyn Views) -> Result<Arc<Loaded>, StoreError> {
    let blob = views
        .blob(hash)?
        .ok_or_else(|| StoreError::Corrupt(format!("the plan {hash} is missing")))?;
    Loaded::from_blob(blob).map(Arc::new).map_err(|e| StoreError::Corrupt(e.to_string()))
}
