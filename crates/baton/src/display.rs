//! How a running workflow looks: a bar and a line for each task on a terminal, plain lines when
//! piped, one JSON object an event for scripts. It only prints what it is handed.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ids::Ordinal;
use baton_core::plan::Work;
use baton_core::progress::progress;
use baton_core::spoken::{grouped, many};
use baton_core::time::Timestamp;
use baton_core::words::{Happened, SkipCause};
use baton_core::workflow::question::{Answer, Withdrawal};
use baton_core::workflow::{
    Amount, Event, Next, Output, TaskAnswered, TaskWaited, Waiting, WorkflowState,
};
use baton_engine::chunks::Chunk;
use baton_engine::said::Said;
use indicatif::{ProgressBar, ProgressStyle};

use crate::reading::ShownEvent;
use crate::speaking::Speaking;
use crate::text::{clean, headline};

/// How many executing tasks the bar names.
const NAMED_MAX: usize = 4;

/// How many failures of an `each`'s items are shown with their reason.
const ITEM_LINES_MAX: u32 = 5;

/// The bar that is drawn now: what any thread says goes above it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn drawn() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows one workflow.
pub struct Display {
    surface: Surface,
    /// Lines about items, by the `each` they are of.
    item_lines: HashMap<Ordinal, u32>,
    children: Vec<ChildProgress>,
    said: Vec<Said>,
    speaking: Speaking,
}

/// Where and how a workflow is shown.
enum Surface {
    /// A terminal: lines above a live bar.
    Terminal(ProgressBar),
    /// Lines to standard error.
    Plain,
    /// JSON lines to standard output.
    Json,
}

/// How far a child workflow is that a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildProgress {
    /// The task's key.
    pub key: String,
    /// Tasks of the child that have completed, and all of them.
    pub completed: (u32, u32),
}

impl Display {
    /// What fits the output: JSON when asked for, a bar on a terminal, lines elsewhere.
    pub fn choose(json: bool) -> Self {
        let surface = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Surface::Json,
            (false, false) => Surface::Plain,
            (false, true) => Surface::Terminal(draw_bar()),
        };
        let (item_lines, speaking) = (HashMap::new(), Speaking::default());
        Self { surface, item_lines, children: Vec::new(), said: Vec::new(), speaking }
    }

    /// Shows an event; `state` is the workflow after it.
    pub fn event(&mut self, state: &WorkflowState, shown: &ShownEvent, event: &Event) {
        let is_start = matches!(event, Event::TaskStarted(_));
        match &self.surface {
            Surface::Json => say_out(&json_line(state, shown, event)),
            // The bar names what executes.
            Surface::Terminal(_) if is_start => {}
            Surface::Terminal(_) | Surface::Plain => {
                let line = line(state, event, shown.time);
                if let Some(line) = line.and_then(|line| self.bounded(state, event, line)) {
                    say(&line);
                }
            }
        }
        self.move_bar(state);
    }

    /// Shows how far children are.
    pub fn children(&mut self, state: &WorkflowState, children: Vec<ChildProgress>) {
        if children != self.children {
            self.children = children;
            self.move_bar(state);
        }
    }

    /// Shows how far running tasks say they are.
    pub fn said(&mut self, state: &WorkflowState, said: Vec<Said>) {
        if said != self.said {
            self.said = said;
            self.move_bar(state);
        }
    }

    /// Shows what models say in the turns that run: their last words on a terminal, every piece as a
    /// line of JSON, nothing elsewhere.
    pub fn spoken(&mut self, state: &WorkflowState, chunks: Vec<Chunk>) {
        self.speaking.forget_past(state);
        for chunk in chunks {
            let new = self.speaking.hear(state, chunk);
            if let (Surface::Json, Some(new)) = (&self.surface, new) {
                say_out(&text_line(state, &new));
            }
        }
        if let Surface::Terminal(bar) = &self.surface {
            let lines = self.speaking.lines(state);
            let lines = lines.iter().map(|line| format!("\n    {line}")).collect::<String>();
            if lines != bar.prefix() {
                bar.set_prefix(lines);
            }
        }
    }

    /// Ends the display.
    pub fn end(&self) {
        *drawn() = None;
        if let Surface::Terminal(bar) = &self.surface {
            bar.finish_and_clear();
        }
    }

    /// Runs something that prints by itself.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        let Surface::Terminal(bar) = &self.surface else {
            return work();
        };
        *drawn() = None;
        let done = bar.suspend(work);
        *drawn() = Some(bar.clone());
        done
    }

    fn move_bar(&self, state: &WorkflowState) {
        if let Surface::Terminal(bar) = &self.surface {
            bar.set_position(u64::from(progress(state).percentage));
            bar.set_message(bar_message(state, &self.children, &self.said));
        }
    }

    /// A line, unless the `each` it is about has had its share.
    fn bounded(&mut self, state: &WorkflowState, event: &Event, line: String) -> Option<String> {
        let Some(each) = event.task().and_then(|task| each_of(state, task)) else {
            return Some(line);
        };
        let lines = self.item_lines.entry(each).or_default();
        *lines = lines.saturating_add(1);
        match *lines {
            ..=ITEM_LINES_MAX => Some(line),
            lines if lines == ITEM_LINES_MAX + 1 => {
                let more = format!("… `baton show {}` has more about its items", state.id);
                Some(named(" ", state, each, &more))
            }
            _ => None,
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

fn draw_bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    let style = ProgressStyle::with_template(
        "  {spinner} [{bar:28}] {percent:>3}% {wide_msg}{prefix:.dim}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
    bar.enable_steady_tick(Duration::from_millis(120));
    *drawn() = Some(bar.clone());
    bar
}

/// Prints a line for people.
pub fn say(line: &str) {
    // Nobody is left to tell when standard error is gone.
    let write = || writeln!(std::io::stderr().lock(), "{line}");
    let bar = drawn().clone();
    let _ = bar.map_or_else(write, |bar| bar.suspend(write));
}

/// Prints a result.
pub fn say_out(text: &str) {
    // A reader that has left wants nothing more.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn bar_message(state: &WorkflowState, children: &[ChildProgress], said: &[Said]) -> String {
    let counts = progress(state);
    let executing = state.executing().map(|task| {
        let key = clean(&state.key_of(task));
        let attempt = state.task(task).map(|facts| facts.attempts);
        let is_its =
            |said: &&Said| (said.task, Some(said.attempt)) == (state.id.task(task), attempt);
        match said.iter().find(is_its) {
            Some(said) => format!("{key} ({})", clean(&said.line())),
            None => key,
        }
    });
    let children = children.iter().map(|child| {
        let (completed, total) = child.completed;
        format!("{} {completed}/{total}", clean(&child.key))
    });
    let mut names: Vec<String> = children.chain(executing).take(NAMED_MAX + 1).collect();
    if names.len() > NAMED_MAX {
        names.truncate(NAMED_MAX);
        names.push("…".to_owned());
    }
    let dot = if names.is_empty() { "" } else { " · " };
    format!("{} of {}{dot}{}", counts.completed, counts.total, names.join(", "))
}

/// The line an event is worth, if it is worth one.
// Long because it has one arm for each event.
fn line(state: &WorkflowState, event: &Event, at: Timestamp) -> Option<String> {
    let is_item = |task: Ordinal| each_of(state, task).is_some();
    let text = match event {
        Event::TaskStarted(started) if is_item(started.task) || !is_call(state, started.task) => {
            return None;
        }
        Event::TaskStarted(started) => named("▶", state, started.task, &tool(state, started.task)),
        Event::TaskWaited(waited) if matches!(waited.on, Waiting::Child { .. }) => {
            named("▶", state, waited.task, &waiting(state, waited))
        }
        Event::TaskWaited(waited) => {
            named("…", state, waited.task, &format!("waits for {}", waiting(state, waited)))
        }
        Event::TaskExpanded(expanded) => {
            named("▶", state, expanded.task, &format!("{} items", expanded.count))
        }
        Event::TaskCompleted(done) if is_item(done.task) => return None,
        Event::TaskCompleted(done) => named("✓", state, done.task, &took(state, done.task, at)),
        Event::AttemptFailed(failed) => {
            let next = match &failed.next {
                Next::Repeat => "again at once".to_owned(),
                Next::Retry { span, .. } => format!("again in {}", baton_core::spoken::span(*span)),
                Next::Fallback => "the fallback is next".to_owned(),
                Next::Model => "its next model is asked".to_owned(),
                Next::InDoubt => "did it happen? nobody knows".to_owned(),
            };
            let asked_a_model = state.agent_call(failed.task).is_some();
            let billed = match failed.failure.happened {
                Happened::Unknown | Happened::Yes if asked_a_model => "possibly billed; ",
                Happened::Unknown | Happened::Yes | Happened::No => "",
            };
            let why = clean(&failed.failure.message);
            named("↻", state, failed.task, &format!("{why}; {billed}{next}"))
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
        Event::QuestionAsked(asked) => {
            let ask = headline(&asked.question.message);
            named("?", state, asked.task, &format!("its call asks: {ask}"))
        }
        Event::QuestionAnswered(answered) => {
            let said = match answered.answer {
                Answer::Accepted(_) => "answered; its call goes on",
                Answer::Declined => "declined; its call goes on",
            };
            named("▶", state, answered.task, said)
        }
        Event::QuestionWithdrawn(withdrawn) => {
            let why = match withdrawn.cause {
                Withdrawal::CallEnded => "its call ended without the answer",
                Withdrawal::CallLost => "its call was lost; nobody is asked any more",
                Withdrawal::TakenBack => "its call took the question back",
                Withdrawal::RunEnds => "the run ends; nobody is asked any more",
            };
            named("·", state, withdrawn.task, why)
        }
        Event::TaskAnswered(answered) => answer(state, answered),
        Event::CallApproved(approved) => named("▶", state, approved.task, "approved"),
        Event::BudgetRaised(raised) if raised.by == Amount::default() => {
            named("▶", state, raised.task, "a new day has a budget of its own")
        }
        Event::BudgetRaised(raised) => {
            let by = baton_core::spoken::amount(&raised.by);
            named("▶", state, raised.task, &format!("granted {by} more"))
        }
        Event::ModelChanged(changed) => {
            let model = state.model_of(changed.task).map_or("", |model| &model.name);
            named("↻", state, changed.task, &format!("goes on with {}", clean(model)))
        }
        Event::TranscriptCompacted(compacted) => {
            let what = format!(
                "its transcript is too long: {} and {} are left out",
                many(u64::from(compacted.left_out), "result"),
                many(u64::from(compacted.dropped), "turn")
            );
            named("·", state, compacted.task, &what)
        }
        Event::Paused(_) => "  ‖ paused".to_owned(),
        Event::Resumed(_) => "  ▶ resumed".to_owned(),
        Event::CancelRequested(_) => "  ■ cancelling: what runs was told to stop".to_owned(),
        Event::Retried(retried) => {
            let tasks = many(retried.tasks.len() as u64, "task");
            format!("  ↻ run {}: {tasks} again", retried.run)
        }
        Event::PlanEdited(edited) => format!("  ✎ the plan was edited: edit {}", edited.edit),
        Event::EditUndone(undone) => format!("  ✎ edit {} of the plan was undone", undone.edit),
        Event::Admitted(_)
        | Event::Approved(_)
        | Event::SentBack(_)
        | Event::Conversation(_)
        | Event::Started(_)
        | Event::Finished(_)
        | Event::ClockSet(_)
        | Event::DefinitionRegistered(_)
        | Event::Purged(_)
        | Event::BatchPurged(_)
        | Event::DefinitionRemoved(_)
        | Event::EventReceived(_)
        | Event::TriggerFired(_)
        | Event::TokenCreated(_)
        | Event::TokenRevoked(_)
        | Event::ServerReleased(_) => return None,
    };
    Some(text)
}

fn named(sign: &str, state: &WorkflowState, task: Ordinal, what: &str) -> String {
    format!("  {sign} {:<18} {what}", clean(&state.key_of(task)))
}

/// What came of an agent's turn: `turn 2: asks for 3 calls · test/one, 1,200 tokens in and 56 out`.
fn answer(state: &WorkflowState, answered: &TaskAnswered) -> String {
    let what = match (answered.calls.len(), &answered.again) {
        (0, None) => "answers".to_owned(),
        (0, Some(_)) => "its answer does not fit; it is asked again".to_owned(),
        (calls, _) => {
            let refused = answered.calls.iter().filter(|call| call.refused.is_some()).count();
            let refused = match refused {
                0 => String::new(),
                refused => format!(", {refused} refused"),
            };
            format!("asks for {}{refused}", many(calls as u64, "call"))
        }
    };
    let turns = state.agent_run(answered.task).map_or(0, |run| run.turns);
    let model = state.model_of(answered.task).map_or("", |model| model.name.as_str());
    let (read, written) = (answered.usage.input_tokens, answered.usage.output_tokens);
    let tokens = format!("{} tokens in and {} out", grouped(read), grouped(written));
    let what = format!("turn {turns}: {what} · {}, {tokens}", clean(model));
    named("›", state, answered.task, &what)
}

/// The `each` whose items a task is one of, or was asked for by one of.
fn each_of(state: &WorkflowState, task: Ordinal) -> Option<Ordinal> {
    let (items, _) = state.item(task)?;
    if items.is_each() { Some(items.parent) } else { each_of(state, items.parent) }
}

fn is_call(state: &WorkflowState, task: Ordinal) -> bool {
    let asked = state.asked_call(task).is_some();
    asked
        || state
            .task_plan(task)
            .is_some_and(|plan| matches!(plan.work, Work::Tool(_) | Work::Worker(_)))
}

fn tool(state: &WorkflowState, task: Ordinal) -> String {
    match (state.called_tool(task), state.lease(task)) {
        (Some((tool, _)), _) => clean(tool),
        (None, Some(lease)) => format!("leased by {}", clean(&lease.worker)),
        (None, None) => String::new(),
    }
}

fn waiting(state: &WorkflowState, waited: &TaskWaited) -> String {
    match &waited.on {
        Waiting::Person { ask } if ask.is_empty() => "an answer".to_owned(),
        Waiting::Person { ask } => format!("an answer: {}", headline(ask)),
        Waiting::Question { question, .. } => {
            format!("an answer: {}", headline(&question.message))
        }
        Waiting::Approval { ask, .. } => format!("an approval: {}", headline(ask)),
        Waiting::Budget { ask, .. } => format!("room in its budget: {}", headline(ask)),
        Waiting::Timer { span: Some(span), .. } => baton_core::spoken::span(*span),
        Waiting::Timer { until, .. } => format!("{until}"),
        Waiting::Event { pattern, .. } => format!("an event `{}`", clean(pattern)),
        Waiting::InDoubt { .. } => "word of whether its call happened".to_owned(),
        Waiting::Child { child } => match state.task_plan(waited.task).map(|plan| &plan.work) {
            Some(Work::Workflow(plan)) => format!("`{}` · {child}", clean(&plan.name)),
            Some(
                Work::Tool(_)
                | Work::Human(_)
                | Work::Wait(_)
                | Work::Emit(_)
                | Work::Worker(_)
                | Work::Agent(_),
            )
            | None => format!("its child {child}"),
        },
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
    format!("{tool}{dot}{items}{}", baton_core::spoken::span(at.since(started)))
}

/// A piece of what a model says, as [`json_line`] tells events.
fn text_line(state: &WorkflowState, chunk: &Chunk) -> String {
    let line = serde_json::json!({
        "event": "text.delta",
        "workflow_id": state.id,
        "task": chunk.turn.task.split().map(|(_, task)| state.key_of(task)),
        "stream": chunk.turn.to_string(),
        "offset": chunk.offset,
        "seq": chunk.seq(),
        "text": chunk.text,
    });
    line.to_string()
}

fn json_line(state: &WorkflowState, shown: &ShownEvent, event: &Event) -> String {
    let line = serde_json::json!({
        "event": shown.kind,
        "position": shown.position(),
        "at": shown.time,
        "workflow_id": state.id,
        "task": event.task().map(|task| state.key_of(task)),
        "progress": progress(state).percentage,
        "data": shown.data,
    });
    line.to_string()
}
