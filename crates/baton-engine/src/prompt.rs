//! What a model was asked, rebuilt from the journal byte for byte, and checked against the digest that
//! was journaled before the call was made.
//!
//! The request is Baton's own: how a provider's is written is its adapter's. Nothing is called here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use baton_core::agent::{Digest, Message, RequestHead};
use baton_core::body::{Blob, BlobHash, Body, Json};
use baton_core::ids::Ordinal;
use baton_core::workflow::{Entry, Event, ModelCall, TaskStarted, WorkflowState};
use serde::{Deserialize, Serialize};

use crate::live::{fold, read_event, text_of};
use crate::loaded::Loaded;
use crate::ports::{CallContext, ModelRequest};
use crate::store::{Record, StoreError, Views};
use crate::turns::{lines, messages};

/// What a model was asked in one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptView {
    /// The number of the call: that of the attempt, over all runs.
    pub call: u32,
    /// `provider/name`.
    pub model: String,
    /// How many messages it saw.
    pub messages: u32,
    /// The digest that was journaled before the call: that of this very request.
    pub digest: String,
    /// The whole request, as it was put together for the call.
    pub request: Json,
}

/// Why a prompt cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptFault {
    /// The task has made no such call of a model.
    NoSuchCall(u32),
    /// What the journal holds now is not what the model was asked.
    Changed {
        /// The call.
        call: u32,
        /// What was journaled.
        journaled: BlobHash,
        /// Of what was rebuilt.
        rebuilt: BlobHash,
    },
    /// The store could not be read.
    Store(StoreError),
}

impl fmt::Display for PromptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCall(call) => {
                write!(f, "the task has made no call {call} of a model; its transcript lists them")
            }
            Self::Changed { call, journaled, rebuilt } => write!(
                f,
                "what the journal holds of call {call} is not what the model was asked: its digest is \
                 {rebuilt}, and {journaled} was journaled; run `baton doctor`"
            ),
            Self::Store(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for PromptFault {}

impl From<StoreError> for PromptFault {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

/// A request in the form that its digest stands for.
#[derive(Serialize)]
struct Canonical<'r> {
    #[serde(flatten)]
    head: RequestHead<'r>,
    messages: &'r [Message],
}

impl ModelRequest {
    /// All that is asked, as one JSON object: equal for equal requests, byte for byte. What the call
    /// belongs to is no part of it.
    pub fn canonical(&self) -> Result<Json, serde_json::Error> {
        Json::from_serialize(&Canonical { head: self.head(), messages: &self.messages })
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            model: &self.model,
            instructions: self.instructions.as_deref(),
            tools: &self.tools,
            output: self.output.as_ref(),
            output_tokens_max: self.output_tokens_max,
        }
    }
}

/// What a task's agent asked its model in one of its attempts. Reads the workflow's events up to that
/// call, and every message anew: one that is not what was stored is found.
pub fn prompt(
    number: u64,
    which: (Ordinal, u32),
    views: &mut dyn Views,
) -> Result<PromptView, PromptFault> {
    let records = views.stream(number)?;
    prompt_in(&records, which, &mut |hash| views.blob(hash))
}

/// The same, from the events of the workflow; `stored` brings the blobs they name.
pub fn prompt_in(
    records: &[Record],
    (task, call): (Ordinal, u32),
    stored: &mut dyn FnMut(BlobHash) -> Result<Option<Blob>, StoreError>,
) -> Result<PromptView, PromptFault> {
    let (position, asked) = find(records, (task, call))?.ok_or(PromptFault::NoSuchCall(call))?;
    let mut load = |plan: BlobHash| {
        let missing = || StoreError::Corrupt(format!("the plan {plan} is not there"));
        let unusable = |fault| StoreError::Corrupt(format!("{fault}"));
        Loaded::from_blob(stored(plan)?.ok_or_else(missing)?).map(Arc::new).map_err(unusable)
    };
    let folded = fold(records, position, &mut load)?;
    let (state, _, _) = folded.ok_or(PromptFault::NoSuchCall(call))?;
    let mut read = HashMap::new();
    let mut blob = |hash: BlobHash| match read.get(&hash) {
        Some(text) => Ok(Json::clone(text)),
        None => {
            let text = text_of(hash, stored(hash)?)?;
            read.insert(hash, text.clone());
            Ok(text)
        }
    };
    let request = rebuilt(&state, (task, call), &asked, &mut blob)?;
    let damaged = |fault: serde_json::Error| StoreError::Corrupt(fault.to_string());
    Ok(PromptView {
        call,
        model: asked.model,
        messages: asked.messages,
        digest: asked.digest.to_string(),
        request: request.canonical().map_err(damaged)?,
    })
}

/// Where a call of a model began, and what was journaled of it.
fn find(
    records: &[Record],
    (task, call): (Ordinal, u32),
) -> Result<Option<(u64, ModelCall)>, StoreError> {
    for record in records {
        if let Event::TaskStarted(TaskStarted { task: of, attempt, model: Some(model), .. }) =
            read_event(record)?
            && (of, attempt) == (task, call)
        {
            return Ok(Some((record.position, model)));
        }
    }
    Ok(None)
}

/// The request of a call whose beginning is the newest event of this state.
fn rebuilt(
    state: &WorkflowState,
    (task, call): (Ordinal, u32),
    asked: &ModelCall,
    blob: &mut dyn FnMut(BlobHash) -> Result<Json, StoreError>,
) -> Result<ModelRequest, PromptFault> {
    let agent = state.agent_call(task).ok_or(PromptFault::NoSuchCall(call))?;
    let request = ModelRequest {
        model: asked.model.clone(),
        agent: agent.agent.clone(),
        attempt: call,
        instructions: agent.instructions.clone(),
        tools: agent.tools.clone(),
        output: agent.output.clone(),
        output_tokens_max: agent.limits.output_tokens_max,
        messages: messages(&lines(state, task), blob)?,
        context: CallContext::new(state.id, (task, call), state.conversation),
    };
    let rebuilt = digest(state, task, blob)?.request(&request.head());
    let journaled = asked.digest;
    if rebuilt != journaled || request.messages.len() != asked.messages as usize {
        return Err(PromptFault::Changed { call, journaled, rebuilt });
    }
    Ok(request)
}

/// The digest of a task's transcript, of the very texts that are read.
fn digest(
    state: &WorkflowState,
    task: Ordinal,
    blob: &mut dyn FnMut(BlobHash) -> Result<Json, StoreError>,
) -> Result<Digest, StoreError> {
    let mut read = |body: &Body| match body {
        Body::Inline(_) => Ok(body.clone()),
        Body::Blob { hash, .. } => blob(*hash).map(Body::Inline),
    };
    let mut digest = Digest::default();
    for entry in state.agent_run(task).map_or(&[][..], |run| &run.transcript) {
        digest = match entry {
            Entry::User(body) => digest.then("user", [&read(body)?]),
            Entry::Assistant(body) => digest.then("assistant", [&read(body)?]),
            Entry::Results { first, .. } => {
                for (call, end) in state.results(*first) {
                    let (input, result) = (read(&call.input)?, read(&end.body())?);
                    digest = digest.then(&call.id, [&input, &result]);
                }
                digest
            }
            Entry::LeftOut { first, .. } => {
                digest = digest.then("left_out", []);
                for (call, _) in state.results(*first) {
                    digest = digest.then(&call.id, [&read(&call.input)?]);
                }
                digest
            }
        };
    }
    Ok(digest)
}
