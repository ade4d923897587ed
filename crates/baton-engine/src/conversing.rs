//! What a conversation asks of planners, and what they bring. Who plans, and how, is an adapter's.

use std::sync::Arc;

use baton_core::body::Body;
use baton_core::conversation::{Clarification, ConversationState};
use baton_core::ids::{ConversationId, ProjectId, WorkflowId};
use baton_core::words::WorkflowStatus;

use crate::exchange::Split;
use crate::loaded::Loaded;

/// A new conversation.
#[derive(Debug)]
pub struct Opening {
    /// Its id; a new one where none is given. One that a workflow has opens under that.
    pub id: Option<ConversationId>,
    /// What it is called.
    pub title: String,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// The caller's folder, where relative paths start.
    pub folder: Option<Arc<str>>,
    /// What is said first.
    pub message: Option<Split>,
}

/// A request for a plan.
#[derive(Debug)]
pub struct PlanJob {
    /// The number of the conversation's stream.
    pub number: u64,
    /// Which planning.
    pub planning: u32,
    /// The conversation as it stands.
    pub state: ConversationState,
    /// What the model that plans brought, where one did.
    pub heard: Option<Heard>,
}

/// How a model's planning ended.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The workflow whose agent planned.
    pub workflow: WorkflowId,
    /// How it ended.
    pub status: WorkflowStatus,
    /// What it brought, where it completed.
    pub output: Option<Body>,
}

/// What a planner brings.
#[derive(Debug)]
pub enum Thought {
    /// What comes next.
    Decided(Decided),
    /// A model plans: by the agent of this plan, on these inputs.
    Model {
        /// The plan.
        loaded: Arc<Loaded>,
        /// Its inputs.
        inputs: Split,
    },
}

/// What comes next, with all that must be admitted for it.
#[derive(Debug)]
pub struct Decided {
    /// What is said: a string.
    pub text: Option<Split>,
    /// What follows.
    pub next: Next,
}

/// What follows.
#[derive(Debug)]
pub enum Next {
    /// Nothing: what was said is the answer.
    Answer,
    /// These questions.
    Ask(Vec<Clarification>),
    /// This plan, to be reviewed.
    Propose(Proposal),
    /// This plan, at once.
    Start(Proposal),
    /// A person is needed.
    Escalate {
        /// Why.
        reason: String,
    },
    /// Nothing came of it; what was said tells why.
    Fail,
}

/// A validated plan with what it is to run on.
#[derive(Debug)]
pub struct Proposal {
    /// The plan.
    pub loaded: Arc<Loaded>,
    /// Its inputs, validated, defaults filled in.
    pub inputs: Split,
    /// What it takes for granted.
    pub assumptions: Vec<String>,
    /// What it will not do.
    pub will_not: Vec<String>,
}
