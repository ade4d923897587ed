//! A local HTTP server that plays answers by a script, and what the tests ask it with.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::agent::{Message, Piece};
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::{Ends, OfferedTool};
use baton_core::words::{Effect, FailureKind, Happened};
use baton_engine::ports::{CallContext, Control, ModelAnswer, ModelRequest, Models};
use baton_models::{ModelSet, ModelsConfig, Protocol, ProviderConfig};
use serde_json::{Value, json};

/// What opens the provider of the tests, and may stand in no message.
pub const KEY: &str = "sk-test-0123456789-secret";

/// What the server does next with a request.
pub enum Act {
    /// Sends this as a piece of the body.
    Send(String),
    /// Goes on when it is told to.
    Until(Receiver<()>),
    /// Sends nothing more until the other side is gone, and says so.
    UntilGone,
    /// Closes the connection without the body's end.
    Cut,
}

/// An answer.
pub struct Reply {
    head: String,
    acts: Vec<Act>,
}

impl Reply {
    /// A stream of events, each as its data.
    pub fn stream(events: impl IntoIterator<Item = impl ToString>) -> Self {
        let acts = events.into_iter().map(|event| Act::Send(sse(&event.to_string())));
        Self::acts(acts.collect())
    }

    /// A stream that goes by these acts.
    pub fn acts(acts: Vec<Act>) -> Self {
        Self { head: "200 OK\r\ncontent-type: text/event-stream".to_owned(), acts }
    }

    /// No answer at all: the connection stays until the other side is gone.
    pub fn silence() -> Self {
        Self { head: String::new(), acts: vec![Act::UntilGone] }
    }

    /// An answer with this status, these headers and this body.
    pub fn status(status: u16, headers: &[(&str, &str)], body: impl ToString) -> Self {
        let mut head = format!("{status} Said");
        for (name, value) in headers {
            head.push_str(&format!("\r\n{name}: {value}"));
        }
        Self { head, acts: vec![Act::Send(body.to_string())] }
    }
}

/// One event.
pub fn sse(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A request as it came.
pub struct Seen {
    /// Which of the connections it came over, from 0.
    pub connection: usize,
    pub head: String,
    pub body: Value,
}

/// The server. It ends with the test's process.
pub struct Server {
    pub port: u16,
    seen: Receiver<Seen>,
    gone: Receiver<()>,
}

impl Server {
    /// Answers the requests in their order with these.
    pub fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let replies: Arc<Mutex<VecDeque<Reply>>> =
            Arc::new(Mutex::new(replies.into_iter().collect()));
        let (told_seen, seen) = channel();
        let (told_gone, gone) = channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (replies, seen, gone) =
                    (Arc::clone(&replies), told_seen.clone(), told_gone.clone());
                std::thread::spawn(move || serve((number, stream), &replies, &seen, &gone));
            }
        });
        Self { port, seen, gone }
    }

    /// The next request that came.
    pub fn seen(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(10)).expect("a request")
    }

    /// Whether no other request has come.
    pub fn is_idle(&self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// Waits until a client has left in the middle.
    pub fn wait_until_gone(&self) {
        self.gone.recv_timeout(Duration::from_secs(10)).expect("the client leaves");
    }

    /// A Baton's models with this server as the provider `p`.
    pub fn set(&self, protocol: Protocol) -> ModelSet {
        self.set_with(protocol, |_| {})
    }

    /// The same, configured a little otherwise.
    pub fn set_with(&self, protocol: Protocol, change: impl FnOnce(&mut ModelsConfig)) -> ModelSet {
        let provider = ProviderConfig {
            protocol,
            base_url: format!("http://127.0.0.1:{}/v1/", self.port),
            key_env: Some("P_KEY".to_owned()),
            ..ProviderConfig::default()
        };
        let mut config = ModelsConfig::default();
        config.providers.insert("p".to_owned(), provider);
        change(&mut config);
        set_of(config)
    }
}

/// A Baton's models, with the key of the tests in their environment.
pub fn set_of(config: ModelsConfig) -> ModelSet {
    let environment = |name: &str| (name == "P_KEY").then(|| KEY.to_owned());
    ModelSet::with_environment(config, Arc::new(environment)).expect("a sound configuration")
}

fn serve(
    (number, stream): (usize, TcpStream),
    replies: &Mutex<VecDeque<Reply>>,
    seen: &Sender<Seen>,
    gone: &Sender<()>,
) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut stream = stream;
    while let Some(request) = read_request(number, &mut reader) {
        let _ = seen.send(request);
        let Some(reply) = replies.lock().expect("no panic").pop_front() else {
            return;
        };
        let head = format!("HTTP/1.1 {}\r\ntransfer-encoding: chunked\r\n\r\n", reply.head);
        if !reply.head.is_empty() && stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        for act in reply.acts {
            match act {
                Act::Send(text) => {
                    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                    if stream.write_all(chunk.as_bytes()).is_err() {
                        let _ = gone.send(());
                        return;
                    }
                }
                Act::Until(told) => {
                    let _ = told.recv();
                }
                Act::UntilGone => {
                    while reader.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
                    let _ = gone.send(());
                    return;
                }
                Act::Cut => return,
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    }
}

fn read_request(connection: usize, reader: &mut impl BufRead) -> Option<Seen> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[start..].trim().is_empty() {
            break;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length?.trim().parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { connection, head, body: serde_json::from_slice(&body).ok()? })
}

/// A request to `p/m` with this transcript, and nothing else.
pub fn request(messages: Vec<Message>) -> ModelRequest {
    let workflow = WorkflowId::from_bytes([7; 16]);
    ModelRequest {
        model: "p/m".to_owned(),
        agent: "reviewer".to_owned(),
        attempt: 1,
        instructions: None,
        tools: Vec::new(),
        output: None,
        output_tokens_max: 500,
        messages,
        turns_left_out: 0,
        context: CallContext::new(workflow, (Ordinal(0), 1), ConversationId::from_bytes([8; 16])),
    }
}

/// A request that says hello.
pub fn hello() -> ModelRequest {
    request(vec![Message::user("hello")])
}

/// A tool on offer.
pub fn tool(name: &str) -> OfferedTool {
    OfferedTool {
        name: name.to_owned(),
        description: format!("What {name} does."),
        input: json!({ "type": "object", "properties": { "path": { "type": "string" } } }),
        effect: Effect::Read,
        approval: None,
        ends: Ends::Call,
    }
}

/// Asks, and gives what was told in the meantime as well.
pub fn ask(
    models: &ModelSet,
    request: &ModelRequest,
) -> (Result<ModelAnswer, CallFailure>, Vec<String>) {
    let mut told = Vec::new();
    let control = Control::new(Duration::from_secs(20));
    let answer = models.call(request, &control, &mut |text| told.push(text.to_owned()));
    (answer, told)
}

/// Asks, and it fails; whatever it says, the key is not in it.
pub fn fail(models: &ModelSet, request: &ModelRequest) -> CallFailure {
    let failure = ask(models, request).0.expect_err("it fails");
    assert!(!failure.message.contains("0123456789"), "{}", failure.message);
    failure
}

/// The calls of an answer: id, tool, arguments.
pub fn calls(answer: &ModelAnswer) -> Vec<(String, String, Value)> {
    let calls = answer.content.iter().filter_map(|piece| match piece {
        Piece::Call { id, tool, arguments } => Some((id.clone(), tool.clone(), arguments.value())),
        Piece::Text(_) | Piece::Reasoning(_) => None,
    });
    calls.collect()
}

/// A piece of a chat completion's text.
pub fn text(text: &str) -> Act {
    let event = json!({ "choices": [{ "delta": { "content": text } }] });
    Act::Send(sse(&event.to_string()))
}

/// It failed so, may have been billed, and may be asked again.
pub fn in_doubt(kind: FailureKind, failure: &CallFailure) {
    let is = (failure.kind, failure.happened, failure.retryable);
    assert_eq!(is, (kind, Happened::Unknown, true), "{failure:?}");
}
