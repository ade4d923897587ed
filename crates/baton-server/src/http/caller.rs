//! Who calls: by their token, or the person at this machine where no tokens are asked for; and
//! whether a browser was led here by another site's page.
//!
//! It keeps no tokens: whoever does implements [`Identity`].

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use baton_core::actor::Actor;
use baton_core::words::Role;

use super::Api;
use super::code::ProblemCode;
use super::problem::Problem;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that events carry.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
}

/// Knows the tokens.
pub trait Identity: Send + Sync {
    /// Whose token this is; `None` where nobody's. It must return at once.
    fn identify(&self, bearer: &str) -> Option<Caller>;

    /// Whether callers must show a token; where not, whoever reaches the server is the person at this
    /// machine. It must return at once.
    fn asks(&self) -> bool;
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

/// Finds out who calls and lets them in.
pub(super) async fn identify(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    check_origin(request.headers())?;
    let caller = match api.identity.as_ref().filter(|identity| identity.asks()) {
        None => {
            check_host(request.headers(), &api.hosts)?;
            Caller::local()
        }
        Some(identity) => {
            let caller = bearer(request.headers()).and_then(|token| identity.identify(token));
            caller.ok_or_else(|| {
                let detail = "send `Authorization: Bearer TOKEN` with a token that is not revoked";
                Problem::new(ProblemCode::Unauthorized, detail)
            })?
        }
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
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
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
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
