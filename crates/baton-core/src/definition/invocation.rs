//! One call of one tool as a plan of one task, so that it is journaled like any other.
//!
//! The input is the workflow's inputs: it is compared with the tool's schema, and no template is
//! looked for in it.

use serde_json::{Map, Value, json};

use super::inputs::{InputFault, input_faults};
use crate::plan::{Budget, Plan, Stage, TaskPlan, ToolCall, ToolSpec, Work};
use crate::program::scan;
use crate::words::{OnFailure, ProgressMethod};

/// The key of the one task.
pub const INVOCATION_TASK: &str = "call";

/// The plan and the inputs of a call; `Err` lists how the input does not fit the tool.
pub fn invocation(tool: &ToolSpec, input: Value) -> Result<(Plan, Value), Vec<InputFault>> {
    let mut plan = Plan {
        name: tool.name.clone(),
        version: 1,
        description: Some(format!("One call of {}.", tool.name)),
        examples: Vec::new(),
        inputs: Some(tool.input.clone()),
        time_max: None,
        budget: Budget::default(),
        progress: ProgressMethod::AgentBased,
        stages: vec![Stage { name: "invoke".to_owned(), weight: 1, milestones: Vec::new() }],
        tasks: Vec::new(),
        triggers: Vec::new(),
        output: Some(Value::String(format!("{{{{ tasks.{INVOCATION_TASK}.output }}}}"))),
    };
    let input = input_faults(&plan, &input)?;
    plan.tasks.push(task(tool, with(&input)));
    Ok((plan, input))
}

/// A template for each input, or the input itself where it holds nothing that looks like one.
fn with(input: &Value) -> Value {
    let given = input.as_object().into_iter().flatten();
    let value = |(name, value): (&String, &Value)| {
        let quoted = Value::String(name.clone());
        let kept = if is_plain(value) {
            value.clone()
        } else {
            json!(format!("{{{{ inputs[{quoted}] }}}}"))
        };
        (name.clone(), kept)
    };
    Value::Object(given.map(value).collect::<Map<String, Value>>())
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => !scan::is_template(text),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(fields) => fields.values().all(is_plain),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn task(tool: &ToolSpec, with: Value) -> TaskPlan {
    TaskPlan {
        key: INVOCATION_TASK.to_owned(),
        title: None,
        stage: 0,
        needs: None,
        when: None,
        each: None,
        on_failure: OnFailure::Fail,
        retry: Default::default(),
        timeout: None,
        concurrency_key: None,
        rate_key: None,
        priority: None,
        permission: tool.permission,
        work: Work::Tool(ToolCall { tool: tool.name.clone(), with, effect: tool.effect }),
        fallback: Vec::new(),
        probe: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Effect, Permission};

    fn tool() -> ToolSpec {
        ToolSpec {
            name: "fs.read".to_owned(),
            description: String::new(),
            effect: Effect::Read,
            permission: Permission::ReadOnly,
            input: json!({
                "type": "object",
                "properties": { "path": { "type": "string" }, "lines": { "type": "integer" } },
                "required": ["path"],
                "additionalProperties": false,
            }),
            output: None,
            quick: false,
        }
    }

    #[test]
    fn a_call_is_a_plan_of_one_task_and_its_input_is_no_template() {
        let input = json!({ "path": "{{ tasks }}", "lines": 3 });
        let (plan, inputs) = invocation(&tool(), input.clone()).unwrap();
        assert_eq!(inputs, input);
        let Work::Tool(call) = &plan.tasks[0].work else { panic!("{plan:?}") };
        assert_eq!((call.tool.as_str(), call.effect), ("fs.read", Effect::Read));
        assert_eq!(call.with, json!({ "path": "{{ inputs[\"path\"] }}", "lines": 3 }));
    }

    #[test]
    fn an_input_that_does_not_fit_the_tool_is_refused_with_its_place() {
        let faults = invocation(&tool(), json!({ "lines": "three" })).unwrap_err();
        let all = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.message));
        let all = all.collect::<Vec<_>>().join("; ");
        assert!(all.contains("path") && all.contains("/lines"), "{all}");
    }
}
