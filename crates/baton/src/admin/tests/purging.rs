//! What a purge removes, what it leaves, and what it must not take.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::time::Span;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::rows::Tombstone;
use baton_core::workflow::{Command, Event, Purged, Refusal};
use baton_engine::check::check;
use baton_engine::cursor;
use baton_engine::engine::TakeUp;
use baton_engine::exchange::{Burial, Declined, Reply, Request};
use baton_engine::store::{Filter, Housekeeping, SYSTEM_STREAM, Views};
use baton_store::StoreUrl;
use baton_store::sqlite::{SqliteAudit, SqliteViews, inspect};
use rusqlite::Connection;

use super::driver::{CHILD, Driver, DriverDoor, Mood};
use crate::admin::purge::purge;
use crate::admin::rebuild::{RebuildReport, rebuild};
use crate::admin::retention::{Retention, Retired};
use crate::admin::selection::Selection;
use crate::admin::{AdminError, DoorPurger};

fn burial(workflow: WorkflowId) -> Request {
    let revision = None;
    Request::Purge { workflows: vec![Burial { workflow, revision }] }
}

fn sound(driver: &Driver) {
    let mut audit = SqliteAudit::open(&driver.path).expect("an audit");
    assert_eq!(check(&mut audit).expect("a check").differences, vec![]);
}

#[test]
fn a_purged_workflow_keeps_its_line_and_answers_clearly() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 9);
    let (gone, stays) = (driver.run(CHILD), driver.run(CHILD));
    let mut views = SqliteViews::open(&driver.path).expect("views");
    let (card, before) = views.workflow(gone).expect("a read").expect("a row");
    assert_eq!(driver.ask(burial(gone)), Ok(Reply::Purged(1)));
    let (same, after) = views.workflow(gone).expect("a read").expect("a row");
    assert_eq!((same, after.status), (card.clone(), before.status));
    assert_eq!((after.head, after.revision), (0, before.revision));
    assert_eq!(views.tasks(card.number), Ok(vec![]));
    assert_eq!(views.stream(card.number), Ok(vec![]));
    let purged = Err(Declined::Purged(gone));
    assert_eq!(driver.command(gone, Command::Retry { tasks: vec![] }), purged);
    let (workflow, position) = (gone, None);
    assert_eq!(driver.ask(Request::Fork { workflow, position }), purged);
    assert_eq!(driver.ask(Request::AwaitEnd { workflow: gone }), purged);
    assert_eq!(driver.ask(burial(gone)), Ok(Reply::Purged(0)));
    assert!(Declined::Purged(gone).to_string().contains("was purged"));
    let position = None;
    let fork = driver.ask(Request::Fork { workflow: stays, position });
    assert!(matches!(fork, Ok(Reply::Workflow { .. })), "{fork:?}");
    driver.settle();
    sound(&driver);
}

#[test]
fn what_has_not_ended_stays_and_a_batch_goes_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 9);
    let ended = driver.run(CHILD);
    driver.mood = Mood::Hang;
    let live = driver.submit(CHILD);
    let revision = None;
    let both = [ended, live].map(|workflow| Burial { workflow, revision });
    let refused = Err(Declined::Refused(Refusal::NotEnded));
    let workflows = both.to_vec();
    assert_eq!(driver.ask(Request::Purge { workflows }), refused);
    let stale = vec![Burial { workflow: ended, revision: Some(1) }];
    let refused = Err(Declined::Refused(Refusal::StaleRevision));
    assert_eq!(driver.ask(Request::Purge { workflows: stale }), refused);
    assert!(driver.store.stream(1).expect("a stream").len() > 3);
    sound(&driver);
}

#[test]
fn commands_that_arrive_with_the_purge_find_it_gone_or_win() {
    for retry_first in [0, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut driver = Driver::open(folder.path(), 9);
        driver.mood = Mood::Hang;
        let id = driver.submit(CHILD);
        driver.command(id, Command::Cancel { reason: None }).expect("cancelled");
        driver.settle();
        let mut requests = [
            Some(burial(id)),
            Some(Request::Command {
                workflow: id,
                command: Box::new(Command::Retry { tasks: vec![] }),
                blob: None,
            }),
        ];
        for at in [retry_first, 1 - retry_first] {
            driver.push(requests[at].take().expect("a request"));
        }
        driver.turn(8);
        driver.settle();
        let kept = !driver.store.stream(1).expect("a stream").is_empty();
        assert_eq!(kept, retry_first == 1);
        sound(&driver);
    }
}

#[test]
fn a_child_stays_until_its_parent_has_heard_of_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 4);
    let source = "{ name: parent, version: 1, stages: [ { name: all, tasks: [ \
                  { id: below, workflow: child } ] } ] }";
    driver.mood = Mood::Hang;
    let parent = driver.submit(source);
    driver.settle();
    let mut views = SqliteViews::open(&driver.path).expect("views");
    let listed = views.list(&Filter { limit: 9, ..Filter::default() }).expect("a list");
    let of_parent = |card: &&(baton_core::workflow::rows::WorkflowCard, _)| card.0.parent.is_some();
    let child = listed.iter().find(of_parent).expect("a child").0.id;
    driver.crash(TakeUp::Asked);
    driver.mood = Mood::Well;
    driver.ask(Request::TakeUp { workflow: child }).expect("taken up");
    driver.settle();
    let needed = Declined::StillNeeded { workflow: child, parent };
    assert_eq!(driver.ask(burial(child)), Err(needed));
    driver.ask(Request::TakeUp { workflow: parent }).expect("taken up");
    driver.settle();
    assert_eq!(driver.ask(burial(child)), Ok(Reply::Purged(1)));
    assert_eq!(driver.ask(burial(parent)), Ok(Reply::Purged(1)));
    sound(&driver);
}

#[test]
fn a_cursor_before_a_purge_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 4);
    let (first, second) = (driver.run(CHILD), driver.run(CHILD));
    let mut views = SqliteViews::open(&driver.path).expect("views");
    let end = views.events(0, None, 1_000).expect("events").len() as u64;
    let (_, row) = views.workflow(first).expect("a read").expect("a row");
    driver.ask(burial(first)).expect("purged");
    let mut read = |after| views.events(after, None, 1_000).expect("events");
    assert_eq!(cursor::removed_after(0, &read(0)), Some(1..=row.head));
    assert_eq!(cursor::removed_after(row.head - 1, &read(row.head - 1)), Some(row.head..=row.head));
    assert_eq!(cursor::removed_after(row.head, &read(row.head)), None);
    assert_eq!(cursor::removed_after(end, &read(end)), None);
    driver.ask(burial(second)).expect("purged");
    assert_eq!(read(0).len(), views.stream(SYSTEM_STREAM).expect("a stream").len());
}

/// A store of this many workflows of one task, purged by the command's own way.
fn purged(folder: &Path, count: u32) -> (Driver, u64) {
    let mut driver = Driver::open(folder, 21);
    for _ in 0..count {
        driver.submit(CHILD);
    }
    driver.settle();
    let path = driver.path.clone();
    while driver.store.idle().expect("an idle moment") == Housekeeping::More {}
    let before = inspect(&path).expect("a look").bytes;
    let mut views = SqliteViews::open(&path).expect("views");
    let door = DriverDoor(Mutex::new(driver));
    let actor = Actor::user("tester");
    let mut purger = DoorPurger { door: &door, actor: &actor };
    let report = purge(&Selection::default(), &mut views, &mut purger).expect("a purge");
    assert_eq!((report.purged, report.kept.len()), (count, 0));
    assert!(report.render().contains("in `baton list`"));
    (door.0.into_inner().expect("the driver"), before)
}

fn rebuilt(path: &Path) -> Result<RebuildReport, AdminError> {
    let folder = path.parent().expect("a folder");
    rebuild(folder, &StoreUrl::Sqlite(path.to_owned()))
}

#[test]
fn many_tiny_workflows_leave_little_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut driver, before) = purged(folder.path(), 1_500);
    sound(&driver);
    let path = driver.path.clone();
    while driver.store.idle().expect("an idle moment") == Housekeeping::More {}
    drop(driver);
    let length = std::fs::metadata(&path).expect("a file").len();
    // An empty store has some 150 KiB; of what came on top, less than two fifths stay.
    let empty = 150 * 1_024;
    assert!((length - empty) * 5 < (before - empty) * 2, "{length} of {before}");
    let report = rebuilt(&path).expect("a rebuild");
    assert_eq!((report.check.total, report.check.examined.purged), (0, 1_500));
}

#[test]
fn a_rebuild_starts_from_the_tombstones() {
    let folder = tempfile::tempdir().expect("a folder");
    let (driver, _) = purged(folder.path(), 40);
    let path = driver.path.clone();
    drop(driver);
    let all = Filter { limit: 99, ..Filter::default() };
    let listed = || SqliteViews::open(&path).expect("views").list(&all).expect("a list");
    let before = listed();
    assert_eq!(before.len(), 40);
    assert!(before.iter().all(|(_, row)| row.purged_at() > row.ended_at));
    let change = |damage: &str| {
        let other = Connection::open(&path).expect("the file");
        assert!(other.execute(damage, []).expect(damage) > 0, "{damage}");
    };
    change("DELETE FROM workflow WHERE number % 2 = 0");
    change("UPDATE workflow SET name = 'other', updated_at = 0");
    assert_eq!(rebuilt(&path).expect("a rebuild").left(), 0);
    assert_eq!(listed(), before);
}

#[test]
fn tombstones_that_cannot_be_read_cost_no_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let (driver, _) = purged(folder.path(), 40);
    let path = driver.path.clone();
    drop(driver);
    let other = Connection::open(&path).expect("the file");
    other.execute("UPDATE blob_bytes SET packed = x'00'", []).expect("damage");
    drop(other);
    let report = rebuilt(&path).expect("a rebuild");
    assert_eq!((report.left(), report.mended), (1, 0), "{}", report.render());
    assert!(report.render().contains("what stays of purged workflows"), "{}", report.render());
    let mut views = SqliteViews::open(&path).expect("views");
    let all = Filter { limit: 99, ..Filter::default() };
    assert_eq!(views.list(&all).expect("a list").len(), 40);
}

/// A purge as the first version wrote it: one event for each workflow, with its plan.
#[test]
fn a_tombstone_of_the_first_shape_is_still_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 3);
    let id = driver.run(CHILD);
    let mut views = SqliteViews::open(&driver.path).expect("views");
    let (card, row) = views.workflow(id).expect("a read").expect("a row");
    let plan = views.blob(card.plan).expect("a read").expect("a plan");
    driver.ask(burial(id)).expect("purged");
    let path = driver.path.clone();
    drop((driver, views));
    let other = Connection::open(&path).expect("the file");
    let updated_at = row.updated_at.as_millis();
    let purged = Event::from(Purged { tombstone: Tombstone { plan: card.plan, card, row } });
    let (kind, body) = (purged.kind().code(), purged.body().expect("it is written"));
    let events = "UPDATE journal SET kind = ?1, body = ?2";
    assert_eq!(other.execute(events, (kind, body)).expect("an update"), 1);
    other.execute("UPDATE workflow SET updated_at = ?1", [updated_at]).expect("an update");
    let blob = "INSERT INTO blob (number, hash, uses) VALUES (1, ?1, 1)";
    other.execute(blob, [plan.hash.0]).expect("a blob");
    let bytes = "INSERT INTO blob_bytes (blob, packed) VALUES (1, ?1)";
    other.execute(bytes, [&*plan.packed]).expect("its bytes");
    drop(other);
    let report = rebuilt(&path).expect("a rebuild");
    assert_eq!(report.check.total, 0, "{}", report.render());
    assert_eq!(report.check.examined.purged, 1);
    let other = Connection::open(&path).expect("the file");
    other.execute("DELETE FROM workflow", []).expect("damage");
    drop(other);
    assert_eq!(rebuilt(&path).expect("a rebuild").mended, 1);
    let mut views = SqliteViews::open(&path).expect("views");
    let (_, row) = views.workflow(id).expect("a read").expect("a row");
    assert_eq!((row.head, row.updated_at.as_millis()), (0, updated_at));
}

#[test]
fn what_one_purge_took_is_said_in_the_singular() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 3);
    driver.run(CHILD);
    let path = driver.path.clone();
    let door = DriverDoor(Mutex::new(driver));
    let (actor, mut views) = (Actor::user("tester"), SqliteViews::open(&path).expect("views"));
    let mut purger = DoorPurger { door: &door, actor: &actor };
    let report = purge(&Selection::default(), &mut views, &mut purger).expect("a purge");
    assert_eq!(report.render(), "purged 1 workflow; its line stays in `baton list`\n");
}

#[test]
fn a_policy_takes_what_is_old_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 8);
    let old = driver.run(CHILD);
    let path = driver.path.clone();
    // The driver's clock stands in 2023; a year ago by any clock.
    driver.pass(Duration::from_secs(60));
    driver.mood = Mood::Hang;
    let live = driver.submit(CHILD);
    let door = DriverDoor(Mutex::new(driver));
    let (actor, mut views) = (Actor::user("tester"), SqliteViews::open(&path).expect("views"));
    let mut purger = DoorPurger { door: &door, actor: &actor };
    let toml = |keep| toml::from_str::<Retention>(keep).expect("a policy");
    let mut apply = |policy: &Retention| policy.apply(&mut views, &mut purger).expect("applied");
    let Retired::Purged(report) = apply(&toml("keep = \"36500d\"")) else {
        panic!("not purged");
    };
    assert_eq!(report.purged, 0);
    let archives = folder.path().join("archives");
    let policy = Retention { archive_to: Some(archives.clone()), ..toml("keep = \"30d\"") };
    let Retired::Archived(report) = apply(&policy) else {
        panic!("not archived");
    };
    assert_eq!((report.counts.workflows, report.purge.purged), (1, 1));
    assert_eq!(std::fs::read_dir(archives).expect("a folder").count(), 1);
    let mut views = SqliteViews::open(&path).expect("views");
    let (_, row) = views.workflow(old).expect("a read").expect("a row");
    assert_eq!((row.head, row.status), (0, WorkflowStatus::Completed));
    let mut purger = DoorPurger { door: &door, actor: &actor };
    let named = Selection { ids: vec![live], ..Selection::default() };
    let refused = purge(&named, &mut views, &mut purger);
    assert!(matches!(refused, Err(AdminError::Refused(why)) if why.contains("has not ended")));
    assert!(toml::from_str::<Retention>("keep = \"1d\"\nkep = 1").is_err());
    assert_eq!(policy.keep, Span(Duration::from_secs(30 * 86_400)));
}
