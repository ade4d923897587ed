//! The ports: what the engine asks of the world. Object-safe, few methods, no implementation here.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::agent::{Message, Piece, Usage};
use baton_core::body::{BlobHash, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::plan::{OfferedTool, ToolSpec};

use crate::asking::Asking;
use crate::chunks::{Chunk, TurnId};
use crate::conversing::{PlanJob, Thought};
use crate::exchange::{Gone, Reply, Request};
use crate::said::Said;

/// The tools a Baton can call.
pub trait Tools: Send + Sync {
    /// What there is just now, each name once. Servers may change their lists at any time.
    fn specs(&self) -> Arc<[ToolSpec]>;

    /// Has a server tell its tools, where it has not yet, so that [`Tools::specs`] holds them.
    /// Blocks until it has told, or says for people why it cannot.
    fn learn(&self, _server: &str) -> Result<(), String> {
        Ok(())
    }

    /// How the servers behind the tools stand just now, each as the object that is shown of it.
    fn servers(&self) -> Vec<Json> {
        Vec::new()
    }

    /// Has a server called again that is left alone for its failures; whether there is one of this
    /// name.
    fn release(&self, _server: &str) -> bool {
        false
    }

    /// Calls a tool and blocks until it ends, is cancelled, or runs out of its time.
    ///
    /// The output is the tool's JSON. A panic inside is the caller's to catch.
    fn call(&self, call: &Call, control: &Control) -> Result<Json, CallFailure>;
}

/// One exact call.
#[derive(Clone, Debug)]
pub struct Call {
    /// `server.tool`.
    pub tool: String,
    /// The rendered input: a JSON object.
    pub input: Json,
    /// The caller's folder, where relative paths start.
    pub folder: Option<Arc<str>>,
    /// Stable over every repetition of this call.
    pub idempotency_key: String,
    /// What it belongs to; none where no attempt of a task makes it (a probe asks, and does nothing).
    pub context: Option<CallContext>,
}

/// The models a Baton can call.
pub trait Models: Send + Sync {
    /// Calls a model and blocks until it has answered, is cancelled, or runs out of its time.
    ///
    /// The text is told while it is made. What fails says how: whether the call may have been billed
    /// is whether it happened.
    fn call(
        &self,
        request: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure>;

    /// Why a model cannot be asked here at all: a setting, key or file is missing, which the words name.
    /// `None` where it may be tried. Asks nobody, and returns at once.
    fn missing(&self, _model: &str) -> Option<String> {
        None
    }

    /// How many tokens a request has, by the model's own count or more; `None` where nobody can say.
    /// Blocks as a call does.
    fn count(&self, _request: &ModelRequest, _control: &Control) -> Option<u64> {
        None
    }
}

/// What a model is asked.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// `provider/name`.
    pub model: String,
    /// The agent that asks.
    pub agent: String,
    /// Its attempt, from 1: so many calls of models were begun for it, this one among them.
    pub attempt: u32,
    /// What it is told beforehand.
    pub instructions: Option<String>,
    /// The tools it is offered.
    pub tools: Vec<OfferedTool>,
    /// A JSON Schema of its answer.
    pub output: Option<serde_json::Value>,
    /// At most so many tokens of answer.
    pub output_tokens_max: u32,
    /// The transcript.
    pub messages: Vec<Message>,
    /// So many of the oldest turns were left out of it, as they would not fit any more.
    pub turns_left_out: u32,
    /// What the call belongs to.
    pub context: CallContext,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelAnswer {
    /// In order.
    pub content: Vec<Piece>,
    /// As the provider counted it.
    pub usage: Usage,
    /// Whether it ended because it had used up its tokens.
    pub is_cut: bool,
}

/// What a call belongs to, for those who are called and those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallContext {
    /// The task.
    pub task: TaskId,
    /// The conversation of its workflow.
    pub conversation: ConversationId,
    /// W3C trace context, version 00: the trace is the workflow, the span this attempt.
    pub traceparent: String,
}

impl CallContext {
    /// Of one attempt of a task.
    pub fn new(
        workflow: WorkflowId,
        (task, attempt): (Ordinal, u32),
        conversation: ConversationId,
    ) -> Self {
        let task = workflow.task(task);
        let span = span_id(&format!("{task}:{attempt}"));
        Self { task, conversation, traceparent: traceparent(workflow, span) }
    }
}

/// The span of what has this name in a trace: a workflow's or a task's id, or `TASK:ATTEMPT`.
pub fn span_id(name: &str) -> u64 {
    let digest = BlobHash::of(name.as_bytes());
    digest.0.iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte))
}

/// W3C trace context, version 00: the trace is the workflow.
pub fn traceparent(workflow: WorkflowId, span: u64) -> String {
    let trace = u128::from_be_bytes(*workflow.as_bytes());
    format!("00-{trace:032x}-{span:016x}-01")
}

/// How far a running call says it is. Kept in memory only.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Progress {
    /// How much is done, in the tool's own unit.
    pub done: f64,
    /// How much there is in all, where the tool knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What the calls, workers and models that run just now say. Kept in memory; of what models say, a
/// [`ChunkLog`](crate::chunks::ChunkLog) keeps a copy.
pub trait Live: Send + Sync {
    /// A worker says how far its attempt is.
    fn report(&self, said: Said);

    /// An attempt has ended: what it said is forgotten.
    fn end(&self, task: TaskId, attempt: u32);

    /// What was said last of each task of a workflow, by ordinal.
    fn of(&self, workflow: WorkflowId) -> Vec<Said>;

    /// What was said since this was last asked, of each task the newest and at most four times a
    /// second; and after how long there is more. For one reader.
    fn news(&self) -> (Vec<Said>, Option<Duration>);

    /// The text of the turns that run of a workflow (of all, where none is given): of each that began
    /// at this position or before, from its beginning as far as [`Live::spoken`] has told it, or all of
    /// it where nobody asks that.
    fn texts(&self, workflow: Option<WorkflowId>, until: u64) -> Vec<Chunk>;

    /// What models said since this was last asked, with the position behind which each piece stands:
    /// behind the start of its turn and before its end. Ordered by position. For one reader.
    fn spoken(&self) -> Vec<(u64, Chunk)>;

    /// Whether a turn runs.
    fn is_running(&self, turn: TurnId) -> bool;

    /// Calls `news` whenever something is said of a workflow (of any, where none is given), until it
    /// returns `false`.
    fn follow(&self, workflow: Option<WorkflowId>, news: Box<dyn FnMut() -> bool + Send>);
}

/// Hears what a call says of itself; it must return at once.
pub type Hearer = Arc<dyn Fn(&Progress) + Send + Sync>;

/// The line to a running call: it learns that it should end, says how far it is, and may ask people.
#[derive(Clone)]
pub struct Control {
    cancelled: Arc<AtomicBool>,
    progress: Arc<Mutex<Option<Progress>>>,
    hearer: Option<Hearer>,
    /// The line to people.
    pub asking: Asking,
    /// How long the call may run, but for the time that it waits for people
    /// ([`Asking::waited`]); a tool that can, ends by itself in time.
    pub timeout: Duration,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Control {
    /// For a call that may run this long, and asks nobody.
    pub fn new(timeout: Duration) -> Self {
        let asking = Asking::default();
        Self { cancelled: Arc::default(), progress: Arc::default(), hearer: None, asking, timeout }
    }

    /// For the same, with somebody who hears what it reports.
    pub fn heard_by(self, hearer: Hearer) -> Self {
        Self { hearer: Some(hearer), ..self }
    }

    /// Tells the call to end. What it asks, nobody answers any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.asking.close("the call was told to stop");
    }

    /// Says how far the call is; what was said before is forgotten.
    pub fn report(&self, progress: Progress) {
        if let Some(hearer) = &self.hearer {
            hearer(&progress);
        }
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// What was reported last.
    pub fn progress(&self) -> Option<Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the call was told to end. Tools look at least ten times a second.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// What gets the answer to a request. It runs on the owner's thread and must return at once.
pub type Then = Box<dyn FnOnce(Result<Reply, Gone>) + Send>;

/// The way in to an owner, for those who serve others.
pub trait Door: Send + Sync {
    /// Asks for something; the answer is on disk when it is given.
    fn ask(&self, actor: &Actor, request: Request, then: Then);

    /// Calls `news` with the newest position after each commit that touched the stream (any, where
    /// none is given), until it returns `false`.
    fn follow(&self, stream: Option<u64>, news: Box<dyn FnMut(u64) -> bool + Send>);
}

/// Makes plans of what is asked for in conversations.
pub trait Planner: Send + Sync {
    /// What comes next in a conversation. It may block, and may be asked the same again after a crash:
    /// it changes nothing by itself.
    fn think(&self, job: &PlanJob) -> Thought;
}
