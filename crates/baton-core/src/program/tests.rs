//! Tests of the rendering of tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::definition::tests::{plan, with_tasks};
use crate::ids::{Ordinal, WorkflowId};
use crate::time::Moment;
use crate::words::TaskStatus;

fn program(tasks: &[&str]) -> Program {
    Program::compile(&Arc::new(plan(&with_tasks(tasks)))).unwrap()
}

fn scope(inputs: Value, outputs: &[(u32, Value)]) -> Scope {
    let facts = |output: &Value| TaskFacts {
        status: TaskStatus::Completed,
        output: Arc::new(output.clone()),
    };
    let moment = Moment::new(Timestamp::from_millis(1_800_000_000_000), 1);
    Scope {
        inputs: Arc::new(inputs),
        tasks: outputs
            .iter()
            .map(|(ordinal, output)| (Ordinal(*ordinal), facts(output)))
            .collect::<BTreeMap<_, _>>(),
        item: None,
        workflow: WorkflowFacts {
            id: WorkflowId::new(&moment, 0),
            name: "test".to_owned(),
            run: 1,
        },
        event: None,
        output: None,
    }
}

/// The input a template of `core.noop` renders to.
fn rendered(template: &str, scope: &Scope) -> Result<Value, String> {
    let template = serde_json::to_string(template).unwrap();
    let log = "{ id: log, tool: core.noop }";
    let task = format!("{{ id: t, needs: [log], tool: core.noop, with: {{ v: {template} }} }}");
    let program = program(&[log, &task]);
    match program.prepare(Ordinal(1), scope) {
        Ok(Prepared::Work(Rendered::Tool(call))) => Ok(call.input.value()["v"].clone()),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => Err(failure.message),
    }
}

#[test]
fn one_expression_yields_its_value_and_anything_else_text() {
    let scope = scope(
        json!({ "n": u64::MAX, "f": 1.0, "s": "text", "none": null, "list": [1, { "a": true }] }),
        &[(0, json!({ "score": 7, "b-c": [1, 2, 3] }))],
    );
    for (template, value) in [
        ("{{ inputs.n }}", json!(u64::MAX)),
        ("{{ inputs.n - 1 }}", json!(u64::MAX - 1)),
        ("{{ inputs.f }}", json!(1.0)),
        ("{{ inputs.f + 0 }}", json!(1.0)),
        ("{{ inputs.none }}", json!(null)),
        ("{{ inputs.list }}", json!([1, { "a": true }])),
        ("{{ inputs.list + [2] }}", json!([1, { "a": true }, 2])),
        ("{{ inputs.list[-1].a }}", json!(true)),
        ("{{ tasks.log.output.score + 1 }}", json!(8)),
        ("{{ tasks.log.output['b-c'][1:] }}", json!([2, 3])),
        ("{{ tasks.log.status }}", json!("completed")),
        (
            "{{ tasks.log }}",
            json!({ "status": "completed", "output": { "score": 7, "b-c": [1, 2, 3] } }),
        ),
        ("{{ inputs.missing | default('x') }}", json!("x")),
        ("{{ 1 if inputs.s else 2 }}", json!(1)),
        ("{{ inputs.s }}!", json!("text!")),
        (
            "{{ inputs.list }} {{ inputs.none }} {{ true }}",
            json!("[1,{\"a\":true}] null true"),
        ),
        (
            "{% for x in inputs.list %}{{ loop.index }},{% endfor %}",
            json!("1,2,"),
        ),
        ("{{ range(3) }}", json!([0, 1, 2])),
        ("{{ workflow.run }}", json!(1)),
        ("{{ '<a>' }}&", json!("<a>&")),
        ("no template", json!("no template")),
    ] {
        assert_eq!(rendered(template, &scope), Ok(value), "{template}");
    }
}
