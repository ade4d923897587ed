//! Snapshots of live workflows: when one is due, how it is made beside the owner's thread, and how a
//! workflow is taken up from it.
//!
//! A cache: whatever is odd about one, the stream is folded as if there were none.

use std::sync::Arc;

use baton_core::body::BlobHash;
use baton_core::workflow::{Event, SNAPSHOT_SHAPE, Snapshot, WorkflowState};

use crate::calling::Calling;
use crate::engine::Engine;
use crate::exchange::Effect;
use crate::live::{fold_with, follow, read_event};
use crate::loaded::Loaded;
use crate::store::{Commit, Record, SnapshotRow, Store, StoreError, Tail};

/// A snapshot takes at most this many bytes; of a larger state there is none.
const BYTES_MAX: usize = 64 << 20;
/// For so many bytes of the last snapshot there must be an event before the next: what snapshots
/// write stays in proportion to what the journal does.
const BYTES_AN_EVENT: u64 = 128;
/// One event for this many tasks, for the same reason.
const TASKS_AN_EVENT: u64 = 2;

/// What a workflow's owner knows of its snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    /// The version that was kept last, or is being kept.
    version: u64,
    bytes: u64,
    under_way: bool,
    /// Whether the store may have one.
    pub stored: bool,
}

impl Mark {
    /// That of a workflow just taken up.
    pub fn of(row: Option<&SnapshotRow>) -> Self {
        row.map_or_else(Self::default, |row| Self {
            version: row.version,
            bytes: row.bytes.len() as u64,
            under_way: false,
            stored: true,
        })
    }

    /// Whether enough has happened since the last one, of which `events_min` is the least.
    pub fn is_due(&self, state: &WorkflowState, events_min: u64) -> bool {
        let events = state.revision.saturating_sub(self.version);
        events >= events_min
            && !self.under_way
            && state.ended().is_none()
            && (events_min == 1
                || events >= self.bytes / BYTES_AN_EVENT
                    && events >= state.tasks().len() as u64 / TASKS_AN_EVENT)
    }

    /// One of this version is being made.
    pub fn begin(&mut self, version: u64) {
        (self.version, self.under_way) = (version, true);
    }

    /// It was made, or could not be.
    pub fn end(&mut self, row: Option<&SnapshotRow>) {
        self.under_way = false;
        if let Some(row) = row {
            (self.bytes, self.stored) = (row.bytes.len() as u64, true);
        }
    }
}

/// A snapshot to be packed beside the owner's thread.
#[derive(Debug)]
pub struct SnapshotJob {
    /// The workflow's number.
    pub number: u64,
    /// The position of its newest event.
    pub position: u64,
    /// Its state.
    pub snapshot: Snapshot,
}

impl SnapshotJob {
    /// The row to keep; `None` where it would be too large.
    pub fn row(&self) -> Option<SnapshotRow> {
        let bytes = self.snapshot.pack().ok().filter(|bytes| bytes.len() <= BYTES_MAX)?;
        Some(SnapshotRow {
            number: self.number,
            version: self.snapshot.revision,
            position: self.position,
            shape: SNAPSHOT_SHAPE,
            bytes: bytes.into(),
        })
    }
}

/// What a row holds; `None` where it is of another shape, damaged, or not of its version.
pub fn read(row: &SnapshotRow) -> Option<Snapshot> {
    let ours = row.shape == SNAPSHOT_SHAPE;
    let snapshot = ours.then(|| Snapshot::unpack(&row.bytes)).flatten()?;
    (snapshot.revision == row.version).then_some(snapshot)
}

/// Brings a plan.
type Load<'a> = &'a mut dyn FnMut(BlobHash, &mut dyn Store) -> Result<Arc<Loaded>, StoreError>;
/// A state, its plan, the position of its newest event, and the calls that were under way.
type Taken = (WorkflowState, Arc<Loaded>, u64, Calling);

/// Takes a workflow up by the shortest way; `None` where there are no events: it was purged.
pub(crate) fn take_up(
    number: u64,
    store: &mut dyn Store,
    load: Load<'_>,
) -> Result<(Option<Taken>, Mark), StoreError> {
    let Tail { snapshot, records } = match store.tail(number) {
        // The snapshot may be what is wrong: the whole stream says.
        Err(StoreError::Corrupt(_)) => Tail::default(),
        tail => tail?,
    };
    let mark = Mark::of(snapshot.as_ref());
    let mut load_from = |hash| load(hash, store);
    if let Some(taken) = snapshot.and_then(|row| resume(&row, &records, &mut load_from)) {
        return Ok((Some(taken), mark));
    }
    if records.first().is_some_and(|first| first.version == 1) {
        return Ok((whole(&records, &mut load_from)?, mark));
    }
    let records = store.stream(number)?;
    Ok((whole(&records, &mut |hash| load(hash, store))?, mark))
}

/// The state of a workflow from all of its events.
fn whole(
    records: &[Record],
    load: &mut dyn FnMut(BlobHash) -> Result<Arc<Loaded>, StoreError>,
) -> Result<Option<Taken>, StoreError> {
    let mut calling = Calling::default();
    let mut see = |state: &WorkflowState, event: &Event, position| {
        calling.see(state, event, position);
    };
    let folded = fold_with(records, u64::MAX, load, &mut see)?;
    Ok(folded.map(|(state, loaded, head)| (state, loaded, head, calling)))
}

/// The state of a workflow from its snapshot and the events from the snapshot's on; `None` where
/// they do not belong together. `load` brings the plan.
fn resume(
    row: &SnapshotRow,
    records: &[Record],
    load: &mut dyn FnMut(BlobHash) -> Result<Arc<Loaded>, StoreError>,
) -> Option<Taken> {
    let (first, rest) = records.split_first()?;
    if (first.stream, first.version, first.position) != (row.number, row.version, row.position) {
        return None;
    }
    let snapshot = read(row)?;
    let mut loaded = load(snapshot.plan).ok()?;
    let (plan, graph) = (Arc::clone(&loaded.plan), Arc::clone(&loaded.graph));
    let mut calling = Calling::kept(&snapshot.calls);
    let mut state = WorkflowState::restored(snapshot, plan, graph)?;
    let mut head = row.position;
    for record in rest {
        let event = read_event(record).ok()?;
        follow((&mut state, &mut loaded), &event, record.at, load).ok()?;
        calling.see(&state, &event, record.position);
        head = record.position;
    }
    Some((state, loaded, head, calling))
}

impl Engine {
    /// Has a snapshot made where one is due; an ended workflow has none.
    pub(crate) fn snapshot(&mut self, number: u64, commit: &mut Commit) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        if live.state.ended().is_some() {
            if live.mark.stored {
                commit.snapshots.retain(|row| row.number != number);
                commit.outlived.push(number);
            }
        } else if live.mark.is_due(&live.state, self.settings.snapshot_events_min) {
            live.mark.begin(live.state.revision);
            let calls = live.calling.to_keep();
            let snapshot = live.state.snapshot(live.loaded.blob.hash).with_calls(calls);
            let job = SnapshotJob { number, position: live.head, snapshot };
            self.turn.effects.push(Effect::Snapshot(Box::new(job)));
        }
    }

    /// Takes in a snapshot that was packed, unless its workflow has ended meanwhile.
    pub(crate) fn keep(&mut self, number: u64, row: Option<SnapshotRow>) {
        if let Some(live) = self.lives.get_mut(&number)
            && live.state.ended().is_none()
        {
            live.mark.end(row.as_ref());
            self.staging.snapshots.extend(row);
        }
    }
}
