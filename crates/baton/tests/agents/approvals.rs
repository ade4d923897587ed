//! Approvals of single calls: bound to what was shown, given once, and a denial goes back to the model.

use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::common::Desk;
use crate::server::Server;
use crate::{asked, call, define, desk, events, turns};

const CONFIG: &str = "
[models]
scripts = ['desk.yaml']
worker = ['scripted/desk']
[agents.writer]
tools = ['fs.write']
approve = ['fs.write']
permission = 'read_write'
";
const TASK: &str = "agent: writer, permission: read_write";
const SCRIPT: &str = "
answers:
  - turns:
      - calls: [ { tool: fs.write, arguments: { path: made.txt, text: exactly this } } ]
      - { when: { contains: rejected by }, text: I leave it. }
      - text: It is written.
";

fn waiting() -> Desk {
    let desk = desk(CONFIG, TASK, SCRIPT);
    let called = desk.expect(3, &["run", "work.yaml"]);
    assert!(called.said.contains("waiting for a person"), "{called:?}");
    assert_eq!(desk.read("made.txt"), "");
    desk
}

#[test]
fn ch9_a_call_is_made_after_its_approval_and_the_inbox_shows_exactly_what_it_is() {
    let desk = waiting();
    let item = asked(&desk);
    assert_eq!((&item["needs"], &item["kind"]), (&"approval".into(), &"approval".into()));
    let shown = r#"Call `fs.write` with {"path":"made.txt","text":"exactly this"}?"#;
    assert_eq!(item["ask"], shown);
    let text = desk.expect(0, &["inbox"]).out;
    assert!(text.contains(shown) && text.contains("baton approve "), "{text}");
    desk.expect(0, &["approve", item["task_id"].as_str().unwrap(), "-m", "go on"]);
    assert_eq!(desk.read("made.txt"), "", "nobody owns the store");
    assert_eq!(desk.expect(0, &["resume", "last"]).out.trim(), "It is written.");
    assert_eq!(desk.read("made.txt"), "exactly this");
    let again = desk.call(&["approve", item["task_id"].as_str().unwrap()]);
    assert_eq!(again.code, Some(2), "a second approval does nothing: {again:?}");
}

#[test]
fn ch9_the_example_of_stale_notes_writes_its_report_when_a_person_agrees() {
    let desk = Desk::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let example = |name: &str| examples.join(name).to_str().unwrap().to_owned();
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(desk.path(".")).status();
    assert!(git.unwrap().success());
    desk.write("main.rs", "// TODO: remove this\nfn main() {}\n");
    let model = format!("scripted:{}", example("scripts/stale-todos.yaml"));
    let model = ["--model", model.as_str()];
    desk.expect(3, &[&["run", &example("stale-todos.yaml")], &model[..]].concat());
    assert_eq!(desk.read("STALE-TODOS.md"), "");
    assert!(asked(&desk)["ask"].as_str().unwrap().contains("STALE-TODOS.md"));
    desk.expect(0, &["approve", "last"]);
    let resumed = desk.expect(0, &[&["resume", "last"], &model[..]].concat());
    assert!(resumed.out.contains("the report is STALE-TODOS.md"), "{resumed:?}");
    assert!(desk.read("STALE-TODOS.md").starts_with("# Stale notes"));
}

#[test]
fn ch9_the_only_call_that_waits_needs_no_name() {
    let desk = waiting();
    desk.expect(0, &["approve", "last"]);
    let again = desk.expect(2, &["approve", "last"]);
    assert!(again.said.contains("waits for an answer"), "{again:?}");
    desk.expect(0, &["resume", "last"]);
    assert_eq!(desk.read("made.txt"), "exactly this");
}

#[test]
fn ch9_a_denial_goes_back_to_the_model() {
    let desk = waiting();
    desk.expect(0, &["reject", "last", "-m", "not there"]);
    assert_eq!(desk.expect(0, &["resume", "last"]).out.trim(), "I leave it.");
    assert_eq!(desk.read("made.txt"), "");
    let told = turns(&desk)[0]["calls"][0]["error"].as_str().unwrap().to_owned();
    assert!(told.contains("rejected by") && told.contains("not there"), "{told}");
}

#[test]
fn ch9_an_approval_of_something_else_is_refused() {
    let desk = waiting();
    let digest = asked(&desk)["digest"].as_str().unwrap().to_owned();
    let other = digest.replace(|letter: char| letter.is_ascii_digit(), "f");
    let respond = |code, digest: &str| {
        let value = json!({ "approved": true, "digest": digest }).to_string();
        desk.expect(code, &["respond", "last/a(1)", &value])
    };
    let refused = respond(2, &other);
    assert!(refused.said.contains("another call"), "{refused:?}");
    assert_eq!(asked(&desk)["needs"], "approval", "it still waits");
    respond(0, &digest);
    desk.expect(0, &["resume", "last"]);
    assert_eq!(desk.read("made.txt"), "exactly this");
}

#[test]
fn ch9_an_approval_that_comes_too_late_does_nothing() {
    let desk = desk(&format!("{CONFIG}approve_within = '1ms'\n"), TASK, SCRIPT);
    // The run may rest, and leave, before or after that time is over.
    desk.call(&["run", "work.yaml"]);
    desk.expect(2, &["approve", "last/a(1)"]);
    desk.call(&["resume", "last"]);
    assert_eq!(desk.shown()["workflow"]["output"], "It is written.");
    let late = turns(&desk)[0]["calls"][0]["error"].clone();
    assert_eq!(late, "nobody approved the call in time");
    assert_eq!(desk.read("made.txt"), "");
    desk.expect(2, &["approve", "last/a(1)"]);
}

#[test]
fn ch9_over_http_as_well() {
    let desk = desk(CONFIG, TASK, SCRIPT);
    let server = Server::start(&desk);
    let task = json!({ "id": "a", "agent": "writer", "prompt": "Go.", "permission": "read_write" });
    let work = json!({ "name": "work", "stages": [ { "name": "only", "tasks": [task] } ] });
    server.put("/definitions/work", &work).expect(200);
    let id = server.begin(&json!({ "definition": "work" }));
    let mut shown = server.get(&format!("/workflows/{id}")).expect(200);
    while shown["tasks_waiting_for_people"] != 1 {
        let next = shown["revision"].as_u64().unwrap() + 1;
        shown = server.get(&format!("/workflows/{id}?revision={next}&wait=30s")).expect(200);
    }
    let item = server.get("/inbox").expect(200)["items"][0].clone();
    assert!(item["ask"].as_str().unwrap().contains("exactly this"), "{item}");
    let path = format!("/tasks/{}/respond", item["task_id"].as_str().unwrap());
    let approve = |digest: &Value| json!({ "value": { "approved": true, "digest": digest } });
    let wrong = server.post(&path, &approve(&json!("00"))).expect(422);
    assert_eq!(wrong["code"], "invalid_answer");
    assert_eq!(desk.read("made.txt"), "");
    server.post(&path, &approve(&item["digest"])).expect(200);
    server.until(&id, "completed");
    assert_eq!(desk.read("made.txt"), "exactly this");
    assert_eq!(server.post(&path, &approve(&item["digest"])).status, 409);
}

#[test]
fn ch9_of_two_people_who_approve_at_the_same_moment_one_is_heard_and_the_call_is_made_once() {
    let config = format!("[tools.shell]\nallow = true\n{CONFIG}").replace("fs.write", "shell.run");
    let script = "echo made >> made.log";
    let answers = SCRIPT
        .replace("tool: fs.write", "tool: shell.run")
        .replace("path: made.txt, text: exactly this", &format!("script: '{script}'"));
    let desk = desk(&config, TASK, &answers);
    desk.expect(3, &["run", "work.yaml"]);
    let (server, item) = (Server::start(&desk), asked(&desk));
    let path = format!("/tasks/{}/respond", item["task_id"].as_str().unwrap());
    let approval = json!({ "value": { "approved": true, "digest": item["digest"] } });
    let gate = Barrier::new(2);
    let approve = || {
        gate.wait();
        server.post(&path, &approval).status
    };
    let mut answers = std::thread::scope(|scope| {
        let both = [scope.spawn(approve), scope.spawn(approve)];
        both.map(|one| one.join().unwrap())
    });
    answers.sort_unstable();
    assert_eq!(answers, [200, 409]);
    server.until(item["workflow_id"].as_str().unwrap(), "completed");
    assert_eq!(desk.read("made.log"), "made\n");
    assert_eq!(events(&desk, "task.call_approved").len(), 1);
}

#[test]
fn ch9_the_plan_that_is_reviewed_says_which_calls_will_be_asked_about() {
    let desk = desk(CONFIG, TASK, SCRIPT);
    define(&desk, "", TASK);
    let reviewed = call(&desk, 3, &["run", "work.yaml", "--review"]);
    assert!(reviewed.said.contains("approve"), "{reviewed:?}");
    assert_eq!(desk.read("made.txt"), "");
}
