//! The ports: what the engine asks of the world. Object-safe, few methods, no implementation here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;

use crate::exchange::{Gone, Reply, Request};

/// The tools a Baton can call.
pub trait Tools: Send + Sync {
    /// What there is, each name once.
    fn specs(&self) -> &[ToolSpec];

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
}

/// How a running call learns that it should end.
#[derive(Clone, Debug)]
pub struct Control {
    cancelled: Arc<AtomicBool>,
    /// How long the call may run; a tool that can, ends by itself in time.
    pub timeout: Duration,
}

impl Control {
    /// For a call that may run this long.
    pub fn new(timeout: Duration) -> Self {
        Self { cancelled: Arc::new(AtomicBool::new(false)), timeout }
    }

    /// Tells the call to end.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
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
