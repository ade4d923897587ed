//! The wire format of the local socket: one JSON object a line, both ways.
//!
//! It is private to one version of Baton: both ends are the same binary or say that they are not.

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Json};
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::plan::Plan;
use baton_core::words::{Origin, Role, WorkflowStatus};
use baton_core::workflow::Outcome;
use baton_engine::conversing::{Opening, Word};
use baton_engine::exchange::Burial;
use baton_engine::said::Said as SaidOfTask;
use serde::{Deserialize, Deserializer, Serialize};

/// The version both ends must speak.
pub const PROTOCOL: &str = concat!("baton-local/2 ", env!("CARGO_PKG_VERSION"));

/// The longest line, in bytes; a plan of 100,000 tasks fits.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A line from the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Comes back with the answer.
    pub id: u64,
    /// Who asks.
    pub actor: Actor,
    /// What for.
    pub ask: Ask,
}

/// What a client can ask for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Which protocol the owner speaks, and whether it answers.
    Hello,
    /// Admit a validated plan.
    Submit(Box<Submission>),
    /// Decide a command of a person.
    Command {
        /// Of this workflow.
        workflow: WorkflowId,
        /// What.
        verb: Verb,
    },
    /// Replace the plan of a workflow in review.
    Edit(Box<Edited>),
    /// Take the newest edit of a plan back.
    UndoEdit {
        /// Of this workflow.
        workflow: WorkflowId,
        /// Its number.
        edit: u32,
    },
    /// Answer when the workflow's present run has ended.
    AwaitEnd {
        /// Which.
        workflow: WorkflowId,
    },
    /// Admit a copy of a workflow as it stood at a position.
    Fork {
        /// Which.
        workflow: WorkflowId,
        /// Up to and with this position; its newest where none is given.
        position: Option<u64>,
    },
    /// Take up everything that has not ended.
    TakeUpAll,
    /// Take up one workflow.
    TakeUp {
        /// Which.
        workflow: WorkflowId,
    },
    /// Register a definition.
    Define(Box<Plan>),
    /// Remove the events and tasks of workflows that have ended.
    Purge {
        /// Which.
        workflows: Vec<Burial>,
    },
    /// Let the bearer of a token in.
    CreateToken {
        /// Its name.
        name: String,
        /// What it is good for.
        role: Role,
        /// SHA-256 of it.
        hash: BlobHash,
    },
    /// Let the bearer of a token in no more.
    RevokeToken {
        /// Its name.
        name: String,
    },
    /// Tell how the servers behind the tools stand.
    Servers,
    /// Call a server again that is left alone for its failures.
    ReleaseServer {
        /// Its name.
        name: String,
    },
    /// Open a conversation.
    Open(Box<Opening>),
    /// Tell a conversation something.
    Converse {
        /// Which.
        conversation: ConversationId,
        /// What.
        word: Word,
    },
    /// Take a conversation up, and what runs for it.
    Attend {
        /// Which.
        conversation: ConversationId,
    },
    /// Tell what is said of the tasks of a workflow just now.
    Said {
        /// Which.
        workflow: WorkflowId,
    },
    /// Send `news` lines whenever something of this stream (or of any) was committed.
    Follow {
        /// The workflow's number.
        stream: Option<u64>,
    },
}

/// A plan and what it is to run on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// The validated plan.
    pub plan: Plan,
    /// Its inputs, defaults filled in.
    pub inputs: Json,
    /// How it came to be.
    pub origin: Origin,
    /// 0 to 9.
    pub priority: u8,
    /// Whether a person approves the plan first.
    pub review: bool,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
    /// The caller's folder, where relative paths of its tools start.
    pub folder: Option<String>,
}

/// An edited plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edited {
    /// Of this workflow.
    pub workflow: WorkflowId,
    /// The revision that it was written against.
    pub revision: u64,
    /// The validated plan.
    pub plan: Plan,
    /// The workflow's inputs as they fit it, defaults filled in.
    pub inputs: Json,
}

/// What a person can tell a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Approve the plan at this revision.
    Approve {
        /// What they looked at.
        revision: u64,
    },
    /// Send the plan back.
    SendBack {
        /// What they say.
        comments: String,
    },
    /// Start nothing more for now.
    Pause,
    /// Go on.
    Resume,
    /// Stop.
    Cancel {
        /// What they say.
        reason: Option<String>,
    },
    /// Open the next run.
    Retry {
        /// Which tasks; all that did not complete when empty.
        tasks: Vec<Ordinal>,
    },
    /// Answer a task.
    Respond {
        /// Which.
        task: Ordinal,
        /// The answer.
        value: serde_json::Value,
        /// The number of the question of a running call that is meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<u32>,
    },
    /// Decline to answer what a running call asks.
    Decline {
        /// The task.
        task: Ordinal,
        /// As with [`Verb::Respond`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<u32>,
    },
    /// Say whether a call in doubt happened.
    Settle {
        /// Which task.
        task: Ordinal,
        /// The result if it happened, which may be `null`; absent if it did not.
        #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
        result: Option<Json>,
    },
}

/// A line from the owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The answer to the request of this id.
    Answer {
        /// Whose.
        id: u64,
        /// What.
        answer: Answer,
    },
    /// Something was committed.
    News {
        /// The request that asked for news.
        id: u64,
        /// The newest position.
        position: u64,
    },
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The owner's protocol and process.
    Hello {
        /// What it speaks.
        protocol: String,
        /// Its process id.
        process: u32,
    },
    /// The workflow after the command.
    Workflow {
        /// Its id.
        id: WorkflowId,
        /// Its number in the store.
        number: u64,
        /// Where its run stands.
        status: WorkflowStatus,
        /// Its revision.
        revision: u64,
        /// The position at which all of this can be read.
        position: u64,
    },
    /// The run has ended.
    Ended {
        /// Its id.
        id: WorkflowId,
        /// How.
        outcome: Outcome,
        /// Its revision.
        revision: u64,
    },
    /// The conversation after the command.
    Conversation {
        /// Its id.
        id: ConversationId,
        /// The number of its stream.
        number: u64,
        /// Its revision.
        revision: u64,
        /// How many messages it has.
        message: u32,
        /// The position at which all of this can be read.
        position: u64,
    },
    /// This many.
    Count(u32),
    /// The servers, each as the API shows it.
    Servers(Vec<Json>),
    /// What is said of tasks, each with the attempt that it is said of.
    Said(Vec<(TaskId, u32, SaidOfTask)>),
    /// It is done.
    Done,
    /// It was not carried out.
    Declined {
        /// A stable code.
        code: String,
        /// What happened and what to do.
        message: String,
    },
}

/// What is given, `null` as well: absent is something else.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_happened_and_brought_nothing_is_not_one_that_did_not_happen() {
        for result in [Some(Json::null()), None] {
            let verb = Verb::Settle { task: Ordinal(1), result: result.clone() };
            let line = serde_json::to_string(&verb).unwrap();
            let Verb::Settle { result: read, .. } = serde_json::from_str(&line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!(read, result, "{line}");
        }
    }
}
