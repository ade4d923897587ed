//! Cursors: whether a reader who saw everything up to a position can go on without a gap.
//!
//! Positions are dense but where a purge removed events, and its tombstone always comes after them:
//! the hole shows in what is read next. Nothing has to be remembered for it.

use std::ops::RangeInclusive;

use crate::store::Record;

/// The first positions after `after` whose events are gone, as far as `records` reach: what was
/// read, of all streams and in order, from `after` on. A cursor that meets one is answered `410`.
///
/// Of a single stream it is simpler: a purged workflow's row has the head 0.
pub fn removed_after(after: u64, records: &[Record]) -> Option<RangeInclusive<u64>> {
    let mut expected = after.checked_add(1)?;
    for record in records {
        if record.position > expected {
            return Some(expected..=record.position - 1);
        }
        expected = record.position + 1;
    }
    None
}
