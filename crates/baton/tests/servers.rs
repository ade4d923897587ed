//! MCP servers that misbehave, seen from outside: by the real binary, while it serves.
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

use std::time::{Duration, Instant};

use common::Desk;
use serde_json::{Value, json};
use server::Server;

/// It hears nothing any more once it is called while the file `sick` is there.
const PROGRAM: &str = r#"
import json, os, sys, time
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    result = {}
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "moody", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "work", "inputSchema": {"type": "object"},
                             "annotations": {"readOnlyHint": True}}]}
    elif method == "tools/call":
        while os.path.exists("sick"):
            time.sleep(600)
        result = {"content": [{"type": "text", "text": "done"}]}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("moody.py", PROGRAM);
    desk.write(
        "baton.toml",
        "[servers.moody]\ncommand = [\"python3\", \"moody.py\"]\nhealth_every = \"500ms\"\n\n\
         [servers.broken]\ncommand = [\"/bin/false\"]\n",
    );
    desk
}

/// Looks at a server until it is so.
fn until(server: &Server, name: &str, so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let listed = server.get("/servers").expect(200);
        let servers = listed["items"].as_array().unwrap();
        let found = servers.iter().find(|server| server["name"] == name).unwrap();
        if so(found) {
            return found.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "not in time: {found}");
        // sleep: what a server does gives no signal here.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn or2_a_stalled_server_is_found_within_its_lease_and_its_work_moves_on() {
    let desk = desk();
    desk.write("sick", "");
    let task = "{ id: a, tool: moody.work, timeout: 4s, retry: { attempts: 3, backoff: 1ms } }";
    desk.define("uses.yaml", &[task]);
    let server = Server::start(&desk);
    let id = server.begin(&json!({ "definition": "uses" }));
    let busy = until(&server, "moody", |moody| !moody["leases"].as_array().unwrap().is_empty());
    let lease = &busy["leases"][0];
    assert_eq!(lease["locked_by"], "moody.work", "{busy}");
    let shown = server.get(&format!("/workflows/{id}")).expect(200);
    assert_eq!(lease["conversation_id"], shown["conversation_id"]);
    assert!(lease["task_id"].is_string() && lease["lease_until"].is_string(), "{busy}");
    let stalled = until(&server, "moody", |moody| moody["status"] == "stalled");
    assert_eq!(stalled["leases"], busy["leases"], "found while the call still holds it");
    // Whoever is attached to the one who calls sees the same.
    let seen = desk.expect(0, &["servers", "moody", "--json"]).json().pop().unwrap();
    assert_eq!((&seen["status"], &seen["leases"]), (&json!("stalled"), &busy["leases"]));
    assert!(desk.expect(0, &["servers"]).out.contains("moody.work until 20"));
    std::fs::remove_file(desk.path("sick")).unwrap();
    server.until(&id, "completed");
    let well = until(&server, "moody", |moody| moody["status"] == "idle");
    assert_eq!((&well["attempts"], &well["starts"]), (&json!(2), &json!(2)), "{well}");
    assert!(well["last_error"]["message"].is_string(), "{well}");
    server.kill();
}

#[test]
fn or2_a_quarantine_is_lifted_by_command_and_the_journal_knows() {
    let desk = desk();
    let server = Server::start(&desk);
    let call = || drop(server.post("/invoke", &json!({ "tool": "broken.any" })));
    let is_left_alone = |broken: &Value| {
        call();
        broken["status"] == "quarantined"
    };
    let broken = until(&server, "broken", is_left_alone);
    assert!(broken["until"].is_string() && broken["why"].is_string(), "{broken}");
    let released = server.post("/servers/broken/release", &json!({})).expect(200);
    assert_eq!(released["status"], "idle", "{released}");
    desk.expect(0, &["servers", "broken", "--release"]);
    let events = server.get("/events?limit=1000").expect(200);
    let events = events["items"].as_array().unwrap();
    let noted = events.iter().filter(|event| event["type"] == "server.released");
    let by: Vec<&str> = noted.filter_map(|event| event["actor"].as_str()).collect();
    assert!(by.len() == 2 && by.iter().all(|actor| actor.starts_with("user:")), "{by:?}");
    let nobody = server.post("/servers/nobody/release", &json!({})).expect(404);
    assert_eq!(nobody["code"], "no_such_server");
    let nobody = desk.expect(2, &["servers", "nobody", "--release"]);
    assert!(nobody.said.contains("no server `nobody`"), "{nobody:?}");
    server.kill();
    let nobody = desk.expect(2, &["servers", "broken", "--release"]);
    assert!(nobody.said.contains("nobody calls servers here"), "{nobody:?}");
}
