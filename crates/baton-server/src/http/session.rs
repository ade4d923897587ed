//! What stands for a token where a browser cannot or should not send it: sessions, which a cookie
//! names, and tickets, which open one stream.
//!
//! They are kept in memory and by their hashes alone: a restart ends them all, and what they were made
//! from is asked again at each use, so that a revoked token ends what came of it.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use baton_core::body::BlobHash;
use tokio::sync::watch;

use super::code::ProblemCode;
use super::problem::Problem;
use crate::secret::Secret;

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a ticket waits to be used.
pub(super) const TICKET: Duration = Duration::from_secs(30);
/// The most sessions there are; the one that would end first gives way to a new one.
const SESSIONS_MAX: usize = 10_000;
/// The most tickets that wait to be used.
const TICKETS_MAX: usize = 20_000;

/// By what a caller was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// By nothing: no tokens are asked for.
    Nothing,
    /// By the token with this hash.
    Token(BlobHash),
    /// By the session with this hash.
    Session(BlobHash),
}

/// The sessions and tickets of a server; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    held: Arc<Mutex<Held>>,
    ended: watch::Sender<()>,
}

#[derive(Default)]
struct Held {
    sessions: HashMap<BlobHash, Lasting<BlobHash>>,
    tickets: HashMap<BlobHash, Lasting<Proof>>,
}

/// Something that is void after a moment.
struct Lasting<T> {
    of: T,
    until: Instant,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { held: Arc::default(), ended: watch::Sender::new(()) }
    }
}

impl Sessions {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session for the bearer of a token; the answer is what its cookie holds.
    pub fn open(&self, token: BlobHash) -> std::io::Result<Secret> {
        let secret = Secret::draw("")?;
        let sessions = &mut self.held().sessions;
        if sessions.len() >= SESSIONS_MAX {
            sweep(sessions);
        }
        if sessions.len() >= SESSIONS_MAX {
            let first = sessions.iter().min_by_key(|(_, session)| session.until);
            let first = first.map(|(hash, _)| *hash);
            first.and_then(|hash| sessions.remove(&hash));
        }
        sessions.insert(secret.hash(), Lasting { of: token, until: Instant::now() + SESSION });
        Ok(secret)
    }

    /// Ends a session and the streams it opened.
    pub fn close(&self, session: &BlobHash) {
        if self.held().sessions.remove(session).is_some() {
            self.ended.send_replace(());
        }
    }

    /// The token that a session stands for, and when it ends.
    pub fn token(&self, session: &BlobHash) -> Option<(BlobHash, Instant)> {
        let held = self.held();
        let session = held.sessions.get(session)?;
        (session.until > Instant::now()).then_some((session.of, session.until))
    }

    /// A ticket for whoever was let in by this.
    pub(super) fn ticket(&self, proof: Proof) -> Result<Secret, Problem> {
        let drawn = Secret::draw("");
        let secret =
            drawn.map_err(|fault| Problem::new(ProblemCode::Internal, fault.to_string()))?;
        let tickets = &mut self.held().tickets;
        if tickets.len() >= TICKETS_MAX {
            sweep(tickets);
        }
        if tickets.len() >= TICKETS_MAX {
            let detail = format!("{TICKETS_MAX} tickets wait to be used; try again shortly");
            return Err(Problem::new(ProblemCode::Overloaded, detail));
        }
        tickets.insert(secret.hash(), Lasting { of: proof, until: Instant::now() + TICKET });
        Ok(secret)
    }

    /// Uses a ticket up.
    pub(super) fn redeem(&self, ticket: &str) -> Option<Proof> {
        let ticket = self.held().tickets.remove(&BlobHash::of(ticket.as_bytes()))?;
        (ticket.until > Instant::now()).then_some(ticket.of)
    }

    /// Changes when sessions are closed.
    pub(super) fn ends(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }
}

fn sweep<K: Eq + Hash, T>(all: &mut HashMap<K, Lasting<T>>) {
    let now = Instant::now();
    all.retain(|_, it| it.until > now);
}

/// The name of the session's cookie. Cookies know no ports: two servers of one machine would take
/// theirs from each other.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()));
    port.map_or_else(|| "baton_session".to_owned(), |port| format!("baton_session_{port}"))
}

/// The hash of the session that a request's cookie names.
pub fn session_of(headers: &HeaderMap) -> Option<BlobHash> {
    let name = cookie_name(headers);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| key.trim() == name);
    found.next().map(|(_, id)| BlobHash::of(id.trim().as_bytes()))
}

/// The cookie of a session; without one, what makes a browser forget it.
pub fn cookie(headers: &HeaderMap, session: Option<&Secret>) -> Option<HeaderValue> {
    // The browser says by which way it came, also through a proxy that speaks TLS for this server.
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let secure = if origin.is_some_and(|it| it.starts_with("https://")) { "; Secure" } else { "" };
    let (id, seconds) = session.map_or(("", 0), |session| (session.text(), SESSION.as_secs()));
    let name = cookie_name(headers);
    let text = format!("{name}={id}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(header::HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_is_closed() {
        let sessions = Sessions::default();
        let token = BlobHash::of(b"a token");
        let secret = sessions.open(token).unwrap();
        let asked = headers(&[(header::HOST, "127.0.0.1:7420"), (header::ORIGIN, "https://x")]);
        let cookie = cookie(&asked, Some(&secret)).unwrap();
        let cookie = cookie.to_str().unwrap();
        for part in
            ["baton_session_7420=", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=43200"]
        {
            assert!(cookie.contains(part), "{part}: {cookie}");
        }
        let pair = cookie.split(';').next().unwrap();
        let host = (header::HOST, "127.0.0.1:7420");
        let sent = headers(&[host.clone(), (header::COOKIE, &format!("a=b; {pair}; c=d"))]);
        let session = session_of(&sent).unwrap();
        assert_eq!(sessions.token(&session).unwrap().0, token);
        let elsewhere = headers(&[(header::HOST, "127.0.0.1:1"), (header::COOKIE, pair)]);
        assert_eq!(session_of(&elsewhere), None, "another server's");
        assert_eq!(session_of(&headers(&[host])), None);
        let ends = sessions.ends();
        sessions.close(&session);
        assert!(sessions.token(&session).is_none() && ends.has_changed().unwrap());
    }

    #[test]
    fn a_ticket_is_used_once() {
        let sessions = Sessions::default();
        let ticket = sessions.ticket(Proof::Nothing).unwrap();
        assert_eq!(sessions.redeem(ticket.text()), Some(Proof::Nothing));
        assert_eq!(sessions.redeem(ticket.text()), None);
        assert_eq!(sessions.redeem(""), None);
    }

    #[test]
    fn the_session_that_ends_first_gives_way() {
        let sessions = Sessions::default();
        let first = sessions.open(BlobHash::of(b"0")).unwrap();
        for _ in 0..SESSIONS_MAX {
            sessions.open(BlobHash::of(b"1")).unwrap();
        }
        assert!(sessions.token(&first.hash()).is_none());
        assert_eq!(sessions.held().sessions.len(), SESSIONS_MAX);
    }
}
