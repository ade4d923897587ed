//! An agent's transcript as a person reads it: who said what, what was called and what came of it, and
//! what that took. Whatever models and tools wrote is text, and cut.

use baton_core::agent::{Cost, Usage};
use baton_core::body::Json;
use baton_core::ids::{TaskId, WorkflowId};
use baton_core::spoken::{cut, grouped, many, span};
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, TaskStatus};
use baton_engine::chunks::TurnId;
use baton_engine::store::{StoreError, Views};
use baton_engine::transcript::Transcript;
use baton_engine::turn_view::{
    AgentView, AskedCallView, PieceKind, PieceView, TurnView, Whose, turn_view,
};

use super::history::pretty;
use super::looks::{Look, Tone};
use super::panel::{Failure, Text};
use super::spending::is_scripted;
use super::times::Age;

/// How many turns are shown, the newest.
const TURNS_MAX: usize = 30;
/// How many calls of a turn are shown.
const CALLS_MAX: usize = 16;
/// How many characters of a message are shown.
const MESSAGE_CHARS_MAX: usize = 6_000;
/// How many characters of what a tool was given, or brought.
const VALUE_CHARS_MAX: usize = 3_000;

/// What an agent did.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// In sum.
    pub sum: String,
    /// How many turns before these are not shown.
    pub earlier: Option<String>,
    /// The newest turns, oldest first.
    pub turns: Vec<Turned>,
}

/// One call of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned {
    /// Its number.
    pub call: u32,
    /// How it ended.
    pub look: Look,
    /// Which model.
    pub model: String,
    /// What it used, took and cost.
    pub facts: String,
    /// When it started.
    pub age: Age,
    /// Whether the process died before it.
    pub restarted: bool,
    /// It may have been billed.
    pub possibly_billed: bool,
    /// What was said, in order.
    pub says: Vec<Says>,
    /// Where to hear what is being said, while it is.
    pub speech: Option<Speech>,
    /// Whether no model was asked, but a file.
    pub is_scripted: bool,
    /// What it asked for.
    pub calls: Vec<Called>,
    /// How many more calls there are.
    pub more: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// What a model says while its turn runs: the stream tells it, and the journal has it at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// The turn, as the stream names it.
    pub turn: String,
    /// The workflow's stream, beneath `/api/v1/workflows/`, from here on.
    pub follow: String,
}

/// Of which stream a running turn is told.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The agent's task.
    pub task: TaskId,
    /// The position of the workflow's newest event.
    pub head: u64,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Says {
    /// Who says it, or what it is.
    pub who: &'static str,
    /// Whether only who asks sees it.
    pub is_folded: bool,
    /// What is said.
    pub text: Text,
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The ordinal of its task.
    pub ordinal: u32,
    /// The key of it.
    pub key: String,
    /// The tool.
    pub tool: String,
    /// Where it stands.
    pub look: Look,
    /// How long it took.
    pub took: String,
    /// What it was given.
    pub input: Text,
    /// What it brought.
    pub output: Option<Text>,
    /// Why it brought nothing.
    pub error: Option<String>,
}

/// What an agent did; nothing where it has had no turn.
pub fn told(
    (whose, sum): (Whose<'_>, &AgentView),
    (transcript, line): (&Transcript, Line),
    now: Timestamp,
    views: &mut dyn Views,
) -> Result<Option<Told>, StoreError> {
    let turns = &transcript.turns;
    if turns.is_empty() {
        return Ok(None);
    }
    let earlier = turns.len().saturating_sub(TURNS_MAX);
    let mut restarts = earlier.checked_sub(1).and_then(|at| turns.get(at)).map(|it| it.restarts);
    let mut shown = Vec::new();
    for turn in turns.iter().skip(earlier) {
        let before = restarts.replace(turn.restarts).unwrap_or(turn.restarts);
        let view = turn_view(whose, turn, views)?;
        let turned = turned(&view, before < turn.restarts, now);
        shown.push(Turned { speech: speech(&view, (whose.workflow, line)), ..turned });
    }
    let earlier = (earlier > 0).then(|| {
        let earlier = many(earlier as u64, "earlier turn");
        format!("{earlier} not shown here; `baton show` tells all of them")
    });
    Ok(Some(Told { sum: in_sum(sum), earlier, turns: shown }))
}

/// `openai/gpt-5 · 3 turns, 5 calls · 1,200 tokens in, 340 out · $0.0123`.
fn in_sum(sum: &AgentView) -> String {
    if !sum.has_asked() {
        return format!("{} · no turn has ended yet", sum.models.join(", then "));
    }
    let mut facts = vec![
        sum.models.join(", then "),
        format!("{}, {}", many(sum.turns.into(), "turn"), many(sum.calls.into(), "call")),
        tokens(&sum.usage),
        cost(sum.cost_usd),
    ];
    if sum.possibly_billed > 0 {
        facts.push(format!("{} cut off, possibly billed", sum.possibly_billed));
    }
    if sum.restarts > 0 {
        facts.push(many(sum.restarts.into(), "restart"));
    }
    facts.join(" · ")
}

fn tokens(usage: &Usage) -> String {
    let cached = match usage.cached_tokens {
        0 => String::new(),
        cached => format!(" ({} from its cache)", grouped(cached)),
    };
    let (read, written) = (grouped(usage.input_tokens), grouped(usage.output_tokens));
    format!("{read} tokens in{cached}, {written} out")
}

fn cost(cost: Option<Cost>) -> String {
    cost.map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost}"))
}

fn turned(turn: &TurnView, restarted: bool, now: Timestamp) -> Turned {
    let mut facts: Vec<String> = Vec::new();
    if let Some(usage) = &turn.usage {
        facts.extend([tokens(usage), cost(turn.cost_usd)]);
    }
    facts.push(span(turn.ended_at.unwrap_or(now).since(turn.started_at)));
    let asked = turn.asked.iter().map(|piece| says("Asked", piece));
    let said = turn.said.iter().map(|piece| says("Agent", piece));
    let more = turn.calls.len().saturating_sub(CALLS_MAX) as u64;
    Turned {
        call: turn.call,
        look: Look::of_attempt(turn.status),
        model: turn.model.clone(),
        facts: facts.join(" · "),
        age: Age::of(turn.started_at, now),
        restarted,
        possibly_billed: turn.possibly_billed,
        says: asked.chain(said).collect(),
        speech: None,
        is_scripted: is_scripted(&turn.model),
        calls: turn.calls.iter().take(CALLS_MAX).map(|call| called(call, now)).collect(),
        more: (more > 0).then(|| format!("{} not shown", many(more, "more call"))),
        failure: turn.failure.as_ref().map(Failure::of),
    }
}

fn speech(turn: &TurnView, (workflow, line): (WorkflowId, Line)) -> Option<Speech> {
    let told = TurnId { task: line.task, attempt: turn.call }.to_string();
    let follow = format!("{workflow}/stream?type=text.delta&after={}", line.head);
    (turn.status == AttemptStatus::Executing).then_some(Speech { turn: told, follow })
}

fn says(who: &'static str, piece: &PieceView) -> Says {
    let text = Text::bounded(&piece.text, MESSAGE_CHARS_MAX);
    match piece.kind {
        PieceKind::Text => Says { who, is_folded: false, text },
        PieceKind::Reasoning => Says { who: "Reasoning", is_folded: true, text },
        PieceKind::Image => {
            let bytes = many(piece.bytes, "byte");
            let shown = format!("{} of {bytes} in base64", text.shown);
            Says { who: "Image", is_folded: true, text: Text { shown, more: None } }
        }
    }
}

fn called(call: &AskedCallView, now: Timestamp) -> Called {
    let look = match (call.refused, call.status) {
        (true, _) => Look { tone: Tone::Mixed, word: "refused".to_owned() },
        (false, status) => Look::of_task(status, None),
    };
    let waits = call.status == TaskStatus::Waiting;
    let until = call.ended_at.or((!waits).then_some(now));
    let took = call.started_at.zip(until).map(|(from, until)| span(until.since(from)));
    Called {
        ordinal: call.task_id.split().map_or(u32::MAX, |(_, ordinal)| ordinal.0),
        key: call.key.clone(),
        tool: call.tool.clone(),
        look,
        took: took.unwrap_or_default(),
        input: value(&call.input),
        output: call.output.as_ref().map(value),
        error: call.error.as_ref().map(|error| cut(error, VALUE_CHARS_MAX)),
    }
}

fn value(json: &Json) -> Text {
    Text::bounded(&pretty(json), VALUE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use baton_core::codes::Code;
    use baton_core::words::Effect;
    use serde_json::json;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn piece(kind: PieceKind, text: &str) -> PieceView {
        PieceView { kind, text: text.to_owned(), bytes: text.len() as u64 }
    }

    /// A turn in which everything that others wrote is hostile.
    fn hostile() -> TurnView {
        let workflow: baton_core::ids::WorkflowId =
            "0190a5b0-0000-7000-8000-000000000001".parse().expect("an id");
        let call = |refused: bool| AskedCallView {
            task_id: workflow.task(baton_core::ids::Ordinal(7)),
            key: "<i>key</i>(1)".to_owned(),
            tool: "fs.<script>alert(1)</script>".to_owned(),
            effect: Effect::Read,
            input: Json::of(&json!({ "path": "\"><img src=x onerror=alert(1)>" })),
            status: if refused { TaskStatus::Failed } else { TaskStatus::Completed },
            refused,
            attempts: u32::from(!refused),
            started_at: (!refused).then(|| at(1_000)),
            ended_at: Some(at(3_000)),
            output: (!refused).then(|| Json::of(&json!("</pre><script>alert(2)</script>"))),
            error: refused.then(|| "<b>no</b>".to_owned()),
        };
        TurnView {
            call: 2,
            run: 1,
            model: "evil/<script>".to_owned(),
            status: AttemptStatus::Completed,
            possibly_billed: false,
            restarts: 0,
            started_at: at(0),
            ended_at: Some(at(4_000)),
            messages: 3,
            digest: "0".repeat(64),
            usage: Some(Usage { input_tokens: 1_200, output_tokens: 34, ..Usage::default() }),
            cost_usd: None,
            asked: vec![piece(PieceKind::Text, "<script>alert(3)</script>")],
            said: vec![
                piece(PieceKind::Reasoning, "I think </details>"),
                piece(PieceKind::Text, &"\u{202e}<x>".repeat(MESSAGE_CHARS_MAX)),
            ],
            calls: (0..20).map(|n| call(n == 1)).collect(),
            failure: None,
        }
    }

    fn shown() -> Told {
        let turn = turned(&hostile(), true, at(9_000));
        let cut_off = TurnView {
            call: 1,
            status: AttemptStatus::Lost,
            possibly_billed: true,
            usage: None,
            said: Vec::new(),
            calls: Vec::new(),
            ..hostile()
        };
        let turns = vec![turned(&cut_off, false, at(9_000)), turn];
        Told { sum: "2 turns".to_owned(), earlier: None, turns }
    }

    #[derive(askama::Template)]
    #[template(
        source = r#"{% import "parts.html" as parts %}{% call parts::told(told, "../") %}{% endcall %}"#,
        ext = "html"
    )]
    struct Rendered {
        told: Told,
    }

    #[test]
    fn what_others_wrote_is_text_and_never_markup() {
        let text = askama::Template::render(&Rendered { told: shown() }).expect("a page");
        for markup in ["<script", "<img", "<b>no", "<i>key", "<x>", "</details>\n</pre>"] {
            assert!(!text.contains(markup), "{markup} in {text}");
        }
        assert_eq!(text.matches("</details>").count(), text.matches("<details").count());
        for said in ["evil/", "may have been billed", "The process ended here", "refused"] {
            assert!(text.contains(said), "{said} in {text}");
        }
    }

    #[test]
    fn what_a_turn_took_is_said_and_what_is_not_known_is_not_guessed() {
        let turn = shown().turns.remove(1);
        assert_eq!(turn.facts, "1,200 tokens in, 34 out · cost unknown · 4.0 s");
        let cut_off = shown().turns.remove(0);
        assert_eq!(cut_off.facts, "4.0 s");
        assert!(cut_off.possibly_billed && turn.restarted);
    }

    #[test]
    fn what_others_wrote_is_cut() {
        let turn = shown().turns.remove(1);
        assert_eq!(turn.calls.len(), CALLS_MAX);
        assert_eq!(turn.more.as_deref(), Some("4 more calls not shown"));
        let said = turn.says.last().expect("a text");
        assert_eq!(said.text.shown.chars().count(), MESSAGE_CHARS_MAX);
        assert!(said.text.more.is_some());
        assert_eq!(turn.calls.get(1).map(|call| call.look.word.as_str()), Some("refused"));
    }

    #[test]
    fn what_is_being_said_is_heard_only_while_its_turn_runs() {
        let runs = TurnView { status: AttemptStatus::Executing, call: 3, ..hostile() };
        let workflow: WorkflowId = "0190a5b0-0000-7000-8000-000000000001".parse().expect("an id");
        let line = Line { task: workflow.task(baton_core::ids::Ordinal(7)), head: 41 };
        let speech = |turn: &TurnView| speech(turn, (workflow, line));
        let heard = speech(&runs).expect("it runs");
        assert_eq!(heard.turn, format!("{}.3", line.task));
        assert!(heard.follow.ends_with("/stream?type=text.delta&after=41"), "{heard:?}");
        for status in AttemptStatus::ALL.iter().filter(|it| **it != AttemptStatus::Executing) {
            assert_eq!(speech(&TurnView { status: *status, ..hostile() }), None);
        }
    }
}
