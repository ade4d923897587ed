//! Plans to simulate: random ones from a seed, and fixed ones that are cut everywhere.

use std::time::Duration;

use baton_core::agent::{PERSON_ASK, Price, person_ask};
use baton_core::codes::Code;
use baton_core::ids::Ordinal;
use baton_core::plan::{
    AgentCall, AgentLimits, Approval, Budget, Child, Each, Emit, Ends, Human, ModelSpec,
    OfferedTool, Plan, Probe, Retry, Stage, TaskPlan, ToolCall, Wait, Work, WorkerCall,
};
use baton_core::time::Span;
use baton_core::words::{
    AtLimit, Compaction, Effect, HumanKind, OnFailure, Permission, ProgressMethod,
};
use serde_json::{Value, json};

use crate::rng::Rng;
use crate::workers::TYPE;

fn seconds(n: u64) -> Span {
    Span(Duration::from_secs(n))
}

/// The call of a simulated tool of this effect class.
pub fn call(effect: Effect, with: Value) -> ToolCall {
    let tool = match effect {
        Effect::Read => "sim.read",
        Effect::Idempotent => "sim.put",
        Effect::Once => "sim.pay",
    };
    ToolCall { tool: tool.to_owned(), with, effect }
}

/// An agent with two models, and a tool of each effect class.
pub fn agent() -> Work {
    Work::Agent(agent_call())
}

fn agent_call() -> AgentCall {
    let offered = |name: &str, effect| OfferedTool {
        name: name.to_owned(),
        description: "A simulated tool.".to_owned(),
        input: json!({ "type": "object" }),
        effect,
        approval: None,
        ends: Ends::Call,
    };
    AgentCall {
        agent: "sim".to_owned(),
        models: vec![
            ModelSpec { price: Some(PRICE), ..ModelSpec::named("sim/one") },
            ModelSpec::named("sim/two"),
        ],
        instructions: None,
        prompt: "Well?".to_owned(),
        tools: vec![
            offered("sim.read", Effect::Read),
            offered("sim.put", Effect::Idempotent),
            offered("sim.pay", Effect::Once),
        ],
        output: Some(json!({ "type": "object" })),
        limits: AgentLimits { turns_max: 8, calls_max: 12, asks_max: 2, ..AgentLimits::default() },
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    }
}

/// The same, which may ask people, and may end by a call.
fn asking_agent() -> AgentCall {
    let mut agent = agent_call();
    let ask = person_ask();
    let offered = |name: &str, effect, ends| OfferedTool {
        name: name.to_owned(),
        description: ask.description.clone(),
        input: ask.input.clone(),
        effect,
        approval: None,
        ends,
    };
    agent.tools.push(offered(PERSON_ASK, ask.effect, Ends::Call));
    let end = offered(END, Effect::Once, Ends::Task);
    agent.tools.push(OfferedTool { input: json!({ "type": "object" }), ..end });
    agent
}

/// The tool that ends the task of an agent that may ask people.
pub const END: &str = "sim.end";

/// The same, whose payments a person approves, under a budget and with a small window.
fn careful(window: u64, within: Option<Span>) -> AgentCall {
    let mut agent = agent_call();
    for tool in agent.tools.iter_mut().filter(|tool| tool.effect == Effect::Once) {
        tool.approval = Some(Approval { within });
    }
    agent.limits.output_tokens_max = 100;
    for (model, input) in agent.models.iter_mut().zip([2_000_000, 1_000_000]) {
        model.window_tokens = Some(window);
        model.price = Some(Price { input, output: 5 * input, cached: None, cache_write: None });
    }
    agent
}

/// Of the first of an agent's models; nobody knows that of the second.
const PRICE: Price =
    Price { input: 3_000_001, output: 15_000_007, cached: None, cache_write: None };

/// A task with nothing but its work.
pub fn task(key: String, stage: u32, work: Work) -> TaskPlan {
    TaskPlan {
        key,
        title: None,
        stage,
        needs: None,
        when: None,
        each: None,
        on_failure: OnFailure::Fail,
        retry: Retry { attempts_max: 2, backoff: seconds(1), max: seconds(4) },
        timeout: Some(seconds(60)),
        concurrency_key: None,
        rate_key: None,
        priority: None,
        permission: Permission::ReadWrite,
        work,
        fallback: Vec::new(),
        probe: None,
    }
}

/// A plan of these tasks in as many stages as they name.
pub fn plan(name: &str, tasks: Vec<TaskPlan>) -> Plan {
    let stages = tasks.iter().map(|task| task.stage).max().unwrap_or(0) + 1;
    let stage = |n: u32| Stage { name: format!("s{n}"), weight: n + 1, milestones: Vec::new() };
    Plan {
        triggers: Vec::new(),
        name: name.to_owned(),
        version: 1,
        description: None,
        examples: Vec::new(),
        inputs: None,
        time_max: None,
        budget: Budget::default(),
        progress: ProgressMethod::AgentBased,
        stages: (0..stages).map(stage).collect(),
        tasks,
        output: None,
    }
}

fn human(kind: HumanKind) -> Work {
    Work::Human(Human {
        kind,
        ask: Some("Well?".to_owned()),
        form: (kind == HumanKind::Form).then(|| json!({ "type": "object" })),
        options: vec!["left".to_owned(), "right".to_owned()],
    })
}

fn effect(rng: &mut Rng) -> Effect {
    match rng.below(3) {
        0 => Effect::Read,
        1 => Effect::Idempotent,
        _ => Effect::Once,
    }
}

fn work(rng: &mut Rng, depth: u32) -> Work {
    match rng.below(22) {
        0 => human(HumanKind::Approval),
        1 => human(HumanKind::Choice),
        2 => human(HumanKind::Form),
        3 => Work::Wait(Wait::For(seconds(rng.below(20)))),
        4 => Work::Wait(Wait::Event {
            event: "sim.*".to_owned(),
            when: None,
            timeout: Some(seconds(40)),
        }),
        5 => Work::Emit(Emit { event_type: "sim.go".to_owned(), data: json!({ "n": 1 }) }),
        6 if depth > 0 => Work::Workflow(Child {
            name: "inner".to_owned(),
            version: 1,
            with: json!({}),
            plan: Box::new(random(rng, depth - 1)),
        }),
        7 | 8 => Work::Worker(WorkerCall {
            worker_type: TYPE.to_owned(),
            with: json!({ "constant": true }),
            effect: effect(rng),
        }),
        9..=10 => agent(),
        20..=21 => Work::Agent(asking_agent()),
        11..=12 => Work::Agent(careful(300 + rng.below(1_000), Some(seconds(3_600)))),
        _ => {
            let effect = effect(rng);
            Work::Tool(call(effect, json!({ "constant": true })))
        }
    }
}

/// Templates that read what the task needs, where it is a tool's call.
fn reads(task: &mut TaskPlan, needs: &[u32]) {
    let Work::Tool(call) = &mut task.work else {
        return;
    };
    if let Some(need) = needs.first() {
        call.with = json!({ "before": format!("{{{{ tasks.t{need}.output }}}}") });
    }
}

fn random_task(rng: &mut Rng, n: u32, stage: u32, depth: u32) -> TaskPlan {
    let mut task = task(format!("t{n}"), stage, work(rng, depth));
    task.retry.attempts_max = 1 + u32::try_from(rng.below(3)).unwrap_or(0);
    task.on_failure = match rng.below(5) {
        0 => OnFailure::Fail,
        1 => OnFailure::SkipDependents,
        _ => OnFailure::Continue,
    };
    if n > 0 && rng.chance(600) {
        let mut needs: Vec<u32> = (0..=rng.below(2))
            .map(|_| u32::try_from(rng.below(u64::from(n))).unwrap_or(0))
            .collect();
        needs.sort_unstable();
        needs.dedup();
        reads(&mut task, &needs);
        task.needs = Some(needs.into_iter().map(Ordinal).collect());
    }
    let is_tool = matches!(task.work, Work::Tool(_));
    let may_fan_out = is_tool || matches!(task.work, Work::Worker(_) | Work::Agent(_));
    if may_fan_out && rng.chance(250) {
        let count = rng.below(4);
        let list: Vec<u64> = (0..count).collect();
        let concurrency = rng.chance(500).then(|| 1 + u32::try_from(rng.below(2)).unwrap_or(0));
        task.each = Some(Each { list: json!(list), concurrency });
    }
    if is_tool && rng.chance(200) {
        task.fallback.push(call(effect(rng), json!({ "fallback": true })));
    }
    if is_tool && rng.chance(200) {
        let probe = call(Effect::Read, json!({ "probe": true }));
        task.probe = Some(Probe { call: probe, happened: None });
    }
    if rng.chance(100) {
        task.when = Some("1 > 2".to_owned());
    }
    if rng.chance(150) {
        task.concurrency_key = Some("key".to_owned());
    }
    if rng.chance(100) {
        task.rate_key = Some("api".to_owned());
    }
    task
}

/// A random plan of up to nine tasks; children nest `depth` deep.
pub fn random(rng: &mut Rng, depth: u32) -> Plan {
    let count = 1 + u32::try_from(rng.below(9)).unwrap_or(0);
    let mut stage = 0;
    let mut tasks = Vec::new();
    for n in 0..count {
        stage += u32::from(n > 0 && rng.chance(250));
        tasks.push(random_task(rng, n, stage, depth));
    }
    let mut plan = plan(&format!("p{}", rng.below(1_000_000_000)), tasks);
    if rng.chance(300) {
        plan.output = Some(json!("{{ tasks.t0.output }}"));
    }
    if rng.chance(150) {
        plan.time_max = Some(seconds(30));
    }
    if rng.chance(300) {
        let at_limit = AtLimit::ALL.get(rng.below(4) as usize).copied().unwrap_or(AtLimit::Ask);
        let (tokens_max, calls_max) = (Some(500 + rng.below(4_000)), Some(6));
        plan.budget = Budget { tokens_max, calls_max, cost_max: None, at_limit };
    }
    if rng.chance(300) {
        plan.progress = ProgressMethod::StageWeighted;
    }
    plan
}

/// The plans that are cut everywhere: a chain, a diamond with a fan-out, people and children.
pub fn fixed() -> Vec<Plan> {
    let tool = |key: &str, stage: u32, effect: Effect| {
        task(key.to_owned(), stage, Work::Tool(call(effect, json!({ "key": key }))))
    };
    let needing = |task: TaskPlan, needs: &[u32]| TaskPlan {
        needs: Some(needs.iter().copied().map(Ordinal).collect()),
        ..task
    };
    let chain = vec![
        tool("t0", 0, Effect::Read),
        needing(tool("t1", 0, Effect::Once), &[0]),
        needing(tool("t2", 0, Effect::Idempotent), &[1]),
        tool("t3", 1, Effect::Once),
    ];
    let mut fan = tool("t1", 0, Effect::Once);
    fan.each = Some(Each { list: json!([1, 2, 3]), concurrency: Some(2) });
    let mut join = needing(tool("t2", 0, Effect::Once), &[0, 1]);
    reads(&mut join, &[1]);
    let mut diamond = plan("diamond", vec![tool("t0", 0, Effect::Once), fan, join]);
    diamond.output = Some(json!("{{ tasks.t2.output }}"));
    let child = Work::Workflow(Child {
        name: "inner".to_owned(),
        version: 1,
        with: json!({}),
        plan: Box::new(plan(
            "inner",
            vec![tool("i0", 0, Effect::Once), tool("i1", 1, Effect::Read)],
        )),
    });
    let mixed = vec![
        task("t0".to_owned(), 0, human(HumanKind::Approval)),
        task("t1".to_owned(), 0, Work::Wait(Wait::For(seconds(7)))),
        task("t2".to_owned(), 1, child),
        task(
            "t3".to_owned(),
            1,
            Work::Emit(Emit { event_type: "sim.go".to_owned(), data: json!({}) }),
        ),
        tool("t4", 2, Effect::Once),
    ];
    vec![
        plan("chain", chain),
        diamond,
        plan("mixed", mixed),
        healing(),
        family(),
        asking(),
        agents(),
        careful_agents(),
        asking_agents(),
    ]
}

/// An agent that another needs, and one for each of two items.
fn agents() -> Plan {
    let mut second = task("t1".to_owned(), 0, agent());
    second.each = Some(Each { list: json!([1, 2]), concurrency: Some(1) });
    second.needs = Some(vec![Ordinal(0)]);
    plan("agents", vec![task("t0".to_owned(), 0, agent()), second])
}

/// Agents that ask people and end by calls, one after the other: people act as they come, and the
/// order of calls is that of the answers.
fn asking_agents() -> Plan {
    let one = |key: &str| task(key.to_owned(), 0, Work::Agent(asking_agent()));
    let second = TaskPlan { needs: Some(vec![Ordinal(0)]), ..one("t1") };
    plan("asking agents", vec![one("t0"), second])
}

/// Two agents beside one another that need approvals and more than their budget has.
fn careful_agents() -> Plan {
    let one = |key: &str| task(key.to_owned(), 0, Work::Agent(careful(700, None)));
    let budget = Budget { tokens_max: Some(1_500), ..Budget::default() };
    Plan { budget, ..plan("careful", vec![one("t0"), one("t1")]) }
}

/// Calls of every effect class that ask people, one of them twice and one beside others.
fn asking() -> Plan {
    let tool = |key: &str, stage: u32, effect: Effect, asks: u64| {
        task(key.to_owned(), stage, Work::Tool(call(effect, json!({ "asks": asks }))))
    };
    let mut fan = tool("t2", 1, Effect::Idempotent, 1);
    fan.each = Some(Each { list: json!([1, 2, 3]), concurrency: Some(2) });
    let beside = task("t3".to_owned(), 1, Work::Tool(call(Effect::Once, json!({}))));
    plan(
        "asking",
        vec![tool("t0", 0, Effect::Once, 2), tool("t1", 0, Effect::Read, 1), fan, beside],
    )
}

/// Retries, fallbacks, an `each` that is tried again, and failures that are tolerated.
fn healing() -> Plan {
    let tool = |key: &str, effect: Effect, with: Value| {
        let mut task = task(key.to_owned(), 0, Work::Tool(call(effect, with)));
        task.retry.attempts_max = 3;
        task
    };
    let mut heals = tool("t0", Effect::Once, json!({ "refuses": true }));
    heals.fallback.push(call(Effect::Idempotent, json!({ "refuses": true })));
    heals.fallback.push(call(Effect::Once, json!({ "fails": 1 })));
    let mut fan = tool("t1", Effect::Idempotent, json!({ "fails": 2 }));
    fan.each = Some(Each { list: json!([1, 2, 3]), concurrency: Some(2) });
    let mut busy = tool("t2", Effect::Read, json!({ "fails": 9 }));
    busy.fallback.push(call(Effect::Once, json!({})));
    let mut fails = tool("t3", Effect::Once, json!({ "refuses": true }));
    fails.on_failure = OnFailure::SkipDependents;
    let skipped = TaskPlan { needs: Some(vec![Ordinal(3)]), ..tool("t4", Effect::Read, json!({})) };
    let mut join = tool("t5", Effect::Once, json!({ "fails": 1 }));
    join.needs = Some(vec![Ordinal(0), Ordinal(1), Ordinal(2)]);
    plan("healing", vec![heals, fan, busy, fails, skipped, join])
}

/// A child for each item, each with a child of its own and a call that is tried again.
fn family() -> Plan {
    let child = |key: &str, name: &str, plan: Plan| {
        let (name, plan) = (name.to_owned(), Box::new(plan));
        let child = Child { name, version: 1, with: json!({}), plan };
        task(key.to_owned(), 0, Work::Workflow(child))
    };
    let flaky = Work::Tool(call(Effect::Once, json!({ "fails": 1 })));
    let youngest = plan("youngest", vec![task("y0".to_owned(), 0, flaky)]);
    let asked = task("i1".to_owned(), 0, human(HumanKind::Approval));
    let inner = plan("inner", vec![child("i0", "youngest", youngest), asked]);
    let mut each = child("t0", "inner", inner);
    each.each = Some(Each { list: json!([1, 2]), concurrency: None });
    let last = Work::Tool(call(Effect::Once, json!({})));
    plan("family", vec![each, task("t1".to_owned(), 1, last)])
}
