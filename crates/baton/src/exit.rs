//! How a command ends: the exit codes of the contract, and the failures that lead to them.

use std::fmt;

use baton_engine::store::StoreError;

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
        Self { exit, message, owner }
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
        let folder = place.folder().display();
        Self::usage(format!(
            "there is no store in {folder}; `baton run FILE` makes one, `--data DIR` names another"
        ))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}
