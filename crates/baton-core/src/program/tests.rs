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

#[test]
fn a_program_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Program>();
    shared::<Scope>();
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
fn a_prompt_is_rendered_as_text_or_as_the_value_of_one_expression() {
    let scope = scope(json!({ "who": "Ada", "parts": [{ "text": "a" }] }), &[]);
    for (prompt, value) in [
        ("as it is", json!("as it is")),
        ("Greet {{ inputs.who }}.", json!("Greet Ada.")),
        ("{{ inputs.parts }}", json!([{ "text": "a" }])),
    ] {
        let task = format!("{{ id: t, agent: plain, prompt: '{prompt}' }}");
        let prepared = program(&[&task]).prepare(Ordinal(0), &scope).unwrap();
        assert_eq!(prepared, Prepared::Work(Rendered::Agent { prompt: value }));
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
        ("{{ inputs.list }} {{ inputs.none }} {{ true }}", json!("[1,{\"a\":true}] null true")),
        ("{% for x in inputs.list %}{{ loop.index }},{% endfor %}", json!("1,2,")),
        ("{{ range(3) }}", json!([0, 1, 2])),
        ("{{ workflow.run }}", json!(1)),
        ("{{ '<a>' }}&", json!("<a>&")),
        ("no template", json!("no template")),
    ] {
        assert_eq!(rendered(template, &scope), Ok(value), "{template}");
    }
}

#[test]
fn what_is_undefined_is_named() {
    let scope = scope(json!({ "repo": ".", "list": [1] }), &[(0, json!({ "a": null }))]);
    for (template, words) in [
        (
            "{{ tasks.log.output.score }}",
            "with.v: `tasks.log.output.score` is undefined: `tasks.log.output` has a",
        ),
        ("{{ tasks.log.output.a.b }}", "`tasks.log.output.a` is null"),
        ("{{ tasks.log.output.score + 1 }}", "`tasks.log.output.score` is undefined"),
        ("score {{ tasks.log.output.score }}!", "`tasks.log.output.score` is undefined"),
        ("{% if tasks.log.output.score %}x{% endif %}", "`tasks.log.output.score` is undefined"),
        ("{{ [inputs.nope] }}", "`inputs.nope` is undefined: `inputs` has repo, list"),
        ("{{ inputs.list[5] }}", "`inputs.list` is a list of 1"),
        ("{{ inputs.repo.x }}", "`inputs.repo` is no object that could have `.x`"),
        ("{{ 9223372036854775807 * 4 }}", "does not fit into 64 bits"),
        ("{{ 1 / 0 }}", "with.v"),
        ("{{ 'a' + 1 }}", "with.v: invalid operation"),
    ] {
        let error = rendered(template, &scope).unwrap_err();
        assert!(error.contains(words), "{template}: {error}");
    }
}

#[test]
fn evaluation_is_bounded() {
    let long = "x".repeat(1_000_000);
    let scope = scope(json!({ "long": long, "n": 100_000_000 }), &[]);
    for (template, words) in [
        ("{{ inputs.long * inputs.n }}", "too large"),
        ("{{ [inputs.long] * 100 }}", "larger than 8388608 bytes"),
        ("{% for i in range(100) %}{{ inputs.long }}{% endfor %}", "larger than 8388608 bytes"),
        ("{{ inputs.long }}{{ inputs.long * 8 }}", "larger than 8388608 bytes"),
        ("{{ inputs.long | replace('x', inputs.long) }}", "larger than 8388608 bytes"),
        ("{{ ([inputs.long] * 100) | join }}", "larger than 8388608 bytes"),
        ("{{ inputs.long | indent(inputs.n) }}", "larger than 8388608 bytes"),
        ("{{ [1] * inputs.n }}", "larger than 8388608 bytes"),
        (
            "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
            "did not end within",
        ),
    ] {
        let error = rendered(template, &scope).unwrap_err();
        assert!(error.contains(words), "{template}: {error}");
    }
    let list = rendered("{{ range(100000) | list }}", &scope).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(100_000));
}

#[test]
fn filters_of_ours_do_what_the_names_say() {
    let scope = scope(json!({ "list": ["a", 1, null], "text": "a\n\nb\n" }), &[]);
    for (template, value) in [
        ("{{ inputs.list | join('-') }}", json!("a-1-null")),
        ("{{ 'banana' | replace('an', 'x') }}", json!("bxxa")),
        ("{{ inputs.text | indent(2) }}", json!("a\n\n  b\n")),
        ("{{ inputs.list | tojson }}", json!("[\"a\", 1, null]")),
        ("{{ '-' * 3 }}", json!("---")),
        ("{% set x = 'a' %}{{ x }}\n", json!("a\n")),
    ] {
        assert_eq!(rendered(template, &scope), Ok(value), "{template}");
    }
}

#[test]
fn a_task_that_brought_nothing_has_the_output_null() {
    let mut scope = scope(json!({}), &[(0, Value::Null)]);
    for status in [TaskStatus::Failed, TaskStatus::Skipped] {
        if let Some(facts) = scope.tasks.get_mut(&Ordinal(0)) {
            facts.status = status;
        }
        for (template, value) in [
            ("{{ tasks.log.output }}", json!(null)),
            ("{{ tasks.log.output is none }}", json!(true)),
            ("{{ tasks.log.status }}", json!(status.to_string())),
            ("{{ tasks.log.output or 'none' }}", json!("none")),
        ] {
            assert_eq!(rendered(template, &scope), Ok(value), "{template}");
        }
    }
}

const FAN: [&str; 8] = [
    "{ id: list, tool: core.noop, with: { a: [1, { b: 2 }] } }",
    "{ id: guard, tool: core.noop, needs: [list], when: tasks.list.output.go }",
    "{ id: fan, tool: core.noop, needs: [list], when: tasks.list.output.go, each: '{{ tasks.list.output.items }}', with: { v: '{{ item }}', i: '{{ index }}' } }",
    "{ id: odd, tool: core.noop, each: [1, 2], when: item != 2, with: { v: '{{ item }}' } }",
    "{ id: sure, tool: core.noop, each: [1, 2] }",
    "{ id: ask, human: choice, options: [x], needs: [list], ask: 'Take {{ tasks.list.output.n }}?' }",
    "{ id: come, wait: { event: 'a.*', when: 'event.data.job == tasks.list.output.job', timeout: 5s }, needs: [list] }",
    "{ id: dawn, wait: { until: '{{ tasks.list.output.at }}' }, needs: [list], concurrency_key: 'k-{{ inputs.repo }}', rate_key: 'r-{{ inputs.repo }}', retry: { attempts: 2 } }",
];

#[test]
fn references_and_constants_are_known_without_running() {
    let program = program(&FAN);
    let read: Vec<usize> = (0..8).map(|at| program.references(Ordinal(at)).len()).collect();
    assert_eq!(read, [0, 1, 1, 0, 0, 1, 1, 1]);
    let constant: Vec<bool> = (0..8).map(|at| program.is_constant(Ordinal(at))).collect();
    assert_eq!(constant, [true, false, false, false, true, false, true, false]);
    let input = program.constant_input(Ordinal(0)).map(Json::as_str);
    assert_eq!(input, Some(r#"{"a":[1,{"b":2}]}"#));
    assert_eq!(program.constant_input(Ordinal(1)), None);
    let prepared = program.prepare(Ordinal(0), program.empty_scope());
    assert!(matches!(
        prepared,
        Ok(Prepared::Work(Rendered::Tool(call))) if Some(&call.input) == program.constant_input(Ordinal(0))
    ));
}

#[test]
fn when_comes_before_each_and_each_before_the_work() {
    let program = program(&FAN);
    let output = |go: bool| (0, json!({ "go": go, "items": ["a", null], "n": 3 }));
    let go = scope(json!({ "repo": "r" }), &[output(true)]);
    let stay = scope(json!({ "repo": "r" }), &[output(false)]);
    let item = |index, item: Value, scope: &Scope| Scope {
        item: Some((index, Arc::new(item))),
        ..scope.clone()
    };
    assert_eq!(program.prepare(Ordinal(1), &stay), Ok(Prepared::Skip));
    assert_eq!(program.prepare(Ordinal(2), &stay), Ok(Prepared::Skip));
    let items = vec![Json::of(&json!("a")), Json::null()];
    assert_eq!(program.prepare(Ordinal(2), &go), Ok(Prepared::Expand(items)));
    // An item is prepared without asking `when` again.
    let Ok(Prepared::Work(Rendered::Tool(call))) =
        program.prepare(Ordinal(2), &item(1, Value::Null, &stay))
    else {
        panic!("an item is work")
    };
    assert_eq!(call.input.as_str(), r#"{"v":null,"i":1}"#);
    // A `when` that names the item is asked for each.
    assert!(
        matches!(program.prepare(Ordinal(3), &go), Ok(Prepared::Expand(items)) if items.len() == 2)
    );
    assert!(matches!(program.prepare(Ordinal(3), &item(0, json!(1), &go)), Ok(Prepared::Work(_))));
    assert_eq!(program.prepare(Ordinal(3), &item(1, json!(2), &go)), Ok(Prepared::Skip));
    let bad = scope(json!({}), &[(0, json!({ "go": 1, "items": "text" }))]);
    let error = program.prepare(Ordinal(2), &bad).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (FailureKind::Template, "each: this must be a list, and is a string")
    );
}

#[test]
fn other_kinds_are_rendered() {
    let program = program(&FAN);
    let at = "2027-01-15T08:00:00Z";
    let mut scope = scope(json!({ "repo": "r" }), &[(0, json!({ "n": 3, "job": 7, "at": at }))]);
    assert!(matches!(
        program.prepare(Ordinal(5), &scope),
        Ok(Prepared::Work(Rendered::Human { ask: Some(ask), .. })) if ask == "Take 3?"
    ));
    assert_eq!(
        program.prepare(Ordinal(7), &scope),
        Ok(Prepared::Work(Rendered::WaitUntil(at.parse().unwrap())))
    );
    assert_eq!(program.concurrency_key(Ordinal(7), &scope), Ok(Some("k-r".to_owned())));
    assert_eq!(program.concurrency_key(Ordinal(0), &scope), Ok(None));
    assert_eq!(program.rate_key(Ordinal(7), &scope), Ok(Some("r-r".to_owned())));
    assert_eq!(program.rate_key(Ordinal(0), &scope), Ok(None));
    for (job, matches) in [(7, true), (8, false)] {
        scope.event = Some(Arc::new(json!({ "data": { "job": job } })));
        assert_eq!(program.event_matches(Ordinal(6), &scope), Ok(matches));
    }
}

#[test]
fn fallback_probe_and_output_are_rendered() {
    let source = with_tasks(&[
        "{ id: a, tool: core.noop, with: { v: '{{ inputs.x }}' }, fallback: [ { tool: fs.list, with: { path: p } }, { tool: core.noop } ], probe: { tool: fs.read, with: { path: '{{ inputs.x }}' }, happened: output.done } }",
        "{ id: b, emit: { type: x.y, data: [ '{{ inputs.x }}' ] } }",
    ]);
    let source = format!("{source}output: {{ a: '{{{{ tasks.a.output }}}}', n: 1 }}\n");
    let program = Program::compile(&Arc::new(plan(&source))).unwrap();
    let mut scope = scope(json!({ "x": "X" }), &[(0, json!([1]))]);
    let input = |call: Result<Option<Call>, CallFailure>| {
        call.unwrap().map(|call| (call.tool, call.input.as_str().to_owned()))
    };
    let alternative = |index| input(program.fallback(Ordinal(0), index, &scope));
    assert_eq!(alternative(0), Some(("fs.list".to_owned(), r#"{"path":"p"}"#.to_owned())));
    assert_eq!(alternative(1), Some(("core.noop".to_owned(), r#"{"v":"X"}"#.to_owned())));
    assert_eq!(alternative(2), None);
    assert_eq!(
        input(program.probe(Ordinal(0), &scope)),
        Some(("fs.read".to_owned(), r#"{"path":"X"}"#.to_owned()))
    );
    assert_eq!(program.probe(Ordinal(1), &scope), Ok(None));
    for (done, happened) in [(true, true), (false, false)] {
        scope.output = Some(Arc::new(json!({ "done": done })));
        assert_eq!(program.probe_happened(Ordinal(0), &scope), Ok(happened));
    }
    assert_eq!(program.output_references(), [Ordinal(0)]);
    assert_eq!(program.output(&scope).unwrap().as_str(), r#"{"a":[1],"n":1}"#);
    assert!(matches!(
        program.prepare(Ordinal(1), &scope),
        Ok(Prepared::Work(Rendered::Emit { data, .. })) if data.as_str() == r#"["X"]"#
    ));
}

#[test]
fn a_path_alone_and_the_same_in_brackets_agree() {
    let scope =
        scope(json!({ "a": { "b": [0, "", "x", {}, [], null, false, 1.5], "items": 3 } }), &[]);
    for path in [
        "inputs.a",
        "inputs.a.b",
        "inputs.a.items",
        "inputs.a.b[-1]",
        "inputs.a['b'][2]",
        "inputs.a.b[9]",
    ] {
        let alone = rendered(&format!("{{{{ {path} }}}}"), &scope);
        let compiled = rendered(&format!("{{{{ ({path}) }}}}"), &scope);
        assert_eq!(alone, compiled, "{path}");
    }
    for index in 0..8 {
        let path = format!("inputs.a.b[{index}]");
        let truth = |when: &str| {
            let task = format!("{{ id: t, tool: core.noop, when: {} }}", json!(when));
            program(&[&task]).prepare(Ordinal(0), &scope).map(|prepared| prepared == Prepared::Skip)
        };
        assert_eq!(truth(&path), truth(&format!("({path})")), "{path}");
    }
}
