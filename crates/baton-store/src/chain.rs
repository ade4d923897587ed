//! Walks a stream back over its events, checking that each link holds.
//!
//! Where the events come from is the store's.

use baton_engine::store::{Record, StoreError};

/// The events of a stream from its newest back to the first after `after`, oldest first.
///
/// `read` finds the event at a position. `Corrupt` names the position where the chain breaks.
pub(crate) fn walk<E: From<StoreError>>(
    number: u64,
    newest: u64,
    after: u64,
    mut read: impl FnMut(u64) -> Result<Option<Record>, E>,
) -> Result<Vec<Record>, E> {
    let mut at = newest;
    let mut version = None;
    let mut records = Vec::new();
    while at > after {
        let found = read(at)?.filter(|found| {
            found.stream == number
                && found.previous < at
                && version.is_none_or(|version| found.version == version)
                && (found.previous == 0) == (found.version == 1)
        });
        let found = found.ok_or_else(|| broken(number, at))?;
        at = found.previous;
        version = Some(found.version.saturating_sub(1));
        records.push(found);
    }
    records.reverse();
    Ok(records)
}

/// A chain of events that does not hold.
pub(crate) fn broken(number: u64, position: u64) -> StoreError {
    StoreError::Corrupt(format!(
        "the chain of stream {number} breaks at position {position}: what stands there is not \
         the event that should"
    ))
}
