//! A workflow as a trace: one span for the workflow and one for each attempt, with the ids that its
//! calls pass on as W3C trace context.
//!
//! A function of the journal. What happens inside an attempt is told by whoever was called.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::ids::{Ordinal, TaskId};
use baton_core::time::Timestamp;
use baton_core::words::AttemptStatus;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_core::workflow::{Event, TaskStarted};
use serde::Serialize;

use crate::live::read_event;
use crate::made::{Answers, Provenance};
use crate::naming::{Named, Naming};
use crate::ports::span_id;
use crate::store::{Record, StoreError, Views};
use crate::wording::Wordings;

/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 1_000;

/// A part of a workflow's time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpanView {
    /// 16 hexadecimal digits, unique in the trace.
    pub span_id: String,
    /// The span it is part of; none of the workflow's own.
    pub parent_span_id: Option<String>,
    /// The workflow's name, or the task's key.
    pub name: String,
    /// The task.
    pub task_id: Option<TaskId>,
    /// The number of the attempt.
    pub attempt: Option<u32>,
    /// The tool it called, if it called one.
    pub tool: Option<String>,
    /// The workflow's status, or that of the attempt.
    pub status: &'static str,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The spans of a workflow in the order of their beginning, its own first. Reads its events once
/// through.
pub fn trace(
    (card, row): (&WorkflowCard, &WorkflowRow),
    wordings: Arc<Wordings>,
    views: &mut dyn Views,
) -> Result<Vec<SpanView>, StoreError> {
    let mut tracing = Tracing {
        naming: Naming::with(wordings),
        answers: Answers::default(),
        spans: vec![whole(card, row)],
        open: HashMap::new(),
    };
    let mut after = 0;
    loop {
        let records = views.events(after, Some(card.number), EVENTS_AT_ONCE)?;
        let Some(last) = records.last() else {
            return Ok(tracing.spans);
        };
        after = last.position;
        for record in &records {
            tracing.see(record, views)?;
        }
    }
}

/// The span of the workflow: from its admission to the end of its run.
fn whole(card: &WorkflowCard, row: &WorkflowRow) -> SpanView {
    SpanView {
        span_id: hex(span_id(&card.id.to_string())),
        parent_span_id: None,
        name: card.name.clone(),
        task_id: None,
        attempt: None,
        tool: None,
        status: row.status.word(),
        started_at: card.created_at,
        ended_at: row.ended_at,
        error: None,
    }
}

fn hex(span: u64) -> String {
    format!("{span:016x}")
}

struct Tracing {
    naming: Naming,
    answers: Answers,
    spans: Vec<SpanView>,
    /// The spans of attempts that have not ended, by their place.
    open: HashMap<Ordinal, usize>,
}

impl Tracing {
    fn see(&mut self, record: &Record, views: &mut dyn Views) -> Result<(), StoreError> {
        let event = read_event(record)?;
        self.answers.see(record, &event);
        if let (Event::TaskStarted(started), Some((named, Some(made)))) =
            (&event, self.naming.of(record, Some(&event), views)?)
        {
            let parent = self.spans.first().map(|whole| whole.span_id.clone());
            let planned = || named.wording.call(made.of, started.rung);
            let tool = match made.asked {
                Some(asked) => {
                    self.answers.call(record.stream, asked, views)?.map(|call| call.tool)
                }
                None => planned().map(|call| call.tool.to_string()),
            };
            let span = SpanView { tool, ..attempt(started, (named, made), record.at, parent) };
            self.open.insert(started.task, self.spans.len());
            self.spans.push(span);
        } else if let Event::Finished(_) = &event {
            for at in std::mem::take(&mut self.open).into_values() {
                self.end(at, AttemptStatus::Cancelled, None, record.at);
            }
        } else if let Some((task, (status, error))) = event.task().zip(event.attempt_end())
            && let Some(at) = self.open.remove(&task)
        {
            self.end(at, status, error.map(|failure| failure.message.clone()), record.at);
        }
        Ok(())
    }

    fn end(&mut self, at: usize, status: AttemptStatus, error: Option<String>, when: Timestamp) {
        if let Some(span) = self.spans.get_mut(at) {
            (span.status, span.error, span.ended_at) = (status.word(), error, Some(when));
        }
    }
}

fn attempt(
    started: &TaskStarted,
    (named, made): (&Named, Provenance),
    at: Timestamp,
    parent: Option<String>,
) -> SpanView {
    let task = named.id.task(started.task);
    SpanView {
        span_id: hex(span_id(&format!("{task}:{}", started.attempt))),
        parent_span_id: parent,
        name: named.key(made).unwrap_or_default(),
        task_id: Some(task),
        attempt: Some(started.attempt),
        tool: None,
        status: AttemptStatus::Executing.word(),
        started_at: at,
        ended_at: None,
        error: None,
    }
}
