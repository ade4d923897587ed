//! That an answer was scripted is said on every surface, and what a model was asked can be checked.

use serde_json::json;

use crate::server::Server;
use crate::{call, desk};

const CONFIG: &str = "
[models]
scripts = ['desk.yaml']
worker = ['scripted/desk']
[agents.thinker]
tools = ['core.noop']
";
const SCRIPT: &str = "
answers:
  - turns:
      - { text: I try., calls: [ { tool: core.noop, arguments: { value: 1 } } ] }
      - { text: It works. }
";

#[test]
fn or10_the_prompt_of_each_call_is_rebuilt_and_its_digest_is_the_journaled_one() {
    let desk = desk(CONFIG, "agent: thinker", SCRIPT);
    desk.expect(0, &["run", "work.yaml"]);
    for call in ["1", "2"] {
        let shown = desk.expect(0, &["show", "last/a", "--prompt", call, "--json"]);
        let prompt = shown.json().pop().unwrap();
        let turn = &crate::turns(&desk)[call.parse::<usize>().unwrap() - 1];
        assert_eq!(prompt["digest"], turn["digest"]);
        assert!(prompt["request"].to_string().contains("Go."), "{prompt}");
    }
    let none = desk.call(&["show", "last/a", "--prompt", "3"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    let whole = desk.expect(2, &["show", "last", "--prompt", "1"]);
    assert!(whole.said.contains("WORKFLOW/KEY"), "{whole:?}");
}

#[test]
fn scripted_is_said_on_every_surface() {
    let desk = desk(CONFIG, "agent: thinker", SCRIPT);
    let run = desk.expect(0, &["run", "work.yaml"]);
    assert!(run.said.contains("scripted/desk"), "{run:?}");
    let said = |arguments: &[&str]| {
        let called = desk.expect(0, arguments);
        assert!(called.out.contains("scripted/desk"), "{arguments:?}: {called:?}");
    };
    said(&["show", "last"]);
    said(&["show", "last/a"]);
    said(&["show", "last", "--json"]);
    said(&["show", "last", "--events", "--json"]);
    said(&["agents"]);
    assert!(desk.expect(0, &["show", "last"]).out.contains("scripted"));
    assert!(desk.expect(0, &["list"]).out.contains("(scripted)"));
    assert_eq!(desk.expect(0, &["list", "--json"]).json()[0]["scripted"], true);
    let shown = desk.shown();
    assert_eq!(shown["workflow"]["scripted"], true);
    let id = shown["workflow"]["id"].as_str().unwrap().to_owned();
    let task = desk.shown()["tasks"][0]["id"].as_str().unwrap().to_owned();
    let server = Server::start(&desk);
    for path in ["/workflows", &format!("/workflows/{id}")] {
        let answer = server.get(path).expect(200);
        let workflow = answer.get("items").map_or(&answer, |items| &items[0]);
        assert_eq!(workflow["scripted"], true, "{path}: {answer}");
    }
    for path in [
        format!("/workflows/{id}/events"),
        format!("/workflows/{id}/plan"),
        format!("/tasks/{task}/transcript"),
        format!("//workflows/{id}"),
        format!("//workflows/{id}?task=0"),
    ] {
        let answer = server.get(&path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.text.contains("scripted/desk"), "{path}: {answer:?}");
    }
}

#[test]
fn what_asks_no_model_is_not_called_scripted() {
    let desk = desk(CONFIG, "agent: thinker", SCRIPT);
    desk.define("work.yaml", &["{ id: a, tool: core.noop, with: {} }"]);
    desk.expect(0, &["run", "work.yaml"]);
    assert!(!desk.expect(0, &["list"]).out.contains("(scripted)"));
    assert_eq!(desk.expect(0, &["list", "--json"]).json()[0]["scripted"], false);
    assert!(!desk.expect(0, &["show", "last"]).out.contains("scripted"));
}

#[test]
fn a_definition_is_forecast_before_anything_is_submitted() {
    let desk = desk(CONFIG, "agent: thinker", SCRIPT);
    let none = desk.expect(0, &["forecast", "work.yaml"]);
    assert_eq!(none.out, "no history\n");
    desk.expect(0, &["run", "work.yaml"]);
    let told = desk.expect(0, &["forecast", "work.yaml"]).out;
    assert!(told.contains("from 1 earlier run\n  a "), "{told}");
    assert!(told.contains("cost unknown in 1 of 1 run"), "{told}");
    let forecast = desk.expect(0, &["forecast", "work.yaml", "--json"]).json().remove(0);
    assert_eq!((&forecast["runs"], &forecast["tasks"][0]["key"]), (&json!(1), &json!("a")));
    assert_eq!(desk.expect(0, &["list", "--json"]).json().len(), 1, "nothing is submitted by it");
    let wrong = desk.expect(2, &["forecast", "nowhere.yaml"]);
    assert!(wrong.said.contains("there is no file"), "{wrong:?}");
    let server = Server::start(&desk);
    assert_eq!(server.get("/definitions/work/forecast").expect(200), forecast);
    server.get("/definitions/nobody/forecast").expect(404);
    let url = server.url("//");
    for named in ["work.yaml", "work"] {
        let there = desk.expect(0, &["forecast", named, "--json", "--server", &url]);
        assert_eq!(there.json(), std::slice::from_ref(&forecast), "{named}");
    }
    desk.expect(2, &["forecast", "nobody", "--server", &url]);
}

#[test]
fn the_flag_is_said_by_every_command_that_may_use_it() {
    let desk = desk(CONFIG, "agent: thinker", SCRIPT);
    let line = "scripted answers from desk.yaml: no model is asked";
    assert!(call(&desk, 0, &["run", "work.yaml"]).said.contains(line));
    assert!(call(&desk, 0, &["retry", "last", "--task", "a"]).said.contains(line));
    assert_eq!(crate::sum(&desk)["models"], json!(["scripted/desk"]));
}
