//! Clients of streams, byte by byte: a server-sent events reader and a WebSocket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long a message is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// As it came: of a message that is told before another of the same event, as `41.1`.
    pub id: Option<String>,
    pub event: String,
    /// Byte for byte.
    pub data: String,
}

impl Message {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }

    /// The position up to which everything is told with it.
    pub fn position(&self) -> Option<u64> {
        self.id.as_deref()?.parse().ok()
    }

    /// The type of the event.
    pub fn kind(&self) -> Option<&str> {
        self.id.as_ref()?;
        let (_, rest) = self.data.split_once("\"type\":\"")?;
        rest.split('"').next()
    }
}

fn connect(address: SocketAddr, request: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.write_all(request.as_bytes()).expect("a request");
    BufReader::with_capacity(512, stream)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end_matches(['\r', '\n']).to_owned()
}

/// The status and the headers, in small letters.
fn head(reader: &mut impl BufRead) -> (u16, Vec<String>) {
    let status = line(reader).split(' ').nth(1).expect("a status").parse().expect("a number");
    let headers = std::iter::from_fn(|| Some(line(reader).to_ascii_lowercase()));
    (status, headers.take_while(|header| !header.is_empty()).collect())
}

fn request(address: SocketAddr, path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{more}\r\n")
}

/// The status and the body of an answer.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut reader = connect(address, &request(address, path, "Connection: close\r\n"));
    let (status, _) = head(&mut reader);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("a body");
    (status, text)
}

/// A stream of server-sent events.
pub struct Sse {
    reader: BufReader<TcpStream>,
    text: String,
}

impl Sse {
    pub fn open(address: SocketAddr, path: &str, last: Option<&str>) -> Self {
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        Self::asked(address, &request(address, path, &last))
    }

    /// What a request is answered with.
    pub fn asked(address: SocketAddr, request: &str) -> Self {
        let mut reader = connect(address, request);
        let (status, headers) = head(&mut reader);
        assert_eq!(status, 200, "{request}");
        assert!(headers.contains(&"content-type: text/event-stream".to_owned()), "{headers:?}");
        assert!(headers.contains(&"transfer-encoding: chunked".to_owned()), "{headers:?}");
        Self { reader, text: String::new() }
    }

    /// The status and the problem of a stream that does not begin.
    pub fn refused(address: SocketAddr, path: &str) -> (u16, Value) {
        let (status, text) = get(address, path);
        (status, serde_json::from_str(&text).expect("a problem"))
    }

    /// Whether another chunk came.
    fn read_chunk(&mut self) -> bool {
        let size = line(&mut self.reader);
        let size = usize::from_str_radix(&size, 16).expect("a chunk's size");
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).expect("a chunk");
        self.text.push_str(std::str::from_utf8(&chunk[..size]).expect("text"));
        size > 0
    }

    /// The next message; `None` at the end.
    pub fn next(&mut self) -> Option<Message> {
        loop {
            let Some((text, rest)) = self.text.split_once("\n\n") else {
                if self.read_chunk() {
                    continue;
                }
                assert_eq!(self.text, "", "the stream ends within a message");
                return None;
            };
            let mut message = Message::default();
            for line in text.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => message.id = Some(id.to_owned()),
                    Some(("event", event)) => message.event = event.to_owned(),
                    Some(("data", data)) => message.data = data.to_owned(),
                    Some((other, _)) => panic!("the field `{other}`"),
                    None => assert_eq!(line, ":"),
                }
            }
            self.text = rest.to_owned();
            if message != Message::default() {
                return Some(message);
            }
        }
    }

    /// So many messages, fewer at the end.
    pub fn take(&mut self, count: usize) -> Vec<Message> {
        (0..count).map_while(|_| self.next()).collect()
    }

    /// Everything to the end.
    pub fn rest(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Everything up to a position.
    pub fn take_until(&mut self, position: u64) -> Vec<Message> {
        until(|| self.next(), |message| message.position() == Some(position))
    }

    /// Everything up to an event of this type.
    pub fn take_until_kind(&mut self, kind: &str) -> Vec<Message> {
        until(|| self.next(), |message| message.kind() == Some(kind))
    }

    /// Listens until so many workflows have ended, and counts them.
    pub fn take_until_done(&mut self, count: usize) -> usize {
        let finished = |message: &Message| message.kind() == Some("workflow.finished");
        std::iter::from_fn(|| self.next()).filter(finished).take(count).count()
    }
}

fn until(
    mut next: impl FnMut() -> Option<Message>,
    mut last: impl FnMut(&Message) -> bool,
) -> Vec<Message> {
    let mut all = Vec::new();
    loop {
        let message = next().expect("the stream goes on");
        let is_last = last(&message);
        all.push(message);
        if is_last {
            return all;
        }
    }
}

/// A WebSocket.
pub struct Socket {
    reader: BufReader<TcpStream>,
    pub closed_with: Option<u16>,
}

impl Socket {
    pub fn open(address: SocketAddr) -> Self {
        let more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut reader = connect(address, &request(address, "/api/v1/ws", more));
        let (status, headers) = head(&mut reader);
        assert_eq!(status, 101, "{headers:?}");
        // The example of RFC 6455, section 1.3.
        let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
        assert!(headers.contains(&accept.to_owned()), "{headers:?}");
        Self { reader, closed_with: None }
    }

    /// Says something, masked with zeros as a client must.
    pub fn say(&mut self, what: &Value) {
        let text = what.to_string();
        let size = u8::try_from(text.len()).expect("a short text");
        assert!(size < 126);
        let mut frame = vec![0x81, 0x80 | size, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.reader.get_mut().write_all(&frame).expect("it is heard");
    }

    /// The next message; `None` when the server closes.
    pub fn next(&mut self) -> Option<Message> {
        loop {
            let mut start = [0; 2];
            self.reader.read_exact(&mut start).expect("a frame");
            let size = match start[1] {
                126 => usize::from(u16::from_be_bytes(self.array())),
                127 => usize::try_from(u64::from_be_bytes(self.array())).expect("a size"),
                small => usize::from(small),
            };
            let mut payload = vec![0; size];
            self.reader.read_exact(&mut payload).expect("a payload");
            match start[0] {
                0x81 => return Some(message(&payload)),
                0x89 => {}
                0x88 => {
                    self.closed_with = Some(u16::from_be_bytes([payload[0], payload[1]]));
                    return None;
                }
                other => panic!("a frame of the kind {other:x}"),
            }
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).expect("a size");
        bytes
    }

    pub fn take_until(&mut self, position: u64) -> Vec<Message> {
        until(|| self.next(), |message| message.position() == Some(position))
    }

    /// Everything before `done`.
    pub fn until_done(&mut self) -> Vec<Message> {
        let mut all = until(|| self.next(), |message| message.event == "done");
        all.pop();
        all
    }
}

/// A message of a socket, its data byte for byte.
fn message(payload: &[u8]) -> Message {
    let text = std::str::from_utf8(payload).expect("text");
    let value: Value = serde_json::from_str(text).expect("JSON");
    let (_, data) = text.split_once("\"data\":").expect("data");
    Message {
        id: value.get("id").map(Value::to_string),
        event: value["event"].as_str().expect("a name").to_owned(),
        data: data.strip_suffix('}').expect("an object").to_owned(),
    }
}
