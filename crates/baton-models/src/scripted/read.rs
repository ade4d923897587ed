//! A file of answers is read: every fault with its place and what to do.
//!
//! It says nothing of which answer a request gets.

mod fields;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use baton_core::agent::{Piece, Usage};
use baton_core::body::Json;
use baton_core::definition::{Fault, Located, render};
use baton_core::failure::CallFailure;
use baton_core::words::{FailureKind, Happened};
use serde_json::Value;

use super::{Fail, Role, Script, Turn};
use crate::config::Known;
use crate::prices::price_of;
use crate::set::ModelsFault;
use fields::{Fields, Walk};

/// The largest file of answers, in bytes.
const SOURCE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How many faults are shown.
const FAULTS_SHOWN_MAX: usize = 20;
/// The most pieces a text is told in.
const CHUNKS_MAX: u64 = 10_000;

impl Script {
    /// Reads a file. The fault says what is wrong with it, where, and what to do.
    pub fn read(file: &Path) -> Result<Self, ModelsFault> {
        let shown = file.display().to_string();
        let source = source(file)
            .map_err(|why| ModelsFault::new(format!("the script {shown} cannot be read: {why}")))?;
        Self::parse(&source, file).map_err(|faults| {
            let texts = faults.iter().take(FAULTS_SHOWN_MAX);
            let texts: Vec<String> = texts.map(|fault| render(fault, &shown, &source)).collect();
            let count = faults.len();
            let word = if count == 1 { "fault" } else { "faults" };
            ModelsFault::new(format!("{}\n{shown} has {count} {word}", texts.join("\n")))
        })
    }

    /// The same of a text that is at hand.
    pub(super) fn parse(source: &str, file: &Path) -> Result<Self, Vec<Fault>> {
        let located = Located::read(source)?;
        let mut walk = Walk::default();
        let script = script(&mut walk, located.value(), file);
        match script {
            Some(script) if walk.wrongs.is_empty() => Ok(script),
            Some(_) | None => Err(located.faults(walk.wrongs)),
        }
    }
}

fn source(file: &Path) -> Result<String, String> {
    let found = std::fs::metadata(file).map_err(|e| e.to_string())?;
    if !found.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut source = String::new();
    let opened = File::open(file).map_err(|e| e.to_string())?;
    opened.take(SOURCE_BYTES_MAX + 1).read_to_string(&mut source).map_err(|e| e.to_string())?;
    if source.len() as u64 > SOURCE_BYTES_MAX {
        return Err(format!("it has more than {SOURCE_BYTES_MAX} bytes"));
    }
    if source.trim().is_empty() {
        return Err("it is empty; it needs `answers`: a list of `agent` and `turns`".to_owned());
    }
    Ok(source)
}

fn script(walk: &mut Walk, value: &Value, file: &Path) -> Option<Script> {
    let fields = Fields::of(walk, value, "", &["window_tokens", "price", "answers"])?;
    let roles = fields.list(walk, "answers").into_iter().flatten();
    let roles: Vec<Role> = roles.filter_map(|(at, value)| role(walk, value, &at)).collect();
    if roles.is_empty() && walk.wrongs.is_empty() {
        let help = "write `answers:` and under it `- turns:` with what is said, turn by turn";
        walk.wrong("", "it has no `answers`", help);
    }
    Some(Script {
        file: file.to_owned(),
        window_tokens: fields.whole(walk, "window_tokens", u64::MAX),
        price: fields.get("price").and_then(|value| price(walk, value, &fields.at("price"))),
        roles,
    })
}

fn price(walk: &mut Walk, value: &Value, at: &str) -> Option<baton_core::agent::Price> {
    let fields = Fields::of(walk, value, at, &["input", "output", "cached", "cache_write"])?;
    let known = Known {
        window_tokens: None,
        input: fields.text(walk, "input"),
        output: fields.text(walk, "output"),
        cached: fields.text(walk, "cached"),
        cache_write: fields.text(walk, "cache_write"),
    };
    price_of(&known).unwrap_or_else(|why| {
        walk.wrong(at, why, "write dollars per million tokens as a string: `input: \"0.15\"`");
        None
    })
}

fn role(walk: &mut Walk, value: &Value, at: &str) -> Option<Role> {
    let fields = Fields::of(walk, value, at, &["agent", "when", "turns"])?;
    let turns = fields.list(walk, "turns").into_iter().flatten();
    let turns: Vec<Turn> = turns.filter_map(|(at, value)| turn(walk, value, &at)).collect();
    if turns.is_empty() {
        walk.wrong(at, "it has no `turns`", "list what is said: `turns: [{text: \"…\"}]`");
    }
    Some(Role { agent: fields.text(walk, "agent"), contains: when(walk, &fields), turns })
}

/// `when: {contains: "…"}`.
fn when(walk: &mut Walk, fields: &Fields<'_>) -> Option<String> {
    let value = fields.get("when")?;
    let inner = Fields::of(walk, value, &fields.at("when"), &["contains"])?;
    let text = inner.text(walk, "contains");
    if text.is_none() {
        walk.wrong(&fields.at("when"), "it has no `contains`", "name a text to look for");
    }
    text
}

/// The fields of a turn.
pub(super) const TURN: &[&str] =
    &["when", "text", "output", "reasoning", "calls", "usage", "cut", "delay", "chunks", "fail"];

fn turn(walk: &mut Walk, value: &Value, at: &str) -> Option<Turn> {
    let fields = Fields::of(walk, value, at, TURN)?;
    let turn = Turn {
        when: when(walk, &fields),
        content: content(walk, &fields),
        usage: fields.get("usage").and_then(|value| usage(walk, value, &fields.at("usage"))),
        is_cut: fields.truth(walk, "cut"),
        delay: fields.span(walk, "delay").unwrap_or_default(),
        chunks: fields.whole(walk, "chunks", CHUNKS_MAX).map_or(1, |chunks| chunks as u32),
        fail: fields.get("fail").and_then(|value| fail(walk, value, &fields.at("fail"))),
    };
    match (&turn.fail, turn.content.is_empty()) {
        (None, true) if fields.get("fail").is_none() => {
            let help = "give it `text`, `output` (any JSON), `calls`, or `fail`";
            walk.wrong(at, "this turn says nothing", help);
        }
        (Some(Fail { times: Some(_), .. }), true) => {
            let help = "say what it answers after that: `text`, `output` or `calls`";
            walk.wrong(at, "this turn fails some times and then says nothing", help);
        }
        (Some(Fail { times: None, .. }), false) => {
            let help = "say how many calls fail with `times`, or leave out what it says";
            walk.wrong(at, "this turn always fails and never says what stands here", help);
        }
        (Some(_) | None, _) => {}
    }
    Some(turn)
}

fn content(walk: &mut Walk, fields: &Fields<'_>) -> Vec<Piece> {
    let mut content = Vec::new();
    content.extend(fields.get("reasoning").map(|value| Piece::Reasoning(Json::of(value))));
    content.extend(fields.text(walk, "text").map(Piece::Text));
    if let Some(value) = fields.get("output") {
        content.push(Piece::Text(value.to_string()));
        if fields.get("text").is_some() {
            let help = "keep one of the two: `output` is its JSON as text";
            walk.wrong(&fields.at("output"), "there is a `text` as well", help);
        }
    }
    let calls = fields.list(walk, "calls").into_iter().flatten();
    content.extend(calls.filter_map(|(at, value)| call(walk, value, &at)));
    content
}

/// A call that a model asks for. Its arguments may be anything: models get them wrong.
fn call(walk: &mut Walk, value: &Value, at: &str) -> Option<Piece> {
    let fields = Fields::of(walk, value, at, &["id", "tool", "arguments"])?;
    let id = fields.text(walk, "id").unwrap_or_default();
    let arguments =
        fields.get("arguments").cloned().unwrap_or_else(|| Value::Object([].into_iter().collect()));
    let Some(tool) = fields.text(walk, "tool") else {
        walk.wrong(at, "it names no `tool`", "write it like `tool: fs.read`");
        return None;
    };
    Some(Piece::Call { id, tool, arguments: Json::of(&arguments) })
}

fn usage(walk: &mut Walk, value: &Value, at: &str) -> Option<Usage> {
    const KINDS: &[&str] = &[
        "input_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
    ];
    let fields = Fields::of(walk, value, at, KINDS)?;
    let mut tokens = |kind| fields.whole(walk, kind, u64::from(u32::MAX)).unwrap_or(0);
    let usage = Usage {
        input_tokens: tokens("input_tokens"),
        cached_tokens: tokens("cached_tokens"),
        cache_write_tokens: tokens("cache_write_tokens"),
        output_tokens: tokens("output_tokens"),
        reasoning_tokens: tokens("reasoning_tokens"),
    };
    let kept = usage.cached_tokens.saturating_add(usage.cache_write_tokens);
    if kept > usage.input_tokens || usage.reasoning_tokens > usage.output_tokens {
        let help = "`input_tokens` and `output_tokens` are sums, with the other counts among them";
        walk.wrong(at, "a part is larger than its sum", help);
    }
    Some(usage)
}

fn fail(walk: &mut Walk, value: &Value, at: &str) -> Option<Fail> {
    let known = &["kind", "message", "retry_after", "happened", "times"];
    let fields = Fields::of(walk, value, at, known)?;
    let kind: Option<FailureKind> = fields.word(walk, "kind");
    if kind.is_none() && fields.get("kind").is_none() {
        walk.wrong(at, "it names no `kind`", "write it like `kind: rate_limited`");
    }
    let kind = kind?;
    let message = fields.text(walk, "message");
    let retry_after = fields.span(walk, "retry_after");
    let refused =
        CallFailure::refused(kind, message.unwrap_or_else(|| format!("scripted: {kind}")));
    let failure = CallFailure {
        happened: fields.word(walk, "happened").unwrap_or(Happened::No),
        retryable: retry_after.is_some() || passes(kind),
        retry_after_ms: retry_after.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        ..refused
    };
    let times = fields.whole(walk, "times", u64::from(u32::MAX)).map(|times| times as u32);
    Some(Fail { failure, times })
}

/// Whether a failure of this kind may be over at the next try.
fn passes(kind: FailureKind) -> bool {
    use FailureKind::{Lost, RateLimited, TimedOut, Unavailable};
    [Lost, RateLimited, TimedOut, Unavailable].contains(&kind)
}
