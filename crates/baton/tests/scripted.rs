//! `--model scripted:FILE`: a file of answers works as a model does, and goes on where it was.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton::runtime::{Bounds, Owner, Parts};
use baton_adapters::{BuiltinTools, ToolsConfig};
use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::definition;
use baton_core::ids::WorkflowId;
use baton_core::plan::{AgentCall, AgentLimits, Catalog, Ends, OfferedTool, Plan, ToolSpec, Work};
use baton_core::words::{Compaction, Effect, Origin, Permission};
use baton_engine::conversing::NoPlanner;
use baton_engine::engine::{Settings, TakeUp};
use baton_engine::exchange::{Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::Tools;
use baton_models::{ModelSet, ModelsConfig};
use baton_store::StoreUrl;
use common::Desk;
use serde_json::{Value, json};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two turns; the second is given after a pause.
fn script(pause: &str) -> String {
    format!(
        "answers:
  - agent: reader
    turns:
      - calls: [{{tool: core.noop, arguments: {{value: 7}}}}]
        usage: {{input_tokens: 100, output_tokens: 10}}
      - output: {{seen: 7}}
        delay: {pause}
        usage: {{input_tokens: 200, output_tokens: 20}}
"
    )
}

struct Known(Arc<[ToolSpec]>);

impl Catalog for Known {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.0.iter().find(|spec| spec.name == name)
    }

    fn tool_names(&self) -> Vec<&str> {
        self.0.iter().map(|spec| spec.name.as_str()).collect()
    }

    fn definition(&self, _name: &str) -> Option<Result<Plan, String>> {
        None
    }

    fn permission_max(&self) -> Permission {
        Permission::ReadWrite
    }
}

fn tools() -> Arc<dyn Tools> {
    Arc::new(BuiltinTools::new(ToolsConfig::default()).expect("tools"))
}

/// One task: an agent that is offered one tool.
fn plan(models: &ModelSet) -> Plan {
    let source = "name: reading\nversion: 1\nstages:\n  - {name: all, tasks: [{id: one, tool: core.noop}]}\n";
    let known = Known(tools().specs());
    let mut plan = definition::read(source, &known).expect("a plan");
    let noop = known.tool("core.noop").expect("it is built in");
    plan.tasks[0].work = Work::Agent(AgentCall {
        agent: "reader".to_owned(),
        models: models.resolve(&["openai/gpt-5".to_owned()]),
        instructions: None,
        prompt: "Look.".to_owned(),
        tools: vec![OfferedTool {
            name: noop.name.clone(),
            description: noop.description.clone(),
            input: noop.input.clone(),
            effect: Effect::Read,
            approval: None,
            ends: Ends::Call,
        }],
        output: Some(json!({ "type": "object", "required": ["seen"] })),
        limits: AgentLimits::default(),
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    });
    plan
}

fn start(desk: &Desk, models: ModelSet) -> Owner {
    let url = StoreUrl::Sqlite(desk.path("data/baton.db"));
    let parts = Parts {
        chunks: baton_store::chunks_of(&url),
        store: baton_store::open(&url).expect("a store"),
        views: baton_store::open_views(&url).expect("a reader"),
        check_views: baton_store::open_views(&url).expect("a reader"),
        tools: tools(),
        models: Arc::new(models),
        planner: Arc::new(NoPlanner),
        settings: Settings::default(),
        bounds: Bounds::default(),
        take_up: TakeUp::All,
        death: None,
    };
    Owner::start(parts).expect("an owner")
}

fn models(desk: &Desk) -> ModelSet {
    let only = Some(format!("scripted:{}", desk.path("desk.script.yaml").display()));
    ModelSet::new(ModelsConfig { only, ..ModelsConfig::default() }).expect("a script")
}

fn submit(owner: &Owner, plan: Plan) -> WorkflowId {
    let request = Request::Submit(Box::new(Submit {
        loaded: Arc::new(Loaded::new(plan).expect("a plan")),
        inputs: (Body::Inline(Json::of(&json!({}))), None),
        origin: Origin::Api,
        priority: 5,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    }));
    let reply = owner.handle().call(&Actor::user("tester"), request).expect("an answer");
    let Reply::Workflow { id, .. } = reply else { panic!("not a workflow but {reply:?}") };
    id
}

/// A workflow as it is shown, with its events.
fn shown(desk: &Desk, id: WorkflowId) -> Value {
    let out =
        desk.expect(0, &["show", &id.to_string(), "--events", "--json", "--data", "data"]).out;
    serde_json::from_str(&out).expect("JSON")
}

/// What the events of a workflow say at this place, in their order.
fn said<'v>(shown: &'v Value, pointer: &str) -> Vec<&'v Value> {
    let events = shown["events"].as_array().expect("a list");
    events.iter().filter_map(|event| event.pointer(pointer)).collect()
}

#[test]
fn an_agent_works_by_a_script_and_goes_on_where_it_was_when_its_owner_is_gone() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("data")).unwrap();
    desk.write("desk.script.yaml", &script("1h"));
    let models_before = models(&desk);
    let plan = plan(&models_before);
    let owner = start(&desk, models_before);
    let id = submit(&owner, plan);
    let began = Instant::now();
    while said(&shown(&desk, id), "/data/model/model").len() < 2 {
        assert!(began.elapsed() < PATIENCE, "no second turn: {}", shown(&desk, id));
    }
    owner.handle().abandon();
    owner.join().expect("it leaves");

    desk.write("desk.script.yaml", &script("1ms"));
    let owner = start(&desk, models(&desk));
    owner
        .handle()
        .call(&Actor::user("tester"), Request::AwaitEnd { workflow: id })
        .expect("an end");
    owner.handle().drain();
    owner.join().expect("it leaves");
    let shown = shown(&desk, id);
    assert_eq!(shown["workflow"]["status"], "completed", "{shown}");
    // The second turn was cut off and taken again; the first was made once.
    assert_eq!(said(&shown, "/data/model/model"), ["scripted/desk"; 3]);
    assert_eq!(said(&shown, "/data/usage/input_tokens"), [100, 200]);
}

#[test]
fn what_is_run_by_a_script_says_so_and_a_fault_of_it_starts_nothing() {
    let desk = Desk::new();
    desk.define("one.yaml", &["{id: one, tool: core.noop}"]);
    desk.write("desk.script.yaml", &script("1ms"));
    let ran = desk.expect(0, &["run", "one.yaml", "--model", "scripted:desk.script.yaml"]);
    let line = "scripted answers from desk.script.yaml: no model is asked";
    assert!(ran.said.contains(line), "{}", ran.said);
    desk.write("bad.yaml", "answers:\n  - turns: [{text: 5}]\n");
    let bad = desk.expect(2, &["run", "one.yaml", "--model", "scripted:bad.yaml"]);
    assert!(
        bad.said.contains("bad.yaml:2:13") || bad.said.contains("bad.yaml:2:14"),
        "{}",
        bad.said
    );
    let none = desk.expect(2, &["run", "one.yaml", "--model", "gpt-5"]);
    assert!(none.said.contains("write it as `provider/name`"), "{}", none.said);
    assert_eq!(desk.expect(0, &["list", "--json"]).out.lines().count(), 1);
}
