//! What a workflow waits for that its owner cannot bring: work for workers, and events from elsewhere.
//!
//! It only looks; whether to wait on, and what to say, is the command's.

use std::collections::BTreeSet;

use baton_core::definition::NESTING_MAX;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::workflow::{Phase, Task, TaskPhase, Waiting, WorkflowState};

/// What can make a workflow go on that comes from outside of its owner.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Types of work that workers lease.
    pub workers: BTreeSet<String>,
    /// Types of events, which other workflows of the store may emit as well.
    pub events: BTreeSet<String>,
}

impl Outside {
    /// What the workflow and its children wait for; nothing while any of it goes on by itself.
    pub fn of(
        state: &WorkflowState,
        child: &mut dyn FnMut(WorkflowId) -> anyhow::Result<Option<WorkflowState>>,
    ) -> anyhow::Result<Self> {
        let mut outside = Self::default();
        let is_held = outside.add(state, child, 0)?;
        Ok(if is_held { outside } else { Self::default() })
    }

    /// Adds what a workflow waits for; `false` where something goes on by itself.
    fn add(
        &mut self,
        state: &WorkflowState,
        child: &mut dyn FnMut(WorkflowId) -> anyhow::Result<Option<WorkflowState>>,
        depth: usize,
    ) -> anyhow::Result<bool> {
        if !may_be_held(&state.phase) {
            return Ok(false);
        }
        for task in ready(state).chain(state.executing()) {
            let Some(call) = state.worker_call(task) else { return Ok(false) };
            self.workers.insert(call.worker_type.clone());
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
                    if !self.add(&within, child, depth + 1)? {
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
