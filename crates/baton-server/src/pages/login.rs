//! Logging in and out: a token is shown once, and a session's cookie stands for it from then on.
//!
//! Sessions are the server's; here are the page that begins one and the form that ends it. Whoever
//! guesses is slowed down: only a few guesses are under way at a time, and a wrong one takes a second.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use baton_core::body::BlobHash;
use baton_core::words::Role;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::assets::{ICON, STYLE};
use super::{Pages, render};
use crate::http::session::{cookie, session_of};
use crate::http::{Problem, ProblemCode, check_origin};

/// How many attempts are looked at at a time.
const ATTEMPTS_MAX: usize = 4;
/// How long a wrong one takes.
const WRONG_TAKES: Duration = Duration::from_secs(1);

/// How many more attempts are looked at now.
#[derive(Clone, Debug)]
pub(super) struct Attempts(Arc<Semaphore>);

impl Default for Attempts {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ATTEMPTS_MAX)))
    }
}

/// The page on which a token is given.
#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    form: &'a str,
    next: &'a str,
    fault: Option<&'a str>,
}

/// Where to go on from.
#[derive(Debug, Deserialize)]
pub(super) struct Coming {
    #[serde(default)]
    next: String,
}

/// What the page sends. It has no `Debug`: it holds a token.
#[derive(Deserialize)]
pub(super) struct Given {
    /// That the form is ours.
    form: String,
    /// The token.
    token: String,
    #[serde(default)]
    next: String,
}

/// What the form that ends a session sends.
#[derive(Debug, Deserialize)]
pub(super) struct Leaving {
    token: String,
}

/// The page; where no tokens are asked for, nobody needs it.
pub(super) async fn show(
    State(pages): State<Pages>,
    Query(coming): Query<Coming>,
    headers: HeaderMap,
) -> Response {
    let session = session_of(&headers).and_then(|session| pages.api.sessions.token(&session));
    let is_let_in = pages.api.identity.as_ref().is_none_or(|identity| {
        !identity.asks() || session.is_some_and(|(token, _)| identity.holds(&token))
    });
    if is_let_in {
        return Redirect::to(&onward(&coming.next)).into_response();
    }
    page(&pages, &coming.next, None)
}

/// Begins a session for the bearer of a token.
pub(super) async fn log_in(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Response {
    match opened(&pages, &headers, &given).await {
        Ok(cookie) => {
            let to = Redirect::to(&onward(&given.next));
            ([(header::SET_COOKIE, cookie)], to).into_response()
        }
        Err(problem) => {
            let page = page(&pages, &given.next, Some(&problem.detail));
            // Status and headers are the API's, such as when to come again; the body is a page.
            let (mut told, _) = problem.into_response().into_parts();
            told.headers.remove(header::CONTENT_TYPE);
            // A browser would open a dialog of its own.
            told.headers.remove(header::WWW_AUTHENTICATE);
            (told.status, told.headers, page).into_response()
        }
    }
}

async fn opened(pages: &Pages, headers: &HeaderMap, given: &Given) -> Result<HeaderValue, Problem> {
    check_origin(headers)?;
    if !pages.token.admits(Some(&given.form), headers) {
        let detail = "this form is not from this server as it runs now; send it again from here";
        return Err(Problem::new(ProblemCode::ForbiddenOrigin, detail));
    }
    let Ok(_turn) = pages.attempts.0.try_acquire() else {
        let detail = "too many attempts are under way; try again in a moment";
        return Err(Problem::new(ProblemCode::TooManyAttempts, detail));
    };
    let token = BlobHash::of(given.token.trim().as_bytes());
    let identity = pages.api.identity.as_ref().filter(|identity| identity.asks());
    let caller = identity.and_then(|identity| identity.identify(&token));
    let wrong = match caller.map(|caller| caller.role) {
        Some(Role::Admin | Role::Operator | Role::Viewer) => None,
        Some(Role::Worker) => Some("This token is for a worker, and opens no pages."),
        None => Some("This token is not known here, or it was revoked."),
    };
    if let Some(detail) = wrong {
        // sleep: it is meant to take this long.
        tokio::time::sleep(WRONG_TAKES).await;
        return Err(Problem::new(ProblemCode::Unauthorized, detail));
    }
    let unopened = |fault: std::io::Error| Problem::new(ProblemCode::Internal, fault.to_string());
    let session = pages.api.sessions.open(token).map_err(unopened)?;
    let unnamed = || Problem::new(ProblemCode::Internal, "the session has no cookie");
    cookie(headers, Some(&session)).ok_or_else(unnamed)
}

/// Ends the session of whoever asks; without one it does nothing.
pub(super) async fn log_out(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Form(leaving): Form<Leaving>,
) -> Response {
    let is_ours = check_origin(&headers).is_ok();
    if !is_ours || !pages.token.admits(Some(&leaving.token), &headers) {
        let detail = "this form is not from a page of this server as it runs now; load it again";
        return Problem::new(ProblemCode::ForbiddenOrigin, detail).into_response();
    }
    if let Some(session) = session_of(&headers) {
        pages.api.sessions.close(&session);
    }
    let forget = cookie(&headers, None).map(|cookie| [(header::SET_COOKIE, cookie)]);
    (forget.map(HeaderMap::from_iter).unwrap_or_default(), Redirect::to("./login")).into_response()
}

fn page(pages: &Pages, next: &str, fault: Option<&str>) -> Response {
    render(&LoginPage { form: pages.token.text(), next, fault })
}

/// Where a session begins: the page that was asked for, if it is one of ours.
fn onward(next: &str) -> String {
    let ours = ["workflows/", "chat", "usage", "docs", "?"];
    let is_ours = ours.iter().any(|place| next.starts_with(place));
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours && is_plain { format!("./{next}") } else { "./".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_begins_on_a_page_of_ours() {
        for (next, to) in [
            ("chat/1?last=400", "./chat/1?last=400"),
            ("usage?by=day", "./usage?by=day"),
            ("", "./"),
            ("workflows/0198?task=1", "./workflows/0198?task=1"),
            ("?q=is:failed", "./?q=is:failed"),
            ("//evil.example", "./"),
            ("https://evil.example", "./"),
            ("\\evil.example", "./"),
            ("workflows/\r\nset-cookie: a=b", "./"),
        ] {
            assert_eq!(onward(next), to, "{next}");
        }
    }
}
