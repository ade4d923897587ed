//! Live streams on a real listener: one order for everybody, no gap, no doubling, and slow readers
//! that harm nobody.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share"
)]

mod faults;
mod ground;
mod listening;
mod speaking;

use std::collections::HashSet;
use std::time::Duration;

use baton_core::workflow::Command;
use baton_engine::exchange::{Burial, Request};
use serde_json::{Value, json};

use faults::LateSite;
use ground::{CHAIN, Ground, ITEMS, PARKED, until};
use listening::{Message, Socket, Sse};

/// The place of a message as numbers.
fn place(message: &Message) -> (u64, u8) {
    let id = message.id.as_deref().expect("an event");
    let (position, more) = id.split_once('.').unwrap_or((id, "0"));
    (position.parse().expect("a position"), more.parse().expect("a number"))
}

/// Everything behind a position, as a stream tells it.
fn told(ground: &Ground, path: &str, until: u64) -> Vec<Message> {
    Sse::open(ground.address, path, None).take_until(until)
}

#[test]
fn or7_a_workflows_stream_tells_every_event_then_its_end_and_closes() {
    let ground = Ground::new();
    let id = ground.submit(CHAIN);
    let mut sse = Sse::open(ground.address, &format!("/api/v1/workflows/{id}/stream"), None);
    let all = sse.rest();
    let types: Vec<&str> = all.iter().filter_map(Message::kind).collect();
    assert_eq!(types[..2], ["workflow.admitted", "workflow.started"]);
    assert_eq!(types.last(), Some(&"workflow.finished"));
    let done = all.last().unwrap();
    assert_eq!((done.event.as_str(), done.id.as_deref()), ("done", None));
    assert_eq!(done.value()["status"], "completed");
    assert!(done.value()["usage"]["time_ms"].is_u64(), "{done:?}");
    assert!(all.iter().filter(|m| m.id.is_some()).all(|m| m.value()["correlationid"] == json!(id)));
    // Who comes back with the last id is told the end alone.
    let last = all.iter().rev().find_map(|message| message.id.as_deref());
    let again = Sse::open(ground.address, &format!("/api/v1/workflows/{id}/stream"), last).rest();
    assert_eq!(again, std::slice::from_ref(done));
}

#[test]
fn or7_live_replayed_and_on_a_socket_the_bytes_and_their_order_are_the_same() {
    let ground = Ground::new();
    let mut live: Vec<Sse> =
        (0..5).map(|_| Sse::open(ground.address, "/api/v1/events/stream", None)).collect();
    let mut socket = Socket::open(ground.address);
    socket.say(&json!({}));
    ground.until_subscribers(6);
    let ids = [ground.submit(CHAIN), ground.submit(ITEMS), ground.submit(CHAIN)];
    ids.iter().for_each(|id| ground.wait(*id));
    let newest = ground.newest();
    let reference = live[0].take_until(newest);
    assert!(reference.len() > 30, "{}", reference.len());
    assert!(reference.is_sorted_by_key(place));
    for sse in &mut live[1..] {
        assert_eq!(sse.take_until(newest), reference);
    }
    assert_eq!(told(&ground, "/api/v1/events/stream?after=0", newest), reference);
    assert_eq!(socket.take_until(newest), reference);
    // Items are named alike by whoever saw them made and by whoever comes later.
    let items: HashSet<String> =
        reference.iter().filter_map(|m| m.value()["task"].as_str().map(str::to_owned)).collect();
    assert!(items.contains("each[0]") && items.contains("each[19]"), "{items:?}");
    let path = format!("/api/v1/workflows/{}/stream", ids[1]);
    let mut own = Sse::open(ground.address, &path, None).rest();
    own.pop();
    let of_one: Vec<_> =
        reference.into_iter().filter(|m| m.value()["correlationid"] == json!(ids[1])).collect();
    assert_eq!(own, of_one);
}

#[test]
fn or7_a_reader_that_comes_and_goes_in_a_storm_misses_nothing_and_hears_nothing_twice() {
    let ground = Ground::new();
    let storm = ground.storm(CHAIN, 300, 32);
    let mut heard: Vec<Message> = Vec::new();
    let (mut last, mut newest) = ("0".to_owned(), 0);
    let mut cuts = 0;
    while !storm.is_over() || newest < ground.newest() {
        let there = usize::try_from(ground.newest() - newest).unwrap();
        let mut sse = Sse::open(ground.address, "/api/v1/events/stream", Some(&last));
        // Anywhere, also in the middle of what is sent together, and of what one event is told as.
        for message in sse.take((1 + cuts % 97).min(there)) {
            newest = message.position().unwrap_or(newest);
            last = message.id.clone().unwrap_or(last);
            heard.push(message);
        }
        cuts += 13;
    }
    storm.join();
    heard.retain(|message| message.id.is_some());
    let positions: Vec<u64> = heard.iter().filter_map(Message::position).collect();
    assert_eq!(positions, (1..=ground.newest()).collect::<Vec<_>>());
    assert_eq!(heard, told(&ground, "/api/v1/events/stream?after=0", ground.newest()));
}

#[test]
fn or7_cut_behind_any_message_a_stream_goes_on_with_the_next_on_both_surfaces() {
    let ground = Ground::new();
    let id = ground.submit(CHAIN);
    ground.wait(id);
    let path = format!("/api/v1/workflows/{id}/stream");
    let whole = Sse::open(ground.address, &path, None).rest();
    let names: Vec<&str> = whole.iter().map(|message| message.event.as_str()).collect();
    let call = ["tool.called", "task.updated", "tool.completed", "task.updated"];
    assert_eq!(names.windows(4).filter(|part| *part == call).count(), 3, "{names:?}");
    for (at, message) in whole.iter().enumerate().filter(|(_, message)| message.id.is_some()) {
        let rest = &whole[at + 1..];
        let last = message.id.as_deref();
        assert_eq!(Sse::open(ground.address, &path, last).rest(), rest, "{last:?}");
        let mut socket = Socket::open(ground.address);
        let after: Value = serde_json::from_str(last.unwrap()).unwrap();
        socket.say(&json!({ "workflow": id, "after": after }));
        assert_eq!(socket.until_done(), rest[..rest.len() - 1], "{last:?}");
    }
}

#[test]
fn or7_a_slow_reader_is_told_so_and_loses_nothing_while_others_go_on() {
    let ground = Ground::new();
    let mut slow = Sse::open(ground.address, "/api/v1/events/stream?after=0", None);
    let mut quick = Sse::open(ground.address, "/api/v1/events/stream?after=0", None);
    let quick = std::thread::spawn(move || quick.take_until_done(500));
    // More than the buffers of a connection hold.
    let loud = ITEMS.replace("{{ item }}", &format!("{{{{ item }}}} {:a<900}", ""));
    let storm = ground.storm(&loud, 500, 16);
    storm.join();
    let quick = quick.join().unwrap();
    assert_eq!(quick, 500, "the quick one waited for the slow one");
    assert!(ground.lagged() > 0, "nothing was ever full: this test shows nothing");
    let newest = ground.newest();
    let all = slow.take_until(newest);
    assert!(all.iter().any(|message| message.event == "lagged"));
    let positions: Vec<u64> = all.iter().filter_map(Message::position).collect();
    assert_eq!(positions, (1..=newest).collect::<Vec<_>>());
}

#[test]
fn or7_a_thousand_subscribers_hear_the_same() {
    let ground = Ground::new();
    let id = ground.submit(PARKED);
    let path = format!("/api/v1/workflows/{id}/stream");
    let mut all: Vec<Sse> = (0..1_000).map(|_| Sse::open(ground.address, &path, None)).collect();
    ground.command(id, Command::Cancel { reason: None });
    let reference = all[0].rest();
    assert_eq!(reference.last().unwrap().value()["status"], "cancelled");
    for sse in &mut all[1..] {
        assert_eq!(sse.rest(), reference);
    }
    ground.until_subscribers(0);
}

#[test]
fn or7_filters_pick_by_workflow_and_type() {
    let ground = Ground::new();
    let (one, two) = (ground.submit(CHAIN), ground.submit(PARKED));
    ground.wait(one);
    ground.until_question(two);
    let newest = ground.newest();
    let kinds = |path: &str| {
        let mut sse = Sse::open(ground.address, path, None);
        ground.until_subscribers(1);
        ground.command(two, Command::Pause { cause: baton_core::workflow::PauseCause::Actor });
        ground.command(two, Command::Resume);
        let told = sse.take_until_kind("workflow.resumed");
        drop(sse);
        ground.until_subscribers(0);
        told.into_iter().filter(|m| m.id.is_some() && place(m).0 <= newest).collect::<Vec<_>>()
    };
    let completed = kinds("/api/v1/events/stream?after=0&type=task.completed,workflow.resumed");
    assert_eq!(completed.len(), 3);
    assert!(completed.iter().all(|m| m.kind() == Some("task.completed")));
    let called = kinds("/api/v1/events/stream?after=0&type=tool.*.completed,workflow.resumed");
    assert_eq!(called.len(), 3);
    assert!(called.iter().all(|m| m.event == "tool.completed"), "{called:?}");
    let asked = kinds("/api/v1/events/stream?after=0&type=approval.*,workflow.resumed");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].value()["data"]["on"]["person"]["ask"], "Go on?");
    let path = format!("/api/v1/events/stream?workflow={two}&type=workflow.*");
    let own = kinds(&path);
    assert!(own.iter().all(|m| m.value()["correlationid"] == json!(two)), "{own:?}");
    assert_eq!(own[0].kind(), Some("workflow.admitted"));
}

#[test]
fn or7_what_was_purged_is_said_to_be_gone() {
    let ground = Ground::new();
    let ids = [ground.submit(CHAIN), ground.submit(CHAIN)];
    ids.iter().for_each(|id| ground.wait(*id));
    let burial = Burial { workflow: ids[0], revision: None };
    ground.ask(Request::Purge { workflows: vec![burial] });
    let status = |path: &str| Sse::refused(ground.address, path);
    let (code, problem) = status("/api/v1/events/stream?after=0");
    assert_eq!((code, problem["code"].as_str()), (410, Some("events_purged")), "{problem}");
    let (code, problem) = status(&format!("/api/v1/workflows/{}/stream", ids[0]));
    assert_eq!((code, problem["code"].as_str()), (410, Some("purged")), "{problem}");
    let (code, _) = status("/api/v1/workflows/00000000-0000-7000-8000-000000000000/stream");
    assert_eq!(code, 404);
    let (code, _) = status("/api/v1/events/stream?after=x");
    assert_eq!(code, 400);
    let other = Sse::open(ground.address, &format!("/api/v1/workflows/{}/stream", ids[1]), None);
    assert_eq!({ other }.rest().last().unwrap().event, "done");
}

#[test]
fn or7_a_socket_changes_its_mind_and_is_told_what_it_said_wrong() {
    let ground = Ground::new();
    let (one, two) = (ground.submit(CHAIN), ground.submit(CHAIN));
    ground.wait(one);
    ground.wait(two);
    let mut socket = Socket::open(ground.address);
    socket.say(&json!({ "workflow": one }));
    assert!(socket.until_done().iter().all(|m| m.value()["correlationid"] == json!(one)));
    socket.say(&json!({ "workflows": one }));
    let problem = socket.next().unwrap();
    assert_eq!(problem.event, "problem");
    assert_eq!(problem.value()["code"], "invalid_request");
    socket.say(&json!({ "workflow": two, "type": "workflow.*" }));
    let told = socket.until_done();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|m| m.value()["correlationid"] == json!(two)));
}

#[test]
fn or7_streams_end_cleanly_when_the_server_stops() {
    let mut ground = Ground::new();
    let id = ground.submit(PARKED);
    ground.until_question(id);
    let mut of_one =
        Sse::open(ground.address, &format!("/api/v1/workflows/{id}/stream?after=0"), None);
    let mut of_all = Sse::open(ground.address, "/api/v1/events/stream", None);
    let mut socket = Socket::open(ground.address);
    socket.say(&Value::Object(serde_json::Map::new()));
    ground.until_subscribers(3);
    let began = std::time::Instant::now();
    ground.stop();
    assert!(of_one.rest().iter().all(|message| message.event != "done"));
    assert_eq!(of_all.rest(), []);
    assert_eq!(socket.next(), None);
    assert_eq!(socket.closed_with, Some(1001));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn or7_who_watches_sees_what_is_counted_and_what_is_not_ready() {
    let ground = Ground::new();
    let id = ground.submit(CHAIN);
    ground.wait(id);
    let parked = ground.submit(PARKED);
    ground.until_question(parked);
    let _stream = Sse::open(ground.address, "/api/v1/events/stream", None);
    assert_eq!(listening::get(ground.address, "/healthz"), (200, "ok\n".to_owned()));
    let (status, ready) = listening::get(ground.address, "/readyz");
    assert_eq!((status, ready.as_str()), (200, r#"{"ready":true,"not_ready":[]}"#));
    let (_, text) = listening::get(ground.address, "/metrics");
    for line in [
        r#"baton_tool_calls_total{tool="core.noop",outcome="completed"} 3"#,
        "baton_step_seconds_count 3",
        r#"baton_commit_seconds_bucket{le="0.0001"} "#,
        "# TYPE baton_progress_seconds histogram",
        "baton_progress_mismatch_total 0",
        "baton_queue_depth 0",
        "baton_workflows_live 1",
        "baton_leases 0",
        "baton_stream_subscribers 1",
        "baton_stream_lagged_total 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    ground.end_owner();
    let (status, ready) = listening::get(ground.address, "/readyz");
    assert_eq!(status, 503);
    assert!(ready.contains(r#""what":"owner""#), "{ready}");
}

#[test]
fn or7_a_position_that_was_not_reached_is_refused_and_the_newest_is_named() {
    let ground = Ground::new();
    let id = ground.submit(CHAIN);
    ground.wait(id);
    let newest = ground.newest();
    let ahead = newest + 1;
    for path in ["/api/v1/events/stream?", &format!("/api/v1/workflows/{id}/stream?")] {
        let (code, problem) = Sse::refused(ground.address, &format!("{path}after={ahead}"));
        assert_eq!((code, problem["code"].as_str()), (400, Some("cursor_ahead")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("{ahead} lies ahead of the newest, {newest}")),
            "{detail}"
        );
    }
    let mut socket = Socket::open(ground.address);
    socket.say(&json!({ "after": ahead }));
    assert_eq!(socket.next().unwrap().value()["code"], "cursor_ahead");
    // The newest itself is a place to go on from, even before the broadcaster has heard of it.
    let mut sse = Sse::open(ground.address, "/api/v1/events/stream", Some(&newest.to_string()));
    ground.submit(CHAIN);
    assert_eq!(sse.take_until(newest + 1)[0].id, Some((newest + 1).to_string()));
}

#[test]
fn or7_a_store_that_cannot_be_read_is_reported_once_and_read_again() {
    let ground = Ground::new();
    let site = LateSite::new(&ground);
    let mut sse = Sse::open(site.address, "/api/v1/events/stream", None);
    let id = ground.submit(CHAIN);
    ground.wait(id);
    let newest = ground.newest();
    site.change("ALTER TABLE journal RENAME TO hidden");
    site.tell(newest);
    let told = site.reports.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(told.contains("the events for streams cannot be read; it is tried again: "), "{told}");
    let (status, ready) = listening::get(site.address, "/readyz");
    assert_eq!(status, 503);
    assert!(ready.contains(r#""what":"streams""#), "{ready}");
    site.change("ALTER TABLE hidden RENAME TO journal");
    let all = sse.take_until(newest);
    assert_eq!(all.last().unwrap().id, Some(newest.to_string()));
    until("readiness", || listening::get(site.address, "/readyz").0 == 200);
    assert!(site.reports.try_recv().is_err(), "it was reported again");
}
