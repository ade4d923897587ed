//! Disks that are full or may only be read: a clear error, and nothing lost.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::Desk;
use serde_json::Value;

struct Mount<'d>(&'d Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let desk = Desk::new();
    let small = desk.path("small");
    std::fs::create_dir(&small).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: no tmpfs can be mounted here");
        return;
    }
    let _mount = Mount(&small);
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    desk.expect(0, &["run", "good.yaml", "--data", "small"]);
    let filler = desk.path("small/filler");
    let mut told = Vec::new();
    let mut refused = 0;
    // A few free pages let a run get further before it fails: the lock, the index, the log.
    for pages in [0, 4, 12, 16, 20, 24] {
        fill(&filler, pages);
        let called = desk.call(&["run", "good.yaml", "--data", "small", "--json"]);
        let ids = called.json().into_iter();
        told.extend(ids.filter_map(|line| line["workflow_id"].as_str().map(str::to_owned)));
        if called.code != Some(0) {
            refused += 1;
            assert_eq!(called.code, Some(4), "{pages} pages: {called:?}");
            let why = ["No space left", "full"];
            let said = why.iter().any(|why| called.said.contains(why));
            assert!(said, "{pages} pages: {}", called.said);
        }
    }
    assert!(refused > 0);
    std::fs::remove_file(&filler).unwrap();
    desk.call(&["resume", "--all", "--data", "small"]);
    desk.expect(0, &["run", "good.yaml", "--data", "small"]);
    let listed = desk.expect(0, &["list", "--data", "small", "--json"]).json();
    let completed = |workflow: &Value| workflow["status"] == "completed";
    assert!(listed.iter().all(completed));
    for id in told {
        let there = listed.iter().any(|workflow| workflow["id"] == id.as_str());
        assert!(there, "{id} was told of and is not there");
    }
}

/// Fills the disk but for some pages.
fn fill(filler: &Path, pages: u64) {
    const PAGE: u64 = 4096;
    let _ = std::fs::remove_file(filler);
    // Writes as much as there is room for.
    let _ = std::fs::write(filler, vec![0_u8; 2 << 20]);
    let file = std::fs::File::options().write(true).open(filler).unwrap();
    let full = file.metadata().unwrap().len();
    file.set_len(full.saturating_sub(pages * PAGE)).unwrap();
}

#[test]
fn a_data_folder_that_cannot_be_made_is_said() {
    let desk = Desk::new();
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    desk.write("file", "a file, not a folder");
    let refused = desk.call(&["run", "good.yaml", "--data", "file/data"]);
    assert!(refused.said.contains("file/data"), "{}", refused.said);
    assert_eq!(refused.code, Some(4), "{}", refused.said);
}

#[test]
fn a_disk_that_does_not_sync_is_said_and_loses_nothing_told() {
    let desk = Desk::new();
    desk.define(
        "chain.yaml",
        &[
            "{ id: a, tool: core.noop }",
            "{ id: b, needs: [a], tool: core.noop }",
            "{ id: c, needs: [b], tool: core.noop }",
        ],
    );
    desk.expect(0, &["run", "chain.yaml"]);
    let mut failed = 0;
    // From this sync on, all of them; and at last one alone, which is made up for.
    for when in ["2+", "3+", "4+", "3"] {
        let Some(ended) = run_with_failing_syncs(&desk, when) else {
            println!("skipped: nothing can be traced here");
            return;
        };
        if ended.status.code() != Some(0) {
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(4), "{when}: {said}");
            assert!(said.contains("disk I/O error"), "{when}: {said}");
            failed += 1;
        }
        desk.expect(0, &["resume", "--all"]);
        all_told_is_there(&desk, &String::from_utf8(ended.stdout).unwrap());
    }
    assert!(failed > 0);
    let doctor = desk.expect(0, &["doctor"]);
    assert!(doctor.out.contains("everything is well"), "{}", doctor.out);
}

/// A run some of whose syncs fail; `None` where strace cannot make them.
fn run_with_failing_syncs(desk: &Desk, when: &str) -> Option<Output> {
    let baton = desk.command(&["run", "chain.yaml", "--json"]);
    let mut traced = Command::new("strace");
    traced.current_dir(desk.path("")).args(["-f", "-qq", "-o", "/dev/null"]);
    traced.args(["-e", "trace=fsync,fdatasync", "-e"]);
    traced.arg(format!("inject=fsync,fdatasync:error=EIO:when={when}"));
    traced.arg(baton.get_program()).args(baton.get_args());
    let ended = traced.output().ok()?;
    let refused = String::from_utf8_lossy(&ended.stderr).contains("ptrace");
    (!refused).then_some(ended)
}

fn all_told_is_there(desk: &Desk, out: &str) {
    let told = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    for line in told.filter(|line| line["event"].is_string()) {
        let id = line["workflow_id"].as_str().unwrap();
        let shown = desk.expect(0, &["show", id, "--events", "--json"]).json().pop().unwrap();
        let position = line["position"].to_string();
        let is_there =
            |event: &Value| event["id"] == position.as_str() && event["type"] == line["event"];
        let events = shown["events"].as_array().unwrap();
        assert!(events.iter().any(is_there), "{line} was told and is not there");
    }
}

#[test]
fn a_folder_that_may_only_be_read_is_said_and_still_read() {
    let desk = Desk::new();
    desk.define("good.yaml", &["{ id: a, tool: core.noop }"]);
    desk.expect(0, &["run", "good.yaml"]);
    let lock = desk.path(".baton/lock");
    let here = desk.path("");
    let open = Command::new("chmod").args(["-R", "a+rX"]).arg(&here).status();
    let closed = Command::new("chmod").args(["-R", "a-w"]).arg(desk.path(".baton")).status();
    assert!(open.unwrap().success() && closed.unwrap().success());
    // Root may write everything: somebody else is asked then, who may read this copy.
    let is_root = rustix::process::geteuid().is_root();
    let copy = desk.path("baton");
    std::fs::copy(env!("CARGO_BIN_EXE_baton"), &copy).unwrap();
    let call = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        if is_root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        let output = command.arg(&copy).args(arguments).current_dir(&here).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = call(&["run", "good.yaml"]);
    assert_eq!(code, Some(4), "{said}");
    let names = said.contains(lock.to_str().unwrap()) && said.contains("--data DIR");
    assert!(names && said.contains("Permission denied"), "{said}");
    assert_eq!(call(&["list"]).0, Some(0));
    let (code, _) = call(&["doctor"]);
    assert_eq!(code, Some(1));
    let (code, said) = call(&["doctor", "--rebuild"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("baton.db") && said.contains("right to write"), "{said}");
}
