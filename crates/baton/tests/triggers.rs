//! The real server from outside: events, schedules, keys and tokens over HTTP, and over `kill -9`.
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

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Desk, Running};
use serde_json::{Value, json};

const REVIEW: &str = "name: review
inputs: { type: object, required: [branch], properties: { branch: { type: string } } }
stages: [ { name: s, tasks: [ { id: t, tool: core.noop } ] } ]
triggers:
  - { event: 'repo.*', when: \"event.data.branch == 'main'\" }
  - { schedule: '0 6 * * 1', zone: Europe/Berlin, inputs: { branch: main } }
";

struct Server {
    running: Running,
    address: String,
}

/// An answer: its status and its body.
#[derive(Debug, PartialEq)]
struct Answered(u16, Value);

impl Server {
    fn start(desk: &Desk) -> Self {
        let mut running = desk.start(&["serve", "--listen", "127.0.0.1:0"]);
        let line = running.hear("serving http://");
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { running, address }
    }

    fn call(&self, head: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (method, path) = head.split_once(' ').unwrap();
        let mut text = format!("{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!(
            "connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answered(status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn send(&self, event: &Value) -> Answered {
        let media = ("content-type", "application/cloudevents+json");
        self.call("POST /events", &[media], &event.to_string())
    }
}

fn event(id: &str, branch: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/ci", "type": "repo.push",
        "datacontenttype": "application/json", "data": { "branch": branch, "more": [1, 2] },
    })
}

fn yaml(server: &Server, head: &str, source: &str) -> Answered {
    server.call(head, &[("content-type", "application/yaml")], source)
}

#[test]
fn or3_an_event_in_any_form_is_taken_in_once_also_over_a_kill() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    assert_eq!(yaml(&server, "PUT /definitions/review", REVIEW).0, 200);
    let first = server.send(&event("1", "main"));
    let started = &first.1["items"][0]["started"];
    assert_eq!((first.0, started.as_array().unwrap().len()), (200, 1), "{first:?}");
    server.running.kill();

    let server = Server::start(&desk);
    let again = server.send(&event("1", "main"));
    let position = &first.1["items"][0]["position"];
    let duplicate =
        json!({ "items": [{ "position": position, "duplicate": true, "started": started }] });
    assert_eq!(again, Answered(200, duplicate.clone()));
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/ci"),
        ("ce-type", "repo.push"),
        ("content-type", "application/json"),
    ];
    let binary = server.call("POST /events", &headers, r#"{"branch":"main"}"#);
    assert_eq!(binary, Answered(200, duplicate), "the same event in its other form");
    let media = ("content-type", "application/cloudevents-batch+json");
    let batch = json!([event("1", "main"), event("2", "main"), event("3", "other")]);
    let Answered(200, batch) = server.call("POST /events", &[media], &batch.to_string()) else {
        panic!("the batch was refused")
    };
    let of = |index: usize, field: &str| batch["items"][index][field].clone();
    assert_eq!((of(0, "duplicate"), of(1, "duplicate")), (json!(true), json!(false)));
    assert_eq!((of(1, "started").as_array().unwrap().len(), of(2, "started")), (1, json!([])));

    assert_eq!(of(0, "started"), *started, "also in a batch");

    let Answered(200, listed) = server.call("GET /events?limit=1000", &[], "") else {
        panic!("there is a list")
    };
    let items = listed["items"].as_array().unwrap();
    let count = |kind: &str| items.iter().filter(|item| item["type"] == kind).count();
    assert_eq!((count("event.received"), count("trigger.fired")), (3, 2));
    assert_eq!(count("workflow.admitted"), 2);
    server.running.kill();
    assert_eq!(desk.expect(0, &["doctor"]).code, Some(0), "facts are what the journal says");
}

#[test]
fn or3_bytes_are_taken_in_and_shown_as_base64() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let mut whole = event("1", "main");
    whole.as_object_mut().unwrap().remove("data");
    (whole["datacontenttype"], whole["data_base64"]) = (json!("image/png"), json!("iVBORw=="));
    assert_eq!(server.send(&whole).0, 200);
    (whole["id"], whole["data_base64"]) = (json!("2"), json!("iVBORw"));
    let bad = server.send(&whole);
    assert_eq!((bad.0, &bad.1["errors"][0]["pointer"]), (400, &json!("/data_base64")), "{bad:?}");
    let media = ("content-type", "application/cloudevents-batch+json");
    whole["data_base64"] = json!("AA==");
    assert_eq!(server.call("POST /events", &[media], &json!([whole]).to_string()).0, 200);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "3"),
        ("ce-source", "/ci"),
        ("ce-type", "repo.push"),
        ("content-type", "application/octet-stream"),
    ];
    assert_eq!(server.call("POST /events", &headers, "foobar").0, 200);
    let Answered(200, listed) = server.call("GET /events?type=event.received", &[], "") else {
        panic!("a list")
    };
    let shown = |index: usize| {
        let data = &listed["items"][index]["data"];
        (
            data["data"]["inline"].as_str().unwrap().to_owned(),
            data["encoding"].as_str().unwrap().to_owned(),
        )
    };
    let all = [shown(0), shown(1), shown(2)].map(|(text, how)| format!("{how} {text}"));
    assert_eq!(all, ["base64 iVBORw==", "base64 AA==", "base64 Zm9vYmFy"]);
    server.running.kill();
}

#[test]
fn events_are_listed_by_type_and_workflow() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    assert_eq!(yaml(&server, "PUT /definitions/review", REVIEW).0, 200);
    let ids: Vec<String> = ["1", "2", "3"]
        .map(|id| server.send(&event(id, "main")).1["items"][0]["started"][0].clone())
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    let list = |query: &str| {
        let answer = server.call(&format!("GET /events?{query}"), &[], "");
        (answer.0, answer.1)
    };
    let kinds = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["type"].as_str().unwrap().to_owned()).collect()
    };
    let (_, fired) = list("type=trigger.*&limit=2");
    assert_eq!(kinds(&fired), ["trigger.fired"; 2]);
    let cursor = fired["next_cursor"].as_str().unwrap();
    let (_, last) = list(&format!("type=trigger.*&limit=2&cursor={cursor}"));
    assert_eq!(
        (kinds(&last), &last["next_cursor"]),
        (vec!["trigger.fired".to_owned()], &Value::Null)
    );
    let (_, own) = list(&format!("workflow={}&type=workflow.admitted,event.*", ids[1]));
    assert_eq!(kinds(&own), ["workflow.admitted"]);
    assert_eq!(own["items"][0]["correlationid"], ids[1]);
    assert_eq!(list("type=nothing.*").1["items"], json!([]));
    assert_eq!(list("workflow=nobody").0, 400);
    assert_eq!(list("workflow=01980000-0000-7000-8000-000000000000").0, 404);
    server.running.kill();
}

#[test]
fn what_is_no_event_and_no_definition_is_told_in_full() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let bad = server.send(&json!({ "specversion": "1.0", "id": 7, "type": "a b" }));
    let pointers: Vec<_> =
        bad.1["errors"].as_array().unwrap().iter().map(|it| it["pointer"].clone()).collect();
    assert_eq!((bad.0, bad.1["code"].as_str()), (400, Some("invalid_event")));
    assert_eq!(pointers, ["/id", "/source", "/type"]);
    let media = ("content-type", "application/cloudevents-batch+json");
    let batch = json!([event("1", "main"), {}]).to_string();
    assert_eq!(server.call("POST /events", &[media], &batch).0, 400);
    assert_eq!(server.call("POST /events", &[("content-type", "image/png")], "x").0, 400);
    let Answered(200, none) = server.call("GET /events", &[], "") else { panic!("a list") };
    assert_eq!(none["items"], json!([]), "nothing of a bad batch is taken in");

    let source = REVIEW.replace("0 6 * * 1", "0 66 * * 1");
    let bad = yaml(&server, "PUT /definitions/review", &source);
    assert_eq!((bad.0, bad.1["code"].as_str()), (422, Some("invalid_definition")));
    assert_eq!(bad.1["errors"][0]["pointer"], "/triggers/1/schedule");
    assert_eq!(bad.1["errors"][0]["line"], 6);
    assert_eq!(yaml(&server, "PUT /definitions/other", REVIEW).0, 422);
    assert_eq!(server.call("DELETE /definitions/review", &[], "").0, 404);
}

#[test]
fn schedules_are_shown_until_their_definition_is_removed() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    for _ in 0..2 {
        assert_eq!(yaml(&server, "PUT /definitions/review", REVIEW).0, 200);
    }
    let other = REVIEW.replace("'main'\"", "'other'\"");
    assert_eq!(
        yaml(&server, "PUT /definitions/review", &other).0,
        409,
        "same version, other content"
    );
    let Answered(200, shown) = server.call("GET /schedules", &[], "") else { panic!("a list") };
    let schedule = &shown["items"][0];
    assert_eq!(
        (schedule["trigger"].clone(), schedule["missed"].clone()),
        (json!(1), json!("once"))
    );
    assert!(schedule["next_due"].as_str().unwrap().contains(":00:00"), "{schedule}");
    let Answered(200, listed) = server.call("GET /definitions", &[], "") else { panic!("a list") };
    assert_eq!(listed["items"][0]["name"], "review");
    assert_eq!(server.call("DELETE /definitions/review", &[], "").0, 204);
    let Answered(200, shown) = server.call("GET /schedules", &[], "") else { panic!("a list") };
    assert_eq!(shown["items"], json!([]));
}

#[test]
fn a_request_under_a_key_is_done_once_also_over_a_kill() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    assert_eq!(yaml(&server, "PUT /definitions/review", REVIEW).0, 200);
    let start = |server: &Server, key: &str, branch: &str| {
        let body = json!({ "definition": "review", "inputs": { "branch": branch } }).to_string();
        let media = ("content-type", "application/json");
        server.call("POST /workflows", &[media, ("idempotency-key", key)], &body)
    };
    let Answered(201, first) = start(&server, "k1", "main") else { panic!("it starts") };
    assert_eq!(start(&server, "k1", "main").1["id"], first["id"]);
    server.running.kill();
    let server = Server::start(&desk);
    assert_eq!(start(&server, "k1", "main").1["id"], first["id"]);
    let Answered(status, reused) = start(&server, "k1", "other");
    assert_eq!((status, reused["code"].as_str()), (422, Some("idempotency_key_reused")));
    assert_ne!(start(&server, "k2", "main").1["id"], first["id"]);
    // Sent at the same time by many, it is done once.
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let send = || scope.spawn(|| start(&server, "k3", "main").1["id"].clone());
        let senders: Vec<_> = (0..8).map(|_| send()).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let Answered(200, all) = server.call("GET /workflows", &[], "") else { panic!("a list") };
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    assert_eq!(start(&server, &"k".repeat(300), "main").0, 400);
}

#[test]
fn roles_let_in_whom_they_say_and_a_revoked_token_nobody() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    assert_eq!(server.call("GET /workflows", &[], "").0, 200, "no tokens: this machine is let in");
    let make = |role: &str| {
        let called = desk.expect(0, &["token", "create", "--role", role, "--name", role, "--json"]);
        called.json()[0]["token"].as_str().unwrap().to_owned()
    };
    let [admin, viewer] = ["admin", "viewer"].map(make);
    assert!(admin.len() > 64 && admin != viewer);
    let call = |head: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        server.call(
            head,
            &[("authorization", &bearer), ("content-type", "application/yaml")],
            REVIEW,
        )
    };
    // A change counts within a moment of its commit.
    let until = |head: &str, token: &str, status: u16| {
        let began = std::time::Instant::now();
        while call(head, token).0 != status {
            assert!(began.elapsed().as_secs() < 10, "{head} is never answered {status}");
            std::thread::yield_now();
        }
    };
    until("GET /workflows", &viewer, 200);
    assert_eq!(server.call("GET /workflows", &[], "").0, 401, "with tokens, everybody shows one");
    assert_eq!(call("GET /workflows", "baton_nothing").0, 401);
    assert_eq!(call("PUT /definitions/review", &viewer).0, 403);
    assert_eq!(call("PUT /definitions/review", &admin).0, 200);
    let Answered(200, events) = call("GET /events?limit=1000", &admin) else { panic!("a list") };
    assert!(!events.to_string().contains(&admin), "the token is nowhere");
    desk.expect(2, &["token", "create", "--role", "admin", "--name", "a b"]);
    let twice = desk.call(&["token", "create", "--role", "viewer", "--name", "viewer"]);
    assert_ne!(twice.code, Some(0), "{twice:?}");
    assert_eq!(desk.expect(0, &["token", "list"]).out.lines().count(), 2);
    desk.expect(0, &["token", "revoke", "viewer"]);
    until("GET /workflows", &viewer, 401);
    assert_eq!(call("GET /workflows", &admin).0, 200);
    assert_eq!(desk.expect(0, &["token", "list"]).out.lines().count(), 1);
}
