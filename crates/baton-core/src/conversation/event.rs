//! What happens to a conversation: the bodies of its events. Additive for ever, as all bodies are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clarification::{Answer, Clarification};
use super::state::Focus;
use crate::actor::Actor;
use crate::body::Body;
use crate::ids::{ConversationId, ProjectId, WorkflowId};
use crate::words::{PlanningEnd, Speaker, WorkflowStatus};
use crate::workflow::ConversationEvent;

/// A conversation began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Its id.
    pub id: ConversationId,
    /// Who began it, and stays so.
    pub by: Actor,
    /// What it is called: the beginning of what was first said.
    pub title: String,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The caller's folder, where relative paths start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Arc<str>>,
}

/// Somebody said something. The actor of the event is who.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageAdded {
    /// Its number, from 1.
    pub number: u32,
    /// Who speaks.
    pub speaker: Speaker,
    /// What: a string.
    pub text: Body,
    /// Whether it begins a new request: what was asked and answered before belongs to another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
}

/// What a person asked for is being planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanningStarted {
    /// Which planning, from 1: its fencing token.
    pub planning: u32,
}

/// A model plans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannerAdmitted {
    /// Which planning.
    pub planning: u32,
    /// The workflow whose agent plans.
    pub workflow: WorkflowId,
}

/// The planning is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanningEnded {
    /// Which planning.
    pub planning: u32,
    /// How.
    pub end: PlanningEnd,
}

/// A person is asked what must be known first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClarificationAsked {
    /// Which round of the request, from 1.
    pub round: u32,
    /// What is asked.
    pub questions: Vec<Clarification>,
}

/// They answered; what they did not say anything to is still asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClarificationAnswered {
    /// What was said.
    pub answers: Vec<Answer>,
}

/// A plan is proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanProposed {
    /// The workflow that waits for the review.
    pub workflow: WorkflowId,
    /// What it takes for granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<String>,
    /// What it will not do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub will_not: Vec<String>,
}

/// The review of a proposed plan is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanReviewed {
    /// The workflow.
    pub workflow: WorkflowId,
    /// What came of it.
    pub end: ReviewEnd,
}

/// What came of a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewEnd {
    /// It runs.
    Approved,
    /// It is planned anew.
    SentBack {
        /// What was said.
        comments: String,
    },
    /// It was cancelled, or another plan took its place.
    Withdrawn,
}

/// A workflow started for the conversation without a review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowLinked {
    /// Which.
    pub workflow: WorkflowId,
}

/// The run of a workflow ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowEnded {
    /// Which.
    pub workflow: WorkflowId,
    /// How it ended.
    pub status: WorkflowStatus,
    /// The number of the message that it makes.
    pub number: u32,
    /// What came of it, as the journal has it: a [`Closing`](super::Closing).
    pub closing: Body,
}

/// What the conversation is about changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContextShifted {
    /// What it is about now.
    pub focus: Focus,
}

/// What was being done was stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stopped {}

/// A person is needed who can do more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalated {
    /// Why.
    pub reason: String,
}

/// Somebody took it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// Who.
    pub by: Actor,
}

/// Whoever had taken it over let go of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Released {}

/// It is over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Closed {}

impl ConversationEvent {
    /// Every body it names.
    pub(crate) fn bodies(&self, each: &mut dyn FnMut(&Body)) {
        match self {
            Self::MessageAdded(message) => each(&message.text),
            Self::WorkflowEnded(ended) => each(&ended.closing),
            Self::Opened(_)
            | Self::PlanningStarted(_)
            | Self::PlannerAdmitted(_)
            | Self::PlanningEnded(_)
            | Self::ClarificationAsked(_)
            | Self::ClarificationAnswered(_)
            | Self::PlanProposed(_)
            | Self::PlanReviewed(_)
            | Self::WorkflowLinked(_)
            | Self::ContextShifted(_)
            | Self::Stopped(_)
            | Self::Escalated(_)
            | Self::Claimed(_)
            | Self::Released(_)
            | Self::Closed(_) => {}
        }
    }
}
