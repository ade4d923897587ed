//! What a caller was let in by, for as long as what they opened stays open.
//!
//! It judges no roles. A stream ends soon after its token was revoked, its session closed or over, or,
//! where none was asked for, after the first token was made.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use futures_util::StreamExt;
use tokio::time::sleep_until;

use super::caller::{Caller, Identity};
use super::session::{Proof, Sessions};

/// What a caller was let in by.
#[derive(Clone)]
pub(super) struct Pass {
    identity: Option<Arc<dyn Identity>>,
    sessions: Sessions,
    proof: Proof,
}

impl Pass {
    /// By this proof.
    pub fn new(identity: Option<Arc<dyn Identity>>, sessions: Sessions, proof: Proof) -> Self {
        Self { identity, sessions, proof }
    }

    /// By what.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Whom it lets in now; each call is a use of the token.
    pub fn caller(&self) -> Option<Caller> {
        let Some(identity) = self.identity.as_ref().filter(|identity| identity.asks()) else {
            return Some(Caller::local());
        };
        match self.proof {
            Proof::Nothing => None,
            Proof::Token(token) => identity.identify(&token),
            Proof::Session(session) => identity.identify(&self.sessions.token(&session)?.0),
        }
    }

    /// Whether it lets anybody in now.
    fn holds(&self, identity: &dyn Identity) -> bool {
        match self.proof {
            Proof::Nothing => !identity.asks(),
            Proof::Token(token) => identity.holds(&token),
            Proof::Session(session) => {
                self.sessions.token(&session).is_some_and(|(token, _)| identity.holds(&token))
            }
        }
    }

    /// When it is over by itself.
    fn until(&self) -> Option<Instant> {
        match self.proof {
            Proof::Nothing | Proof::Token(_) => None,
            Proof::Session(session) => self.sessions.token(&session).map(|(_, until)| until),
        }
    }

    /// Waits until it lets nobody in any more.
    pub async fn over(self) {
        let Some(identity) = &self.identity else { return std::future::pending().await };
        let (mut tokens, mut ends) = (identity.changes(), self.sessions.ends());
        while self.holds(identity.as_ref()) {
            let over = async {
                match self.until() {
                    // sleep: a session is over at a moment that nothing signals.
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = tokens.changed() => {}
                _ = ends.changed() => {}
                () = over => {}
            }
        }
    }

    /// The same answer; a stream of events ends when this is over.
    pub fn bound(self, response: Response) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        if self.identity.is_none() || kind.is_none_or(|kind| kind != "text/event-stream") {
            return response;
        }
        let (parts, body) = response.into_parts();
        let body = body.into_data_stream().take_until(Box::pin(self.over()));
        Response::from_parts(parts, Body::from_stream(body))
    }
}
