//! What may be asked of a conversation, by whom, and why it may be refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clarification::{Answer, Clarification};
use super::event::ReviewEnd;
use super::state::Focus;
use crate::actor::Actor;
use crate::body::Body;
use crate::ids::WorkflowId;
use crate::words::{Role, WorkflowStatus};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
}

/// What is asked of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Somebody says something.
    Say {
        /// What: a string.
        text: Body,
    },
    /// Somebody answers questions.
    Answer {
        /// What they say.
        answers: Vec<Answer>,
    },
    /// What follows by itself.
    Advance,
    /// A planner's turn has brought this.
    Planned {
        /// Of which planning.
        planning: u32,
        /// What.
        decision: Decision,
    },
    /// A model plans: as this workflow.
    AdmitPlanner {
        /// Of which planning.
        planning: u32,
        /// The workflow.
        workflow: WorkflowId,
    },
    /// The review of a proposed plan is over.
    Reviewed {
        /// The workflow.
        workflow: WorkflowId,
        /// What came of it.
        end: ReviewEnd,
    },
    /// A workflow started for the conversation.
    Link {
        /// Which.
        workflow: WorkflowId,
    },
    /// The run of a workflow ended.
    WorkflowEnded {
        /// Which.
        workflow: WorkflowId,
        /// How.
        status: WorkflowStatus,
        /// What came of it.
        closing: Body,
    },
    /// It is about something else from now on.
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

/// What a planner's turn brings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Body>,
    /// What the conversation is about from now on, where that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<Focus>,
    /// What comes next.
    pub step: Step,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing: what was said is the answer.
    Answer,
    /// These questions.
    Ask(Vec<Clarification>),
    /// A plan to be reviewed, which is admitted with this.
    Propose {
        /// Its workflow.
        workflow: WorkflowId,
        /// What it takes for granted.
        assumptions: Vec<String>,
        /// What it will not do.
        will_not: Vec<String>,
    },
    /// A workflow that runs without a review, which is admitted with this.
    Start {
        /// Which.
        workflow: WorkflowId,
    },
    /// A person is needed.
    Escalate {
        /// Why.
        reason: String,
    },
    /// Nothing came of it; what was said tells why.
    Fail,
}

/// Why a conversation does not do what it is asked. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Only who began it, and who has taken it over, may write in it.
    NotYours {
        /// Who may.
        writers: Vec<Actor>,
    },
    /// Whoever takes a conversation over must be an operator or an administrator.
    NotAllowed,
    /// Somebody has it.
    AlreadyClaimed {
        /// Who.
        by: Actor,
    },
    /// Nobody has it.
    NotClaimed,
    /// Nothing of this key is asked.
    NoSuchQuestion {
        /// The key.
        key: String,
        /// What is asked.
        asked: Vec<String>,
    },
    /// The answer does not fit its question.
    InvalidAnswer {
        /// What would.
        detail: String,
    },
    /// The planning is over; what it brought came too late or twice.
    StalePlanning,
    /// Nothing is being done that could be stopped.
    NothingToStop,
    /// It is closed already.
    AlreadyClosed,
    /// A message has some text.
    Empty,
    /// A message has more text than is taken.
    TooLong {
        /// So many bytes of JSON are taken.
        bytes_max: u64,
    },
    /// That is not what waits for a review.
    NotProposed,
    /// As many of its workflows as may have not ended.
    TooManyOpen {
        /// So many may.
        open_max: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYours { writers } => {
                let names: Vec<String> = writers.iter().map(ToString::to_string).collect();
                let names = names.join(" and ");
                write!(f, "only {names} may write in this conversation; claim it to take it over")
            }
            Self::NotAllowed => f.write_str("that takes a token of the role operator or admin"),
            Self::AlreadyClaimed { by } => {
                write!(f, "{by} has taken this conversation over; they can release it")
            }
            Self::NotClaimed => f.write_str("nobody has taken this conversation over"),
            Self::NoSuchQuestion { key, asked } if asked.is_empty() => {
                write!(f, "`{key}` is not asked: no question is open")
            }
            Self::NoSuchQuestion { key, asked } => {
                write!(f, "`{key}` is not asked; open are {}", asked.join(", "))
            }
            Self::InvalidAnswer { detail } => write!(f, "the answer does not fit: {detail}"),
            Self::StalePlanning => f.write_str("this planning is over"),
            Self::NothingToStop => f.write_str("nothing is being done that could be stopped"),
            Self::AlreadyClosed => f.write_str("this conversation is closed already"),
            Self::Empty => f.write_str("a message has some text"),
            Self::TooLong { bytes_max } => {
                write!(f, "a message has at most {bytes_max} bytes; put longer texts into a file")
            }
            Self::TooManyOpen { open_max } => write!(
                f,
                "{open_max} workflows of this conversation have not ended; wait for one, cancel \
                 one, or begin another conversation"
            ),
            Self::NotProposed => f.write_str("that plan does not wait for a review"),
        }
    }
}

impl std::error::Error for Refusal {}
