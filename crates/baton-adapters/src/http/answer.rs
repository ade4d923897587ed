//! What an answer means: an output, or a failure with a class, and what it says of the effect.

use std::collections::BTreeMap;

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use serde::Serialize;
use serde_json::Value;
use ureq::http::{HeaderMap, Uri};

use super::exchange::Raw;
use crate::base64;

/// The longest pause another side is granted, in milliseconds: a day.
const RETRY_AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// The output of both tools.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    status: u16,
    /// Where it came from in the end.
    url: String,
    headers: BTreeMap<String, String>,
    body: Value,
    encoding: &'static str,
    truncated: bool,
}

/// What the request would have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    Read,
    /// Something, once.
    Once,
}

/// Takes 2xx, and a redirect that says the work is done (303), as output; all else as a failure.
pub(super) fn judged(raw: Raw, url: &Uri, meaning: Meaning) -> Result<Answer, CallFailure> {
    let code = raw.status.as_u16();
    if raw.status.is_success() || code == 303 || code == 304 {
        return Ok(answer(raw, url));
    }
    let said: String = String::from_utf8_lossy(&raw.body).chars().take(300).collect();
    let message = format!("{url} answers {}: {}", raw.status, said.trim());
    let refused = |kind| CallFailure::refused(kind, message.clone());
    Err(match (code, meaning) {
        (404 | 410, _) => refused(FailureKind::NotFound),
        (300..400, _) => CallFailure::refused(
            FailureKind::Refused,
            format!("{message}; it redirects, so ask {:?} instead", raw.redirect().unwrap_or("")),
        ),
        // These say that the request was not taken up.
        (408 | 425 | 429 | 503, _) | (500..600, Meaning::Read) => CallFailure {
            retry_after_ms: retry_after(&raw.headers),
            ..CallFailure::passing(FailureKind::Unavailable, message)
        },
        (500..600, Meaning::Once) => CallFailure {
            retry_after_ms: retry_after(&raw.headers),
            ..CallFailure::in_doubt(FailureKind::Unavailable, message)
        },
        _ => refused(FailureKind::Refused),
    })
}

fn answer(raw: Raw, url: &Uri) -> Answer {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &raw.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    let is_json = headers.get("content-type").is_some_and(|kind| is_json(kind));
    let json =
        (is_json && !raw.truncated).then(|| serde_json::from_slice(&raw.body).ok()).flatten();
    let (body, encoding) = match (json, text(raw.body, raw.truncated)) {
        (Some(json), _) => (json, "json"),
        (None, Ok(text)) => (Value::String(text), "text"),
        (None, Err(bytes)) => (Value::String(base64::encode(&bytes)), "base64"),
    };
    Answer {
        status: raw.status.as_u16(),
        url: url.to_string(),
        headers,
        body,
        encoding,
        truncated: raw.truncated,
    }
}

/// `application/json` and whatever ends in `+json`, with or without parameters.
fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// UTF-8, less a character that only the cut has split; else the bytes back.
fn text(bytes: Vec<u8>, truncated: bool) -> Result<String, Vec<u8>> {
    String::from_utf8(bytes).or_else(|fault| {
        let cause = fault.utf8_error();
        let mut bytes = fault.into_bytes();
        if truncated && cause.error_len().is_none() {
            bytes.truncate(cause.valid_up_to());
            return String::from_utf8(bytes).map_err(|fault| fault.into_bytes());
        }
        Err(bytes)
    })
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1_000),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let pause = at.as_millisecond() - jiff::Timestamp::now().as_millisecond();
            u64::try_from(pause).unwrap_or(0)
        }
    };
    Some(pause.min(RETRY_AFTER_MS_MAX))
}
