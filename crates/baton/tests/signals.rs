//! Ctrl-C once, twice and three times, by the real binary.
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

use common::{Desk, Running};
use rustix::process::Signal;

/// Says its process through the gate, then stays.
const STAYS: &str = "{ id: stays, tool: shell.run, permission: read_write, needs: [], with: { script: 'echo $$ > gate; exec sleep 600' } }";
/// Waits at the gate.
const WAITS: &str = "{ id: waits, tool: shell.run, permission: read_write, needs: [], with: { script: 'read x < gate; echo x >> log' } }";

fn start(desk: &Desk, task: &str) -> Running {
    let after = "{ id: after, tool: core.noop, needs: [first] }";
    let key = task.split([':', ',']).nth(1).unwrap().trim();
    desk.define("long.yaml", &[task, &after.replace("first", key)]);
    let mut run = desk.start(&["run", "long.yaml", "--json"]);
    run.until("task.started", Some(key));
    run
}

#[test]
fn the_first_lets_what_runs_end_and_starts_nothing_more() {
    for signal in [Signal::INT, Signal::TERM] {
        let desk = Desk::new();
        let mut gate = desk.gate("gate");
        let mut run = start(&desk, WAITS);
        run.signal(signal);
        run.hear("stopping");
        gate.open();
        run.hear("`baton resume");
        let (code, line) = run.end();
        assert_eq!((code, &line["workflow"]["status"]), (Some(1), &"running".into()));
        assert_eq!(
            (desk.read("log"), desk.task_status("waits")),
            ("x\n".into(), "completed".into())
        );
        assert_ne!(desk.task_status("after"), "completed");
        desk.expect(0, &["resume", "last"]);
        assert_eq!(desk.read("log"), "x\n");
    }
}

#[test]
fn the_second_cuts_off_what_runs_and_leaves_it_in_doubt() {
    let desk = Desk::new();
    let mut gate = desk.gate("gate");
    let mut run = start(&desk, STAYS);
    let process = gate.read();
    assert!(Path::new("/proc").join(&process).exists());
    run.signal(Signal::INT);
    run.hear("stopping");
    run.signal(Signal::INT);
    run.hear("cut off: stays");
    let (code, _) = run.end();
    assert_eq!(code, Some(1));
    assert!(!Path::new("/proc").join(&process).exists());
    assert_eq!(desk.task_status("stays"), "executing");
    let resumed = desk.expect(3, &["resume", "last"]);
    assert!(resumed.said.contains("baton settle"), "{}", resumed.said);
}

#[test]
fn the_third_kills() {
    let desk = Desk::new();
    let mut gate = desk.gate("gate");
    let mut run = start(&desk, &STAYS.replace("echo $$", "trap \"\" TERM; echo $$"));
    gate.read();
    for said in ["stopping", "cutting off"] {
        run.signal(Signal::INT);
        run.hear(said);
    }
    run.signal(Signal::INT);
    assert_eq!(run.end().0, None);
}

#[test]
fn a_follower_leaves_at_once_and_the_owner_goes_on() {
    let desk = Desk::new();
    let mut gate = desk.gate("gate");
    let run = start(&desk, WAITS);
    let mut watch = desk.start(&["watch", "last", "--json"]);
    watch.until("task.started", Some("waits"));
    watch.signal(Signal::INT);
    watch.hear("another process goes on");
    assert_eq!(watch.end().0, Some(1));
    gate.open();
    assert_eq!(run.end().0, Some(0));
}
