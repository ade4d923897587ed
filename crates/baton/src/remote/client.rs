//! Asking a server: one request, its answer, and when to ask again.
//!
//! It follows no redirects and uses no proxies: what is sent, the token before all, goes where the
//! caller said and nowhere else. It knows no resources.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::de::DeserializeOwned;
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body, BodyReader, Error, Timeout};

use super::address::Address;
use super::answers::{Fault, Problem, said};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a request may take, its answer included.
const REQUEST_MAX: Duration = Duration::from_secs(90);
/// How long a stream may be silent: a server says every 15 s that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// How long a server that was heard before is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before the first repetition; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The largest answer, decompressed: a few of the largest outputs.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Room for an answer's headers.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// A way to a server; cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    address: Arc<Address>,
    /// Whether it has ever answered: whoever never did is not waited for.
    heard: Arc<AtomicBool>,
}

/// What is sent with a POST.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'s> {
    /// Its media type.
    pub kind: &'static str,
    /// The body.
    pub text: &'s str,
}

impl Client {
    pub(super) fn new(address: Address) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(HEADER_BYTES_MAX)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_recv_response(Some(REQUEST_MAX))
            .tls_config(address.tls.clone())
            .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), address: Arc::new(address), heard: Arc::default() }
    }

    /// Another way to the same server, on connections of its own.
    pub(super) fn apart(&self) -> Self {
        Self { agent: self.agent.config().clone().into(), ..self.clone() }
    }

    /// Ends the connections, at once and for good.
    pub(super) fn hang_up(&self) {
        self.agent.clone().shutdown();
    }

    /// The server's URL.
    pub(super) fn base(&self) -> &str {
        &self.address.base
    }

    /// Reads what is at a path of the API.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        let read = || {
            let request = self.agent.get(self.url(path)).header(header::ACCEPT, "application/json");
            let request = request.config().timeout_global(Some(REQUEST_MAX)).build();
            self.answer(self.shown(request).call())
        };
        self.persist(&read, &|fault| matches!(fault, Fault::Refused(_)))
    }

    /// The same; `None` where there is no such thing.
    pub(super) fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Fault> {
        match self.get(path) {
            Ok(found) => Ok(Some(found)),
            Err(Fault::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Has something done, once: each repetition carries the same key.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        sending: Sending<'_>,
    ) -> anyhow::Result<Result<T, Fault>> {
        let key = key()?;
        let send = || {
            let request = self.agent.post(self.url(path)).header("idempotency-key", &key);
            let request = request.header(header::CONTENT_TYPE, sending.kind);
            let request = request.header(header::ACCEPT, "application/json");
            let request = request.config().timeout_global(Some(REQUEST_MAX)).build();
            self.answer(self.shown(request).send(sending.text))
        };
        Ok(self.persist(&send, &|fault| matches!(fault, Fault::Refused(_) | Fault::Lost(_))))
    }

    /// Opens a stream of events behind the message of an id.
    pub(super) fn stream(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<BodyReader<'static>, Fault> {
        let request = self.agent.get(self.url(path)).header(header::ACCEPT, "text/event-stream");
        let request = match after {
            Some(after) => request.header("last-event-id", after),
            None => request,
        };
        let request = request.config().timeout_per_read(Some(SILENCE_MAX)).build();
        let response = self.shown(request).call().map_err(|error| self.fault(&error))?;
        if response.status() == StatusCode::OK && is_of(response.headers(), "text/event-stream") {
            self.heard.store(true, Ordering::Release);
            return Ok(response.into_body().into_reader());
        }
        let read: Result<serde_json::Value, Fault> = self.read(response);
        Err(read.err().unwrap_or_else(|| {
            Fault::Strange("answers with something else than a stream of events".to_owned())
        }))
    }

    /// Foreign text as it may be repeated: without the token.
    pub(super) fn said(&self, text: &str) -> String {
        match &self.address.secret {
            Some(secret) => said(&text.replace(secret.as_str(), "(the token)")),
            None => said(text),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.address.base)
    }

    fn shown<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.address.bearer {
            Some(bearer) => request.header(header::AUTHORIZATION, bearer),
            None => request,
        }
    }

    /// Tries again what may pass, while it is worth it: always with a server that was heard before,
    /// else where `early` says so.
    fn persist<T>(
        &self,
        attempt: &dyn Fn() -> Result<T, Fault>,
        early: &dyn Fn(&Fault) -> bool,
    ) -> Result<T, Fault> {
        let began = Instant::now();
        let mut pause = PAUSE;
        loop {
            let fault = match attempt() {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let worth = self.heard.load(Ordering::Acquire) || early(&fault);
            if !fault.may_pass() || !worth || began.elapsed() + pause > PATIENCE {
                return Err(fault);
            }
            // sleep: nothing signals that a server can be reached again.
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn answer<T: DeserializeOwned>(
        &self,
        answered: Result<Response<Body>, Error>,
    ) -> Result<T, Fault> {
        self.read(answered.map_err(|error| self.fault(&error))?)
    }

    /// A JSON answer, or the problem that it tells.
    fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T, Fault> {
        let (parts, body) = response.into_parts();
        let is_problem = is_of(&parts.headers, "application/problem+json");
        if !is_problem {
            self.expect_json(parts.status, &parts.headers)?;
        }
        let bytes = self.bytes_of(body)?;
        self.heard.store(true, Ordering::Release);
        let unreadable = |fault: serde_json::Error| {
            let fault = self.said(&fault.to_string());
            Fault::Strange(format!("answers with what cannot be read here: {fault}"))
        };
        if !is_problem {
            return serde_json::from_slice(&bytes).map_err(unreadable);
        }
        let mut problem: Problem = serde_json::from_slice(&bytes).map_err(unreadable)?;
        problem.status = parts.status.as_u16();
        problem.detail = self.said(&problem.detail);
        for error in &mut problem.errors {
            error.detail = self.said(&error.detail);
            error.pointer = self.said(&error.pointer);
        }
        Err(Fault::Refused(problem))
    }

    /// Refuses an answer that is no JSON.
    fn expect_json(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
        if status.is_success() && is_of(headers, "application/json") {
            return Ok(());
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if status.is_redirection() {
            let place = self.said(text(header::LOCATION).unwrap_or("elsewhere"));
            return Err(Fault::Strange(format!(
                "sends callers to {place}, where nothing is sent; name that server if it is meant"
            )));
        }
        if matches!(status.as_u16(), 502..=504) {
            // A proxy whose server is away.
            return Err(Fault::Lost(format!("the answer is {status}")));
        }
        let kind = self.said(text(header::CONTENT_TYPE).unwrap_or("nothing that is named"));
        Err(Fault::Strange(format!("answers with {status} and {kind} instead of JSON")))
    }

    fn bytes_of(&self, body: Body) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let mut reader = body.into_reader().take(BODY_BYTES_MAX + 1);
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|cause| Fault::Lost(self.said(&cause.to_string())))?;
        if bytes.len() as u64 > BODY_BYTES_MAX {
            let message = format!("answers with more than {BODY_BYTES_MAX} bytes");
            return Err(Fault::Strange(message));
        }
        Ok(bytes)
    }

    fn fault(&self, error: &Error) -> Fault {
        let why = self.said(&error.to_string());
        if is_of_trust(error) {
            return Fault::Strange(format!(
                "cannot be trusted: {why} (`BATON_CA=FILE` names the authority behind a certificate)"
            ));
        }
        if let Error::BadUri(_) | Error::Http(_) | Error::LargeResponseHeader(_, _) = error {
            return Fault::Strange(format!("cannot be spoken with: {why}"));
        }
        if is_before_sending(error) { Fault::NotReached(why) } else { Fault::Lost(why) }
    }
}

fn is_before_sending(error: &Error) -> bool {
    if let Error::Io(cause) = error {
        return cause.kind() == std::io::ErrorKind::ConnectionRefused;
    }
    matches!(
        error,
        Error::HostNotFound
            | Error::ConnectionFailed
            | Error::Timeout(Timeout::Connect | Timeout::Resolve)
    )
}

/// Whether it is about certificates, which stay as they are.
fn is_of_trust(error: &Error) -> bool {
    if let Error::Io(cause) = error {
        let inner = cause.get_ref();
        return inner.is_some_and(|inner| inner.to_string().contains("certificate"));
    }
    matches!(error, Error::Rustls(_) | Error::Tls(_))
}

fn is_of(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(kind)
}

/// A key that nobody else has.
fn key() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    let got = getrandom(&mut bytes, GetRandomFlags::empty());
    let got = got.context("the system gives no randomness")?;
    anyhow::ensure!(got == bytes.len(), "the system gave too little randomness; try again");
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
