//! What goes into a turn and what comes out of it: requests and answers, jobs and their results.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash, Body, Json};
use baton_core::conversation;
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, Origin, Role, TaskStatus, WorkflowStatus};
use baton_core::workflow::question::Question;
use baton_core::workflow::{Command, EventReceived, Outcome, Refusal, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::asking::Heard;
use crate::conversing::{Opening, PlanJob, Thought, Word};
use crate::loaded::Loaded;
use crate::scope::{Ingredients, Ready, Unrendered};
use crate::snapshot::SnapshotJob;
use crate::store::{Commit, SnapshotRow, StoreError};
use crate::turns::{Asking, ModelTurn};
use crate::workers::{Holding, Lease, LeaseAsk, WAITING_MAX};

/// Ties an answer to its request. Chosen by the caller.
pub type Token = u64;

/// What arrives in the owner's inbox.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks for something.
    Request {
        /// Comes back with the answer.
        token: Token,
        /// Who asks.
        actor: Actor,
        /// What for.
        request: Request,
    },
    /// A call ended.
    Called {
        /// Which.
        job: JobKey,
        /// How.
        result: CallResult,
    },
    /// A model answered, or did not.
    Answered {
        /// The agent's turn.
        job: JobKey,
        /// How it ended.
        result: Result<ModelTurn, (AttemptStatus, CallFailure)>,
    },
    /// The tokens of an agent's next request were counted.
    Counted {
        /// The agent's task, and its attempt before that turn.
        job: JobKey,
        /// How many; `None` where they could not be counted.
        tokens: Option<u64>,
    },
    /// A running call asks a person something.
    Asked {
        /// Which.
        job: JobKey,
        /// Tells the questions of the call apart.
        ticket: u32,
        /// What.
        question: Question,
    },
    /// A running call does not want to know any more what it asked.
    TakenBack {
        /// Which.
        job: JobKey,
        /// Which of its questions.
        ticket: u32,
    },
    /// A task's templates were rendered.
    Prepared {
        /// The workflow.
        number: u64,
        /// The task.
        task: Ordinal,
        /// The run it was rendered for.
        run: u32,
        /// What came out.
        result: Result<Ready, Unrendered>,
    },
    /// A probe of a call in doubt ended; an error leaves the doubt to a person.
    Probed {
        /// The workflow.
        number: u64,
        /// The task.
        task: Ordinal,
        /// What the probe says.
        verdict: Option<(Verdict, Option<Blob>)>,
    },
    /// The workflow's output was rendered.
    Concluded {
        /// The workflow.
        number: u64,
        /// The output.
        result: Result<Split, Unrendered>,
    },
    /// A planner has thought.
    Planned {
        /// The number of the conversation's stream.
        number: u64,
        /// Which planning.
        planning: u32,
        /// What it brings.
        thought: Box<Thought>,
    },
    /// A snapshot was packed; `None` where it could not be.
    Snapshot {
        /// The workflow.
        number: u64,
        /// What is to be kept.
        row: Option<SnapshotRow>,
    },
    /// Start nothing more.
    Drain,
}

/// How a call ended.
pub type CallResult = Result<Split, (AttemptStatus, CallFailure)>;

/// A body and, when it is large, what the store must keep of it.
pub type Split = (Body, Option<Blob>);

/// One attempt of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey {
    /// The workflow's number.
    pub number: u64,
    /// The task.
    pub task: Ordinal,
    /// The attempt: the fencing token.
    pub attempt: u32,
}

/// What a task turned out to be once its templates were rendered on the data at hand.
#[derive(Debug)]
pub enum Parts {
    /// Its `when` is false.
    Skip,
    /// Its `each` yielded these.
    Expand {
        /// The list.
        list: Split,
        /// Its elements.
        values: Arc<[Json]>,
    },
    /// A tool call with this input.
    Tool(Split),
    /// An agent's first turn, which begins with this message.
    Agent(Split),
    /// Work for workers outside, with this input.
    Worker(Split),
    /// A question.
    Ask(String),
    /// A moment to wait for.
    WaitUntil(Timestamp),
    /// A span to wait for.
    WaitFor(Duration),
    /// An event to wait for.
    WaitEvent {
        /// Its type.
        pattern: String,
        /// For how long.
        timeout: Option<Duration>,
    },
    /// An event to emit.
    Emit {
        /// Its type.
        event_type: String,
        /// Its data.
        data: Split,
    },
    /// A child workflow with these inputs.
    Child(Json),
}

/// Something asked of a Baton.
#[derive(Debug)]
pub enum Request {
    /// Admit a validated plan.
    Submit(Box<Submit>),
    /// Decide a command.
    Command {
        /// Of this workflow.
        workflow: WorkflowId,
        /// What.
        command: Box<Command>,
        /// A large body the command names.
        blob: Option<Blob>,
    },
    /// Replace the plan of a workflow in review.
    Edit(Box<Edit>),
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
    /// Register a definition under its name and version.
    Define {
        /// Its plan.
        loaded: Arc<Loaded>,
        /// The text it was read from, as a JSON string.
        source: Option<Blob>,
    },
    /// Remove every version of a definition; its workflows stay.
    RemoveDefinition {
        /// Its name.
        name: String,
    },
    /// From now on, start what schedules ask for.
    KeepTime,
    /// Let the bearer of a token in.
    CreateToken {
        /// Its name, which nobody else's token that holds has.
        name: String,
        /// What it is good for.
        role: Role,
        /// SHA-256 of the token.
        hash: BlobHash,
    },
    /// Let the bearer of a token in no more.
    RevokeToken {
        /// Its name.
        name: String,
    },
    /// Note that a server of tools may be called again. Whoever asks has it released when this is
    /// answered: servers are not the engine's.
    ReleaseServer {
        /// Its name.
        name: String,
    },
    /// Do something once, and answer the same to all who ask for it under the same key.
    Once {
        /// The key.
        once: OnceKey,
        /// What is to be done.
        request: Box<Request>,
    },
    /// Take an event from outside in, once for its source and id.
    Publish {
        /// The event.
        event: Box<EventReceived>,
        /// What the store must keep of its data.
        blob: Option<Blob>,
    },
    /// Remove the events and tasks of workflows that have ended.
    Purge {
        /// Which.
        workflows: Vec<Burial>,
    },
    /// A worker asks for tasks. Answered when there are some, or it has waited long enough.
    Lease(Box<LeaseAsk>),
    /// A worker still works on a task.
    Heartbeat {
        /// Which.
        task: TaskId,
        /// The attempt it was leased as.
        token: u32,
        /// How far it is; as before where it does not say.
        progress: Option<Value>,
    },
    /// A worker brings a task's output.
    Complete {
        /// Which.
        task: TaskId,
        /// The attempt it was leased as.
        token: u32,
        /// The output.
        output: Split,
    },
    /// A worker could not do a task.
    FailWork {
        /// Which.
        task: TaskId,
        /// The attempt it was leased as.
        token: u32,
        /// Why.
        failure: CallFailure,
    },
    /// Tell which leases are held.
    Leases,
    /// Open a conversation.
    Open {
        /// Which.
        opening: Box<Opening>,
        /// What the caller may do.
        role: Role,
    },
    /// Decide what somebody asks of a conversation.
    Converse {
        /// Which.
        conversation: ConversationId,
        /// What.
        word: Word,
        /// What the caller may do.
        role: Role,
    },
    /// Take a conversation up, and what runs for it.
    Attend {
        /// Which.
        conversation: ConversationId,
    },
}

/// What a caller names a request by, to send it again safely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnceKey {
    /// Unique for the actor.
    pub key: String,
    /// SHA-256 of everything that was asked under it.
    pub body: BlobHash,
}

/// A workflow to purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burial {
    /// Which.
    pub workflow: WorkflowId,
    /// Only as it was at this revision: an archive holds that and nothing later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// A validated plan with what it is to run on.
#[derive(Debug)]
pub struct Submit {
    /// The plan.
    pub loaded: Arc<Loaded>,
    /// Its inputs, validated, defaults filled in.
    pub inputs: Split,
    /// How it came to be.
    pub origin: Origin,
    /// 0 to 9.
    pub priority: u8,
    /// Whether a person approves the plan first.
    pub review: bool,
    /// The conversation it belongs to; its own where none is given.
    pub conversation: Option<ConversationId>,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// The caller's folder, where relative paths of its tools start.
    pub folder: Option<Arc<str>>,
}

/// An edited plan, validated as the one it takes the place of was.
#[derive(Debug)]
pub struct Edit {
    /// Of this workflow.
    pub workflow: WorkflowId,
    /// The revision that it was written against.
    pub revision: u64,
    /// The plan.
    pub loaded: Arc<Loaded>,
    /// The workflow's inputs as they fit it, defaults filled in.
    pub inputs: Split,
}

/// The answer to a request, given after what it says is on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
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
    /// The workflow's run has ended.
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
    /// This many workflows were taken up.
    TakenUp(u32),
    /// A definition stands under its name and version.
    Defined,
    /// No version of the definition is registered any more.
    Removed,
    /// Schedules are kept.
    KeepsTime,
    /// The token with this hash lets its bearer in. Asked for again under the same key, it is the
    /// hash of the first.
    TokenCreated {
        /// SHA-256 of it.
        hash: BlobHash,
    },
    /// The token lets its bearer in no more.
    TokenRevoked,
    /// It is noted that a server may be called again.
    ServerReleased,
    /// An event was taken in.
    Published {
        /// Its position.
        position: u64,
        /// It had been taken in before, at that position: nothing was done now.
        duplicate: bool,
        /// The workflows it started now, in order.
        started: Vec<WorkflowId>,
    },
    /// This many workflows were purged.
    Purged(u32),
    /// These tasks are the worker's from now on; none where it has waited long enough.
    #[serde(skip)]
    Leased(Vec<Lease>),
    /// The lease goes on.
    Alive {
        /// Until when without another heartbeat.
        lease_until: Timestamp,
        /// Whether the worker should stop: its workflow is being cancelled.
        cancelled: bool,
    },
    /// A worker's answer was taken in.
    Answered {
        /// The task.
        task: TaskId,
        /// Where it stands by that answer.
        status: TaskStatus,
    },
    /// The leases that are held.
    #[serde(skip)]
    Leases(Vec<Holding>),
}

/// Why a request was not carried out. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined {
    /// The workflow's rules refuse it.
    Refused(Refusal),
    /// There is no such workflow.
    NoSuchWorkflow(WorkflowId),
    /// The conversation's rules refuse it.
    Conversation(conversation::Refusal),
    /// There is no such conversation, or nothing was said in it.
    NoSuchConversation(ConversationId),
    /// There is a conversation of this id.
    ConversationExists(ConversationId),
    /// Its events have been purged: there is nothing left to do anything with.
    Purged(WorkflowId),
    /// It cannot be purged yet: its parent has not taken over how it ended.
    StillNeeded {
        /// Which.
        workflow: WorkflowId,
        /// The parent.
        parent: WorkflowId,
    },
    /// The same name and version stands for other content.
    OtherContent {
        /// The name.
        name: String,
        /// The version.
        version: u32,
    },
    /// A token that holds has this name.
    TokenExists(String),
    /// No token that holds has this name.
    NoSuchToken(String),
    /// Something else was asked under the same key before.
    KeyReused,
    /// There is no such definition.
    NoSuchDefinition(String),
    /// This Baton is shutting down.
    Draining,
    /// As many lease requests wait as may.
    TooManyWaiting,
    /// The store could not be read; nothing was changed.
    Store(String),
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::NoSuchWorkflow(id) => {
                write!(f, "there is no workflow {id}; `baton list` shows those there are")
            }
            Self::Conversation(refusal) => write!(f, "refused: {refusal}"),
            Self::NoSuchConversation(id) => write!(f, "there is no conversation {id}"),
            Self::ConversationExists(id) => write!(f, "there is a conversation {id} already"),
            Self::Purged(id) => write!(
                f,
                "the workflow {id} was purged: its line in `baton list` is all that is left of it"
            ),
            Self::StillNeeded { workflow, parent } => write!(
                f,
                "the workflow {workflow} cannot be purged before its parent {parent} has gone on; \
                 `baton resume {parent}` lets it"
            ),
            Self::OtherContent { name, version } => write!(
                f,
                "the definition `{name}` version {version} is registered with other content; raise its `version`"
            ),
            Self::TokenExists(name) => {
                write!(f, "there is a token `{name}`; revoke it first, or choose another name")
            }
            Self::NoSuchToken(name) => write!(f, "there is no token `{name}` that holds"),
            Self::KeyReused => f.write_str(
                "another request was sent under this `Idempotency-Key`; use a new key for each",
            ),
            Self::NoSuchDefinition(name) => {
                write!(f, "no definition `{name}` is registered; nothing was removed")
            }
            Self::Draining => f.write_str("this Baton is shutting down and takes nothing new"),
            Self::TooManyWaiting => write!(
                f,
                "{WAITING_MAX} lease requests wait already, and no more may; ask again later"
            ),
            Self::Store(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for Declined {}

/// Why no answer will come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The request was not carried out.
    Declined(Declined),
    /// The owner ended before it answered: whether the request was carried out is to be read.
    OwnerEnded,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined(declined) => declined.fmt(f),
            Self::OwnerEnded => f.write_str(
                "the owner of the store ended before it answered; look with `baton show`",
            ),
        }
    }
}

impl std::error::Error for Gone {}

/// What the world is asked to do after the commit.
#[derive(Debug)]
pub enum Effect {
    /// Call a tool.
    Call(Call),
    /// Call a model.
    Ask(Box<Asking>),
    /// Count the tokens of what a model would be asked.
    Count(Box<Asking>),
    /// Tell those who watch that a task is held back.
    TellHeld(Held),
    /// Tell a running call, of a tool or a model, to end.
    Cancel(JobKey),
    /// Tell a running call what came of its question.
    Answer {
        /// Which call.
        job: JobKey,
        /// Which of its questions.
        ticket: u32,
        /// What came of it.
        heard: Heard,
    },
    /// Render a task's templates.
    Prepare(Prepare),
    /// Ask a probe whether a call in doubt happened.
    Probe(Prepare),
    /// Render a workflow's output.
    Conclude(Prepare),
    /// Plan what is asked for in a conversation.
    Plan(Box<PlanJob>),
    /// Pack a workflow's state.
    Snapshot(Box<SnapshotJob>),
}

/// An agent's task that could start, and does not: none of its models can be asked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The task.
    pub task: TaskId,
    /// The last attempt before.
    pub attempt: u32,
    /// What is missing.
    pub why: String,
}

/// A call to make.
#[derive(Debug)]
pub struct Call {
    /// The attempt it belongs to.
    pub job: JobKey,
    /// Where the tool's name and the constant input stand.
    pub loaded: Arc<Loaded>,
    /// The task of the plan.
    pub of: Ordinal,
    /// 0 is the work itself, `n` its `n`th fallback.
    pub rung: u32,
    /// The tool, where an agent asked for the call and the plan does not name it.
    pub asked: Option<Arc<str>>,
    /// The rendered input; absent when the plan's own text is the input.
    pub input: Option<Body>,
    /// The caller's folder, where relative paths start.
    pub folder: Option<Arc<str>>,
    /// Stable over every repetition of this call.
    pub idempotency_key: String,
    /// The workflow it belongs to.
    pub workflow: WorkflowId,
    /// The conversation of that.
    pub conversation: ConversationId,
    /// How long it may run; the default where the plan says nothing.
    pub timeout: Option<Duration>,
}

/// Templates to render beside the owner's thread.
#[derive(Debug)]
pub struct Prepare {
    /// The workflow's number.
    pub number: u64,
    /// The task.
    pub task: Ordinal,
    /// The workflow's run.
    pub run: u32,
    /// The task of the plan.
    pub of: Ordinal,
    /// 0 is the work itself, `n` its `n`th fallback.
    pub rung: u32,
    /// The plan.
    pub loaded: Arc<Loaded>,
    /// The caller's folder, where relative paths of a probe start.
    pub folder: Option<Arc<str>>,
    /// What its templates may see.
    pub ingredients: Ingredients,
}

/// What one turn asks of the driver: write the commit, then give the answers and do the effects.
#[derive(Debug, Default)]
pub struct Turn {
    /// To be written first, if there is anything.
    pub commit: Commit,
    /// To be given after that.
    pub answers: Vec<(Token, Result<Reply, Declined>)>,
    /// To be done after that.
    pub effects: Vec<Effect>,
    /// The store could not be read in the middle of a decision, or not for a long time: nothing of
    /// this turn may be written, and its owner ends. The next one takes up what the journal says.
    pub fault: Option<StoreError>,
}
