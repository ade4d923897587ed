//! MCP servers as tools, by the real binary: the real servers of the npm registry where they can be
//! had, and single calls of any tool.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::Desk;
use serde_json::{Value, json};

const PACKAGES: [&str; 2] =
    ["@modelcontextprotocol/server-filesystem", "@modelcontextprotocol/server-everything"];

/// The folder with the programs of the real servers, fetched once; none where that fails.
fn servers() -> Option<PathBuf> {
    static FETCHED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let fetched = FETCHED.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp-servers");
        let programs = cache.join("node_modules/.bin");
        if !programs.join("mcp-server-everything").exists() {
            std::fs::create_dir_all(&cache).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]).arg(&cache);
            npm.args(PACKAGES).stdout(Stdio::null()).stderr(Stdio::null());
            npm.status().ok().filter(std::process::ExitStatus::success)?;
        }
        Some(programs)
    });
    if fetched.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: npm cannot fetch the MCP servers");
    }
    fetched.clone()
}

/// A desk whose `baton.toml` names the real servers; `files` sees its folder `data`.
fn desk() -> Option<Desk> {
    let programs = servers()?;
    let desk = Desk::new();
    std::fs::create_dir(desk.path("data")).unwrap();
    desk.write("data/contacts.csv", "name,email\nAda,ada@example.org\n");
    let program = |name: &str| programs.join(name).display().to_string();
    desk.write(
        "baton.toml",
        &format!(
            "[servers.files]\ncommand = [{:?}, \"data\"]\n\n[servers.everything]\ncommand = [{:?}]\n",
            program("mcp-server-filesystem"),
            program("mcp-server-everything"),
        ),
    );
    Some(desk)
}

fn example(name: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("examples").join(name).display().to_string()
}

#[test]
fn the_shipped_examples_run_on_the_real_servers() {
    let Some(desk) = desk() else { return };
    let called = desk.expect(0, &["run", &example("mcp-files.yaml")]);
    assert!(called.out.contains("`contacts.csv`: name,email"), "{called:?}");
    assert!(desk.read("data/CONTENTS.md").contains("contacts.csv"));
    let called = desk.expect(0, &["run", &example("mcp-everything.yaml"), "--input", "seconds=1"]);
    assert!(called.out.contains("image/png") && called.out.contains("temperature"), "{called:?}");
}

#[test]
fn servers_and_their_tools_are_listed_with_what_they_are() {
    let Some(desk) = desk() else { return };
    let listed = desk.expect(0, &["servers", "--json"]).json();
    let files = listed.iter().find(|server| server["name"] == "files").unwrap();
    assert_eq!((&files["status"], &files["transport"]), (&json!("idle"), &json!("stdio")));
    assert_eq!(files["protocol_version"], "2025-11-25");
    let tools = desk.expect(0, &["tools", "--json"]).json();
    let effect = |name: &str| {
        tools.iter().find(|tool| tool["name"] == name).map(|tool| tool["effect"].clone()).unwrap()
    };
    assert_eq!(effect("files.read_text_file"), "read");
    assert_eq!(effect("files.write_file"), "idempotent");
    assert_eq!(effect("files.edit_file"), "once");
    assert_eq!(effect("fs.read"), "read");
}

#[test]
fn a_definition_with_an_unknown_tool_or_a_wrong_input_is_refused_as_for_built_in_tools() {
    let Some(desk) = desk() else { return };
    desk.define(
        "wrong.yaml",
        &[
            "{ id: a, tool: files.read_text_fil, with: { path: x } }",
            "{ id: b, tool: files.read_text_file, with: { pfad: x } }",
            "{ id: c, tool: files.write_file, with: { path: x, content: y } }",
        ],
    );
    let called = desk.expect(2, &["run", "wrong.yaml"]);
    assert!(called.said.contains("did you mean `files.read_text_file`"), "{called:?}");
    assert!(called.said.contains("`path` is missing"), "{called:?}");
    assert!(called.said.contains("permission: read_write"), "{called:?}");
}

#[test]
fn a_server_that_is_not_there_is_a_fault_of_the_definition_that_names_it() {
    let desk = Desk::new();
    desk.write("baton.toml", "[servers.gone]\ncommand = [\"/bin/false\"]\n");
    desk.define("uses.yaml", &["{ id: a, tool: gone.anything }"]);
    desk.define("does-not.yaml", &["{ id: a, tool: core.noop }"]);
    let called = desk.expect(2, &["run", "uses.yaml"]);
    assert!(called.said.contains("the server `gone` is not there"), "{called:?}");
    desk.expect(0, &["run", "does-not.yaml"]);
    let listed = desk.expect(0, &["servers", "--json"]).json();
    assert!(listed[0]["last_error"]["message"].as_str().unwrap().contains("exit status: 1"));
}

#[test]
fn or9_every_tool_call_ends_as_an_event_of_its_tool() {
    let desk = Desk::new();
    desk.write("hello.txt", "hello");
    let event = |called: &common::Called| called.json().pop().unwrap();
    let called = desk.expect(0, &["invoke", "fs.read", "--with", "path=hello.txt", "--json"]);
    let done = event(&called);
    assert_eq!(done["type"], "tool.fs.read.completed");
    assert_eq!(done["specversion"], "1.0");
    assert_eq!(done["data"]["tool"], "fs.read");
    assert_eq!(done["data"]["server_id"], "fs");
    assert_eq!(done["data"]["arguments"]["path"], "hello.txt");
    assert!(done["data"]["result"].to_string().contains("hello"), "{done}");
    assert!(done["data"]["duration_ms"].is_u64());
    assert!(done["traceparent"].as_str().unwrap().starts_with("00-"), "{done}");
    let called = desk.expect(1, &["invoke", "fs.read", "--with", "{\"path\":\"no\"}", "--json"]);
    let failed = event(&called);
    assert_eq!(failed["type"], "tool.fs.read.failed");
    assert_eq!(failed["data"]["error"]["kind"], "not_found");
    assert_ne!(failed["id"], done["id"]);
    assert_eq!(desk.shown()["workflow"]["origin"], "invoke");
}

#[test]
fn a_single_call_is_refused_whose_tool_or_input_is_wrong_and_its_input_is_no_template() {
    let desk = Desk::new();
    let called = desk.expect(2, &["invoke", "fs.reed"]);
    assert!(called.said.contains("baton tools"), "{called:?}");
    let called = desk.expect(2, &["invoke", "fs.read", "--with", "pfad=x"]);
    assert!(called.said.contains("`pfad`") && called.said.contains("`path`"), "{called:?}");
    let called = desk.expect(0, &["invoke", "core.noop", "--with", "value={{ tasks.x }}"]);
    assert!(called.out.contains("{{ tasks.x }}"), "{called:?}");
}

#[test]
fn servers_die_with_a_baton_that_is_killed() {
    let Some(desk) = desk() else { return };
    // The folder's own path marks this test's server among all processes.
    let mark = desk.path("data").display().to_string();
    let programs = servers().unwrap().join("mcp-server-filesystem").display().to_string();
    let everything = servers().unwrap().join("mcp-server-everything").display().to_string();
    desk.write(
        "baton.toml",
        &format!(
            "[servers.files]\ncommand = [{programs:?}, {mark:?}]\n\n[servers.everything]\ncommand = [{everything:?}]\n"
        ),
    );
    desk.define(
        "long.yaml",
        &[
            "{ id: list, tool: files.list_directory, with: { path: . } }",
            "{ id: long, tool: everything.trigger-long-running-operation, needs: [list], with: { duration: 60, steps: 60 } }",
        ],
    );
    let mut running = desk.start(&["run", "long.yaml", "--json"]);
    until("the server runs", || runs(&mark));
    running.until("task.started", Some("long"));
    running.kill();
    until("the server has ended", || !runs(&mark));
}

/// Whether some process has this among its arguments.
fn runs(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(mark))
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not in time: {what}");
        // sleep: other processes give no signal.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One exchange with a server; the status and the body.
fn exchange(address: &str, request: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = "Host: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json";
    write!(stream, "{request} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// A program that is ended with the test, however that ends.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn a_server_that_listens_is_called_and_one_that_does_not_is_said_so() {
    let Some(programs) = servers() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new(programs.join("mcp-server-everything"));
    server.arg("streamableHttp").env("PORT", port.to_string());
    let _server = Ended(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let desk = Desk::new();
    let url = |port: u16| format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
    desk.write("baton.toml", &format!("[servers.web]\n{}[servers.nobody]\n{}", url(port), url(1)));
    let called = desk.expect(0, &["invoke", "web.echo", "--with", "message=over there"]);
    assert!(called.out.contains("Echo: over there"), "{called:?}");
    let called = desk.expect(2, &["invoke", "nobody.echo"]);
    let is_plain = called.said.contains("127.0.0.1:1/mcp") && !called.said.contains("rmcp");
    assert!(is_plain, "{called:?}");
}

#[test]
fn servers_and_single_calls_are_served_over_http() {
    let Some(desk) = desk() else { return };
    let mut serving = desk.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let told = serving.line();
    let address = told["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let (status, servers) = exchange(&address, "GET /api/v1/servers", "");
    assert_eq!(status, 200, "{servers}");
    let names: Vec<&str> =
        servers["items"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["everything", "files"]);
    let call = json!({ "tool": "everything.echo", "with": { "message": "over here" } });
    let (status, workflow) = exchange(&address, "POST /api/v1/invoke", &call.to_string());
    assert_eq!((status, &workflow["status"]), (201, &json!("completed")), "{workflow}");
    assert!(workflow["output"].to_string().contains("over here"), "{workflow}");
    let wrong = json!({ "tool": "everything.echo", "with": { "massage": "?" } });
    let (status, problem) = exchange(&address, "POST /api/v1/invoke", &wrong.to_string());
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_inputs")), "{problem}");
    let (status, _) = exchange(&address, "POST /api/v1/invoke", "{\"tool\":\"no.such\"}");
    assert_eq!(status, 404);
    serving.kill();
}

#[test]
fn a_real_server_asks_in_the_middle_of_a_call_and_gets_what_a_person_says() {
    let Some(desk) = desk() else { return };
    let mut serving = desk.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let told = serving.line();
    let address = told["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let tool = "everything.trigger-elicitation-request";
    until("it offers to ask", || {
        let (_, tools) = exchange(&address, "GET /api/v1/tools", "");
        tools["items"].as_array().unwrap().iter().any(|known| known["name"] == tool)
    });
    let call = json!({ "tool": tool, "wait": "1ms" }).to_string();
    let (status, workflow) = exchange(&address, "POST /api/v1/invoke", &call);
    assert_eq!(status, 201, "{workflow}");
    let mut inbox = json!([]);
    until("it asks", || {
        inbox = exchange(&address, "GET /api/v1/inbox", "").1["items"].clone();
        inbox[0]["question"] == 1
    });
    let fields = &inbox[0]["form"]["properties"];
    assert_eq!(fields["email"]["format"], "email", "{inbox}");
    assert_eq!(fields["legacyTitledEnum"]["oneOf"][1]["title"], "Dogs", "{inbox}");
    let respond = format!("POST /api/v1/tasks/{}/respond", inbox[0]["task_id"].as_str().unwrap());
    let wrong = json!({ "value": { "name": "Ada", "email": "nobody", "integer": 101 } });
    let (status, problem) = exchange(&address, &respond, &wrong.to_string());
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2), "{problem}");
    let value = json!({ "value": { "name": "Ada", "titledMultipleSelectEnum": ["fish-2"] } });
    assert_eq!(exchange(&address, &respond, &value.to_string()).0, 200);
    let shown = format!("GET /api/v1/workflows/{}", workflow["id"].as_str().unwrap());
    let mut ended = json!({});
    until("it has ended", || {
        ended = exchange(&address, &shown, "").1;
        ended["status"] == "completed"
    });
    assert!(ended["output"].to_string().contains("Name: Ada"), "{ended}");
    serving.kill();
}
