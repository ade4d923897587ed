//! What a purge removes, what it leaves, and what it must not take.

use std::sync::Mutex;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::ids::WorkflowId;
use baton_core::time::Span;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::{Command, Refusal};
use baton_engine::check::check;
use baton_engine::cursor;
use baton_engine::engine::TakeUp;
use baton_engine::exchange::{Burial, Declined, Reply, Request};
use baton_engine::store::{Filter, Housekeeping, SYSTEM_STREAM, Views};
use baton_store::sqlite::{SqliteAudit, SqliteViews};

use super::driver::{CHILD, Driver, DriverDoor, Mood};
use crate::admin::purge::purge;
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

#[test]
fn the_store_gets_smaller() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 21);
    for _ in 0..150 {
        driver.submit(CHILD);
    }
    driver.settle();
    let path = driver.path.clone();
    let mut views = SqliteViews::open(&path).expect("views");
    driver.store.idle().expect("an idle moment");
    let door = DriverDoor(Mutex::new(driver));
    let actor = Actor::user("tester");
    let mut purger = DoorPurger { door: &door, actor: &actor };
    let report = purge(&Selection::default(), &mut views, &mut purger).expect("a purge");
    assert!(report.purged == 150, "{report:?}");
    assert!(report.render().contains("stay in `baton list`"));
    drop(views);
    let mut driver = door.0.into_inner().expect("the driver");
    sound(&driver);
    let free = |path| baton_store::sqlite::inspect(path).expect("a look");
    let before = free(&path);
    assert!(before.bytes_free > before.bytes / 4, "{before:?}");
    while driver.store.idle().expect("an idle moment") == Housekeeping::More {}
    drop(driver);
    let length = std::fs::metadata(&path).expect("a file").len();
    assert!(length < before.bytes * 3 / 4, "{length} of {}", before.bytes);
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
