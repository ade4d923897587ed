//! How a running workflow looks: a bar and a line for each task on a terminal, plain lines when
//! piped, one JSON object an event for scripts. It only prints what it is handed.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use baton_core::codes::Code;
use baton_core::ids::Ordinal;
use baton_core::plan::Work;
use baton_core::progress::progress;
use baton_core::time::Timestamp;
use baton_core::words::SkipCause;
use baton_core::workflow::{Event, EventKind, Next, Output, WorkflowState};
use baton_engine::store::Record;
use indicatif::{ProgressBar, ProgressStyle};

use crate::text::{clean, headline};

/// How many executing tasks the bar names.
const NAMED_MAX: usize = 4;

/// Where and how a workflow is shown.
pub enum Display {
    /// A terminal: lines above a live bar.
    Terminal(ProgressBar),
    /// Lines to standard error.
    Plain,
    /// JSON lines to standard output.
    Json,
}

impl Display {
    /// What fits the output: JSON when asked for, a bar on a terminal, lines elsewhere.
    pub fn choose(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Plain;
        }
        let bar = ProgressBar::new(100);
        let style = ProgressStyle::with_template("  {spinner} [{bar:28}] {percent:>3}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Terminal(bar)
    }

    /// Shows an event; `state` is the workflow after it.
    pub fn event(&self, state: &WorkflowState, record: &Record, event: &Event) {
        match self {
            Self::Json => say_out(&json_line(state, record, event)),
            Self::Plain => {
                if let Some(line) = line(state, event, record.at) {
                    say(&line);
                }
            }
            Self::Terminal(bar) => {
                let started = matches!(event, Event::TaskStarted(_));
                if let Some(line) = line(state, event, record.at).filter(|_| !started) {
                    bar.println(line);
                }
                bar.set_position(u64::from(progress(state).percentage));
                bar.set_message(bar_message(state));
            }
        }
    }

    /// Takes the bar away while somebody is asked, and for good at the end.
    pub fn rest(&self) {
        match self {
            Self::Terminal(bar) => bar.suspend(|| bar.set_message("")),
            Self::Plain | Self::Json => {}
        }
    }

    /// Ends the display.
    pub fn end(&self) {
        match self {
            Self::Terminal(bar) => bar.finish_and_clear(),
            Self::Plain | Self::Json => {}
        }
    }

    /// Runs something that prints by itself.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::Terminal(bar) => bar.suspend(work),
            Self::Plain | Self::Json => work(),
        }
    }
}

/// Prints a line for people.
pub fn say(line: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints a result.
pub fn say_out(text: &str) {
    // A reader that has left wants nothing more.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn bar_message(state: &WorkflowState) -> String {
    let counts = progress(state);
    let executing: Vec<String> =
        state.executing().take(NAMED_MAX + 1).map(|task| state.key_of(task)).collect();
    let more = if executing.len() > NAMED_MAX { ", …" } else { "" };
    let names: Vec<String> = executing.into_iter().take(NAMED_MAX).collect();
    let running =
        if names.is_empty() { String::new() } else { format!(" · {}{more}", names.join(", ")) };
    format!("{} of {}{running}", counts.completed, counts.total)
}

/// The line an event is worth, if it is worth one.
// Long because it has one arm for each event.
fn line(state: &WorkflowState, event: &Event, at: Timestamp) -> Option<String> {
    let is_item = |task: Ordinal| state.item(task).is_some();
    let text = match event {
        Event::TaskStarted(started) if is_item(started.task) || !is_call(state, started.task) => {
            return None;
        }
        Event::TaskStarted(started) => named("▶", state, started.task, &tool(state, started.task)),
        Event::TaskWaited(waited) => {
            named("…", state, waited.task, &format!("waits for {}", waiting(waited)))
        }
        Event::TaskExpanded(expanded) => {
            named("▶", state, expanded.task, &format!("{} items", expanded.count))
        }
        Event::TaskCompleted(done) if is_item(done.task) => return None,
        Event::TaskCompleted(done) => named("✓", state, done.task, &took(state, done.task, at)),
        Event::AttemptFailed(failed) => {
            let next = match &failed.next {
                Next::Repeat => "again at once".to_owned(),
                Next::Retry { span, .. } => format!("again in {}", crate::text::span(*span)),
                Next::Fallback => "the fallback is next".to_owned(),
                Next::InDoubt => "did it happen? nobody knows".to_owned(),
            };
            named("↻", state, failed.task, &format!("{}; {next}", clean(&failed.failure.message)))
        }
        Event::TaskFailed(failed) => {
            named("✗", state, failed.task, &clean(&failed.failure.message))
        }
        Event::TaskSkipped(skipped) => {
            let why = match skipped.cause {
                SkipCause::When => "skipped: its `when` is false",
                SkipCause::Dependency => "skipped: what it needs failed",
            };
            named("·", state, skipped.task, why)
        }
        Event::TaskCancelled(cancelled) => named("·", state, cancelled.task, "cancelled"),
        Event::CallUndone(undone) => named("↻", state, undone.task, "it did not happen; again"),
        Event::TaskEmitted(emitted) => {
            named("»", state, emitted.task, &format!("emitted {}", clean(&emitted.event_type)))
        }
        Event::Paused(_) => "  ‖ paused".to_owned(),
        Event::Resumed(_) => "  ▶ resumed".to_owned(),
        Event::CancelRequested(_) => "  ■ cancelling: what runs was told to stop".to_owned(),
        Event::Retried(retried) => {
            format!("  ↻ run {}: {} tasks again", retried.run, retried.tasks.len())
        }
        Event::Admitted(_)
        | Event::Approved(_)
        | Event::SentBack(_)
        | Event::Started(_)
        | Event::Finished(_)
        | Event::ClockSet(_)
        | Event::DefinitionRegistered(_)
        | Event::Purged(_) => return None,
    };
    Some(text)
}

fn named(sign: &str, state: &WorkflowState, task: Ordinal, what: &str) -> String {
    format!("  {sign} {:<18} {what}", clean(&state.key_of(task)))
}

fn is_call(state: &WorkflowState, task: Ordinal) -> bool {
    state.task_plan(task).is_some_and(|plan| matches!(plan.work, Work::Tool(_) | Work::Workflow(_)))
}

fn tool(state: &WorkflowState, task: Ordinal) -> String {
    state.call(task).map_or_else(String::new, |call| clean(&call.tool))
}

fn waiting(waited: &baton_core::workflow::TaskWaited) -> String {
    use baton_core::workflow::Waiting;
    match &waited.on {
        Waiting::Person { ask } if ask.is_empty() => "an answer".to_owned(),
        Waiting::Person { ask } => format!("an answer: {}", headline(ask)),
        Waiting::Timer { span: Some(span), .. } => crate::text::span(*span),
        Waiting::Timer { until, .. } => format!("{until}"),
        Waiting::Event { pattern, .. } => format!("an event `{}`", clean(pattern)),
        Waiting::InDoubt { .. } => "word of whether its call happened".to_owned(),
        Waiting::Child { child } => format!("its child {child}"),
    }
}

fn took(state: &WorkflowState, task: Ordinal, at: Timestamp) -> String {
    let Some(facts) = state.task(task) else {
        return String::new();
    };
    let items = match facts.output() {
        Some(Output::Items { count, .. }) => format!("{count} items, "),
        Some(Output::Value(_)) | None => String::new(),
    };
    let started = facts.started_at.unwrap_or(at);
    let tool = tool(state, task);
    let dot = if tool.is_empty() { "" } else { " · " };
    format!("{tool}{dot}{items}{}", crate::text::span(at.since(started)))
}

fn json_line(state: &WorkflowState, record: &Record, event: &Event) -> String {
    let kind = EventKind::from_code(record.kind).map_or("unknown", |kind| kind.word());
    let data = serde_json::value::RawValue::from_string(record.body.to_string()).ok();
    let line = serde_json::json!({
        "event": kind,
        "position": record.position,
        "at": record.at,
        "workflow_id": state.id,
        "task": event.task().map(|task| state.key_of(task)),
        "progress": progress(state).percentage,
        "data": data,
    });
    line.to_string()
}
