//! The ports: what the engine asks of the world. Object-safe, few methods, no implementation here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use baton_core::plan::ToolSpec;

use crate::asking::Asking;
use crate::exchange::{Gone, Reply, Request};

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
    /// Of one attempt of a task, whose call has this idempotency key.
    pub fn new(
        workflow: WorkflowId,
        (task, attempt): (Ordinal, u32),
        conversation: ConversationId,
        key: &str,
    ) -> Self {
        let digest = BlobHash::of(format!("{key}:{attempt}").as_bytes());
        let span = digest.0.iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let trace = u128::from_be_bytes(*workflow.as_bytes());
        let traceparent = format!("00-{trace:032x}-{span:016x}-01");
        Self { task: workflow.task(task), conversation, traceparent }
    }
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

/// What the calls that run just now say of themselves.
pub trait Live: Send + Sync {
    /// How far the running call of a task is; none where nothing runs or nothing was said.
    fn progress(&self, workflow: u64, task: Ordinal) -> Option<Progress>;
}

/// The line to a running call: it learns that it should end, says how far it is, and may ask people.
#[derive(Clone, Debug)]
pub struct Control {
    cancelled: Arc<AtomicBool>,
    progress: Arc<Mutex<Option<Progress>>>,
    /// The line to people.
    pub asking: Asking,
    /// How long the call may run, but for the time that it waits for people
    /// ([`Asking::waited`]); a tool that can, ends by itself in time.
    pub timeout: Duration,
}

impl Control {
    /// For a call that may run this long, and asks nobody.
    pub fn new(timeout: Duration) -> Self {
        let asking = Asking::default();
        Self { cancelled: Arc::default(), progress: Arc::default(), asking, timeout }
    }

    /// Tells the call to end. What it asks, nobody answers any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.asking.close("the call was told to stop");
    }

    /// Says how far the call is; what was said before is forgotten.
    pub fn report(&self, progress: Progress) {
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
