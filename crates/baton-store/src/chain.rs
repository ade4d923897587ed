//! Walks a stream back over its events, checking that each link holds.
//!
//! Where the events come from is the store's.

use baton_engine::store::{Record, StoreError};

/// A stream that is being read, newest first.
pub(crate) struct Walk {
    number: u64,
    at: u64,
    after: u64,
    version: Option<u64>,
    records: Vec<Record>,
}

impl Walk {
    /// From the event at `newest` back to the first after `after`.
    pub fn new(number: u64, newest: u64, after: u64) -> Self {
        Self { number, at: newest, after, version: None, records: Vec::new() }
    }

    /// The position that is to be read next; `None` when all was read.
    pub fn next(&self) -> Option<u64> {
        (self.at > self.after).then_some(self.at)
    }

    /// Takes in what stands at that position. `Corrupt` names it where the chain breaks there.
    pub fn take(&mut self, found: Option<Record>) -> Result<(), StoreError> {
        let found = found.filter(|found| {
            found.stream == self.number
                && found.position == self.at
                && found.previous < self.at
                && self.version.is_none_or(|version| found.version == version)
                && (found.previous == 0) == (found.version == 1)
        });
        let found = found.ok_or_else(|| broken(self.number, self.at))?;
        self.at = found.previous;
        self.version = Some(found.version.saturating_sub(1));
        self.records.push(found);
        Ok(())
    }

    /// What was read, oldest first.
    pub fn into_records(mut self) -> Vec<Record> {
        self.records.reverse();
        self.records
    }
}

/// The events of a stream from its newest back to the first after `after`, oldest first.
///
/// `read` finds the event at a position. `Corrupt` names the position where the chain breaks.
pub(crate) fn walk<E: From<StoreError>>(
    number: u64,
    newest: u64,
    after: u64,
    mut read: impl FnMut(u64) -> Result<Option<Record>, E>,
) -> Result<Vec<Record>, E> {
    let mut walk = Walk::new(number, newest, after);
    while let Some(position) = walk.next() {
        walk.take(read(position)?)?;
    }
    Ok(walk.into_records())
}

/// A chain of events that does not hold.
pub(crate) fn broken(number: u64, position: u64) -> StoreError {
    StoreError::Corrupt(format!(
        "the chain of stream {number} breaks at position {position}: what stands there is not \
         the event that should"
    ))
}
