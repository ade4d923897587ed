//! How a conversation looks to readers: one row, a function of its state.

use serde::{Deserialize, Serialize};

use super::clarification::Clarification;
use super::state::{ConversationState, Focus};
use crate::actor::Actor;
use crate::ids::{ConversationId, ProjectId, WorkflowId};
use crate::time::Timestamp;
use crate::words::{ConversationStatus, PlanningEnd};

/// A conversation's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationRow {
    /// The number of its stream.
    pub number: u64,
    /// Its id.
    pub id: ConversationId,
    /// Whether it goes on.
    pub status: ConversationStatus,
    /// Whether its owner has something to do for it by itself.
    pub busy: bool,
    /// The version of its stream.
    pub revision: u64,
    /// The position of its newest event.
    pub head: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When anything last happened.
    pub updated_at: Timestamp,
    /// Everything else.
    pub face: Face,
}

/// What a store keeps of a conversation as one piece of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// What it is called.
    pub title: String,
    /// Who began it.
    pub originator: Actor,
    /// Who has taken it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimant: Option<Actor>,
    /// Why a person is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<Focus>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// How many messages there are.
    pub messages: u32,
    /// What is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Clarification>,
    /// The round of these questions.
    #[serde(default)]
    pub round: u32,
    /// Whether something is being planned.
    #[serde(default)]
    pub planning: bool,
    /// How the last planning ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlanningEnd>,
    /// The plan that waits for a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<WorkflowId>,
    /// Its workflows that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<WorkflowId>,
}

/// The row of a conversation whose newest event stands at `head`.
pub fn conversation_row(state: &ConversationState, number: u64, head: u64) -> ConversationRow {
    ConversationRow {
        number,
        id: state.id,
        status: state.status,
        busy: state.is_busy(),
        revision: state.revision,
        head,
        created_at: state.created_at,
        updated_at: state.updated_at,
        face: Face {
            title: state.title.clone(),
            originator: state.originator.clone(),
            claimant: state.claimant.clone(),
            escalated: state.escalated.clone(),
            focus: state.focus.clone(),
            project: state.project,
            messages: state.messages,
            questions: state.questions.clone(),
            round: state.request.rounds,
            planning: state.planning.is_some() || state.wants_planning(),
            planned: state.planned,
            proposal: state.proposal,
            open: state.open.clone(),
        },
    }
}
