//! Which hosts may be called, and which addresses connected to.
//!
//! A name is checked against the declared hosts, and what it resolves to is checked as addresses:
//! the resolver here is the only one used, so that what was checked is what is connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::config::{HttpConfig, Permit, ToolsError};
use crate::tool::invalid;

/// The declared hosts and whether private addresses may be connected to.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    patterns: Vec<Pattern>,
    /// Says which addresses may be connected to.
    pub(super) may_connect: fn(IpAddr) -> bool,
}

#[derive(Clone, Debug)]
struct Pattern {
    name: Name,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Name {
    Any,
    Beneath(String),
    Exact(String),
}

impl Hosts {
    pub(super) fn of(config: &HttpConfig) -> Result<Self, ToolsError> {
        let patterns = config
            .hosts
            .iter()
            .map(|host| Pattern::parse(host).ok_or_else(|| ToolsError::Host(host.clone())));
        Ok(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
            may_connect: match config.allow_private {
                Permit::Denied => is_public,
                Permit::Granted => |_| true,
            },
        })
    }

    /// A URL whose host is declared.
    pub(super) fn url(&self, text: &str) -> Result<Uri, CallFailure> {
        let url: Uri =
            text.parse().map_err(|fault| invalid(format!("`{text}` is no URL: {fault}")))?;
        let (Some("http" | "https"), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(invalid(format!("`{text}` must start with http:// or https://")));
        };
        if authority.as_str().contains('@') {
            return Err(invalid("a URL must not hold a user or a password; use a header"));
        }
        let host = plain(authority.host());
        let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default);
        if !self.patterns.iter().any(|pattern| pattern.takes(&host, port)) {
            return Err(denied(format!(
                "{host}:{port} is not among the declared hosts; add it to `[tools.http] hosts`"
            )));
        }
        if literal(&host).is_some_and(|address| !(self.may_connect)(address)) {
            return Err(private(&host));
        }
        Ok(url)
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        let host = plain(host);
        let name = match host.strip_prefix("*.") {
            _ if host == "*" => Name::Any,
            Some(parent) if is_name(parent) => Name::Beneath(format!(".{parent}")),
            None if is_name(&host) => Name::Exact(host),
            Some(_) | None => return None,
        };
        Some(Self { name, port })
    }

    fn takes(&self, host: &str, port: u16) -> bool {
        let named = match &self.name {
            Name::Any => true,
            Name::Beneath(parent) => host.ends_with(parent.as_str()),
            Name::Exact(name) => host == name,
        };
        named && self.port.is_none_or(|own| own == port)
    }
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_name(host: &str) -> bool {
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || "-_.:[]".contains(sign);
    !host.is_empty() && host.chars().all(is_sign)
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

fn denied(message: String) -> CallFailure {
    CallFailure::refused(FailureKind::Denied, message)
}

/// The failure for a host that is or resolves to an address that may not be connected to.
pub(super) fn private(host: &str) -> CallFailure {
    denied(format!(
        "{host} is at a private, loopback or otherwise not public address; \
         set `allow_private = true` under `[tools.http]` if that is meant"
    ))
}

/// Why a resolver of ours gives no address.
#[derive(Debug)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a public address")
    }
}

impl std::error::Error for NotPublic {}

/// Resolves to addresses that may be connected to, and to nothing else.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) may_connect: fn(IpAddr) -> bool,
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in all.iter().filter(|address| (self.may_connect)(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() {
            return Err(ureq::Error::Other(Box::new(NotPublic)));
        }
        Ok(allowed)
    }
}

/// Whether an address is one of the public internet; by the IANA special-purpose registries.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && (b == 18 || b == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || shared
        || protocols
        || benchmarks)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b, c, d, e, f) {
        // IPv4-mapped, and the well-known translation prefix (RFC 6052).
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => embedded(g, h),
        // 6to4 carries the IPv4 address of its router.
        (0x2002, _, _, _, _, _) => embedded(b, c),
        // Teredo, benchmarks, ORCHID: 2001:0::/23; documentation.
        (0x2001, 0..0x200 | 0xdb8, _, _, _, _) => false,
        // Everything that is handed out lies in 2000::/3.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in
            ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn hosts_are_named_exactly_or_by_what_they_lie_beneath() {
        let config = HttpConfig {
            hosts: ["api.example.org", "*.example.net", "localhost:8080", "[2606:4700::1]:80"]
                .map(str::to_owned)
                .to_vec(),
            allow_private: Permit::Denied,
        };
        let hosts = Hosts::of(&config).unwrap();
        for url in [
            "https://API.example.org./x",
            "http://a.b.example.net",
            "http://localhost:8080/",
            "http://[2606:4700::1]/",
        ] {
            assert!(hosts.url(url).is_ok(), "{url}: {:?}", hosts.url(url));
        }
        for url in [
            "https://xapi.example.org",
            "http://example.net",
            "http://localhost",
            "http://evil.org",
            "http://api.example.org.evil.org",
            "http://api.example.org@evil.org/",
            "file:///etc/passwd",
            "/etc/passwd",
            "http://evil.org#.example.net",
        ] {
            assert!(hosts.url(url).is_err(), "{url}");
        }
        for host in ["", "http://x", "a b", "*", "x:y", "*.*"] {
            let config = HttpConfig { hosts: vec![host.to_owned()], ..HttpConfig::default() };
            assert_eq!(Hosts::of(&config).is_ok(), host == "*", "{host}");
        }
    }
}
