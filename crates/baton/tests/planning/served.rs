//! Planning over HTTP: a server plans, survives its death, and answers are answers on every surface.

use serde_json::{Value, json};

use crate::server::Server;
use crate::{MODEL, call, desk, plan, plannings, propose, search};

/// Waits until something holds of a conversation, from revision to revision.
fn until(server: &Server, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut view = server.get(&format!("/conversations/{id}")).expect(200);
    while !holds(&view) {
        let next = view["revision"].as_u64().unwrap() + 1;
        let path = format!("/conversations/{id}?revision={next}&wait=30s");
        view = server.get(&path).expect(200);
    }
    view
}

#[test]
fn ch3_over_http_it_asks_plans_and_runs_and_over_the_death_of_the_server() {
    let question = json!({ "key": "folder", "question": "Which folder?", "reason": "There are two.",
        "type": "choice", "choices": ["src", "docs"] });
    let asks = call("chat.ask", json!({ "questions": [question] }));
    let desk = desk(&json!([
        { "agent": "planner", "when": { "contains": "\"answer\": \"src\"" },
          "turns": [propose(plan(json!([search()])))] },
        { "agent": "planner", "turns": [asks] },
    ]));
    let server = Server::start_with(&desk, &MODEL);
    let opened = server.post("/conversations", &json!({ "message": "find them" })).expect(201);
    let id = opened["conversation_id"].as_str().unwrap().to_owned();
    let asked = until(&server, &id, |view| view["questions"] != json!([]));
    assert_eq!(asked["questions"][0]["key"], "folder", "{asked}");
    server.kill();

    let server = Server::start_with(&desk, &MODEL);
    let path = format!("/conversations/{id}/answers");
    let wrong = json!({ "answers": [{ "key": "folder", "value": "elsewhere" }] });
    server.post(&path, &wrong).expect(422);
    server.post(&path, &json!({ "answers": [{ "key": "folder", "value": "src" }] })).expect(200);
    let proposed = until(&server, &id, |view| !view["proposal"].is_null());
    let workflow = proposed["proposal"].as_str().unwrap();
    let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
    let approved = json!({ "revision": shown["revision"] });
    server.post(&format!("/workflows/{workflow}/approve"), &approved).expect(200);
    server.until(workflow, "completed");
    let done = until(&server, &id, |view| view["workflows"] == json!([]));
    let used =
        plannings(&desk).into_iter().map(|one| one["usage"]["input_tokens"].as_u64().unwrap());
    assert_eq!(done["usage"]["input_tokens"], used.sum::<u64>(), "{done}");
}
