//! What a provider's complaint means: its class, whether waiting helps, and what to do next.
//!
//! It decides no retry: the class does, in the engine. What a provider says is quoted, bounded, and
//! without anything that looks like a key.

use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::words::{FailureKind, Happened};
use jiff::Timestamp;
use serde_json::Value;

use crate::provider::{Key, Provider};

/// How many characters of a provider's own words are told.
const QUOTE_CHARS_MAX: usize = 400;
/// The longest pause of a provider's that is passed on.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How the keys of well-known providers begin.
const KEY_MARKS: &[&str] = &["sk-", "AIza", "gsk_", "xai-", "Bearer "];

/// Where a call went: for messages.
pub(crate) struct Place<'p> {
    pub(crate) provider: &'p Provider,
    /// `provider/name`.
    pub(crate) model: &'p str,
    /// Without a query.
    pub(crate) url: String,
    pub(crate) key: Option<Key>,
}

/// What a provider complains of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Of the HTTP answer; none where it came in a stream that had begun well.
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// All its short words for it, lower case.
    pub(crate) codes: String,
    pub(crate) message: String,
}

impl Complaint {
    /// Out of an HTTP answer's status and body, however it is written.
    pub(crate) fn of_body(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let complaint = match serde_json::from_str::<Value>(&text) {
            Ok(value) => Self::of_json(&value),
            Err(_) => Self { message: text.trim().to_owned(), ..Self::default() },
        };
        let retry_after = retry_after.or(complaint.retry_after);
        Self { status: Some(status), retry_after, ..complaint }
    }

    /// Out of the JSON of an error, of a body or of an event.
    pub(crate) fn of_json(value: &Value) -> Self {
        // Google puts it into a list where it does not stream.
        let value = value.get(0).unwrap_or(value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        if let Some(message) = error.as_str() {
            return Self { message: message.to_owned(), ..Self::default() };
        }
        let mut codes = String::new();
        for word in ["type", "code", "status"].iter().filter_map(|name| error.get(*name)) {
            let word = word.as_str().map_or_else(|| word.to_string(), str::to_lowercase);
            codes.push_str(&word);
            codes.push(' ');
        }
        let mut retry_after = None;
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            let delay = detail.get("retryDelay").and_then(Value::as_str);
            retry_after = retry_after.or(delay.and_then(seconds));
            codes.push_str(&detail.to_string().to_lowercase());
            codes.push(' ');
        }
        let said = ["message", "detail"].iter().filter_map(|name| error.get(*name)).next();
        let message = match said {
            Some(said) => said.as_str().map_or_else(|| said.to_string(), str::to_owned),
            None => error.to_string(),
        };
        Self { status: None, retry_after, codes, message }
    }

    fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| message.contains(word) || self.codes.contains(word))
    }

    /// Why, as far as can be told; what to do is [`advice`].
    fn kind(&self) -> FailureKind {
        let status = self.status.unwrap_or(0);
        // The words first: providers say several of these under one status.
        if status == 402 || self.says(QUOTA_GONE) {
            FailureKind::UsageLimit
        } else if self.says(TOO_LONG) || status == 413 {
            FailureKind::ContextTooLong
        } else if matches!(status, 401 | 403) || self.says(NO_KEY) {
            FailureKind::Denied
        } else if status == 429 || self.says(TOO_MANY) {
            let is_minute = self.retry_after.is_some() && !self.says(&["perday", "per day"]);
            if self.says(&["quota"]) && !is_minute {
                FailureKind::UsageLimit
            } else {
                FailureKind::RateLimited
            }
        } else if matches!(status, 503 | 529) || self.says(&["overloaded"]) {
            FailureKind::RateLimited
        } else if status == 404 || self.says(&["model_not_found", "not_found_error"]) {
            FailureKind::NotFound
        } else if self.says(FILTERED) {
            FailureKind::Refused
        } else if matches!(status, 408 | 425 | 500..) || (status == 0 && self.says(BROKEN)) {
            FailureKind::Unavailable
        } else if status >= 400 || self.says(&["invalid"]) {
            FailureKind::InvalidInput
        } else {
            FailureKind::Unavailable
        }
    }

    /// As the failure of a call whose answer had not begun.
    pub(crate) fn failure(&self, place: &Place<'_>) -> CallFailure {
        let kind = self.kind();
        let status = self.status.map(|status| format!(" {status}")).unwrap_or_default();
        let quote = place.quote(&self.message);
        let advice = advice(kind, place);
        let message = format!("{place} answered{status}: {quote}. {advice}");
        let is_passing = matches!(kind, FailureKind::RateLimited | FailureKind::Unavailable);
        let failure = match self.status {
            // A gateway that waited in vain: what is behind it may have worked on.
            Some(504 | 524) => CallFailure::in_doubt(kind, message),
            _ if is_passing => CallFailure::passing(kind, message),
            _ => CallFailure::refused(kind, message),
        };
        let retry_after = self.retry_after.filter(|_| is_passing);
        CallFailure { retry_after_ms: retry_after.and_then(millis), ..failure }
    }

    /// As the failure of a call that had begun to answer: it may have been billed.
    pub(crate) fn failure_in_the_middle(&self, place: &Place<'_>) -> CallFailure {
        CallFailure { happened: Happened::Unknown, ..self.failure(place) }
    }
}

const QUOTA_GONE: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit",
    "billing_not_active",
    "billing_error",
    "credit balance",
    "insufficient balance",
    "insufficient_balance",
    "usage limits",
];
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "context window",
    "context length",
    "context size",
    "prompt is too long",
    "maximum number of tokens allowed",
    "request_too_large",
    "input is too long",
    "string_above_max_length",
];
const NO_KEY: &[&str] = &[
    "api_key_invalid",
    "invalid_api_key",
    "authentication_error",
    "api key not valid",
    "permission_error",
    "permission_denied",
    "unauthenticated",
];
const TOO_MANY: &[&str] = &["rate_limit", "rate limit", "too_many_requests", "resource_exhausted"];
const FILTERED: &[&str] = &["content_filter", "content_policy", "responsible ai", "safety system"];
const BROKEN: &[&str] = &["server_error", "api_error", "internal", "timeout", "unavailable"];

/// What to do next.
fn advice(kind: FailureKind, place: &Place<'_>) -> String {
    let name = &place.provider.name;
    match kind {
        FailureKind::Denied => match &place.provider.key_env {
            Some(variable) => format!("Set `{variable}` to a key that may use this model"),
            None => format!("Name the variable of its key in [models.providers.{name}] key_env"),
        },
        FailureKind::UsageLimit => {
            "The account's quota is used up: add to it, or name another model".to_owned()
        }
        FailureKind::NotFound => {
            format!("Look whether `{}` is right, and the base_url of `{name}`", place.model)
        }
        FailureKind::ContextTooLong => {
            "Give it less, or name a model with a larger window".to_owned()
        }
        FailureKind::RateLimited => {
            format!("It passes; [models.limits.\"{}\"] keeps below its limits", place.model)
        }
        FailureKind::Unavailable => {
            "It may pass; else look whether the provider is well".to_owned()
        }
        FailureKind::Refused => "Word the request otherwise, or name another model".to_owned(),
        FailureKind::InvalidInput
        | FailureKind::Template
        | FailureKind::TooLarge
        | FailureKind::TimedOut
        | FailureKind::Cancelled
        | FailureKind::Lost
        | FailureKind::InvalidOutput
        | FailureKind::Panicked
        | FailureKind::Child
        | FailureKind::Items
        | FailureKind::Rejected
        | FailureKind::NoEvent
        | FailureKind::Loop
        | FailureKind::Budget => {
            "The same request will not go better: look at what it sends".to_owned()
        }
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({})", self.model, self.url)
    }
}

impl Place<'_> {
    /// Foreign words, for a message: one line, bounded, no key in it.
    pub(crate) fn quote(&self, words: &str) -> String {
        let mut words = words.to_owned();
        if let Some(key) = &self.key {
            words = words.replace(key.secret(), "[key]");
        }
        let mut quote = String::new();
        for word in words.split(|char: char| char.is_whitespace() || char.is_control()) {
            if word.is_empty() {
                continue;
            }
            if !quote.is_empty() {
                quote.push(' ');
            }
            quote.push_str(&without_key(word));
            if quote.chars().count() > QUOTE_CHARS_MAX {
                break;
            }
        }
        if quote.is_empty() {
            return "(no words)".to_owned();
        }
        match quote.char_indices().nth(QUOTE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", quote.get(..end).unwrap_or_default()),
            None => quote.trim_end_matches('.').to_owned(),
        }
    }
}

/// Providers like to say parts of the key that they do not know.
fn without_key(word: &str) -> String {
    let mark = KEY_MARKS.iter().filter_map(|mark| word.find(mark)).min();
    match mark {
        Some(at) if word.len() - at > 8 => {
            format!("{}[key]", word.get(..at).unwrap_or_default())
        }
        Some(_) | None => word.to_owned(),
    }
}

/// The pause that the headers of an answer ask for: `retry-after-ms`, or `retry-after` in seconds or
/// as a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    now: Timestamp,
) -> Option<Duration> {
    let by_millis = header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok());
    let by_millis = by_millis.and_then(|millis| pause_of(millis / 1_000.0));
    let pause = by_millis.or_else(|| {
        let text = header("retry-after")?.trim();
        seconds(text).or_else(|| {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Some(until.duration_since(now).try_into().unwrap_or(Duration::ZERO))
        })
    });
    pause.map(|pause| pause.min(RETRY_AFTER_MAX))
}

/// `1.5` or `1.5s`.
fn seconds(text: &str) -> Option<Duration> {
    pause_of(text.trim().trim_end_matches('s').parse().ok()?)
}

/// No pause is negative, and none without end.
fn pause_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())).ok()
}

/// For a failure.
pub(crate) fn millis(pause: Duration) -> Option<u64> {
    u64::try_from(pause.as_millis()).ok()
}
