//! Which server is meant, whom it is trusted to be, and the token that is shown to it.
//!
//! The token comes from the environment alone: arguments can be read by others on the machine. It is
//! never printed, and it goes over an unencrypted connection to this machine only.

use std::env::VarError;
use std::net::IpAddr;
use std::path::Path;

use baton_core::spoken::cut;
use ureq::http::{HeaderValue, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::cli::Common;
use crate::exit::Failed;
use crate::text::clean;

/// The environment's name of the token.
const TOKEN: &str = "BATON_TOKEN";
/// The environment's name of a file with the authorities to trust.
const AUTHORITIES: &str = "BATON_CA";
/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;
/// The largest file of authorities, in bytes.
const AUTHORITIES_BYTES_MAX: u64 = 1024 * 1024;

/// A server, and what is shown to it.
pub(super) struct Address {
    /// `http://host:port`, and the path beneath which it stands; no slash at the end.
    pub base: String,
    /// `Bearer …`, where there is a token.
    pub bearer: Option<HeaderValue>,
    /// The token itself, to keep it out of what is printed.
    pub secret: Option<String>,
    /// Whom to trust.
    pub tls: TlsConfig,
}

/// Whether a server is named.
pub(super) fn is_named(common: &Common) -> bool {
    common.server.as_deref().is_some_and(|url| !url.is_empty())
}

/// The server that is named, if one is.
pub(super) fn named(common: &Common) -> Result<Option<Address>, Failed> {
    let Some(text) = common.server.as_deref().filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let url = url_of(text)?;
    let encrypted = url.scheme_str() == Some("https");
    let secret = token()?;
    let host = url.host().unwrap_or_default();
    if secret.is_some() && !encrypted && !is_this_machine(host) {
        let host = clean(&cut(host, 100));
        return Err(Failed::usage(format!(
            "{TOKEN} would go to {host} unencrypted, for others to read; name the server as \
             https://, or reach it through a tunnel on 127.0.0.1"
        )));
    }
    let bearer = secret.as_ref().map(|token| bearer(token)).transpose()?;
    let tls = if encrypted { trusted()? } else { TlsConfig::default() };
    let authority = url.authority().map(|it| it.as_str()).unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    let base = format!("{}://{authority}{path}", url.scheme_str().unwrap_or("http"));
    Ok(Some(Address { base, bearer, secret, tls }))
}

fn url_of(text: &str) -> Result<Uri, Failed> {
    let wrong = |why: &str| {
        let shown = clean(&cut(text, 100));
        // A password in it must not be repeated.
        let shown = if text.contains('@') { "the URL of the server".to_owned() } else { shown };
        Failed::usage(format!("`--server`: {shown} {why}; write http://127.0.0.1:7420"))
    };
    let url: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
    let Some(authority) = url.authority().filter(|_| is_http(&url)) else {
        return Err(wrong("does not start with http:// or https://"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("holds a user or a password, which go into BATON_TOKEN as a token"));
    }
    if url.query().is_some() {
        return Err(wrong("has a query"));
    }
    Ok(url)
}

fn is_http(url: &Uri) -> bool {
    matches!(url.scheme_str(), Some("http" | "https"))
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn token() -> Result<Option<String>, Failed> {
    match std::env::var(TOKEN) {
        Ok(token) if token.trim().is_empty() => Ok(None),
        Ok(token) => Ok(Some(token.trim().to_owned())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(no_token()),
    }
}

fn no_token() -> Failed {
    Failed::usage(format!(
        "{TOKEN} holds something else than a token; `baton token create` makes one"
    ))
}

fn bearer(token: &str) -> Result<HeaderValue, Failed> {
    let is_plain = token.len() <= TOKEN_BYTES_MAX && token.bytes().all(|b| b.is_ascii_graphic());
    let value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_plain);
    let mut value = value.ok_or_else(no_token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The authorities of a file, or those that this system trusts.
pub(crate) fn trusted() -> Result<TlsConfig, Failed> {
    let file = std::env::var_os(AUTHORITIES).filter(|file| !file.is_empty());
    let certificates = match &file {
        Some(file) => of_file(Path::new(file))?,
        None => {
            // What of the system's cannot be read is not trusted, and then said by the handshake.
            let found = rustls_native_certs::load_native_certs().certs;
            found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        }
    };
    if certificates.is_empty() {
        let place = file.map_or("this system".to_owned(), |file| format!("{}", file.display()));
        return Err(Failed::usage(format!(
            "{place} has no certificate of an authority to trust; name a PEM file in {AUTHORITIES}"
        )));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build())
}

fn of_file(file: &Path) -> Result<Vec<Certificate<'static>>, Failed> {
    let unusable = |why: String| {
        Failed::usage(format!("{AUTHORITIES}: {} cannot be used: {why}", file.display()))
    };
    let size = std::fs::metadata(file).map_err(|cause| unusable(cause.to_string()))?.len();
    if size > AUTHORITIES_BYTES_MAX {
        return Err(unusable(format!("it has more than {AUTHORITIES_BYTES_MAX} bytes")));
    }
    let pem = std::fs::read(file).map_err(|cause| unusable(cause.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        // A key beside them is none of ours.
        if let PemItem::Certificate(certificate) =
            item.map_err(|cause| unusable(cause.to_string()))?
        {
            certificates.push(certificate);
        }
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in
            ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[fe80::1]", ""]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused_and_no_password_repeated() {
        for text in ["127.0.0.1:7420", "ftp://x", "http://", "nonsense ", "http://x/?a=b"] {
            assert!(url_of(text).is_err(), "{text}");
        }
        let refused = url_of("http://me:secret@host").unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
        assert!(url_of("https://baton.example/under/").is_ok());
    }
}
