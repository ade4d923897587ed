//! What the system stream says of purged workflows, in either shape that purges were written in.

use std::collections::BTreeMap;

use baton_core::body::{Body, Json};
use baton_core::time::Timestamp;
use baton_core::workflow::Event;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_core::workflow::tombstones::Tombstones;

use super::books::{self, Books};
use crate::live::read_event;
use crate::store::{Audit, StoreError};

/// What should be stored of a purged workflow.
pub(super) type Grave = (WorkflowCard, WorkflowRow);

/// What a purge at that moment left; nothing, where the event is of something else.
///
/// `Corrupt` when the tombstones are missing or cannot be read.
pub(super) fn left_by(
    event: Event,
    at: Timestamp,
    audit: &mut dyn Audit,
) -> Result<Vec<Grave>, StoreError> {
    if let Event::Purged(purged) = event {
        let (card, row) = (purged.tombstone.card, purged.tombstone.row);
        // The moment was not kept in this shape.
        return Ok(vec![(card, WorkflowRow { head: 0, budget: None, ..row })]);
    }
    let Event::BatchPurged(purged) = event else {
        return Ok(Vec::new());
    };
    let text = text_of(&purged.tombstones, audit)?;
    let Tombstones(tombstones) =
        serde_json::from_str(text.as_str()).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(tombstones.into_iter().map(|each| (each.card, each.row.purged(at))).collect())
}

/// What the purge at this position left: graves, and the books of those that have any.
pub(super) fn left_at(
    position: u64,
    audit: &mut dyn Audit,
) -> Result<(Vec<Grave>, BTreeMap<u64, Books>), StoreError> {
    let records = audit.events(position.saturating_sub(1), 1)?;
    let Some(record) = records.first() else {
        return Ok((Vec::new(), BTreeMap::new()));
    };
    let event = read_event(record)?;
    let books = books::kept_by(&event, audit)?;
    Ok((left_by(event, record.at, audit)?, books))
}

pub(super) fn text_of(body: &Body, audit: &mut dyn Audit) -> Result<Json, StoreError> {
    match body {
        Body::Inline(json) => Ok(json.clone()),
        Body::Blob { hash, .. } => {
            let missing = || StoreError::Corrupt(format!("the blob {hash} is missing"));
            let blob = audit.blob(*hash)?.ok_or_else(missing)?;
            blob.unpack().map_err(|e| StoreError::Corrupt(e.to_string()))
        }
    }
}
