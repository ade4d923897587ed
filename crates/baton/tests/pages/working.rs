//! Agents at work, as the pages show them: what they say while they say it, what they ask, what they used.
//!
//! Their models are played by scripts, one of them without a price.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::Desk;
use crate::server::Server;
use crate::{chromium, drivers, page, shots};

const CONFIG: &str = "
[models]
scripts = ['desk.yaml', 'free.yaml']
[agents.writer]
models = ['scripted/desk']
tools = ['fs.write']
approve = ['fs.write']
permission = 'read_write'
[agents.thinker]
models = ['scripted/desk']
tools = ['core.noop']
output_tokens = 100
[agents.speaker]
models = ['scripted/free']
";
const PRICED: &str = r#"
price: { input: '2', output: '4' }
answers:
  - agent: writer
    turns:
      - text: "<b>I</b> put it where you will find it."
        calls: [ { tool: fs.write, arguments: { path: made.txt, text: "exactly \u202Ethis" } } ]
        usage: { input_tokens: 1200, output_tokens: 40 }
      - { text: It is written., usage: { input_tokens: 1300, output_tokens: 5 } }
  - agent: thinker
    turns:
      - { calls: [ { tool: core.noop } ], usage: { input_tokens: 9000, output_tokens: 50 } }
      - { text: Seven., usage: { input_tokens: 9100, output_tokens: 5 } }
"#;

/// A definition of one task, whose output is the workflow's.
fn definition(name: &str, budget: &Value, task: &Value) -> Value {
    json!({
        "name": name, "version": 1, "budget": budget, "output": "{{ tasks.a.output }}",
        "stages": [{ "name": "only", "tasks": [task] }],
    })
}

fn define(server: &Server) {
    let task = |agent: &str, permission: &str| json!({ "id": "a", "agent": agent, "prompt": "Go.", "permission": permission });
    let (free, handed) = (json!({}), json!({ "tokens": 10, "at_limit": "hand_over" }));
    let bounded = json!({ "tokens": 10_000 });
    let all = [
        definition("write", &free, &task("writer", "read_write")),
        definition("think", &bounded, &task("thinker", "read_only")),
        definition("hand", &handed, &task("thinker", "read_only")),
        definition("speak", &free, &task("speaker", "read_only")),
    ];
    for definition in all {
        let name = definition["name"].as_str().unwrap();
        assert!(server.put(&format!("/definitions/{name}"), &definition).status < 300, "{name}");
    }
}

/// What is said so slowly that it can be looked at: forty words in as many pieces.
fn spoken() -> String {
    let words: Vec<String> = (1..=40).map(|word| format!("word{word}")).collect();
    let text = format!("<img src=x onerror=alert(1)> {}", words.join(" "));
    format!(
        "answers:\n  - turns: [ {{ text: '{text}', chunks: 45, delay: 120ms, \
         usage: {{ input_tokens: 30, output_tokens: 41 }} }} ]\n"
    )
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("baton.toml", CONFIG);
    desk.write("desk.yaml", PRICED);
    desk.write("free.yaml", &spoken());
    desk
}

/// Begins a workflow and waits until it asks a person.
fn asks(server: &Server, name: &str) {
    let id = server.begin(&json!({ "definition": name }));
    let mut shown = server.get(&format!("/workflows/{id}")).expect(200);
    while shown["tasks_waiting_for_people"] != 1 {
        let next = shown["revision"].as_u64().unwrap() + 1;
        shown = server.get(&format!("/workflows/{id}?revision={next}&wait=30s")).expect(200);
    }
}

#[test]
fn books_without_a_line_say_what_they_are_for() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let page = page(&server, "/usage");
    assert!(page.contains("scripted:examples/scripts/review-changes.yaml"), "{page}");
    server.kill();
}

#[test]
fn agents_are_looked_at_and_answered_in_a_browser() {
    let (Some(chromium), Some(modules)) = (chromium(), drivers()) else {
        println!("skipped: a browser needs Chromium, node, and playwright-core from npm");
        return;
    };
    let desk = desk();
    let server = Server::start(&desk);
    define(&server);
    for name in ["write", "think", "hand"] {
        asks(&server, name);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/working.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(modules).arg(chromium).arg(server.url("//"));
    let ended = node.arg(desk.path("")).arg(shots()).status().unwrap();
    server.kill();
    assert!(ended.success(), "the browser saw what it should not");
}
