//! What is known of a server: its state, who uses it, how its calls went. In memory only.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_core::time::Timestamp;
use serde::Serialize;

use crate::state::{Change, Lease, ServerState, ServerStatus};

/// From this many failures in a row on a server is left alone for a while.
pub(crate) const CRASHES_MAX: u32 = 3;
/// The first quarantine; each that follows takes twice as long.
const QUARANTINE: Duration = Duration::from_secs(1);
/// The longest quarantine.
const QUARANTINE_MAX: Duration = Duration::from_secs(300);
/// The longest trouble that is kept, in characters.
const TROUBLE_CHARS_MAX: usize = 500;

/// This moment on the wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How long calls took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// The newest.
    pub last: u64,
    /// On average.
    pub mean: u64,
    /// The slowest.
    pub max: u64,
}

/// The last thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// What a server said of itself when it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) protocol: String,
    pub(crate) server: String,
}

/// One server's record.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) state: ServerState,
    pub(crate) introduction: Option<Introduction>,
    calls: u64,
    failures: u64,
    starts: u64,
    /// Failures of the server itself, not of its tools, since it last did its work.
    pub(crate) crashes: u32,
    last_error: Option<Trouble>,
    latencies: Latencies,
    millis: u64,
    newest_lease: u64,
}

impl Record {
    pub(crate) fn change(&mut self, change: Change) {
        self.state = std::mem::take(&mut self.state).after(change);
    }

    /// How long the server is still to be left alone, and why.
    pub(crate) fn quarantine(&mut self) -> Option<(Duration, String)> {
        let ServerState::Quarantined { until, why } = &self.state else { return None };
        let left = until.since(now());
        if left > Duration::ZERO {
            return Some((left, why.clone()));
        }
        self.change(Change::Lifted);
        None
    }

    /// Somebody says that the server may be called again: what it did before counts no more.
    pub(crate) fn release(&mut self) {
        self.crashes = 0;
        self.change(Change::Lifted);
    }

    /// A call begins.
    pub(crate) fn lease(&mut self, lease: Lease) -> u64 {
        self.newest_lease += 1;
        self.calls += 1;
        let number = self.newest_lease;
        self.change(Change::Leased(Lease { number, ..lease }));
        number
    }

    /// A call has ended, and the server did its part.
    pub(crate) fn served(&mut self, lease: u64, took: Duration) {
        self.crashes = 0;
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.millis = self.millis.saturating_add(millis);
        self.latencies = Latencies {
            last: millis,
            mean: self.millis / self.calls.max(1),
            max: self.latencies.max.max(millis),
        };
        self.change(Change::Answered);
        self.change(Change::Released(lease));
    }

    /// A call has ended badly.
    pub(crate) fn failed(&mut self, message: &str) {
        self.failures += 1;
        self.trouble(message);
    }

    /// The server has started and told what it is.
    pub(crate) fn started(&mut self, introduction: Introduction) {
        self.starts += 1;
        self.introduction = Some(introduction);
        self.change(Change::Answered);
    }

    /// The server could not be started, has ended, or was ended because it did not answer.
    pub(crate) fn crashed(&mut self, message: &str) {
        self.crashes += 1;
        self.trouble(message);
        let Some(over) = self.crashes.checked_sub(CRASHES_MAX) else { return };
        let span = QUARANTINE.saturating_mul(2_u32.saturating_pow(over.min(16)));
        let until = now().plus(span.min(QUARANTINE_MAX));
        let why = format!("it failed {} times in a row, lastly: {message}", self.crashes);
        self.change(Change::Quarantined { until, why: cut(&why) });
    }

    pub(crate) fn trouble(&mut self, message: &str) {
        self.last_error = Some(Trouble { at: now(), message: cut(message) });
    }
}

fn cut(message: &str) -> String {
    message.chars().take(TROUBLE_CHARS_MAX).collect()
}

/// A server as it is shown: by `baton servers`, and by the API.
#[derive(Clone, Debug, Serialize)]
pub struct ServerView {
    /// Its name in the configuration.
    pub name: String,
    /// `stdio` or `http`; `off` where it may not be used.
    pub transport: &'static str,
    /// Whether it may be used.
    pub enabled: bool,
    /// Where it stands.
    pub status: ServerStatus,
    /// Who uses it.
    pub leases: Vec<Lease>,
    /// `quarantined`: when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// `quarantined` and `stalled`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Calls so far.
    pub attempts: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How often it was started or connected to.
    pub starts: u64,
    /// The last thing that went wrong, however long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Trouble>,
    /// How long its calls took.
    pub latency_ms: Latencies,
    /// The version of the protocol that was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// Its own name and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// How many tools it has told of.
    pub tools: usize,
}

impl ServerView {
    /// A server that is turned off.
    pub(crate) fn disabled(name: &str) -> Self {
        let view = Record::default().view(name, "off", 0);
        Self { enabled: false, ..view }
    }
}

impl Record {
    /// As it is shown; what is not the record's is given.
    pub(crate) fn view(&mut self, name: &str, transport: &'static str, tools: usize) -> ServerView {
        // What is over is not shown.
        let _ = self.quarantine();
        let (until, why) = match &self.state {
            ServerState::Quarantined { until, why } => (Some(*until), Some(why.clone())),
            ServerState::Stalled { why, .. } => (None, Some(why.clone())),
            ServerState::Idle | ServerState::Busy { .. } => (None, None),
        };
        ServerView {
            name: name.to_owned(),
            transport,
            enabled: true,
            status: self.state.status(),
            leases: self.state.leases().to_vec(),
            until,
            why,
            attempts: self.calls,
            failures: self.failures,
            starts: self.starts,
            last_error: self.last_error.clone(),
            latency_ms: self.latencies,
            protocol_version: self.introduction.as_ref().map(|said| said.protocol.clone()),
            server: self.introduction.as_ref().map(|said| said.server.clone()),
            tools,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn or2_a_server_that_fails_again_and_again_is_left_alone_longer_each_time() {
        let mut record = Record::default();
        for _ in 1..CRASHES_MAX {
            record.crashed("it exited");
            assert_eq!(record.quarantine(), None);
        }
        record.crashed("it exited");
        let (first, why) = record.quarantine().unwrap();
        assert!(why.contains("3 times in a row") && why.contains("it exited"), "{why}");
        record.crashed("it exited");
        let (second, _) = record.quarantine().unwrap();
        assert!(second > first, "{first:?} {second:?}");
        (0..100).for_each(|_| record.crashed("it exited"));
        assert!(record.quarantine().unwrap().0 <= QUARANTINE_MAX);
        let view = record.view("a", "stdio", 0);
        assert_eq!(view.status, ServerStatus::Quarantined);
        assert!(view.until.is_some() && view.last_error.is_some());
    }

    #[test]
    fn or2_a_call_is_shown_with_who_made_it_and_what_it_took() {
        let mut record = Record::default();
        let lease = Lease {
            number: 0,
            locked_by: "a.b".to_owned(),
            lease_until: now(),
            conversation_id: None,
            task_id: None,
        };
        let number = record.lease(lease);
        assert_eq!(record.view("a", "stdio", 0).leases[0].locked_by, "a.b");
        record.served(number, Duration::from_millis(40));
        let view = record.view("a", "stdio", 0);
        assert_eq!((view.status, view.attempts, view.failures), (ServerStatus::Idle, 1, 0));
        assert_eq!(view.latency_ms, Latencies { last: 40, mean: 40, max: 40 });
    }
}
