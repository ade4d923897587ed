//! `http.get` and `http.request`: calls of declared hosts.
//!
//! What may be reached is `http/address.rs`, how one exchange goes is `http/exchange.rs`; here are
//! the tools' inputs and what an answer means. No proxy of the environment is used, no cookie kept.

mod address;
mod answer;
mod exchange;

use std::collections::BTreeMap;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind};
use serde::Deserialize;
use serde_json::Value;
use ureq::http::{HeaderName, HeaderValue, Method, Uri};

use crate::config::{HttpConfig, Limits, ToolsError};
use crate::schema::{any, integer, object, optional, required, text, texts, word};
use crate::tool::{Scope, Tool, bounded, invalid, reads, writes};

use address::Hosts;
use answer::{Answer, Meaning};
use exchange::Ask;

/// Redirects that `http.get` follows.
const REDIRECTS_MAX: usize = 5;
/// Bytes of a body that are returned when the call does not say.
const BODY_BYTES: usize = 1 << 20;
/// Headers that frame the exchange or carry what Baton says.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that go on to another origin; others may hold secrets of the first.
const FORWARDED: [&str; 3] = ["accept", "accept-language", "user-agent"];

/// `http.get`.
pub(crate) struct Get {
    hosts: Hosts,
}

/// `http.request`.
pub(crate) struct Request {
    hosts: Hosts,
}

impl Get {
    pub(crate) fn of(config: &HttpConfig) -> Result<Self, ToolsError> {
        Hosts::of(config).map(|hosts| Self { hosts })
    }
}

impl Request {
    pub(crate) fn of(config: &HttpConfig) -> Result<Self, ToolsError> {
        Hosts::of(config).map(|hosts| Self { hosts })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetInput {
    url: String,
    headers: Option<BTreeMap<String, String>>,
    max_bytes: Option<u64>,
}

impl Tool for Get {
    type Input = GetInput;
    type Output = Answer;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.http_bytes_max;
        reads(
            "http.get",
            "Gets a URL of a declared host, following redirects among such; returns \
             `{status, url, headers, body, encoding, truncated}`.",
            object([
                required("url", text("`http://…` or `https://…`.")),
                optional("headers", texts("Headers to send.")),
                optional("max_bytes", integer(1, max, "What is beyond is cut; 1 MiB.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: GetInput) -> Result<Answer, CallFailure> {
        let limit = scope.limits().http_bytes_max;
        let bytes_max = bounded("max_bytes", input.max_bytes, BODY_BYTES, limit)?;
        let mut ask = Ask {
            method: Method::GET,
            url: self.hosts.url(&input.url)?,
            headers: headers(scope, input.headers)?,
            body: vec![],
            bytes_max,
        };
        for _ in 0..=REDIRECTS_MAX {
            let raw = exchange::exchange(scope, &self.hosts, &ask).map_err(|failure| {
                // A GET has no effect, however it ended.
                CallFailure {
                    retryable: failure.retryable,
                    ..CallFailure::refused(failure.kind, failure.message)
                }
            })?;
            let Some(target) = raw.redirect() else {
                return answer::judged(raw, &ask.url, Meaning::Read);
            };
            let next = self.hosts.url(&joined(&ask.url, target)?)?;
            if origin(&next) != origin(&ask.url) {
                ask.headers.retain(|(name, _)| FORWARDED.contains(&name.as_str()));
            }
            if is_secure(&ask.url) && !is_secure(&next) {
                let message = format!("{} redirects to {next}, which is not encrypted", ask.url);
                return Err(CallFailure::refused(FailureKind::Denied, message));
            }
            ask.url = next;
        }
        let message = format!("{} redirects more than {REDIRECTS_MAX} times", input.url);
        Err(CallFailure::refused(FailureKind::Refused, message))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestInput {
    method: Verb,
    url: String,
    headers: Option<BTreeMap<String, String>>,
    body: Option<Value>,
    max_bytes: Option<u64>,
}

/// The methods there are.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Tool for Request {
    type Input = RequestInput;
    type Output = Answer;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let verbs = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let body = "A string is sent as it is, anything else as JSON.";
        let max = limits.http_bytes_max;
        writes(
            Effect::Once,
            "http.request",
            "Calls a URL of a declared host with an `Idempotency-Key`, following no redirect; \
             returns `{status, url, headers, body, encoding, truncated}`.",
            object([
                required("method", word(&verbs, "The method.")),
                required("url", text("`http://…` or `https://…`.")),
                optional("headers", texts("Headers to send.")),
                optional("body", any(body)),
                optional("max_bytes", integer(1, max, "What is beyond is cut; 1 MiB.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: RequestInput) -> Result<Answer, CallFailure> {
        let limit = scope.limits().http_bytes_max;
        let bytes_max = bounded("max_bytes", input.max_bytes, BODY_BYTES, limit)?;
        let mut headers = headers(scope, input.headers)?;
        let body = match input.body {
            None | Some(Value::Null) => vec![],
            Some(Value::String(text)) => text.into_bytes(),
            Some(json) => {
                if !headers.iter().any(|(name, _)| name == "content-type") {
                    let json = HeaderValue::from_static("application/json");
                    headers.push((HeaderName::from_static("content-type"), json));
                }
                json.to_string().into_bytes()
            }
        };
        let key = HeaderValue::from_str(scope.key)
            .map_err(|_| invalid("the call's idempotency key is no header value"))?;
        headers.push((HeaderName::from_static("idempotency-key"), key));
        let ask = Ask {
            method: input.method.method(),
            url: self.hosts.url(&input.url)?,
            headers,
            body,
            bytes_max,
        };
        let raw = exchange::exchange(scope, &self.hosts, &ask)?;
        answer::judged(raw, &ask.url, Meaning::Once)
    }
}

/// The headers that were asked for, and the span that the call is. Another origin, to which an answer
/// redirects, is not told of it.
fn headers(
    scope: &Scope<'_>,
    asked: Option<BTreeMap<String, String>>,
) -> Result<Vec<(HeaderName, HeaderValue)>, CallFailure> {
    let read = |(name, value): (String, String)| {
        let parsed = (HeaderName::try_from(&name), HeaderValue::try_from(&value));
        let (Ok(header), Ok(value)) = parsed else {
            return Err(invalid(format!("`headers` has `{name}`, which is no header")));
        };
        if RESERVED.contains(&header.as_str()) {
            return Err(invalid(format!("the header `{name}` is set by Baton; leave it out")));
        }
        Ok((header, value))
    };
    let trace = scope.traceparent.and_then(|trace| HeaderValue::from_str(trace).ok());
    let trace = trace.map(|trace| Ok((HeaderName::from_static("traceparent"), trace)));
    asked.into_iter().flatten().map(read).chain(trace).collect()
}

fn origin(url: &Uri) -> (Option<&str>, Option<String>, Option<u16>) {
    let port = url.port_u16().or(if is_secure(url) { Some(443) } else { Some(80) });
    (url.scheme_str(), url.host().map(str::to_ascii_lowercase), port)
}

fn is_secure(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// What a `Location` means, relative to where it was said (RFC 3986, section 5.2, without
/// fragments; the server resolves dot segments of a path).
fn joined(base: &Uri, target: &str) -> Result<String, CallFailure> {
    let target = target.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    if target.is_empty() {
        return Err(invalid(format!("{base} redirects to nowhere")));
    }
    if target.contains("://") && !target.starts_with(['/', '?']) {
        return Ok(target.to_owned());
    }
    if target.starts_with("//") {
        return Ok(format!("{scheme}:{target}"));
    }
    let path = base.path();
    let start = match target.chars().next() {
        Some('/') => "",
        Some('?') => path,
        Some(_) | None => path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or("/"),
    };
    Ok(format!("{scheme}://{authority}{start}{target}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr, TcpListener};
    use std::time::Duration;

    use baton_engine::ports::Control;

    use super::*;
    use crate::beneath::Roots;
    use crate::config::ToolsConfig;

    /// Stands for a public address that redirects to a private one.
    #[test]
    fn a_redirect_to_a_private_address_is_denied_though_every_host_is_declared() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let location = "Location: http://127.0.0.2:1/\r\nContent-Length: 0\r\n";
            write!(stream, "HTTP/1.1 302 Found\r\n{location}\r\n").unwrap();
        });
        let (config, roots) = (ToolsConfig::default(), Roots::open(&[]).unwrap());
        let control = Control::new(Duration::from_secs(20));
        let call = baton_engine::ports::Call {
            tool: "http.get".to_owned(),
            input: baton_core::body::Json::null(),
            folder: None,
            idempotency_key: "key".to_owned(),
            context: None,
        };
        let scope = Scope::new(&call, &config, &roots, &control);
        let any = HttpConfig { hosts: vec!["*".to_owned()], ..HttpConfig::default() };
        let mut get = Get::of(&any).unwrap();
        get.hosts.may_connect = |address| address == IpAddr::V4(Ipv4Addr::LOCALHOST);
        let input = GetInput { url: format!("http://{first}/"), headers: None, max_bytes: None };
        let failure = get.run(&scope, input).map(drop).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert!(failure.message.contains("127.0.0.2"), "{failure:?}");
    }

    #[test]
    fn a_location_is_taken_relative_to_where_it_was_said() {
        let base: Uri = "http://a.example:81/x/y?q".parse().unwrap();
        for (target, url) in [
            ("https://b/c", "https://b/c"),
            ("//b/c", "http://b/c"),
            ("/c?d#e", "http://a.example:81/c?d"),
            ("c", "http://a.example:81/x/c"),
            ("?d=http://e", "http://a.example:81/x/y?d=http://e"),
        ] {
            assert_eq!(joined(&base, target).unwrap(), url);
        }
        assert!(joined(&base, "").is_err());
    }
}
