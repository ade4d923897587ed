//! Counts how often events name each blob, and reads blobs for damage.
//!
//! Counting goes over the journal once for each million blobs, so that memory stays bounded.

use std::collections::BTreeMap;

use baton_core::body::BlobHash;

use super::{Difference, EVENTS_AT_A_TIME, Found, Mend};
use crate::live::read_event;
use crate::store::{Audit, StoreError};

/// How many blobs are counted in one pass over the journal.
const BLOBS_AT_A_TIME: u32 = 1_000_000;

/// Compares the stored uses of every blob; returns how many blobs there are.
pub(super) fn compare_uses(audit: &mut dyn Audit, found: Found<'_>) -> Result<u64, StoreError> {
    let mut blobs = 0;
    let mut after = None;
    loop {
        let page = audit.blob_uses(after, BLOBS_AT_A_TIME)?;
        let is_full = page.len() as u64 >= u64::from(BLOBS_AT_A_TIME);
        let until = page.last().map(|(hash, _)| *hash).filter(|_| is_full);
        blobs += page.len() as u64;
        compare_page(page, (after, until), audit, found)?;
        if until.is_none() {
            return Ok(blobs);
        }
        after = until;
    }
}

/// Compares the blobs after the first hash up to and with the second.
fn compare_page(
    page: Vec<(BlobHash, u64)>,
    (after, until): (Option<BlobHash>, Option<BlobHash>),
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let inside = |hash: &BlobHash| {
        after.is_none_or(|after| hash.0 > after.0) && until.is_none_or(|until| hash.0 <= until.0)
    };
    let mut counted = count(audit, &inside)?;
    for (hash, stored) in page {
        let uses = counted.remove(&hash.0).unwrap_or(0);
        if uses != stored {
            let what = format!("the uses of blob {hash}");
            let mend = Mend::BlobUses(hash, uses);
            found(Difference::fault(what, stored, uses).mended_by(mend))?;
        }
    }
    for (hash, uses) in counted {
        let what = format!("the blob {}", BlobHash(hash));
        found(Difference::fault(what, "nothing", format!("a blob that events name {uses} times")))?;
    }
    Ok(())
}

fn count(
    audit: &mut dyn Audit,
    inside: &dyn Fn(&BlobHash) -> bool,
) -> Result<BTreeMap<[u8; 32], u64>, StoreError> {
    let mut counted: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    let mut at = 0;
    loop {
        let records = audit.events(at, EVENTS_AT_A_TIME)?;
        let Some(last) = records.last() else {
            return Ok(counted);
        };
        at = last.position;
        for record in &records {
            // An event that cannot be read is named where its stream is folded.
            if let Ok(event) = read_event(record) {
                event.blobs(&mut |hash| {
                    if inside(&hash) {
                        *counted.entry(hash.0).or_default() += 1;
                    }
                });
            }
        }
    }
}

/// Reads every blob and hands over those whose content is not what their hash was made of.
/// Returns how many were read.
pub fn damaged_blobs(
    audit: &mut dyn Audit,
    found: &mut dyn FnMut(BlobHash),
) -> Result<u64, StoreError> {
    let mut read = 0;
    let mut after = None;
    loop {
        let page = audit.blob_uses(after, EVENTS_AT_A_TIME)?;
        let Some((last, _)) = page.last() else {
            return Ok(read);
        };
        after = Some(*last);
        for (hash, _) in page {
            read += 1;
            let is_whole = audit.blob(hash)?.is_some_and(|blob| blob.unpack().is_ok());
            if !is_whole {
                found(hash);
            }
        }
    }
}
