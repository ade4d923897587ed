//! Which tool calls of a workflow are under way, and with which event each began: what ties the event
//! that ends a call to the one that began it.
//!
//! It follows the events and nothing else, so that an owner, a snapshot and a check agree on it.

use std::collections::HashMap;

use baton_core::ids::Ordinal;
use baton_core::workflow::{Event, WorkflowState};

/// The calls of one workflow that are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calling(HashMap<Ordinal, u64>);

impl Calling {
    /// As a snapshot kept it.
    pub fn kept(calls: &[(Ordinal, u64)]) -> Self {
        Self(calls.iter().copied().collect())
    }

    /// For a snapshot: by ordinal.
    pub fn to_keep(&self) -> Vec<(Ordinal, u64)> {
        let mut calls: Vec<_> = self.0.iter().map(|(task, position)| (*task, *position)).collect();
        calls.sort_unstable();
        calls
    }

    /// Follows an event at a position; `state` is the workflow after it. Where the event ends a call,
    /// the position of the event with which that began.
    pub fn see(&mut self, state: &WorkflowState, event: &Event, position: u64) -> Option<u64> {
        if let Event::TaskStarted(started) = event {
            if state.called_tool(started.task).is_some() {
                self.0.insert(started.task, position);
            }
            return None;
        }
        event.attempt_end().and_then(|_| self.0.remove(&event.task()?))
    }
}
