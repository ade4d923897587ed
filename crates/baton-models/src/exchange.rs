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
use crate::protocol::{Step, Wire};
use crate::stream::Stream;

/// The media type of server-sent events.
const STREAM_KIND: &str = "text/event-stream";
/// The most of an error's body that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;
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
        stream: &mut Stream,
        answer: &mut Gathering<'_>,
    ) -> Result<(), CallFailure> {
        let begins_until = Instant::now() + self.timeouts.first_byte_timeout.0;
        let sent = timeout_at(begins_until, self.request(wire)?.send()).await;
        let response = sent.map_err(|_| self.silent())?.map_err(|fault| self.not_sent(fault))?;
        if !response.status().is_success() {
            return Err(self.complaint(response, begins_until).await.failure(self.place));
        }
        let is_stream = kind_of(&response).is_none_or(|kind| {
            kind.trim()
                .get(..STREAM_KIND.len())
                .is_some_and(|k| k.eq_ignore_ascii_case(STREAM_KIND))
        });
        if !is_stream {
            return Err(self.not_a_stream(response, begins_until).await);
        }
        self.read(response, begins_until, stream, answer).await?;
        answer.refusal().map_or(Ok(()), |words| Err(self.refused(&words)))
    }

    /// The answer is whole, and a refusal: it was billed, and would be the same again.
    fn refused(&self, words: &str) -> CallFailure {
        let words = self.place.quote(words);
        let message = format!(
            "{} refused: {words}. Word the request otherwise, or name another model",
            self.place
        );
        let refused = CallFailure::in_doubt(FailureKind::Refused, message);
        CallFailure { retryable: false, ..refused }
    }

    fn request(&self, wire: Wire) -> Result<RequestBuilder, CallFailure> {
        let mut url = self.place.provider.url(wire.path.iter().map(String::as_str));
        url.set_query(wire.query);
        let body = serde_json::to_vec(&wire.body).map_err(|fault| {
            let message = format!("the request to {} cannot be written: {fault}", self.place);
            CallFailure::refused(FailureKind::InvalidInput, message)
        })?;
        let request = self.client.post(url).header("content-type", "application/json");
        let request = request.header("accept", STREAM_KIND).body(body);
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
        stream: &mut Stream,
        answer: &mut Gathering<'_>,
    ) -> Result<(), CallFailure> {
        let mut patience = begins_until;
        loop {
            let read = timeout_at(patience, response.chunk()).await;
            let read = read.map_err(|_| match stream.is_empty() {
                true => self.silent(),
                false => self.idle(),
            })?;
            let bytes = read.map_err(|fault| self.lost(&words_of(&fault.without_url())))?;
            let is_end = bytes.is_none();
            let step = match bytes {
                Some(bytes) => stream.take(&bytes, answer),
                None => stream.end(answer),
            };
            match step.map_err(|broken| self.broken(broken, answer))? {
                Step::Whole => {
                    drain(response);
                    return Ok(());
                }
                Step::More if is_end => {
                    return Err(self.lost("the answer was cut off before its end"));
                }
                Step::More => patience = Instant::now() + self.timeouts.idle_timeout.0,
            }
        }
    }

    /// An error's status and body, as far as they come in time.
    async fn complaint(&self, response: Response, until: Instant) -> Complaint {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|text| text.to_str().ok());
        let pause = retry_after(header, Timestamp::now());
        if let Some(to) = header("location").filter(|_| response.status().is_redirection()) {
            let message = format!("it redirects to {to}, which is not followed; set base_url");
            return Complaint { status: Some(404), message, ..Complaint::default() };
        }
        let body = bounded_body(response, until).await;
        Complaint::of_body(status, pause, &body)
    }

    /// What came in place of a stream: an error that calls itself a success, or the web page of
    /// somebody in between.
    async fn not_a_stream(&self, response: Response, until: Instant) -> CallFailure {
        let kind = kind_of(&response).unwrap_or_default().to_owned();
        let body = bounded_body(response, until).await;
        let json = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        if json.get("error").is_some_and(|error| !error.is_null()) {
            return Complaint::of_json(&json).failure_in_the_middle(self.place);
        }
        let (kind, body) =
            (self.place.quote(&kind), self.place.quote(&String::from_utf8_lossy(&body)));
        let message = format!(
            "{} answered `{kind}` where a stream of events was asked for: {body}. Look whether \
             base_url and protocol of [models.providers.{}] are right",
            self.place, self.place.provider.name
        );
        CallFailure::in_doubt(FailureKind::InvalidOutput, message)
    }

    fn broken(&self, broken: Broken, answer: &Gathering<'_>) -> CallFailure {
        match broken {
            Broken::TooLarge(bound) => self.too_large(bound),
            Broken::Complaint(complaint) if answer.is_empty() => complaint.failure(self.place),
            Broken::Complaint(complaint) => complaint.failure_in_the_middle(self.place),
            Broken::Shape(what) => {
                let what = self.place.quote(&what);
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

/// What an answer says it is.
fn kind_of(response: &Response) -> Option<&str> {
    response.headers().get("content-type").and_then(|kind| kind.to_str().ok())
}

/// The body of an answer that is no stream, as far as it comes in time.
async fn bounded_body(mut response: Response, until: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < ERROR_BYTES_MAX {
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
            Ok(Ok(None) | Err(_)) | Err(_) => break,
        }
    }
    body.truncate(ERROR_BYTES_MAX);
    body
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
