//! Server-sent events out of bytes, as they arrive in pieces of any size.
//!
//! It reads only `data` (every protocol says the kind of an event there again), and never keeps more than one bounded event; nobody reconnects.
//! Source of the format: the HTML standard, section "Server-sent events".

/// The longest event. An image of a model's would be larger, but nobody asks for one.
pub(crate) const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An event that is longer than [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Takes bytes in and gives the data of events out.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    /// The bytes of the line that has not ended.
    line: Vec<u8>,
    /// The lines of the event that has not ended, joined.
    data: String,
    has_data: bool,
    /// Whether the bytes so far end with a carriage return: a line feed after it ends no second line.
    after_return: bool,
    is_begun: bool,
}

impl SseReader {
    /// Takes bytes in; each event that ends in them is given out.
    pub(crate) fn feed(&mut self, bytes: &[u8], events: &mut Vec<String>) -> Result<(), TooLong> {
        let mut left = bytes;
        if !left.is_empty() && std::mem::take(&mut self.after_return) {
            left = left.strip_prefix(b"\n").unwrap_or(left);
        }
        while let Some(at) = left.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, end) = left.split_at(at);
            self.keep(line)?;
            self.end_line(events);
            left = match end {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => end,
            };
            self.after_return = end == b"\r";
        }
        self.keep(left)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + self.data.len() + bytes.len() > EVENT_BYTES_MAX {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// The event that the connection's end cut off, or that a server did not end by an empty line.
    pub(crate) fn rest(&mut self, events: &mut Vec<String>) {
        self.end_line(events);
        self.end_event(events);
    }

    fn end_line(&mut self, events: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.is_begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.end_event(events);
        } else if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push('\n');
            }
            self.data.push_str(&String::from_utf8_lossy(value));
        }
    }

    fn end_event(&mut self, events: &mut Vec<String>) {
        if std::mem::take(&mut self.has_data) {
            events.push(std::mem::take(&mut self.data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let (mut reader, mut events) = (SseReader::default(), Vec::new());
        for piece in pieces {
            reader.feed(piece, &mut events).expect("short");
        }
        events
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text =
            "\u{feff}: hello\r\nevent: a\r\ndata: {\"ü\":1}\r\n\r\nid: 3\ndata:x\ndata: y\n\n\
                    data\n\nretry: 5\rdata: last\r\rdata: cut off"
                .as_bytes();
        let expected = ["{\"ü\":1}", "x\ny", "last"];
        assert_eq!(events(&[text]), expected);
        for at in 0..text.len() {
            let (head, tail) = text.split_at(at);
            assert_eq!(events(&[head, tail]), expected, "cut at {at}");
        }
        assert_eq!(events(&text.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn what_was_not_ended_is_the_rest() {
        let (mut reader, mut events) = (SseReader::default(), Vec::new());
        reader.feed(b"data: [DONE]", &mut events).expect("short");
        assert!(events.is_empty());
        reader.rest(&mut events);
        reader.rest(&mut events);
        assert_eq!(events, ["[DONE]"]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (mut reader, mut events) = (SseReader::default(), Vec::new());
        let piece = vec![b'x'; 1024 * 1024];
        let fed = (0..17).try_for_each(|_| reader.feed(&piece, &mut events));
        assert_eq!(fed, Err(TooLong));
    }
}
