//! The shipped examples with agents, run by the real binary with scripted answers on small real data.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Called, Desk};

fn example(name: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("examples").join(name).to_str().unwrap().to_owned()
}

/// Runs an example with its script.
fn run(desk: &Desk, name: &str) -> Called {
    let (definition, script) = (format!("{name}.yaml"), format!("scripts/{name}.yaml"));
    let model = format!("scripted:{}", example(&script));
    let called = desk.call(&["run", &example(&definition), "--model", &model]);
    assert!(called.said.contains("no model is asked"), "{called:?}");
    called
}

fn git(desk: &Desk, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]).args(arguments);
    let output = command.current_dir(desk.path(".")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn repository() -> Desk {
    let desk = Desk::new();
    git(&desk, &["init", "--quiet"]);
    desk.write("README.md", "# Scratch\n");
    git(&desk, &["add", "."]);
    git(&desk, &["commit", "--quiet", "--message", "Begin"]);
    desk
}

#[test]
fn review_changes_has_three_reviewers_and_one_judgement() {
    let called = run(&repository(), "review-changes");
    assert_eq!(called.code, Some(0), "{called:?}");
    for word in
        ["# Keep: 1 commit since", "## Correctness", "README.md:1", "## Clarity\n\nNothing."]
    {
        assert!(called.out.contains(word), "`{word}` is missing in {called:?}");
    }
}

#[test]
fn review_changes_asks_nobody_where_nothing_was_committed() {
    let desk = repository();
    let (definition, script) =
        (example("review-changes.yaml"), example("scripts/review-changes.yaml"));
    let model = format!("scripted:{script}");
    let asked = ["run", &definition, "--model", &model, "--input", "since=2099-01-01"];
    let called = desk.expect(0, &asked);
    assert!(called.out.contains("Nothing was committed since 2099-01-01."), "{called:?}");
}

fn handbook() -> Desk {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("examples/data/handbook")).unwrap();
    for name in ["travel.md", "time.md", "devices.md"] {
        let file = format!("data/handbook/{name}");
        std::fs::copy(PathBuf::from(example(&file)), desk.path("examples").join(file)).unwrap();
    }
    desk
}

#[test]
fn ask_documents_finds_each_citation_in_its_file() {
    let called = run(&handbook(), "ask-documents");
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(called.out.matches("✓ ").count(), 2, "{called:?}");
    assert!(!called.out.contains("do not rely"), "{called:?}");
}

#[test]
fn ask_documents_says_so_where_a_citation_stands_nowhere() {
    let desk = handbook();
    desk.write(
        "examples/data/handbook/travel.md",
        "# Travel\n\nWe travel by train. There, nobody needs to agree to\nthat.\n",
    );
    let called = run(&desk, "ask-documents");
    assert_eq!(called.code, Some(0), "{called:?}");
    assert!(called.out.contains("(not in this file)"), "{called:?}");
    assert!(called.out.contains("1 of 2 citations could not be found: do not rely"), "{called:?}");
}

#[test]
fn ch9_a_call_that_a_read_only_agent_invents_is_not_made() {
    let desk = Desk::new();
    desk.write("baton.toml", "[agents.reader]\ntools = [\"fs.*\"]\npermission = \"read_write\"\n");
    desk.write(
        "script.yaml",
        "answers:\n  - agent: reader\n    turns:\n      \
         - calls: [ { tool: fs.write, arguments: { path: made.txt, text: x } } ]\n      \
         - when: { contains: there is no tool `fs.write` }\n        text: I may not.\n      \
         - text: I have.\n",
    );
    for (permission, answer, made) in
        [("read_only", "I may not.", ""), ("read_write", "I have.", "x")]
    {
        let task = format!("{{ id: a, agent: reader, prompt: hi, permission: {permission} }}");
        desk.define("work.yaml", &[&task]);
        desk.write("work.yaml", &(desk.read("work.yaml") + "output: '{{ tasks.a.output }}'\n"));
        let called = desk.expect(0, &["run", "work.yaml", "--model", "scripted:script.yaml"]);
        assert_eq!((called.out.trim(), desk.read("made.txt").as_str()), (answer, made));
    }
}
