//! Where telemetry goes, under which name, and what of it: checked before anything is sent.
//!
//! Which file or variable says so is the caller's business.

use std::fmt;

use percent_encoding::percent_decode_str;
use ureq::http::uri::Scheme;
use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::TlsConfig;

use crate::content::Content;

/// What `service.name` is where nobody says.
const SERVICE: &str = "baton";
/// How many pairs a list may have, and how long it may be, in bytes.
const PAIRS_MAX: usize = 64;
const PAIRS_BYTES_MAX: usize = 16 << 10;
/// Headers that are ours.
const RESERVED: [&str; 3] = ["content-length", "content-type", "host"];

/// Where telemetry goes, and what of it.
#[derive(Clone)]
pub struct Settings {
    /// The collector's address, without a slash at its end.
    pub(crate) endpoint: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) service: String,
    pub(crate) resource: Vec<(String, String)>,
    /// Whether what was said is told.
    pub content: Content,
    /// Whom to trust, for a collector that is reached over `https`.
    pub tls: TlsConfig,
}

impl fmt::Debug for Settings {
    /// Headers hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("service", &self.service)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// Settings cannot be used: what is wrong, and what would do. It repeats no value of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSettings(String);

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSettings {}

impl Settings {
    /// To the collector at an address, such as `http://127.0.0.1:4318`: `/v1/traces` and `/v1/metrics`
    /// are below it.
    pub fn to(endpoint: &str) -> Result<Self, BadSettings> {
        let wrong = || {
            let message = "it is no address of a collector; write it like `http://127.0.0.1:4318`, \
                           with keys as headers and not in it";
            BadSettings(message.to_owned())
        };
        let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
        let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if !is_known || authority.is_empty() || authority.contains('@') || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            headers: Vec::new(),
            service: SERVICE.to_owned(),
            resource: Vec::new(),
            content: Content::Off,
            tls: TlsConfig::default(),
        })
    }

    /// With headers, written as `name=value,name=value`, values percent-encoded: as
    /// `OTEL_EXPORTER_OTLP_HEADERS` has them.
    pub fn with_headers(mut self, list: &str) -> Result<Self, BadSettings> {
        for (name, value) in pairs(list)? {
            let value = HeaderValue::try_from(value);
            let (Ok(name), Ok(mut value)) = (HeaderName::try_from(&name), value) else {
                return Err(BadSettings(format!("{name:?} is no header")));
            };
            if RESERVED.contains(&name.as_str()) {
                return Err(BadSettings(format!("the header `{name}` is set by Baton")));
            }
            value.set_sensitive(true);
            self.headers.push((name, value));
        }
        Ok(self)
    }

    /// Under a name of its own, instead of `baton`.
    pub fn named(self, service: &str) -> Self {
        Self { service: service.to_owned(), ..self }
    }

    /// With attributes of the process, written as headers are: as `OTEL_RESOURCE_ATTRIBUTES` has them.
    pub fn with_resource(mut self, list: &str) -> Result<Self, BadSettings> {
        for (name, value) in pairs(list)? {
            match name.as_str() {
                "service.name" => self.service = value,
                "service.version" => {}
                _ => self.resource.push((name, value)),
            }
        }
        Ok(self)
    }

    /// Whether the collector is reached over `https`.
    pub fn is_encrypted(&self) -> bool {
        self.endpoint.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }

    /// The collector's address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// The pairs of a list.
fn pairs(list: &str) -> Result<Vec<(String, String)>, BadSettings> {
    if list.len() > PAIRS_BYTES_MAX {
        return Err(BadSettings(format!("the list has more than {PAIRS_BYTES_MAX} bytes")));
    }
    let mut all = Vec::new();
    for (at, pair) in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()).enumerate() {
        let wrong = || BadSettings(format!("pair {} is not like `name=value`", at + 1));
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
        all.push((name.trim().to_owned(), value.into_owned()));
    }
    if all.len() > PAIRS_MAX {
        return Err(BadSettings(format!("the list has more than {PAIRS_MAX} pairs")));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_a_collector_and_holds_no_secret() {
        for text in ["http://127.0.0.1:4318", "https://otel.example/under/"] {
            assert!(!Settings::to(text).unwrap().endpoint().ends_with('/'), "{text}");
        }
        for text in ["", "127.0.0.1:4318", "ftp://x", "http://me:secret@x", "http://x/?key=secret"]
        {
            let fault = Settings::to(text).unwrap_err().to_string();
            assert!(
                fault.contains("http://127.0.0.1:4318") && !fault.contains("secret"),
                "{fault}"
            );
        }
    }

    #[test]
    fn lists_are_read_as_the_standard_writes_them_and_never_repeated() {
        let settings = Settings::to("http://x").unwrap();
        let with = settings.clone().with_headers("x-key=a%20b%2Cc, x-other=d").unwrap();
        let values: Vec<&str> = with.headers.iter().map(|(_, v)| v.to_str().unwrap()).collect();
        assert_eq!(values, ["a b,c", "d"]);
        assert!(!format!("{with:?}").contains("a b"), "{with:?}");
        for list in ["secret", "x y=secret", "host=secret", "x=%0asecret"] {
            let fault = settings.clone().with_headers(list).unwrap_err().to_string();
            assert!(!fault.contains("secret"), "{fault}");
        }
        let with = settings.with_resource("service.name=desk,host.name=h").unwrap();
        assert_eq!((with.service.as_str(), with.resource.len()), ("desk", 1));
    }
}
