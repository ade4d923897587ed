//! Looking after a store: what is wrong with it, mending it, and letting go of what is over.
//!
//! Every function returns a report that can be printed or given out as JSON; none prints, and none
//! decides what a workflow may do.

pub mod archive;
pub mod doctor;
mod lock;
pub mod purge;
pub mod rebuild;
pub mod retention;
pub mod selection;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{SystemTime, UNIX_EPOCH};

use baton_core::actor::Actor;
use baton_core::ids::WorkflowId;
use baton_core::time::Timestamp;
use baton_engine::exchange::{Burial, Declined, Gone, Reply, Request};
use baton_engine::ports::Door;
use baton_engine::store::StoreError;

use baton_core::spoken::many;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminError {
    /// The store could not be read or written.
    Store(StoreError),
    /// A file could not be used.
    File {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        detail: String,
    },
    /// Another process owns the store.
    Owned {
        /// Its number, where it said so.
        process: Option<u32>,
    },
    /// There is no such workflow.
    NoSuchWorkflow(WorkflowId),
    /// The owner of the store would not do it.
    Refused(String),
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(fault) => fault.fmt(f),
            Self::File { path, detail } => write!(f, "{}: {detail}", path.display()),
            Self::Owned { process: Some(process) } => {
                write!(f, "the process {process} owns the store; end it first (`kill {process}`)")
            }
            Self::Owned { process: None } => {
                f.write_str("another process owns the store; end it first")
            }
            Self::NoSuchWorkflow(id) => {
                write!(f, "there is no workflow {id}; `baton list` shows those there are")
            }
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AdminError {}

impl From<StoreError> for AdminError {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

impl AdminError {
    fn file(path: &Path, detail: impl ToString) -> Self {
        Self::File { path: path.to_owned(), detail: detail.to_string() }
    }
}

/// Why workflows were not purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPurged {
    /// One of them may not be, now.
    Refused(String),
    /// Nothing can be said of any.
    Failed(String),
}

/// Who carries purges out: the owner of the store, or the way to it.
pub trait Purger {
    /// Purges all of these or none; returns how many had not been before.
    fn purge(&mut self, workflows: Vec<Burial>) -> Result<u32, NotPurged>;
}

/// Purges through an owner's door.
pub struct DoorPurger<'a> {
    /// The way in.
    pub door: &'a dyn Door,
    /// Who asks.
    pub actor: &'a Actor,
}

impl Purger for DoorPurger<'_> {
    fn purge(&mut self, workflows: Vec<Burial>) -> Result<u32, NotPurged> {
        let (sender, receiver) = sync_channel(1);
        let then = move |answer| {
            // Whoever asked may have left.
            let _ = sender.send(answer);
        };
        self.door.ask(self.actor, Request::Purge { workflows }, Box::new(then));
        match receiver.recv().unwrap_or(Err(Gone::OwnerEnded)) {
            Ok(Reply::Purged(count)) => Ok(count),
            Ok(other) => Err(NotPurged::Failed(format!("the owner answered {other:?}"))),
            Err(gone @ Gone::OwnerEnded) => Err(NotPurged::Failed(gone.to_string())),
            Err(Gone::Declined(declined)) => Err(match declined {
                Declined::Refused(_) | Declined::StillNeeded { .. } => {
                    NotPurged::Refused(declined.to_string())
                }
                Declined::NoSuchWorkflow(_)
                | Declined::Purged(_)
                | Declined::Conversation(_)
                | Declined::NoSuchConversation(_)
                | Declined::ConversationExists(_)
                | Declined::OtherContent { .. }
                | Declined::NoSuchDefinition(_)
                | Declined::TokenExists(_)
                | Declined::NoSuchToken(_)
                | Declined::KeyReused
                | Declined::Draining
                | Declined::TooManyWaiting
                | Declined::Store(_) => NotPurged::Failed(declined.to_string()),
            }),
        }
    }
}

/// The present moment of the wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// A number of bytes as people read it.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => many(bytes, "byte"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
