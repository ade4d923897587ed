//! One order for all who follow a conversation, and no gap for who comes back.

use crate::client::{HELLO, answer, approve, asks, follow, is_idle, open, served, until};
use crate::listening::{Message, Sse};
use crate::server::Server;

const END: &str = "conversation.workflow_ended";

#[test]
fn ch5_or7_two_who_follow_live_and_one_who_comes_late_read_the_same_bytes() {
    let (_desk, server) = served();
    let id = open(&server, None);
    // Of another conversation, nothing is told.
    let other = open(&server, Some(HELLO));
    let mut live = [follow(&server, &id, None), follow(&server, &id, None)];
    crate::client::tell(&server, &id, "messages", &serde_json::json!({ "text": HELLO }))
        .expect(200);
    until(&server, &id, asks);
    let mut joins = follow(&server, &id, None);
    answer(&server, &id, "Ada");
    approve(&server, &id);
    let [one, two] = live.each_mut().map(|sse| sse.take_until_kind(END));
    assert_eq!(one, two);
    assert_eq!(joins.take_until_kind(END), one);
    assert_eq!(follow(&server, &id, None).take_until_kind(END), one);

    let names: Vec<&str> = one.iter().map(|message| message.event.as_str()).collect();
    for name in [
        "conversation.updated",
        "message.added",
        "clarification.asked",
        "plan.proposed",
        "workflow.updated",
        "task.updated",
        "tool.called",
        "tool.completed",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(one.iter().all(|message| message.value()["conversationid"] == id.as_str()));
    assert!(!one.iter().any(|message| message.data.contains(&other)));
    let places: Vec<&Message> = one.iter().filter(|message| message.position().is_some()).collect();
    assert!(places.is_sorted_by_key(|message| message.position()));
}

#[test]
fn what_is_read_later_of_several_long_workflows_is_what_was_told_live() {
    let (desk, server) = served();
    desk.write(
        "wide.yaml",
        r#"
name: wide
version: 1
stages:
  - name: only
    tasks:
      - { id: each, tool: core.noop, each: "{{ range(600) }}", with: { value: "{{ item }}" } }
"#,
    );
    let id = open(&server, None);
    let live = follow(&server, &id, None);
    let start = serde_json::json!({ "definition": "wide", "conversation_id": id });
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| server.begin(&start));
        }
    });
    let three = |mut sse: Sse| -> Vec<Message> {
        let events = (0..3).flat_map(|_| sse.take_until_kind(END)).collect::<Vec<_>>();
        events.into_iter().filter(|message| message.id.is_some()).collect()
    };
    let told = three(live);
    assert!(told.len() > 3_000, "{}", told.len());
    let again = three(follow(&server, &id, None));
    assert!(again == told, "{} and {}", again.len(), told.len());
    let middle = told[told.len() / 2].id.clone().unwrap();
    let rest =
        follow(&server, &id, Some(&middle)).take_until(told.last().unwrap().position().unwrap());
    assert!(rest == told[told.len() / 2 + 1..], "{}", rest.len());
}

#[test]
fn only_the_types_that_are_asked_for_are_told() {
    let (_desk, server) = served();
    let id = open(&server, Some(HELLO));
    until(&server, &id, asks);
    answer(&server, &id, "Ada");
    approve(&server, &id);
    until(&server, &id, is_idle);
    let path = format!("/api/v1/conversations/{id}/stream?type=message.added,plan.proposed");
    let mut sse = Sse::open(crate::client::address(&server), &path, None);
    let told = sse.take_until_kind(END);
    let names: Vec<&str> = told.iter().map(|message| message.event.as_str()).collect();
    assert_eq!(names, ["message.added", "message.added", "plan.proposed", "message.added"]);
}

#[test]
fn a_stream_goes_on_behind_its_last_event_after_the_server_was_killed() {
    let (desk, server) = served();
    let id = open(&server, Some(HELLO));
    let mut told = follow(&server, &id, None).take_until_kind("conversation.clarification_asked");
    server.kill();
    let server = Server::start(&desk);
    let last = told.last().unwrap().id.clone().unwrap();
    let mut sse = follow(&server, &id, Some(&last));
    answer(&server, &id, "Ada");
    told.extend(sse.take_until_kind("conversation.plan_proposed"));
    drop(sse);
    server.kill();
    let server = Server::start(&desk);
    approve(&server, &id);
    let last = told.last().unwrap().id.clone().unwrap();
    told.extend(follow(&server, &id, Some(&last)).take_until_kind(END));
    assert_eq!(follow(&server, &id, None).take_until_kind(END), told);
    let ahead = format!("/api/v1/conversations/{id}/stream?after=1000000");
    let (status, problem) = Sse::refused(crate::client::address(&server), &ahead);
    assert_eq!((status, problem["code"].as_str()), (400, Some("cursor_ahead")));
}

#[test]
fn a_place_before_purged_events_is_refused_and_the_beginning_tells_what_is_left() {
    let (desk, server) = served();
    let id = open(&server, Some(HELLO));
    until(&server, &id, asks);
    answer(&server, &id, "Ada");
    approve(&server, &id);
    let told = follow(&server, &id, None).take_until_kind(END);
    desk.expect(0, &["purge", "--older-than", "0s"]);

    let asked = told.iter().find(|message| message.event == "clarification.asked").unwrap();
    let behind = asked.id.as_deref().unwrap();
    let path = format!("/api/v1/conversations/{id}/stream?after={behind}");
    let (status, problem) = Sse::refused(crate::client::address(&server), &path);
    assert_eq!((status, problem["code"].as_str()), (410, Some("events_purged")));
    let own = format!("/api/v1/conversations/{id}");
    let of_its_own = |message: &&Message| message.value()["source"] == own.as_str();
    let left: Vec<Message> = told.iter().filter(of_its_own).cloned().collect();
    assert_eq!(follow(&server, &id, None).take_until_kind(END), left);
    // Behind the end nothing is missing.
    drop(follow(&server, &id, told.last().unwrap().id.as_deref()));
    assert_eq!(crate::client::entries(&server, &id).last().unwrap()["status"], "completed");
}
