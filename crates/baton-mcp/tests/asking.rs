//! What servers ask people in the middle of a call, in good and in bad manners.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy knows tests, not what they share"
)]

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use baton_core::body::Json;
use baton_core::workflow::question::{Answer, QUESTION_BYTES_MAX, Shape};
use baton_engine::asking::{Asking, Heard, Wish};
use baton_engine::ports::{Call, Control, Tools};
use baton_mcp::{Guard, McpTools, ServerConfig, ServerStatus, ServersConfig};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn rogue() -> Arc<McpTools> {
    let command = vec![env!("CARGO_BIN_EXE_baton-test-rogue").to_owned()];
    let config = ServerConfig { command, ..ServerConfig::default() };
    let servers: ServersConfig = [("r".to_owned(), config)].into_iter().collect();
    let guard = Guard { program: PathBuf::from("/usr/bin/env"), arguments: Vec::new() };
    Arc::new(McpTools::new(&servers, &guard).unwrap())
}

/// A call under way, whose line to people this test holds.
struct Asked {
    control: Control,
    wishes: mpsc::Receiver<Wish>,
    call: JoinHandle<Value>,
}

fn control(timeout: Duration) -> (Control, mpsc::Receiver<Wish>) {
    let (tell, wishes) = mpsc::channel();
    let asking = Asking::through(Box::new(move |wish| drop(tell.send(wish))));
    let mut control = Control::new(timeout);
    control.asking = asking;
    (control, wishes)
}

fn call_with(tools: &McpTools, tool: &str, input: &Value, control: &Control) -> Value {
    let call = Call {
        tool: tool.to_owned(),
        input: Json::of(input),
        folder: None,
        idempotency_key: String::new(),
        context: None,
    };
    tools.call(&call, control).unwrap().value()
}

/// What the server heard, as the call's output tells it.
fn heard(output: &Value) -> Vec<Value> {
    serde_json::from_str(output["text"].as_str().unwrap()).unwrap()
}

impl Asked {
    fn by(tools: &Arc<McpTools>, tool: &'static str, input: Value, timeout: Duration) -> Self {
        let (control, wishes) = control(timeout);
        let (tools, line) = (Arc::clone(tools), control.clone());
        let call = std::thread::spawn(move || call_with(&tools, tool, &input, &line));
        Self { control, wishes, call }
    }

    fn wish(&self) -> Wish {
        self.wishes.recv_timeout(PATIENCE).unwrap()
    }

    fn ends(self) -> Value {
        self.call.join().unwrap()
    }
}

fn said(answer: Answer) -> Heard {
    Heard::Said(answer)
}

#[test]
fn a_question_reaches_the_people_of_its_call_and_the_answer_the_server() {
    let tools = rogue();
    let asked = Asked::by(&tools, "r.ask", json!({}), PATIENCE);
    let Wish::Ask { ticket, question } = asked.wish() else { panic!("it asks") };
    assert_eq!(question.message, "Really?");
    let Shape::Form(form) = &question.shape else { panic!("{question:?}") };
    assert_eq!(form["properties"]["really"], json!({ "title": "Really?", "type": "boolean" }));
    let answer = question.answer(&json!({ "really": true })).unwrap();
    asked.control.asking.hear(ticket, said(answer));
    let answers = heard(&asked.ends());
    assert_eq!(answers, [json!({ "action": "accept", "content": { "really": true } })]);

    let asked = Asked::by(&tools, "r.ask", json!({}), PATIENCE);
    let Wish::Ask { ticket, .. } = asked.wish() else { panic!("it asks") };
    asked.control.asking.hear(ticket, said(Answer::Declined));
    assert_eq!(heard(&asked.ends()), [json!({ "action": "decline" })]);
}

#[test]
fn a_person_is_sent_to_an_address_and_says_when_they_were_there() {
    let params = json!({
        "mode": "url", "message": "Sign in.", "url": "https://example.org/in",
        "elicitationId": "e1",
    });
    let asked = Asked::by(&rogue(), "r.ask", json!({ "params": params }), PATIENCE);
    let Wish::Ask { ticket, question } = asked.wish() else { panic!("it asks") };
    assert_eq!(question.shape, Shape::Url("https://example.org/in".to_owned()));
    asked.control.asking.hear(ticket, said(question.answer(&json!(true)).unwrap()));
    assert_eq!(heard(&asked.ends()), [json!({ "action": "accept" })]);
}

#[test]
fn the_time_of_a_call_stands_still_while_people_are_asked() {
    let tools = rogue();
    // Started first: that takes its time too.
    call_with(&tools, "r.heard", &json!({}), &Control::new(PATIENCE));
    let span = Duration::from_secs(2);
    let asked = Asked::by(&tools, "r.ask", json!({}), span);
    let Wish::Ask { ticket, .. } = asked.wish() else { panic!("it asks") };
    // sleep: people take longer than the call may.
    std::thread::sleep(span + span / 2);
    let view = tools.views().remove(0);
    assert_eq!(view.status, ServerStatus::Busy, "{view:?}");
    asked.control.asking.hear(ticket, said(Answer::Declined));
    assert_eq!(heard(&asked.ends()), [json!({ "action": "decline" })]);
    assert!(tools.views().remove(0).last_error.is_none());
}

#[test]
fn what_cannot_be_asked_is_refused_and_nobody_sees_it() {
    let tools = rogue();
    let nested = json!({ "type": "object", "properties": { "x": { "type": "object" } } });
    let flat = json!({ "type": "object", "properties": {} });
    let wide: serde_json::Map<String, Value> =
        (0..200).map(|n| (format!("f{n}"), json!({ "type": "boolean" }))).collect();
    let huge = "x".repeat(QUESTION_BYTES_MAX + 1);
    for params in [
        json!({ "message": "m", "requestedSchema": nested }),
        json!({ "message": "m", "requestedSchema": "none" }),
        json!({ "message": "m", "requestedSchema": { "type": "object", "properties": wide } }),
        json!({ "message": huge, "requestedSchema": flat }),
        json!({ "message": 3 }),
        json!({ "mode": "url", "message": "m", "url": "javascript:alert(1)", "elicitationId": "e" }),
        json!({ "mode": "telepathy", "message": "m" }),
    ] {
        let asked = Asked::by(&tools, "r.ask", json!({ "params": params }), PATIENCE);
        let wishes = asked.wishes.try_iter().count();
        let answers = heard(&asked.ends());
        assert_eq!((wishes, &answers[0]["code"]), (0, &json!(-32602)), "{params}: {answers:?}");
    }
}

#[test]
fn of_two_questions_at_once_one_is_asked() {
    let asked = Asked::by(&rogue(), "r.ask_twice", json!({}), PATIENCE);
    let Wish::Ask { ticket, .. } = asked.wish() else { panic!("it asks") };
    // sleep: that the second one was refused is seen by the server alone.
    std::thread::sleep(Duration::from_millis(500));
    asked.control.asking.hear(ticket, said(Answer::Declined));
    let answers = heard(&asked.call.join().unwrap());
    let mut actions: Vec<&str> =
        answers.iter().filter_map(|answer| answer["action"].as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["cancel", "decline"]);
    assert_eq!(asked.wishes.try_iter().count(), 0);
}

#[test]
fn a_question_that_is_taken_back_is_taken_from_the_people() {
    let asked = Asked::by(&rogue(), "r.ask_back", json!({}), PATIENCE);
    let Wish::Ask { ticket, .. } = asked.wish() else { panic!("it asks") };
    assert_eq!(asked.wish(), Wish::TakeBack { ticket });
    assert_eq!(asked.ends()["text"], "done");
}

#[test]
fn nobody_is_asked_after_a_call_or_for_one_that_no_task_makes() {
    let tools = rogue();
    let output = call_with(&tools, "r.ask", &json!({}), &Control::new(PATIENCE));
    let answers = heard(&output);
    assert_eq!(answers[0]["action"], "cancel");
    assert!(answers[0]["_meta"]["reason"].as_str().unwrap().contains("no task"), "{answers:?}");
    let asked = Asked::by(&tools, "r.ask_late", json!({}), PATIENCE);
    assert_eq!(asked.call.join().unwrap()["text"], "done");
    let late = loop {
        let output = call_with(&tools, "r.heard", &json!({}), &Control::new(PATIENCE));
        if let Some(late) = heard(&output).pop() {
            break late;
        }
    };
    assert_eq!(late["action"], "cancel", "{late}");
}

#[test]
fn nobody_knows_whose_question_it_is_while_several_calls_run() {
    let tools = rogue();
    let other = Asked::by(&tools, "r.slow", json!({ "ms": 3_000 }), PATIENCE);
    while other.control.progress().is_none() {
        // sleep: progress gives no signal here.
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = Asked::by(&tools, "r.ask", json!({}), PATIENCE);
    let answers = heard(&asked.call.join().unwrap());
    assert_eq!(answers[0]["action"], "cancel");
    let reason = answers[0]["_meta"]["reason"].as_str().unwrap();
    assert!(reason.contains("concurrency = 1"), "{reason}");
    assert_eq!(asked.wishes.try_iter().count() + other.wishes.try_iter().count(), 0);
}
