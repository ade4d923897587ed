//! One exchange over HTTP: a request goes out, its answer is read while it comes.
//!
//! It repeats nothing, follows no redirect (a key would go along), and knows no protocol. What was
//! sent and not answered in full may have been billed, and says so.

use std::error::Error;
use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::ProviderConfig;
use crate::failure::{Complaint, Place, retry_after};
use crate::gathering::{Broken, Gathering};
use crate::protocol::{Reader, Step, Wire};
use crate::sse::SseReader;

/// The most of an error's body that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// The most bytes of a stream; an answer of 8 MiB in pieces of a few characters needs more than itself.
const STREAM_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long the end of a stream is waited for after its answer's, so that its connection can serve again.
const DRAIN: Duration = Duration::from_secs(1);

/// An exchange that is to be made.
pub(crate) struct Exchange<'e> {
    pub(crate) client: &'e Client,
    pub(crate) place: &'e Place<'e>,
    pub(crate) timeouts: &'e ProviderConfig,
}

impl Exchange<'_> {
    /// Sends the request and reads the answer to its end.
    pub(crate) async fn make(
        &self,
        wire: Wire,
        reader: &mut dyn Reader,
        answer: &mut Gathering<'_>,
    ) -> Result<(), CallFailure> {
        let begins_until = Instant::now() + self.timeouts.first_byte_timeout.0;
        let sent = timeout_at(begins_until, self.request(wire)?.send()).await;
        let response = sent.map_err(|_| self.silent())?.map_err(|fault| self.not_sent(fault))?;
        if !response.status().is_success() {
            return Err(self.complaint(response, begins_until).await.failure(self.place));
        }
        self.check_kind(&response)?;
        self.read(response, begins_until, reader, answer).await?;
        match answer.refusal() {
            None => Ok(()),
            Some(words) => {
                let words = self.place.quote(&words);
                let message = format!(
                    "{} refused: {words}. Word the request otherwise, or name another model",
                    self.place
                );
                let refused = CallFailure::in_doubt(FailureKind::Refused, message);
                Err(CallFailure { retryable: false, ..refused })
            }
        }
    }

    fn request(&self, wire: Wire) -> Result<RequestBuilder, CallFailure> {
        let mut url = self.place.provider.url(wire.path.iter().map(String::as_str));
        url.set_query(wire.query);
        let body = serde_json::to_vec(&wire.body).map_err(|fault| {
            let message = format!("the request to {} cannot be written: {fault}", self.place);
            CallFailure::refused(FailureKind::InvalidInput, message)
        })?;
        let request = self.client.post(url).header("content-type", "application/json");
        let request = request.header("accept", "text/event-stream").body(body);
        Ok(wire.headers.into_iter().fold(request, |request, (name, value)| {
            let value = reqwest::header::HeaderValue::try_from(value).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            match value {
                Ok(value) => request.header(name, value),
                // The builder reports it without saying the value.
                Err(_) => request.header(name, "\n"),
            }
        }))
    }

    async fn read(
        &self,
        mut response: Response,
        begins_until: Instant,
        reader: &mut dyn Reader,
        answer: &mut Gathering<'_>,
    ) -> Result<(), CallFailure> {
        let (mut sse, mut events, mut bytes_read) = (SseReader::default(), Vec::new(), 0_usize);
        let idle = self.timeouts.idle_timeout.0;
        let mut patience = begins_until;
        loop {
            let read = timeout_at(patience, response.chunk()).await;
            let read = read.map_err(|_| match bytes_read {
                0 => self.silent(),
                _ => self.idle(),
            })?;
            let bytes = read.map_err(|fault| self.lost(&words_of(&fault.without_url())))?;
            let is_end = bytes.is_none();
            match &bytes {
                Some(bytes) => {
                    bytes_read = bytes_read.saturating_add(bytes.len());
                    if bytes_read > STREAM_BYTES_MAX {
                        return Err(self.too_large("256 MiB of stream"));
                    }
                    sse.feed(bytes, &mut events).map_err(|_| self.too_large("16 MiB of event"))?;
                }
                None => sse.rest(&mut events),
            }
            for event in events.drain(..) {
                if self.event(&event, reader, answer)? == Step::Whole {
                    drain(response);
                    return Ok(());
                }
            }
            if is_end {
                return match reader.end(answer).map_err(|broken| self.broken(broken, answer))? {
                    Step::Whole => Ok(()),
                    Step::More => Err(self.lost("the answer was cut off before its end")),
                };
            }
            patience = Instant::now() + idle;
        }
    }

    fn event(
        &self,
        event: &str,
        reader: &mut dyn Reader,
        answer: &mut Gathering<'_>,
    ) -> Result<Step, CallFailure> {
        let text = event.trim();
        let step = match text {
            "" => Ok(Step::More),
            // Says OpenAI, and whoever speaks its protocol: no event comes after it.
            "[DONE]" => match reader.end(answer) {
                Ok(Step::More) => Err(Broken::Shape("[DONE] before the answer's end".to_owned())),
                ended => ended,
            },
            _ => match serde_json::from_str::<Value>(text) {
                Ok(event) => reader.read(&event, answer),
                Err(fault) => {
                    let said = self.place.quote(text);
                    Err(Broken::Shape(format!("an event that is no JSON ({fault}): {said}")))
                }
            },
        };
        step.map_err(|broken| self.broken(broken, answer))
    }

    /// An error's status and body, as far as they come in time.
    async fn complaint(&self, mut response: Response, until: Instant) -> Complaint {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|text| text.to_str().ok());
        let pause = retry_after(header, Timestamp::now());
        if let Some(to) = header("location").filter(|_| response.status().is_redirection()) {
            let message = format!("it redirects to {to}, which is not followed; set base_url");
            return Complaint { status: Some(404), message, ..Complaint::default() };
        }
        let mut body = Vec::new();
        while body.len() < ERROR_BYTES_MAX {
            match timeout_at(until, response.chunk()).await {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        body.truncate(ERROR_BYTES_MAX);
        Complaint::of_body(status, pause, &body)
    }

    /// Whether it is a stream that comes: a web page of somebody in between is none.
    fn check_kind(&self, response: &Response) -> Result<(), CallFailure> {
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        match kind {
            None => Ok(()),
            Some(kind) if kind.trim_start().starts_with("text/event-stream") => Ok(()),
            Some(kind) => {
                let kind = self.place.quote(kind);
                let message = format!(
                    "{} answered `{kind}` where a stream of events was asked for. Look whether \
                     base_url and protocol of [models.providers.{}] are right",
                    self.place, self.place.provider.name
                );
                Err(CallFailure::in_doubt(FailureKind::InvalidOutput, message))
            }
        }
    }

    fn broken(&self, broken: Broken, answer: &Gathering<'_>) -> CallFailure {
        match broken {
            Broken::TooLarge(bound) => self.too_large(bound),
            Broken::Complaint(complaint) if answer.is_empty() => complaint.failure(self.place),
            Broken::Complaint(complaint) => complaint.failure_in_the_middle(self.place),
            Broken::Shape(what) => {
                let message = format!(
                    "{} answered what its protocol does not have: {what}. It is asked again; if it \
                     stays, look whether the protocol of [models.providers.{}] is right",
                    self.place, self.place.provider.name
                );
                CallFailure::in_doubt(FailureKind::InvalidOutput, message)
            }
        }
    }

    fn too_large(&self, bound: &str) -> CallFailure {
        let message = format!(
            "{} answered more than {bound}, which is more than an answer may be; it was stopped. \
             Lower the agent's output_tokens",
            self.place
        );
        let failure = CallFailure::in_doubt(FailureKind::TooLarge, message);
        CallFailure { retryable: false, ..failure }
    }

    /// Before the answer began.
    fn not_sent(&self, fault: reqwest::Error) -> CallFailure {
        let is_local = self.place.provider.is_local();
        let (is_connect, is_builder) = (fault.is_connect(), fault.is_builder());
        let words = self.place.quote(&words_of(&fault.without_url()));
        let name = &self.place.provider.name;
        if is_builder {
            let message = format!(
                "no request can be made to {}: {words}. Look at the key and the base_url of `{name}`",
                self.place
            );
            return CallFailure::refused(FailureKind::InvalidInput, message);
        }
        if is_connect {
            let advice = match is_local {
                true => format!("Start `{name}`, or set its base_url in [models.providers.{name}]"),
                false => "Look at the network, HTTPS_PROXY and the base_url".to_owned(),
            };
            let message = format!("{} cannot be reached: {words}. {advice}", self.place);
            return CallFailure::passing(FailureKind::Unavailable, message);
        }
        self.lost(&words)
    }

    fn lost(&self, why: &str) -> CallFailure {
        let why = self.place.quote(why);
        let message = format!(
            "the connection to {} was lost: {why}. What it had worked may be billed",
            self.place
        );
        CallFailure::in_doubt(FailureKind::Lost, message)
    }

    fn silent(&self) -> CallFailure {
        let span = self.timeouts.first_byte_timeout;
        self.late(&format!("began no answer within {span} (first_byte_timeout)"))
    }

    fn idle(&self) -> CallFailure {
        let span = self.timeouts.idle_timeout;
        self.late(&format!("fell silent for {span} in the middle of its answer (idle_timeout)"))
    }

    /// Not in its time.
    pub(crate) fn late(&self, what: &str) -> CallFailure {
        let message = format!(
            "{} {what}. What it had worked may be billed; [models.providers.{}] and the task's \
             `timeout` say how long it may take",
            self.place, self.place.provider.name
        );
        CallFailure::in_doubt(FailureKind::TimedOut, message)
    }
}

/// An error with its causes, the outermost first.
fn words_of(fault: &dyn Error) -> String {
    let mut words = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        cause = inner.source();
    }
    words
}

/// Reads what is left of a stream whose answer is whole: only then the connection serves again.
fn drain(mut response: Response) {
    tokio::spawn(async move {
        let rest = async {
            let mut left = ERROR_BYTES_MAX;
            while let Ok(Some(bytes)) = response.chunk().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    return;
                }
            }
        };
        let _ = timeout(DRAIN, rest).await;
    });
}
