//! How an event is shown: as a CloudEvent, in one form for `GET …/events`, every stream and
//! `baton show --events`.
//!
//! The form is a function of the journal alone, so that whoever reads an event, live or years later,
//! reads the same bytes. It decides nothing, and a damaged body is shown as `null`, not hidden.
//! Source of the envelope: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::envelope::SPEC_VERSION;
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::time::Timestamp;
use baton_core::workflow::{ConversationEvent, Event, EventKind, Waiting};
use serde::Serialize;
use serde_json::value::RawValue;

pub use crate::deliver::matches_type;
use crate::live::read_event;
use crate::made::Provenance;
use crate::naming::{Named, Naming};
use crate::ports::traceparent;
use crate::store::{Record, SYSTEM_STREAM, StoreError, Views};
use crate::tool_events::ToolCalls;
use crate::wording::Wordings;

/// How many actors are remembered before they are looked up anew.
const ACTORS_MAX: usize = 10_000;
/// Of so many streams it is remembered to which conversation they belong.
const CONVERSATIONS_MAX: usize = 10_000;

/// An event as it is shown: a CloudEvent. The attributes behind `datacontenttype` are extensions.
#[derive(Clone, Debug, Serialize)]
pub struct EventView<'r> {
    /// The version of CloudEvents.
    pub specversion: &'static str,
    /// Its position in the journal; unique with the source.
    pub id: String,
    /// The path of the workflow, or of the server whose tool was called; `/api/v1` of an event of
    /// the store.
    pub source: String,
    /// Such as `task.completed`, or `tool.fs.read.completed`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// What it is about: a task's or a workflow's id, or a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// Of the data: always JSON.
    pub datacontenttype: &'static str,
    /// The conversation of the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversationid: Option<ConversationId>,
    /// The workflow, which is what belongs together; none of an event of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<WorkflowId>,
    /// The position of the event that led to it, where no command did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    /// Who is behind it, such as `user:ada`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Arc<str>>,
    /// W3C trace context: the trace is the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The key of the task it is about; an item's has its index behind it, a call's its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What happened: its body as it is stored, or what was called and what came of it.
    pub data: Cow<'r, RawValue>,
}

/// What an event of the journal is shown as: itself, and the call of a tool that it began or ended.
#[derive(Debug)]
pub struct Shown<'r> {
    /// What it says, where it can be read.
    pub event: Option<Event>,
    name: StreamName,
    view: EventView<'r>,
    tool: Option<(StreamName, EventView<'static>)>,
}

/// The name under which streams send an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamName {
    /// A workflow has changed.
    WorkflowUpdated,
    /// A task has changed.
    TaskUpdated,
    /// A person is asked.
    ApprovalRequested,
    /// A definition has changed.
    DefinitionUpdated,
    /// An event came from outside.
    EventReceived,
    /// A trigger fired.
    TriggerFired,
    /// A token was created or revoked.
    TokenUpdated,
    /// A tool is called.
    ToolCalled,
    /// A call of a tool brought its result.
    ToolCompleted,
    /// A call of a tool did not.
    ToolFailed,
    /// A server of tools may be called again.
    ServerUpdated,
    /// A conversation has changed.
    ConversationUpdated,
    /// Somebody said something, or a workflow's end was told.
    MessageAdded,
    /// A person is asked what must be known first.
    ClarificationAsked,
    /// A conversation is about something else.
    ContextShifted,
    /// A plan is proposed.
    PlanProposed,
}

impl StreamName {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::WorkflowUpdated => "workflow.updated",
            Self::TaskUpdated => "task.updated",
            Self::ApprovalRequested => "approval.requested",
            Self::DefinitionUpdated => "definition.updated",
            Self::EventReceived => "event.received",
            Self::TriggerFired => "trigger.fired",
            Self::TokenUpdated => "token.updated",
            Self::ToolCalled => "tool.called",
            Self::ToolCompleted => "tool.completed",
            Self::ToolFailed => "tool.failed",
            Self::ServerUpdated => "server.updated",
            Self::ConversationUpdated => "conversation.updated",
            Self::MessageAdded => "message.added",
            Self::ClarificationAsked => "clarification.asked",
            Self::ContextShifted => "context.shifted",
            Self::PlanProposed => "plan.proposed",
        }
    }

    /// The name for an event.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::TaskWaited(waited) => match waited.on {
                Waiting::Person { .. } | Waiting::Approval { .. } | Waiting::Budget { .. } => {
                    Self::ApprovalRequested
                }
                Waiting::Timer { .. }
                | Waiting::Question { .. }
                | Waiting::Event { .. }
                | Waiting::InDoubt { .. }
                | Waiting::Child { .. } => Self::TaskUpdated,
            },
            Event::QuestionAsked(_) => Self::ApprovalRequested,
            Event::TaskStarted(_)
            | Event::TaskExpanded(_)
            | Event::TaskCompleted(_)
            | Event::AttemptFailed(_)
            | Event::TaskFailed(_)
            | Event::TaskSkipped(_)
            | Event::TaskCancelled(_)
            | Event::CallUndone(_)
            | Event::QuestionAnswered(_)
            | Event::QuestionWithdrawn(_)
            | Event::TaskEmitted(_)
            | Event::TaskAnswered(_)
            | Event::CallApproved(_)
            | Event::BudgetRaised(_)
            | Event::ModelChanged(_)
            | Event::TranscriptCompacted(_) => Self::TaskUpdated,
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
            | Event::PlanEdited(_)
            | Event::EditUndone(_)
            | Event::Purged(_)
            | Event::BatchPurged(_) => Self::WorkflowUpdated,
            Event::DefinitionRegistered(_) | Event::DefinitionRemoved(_) => Self::DefinitionUpdated,
            Event::EventReceived(_) => Self::EventReceived,
            Event::TriggerFired(_) => Self::TriggerFired,
            Event::TokenCreated(_) | Event::TokenRevoked(_) => Self::TokenUpdated,
            Event::ServerReleased(_) => Self::ServerUpdated,
            Event::Conversation(event) => Self::of_conversation(event),
        }
    }

    fn of_conversation(event: &ConversationEvent) -> Self {
        match event {
            ConversationEvent::MessageAdded(_) | ConversationEvent::WorkflowEnded(_) => {
                Self::MessageAdded
            }
            ConversationEvent::ClarificationAsked(_) => Self::ClarificationAsked,
            ConversationEvent::ContextShifted(_) => Self::ContextShifted,
            ConversationEvent::PlanProposed(_) => Self::PlanProposed,
            ConversationEvent::Opened(_)
            | ConversationEvent::PlanningStarted(_)
            | ConversationEvent::PlannerAdmitted(_)
            | ConversationEvent::PlanningEnded(_)
            | ConversationEvent::ClarificationAnswered(_)
            | ConversationEvent::PlanReviewed(_)
            | ConversationEvent::WorkflowLinked(_)
            | ConversationEvent::Stopped(_)
            | ConversationEvent::Escalated(_)
            | ConversationEvent::Claimed(_)
            | ConversationEvent::Released(_)
            | ConversationEvent::Closed(_) => Self::ConversationUpdated,
        }
    }
}

impl<'r> Shown<'r> {
    /// How many messages it is told as.
    pub fn parts(&self) -> u8 {
        1 + u8::from(self.tool.is_some())
    }

    /// In the order in which they are told: the call, then the event of the journal, which is told
    /// with everything up to its position.
    pub fn messages(self) -> impl Iterator<Item = (StreamName, EventView<'r>)> {
        self.tool.into_iter().chain([(self.name, self.view)])
    }
}

/// Shows events, and remembers what they need of others.
#[derive(Debug, Default)]
pub struct Showing {
    naming: Naming,
    calls: ToolCalls,
    actors: HashMap<u32, Option<Arc<str>>>,
    conversations: HashMap<u64, ConversationId>,
}

impl Showing {
    /// With the words that others have looked up.
    pub fn with(wordings: Arc<Wordings>) -> Self {
        Self { naming: Naming::with(wordings), ..Self::default() }
    }

    /// An event as it is shown.
    pub fn show<'r>(
        &mut self,
        record: &'r Record,
        views: &mut dyn Views,
    ) -> Result<Shown<'r>, StoreError> {
        let event = read_event(record).ok();
        let actor = self.actor(record.actor, views)?;
        let mut view = envelope(record, actor);
        if let Some(event @ Event::Conversation(told)) = &event {
            let name = StreamName::of(event);
            let id = self.conversation(record.stream, told, views)?;
            let view = of_conversation(view, id);
            return Ok(Shown { name, view, tool: None, event: Some(event.clone()) });
        }
        let of = self.naming.of(record, event.as_ref(), views)?;
        let mut tool = None;
        match (&event, of) {
            (Some(event), Some((named, made))) => {
                view = of_workflow(view, record, (event, made), named);
                if let Some(made) = made {
                    tool = self.calls.message(record, event, (named, made), &view, views)?;
                }
            }
            (Some(event), None) => view.subject = subject(event),
            (None, Some((named, _))) => view.correlationid = Some(named.id),
            (None, None) => {}
        }
        let name = event.as_ref().map_or(StreamName::WorkflowUpdated, StreamName::of);
        Ok(Shown { event, name, view, tool })
    }

    /// The conversation to which a stream belongs: its own, or that of its workflow.
    pub fn conversation_of(
        &mut self,
        stream: u64,
        views: &mut dyn Views,
    ) -> Result<Option<ConversationId>, StoreError> {
        if stream == SYSTEM_STREAM {
            return Ok(None);
        }
        if let Some(known) = self.conversations.get(&stream) {
            return Ok(Some(*known));
        }
        let id = match views.id_of(stream)? {
            Some(workflow) => views.workflow(workflow)?.map(|(card, _)| card.conversation),
            None => views.conversation_of(stream)?,
        };
        Ok(self.remember(stream, id))
    }

    fn conversation(
        &mut self,
        number: u64,
        event: &ConversationEvent,
        views: &mut dyn Views,
    ) -> Result<Option<ConversationId>, StoreError> {
        if let ConversationEvent::Opened(opened) = event {
            return Ok(self.remember(number, Some(opened.id)));
        }
        if let Some(known) = self.conversations.get(&number) {
            return Ok(Some(*known));
        }
        let id = views.conversation_of(number)?;
        Ok(self.remember(number, id))
    }

    fn remember(&mut self, number: u64, id: Option<ConversationId>) -> Option<ConversationId> {
        if self.conversations.len() > CONVERSATIONS_MAX {
            self.conversations.clear();
        }
        self.conversations.extend(id.map(|id| (number, id)));
        id
    }

    fn actor(
        &mut self,
        number: u32,
        views: &mut dyn Views,
    ) -> Result<Option<Arc<str>>, StoreError> {
        if let Some(known) = self.actors.get(&number) {
            return Ok(known.clone());
        }
        if self.actors.len() > ACTORS_MAX {
            self.actors.clear();
        }
        let actor = views.actor(number)?.map(|actor| Arc::from(actor.to_string()));
        self.actors.insert(number, actor.clone());
        Ok(actor)
    }
}

/// What every event has.
fn envelope(record: &Record, actor: Option<Arc<str>>) -> EventView<'_> {
    let data = serde_json::from_str(&record.body).unwrap_or(RawValue::NULL);
    EventView {
        specversion: SPEC_VERSION,
        id: record.position.to_string(),
        source: "/api/v1".to_owned(),
        kind: EventKind::from_code(record.kind).map_or("unknown", |kind| kind.word()).into(),
        subject: None,
        time: record.at,
        datacontenttype: "application/json",
        conversationid: None,
        correlationid: None,
        causationid: (record.cause > 0).then(|| record.cause.to_string()),
        actor,
        traceparent: None,
        task: None,
        data: Cow::Borrowed(data),
    }
}

/// What an event of a workflow has beside that.
fn of_workflow<'r>(
    view: EventView<'r>,
    record: &Record,
    (event, made): (&Event, Option<Provenance>),
    named: &Named,
) -> EventView<'r> {
    let id = named.id;
    let subject = event.task().map_or_else(|| id.to_string(), |task| id.task(task).to_string());
    EventView {
        source: format!("/api/v1/workflows/{id}"),
        subject: Some(subject),
        conversationid: Some(named.conversation),
        correlationid: Some(id),
        traceparent: Some(traceparent(id, record.position)),
        task: made.and_then(|made| named.key(made)),
        ..view
    }
}

/// What an event of a conversation has beside that.
fn of_conversation(view: EventView<'_>, id: Option<ConversationId>) -> EventView<'_> {
    let Some(id) = id else {
        return view;
    };
    let source = format!("/api/v1/conversations/{id}");
    EventView { source, subject: Some(id.to_string()), conversationid: Some(id), ..view }
}

/// What an event of the store is about.
fn subject(event: &Event) -> Option<String> {
    match event {
        Event::DefinitionRegistered(definition) => Some(definition.name.clone()),
        Event::DefinitionRemoved(definition) => Some(definition.name.clone()),
        Event::EventReceived(received) => Some(received.id.clone()),
        Event::TriggerFired(fired) => Some(fired.definition.clone()),
        Event::TokenCreated(token) => Some(token.name.clone()),
        Event::TokenRevoked(token) => Some(token.name.clone()),
        Event::ServerReleased(released) => Some(released.name.clone()),
        Event::Purged(purged) => Some(purged.tombstone.card.id.to_string()),
        Event::BatchPurged(_)
        | Event::Conversation(_)
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
        | Event::PlanEdited(_)
        | Event::EditUndone(_)
        | Event::TaskStarted(_)
        | Event::TaskWaited(_)
        | Event::TaskExpanded(_)
        | Event::TaskCompleted(_)
        | Event::AttemptFailed(_)
        | Event::TaskFailed(_)
        | Event::TaskSkipped(_)
        | Event::TaskCancelled(_)
        | Event::CallUndone(_)
        | Event::TaskEmitted(_)
        | Event::QuestionAsked(_)
        | Event::QuestionAnswered(_)
        | Event::QuestionWithdrawn(_)
        | Event::TaskAnswered(_)
        | Event::CallApproved(_)
        | Event::BudgetRaised(_)
        | Event::ModelChanged(_)
        | Event::TranscriptCompacted(_) => None,
    }
}
