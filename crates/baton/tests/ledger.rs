//! Promises of the ledger, kept by the real binary.
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

#[test]
fn mp1_a_success_is_said_only_after_the_commit() {
    let desk = Desk::new();
    let _gate = desk.gate("gate");
    desk.define(
        "told.yaml",
        &[
            "{ id: a, tool: core.noop, needs: [] }",
            "{ id: b, tool: shell.run, permission: read_write, needs: [a], with: { script: 'read x < gate' } }",
        ],
    );
    let mut run = desk.start(&["run", "told.yaml", "--json"]);
    let told = run.until("task.completed", Some("a"));
    run.kill();
    let shown = desk.shown();
    let events = shown["events"].as_array().unwrap();
    let position = told["position"].to_string();
    let is_told = |event: &&serde_json::Value| {
        event["id"] == position.as_str() && event["type"] == told["event"]
    };
    let there = events.iter().find(is_told).unwrap();
    assert_eq!(there["data"], told["data"]);
    // Killed after it was written and before anything was let out, it tells of nothing it has not.
    let died = desk.call(&["run", "told.yaml", "--json", "--die", "before-release:1"]);
    assert_eq!((died.code, died.out.as_str()), (None, ""));
    let died = desk.call(&["run", "told.yaml", "--json", "--die", "before-commit:1"]);
    assert_eq!((died.code, died.out.as_str()), (None, ""));
    assert_eq!(desk.expect(0, &["list", "--json"]).json().len(), 2);
}

#[test]
fn wf2_list_show_and_run_agree_on_progress() {
    let desk = Desk::new();
    desk.define(
        "progress.yaml",
        &[
            "{ id: a, tool: core.noop }",
            "{ id: b, tool: core.noop, when: 'false' }",
            "{ id: c, human: approval, needs: [a], ask: 'ok?' }",
        ],
    );
    let fields = [
        "progress_percentage",
        "agents_completed",
        "agents_total",
        "progress_calculation_method",
        "status",
    ];
    let run = desk.expect(3, &["run", "progress.yaml", "--json"]);
    for approved in [false, true] {
        if approved {
            desk.expect(0, &["approve", "last"]);
        }
        let listed = desk.expect(0, &["list", "--json"]).json().remove(0);
        let shown = desk.shown()["workflow"].clone();
        for field in fields {
            assert_eq!(listed[field], shown[field]);
            if !approved {
                let ran = run.json().pop().unwrap();
                assert_eq!(ran["workflow"][field], shown[field]);
            }
        }
        let percent = if approved { 100 } else { 50 };
        assert_eq!(shown["progress_percentage"], percent);
    }
}
