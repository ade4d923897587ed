//! How a command ends: the exit codes of the contract, and the failures that lead to them.

use std::fmt;

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

/// A failure with the exit code it leads to.
#[derive(Debug)]
pub struct Failed {
    /// The exit code.
    pub exit: Exit,
    message: String,
}

impl Failed {
    /// The command asks for what cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// The store or its owner cannot be reached.
    pub fn unreachable(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            exit: Exit::Unreachable,
            message: format!("{:#}", cause.into()),
        }
    }

    /// The owner refused.
    pub fn declined(code: &str, message: String) -> Self {
        let exit = if code == "owner_ended" || code == "store" {
            Exit::Unreachable
        } else {
            Exit::Usage
        };
        Self { exit, message }
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
