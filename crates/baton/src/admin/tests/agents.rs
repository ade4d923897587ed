//! What commands read of agents, in a store whose owner died in the middle of a turn.

use baton_core::agent::{Cost, Piece, Price, Usage};
use baton_core::body::Json;
use baton_core::ids::WorkflowId;
use baton_core::plan::{AgentCall, AgentLimits, Ends, ModelSpec, OfferedTool, Plan, Work};
use baton_core::words::{AttemptStatus, Compaction, Effect, TaskStatus};
use baton_engine::engine::TakeUp;
use baton_engine::ports::ModelAnswer;
use serde_json::{Value, json};

use super::desk::Desk;
use super::driver::{Driver, plan};
use crate::reading::{Reading, StoreReading};

const SOURCE: &str = r#"
name: review
version: 1
stages:
  - name: judge
    tasks:
      - { id: look, tool: core.noop, with: { value: 1 } }
      - { id: verdict, tool: core.noop, needs: [look] }
"#;

/// A plan whose second task is an agent's, with a priced model.
fn with_agent() -> Plan {
    let mut plan = plan(SOURCE);
    let offered = |name: &str, effect| OfferedTool {
        name: name.to_owned(),
        description: "A tool.".to_owned(),
        input: json!({ "type": "object" }),
        effect,
        approval: None,
        ends: Ends::Call,
    };
    let price = Price { input: 3_000_000, output: 15_000_000, cached: None, cache_write: None };
    let model = ModelSpec { price: Some(price), ..ModelSpec::named("test/one") };
    plan.tasks[1].work = Work::Agent(AgentCall {
        agent: "reviewer".to_owned(),
        models: vec![model],
        instructions: Some("You review repositories.".to_owned()),
        prompt: "Is it healthy?".to_owned(),
        tools: vec![offered("core.noop", Effect::Read), offered("test.once", Effect::Once)],
        output: Some(json!({ "type": "object", "required": ["score"] })),
        limits: AgentLimits::default(),
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    });
    plan
}

fn call(id: &str, tool: &str, arguments: Value) -> Piece {
    Piece::Call { id: id.to_owned(), tool: tool.to_owned(), arguments: Json::of(&arguments) }
}

fn answer(content: Vec<Piece>) -> ModelAnswer {
    let usage = Usage { input_tokens: 1_000, output_tokens: 50, ..Usage::default() };
    ModelAnswer { content, usage, is_cut: false }
}

/// Two calls and one that there is not, a text that does not fit, and one that does.
fn script() -> Vec<ModelAnswer> {
    let text = |text: &str| Piece::Text(text.to_owned());
    let thinks = Piece::Reasoning(Json::of(&json!("The log comes first.")));
    let calls = vec![
        thinks,
        text("I look at the <b>log</b> first."),
        call("a", "core.noop", json!({ "path": "src" })),
        call("b", "test.once", json!({ "say": "hello" })),
        call("c", "rm.rf", json!({})),
    ];
    vec![answer(calls), answer(vec![text("Certainly!")]), answer(vec![text("{\"score\": 7}")])]
}

/// An agent that has ended; its second call of a model was cut off by the death of its owner.
fn ended(desk: &Desk) -> (Driver, WorkflowId) {
    let mut driver = desk.driver(5);
    driver.script = script();
    driver.hangs_at = Some(2);
    let id = driver.submit_plan(with_agent());
    driver.settle();
    driver.crash(TakeUp::All);
    driver.settle();
    (driver, id)
}

#[test]
fn an_agents_turns_calls_tokens_and_cost_are_read_across_the_death_of_its_owner() {
    let desk = Desk::sqlite();
    let (driver, id) = ended(&desk);
    let mut reading = StoreReading::new(desk.views());
    let tasks = reading.tasks(id).expect("tasks");
    let keys: Vec<&str> = tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["look", "verdict", "verdict(1)", "verdict(2)", "verdict(3)"]);
    let agent = tasks.iter().find(|task| task.key == "verdict").expect("the agent");
    assert_eq!((agent.kind, agent.tool.as_deref()), ("agent", Some("reviewer")));

    let sum = reading.agent(agent).expect("readable").expect("an agent");
    assert_eq!((sum.turns, sum.calls, sum.restarts), (3, 3, 1));
    assert_eq!((sum.usage.input_tokens, sum.usage.output_tokens), (3_000, 150));
    let cost: Cost = "0.01125".parse().expect("a sum");
    assert_eq!(sum.cost_usd, Some(cost), "3,000 tokens at $3 and 150 at $15 for a million");

    let turns = reading.transcript(agent).expect("readable");
    let statuses: Vec<(u32, AttemptStatus, bool, u32)> = turns
        .iter()
        .map(|turn| (turn.call, turn.status, turn.possibly_billed, turn.restarts))
        .collect();
    assert_eq!(
        statuses,
        [
            (1, AttemptStatus::Completed, false, 0),
            (2, AttemptStatus::Lost, true, 0),
            (3, AttemptStatus::Completed, false, 1),
            (4, AttemptStatus::Completed, false, 1),
        ]
    );
    assert_eq!(sum.possibly_billed, 1);
    let first = turns.first().expect("turns");
    let came: Vec<(&str, TaskStatus, bool)> =
        first.calls.iter().map(|call| (call.tool.as_str(), call.status, call.refused)).collect();
    assert_eq!(
        came,
        [
            ("core.noop", TaskStatus::Completed, false),
            ("test.once", TaskStatus::Completed, false),
            ("rm.rf", TaskStatus::Failed, true),
        ]
    );
    let last = turns.last().expect("turns");
    assert_eq!(last.status, AttemptStatus::Completed);
    assert!(last.asked[0].text.starts_with("Your answer does not fit"), "{:?}", last.asked);

    for (turn, sent) in turns.iter().zip(&driver.prompts) {
        let prompt = reading.prompt(agent.id, turn.call).expect("it can be rebuilt");
        assert_eq!((prompt.messages, &prompt.digest), (turn.messages, &turn.digest));
        assert_eq!(prompt.request, sent.canonical().expect("JSON"));
        let request = prompt.request.value();
        assert_eq!(request["instructions"], "You review repositories.");
        assert_eq!(request["messages"].as_array().map(Vec::len), Some(turn.messages as usize));
    }
    let none = reading.prompt(agent.id, 99).expect_err("there is no such call");
    assert!(none.to_string().contains("no call 99"), "{none}");
}
