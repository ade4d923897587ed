//! Traces and metrics as a real collector receives them.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

#[path = "telemetry/agents.rs"]
mod agents;
#[path = "telemetry/collector.rs"]
mod collector;
mod common;
#[path = "common/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use collector::{Collector, Received, free_port, program};
use common::Desk;
use server::Server;

/// What no trace may hold unless an operator asked for it.
const SECRET: &str = "what-a-task-was-given";

/// A host that says `ok` to one request; its head comes by the channel.
fn host() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        sender.send(head.to_ascii_lowercase()).unwrap();
    });
    (url, asked)
}

/// A desk whose telemetry goes to a collector.
fn desk(endpoint: &str, more: &str) -> Desk {
    let desk = Desk::new();
    let tools = "[tools.http]\nhosts = [\"127.0.0.1\"]\nallow_private = true\n";
    let telemetry = format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n{more}");
    desk.write("baton.toml", &format!("{tools}{telemetry}"));
    desk
}

fn named<'s>(spans: &'s [Received], name: &str) -> Vec<&'s Received> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn the<'s>(spans: &'s [Received], name: &str, task: &str) -> &'s Received {
    let is_it = |span: &&Received| span.name == name && span.get("baton.task.key") == task;
    spans.iter().find(is_it).unwrap_or_else(|| panic!("no {name} of {task} in {spans:#?}"))
}

#[test]
fn a_collector_receives_a_run_under_the_ids_that_its_calls_passed_on() {
    let Some(program) = program() else { return };
    let collector = Collector::start(&program, free_port());
    let desk = desk(&collector.url(), "");
    let (url, asked) = host();
    desk.define(
        "traced.yaml",
        &[
            &format!("{{ id: ask, tool: http.get, with: {{ url: '{url}{SECRET}' }} }}"),
            "{ id: each, each: '{{ [1, 2] }}', tool: core.noop, with: { value: '{{ item }}' } }",
            &format!(
                "{{ id: gone, tool: fs.read, with: {{ path: {SECRET} }}, on_failure: continue }}"
            ),
        ],
    );
    desk.expect(1, &["run", "traced.yaml"]);
    let shown = desk.shown();
    let spans = collector.trace("traced");

    let root = named(&spans, "invoke_workflow traced")[0];
    let workflow = shown["workflow"]["id"].as_str().unwrap();
    assert_eq!(root.trace, workflow.replace('-', ""));
    assert_eq!((root.parent.as_str(), root.status.as_str()), ("", ""), "{root:?}");
    for (name, value) in [
        ("gen_ai.operation.name", "invoke_workflow"),
        ("gen_ai.workflow.name", "traced"),
        ("gen_ai.conversation.id", shown["workflow"]["conversation_id"].as_str().unwrap()),
        ("baton.status", "completed_with_errors"),
        ("baton.run", "1"),
    ] {
        assert_eq!(root.get(name), value, "{name}");
    }

    // What the host was told is the span of the call.
    let call = the(&spans, "execute_tool http.get", "ask");
    let head = asked.recv().unwrap();
    let passed_on = format!("traceparent: 00-{}-{}-01\r\n", call.trace, call.id);
    assert!(head.contains(&passed_on), "{passed_on} is not in {head}");
    assert_eq!(call.get("gen_ai.tool.name"), "http.get");
    let task = the(&spans, "ask", "ask");
    assert_eq!((&call.parent, &task.parent), (&task.id, &root.id));

    let items = [the(&spans, "each", "each[0]"), the(&spans, "each", "each[1]")];
    let each = the(&spans, "each", "each");
    assert!(items.iter().all(|item| item.parent == each.id), "{spans:#?}");
    assert_eq!(the(&spans, "execute_tool core.noop", "each[1]").parent, items[1].id);

    let gone = the(&spans, "execute_tool fs.read", "gone");
    assert_eq!((gone.status.as_str(), gone.message.as_str()), ("STATUS_CODE_ERROR", ""));
    assert_eq!(gone.get("error.type"), "not_found");
    assert_eq!(the(&spans, "gone", "gone").get("baton.status"), "failed");
    let text = collector.until("figures", |text| text.contains("Name: baton.tool.calls"));
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn content_is_told_where_it_is_asked_for_and_while_a_server_runs() {
    let Some(program) = program() else { return };
    let collector = Collector::start(&program, free_port());
    let desk = desk(&collector.url(), "content = true\n");
    desk.define(
        "told.yaml",
        &[
            &format!("{{ id: a, tool: core.noop, with: {{ value: {SECRET} }} }}"),
            &format!(
                "{{ id: b, tool: fs.read, with: {{ path: {SECRET} }}, on_failure: continue }}"
            ),
        ],
    );
    let server = Server::start(&desk);
    desk.expect(1, &["run", "told.yaml"]);
    let spans = collector.trace("told");
    let told = the(&spans, "execute_tool core.noop", "a");
    let arguments = format!("{{\"value\":\"{SECRET}\"}}");
    assert_eq!(told.get("gen_ai.tool.call.arguments"), arguments);
    assert!(told.get("gen_ai.tool.call.result").contains(SECRET), "{told:?}");
    let failed = the(&spans, "execute_tool fs.read", "b");
    assert!(failed.message.contains(SECRET), "{failed:?}");
    server.kill();
}

#[test]
fn a_collector_that_is_away_harms_no_run_and_gets_it_when_it_is_back() {
    let Some(program) = program() else { return };
    let port = free_port();
    let desk = desk(&format!("http://127.0.0.1:{port}"), "");
    desk.define("alone.yaml", &["{ id: a, tool: core.noop }"]);
    let run = desk.expect(0, &["run", "alone.yaml"]);
    let said = &run.said;
    assert!(
        said.contains("not all spans were delivered") && said.contains(&port.to_string()),
        "{said}"
    );
    desk.define("kept.yaml", &["{ id: a, tool: core.noop }"]);
    let server = Server::start(&desk);
    desk.expect(0, &["run", "kept.yaml"]);
    let collector = Collector::start(&program, port);
    assert_eq!(collector.trace("kept").len(), 3);
    server.kill();
}

#[test]
fn spans_that_began_before_a_crash_end_after_it() {
    let Some(program) = program() else { return };
    let collector = Collector::start(&program, free_port());
    let desk = desk(&collector.url(), "[tools.shell]\nallow = true\n");
    let _gate = desk.gate("gate");
    let cut =
        "{ id: cut, tool: shell.run, permission: read_write, with: { script: 'read x < gate' } }";
    desk.define("crashed.yaml", &[cut]);
    let mut run = desk.start(&["run", "crashed.yaml", "--json"]);
    run.until("task.started", Some("cut"));
    run.kill();
    desk.expect(3, &["resume", "last"]);
    desk.expect(0, &["settle", "last/cut", "--happened", "--result", "7"]);
    let spans = collector.trace("crashed");
    let root = named(&spans, "invoke_workflow crashed")[0];
    let (call, task) = (the(&spans, "execute_tool shell.run", "cut"), the(&spans, "cut", "cut"));
    assert_eq!((call.get("baton.status"), call.get("error.type")), ("lost", "lost"), "{call:?}");
    assert_eq!((&call.parent, &task.parent), (&task.id, &root.id));
    assert_eq!(task.get("baton.status"), "completed");
    let created = desk.shown()["workflow"]["created_at"].as_str().unwrap().to_owned();
    let created: baton_core::time::Timestamp = created.parse().unwrap();
    assert_eq!(root.start, format!("{}000000", created.as_millis()));
}

#[test]
fn each_run_of_a_workflow_has_a_span_of_its_own_in_one_trace() {
    let Some(program) = program() else { return };
    let collector = Collector::start(&program, free_port());
    let desk = desk(&collector.url(), "");
    desk.define("again.yaml", &["{ id: a, tool: fs.read, with: { path: late.txt } }"]);
    desk.expect(1, &["run", "again.yaml"]);
    desk.write("late.txt", "here");
    desk.expect(0, &["retry", "last"]);
    let spans = collector.trace_with_run("again", "2");
    let runs = named(&spans, "invoke_workflow again");
    let tasks = named(&spans, "a");
    let calls = named(&spans, "execute_tool fs.read");
    assert_eq!((runs.len(), tasks.len(), calls.len()), (2, 2, 2), "{spans:#?}");
    for ((run, task), call) in runs.iter().zip(&tasks).zip(&calls) {
        assert_eq!((&task.parent, &call.parent), (&run.id, &task.id));
    }
    assert!(runs[0].id != runs[1].id && tasks[0].id != tasks[1].id && calls[0].id != calls[1].id);
    assert_eq!([runs[0].get("baton.status"), runs[1].get("baton.status")], ["failed", "completed"]);
}

#[test]
fn where_telemetry_goes_is_checked_before_anything_runs() {
    let desk = desk("127.0.0.1:4318", "");
    desk.define("never.yaml", &["{ id: a, tool: core.noop }"]);
    let said = desk.expect(2, &["run", "never.yaml"]).said;
    assert!(said.contains("`[telemetry] otlp_endpoint`: it is no address"), "{said}");
}
