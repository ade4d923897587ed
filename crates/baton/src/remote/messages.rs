//! Reads server-sent events (WHATWG HTML, 9.2.6), as far as Baton's streams use them: `id`, `event`,
//! `data`, and comments, which say that the stream lives.

use std::io::{BufRead, BufReader, Read};

use super::answers::Fault;

/// The longest message, in bytes: an event with the longest question a task may ask.
const MESSAGE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// What names its place, where it has one.
    pub id: Option<String>,
    /// What kind it is of.
    pub name: String,
    /// What it says.
    pub data: String,
}

/// The messages of one connection.
pub(super) struct Messages<R> {
    lines: BufReader<R>,
}

impl<R: Read> Messages<R> {
    pub(super) fn of(body: R) -> Self {
        Self { lines: BufReader::new(body) }
    }

    /// The next message; `None` when the connection has ended. What was cut off is no message.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Fault> {
        let mut message = Message::default();
        let mut room = MESSAGE_BYTES_MAX;
        loop {
            let mut line = Vec::new();
            let read = self.lines.by_ref().take(room).read_until(b'\n', &mut line);
            let read = read.map_err(|cause| Fault::Lost(cause.to_string()))? as u64;
            if read == 0 && room > 0 {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') && read == room {
                let what = format!("sends a message of more than {MESSAGE_BYTES_MAX} bytes");
                return Err(Fault::Strange(what));
            }
            room -= read;
            let Some(line) = line.strip_suffix(b"\n") else { return Ok(None) };
            let Ok(line) = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) else {
                return Err(Fault::Strange("sends a message that is no UTF-8".to_owned()));
            };
            if !line.is_empty() {
                message.take(line);
            } else if message != Message::default() {
                return Ok(Some(message));
            } else {
                room = MESSAGE_BYTES_MAX;
            }
        }
    }
}

impl Message {
    fn take(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment, or what is not known here.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Message> {
        let mut messages = Messages::of(text);
        std::iter::from_fn(|| messages.next().unwrap()).collect()
    }

    #[test]
    fn messages_are_read_and_what_was_cut_off_is_none() {
        let text = b":\n\nid: 7\nevent: task.updated\ndata: {}\n\nevent: done\r\ndata: a\r\ndata: b\r\n\r\nid: 8\ndata: x\n";
        let messages = all(text);
        let first =
            Message { id: Some("7".into()), name: "task.updated".into(), data: "{}".into() };
        let second = Message { id: None, name: "done".into(), data: "a\nb".into() };
        assert_eq!(messages, [first, second]);
    }

    #[test]
    fn an_endless_message_is_not_kept() {
        let endless = std::io::repeat(b'x');
        assert!(matches!(Messages::of(endless).next(), Err(Fault::Strange(_))));
        let endless = Messages::of(Repeated(b"data: x\n")).next();
        assert!(matches!(endless, Err(Fault::Strange(_))));
    }

    struct Repeated(&'static [u8]);

    impl Read for Repeated {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            Ok(count)
        }
    }
}
