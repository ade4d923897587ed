//! A client of conversations: it says something, waits until something holds, and looks.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::common::Desk;
use crate::listening::{Message, Sse};
use crate::server::{Answer, Server};

/// Greets whoever is named, and asks who where nobody is.
const GREET: &str = r#"
name: greet
version: 1
description: Says hello.
playbook: { examples: ["say hello to a person"] }
inputs:
  type: object
  required: [who]
  properties:
    who: { type: string, title: Who is greeted }
stages:
  - name: only
    tasks:
      - { id: hello, tool: core.noop, with: { value: "Hello {{ inputs.who }}" } }
output: "{{ tasks.hello.output }}"
"#;

/// What begins a greeting.
pub const HELLO: &str = "Please say hello to a person";

/// A folder with a playbook, and a server in it.
pub fn served() -> (Desk, Server) {
    let desk = Desk::new();
    desk.write("greet.yaml", GREET);
    let server = Server::start(&desk);
    (desk, server)
}

pub fn address(server: &Server) -> SocketAddr {
    let url = server.url("//");
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// Opens a conversation; its id.
pub fn open(server: &Server, message: Option<&str>) -> String {
    let shown = server.post("/conversations", &json!({ "message": message })).expect(201);
    shown["conversation_id"].as_str().unwrap().to_owned()
}

pub fn shown(server: &Server, id: &str) -> Value {
    server.get(&format!("/conversations/{id}")).expect(200)
}

/// Waits until something holds of a conversation, from revision to revision.
pub fn until(server: &Server, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut view = shown(server, id);
    while !holds(&view) {
        let next = view["revision"].as_u64().unwrap() + 1;
        let path = format!("/conversations/{id}?revision={next}&wait=30s");
        view = server.get(&path).expect(200);
    }
    view
}

pub fn asks(view: &Value) -> bool {
    view["questions"] != json!([])
}

pub fn proposes(view: &Value) -> bool {
    !view["proposal"].is_null()
}

pub fn is_idle(view: &Value) -> bool {
    view["doing"] == "idle"
}

pub fn tell(server: &Server, id: &str, word: &str, body: &Value) -> Answer {
    server.post(&format!("/conversations/{id}/{word}"), body)
}

/// Answers the question who is greeted.
pub fn answer(server: &Server, id: &str, who: &str) -> Value {
    let answers = json!({ "answers": [{ "key": "who", "value": who }] });
    tell(server, id, "answers", &answers).expect(200)
}

/// Approves the plan that waits for a review; its workflow.
pub fn approve(server: &Server, id: &str) -> String {
    let view = until(server, id, proposes);
    let workflow = view["proposal"].as_str().unwrap().to_owned();
    let revision = server.get(&format!("/workflows/{workflow}")).expect(200)["revision"].clone();
    let approved = json!({ "revision": revision });
    server.post(&format!("/workflows/{workflow}/approve"), &approved).expect(200);
    workflow
}

/// What was said, oldest first.
pub fn entries(server: &Server, id: &str) -> Vec<Value> {
    let path = format!("/conversations/{id}/messages?limit=1000");
    let mut said = server.get(&path).expect(200)["items"].as_array().unwrap().clone();
    said.reverse();
    said
}

pub fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

/// Follows a conversation, behind a place.
pub fn follow(server: &Server, id: &str, last: Option<&str>) -> Sse {
    Sse::open(address(server), &format!("/api/v1/conversations/{id}/stream"), last)
}

/// Says something and hears what follows from it, to the end.
pub fn say(server: &Server, id: &str, text: &str) -> Vec<Message> {
    say_with(server, id, text, "")
}

/// The same with more headers.
pub fn say_with(server: &Server, id: &str, text: &str, headers: &str) -> Vec<Message> {
    let (address, body) = (address(server), json!({ "text": text }).to_string());
    let request = format!(
        "POST /api/v1/conversations/{id}/messages HTTP/1.1\r\nHost: {address}\r\n\
         Accept: text/event-stream\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Sse::asked(address, &request).rest()
}

/// The types of the events among some messages.
pub fn types(told: &[Message]) -> Vec<&str> {
    told.iter().filter_map(Message::kind).collect()
}
