//! What a long agent run costs: bytes on disk against what was said in it, and processor time a turn.
//!
//! The model and its tool are the benchmark's own and answer at once; everything between them is
//! Baton's: engine, executor, store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use baton_core::agent::{Message, Piece, Usage};
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::{AgentCall, AgentLimits, Ends, ModelSpec, OfferedTool, ToolSpec, Work};
use baton_core::words::{Compaction, Effect, FailureKind};
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Call, Control, ModelAnswer, ModelRequest, Models, Tools};
use baton_store::StoreUrl;
use serde_json::json;

use super::figures::{cpu_time, median};
use super::prose::Prose;
use super::rig::{Rig, load, noop};

/// What the agent calls.
const TOOL: &str = "archive.read";
/// A provider counts about so many bytes as a token.
const TOKEN_BYTES: u64 = 4;
/// Over how many of the last turns their time is taken.
const LAST: usize = 10;

/// What a run came to.
pub struct Run {
    /// Bytes the store has more than before.
    disk: u64,
    /// Bytes of the messages, as their JSON texts, each once.
    messages: u64,
    /// Bytes of all requests, each with its whole transcript.
    requests: u64,
    /// Processor time of each turn but the last.
    times: Vec<Duration>,
}

impl Run {
    /// Bytes on disk against those of the messages.
    pub fn on_disk(&self) -> f64 {
        self.disk as f64 / self.messages as f64
    }

    /// What storing each request whole would take, against the bytes of the messages.
    pub fn whole(&self) -> f64 {
        self.requests as f64 / self.messages as f64
    }

    /// Processor time of one of the last turns, in milliseconds.
    pub fn turn_cpu(&mut self) -> f64 {
        let from = self.times.len().saturating_sub(LAST);
        self.times.get_mut(from..).map_or(f64::NAN, |last| median(last).as_secs_f64() * 1e3)
    }
}

/// What a model has seen.
#[derive(Default)]
struct Seen {
    /// Of a request, beside its messages.
    head: u64,
    /// How many messages, and their bytes.
    messages: (usize, u64),
    requests: u64,
    times: Vec<Duration>,
}

impl Seen {
    /// Takes the next request in; only its new messages are looked at. Its bytes.
    fn take(&mut self, request: &ModelRequest) -> Result<u64, serde_json::Error> {
        self.times.push(cpu_time());
        let (known, _) = self.messages;
        for message in request.messages.iter().skip(known) {
            self.add(message)?;
        }
        let (count, bytes) = self.messages;
        if known == 0 {
            self.head = request.canonical()?.as_str().len() as u64 - bytes;
        }
        let all = self.head + bytes + count as u64 - 1;
        self.requests += all;
        Ok(all)
    }

    fn add(&mut self, message: &Message) -> Result<(), serde_json::Error> {
        self.messages.0 += 1;
        self.messages.1 += Json::from_serialize(message)?.as_str().len() as u64;
        Ok(())
    }
}

/// A model that reads one thing after the other, says what it thinks of each, and comes to an end.
struct Reader {
    turns: u32,
    seen: Mutex<Seen>,
}

impl Reader {
    fn answer(&self, turn: u32) -> Vec<Piece> {
        let mut prose = Prose::new(u64::from(turn));
        let bytes = prose.number(600, 1_400);
        let text = Piece::Text(prose.text(bytes));
        if turn >= self.turns {
            return vec![text];
        }
        let path = format!("{}/{}-{turn}.md", prose.word(), prose.word());
        let arguments = json!({
            "path": path, "from_line": prose.number(1, 400), "looking_for": prose.text(20),
        });
        let call = Piece::Call {
            id: format!("call_{turn:024x}"),
            tool: TOOL.to_owned(),
            arguments: Json::of(&arguments),
        };
        vec![text, call]
    }

    fn take(&self, request: &ModelRequest) -> Result<ModelAnswer, serde_json::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let old = seen.messages.1 / TOKEN_BYTES;
        let input_tokens = seen.take(request)? / TOKEN_BYTES;
        let content = self.answer(request.attempt);
        if request.attempt >= self.turns {
            let whole = request.canonical()?.as_str().len() as u64 / TOKEN_BYTES;
            assert_eq!(whole, input_tokens, "its bytes are not the sum of its parts");
            seen.add(&Message::Assistant(content.clone()))?;
        }
        let output_tokens = 300 + u64::from(request.attempt) % 97;
        let usage = Usage { input_tokens, cached_tokens: old, output_tokens, ..Usage::default() };
        Ok(ModelAnswer { content, usage, is_cut: false })
    }
}

impl Models for Reader {
    fn call(
        &self,
        request: &ModelRequest,
        _: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        let answer = self.take(request).map_err(|fault| unusable(&fault.to_string()))?;
        for piece in &answer.content {
            if let Piece::Text(text) = piece {
                told(text);
            }
        }
        Ok(answer)
    }
}

fn unusable(why: &str) -> CallFailure {
    CallFailure::refused(FailureKind::InvalidInput, why)
}

/// A tool that has 1 to 3 KB to say to each call.
struct Archive;

impl Tools for Archive {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::from([])
    }

    fn call(&self, call: &Call, _: &Control) -> Result<Json, CallFailure> {
        let input = call.input.value();
        let line = input.get("from_line").and_then(serde_json::Value::as_u64);
        let path = input.get("path").and_then(serde_json::Value::as_str);
        let (line, path) = line.zip(path).ok_or_else(|| unusable("no path"))?;
        let seed = path.bytes().fold(line, |seed, byte| seed * 31 % (1 << 40) + u64::from(byte));
        let mut prose = Prose::new(seed);
        let bytes = prose.number(900, 2_800);
        Ok(Json::of(&json!({ "path": path, "text": prose.text(bytes), "more": true })))
    }
}

/// A workflow of one agent that may take so many turns.
fn agent(turns: u32) -> anyhow::Result<Arc<Loaded>> {
    let tool = OfferedTool {
        name: TOOL.to_owned(),
        description: "Reads a part of a document.".to_owned(),
        input: json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "from_line": { "type": "integer" },
                "looking_for": { "type": "string" },
            },
            "required": ["path"],
        }),
        effect: Effect::Read,
        approval: None,
        ends: Ends::Call,
    };
    let limits = AgentLimits { turns_max: turns, calls_max: turns, ..AgentLimits::default() };
    let mut task = noop("read".to_owned(), Vec::new());
    task.work = Work::Agent(AgentCall {
        agent: "bench".to_owned(),
        models: vec![ModelSpec::named("bench/reader")],
        instructions: Some(Prose::new(0).text(800)),
        prompt: Prose::new(1 << 32).text(400),
        tools: vec![tool],
        output: None,
        limits,
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    });
    load("read", vec![task])
}

/// Runs an agent through so many turns on a fresh store.
pub fn run(store: &StoreUrl, turns: u32) -> anyhow::Result<Run> {
    let reader = Arc::new(Reader { turns, seen: Mutex::default() });
    let rig = Rig::open_among(store, Arc::new(Archive), reader.clone())?;
    let before = rig.bytes_on_disk()?;
    rig.run_many(&agent(turns)?, 1, 1)?;
    let after = rig.bytes_on_disk()?;
    rig.close()?;
    let seen = std::mem::take(&mut *reader.seen.lock().unwrap_or_else(PoisonError::into_inner));
    ensure!(seen.times.len() == turns as usize, "it took {} turns", seen.times.len());
    let next = seen.times.iter().skip(1);
    Ok(Run {
        disk: after.checked_sub(before).context("the store has shrunk")?,
        messages: seen.messages.1,
        requests: seen.requests,
        times: seen.times.iter().zip(next).map(|(one, next)| next.saturating_sub(*one)).collect(),
    })
}
