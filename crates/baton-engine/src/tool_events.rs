//! The end of each tool call as a CloudEvent: `tool.{server}.{tool}.completed` or `…failed`.
//!
//! A function of the journal alone: nothing is stored for it, and reading it again gives the same
//! bytes. What goes out where is the business of whoever sends it.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, TaskId};
use baton_core::time::Timestamp;
use baton_core::words::FailureKind;
use baton_core::workflow::{Event, Graph, Waiting, WorkflowState};
use serde::Serialize;

use crate::live::read_event;
use crate::ports::CallContext;
use crate::store::{Record, StoreError, Views};
use crate::view::{plan_at, text_of};

/// Arguments and results larger than this many bytes are named by their hash, not shown.
const SHOWN_BYTES_MAX: u64 = 64 * 1024;

/// The end of one call, in the form of CloudEvents 1.0.
#[derive(Clone, Debug, Serialize)]
pub struct ToolEvent {
    specversion: &'static str,
    /// The position of the journal's event; unique with the source.
    id: String,
    /// The workflow's path in the API.
    source: String,
    /// `tool.{server}.{tool}.completed` or `tool.{server}.{tool}.failed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The task.
    subject: TaskId,
    time: Timestamp,
    datacontenttype: &'static str,
    conversationid: ConversationId,
    /// The workflow, which is what belongs together.
    correlationid: String,
    /// The position of the event with which the call began.
    causationid: String,
    /// Who was behind the call's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    traceparent: String,
    /// What was called, and what came of it.
    pub data: ToolEventData,
}

/// What was called, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ToolEventData {
    /// `server.tool`.
    pub tool: String,
    /// The first part of it.
    pub server_id: String,
    /// The input.
    pub arguments: Json,
    /// What it brought, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CallFailure>,
    /// From the event of its beginning to that of its end.
    pub duration_ms: u64,
}

/// Follows one workflow and tells of the ends of its calls.
struct Following {
    state: WorkflowState,
    begun: HashMap<Ordinal, Begun>,
}

/// A call that has begun.
struct Begun {
    position: u64,
    at: Timestamp,
    tool: String,
    input: Body,
    traceparent: String,
}

/// How a call ended.
enum End {
    Brought(Body),
    Failed(CallFailure),
}

/// The ends of all tool calls of a workflow, in order; none where it was purged.
pub fn tool_events(number: u64, views: &mut dyn Views) -> Result<Vec<ToolEvent>, StoreError> {
    let records = views.stream(number)?;
    let mut records = records.iter();
    let Some(first) = records.next() else { return Ok(Vec::new()) };
    let Event::Admitted(admitted) = read_event(first)? else { return Ok(Vec::new()) };
    let plan = Arc::new(plan_at(admitted.plan, views)?);
    let graph = Arc::new(Graph::of(&plan));
    let state = WorkflowState::admitted(&admitted, plan, graph, first.at);
    let mut following = Following { state, begun: HashMap::new() };
    let mut events = Vec::new();
    for record in records {
        events.extend(following.see(record, views)?);
    }
    Ok(events)
}

impl Following {
    fn see(
        &mut self,
        record: &Record,
        views: &mut dyn Views,
    ) -> Result<Option<ToolEvent>, StoreError> {
        let event = read_event(record)?;
        let ended = event.task().zip(end_of(&event));
        let ended = ended.and_then(|(task, end)| Some((task, self.begun.remove(&task)?, end)));
        self.state.evolve(&event, record.at);
        if let Event::TaskStarted(started) = &event {
            let begun = self.begin(record, started.task, started.attempt, started.input.clone());
            self.begun.extend(begun.map(|begun| (started.task, begun)));
        }
        ended.map(|(task, begun, end)| self.tell(record, task, begun, end, views)).transpose()
    }

    fn begin(
        &self,
        record: &Record,
        task: Ordinal,
        attempt: u32,
        input: Option<Body>,
    ) -> Option<Begun> {
        let call = self.state.call(task)?;
        let (id, run) = (self.state.id, self.state.run);
        let key = format!("{}:{run}:{}", id.task(task), self.state.task(task)?.rung);
        let context = CallContext::new(id, (task, attempt), self.state.conversation, &key);
        Some(Begun {
            position: record.position,
            at: record.at,
            tool: call.tool.clone(),
            // Without one, the plan's own text was the input.
            input: input.unwrap_or_else(|| Body::Inline(Json::of(&call.with))),
            traceparent: context.traceparent,
        })
    }

    fn tell(
        &self,
        record: &Record,
        task: Ordinal,
        begun: Begun,
        end: End,
        views: &mut dyn Views,
    ) -> Result<ToolEvent, StoreError> {
        let (word, result, error) = match end {
            End::Brought(body) => ("completed", Some(shown(&body, views)?), None),
            End::Failed(failure) => ("failed", None, Some(failure)),
        };
        let server = begun.tool.split('.').next().unwrap_or_default().to_owned();
        let actor = views.actor(record.actor)?;
        let duration = record.at.since(begun.at).as_millis();
        Ok(ToolEvent {
            specversion: "1.0",
            id: record.position.to_string(),
            source: format!("/api/v1/workflows/{}", self.state.id),
            event_type: format!("tool.{}.{word}", begun.tool),
            subject: self.state.id.task(task),
            time: record.at,
            datacontenttype: "application/json",
            conversationid: self.state.conversation,
            correlationid: self.state.id.to_string(),
            causationid: begun.position.to_string(),
            actor: actor.map(|actor| actor.to_string()),
            traceparent: begun.traceparent,
            data: ToolEventData {
                arguments: shown(&begun.input, views)?,
                tool: begun.tool,
                server_id: server,
                result,
                error,
                duration_ms: u64::try_from(duration).unwrap_or(u64::MAX),
            },
        })
    }
}

/// How an event ends the call of its task, if it does.
fn end_of(event: &Event) -> Option<End> {
    match event {
        Event::TaskCompleted(completed) => {
            let body = completed.output.body().cloned();
            Some(End::Brought(body.unwrap_or_else(Body::null)))
        }
        Event::AttemptFailed(failed) => Some(End::Failed(failed.failure.clone())),
        Event::TaskFailed(failed) => Some(End::Failed(failed.failure.clone())),
        Event::TaskWaited(waited) => match &waited.on {
            Waiting::InDoubt { failure } => Some(End::Failed(failure.clone())),
            Waiting::Person { .. }
            | Waiting::Question { .. }
            | Waiting::Timer { .. }
            | Waiting::Event { .. }
            | Waiting::Child { .. } => None,
        },
        Event::TaskCancelled(_) => {
            let message = "the call was ended with its workflow";
            Some(End::Failed(CallFailure::in_doubt(FailureKind::Cancelled, message)))
        }
        Event::Admitted(_)
        | Event::Approved(_)
        | Event::SentBack(_)
        | Event::Started(_)
        | Event::Paused(_)
        | Event::Resumed(_)
        | Event::CancelRequested(_)
        | Event::Finished(_)
        | Event::Retried(_)
        | Event::ClockSet(_)
        | Event::TaskStarted(_)
        | Event::TaskExpanded(_)
        | Event::TaskSkipped(_)
        | Event::CallUndone(_)
        | Event::TaskEmitted(_)
        | Event::QuestionAsked(_)
        | Event::QuestionAnswered(_)
        | Event::QuestionWithdrawn(_)
        | Event::DefinitionRegistered(_)
        | Event::DefinitionRemoved(_)
        | Event::EventReceived(_)
        | Event::TriggerFired(_)
        | Event::TokenCreated(_)
        | Event::TokenRevoked(_)
        | Event::Purged(_)
        | Event::BatchPurged(_) => None,
    }
}

fn shown(body: &Body, views: &mut dyn Views) -> Result<Json, StoreError> {
    match body {
        Body::Blob { hash, size } if *size > SHOWN_BYTES_MAX => {
            Ok(Json::of(&serde_json::json!({ "blob": hash.to_string(), "bytes": size })))
        }
        Body::Inline(_) | Body::Blob { .. } => text_of(body, views),
    }
}
