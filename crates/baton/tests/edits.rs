//! Plans that are edited in review, over HTTP and at a terminal, as people do: at once, with faults,
//! and with the server killed in between.
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

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::{Called, Desk};
use serde_json::{Value, json};
use server::Server;

const FIRST: &str = "{ id: first, tool: core.noop, with: { value: 1 } }";

/// A server with a workflow in review whose output is what its first task brings.
fn reviewed() -> (Desk, Server, String) {
    let desk = Desk::new();
    desk.write(
        "plan.yaml",
        &format!(
            "name: plan\nversion: 1\ninputs:\n  type: object\n  properties: {{ who: {{ type: string }} }}\n\
             stages:\n  - name: only\n    tasks:\n      - {FIRST}\noutput: \"{{{{ tasks.first.output }}}}\"\n"
        ),
    );
    let server = Server::start(&desk);
    let id =
        server.begin(&json!({ "definition": "plan", "review": true, "inputs": { "who": "Ada" } }));
    (desk, server, id)
}

fn revision(server: &Server, id: &str) -> u64 {
    server.get(&format!("/workflows/{id}")).expect(200)["revision"].as_u64().unwrap()
}

fn definition(server: &Server, id: &str) -> Value {
    server.get(&format!("/workflows/{id}/plan?as=definition")).expect(200)
}

fn second() -> Value {
    let task = json!({ "id": "second", "tool": "core.noop", "needs": ["first"] });
    json!({ "op": "add", "path": "/stages/0/tasks/-", "value": task })
}

fn patch(server: &Server, id: &str, operations: Value) -> Value {
    json!({ "revision": revision(server, id), "patch": operations })
}

#[test]
fn a_patched_plan_is_what_runs_and_an_approval_of_the_one_before_is_refused() {
    let (desk, mut server, id) = reviewed();
    let (path, before) = (format!("/workflows/{id}/edits"), definition(&server, &id));
    let seen = revision(&server, &id);
    let value = json!({ "op": "replace", "path": "/stages/0/tasks/0/with/value", "value": 7 });
    let made = server.post(&path, &patch(&server, &id, json!([value, second()])));
    let now: u64 = made.header("baton-revision").parse().unwrap();
    let made = made.expect(201);
    assert_eq!((&made["edit"], &made["status"]), (&json!(1), &json!("applied")));
    assert_eq!(made["changes"]["added"], json!(["second"]));
    assert_eq!(made["changes"]["changed"], json!(["first"]));
    assert_eq!((now, revision(&server, &id)), (seen + 1, now));
    assert_eq!(definition(&server, &id)["stages"][0]["tasks"][1]["id"], "second");
    let approve = format!("/workflows/{id}/approve");
    let stale = server.post(&approve, &json!({ "revision": seen })).expect(409);
    assert_eq!(stale["code"], "stale_revision");

    server.kill();
    server = Server::start(&desk);
    assert_ne!(definition(&server, &id), before, "what was edited is not lost");
    server.post(&approve, &json!({ "revision": now })).expect(200);
    let done = server.until(&id, "completed");
    assert_eq!((&done["output"], &done["agents_total"]), (&json!(7), &json!(2)));
    let late = server.post(&path, &json!({ "revision": now, "patch": [] })).expect(409);
    assert_eq!(late["code"], "already_ended");
    assert_eq!(server.get(&path).expect(200)["items"], json!([made]));
    drop(server);
    let checked = desk.expect(0, &["doctor"]);
    assert!(!checked.said.contains("differs"), "{checked:?}");
}

#[test]
fn an_edit_is_undone_and_the_plan_is_as_it_was() {
    let (_desk, server, id) = reviewed();
    let (path, before) = (format!("/workflows/{id}/edits"), definition(&server, &id));
    for (n, title) in [(1, "one"), (2, "two")] {
        let titled = json!({ "op": "add", "path": "/stages/0/tasks/0/title", "value": title });
        let made = server.post(&path, &patch(&server, &id, json!([titled]))).expect(201);
        assert_eq!(made["edit"], n);
    }
    let refused = server.post(&format!("{path}/1/undo"), &json!({})).expect(409);
    assert_eq!(refused["code"], "not_newest_edit");
    assert_eq!(
        server.post(&format!("{path}/9/undo"), &json!({})).expect(404)["code"],
        "no_such_edit"
    );
    for n in [2, 1] {
        let undone = server.post(&format!("{path}/{n}/undo"), &json!({})).expect(200);
        assert_eq!((&undone["edit"], &undone["status"]), (&json!(n), &json!("undone")));
        assert_eq!(undone["undone_by"], undone["by"]);
    }
    assert_eq!(definition(&server, &id), before);
    let events = server.get(&format!("/workflows/{id}/events")).expect(200);
    let kinds: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds[1..],
        [
            "workflow.plan_edited",
            "workflow.plan_edited",
            "workflow.edit_undone",
            "workflow.edit_undone",
        ]
    );
}

#[test]
fn of_two_people_who_edit_at_once_the_second_is_told() {
    let (_desk, server, id) = reviewed();
    let path = format!("/workflows/{id}/edits");
    let both = [patch(&server, &id, json!([second()])), patch(&server, &id, json!([second()]))];
    let codes = std::thread::scope(|scope| {
        let told = both.each_ref().map(|edit| scope.spawn(|| server.post(&path, edit)));
        let mut codes = told.map(|told| told.join().unwrap().status);
        codes.sort_unstable();
        codes
    });
    assert_eq!(codes, [201, 409]);
    let stale = server.post(&path, &both[0]).expect(409);
    assert_eq!(stale["code"], "stale_revision");
    assert_eq!(server.get(&path).expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn every_fault_of_an_edit_is_told_and_nothing_is_stored() {
    let (_desk, server, id) = reviewed();
    let path = format!("/workflows/{id}/edits");
    let (before, seen) = (definition(&server, &id), revision(&server, &id));
    let faulty = "name: plan\nversion: 1\nstages:\n  - name: only\n    tasks:\n      - { id: a, tool: core.nope }\n      - { id: b, tool: core.noop, needs: [c] }\n";
    let told = server.post(&path, &json!({ "revision": seen, "plan": faulty })).expect(422);
    assert_eq!(told["code"], "invalid_definition");
    let lines: Vec<u64> =
        told["errors"].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [6, 7]);
    let renamed = json!({ "op": "replace", "path": "/name", "value": "other" });
    let cycle = json!({ "op": "add", "path": "/stages/0/tasks/0/needs", "value": ["first"] });
    let narrow =
        json!({ "op": "replace", "path": "/inputs/properties/who/type", "value": "integer" });
    let deep = (0..80).fold(json!(1), |inner, _| json!([inner]));
    let deep = json!({ "op": "add", "path": "/stages/0/tasks/0/with/deep", "value": deep });
    let copy = json!({ "op": "copy", "from": "", "path": "/stages/0/tasks/0/with/again" });
    let copies: Vec<Value> = std::iter::repeat_n(copy, 80).collect();
    let many: Vec<Value> = std::iter::repeat_n(second(), 10_001).collect();
    for (operations, status, code) in [
        (json!([renamed]), 422, "invalid_definition"),
        (json!([cycle]), 422, "invalid_definition"),
        (json!([narrow]), 422, "invalid_inputs"),
        (json!([{ "op": "remove", "path": "/stages/7" }]), 422, "invalid_patch"),
        (json!([{ "op": "remove", "path": "" }]), 422, "invalid_definition"),
        (json!([deep]), 422, "invalid_patch"),
        (Value::from(copies), 422, "invalid_patch"),
        (Value::from(many), 422, "invalid_patch"),
        (json!({}), 422, "invalid_patch"),
        (json!([]), 409, "nothing_changed"),
    ] {
        let shown = operations.to_string().chars().take(200).collect::<String>();
        let told = server.post(&path, &json!({ "revision": seen, "patch": operations }));
        assert_eq!(told.expect(status)["code"], code, "{shown}");
    }
    let neither = server.post(&path, &json!({ "revision": seen })).expect(400);
    assert_eq!(neither["code"], "invalid_request");
    assert_eq!(
        server.post(&path, &json!({ "revision": 99, "patch": [] })).expect(409)["code"],
        "stale_revision"
    );
    assert_eq!(server.get(&path).expect(200)["items"], json!([]));
    assert_eq!((definition(&server, &id), revision(&server, &id)), (before, seen));
}

#[test]
fn a_plan_that_was_sent_back_is_in_review_again_once_it_is_edited() {
    let (_desk, server, id) = reviewed();
    let comments = json!({ "comments": "two of them" });
    server.post(&format!("/workflows/{id}/reject"), &comments).expect(200);
    let edited = patch(&server, &id, json!([second()]));
    server.post(&format!("/workflows/{id}/edits"), &edited).expect(201);
    let inbox = server.get("/inbox").expect(200);
    assert_eq!(inbox["items"][0]["needs"], "review");
    let seen = inbox["items"][0]["revision"].clone();
    server.post(&format!("/workflows/{id}/approve"), &json!({ "revision": seen })).expect(200);
    assert_eq!(server.until(&id, "completed")["agents_total"], 2);
}

#[test]
fn an_input_that_an_edit_adds_has_its_default_and_loses_it_with_the_edit() {
    let (_desk, server, id) = reviewed();
    let path = format!("/workflows/{id}/edits");
    let adds = json!({ "op": "add", "path": "/inputs/properties/n", "value": { "type": "integer", "default": 5 } });
    let uses =
        json!({ "op": "replace", "path": "/output", "value": "{{ inputs.who }} {{ inputs.n }}" });
    server.post(&path, &patch(&server, &id, json!([adds, uses]))).expect(201);
    server.post(&format!("{path}/1/undo"), &json!({})).expect(200);
    server.post(&path, &patch(&server, &id, json!([adds, uses]))).expect(201);
    let seen = json!({ "revision": revision(&server, &id) });
    server.post(&format!("/workflows/{id}/approve"), &seen).expect(200);
    assert_eq!(server.until(&id, "completed")["output"], "Ada 5");
}

/// A desk with a workflow in review and nobody who serves it, and an editor that does this.
fn at_a_desk(script: &str) -> Desk {
    let desk = Desk::new();
    desk.define("plan.yaml", &[FIRST]);
    desk.write("editor", &format!("#!/bin/sh\n{script}\n"));
    let editable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(desk.path("editor"), editable).unwrap();
    desk
}

fn with_editor(desk: &Desk, lines: &str, arguments: &[&str]) -> Called {
    let mut command = desk.command(arguments);
    command.env_remove("VISUAL").env("EDITOR", desk.path("editor"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    Called::of(child.wait_with_output().unwrap())
}

const PLAYBOOK: &str = "name: greet\nversion: 1\ndescription: Greets.\n\
    playbook: { examples: [\"greet somebody\"] }\n\
    stages: [ { name: only, tasks: [ { id: words, tool: core.noop, with: { value: Hello } } ] } ]\n\
    output: \"{{ tasks.words.output }}\"\n";

#[test]
fn a_plan_in_a_chat_is_edited_before_it_is_approved() {
    let desk = at_a_desk("ls -l \"$1\" > seen; sed -i 's/value: Hello/value: Dear/' \"$1\"");
    desk.write("greet.yaml", PLAYBOOK);
    let called = with_editor(&desk, "e\na\n", &["chat", "greet somebody"]);
    assert_eq!((called.code, called.out.trim()), (Some(0), "Dear"), "{called:?}");
    assert!(desk.read("seen").starts_with("-rw-------"), "{}", desk.read("seen"));
    let edits = desk.expect(0, &["edit", "last", "--list", "--json"]).json();
    assert_eq!(
        (&edits[0]["edit"], &edits[0]["changes"]["changed"]),
        (&json!(1), &json!(["words"]))
    );
}

#[test]
fn faults_are_shown_at_their_lines_and_can_be_mended_or_dropped() {
    let desk = at_a_desk(
        "if [ -e tried ]; then sed -i 's/core.nope/core.noop/; s/value: Hello/value: Dear/' \"$1\"; \
         else touch tried; sed -i 's/core.noop/core.nope/' \"$1\"; fi",
    );
    desk.write("greet.yaml", PLAYBOOK);
    let called = with_editor(&desk, "e\ne\na\n", &["chat", "greet somebody"]);
    assert_eq!((called.code, called.out.trim()), (Some(0), "Dear"), "{called:?}");
    for part in ["there is no tool `core.nope`", "plan.yaml:", "1 fault"] {
        assert!(called.said.contains(part), "{part}: {}", called.said);
    }
    std::fs::remove_file(desk.path("tried")).unwrap();
    let called = with_editor(&desk, "e\nd\na\n", &["chat", "greet somebody"]);
    assert_eq!((called.code, called.out.trim()), (Some(0), "Hello"), "{called:?}");
    assert!(called.said.contains("nothing was changed"), "{}", called.said);
    desk.write("editor", "#!/bin/sh\nexit 3\n");
    let called = with_editor(&desk, "e\n", &["chat", "greet somebody"]);
    assert!(called.said.contains("set $VISUAL or $EDITOR"), "{}", called.said);
}

#[test]
fn a_script_edits_a_plan_by_a_file_shows_it_and_takes_it_back() {
    let desk = at_a_desk("true");
    let started = desk.expect(3, &["run", "plan.yaml", "--review", "--json"]);
    assert!(!started.out.is_empty());
    let shown = desk.expect(0, &["edit", "last", "--show"]).out;
    assert!(shown.contains("- id: first\n"), "{shown}");
    let revision =
        desk.expect(0, &["edit", "last", "--show", "--json"]).json()[0]["revision"].clone();
    desk.write("edited.yaml", &shown.replace("value: 1", "value: 9"));
    let file = ["edit", "last", "--file", "edited.yaml"];
    let told = desk.expect(0, &[&file[..], &["--json"]].concat()).json();
    assert_eq!(
        (&told[0]["status"], told[0]["revision"].as_u64()),
        (&json!("pending_review"), revision.as_u64().map(|r| r + 1))
    );
    let before = revision.to_string();
    let stale = [&file[..], &["--revision", &before]].concat();
    let refused = desk.expect(2, &stale);
    assert!(refused.said.contains("has changed since"), "{}", refused.said);
    assert!(desk.expect(2, &file).said.contains("changes nothing"));
    desk.write("broken.yaml", &shown.replace("core.noop", "core.nope"));
    let refused = desk.expect(2, &["edit", "last", "--file", "broken.yaml"]);
    for part in ["broken.yaml:", "core.nope", "nothing was edited"] {
        assert!(refused.said.contains(part), "{part}: {}", refused.said);
    }
    assert!(desk.expect(0, &["edit", "last", "--list"]).said.is_empty());
    assert!(desk.expect(0, &["edit", "last", "--list"]).out.contains("edit 1  applied"));
    desk.expect(0, &["edit", "last", "--undo", "1"]);
    assert_eq!(desk.expect(0, &["edit", "last", "--show"]).out, shown);
    assert!(desk.expect(0, &["edit", "last", "--list"]).out.contains("edit 1  undone"));
    let piped = desk.tell(&shown.replace("value: 1", "value: 4"), &["edit", "last", "--file", "-"]);
    assert_eq!(piped.code, Some(0), "{piped:?}");
    desk.expect(0, &["approve", "last"]);
    desk.expect(0, &["resume", "last"]);
    let checked = desk.expect(0, &["doctor"]);
    assert!(!checked.said.contains("differs"), "{checked:?}");
    assert!(desk.expect(2, &file).said.contains("has ended"));
}

#[test]
fn a_plan_behind_a_server_is_edited_like_one_here() {
    let (desk, server, id) = reviewed();
    let url = server.url("//").trim_end_matches('/').to_owned();
    let at = ["--server", url.as_str()];
    let shown = desk.expect(0, &[&at[..], &["edit", &id, "--show"]].concat()).out;
    desk.write("edited.yaml", &shown.replace("value: 1", "value: 3"));
    desk.expect(0, &[&at[..], &["edit", &id, "--file", "edited.yaml"]].concat());
    desk.write("broken.yaml", &shown.replace("core.noop", "core.nope"));
    let refused = desk.expect(2, &[&at[..], &["edit", &id, "--file", "broken.yaml"]].concat());
    for part in ["broken.yaml:", "core.nope", "nothing was edited"] {
        assert!(refused.said.contains(part), "{part}: {}", refused.said);
    }
    let listed = desk.expect(0, &[&at[..], &["edit", &id, "--list"]].concat());
    assert!(listed.out.contains("edit 1  applied  user:local  ~ first"), "{}", listed.out);
    desk.expect(0, &[&at[..], &["approve", &id]].concat());
    assert_eq!(server.until(&id, "completed")["output"], 3);
}
