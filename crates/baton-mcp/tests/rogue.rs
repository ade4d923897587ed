//! A server of every bad manner harms its own calls only, and is shown as what it is.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy knows tests, not what they share"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::time::{Moment, Span, Timestamp};
use baton_core::words::{Effect, FailureKind, Happened, Permission};
use baton_engine::ports::{Call, CallContext, Control, Progress, Tools};
use baton_mcp::{Guard, McpTools, ServerConfig, ServerStatus, ServerView, ServersConfig};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn rogue() -> ServerConfig {
    ServerConfig {
        command: vec![env!("CARGO_BIN_EXE_baton-test-rogue").to_owned()],
        health_every: Span(Duration::from_millis(400)),
        ..ServerConfig::default()
    }
}

/// What is run ends by itself when its input does, so that nothing need guard it.
fn tools(servers: impl IntoIterator<Item = (&'static str, ServerConfig)>) -> Arc<McpTools> {
    let servers: ServersConfig =
        servers.into_iter().map(|(name, config)| (name.to_owned(), config)).collect();
    let guard = Guard { program: PathBuf::from("/usr/bin/env"), arguments: Vec::new() };
    Arc::new(McpTools::new(&servers, &guard).unwrap())
}

fn context() -> CallContext {
    let moment = Moment::new(Timestamp::from_millis(1_800_000_000_000), 7);
    let (workflow, conversation) = (WorkflowId::new(&moment, 0), ConversationId::new(&moment, 1));
    CallContext::new(workflow, (Ordinal(0), 1), conversation)
}

fn call_with(
    tools: &McpTools,
    tool: &str,
    input: Value,
    control: &Control,
) -> Result<Value, CallFailure> {
    let call = Call {
        tool: tool.to_owned(),
        input: Json::of(&input),
        folder: None,
        idempotency_key: "key-1".to_owned(),
        context: Some(context()),
    };
    tools.call(&call, control).map(|output| output.value())
}

fn call(tools: &McpTools, tool: &str, input: Value) -> Result<Value, CallFailure> {
    call_with(tools, tool, input, &Control::new(PATIENCE))
}

fn call_within(tools: &McpTools, tool: &str, span: Duration) -> CallFailure {
    call_with(tools, tool, json!({}), &Control::new(span)).unwrap_err()
}

fn view(tools: &McpTools, name: &str) -> ServerView {
    tools.views().into_iter().find(|view| view.name == name).unwrap()
}

/// Looks until it is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        // sleep: what a server does gives no signal here.
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_call_carries_its_key_and_its_trace_and_brings_its_text() {
    let tools = tools([("r", rogue())]);
    assert!(tools.specs().is_empty(), "nothing is started before it is needed");
    let output = call(&tools, "r.echo", json!({ "text": "hello" })).unwrap();
    assert_eq!(output["text"], "hello");
    let meta = &output["structured"]["meta"];
    assert_eq!(meta["baton/idempotencyKey"], "key-1");
    assert_eq!(meta["traceparent"], context().traceparent);
    let workflow = context().task.split().unwrap().0;
    let trace = workflow.to_string().replace('-', "");
    assert!(context().traceparent.starts_with(&format!("00-{trace}-")), "{:?}", context());
    let view = view(&tools, "r");
    assert_eq!((view.attempts, view.failures, view.starts), (1, 0, 1));
    assert_eq!(view.server.as_deref(), Some("rogue 1"));
}

fn speaks(version: &str) -> ServerConfig {
    let mut config = rogue();
    config.env.insert("ROGUE_PROTOCOL".to_owned(), version.to_owned());
    config
}

#[test]
fn every_protocol_from_the_oldest_to_the_newest_is_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let tools = tools([("it", speaks(version))]);
        let said = call(&tools, "it.echo", json!({ "text": version })).unwrap();
        assert_eq!(said["text"], version);
        assert_eq!(view(&tools, "it").protocol_version.as_deref(), Some(version));
    }
}

#[test]
fn a_protocol_that_nobody_knows_is_refused_with_those_that_are_spoken() {
    let mut newer = speaks("2031-01-01");
    newer.env.insert("ROGUE_INTRODUCES".to_owned(), "1".to_owned());
    for (what, config) in [("older", speaks("2024-10-07")), ("newer", newer)] {
        let tools = tools([("it", config)]);
        let failure = call(&tools, "it.echo", json!({ "text": "x" })).unwrap_err();
        assert_eq!(failure.happened, Happened::No, "{what}");
        let is_told = failure.message.contains("protocol version `20")
            && failure.message.contains("2024-11-05, 2025-03-26");
        assert!(is_told, "{what}: {failure:?}");
    }
}

#[test]
fn or2_a_quarantine_is_lifted_by_command_and_the_server_called_at_once() {
    let config = ServerConfig {
        command: vec![env!("CARGO_BIN_EXE_baton-test-rogue").to_owned(), "--dies-at-once".into()],
        ..rogue()
    };
    let tools = tools([("r", config)]);
    let is_left_alone = || view(&tools, "r").status == ServerStatus::Quarantined;
    until("quarantined", || call(&tools, "r.echo", json!({})).is_err() && is_left_alone());
    assert!(tools.release("r"));
    let view = view(&tools, "r");
    assert_eq!((view.status, view.until), (ServerStatus::Idle, None));
    let failure = call(&tools, "r.echo", json!({})).unwrap_err();
    assert!(failure.message.contains("no licence found"), "it was tried: {failure:?}");
    assert!(!tools.release("nobody"));
}

#[test]
fn tools_are_known_by_effect_and_permission_once_a_definition_names_them() {
    let tools = tools([("r", rogue())]);
    tools.learn("r").unwrap();
    let specs = tools.specs();
    let spec = |name: &str| specs.iter().find(|spec| spec.name == name).unwrap();
    let echo = spec("r.echo");
    assert_eq!((echo.effect, echo.permission), (Effect::Read, Permission::ReadOnly));
    assert_eq!(echo.input["required"], json!(["text"]));
    let lie = spec("r.lie");
    assert_eq!((lie.effect, lie.permission), (Effect::Once, Permission::ReadWrite));
}

#[test]
fn or2_a_hung_server_is_stalled_within_its_lease_and_its_call_ends_in_doubt() {
    let tools = tools([("r", rogue()), ("good", rogue())]);
    let (caller, span) = (Arc::clone(&tools), Duration::from_secs(3));
    let hung = std::thread::spawn(move || call_within(&caller, "r.hang", span));
    until("stalled", || view(&tools, "r").status == ServerStatus::Stalled);
    let stalled = view(&tools, "r");
    assert!(!hung.is_finished(), "found before its lease was over");
    assert_eq!(stalled.leases[0].locked_by, "r.hang");
    assert_eq!(stalled.leases[0].task_id, Some(context().task));
    assert_eq!(stalled.leases[0].conversation_id, Some(context().conversation));
    assert!(stalled.why.unwrap().contains("ping"));
    call(&tools, "good.echo", json!({ "text": "fine" })).unwrap();
    let failure = hung.join().unwrap();
    assert_eq!((failure.kind, failure.happened), (FailureKind::TimedOut, Happened::Unknown));
    until("ended", || view(&tools, "r").leases.is_empty());
    call(&tools, "r.echo", json!({ "text": "back" })).unwrap();
    let back = view(&tools, "r");
    assert_eq!((back.status, back.starts), (ServerStatus::Idle, 2));
}

#[test]
fn a_server_that_exits_leaves_its_call_in_doubt_with_its_last_words_and_is_started_again() {
    let tools = tools([("r", rogue())]);
    let failure = call(&tools, "r.exit", json!({})).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::Lost, Happened::Unknown));
    assert!(failure.message.contains("out of luck"), "{failure:?}");
    assert!(failure.message.contains("exit status: 3"), "{failure:?}");
    call(&tools, "r.echo", json!({ "text": "again" })).unwrap();
    assert_eq!(view(&tools, "r").starts, 2);
}

#[test]
fn or2_a_server_that_dies_again_and_again_is_quarantined_and_its_calls_did_not_happen() {
    let mut config = rogue();
    config.command.push("--dies-at-once".to_owned());
    let tools = tools([("r", config), ("good", rogue())]);
    for _ in 0..3 {
        let failure = call(&tools, "r.echo", json!({ "text": "x" })).unwrap_err();
        assert_eq!((failure.kind, failure.happened), (FailureKind::Unavailable, Happened::No));
        assert!(failure.message.contains("no licence found"), "{failure:?}");
    }
    let failure = call(&tools, "r.echo", json!({ "text": "x" })).unwrap_err();
    assert!(failure.message.contains("quarantined"), "{failure:?}");
    assert!(failure.retry_after_ms.is_some() && failure.retryable, "{failure:?}");
    let view = view(&tools, "r");
    assert_eq!(view.status, ServerStatus::Quarantined);
    assert!(view.until.is_some() && view.why.unwrap().contains("no licence found"));
    call(&tools, "good.echo", json!({ "text": "fine" })).unwrap();
    let begun = Instant::now();
    assert!(tools.learn("r").is_err());
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_flood_ends_the_connection_and_not_baton() {
    let tools = tools([("r", rogue()), ("good", rogue())]);
    let failure = call(&tools, "r.flood", json!({})).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::TooLarge, Happened::Unknown));
    assert!(failure.message.contains("bytes"), "{failure:?}");
    call(&tools, "good.echo", json!({ "text": "fine" })).unwrap();
    assert_eq!(call(&tools, "r.chatter", json!({})).unwrap()["text"], "done");
}

#[test]
fn a_lie_about_the_schema_is_named_and_has_happened() {
    let tools = tools([("r", rogue())]);
    let failure = call(&tools, "r.lie", json!({})).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::InvalidOutput, Happened::Yes));
    assert!(failure.message.contains("r.lie") && failure.message.contains("outputSchema"));
    let failure = call(&tools, "r.fail", json!({})).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::Refused, Happened::Unknown));
    assert!(failure.message.contains("no such customer"), "{failure:?}");
    assert_eq!(view(&tools, "r").failures, 2);
}

#[test]
fn changed_tools_are_known_after_the_server_says_so() {
    let tools = tools([("r", rogue())]);
    call(&tools, "r.change", json!({})).unwrap();
    until("the new tool", || tools.specs().iter().any(|spec| spec.name == "r.added"));
    let failure = call(&tools, "r.gone", json!({})).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::NotFound, Happened::No));
}

#[test]
fn progress_reaches_the_call_and_a_cancellation_reaches_the_server() {
    let tools = tools([("r", rogue())]);
    let control = Control::new(PATIENCE);
    let (caller, told) = (Arc::clone(&tools), control.clone());
    let slow =
        std::thread::spawn(move || call_with(&caller, "r.slow", json!({ "ms": 15_000 }), &told));
    until("progress", || control.progress().is_some());
    let half = Progress { done: 1.0, total: Some(2.0), message: Some("half of it".to_owned()) };
    assert_eq!(control.progress(), Some(half));
    control.cancel();
    let failure = slow.join().unwrap().unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::Cancelled, Happened::Unknown));
    let told = || call(&tools, "r.count", json!({})).unwrap()["text"] == "1";
    until("the server was told", told);
    assert_eq!(view(&tools, "r").starts, 1, "a cancelled call costs no connection");
}

#[test]
fn calls_beyond_the_concurrency_wait_and_one_that_waits_too_long_did_not_happen() {
    let config = ServerConfig { concurrency: 1, ..rogue() };
    let tools = tools([("r", config)]);
    let caller = Arc::clone(&tools);
    let first = std::thread::spawn(move || call(&caller, "r.slow", json!({ "ms": 1_500 })));
    until("busy", || view(&tools, "r").status == ServerStatus::Busy);
    let failure = call_within(&tools, "r.count", Duration::from_millis(200));
    assert_eq!((failure.kind, failure.happened), (FailureKind::TimedOut, Happened::No));
    assert!(failure.retryable);
    first.join().unwrap().unwrap();
}
