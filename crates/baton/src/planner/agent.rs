//! The plan by which a model plans: one task of one agent, which has the tools of `chat` and no other.
//!
//! What it is told beforehand is the same for every conversation; what is asked comes as an input.

use baton_core::plan::{
    AgentCall, AgentLimits, Budget, ModelSpec, Plan, Retry, Stage, TaskPlan, Work,
};
use baton_core::words::{Compaction, OnFailure, Permission, ProgressMethod};
use serde_json::{Value, json};

use super::bound;
use super::offers::offers;
use crate::config::Planning;

/// The name of the plan.
pub const PLAN_NAME: &str = "plan-a-request";
/// The agent's name.
const AGENT: &str = "planner";
/// The key of the one task.
pub const TASK: &str = "plan";
/// The input that says what is asked.
const ASKED: &str = "asked";
/// Calls that one planning may take: several in each answer.
const CALLS_PER_TURN: u32 = 4;

/// What the model is told beforehand.
const INSTRUCTIONS: &str = include_str!("instructions.md");

/// The plan, for these models: with the tools of `chat`, or with an answer of this schema in their place.
pub fn planning(models: Vec<ModelSpec>, bounds: &Planning, answer: Option<Value>) -> Plan {
    let limits = AgentLimits {
        turns_max: bounds.turns,
        calls_max: bounds.turns.saturating_mul(CALLS_PER_TURN),
        output_tokens_max: bounds.output_tokens,
        ..AgentLimits::default()
    };
    let (told, tools) = match &answer {
        None => (INSTRUCTIONS, offers()),
        Some(_) => (bound::INSTRUCTIONS, Vec::new()),
    };
    let agent = AgentCall {
        agent: AGENT.to_owned(),
        models,
        instructions: Some(told.to_owned()),
        // The whole of it is one expression, so that nothing in the input is read as a template.
        prompt: format!("{{{{ inputs.{ASKED} }}}}"),
        tools,
        output: answer,
        limits,
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    };
    Plan {
        name: PLAN_NAME.to_owned(),
        version: 1,
        description: Some("A model finds out how to do what was asked for.".to_owned()),
        examples: Vec::new(),
        inputs: Some(json!({
            "type": "object",
            "required": [ASKED],
            "properties": { ASKED: { "type": "string" } },
        })),
        time_max: None,
        budget: Budget::default(),
        progress: ProgressMethod::AgentBased,
        stages: vec![Stage { name: "plan".to_owned(), weight: 1, milestones: Vec::new() }],
        tasks: vec![task(agent)],
        output: Some(Value::String(format!("{{{{ tasks.{TASK}.output }}}}"))),
        triggers: Vec::new(),
    }
}

/// The inputs of that plan.
pub fn inputs(asked: &str) -> Value {
    json!({ ASKED: asked })
}

fn task(agent: AgentCall) -> TaskPlan {
    TaskPlan {
        key: TASK.to_owned(),
        title: None,
        stage: 0,
        needs: None,
        when: None,
        each: None,
        on_failure: OnFailure::Fail,
        retry: Retry::of_turns(),
        timeout: None,
        concurrency_key: None,
        rate_key: None,
        priority: None,
        permission: Permission::ReadOnly,
        work: Work::Agent(agent),
        fallback: Vec::new(),
        probe: None,
    }
}

#[cfg(test)]
mod tests {
    use baton_core::agent::call_fault;
    use baton_engine::loaded::Loaded;

    use super::*;

    #[test]
    fn the_plan_can_be_run_and_its_agent_has_nothing_but_what_reads() {
        let plan = planning(vec![ModelSpec::named("a/b")], &Planning::default(), None);
        Loaded::new(plan.clone()).expect("it compiles");
        let Work::Agent(agent) = &plan.tasks[0].work else { panic!("{plan:?}") };
        for tool in &agent.tools {
            assert!(tool.name.starts_with("chat."), "{}", tool.name);
            assert_eq!(tool.effect, baton_core::words::Effect::Read, "{}", tool.name);
            let fault = call_fault(agent, &tool.name, &json!([])).unwrap_or_default();
            assert!(fault.contains("object") && !fault.contains("schema"), "{fault}");
            let told = agent.instructions.as_deref().unwrap_or_default();
            assert!(told.contains(&tool.name), "the instructions say nothing of {}", tool.name);
        }
    }
}
