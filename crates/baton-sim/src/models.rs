//! The simulated models: they ask for calls, answer what does not fit, are cut off, fail in every way,
//! and answer late or twice.

use baton_core::agent::{Message, PERSON_ASK, Piece, Usage};
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::words::{AttemptStatus, FailureKind};
use baton_engine::attempt_status;
use baton_engine::ports::{ModelAnswer, ModelRequest};
use baton_engine::turns::{Asking, ModelTurn, heard};
use serde_json::{Value, json};

use crate::plans::END;
use crate::rng::Rng;

/// How a turn ends.
type Turned = Result<ModelTurn, (AttemptStatus, CallFailure)>;

/// How many answers a transcript has.
pub fn answers(request: &ModelRequest) -> usize {
    let is_answer = |message: &&Message| matches!(message, Message::Assistant(_));
    request.messages.iter().filter(is_answer).count()
}

/// Whether the agent may ask people, and end by a call.
fn may_ask(request: &ModelRequest) -> bool {
    request.tools.iter().any(|tool| tool.name == PERSON_ASK)
}

/// Without faults: two calls beside one another, then one, then the output. One that may ask people asks
/// two things, the second beside the call that ends it.
pub fn calm(asking: &Asking, request: &ModelRequest) -> Vec<(u64, Turned)> {
    if may_ask(request) {
        let pieces = match answers(request) {
            0 => vec![choice(0), call(1, "sim.pay", json!({ "n": 1 }))],
            _ => vec![call(2, END, json!({})), text(3), call(4, "sim.pay", json!({ "n": 4 }))],
        };
        return vec![(150, said(asking, pieces))];
    }
    let pieces = match answers(request) {
        0 => vec![call(0, "sim.read", json!({ "n": 0 })), call(1, "sim.pay", json!({ "n": 1 }))],
        1 => vec![Piece::Text("One more.".to_owned()), call(2, "sim.pay", json!({ "n": 2 }))],
        _ => vec![Piece::Text("{\"done\": true}".to_owned())],
    };
    vec![(150, said(asking, pieces))]
}

/// With every fault a model can have.
pub fn wild(asking: &Asking, request: &ModelRequest, rng: &mut Rng) -> Vec<(u64, Turned)> {
    let latency = 1 + rng.below(5_000);
    let fails = |kind| {
        let failure = CallFailure::passing(kind, "as models do");
        vec![(latency, Err((attempt_status(&failure), failure)))]
    };
    if may_ask(request) && rng.chance(200) {
        let pieces = match rng.below(4) {
            0 => vec![call(10, END, json!({})), call(12, END, json!({}))],
            1 => vec![text(11), choice(13), call(5, END, json!({}))],
            2 => vec![call(14, PERSON_ASK, json!({ "question": "?", "form": { "type": "null" } }))],
            _ => vec![text(15)],
        };
        return vec![(latency, said(asking, pieces))];
    }
    match rng.below(20) {
        0..9 => calm(asking, request),
        9 => vec![(latency, said(asking, vec![call(9, "no.such", json!({}))]))],
        10 => vec![(latency, said(asking, vec![call(9, "sim.pay", Value::from("no object"))]))],
        11 => vec![(latency, said(asking, vec![Piece::Text("Certainly! Here is".to_owned())]))],
        12 => {
            let again = || said(asking, vec![call(7, "sim.read", json!({ "again": true }))]);
            vec![(latency, again()), (latency + 3_000, again())]
        }
        13 => fails(FailureKind::RateLimited),
        14 => fails(FailureKind::ContextTooLong),
        15 => {
            let failure = CallFailure::in_doubt(FailureKind::TimedOut, "too slow");
            let late = said(asking, vec![Piece::Text("{}".to_owned())]);
            vec![(60_000, Err((attempt_status(&failure), failure))), (65_000, late)]
        }
        16 => {
            let content = vec![call(8, "sim.pay", json!({ "cut": true }))];
            vec![(latency, answered(asking, ModelAnswer { content, usage: usage(), is_cut: true }))]
        }
        _ => {
            let many = (0..1 + rng.below(4)).map(|n| call(20 + n, "sim.put", json!({ "n": n })));
            vec![(latency, said(asking, many.collect()))]
        }
    }
}

fn choice(id: u64) -> Piece {
    call(id, PERSON_ASK, json!({ "question": "Where?", "choices": ["left", "right"] }))
}

fn text(id: u64) -> Piece {
    call(id, PERSON_ASK, json!({ "question": "Why?" }))
}

fn call(id: u64, tool: &str, arguments: Value) -> Piece {
    Piece::Call { id: format!("c{id}"), tool: tool.to_owned(), arguments: Json::of(&arguments) }
}

fn usage() -> Usage {
    Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() }
}

fn said(asking: &Asking, content: Vec<Piece>) -> Turned {
    answered(asking, ModelAnswer { content, usage: usage(), is_cut: false })
}

fn answered(asking: &Asking, answer: ModelAnswer) -> Turned {
    let missing = CallFailure::refused(FailureKind::InvalidInput, "there is no such agent");
    let agent = asking.agent().ok_or((AttemptStatus::Failed, missing))?;
    Ok(heard(agent, answer))
}
