//! How a command ends: the exit codes of the contract, and the failures that lead to them.

use std::fmt;

use baton_core::workflow::Refusal;
use baton_engine::store::StoreError;
use baton_store::StoreUrl;

use crate::admin::AdminError;
use crate::place::Place;

/// The exit codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The work failed, was cancelled or completed with errors.
    WorkFailed = 1,
    /// The command was not understood, or asks for what cannot be.
    Usage = 2,
    /// It waits for a person.
    WaitingForPerson = 3,
    /// The store or the server cannot be reached.
    Unreachable = 4,
}

impl Exit {
    /// What a failed command ends with: a store that does not answer is not the caller's fault.
    pub fn of(fault: &anyhow::Error) -> Self {
        if let Some(failed) = fault.downcast_ref::<Failed>() {
            return failed.exit;
        }
        let is_of_store = |cause: &(dyn std::error::Error + 'static)| {
            let admin = cause.downcast_ref::<AdminError>();
            cause.is::<StoreError>() || admin.is_some_and(|it| matches!(it, AdminError::Store(_)))
        };
        if fault.chain().any(is_of_store) { Self::Unreachable } else { Self::Usage }
    }
}

/// A failure with the exit code it leads to.
#[derive(Debug)]
pub struct Failed {
    /// The exit code.
    pub exit: Exit,
    message: String,
    owner: Owner,
}

/// What a failure tells of the store's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is leaving, or has left.
    Leaving,
    /// Nothing.
    Unknown,
}

impl Failed {
    /// The command asks for what cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), owner: Owner::Unknown }
    }

    /// The store or its owner cannot be reached.
    pub fn unreachable(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            exit: Exit::Unreachable,
            message: format!("{:#}", cause.into()),
            owner: Owner::Unknown,
        }
    }

    /// The owner refused.
    pub fn declined(code: &str, message: String) -> Self {
        let exit =
            if code == "owner_ended" || code == "store" { Exit::Unreachable } else { Exit::Usage };
        let leaving = ["owner_ended", "draining"].contains(&code);
        let owner = if leaving { Owner::Leaving } else { Owner::Unknown };
        let message = code.parse().map_or(message, |refusal| refused(refusal).to_owned());
        Self { exit, message, owner }
    }

    /// A server refused; `status` is its answer's.
    pub fn refused_over_http(status: u16, code: &str, message: String) -> Self {
        let failed = Self::declined(code, message);
        if status == 503 { Self { exit: Exit::Unreachable, ..failed } } else { failed }
    }

    /// The owner cannot be heard any more.
    pub fn owner_left(cause: impl Into<anyhow::Error>) -> Self {
        Self { owner: Owner::Leaving, ..Self::unreachable(cause) }
    }

    /// Whether another owner may take what this one did not, or did not say it had.
    pub fn is_owner_leaving(&self) -> bool {
        self.owner == Owner::Leaving
    }

    /// There is no store where one was looked for.
    pub fn no_store(place: &Place) -> Self {
        let there = match place.store() {
            StoreUrl::Sqlite(path) => path.display().to_string(),
            StoreUrl::Postgres(_) => "this address".to_owned(),
        };
        Self::usage(format!(
            "there is no store at {there}; `baton run FILE` makes one, `--data DIR` names another"
        ))
    }
}

/// What a refusal means to whoever typed the command, and what to type instead.
fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyEnded => "its run has ended; `baton retry ID` opens the next one",
        Refusal::NotEnded => {
            "its run has not ended; `baton watch ID` follows it, `baton cancel ID` ends it"
        }
        Refusal::NotInReview => {
            "it does not wait for a review of its plan; `baton inbox` shows what waits"
        }
        Refusal::StaleRevision => {
            "the plan has changed since it was looked at; look at it again with `baton show ID`"
        }
        Refusal::NotRunning => "it is not running; `baton show ID` tells where it stands",
        Refusal::NotPaused => "it is not paused; `baton show ID` tells where it stands",
        Refusal::AlreadyCancelling => "it is being cancelled already; `baton watch ID` follows it",
        Refusal::NoSuchTask => "it has no such task; `baton show ID` lists them",
        Refusal::StaleAttempt => "that attempt is over; `baton show ID` tells what became of it",
        Refusal::NotReady | Refusal::NoRoom | Refusal::NotCounted => {
            "the task cannot start now; `baton show ID` tells where it stands"
        }
        Refusal::NotWaiting => {
            "the task does not wait for that; `baton inbox` shows what waits for what"
        }
        Refusal::InvalidAnswer => {
            "the answer does not fit the question; `baton inbox` shows what is asked"
        }
        Refusal::NothingToRetry => {
            "everything completed; `--task KEY` names what to do again all the same"
        }
        Refusal::NotSettled => {
            "some of its calls have not ended or are in doubt; `baton inbox` shows them"
        }
        Refusal::TooManyTasks => "the workflow would have more tasks than it may",
        Refusal::OtherDefinition => {
            "an edit keeps the `name` and `version` of its definition; `baton run` starts another one"
        }
        Refusal::NothingChanged => "the edit changes nothing",
        Refusal::TooManyEdits => {
            "the plan was edited as often as it may be; `baton approve ID`, or start another"
        }
        Refusal::NoSuchEdit => "it has no such edit; `baton edit ID --list` shows them",
        Refusal::NotNewestEdit => {
            "later edits stand on it, or it was undone; `baton edit ID --list` shows them"
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}
