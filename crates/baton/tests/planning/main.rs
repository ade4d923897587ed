//! What a person is promised of plans that a model makes, seen from outside: the real binary, killed for
//! real, its model played by scripts.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

#[path = "../common/mod.rs"]
mod common;
mod contained;
mod crashes;
mod served;
#[path = "../common/server.rs"]
mod server;
mod small_model;
mod talks;

use common::{Called, Desk};
use serde_json::{Value, json};

const MODEL: [&str; 2] = ["--model", "scripted:planner.yaml"];

/// A desk whose planner says this: a list of `answers`, as a script has them.
fn desk(answers: &Value) -> Desk {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("src")).unwrap();
    desk.write("src/a.txt", "TODO one\n");
    script(&desk, answers);
    desk
}

fn script(desk: &Desk, answers: &Value) {
    desk.write("planner.yaml", &json!({ "answers": answers }).to_string());
}

/// What the planner says, turn by turn, whatever it is asked.
fn turns(turns: Value) -> Value {
    json!([{ "agent": "planner", "turns": turns }])
}

/// A turn with one call.
fn call(tool: &str, arguments: Value) -> Value {
    json!({ "calls": [{ "tool": tool, "arguments": arguments }] })
}

fn propose(plan: Value) -> Value {
    call("chat.propose_plan", json!({ "title": "Find the TODOs", "plan": plan }))
}

/// A plan of one stage.
fn plan(tasks: Value) -> Value {
    json!({ "stages": [{ "name": "only", "tasks": tasks }] })
}

fn search() -> Value {
    json!({ "id": "todos", "tool": "fs.search", "with": { "path": "src", "pattern": "TODO" } })
}

/// A conversation in which these lines are typed.
fn chat(desk: &Desk, arguments: &[&str], lines: &[&str]) -> Called {
    let typed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    desk.tell(&typed, &[&["chat"], arguments, &MODEL[..]].concat())
}

/// The same, insisting on an exit code.
fn expect(desk: &Desk, code: i32, arguments: &[&str], lines: &[&str]) -> Called {
    let called = chat(desk, arguments, lines);
    assert_eq!(called.code, Some(code), "{arguments:?}: {called:?}");
    called
}

/// The workflows of this name, newest first.
fn workflows(desk: &Desk, name: &str) -> Vec<Value> {
    let all = desk.expect(0, &["list", "--json"]).json();
    all.into_iter().filter(|workflow| workflow["name"] == name).collect()
}

/// What planned, newest first.
fn plannings(desk: &Desk) -> Vec<Value> {
    workflows(desk, "plan-a-request")
}

/// The turns of the newest planning.
fn planned(desk: &Desk) -> Vec<Value> {
    let id = plannings(desk)[0]["id"].as_str().unwrap().to_owned();
    let shown = desk.expect(0, &["show", &format!("{id}/plan"), "--json"]).json().pop().unwrap();
    shown["transcript"].as_array().unwrap().clone()
}

/// What the newest planning was asked.
fn prompt(desk: &Desk) -> String {
    let turns = planned(desk);
    turns[0]["asked"][0]["text"].as_str().unwrap().to_owned()
}

/// The last line of `--json`.
fn last(called: &Called) -> Value {
    called.json().pop().unwrap()
}
