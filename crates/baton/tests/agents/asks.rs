//! Agents that ask people: on every surface, over `kill -9`, and nobody twice.

use serde_json::{Value, json};

use crate::common::Desk;
use crate::counter::Counter;
use crate::server::Server;
use crate::{MODEL, asked, call, define, desk, events, turns};

const CONFIG: &str = "
[models]
scripts = ['desk.yaml']
worker = ['scripted/desk']
[tools.http]
hosts = ['*']
allow_private = true
[agents.worker]
tools = ['person.ask', 'http.get']
";
const TASK: &str = "agent: worker";

/// An agent that asks this, perhaps beside another call, and says what it heard.
fn script(arguments: &Value, beside: &str) -> String {
    format!(
        "
answers:
  - turns:
      - text: I must know where.
        calls:
          - {{ tool: person.ask, arguments: {arguments} }}
          {beside}
      - {{ when: {{ contains: in the cellar }}, text: I go down. }}
      - {{ when: {{ contains: rejected by }}, text: I ask Bob. }}
      - {{ when: {{ contains: declined to answer }}, text: I leave it. }}
      - {{ when: {{ contains: must have }}, text: I ask for less. }}
      - text: I go up.
"
    )
}

fn question() -> Value {
    json!({ "question": "Where is it?" })
}

fn choice() -> Value {
    json!({ "question": "Where to?", "choices": ["up", "in the cellar"] })
}

/// A run that rests because a person is asked this.
fn waiting(arguments: &Value) -> Desk {
    let desk = desk(CONFIG, TASK, &script(arguments, ""));
    let called = desk.expect(3, &["run", "work.yaml"]);
    assert!(called.said.contains("waiting for a person"), "{called:?}");
    desk
}

fn resumed(desk: &Desk) -> String {
    desk.expect(0, &["resume", "last"]).out.trim().to_owned()
}

#[test]
fn ch8_killed_while_a_person_is_asked_it_goes_on_with_the_answer_and_asks_nothing_twice() {
    let counter = Counter::start();
    let beside = format!("- {{ tool: http.get, arguments: {{ url: '{}' }} }}", counter.url);
    let desk = desk(CONFIG, TASK, &script(&question(), &beside));
    let mut run = desk.start(&[&["run", "work.yaml", "--json"], &MODEL[..]].concat());
    run.until("task.waited", Some("a(1)"));
    counter.hear();
    run.kill();

    let item = asked(&desk);
    assert_eq!((&item["task"], &item["ask"]), (&json!("a(1)"), &json!("Where is it?")));
    assert_eq!((&item["needs"], &item["kind"]), (&json!("person"), &json!("form")));
    let shown = desk.shown();
    let agent = shown["tasks"].as_array().unwrap().iter().find(|task| task["key"] == "a").unwrap();
    assert_eq!(item["call_of"], agent["id"], "who asks");
    desk.expect(0, &["respond", "last/a(1)", "in the cellar"]);
    assert_eq!(desk.expect(0, &["inbox", "--json"]).json(), Vec::<Value>::new());

    let resumed = call(&desk, 0, &["resume", "last"]);
    assert_eq!(resumed.out.trim(), "I go down.");
    assert_eq!(counter.asked(), 2, "the call that was cut off was made again, once");
    let turns = turns(&desk);
    assert_eq!(turns.len(), 2, "no finished turn was asked again");
    let told = &turns[0]["calls"][0];
    assert_eq!(told["output"], json!({ "answer": "in the cellar" }));
    assert_eq!(told["attempts"], 1, "{told}");
    let waited = events(&desk, "task.waited");
    assert_eq!(waited.len(), 1, "{waited:?}");
    desk.expect(2, &["respond", "last/a(1)", "in the attic"]);
    desk.expect(0, &["doctor"]);
}

#[test]
fn ch9_a_choice_takes_one_of_its_options_and_the_inbox_shows_how() {
    let desk = waiting(&choice());
    let text = desk.expect(0, &["inbox"]).out;
    assert!(text.contains("Where to?") && text.contains("up | 'in the cellar'"), "{text}");
    let misfit = desk.expect(2, &["respond", "last/a(1)", "down"]);
    assert!(misfit.said.contains("none of the options"), "{misfit:?}");
    desk.expect(0, &["respond", "last/a(1)", "in the cellar"]);
    assert_eq!(resumed(&desk), "I go down.");
}

#[test]
fn ch9_a_no_is_told_to_the_model() {
    let desk = waiting(&question());
    desk.expect(0, &["reject", "last", "-m", "ask Bob"]);
    assert_eq!(resumed(&desk), "I ask Bob.");
    let told = turns(&desk)[0]["calls"][0]["error"].as_str().unwrap().to_owned();
    assert!(told.contains("rejected by") && told.contains("ask Bob"), "{told}");
    let desk = waiting(&choice());
    desk.expect(0, &["respond", "last/a(1)", "--decline"]);
    assert_eq!(resumed(&desk), "I leave it.");
}

#[test]
fn ch9_what_no_person_can_be_asked_goes_back_to_the_model() {
    let form = json!({ "type": "object", "properties": { "all": { "type": "object" } } });
    let arguments = json!({ "question": "How?", "form": form });
    let desk = desk(CONFIG, TASK, &script(&arguments, ""));
    assert_eq!(desk.expect(0, &["run", "work.yaml"]).out.trim(), "I go up.");
    let told = turns(&desk)[0]["calls"][0]["error"].as_str().unwrap().to_owned();
    assert!(told.contains("/properties/all"), "{told}");
}

#[test]
fn ch9_a_cancelled_run_asks_nobody_any_more() {
    let desk = waiting(&question());
    desk.expect(0, &["cancel", "last"]);
    desk.call(&["resume", "last"]);
    assert_eq!(desk.shown()["workflow"]["status"], "cancelled");
    assert_eq!(desk.expect(0, &["inbox", "--json"]).json(), Vec::<Value>::new());
    desk.expect(2, &["respond", "last/a(1)", "in the cellar"]);
}

#[test]
fn ch9_time_that_a_person_takes_counts_against_no_limit() {
    let desk = desk(CONFIG, TASK, &script(&question(), ""));
    define(&desk, "budget: { time: 1s }\n", "agent: worker, timeout: 1s");
    desk.expect(3, &["run", "work.yaml"]);
    let waits = |desk: &Desk| asked(desk)["task"] == "a(1)";
    assert!(waits(&desk));
    // Longer than both limits, with an owner there.
    let server = Server::start(&desk);
    let id = asked(&desk)["workflow_id"].as_str().unwrap().to_owned();
    let next = desk.shown()["workflow"]["revision"].as_u64().unwrap() + 1;
    let quiet = server.get(&format!("/workflows/{id}?revision={next}&wait=2s"));
    assert_eq!(quiet.status, 504, "nothing happens meanwhile: {quiet:?}");
    let path = format!("/tasks/{}/respond", asked(&desk)["task_id"].as_str().unwrap());
    server.post(&path, &json!({ "value": "in the cellar" })).expect(200);
    assert_eq!(server.until(&id, "completed")["output"], "I go down.");
}

#[test]
fn ch9_over_http_as_well_and_over_the_death_of_the_server() {
    let desk = desk(CONFIG, TASK, &script(&choice(), ""));
    let server = Server::start(&desk);
    let task = json!({ "id": "a", "agent": "worker", "prompt": "Go." });
    let work = json!({ "name": "work", "stages": [ { "name": "only", "tasks": [task] } ] });
    server.put("/definitions/work", &work).expect(200);
    let id = server.begin(&json!({ "definition": "work" }));
    let mut shown = server.get(&format!("/workflows/{id}")).expect(200);
    while shown["tasks_waiting_for_people"] != 1 {
        let next = shown["revision"].as_u64().unwrap() + 1;
        shown = server.get(&format!("/workflows/{id}?revision={next}&wait=30s")).expect(200);
    }
    let item = server.get("/inbox").expect(200)["items"][0].clone();
    server.kill();

    let server = Server::start(&desk);
    let again = server.get("/inbox").expect(200)["items"].clone();
    assert_eq!(again, json!([item]), "the same question, and it alone");
    assert_eq!(item["options"], json!(["up", "in the cellar"]));
    let page = server.get("//").text;
    assert!(page.contains("Where to?") && page.contains("in the cellar"), "{page}");
    let path = format!("/tasks/{}", item["task_id"].as_str().unwrap());
    let task = server.get(&path).expect(200);
    assert_eq!((&task["answer"], &task["ask"]), (&json!("choice"), &json!("Where to?")));
    assert_eq!((&task["options"], &task["call_of"]), (&item["options"], &item["call_of"]));
    let path = format!("{path}/respond");
    let wrong = server.post(&path, &json!({ "value": "down" })).expect(422);
    assert_eq!(wrong["code"], "invalid_answer");
    server.post(&path, &json!({ "value": "in the cellar" })).expect(200);
    server.until(&id, "completed");
    assert_eq!(server.post(&path, &json!({ "value": "up" })).status, 409);
}
