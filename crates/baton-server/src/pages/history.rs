//! What the journal says of one workflow, as far as a page needs it: its newest events, and when the
//! attempts of its tasks started.
//!
//! A workflow of very many events is not read whole: then only the newest are there.

use std::collections::BTreeMap;

use baton_core::body::Json;
use baton_core::codes::Code;
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::WorkflowRow;
use baton_core::workflow::{Amount, BudgetScope, Event, EventKind};
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

    /// When the attempts of each task started, in order; nothing of a history too long to be read.
    pub fn starts(&self) -> Result<BTreeMap<Ordinal, Vec<Timestamp>>, StoreError> {
        let mut starts: BTreeMap<Ordinal, Vec<Timestamp>> = BTreeMap::new();
        if !self.is_whole {
            return Ok(starts);
        }
        for record in self.records.iter().filter(|it| it.kind == EventKind::TaskStarted.code()) {
            if let Event::TaskStarted(started) = read_event(record)? {
                starts.entry(started.task).or_default().push(record.at);
            }
        }
        Ok(starts)
    }
}

/// What the journal says of the present run's budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// What people granted beyond the workflow's own.
    pub more: Amount,
    /// Where the run was opened; `None` where it is the first.
    pub opened_at: Option<u64>,
}

impl History {
    /// What was granted in the present run; `None` of a history too long to be read.
    pub fn granted(&self) -> Result<Option<Granted>, StoreError> {
        let mut granted = Granted::default();
        let tells = [EventKind::BudgetRaised.code(), EventKind::Retried.code()];
        for record in self.records.iter().filter(|it| tells.contains(&it.kind)) {
            let event = read_event(record)?;
            if let Event::Retried(_) = event {
                granted = Granted { opened_at: Some(record.position), ..Granted::default() };
            }
            if let Event::BudgetRaised(raised) = event
                && raised.scope == BudgetScope::Workflow
            {
                granted.more = granted.more.plus(raised.by);
            }
        }
        Ok(self.is_whole.then_some(granted))
    }
}

/// Why a task failed, if that is the last that happened to it.
pub fn failure_of(
    task: &TaskView,
    number: u64,
    views: &mut dyn Views,
) -> Result<Option<CallFailure>, StoreError> {
    let found = views.events(task.position.saturating_sub(1), Some(number), 1)?;
    Ok(match found.first().map(read_event).transpose()? {
        Some(Event::TaskFailed(failed)) => Some(failed.failure),
        Some(_) | None => None,
    })
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
