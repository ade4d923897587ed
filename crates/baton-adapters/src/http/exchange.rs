//! One request and its answer, on a connection of its own, with a time, a size and a way to stop.
//!
//! It says how far an exchange came, because that decides whether it may have had its effect; it
//! does not judge the status.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};
use ureq::{Agent, Error, Timeout};

use super::address::{Checked, Hosts, NotPublic, private};
use crate::tool::Scope;

/// How often a waiting call looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// Room for the answer's headers.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Vec<u8>,
    /// Bytes of the answer's body that are kept.
    pub(super) bytes_max: usize,
}

/// An answer as it came.
pub(super) struct Raw {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) truncated: bool,
}

impl Raw {
    /// Where the answer says to go instead.
    pub(super) fn redirect(&self) -> Option<&str> {
        let moved = matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let target = self.headers.get("location").filter(|_| moved);
        target.and_then(|target| target.to_str().ok())
    }
}

/// Does it once. A failure says `happened: unknown` as soon as a byte may have been sent.
pub(super) fn exchange(scope: &Scope<'_>, hosts: &Hosts, ask: &Ask) -> Result<Raw, CallFailure> {
    let connected = Arc::new(AtomicBool::new(false));
    let agent = agent(scope, hosts, &connected);
    let (sender, receiver) = mpsc::channel();
    let (runner, own) = (agent.clone(), ask.clone());
    // The thread ends by the agent's time-out at the latest, also when nobody waits any more.
    std::thread::spawn(move || {
        // Whoever asked may be gone.
        let _ = sender.send(run(&runner, own));
    });
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(done) => return done.map_err(|error| failed(scope, ask, &connected, &error)),
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the exchange ended without an answer";
                return Err(doubted(&connected, FailureKind::Lost, message.to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(kind) = scope.stop() {
            // Ends the connection; one that is being made is not used any more.
            agent.shutdown();
            return Err(CallFailure {
                retryable: kind == FailureKind::TimedOut,
                ..doubted(&connected, kind, scope.stopped(kind))
            });
        }
    }
}

fn agent(scope: &Scope<'_>, hosts: &Hosts, connected: &Arc<AtomicBool>) -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(HEADER_BYTES_MAX)
        // A connection that was kept may be closed under the next request, in doubt for nothing.
        .max_idle_connections(0)
        .timeout_global(Some(scope.left().min(Duration::from_hours(24))))
        .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
        .build();
    let connector = Noting { inner: DefaultConnector::default(), connected: Arc::clone(connected) };
    let may_connect = hosts.may_connect;
    Agent::with_parts(config, connector, Checked { may_connect })
}

/// Notes that a connection stands, TLS included: from here on bytes of the request may go out.
#[derive(Debug)]
struct Noting {
    inner: DefaultConnector,
    connected: Arc<AtomicBool>,
}

impl Connector<()> for Noting {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let connection = self.inner.connect(details, chained)?;
        self.connected.store(true, Ordering::Release);
        Ok(connection)
    }
}

fn run(agent: &Agent, ask: Ask) -> Result<Raw, Error> {
    let mut request = Request::builder().method(ask.method).uri(ask.url);
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    let answer = match ask.body.is_empty() {
        true => agent.run(request.body(())?)?,
        false => agent.run(request.body(ask.body)?)?,
    };
    let (parts, body) = answer.into_parts();
    let mut bytes = Vec::new();
    let max = ask.bytes_max as u64;
    let mut reader = body.into_reader().take(max.saturating_add(1));
    reader.read_to_end(&mut bytes)?;
    let truncated = bytes.len() > ask.bytes_max;
    bytes.truncate(ask.bytes_max);
    Ok(Raw { status: parts.status, headers: parts.headers, body: bytes, truncated })
}

fn failed(scope: &Scope<'_>, ask: &Ask, connected: &AtomicBool, error: &Error) -> CallFailure {
    let (method, url) = (&ask.method, &ask.url);
    if let Error::Other(cause) = error
        && cause.is::<NotPublic>()
    {
        return private(url.host().unwrap_or_default());
    }
    if let Error::Timeout(Timeout::Global) = error {
        return doubted(connected, FailureKind::TimedOut, scope.stopped(FailureKind::TimedOut));
    }
    let message = format!("{method} {url}: {error}");
    if let Error::HostNotFound | Error::BadUri(_) = error {
        return CallFailure::passing(FailureKind::Unavailable, message);
    }
    let kind = match connected.load(Ordering::Acquire) {
        true => FailureKind::Lost,
        false => FailureKind::Unavailable,
    };
    doubted(connected, kind, message)
}

/// Nothing was sent before there was a connection; what became of it afterwards nobody knows.
fn doubted(connected: &AtomicBool, kind: FailureKind, message: String) -> CallFailure {
    match connected.load(Ordering::Acquire) {
        true => CallFailure::in_doubt(kind, message),
        false => CallFailure::passing(kind, message),
    }
}
