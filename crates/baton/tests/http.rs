//! The API as `serve` answers it, on a real listener.
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

const ASK: &str = r#"{ id: ask, human: approval, ask: "go on?" }"#;
const NOOP: &str = "{ id: first, tool: core.noop, with: { value: 1 } }";

fn served(tasks: &[&str]) -> (Desk, Server) {
    let desk = Desk::new();
    desk.define("plan.yaml", tasks);
    let server = Server::start(&desk);
    (desk, server)
}

fn named() -> Value {
    json!({ "definition": "plan" })
}

/// Waits until one task of a workflow asks, and at least so many have completed.
fn asks(server: &Server, id: &str, completed: u64) -> Value {
    let mut shown = server.get(&format!("/workflows/{id}")).expect(200);
    while shown["tasks_waiting_for_people"] != 1
        || shown["agents_completed"].as_u64().unwrap() < completed
    {
        let next = shown["revision"].as_u64().unwrap() + 1;
        shown = server.get(&format!("/workflows/{id}?revision={next}&wait=30s")).expect(200);
    }
    shown
}

fn first_task(server: &Server, id: &str) -> String {
    asks(server, id, 0);
    let inbox = server.get("/inbox").expect(200);
    inbox["items"][0]["task_id"].as_str().unwrap().to_owned()
}

#[test]
fn wf4_a_command_answers_with_what_it_made_and_a_read_at_its_revision_is_never_older() {
    let (_desk, server) = served(&[NOOP, ASK]);
    let answer = server.post("/workflows", &named());
    let revision: u64 = answer.header("baton-revision").parse().unwrap();
    let place = answer.header("location").to_owned();
    let shown = answer.expect(201);
    let id = shown["workflow_id"].as_str().unwrap();
    assert_eq!(place, format!("/api/v1/workflows/{id}"));
    assert!(shown["revision"].as_u64().unwrap() >= revision);

    server.until(id, "running");
    for command in ["pause", "resume", "cancel"] {
        let answer = server.post(&format!("/workflows/{id}/{command}"), &json!({}));
        let revision: u64 = answer.header("baton-revision").parse().unwrap();
        let told = answer.expect(200)["revision"].as_u64().unwrap();
        let read = server.get(&format!("/workflows/{id}?revision={revision}")).expect(200);
        assert!(told >= revision && read["revision"].as_u64().unwrap() >= told, "{command}");
    }
    let refused = server.post(&format!("/workflows/{id}/pause"), &json!({})).expect(409);
    assert_eq!(refused["type"], format!("/docs/errors/{}", refused["code"].as_str().unwrap()));
}

#[test]
fn wf4_a_revision_is_waited_for_and_not_forever() {
    let (_desk, server) = served(&[ASK]);
    let id = server.begin(&named());
    let task = first_task(&server, &id);
    let now = server.get(&format!("/workflows/{id}")).expect(200)["revision"].as_u64().unwrap();
    let late = server.get(&format!("/workflows/{id}?revision={}&wait=1ms", now + 1)).expect(504);
    assert_eq!(late["code"], "revision_not_reached");
    let next = format!("/workflows/{id}?revision={}&wait=30s", now + 1);
    std::thread::scope(|scope| {
        let waiting = [0, 1, 2].map(|_| scope.spawn(|| server.get(&next).expect(200)));
        server.post(&format!("/tasks/{task}/respond"), &json!({ "value": true })).expect(200);
        for read in waiting {
            assert!(read.join().unwrap()["revision"].as_u64().unwrap() > now);
        }
    });
    assert_eq!(server.until(&id, "completed")["progress"], 100);
}

#[test]
fn wf5_list_workflow_stages_and_the_command_line_say_the_same() {
    let (desk, server) = served(&[NOOP, ASK]);
    let id = server.begin(&named());
    let one = asks(&server, &id, 1);
    let list = server.get("/workflows?status=running&origin=api&q=pla").expect(200);
    let printed = desk.expect(0, &["list", "--json"]).json();
    for field in ["status", "current_stage", "progress", "revision", "updated_at"] {
        assert_eq!(list["items"][0][field], one[field], "{field}");
        assert_eq!(printed[0][field], one[field], "{field}");
    }
    let shown = desk.shown();
    let tasks = server.get(&format!("/workflows/{id}/tasks")).expect(200);
    assert_eq!(shown["tasks"], tasks["items"]);
    let events = server.get(&format!("/workflows/{id}/events")).expect(200);
    assert_eq!(shown["events"], events["items"]);
    let events = events["items"].as_array().unwrap();
    let streamed = server.listen(&format!("/workflows/{id}/stream"), events.last().unwrap());
    assert!(events.iter().all(|event| streamed.contains(event)), "{streamed:?}");
    let stages = server.get(&format!("/workflows/{id}/stages")).expect(200);
    assert_eq!(stages["items"][0]["status"], one["status"]);
    assert_eq!(stages["items"][0]["tasks_completed"], one["agents_completed"]);
    let inbox = server.get("/inbox").expect(200);
    assert_eq!(desk.expect(0, &["inbox", "--json"]).json(), *inbox["items"].as_array().unwrap());
}

#[test]
fn pages_survive_inserts_and_know_their_end() {
    let (_desk, server) = served(&[ASK]);
    let ids: Vec<String> = (0..5).map(|_| server.begin(&named())).collect();
    let page = server.get("/workflows?limit=2").expect(200);
    server.begin(&named());
    let mut seen = vec![page["items"][0]["id"].clone(), page["items"][1]["id"].clone()];
    let mut cursor = page["next_cursor"].clone();
    while let Some(at) = cursor.as_str() {
        let page = server.get(&format!("/workflows?limit=2&cursor={at}")).expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        cursor = page["next_cursor"].clone();
    }
    let wanted: Vec<Value> = ids.into_iter().rev().map(Value::String).collect();
    assert_eq!(seen, wanted);

    let id = wanted[0].as_str().unwrap();
    let all = server.get(&format!("/workflows/{id}/events")).expect(200);
    let first = server.get(&format!("/workflows/{id}/events?limit=1")).expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = server.get(&format!("/workflows/{id}/events?cursor={cursor}")).expect(200);
    let mut together = first["items"].as_array().unwrap().clone();
    together.extend_from_slice(rest["items"].as_array().unwrap());
    assert_eq!(together, *all["items"].as_array().unwrap());
}

#[test]
fn a_project_is_kept_shown_and_filtered_by() {
    let (_desk, server) = served(&[NOOP]);
    let project = "0198f000-0000-7000-8000-000000000001";
    let mut own = named();
    own["project_id"] = json!(project);
    let (with, without) = (server.begin(&own), server.begin(&named()));
    assert_eq!(server.until(&with, "completed")["project_id"], project);
    assert_eq!(server.until(&without, "completed")["project_id"], Value::Null);
    let fork = server.post(&format!("/workflows/{with}/fork"), &json!({})).expect(201);
    assert_eq!(fork["project_id"], project, "a copy belongs to it as well");
    let list = |query: &str| -> Vec<String> {
        let listed = server.get(&format!("/workflows?{query}")).expect(200);
        let items = listed["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let copy = fork["id"].as_str().unwrap().to_owned();
    assert_eq!(list(&format!("project={project}")), [copy.clone(), with.clone()]);
    assert_eq!(list(&format!("project={project}&origin=fork&type=workflow")), [copy]);
    assert_eq!(list("project=0198f000-0000-7000-8000-000000000002"), Vec::<String>::new());
    assert_eq!(list("type=workflow").len(), 3);
    assert_eq!(server.get("/workflows?type=masterplan").status, 400);
    assert_eq!(server.get("/workflows?project=mine").status, 400);
    own["project_id"] = json!("mine");
    assert_eq!(server.post("/workflows", &own).status, 400);
    server.kill();
}

#[test]
fn a_worker_fails_and_says_so_again() {
    let task = |id: &str, kind: &str| {
        format!(
            "{{ id: {id}, worker: {kind}, on_failure: continue, effect: idempotent, retry: {{ attempts: 2, backoff: 10m }} }}"
        )
    };
    let (_desk, server) = served(&[&task("a", "one"), &task("b", "two"), &task("c", "one")]);
    let id = server.begin(&named());
    server.until(&id, "running");
    let lease = |types: &[&str], max: u32| -> Vec<Value> {
        let body = json!({ "types": types, "worker": "w", "max": max, "wait": "20s" });
        server.post("/tasks/lease", &body).expect(200).as_array().unwrap().clone()
    };
    let batch = lease(&["one"], 5);
    let kinds: Vec<&Value> = batch.iter().map(|lease| &lease["type"]).collect();
    assert_eq!(kinds, ["one", "one"], "all there are of this type, and none of another");
    let other = lease(&["three", "two"], 1);
    assert_eq!((other.len(), &other[0]["type"]), (1, &json!("two")));
    let fail = |lease: &Value, error: &str, retryable: bool| {
        let body = json!({ "token": lease["token"], "error": error, "retryable": retryable, "happened": "no" });
        server.post(&format!("/tasks/{}/fail", lease["task_id"].as_str().unwrap()), &body)
    };
    let first = fail(&batch[0], "not now", true).expect(200);
    assert_eq!(first["status"], "waiting", "it is tried again after a pause");
    assert_eq!(fail(&batch[0], "not now", true).expect(200), first, "said again, answered alike");
    assert_eq!(fail(&batch[0], "another", true).expect(409)["code"], "stale_attempt");
    let last = fail(&batch[1], "never", false).expect(200);
    assert_eq!(last["status"], "failed", "no retry helps");
    assert_eq!(fail(&batch[1], "never", false).expect(200), last);
    assert_eq!(fail(&batch[1], "never", true).expect(409)["code"], "stale_attempt");
    let done = format!("/tasks/{}/complete", other[0]["task_id"].as_str().unwrap());
    server.post(&done, &json!({ "token": other[0]["token"], "output": 1 })).expect(200);
    let shown =
        server.get(&format!("/tasks/{}", batch[0]["task_id"].as_str().unwrap())).expect(200);
    assert_eq!(shown["calls"][0]["failure"]["message"], "not now");
    server.kill();
}

#[test]
fn every_fault_comes_at_once_with_its_pointer() {
    let (_desk, server) = served(&[NOOP]);
    let definition = json!({ "name": "x", "version": 1, "stages": [{ "name": "s", "tasks": [
        { "id": "a", "tool": "core.nop" }, { "id": "b", "needs": ["z"], "tool": "core.noop" }] }] });
    let body = json!({ "definition": definition, "priority": 10 });
    let problem = server.post("/workflows", &body).expect(422);
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert!(pointers.contains(&"/priority"), "{pointers:?}");
    for pointer in &pointers {
        assert!(body.pointer(pointer).is_some(), "{pointer} points at nothing");
    }
    assert_eq!(pointers.len(), 3, "{pointers:?}");
    let problem = server.post("/workflows", &json!({ "definition": "plan", "inputs": { "a": 1 } }));
    assert_eq!(problem.expect(422)["errors"][0]["pointer"], "/inputs/a");
    let checked = server.post_text("/definitions/validate", "application/yaml", "name: 1\n");
    assert_eq!(checked.expect(200)["valid"], false);
    assert_eq!(server.get("/workflows").expect(200)["items"], json!([]), "nothing was started");
}

#[test]
fn a_wrong_request_is_a_problem_and_never_a_fault_of_the_server() {
    let (_desk, server) = served(&[NOOP]);
    let some = "01a1fea7-92f5-794e-98ce-12b100000000";
    let cases = [
        (server.get("/nowhere"), 404, "not_found"),
        (server.get("/workflows/x"), 400, "invalid_request"),
        (server.get(&format!("/workflows/{some}")), 404, "no_such_workflow"),
        (server.get(&format!("/tasks/{some}")), 404, "no_such_task"),
        (server.get("/workflows?limit=0"), 400, "invalid_request"),
        (server.get("/workflows?statu=running"), 400, "invalid_request"),
        (server.get("/workflows?status=busy"), 400, "invalid_request"),
        (server.get("/workflows?cursor=-1"), 400, "invalid_request"),
        (server.get("/definitions/none"), 404, "no_such_definition"),
        (server.post("/definitions", &json!({})), 405, "method_not_allowed"),
        (server.post_text("/workflows", "text/plain", "{}"), 415, "unsupported_media_type"),
        (
            server.post_text("/workflows", "application/json", "{\"definition\":"),
            400,
            "invalid_request",
        ),
        (server.post("/workflows", &json!({ "definition": "none" })), 404, "no_such_definition"),
        (server.get_with("/workflows", &[("host", "evil.example")]), 403, "forbidden_host"),
        (
            server.get_with("/workflows", &[("origin", "http://evil.example")]),
            403,
            "forbidden_origin",
        ),
    ];
    for (answer, status, code) in cases {
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.expect(status);
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
        let page = server.get(&format!("//docs/errors/{code}"));
        assert_eq!(page.status, 200, "{code}");
    }
    let large = format!("{{\"definition\":\"{}\"}}", "x".repeat(5 << 20));
    // The server may hang up before it has read all of it; the client then has no answer.
    if let Ok(answer) = server.try_post_text("/workflows", "application/json", &large) {
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    server.get("/workflows").expect(200);
}

#[test]
fn a_reader_that_knows_the_newest_is_told_so() {
    let (_desk, server) = served(&[ASK]);
    let id = server.begin(&named());
    first_task(&server, &id);
    let path = format!("/workflows/{id}");
    let tag = server.get(&path).header("etag").to_owned();
    let known = server.get_with(&path, &[("if-none-match", &tag)]);
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    server.post(&format!("{path}/pause"), &json!({})).expect(200);
    assert_eq!(server.get_with(&path, &[("if-none-match", &tag)]).status, 200);
}

#[test]
fn a_task_shows_its_calls_and_a_doubt_is_settled() {
    let desk = Desk::new();
    desk.write("baton.toml", "[tools.shell]\nallow = true\n[limits]\ntimeout = \"1s\"\n");
    let hangs =
        r#"{ id: hangs, tool: shell.run, permission: read_write, with: { script: "sleep 60" } }"#;
    desk.define("plan.yaml", &[hangs]);
    let server = Server::start(&desk);
    let id = server.begin(&named());
    let mut task = server.get(&format!("/workflows/{id}/tasks")).expect(200)["items"][0].clone();
    while task["waits_for"] != "in_doubt" {
        let now = server.get(&format!("/workflows/{id}")).expect(200);
        let next = now["revision"].as_u64().unwrap() + 1;
        task = server.get(&format!("/workflows/{id}/tasks")).expect(200)["items"][0].clone();
        if task["waits_for"] != "in_doubt" {
            server.get(&format!("/workflows/{id}?revision={next}&wait=30s"));
        }
    }
    let path = format!("/tasks/{}", task["id"].as_str().unwrap());
    let shown = server.get(&path).expect(200);
    assert_eq!(shown["calls"][0]["tool"], "shell.run");
    assert_eq!(shown["calls"][0]["input"]["script"], "sleep 60");
    assert_eq!(shown["calls"][0]["failure"]["happened"], "unknown");
    let settled = json!({ "happened": true, "result": { "code": 0 } });
    server.post(&format!("{path}/settle"), &settled).expect(200);
    server.until(&id, "completed");
    assert_eq!(server.get(&path).expect(200)["output"]["code"], 0);
    let copy = server.post(&format!("/workflows/{id}/fork"), &json!({})).expect(201);
    assert_eq!(copy["origin"], "fork");
    let again = server.post(&format!("/workflows/{id}/retry"), &json!({ "tasks": ["none"] }));
    assert_eq!(again.expect(404)["errors"][0]["pointer"], "/tasks/0");
}

#[test]
fn a_trace_has_a_span_for_each_attempt_under_the_id_that_calls_pass_on() {
    let tasks = [
        "{ id: works, tool: core.noop, on_failure: continue }",
        "{ id: fails, tool: fs.read, with: { path: missing }, on_failure: continue }",
    ];
    let (_desk, server) = served(&tasks);
    let id = server.begin(&named());
    server.until(&id, "completed_with_errors");
    let trace = server.get(&format!("/workflows/{id}/trace")).expect(200);
    let spans = trace["items"].as_array().unwrap();
    let whole = &spans[0];
    assert_eq!(
        (&whole["status"], &whole["parent_span_id"]),
        (&json!("completed_with_errors"), &Value::Null)
    );
    let span = |key: &str| spans.iter().find(|span| span["name"] == key).unwrap();
    assert_eq!(
        (&span("works")["status"], &span("works")["tool"]),
        (&json!("completed"), &json!("core.noop"))
    );
    assert_eq!(span("fails")["status"], "failed");
    assert!(span("fails")["error"].as_str().unwrap().contains("missing"), "{trace}");
    assert!(spans[1..].iter().all(|span| span["parent_span_id"] == whole["span_id"]));
    let second = server.get(&format!("/workflows/{id}/trace?limit=1&cursor=1")).expect(200);
    assert_eq!((&second["items"][0], &second["next_cursor"]), (&spans[1], &json!("2")));
    let events = server.get(&format!("/events?workflow={id}&type=tool.called")).expect(200);
    let parents: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["traceparent"].as_str())
        .collect();
    for span in &spans[1..] {
        let within = span["span_id"].as_str().unwrap();
        assert!(parents.iter().any(|parent| parent.contains(within)), "{parents:?} and {span}");
    }
    server.kill();
}

#[test]
fn a_review_is_approved_at_the_revision_that_was_looked_at() {
    let (_desk, server) = served(&[NOOP]);
    let review = json!({ "definition": "plan", "review": true, "priority": 7 });
    let id = server.begin(&review);
    let item = server.get("/inbox").expect(200)["items"][0].clone();
    assert_eq!((&item["needs"], &item["workflow_id"]), (&json!("review"), &json!(id)));
    let path = format!("/workflows/{id}/approve");
    let revision = item["revision"].as_u64().unwrap();
    let stale = server.post(&path, &json!({ "revision": revision + 1 })).expect(409);
    assert_eq!(stale["code"], "stale_revision");
    server.post(&path, &json!({ "revision": revision })).expect(200);
    server.until(&id, "completed");
    let back = server.begin(&review);
    let told = server.post(&format!("/workflows/{back}/reject"), &json!({ "comments": "no" }));
    assert_eq!(told.expect(200)["status"], "draft");
}

#[test]
fn a_killed_server_forgets_nothing_and_a_signal_lets_what_runs_end() {
    let desk = Desk::new();
    let mut gate = desk.gate("gate");
    desk.define("plan.yaml", &[
        ASK,
        r#"{ id: waits, tool: shell.run, permission: read_write, with: { script: "echo up > up; read x < gate" }, needs: [ask] }"#,
    ]);
    let server = Server::start(&desk);
    let id = server.begin(&named());
    server.kill();

    let mut up = desk.gate("up");
    let mut server = Server::start(&desk);
    let task = first_task(&server, &id);
    server.post(&format!("/tasks/{task}/respond"), &json!({ "value": true })).expect(200);
    assert_eq!(up.read(), "up");
    server.signal(Signal::INT);
    server.hear("stopping");
    let late = server.post("/workflows", &named()).expect(503);
    assert_eq!(late["code"], "draining");
    gate.open();
    assert_eq!(server.end(), Some(0));
    let tasks = desk.shown();
    assert_eq!(tasks["tasks"][1]["status"], "completed", "{id}: {tasks}");
}

#[test]
fn nobody_else_is_let_in_without_tokens() {
    let desk = Desk::new();
    let refused = desk.expect(2, &["serve", "--listen", "0.0.0.0:0"]);
    assert!(refused.said.contains("no tokens"), "{refused:?}");
}

#[test]
fn the_reference_is_served_and_is_what_the_command_prints() {
    let (desk, server) = served(&[NOOP]);
    let document = server.get("//openapi.json").expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let printed: Value = serde_json::from_str(&desk.expect(0, &["openapi"]).out).unwrap();
    assert_eq!(document, printed);
    let page = server.get("//docs");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
}
