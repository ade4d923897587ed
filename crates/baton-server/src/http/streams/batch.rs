//! What streams carry: the events of a commit, each made into its message once and shared by all
//! who get it.
//!
//! Live or read again later, over SSE or WebSocket, an event's bytes are the same.

use std::ops::Range;

use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::{Event, EventKind};
use baton_engine::events::{Showing, StreamName, matches_type};
use baton_engine::store::{Record, StoreError, Views};
use baton_engine::view::Usage;
use bytes::{Bytes, BytesMut};
use serde::Serialize;

/// Which events a subscriber gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Only those of the workflow of this number.
    pub stream: Option<u64>,
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
    /// The event's position.
    pub position: u64,
    stream: u64,
    kind: &'static str,
    /// What it is called.
    pub name: &'static str,
    frame: Range<usize>,
    data: Range<usize>,
    /// The run's end, where this is it.
    pub end: Option<End>,
}

/// How a run ended: what the last message of its stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct End {
    /// The run's status.
    pub status: WorkflowStatus,
    /// What it used.
    pub usage: Usage,
}

impl Filter {
    fn wants(&self, message: &Message) -> bool {
        let fits = |pattern: &str| {
            matches_type(pattern, message.kind) || matches_type(pattern, message.name)
        };
        self.stream.is_none_or(|stream| stream == message.stream)
            && (self.types.is_empty() || self.types.iter().any(|pattern| fits(pattern)))
    }
}

impl Batch {
    /// The messages of events, in their order; of those streams that are wanted.
    pub fn of(
        records: &[Record],
        through: u64,
        wanted: &dyn Fn(u64) -> bool,
        showing: &mut Showing,
        views: &mut dyn Views,
    ) -> Result<Self, StoreError> {
        let mut text = String::new();
        let mut messages = Vec::new();
        for record in records.iter().filter(|record| wanted(record.stream)) {
            let (view, event) = showing.show(record, views)?;
            let end = match (&event, view.workflow_id) {
                (Some(Event::Finished(finished)), Some(id)) => {
                    Some(end_of(id, finished.outcome.status(), record, views)?)
                }
                (Some(_) | None, _) => None,
            };
            let name = event.as_ref().map_or(StreamName::WorkflowUpdated, StreamName::of).word();
            let begin = text.len();
            text.push_str(&format!("id: {}\nevent: {name}\ndata: ", record.position));
            let data = text.len();
            text.push_str(&one_line(&view)?);
            let data = data..text.len();
            text.push_str("\n\n");
            messages.push(Message {
                position: record.position,
                stream: record.stream,
                kind: EventKind::from_code(record.kind).map_or("unknown", |kind| kind.word()),
                name,
                frame: begin..text.len(),
                data,
                end,
            });
        }
        Ok(Self { through, messages: messages.into_boxed_slice(), frames: text.into() })
    }

    /// The same, as history: what came behind an end is known, and told.
    pub fn without_ends(mut self) -> Self {
        self.messages.iter_mut().for_each(|message| message.end = None);
        self
    }

    /// The messages behind a position that a subscriber gets. Of one workflow none comes behind the
    /// end of its run.
    pub fn wanted<'b>(
        &'b self,
        filter: &'b Filter,
        after: u64,
    ) -> impl Iterator<Item = &'b Message> {
        let of_one = filter.stream;
        let new = self.messages.iter().filter(move |message| message.position > after);
        let mut over = false;
        let until_end = new.take_while(move |message| {
            let go_on = !over;
            over |= message.end.is_some() && of_one == Some(message.stream);
            go_on
        });
        until_end.filter(|message| filter.wants(message))
    }

    /// How the run of the workflow that is asked for ended, if it did behind a position.
    pub fn end(&self, filter: &Filter, after: u64) -> Option<End> {
        let stream = filter.stream?;
        let own = |m: &&Message| m.stream == stream && m.position > after;
        self.messages.iter().filter(own).find_map(|message| message.end)
    }

    /// The SSE messages of those a subscriber gets: shared, where they stand side by side.
    pub fn frames(&self, filter: &Filter, after: u64) -> Bytes {
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

    /// What a message says: the event's JSON.
    pub fn data(&self, message: &Message) -> Bytes {
        self.slice(&message.data)
    }

    fn slice(&self, range: &Range<usize>) -> Bytes {
        // Ranges are this batch's own; `slice` would panic on another's.
        if range.end <= self.frames.len() { self.frames.slice(range.clone()) } else { Bytes::new() }
    }
}

/// How a run ended that ended with this record.
fn end_of(
    id: WorkflowId,
    status: WorkflowStatus,
    record: &Record,
    views: &mut dyn Views,
) -> Result<End, StoreError> {
    let missing = || StoreError::Corrupt(format!("the workflow {id} has no row"));
    let (_, row) = views.workflow(id)?.ok_or_else(missing)?;
    Ok(End { status, usage: Usage::until(record.at, &row) })
}

/// JSON without line breaks, which would end an SSE field; between values they are but white space.
pub(super) fn one_line(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text })
}
