//! An agent's turns: what a model is asked is put together from the transcript, what it says is looked
//! at before anything is done with it.
//!
//! Which model is called and what follows from its answer is decided in core; the call itself is
//! made behind the port [`Models`](crate::ports::Models).

use std::sync::Arc;
use std::time::Duration;

use baton_core::agent::{
    Message, PERSON_ASK, Piece, ToolAnswer, asked_of_person, call_fault, offered, read_output,
};
use baton_core::body::{Blob, Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::plan::{AgentCall, Work};
use baton_core::words::{AttemptStatus, Effect as EffectClass, FailureKind};
use baton_core::workflow::{
    AgentRun, AskedCall, CallEnd, Command, Entry, Refusal, TurnAnswer, WorkflowState,
};
use serde_json::Value;

use crate::engine::Engine;
use crate::exchange::{Effect, JobKey, Split};
use crate::live::Live;
use crate::loaded::Loaded;
use crate::ports::{CallContext, ModelAnswer, ModelRequest};
use crate::scope::{BlobReader, Unrendered};
use crate::store::StoreError;

/// How many characters of a result a model is told; the rest is cut, and it is told so.
const RESULT_CHARS_MAX: usize = 100_000;

/// What a model is told of a result that does not fit its window any more.
const LEFT_OUT: &str = "left out to save room; make the call again where you need it";

/// A call of a model to make.
#[derive(Debug)]
pub struct Asking {
    /// The turn it is.
    pub job: JobKey,
    /// Where the agent stands.
    pub loaded: Arc<Loaded>,
    /// The task of the plan.
    pub of: Ordinal,
    /// `provider/name`.
    pub model: String,
    /// The transcript so far.
    pub transcript: Vec<Line>,
    /// What it begins with, where the store does not have it yet.
    pub prompt: Option<Blob>,
    /// So many of the oldest turns were left out of it.
    pub turns_left_out: u32,
    /// What it belongs to.
    pub context: CallContext,
    /// How long it may take; the default where the plan says nothing.
    pub timeout: Option<Duration>,
}

/// A message of a transcript, its bodies not read yet.
#[derive(Clone, Debug)]
pub enum Line {
    /// A message that is kept as it is.
    Message(Body),
    /// What came of calls, in their order.
    Results(Arc<[AskedCall]>, Vec<CallEnd>),
}

/// What a model said, ready to be decided on, and the large bodies of it.
#[derive(Debug)]
pub struct ModelTurn {
    /// For the machine.
    pub answer: TurnAnswer,
    /// For the store.
    pub blobs: Vec<Blob>,
}

impl Engine {
    /// Starts a turn; with what the agent is asked, where it is its first.
    pub(crate) fn start_turn(&mut self, number: u64, task: Ordinal, prompt: Option<Split>) {
        // Rendered anew for a later turn, it is what was asked already.
        let runs = |live: &Live| live.state.agent_run(task).is_some_and(AgentRun::has_begun);
        let prompt = prompt.filter(|_| !self.lives.get(&number).is_some_and(runs));
        let (prompt, blob) = prompt.map_or((None, None), |(body, blob)| (Some(body), blob));
        match self.begin(number, task, prompt.clone()) {
            Ok(_) => {
                self.staging.offer(blob);
                self.queue.begin(number, task);
                let asking = self.asking(number, task);
                self.turn.effects.extend(asking.map(|asking| Effect::Ask(Box::new(asking))));
            }
            Err(Refusal::NotCounted) => {
                let Some(mut asking) = self.asking(number, task) else { return };
                asking.transcript.extend(prompt.map(Line::Message));
                asking.prompt = blob;
                self.effect(Effect::Count(Box::new(asking)));
            }
            Err(_) => {}
        }
    }

    /// The call of a model that an agent's present turn is, or the next one where none runs.
    fn asking(&self, number: u64, task: Ordinal) -> Option<Asking> {
        let live = self.lives.get(&number)?;
        let state = &live.state;
        let (facts, model) = (state.task(task)?, state.model_of(task)?);
        let attempt = facts.attempts;
        Some(Asking {
            job: JobKey { number, task, attempt },
            loaded: Arc::clone(&live.loaded),
            of: facts.of,
            model: model.name.clone(),
            transcript: lines(state, task),
            prompt: None,
            turns_left_out: state.agent_run(task).map_or(0, AgentRun::turns_left_out),
            context: CallContext::new(state.id, (task, attempt), state.conversation),
            timeout: state.task_plan(task).and_then(|plan| plan.timeout).map(|span| span.0),
        })
    }

    /// Takes in how many tokens the next request of an agent has; its turn is asked for again. A job
    /// names the attempt before it. What could not be counted has as many as bytes.
    pub(crate) fn counted(&mut self, job: JobKey, tokens: Option<u64>) {
        let JobKey { number, task, attempt } = job;
        if let Some(live) = self.lives.get_mut(&number) {
            live.counted.insert(task, (attempt, tokens.unwrap_or(u64::MAX)));
            self.enqueue(number, &[task]);
        }
    }

    /// Takes in what a model said. A late or double answer is refused and changes nothing.
    pub(crate) fn take_answer(
        &mut self,
        job: JobKey,
        result: Result<ModelTurn, (AttemptStatus, CallFailure)>,
    ) {
        let JobKey { number, task, attempt } = job;
        let command = match result {
            Ok(ModelTurn { answer, blobs }) => {
                blobs.into_iter().for_each(|blob| self.staging.offer(Some(blob)));
                Command::Answer { task, attempt, answer }
            }
            Err((status, failure)) => Command::Fail { task, attempt, status, failure },
        };
        let _ = self.apply_own(number, &command);
    }
}

/// The transcript of a task's agent.
pub fn lines(state: &WorkflowState, task: Ordinal) -> Vec<Line> {
    let entries = state.agent_run(task).map_or(&[][..], |run| &run.transcript);
    let line = |entry: &Entry| match entry {
        Entry::User(body) | Entry::Assistant(body) => Line::Message(body.clone()),
        Entry::Results { first, .. } => {
            let calls = state.calls_from(*first).unwrap_or_default();
            Line::Results(calls, state.ends_from(*first).collect())
        }
        Entry::LeftOut { first, .. } => {
            let calls = state.calls_from(*first).unwrap_or_default();
            let told = calls.iter().map(|_| CallEnd::Error(LEFT_OUT.to_owned())).collect();
            Line::Results(calls, told)
        }
    };
    entries.iter().map(line).collect()
}

impl Asking {
    /// The agent whose turn it is.
    pub fn agent(&self) -> Option<&AgentCall> {
        match &self.loaded.plan.task(self.of)?.work {
            Work::Agent(agent) => Some(agent),
            Work::Tool(_)
            | Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_) => None,
        }
    }

    /// The request, put together.
    pub fn request(&self, blob: BlobReader<'_>) -> Result<ModelRequest, Unrendered> {
        let agent = self.agent().ok_or_else(|| {
            CallFailure::refused(FailureKind::InvalidInput, "the plan has no such agent")
        })?;
        Ok(ModelRequest {
            model: self.model.clone(),
            agent: agent.agent.clone(),
            attempt: self.job.attempt,
            instructions: agent.instructions.clone(),
            tools: agent.tools.clone(),
            output: agent.output.clone(),
            output_tokens_max: agent.limits.output_tokens_max,
            messages: messages(&self.transcript, blob)?,
            turns_left_out: self.turns_left_out,
            context: self.context.clone(),
        })
    }
}

/// The messages of a transcript, with what their bodies hold.
pub fn messages(lines: &[Line], blob: BlobReader<'_>) -> Result<Vec<Message>, StoreError> {
    let mut text = |body: &Body| match body {
        Body::Inline(json) => Ok(json.clone()),
        Body::Blob { hash, .. } => blob(*hash),
    };
    let mut messages = Vec::with_capacity(lines.len());
    for line in lines {
        messages.push(match line {
            Line::Message(body) => {
                let damaged = |fault| StoreError::Corrupt(format!("a stored message: {fault}"));
                serde_json::from_str(text(body)?.as_str()).map_err(damaged)?
            }
            Line::Results(calls, ends) => {
                let mut results = Vec::with_capacity(calls.len());
                for (call, end) in calls.iter().zip(ends) {
                    let (id, tool) = (call.id.clone(), call.tool.clone());
                    results.push(match end {
                        CallEnd::Output(body) => {
                            let output = Some(bounded(text(body)?));
                            ToolAnswer { id, tool, output, error: None }
                        }
                        CallEnd::Error(error) => {
                            ToolAnswer { id, tool, output: None, error: Some(error.clone()) }
                        }
                    });
                }
                Message::Tool(results)
            }
        });
    }
    Ok(messages)
}

/// A result as a model is told it.
fn bounded(json: Json) -> Json {
    let text = json.as_str();
    if text.len() <= RESULT_CHARS_MAX {
        return json;
    }
    match text.char_indices().nth(RESULT_CHARS_MAX) {
        None => json,
        Some((end, _)) => {
            let (shown, whole) = (text.get(..end).unwrap_or_default(), text.len());
            let cut = format!("{shown}… (cut here: the whole has {whole} bytes)");
            Json::of(&serde_json::Value::from(cut))
        }
    }
}

/// Looks at what a model said: which calls may be made, or what its text is as the output.
pub fn heard(agent: &AgentCall, said: ModelAnswer) -> ModelTurn {
    let mut blobs = Vec::new();
    let mut split = |json: Json| {
        let (body, blob) = Body::split(json);
        blobs.extend(blob);
        body
    };
    let ModelAnswer { content, usage, is_cut } = said;
    let calls: Vec<AskedCall> = content
        .iter()
        .filter_map(|piece| match piece {
            Piece::Call { id, tool, arguments } => {
                let mut call = asked_for(agent, (id, tool), &arguments.value());
                if is_cut {
                    call.refused = Some("the answer was cut off before its end".to_owned());
                    call.asks = None;
                }
                // In one order of its keys: what is approved is what is called, however it is written.
                call.input = split(arguments.canonical());
                Some(call)
            }
            Piece::Text(_) | Piece::Reasoning(_) => None,
        })
        .collect();
    let message = Message::Assistant(content);
    let output = match (calls.is_empty(), is_cut) {
        (true, true) => Err("it was cut off: it is longer than one answer may be".to_owned()),
        (true, false) => read_output(agent.output.as_ref(), &message.text()),
        (false, _) => Ok(Json::null()),
    };
    let output = output.map(&mut split);
    let json = Json::from_serialize(&message).unwrap_or_else(|_| Json::null());
    let message = split(json);
    ModelTurn { answer: TurnAnswer { message, usage, calls, output }, blobs }
}

/// A call that a model asks for, as far as its arguments say what becomes of it.
fn asked_for(agent: &AgentCall, (id, tool): (&str, &str), arguments: &Value) -> AskedCall {
    let spec = offered(agent, tool);
    let refused = match arguments.is_object() {
        false => Some("the arguments are no JSON object".to_owned()),
        true => call_fault(agent, tool, arguments),
    };
    let asks_person = refused.is_none() && tool == PERSON_ASK;
    let (asks, unasked) = match asks_person.then(|| asked_of_person(arguments)) {
        Some(Ok(human)) => (Some(human), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    AskedCall {
        id: id.to_owned(),
        tool: tool.to_owned(),
        effect: spec.map_or(EffectClass::Once, |tool| tool.effect),
        input: Body::null(),
        refused: refused.or(unasked),
        approval: spec.and_then(|tool| tool.approval),
        asks,
    }
}
