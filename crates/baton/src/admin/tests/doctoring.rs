//! The doctor names what is wrong, where, and the mend; and says that all is well when it is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use baton_core::workflow::Command;
use baton_engine::engine::TakeUp;
use rusqlite::Connection;
use rustix::fs::FlockOperation;

use super::driver::{CHILD, Driver, EVERYTHING, Mood, STRICT};
use crate::admin::AdminError;
use crate::admin::doctor::{Finding, Level, Report, doctor};
use crate::admin::rebuild::rebuild;
use crate::config::Config;

fn look(folder: &Path) -> Report {
    doctor(folder, &Config::default())
}

fn found<'a>(report: &'a Report, what: &str) -> &'a Finding {
    let found = report.findings.iter().find(|found| found.what.contains(what));
    found.unwrap_or_else(|| panic!("no `{what}` in\n{}", report.render()))
}

fn healthy() -> (tempfile::TempDir, Driver) {
    let folder = tempfile::tempdir().expect("a folder");
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder.path(), mode).expect("a mode");
    let mut driver = Driver::open(folder.path(), 2);
    driver.run(CHILD);
    (folder, driver)
}

#[test]
fn mp1_all_is_well_with_a_healthy_store() {
    let (folder, driver) = healthy();
    drop(driver);
    let report = look(folder.path());
    assert_ne!(report.worst(), Level::Problem, "{}", report.render());
    found(&report, "every row is as the journal says: 1 workflow");
    assert_eq!(found(&report, "its file is sound").level, Level::Ok);
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["findings"][0]["level"], "ok");
}

#[test]
fn mp1_a_folder_that_is_not_there_is_no_problem() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = look(&folder.path().join("none"));
    assert_eq!(found(&report, "no data folder yet").level, Level::Note);
    assert_ne!(report.worst(), Level::Problem);
}

#[test]
fn mp1_rows_changed_by_hand_are_named_with_their_mend() {
    let (folder, driver) = healthy();
    let path = driver.path.clone();
    drop(driver);
    let other = Connection::open(&path).expect("the file");
    other.execute("UPDATE workflow SET percentage = 3", []).expect("an update");
    drop(other);
    let report = look(folder.path());
    let finding = found(&report, "rows differ from the journal");
    assert!(finding.what.contains("progress"), "{}", finding.what);
    assert_eq!(finding.mend.as_deref(), Some("`baton doctor --rebuild`"));
    assert_eq!(rebuild(folder.path()).expect("a rebuild").mended, 1);
    assert_ne!(look(folder.path()).worst(), Level::Problem);
}

#[test]
fn mp1_a_snapshot_that_is_not_the_state_is_named_and_dropped() {
    let (folder, mut driver) = healthy();
    driver.run(EVERYTHING);
    let path = driver.path.clone();
    drop(driver);
    assert_ne!(look(folder.path()).worst(), Level::Problem);
    let other = Connection::open(&path).expect("the file");
    let kept = "SELECT count(*) FROM snapshot";
    let count = || other.query_row(kept, [], |row| row.get::<_, u64>(0)).expect("a count");
    assert_eq!(count(), 1, "of the workflow that lives, and of no other");
    let damages = [
        "UPDATE snapshot SET bytes = x'00'",
        "UPDATE snapshot SET version = version - 1",
        "UPDATE snapshot SET position = 1",
        "UPDATE snapshot SET stream = 99",
    ];
    for damage in damages {
        let row = other.execute("CREATE TEMP TABLE was AS SELECT * FROM snapshot", []);
        row.and_then(|_| other.execute(damage, [])).expect("a damage");
        let finding = found(&look(folder.path()), "rows differ from the journal").clone();
        assert!(finding.what.contains("its snapshot"), "{damage}: {}", finding.what);
        assert_eq!(finding.mend.as_deref(), Some("`baton doctor --rebuild`"));
        assert_eq!(rebuild(folder.path()).expect("a rebuild").mended, 1, "{damage}");
        assert_eq!(count(), 0);
        assert_ne!(look(folder.path()).worst(), Level::Problem);
        let restore = "INSERT INTO snapshot SELECT * FROM was; DROP TABLE was";
        other.execute_batch(restore).expect("as it was");
    }
}

#[test]
fn mp1_a_damaged_body_is_named() {
    let (folder, driver) = healthy();
    let path = driver.path.clone();
    drop(driver);
    let other = Connection::open(&path).expect("the file");
    let damage =
        "UPDATE blob_bytes SET packed = x'00' WHERE blob = (SELECT max(blob) FROM blob_bytes)";
    other.execute(damage, []).expect("an update");
    drop(other);
    let report = look(folder.path());
    let finding = found(&report, "large bodies damaged: 1 of");
    assert_eq!(finding.level, Level::Problem);
    assert!(finding.mend.as_deref().is_some_and(|mend| mend.contains("backup")));
}

#[test]
fn mp1_a_store_of_a_newer_version_is_named_with_both_versions() {
    let (folder, driver) = healthy();
    let path = driver.path.clone();
    drop(driver);
    let other = Connection::open(&path).expect("the file");
    other.pragma_update(None, "user_version", 9).expect("a version");
    drop(other);
    let report = look(folder.path());
    let finding = found(&report, "the store does not open");
    assert!(finding.what.contains("version 9") && finding.what.contains("up to"));
    assert_eq!(report.worst(), Level::Problem);
}

#[test]
fn mp1_what_waits_and_what_was_interrupted_is_named_with_its_command() {
    let (folder, mut driver) = healthy();
    driver.run(EVERYTHING);
    driver.mood = Mood::Hang;
    let id = driver.submit(STRICT);
    driver.settle();
    driver.crash(TakeUp::All);
    driver.settle();
    drop(driver);
    let report = look(folder.path());
    let interrupted = found(&report, "`strict` is running and no process works on it");
    assert_eq!(interrupted.mend, Some(format!("`baton resume {id}`")));
    let asked = found(&report, "of `everything` waits for a person");
    assert!(asked.mend.as_deref().is_some_and(|mend| mend.contains("baton inbox")));
    assert_eq!(report.worst(), Level::Note);
}

#[test]
fn mp1_a_call_in_doubt_is_named_with_settle() {
    let (folder, mut driver) = healthy();
    driver.mood = Mood::Hang;
    let source = "{ name: pay, version: 1, stages: [ { name: all, tasks: [ \
                  { id: once, tool: test.once } ] } ] }";
    let id = driver.submit(source);
    driver.settle();
    driver.crash(TakeUp::All);
    driver.settle();
    drop(driver.command(id, Command::Resume));
    drop(driver);
    let report = look(folder.path());
    let doubt = found(&report, "nobody knows whether a call");
    assert!(doubt.mend.as_deref().is_some_and(|mend| mend.contains("baton settle")));
}

#[test]
fn mp1_an_owner_that_runs_is_named_and_keeps_a_rebuild_out() {
    let (folder, driver) = healthy();
    drop(driver);
    let path = folder.path().join("lock");
    std::fs::write(&path, r#"{"process":4711,"socket":"x"}"#).expect("a lock file");
    let file = std::fs::File::open(&path).expect("the lock file");
    rustix::fs::flock(&file, FlockOperation::LockExclusive).expect("the lock");
    found(&look(folder.path()), "the process 4711 owns the store");
    let process = Some(4711);
    assert_eq!(rebuild(folder.path()), Err(AdminError::Owned { process }));
    drop(file);
    assert!(rebuild(folder.path()).is_ok());
    std::fs::write(folder.path().join("socket"), "").expect("a file");
    assert_eq!(found(&look(folder.path()), "left its socket behind").level, Level::Note);
}

#[test]
fn mp1_a_clock_that_was_set_back_is_named() {
    let (folder, driver) = healthy();
    let path = driver.path.clone();
    drop(driver);
    let other = Connection::open(&path).expect("the file");
    other.execute("UPDATE head SET at = at + 1000000000000", []).expect("an update");
    drop(other);
    let report = look(folder.path());
    assert_eq!(found(&report, "after this machine's clock").level, Level::Problem);
}

#[test]
fn mp1_a_folder_that_others_can_read_and_a_root_that_nobody_can_are_named() {
    let (folder, driver) = healthy();
    drop(driver);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).expect("a mode");
    let mut config = Config::default();
    config.tools.roots = vec![folder.path().join("nowhere")];
    let report = doctor(folder.path(), &config);
    let open = found(&report, "others on this machine can read it");
    assert!(open.mend.as_deref().is_some_and(|mend| mend.starts_with("`chmod 700")));
    let root = found(&report, "a folder that tools may touch cannot be read");
    assert!(root.mend.as_deref().is_some_and(|mend| mend.contains("`roots`")));
}
