//! What keeps a page's viewer safe: headers that forbid every foreign or inline script, and forms
//! that only a page of this server can send.
//!
//! Who may do what is not decided here.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use baton_core::body::BlobHash;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Adds the headers that every page has.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    let headers = response.headers_mut();
    headers.extend(fixed);
    // What is shown may change with the next commit, and is for whoever asked.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What forms carry so that no other site can send them: drawn once for each server.
#[derive(Clone)]
pub struct FormToken(Arc<str>);

impl fmt::Debug for FormToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormToken(…)")
    }
}

impl FormToken {
    /// Draws one. What it is made of is secret: a keyed hash (SipHash) whose key the standard library
    /// takes from the system's randomness.
    pub fn draw() -> Self {
        let keyed = RandomState::new();
        let words = (0_u8..4).map(|place| format!("{:016x}", keyed.hash_one(place)));
        Self(words.collect::<String>().into())
    }

    /// As a form carries it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a form with this token came from a page of ours. The comparison is of hashes, so that
    /// its time tells nothing of the token.
    pub fn admits(&self, given: Option<&str>, headers: &HeaderMap) -> bool {
        let given = given.map(|given| BlobHash::of(given.as_bytes()));
        is_same_site(headers) && given == Some(BlobHash::of(self.0.as_bytes()))
    }
}

/// What the browser says of where the form stood; programs say nothing.
fn is_same_site(headers: &HeaderMap) -> bool {
    headers.get(FETCH_SITE).is_none_or(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_form_of_ours_is_admitted() {
        let token = FormToken::draw();
        let none = HeaderMap::new();
        assert!(token.admits(Some(token.text()), &none));
        assert!(!token.admits(None, &none) && !token.admits(Some("0"), &none));
        let from = |site: &'static str| {
            HeaderMap::from_iter([(FETCH_SITE, HeaderValue::from_static(site))])
        };
        assert!(token.admits(Some(token.text()), &from("same-origin")));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!token.admits(Some(token.text()), &from(site)), "{site}");
        }
        assert_ne!(token.text(), FormToken::draw().text());
    }
}
