//! What a person is promised of agents, seen from outside: the real binary, killed for real, its models
//! played by scripts.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod approvals;
mod asks;
mod budgets;
#[path = "../common/mod.rs"]
mod common;
mod counter;
mod crash;
mod loops;
mod models;
mod said;
#[path = "../common/server.rs"]
mod server;

use common::{Called, Desk};
use serde_json::Value;

/// A desk with a definition of one agent's task, `a`, and what its model says.
fn desk(config: &str, task: &str, script: &str) -> Desk {
    let desk = Desk::new();
    desk.write("baton.toml", config);
    define(&desk, "", task);
    desk.write("desk.yaml", script);
    desk
}

/// `work.yaml`: an agent's task `a` with these fields, and fields of the workflow before it.
fn define(desk: &Desk, fields: &str, task: &str) {
    desk.define("work.yaml", &[&format!("{{ id: a, prompt: Go., {task} }}")]);
    let stages = desk.read("work.yaml");
    desk.write("work.yaml", &format!("{fields}{stages}output: '{{{{ tasks.a.output }}}}'\n"));
}

const MODEL: [&str; 2] = ["--model", "scripted:desk.yaml"];

/// A command with the script at hand.
fn call(desk: &Desk, code: i32, arguments: &[&str]) -> Called {
    desk.expect(code, &[arguments, &MODEL[..]].concat())
}

/// What the agent of the task `a` did in sum, as `show` tells it.
fn sum(desk: &Desk) -> Value {
    desk.shown()["agents"][0].clone()
}

/// The calls of a model that the task `a` took, as `show last/a` tells them.
fn turns(desk: &Desk) -> Vec<Value> {
    let shown = desk.expect(0, &["show", "last/a", "--json"]).json().pop().unwrap();
    shown["transcript"].as_array().unwrap().clone()
}

/// The events of the newest workflow of this type.
fn events(desk: &Desk, kind: &str) -> Vec<Value> {
    let shown = desk.shown();
    let events = shown["events"].as_array().unwrap();
    events.iter().filter(|event| event["type"] == kind).cloned().collect()
}

/// What needs a person: the only one.
fn asked(desk: &Desk) -> Value {
    let mut items = desk.expect(0, &["inbox", "--json"]).json();
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}
