//! A conversation's state: what of its past decides what may happen next.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clarification::{Clarification, Given};
use crate::actor::Actor;
use crate::body::Body;
use crate::ids::{ConversationId, ProjectId, WorkflowId};
use crate::time::Timestamp;
use crate::words::{ConversationStatus, FocusKind, PlanningEnd};

/// After so many rounds of questions a plan states what it takes for granted instead of asking.
pub const ROUNDS_MAX: u32 = 3;
/// So many workflows of a conversation have not ended at a time.
pub const OPEN_MAX: usize = 100;
/// The longest message, in bytes of JSON.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 10;
/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 80;

/// A conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationState {
    /// Its id.
    pub id: ConversationId,
    /// What it is called.
    pub title: String,
    /// Who began it.
    pub originator: Actor,
    /// Who has taken it over.
    pub claimant: Option<Actor>,
    /// Why a person is needed who can do more.
    pub escalated: Option<String>,
    /// Whether it goes on.
    pub status: ConversationStatus,
    /// What it is about.
    pub focus: Option<Focus>,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// The caller's folder.
    pub folder: Option<Arc<str>>,
    /// How many messages there are.
    pub messages: u32,
    /// What is being asked for.
    pub request: Request,
    /// What a person is asked, and has not said anything to.
    pub questions: Vec<Clarification>,
    /// Who plans just now.
    pub planning: Option<Planning>,
    /// How many plannings there were.
    pub plannings: u32,
    /// How the last planning ended.
    pub planned: Option<PlanningEnd>,
    /// Whether something was said that nobody has planned for.
    pub unplanned: bool,
    /// The plan that waits for a review.
    pub proposal: Option<WorkflowId>,
    /// Its workflows that have not ended, the proposal among them.
    pub open: Vec<WorkflowId>,
    /// How many events it has: its revision.
    pub revision: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When anything last happened.
    pub updated_at: Timestamp,
}

/// What somebody asks for: it begins with a message, and goes on until it is answered or planned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The number of the message it began with; 0 where nothing was said yet.
    pub message: u32,
    /// That message.
    pub text: Option<Body>,
    /// What was said since.
    pub known: BTreeMap<String, Known>,
    /// How many rounds of questions there were.
    pub rounds: u32,
    /// What was said of the plan that was sent back last.
    pub comments: Option<String>,
    /// Whether it was answered, planned or given up: the next message begins another.
    pub settled: bool,
}

/// What is known under the key of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What was asked.
    pub question: Clarification,
    /// What was said.
    pub given: Given,
}

/// A planning under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planning {
    /// Which, from 1.
    pub number: u32,
    /// The workflow whose agent plans, where a model does.
    pub workflow: Option<WorkflowId>,
}

/// What a conversation is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Focus {
    /// What kind of thing.
    pub kind: FocusKind,
    /// Its id, name or path; empty for the workspace.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// What is to be known about it.
    pub summary: String,
}

impl ConversationState {
    /// Whether somebody may write in it: who began it, and who has taken it over.
    pub fn may_write(&self, actor: &Actor) -> bool {
        *actor == self.originator || Some(actor) == self.claimant.as_ref()
    }

    /// Whether its owner has something to do for it by itself: to take it up after a restart.
    pub fn is_busy(&self) -> bool {
        self.planning.is_some() || self.wants_planning()
    }

    /// Whether a planner's turn has come.
    pub fn wants_planning(&self) -> bool {
        self.unplanned
            && self.planning.is_none()
            && self.questions.is_empty()
            && self.escalated.is_none()
            && self.status == ConversationStatus::Active
    }
}
