//! One conversation from its first message to its closing one, without a model.

use serde_json::{Value, json};

use crate::client::{
    HELLO, answer, approve, asks, entries, is_idle, kinds, open, proposes, say, served, shown,
    tell, types, until,
};

#[test]
fn a_request_is_asked_about_planned_approved_and_done() {
    let (_desk, server) = served();
    let id = open(&server, None);
    assert_eq!(shown(&server, &id)["title"], "New conversation");

    let told = say(&server, &id, HELLO);
    let begins = ["conversation.message_added", "conversation.planning_started"];
    assert_eq!(types(&told)[..2], begins, "it begins with the message");
    let asked = told.iter().find(|message| message.event == "clarification.asked").unwrap();
    assert_eq!(asked.value()["conversationid"], json!(id));
    let done = told.last().unwrap();
    assert_eq!((done.event.as_str(), &done.id), ("done", &None));
    assert_eq!(done.value()["status"], "waiting_for_user");
    assert!(done.value()["usage"]["tokens"].is_u64(), "{done:?}");

    let view = shown(&server, &id);
    assert_eq!((&view["doing"], &view["round"]), (&json!("waiting_for_user"), &json!(1)));
    assert_eq!(view["questions"][0]["key"], "who");
    answer(&server, &id, "Ada");
    let view = until(&server, &id, proposes);
    assert_eq!(view["workflows"][0]["status"], "pending_review");
    let workflow = approve(&server, &id);
    let ended = until(&server, &id, is_idle);
    assert_eq!(ended["workflows"], json!([]));
    let run = server.get(&format!("/workflows/{workflow}")).expect(200);
    assert_eq!((&run["output"], &run["origin"]), (&json!("Hello Ada"), &json!("chat")));
    assert_eq!(run["conversation_id"], json!(id));

    let said = entries(&server, &id);
    assert_eq!(kinds(&said), ["message", "clarification", "message", "plan", "closing"]);
    assert_eq!(said[1]["questions"][0]["answer"], "Ada");
    assert_eq!(said[3]["review"], "approved");
    assert_eq!(said[4]["status"], "completed");
    assert_eq!(said[4]["tasks"][0]["key"], "hello");
    let texts = [&said[0], &said[4]].map(|entry| entry["text"].as_str().unwrap().to_owned());
    assert_eq!(texts, [HELLO, "greet is done: 1 of 1 tasks."]);
}

#[test]
fn a_definition_that_is_registered_is_found_and_a_plan_is_sent_back() {
    let (_desk, server) = served();
    let plan = json!({
        "name": "count", "version": 1, "description": "Counts.",
        "playbook": { "examples": ["count every sheep"] },
        "stages": [{ "name": "only", "tasks": [{ "id": "one", "tool": "core.noop" }] }],
    });
    let kept = server.put("/definitions/count", &plan);
    assert!([200, 201].contains(&kept.status), "{kept:?}");
    let opened = server.post("/conversations", &json!({ "message": "Count every\n sheep" }));
    assert!(opened.header("location").starts_with("/api/v1/conversations/"));
    let opened = opened.expect(201);
    assert_eq!(opened["title"], "Count every sheep");
    let id = opened["id"].as_str().unwrap();
    let proposed = until(&server, id, proposes);
    let workflow = proposed["proposal"].as_str().unwrap();
    let told = say(&server, id, "/plan");
    assert!(types(&told).contains(&"conversation.planning_ended"), "not before it is answered");
    let comments = json!({ "comments": "goats, please" });
    server.post(&format!("/workflows/{workflow}/reject"), &comments).expect(200);
    until(&server, id, is_idle);
    let said = entries(&server, id);
    let plan = said.iter().find(|entry| entry["kind"] == "plan").unwrap();
    assert_eq!(plan["review"]["sent_back"], comments);
    let run = server.get(&format!("/workflows/{workflow}")).expect(200);
    assert_eq!(run["status"], "cancelled", "{run}");

    let told = say(&server, id, "/run count");
    let types = types(&told);
    assert!(types.contains(&"workflow.finished") && types.contains(&"conversation.workflow_ended"));
    assert_eq!(told.last().unwrap().value()["status"], "idle", "it ends with the run");
}

#[test]
fn wf4_an_answer_is_never_older_than_the_revision_that_was_asked_for() {
    let (_desk, server) = served();
    let id = open(&server, None);
    let path = format!("/conversations/{id}");
    let told = tell(&server, &id, "messages", &json!({ "text": HELLO }));
    let revision: u64 = told.header("baton-revision").parse().unwrap();
    assert!(told.expect(200)["revision"].as_u64().unwrap() >= revision);
    let read = server.get(&format!("{path}?revision={revision}")).expect(200);
    assert!(read["revision"].as_u64().unwrap() >= revision && read["messages"] == 1, "{read}");

    let view = until(&server, &id, asks);
    let now = view["revision"].as_u64().unwrap();
    let late = server.get(&format!("{path}?revision={}&wait=1ms", now + 1)).expect(504);
    assert_eq!(late["code"], "revision_not_reached");
    let next = format!("{path}?revision={}&wait=30s", now + 1);
    std::thread::scope(|scope| {
        let waiting = [0, 1].map(|_| scope.spawn(|| server.get(&next).expect(200)));
        answer(&server, &id, "Ada");
        for read in waiting {
            assert!(read.join().unwrap()["revision"].as_u64().unwrap() > now);
        }
    });

    until(&server, &id, proposes);
    let tag = server.get(&path).header("etag").to_owned();
    let same = server.get_with(&path, &[("if-none-match", &tag)]);
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    approve(&server, &id);
    until(&server, &id, is_idle);
    assert_eq!(server.get_with(&path, &[("if-none-match", &tag)]).status, 200);
}

#[test]
fn what_does_not_fit_is_refused_with_every_fault_and_changes_nothing() {
    let (_desk, server) = served();
    let code = |answer: crate::server::Answer, status: u16| -> String {
        assert_eq!(answer.header("content-type"), "application/problem+json");
        answer.expect(status)["code"].as_str().unwrap().to_owned()
    };
    let nowhere = "00000000-0000-7000-8000-000000000000";
    assert_eq!(code(server.get(&format!("/conversations/{nowhere}")), 404), "no_such_conversation");
    let stream = server.get(&format!("/conversations/{nowhere}/stream"));
    assert_eq!(code(stream, 404), "no_such_conversation");
    let said = tell(&server, nowhere, "messages", &json!({ "text": "hi" }));
    assert_eq!(code(said, 404), "no_such_conversation");

    let empty = server.post("/conversations", &json!({ "message": " " }));
    assert_eq!(code(empty, 400), "invalid_request");
    assert_eq!(server.get("/conversations").expect(200)["items"], json!([]), "nothing was opened");

    let id = open(&server, Some(HELLO));
    until(&server, &id, asks);
    let revision = shown(&server, &id)["revision"].clone();
    let wrong =
        json!({ "answers": [{ "key": "who", "value": 7 }, { "key": "why", "skip": true }] });
    let refused = tell(&server, &id, "answers", &wrong);
    let errors = refused.json()["errors"].clone();
    assert_eq!(
        (&errors[0]["pointer"], &errors[1]["pointer"]),
        (&json!("/answers/0/value"), &json!("/answers/1/key"))
    );
    assert!(["invalid_answer", "no_such_question"].contains(&code(refused, 422).as_str()));
    let both = json!({ "answers": [{ "key": "who", "value": "Ada", "skip": true }] });
    assert_eq!(code(tell(&server, &id, "answers", &both), 400), "invalid_request");
    let long = json!({ "kind": "project", "id": "x".repeat(501), "title": "x".repeat(501) });
    let refused = tell(&server, &id, "context", &long);
    assert_eq!(refused.json()["errors"].as_array().unwrap().len(), 2);
    assert_eq!(code(refused, 400), "invalid_request");
    assert_eq!(
        code(tell(&server, &id, "escalate", &json!({ "reason": " " })), 400),
        "invalid_request"
    );
    assert_eq!(code(tell(&server, &id, "release", &Value::Null), 409), "claimed");
    assert_eq!(shown(&server, &id)["revision"], revision);

    tell(&server, &id, "close", &Value::Null).expect(200);
    assert_eq!(code(tell(&server, &id, "close", &Value::Null), 409), "already_closed");
    assert_eq!(code(tell(&server, &id, "stop", &Value::Null), 409), "nothing_to_stop");
}

#[test]
fn lists_are_filtered_and_paged_newest_first() {
    let (_desk, server) = served();
    let titles = ["One sheep", "two sheep", "Three goats"];
    let ids = titles.map(|title| {
        let opened = server.post("/conversations", &json!({ "title": title })).expect(201);
        opened["id"].as_str().unwrap().to_owned()
    });
    tell(&server, &ids[0], "close", &Value::Null).expect(200);
    let listed = |query: &str| -> Vec<String> {
        let page = server.get(&format!("/conversations?{query}")).expect(200);
        let of = |view: &Value| view["title"].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(listed(""), ["Three goats", "two sheep", "One sheep"]);
    assert_eq!(listed("q=SHEEP"), ["two sheep", "One sheep"]);
    assert_eq!(listed("status=closed"), ["One sheep"]);
    assert_eq!(listed("q=sheep&status=active"), ["two sheep"]);
    let page = server.get("/conversations?limit=2").expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(listed(&format!("limit=2&cursor={cursor}")), ["One sheep"]);

    for text in ["/status", "/plan", "/status"] {
        say(&server, &ids[1], text);
    }
    let all = entries(&server, &ids[1]);
    assert_eq!(all.len(), 6, "{all:?}");
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/conversations/{}/messages?limit=4{cursor}", ids[1]);
        let page = server.get(&path).expect(200);
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    paged.reverse();
    assert_eq!(paged, all);
}

#[test]
fn stop_means_stop_also_in_the_middle_of_a_call() {
    let (desk, server) = served();
    let _gate = desk.gate("gate");
    desk.write(
        "wait.yaml",
        r#"
name: wait
version: 1
description: Waits at a gate.
playbook: { examples: ["wait at the gate"] }
stages:
  - name: only
    tasks:
      - { id: hold, tool: shell.run, permission: read_write, with: { script: "read x < gate" } }
"#,
    );
    let id = open(&server, None);
    tell(&server, &id, "messages", &json!({ "text": "/run wait" })).expect(200);
    let mut sse = crate::client::follow(&server, &id, None);
    sse.take_until_kind("task.started");
    let told = say(&server, &id, "/stop");
    assert_eq!(types(&told)[0], "conversation.stopped");
    // Whether the script did something is not known: a person says so, and then it is over.
    assert_eq!(told.last().unwrap().value()["status"], "waiting_for_user");
    let inbox = server.get("/inbox").expect(200);
    let task = inbox["items"][0]["task_id"].as_str().unwrap();
    server.post(&format!("/tasks/{task}/settle"), &json!({ "happened": false })).expect(200);
    until(&server, &id, is_idle);
    let said = entries(&server, &id);
    let closing = said.last().unwrap();
    assert_eq!((&closing["kind"], &closing["status"]), (&json!("closing"), &json!("cancelled")));
    assert!(said.iter().any(|entry| entry["text"] == "Stopped."));
}

#[test]
fn a_workflow_that_is_started_for_a_conversation_is_linked_to_it() {
    let (_desk, server) = served();
    let id = open(&server, None);
    let start = json!({ "definition": "greet", "inputs": { "who": "Ada" }, "conversation_id": id });
    let mut sse = crate::client::follow(&server, &id, None);
    let workflow = server.begin(&start);
    let told = sse.take_until_kind("conversation.workflow_ended");
    let own = told.iter().filter(|message| message.value()["correlationid"] == json!(workflow));
    assert!(own.count() > 3, "{told:?}");
    assert_eq!(kinds(&entries(&server, &id)), ["started", "closing"]);
}
