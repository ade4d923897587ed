//! The doctor names what is wrong, where, and the mend; and says that all is well when it is.

use std::os::unix::fs::PermissionsExt;

use baton_core::workflow::Command;
use baton_engine::engine::TakeUp;
use baton_store::StoreUrl;
use rustix::fs::FlockOperation;

use super::desk::Desk;
use super::driver::{CHILD, EVERYTHING, Mood, STRICT};
use crate::admin::AdminError;
use crate::admin::doctor::{Finding, Level, Report, doctor};
use crate::config::Config;

fn found<'a>(report: &'a Report, what: &str) -> &'a Finding {
    let found = report.findings.iter().find(|found| found.what.contains(what));
    found.unwrap_or_else(|| panic!("no `{what}` in\n{}", report.render()))
}

/// A store of each kind in which a workflow has run.
fn healthy() -> Vec<Desk> {
    let desks = Desk::every();
    for desk in &desks {
        desk.driver(2).run(CHILD);
    }
    desks
}

#[test]
fn mp1_all_is_well_with_a_healthy_store() {
    for desk in healthy() {
        let report = desk.look();
        assert_ne!(report.worst(), Level::Problem, "{}", report.render());
        found(&report, "every row is as the journal says: 1 workflow");
        let sound = match desk.store {
            StoreUrl::Sqlite(_) => "its file is sound",
            StoreUrl::Postgres(_) => "PostgreSQL",
        };
        assert_eq!(found(&report, sound).level, Level::Ok);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["findings"][0]["level"], "ok");
    }
}

#[test]
fn mp1_what_is_not_there_yet_is_no_problem() {
    for desk in Desk::every() {
        let none = desk.folder().join("none");
        let store = match &desk.store {
            StoreUrl::Sqlite(_) => StoreUrl::Sqlite(none.join("baton.db")),
            StoreUrl::Postgres(url) => StoreUrl::Postgres(url.clone()),
        };
        let report = doctor(&none, &store, &Config::default());
        assert_eq!(found(&report, "no data folder yet").level, Level::Note);
        if let StoreUrl::Postgres(_) = store {
            assert_eq!(found(&report, "no store in this schema yet").level, Level::Note);
        }
        assert_ne!(report.worst(), Level::Problem);
        let refused = desk.rebuild().expect_err("nothing to rebuild").to_string();
        assert!(refused.contains("there is no store to"), "{refused}");
    }
}

#[test]
fn mp1_rows_changed_by_hand_are_named_with_their_mend() {
    for desk in healthy() {
        desk.change("UPDATE workflow SET percentage = 3");
        let report = desk.look();
        let finding = found(&report, "rows differ from the journal");
        assert!(finding.what.contains("progress"), "{}", finding.what);
        assert_eq!(finding.mend.as_deref(), Some("`baton doctor --rebuild`"));
        assert_eq!(desk.rebuild().expect("a rebuild").mended, 1);
        assert_ne!(desk.look().worst(), Level::Problem);
    }
}

#[test]
fn mp1_a_snapshot_that_is_not_the_state_is_named_and_dropped() {
    let damages =
        ["bytes = bytes_of_another", "version = version - 1", "position = 1", "stream = 99"];
    for damage in damages {
        for desk in healthy() {
            desk.driver(3).run(EVERYTHING);
            assert_ne!(desk.look().worst(), Level::Problem);
            let other = match desk.store {
                StoreUrl::Sqlite(_) => "x'00'",
                StoreUrl::Postgres(_) => "'\\x00'",
            };
            let damage = damage.replace("bytes_of_another", other);
            let changed = desk.change(&format!("UPDATE snapshot SET {damage}"));
            assert_eq!(changed, 1, "of the workflow that lives, and of no other");
            let finding = found(&desk.look(), "rows differ from the journal").clone();
            assert!(finding.what.contains("its snapshot"), "{damage}: {}", finding.what);
            assert_eq!(finding.mend.as_deref(), Some("`baton doctor --rebuild`"));
            assert_eq!(desk.rebuild().expect("a rebuild").mended, 1, "{damage}");
            assert_eq!(desk.change("DELETE FROM snapshot"), 0);
            assert_ne!(desk.look().worst(), Level::Problem);
        }
    }
}

#[test]
fn mp1_a_damaged_body_is_named() {
    for desk in healthy() {
        desk.change(match desk.store {
            StoreUrl::Sqlite(_) => {
                "UPDATE blob_bytes SET packed = x'00' \
                 WHERE blob = (SELECT max(blob) FROM blob_bytes)"
            }
            StoreUrl::Postgres(_) => {
                "UPDATE blob SET packed = '\\x00' WHERE hash = (SELECT hash FROM blob LIMIT 1)"
            }
        });
        let report = desk.look();
        let finding = found(&report, "large bodies damaged: 1 of");
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.mend.as_deref().is_some_and(|mend| mend.contains("backup")));
    }
}

#[test]
fn mp1_a_store_of_a_newer_version_is_named_with_both_versions() {
    for desk in healthy() {
        desk.change(match desk.store {
            StoreUrl::Sqlite(_) => "PRAGMA user_version = 9",
            StoreUrl::Postgres(_) => "INSERT INTO migration VALUES (9, 'later', 'other')",
        });
        let report = desk.look();
        let finding = found(&report, "the store does not open");
        assert!(finding.what.contains("version 9") && finding.what.contains("up to"));
        assert_eq!(report.worst(), Level::Problem);
    }
}

#[test]
fn mp1_what_waits_and_what_was_interrupted_is_named_with_its_command() {
    for desk in healthy() {
        let mut driver = desk.driver(2);
        driver.run(EVERYTHING);
        driver.mood = Mood::Hang;
        let id = driver.submit(STRICT);
        driver.settle();
        driver.crash(TakeUp::All);
        driver.settle();
        drop(driver);
        let report = desk.look();
        let interrupted = found(&report, "`strict` is running and no process works on it");
        assert_eq!(interrupted.mend, Some(format!("`baton resume {id}`")));
        let asked = found(&report, "of `everything` waits for a person");
        assert!(asked.mend.as_deref().is_some_and(|mend| mend.contains("baton inbox")));
        assert_eq!(report.worst(), Level::Note, "{}", report.render());
    }
}

#[test]
fn mp1_a_call_in_doubt_is_named_with_settle() {
    for desk in healthy() {
        let mut driver = desk.driver(2);
        driver.mood = Mood::Hang;
        let source = "{ name: pay, version: 1, stages: [ { name: all, tasks: [ \
                      { id: once, tool: test.once } ] } ] }";
        let id = driver.submit(source);
        driver.settle();
        driver.crash(TakeUp::All);
        driver.settle();
        drop(driver.command(id, Command::Resume));
        drop(driver);
        let report = desk.look();
        let doubt = found(&report, "nobody knows whether a call");
        assert!(doubt.mend.as_deref().is_some_and(|mend| mend.contains("baton settle")));
    }
}

#[test]
fn mp1_an_owner_that_runs_is_named_and_keeps_a_rebuild_out() {
    let desk = Desk::sqlite();
    desk.driver(2).run(CHILD);
    let path = desk.folder().join("lock");
    std::fs::write(&path, r#"{"process":4711,"socket":"x"}"#).expect("a lock file");
    let file = std::fs::File::open(&path).expect("the lock file");
    rustix::fs::flock(&file, FlockOperation::LockExclusive).expect("the lock");
    found(&desk.look(), "the process 4711 owns the store");
    let process = Some(4711);
    assert_eq!(desk.rebuild(), Err(AdminError::Owned { process }));
    drop(file);
    assert!(desk.rebuild().is_ok());
    std::fs::write(desk.folder().join("socket"), "").expect("a file");
    assert_eq!(found(&desk.look(), "left its socket behind").level, Level::Note);
}

#[test]
fn mp1_an_owner_on_a_server_is_named_and_keeps_a_rebuild_out() {
    for desk in Desk::every() {
        if let StoreUrl::Postgres(_) = desk.store {
            let mut driver = desk.driver(2);
            driver.run(CHILD);
            found(&desk.look(), "a process owns the store");
            let refused = desk.rebuild().expect_err("it is owned").to_string();
            assert!(refused.contains("another process owns this store"), "{refused}");
            drop(driver);
            assert!(desk.rebuild().is_ok());
        }
    }
}

#[test]
fn mp1_a_clock_that_was_set_back_is_named() {
    for desk in healthy() {
        desk.change("UPDATE head SET at = at + 1000000000000");
        let report = desk.look();
        assert_eq!(found(&report, "after this machine's clock").level, Level::Problem);
    }
}

#[test]
fn mp1_a_folder_that_others_can_read_and_a_root_that_nobody_can_are_named() {
    let desk = Desk::sqlite();
    desk.driver(2).run(CHILD);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(desk.folder(), mode).expect("a mode");
    let mut config = Config::default();
    config.tools.roots = vec![desk.folder().join("nowhere")];
    let report = doctor(desk.folder(), &desk.store, &config);
    let open = found(&report, "others on this machine can read it");
    assert!(open.mend.as_deref().is_some_and(|mend| mend.starts_with("`chmod 700")));
    let root = found(&report, "a folder that tools may touch cannot be read");
    assert!(root.mend.as_deref().is_some_and(|mend| mend.contains("`roots`")));
}
