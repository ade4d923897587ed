//! What every store asks of a commit before it writes: the same for all, so that none is laxer.
//!
//! It checks numbers and order, never what an event or a status means.

use std::fmt::Display;

use baton_core::body::BlobHash;
use baton_core::ids::ConversationId;
use baton_engine::store::{Commit, Head, StoreError};

use crate::ORDINAL_BITS;

/// The largest workflow number whose tasks' keys fit a signed 64-bit integer.
const NUMBER_MAX: u64 = (1 << (63 - ORDINAL_BITS)) - 1;

/// Whether a commit can be kept as it is.
///
/// `Corrupt` names what is wrong with it; nothing of it may then be written.
pub(crate) fn check(commit: &Commit) -> Result<(), StoreError> {
    let Commit { after, head, .. } = commit;
    if head.epoch != after.epoch || head.position < after.position {
        return Err(refused("its head goes back behind the one it extends"));
    }
    let mut last = after.position;
    for record in &commit.records {
        let position = record.position;
        if position <= last || position > head.position {
            return Err(refused(format!(
                "position {position} follows {last} and its head is {}",
                head.position
            )));
        }
        if record.previous >= position || record.cause >= position {
            return Err(refused(format!("position {position} points ahead of itself")));
        }
        last = position;
    }
    if let Some(row) = commit.tasks.iter().find(|row| row.ordinal.0 >> ORDINAL_BITS != 0) {
        return Err(refused(format!("it has a task at {:?}", row.ordinal)));
    }
    if head.streams > NUMBER_MAX {
        return Err(refused("its workflows' numbers are too large"));
    }
    Ok(())
}

/// A commit that cannot be kept.
pub(crate) fn refused(what: impl Display) -> StoreError {
    StoreError::Corrupt(format!("a commit was refused and not written: {what}"))
}

/// A commit of an owner that is none any more.
pub(crate) fn fenced(after: &Head, found: &Head) -> StoreError {
    StoreError::Conflict(format!(
        "the store is at position {} in epoch {}, the commit extends {} in epoch {}",
        found.position, found.epoch, after.position, after.epoch
    ))
}

/// A commit that adds a use to a blob that is not there.
pub(crate) fn missing_blob(hash: BlobHash) -> StoreError {
    refused(format!(
        "it names the blob {hash}, which is not in the store, and does not bring its bytes"
    ))
}

/// A commit that ends more uses of a blob than there are.
pub(crate) fn overreleased(hash: BlobHash, fewer: u32) -> StoreError {
    refused(format!("it ends {fewer} uses of the blob {hash}, which has fewer"))
}

/// A commit that changes a workflow that is not there.
pub(crate) fn unknown_workflow(number: u64) -> StoreError {
    refused(format!("workflow {number} is not in the store"))
}

/// A commit that brings a conversation under an id that another number has.
pub(crate) fn taken(id: ConversationId) -> StoreError {
    refused(format!("conversation {id} is not new"))
}

/// A commit that brings a workflow without its row.
pub(crate) fn rowless(number: u64) -> StoreError {
    refused(format!("workflow {number} is new and has no row"))
}

/// An unsigned integer as a database keeps it; one that is too large for that is larger than any
/// that was ever written, and finds what the largest finds.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The key of a task: its workflow's number and its ordinal in one integer.
pub(crate) fn task_key(number: u64, ordinal: u32) -> i64 {
    integer(number.min(NUMBER_MAX)) << ORDINAL_BITS | i64::from(ordinal)
}

/// The first and the last key that a workflow's tasks can have.
pub(crate) fn task_keys(number: u64) -> [i64; 2] {
    let first = task_key(number, 0);
    [first, first | ((1 << ORDINAL_BITS) - 1)]
}

/// The workflow's number and the ordinal that a task's key is made of.
pub(crate) fn split_key(key: u64) -> (u64, u32) {
    let ordinal = key & ((1 << ORDINAL_BITS) - 1);
    (key >> ORDINAL_BITS, u32::try_from(ordinal).unwrap_or(u32::MAX))
}
