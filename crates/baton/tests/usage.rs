//! What agents used is booked once, adds up on every surface, outlives a purge, and is mended from the
//! journal.
//!
//! Workflows with agents are run here by the engine on the embedded store, with models that answer
//! from a list; what is asked about them, the real binary answers.
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

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::agent::{Piece, Usage};
use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{AttemptStatus, FailureKind, Origin};
use baton_engine::check::{Mend, Repair};
use baton_engine::engine::{Engine, Now, Settings, TakeUp};
use baton_engine::exchange::{Effect, Input, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::ModelAnswer;
use baton_engine::store::Store;
use baton_engine::turns::{Asking, ModelTurn, heard};
use baton_store::sqlite::{SqliteRepair, SqliteStore};
use common::Desk;
use serde_json::{Value, json};
use server::Server;

const DAY: Duration = Duration::from_secs(86_400);

/// A turn of a model: an answer that used so many tokens, or none.
#[derive(Clone, Copy)]
enum Turn {
    Says(u64, u64),
    IsCutOff,
}

/// A task of an agent, and what its model costs for a token read; unknown where absent.
fn agent(key: &str, stage: u32, price: Option<u64>) -> Value {
    let mut model = json!({ "name": format!("test/{key}") });
    if let Some(input) = price {
        model["price"] = json!({ "input": input, "output": 10 * input });
    }
    let work = json!({ "agent": { "agent": key, "models": [model], "prompt": "Well?" } });
    json!({ "key": key, "stage": stage, "on_failure": "fail", "permission": "read_only", "work": work })
}

fn plan(name: &str, tasks: &[Value]) -> Arc<Loaded> {
    let stages = json!([{ "name": "first", "weight": 1 }, { "name": "second", "weight": 1 }]);
    let plan = json!({
        "name": name, "version": 1, "progress": "agent-based", "stages": stages, "tasks": tasks,
    });
    Arc::new(Loaded::new(serde_json::from_value(plan).unwrap()).unwrap())
}

fn turned(asking: &Asking, turn: Turn) -> Result<ModelTurn, (AttemptStatus, CallFailure)> {
    match turn {
        Turn::Says(input_tokens, output_tokens) => {
            let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
            let content = vec![Piece::Text("Well.".to_owned())];
            Ok(heard(asking.agent().unwrap(), ModelAnswer { content, usage, is_cut: false }))
        }
        Turn::IsCutOff => {
            let lost = CallFailure::in_doubt(FailureKind::Lost, "nobody knows");
            Err((AttemptStatus::Lost, lost))
        }
    }
}

/// Runs a workflow to where nothing goes on, so many days after the first of May 2024.
fn run(desk: &Desk, loaded: &Arc<Loaded>, review: bool, day: u32, turns: &[Turn]) {
    std::fs::create_dir_all(desk.path(".baton")).unwrap();
    let mut store = SqliteStore::open(desk.path(".baton/baton.db")).unwrap();
    let mut at: Timestamp = "2024-05-01T10:00:00Z".parse().unwrap();
    at = at.plus(DAY * day);
    let mut turns: VecDeque<Turn> = turns.iter().copied().collect();
    let mut now = || {
        at = at.plus(Duration::from_secs(1));
        Now { moment: Moment::new(at, 7), uptime: Duration::ZERO }
    };
    let mut engine = Engine::open(&mut store, Settings::default(), TakeUp::Asked, now()).unwrap();
    let submit = Submit {
        loaded: Arc::clone(loaded),
        inputs: (Body::Inline(Json::of(&json!({}))), None),
        origin: Origin::Cli,
        priority: 5,
        review,
        conversation: None,
        project: None,
        folder: None,
    };
    let (actor, request) = (Actor::user("ada"), Request::Submit(Box::new(submit)));
    let mut inputs = vec![Input::Request { token: 1, actor, request }];
    while !inputs.is_empty() {
        let turn = engine.turn(&mut store, now(), std::mem::take(&mut inputs));
        store.commit(&turn.commit).unwrap();
        for effect in turn.effects {
            if let Effect::Ask(asking) = effect {
                let result = turned(&asking, turns.pop_front().expect("another turn"));
                inputs.push(Input::Answered { job: asking.job, result });
            }
        }
    }
    assert!(turns.is_empty(), "all turns are taken");
}

/// Three runs: two of one definition, a day apart, and one of another with what nobody knows.
fn booked() -> Desk {
    let desk = Desk::new();
    let known = plan("known", &[agent("read", 0, Some(1_000)), agent("write", 1, Some(2_000))]);
    run(&desk, &known, false, 0, &[Turn::Says(100, 10), Turn::Says(200, 20)]);
    run(&desk, &known, false, 1, &[Turn::Says(300, 30), Turn::Says(400, 40)]);
    let odd = plan("odd", &[agent("read", 0, Some(1_000)), agent("guess", 1, None)]);
    let turns = [Turn::IsCutOff, Turn::Says(1_000, 1), Turn::Says(50, 5)];
    run(&desk, &odd, false, 1, &turns);
    desk
}

fn report(desk: &Desk, arguments: &[&str]) -> Value {
    let all = [&["usage", "--json"], arguments].concat();
    desk.expect(0, &all).json().remove(0)
}

/// Key, calls, tokens, cost and whether that is all of each line.
fn lines(report: &Value) -> Vec<(String, u64, u64, Option<String>, bool)> {
    let line = |line: &Value| {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let is_partial = line["cost_is_partial"].as_bool().unwrap_or(false);
        let (calls, tokens) = (line["calls"].as_u64().unwrap(), line["tokens"].as_u64().unwrap());
        (text("key").unwrap_or_default(), calls, tokens, text("cost_usd"), is_partial)
    };
    report["items"].as_array().unwrap().iter().map(line).collect()
}

fn line(
    key: &str,
    calls: u64,
    tokens: u64,
    cost: Option<&str>,
    is_partial: bool,
) -> (String, u64, u64, Option<String>, bool) {
    (key.to_owned(), calls, tokens, cost.map(str::to_owned), is_partial)
}

#[test]
fn ch8_what_was_used_adds_up_by_everything() {
    let desk = booked();
    let by = |by: &str| lines(&report(&desk, &["--by", by]));
    assert_eq!(
        lines(&report(&desk, &[])),
        [
            line("2024-05-02", 5, 700 + 70 + 1_056, Some("0.00000321"), true),
            line("2024-05-01", 2, 330, Some("0.000001"), false),
        ]
    );
    assert_eq!(
        by("model"),
        [
            line("test/guess", 1, 55, None, true),
            line("test/read", 4, 1_441, Some("0.00000181"), true),
            line("test/write", 2, 660, Some("0.0000024"), false),
        ]
    );
    assert_eq!(by("user"), [line("user:ada", 7, 2_156, Some("0.00000421"), true)]);
    assert_eq!(by("agent").len(), 3);
    assert_eq!(by("workflow").len(), 3);
    let last = report(&desk, &["--by", "task", "--workflow", "last"]);
    let guess = line("guess", 1, 55, None, true);
    assert_eq!(lines(&last), [guess, line("read", 2, 1_001, Some("0.00000101"), true)]);
    assert_eq!(last["total"]["possibly_billed_calls"], 1);
    let some = report(&desk, &["--from", "2024-05-01", "--to", "2024-05-01", "--by", "model"]);
    assert_eq!((some["total"]["tokens"].as_u64(), lines(&some).len()), (Some(330), 2));
    let text = desk.expect(0, &["usage", "--by", "model"]).out;
    assert!(text.contains("cost unknown") && text.contains("at least $0.00000421"), "{text}");
    desk.expect(2, &["usage", "--from", "yesterday"]);
}

#[test]
fn ch8_what_was_used_is_on_every_surface_alike() {
    let desk = booked();
    let shown = desk.expect(0, &["show", "last", "--json"]).json().remove(0);
    let usage = &shown["workflow"]["usage"];
    assert_eq!((&usage["tokens"], &usage["calls"]), (&json!(1_056), &json!(3)));
    assert_eq!(
        (&usage["cost_usd"], &usage["cost_is_partial"]),
        (&json!("0.00000101"), &json!(true))
    );
    assert_eq!(shown["tasks"][1]["usage"].get("cost_usd"), None, "unknown is never zero");
    let server = Server::start(&desk);
    let id = shown["workflow"]["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/workflows/{id}")).expect(200)["usage"], *usage);
    assert_eq!(server.get("/workflows").expect(200)["items"][0]["usage"], *usage);
    let tasks = server.get(&format!("/workflows/{id}/tasks")).expect(200);
    assert_eq!(tasks["items"], shown["tasks"]);
    let stages = server.get(&format!("/workflows/{id}/stages")).expect(200);
    assert_eq!(stages["items"][0]["usage"], shown["tasks"][0]["usage"]);
    for query in ["by=model", "by=day&limit=1", "by=conversation", &format!("workflow={id}")] {
        let first = server.get(&format!("/usage?{query}")).expect(200);
        let sums: u64 = lines(&first).iter().map(|line| line.2).sum();
        if query != "by=day&limit=1" {
            assert_eq!(first["total"]["tokens"], sums, "{query}");
            continue;
        }
        let cursor = first["next_cursor"].as_str().unwrap();
        let next = server.get(&format!("/usage?{query}&cursor={cursor}")).expect(200);
        assert_eq!(
            (lines(&next)[0].0.as_str(), &next["next_cursor"]),
            ("2024-05-01", &Value::Null)
        );
    }
    for wrong in ["by=colour", "from=2024-13-01", "by=day&cursor=x", "limit=0", "workflow=x"] {
        server.get(&format!("/usage?{wrong}")).expect(400);
    }
    // It listens until exactly this is told, and fails where the stream ends before.
    let done = json!({ "status": "completed", "usage": usage });
    server.listen(&format!("/workflows/{id}/stream"), &done);
    let there = report(&desk, &["--by", "model", "--server", &server.url("//")]);
    assert_eq!(there, server.get("/usage?by=model").expect(200));
}

#[test]
fn a_forecast_is_made_of_what_the_same_tasks_used() {
    let desk = booked();
    let known = plan("known", &[agent("read", 0, Some(1_000)), agent("write", 1, Some(2_000))]);
    run(&desk, &known, true, 2, &[]);
    let text = desk.expect(0, &["show", "last"]).out;
    let line = "forecast: about 770 tokens (330..770), $0.0000022 ($0.000001..$0.0000022)";
    assert!(text.contains(line) && text.contains("from 2 earlier runs"), "{text}");
    let shown = desk.expect(0, &["show", "last", "--json"]).json().remove(0);
    let forecast = &shown["workflow"]["forecast"];
    assert_eq!(forecast["tokens"], json!({ "median": 770, "min": 330, "max": 770 }));
    assert_eq!((&forecast["runs"], &forecast["tasks"][1]["key"]), (&json!(2), &json!("write")));
    let new = plan("known", &[agent("read", 0, Some(1_000)), agent("new", 1, None)]);
    run(&desk, &new, true, 3, &[]);
    let text = desk.expect(0, &["show", "last"]).out;
    assert!(text.contains("without 1 task that no earlier run had"), "{text}");
    run(&desk, &plan("other", &[agent("read", 0, None)]), true, 4, &[]);
    let text = desk.expect(0, &["show", "last"]).out;
    assert!(text.contains("forecast: no history"), "{text}");
    let server = Server::start(&desk);
    let id = shown["workflow"]["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/workflows/{id}/forecast")).expect(200), *forecast);
    let odd = server.get("/workflows?q=odd").expect(200)["items"][0]["id"].clone();
    let odd = server.get(&format!("/workflows/{}/forecast", odd.as_str().unwrap())).expect(200);
    assert_eq!(odd["basis"], "no history", "a workflow is not its own history");
}

/// Takes these rows of the books away, as damage would.
fn lose(desk: &Desk, numbers: &[u64]) {
    let mut store = SqliteStore::open(desk.path(".baton/baton.db")).unwrap();
    let rows: Vec<_> = numbers.iter().flat_map(|number| store.usage(*number).unwrap()).collect();
    assert!(!rows.is_empty());
    drop(store);
    let mut repair = SqliteRepair::begin(desk.path(".baton/baton.db")).unwrap();
    for row in rows {
        repair.mend(&Mend::NoUsage(row.position)).unwrap();
    }
    Box::new(repair).commit().unwrap();
}

#[test]
fn the_books_are_mended_from_the_journal_and_outlive_a_purge() {
    let desk = booked();
    let before = report(&desk, &["--by", "workflow"]);
    desk.expect(0, &["doctor"]);
    lose(&desk, &[1, 3]);
    assert_ne!(report(&desk, &["--by", "workflow"]), before);
    let told = desk.call(&["doctor"]);
    assert!(
        told.code != Some(0)
            && format!("{}{}", told.out, told.said).contains("the call that ended")
    );
    desk.expect(0, &["doctor", "--rebuild"]);
    assert_eq!(report(&desk, &["--by", "workflow"]), before);
    let ids: Vec<String> = lines(&before).into_iter().map(|line| line.0).collect();
    desk.expect(0, &["purge", &ids[0], &ids[2]]);
    assert_eq!(report(&desk, &["--by", "workflow"]), before, "a purge keeps the books");
    desk.expect(0, &["doctor"]);
    lose(&desk, &[1, 3]);
    desk.expect(0, &["doctor", "--rebuild"]);
    assert_eq!(report(&desk, &["--by", "workflow"]), before, "they stand beside the tombstones");
    desk.expect(0, &["doctor"]);
}
