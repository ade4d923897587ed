//! Agents as they are configured: what the real binary lists of them, and which definitions it takes.
//!
//! No model is asked: nothing here starts a task.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;
#[path = "common/server.rs"]
mod server;

use common::{Called, Desk};
use serde_json::{Value, json};
use server::Server;

const CONFIG: &str = r#"
[models]
worker = ["local/small"]

[models.known."local/big"]
window_tokens = 32768

[agents.reader]
tools = ["git.*", "fs.read"]
instructions = "Be brief."

[agents.writer]
models = ["local/big", "local/small"]
tools = ["fs.*"]
approve = ["fs.write"]
permission = "read_write"
turns = 9
usd = "0.25"
"#;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("baton.toml", CONFIG);
    desk
}

fn definition(task: &Value) -> Value {
    json!({ "name": "work", "stages": [ { "name": "one", "tasks": [task] } ] })
}

#[test]
fn agents_are_listed_alike_here_and_by_a_server() {
    let desk = desk();
    let here = desk.expect(0, &["agents", "--json"]).json();
    let names: Vec<&Value> = here.iter().map(|agent| &agent["name"]).collect();
    assert_eq!(names, ["reader", "writer"]);
    assert_eq!(here[0]["models"][0]["name"], "local/small");
    assert_eq!(here[0]["permission"], "read_only");
    assert_eq!(here[1]["limits"]["turns"], 9);
    assert_eq!(here[1]["limits"]["usd"], "0.25");
    let server = Server::start(&desk);
    assert_eq!(server.get("/agents").expect(200)["items"], json!(here));
    let url = server.url("//");
    let asked = desk.expect(0, &["agents", "--json", "--server", &url]);
    assert_eq!(asked.json(), here);
    let shown = desk.expect(0, &["agents"]).out;
    assert!(shown.contains("local/big, then local/small"), "{shown}");
    assert!(shown.contains("9 turns") && shown.contains("0.25 USD"), "{shown}");
}

#[test]
fn a_definition_with_agents_is_registered_with_all_that_it_pins() {
    let desk = desk();
    let server = Server::start(&desk);
    let task = json!({
        "id": "a", "agent": "writer", "prompt": "Write {{ inputs.what }}", "permission": "read_write",
        "tools": ["fs.read", "fs.write"], "output": { "type": "object" },
    });
    let mut work = definition(&task);
    work["inputs"] = json!({ "type": "object", "properties": { "what": { "type": "string" } } });
    server.put("/definitions/work", &work).expect(200);
    assert_eq!(server.get("/definitions/work").expect(200)["tasks"], 1);
    let asked = json!({ "definition": "work", "inputs": { "what": "it" }, "review": true });
    let id = server.begin(&asked);
    let plan = server.get(&format!("/workflows/{id}/plan")).expect(200);
    let text = plan.to_string();
    for word in ["local/big", "fs.write", "approval", "read_write"] {
        assert!(text.contains(word), "`{word}` is not reviewed in {text}");
    }
    assert!(!text.contains("fs.list"), "what the task left out is in {text}");
}

#[test]
fn a_fault_of_an_agent_is_told_with_its_place_and_what_to_do() {
    let desk = desk();
    let server = Server::start(&desk);
    let checks = |task: Value| {
        server.post("/definitions/validate", &definition(&task)).expect(200)["errors"].clone()
    };
    let found = checks(json!({ "id": "a", "agent": "raeder", "prompt": "x" }));
    assert_eq!(found[0]["pointer"], "/stages/0/tasks/0/agent");
    assert!(found[0]["detail"].as_str().unwrap().contains("did you mean `reader`?"), "{found}");
    let elevated =
        json!({ "id": "a", "agent": "reader", "prompt": "x", "permission": "read_write" });
    let found = checks(elevated);
    assert!(found[0]["detail"].as_str().unwrap().contains("[agents.reader]"), "{found}");
}

#[test]
fn an_agent_may_be_declared_beside_the_definition_and_the_configuration_goes_first() {
    let desk = desk();
    std::fs::create_dir(desk.path("flows")).unwrap();
    desk.write("flows/work.yaml", "name: work\nstages:\n  - name: one\n    tasks:\n      - { id: a, agent: guest, prompt: hi }\n");
    let run = ["run", "flows/work.yaml", "--review", "--json"];
    let said = desk.expect(2, &run).said;
    assert!(said.contains("there is no agent `guest`"), "{said}");
    desk.write("flows/baton.toml", "[tools.shell]\nallow = true\n[agents.guest]\ntools = [\"shell.run\"]\npermission = \"read_write\"\n[agents.reader]\ntools = [\"no.such\"]\n");
    let said = desk.expect(2, &run).said;
    assert!(said.contains("there is no tool `shell.run`"), "nothing else is believed: {said}");
    desk.write("flows/baton.toml", "[agents.guest]\ninstructions_file = \"guest.md\"\n[agents.reader]\ntools = [\"no.such\"]\n");
    desk.write("flows/guest.md", "Be kind.");
    desk.expect(3, &run);
    let plan = desk.shown().to_string();
    assert!(plan.contains("work"), "{plan}");
    desk.write("flows/work.yaml", "name: work\nstages:\n  - name: one\n    tasks:\n      - { id: a, agent: reader, prompt: hi }\n");
    desk.expect(3, &run);
}

#[test]
fn a_key_alone_is_enough_and_which_model_it_leads_to_is_said() {
    let desk = Desk::new();
    desk.write("baton.toml", "[agents.reader]\n");
    desk.define("work.yaml", &["{ id: a, agent: reader, prompt: hi }"]);
    let mut command = desk.command(&["run", "work.yaml", "--review"]);
    let said = Called::of(command.env("OPENAI_API_KEY", "none").output().unwrap());
    // A server that happens to run here goes first, and a key of another provider as well.
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.said.contains("agents ask "), "{said:?}");
}

#[test]
fn without_a_model_the_setting_that_is_missing_is_named() {
    let desk = Desk::new();
    desk.write("baton.toml", "[agents.reader]\n");
    desk.define("work.yaml", &["{ id: a, agent: reader, prompt: hi }"]);
    let keyless = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        for key in ["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"] {
            command.env_remove(key);
        }
        Called::of(command.output().unwrap())
    };
    let said = keyless(&["run", "work.yaml"]).said;
    assert!(said.contains("has no model") && said.contains("[models] worker"), "{said}");
    assert!(said.contains("--model scripted:FILE"), "{said}");
    let listed = keyless(&["agents"]).out;
    assert!(listed.contains("cannot be used: it has no model"), "{listed}");
}
