//! What can go wrong between here and the server, and the words for it.
//!
//! Nothing is retried here.

use std::fmt::Display;

use baton_engine::store::StoreError;
use tokio_postgres::error::{DbError, SqlState};

use crate::sound::refused;

/// What to do where no encrypted connection comes about; the driver's word for it is `TLS`.
const TLS_NEXT: &str = "see that the server has `ssl = on` and a certificate for the name in the \
    URL, and name the certificate of its authority with `sslrootcert=FILE` where this system does \
    not trust it";

/// A failure of the connection's or the server's, or one that is already in the port's words.
#[derive(Debug)]
pub(crate) enum Fault {
    /// From the driver.
    Postgres(tokio_postgres::Error),
    /// Said already.
    Said(StoreError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
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

    /// Whether the connection is gone, and with it the knowledge of what the server did.
    pub fn lost_the_connection(&self) -> bool {
        match self {
            Self::Postgres(error) => error.as_db_error().is_none_or(|said| {
                let code = said.code().code();
                code.starts_with("57P") || code.starts_with("08")
            }),
            Self::Said(_) => false,
        }
    }

    /// In the port's words; `place` is the server and the schema.
    pub fn said(self, place: &str) -> StoreError {
        let at = |detail: String| format!("{place}: {detail}");
        match self {
            Self::Said(StoreError::Corrupt(detail)) => StoreError::Corrupt(at(detail)),
            Self::Said(StoreError::Conflict(detail)) => StoreError::Conflict(at(detail)),
            Self::Said(StoreError::Unavailable(detail)) => StoreError::Unavailable(at(detail)),
            Self::Postgres(error) => match error.as_db_error() {
                Some(said) => explain(said, place),
                None => {
                    let said = chain(&error);
                    let next = match said.contains("TLS") {
                        true => TLS_NEXT,
                        false => "see that the server runs and can be reached, then go on",
                    };
                    StoreError::Unavailable(at(format!("{said}; {next}")))
                }
            },
        }
    }
}

/// An error with its causes: the driver's own words leave them out.
fn chain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn explain(said: &DbError, place: &str) -> StoreError {
    let code = said.code();
    let message = said.message();
    if *code == SqlState::INVALID_TEXT_REPRESENTATION {
        // How `commit.sql` says what is wrong: its words stand between the quotes.
        let words = message.split_once('"').map_or(message, |(_, words)| words);
        return refused(format!("{place}: {}", words.trim_end_matches('"')));
    }
    // Constraints, and values that no type of the server's can hold.
    if code.code().starts_with("23") || code.code().starts_with("22") {
        let detail = said.detail().unwrap_or("no detail");
        return refused(format!("{place}: {message} ({detail})"));
    }
    if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
        return StoreError::Corrupt(format!("{place}: {message}"));
    }
    let next = match code.code() {
        "53100" => "the server's disk is full; free some space, then go on",
        "53300" => "the server has no connection left; raise `max_connections` or end others",
        "28P01" | "28000" => "check the user and the password in the store's URL",
        "3D000" => "create the database first",
        "42501" => "grant the user the right to create a schema and to write it",
        "25006" => "the server only reads; name its primary",
        _ => "see the server's log",
    };
    StoreError::Unavailable(format!("{place}: {message}: {next}"))
}
