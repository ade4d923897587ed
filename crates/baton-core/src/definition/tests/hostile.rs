//! Hostile sources: refused, quickly, and never with a panic.

use proptest::prelude::*;

use super::{Known, faults, with_tasks};
use crate::definition::{FAULTS_MAX, read, render};
use crate::ids::Ordinal;

#[test]
fn bombs_are_refused() {
    let deep_flow = format!("name: {}", "[".repeat(100_000));
    let deep_map = "{a: ".repeat(100_000);
    let deep_block: String = (0..500).map(|depth| format!("{}- \n", " ".repeat(depth))).collect();
    let aliases = (0..50).fold("a0: &a0 [x, x]\n".to_owned(), |text, number| {
        let next = number + 1;
        format!("{text}a{next}: &a{next} [*a{number}, *a{number}]\n")
    });
    let scalar = format!("name: {}", "x".repeat(10 * 1024 * 1024));
    let key = format!("{}: 1", "k".repeat(1024 * 1024));
    let nul = "name: a\0b\nstages: []".to_owned();
    let controls = "name: \"\u{1b}[31m\u{202e}\"".to_owned();
    let json = format!("{{\"a\":{}{}}}", "[".repeat(60), "]".repeat(60));
    for source in [deep_flow, deep_map, deep_block, aliases, scalar, key, nul, controls, json] {
        let found = faults(&source);
        assert!(!found.is_empty());
        for fault in found.iter().take(100) {
            let shown = render(fault, "x", &source);
            assert!(shown.len() < 4_000, "{}", shown.len());
            assert!(!shown.contains(['\0', '\u{1b}', '\u{202e}']));
        }
    }
}

#[test]
fn many_faults_are_bounded_and_take_linear_time() {
    let tasks: Vec<String> = (0..FAULTS_MAX + 5)
        .map(|number| format!("{{\"id\":\"t{number}\",\"tool\":\"nope\"}}"))
        .collect();
    let source = format!(
        "{{\"name\":\"x\",\"stages\":[{{\"name\":\"s\",\"tasks\":[{}]}}]}}",
        tasks.join(",")
    );
    let found = faults(&source);
    assert_eq!(found.len(), FAULTS_MAX + 1);
    let last = found.last().map(|fault| fault.message.as_str());
    assert_eq!(last, Some("there are more than 10000 faults"));
}

#[test]
fn long_chains_that_name_far_tasks_are_read() {
    let tasks: Vec<String> = (0..5_000)
        .map(|number: u32| match number {
            0 => "{ id: t0, tool: core.noop }".to_owned(),
            _ => {
                let (before, far) = (number - 1, number / 2);
                format!("{{ id: t{number}, tool: core.noop, needs: [t{before}], when: tasks.t{far}.output }}")
            }
        })
        .collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    // The first task of the chain would read itself.
    let source = with_tasks(&tasks).replace("when: tasks.t0.output", "when: 'true'");
    assert_eq!(faults(&source), []);
}

#[test]
fn schemas_that_refer_to_themselves_end() {
    for schema in
        ["{ $ref: '#' }", "{ allOf: [ { $ref: '#' } ] }", "{ properties: { a: { $ref: '#' } } }"]
    {
        let source = with_tasks(&["{ id: a, tool: core.noop }"]);
        let source = format!("inputs: {schema}\n{source}");
        if let Ok(plan) = read(&source, &Known::new()) {
            let _ =
                crate::definition::input_faults(&plan, &serde_json::json!({ "a": { "a": {} } }));
        }
    }
}

#[test]
fn dense_and_wide_graphs_take_linear_time() {
    let wide: Vec<String> = (0..20_000).map(|number| format!("t{number}")).collect();
    let mut tasks: Vec<String> =
        wide.iter().map(|key| format!("{{ id: {key}, tool: core.noop }}")).collect();
    let all = wide.join(", ");
    tasks.push(format!(
        "{{ id: join, tool: core.noop, needs: [{all}], when: tasks.t19999.output }}"
    ));
    tasks.push("{ id: after, tool: core.noop, needs: [join], when: tasks.t7.output }".to_owned());
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    assert_eq!(faults(&with_tasks(&tasks)), []);
    let keys: Vec<String> = (0..300).map(|number| format!("t{number}")).collect();
    let all = keys.join(", ");
    let dense: Vec<String> = keys
        .iter()
        .map(|key| format!("{{ id: {key}, tool: core.noop, needs: [{all}] }}"))
        .collect();
    let dense: Vec<&str> = dense.iter().map(String::as_str).collect();
    let found = faults(&with_tasks(&dense));
    let cycles = found.iter().filter(|fault| fault.message.contains("wait for one another"));
    assert_eq!(cycles.count(), 20);
}

/// Pieces that often make a template together.
fn arbitrary_template() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{ ",
        " }}",
        "{% if ",
        " %}",
        "{% endif %}",
        "{% for x in ",
        "{% endfor %}",
        "{% set y = ",
        "tasks.a",
        "inputs",
        ".b",
        "[0]",
        "['c']",
        "[1:]",
        " | join(sep=z)",
        " | length",
        " is defined",
        " + ",
        " ~ ",
        "(",
        ")",
        "[",
        "]",
        ", ",
        "x",
        "y",
        "'}}'",
        "1.5",
        " if ",
        " else ",
        " not ",
        "{# ",
        " #}",
        "{'k': v}",
        "loop.index",
        "- ",
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn arbitrary_definition() -> impl Strategy<Value = String> {
    let task = (0_usize..6, proptest::collection::vec(any::<prop::sample::Index>(), 0..3));
    let stage = proptest::collection::vec(task, 1..6);
    proptest::collection::vec(stage, 1..4).prop_map(|stages| {
        let mut number = 0;
        let stages: Vec<serde_json::Value> = stages
            .into_iter()
            .enumerate()
            .map(|(index, tasks)| {
                let tasks: Vec<serde_json::Value> = tasks
                    .into_iter()
                    .map(|(kind, needs)| {
                        let needs: Vec<String> = match number {
                            0 => Vec::new(),
                            most => needs.iter().map(|need| format!("t{}", need.index(most))).collect(),
                        };
                        let template = match needs.first() {
                            Some(need) => format!("{{{{ tasks.{need}.output }}}}"),
                            None => "{{ workflow.run }}".to_owned(),
                        };
                        let mut task = match kind {
                            0 => serde_json::json!({ "human": "approval", "ask": template }),
                            1 => serde_json::json!({ "wait": { "for": "5s" } }),
                            2 => serde_json::json!({ "emit": { "type": "x.y", "data": template } }),
                            _ => serde_json::json!({ "tool": "core.noop", "with": { "v": template } }),
                        };
                        task["id"] = format!("t{number}").into();
                        task["needs"] = needs.into();
                        number += 1;
                        task
                    })
                    .collect();
                serde_json::json!({ "name": format!("s{index}"), "tasks": tasks })
            })
            .collect();
        serde_json::json!({ "name": "random", "stages": stages }).to_string()
    })
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(source in ".{0,200}") {
        let _ = read(&source, &Known::new());
    }

    #[test]
    fn text_like_yaml_never_panics(source in "[-a-z:{}\\[\\],&*!|>'\"%#?@ \n\t0-9._~é]{0,200}") {
        for fault in faults(&source) {
            render(&fault, "x", &source);
        }
    }

    #[test]
    fn no_name_the_library_finds_is_missed(template in arbitrary_template()) {
        use crate::program::{check, limits, scan};
        let sources = [template.clone(), format!("{{{{ {template} }}}}"), format!("{{% if {template} %}}{{% endif %}}")];
        for source in &sources {
            let Ok(compiled) = limits::EXPRESSIONS.template_from_str(source) else { continue };
            let found = scan::references(&scan::blocks(source));
            for name in compiled.undeclared_variables(false) {
                // A name bound anywhere in a template is left to the run.
                let keyword = scan::KEYWORDS.contains(&name.as_str());
                let bound = keyword || matches!(name.as_str(), "x" | "y" | "loop") && source.contains("{%");
                prop_assert!(bound || found.iter().any(|found| found.root == name), "{source}: {name}");
            }
            let _ = check::check(source, &mut check::Words::default());
        }
    }

    #[test]
    fn arbitrary_templates_never_panic(template in "[{}%#a-z .|()\\[\\]0-9+*~'\"=<>!-]{0,80}") {
        let quoted = serde_json::to_string(&template).unwrap();
        let task = format!("{{ id: a, tool: core.noop, with: {{ v: {quoted} }} }}");
        for fault in faults(&with_tasks(&[&task])) {
            render(&fault, "x", &template);
        }
        let task = format!("{{ id: a, tool: core.noop, when: {quoted} }}");
        faults(&with_tasks(&[&task]));
    }

    #[test]
    fn valid_definitions_read_to_plans_whose_needs_resolve(source in arbitrary_definition()) {
        let plan = read(&source, &Known::new()).map_err(|faults| TestCaseError::fail(format!("{faults:?}")))?;
        for (task, ordinal) in plan.tasks.iter().zip((0..).map(Ordinal)) {
            for need in task.needs.iter().flatten() {
                prop_assert!(*need < ordinal);
                prop_assert!(plan.tasks[need.index()].stage <= task.stage);
            }
        }
        let stored = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<crate::plan::Plan>(&stored).unwrap(), plan.clone());
        let program = crate::program::Program::compile(&std::sync::Arc::new(plan)).unwrap();
        for (task, ordinal) in program.plan().tasks.iter().zip((0..).map(Ordinal)) {
            let needs = task.needs.clone().unwrap_or_default();
            prop_assert!(program.references(ordinal).iter().all(|read| needs.contains(read)));
        }
    }
}
