//! What a conversation asks of planners, and what they bring. Who plans, and how, is an adapter's.

use std::sync::Arc;

use baton_core::body::{Blob, Body, Json};
use baton_core::conversation::{Answer, Clarification, Command, ConversationState, Focus};
use baton_core::ids::{ConversationId, ProjectId, WorkflowId};
use baton_core::words::WorkflowStatus;
use serde::{Deserialize, Serialize};

use crate::exchange::Split;
use crate::loaded::Loaded;
use crate::ports::Planner;

/// What a person can tell a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// A message.
    Say {
        /// Its text.
        text: String,
    },
    /// Answers to what is asked.
    Answer {
        /// One for each question; those that are not named stay open.
        answers: Vec<Answer>,
    },
    /// It is about something else.
    Shift {
        /// What.
        focus: Focus,
    },
    /// Stop what is being done.
    Stop,
    /// A person is needed who can do more.
    Escalate {
        /// Why.
        reason: String,
    },
    /// Take it over.
    Claim,
    /// Let go of it.
    Release,
    /// It is over.
    Close,
}

impl Word {
    /// What a message asks for that is a command: `/stop`, and `/escalate` with a reason behind it.
    pub(crate) fn obeyed(self) -> Self {
        let Self::Say { text } = &self else {
            return self;
        };
        let text = text.trim();
        let escalated = text.strip_prefix("/escalate");
        match escalated.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            Some("") => Self::Escalate { reason: "asked for".to_owned() },
            Some(reason) => Self::Escalate { reason: reason.trim().to_owned() },
            None if text == "/stop" => Self::Stop,
            None => self,
        }
    }

    /// The command that it is, and what the store must keep of it.
    pub(crate) fn command(self) -> (Command, Option<Blob>) {
        let command = match self {
            Self::Say { text } => {
                let (text, blob) = spoken(&text);
                return (Command::Say { text }, blob);
            }
            Self::Answer { answers } => Command::Answer { answers },
            Self::Shift { focus } => Command::Shift { focus },
            Self::Stop => Command::Stop,
            Self::Escalate { reason } => Command::Escalate { reason },
            Self::Claim => Command::Claim,
            Self::Release => Command::Release,
            Self::Close => Command::Close,
        };
        (command, None)
    }
}

/// The body of a text that is said.
pub fn spoken(text: &str) -> Split {
    Body::split(Json::of(&serde_json::Value::String(text.to_owned())))
}

/// A new conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub message: Option<String>,
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

impl Thought {
    /// Nothing came of it, for this reason.
    pub fn failed(cause: &dyn std::fmt::Display) -> Self {
        let text =
            format!("I could not plan this: {cause}. Say it again to have me try once more.");
        Self::Decided(Decided { text: Some(spoken(&text)), focus: None, next: Next::Fail })
    }
}

/// What comes next, with all that must be admitted for it.
#[derive(Debug)]
pub struct Decided {
    /// What is said: a string.
    pub text: Option<Split>,
    /// What the conversation is about from now on, where that has changed.
    pub focus: Option<Box<Focus>>,
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

/// Plans nothing, and says so: of owners that hold no conversations.
#[derive(Clone, Copy, Debug)]
pub struct NoPlanner;

impl Planner for NoPlanner {
    fn think(&self, _job: &PlanJob) -> Thought {
        Thought::failed(&"nobody plans here")
    }
}
