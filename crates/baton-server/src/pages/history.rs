//! What the journal says of one workflow, as far as a page needs it: its newest events, and what each
//! task was given, tried and brought.
//!
//! A workflow of very many events is not read whole: then only the newest are there.

use std::collections::BTreeMap;

use baton_core::body::{Body, Json};
use baton_core::codes::Code;
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;
use baton_core::words::AttemptStatus;
use baton_core::workflow::rows::WorkflowRow;
use baton_core::workflow::{Event, EventKind, Next, Output};
use baton_engine::live::read_event;
use baton_engine::store::{Record, StoreError, Views};
use baton_engine::view::TaskView;
use serde_json::Value;

/// Up to this many events are read whole.
const WHOLE_MAX: u64 = 5_000;
/// Of a longer history, this many of the newest.
const NEWEST_MAX: usize = 60;

/// The events of a workflow that were read, oldest first.
#[derive(Debug)]
pub struct History {
    /// The events.
    pub records: Vec<Record>,
    is_whole: bool,
}

/// One execution of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Over all runs.
    pub number: u32,
    /// How it ended, or that it has not.
    pub status: AttemptStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<CallFailure>,
    /// What follows the failure.
    pub next: Option<String>,
    /// What it was given, unless the plan's own text was that.
    pub input: Option<Body>,
}

/// What became of one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Life {
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// What it brought.
    pub output: Option<Output>,
    /// Why it failed for good.
    pub failure: Option<CallFailure>,
}

impl History {
    /// Reads as much as a page needs.
    pub fn read(views: &mut dyn Views, row: &WorkflowRow) -> Result<Self, StoreError> {
        if row.revision <= WHOLE_MAX {
            return Ok(Self { records: views.stream(row.number)?, is_whole: true });
        }
        let mut records = Vec::new();
        let mut at = row.head;
        while at > 0 && records.len() < NEWEST_MAX {
            let found = views.events(at - 1, Some(row.number), 1)?;
            let Some(record) = found.into_iter().next() else {
                break;
            };
            at = record.previous;
            records.push(record);
        }
        records.reverse();
        Ok(Self { records, is_whole: false })
    }

    /// What became of each task that these events tell of. Of the tasks in `wanted` at least the last
    /// event is looked at, however long ago it was.
    pub fn lives<'t>(
        &self,
        views: &mut dyn Views,
        wanted: impl Iterator<Item = &'t TaskView>,
    ) -> Result<BTreeMap<Ordinal, Life>, StoreError> {
        let mut lives: BTreeMap<Ordinal, Life> = BTreeMap::new();
        for record in &self.records {
            let event = read_event(record)?;
            if let Some(task) = event.task() {
                lives.entry(task).or_default().take(event, record.at);
            }
        }
        let first = self.records.first().map_or(0, |record| record.position);
        let stream = self.records.first().map(|record| record.stream);
        for task in wanted.filter(|task| !self.is_whole && task.position < first) {
            let found = views.events(task.position.saturating_sub(1), stream, 1)?;
            for record in found.iter().filter(|record| record.position == task.position) {
                lives.entry(task.ordinal).or_default().take(read_event(record)?, record.at);
            }
        }
        Ok(lives)
    }
}

impl Life {
    fn take(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::TaskStarted(started) => {
                self.output = None;
                self.failure = None;
                self.attempts.push(Attempt {
                    number: started.attempt,
                    status: AttemptStatus::Executing,
                    started_at: at,
                    ended_at: None,
                    failure: None,
                    next: None,
                    input: started.input,
                });
            }
            Event::AttemptFailed(failed) => {
                self.end(at, failed.status, Some(failed.failure), Some(next_text(&failed.next)));
            }
            Event::TaskFailed(failed) => {
                self.end(
                    at,
                    failed.status.unwrap_or(AttemptStatus::Failed),
                    Some(failed.failure.clone()),
                    None,
                );
                self.failure = Some(failed.failure);
            }
            Event::TaskCompleted(done) => {
                self.end(at, AttemptStatus::Completed, None, None);
                self.output = Some(done.output);
            }
            Event::TaskEmitted(emitted) => {
                self.end(at, AttemptStatus::Completed, None, None);
                self.output = Some(Output::Value(emitted.data));
            }
            Event::TaskCancelled(_) => self.end(at, AttemptStatus::Cancelled, None, None),
            Event::TaskWaited(_)
            | Event::TaskExpanded(_)
            | Event::TaskSkipped(_)
            | Event::CallUndone(_)
            | Event::Admitted(_)
            | Event::Approved(_)
            | Event::SentBack(_)
            | Event::Started(_)
            | Event::Paused(_)
            | Event::Resumed(_)
            | Event::CancelRequested(_)
            | Event::Finished(_)
            | Event::Retried(_)
            | Event::ClockSet(_)
            | Event::DefinitionRegistered(_)
            | Event::Purged(_)
            | Event::BatchPurged(_) => {}
        }
    }

    fn end(
        &mut self,
        at: Timestamp,
        status: AttemptStatus,
        failure: Option<CallFailure>,
        next: Option<String>,
    ) {
        let Some(last) = self.attempts.last_mut().filter(|attempt| attempt.ended_at.is_none())
        else {
            return;
        };
        last.status = status;
        last.ended_at = Some(at);
        last.failure = failure;
        last.next = next;
    }
}

fn next_text(next: &Next) -> String {
    match next {
        Next::Repeat => "the same call again".to_owned(),
        Next::Retry { span, .. } => format!("again after {}", super::times::exact(*span)),
        Next::Fallback => "its fallback".to_owned(),
        Next::InDoubt => "in doubt: somebody must say whether it happened".to_owned(),
    }
}

/// The public word of an event's kind.
pub fn kind_word(record: &Record) -> &'static str {
    EventKind::from_code(record.kind).map_or("unknown", |kind| kind.word())
}

/// JSON as people read it: a text as it is, anything else over lines.
pub fn pretty(json: &Json) -> String {
    match json.value() {
        Value::String(text) => text,
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            serde_json::to_string_pretty(&value).unwrap_or_else(|_| json.as_str().to_owned())
        }
    }
}
