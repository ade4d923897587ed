//! Who calls: by their token, by a session or ticket that was made from one, or the person at this
//! machine where no tokens are asked for; and whether a browser was led here by another site's page.
//!
//! It keeps no tokens: whoever does implements [`Identity`].

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use baton_core::actor::Actor;
use baton_core::body::BlobHash;
use baton_core::time::Timestamp;
use baton_core::words::Role;
use tokio::sync::watch;

use super::Api;
use super::code::ProblemCode;
use super::pass::Pass;
use super::problem::Problem;
use super::session::{Proof, session_of};

/// What a browser says of where a request came from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What stands before the ticket in the query of a stream.
const TICKET: &str = "ticket=";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that events carry.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
}

/// Knows the tokens, by their SHA-256. Everything here must return at once.
pub trait Identity: Send + Sync {
    /// Whose token this is, for whoever shows it; `None` where nobody's.
    fn identify(&self, token: &BlobHash) -> Option<Caller>;

    /// Whether this token lets anybody in; asking is no use of it.
    fn holds(&self, token: &BlobHash) -> bool;

    /// Whether callers must show a token; where not, whoever reaches the server is the person at this
    /// machine.
    fn asks(&self) -> bool;

    /// When the token of this name was last shown, if it was since the server began.
    fn last_used(&self, name: &str) -> Option<Timestamp>;

    /// Changes whenever tokens do.
    fn changes(&self) -> watch::Receiver<()>;
}

impl Caller {
    /// The person at this machine, who needs no token.
    pub fn local() -> Self {
        Self { actor: Actor::user("local"), role: Role::Admin }
    }

    /// Refuses whoever has another role, and is not an admin.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role == Role::Admin || self.role == role {
            return Ok(());
        }
        let detail = format!("this takes the role `{role}`; the token has `{}`", self.role);
        Err(Problem::new(ProblemCode::Forbidden, detail))
    }

    /// Refuses what the role does not allow: to change something takes more than looking.
    pub fn check(&self, method: &Method) -> Result<(), Problem> {
        let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let may = match self.role {
            Role::Admin | Role::Operator => true,
            Role::Viewer => looks,
            // Workers have paths of their own, which let them in themselves.
            Role::Worker => false,
        };
        if may {
            return Ok(());
        }
        let detail = format!("the role `{}` does not allow {method} here", self.role);
        Err(Problem::new(ProblemCode::Forbidden, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(ProblemCode::Unauthorized, "this request has no caller");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Finds out who calls and lets them in. A person without a session is led to where one begins.
pub(super) async fn identify(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    check_origin(request.headers())?;
    let identity = api.identity.clone();
    let proof = match identity.as_ref().filter(|identity| identity.asks()) {
        None => {
            check_host(request.headers(), &api.hosts)?;
            Proof::Nothing
        }
        Some(_) => proof_of(&api, &request),
    };
    let pass = Pass::new(identity, api.sessions.clone(), proof);
    let Some(caller) = pass.caller() else { return Ok(shut_out(&request)) };
    if let Proof::Session(_) = proof {
        check_page(request.method(), request.headers())?;
    }
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(pass.clone());
    Ok(pass.bound(next.run(request).await))
}

/// What a request shows: a token before a ticket before a session.
fn proof_of(api: &Api, request: &Request) -> Proof {
    if let Some(token) = bearer(request.headers()) {
        return Proof::Token(BlobHash::of(token.as_bytes()));
    }
    if let Some(ticket) = ticket(request.method(), request.uri()) {
        return api.sessions.redeem(ticket).unwrap_or(Proof::Nothing);
    }
    session_of(request.headers()).map_or(Proof::Nothing, Proof::Session)
}

/// The ticket of a request for a stream; nothing else is opened by one.
fn ticket<'u>(method: &Method, uri: &'u Uri) -> Option<&'u str> {
    let is_stream = uri.path().ends_with("/stream") || uri.path() == "/api/v1/ws";
    let pairs = uri.query().filter(|_| is_stream && *method == Method::GET)?.split('&');
    pairs.filter_map(|pair| pair.strip_prefix(TICKET)).next()
}

/// The answer to whoever is not let in.
fn shut_out(request: &Request) -> Response {
    let path = request.uri().path();
    let reads_pages =
        text(request.headers(), header::ACCEPT).is_some_and(|it| it.contains("text/html"));
    if *request.method() != Method::GET || !reads_pages || path.starts_with("/api/") {
        let detail = "send `Authorization: Bearer TOKEN` with a token that is not revoked";
        return Problem::new(ProblemCode::Unauthorized, detail).into_response();
    }
    // Relative, as a proxy may serve the pages beneath a path of its own.
    let up = "../".repeat(path.matches('/').count().saturating_sub(1));
    let asked = request.uri().path_and_query().map_or("", |asked| asked.as_str());
    let asked: String = asked.trim_start_matches('/').bytes().map(encoded).collect();
    Redirect::to(&format!("./{up}login?next={asked}")).into_response()
}

/// A byte as it may stand in a query's value.
fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
        return char::from(byte).to_string();
    }
    format!("%{byte:02X}")
}

/// Cookies come along whoever sends a request: what changes something must come from a page of ours.
pub(crate) fn check_page(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let site = headers.get(FETCH_SITE);
    let is_ours = match site {
        Some(site) => site == "same-origin",
        // A browser that does not say names the origin at least, which was checked.
        None => headers.contains_key(header::ORIGIN),
    };
    if looks || is_ours {
        return Ok(());
    }
    let detail = "a session's cookie changes something only from a page of this server; \
                  programs send `Authorization: Bearer TOKEN`";
    Err(Problem::new(ProblemCode::ForbiddenOrigin, detail))
}

/// Lets in whose role allows it.
pub(super) async fn authorize(
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    caller.check(request.method())?;
    Ok(next.run(request).await)
}

/// Lets in who may lease tasks and answer for them.
pub(super) async fn authorize_worker(
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if caller.role != Role::Worker {
        caller.check(request.method())?;
    }
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A page of another site makes a browser send its origin; a page of ours sends ours.
pub(crate) fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = text(headers, header::HOST).unwrap_or_default();
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    if authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let detail = "the `Origin` is another site's than the `Host`; call from a page of this server";
    Err(Problem::new(ProblemCode::ForbiddenOrigin, detail))
}

/// A name that an attacker has pointed at this machine is none of ours (DNS rebinding).
fn check_host(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let host = text(headers, header::HOST).map(without_port).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let known = |name: &String| name.eq_ignore_ascii_case(host);
    if address.is_ok() || host.eq_ignore_ascii_case("localhost") || allowed.iter().any(known) {
        return Ok(());
    }
    let detail = "call this server by an address or as `localhost`, or name it by `serve --host`";
    Err(Problem::new(ProblemCode::ForbiddenHost, detail))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_name_that_was_pointed_at_this_machine_is_refused() {
        for host in ["127.0.0.1:7420", "[::1]:7420", "localhost", "LOCALHOST:7420", "10.0.0.1"] {
            assert_eq!(check_host(&headers(host, None), &[]), Ok(()), "{host}");
        }
        let named = ["baton.example".to_owned()];
        assert_eq!(check_host(&headers("baton.example:80", None), &named), Ok(()));
        for host in ["evil.example", "localhost.evil.example:7420", "127.0.0.1.evil.example", ""] {
            assert!(check_host(&headers(host, None), &named).is_err(), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let host = "127.0.0.1:7420";
        assert_eq!(check_origin(&headers(host, None)), Ok(()));
        assert_eq!(check_origin(&headers(host, Some("http://127.0.0.1:7420"))), Ok(()));
        for origin in ["http://evil.example", "http://127.0.0.1:1", "null", "http://"] {
            assert!(check_origin(&headers(host, Some(origin))).is_err(), "{origin}");
        }
    }

    #[test]
    fn roles_allow_what_they_say() {
        let may = |role, method| Caller { role, ..Caller::local() }.check(&method).is_ok();
        assert!(may(Role::Admin, Method::DELETE) && may(Role::Operator, Method::POST));
        assert!(may(Role::Viewer, Method::GET) && !may(Role::Viewer, Method::POST));
        assert!(!may(Role::Worker, Method::GET));
    }
}
