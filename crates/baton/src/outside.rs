//! What a workflow waits for that its owner cannot bring: work for workers, events from elsewhere, and
//! what its agents need to be asked here.
//!
//! It only looks; whether to wait on, and what to say, is the command's.

use std::collections::BTreeSet;

use baton_core::definition::NESTING_MAX;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::workflow::{Phase, Task, TaskPhase, Waiting, WorkflowState};
use baton_engine::said::Said;

/// What can make a workflow go on that comes from outside of its owner.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Types of work that workers lease.
    pub workers: BTreeSet<String>,
    /// Types of events, which other workflows of the store may emit as well.
    pub events: BTreeSet<String>,
    /// What is missing where it runs: why agents are held back.
    pub missing: BTreeSet<String>,
}

/// What is said of a workflow's tasks just now.
type Told<'t> = &'t mut dyn FnMut(WorkflowId) -> Vec<Said>;

impl Outside {
    /// What the workflow and its children wait for; nothing while any of it goes on by itself.
    pub fn of(
        state: &WorkflowState,
        child: &mut dyn FnMut(WorkflowId) -> anyhow::Result<Option<WorkflowState>>,
        told: Told<'_>,
    ) -> anyhow::Result<Self> {
        let mut outside = Self::default();
        let is_held = outside.add(state, child, told, 0)?;
        Ok(if is_held { outside } else { Self::default() })
    }

    /// Adds what a workflow waits for; `false` where something goes on by itself.
    fn add(
        &mut self,
        state: &WorkflowState,
        child: &mut dyn FnMut(WorkflowId) -> anyhow::Result<Option<WorkflowState>>,
        told: Told<'_>,
        depth: usize,
    ) -> anyhow::Result<bool> {
        if !may_be_held(&state.phase) {
            return Ok(false);
        }
        let said = if ready(state).next().is_some() { told(state.id) } else { Vec::new() };
        for task in ready(state).chain(state.executing()) {
            let (id, attempt) = (state.id.task(task), state.task(task).map(|task| task.attempts));
            let is_of_it = |said: &&Said| said.task == id && Some(said.attempt) == attempt;
            let why = said.iter().find(is_of_it).and_then(|said| said.held.clone());
            match (state.worker_call(task), why) {
                (Some(call), _) => _ = self.workers.insert(call.worker_type.clone()),
                (None, Some(why)) => _ = self.missing.insert(why),
                (None, None) => return Ok(false),
            }
        }
        for (_, on) in state.waiting() {
            match on {
                Waiting::Timer { .. } => return Ok(false),
                Waiting::Event { pattern, .. } => _ = self.events.insert(pattern.clone()),
                Waiting::Person { .. }
                | Waiting::Question { .. }
                | Waiting::InDoubt { .. }
                | Waiting::Approval { .. }
                | Waiting::Budget { .. } => {}
                Waiting::Child { child: id } => {
                    let within = if depth < NESTING_MAX { child(*id)? } else { None };
                    let Some(within) = within else { return Ok(false) };
                    if !self.add(&within, child, told, depth + 1)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

fn may_be_held(phase: &Phase) -> bool {
    match phase {
        Phase::Running { .. } | Phase::Cancelling { .. } => true,
        Phase::Draft { .. }
        | Phase::PendingReview
        | Phase::Queued
        | Phase::Paused { .. }
        | Phase::Ended(_) => false,
    }
}

fn ready(state: &WorkflowState) -> impl Iterator<Item = Ordinal> + '_ {
    let is_ready = |(at, task): (usize, &Task)| match &task.phase {
        TaskPhase::Ready => u32::try_from(at).ok().map(Ordinal),
        TaskPhase::Pending
        | TaskPhase::Executing { .. }
        | TaskPhase::Waiting { .. }
        | TaskPhase::Expanded { .. }
        | TaskPhase::Completed { .. }
        | TaskPhase::Failed { .. }
        | TaskPhase::Skipped { .. }
        | TaskPhase::Cancelled { .. } => None,
    };
    state.tasks().iter().enumerate().filter_map(is_ready)
}
