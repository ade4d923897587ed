//! What is peculiar to the embedded store: the file, its versions, its log. What every store
//! promises is the conformance suite's.

use std::path::PathBuf;

use baton_core::codes::Code;
use baton_core::words::TaskStatus;
use baton_core::workflow::EventKind;
use baton_engine::store::{Commit, Filter, Head, Record, Store, StoreError, Views};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteAudit, SqliteRepair, SqliteStore, SqliteViews};
use crate::conformance::Script;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    (folder, path)
}

fn unavailable<T>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Unavailable(detail)) => detail,
        Err(other) => panic!("not Unavailable but {other:?}"),
        Ok(_) => panic!("it went well"),
    }
}

fn one_event(after: Head) -> Commit {
    let position = after.position + 1;
    let record = Record {
        position,
        stream: 0,
        version: after.system_version + 1,
        previous: after.system_head,
        cause: 0,
        kind: 1,
        shape: 1,
        body: "{}".into(),
        actor: 1,
        at: after.at,
    };
    let head = Head { position, system_head: position, system_version: record.version, ..after };
    Commit { after, head, records: vec![record], ..Commit::default() }
}

#[test]
fn every_commit_is_synced_and_the_file_can_shrink() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).expect("a new store");
    let connection = store.connection.as_ref().expect("a connection");
    let pragma = |name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).expect("a number")
    };
    assert_eq!(pragma("synchronous"), 2);
    assert_eq!(pragma("auto_vacuum"), 2);
    assert_eq!(pragma("foreign_keys"), 1);
    assert_eq!(pragma("wal_autocheckpoint"), 0);
}

#[test]
fn a_store_of_a_newer_version_is_refused_with_both_versions() {
    let (_folder, path) = place();
    drop(SqliteStore::open(&path).expect("a new store"));
    let other = Connection::open(&path).expect("the file");
    other.pragma_update(None, "user_version", 9).expect("a version");
    drop(other);
    let detail = unavailable(SqliteStore::open(&path));
    assert!(detail.contains("version 9") && detail.contains("up to 7"), "{detail}");
    let detail = unavailable(SqliteViews::open(&path));
    assert!(detail.contains("version 9"), "{detail}");
}

#[test]
fn workflows_of_an_older_store_are_scripted_where_they_called_such_a_model() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut script = Script::from(store.take_over().expect("an epoch"));
    let numbers = ["plain", "called", "purged"].map(|name| script.admit(name));
    for number in numbers {
        let model = if number == numbers[0] { "openai/one" } else { "scripted/desk" };
        let booked = script.book(number, 1);
        let rows = script.next().usage.iter_mut();
        rows.filter(|row| row.position == booked.position).for_each(|row| row.model = model.into());
    }
    store.commit(&script.take()).expect("a commit");
    drop(store);
    let older = Connection::open(&path).expect("the file");
    older
        .execute_batch(
            "UPDATE workflow SET head = 0 WHERE name = 'purged'; \
             ALTER TABLE workflow DROP COLUMN scripted; \
             ALTER TABLE workflow DROP COLUMN budget; \
             DROP INDEX workflow_conversation; DROP TABLE conversation; \
             DELETE FROM migration WHERE number >= 6; PRAGMA user_version = 5",
        )
        .expect("a store of the version before");
    drop(older);
    drop(SqliteStore::open(&path).expect("it is brought up"));
    let mut views = SqliteViews::open(&path).expect("views");
    let found = views.list(&Filter { limit: 9, ..Filter::default() }).expect("workflows");
    let scripted: Vec<(&str, bool)> =
        found.iter().map(|(card, _)| (card.name.as_str(), card.scripted)).collect();
    assert_eq!(scripted, [("purged", false), ("called", true), ("plain", false)]);
}

#[test]
fn a_word_of_a_newer_version_is_refused() {
    let (_folder, path) = place();
    drop(SqliteStore::open(&path).expect("a new store"));
    let other = Connection::open(&path).expect("the file");
    other.execute("INSERT INTO task_status VALUES (99, 'dreaming', 0)", []).expect("a word");
    drop(other);
    let detail = unavailable(SqliteStore::open(&path));
    assert!(detail.contains("dreaming") && detail.contains("newer"), "{detail}");
}

#[test]
fn a_step_that_was_changed_is_refused() {
    let (_folder, path) = place();
    drop(SqliteStore::open(&path).expect("a new store"));
    let other = Connection::open(&path).expect("the file");
    other.execute("UPDATE migration SET checksum = 'else'", []).expect("an edit");
    drop(other);
    assert!(unavailable(SqliteStore::open(&path)).contains("step 1"));
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let (folder, path) = place();
    std::fs::write(&path, "a letter to a friend, long enough to have a header of its own\n")
        .expect("a file");
    assert!(unavailable(SqliteStore::open(&path)).contains("not a Baton store"));
    let strange = folder.path().join("strange.db");
    let other = Connection::open(&strange).expect("a database");
    other.execute_batch("CREATE TABLE recipe (name TEXT)").expect("a table");
    drop(other);
    assert!(unavailable(SqliteStore::open(&strange)).contains("another program"));
    assert!(unavailable(SqliteStore::open(folder.path())).contains("folder"));
    let lost = folder.path().join("no/such/store.db");
    assert!(unavailable(SqliteStore::open(lost)).contains("folder exists"));
    assert!(unavailable(SqliteViews::open(folder.path().join("none.db"))).contains("opened"));
}

#[test]
fn ch1_no_status_outside_the_vocabulary_can_be_stored() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let beyond = TaskStatus::ALL.iter().map(|status| status.code()).max().map_or(0, |max| max + 1);
    let connection = store.connection.as_ref().expect("a connection");
    let refused = connection.execute(
        "INSERT INTO task (key, of, status, attempts, position) VALUES (1, 0, ?1, 0, 0)",
        [beyond],
    );
    assert!(refused.expect_err("a foreign key").to_string().contains("FOREIGN KEY"));
    let head = store.take_over().expect("an owner");
    let mut commit = one_event(head);
    commit.records[0].kind = 255;
    assert!(matches!(store.commit(&commit), Err(StoreError::Corrupt(_))));
    assert_eq!(store.head(), Ok(head));
}

#[test]
fn readers_see_what_is_still_in_the_log_and_cannot_write() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut views = SqliteViews::open(&path).expect("a reader");
    let head = store.take_over().expect("an owner");
    store.commit(&one_event(head)).expect("a commit");
    assert_eq!(views.events(0, None, 10).expect("events").len(), 1);
    let refused = views.connection.execute("DELETE FROM journal", []);
    assert!(refused.expect_err("read only").to_string().contains("readonly"));
}

#[test]
fn mp8_what_is_read_outlives_the_store_it_came_from() {
    let (folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a store");
    let mut script = Script::from(store.take_over().expect("owned"));
    let number = script.admit("plain values");
    store.commit(&script.take()).expect("written");
    let mut views = SqliteViews::open(&path).expect("a reader");
    let listed = views.list(&Filter { limit: 10, ..Filter::default() }).expect("read");
    let records = views.stream(number).expect("read");
    drop((store, views, folder));
    assert!(!path.exists(), "the store is gone");
    let names: Vec<&str> = listed.iter().map(|(card, _)| card.name.as_str()).collect();
    assert_eq!(names, ["plain values"]);
    assert_eq!(records.iter().map(|record| record.version).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_conversation_whose_face_cannot_be_read_is_named_and_mended() {
    use baton_engine::check::{Mend, Repair, check};
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut script = Script::from(store.take_over().expect("an owner"));
    let opened = "{\"id\":\"05050505-0505-0505-0505-050505050505\",\"title\":\"T\",\
                  \"by\":{\"kind\":\"user\",\"name\":\"ada\"}}";
    script.open("T");
    script.next().records[0].body = opened.into();
    store.commit(&script.take()).expect("a commit");
    let connection = store.connection.as_ref().expect("a connection");
    connection.execute("UPDATE conversation SET face = '{'", []).expect("damage");
    let look = || check(&mut SqliteAudit::open(&path).expect("an audit")).expect("a check");
    let report = look();
    let [only] = &report.differences[..] else { panic!("{report:?}") };
    assert_eq!(only.recomputed, "a readable row");
    assert!(matches!(only.mend, Some(Mend::Conversation(_))));
    let mut repair = Box::new(SqliteRepair::begin(&path).expect("a repair"));
    only.mend.iter().for_each(|mend| repair.mend(mend).expect("a mend"));
    repair.commit().expect("mended");
    assert_eq!(look().differences, []);
}

#[test]
fn a_broken_chain_names_its_position() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut head = store.take_over().expect("an owner");
    for _ in 0..3 {
        let commit = one_event(head);
        store.commit(&commit).expect("a commit");
        head = commit.head;
    }
    let connection = store.connection.as_ref().expect("a connection");
    connection.execute("DELETE FROM journal WHERE position = 2", []).expect("damage");
    let Err(StoreError::Corrupt(detail)) = store.stream(0) else { panic!("not found") };
    assert!(detail.contains("position 2"), "{detail}");
}

#[test]
fn the_log_starts_over_under_steady_writing_and_is_cut_when_idle() {
    let (folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut head = store.take_over().expect("an owner");
    let body: std::sync::Arc<str> = format!("\"{}\"", "x".repeat(200_000)).into();
    for _ in 0..400 {
        let mut commit = one_event(head);
        commit.records[0].body = std::sync::Arc::clone(&body);
        store.commit(&commit).expect("a commit");
        head = commit.head;
    }
    let log = folder.path().join("store.db-wal");
    let length = || std::fs::metadata(&log).map_or(0, |log| log.len());
    // 400 commits of 200 kB are 80 MB.
    assert!(length() < 40_000_000, "{}", length());
    settle(&mut store);
    assert!(length() <= 2_000_000, "{}", length());
    assert_eq!(store.stream(0).expect("a stream").len(), 400);
}

#[test]
fn a_full_disk_is_said_and_passes() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let head = store.take_over().expect("an owner");
    let connection = store.connection.as_ref().expect("a connection");
    let pages: i64 =
        connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a number");
    connection.pragma_update(None, "max_page_count", pages).expect("a bound");
    let mut commit = one_event(head);
    commit.records[0].body = "x".repeat(100_000).into();
    let detail = unavailable(store.commit(&commit));
    assert!(detail.contains("disk is full"), "{detail}");
    // The connection was given up with its bound, as if space had been made.
    assert!(store.connection.is_none());
    assert_eq!(store.head(), Ok(head));
    assert_eq!(store.commit(&commit), Ok(()));
    assert_eq!(store.stream(0), Ok(commit.records));
}

#[test]
fn another_process_that_writes_is_waited_for_and_then_named() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let head = store.take_over().expect("an owner");
    let connection = store.connection.as_ref().expect("a connection");
    connection.busy_timeout(std::time::Duration::ZERO).expect("no patience");
    let other = Connection::open(&path).expect("the file");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let detail = unavailable(store.commit(&one_event(head)));
    assert!(detail.contains("another process"), "{detail}");
    other.execute_batch("ROLLBACK").expect("no lock");
    assert_eq!(store.commit(&one_event(head)), Ok(()));
}

#[test]
fn the_file_gets_shorter_after_a_purge() {
    let (_folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut script = Script::from(store.take_over().expect("an owner"));
    let number = script.admit("large");
    for _ in 0..60 {
        script.event(number, EventKind::TaskEmitted, &"x".repeat(100_000));
    }
    store.commit(&script.take()).expect("a commit");
    settle(&mut store);
    let length = || std::fs::metadata(&path).map_or(0, |file| file.len());
    let before = length();
    script.purge(number);
    store.commit(&script.take()).expect("a purge");
    settle(&mut store);
    assert!(before > 6_000_000 && length() < 400_000, "{before} then {}", length());
    assert!(!store.freed);
}

#[test]
fn a_killed_owner_leaves_what_it_committed_to_readers_and_owners() {
    let (folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let head = store.take_over().expect("an owner");
    let commit = one_event(head);
    store.commit(&commit).expect("a commit");
    // The file and its log as a kill leaves them, without the index of the log in memory.
    let left = folder.path().join("left.db");
    std::fs::copy(&path, &left).expect("the file");
    std::fs::copy(folder.path().join("store.db-wal"), folder.path().join("left.db-wal"))
        .expect("the log");
    let mut views = SqliteViews::open(&left).expect("a reader before any owner");
    assert_eq!(views.stream(0), Ok(commit.records.clone()));
    let mut owner = SqliteStore::open(&left).expect("an owner");
    assert_eq!(owner.head(), Ok(commit.head));
}

#[test]
fn those_that_open_at_once_make_one_store() {
    for _ in 0..10 {
        let (_folder, path) = place();
        let heads = std::thread::scope(|scope| {
            let open = || SqliteStore::open(&path).and_then(|mut store| store.take_over());
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        let mut epochs: Vec<u64> =
            heads.into_iter().map(|head| head.expect("an epoch").epoch).collect();
        epochs.sort_unstable();
        assert_eq!(epochs, [1, 2, 3, 4]);
    }
}

/// Lets the store do all that it does when nothing else is to be done.
fn settle(store: &mut SqliteStore) {
    for _ in 0..4 {
        store.idle().expect("an idle moment");
        store.checkpointer.wait();
    }
}

#[test]
fn an_owner_adds_nothing_to_a_log_that_another_left() {
    let (folder, path) = place();
    let mut store = SqliteStore::open(&path).expect("a new store");
    let mut head = store.take_over().expect("the store");
    for _ in 0..100 {
        let commit = one_event(head);
        store.commit(&commit).expect("a commit");
        head = commit.head;
    }
    // What a killed owner leaves: its last connection has carried nothing over.
    let left = folder.path().join("left.db");
    let log = |path: &PathBuf| path.with_extension("db-wal");
    std::fs::copy(&path, &left).expect("the file");
    std::fs::copy(log(&path), log(&left)).expect("the log");
    let bytes = |path: &PathBuf| std::fs::metadata(log(path)).expect("a log").len();
    let long = bytes(&left);
    let mut next = SqliteStore::open(&left).expect("the store");
    assert_eq!(next.take_over().expect("the store").position, head.position);
    let short = bytes(&left);
    assert!(short < long / 4, "{short} of {long} bytes");
}
