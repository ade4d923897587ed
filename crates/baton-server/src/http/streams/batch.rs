//! What streams carry: the events of a commit, each made into its message once and shared by all
//! who get it.
//!
//! Live or read again later, over SSE or WebSocket, an event's bytes are the same.

use std::borrow::Cow;
use std::ops::Range;

use baton_core::ids::{TaskId, WorkflowId};
use baton_core::words::{Doing, WorkflowStatus};
use baton_core::workflow::Event;
use baton_engine::chunks::{Chunk, TurnId};
use baton_engine::events::{EventView, Showing, StreamName, matches_type};
use baton_engine::said::Said;
use baton_engine::store::{Record, StoreError, Views};
use baton_engine::usage::{Spent, Usage, spending_of};
use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::cursor::Cursor;
use super::scope::{Scope, Source};
use super::text::{self, Heard};

/// Which events a subscriber gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Whose.
    pub scope: Scope,
    /// Only those whose type, or whose message's name, fits one of these; all when empty.
    pub types: Box<[Box<str>]>,
}

/// Events in order, as messages.
#[derive(Debug)]
pub(super) struct Batch {
    /// The position up to which it tells everything.
    pub through: u64,
    messages: Box<[Message]>,
    /// Every message as an SSE message, one after the other.
    frames: Bytes,
}

/// One event's message.
#[derive(Debug)]
pub(super) struct Message {
    /// Its place in the stream; none of what is not in the journal.
    pub id: Option<Cursor>,
    source: Source,
    kind: Cow<'static, str>,
    /// What it is called.
    pub name: &'static str,
    frame: Range<usize>,
    data: Range<usize>,
    /// The run's end, where this is it.
    pub end: Option<End>,
    /// Whose text it is up to where, where it is a model's.
    text: Option<(TurnId, u64)>,
}

/// What a subscriber has been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Every event up to here.
    pub cursor: Cursor,
    /// And so much of what models say.
    pub heard: Heard,
}

/// How what was followed ended: what the last message of its stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum End {
    /// The run of a workflow.
    Run {
        /// The run's status.
        status: WorkflowStatus,
        /// What it used.
        usage: Usage,
    },
    /// A conversation has come to rest.
    Rest {
        /// What it is doing.
        status: Doing,
        /// What all of its workflows used of models.
        usage: Spent,
    },
}

impl Filter {
    fn wants(&self, message: &Message) -> bool {
        self.scope.has(message.source) && fits(&self.types, &message.kind, message.name)
    }
}

/// Whether a type, or the name of its message, fits one of these; every one does where there are none.
pub(in crate::http) fn fits(types: &[Box<str>], kind: &str, name: &str) -> bool {
    let fits = |pattern: &str| matches_type(pattern, kind) || matches_type(pattern, name);
    types.is_empty() || types.iter().any(|pattern| fits(pattern))
}

impl Message {
    fn is_behind(&self, place: &Place) -> bool {
        match &self.text {
            Some((turn, seq)) => place.heard.is_behind(*turn, *seq),
            None => self.id.is_none_or(|id| id > place.cursor),
        }
    }
}

/// How far a task says it is.
#[derive(Serialize)]
struct Live<'s> {
    #[serde(rename = "type")]
    kind: &'static str,
    workflow_id: WorkflowId,
    task_id: TaskId,
    attempt: u32,
    live: &'s Said,
}

impl Batch {
    /// What a task says of itself. It is not in the journal, so the message has no place
    /// and is told once, to those who follow just now.
    pub fn live(source: Source, said: &Said) -> Option<Self> {
        let (workflow_id, _) = said.task.split()?;
        let (task_id, attempt) = (said.task, said.attempt);
        let kind = "task.progress";
        let name = StreamName::TaskUpdated.word();
        let live = Live { kind, workflow_id, task_id, attempt, live: said };
        let mut text = format!("event: {name}\ndata: ");
        let begin = text.len();
        text.push_str(&one_line(&live).ok()?);
        let data = begin..text.len();
        text.push_str("\n\n");
        let frame = 0..text.len();
        let kind = kind.into();
        let message = Message { id: None, source, kind, name, frame, data, end: None, text: None };
        Some(Self { through: 0, messages: Box::new([message]), frames: text.into() })
    }

    /// What models say, as messages that stand behind what was told before.
    pub fn of_texts(chunks: &[(Source, Chunk)]) -> Result<Self, StoreError> {
        let (mut text, mut messages) = (String::new(), Vec::new());
        for (source, chunk) in chunks {
            say(&mut text, &mut messages, *source, chunk)?;
        }
        Ok(Self { through: 0, messages: messages.into_boxed_slice(), frames: text.into() })
    }

    /// The messages of events, in their order, and between them what models said; of those streams
    /// that are wanted.
    pub fn of(
        records: &[Record],
        mut spoken: &[(u64, Chunk)],
        through: u64,
        wanted: &dyn Fn(u64) -> bool,
        showing: &mut Showing,
        views: &mut dyn Views,
    ) -> Result<Self, StoreError> {
        let mut text = String::new();
        let mut messages = Vec::new();
        for record in records.iter().filter(|record| wanted(record.stream)) {
            while let Some(((behind, chunk), rest)) = spoken.split_first()
                && *behind < record.position
            {
                let source = source_of(chunk.stream, showing, views)?;
                say(&mut text, &mut messages, source, chunk)?;
                spoken = rest;
            }
            let shown = showing.show(record, views)?;
            let end = match &shown.event {
                Some(Event::Finished(finished)) => {
                    end_of(finished.outcome.status(), record, views)?
                }
                Some(_) | None => None,
            };
            let (told, parts) = (messages.len(), shown.parts());
            for ((name, view), part) in shown.messages().zip(0..) {
                let id = Cursor::of(record.position, part, parts);
                messages.push(write(&mut text, (id, name.word()), &view, record)?);
            }
            if let Some(last) = messages.get_mut(told..).and_then(<[Message]>::last_mut) {
                last.end = end;
            }
        }
        for (_, chunk) in spoken {
            let source = source_of(chunk.stream, showing, views)?;
            say(&mut text, &mut messages, source, chunk)?;
        }
        Ok(Self { through, messages: messages.into_boxed_slice(), frames: text.into() })
    }

    /// The same, as history: what came behind an end is known, and told.
    pub fn without_ends(mut self) -> Self {
        self.messages.iter_mut().for_each(|message| message.end = None);
        self
    }

    /// The messages behind a place that a subscriber gets. Of one workflow none comes behind the
    /// end of its run.
    pub fn wanted<'b>(
        &'b self,
        filter: &'b Filter,
        after: &'b Place,
    ) -> impl Iterator<Item = &'b Message> {
        let of_run = |message: &Message| filter.scope == Scope::Stream(message.source.stream);
        let new = self.messages.iter().filter(move |message| message.is_behind(after));
        let mut over = false;
        let until_end = new.take_while(move |message| {
            let go_on = !over;
            over |= message.end.is_some() && of_run(message);
            go_on
        });
        until_end.filter(|message| filter.wants(message))
    }

    /// How the run of the workflow that is asked for ended, if it did behind a place.
    pub fn end(&self, filter: &Filter, after: &Place) -> Option<End> {
        let own =
            |m: &&Message| filter.scope == Scope::Stream(m.source.stream) && m.is_behind(after);
        self.messages.iter().filter(own).find_map(|message| message.end)
    }

    /// The SSE messages of those a subscriber gets: shared, where they stand side by side.
    pub fn frames(&self, filter: &Filter, after: &Place) -> Bytes {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for message in self.wanted(filter, after) {
            match runs.last_mut() {
                Some(run) if run.end == message.frame.start => run.end = message.frame.end,
                Some(_) | None => runs.push(message.frame.clone()),
            }
        }
        match runs.as_slice() {
            [] => Bytes::new(),
            [run] => self.slice(run),
            many => {
                let mut all = BytesMut::with_capacity(many.iter().map(Range::len).sum());
                many.iter().for_each(|run| all.extend_from_slice(&self.slice(run)));
                all.freeze()
            }
        }
    }

    /// How much of which texts it tells, of what is asked for.
    pub fn texts(&self, filter: &Filter) -> impl Iterator<Item = (TurnId, u64)> {
        let scope = filter.scope;
        let own = self.messages.iter().filter(move |message| scope.has(message.source));
        own.filter_map(|message| message.text)
    }

    /// What a message says: the event's JSON.
    pub fn data(&self, message: &Message) -> Bytes {
        self.slice(&message.data)
    }

    fn slice(&self, range: &Range<usize>) -> Bytes {
        // Ranges are this batch's own; `slice` would panic on another's.
        if range.end <= self.frames.len() { self.frames.slice(range.clone()) } else { Bytes::new() }
    }
}

/// Writes a message behind others.
fn write(
    text: &mut String,
    (id, name): (Cursor, &'static str),
    view: &EventView<'_>,
    record: &Record,
) -> Result<Message, StoreError> {
    let begin = text.len();
    text.push_str(&format!("id: {id}\nevent: {name}\ndata: "));
    let data = text.len();
    text.push_str(&one_line(view)?);
    let data = data..text.len();
    text.push_str("\n\n");
    Ok(Message {
        id: Some(id),
        source: Source { stream: record.stream, conversation: view.conversationid },
        kind: view.kind.clone(),
        name,
        frame: begin..text.len(),
        data,
        end: None,
        text: None,
    })
}

/// Writes a piece of text behind other messages, cut where it is long.
fn say(
    text: &mut String,
    messages: &mut Vec<Message>,
    source: Source,
    chunk: &Chunk,
) -> Result<(), StoreError> {
    for delta in text::Delta::all(chunk) {
        let begin = text.len();
        text.push_str(&format!("event: {}\ndata: ", text::NAME));
        let data = text.len();
        text.push_str(&one_line(&delta)?);
        let data = data..text.len();
        text.push_str("\n\n");
        messages.push(Message {
            id: None,
            source,
            kind: text::NAME.into(),
            name: text::NAME,
            frame: begin..text.len(),
            data,
            end: None,
            text: Some((chunk.turn, delta.seq)),
        });
    }
    Ok(())
}

/// A stream, and the conversation to which it belongs.
pub(super) fn source_of(
    stream: u64,
    showing: &mut Showing,
    views: &mut dyn Views,
) -> Result<Source, StoreError> {
    Ok(Source { stream, conversation: showing.conversation_of(stream, views)? })
}

/// How a run ended that ended with this record.
fn end_of(
    status: WorkflowStatus,
    record: &Record,
    views: &mut dyn Views,
) -> Result<Option<End>, StoreError> {
    let Some(id) = views.id_of(record.stream)? else { return Ok(None) };
    let missing = || StoreError::Corrupt(format!("the workflow {id} has no row"));
    let (_, row) = views.workflow(id)?.ok_or_else(missing)?;
    let spent = spending_of(record.stream, Some(record.position), views)?;
    Ok(Some(End::Run { status, usage: Usage::until(record.at, &row, spent) }))
}

/// JSON without line breaks, which would end an SSE field; between values they are but white space.
pub(in crate::http) fn one_line(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text })
}
