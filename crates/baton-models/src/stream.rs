//! The stream of an answer: bytes become events, events become the answer.
//!
//! It knows neither the connection nor how long anything takes.

use serde_json::Value;

use crate::gathering::{Broken, Gathering};
use crate::protocol::{Reader, Step};
use crate::sse::SseReader;

/// What ends the stream in OpenAI's protocols: no event comes after it.
const DONE: &str = "[DONE]";
/// The most bytes of a stream; an answer of 8 MiB in pieces of a few characters needs more than itself.
const STREAM_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A stream of one protocol.
pub(crate) struct Stream {
    reader: Box<dyn Reader>,
    sse: SseReader,
    events: Vec<String>,
    bytes: usize,
}

impl Stream {
    /// Read by this reader.
    pub(crate) fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader, sse: SseReader::default(), events: Vec::new(), bytes: 0 }
    }

    /// Whether nothing has come yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// More bytes have come.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        answer: &mut Gathering<'_>,
    ) -> Result<Step, Broken> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > STREAM_BYTES_MAX {
            return Err(Broken::TooLarge("256 MiB of stream"));
        }
        let fed = self.sse.feed(bytes, &mut self.events);
        fed.map_err(|_| Broken::TooLarge("16 MiB in one event"))?;
        for event in std::mem::take(&mut self.events) {
            if self.event(event.trim(), answer)? == Step::Whole {
                return Ok(Step::Whole);
            }
        }
        Ok(Step::More)
    }

    fn event(&mut self, event: &str, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        match event {
            "" => Ok(Step::More),
            DONE => match self.reader.end(answer)? {
                Step::More => Err(Broken::Shape("[DONE] before the answer's end".to_owned())),
                Step::Whole => Ok(Step::Whole),
            },
            _ => match serde_json::from_str::<Value>(event) {
                Ok(event) => self.reader.read(&event, answer),
                Err(fault) => {
                    Err(Broken::Shape(format!("an event that is no JSON ({fault}): {event}")))
                }
            },
        }
    }

    /// No more bytes come: whether the answer is whole.
    pub(crate) fn end(&mut self, answer: &mut Gathering<'_>) -> Result<Step, Broken> {
        self.sse.rest(&mut self.events);
        for event in std::mem::take(&mut self.events) {
            let event = event.trim();
            // What the end of the connection cut off is no event, and no fault of the protocol.
            let is_cut_off = event != DONE && serde_json::from_str::<Value>(event).is_err();
            if !is_cut_off && self.event(event, answer)? == Step::Whole {
                return Ok(Step::Whole);
            }
        }
        self.reader.end(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use baton_core::agent::Piece;
    use proptest::prelude::*;

    use super::*;
    use crate::names::ToolNames;
    use crate::{anthropic, gemini, openai, responses};

    /// A stream as it is documented, what only its end holds, and who reads it.
    type Case = (&'static str, &'static str, fn() -> Box<dyn Reader>);

    const STREAMS: [Case; 4] = [
        (include_str!("../tests/streams/openai.sse"), "\"finish_reason\":\"tool_calls\"", || {
            Box::<openai::ChatReader>::default()
        }),
        (include_str!("../tests/streams/responses.sse"), "\"type\":\"response.completed\"", || {
            Box::<responses::ResponseReader>::default()
        }),
        (include_str!("../tests/streams/anthropic.sse"), "\"type\":\"message_stop\"", || {
            Box::<anthropic::MessageReader>::default()
        }),
        (include_str!("../tests/streams/gemini.sse"), "\"finishReason\":\"STOP\"", || {
            Box::<gemini::ContentReader>::default()
        }),
    ];

    /// Reads these pieces to their end; what was told, and the pieces of the answer where it is whole.
    fn read(reader: Box<dyn Reader>, pieces: &[&[u8]]) -> (String, Option<Vec<Piece>>) {
        let mut text = String::new();
        let mut told = |more: &str| text.push_str(more);
        let (mut answer, mut stream) = (Gathering::new(&mut told), Stream::new(reader));
        let mut step = Ok(Step::More);
        for piece in pieces {
            if step == Ok(Step::More) {
                step = stream.take(piece, &mut answer);
            }
        }
        if step == Ok(Step::More) {
            step = stream.end(&mut answer);
        }
        let is_whole = step == Ok(Step::Whole);
        let content = answer.finish("p/m", &ToolNames::default(), BTreeSet::new()).content;
        (text, is_whole.then_some(content))
    }

    #[test]
    fn a_stream_that_ends_anywhere_before_its_end_is_never_taken_for_whole() {
        for (stream, end, reader) in STREAMS {
            let bytes = stream.as_bytes();
            let (text, whole) = read(reader(), &[bytes]);
            let whole = whole.expect("it is whole");
            assert!(whole.len() >= 3 && !text.is_empty(), "{whole:?}");
            let ends_at = stream.find(end).expect("it ends");
            for at in 0..bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(read(reader(), &[head, tail]), (text.clone(), Some(whole.clone())));
                let (told, answer) = read(reader(), &[head]);
                assert!(text.starts_with(&told));
                assert!(at > ends_at || answer.is_none(), "cut at {at}: {answer:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_stream_of_anything_ends_well_or_not_but_ends(
            which in 0..4_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        ) {
            let (stream, _, reader) = STREAMS[which];
            let mut bytes = stream.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let (text, _) = read(reader(), &[&bytes]);
            prop_assert!(text.len() <= bytes.len() * 3);
        }
    }
}
