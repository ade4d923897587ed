//! Compares a workflow's snapshot with the fold of its stream up to the snapshot's event.
//!
//! One of another shape is left alone: another version wrote it, and nobody reads it.

use baton_core::body::BlobHash;
use baton_core::workflow::{Event, SNAPSHOT_SHAPE, WorkflowState};

use super::{Difference, Mend};
use crate::calling::Calling;
use crate::snapshot::read;
use crate::store::{Record, SnapshotRow};

/// A snapshot, and what the fold has said of it so far.
pub(super) struct Snapshotted {
    row: Option<SnapshotRow>,
    /// The tool calls that are under way.
    calling: Calling,
    /// Whether the fold came by the snapshot's event with the snapshot's state.
    agrees: bool,
}

impl Snapshotted {
    /// The snapshot of a workflow.
    pub fn new(row: Option<SnapshotRow>) -> Self {
        let row = row.filter(|row| row.shape == SNAPSHOT_SHAPE);
        Self { row, calling: Calling::default(), agrees: false }
    }

    /// The fold has taken an event in, and this is the state after it, with the blob of its plan.
    pub fn pass(
        &mut self,
        record: &Record,
        event: &Event,
        (state, plan): (&WorkflowState, BlobHash),
    ) {
        self.calling.see(state, event, record.position);
        if let Some(row) = &self.row
            && (row.version, row.position) == (record.version, record.position)
        {
            let calls = self.calling.to_keep();
            let expected = state.snapshot(plan).with_calls(calls);
            self.agrees = read(row).is_some_and(|stored| stored == expected);
        }
    }

    /// What is wrong, once the fold is over.
    pub fn difference(self) -> Option<Difference> {
        let row = self.row.filter(|_| !self.agrees)?;
        let what = format!("workflow {}: its snapshot", row.number);
        let stored = format!("{} bytes of version {}", row.bytes.len(), row.version);
        let difference = Difference::fault(what, stored, "the state at that version");
        Some(difference.mended_by(Mend::NoSnapshot(row.number)))
    }
}
