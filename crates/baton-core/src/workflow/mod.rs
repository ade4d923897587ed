//! The workflow machine: its runs, tasks and attempts, as one pure state machine.
//!
//! [`WorkflowState::decide`] holds every rule, [`WorkflowState::evolve`] applies what happened and
//! refuses nothing, [`rows`] says how a state looks to readers. What the world is asked to do
//! follows from the committed events, in the engine.

mod accounts;
mod command;
mod decide;
pub mod edits;
mod enter;
mod event;
mod evolve;
mod graph;
pub mod question;
mod reindex;
pub mod rows;
mod snapshot;
mod state;
mod system;
#[cfg(test)]
mod tests;
pub mod tombstones;
mod turns;
pub mod usage;

pub use accounts::{Above, Account, Amount, BudgetScope, RoomFor};
pub use command::{Command, Refusal, TurnAnswer, Verdict};
pub use event::{
    Admitted, BudgetRaised, CallApproved, ConversationEvent, Event, EventKind, Finished, Kept,
    ModelCall, ModelChanged, QuestionAnswered, QuestionAsked, QuestionWithdrawn, SHAPE,
    TaskAnswered, TaskEmitted, TaskStarted, TaskWaited, TranscriptCompacted, UnreadableEvent,
};
pub use graph::Graph;
pub use snapshot::{SNAPSHOT_SHAPE, Snapshot};
pub use state::{
    AgentRun, AskedCall, BlockOf, CallEnd, Ended, Entry, Items, Lease, Next, Outcome, Output,
    PauseCause, Phase, Resume, StageCount, Tally, Task, TaskPhase, Waiting, WorkflowState,
};
pub use system::{
    BatchPurged, DefinitionRegistered, DefinitionRemoved, Encoding, EventReceived, FiringCause,
    Purged, ServerReleased, TokenCreated, TokenRevoked, TriggerFired,
};
