//! What becomes of snapshots: one a workflow, replaced, removed, and read with what came after.

use std::sync::Arc;

use baton_core::words::{TaskStatus, WorkflowStatus};
use baton_core::workflow::EventKind;
use baton_engine::store::{Head, SnapshotRow, StoreError, Tail};

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] = &[
    ("a tail begins with the snapshot's event", a_tail_begins_with_the_snapshots_event),
    ("a snapshot is written without an event", a_snapshot_is_written_without_an_event),
    ("snapshots go with their workflow's end", snapshots_go_with_their_workflows_end),
    ("a snapshot of another stream is no way in", a_snapshot_of_another_stream_is_no_way_in),
    ("a fenced owner writes no snapshot", a_fenced_owner_writes_no_snapshot),
];

fn snapshot(number: u64, version: u64, position: u64) -> SnapshotRow {
    let bytes: Arc<[u8]> = (0..=255).cycle().take(70_000 + version as usize).collect();
    SnapshotRow { number, version, position, shape: 7, bytes }
}

fn a_tail_begins_with_the_snapshots_event(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let (one, other) = (script.admit("one"), script.admit("other"));
    for n in 0..40 {
        // Near one another and far apart: both ways of reading back.
        script.event(if n % 30 < 5 { one } else { other }, EventKind::TaskStarted, "{}");
    }
    owner.commit(&script.take()).expect("a commit");
    let whole = owner.stream(one).expect("a stream");
    assert_eq!(whole.len(), 11);
    assert_eq!(owner.tail(one), Ok(Tail { snapshot: None, records: whole.clone() }));
    for at in [3, 7, 10] {
        let row = snapshot(one, whole[at].version, whole[at].position);
        script.next().snapshots.push(row.clone());
        script.event(other, EventKind::TaskStarted, "{}");
        owner.commit(&script.take()).expect("a commit");
        let records = whole[at..].to_vec();
        assert_eq!(owner.tail(one), Ok(Tail { snapshot: Some(row), records }));
    }
    assert_eq!(owner.tail(other).map(|tail| tail.snapshot), Ok(None));
    assert_eq!(owner.tail(99), Ok(Tail::default()));
}

fn a_snapshot_is_written_without_an_event(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("one");
    owner.commit(&script.take()).expect("a commit");
    let (row, before) = (snapshot(number, 1, 1), owner.head());
    script.next().snapshots.push(row.clone());
    owner.commit(&script.take()).expect("a commit of a snapshot");
    assert_eq!(owner.head(), before);
    assert_eq!(site.owner().tail(number).map(|tail| tail.snapshot), Ok(Some(row)));
}

fn snapshots_go_with_their_workflows_end(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let numbers = [script.admit("ended"), script.admit("purged"), script.admit("live")];
    for number in numbers {
        let position = script.run(number).row.head;
        script.next().snapshots.push(snapshot(number, 1, position));
        script.task(number, 0, TaskStatus::Completed, None);
    }
    owner.commit(&script.take()).expect("a commit");
    let [ended, purged, live] = numbers;
    script.status(ended, WorkflowStatus::Completed);
    script.next().outlived.push(ended);
    script.purge(purged);
    owner.commit(&script.take()).expect("a commit");
    let tail = owner.tail(ended).expect("a tail");
    assert_eq!((tail.snapshot, tail.records.len()), (None, 3));
    assert_eq!(owner.tail(purged), Ok(Tail::default()));
    assert!(owner.tail(live).is_ok_and(|tail| tail.snapshot.is_some()));
}

/// The engine then folds the stream; here, only that no snapshot comes with a stream it is not of.
fn a_snapshot_of_another_stream_is_no_way_in(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let (one, other) = (script.admit("one"), script.admit("other"));
    script.event(one, EventKind::TaskStarted, "{}");
    let position = script.run(other).row.head;
    script.next().snapshots.push(snapshot(one, 1, position));
    owner.commit(&script.take()).expect("a commit");
    match owner.tail(one) {
        Ok(Tail { snapshot, records }) => {
            let first = records.first().expect("events after it");
            assert!(snapshot.is_none_or(|row| row.position != first.position));
        }
        Err(fault) => assert!(matches!(fault, StoreError::Corrupt(_)), "{fault}"),
    }
    assert_eq!(owner.stream(one).map(|records| records.len()), Ok(2));
}

fn a_fenced_owner_writes_no_snapshot(site: &dyn Site) {
    let (mut old, mut new) = (site.owner(), site.owner());
    let mut script = Script::from(old.take_over().expect("an epoch"));
    let number = script.admit("one");
    old.commit(&script.take()).expect("a commit");
    let head: Head = new.take_over().expect("an epoch");
    script.next().snapshots.push(snapshot(number, 1, head.position));
    let refused = old.commit(&script.take());
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(new.tail(number).map(|tail| tail.snapshot), Ok(None));
}
