//! Tasks of the kind `agent`: what is pinned into the plan, and what is refused.

use serde_json::json;

use super::{Known, agent, with_tasks};
use crate::agent::call_fault;
use crate::definition::read;
use crate::plan::{AgentCall, AgentSpec, ModelSpec, Plan, Work};
use crate::words::{Compaction, Permission};

/// The usual tools, and one agent `reader` that is `spec`.
fn knows(spec: AgentSpec) -> Known {
    let mut known = Known::new();
    known.agents.insert("reader".to_owned(), spec);
    known
}

fn agent_of(plan: &Plan) -> &AgentCall {
    let Work::Agent(call) = &plan.tasks[0].work else { panic!("{:?}", plan.tasks[0]) };
    call
}

/// The agent of a definition with one task: `reader` with these further fields.
fn reads(known: &Known, fields: &str) -> AgentCall {
    let source = with_tasks(&[&format!("{{ id: a, agent: reader, prompt: hi{fields} }}")]);
    let plan = read(&source, known).unwrap_or_else(|faults| panic!("{faults:?}"));
    agent_of(&plan).clone()
}

/// The only fault of that definition holds these words and stands at the field.
fn refuses(known: &Known, fields: &str, at: &str, words: &str) {
    let source = with_tasks(&[&format!("{{ id: a, agent: reader, prompt: hi{fields} }}")]);
    let faults = read(&source, known).expect_err(&source);
    let shown: Vec<String> = faults
        .iter()
        .map(|fault| format!("{} | {}", fault.message, fault.help.as_deref().unwrap_or_default()))
        .collect();
    assert!(shown.len() == 1 && shown[0].contains(words), "{words:?} of {source}: {shown:#?}");
    assert_eq!(faults[0].path, format!("stages[0].tasks[0].{at}"), "{source}");
    assert_eq!(faults[0].line, 5);
}

fn names(call: &AgentCall) -> Vec<&str> {
    call.tools.iter().map(|tool| tool.name.as_str()).collect()
}

#[test]
fn what_an_agent_is_configured_to_is_pinned_with_what_its_task_asks() {
    let mut spec = agent(&["fs.*", "core.noop"]);
    spec.instructions = Some("Be brief.".to_owned());
    spec.approve = vec!["fs.list".to_owned()];
    spec.approve_within = "10m".parse().ok();
    spec.compaction = Compaction::Fail;
    let more = ", output: { type: object }, turns: 5, calls: 0, asks: 1, tokens: 9000000000, \
                usd: '0.10', output_tokens: 100, approve: [core.noop], timeout: 1m";
    let known = knows(spec);
    let call = reads(&known, more);
    assert_eq!((call.agent.as_str(), call.prompt.as_str()), ("reader", "hi"));
    assert_eq!(call.models, [ModelSpec::named("local/one")]);
    assert_eq!(call.instructions.as_deref(), Some("Be brief."));
    assert_eq!(
        (call.output, call.compaction),
        (Some(json!({ "type": "object" })), Compaction::Fail)
    );
    let limits = call.limits;
    assert_eq!((limits.turns_max, limits.calls_max, limits.asks_max), (5, 0, 1));
    assert_eq!((limits.tokens_max, limits.output_tokens_max), (Some(9_000_000_000), 100));
    assert_eq!(limits.cost_max, "0.1".parse().ok());
    let within = |name: &str| {
        let tool = call.tools.iter().find(|tool| tool.name == name).expect("it is offered");
        tool.approval.map(|approval| approval.within)
    };
    assert_eq!(within("fs.list"), Some("10m".parse().ok()));
    assert_eq!((within("core.noop").is_some(), within("fs.read")), (true, None));
}

#[test]
fn ch9_a_read_only_agent_is_offered_no_tool_that_writes_and_cannot_call_one_it_invents() {
    let known = knows(agent(&["fs.*"]));
    for fields in ["", ", permission: read_only"] {
        let call = reads(&known, fields);
        assert_eq!(names(&call), ["fs.list", "fs.read"]);
        let invented = call_fault(&call, "fs.write", &json!({ "path": "a", "text": "b" }));
        assert!(invented.expect("it is refused").contains("there is no tool `fs.write`"));
        assert_eq!(call_fault(&call, "fs.read", &json!({ "path": "a" })), None);
    }
    let elevated = reads(&known, ", permission: read_write");
    assert_eq!(names(&elevated), ["fs.list", "fs.read", "fs.write"]);
    let arguments = json!({ "path": "a", "text": "b" });
    assert_eq!(call_fault(&elevated, "fs.write", &arguments), None);

    // The agent alone elevates nobody, and an agent that may not write has no task that does.
    refuses(&knows(agent(&["fs.write"])), "", "agent", "add `permission: read_write` to the task");
    let bounded = AgentSpec { permission: Permission::ReadOnly, ..agent(&["fs.*"]) };
    let words = "set `permission = \"read_write\"` in `[agents.reader]`";
    refuses(&knows(bounded), ", permission: read_write", "permission", words);
}

#[test]
fn ch9_an_elevation_stands_in_the_plan_that_is_reviewed() {
    let known = knows(agent(&["fs.*"]));
    let elevated = "{ id: a, agent: reader, prompt: hi, permission: read_write }";
    let plan = read(&with_tasks(&[elevated]), &known).unwrap();
    assert_eq!(plan.tasks[0].permission, Permission::ReadWrite);
    let plain = read(&with_tasks(&["{ id: a, agent: reader, prompt: hi }"]), &known).unwrap();
    assert_eq!(plain.tasks[0].permission, Permission::ReadOnly);
}

#[test]
fn tools_are_narrowed_by_the_task_and_must_be_there() {
    let known = knows(agent(&["fs.*", "core.noop"]));
    assert_eq!(names(&reads(&known, ", tools: [fs.read]")), ["fs.read"]);
    assert_eq!(names(&reads(&known, ", tools: [fs.*, fs.read]")), ["fs.list", "fs.read"]);
    assert!(reads(&known, ", tools: []").tools.is_empty());
    for (fields, at, words) in [
        (", tools: [fs.raed]", "tools", "has no tool `fs.raed` | did you mean `fs.read`?"),
        (", tools: [git.*]", "tools", "the agent `reader` has no tool `git.*`"),
        (", tools: [fs.write]", "tools", "add `permission: read_write` to the task"),
        (
            ", approve: [fs.red]",
            "approve",
            "no tool that this task offers | did you mean `fs.read`?",
        ),
        (", tools: [fs.read], approve: [core.*]", "approve", "`core.*` is no tool that this task"),
    ] {
        refuses(&known, fields, at, words);
    }
}

#[test]
fn an_agent_that_lists_it_may_ask_people_whatever_its_permission() {
    for pattern in ["person.ask", "person.*"] {
        let known = knows(agent(&["fs.*", pattern]));
        let call = reads(&known, "");
        assert_eq!(names(&call), ["fs.list", "fs.read", "person.ask"]);
        assert_eq!(names(&reads(&known, ", tools: [person.ask]")), ["person.ask"]);
        assert_eq!(call_fault(&call, "person.ask", &json!({ "question": "Where?" })), None);
        assert!(call_fault(&call, "person.ask", &json!({ "choices": ["a"] })).is_some());
    }
    refuses(&knows(agent(&["person.aks"])), "", "agent", "did you mean `person.ask`?");
    refuses(
        &knows(agent(&["fs.read"])),
        ", tools: [person.ask]",
        "tools",
        "has no tool `person.ask`",
    );
}

#[test]
fn a_configuration_that_cannot_be_meant_is_told_at_the_agent() {
    for (tools, words) in [
        (
            vec!["fs.raed"],
            "there is no tool `fs.raed`, which the agent `reader` uses | did you mean",
        ),
        (vec!["git.*"], "mend `tools` of `[agents.reader]`"),
        (vec!["*"], "there is no tool `*`"),
    ] {
        refuses(&knows(agent(&tools)), "", "agent", words);
    }
    // Under its real name it would be called without anybody's yes.
    let misspelt = AgentSpec { approve: vec!["fs.wirte".to_owned()], ..agent(&["fs.*"]) };
    refuses(&knows(misspelt), "", "agent", "no tool `fs.wirte` to be approved");
    let idle = AgentSpec { models: Vec::new(), ..agent(&[]) };
    refuses(&knows(idle), "", "agent", "`[models] worker = [\"provider/name\"]`");
}

#[test]
fn a_task_goes_no_further_than_its_agent() {
    let mut spec = agent(&[]);
    spec.limits.cost_max = "0.2".parse().ok();
    let known = knows(spec);
    for (fields, at, words) in [
        (", turns: 51", "turns", "`turns` is above 50, the most that the agent `reader` has"),
        (", calls: 201", "calls", "set `calls` in `[agents.reader]`"),
        (", usd: '0.21'", "usd", "`usd` is above 0.20"),
        (", usd: 0.1", "usd", "a sum of dollars in quotes"),
        (", usd: a lot", "usd", "`a lot` is not a sum of dollars"),
        (", usd: '0.00'", "usd", "more than nothing"),
        (", turns: 0", "turns", "from 1 to"),
        (", output: { type: objekt }", "output", "not a valid JSON Schema"),
    ] {
        refuses(&known, fields, at, words);
    }
    assert_eq!(reads(&known, "").limits.cost_max, "0.2".parse().ok());
}

#[test]
fn a_prompt_may_name_what_a_template_of_its_task_may() {
    for (prompt, words) in [
        ("{{ tasks.b.output }}", "there is no task `b`"),
        ("{{ item }}", "`item` is known in tasks with `each` only"),
        ("{{", "this template cannot be read"),
        (" ", "must be asked something"),
    ] {
        let task = format!("{{ id: a, agent: plain, prompt: '{prompt}' }}");
        let faults = super::faults(&with_tasks(&[&task]));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].message.contains(words), "{faults:?}");
        assert_eq!(faults[0].path, "stages[0].tasks[0].prompt");
    }
    let each = "{ id: a, each: [1, 2], agent: plain, prompt: 'Look at {{ item }}' }";
    assert_eq!(agent_of(&super::plan(&with_tasks(&[each]))).prompt, "Look at {{ item }}");
}

#[test]
fn an_alternative_agent_lends_its_models_where_it_differs_in_nothing_else() {
    let mut known = knows(agent(&["fs.*"]));
    let models = ["local/one", "local/small"].map(ModelSpec::named).to_vec();
    known.agents.insert("small".to_owned(), AgentSpec { models, ..agent(&["fs.*"]) });
    let call = reads(&known, ", fallback: [ { agent: small }, { tool: core.noop } ]");
    let models: Vec<&str> = call.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(models, ["local/one", "local/small"]);
    known.agents.insert("other".to_owned(), agent(&[]));
    for (fallback, field, words) in [
        ("{ agent: other }", "agent", "differs from `reader` in its tools, and an alternative"),
        ("{ agent: smal }", "agent", "there is no agent `smal` | did you mean `small`?"),
        ("{ agent: small, with: {} }", "with", "an alternative agent does not take `with`"),
    ] {
        let fields = format!(", fallback: [ {fallback} ]");
        refuses(&known, &fields, &format!("fallback[0].{field}"), words);
    }
    let late = ", fallback: [ { tool: core.noop }, { agent: small } ]";
    refuses(&known, late, "fallback[1].agent", "comes before the alternative tools");
}

#[test]
fn a_turn_is_tried_again_by_itself_unless_the_task_says_how_often() {
    let known = knows(agent(&[]));
    let attempts = |fields: &str| {
        let source = with_tasks(&[&format!("{{ id: a, agent: reader, prompt: hi{fields} }}")]);
        read(&source, &known).expect("a plan").tasks[0].retry.attempts_max
    };
    assert_eq!([attempts(""), attempts(", retry: { attempts: 1 }")], [5, 1]);
}
