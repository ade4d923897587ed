//! Questions that running calls ask people, by the real binary and a small server that asks: shown,
//! answered once, and never left behind when anybody dies.
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
#[path = "common/server.rs"]
mod server;

use common::Desk;
use rustix::process::Signal;
use serde_json::{Value, json};
use server::Server;

/// An MCP server of two tools that ask how large something is to be: `resize` may be repeated, `order`
/// may not. It notes in `log` what it was told.
const ASKING: &str = r#"
import json, sys
def send(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
def tool(name, hints):
    return {"name": name, "inputSchema": {"type": "object"}, "annotations": hints}
tools = [tool("resize", {"idempotentHint": True}), tool("order", {}), tool("dies", {})]
form = {"type": "object", "required": ["size"], "properties": {
    "size": {"type": "integer", "title": "Size", "minimum": 1, "maximum": 9},
    "colour": {"type": "string", "oneOf": [
        {"const": "r", "title": "<b>Red</b>"}, {"const": "g", "title": "Green"}], "default": "g"}}}
call = None
for line in sys.stdin:
    said = json.loads(line)
    method, number = said.get("method"), said.get("id")
    if method == "initialize":
        send({"id": number, "result": {"protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}}, "serverInfo": {"name": "asking", "version": "1"}}})
    elif method == "tools/list":
        send({"id": number, "result": {"tools": tools}})
    elif method == "ping":
        send({"id": number, "result": {}})
    elif method == "tools/call":
        call, name = number, said["params"]["name"]
        send({"id": 1000, "method": "elicitation/create", "params": {
            "message": "How <i>large</i>?\x1b[2J", "requestedSchema": form}})
        if name == "dies":
            sys.exit(3)
    elif number == 1000:
        with open("log", "a") as log:
            log.write(json.dumps(said["result"], sort_keys=True) + "\n")
        text = [{"type": "text", "text": said["result"]["action"]}]
        send({"id": call, "result": {"content": text, "structuredContent": said["result"]}})
"#;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("asking.py", ASKING);
    desk.write("baton.toml", "[servers.shop]\ncommand = [\"python3\", \"asking.py\"]\n");
    for tool in ["resize", "order", "dies"] {
        let task = format!(
            "{{ id: a, tool: shop.{tool}, permission: read_write, timeout: 5s, retry: {{ attempts: 1 }} }}"
        );
        desk.define(&format!("{tool}.yaml"), &[&task]);
    }
    desk
}

/// The one thing in the inbox, once it is there.
fn asked(server: &Server, workflow: &str) -> Value {
    loop {
        let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
        let inbox = server.get("/inbox").expect(200);
        if let Some(item) = inbox["items"].as_array().unwrap().first() {
            return item.clone();
        }
        let next = shown["revision"].as_u64().unwrap() + 1;
        server.get(&format!("/workflows/{workflow}?revision={next}&wait=20s"));
    }
}

fn kinds(server: &Server, workflow: &str) -> Vec<String> {
    let events = server.get(&format!("/workflows/{workflow}/events")).expect(200);
    let kinds =
        events["items"].as_array().unwrap().iter().filter_map(|event| event["type"].as_str());
    kinds.filter(|kind| !kind.starts_with("tool.")).map(str::to_owned).collect()
}

#[test]
fn a_call_asks_over_http_and_goes_on_with_the_one_answer() {
    let desk = desk();
    let server = Server::start(&desk);
    let id = server.begin(&json!({ "definition": "order" }));
    let item = asked(&server, &id);
    assert_eq!((&item["kind"], &item["tool"]), (&json!("form"), &json!("shop.order")), "{item}");
    assert_eq!((&item["needs"], &item["question"]), (&json!("person"), &json!(1)));
    assert_eq!(item["form"]["properties"]["size"]["maximum"], 9);
    let task = item["task_id"].as_str().unwrap().to_owned();
    let shown = server.get(&format!("/tasks/{task}")).expect(200);
    assert_eq!((&shown["status"], &shown["waits_for"]), (&json!("waiting"), &json!("person")));
    assert_eq!(shown["answer"], "form");

    let respond = |body: Value| server.post(&format!("/tasks/{task}/respond"), &body);
    let refused = respond(json!({ "value": { "size": 10, "more": 1 } })).expect(422);
    let pointers: Vec<&str> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["pointer"].as_str())
        .collect();
    assert_eq!((&refused["code"], pointers.len()), (&json!("invalid_answer"), 2), "{refused}");
    assert!(pointers.contains(&"/value/size") && pointers.contains(&"/value/more"), "{refused}");
    respond(json!({ "value": { "size": 3 }, "question": 2 })).expect(409);
    respond(json!({})).expect(400);
    respond(json!({ "value": { "size": 3 }, "question": 1 })).expect(200);
    respond(json!({ "value": { "size": 4 } })).expect(409);
    server.until(&id, "completed");
    let told = "{\"action\": \"accept\", \"content\": {\"colour\": \"g\", \"size\": 3}}\n";
    assert_eq!(desk.read("log"), told);
    let kinds = kinds(&server, &id);
    assert!(kinds.ends_with(&[
        "task.question_asked".to_owned(),
        "task.question_answered".to_owned(),
        "task.completed".to_owned(),
        "workflow.finished".to_owned(),
    ]));
    server.kill();
}

#[test]
fn a_page_shows_the_question_as_text_and_the_command_line_answers_it() {
    let desk = desk();
    let server = Server::start(&desk);
    let id = server.begin(&json!({ "definition": "order" }));
    asked(&server, &id);
    for path in ["//".to_owned(), format!("//workflows/{id}")] {
        let page = server.get(&path).text;
        assert!(page.contains("How &#60;i&#62;large&#60;/i&#62;?"), "{page}");
        assert!(
            page.contains("&#60;b&#62;Red&#60;/b&#62;") && page.contains("shop.order"),
            "{page}"
        );
        assert!(page.contains("name=\"question\" value=\"1\""), "{page}");
        assert!(page.contains("value=\"decline\""), "{page}");
    }
    let inbox = desk.expect(0, &["inbox"]).out;
    assert!(inbox.contains("asked by shop.order") && inbox.contains("--decline"), "{inbox}");
    assert!(!inbox.contains('\u{1b}'), "{inbox:?}");
    let refused = desk.expect(2, &["respond", "last/a", "{\"size\": 0}"]);
    assert!(refused.said.contains("/size: "), "{refused:?}");
    desk.expect(0, &["respond", "last/a", "--decline"]);
    server.until(&id, "completed");
    assert_eq!(desk.read("log"), "{\"action\": \"decline\"}\n");
    server.kill();
}

#[test]
fn people_have_more_time_than_the_call() {
    let desk = desk();
    let server = Server::start(&desk);
    let id = server.begin(&json!({ "definition": "order" }));
    asked(&server, &id);
    // sleep: longer than the task's `timeout`.
    std::thread::sleep(std::time::Duration::from_secs(6));
    let servers = server.get("/servers").expect(200);
    assert_eq!(servers["items"][0]["status"], "busy", "{servers}");
    desk.expect(0, &["respond", "last/a", "{\"size\": 3}"]);
    server.until(&id, "completed");
    server.kill();
}

#[test]
fn after_kill_9_what_may_be_repeated_asks_anew_and_what_may_not_is_in_doubt() {
    let desk = desk();
    let server = Server::start(&desk);
    let once = server.begin(&json!({ "definition": "order" }));
    asked(&server, &once);
    server.kill();
    let server = Server::start(&desk);
    let item = asked(&server, &once);
    assert_eq!((&item["needs"], &item["question"]), (&json!("in_doubt"), &Value::Null), "{item}");
    desk.expect(2, &["respond", "last/a", "{\"size\": 3}"]);
    desk.expect(0, &["settle", "last/a", "--happened", "--result", "7"]);
    server.until(&once, "completed");
    assert_eq!(desk.read("log"), "");

    let again = server.begin(&json!({ "definition": "resize" }));
    asked(&server, &again);
    server.kill();
    let server = Server::start(&desk);
    let item = loop {
        let item = asked(&server, &again);
        if item["question"] == 2 {
            break item;
        }
    };
    let task = item["task_id"].as_str().unwrap();
    let respond = |body: Value| server.post(&format!("/tasks/{task}/respond"), &body);
    respond(json!({ "value": { "size": 3 }, "question": 1 })).expect(409);
    respond(json!({ "value": { "size": 4 }, "question": 2 })).expect(200);
    server.until(&again, "completed");
    assert_eq!(desk.read("log").lines().count(), 1);
    assert_eq!(server.get("/inbox").expect(200)["items"], json!([]));
    server.kill();
}

#[test]
fn a_server_that_dies_or_a_run_that_is_cancelled_leaves_no_question() {
    let desk = desk();
    let server = Server::start(&desk);
    let dead = server.begin(&json!({ "definition": "dies" }));
    let item = loop {
        let item = asked(&server, &dead);
        if item["needs"] == "in_doubt" {
            break item;
        }
    };
    assert!(item["ask"].as_str().unwrap().contains("did it happen"), "{item}");
    desk.expect(0, &["settle", "last/a", "--happened"]);
    server.until(&dead, "completed");

    let cancelled = server.begin(&json!({ "definition": "resize" }));
    asked(&server, &cancelled);
    server.post(&format!("/workflows/{cancelled}/cancel"), &json!({})).expect(200);
    server.until(&cancelled, "cancelled");
    assert_eq!(server.get("/inbox").expect(200)["items"], json!([]));
    assert!(kinds(&server, &cancelled).contains(&"task.question_withdrawn".to_owned()));
    server.kill();
}

#[test]
fn an_owner_that_leaves_cuts_the_call_off_and_says_so() {
    let desk = desk();
    let run = desk.expect(3, &["run", "resize.yaml"]);
    assert!(run.said.contains("--decline") && run.said.contains("cut off"), "{run:?}");
    assert_eq!(desk.expect(0, &["inbox"]).out, "");
    let invoked = desk.expect(3, &["invoke", "shop.order"]);
    assert!(invoked.said.contains("cut off"), "{invoked:?}");
    let inbox = desk.expect(0, &["inbox", "--json"]).json();
    assert_eq!(inbox[0]["needs"], "in_doubt");

    let server = Server::start(&desk);
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0), "nothing that waits for people holds up its end");
}
