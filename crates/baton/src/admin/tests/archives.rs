//! An archive holds everything of what it purges, and purges nothing that it does not hold.

use std::path::Path;
use std::sync::Mutex;

use baton_core::actor::Actor;
use baton_core::body::BlobHash;
use baton_engine::exchange::Burial;
use baton_engine::live::read_event;
use baton_engine::store::Views;
use baton_store::sqlite::SqliteViews;
use serde_json::Value;

use super::desk::Desk;
use super::driver::{CHILD, Driver, DriverDoor, EVERYTHING, Mood};
use crate::admin::archive::{FORMAT, archive};
use crate::admin::selection::Selection;
use crate::admin::{AdminError, DoorPurger, NotPurged, Purger};

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("an archive");
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON Lines")
}

#[test]
fn an_archive_holds_every_event_and_every_large_body_once() {
    Desk::every().iter().for_each(archive_and_read);
}

// Long because it reads the archive line by line.
fn archive_and_read(desk: &Desk) {
    let mut driver = desk.driver(31);
    let ids = [driver.run(EVERYTHING), driver.run(CHILD), driver.run(CHILD)];
    let mut views = desk.views();
    let ids = ids[1..].to_vec();
    let mut expected = Vec::new();
    let mut named = std::collections::BTreeSet::new();
    for id in &ids {
        let (card, _) = views.workflow(*id).expect("a read").expect("a row");
        for record in driver.store.stream(card.number).expect("a stream") {
            let event = read_event(&record).expect("an event");
            event.blobs(&mut |hash| {
                named.insert(hash.to_string());
            });
            expected.push((record.position, record.body.to_string()));
        }
    }
    let door = DriverDoor(Mutex::new(driver));
    let actor = Actor::user("tester");
    let mut purger = DoorPurger { door: &door, actor: &actor };
    let file = desk.folder().join("old.jsonl");
    let selection = Selection { ids, ..Selection::default() };
    let report = archive(&selection, &file, views.as_mut(), &mut purger).expect("an archive");
    assert_eq!((report.counts.workflows, report.purge.purged), (2, 2));
    assert!(report.render().starts_with("archived 2 workflows with"), "{}", report.render());
    let lines = lines(&file);
    assert_eq!(lines[0]["format"], FORMAT);
    assert_eq!(lines[lines.len() - 1]["end"]["events"], expected.len());
    let found: Vec<(u64, String)> = lines
        .iter()
        .filter(|line| line.get("position").is_some())
        .map(|line| (line["position"].as_u64().expect("a position"), line["data"].to_string()))
        .collect();
    assert_eq!(found, expected);
    let started = lines.iter().filter(|line| line["type"] == "task.completed").count();
    assert_eq!(started, 4);
    let mut blobs = std::collections::BTreeSet::new();
    for line in lines.iter().filter(|line| line.get("blob").is_some()) {
        let hash = line["blob"].as_str().expect("a hash").to_owned();
        assert_eq!(BlobHash::of(line["content"].to_string().as_bytes()).to_string(), hash);
        assert!(blobs.insert(hash), "a body twice");
    }
    assert_eq!(blobs, named);
    assert_eq!(desk.check().differences, vec![]);
    let again = archive(&selection, &file, views.as_mut(), &mut purger).expect("nothing to do");
    assert_eq!(again.file, None);
}

#[test]
fn nothing_is_purged_when_the_archive_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 31);
    driver.run(CHILD);
    let mut views = SqliteViews::open(&driver.path).expect("views");
    struct Never;
    impl Purger for Never {
        fn purge(&mut self, _: Vec<Burial>) -> Result<u32, NotPurged> {
            panic!("purged without an archive");
        }
    }
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "mine").expect("a file");
    let all = Selection::default();
    for file in [taken.clone(), folder.path().join("no/such/folder/file")] {
        let refused = archive(&all, &file, &mut views, &mut Never);
        assert!(matches!(refused, Err(AdminError::File { .. })), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(&taken).expect("a file"), "mine");
    assert!(!folder.path().join("taken.partial").exists());
}

#[test]
fn what_changed_after_it_was_archived_is_not_purged() {
    struct Late<'a>(&'a DriverDoor, DoorPurger<'a>);
    impl Purger for Late<'_> {
        fn purge(&mut self, workflows: Vec<Burial>) -> Result<u32, NotPurged> {
            let mut driver = self.0.0.lock().expect("the driver");
            let again = baton_core::workflow::Command::Retry { tasks: vec![] };
            // Refused the second time: the run is open then, and ends at once.
            drop(driver.command(workflows[0].workflow, again));
            driver.mood = Mood::Well;
            driver.settle();
            drop(driver);
            self.1.purge(workflows)
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut driver = Driver::open(folder.path(), 31);
    driver.mood = Mood::Hang;
    let id = driver.submit(CHILD);
    let cancel = baton_core::workflow::Command::Cancel { reason: None };
    driver.command(id, cancel).expect("cancelled");
    driver.settle();
    let mut views = SqliteViews::open(&driver.path).expect("views");
    let door = DriverDoor(Mutex::new(driver));
    let actor = Actor::user("tester");
    let purger = DoorPurger { door: &door, actor: &actor };
    let file = folder.path().join("late.jsonl");
    let mut late = Late(&door, purger);
    let report = archive(&Selection::default(), &file, &mut views, &mut late).expect("an archive");
    assert_eq!((report.purge.purged, report.purge.kept.len()), (0, 1));
    assert!(!views.stream(1).expect("a stream").is_empty());
}
