//! `[server]`: where `baton serve` listens, under which names, how it is encrypted, and what it takes
//! on.
//!
//! Nothing is opened here: whether the files can be used and the address is free is found out by
//! `serve`.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use baton_core::time::Span;
use baton_server::http::Bounds;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Where it listens if nothing is said.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7420);
/// What `max_connections` may be.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;
/// What `max_body` may be, in bytes.
const BODY_BYTES: RangeInclusive<usize> = 1_024..=64 * 1024 * 1024;
/// What `request_timeout` may be: longer than the minute for which a request may ask to wait.
const REQUEST: RangeInclusive<Span> =
    Span(Duration::from_secs(61))..=Span(Duration::from_secs(3_600));
/// The longest name of a host, in bytes.
const HOST_BYTES_MAX: usize = 253;

/// The table.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Server {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names, beside addresses and `localhost`, under which the server may be called.
    pub hosts: Vec<String>,
    /// How connections are encrypted; without it they are in the clear.
    pub tls: Option<Tls>,
    /// How many connections are open at a time; without it as many as the system allows, up to a bound.
    pub connections_max: Option<u32>,
    /// What one request may take.
    pub bounds: Bounds,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM: the server's certificate, and behind it those that lead to an authority.
    pub cert: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
}

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    listen: SocketAddr,
    #[serde(deserialize_with = "hosts")]
    hosts: Vec<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "connections")]
    max_connections: Option<u32>,
    #[serde(deserialize_with = "body")]
    max_body: usize,
    #[serde(deserialize_with = "request")]
    request_timeout: Span,
}

impl Default for Written {
    fn default() -> Self {
        let Bounds { body_bytes_max, request_max } = Bounds::default();
        Self {
            listen: LISTEN,
            hosts: Vec::new(),
            tls_cert: None,
            tls_key: None,
            max_connections: None,
            max_body: body_bytes_max,
            request_timeout: Span(request_max),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: LISTEN,
            hosts: Vec::new(),
            tls: None,
            connections_max: None,
            bounds: Bounds::default(),
        }
    }
}

impl TryFrom<Written> for Server {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let tls = match (written.tls_cert, written.tls_key) {
            (Some(cert), Some(key)) => Some(Tls { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err("`tls_cert` goes with `tls_key`; name both".to_owned()),
            (None, Some(_)) => return Err("`tls_key` goes with `tls_cert`; name both".to_owned()),
        };
        let bounds =
            Bounds { body_bytes_max: written.max_body, request_max: written.request_timeout.0 };
        let Written { listen, hosts, max_connections, .. } = written;
        Ok(Self { listen, hosts, tls, connections_max: max_connections, bounds })
    }
}

fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    within(u32::deserialize(from)?, CONNECTIONS, "connections").map(Some)
}

fn body<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    within(usize::deserialize(from)?, BODY_BYTES, "bytes")
}

fn request<'de, D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
    within(Span::deserialize(from)?, REQUEST, "a request may ask to wait for a minute")
}

/// A value that lies within its bounds.
fn within<T, E>(value: T, bounds: RangeInclusive<T>, of: &str) -> Result<T, E>
where
    T: PartialOrd + std::fmt::Display,
    E: Error,
{
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (from, to) = bounds.into_inner();
    Err(E::custom(format!("{value} is not within {from} to {to} ({of})")))
}

/// Names without scheme, port and path, as a `Host` header carries them.
fn hosts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(from)?;
    let is_name = |host: &&String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(fits)
    };
    if let Some(wrong) = hosts.iter().find(|host| !is_name(host)) {
        let message = format!("{wrong:?} is no name of a host; write it like `baton.example.org`");
        return Err(D::Error::custom(message));
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config, String> {
        let text = format!("[limits]\n\n[server]\n{text}\n");
        toml::from_str(&text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_written_is_what_holds_and_the_rest_is_as_usual() {
        let usual = read("").unwrap().server;
        assert_eq!((usual.listen, usual.bounds), (LISTEN, Bounds::default()));
        assert!(usual.hosts.is_empty() && usual.tls.is_none() && usual.connections_max.is_none());
        let all = "listen = \"[::1]:80\"\nhosts = [\"baton.example.org\"]\ntls_cert = \"c.pem\"\n\
             tls_key = \"k.pem\"\nmax_connections = 5\nmax_body = 2048\nrequest_timeout = \"2m\"";
        let server = read(all).unwrap().server;
        assert_eq!(server.listen, "[::1]:80".parse().unwrap());
        assert_eq!(
            (server.hosts.as_slice(), server.connections_max),
            (&["baton.example.org".to_owned()][..], Some(5))
        );
        let bounds = Bounds { body_bytes_max: 2048, request_max: Duration::from_secs(120) };
        assert_eq!(server.bounds, bounds);
        assert_eq!(server.tls, Some(Tls { cert: "c.pem".into(), key: "k.pem".into() }));
    }

    #[test]
    fn a_fault_names_its_line_its_column_and_what_would_do() {
        for (text, place, says) in [
            ("max_connections = 0", "line 4, column 19", "0 is not within 1 to 1000000"),
            ("max_body = 10", "line 4, column 12", "10 is not within 1024 to 67108864 (bytes)"),
            ("request_timeout = \"1s\"", "line 4, column 19", "1s is not within 1m1s to 1h"),
            ("hosts = [\"https://here\"]", "line 4, column 9", "write it like `baton.example.org`"),
            ("listen = \"7420\"", "line 4, column 10", "socket address"),
            ("tls_cert = \"c.pem\"", "line 3, column 1", "`tls_cert` goes with `tls_key`"),
            ("port = 1", "line 4, column 1", "unknown field `port`"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(place) && fault.contains(says), "{text}: {fault}");
        }
    }
}
