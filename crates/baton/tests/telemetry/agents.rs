//! An agent's turns and calls as a real collector receives them. What its model says is fixed: a
//! provider's wire is tested elsewhere.

use std::sync::Arc;
use std::time::Duration;

use baton::runtime::{Bounds, Owner, Parts};
use baton_adapters::{BuiltinTools, ToolsConfig};
use baton_core::actor::Actor;
use baton_core::agent::{Message, Piece, Usage};
use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::plan::Plan;
use baton_core::words::{FailureKind, Origin};
use baton_engine::conversing::NoPlanner;
use baton_engine::engine::{Settings as EngineSettings, TakeUp};
use baton_engine::exchange::{Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models, Tools};
use baton_store::StoreUrl;
use baton_telemetry::{Content, Exporter, Settings, Source};
use serde_json::json;

use crate::collector::{Collector, Received, free_port, program};
use crate::the;

/// A model that fails once, asks for two calls, then answers.
struct Fixed;

impl Models for Fixed {
    fn call(
        &self,
        request: &ModelRequest,
        _: &Control,
        _: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        if request.model == "gemini/first" {
            return Err(CallFailure::passing(FailureKind::RateLimited, "too many"));
        }
        let is_first = !request.messages.iter().any(|it| matches!(it, Message::Assistant(_)));
        let call = |id: &str, value: &str| Piece::Call {
            id: id.to_owned(),
            tool: "core.noop".to_owned(),
            arguments: Json::of(&json!({ "value": value })),
        };
        let content = match is_first {
            true => vec![call("call_1", "one"), call("call_2", "two")],
            false => vec![Piece::Text("It is done.".to_owned())],
        };
        let usage =
            Usage { input_tokens: 100, cached_tokens: 40, output_tokens: 7, ..Usage::default() };
        Ok(ModelAnswer { content, usage, is_cut: false })
    }
}

/// A plan of one agent with two models and one tool.
fn plan() -> Plan {
    let tool = json!({ "name": "core.noop", "description": "Gives back what it gets.",
        "input": { "type": "object" }, "effect": "read" });
    let agent = json!({ "agent": "reader", "models": [{ "name": "gemini/first" }, { "name": "openai/second" }],
        "prompt": "Read it.", "tools": [tool] });
    let task = json!({ "key": "read", "stage": 0, "on_failure": "fail", "permission": "read_only",
        "retry": { "attempts_max": 1, "backoff": "1s", "max": "1s" }, "work": { "agent": agent } });
    let plan = json!({ "name": "agents", "version": 1, "progress": "agent-based",
        "stages": [{ "name": "only", "weight": 1 }], "tasks": [task] });
    serde_json::from_value(plan).unwrap()
}

/// Runs the plan under an exporter; gives what a collector received of it.
fn run(content: Content) -> Option<(Vec<Received>, String)> {
    let collector = Collector::start(&program()?, free_port());
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Sqlite(folder.path().join("baton.db"));
    let tools: Arc<dyn Tools> = Arc::new(BuiltinTools::new(ToolsConfig::default()).unwrap());
    let owner = Owner::start(Parts {
        store: baton_store::open(&url).unwrap(),
        views: baton_store::open_views(&url).unwrap(),
        check_views: baton_store::open_views(&url).unwrap(),
        chunks: baton_store::chunks_of(&url),
        tools,
        models: Arc::new(Fixed),
        planner: Arc::new(NoPlanner),
        settings: EngineSettings::default(),
        bounds: Bounds::default(),
        take_up: TakeUp::All,
        death: None,
    });
    let owner = owner.unwrap();
    let door = owner.handle();
    let mut settings = Settings::to(&collector.url()).unwrap();
    settings.content = content;
    let views = baton_store::open_views(&url).unwrap();
    let source = Source { door, meters: door.meters(), views };
    let warn = |sentence: &str, cause: &str| panic!("{sentence}: {cause}");
    let exporter = Exporter::start(settings, source, Arc::new(warn)).unwrap();
    let submit = Submit {
        loaded: Arc::new(Loaded::new(plan()).unwrap()),
        inputs: Body::split(Json::of(&json!({}))),
        origin: Origin::Api,
        priority: 5,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    };
    let actor = Actor::user("tester");
    let reply = door.call(&actor, Request::Submit(Box::new(submit))).unwrap();
    let Reply::Workflow { id, .. } = reply else { panic!("{reply:?}") };
    door.call(&actor, Request::AwaitEnd { workflow: id }).unwrap();
    door.drain();
    owner.join().unwrap();
    exporter.close(Duration::from_secs(10));
    let spans = collector.trace("agents");
    let counted = |text: &str| text.contains("Name: gen_ai.client.operation.duration");
    Some((spans, collector.until("figures", counted)))
}

#[test]
fn an_agents_turns_and_calls_hang_below_its_span() {
    let Some((spans, text)) = run(Content::Off) else { return };
    let agent = the(&spans, "invoke_agent reader", "read");
    for (name, value) in [
        ("gen_ai.operation.name", "invoke_agent"),
        ("gen_ai.agent.name", "reader"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "second"),
        ("gen_ai.usage.input_tokens", "200"),
        ("gen_ai.usage.output_tokens", "14"),
        ("gen_ai.usage.cache_read.input_tokens", "80"),
    ] {
        assert_eq!(agent.get(name), value, "{name}");
    }
    let inside: Vec<&Received> = spans.iter().filter(|span| span.parent == agent.id).collect();
    let names: Vec<&str> = inside.iter().map(|span| span.name.as_str()).collect();
    let tool = "execute_tool core.noop";
    assert_eq!(names, ["chat first", "chat second", tool, tool, "chat second"]);
    let [first, turn, call, other, _] = inside[..] else { panic!("{inside:?}") };
    assert_eq!(
        (first.status.as_str(), first.get("error.type")),
        ("STATUS_CODE_ERROR", "rate_limited")
    );
    assert_eq!(first.get("gen_ai.provider.name"), "gcp.gemini");
    assert_eq!((turn.kind.as_str(), turn.status.as_str()), ("SPAN_KIND_CLIENT", ""));
    assert_eq!(turn.get("gen_ai.usage.input_tokens"), "100");
    assert_eq!(turn.get("gen_ai.agent.name"), "reader");
    let mut ids = [call.get("gen_ai.tool.call.id"), other.get("gen_ai.tool.call.id")];
    ids.sort_unstable();
    assert_eq!(ids, ["call_1", "call_2"]);
    assert!(
        spans
            .iter()
            .all(|span| span.get("gen_ai.conversation.id") == agent.get("gen_ai.conversation.id"))
    );
    for told in ["Read it.", "It is done.", "too many"] {
        assert!(!text.contains(told), "{told} is in {text}");
    }
    for counted in ["gen_ai.client.token.usage", "gen_ai.token.type: Str(input)", "Sum: 200"] {
        assert!(text.contains(counted), "{counted} is not in {text}");
    }
}

#[test]
fn an_agents_messages_are_told_where_that_is_asked_for() {
    let Some((spans, _)) = run(Content::On) else { return };
    let turns: Vec<&Received> = spans.iter().filter(|span| span.name == "chat second").collect();
    let (asked, said) = ("gen_ai.input.messages", "gen_ai.output.messages");
    let prompt = r#"[{"role":"user","parts":[{"type":"text","content":"Read it."}]}]"#;
    let first = spans.iter().find(|span| span.name == "chat first").unwrap();
    assert_eq!(first.get(asked), prompt);
    assert_eq!(first.message, "too many");
    let call =
        r#"{"type":"tool_call","id":"call_1","name":"core.noop","arguments":{"value":"one"}}"#;
    assert!(turns[0].get(said).contains(call), "{turns:?}");
    assert!(turns[1].get(said).contains("It is done."), "{turns:?}");
}
