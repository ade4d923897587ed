//! The simulated tools: they are slow, fail in every way, hang, and answer late or twice.
//!
//! What a call will do is drawn when it is made; its effect and its answer are two moments.

use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::plan::{ToolCall, Work};
use baton_core::words::{Effect, FailureKind, Happened};
use baton_engine::attempt_status;
use baton_engine::exchange::{Call, CallResult};
use serde_json::{Value, json};

use crate::rng::Rng;

/// What a call will do, in milliseconds from when it is made.
#[derive(Debug)]
pub struct Course {
    /// When it has its effect, if it has.
    pub effect: Option<u64>,
    /// Its answers.
    pub answers: Vec<(u64, CallResult)>,
    /// When it asks a person, if it does, and how.
    pub asks: Option<(u64, Manner)>,
}

/// How a call asks.
#[derive(Debug)]
pub enum Manner {
    /// It does nothing more until it has heard, and asks so many times again.
    Waits {
        /// How often.
        again: u32,
    },
    /// After so many milliseconds it does not want to know any more, and perhaps asks anew.
    TakesBack {
        /// How long it waits.
        after: u64,
    },
    /// It goes on, and ends, as if it had not asked.
    Ends,
}

/// How long a call may hang, in milliseconds.
const TIMEOUT: u64 = 60_000;

/// The call an attempt makes, as its plan has it.
fn made(call: &Call) -> Option<&ToolCall> {
    if call.asked.is_some() {
        return None;
    }
    let plan = call.loaded.plan.task(call.of)?;
    match (call.rung.checked_sub(1), &plan.work) {
        (Some(fallback), _) => plan.fallback.get(fallback as usize),
        (None, Work::Tool(tool)) => Some(tool),
        (
            None,
            Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_)
            | Work::Agent(_),
        ) => None,
    }
}

/// The effect class of the call an attempt makes.
pub fn effect_of(call: &Call) -> Effect {
    match call.asked.as_deref() {
        Some("sim.read") => Effect::Read,
        Some("sim.put") => Effect::Idempotent,
        Some(_) => Effect::Once,
        None => made(call).map_or(Effect::Once, |tool| tool.effect),
    }
}

/// What the tool brings: the same for the same task, large for every third.
pub fn output(key: &str, rung: u32) -> baton_engine::exchange::Split {
    let large = key.bytes().map(u32::from).sum::<u32>() % 3 == 0;
    let pad = "x".repeat(if large { 1500 } else { 3 });
    Body::split(Json::of(&json!({ "task": key, "rung": rung, "pad": pad })))
}

fn ended(failure: CallFailure) -> CallResult {
    Err((attempt_status(&failure), failure))
}

/// Without faults but those the plan asks for: an effect, then its answer. A call `with` `fails: n`
/// is busy the first n times it is made, `before` counting them; one with `refuses` always refuses;
/// one with `asks: n` asks people n things, one after the other.
pub fn calm(call: &Call, before: u64) -> Course {
    let key = task_key(call);
    let latency = 100 + u64::from(key.bytes().map(u32::from).sum::<u32>() % 7) * 50;
    let asked = |name: &str| made(call).and_then(|tool| tool.with.get(name));
    if asked("refuses").is_some() {
        let failure = CallFailure::refused(FailureKind::Refused, "as asked");
        return Course { effect: None, answers: vec![(latency, ended(failure))], asks: None };
    }
    if asked("fails").and_then(Value::as_u64).is_some_and(|fails| before < fails) {
        let failure = CallFailure::passing(FailureKind::Unavailable, "as asked");
        return Course { effect: None, answers: vec![(latency, ended(failure))], asks: None };
    }
    let answers = vec![(latency, Ok(output(&key, call.rung)))];
    let asks = asked("asks").and_then(Value::as_u64).and_then(|times| times.checked_sub(1));
    let again = asks.map(|again| u32::try_from(again).unwrap_or(0));
    let asks = again.map(|again| (latency / 4, Manner::Waits { again }));
    Course { effect: Some(latency / 2), answers, asks }
}

/// The key of the task a call is made for.
pub fn task_key(call: &Call) -> String {
    let plan = call.loaded.plan.task(call.of);
    plan.map_or_else(String::new, |plan| plan.key.clone())
}

/// With every fault a tool can have.
pub fn wild(call: &Call, rng: &mut Rng) -> Course {
    let latency = 1 + rng.below(5000);
    let effect = Some(rng.below(latency));
    let maybe = effect.filter(|_| rng.chance(500));
    let good = || Ok(output(&task_key(call), call.rung));
    let unavailable = || ended(CallFailure::passing(FailureKind::Unavailable, "busy"));
    let refused = || CallFailure::refused(FailureKind::Refused, "no");
    let timed_out = || ended(CallFailure::in_doubt(FailureKind::TimedOut, "too slow"));
    let panicked = || ended(CallFailure::in_doubt(FailureKind::Panicked, "the tool panicked"));
    let (effect, answers) = match rng.below(100) {
        0..60 => (effect, vec![(latency, good())]),
        60..66 => (effect, vec![(latency, good()), (latency + rng.below(9000), good())]),
        66..74 => (None, vec![(latency, unavailable())]),
        74..79 => (None, vec![(latency, ended(refused()))]),
        79..83 => {
            let happened = Happened::Yes;
            let failure = CallFailure { happened, ..refused() };
            (effect, vec![(latency, ended(failure))])
        }
        83..88 => (maybe, vec![(latency, panicked())]),
        88..94 => (maybe, vec![(TIMEOUT, timed_out())]),
        _ => (effect, vec![(TIMEOUT, timed_out()), (TIMEOUT + 5000, good())]),
    };
    let asks = rng.chance(150).then(|| {
        let manner = match rng.below(4) {
            0 => Manner::TakesBack { after: rng.below(3000) },
            1 => Manner::Ends,
            _ => Manner::Waits { again: u32::from(rng.chance(300)) },
        };
        (rng.below(latency), manner)
    });
    Course { effect, answers, asks }
}
