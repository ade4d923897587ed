//! The spans that a workflow, its tasks and attempts become when they end.
//!
//! An attempt's span is the call it makes: of a tool, or of a model. A task's holds those of its
//! attempts; an agent's holds its turns and the calls it asked for.

use baton_core::agent::Usage;
use baton_core::body::Body;
use baton_core::codes::Code;
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, TaskStatus, WorkflowStatus};
use baton_core::workflow::{Event, Outcome, Output};
use baton_engine::ports::span_id;

use crate::content::Telling;
use crate::names;
use crate::span::{Kind, Span, Value, short};
use crate::story::{Attempt, Open, Origin, Story, What};

type Attributes = Vec<(&'static str, Value)>;

/// How something ended.
struct End<'e> {
    at: Timestamp,
    /// The status it ended with.
    word: &'static str,
    /// Why, where it failed or was cut off.
    failure: Option<&'e CallFailure>,
    is_failure: IsFailure,
}

/// Whether an end is one that somebody should look at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsFailure {
    No,
    Yes,
}

impl Story {
    /// Takes the next event; gives what it ends, what is inside before what holds it.
    pub fn see(&mut self, at: Timestamp, event: &Event, telling: &mut Telling<'_>) -> Vec<Span> {
        self.begin(at, event);
        let mut ended = Vec::new();
        if let Some((task, (status, failure))) = event.task().zip(event.attempt_end()) {
            let end = of_attempt(at, status, failure);
            ended.extend(self.end_attempt(task, &end, event, telling));
        }
        if let Some((task, status)) = event.task().zip(task_end(event)) {
            let failure = event.attempt_end().and_then(|(_, failure)| failure);
            ended.extend(self.end_task(task, &of_task(at, status, failure), telling));
        }
        if let Event::Finished(finished) = event {
            self.end_run(at, event, &finished.outcome, telling, &mut ended);
        }
        ended
    }

    fn end_attempt(
        &mut self,
        task: Ordinal,
        end: &End<'_>,
        event: &Event,
        telling: &mut Telling<'_>,
    ) -> Option<Span> {
        let attempt = self.open.get_mut(&task)?.attempt.take()?;
        let parent = match self.origin(task) {
            Origin::Call { agent, .. } => self.task_span(agent),
            Origin::Plan(_) | Origin::Item { .. } => self.task_span(task),
        };
        let (name, kind, of_call) = self.call(task, &attempt, event, telling);
        let mut attributes = self.attributes(task);
        attributes.push((names::ATTEMPT, Value::Whole(attempt.number.into())));
        attributes.extend(of_call);
        let id = self.attempt_span(task, attempt.number);
        let span = self.span((id, Some(parent)), name, attempt.began, attributes);
        Some(ended(Span { kind, ..span }, end, telling))
    }

    /// What an attempt called, and what is told of the call.
    fn call(
        &self,
        task: Ordinal,
        attempt: &Attempt,
        event: &Event,
        telling: &mut Telling<'_>,
    ) -> (String, Kind, Attributes) {
        match &attempt.what {
            What::Model { model, told } => {
                let (provider, model) = names::provider_and_model(model);
                let mut all = vec![
                    (names::OPERATION, Value::name(names::CHAT)),
                    (names::PROVIDER, Value::name(provider)),
                    (names::REQUEST_MODEL, Value::name(model)),
                ];
                all.extend(self.agent(task));
                all.extend(turn(told.as_ref(), event, telling));
                (format!("{} {model}", names::CHAT), Kind::Client, all)
            }
            What::Tool { tool, id, arguments } => {
                let mut all = vec![
                    (names::OPERATION, Value::name(names::EXECUTE_TOOL)),
                    (names::TOOL_NAME, Value::name(tool)),
                ];
                all.extend(id.as_ref().map(|id| (names::TOOL_CALL_ID, Value::name(id))));
                all.extend(self.agent(task));
                all.extend(exchanged(arguments, event, telling));
                (format!("{} {tool}", names::EXECUTE_TOOL), Kind::Internal, all)
            }
            What::Work => {
                let (of, _) = self.named(task);
                let key = self.wording.key(of).unwrap_or_default();
                (format!("worker {key}"), Kind::Client, Vec::new())
            }
        }
    }

    /// The agent that a task is done by, or that asked for the call it is.
    fn agent(&self, task: Ordinal) -> Option<(&'static str, Value)> {
        let agent = self.wording.agent(self.named(task).0)?;
        Some((names::AGENT_NAME, Value::name(agent)))
    }

    fn end_task(
        &mut self,
        task: Ordinal,
        end: &End<'_>,
        telling: &mut Telling<'_>,
    ) -> Option<Span> {
        let open = self.open.remove(&task)?;
        let parent = match self.origin(task) {
            // It is one of its agent's spans, and its attempts are calls of that agent.
            Origin::Call { .. } => return None,
            Origin::Item { of, .. } => self.task_span(of),
            Origin::Plan(_) => self.run_span(),
        };
        let (of, key) = self.named(task);
        let (mut name, mut attributes) = (key, self.attributes(task));
        if let Some(agent) = self.wording.agent(of) {
            name = format!("{} {agent}", names::INVOKE_AGENT);
            attributes.push((names::OPERATION, Value::name(names::INVOKE_AGENT)));
            attributes.push((names::AGENT_NAME, Value::name(agent)));
            attributes.extend(asked(&open));
        } else if let Some(key) = self.wording.key(of) {
            key.clone_into(&mut name);
        }
        let place = (self.task_span(task), Some(parent));
        Some(ended(self.span(place, name, open.began, attributes), end, telling))
    }

    /// Ends what is still open, then the run itself.
    fn end_run(
        &mut self,
        at: Timestamp,
        event: &Event,
        outcome: &Outcome,
        telling: &mut Telling<'_>,
        all: &mut Vec<Span>,
    ) {
        let mut open: Vec<Ordinal> = self.open.keys().copied().collect();
        // What was made at run time lies behind what made it.
        open.sort_unstable_by(|one, other| other.cmp(one));
        for task in open {
            let end = of_attempt(at, AttemptStatus::Cancelled, None);
            all.extend(self.end_attempt(task, &end, event, telling));
            all.extend(self.end_task(task, &of_task(at, TaskStatus::Cancelled, None), telling));
        }
        let (name, version) = &self.definition;
        let attributes = vec![
            (names::OPERATION, Value::name(names::INVOKE_WORKFLOW)),
            (names::WORKFLOW_NAME, Value::name(name)),
            (names::CONVERSATION, Value::name(self.conversation)),
            (names::WORKFLOW_ID, Value::name(self.id)),
            (names::WORKFLOW_VERSION, Value::Whole((*version).into())),
            (names::RUN, Value::Whole(self.run.into())),
        ];
        let name = format!("{} {name}", names::INVOKE_WORKFLOW);
        let link = self.parent.and_then(|parent| {
            let (workflow, _) = parent.split()?;
            Some((*workflow.as_bytes(), span_id(&parent.to_string())))
        });
        let span = self.span((self.run_span(), None), name, self.began, attributes);
        all.push(ended(Span { link, ..span }, &of_run(at, outcome), telling));
    }

    fn span(
        &self,
        (id, parent): (u64, Option<u64>),
        name: String,
        began: Timestamp,
        attributes: Attributes,
    ) -> Span {
        let (trace, name) = (*self.id.as_bytes(), short(name));
        let (kind, link, failed) = (Kind::Internal, None, None);
        Span { trace, id, parent, link, name, kind, began, ended: began, attributes, failed }
    }

    /// What is known of every span of a task.
    fn attributes(&self, task: Ordinal) -> Attributes {
        vec![
            (names::CONVERSATION, Value::name(self.conversation)),
            (names::WORKFLOW_ID, Value::name(self.id)),
            (names::TASK_ID, Value::name(self.id.task(task))),
            (names::TASK_KEY, Value::name(self.named(task).1)),
        ]
    }
}

/// The span with its end.
fn ended(mut span: Span, end: &End<'_>, telling: &Telling<'_>) -> Span {
    span.ended = end.at.max(span.began);
    span.attributes.push((names::STATUS, Value::name(end.word)));
    if end.is_failure == IsFailure::Yes {
        let kind = end.failure.map_or(end.word, |failure| failure.kind.word());
        span.attributes.push((names::ERROR_TYPE, Value::name(kind)));
        span.failed = Some(telling.failure(end.failure));
    }
    span
}

fn of_attempt(at: Timestamp, status: AttemptStatus, failure: Option<&CallFailure>) -> End<'_> {
    let is_failure = match status {
        AttemptStatus::Failed | AttemptStatus::TimedOut | AttemptStatus::Lost => IsFailure::Yes,
        AttemptStatus::Executing | AttemptStatus::Completed | AttemptStatus::Cancelled => {
            IsFailure::No
        }
    };
    End { at, word: status.word(), failure, is_failure }
}

fn of_task(at: Timestamp, status: TaskStatus, failure: Option<&CallFailure>) -> End<'_> {
    let failed = status == TaskStatus::Failed;
    let is_failure = if failed { IsFailure::Yes } else { IsFailure::No };
    End { at, word: status.word(), failure, is_failure }
}

fn of_run(at: Timestamp, outcome: &Outcome) -> End<'_> {
    let (failure, is_failure) = match outcome {
        Outcome::Failed { failure, .. } => (Some(failure), IsFailure::Yes),
        Outcome::Completed { .. }
        | Outcome::CompletedWithErrors { .. }
        | Outcome::Cancelled { .. } => (None, IsFailure::No),
    };
    let status: WorkflowStatus = outcome.status();
    End { at, word: status.word(), failure, is_failure }
}

/// How an event ends its task, if it does.
fn task_end(event: &Event) -> Option<TaskStatus> {
    let ends = [
        (matches!(event, Event::TaskCompleted(_)), TaskStatus::Completed),
        (matches!(event, Event::TaskFailed(_)), TaskStatus::Failed),
        (matches!(event, Event::TaskSkipped(_)), TaskStatus::Skipped),
        (matches!(event, Event::TaskCancelled(_)), TaskStatus::Cancelled),
    ];
    ends.into_iter().find_map(|(is_it, status)| is_it.then_some(status))
}

/// What a model was told and said, and what that used.
fn turn(told: Option<&Body>, event: &Event, telling: &mut Telling<'_>) -> Attributes {
    let told = told.and_then(|body| telling.message(body));
    let told = told.map(|text| (names::INPUT_MESSAGES, Value::Text(text)));
    let mut all: Attributes = told.into_iter().collect();
    if let Event::TaskAnswered(answered) = event {
        all.extend(used(&answered.usage));
        let said = telling.message(&answered.message);
        all.extend(said.map(|text| (names::OUTPUT_MESSAGES, Value::Text(text))));
    }
    all
}

/// What a tool was given and gave.
fn exchanged(arguments: &Body, event: &Event, telling: &mut Telling<'_>) -> Attributes {
    let given = telling.text(arguments);
    let output =
        if let Event::TaskCompleted(completed) = event { Some(&completed.output) } else { None };
    let brought = output.and_then(Output::body).and_then(|body| telling.text(body));
    let given = given.map(|text| (names::TOOL_ARGUMENTS, Value::Text(text)));
    given.into_iter().chain(brought.map(|text| (names::TOOL_RESULT, Value::Text(text)))).collect()
}

/// What a call of a model used. The parts are contained in the sums.
fn used(usage: &Usage) -> Attributes {
    let mut all = vec![
        (names::INPUT_TOKENS, Value::count(usage.input_tokens)),
        (names::OUTPUT_TOKENS, Value::count(usage.output_tokens)),
    ];
    let parts = [
        (names::CACHE_READ_TOKENS, usage.cached_tokens),
        (names::CACHE_CREATION_TOKENS, usage.cache_write_tokens),
        (names::REASONING_TOKENS, usage.reasoning_tokens),
    ];
    let parts = parts.into_iter().filter(|(_, tokens)| *tokens > 0);
    all.extend(parts.map(|(name, tokens)| (name, Value::count(tokens))));
    all
}

/// What an agent's turns used, and of which model.
fn asked(open: &Open) -> Attributes {
    let Some(model) = &open.model else { return Vec::new() };
    let (provider, model) = names::provider_and_model(model);
    let mut all =
        vec![(names::PROVIDER, Value::name(provider)), (names::REQUEST_MODEL, Value::name(model))];
    all.extend(used(&open.used));
    all
}
