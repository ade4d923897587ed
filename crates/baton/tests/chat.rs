//! `baton chat` from outside, without a model: a playbook is found, asks, is reviewed and runs.

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

use std::io::Write;

use common::{Called, Desk};
use serde_json::Value;

/// A desk with two playbooks that fit "greet somebody" alike, and one that does not.
fn desk() -> Desk {
    let desk = Desk::new();
    for (name, word) in [("greet-warmly", "Dear"), ("greet-coolly", "Hello")] {
        desk.write(
            &format!("{name}.yaml"),
            &format!(
                "name: {name}\nversion: 1\ndescription: Greets somebody.\n\
                 playbook: {{ examples: [\"greet somebody\", \"{name}\"] }}\n\
                 inputs:\n  type: object\n  required: [who]\n  properties:\n    \
                 who: {{ type: string, title: Who is greeted }}\n    \
                 mark: {{ type: string, default: \"!\" }}\n\
                 stages: [ {{ name: only, tasks: [ {{ id: words, tool: core.noop, with: {{}} }} ] }} ]\n\
                 output: \"{word} {{{{ inputs.who }}}}{{{{ inputs.mark }}}}\"\n"
            ),
        );
    }
    desk
}

/// The entries of a conversation, and its last line, of `--json`.
fn entries(called: &Called, kind: &str) -> Vec<Value> {
    called.json().into_iter().filter(|line| line["kind"] == kind).collect()
}

fn last(called: &Called) -> Value {
    called.json().pop().unwrap()
}

#[test]
fn a_request_is_asked_about_reviewed_run_and_told() {
    let desk = desk();
    let called = desk.tell("Ada\na\n", &["chat", "greet-warmly"]);
    assert_eq!((called.code, called.out.trim()), (Some(0), "Dear Ada!"), "{called:?}");
    for part in
        ["? Who is greeted?", "plan · greet-warmly", "words", "assumed: mark: \"!\"", "no history"]
    {
        assert!(called.said.contains(part), "{part}: {}", called.said);
    }
    let shown = desk.shown();
    assert_eq!(shown["workflow"]["origin"], "chat");
}

#[test]
fn what_is_said_already_is_not_asked() {
    let desk = desk();
    let called = desk.expect(0, &["chat", "greet-warmly who=Grace", "--yes"]);
    assert_eq!(called.out.trim(), "Dear Grace!");
    assert!(!called.said.contains("? Who"), "{}", called.said);
}

/// Nothing fits: what can be done is said, and nothing is left behind.
#[test]
fn ch7_what_no_playbook_fits_leaves_nothing_but_an_answer() {
    let desk = desk();
    let called = desk.expect(1, &["chat", "book a flight to Lisbon"]);
    assert!(called.said.contains("greet-warmly: Greets somebody."), "{}", called.said);
    assert_eq!(desk.expect(0, &["list", "--json"]).json().len(), 0);
}

/// CH3: a restart between two rounds loses nothing, and nothing that was answered is asked again.
#[test]
fn ch3_a_kill_between_two_rounds_of_questions_loses_nothing() {
    let desk = desk();
    let (mut typed, mut chat) = desk.talk(&["chat", "greet somebody"]);
    chat.hear("? Which of these do you mean?");
    typed.write_all(b"greet-coolly\n").unwrap();
    chat.hear("? Who is greeted?");
    chat.kill();
    let called = desk.tell("Ada\na\n", &["chat", "--resume", "--json"]);
    assert_eq!(called.code, Some(0), "{called:?}");
    let asked = entries(&called, "clarification");
    let keys: Vec<&str> =
        asked.iter().map(|round| round["questions"][0]["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["definition", "who"]);
    assert_eq!(asked[0]["questions"][0]["answer"], "greet-coolly");
    let last = last(&called);
    assert_eq!(last["workflow"]["output"], "Hello Ada!");
    assert_eq!(last["conversation"]["doing"], "idle");
}

#[test]
fn who_cannot_answer_is_told_how_to_go_on() {
    let desk = desk();
    let waits = desk.expect(3, &["chat", "greet-warmly"]);
    assert!(waits.said.contains("baton chat --resume"), "{}", waits.said);
    let called = desk.tell("?\n", &["chat", "--resume"]);
    assert_eq!(called.code, Some(1), "it cannot choose a name: {called:?}");
    let waits = desk.tell("Ada\n", &["chat", "greet-warmly", "--json"]);
    assert_eq!(waits.code, Some(3));
    assert_eq!(last(&waits)["conversation"]["doing"], "waiting_for_user");
    desk.expect(0, &["approve", "last"]);
    let done = desk.expect(0, &["chat", "--resume", "--json"]);
    assert_eq!(last(&done)["workflow"]["status"], "completed");
}

#[test]
fn a_plan_is_sent_back_with_comments_and_does_not_run() {
    let desk = desk();
    let called = desk.tell("Ada\ntoo warm for me\n", &["chat", "greet-warmly", "--json"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    let plan = entries(&called, "plan");
    assert_eq!(plan[0]["review"]["sent_back"]["comments"], Value::Null, "it was shown before");
    assert_eq!(desk.shown()["workflow"]["status"], "cancelled");
    let said = entries(&called, "message");
    let text = said.last().unwrap()["text"].as_str().unwrap();
    assert!(text.contains("too warm for me"), "{text}");
}

/// A playbook with faults is left out, and that is said.
#[test]
fn a_playbook_with_faults_is_named() {
    let desk = desk();
    desk.write("broken.yaml", "name: broken\nversion: 1\nplaybook: { examples: [\"mend it\"] }\n");
    let called = desk.expect(1, &["chat", "mend it"]);
    assert!(called.said.contains("broken.yaml") && called.said.contains("baton run"), "{called:?}");
}

#[test]
fn commands_are_understood() {
    let desk = desk();
    let ran = desk.expect(0, &["chat", "/run greet-coolly who=Ada"]);
    assert_eq!(ran.out.trim(), "Hello Ada!");
    let status = desk.expect(0, &["chat", "/status"]);
    assert!(status.said.contains("Nothing is under way."), "{}", status.said);
    let unknown = desk.expect(0, &["chat", "/fly"]);
    assert!(unknown.said.contains("There is no command /fly"), "{}", unknown.said);
    let lost = desk.expect(1, &["chat", "/run nothing"]);
    assert!(lost.said.contains("There is no definition `nothing`"), "{}", lost.said);
    let escalated = desk.expect(3, &["chat", "/escalate I need a person"]);
    assert!(escalated.said.contains("A person is needed: I need a person"), "{}", escalated.said);
}
