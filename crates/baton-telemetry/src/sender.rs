//! Sends one message to the collector and says what became of it.
//!
//! It follows no redirects and uses no proxies: what is sent, keys before all, goes where the operator
//! said and nowhere else. When to try again is not its business.

use std::io::Read as _;
use std::time::Duration;

use prost::Message;
use ureq::Agent;
use ureq::http::{HeaderMap, Response, header};

use crate::settings::Settings;
use crate::wire;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Room for an answer's headers, in bytes.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// The most of a collector's words that is repeated, in bytes.
const WORDS_BYTES_MAX: usize = 500;

/// A way to the collector.
pub struct Sender {
    agent: Agent,
    settings: Settings,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken, but for what the collector says.
    Taken(Option<String>),
    /// The collector is away or busy: the same may be sent again, not before the pause that it asks for.
    Later(String, Option<Duration>),
    /// It will never be taken.
    Refused(String),
}

impl Sender {
    pub fn new(settings: Settings) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(HEADER_BYTES_MAX)
            .timeout_connect(Some(CONNECT_MAX))
            .tls_config(settings.tls.clone())
            .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), settings }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends a message to a path below the collector's address, within a time.
    pub fn send(&self, path: &str, message: &impl Message, within: Duration) -> Sent {
        let mut request = self.agent.post(format!("{}{path}", self.settings.endpoint));
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        let request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
        let request = request.config().timeout_global(Some(within)).build();
        match request.send(message.encode_to_vec().as_slice()) {
            Ok(answer) => judged(answer),
            Err(fault) => Sent::Later(fault.to_string(), None),
        }
    }
}

/// What an answer means, as the protocol has it
/// (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).
fn judged(answer: Response<ureq::Body>) -> Sent {
    let (parts, body) = answer.into_parts();
    let mut bytes = Vec::new();
    let read = body.into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    let status = parts.status;
    if status.is_success() {
        // It was taken, whatever became of the answer.
        return Sent::Taken(read.ok().and_then(|_| rejected(&bytes)));
    }
    let words: String = String::from_utf8_lossy(&bytes).chars().take(WORDS_BYTES_MAX).collect();
    let said = match words.chars().any(char::is_control) || words.is_empty() {
        true => format!("the collector answers {status}"),
        false => format!("the collector answers {status}: {words}"),
    };
    match status.as_u16() {
        429 | 502 | 503 | 504 => Sent::Later(said, retry_after(&parts.headers)),
        _ => Sent::Refused(said),
    }
}

/// What the collector did not take of a message that it took.
fn rejected(bytes: &[u8]) -> Option<String> {
    let partial = wire::Answer::decode(bytes).ok()?.partial?;
    let words: String = partial.message.chars().take(WORDS_BYTES_MAX).collect();
    (partial.rejected > 0).then(|| format!("{} were rejected: {words:?}", partial.rejected))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
