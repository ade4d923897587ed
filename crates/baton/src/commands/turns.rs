//! An agent's turns in a terminal: who said what, what was called, what it used and cost, and where the
//! process died in between.
//!
//! Foreign text is cleaned and cut; `--json` has more of it, and `--prompt` all that a model was asked.

use baton_core::agent::{Cost, Usage};
use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::spoken::{cut, grouped, many, span};
use baton_engine::turn_view::{AgentView, AskedCallView, PieceKind, PieceView, TurnView};

use crate::text::{clean, hanging};

/// How many characters of a message are printed.
const MESSAGE_CHARS_MAX: usize = 2_000;
/// How many characters of what a tool was given, or brought.
const VALUE_CHARS_MAX: usize = 120;
/// Where what is said begins.
const MARGIN: usize = 10;

/// `3 turns, 5 calls, 1,200 tokens in and 340 out, $0.0123`.
pub(super) fn in_sum(agent: &AgentView) -> String {
    let mut facts = vec![
        many(agent.turns.into(), "turn"),
        many(agent.calls.into(), "call"),
        tokens(&agent.usage),
        cost(agent.cost_usd),
    ];
    if agent.possibly_billed > 0 {
        facts.push(format!("{} cut off, possibly billed", agent.possibly_billed));
    }
    if agent.restarts > 0 {
        facts.push(many(agent.restarts.into(), "restart"));
    }
    facts.join(", ")
}

fn tokens(usage: &Usage) -> String {
    let cached = match usage.cached_tokens {
        0 => String::new(),
        cached => format!(" ({} cached)", grouped(cached)),
    };
    let (read, written) = (grouped(usage.input_tokens), grouped(usage.output_tokens));
    format!("{read} tokens in{cached} and {written} out")
}

fn cost(cost: Option<Cost>) -> String {
    cost.map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost}"))
}

/// All turns, and where the process died.
pub(super) fn told(turns: &[TurnView]) -> String {
    let mut lines = Vec::new();
    let mut restarts = turns.first().map_or(0, |turn| turn.restarts);
    for turn in turns {
        if turn.restarts > restarts {
            lines.push("— the process ended here, and another went on —".to_owned());
            restarts = turn.restarts;
        }
        lines.push(head(turn));
        lines.extend(turn.asked.iter().map(|piece| says("asked", piece)));
        lines.extend(turn.said.iter().map(|piece| says("says", piece)));
        lines.extend(turn.calls.iter().map(called));
        let failure = turn.failure.iter();
        lines.extend(failure.map(|failure| line("fails", &clean(&failure.message))));
    }
    lines.join("\n")
}

fn head(turn: &TurnView) -> String {
    let mut facts = vec![clean(&turn.model)];
    match &turn.usage {
        Some(usage) => facts.extend([tokens(usage), cost(turn.cost_usd)]),
        None if turn.possibly_billed => {
            facts.push(format!("{}: possibly billed, nobody knows how much", turn.status.word()));
        }
        None => facts.push(turn.status.word().replace('_', " ")),
    }
    facts.extend(turn.ended_at.map(|ended| span(ended.since(turn.started_at))));
    let run = if turn.run > 1 { format!(" (run {})", turn.run) } else { String::new() };
    format!("call {}{run}: {}", turn.call, facts.join(", "))
}

fn says(who: &str, piece: &PieceView) -> String {
    let text = cut(&piece.text, MESSAGE_CHARS_MAX);
    match piece.kind {
        PieceKind::Text => line(who, &text),
        PieceKind::Reasoning => line("thinks", &text),
        PieceKind::Image => line(who, &format!("an image, {text}")),
    }
}

fn called(call: &AskedCallView) -> String {
    let took = call.started_at.zip(call.ended_at).map(|(from, until)| span(until.since(from)));
    let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
    let came = match (&call.output, &call.error) {
        (Some(output), _) => format!("{took}: {}", value(output)),
        (None, Some(error)) => format!("{took}: {}", clean(&cut(error, VALUE_CHARS_MAX))),
        (None, None) => took,
    };
    let status = if call.refused { "refused" } else { call.status.word() };
    let (key, tool) = (clean(&call.key), clean(&cut(&call.tool, VALUE_CHARS_MAX)));
    line("calls", &format!("{tool} {}\n{key} {status}{came}", value(&call.input)))
}

fn value(json: &Json) -> String {
    clean(&cut(json.as_str(), VALUE_CHARS_MAX))
}

/// What somebody says, its later lines below its first.
fn line(who: &str, text: &str) -> String {
    format!("  {who:<width$}{}", hanging(text, MARGIN), width = MARGIN - 2)
}

#[cfg(test)]
mod tests {
    use baton_core::failure::CallFailure;
    use baton_core::ids::{Ordinal, WorkflowId};
    use baton_core::time::Timestamp;
    use baton_core::words::{AttemptStatus, Effect, FailureKind, TaskStatus};
    use serde_json::json;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn turn(call: u32, restarts: u32) -> TurnView {
        let text =
            |kind, text: &str| PieceView { kind, text: text.to_owned(), bytes: text.len() as u64 };
        let workflow: WorkflowId = "0190a5b0-0000-7000-8000-000000000001".parse().expect("an id");
        TurnView {
            call,
            run: 1,
            model: "test/one".to_owned(),
            status: AttemptStatus::Completed,
            possibly_billed: false,
            restarts,
            started_at: at(0),
            ended_at: Some(at(2_000)),
            messages: 1,
            digest: "0".repeat(64),
            usage: Some(Usage { input_tokens: 1_200, output_tokens: 34, ..Usage::default() }),
            cost_usd: None,
            asked: vec![text(PieceKind::Text, "Look\nclosely.")],
            said: vec![text(PieceKind::Reasoning, "Hm\u{1b}[2J"), text(PieceKind::Text, "I look.")],
            calls: vec![AskedCallView {
                task_id: workflow.task(Ordinal(3)),
                key: "review(1)".to_owned(),
                tool: "fs.read".to_owned(),
                effect: Effect::Read,
                input: Json::of(&json!({ "path": "a\u{202e}b" })),
                status: TaskStatus::Completed,
                refused: false,
                attempts: 1,
                started_at: Some(at(500)),
                ended_at: Some(at(900)),
                output: Some(Json::of(&json!("x".repeat(500)))),
                error: None,
            }],
            failure: None,
        }
    }

    #[test]
    fn a_turn_says_who_said_what_and_a_restart_stands_where_it_was() {
        let lost = TurnView {
            status: AttemptStatus::Lost,
            possibly_billed: true,
            usage: None,
            asked: Vec::new(),
            said: Vec::new(),
            calls: Vec::new(),
            failure: Some(CallFailure::in_doubt(FailureKind::Lost, "it ended")),
            ..turn(2, 0)
        };
        let told = told(&[turn(1, 0), lost, turn(3, 1)]);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines.first(),
            Some(&"call 1: test/one, 1,200 tokens in and 34 out, cost unknown, 2.0 s")
        );
        assert_eq!(lines.get(1..3), Some(&["  asked   Look", "          closely."][..]));
        let lost =
            lines.iter().position(|line| line.starts_with("call 2:")).expect("the lost turn");
        assert_eq!(
            lines.get(lost..lost + 3),
            Some(
                &[
                    "call 2: test/one, lost: possibly billed, nobody knows how much, 2.0 s",
                    "  fails   it ended",
                    "— the process ended here, and another went on —",
                ][..]
            )
        );
        assert!(told.contains("review(1) completed in 400 ms"), "{told}");
        assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told}");
        assert!(lines.iter().all(|line| line.chars().count() < 200), "{told}");
    }
}
