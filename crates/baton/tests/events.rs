//! What happens, as everybody is told of it: calls of tools as events, and one envelope for all, by
//! the real binary with real MCP servers and one of every bad manner.
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
#[path = "streams/listening.rs"]
mod listening;
#[path = "common/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use common::Desk;
use listening::{Message, Socket, Sse};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use server::Server;

/// The server of every bad manner: a build of all crates has made it.
fn rogue() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let program = Path::new(env!("CARGO_BIN_EXE_baton")).with_file_name("baton-test-rogue");
        if !program.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "-p", "baton-mcp", "--bin", "baton-test-rogue"]);
            assert!(cargo.status().unwrap().success(), "the rogue server cannot be built");
        }
        program
    };
    BUILT.get_or_init(build).clone()
}

/// The reference server that does everything, fetched once; none where that fails.
fn everything() -> Option<PathBuf> {
    static FETCHED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let fetch = || {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp-everything");
        let program = cache.join("node_modules/.bin/mcp-server-everything");
        if !program.exists() {
            std::fs::create_dir_all(&cache).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]).arg(&cache);
            npm.arg("@modelcontextprotocol/server-everything");
            let fetched = npm.stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !fetched.is_ok_and(|status| status.success()) {
                eprintln!("skipped: npm cannot fetch the MCP server");
                return None;
            }
        }
        Some(program)
    };
    FETCHED.get_or_init(fetch).clone()
}

/// A desk with servers of bad manners: one is called well, one goes deaf, one dies.
fn desk() -> Desk {
    let desk = Desk::new();
    let program = rogue().display().to_string();
    let tools = ["fail", "hang", "exit", "slow"];
    let server = |name: &str| {
        let effects = tools.map(|tool| {
            format!("[servers.{name}.tools.{tool}]\neffect = \"idempotent\"\npermission = \"read_only\"\n")
        });
        format!("[servers.{name}]\ncommand = [{program:?}]\n{}", effects.concat())
    };
    let mut config: String = ["rogue", "deaf", "mortal"].map(server).concat();
    if let Some(program) = everything() {
        config.push_str(&format!(
            "[servers.everything]\ncommand = [{:?}]\n",
            program.display().to_string()
        ));
    }
    desk.write("baton.toml", &config);
    desk
}

fn address(server: &Server) -> SocketAddr {
    server.url("//").trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// A plan of one stage.
fn plan(tasks: &Value) -> Value {
    let stages = json!([{ "name": "only", "tasks": tasks }]);
    json!({ "definition": { "name": "calls", "version": 1, "stages": stages } })
}

/// Byte for byte what a list says, page by page.
fn listed(server: &Server, path: &str, limit: u32) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = "0".to_owned();
    let join = if path.contains('?') { '&' } else { '?' };
    loop {
        let answer = server.get(&format!("{path}{join}limit={limit}&cursor={cursor}"));
        let page: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&answer.text).unwrap();
        let items: Vec<Box<RawValue>> = serde_json::from_str(page["items"].get()).unwrap();
        assert!(items.len() <= limit as usize + 1, "{}", answer.text);
        all.extend(items.iter().map(|item| item.get().to_owned()));
        match serde_json::from_str::<Option<String>>(page["next_cursor"].get()).unwrap() {
            Some(next) => cursor = next,
            None => return all,
        }
    }
}

fn values(all: &[String]) -> Vec<Value> {
    all.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn data(messages: Vec<Message>) -> Vec<String> {
    messages.into_iter().filter(|it| it.id.is_some()).map(|message| message.data).collect()
}

/// Calls of a workflow: how often each attempt was told to be called, and to have ended how.
fn calls(events: &[Value]) -> BTreeMap<(String, u64), Vec<String>> {
    let mut calls: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for event in events.iter().filter(|it| it["type"].as_str().unwrap().starts_with("tool.")) {
        let attempt = event["data"]["attempt"].as_u64().unwrap();
        let key = (event["task"].as_str().unwrap().to_owned(), attempt);
        calls.entry(key).or_default().push(event["type"].as_str().unwrap().to_owned());
    }
    calls
}

/// The tasks of a workflow whose calls end in every way but by being cancelled.
fn of_every_end() -> Value {
    let twice = json!({ "attempts": 2, "backoff": "10ms" });
    let mut tasks = vec![
        json!({ "id": "fails", "tool": "rogue.fail", "fallback": [{ "tool": "core.noop" }] }),
        json!({ "id": "hangs", "tool": "deaf.hang", "timeout": "1s", "retry": twice }),
        json!({ "id": "dies", "tool": "mortal.exit" }),
        json!({ "id": "each", "tool": "core.noop", "each": [1, 2, 3], "with": { "value": "{{ item }}" } }),
        json!({ "id": "plain", "tool": "core.noop", "with": { "value": "x".repeat(2_000) } }),
        json!({ "id": "waits", "wait": { "for": "10ms" } }),
    ];
    if everything().is_some() {
        let with = json!({ "message": "over" });
        tasks.push(json!({ "id": "echoes", "tool": "everything.echo", "with": with }));
    }
    for task in &mut tasks {
        task["needs"] = json!([]);
        task["on_failure"] = json!("continue");
    }
    Value::Array(tasks)
}

/// Starts it and waits for its end.
fn ended_in_every_way(server: &Server) -> String {
    let id = server.begin(&plan(&of_every_end()));
    let ended = server.until(&id, "completed_with_errors");
    assert_eq!(ended["tasks_failed"], 2, "{ended}");
    id
}

#[test]
fn or9_each_call_of_a_tool_ends_as_exactly_one_event() {
    let desk = desk();
    let server = Server::start(&desk);
    let id = ended_in_every_way(&server);
    let slow = json!([{ "id": "slow", "tool": "rogue.slow", "with": { "ms": 60_000 } }]);
    let cancelled = server.begin(&plan(&slow));
    let path = format!("/api/v1/workflows/{cancelled}/stream");
    let mut watch = Sse::open(address(&server), &path, None);
    watch.take_until_kind("tool.rogue.slow.called");
    server.post(&format!("/workflows/{cancelled}/cancel"), &json!({})).expect(200);
    server.until(&cancelled, "cancelled");

    let mut events = values(&listed(&server, &format!("/workflows/{id}/events"), 7));
    events.extend(values(&listed(&server, &format!("/workflows/{cancelled}/events"), 50)));
    let told = calls(&events);
    for ((task, attempt), told) in &told {
        let [called, end] = &told[..] else { panic!("{task} {attempt}: {told:?}") };
        let is_end = end.ends_with(".completed") || end.ends_with(".failed");
        assert!(called.ends_with(".called") && is_end, "{task} {attempt}: {told:?}");
    }
    let ends = |task: &str, attempt: u64| told[&(task.to_owned(), attempt)][1].clone();
    assert_eq!(ends("fails", 1), "tool.rogue.fail.failed");
    assert_eq!(ends("fails", 2), "tool.core.noop.completed");
    assert_eq!(ends("hangs", 2), "tool.deaf.hang.failed");
    assert_eq!(ends("dies", 1), "tool.mortal.exit.failed");
    assert_eq!(ends("each[2]", 1), "tool.core.noop.completed");
    assert_eq!(ends("slow", 1), "tool.rogue.slow.failed");
    let started = events.iter().filter(|it| it["type"] == "task.started").count();
    assert_eq!(told.len(), started - 1, "each attempt but that of the wait: {:?}", told.keys());
}

#[test]
fn or9_the_end_of_a_call_says_what_was_called_and_what_came_of_it() {
    let desk = desk();
    let server = Server::start(&desk);
    let id = ended_in_every_way(&server);
    let events = values(&listed(&server, &format!("/workflows/{id}/events"), 50));
    let failed = events.iter().find(|it| it["type"] == "tool.rogue.fail.failed").unwrap();
    assert_eq!(failed["source"], "/api/v1/servers/rogue");
    let data = &failed["data"];
    assert_eq!((&data["tool"], &data["server_id"]), (&json!("rogue.fail"), &json!("rogue")));
    assert!(data["error"]["message"].as_str().unwrap().contains("no such customer"), "{failed}");
    assert!(data["duration_ms"].is_u64(), "{failed}");
    let begun = events.iter().filter(|it| it["id"] == failed["causationid"]);
    let begun: Vec<&Value> = begun.map(|it| &it["type"]).collect();
    assert_eq!(begun, ["tool.rogue.fail.called", "task.started"]);
    let ended = |task: &str| {
        let is_end = |it: &&Value| it["task"] == task && it["type"] == "tool.core.noop.completed";
        events.iter().find(is_end).unwrap()["data"].clone()
    };
    assert_eq!(ended("each[1]")["arguments"]["value"], 2);
    assert_eq!(ended("each[1]")["result"], 2);
    let large = ended("plain");
    assert!(large["arguments"]["bytes"].as_u64().unwrap() > 2_000, "{large}");
    let place = large["result"]["$ref"].as_str().unwrap().trim_start_matches("/api/v1");
    assert!(server.get(place).expect(200)["output"].to_string().len() > 2_000);
}

#[test]
fn or9_calls_are_told_in_the_same_bytes_on_every_surface_and_picked_by_type() {
    let desk = desk();
    let server = Server::start(&desk);
    let mut live = Sse::open(address(&server), "/api/v1/events/stream", None);
    let id = ended_in_every_way(&server);
    let whole = listed(&server, "/events", 3);
    let newest = values(&whole).last().unwrap()["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(data(live.take_until(newest)), whole);
    let mut socket = Socket::open(address(&server));
    socket.say(&json!({ "after": 0 }));
    assert_eq!(data(socket.take_until(newest)), whole);
    let path = format!("/api/v1/workflows/{id}/stream");
    let all = listed(&server, &format!("/workflows/{id}/events"), 7);
    assert_eq!(data(Sse::open(address(&server), &path, None).rest()), all);

    let is_tools = |text: &String| text.contains("\"type\":\"tool.");
    let tools: Vec<String> = all.into_iter().filter(is_tools).collect();
    assert!(tools.len() > 10, "{tools:?}");
    assert_eq!(listed(&server, &format!("/workflows/{id}/events?type=tool.*"), 5), tools);
    assert_eq!(listed(&server, "/events?type=tool.*", 5), tools);
    let path = format!("{path}?type=tool.*");
    assert_eq!(data(Sse::open(address(&server), &path, None).rest()), tools);
    let path = "/api/v1/events/stream?after=0&type=tool.failed";
    assert_eq!(Sse::open(address(&server), path, None).take(1)[0].event, "tool.failed");
}

#[test]
fn or9_the_end_of_a_call_that_a_killed_server_began_is_told_once_by_the_next() {
    let desk = desk();
    let server = Server::start(&desk);
    let slow =
        json!([{ "id": "slow", "tool": "rogue.slow", "with": { "ms": 300 }, "timeout": "60s" }]);
    let id = server.begin(&plan(&slow));
    let path = format!("/api/v1/workflows/{id}/stream");
    let mut watch = Sse::open(address(&server), &path, None);
    watch.take_until_kind("tool.rogue.slow.called");
    server.kill();
    let server = Server::start(&desk);
    server.until(&id, "completed");
    let told = calls(&values(&listed(&server, &format!("/workflows/{id}/events"), 50)));
    let called = "tool.rogue.slow.called".to_owned();
    let lost = vec![called.clone(), "tool.rogue.slow.failed".to_owned()];
    let done = vec![called, "tool.rogue.slow.completed".to_owned()];
    assert_eq!(told.into_values().collect::<Vec<_>>(), [lost, done]);
}

/// What the specification asks of an event in JSON.
fn assert_is_cloud_event(event: &Value) {
    let attributes = event.as_object().unwrap();
    for (name, value) in attributes.iter().filter(|(name, _)| *name != "data") {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(name.chars().all(is_plain), "{name} in {event}");
        let text = value.as_str().unwrap_or_else(|| panic!("{name} in {event}"));
        assert!(!text.is_empty() && !text.contains(char::is_control), "{name} in {event}");
    }
    for name in ["id", "source", "type", "time"] {
        assert!(attributes.contains_key(name), "{name} in {event}");
    }
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["datacontenttype"], "application/json");
    let time = event["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{event}");
    assert!(event["source"].as_str().unwrap().starts_with("/api/v1"), "{event}");
    if let Some(parent) = event["traceparent"].as_str() {
        let parts: Vec<usize> = parent.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{event}");
    }
}

#[test]
fn or3_every_event_is_a_cloud_event_with_the_extensions_of_its_workflow() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let triggered = json!({ "name": "heard", "version": 1, "triggers": [{ "event": "repo.push" }],
        "stages": [{ "name": "only", "tasks": [{ "id": "a", "tool": "core.noop" }] }] });
    server.put("/definitions/heard", &triggered);
    let event = json!({ "specversion": "1.0", "id": "7", "source": "/ci", "type": "repo.push" });
    let taken = server.post("/events", &event).expect(200);
    let id = taken["items"][0]["started"][0].as_str().unwrap().to_owned();
    server.until(&id, "completed");
    server.delete("/definitions/heard");
    let events = values(&listed(&server, "/events", 10));
    let kinds: BTreeSet<&str> = events.iter().map(|it| it["type"].as_str().unwrap()).collect();
    for kind in [
        "definition.registered",
        "event.received",
        "trigger.fired",
        "workflow.admitted",
        "task.started",
        "tool.core.noop.completed",
    ] {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
    events.iter().for_each(assert_is_cloud_event);
    let names: BTreeSet<_> =
        events.iter().map(|it| (it["source"].as_str(), it["id"].as_str())).collect();
    assert_eq!(names.len(), events.len(), "source and id name one event");
    let own: Vec<&Value> = events.iter().filter(|it| it["correlationid"] == id.as_str()).collect();
    let shown = server.get(&format!("/workflows/{id}")).expect(200);
    for event in &own {
        assert_eq!(event["conversationid"], shown["conversation_id"]);
        let trace = event["traceparent"].as_str().unwrap().split('-').nth(1);
        assert_eq!(trace, shown["trace_id"].as_str());
        assert!(event["actor"].is_string() && event["subject"].is_string(), "{event}");
    }
    assert_eq!(own.len(), values(&listed(&server, &format!("/workflows/{id}/events"), 50)).len());
}

/// The task of this key, as a list of its workflow's tasks has it.
fn task(server: &Server, id: &str, key: &str) -> Value {
    let tasks = server.get(&format!("/workflows/{id}/tasks")).expect(200);
    tasks["items"].as_array().unwrap().iter().find(|task| task["key"] == key).unwrap().clone()
}

#[test]
fn what_a_tool_says_of_its_progress_is_shown_while_it_runs_and_told_a_few_times_a_second() {
    if everything().is_none() {
        return;
    }
    let desk = desk();
    let server = Server::start(&desk);
    let with = json!({ "duration": 2, "steps": 100 });
    let long = "everything.trigger-long-running-operation";
    let id = server.begin(&plan(&json!([{ "id": "long", "tool": long, "with": with }])));
    let mut stream = Sse::open(address(&server), &format!("/api/v1/workflows/{id}/stream"), None);
    let first = std::iter::from_fn(|| stream.next())
        .find(|message| message.data.contains("\"live\""))
        .unwrap();
    assert_eq!((first.event.as_str(), first.id.as_deref()), ("task.updated", None));
    let value = first.value();
    assert_eq!((&value["type"], &value["workflow_id"]), (&json!("task.progress"), &json!(id)));
    assert_eq!(value["live"]["total"], 100.0, "{value}");
    let shown = task(&server, &id, "long");
    assert!(shown["live"]["progress"].as_f64().unwrap() >= 1.0, "{shown}");
    let detail = server.get(&format!("/tasks/{}", shown["id"].as_str().unwrap())).expect(200);
    assert_eq!(detail["live"]["total"], 100.0, "{detail}");
    let page = server.get(&format!("//workflows/{id}?task=0")).text;
    assert!(page.contains(" %</bdi>") && page.contains("So far"), "{page}");
    let rest = stream.rest();
    let told = rest.iter().filter(|message| message.data.contains("\"live\"")).count();
    // Four a second, and a little for a machine that is slow.
    assert!((2..=16).contains(&told), "{told} in two seconds and a bit");
    assert!(task(&server, &id, "long").get("live").is_none());
}

#[test]
fn what_a_worker_says_of_its_progress_is_shown_until_its_attempt_ends_and_harms_nobody() {
    let desk = Desk::new();
    let server = Server::start(&desk);
    let id = server.begin(&plan(&json!([{ "id": "sum", "worker": "sums" }])));
    let ask = json!({ "types": ["sums"], "worker": "ada", "wait": "10s" });
    let lease = server.post("/tasks/lease", &ask).expect(200)[0].clone();
    let place = format!("/tasks/{}", lease["task_id"].as_str().unwrap());
    let mut stream = Sse::open(address(&server), "/api/v1/events/stream", None);
    let message = format!("\u{1b}[31m<script>alert(1)</script>\u{202e}{}", "x".repeat(500));
    let progress = json!({ "progress": 1, "total": 4, "message": message });
    let beat = json!({ "token": lease["token"], "progress": progress });
    server.post(&format!("{place}/heartbeat"), &beat).expect(200);
    let told = stream.next().unwrap();
    assert_eq!(told.event, "task.updated");
    let live = told.value()["live"].clone();
    assert_eq!((&live["progress"], &live["total"]), (&json!(1.0), &json!(4.0)));
    let said = live["message"].as_str().unwrap();
    assert!(said.starts_with("[31m<script>") && said.chars().count() == 200, "{said}");
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    assert_eq!(server.get(&place).expect(200)["live"], live);
    let page = server.get(&format!("//workflows/{id}")).text;
    assert!(page.contains("25 %") && !page.contains("<script>alert"), "{page}");
    // A stale holder says nothing for the task.
    let stale = json!({ "token": 99, "progress": 3 });
    assert_eq!(server.post(&format!("{place}/heartbeat"), &stale).status, 409);
    assert_eq!(server.get(&place).expect(200)["live"], live);
    let done = json!({ "token": lease["token"], "output": 7 });
    server.post(&format!("{place}/complete"), &done).expect(200);
    server.until(&id, "completed");
    assert!(server.get(&place).expect(200).get("live").is_none());
}
