//! Runs that are cut off, stopped, held up and taken up again, by the real binary.
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

use common::Desk;

const GATED: &str = "{ id: gated, tool: shell.run, permission: read_write, needs: [first], with: { script: 'read x < gate; echo x >> log' } }";
const FIRST: &str = "{ id: first, tool: shell.run, permission: read_write, needs: [], with: { script: 'echo x >> first' } }";

#[test]
fn ch6_a_call_cut_off_by_kill_9_is_seen_as_started_and_settled_by_a_person() {
    let desk = Desk::new();
    let _gate = desk.gate("gate");
    desk.define("cut.yaml", &[FIRST, GATED]);
    let mut run = desk.start(&["run", "cut.yaml", "--json"]);
    run.until("task.started", Some("gated"));
    assert_eq!(desk.task_status("gated"), "executing");
    run.kill();
    // Durable before doing: it did not look like "never started".
    assert_eq!(desk.task_status("gated"), "executing");
    let resumed = desk.expect(3, &["resume", "last"]);
    assert!(resumed.said.contains("baton settle"), "{}", resumed.said);
    let inbox = desk.expect(0, &["inbox", "--json"]).json();
    assert_eq!(inbox[0]["needs"], "in_doubt");
    desk.expect(0, &["settle", "last/gated", "--happened", "--result", "7"]);
    assert_eq!(desk.shown()["workflow"]["status"], "completed");
    assert_eq!(desk.read("first"), "x\n");
    assert_eq!(desk.read("log"), "");
}

#[test]
fn a_call_that_did_not_happen_is_done_again() {
    let desk = Desk::new();
    let mut gate = desk.gate("gate");
    desk.define("again.yaml", &[FIRST, GATED]);
    let mut run = desk.start(&["run", "again.yaml", "--json"]);
    run.until("task.started", Some("gated"));
    run.kill();
    desk.expect(3, &["resume", "last"]);
    gate.open();
    desk.expect(0, &["settle", "last/gated", "--did-not-happen"]);
    desk.expect(0, &["resume", "last"]);
    assert_eq!((desk.read("first"), desk.read("log")), ("x\n".into(), "x\n".into()));
}

#[test]
fn paused_it_starts_nothing_and_resumed_it_ends() {
    let desk = Desk::new();
    let mut gate = desk.gate("gate");
    desk.define("pause.yaml", &[FIRST, GATED, "{ id: last, tool: core.noop, needs: [gated] }"]);
    let mut run = desk.start(&["run", "pause.yaml", "--json"]);
    run.until("task.started", Some("gated"));
    desk.expect(0, &["pause", "last"]);
    run.until("workflow.paused", None);
    gate.open();
    let (code, line) = run.end();
    assert_eq!((code, &line["workflow"]["status"]), (Some(3), &"paused".into()));
    assert_eq!(desk.task_status("gated"), "completed");
    assert_ne!(desk.task_status("last"), "completed");
    desk.expect(0, &["resume", "last"]);
    assert_eq!(desk.task_status("last"), "completed");
}

#[test]
fn retry_keeps_what_completed() {
    let desk = Desk::new();
    desk.define(
        "retry.yaml",
        &[FIRST, "{ id: second, tool: fs.read, needs: [first], with: { path: missing } }"],
    );
    let failed = desk.expect(1, &["run", "retry.yaml"]);
    assert!(failed.said.contains("missing"), "{}", failed.said);
    desk.write("missing", "now it is there");
    desk.expect(0, &["retry", "last"]);
    assert_eq!(desk.read("first"), "x\n");
    assert_eq!(desk.shown()["workflow"]["run"], 2);
}

#[test]
fn a_person_approves_from_elsewhere_and_work_goes_on() {
    let desk = Desk::new();
    desk.define(
        "ask.yaml",
        &[
            "{ id: ask, human: approval, ask: 'sure?' }",
            "{ id: after, tool: core.noop, needs: [ask] }",
        ],
    );
    let waits = desk.expect(3, &["run", "ask.yaml"]);
    assert!(waits.said.contains("sure?"), "{}", waits.said);
    desk.expect(0, &["approve", "last", "-m", "yes"]);
    desk.expect(0, &["resume", "last"]);
    assert_eq!(desk.task_status("after"), "completed");
}

#[test]
fn a_call_that_hangs_harms_its_own_task_only() {
    let desk = Desk::new();
    desk.define(
        "hang.yaml",
        &[
            "{ id: hangs, tool: shell.run, permission: read_write, timeout: 200ms, on_failure: continue, with: { program: sleep, args: ['600'] } }",
            "{ id: other, tool: core.noop, needs: [] }",
        ],
    );
    desk.expect(3, &["run", "hang.yaml"]);
    assert_eq!(desk.task_status("other"), "completed");
    let inbox = desk.expect(0, &["inbox", "--json"]).json();
    assert_eq!((&inbox[0]["task"], &inbox[0]["needs"]), (&"hangs".into(), &"in_doubt".into()));
}
