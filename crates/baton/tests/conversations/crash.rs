//! What was said is kept, and said once, whatever ends the server.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::client::{
    HELLO, address, answer, approve, asks, entries, is_idle, kinds, open, proposes, say_with,
    served, shown, tell, types, until,
};
use crate::server::{Answer, Server};

#[test]
fn ch2_a_context_shift_survives_a_restart() {
    let (desk, server) = served();
    let id = open(&server, Some(HELLO));
    let focus =
        json!({ "kind": "project", "id": "p1", "title": "Sheep", "summary": "All of them." });
    let told = tell(&server, &id, "context", &focus).expect(200);
    assert_eq!(told["focus"], focus);
    server.kill();
    let server = Server::start(&desk);
    assert_eq!(shown(&server, &id)["focus"], focus);
    let said = entries(&server, &id);
    assert!(said.iter().any(|entry| entry["kind"] == "context" && entry["focus"] == focus));
    let nowhere = "00000000-0000-7000-8000-000000000000";
    assert_eq!(tell(&server, nowhere, "context", &focus).status, 404, "a write that finds nothing");
}

#[test]
fn ch3_a_restart_between_two_rounds_of_questions_loses_nothing() {
    let (desk, server) = served();
    for colour in ["red", "blue"] {
        desk.write(
            &format!("paint-{colour}.yaml"),
            &format!(
                r#"
name: paint-{colour}
version: 1
description: Paints it {colour}.
playbook: {{ examples: ["paint the fence"] }}
inputs:
  type: object
  required: [side, coats]
  properties:
    side: {{ type: string, title: Which side }}
    coats: {{ type: integer, title: How many coats, minimum: 1, maximum: 3 }}
stages:
  - name: only
    tasks:
      - {{ id: paint, tool: core.noop, with: {{ value: "{{{{ inputs.side }}}} {{{{ inputs.coats }}}}" }} }}
output: "{{{{ tasks.paint.output }}}}"
"#
            ),
        );
    }
    let id = open(&server, Some("Paint the fence"));
    let view = until(&server, &id, asks);
    assert_eq!(view["questions"][0]["key"], "definition", "{view}");
    let which = json!({ "answers": [{ "key": "definition", "value": "paint-blue" }] });
    tell(&server, &id, "answers", &which).expect(200);
    server.kill();

    let server = Server::start(&desk);
    let view = until(&server, &id, |view| asks(view) && view["round"] == 2);
    assert_eq!(view["questions"].as_array().unwrap().len(), 2, "{view}");
    let side = json!({ "answers": [{ "key": "side", "value": "inner" }] });
    let view = tell(&server, &id, "answers", &side).expect(200);
    assert_eq!(view["questions"].as_array().unwrap().len(), 1, "what was answered is known");
    server.kill();

    let server = Server::start(&desk);
    let view = shown(&server, &id);
    assert_eq!((&view["questions"][0]["key"], &view["round"]), (&json!("coats"), &json!(2)));
    let four = json!({ "answers": [{ "key": "coats", "value": 4 }] });
    assert_eq!(tell(&server, &id, "answers", &four).expect(422)["code"], "invalid_answer");
    let decide = json!({ "answers": [{ "key": "coats", "decide": true }] });
    tell(&server, &id, "answers", &decide).expect(200);
    let workflow = approve(&server, &id);
    until(&server, &id, is_idle);
    let run = server.get(&format!("/workflows/{workflow}")).expect(200);
    assert_eq!((&run["name"], &run["output"]), (&json!("paint-blue"), &json!("inner 1")));
    let said = entries(&server, &id);
    let rounds: Vec<_> = said.iter().filter(|entry| entry["kind"] == "clarification").collect();
    assert_eq!(rounds.len(), 2, "nothing was asked twice");
    assert_eq!(rounds[1]["questions"][0]["answer"], "inner");
    assert_eq!(rounds[1]["questions"][1]["status"], "delegated");
    let plan = said.iter().find(|entry| entry["kind"] == "plan").unwrap();
    assert!(plan["assumptions"][0].as_str().unwrap().contains("left it to me"), "{plan}");
}

#[test]
fn a_message_under_a_key_is_said_once_also_over_a_kill() {
    let (desk, server) = served();
    let id = open(&server, None);
    let key = "Idempotency-Key: once\r\n";
    let told = say_with(&server, &id, HELLO, key);
    server.kill();
    let server = Server::start(&desk);
    let again = say_with(&server, &id, HELLO, key);
    assert_eq!(types(&again), types(&told), "it is told from the same message on");
    assert_eq!(kinds(&entries(&server, &id)), ["message", "clarification"]);
    let body = json!({ "text": "something else" }).to_string();
    let other = keyed(&server, &id, "once", &body);
    assert_eq!(other.expect(422)["code"], "idempotency_key_reused");
}

#[test]
fn a_server_killed_while_it_is_told_something_has_heard_it_once_or_not_at_all() {
    let (desk, mut server) = served();
    let id = open(&server, None);
    for number in 0..5 {
        let body = json!({ "text": format!("/status {number}") }).to_string();
        let key = format!("key-{number}");
        let address = address(&server);
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /api/v1/conversations/{id}/messages HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: application/json\r\nIdempotency-Key: {key}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        server.kill();
        server = Server::start(&desk);
        assert_eq!(keyed(&server, &id, &key, &body).status, 200);
    }
    until(&server, &id, is_idle);
    let said = entries(&server, &id);
    let asked: Vec<&str> = said
        .iter()
        .filter(|entry| entry["role"] == "user")
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    assert_eq!(asked, ["/status 0", "/status 1", "/status 2", "/status 3", "/status 4"]);
}

#[test]
fn a_plan_that_was_proposed_waits_for_its_review_over_a_kill() {
    let (desk, server) = served();
    let id = open(&server, Some(HELLO));
    until(&server, &id, asks);
    answer(&server, &id, "Ada");
    let view = until(&server, &id, proposes);
    server.kill();
    let server = Server::start(&desk);
    assert_eq!(shown(&server, &id)["proposal"], view["proposal"]);
    approve(&server, &id);
    until(&server, &id, is_idle);
    assert_eq!(entries(&server, &id).last().unwrap()["status"], "completed");
}

fn keyed(server: &Server, id: &str, key: &str, body: &str) -> Answer {
    server.post_with(&format!("/conversations/{id}/messages"), &[("idempotency-key", key)], body)
}
