//! Which tool calls of a workflow are under way, and with which event each began: what ties the event
//! that ends a call to the one that began it.
//!
//! It follows the events and nothing else, so that an owner, a snapshot and a check agree on it.

use std::collections::HashMap;

use baton_core::ids::Ordinal;
use baton_core::workflow::{Event, Waiting, WorkflowState};

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
        match event {
            Event::TaskStarted(started) => {
                if state.call(started.task).is_some() {
                    self.0.insert(started.task, position);
                }
                None
            }
            Event::TaskCompleted(done) => self.0.remove(&done.task),
            Event::AttemptFailed(failed) => self.0.remove(&failed.task),
            Event::TaskFailed(failed) => self.0.remove(&failed.task),
            Event::TaskCancelled(cancelled) => self.0.remove(&cancelled.task),
            Event::TaskWaited(waited) => match waited.on {
                Waiting::InDoubt { .. } => self.0.remove(&waited.task),
                Waiting::Person { .. }
                | Waiting::Question { .. }
                | Waiting::Timer { .. }
                | Waiting::Event { .. }
                | Waiting::Child { .. } => None,
            },
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
            | Event::TaskExpanded(_)
            | Event::TaskSkipped(_)
            | Event::CallUndone(_)
            | Event::TaskEmitted(_)
            | Event::QuestionAsked(_)
            | Event::QuestionAnswered(_)
            | Event::QuestionWithdrawn(_)
            | Event::DefinitionRegistered(_)
            | Event::DefinitionRemoved(_)
            | Event::EventReceived(_)
            | Event::TriggerFired(_)
            | Event::TokenCreated(_)
            | Event::TokenRevoked(_)
            | Event::ServerReleased(_)
            | Event::Purged(_)
            | Event::BatchPurged(_) => None,
        }
    }
}
