//! What can go wrong below the port, and the words for it: what happened, where, what to do next.
//!
//! Nothing is retried here.

use std::fmt::Display;
use std::path::Path;

use baton_engine::store::StoreError;
use rusqlite::ErrorCode;

/// A failure of SQLite's, or one that is already in the port's words.
#[derive(Debug)]
pub(crate) enum Fault {
    /// From the library.
    Sqlite(rusqlite::Error),
    /// From a commit whose outcome is not known.
    Outcome(rusqlite::Error),
    /// Said already.
    Said(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Said(error)
    }
}

impl Fault {
    /// A fault of the stored data.
    pub fn corrupt(detail: impl Display) -> Self {
        Self::Said(StoreError::Corrupt(detail.to_string()))
    }

    /// A fault of the store's surroundings.
    pub fn unavailable(detail: impl Display) -> Self {
        Self::Said(StoreError::Unavailable(detail.to_string()))
    }

    /// Whether another process was in the way.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Sqlite(error) | Self::Outcome(error) => {
                error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
            }
            Self::Said(_) => false,
        }
    }

    /// Whether what the connection believes may differ from what the file holds.
    pub fn spoils_the_connection(&self) -> bool {
        match self {
            Self::Outcome(_) => true,
            Self::Sqlite(error) => !matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation)
            ),
            Self::Said(_) => false,
        }
    }
}

/// The store a fault is about.
pub(crate) struct Place<'a>(&'a Path);

impl<'a> Place<'a> {
    /// The store at this path.
    pub fn of(path: &'a Path) -> Self {
        Self(path)
    }

    /// A fault of using the store.
    pub fn of_fault(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Said(StoreError::Corrupt(detail)) => StoreError::Corrupt(self.at(detail)),
            Fault::Said(StoreError::Conflict(detail)) => StoreError::Conflict(self.at(detail)),
            Fault::Said(StoreError::Unavailable(detail)) => {
                StoreError::Unavailable(self.at(detail))
            }
            Fault::Outcome(error) => match self.explain(&error) {
                StoreError::Unavailable(detail) => StoreError::Unavailable(format!(
                    "whether a commit was applied is not known: {detail}"
                )),
                said @ (StoreError::Conflict(_) | StoreError::Corrupt(_)) => said,
            },
            Fault::Sqlite(error) => self.explain(&error),
        }
    }

    /// A fault of opening it: never the words for damage where the file is simply another one.
    pub fn opening(&self, fault: Fault) -> StoreError {
        let Self(path) = self;
        let path = path.display();
        let code = match &fault {
            Fault::Sqlite(error) | Fault::Outcome(error) => error.sqlite_error_code(),
            Fault::Said(_) => None,
        };
        match code {
            Some(ErrorCode::NotADatabase) => StoreError::Unavailable(format!(
                "{path} is a file, but not a Baton store; name another path"
            )),
            Some(ErrorCode::CannotOpen) => StoreError::Unavailable(format!(
                "{path} cannot be opened; make sure that its folder exists, may be written, and \
                 that {path} is not a folder itself"
            )),
            _ => self.of_fault(fault),
        }
    }

    fn at(&self, detail: String) -> String {
        format!("{}: {detail}", self.0.display())
    }

    fn explain(&self, error: &rusqlite::Error) -> StoreError {
        let next = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full; free some space, then go on",
            Some(ErrorCode::SystemIoFailure) => {
                "the disk failed to read or write; see the system's log before going on"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process keeps the file locked; end it or wait for it"
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                "the file may only be read; give this user the right to write it"
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return StoreError::Corrupt(self.at(error.to_string()));
            }
            Some(ErrorCode::ConstraintViolation) => {
                return StoreError::Corrupt(
                    self.at(format!("a commit was refused and not written: {error}")),
                );
            }
            Some(_) => "this is not expected; try again, then run `baton doctor`",
            // Not SQLite's word but the driver's: a stored value of another type than declared.
            None => return StoreError::Corrupt(self.at(error.to_string())),
        };
        StoreError::Unavailable(self.at(format!("{error}: {next}")))
    }
}
