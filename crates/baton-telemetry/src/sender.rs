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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A collector that answers once; what it was sent comes when it has.
    fn collector(answer: Vec<u8>) -> (Sender, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/under", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; 64 << 10];
            let count = stream.read(&mut asked).unwrap();
            stream.write_all(&answer).unwrap();
            asked.truncate(count);
            asked
        });
        let settings = Settings::to(&address).unwrap().with_headers("x-key=secret").unwrap();
        (Sender::new(settings), thread)
    }

    fn sent(status: &str, body: &[u8]) -> Sent {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        let (sender, thread) = collector([head.as_bytes(), body].concat());
        let message = wire::Answer { partial: None };
        let sent = sender.send("/v1/traces", &message, Duration::from_secs(10));
        let asked = String::from_utf8_lossy(&thread.join().unwrap()).to_ascii_lowercase();
        for part in ["post /under/v1/traces ", "x-key: secret", "application/x-protobuf"] {
            assert!(asked.contains(part), "{asked}");
        }
        sent
    }

    #[test]
    fn an_answer_says_whether_the_same_may_be_sent_again() {
        assert_eq!(sent("200 OK", b""), Sent::Taken(None));
        let later = sent("503 Busy\r\nRetry-After: 7", b"not now");
        let words = "the collector answers 503 Service Unavailable: not now".to_owned();
        assert_eq!(later, Sent::Later(words, Some(Duration::from_secs(7))));
        for status in ["429 Slow Down", "502 Bad Gateway", "504 Timeout"] {
            assert!(matches!(sent(status, b""), Sent::Later(_, None)), "{status}");
        }
        for status in ["400 Bad", "401 Who", "404 Where", "500 Ouch", "302 Elsewhere"] {
            assert!(matches!(sent(status, b"\x1b[2J"), Sent::Refused(_)), "{status}");
        }
    }

    #[test]
    fn what_a_collector_rejects_of_a_message_is_told() {
        let partial = Some(wire::Partial { rejected: 3, message: "too old".to_owned() });
        let answer = wire::Answer { partial }.encode_to_vec();
        let told = Some("3 were rejected: \"too old\"".to_owned());
        assert_eq!(sent("200 OK", &answer), Sent::Taken(told));
        assert_eq!(sent("200 OK", b"no protobuf"), Sent::Taken(None));
    }

    #[test]
    fn a_collector_that_is_not_there_may_come_later() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sender = Sender::new(Settings::to(&format!("http://127.0.0.1:{port}")).unwrap());
        let message = wire::Answer { partial: None };
        let sent = sender.send("/v1/traces", &message, Duration::from_secs(10));
        assert!(matches!(sent, Sent::Later(_, None)), "{sent:?}");
    }
}
