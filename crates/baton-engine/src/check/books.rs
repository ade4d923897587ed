//! Compares the books: a row for each call of a model, as the journal tells of it. Rows of purged
//! workflows stay, and are compared with those that their purge wrote down.

use std::collections::BTreeMap;

use baton_core::body::Body;
use baton_core::workflow::Event;
use baton_core::workflow::usage::UsageRow;

use super::graves::text_of;
use super::{Difference, Found, Mend};
use crate::store::{Audit, SYSTEM_STREAM, StoreError};

/// The rows of one workflow, by position.
pub(super) type Books = BTreeMap<u64, UsageRow>;

/// Compares the stored rows of a workflow with those it should have.
pub(super) fn compare(
    (number, name): (u64, &str),
    mut books: Books,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let what = |position: u64| format!("{name}: the call that ended at position {position}");
    for old in audit.usage(number)? {
        let what = what(old.position);
        match books.remove(&old.position) {
            None => {
                let mend = Mend::NoUsage(old.position);
                found(Difference::fault(what, "a row", "no row").mended_by(mend))?;
            }
            Some(new) => {
                if let Some(difference) = Difference::of_fields(&what, &old, &new) {
                    found(difference.mended_by(Mend::Usage(Box::new(new))))?;
                } else if let Some(difference) = Difference::of_fields(&what, &new, &old) {
                    // What is there and should be absent is no field of the new one.
                    found(difference.mended_by(Mend::Usage(Box::new(new))))?;
                }
            }
        }
    }
    for (position, new) in books {
        let mend = Mend::Usage(Box::new(new));
        found(Difference::fault(what(position), "no row", "a row").mended_by(mend))?;
    }
    Ok(())
}

/// Rows of workflows that are not known at all.
pub(super) fn compare_strays(
    known: impl Fn(&u64) -> bool,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let mut at = SYSTEM_STREAM;
    while let Some(number) = audit.next_with_usage(at)? {
        at = number;
        if !known(&number) {
            compare((number, &format!("workflow {number}")), Books::new(), audit, found)?;
        }
    }
    Ok(())
}

/// The rows that a purge wrote down, by workflow.
///
/// `Corrupt` when they are missing or cannot be read.
pub(super) fn kept_by(
    event: &Event,
    audit: &mut dyn Audit,
) -> Result<BTreeMap<u64, Books>, StoreError> {
    let Event::BatchPurged(purged) = event else {
        return Ok(BTreeMap::new());
    };
    let rows = purged.usage.as_ref().map(|body: &Body| text_of(body, audit)).transpose()?;
    let rows: Vec<UsageRow> = match rows {
        None => Vec::new(),
        Some(text) => serde_json::from_str(text.as_str())
            .map_err(|fault| StoreError::Corrupt(format!("the books of a purge: {fault}")))?,
    };
    let mut books: BTreeMap<u64, Books> = BTreeMap::new();
    for row in rows {
        books.entry(row.number).or_default().insert(row.position, row);
    }
    Ok(books)
}
