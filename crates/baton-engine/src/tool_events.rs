//! Calls of tools as CloudEvents: `tool.{server}.{tool}.called`, then `….completed` or `….failed`,
//! exactly one for each attempt that calls a tool, whoever asked for it and however it ended.
//!
//! A function of the journal alone: nothing is stored for it. The event that ends a call names as its
//! cause the one that began it, so that telling of it takes one look at the journal and no fold.
//! Probes are not told of: they ask about a call, in no attempt of their own. Neither are workers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use baton_core::body::{Body, INLINE_BYTES_MAX, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, TaskId};
use baton_core::time::Timestamp;
use baton_core::words::FailureKind;
use baton_core::workflow::{Event, TaskStarted};
use serde::Serialize;
use serde_json::json;

use crate::events::{EventView, StreamName};
use crate::live::read_event;
use crate::made::{Answers, Provenance};
use crate::naming::Named;
use crate::ports::CallContext;
use crate::store::{Record, StoreError, Views};

/// How many calls that are under way are remembered before they are looked up again.
const CALLS_MAX: usize = 10_000;

/// Tells of calls, and remembers those whose beginning was seen.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls {
    begun: HashMap<u64, Begun>,
    answers: Answers,
}

/// A call that has begun.
#[derive(Clone, Debug)]
struct Begun {
    at: Timestamp,
    task: Ordinal,
    attempt: u32,
    tool: Arc<str>,
    arguments: Json,
    traceparent: String,
}

/// What was called, and what came of it.
#[derive(Serialize)]
struct CallData<'d> {
    /// `server.tool`.
    tool: &'d str,
    /// The first part of it.
    server_id: &'d str,
    /// The input.
    arguments: &'d Json,
    /// What it brought, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Json>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<CallFailure>,
    /// From the event of its beginning to that of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// The attempt of the task, over all of its runs.
    attempt: u32,
}

/// How a call ended.
enum End<'e> {
    Brought(&'e Body),
    Failed(Cow<'e, CallFailure>),
}

/// What is told of a call, under which name.
type Message = (StreamName, EventView<'static>);

impl ToolCalls {
    /// What an event of a task says of a call, if it begins or ends one; `view` is the event itself as
    /// it is shown.
    pub fn message(
        &mut self,
        record: &Record,
        event: &Event,
        of: (&Named, Provenance),
        view: &EventView<'_>,
        views: &mut dyn Views,
    ) -> Result<Option<Message>, StoreError> {
        self.answers.see(record, event);
        if let Event::TaskStarted(started) = event {
            let Some(begun) = self.begin(record, started, of, views)? else { return Ok(None) };
            let message = begun.tell(view, StreamName::ToolCalled, (None, None), None)?;
            if self.begun.len() >= CALLS_MAX {
                self.begun.clear();
            }
            self.begun.insert(record.position, begun);
            return Ok(Some((StreamName::ToolCalled, message)));
        }
        let Some((task, end)) = event.task().zip(end_of(event)) else { return Ok(None) };
        let Some(begun) = self.beginning(record, task, of, views)? else { return Ok(None) };
        let took = record.at.since(begun.at).as_millis();
        let took = Some(u64::try_from(took).unwrap_or(u64::MAX));
        let (name, came) = match end {
            End::Brought(body) => {
                let result = shown(body, of.0.id.task(task));
                (StreamName::ToolCompleted, (Some(result), None))
            }
            End::Failed(failure) => (StreamName::ToolFailed, (None, Some(failure.into_owned()))),
        };
        Ok(Some((name, begun.tell(view, name, came, took)?)))
    }

    /// The beginning of the call that an event ends, if it ends one.
    fn beginning(
        &mut self,
        record: &Record,
        task: Ordinal,
        of: (&Named, Provenance),
        views: &mut dyn Views,
    ) -> Result<Option<Begun>, StoreError> {
        if let Some(begun) = self.begun.remove(&record.cause) {
            return Ok(Some(begun).filter(|begun| begun.task == task));
        }
        let Some(before) = record.cause.checked_sub(1) else { return Ok(None) };
        let found = views.events(before, None, 1)?;
        let first = found.first();
        let cause = first.filter(|it| (it.position, it.stream) == (record.cause, record.stream));
        let Some(cause) = cause else { return Ok(None) };
        let Event::TaskStarted(started) = read_event(cause)? else { return Ok(None) };
        if started.task != task {
            return Ok(None);
        }
        self.begin(cause, &started, of, views)
    }

    /// The call that an attempt begins with, if it calls a tool.
    fn begin(
        &mut self,
        record: &Record,
        started: &TaskStarted,
        (named, made): (&Named, Provenance),
        views: &mut dyn Views,
    ) -> Result<Option<Begun>, StoreError> {
        let TaskStarted { task, attempt, .. } = *started;
        let id = named.id.task(task);
        // Without an input, what an agent wrote was it, or the plan's own text.
        let (tool, given) = if let Some(asked) = made.asked {
            let Some(call) = self.answers.call(record.stream, asked, views)? else {
                return Ok(None);
            };
            (Arc::from(call.tool), shown(&call.input, id))
        } else {
            let Some(call) = named.wording.call(made.of, started.rung) else { return Ok(None) };
            (Arc::clone(&call.tool), bounded(&call.with, id))
        };
        let arguments = started.input.as_ref().map_or(given, |body| shown(body, id));
        let context = CallContext::new(named.id, (task, attempt), named.conversation);
        let traceparent = context.traceparent;
        Ok(Some(Begun { at: record.at, task, attempt, tool, arguments, traceparent }))
    }
}

impl Begun {
    fn tell(
        &self,
        view: &EventView<'_>,
        name: StreamName,
        (result, error): (Option<Json>, Option<CallFailure>),
        duration_ms: Option<u64>,
    ) -> Result<EventView<'static>, StoreError> {
        let tool = self.tool.as_ref();
        let server = tool.split('.').next().unwrap_or(tool);
        let data = CallData {
            tool,
            server_id: server,
            arguments: &self.arguments,
            result,
            error,
            duration_ms,
            attempt: self.attempt,
        };
        let data = serde_json::value::to_raw_value(&data);
        let word = name.word().trim_start_matches("tool.");
        Ok(EventView {
            specversion: view.specversion,
            id: view.id.clone(),
            source: format!("/api/v1/servers/{server}"),
            kind: format!("tool.{tool}.{word}").into(),
            subject: view.subject.clone(),
            time: view.time,
            datacontenttype: view.datacontenttype,
            conversationid: view.conversationid,
            correlationid: view.correlationid,
            causationid: view.causationid.clone(),
            actor: view.actor.clone(),
            traceparent: Some(self.traceparent.clone()),
            task: view.task.clone(),
            data: Cow::Owned(data.map_err(|e| StoreError::Corrupt(e.to_string()))?),
        })
    }
}

/// How an event ends the call of its task, if it does.
fn end_of(event: &Event) -> Option<End<'_>> {
    match (event, event.attempt_end()?) {
        (Event::TaskCompleted(completed), _) => completed.output.body().map(End::Brought),
        (_, (_, Some(failure))) => Some(End::Failed(Cow::Borrowed(failure))),
        (_, (_, None)) => {
            let message = "the call was ended with its workflow";
            let failure = CallFailure::in_doubt(FailureKind::Cancelled, message);
            Some(End::Failed(Cow::Owned(failure)))
        }
    }
}

/// A body as a message has it: what stands in the journal's event, or where to read what does not.
pub(crate) fn shown(body: &Body, task: TaskId) -> Json {
    match body {
        Body::Inline(json) => json.clone(),
        Body::Blob { hash, size } => {
            let place = format!("/api/v1/tasks/{task}");
            Json::of(&json!({ "$ref": place, "bytes": size, "sha256": hash.to_string() }))
        }
    }
}

/// The same of a text of the plan.
fn bounded(text: &Json, task: TaskId) -> Json {
    let bytes = text.as_str().len();
    if bytes <= INLINE_BYTES_MAX {
        return text.clone();
    }
    Json::of(&json!({ "$ref": format!("/api/v1/tasks/{task}"), "bytes": bytes }))
}
