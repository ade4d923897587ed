//! The conversation machine: what was said, what is asked, what is planned and what runs for it, as one
//! pure state machine.
//!
//! [`ConversationState::decide`] holds every rule, [`ConversationState::evolve`] applies what happened
//! and refuses nothing. Who plans, and how, is not known here: a planner is told that it is its turn, and
//! brings a [`Decision`]. Workflows are machines of their own; this one knows their ids.

mod clarification;
mod closing;
mod command;
mod decide;
mod event;
mod evolve;
pub mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use clarification::{Answer, AnswerKind, Clarification, ClarificationFault, Given};
pub use closing::{Closing, ClosingTask};
pub use command::{Caller, Command, Decision, Refusal, Step};
pub use event::{
    Claimed, ClarificationAnswered, ClarificationAsked, Closed, ContextShifted, Escalated,
    MessageAdded, Opened, PlanProposed, PlanReviewed, PlannerAdmitted, PlanningEnded,
    PlanningStarted, Released, ReviewEnd, Stopped, WorkflowEnded, WorkflowLinked,
};
pub use state::{
    ConversationState, Focus, Known, OPEN_MAX, Planning, ROUNDS_MAX, Request, TITLE_CHARS_MAX,
};
