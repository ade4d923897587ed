//! The states of a server, and the one table of what follows what.
//!
//! It is pure: no clock, no connection. What happened to a server, and when, is an argument.

use baton_core::codes;
use baton_core::ids::{ConversationId, TaskId};
use baton_core::time::Timestamp;
use serde::Serialize;

codes! {
    /// Where a server stands, in a word.
    pub enum ServerStatus: "server_status" {
        /// Nobody uses it; it may not even run, and is started when it is needed.
        Idle = 0 "idle",
        /// Somebody uses it.
        Busy = 1 "busy",
        /// It does not answer.
        Stalled = 2 "stalled",
        /// It failed too often, and is left alone for a while.
        Quarantined = 3 "quarantined",
    }
}

/// Somebody's use of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// Tells the leases of a server apart.
    #[serde(skip)]
    pub number: u64,
    /// The tool that is called.
    pub locked_by: String,
    /// When the call ends, at the latest.
    pub lease_until: Timestamp,
    /// The conversation it is called for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The task that calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// Where a server stands, with what is true only there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerState {
    /// See [`ServerStatus::Idle`].
    #[default]
    Idle,
    /// See [`ServerStatus::Busy`].
    Busy {
        /// By whom; never empty.
        leases: Vec<Lease>,
    },
    /// See [`ServerStatus::Stalled`].
    Stalled {
        /// Who still waits for it.
        leases: Vec<Lease>,
        /// How that was found.
        why: String,
    },
    /// See [`ServerStatus::Quarantined`].
    Quarantined {
        /// When it is tried again.
        until: Timestamp,
        /// What it did last.
        why: String,
    },
}

/// What happens to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A call begins.
    Leased(Lease),
    /// A call has ended.
    Released(u64),
    /// It did not answer in its time.
    Silent(String),
    /// It answered.
    Answered,
    /// It failed too often.
    Quarantined {
        /// When it is tried again.
        until: Timestamp,
        /// What it did.
        why: String,
    },
    /// The time of its quarantine is over.
    Lifted,
}

impl ServerState {
    /// The word for it.
    pub fn status(&self) -> ServerStatus {
        match self {
            Self::Idle => ServerStatus::Idle,
            Self::Busy { .. } => ServerStatus::Busy,
            Self::Stalled { .. } => ServerStatus::Stalled,
            Self::Quarantined { .. } => ServerStatus::Quarantined,
        }
    }

    /// Who uses it.
    pub fn leases(&self) -> &[Lease] {
        match self {
            Self::Busy { leases } | Self::Stalled { leases, .. } => leases,
            Self::Idle | Self::Quarantined { .. } => &[],
        }
    }

    /// The state after a change. What makes no sense in a state changes nothing.
    #[must_use]
    pub fn after(self, change: Change) -> Self {
        match (self, change) {
            (_, Change::Quarantined { until, why }) => Self::Quarantined { until, why },
            (Self::Quarantined { .. }, Change::Lifted) => Self::Idle,
            (same @ Self::Quarantined { .. }, _) | (same, Change::Lifted) => same,
            (Self::Idle, Change::Leased(lease)) => Self::Busy { leases: vec![lease] },
            (Self::Busy { leases }, Change::Leased(lease)) => {
                Self::Busy { leases: with(leases, lease) }
            }
            (Self::Stalled { leases, why }, Change::Leased(lease)) => {
                Self::Stalled { leases: with(leases, lease), why }
            }
            (Self::Busy { leases }, Change::Released(number)) => used(without(leases, number)),
            (Self::Stalled { leases, why }, Change::Released(number)) => {
                Self::Stalled { leases: without(leases, number), why }
            }
            (Self::Idle, Change::Silent(why)) => Self::Stalled { leases: Vec::new(), why },
            (Self::Busy { leases }, Change::Silent(why)) => Self::Stalled { leases, why },
            (Self::Stalled { leases, .. }, Change::Answered) => used(leases),
            (same @ Self::Stalled { .. }, Change::Silent(_))
            | (same @ Self::Busy { .. }, Change::Answered)
            | (same @ Self::Idle, Change::Answered | Change::Released(_)) => same,
        }
    }
}

fn used(leases: Vec<Lease>) -> ServerState {
    if leases.is_empty() { ServerState::Idle } else { ServerState::Busy { leases } }
}

fn with(mut leases: Vec<Lease>, lease: Lease) -> Vec<Lease> {
    leases.push(lease);
    leases
}

fn without(mut leases: Vec<Lease>, number: u64) -> Vec<Lease> {
    leases.retain(|lease| lease.number != number);
    leases
}

#[cfg(test)]
mod tests {
    use baton_core::codes::Code;

    use super::*;

    const LATER: Timestamp = Timestamp::from_millis(1_000);

    fn lease(number: u64) -> Lease {
        Lease {
            number,
            locked_by: "files.read".to_owned(),
            lease_until: LATER,
            conversation_id: None,
            task_id: None,
        }
    }

    fn changes() -> Vec<Change> {
        let why = || "why".to_owned();
        vec![
            Change::Leased(lease(1)),
            Change::Leased(lease(2)),
            Change::Released(1),
            Change::Released(2),
            Change::Silent(why()),
            Change::Answered,
            Change::Quarantined { until: LATER, why: why() },
            Change::Lifted,
        ]
    }

    fn reached() -> Vec<ServerState> {
        let mut states = vec![ServerState::default()];
        let mut next = 0;
        while let Some(state) = states.get(next).cloned() {
            next += 1;
            for change in changes() {
                let after = state.clone().after(change);
                // Two leases are enough to tell the rules apart.
                if after.leases().len() <= 2 && !states.contains(&after) {
                    states.push(after);
                }
            }
        }
        states
    }

    #[test]
    fn or2_every_state_is_reached_and_no_server_is_busy_with_nobody() {
        let states = reached();
        for status in ServerStatus::ALL {
            assert!(states.iter().any(|state| state.status() == *status), "{status}");
        }
        assert!(!states.contains(&ServerState::Busy { leases: Vec::new() }));
    }

    #[test]
    fn or2_only_the_declared_steps_are_taken() {
        use ServerStatus::{Busy, Idle, Quarantined, Stalled};
        let mut steps = std::collections::BTreeSet::new();
        for state in reached() {
            for change in changes() {
                let after = state.clone().after(change);
                if after.status() != state.status() {
                    steps.insert((state.status(), after.status()));
                }
            }
        }
        let declared = [
            (Idle, Busy),
            (Idle, Stalled),
            (Idle, Quarantined),
            (Busy, Idle),
            (Busy, Stalled),
            (Busy, Quarantined),
            (Stalled, Idle),
            (Stalled, Busy),
            (Stalled, Quarantined),
            (Quarantined, Idle),
        ];
        assert_eq!(steps.into_iter().collect::<Vec<_>>(), declared);
    }

    #[test]
    fn or2_a_stalled_server_shows_who_waits_for_it_until_it_answers() {
        let stalled = ServerState::Idle
            .after(Change::Leased(lease(1)))
            .after(Change::Silent("no answer".to_owned()));
        assert_eq!((stalled.status(), stalled.leases().len()), (ServerStatus::Stalled, 1));
        let left = stalled.clone().after(Change::Released(1));
        assert_eq!((left.status(), left.leases().len()), (ServerStatus::Stalled, 0));
        assert_eq!(left.after(Change::Answered), ServerState::Idle);
        assert_eq!(stalled.after(Change::Answered).status(), ServerStatus::Busy);
    }
}
