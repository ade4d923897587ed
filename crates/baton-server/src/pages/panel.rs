//! One task looked at: what it is asked, what it was given, tried and brought, and why it failed.
//!
//! Large texts are cut: the whole of them is the API's to give.

use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::failure::CallFailure;
use baton_core::plan::{Plan, Work};
use baton_core::spoken::{cut, many, span};
use baton_core::time::Timestamp;
use baton_core::words::{Effect, Happened};
use baton_engine::view::TaskView;

use super::history::pretty;
use super::looks::Look;
use super::times::Age;
use super::turns::Told;
use crate::http::calls::{CallView, TaskDetail};

/// The longest text that is shown of an input or output, in characters.
const TEXT_CHARS_MAX: usize = 20_000;
/// How many attempts are shown, the newest.
const ATTEMPTS_MAX: usize = 20;

/// A task looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Its id.
    pub id: String,
    /// Its ordinal.
    pub ordinal: u32,
    /// Its title or key.
    pub title: String,
    /// Where it stands.
    pub look: Look,
    /// What is known of it, a word and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What its agent did.
    pub told: Option<Told>,
    /// What was tried, newest first, but for an agent's turns.
    pub attempts: Vec<Tried>,
    /// What it was given.
    pub input: Option<Text>,
    /// What it brought.
    pub output: Option<Text>,
    /// Whether it may be done again by itself.
    pub may_retry: bool,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// In a line.
    pub message: String,
    /// The kind, and what is known of the effect.
    pub kind: String,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// Its number over all runs.
    pub number: u32,
    /// How it ended.
    pub look: Look,
    /// When it started.
    pub age: Age,
    /// How long it took.
    pub took: String,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// A text, cut where it is very long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What is shown.
    pub shown: String,
    /// How much more there is.
    pub more: Option<String>,
}

impl Text {
    /// The text of a JSON value.
    pub fn of(json: &Json) -> Self {
        Self::bounded(&pretty(json), TEXT_CHARS_MAX)
    }

    /// A text of at most so many characters.
    pub fn bounded(text: &str, chars_max: usize) -> Self {
        let more = text.chars().count().saturating_sub(chars_max) as u64;
        let more = (more > 0).then(|| format!("{} more are not shown", many(more, "character")));
        Self { shown: cut(text, chars_max), more }
    }
}

impl Failure {
    /// A failure as people read it.
    pub fn of(failure: &CallFailure) -> Self {
        let happened = match failure.happened {
            Happened::No => "it had no effect",
            Happened::Yes => "it had its effect",
            Happened::Unknown => "nobody knows whether it had its effect",
        };
        let kind = format!("{}; {happened}", failure.kind.word().replace('_', " "));
        Self { message: failure.message.clone(), kind }
    }
}

/// A task as the API shows it, looked at; `told` is what its agent did.
pub fn panel(
    (detail, told): (&TaskDetail, Option<Told>),
    plan: &Plan,
    has_ended: bool,
    now: Timestamp,
) -> Panel {
    let task = &detail.task;
    // What a model was called for is told by the transcript.
    let tried_so_far = detail.calls.iter().filter(|call| call.model.is_none());
    let newest = tried_so_far.rev().take(ATTEMPTS_MAX);
    let input = detail.calls.last().filter(|call| call.model.is_none());
    Panel {
        id: task.id.to_string(),
        ordinal: task.ordinal.0,
        title: task.title.clone().unwrap_or_else(|| task.key.clone()),
        look: Look::of_task(task.status, task.waits_for),
        facts: facts(task, plan, now),
        failure: detail.failure.as_ref().map(Failure::of),
        told,
        attempts: newest.map(|call| tried(call, now)).collect(),
        input: input.and_then(|call| call.input.as_ref()).map(Text::of),
        output: detail.output.as_ref().map(Text::of),
        may_retry: has_ended && plan.task(task.ordinal).is_some(),
    }
}

fn tried(call: &CallView, now: Timestamp) -> Tried {
    let until = call.ended_at.unwrap_or(now);
    Tried {
        number: call.attempt,
        look: Look::of_attempt(call.status),
        age: Age::of(call.started_at, now),
        took: span(until.since(call.started_at)),
        failure: call.failure.as_ref().map(Failure::of),
    }
}

fn facts(task: &TaskView, plan: &Plan, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Key", task.key.clone()), ("Stage", task.stage.clone())];
    match (&task.tool, task.kind) {
        (Some(agent), "agent") => facts.push(("Agent", agent.clone())),
        (Some(tool), _) => facts.push(("Tool", tool.clone())),
        (None, kind) => facts.push(("Kind", kind.to_owned())),
    }
    if let Some(planned) = plan.task(task.ordinal) {
        if let Work::Tool(call) = &planned.work {
            facts.push(("Repeating it", effect(call.effect).to_owned()));
        }
        let keys = planned.needs.iter().flatten().filter_map(|need| plan.task(*need));
        let keys: Vec<&str> = keys.map(|need| need.key.as_str()).collect();
        if !keys.is_empty() {
            facts.push(("Needs", cut(&keys.join(", "), 400)));
        }
        if let Some(when) = &planned.when {
            facts.push(("Only when", cut(when, 400)));
        }
    }
    if let Some(said) = &task.live {
        facts.push(("So far", said.line()));
    }
    if let Some(from) = task.started_at {
        let until = task.ended_at.unwrap_or(now);
        facts.push(("Took", span(until.since(from))));
    }
    facts
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "changes nothing (read)",
        Effect::Idempotent => "changes nothing more (idempotent)",
        Effect::Once => "would do it twice (once)",
    }
}
