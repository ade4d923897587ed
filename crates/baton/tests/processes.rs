//! Several processes on one store: one owns it, the others go to it.
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

const GATED: &str =
    "{ id: gated, tool: shell.run, permission: read_write, with: { script: 'read x < gate' } }";

#[test]
fn commands_of_other_processes_go_to_the_owner() {
    let desk = Desk::new();
    let _gate = desk.gate("gate");
    desk.define("shared.yaml", &[GATED, "{ id: ask, human: approval, needs: [], ask: 'ok?' }"]);
    let mut run = desk.start(&["run", "shared.yaml", "--json"]);
    run.until("task.started", Some("gated"));
    let listed = desk.expect(0, &["list", "--json"]).json();
    assert_eq!(listed[0]["status"], "running");
    assert_eq!(desk.task_status("gated"), "executing");
    let mut watch = desk.start(&["watch", "last", "--json"]);
    watch.until("task.started", Some("gated"));
    desk.expect(0, &["approve", "last"]);
    // The owner and the follower hear of it: nothing was decided behind their backs.
    run.until("task.completed", Some("ask"));
    watch.until("task.completed", Some("ask"));
    desk.expect(0, &["cancel", "last", "--reason", "enough"]);
    let ((run_code, run_end), (watch_code, watch_end)) = (run.end(), watch.end());
    assert_eq!(run_end["workflow"]["status"], watch_end["workflow"]["status"]);
    assert_eq!((run_code, watch_code), (run_code, run_code));
    assert_ne!(run_code, Some(0));
}

#[test]
fn two_runs_on_one_store_both_complete() {
    let desk = Desk::new();
    for name in ["one", "two"] {
        let tasks: Vec<String> =
            (0..20).map(|n| format!("{{ id: t{n}, tool: core.noop }}")).collect();
        let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
        desk.define(&format!("{name}.yaml"), &tasks);
    }
    let one = desk.start(&["run", "one.yaml", "--json"]);
    let two = desk.start(&["run", "two.yaml", "--json"]);
    for run in [one, two] {
        let (code, line) = run.end();
        let workflow = &line["workflow"];
        let facts = (code, workflow["agents_completed"].as_u64());
        assert_eq!(facts, (Some(0), Some(20)), "{line}");
    }
    let listed = desk.expect(0, &["list", "--json"]).json();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|workflow| workflow["status"] == "completed"));
}

#[test]
fn a_question_of_a_grandchild_brings_the_run_to_rest_and_is_shown() {
    let desk = Desk::new();
    desk.define("inner.yaml", &["{ id: sure, human: approval, ask: 'really?' }"]);
    desk.define("middle.yaml", &["{ id: deeper, workflow: inner }"]);
    desk.define("outer.yaml", &["{ id: deep, workflow: middle }"]);
    let waits = desk.expect(3, &["run", "outer.yaml"]);
    assert!(waits.said.contains("`middle`"), "{}", waits.said);
    assert!(waits.said.contains("sure: really?"), "{}", waits.said);
    assert!(!waits.said.contains("interrupted"), "{}", waits.said);
    let inbox = desk.expect(0, &["inbox", "--json"]).json();
    desk.expect(0, &["approve", inbox[0]["task_id"].as_str().unwrap()]);
    desk.expect(0, &["resume", "--all"]);
    let listed = desk.expect(0, &["list", "--json"]).json();
    assert!(listed.iter().all(|workflow| workflow["status"] == "completed"), "{listed:?}");
}

#[test]
fn a_thousand_items_that_fail_do_not_flood_whoever_reads() {
    let desk = Desk::new();
    desk.define(
        "many.yaml",
        &["{ id: many, each: '{{ range(1000) | list }}', tool: fs.read, with: { path: 'f{{ item }}' }, retry: { attempts: 2, backoff: 1ms }, on_failure: continue }"],
    );
    let run = desk.expect(1, &["run", "many.yaml"]);
    assert!(run.said.lines().count() < 15, "{}", run.said);
    assert!(run.said.contains("1000 of 1000 items failed"), "{}", run.said);
}
