//! What is read.

use serde_json::json;

use super::{Known, plan, with_tasks};
use crate::definition::read;
use crate::ids::Ordinal;
use crate::plan::{Budget, Wait, Work};
use crate::words::{AtLimit, Effect, HumanKind, OnFailure, Permission, ProgressMethod};

pub(super) const ALL_KINDS: &str = r#"
name: everything
version: 3
description: Every field that is read.
playbook: { examples: ["do everything"] }
inputs:
  type: object
  required: [repo]
  properties:
    repo: { type: string }
    files: { type: array, default: [] }
budget: { time: 10m, tokens: 5000000000, usd: "0.50", calls: 200, at_limit: stop }
progress: stage-weighted
stages:
  - name: gather
    tasks:
      - { id: log, title: The log, tool: fs.read, with: { path: "{{ inputs.repo }}" }, on_failure: continue }
      - id: each-file
        tool: fs.read
        each: "{{ inputs.files }}"
        concurrency: 4
        when: item != "x"
        with: { path: "{{ item }}", limit: 5 }
  - name: judge
    weight: 3
    milestones: [ { id: judged, title: Agreed, tasks: [agree, pick] } ]
    tasks:
      - { id: agree, human: approval, ask: "Go on with {{ tasks.log.output.count }}?", needs: [log] }
      - { id: fill, human: form, form: { type: object, properties: { score: { type: integer } } }, needs: [] }
      - { id: pick, human: choice, options: [red, blue] }
      - { id: nap, wait: { for: 5m } }
      - { id: dawn, wait: { until: "{{ tasks.log.output.at }}" } }
      - { id: ready, wait: { event: "design.*", when: "event.data.job == tasks.fill.output.score", timeout: 1h }, needs: [fill] }
      - { id: tell, emit: { type: design.requested, data: { files: '{{ tasks["each-file"].output }}' } } }
      - id: publish
        tool: fs.write
        permission: read_write
        needs: [log, agree]
        when: tasks.log.status == "completed"
        with: { path: HEALTH.md, text: "{{ tasks.log.output }}" }
        retry: { attempts: 3, backoff: 1s, max: 30s }
        timeout: 2m
        concurrency_key: "{{ inputs.repo }}"
        rate_key: "{{ inputs.repo }}-api"
        priority: 7
        fallback: [ { tool: fs.write }, { tool: core.noop, with: { a: 1 } } ]
        probe: { tool: fs.read, with: { path: HEALTH.md }, happened: "output != ''" }
output: "{{ tasks.publish.output }}"
"#;

#[test]
fn every_field_is_read() {
    let plan = plan(ALL_KINDS);
    assert_eq!((plan.name.as_str(), plan.version), ("everything", 3));
    assert_eq!(plan.examples, ["do everything"]);
    assert_eq!(plan.progress, ProgressMethod::StageWeighted);
    assert_eq!(plan.time_max.map(|span| span.to_string()).as_deref(), Some("10m"));
    let budget = Budget {
        tokens_max: Some(5_000_000_000),
        cost_max: "0.5".parse().ok(),
        calls_max: Some(200),
        at_limit: AtLimit::Stop,
    };
    assert_eq!(plan.budget, budget);
    let stages: Vec<_> =
        plan.stages.iter().map(|stage| (stage.name.as_str(), stage.weight)).collect();
    assert_eq!(stages, [("gather", 1), ("judge", 3)]);
    assert_eq!(plan.stages[1].milestones[0].tasks, [Ordinal(2), Ordinal(4)]);
    let keys: Vec<&str> = plan.tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(
        keys,
        ["log", "each-file", "agree", "fill", "pick", "nap", "dawn", "ready", "tell", "publish"]
    );
    assert_eq!(plan.tasks[0].on_failure, OnFailure::Continue);
    assert_eq!(plan.tasks[0].needs, None);
    assert_eq!(plan.tasks[3].needs, Some(vec![]));
    assert_eq!(plan.tasks[1].each.as_ref().and_then(|each| each.concurrency), Some(4));
    assert!(matches!(&plan.tasks[3].work, Work::Human(human) if human.kind == HumanKind::Form));
    assert!(matches!(&plan.tasks[4].work, Work::Human(human) if human.options == ["red", "blue"]));
    assert!(matches!(&plan.tasks[5].work, Work::Wait(Wait::For(_))));
    assert!(
        matches!(&plan.tasks[7].work, Work::Wait(Wait::Event { event, .. }) if event == "design.*")
    );
}

#[test]
fn a_tool_task_is_read_with_all_it_declares() {
    let plan = plan(ALL_KINDS);
    let publish = &plan.tasks[9];
    assert_eq!(publish.permission, Permission::ReadWrite);
    assert_eq!(publish.priority, Some(7));
    assert_eq!(publish.retry.attempts_max, 3);
    assert_eq!(publish.needs, Some(vec![Ordinal(0), Ordinal(2)]));
    assert!(matches!(&publish.work, Work::Tool(call) if call.effect == Effect::Idempotent));
    let inputs: Vec<_> = publish.fallback.iter().map(|call| call.with.clone()).collect();
    let shared = json!({ "path": "HEALTH.md", "text": "{{ tasks.log.output }}" });
    assert_eq!(inputs, [shared, json!({ "a": 1 })]);
    let probe = publish.probe.as_ref().unwrap();
    assert_eq!(
        (probe.call.effect, probe.happened.as_deref()),
        (Effect::Read, Some("output != ''"))
    );
}

#[test]
fn json_is_read_like_yaml() {
    let from_yaml = plan(ALL_KINDS);
    let value = json!({
        "name": "json", "stages": [ { "name": "one", "tasks": [
            { "id": "a", "tool": "core.noop", "with": { "text": "tab\t quote\" slash\\ é 𝄞 \u{1}", "n": -1.5e3, "none": null } },
        ] } ],
    });
    let text =
        value.to_string().replace('𝄞', "\\ud834\\udd1e").replace("slash\\\\", "slash\\u005c\\/");
    for source in [text, serde_json::to_string_pretty(&value).unwrap()] {
        let read = plan(&source);
        let Work::Tool(call) = &read.tasks[0].work else { panic!() };
        let text = call.with["text"].as_str().unwrap();
        assert_eq!(text.replace("\\/", "\\"), "tab\t quote\" slash\\ é 𝄞 \u{1}");
        assert_eq!(call.with["n"], json!(-1500.0));
    }
    let stored = serde_json::to_string(&from_yaml).unwrap();
    assert_eq!(serde_json::from_str::<crate::plan::Plan>(&stored).unwrap(), from_yaml);
}

#[test]
fn a_child_is_pinned() {
    let mut known = Known::new();
    known.definitions.insert("inner".to_owned(), plan(ALL_KINDS));
    let source = with_tasks(&["{ id: a, workflow: inner, with: { repo: . } }"]);
    let plan = read(&source, &known).unwrap();
    assert!(
        matches!(&plan.tasks[0].work, Work::Workflow(child) if child.version == 3 && child.plan.tasks.len() == 10)
    );
}

#[test]
fn children_are_bounded_and_their_inputs_checked() {
    let mut known = Known::new();
    let mut inner = plan(&with_tasks(&["{ id: a, tool: core.noop }"]));
    inner.name = "level0".to_owned();
    known.definitions.insert("level0".to_owned(), inner);
    for level in 1..10 {
        let before = level - 1;
        let source = with_tasks(&[&format!("{{ id: a, workflow: level{before} }}")]);
        let source = source.replace("name: test", &format!("name: level{level}"));
        match read(&source, &known) {
            Ok(plan) => {
                assert!(level <= 8);
                known.definitions.insert(format!("level{level}"), plan);
            }
            Err(faults) => {
                assert_eq!(level, 9);
                assert_eq!(faults[0].message, "child workflows are nested deeper than 8");
            }
        }
    }
    let source = with_tasks(&["{ id: a, workflow: level3 }"]).replace("name: test", "name: level1");
    let faults = read(&source, &known).unwrap_err();
    assert_eq!(faults[0].message, "`level3` runs `level1` again");
    known.definitions.insert("all".to_owned(), plan(ALL_KINDS));
    for (with, message) in [
        ("{}", "`repo` is missing, which the child workflow needs"),
        ("{ repo: 5 }", "the child workflow refuses this: 5 is not of type \"string\""),
        ("{ repo: '{{ inputs.x }}', file: [] }", "the child workflow does not take `file`"),
    ] {
        let source = with_tasks(&[&format!("{{ id: a, workflow: all, with: {with} }}")]);
        let faults = read(&source, &known).unwrap_err();
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(messages, [message], "{with}");
    }
}

#[test]
fn json_may_be_written_in_any_layout() {
    let compact = r#"{"name":"x","stages":[{"name":"s","tasks":[{"id":"a","tool":"core.noop","with":{"k":[1,-2,3.5,true,null,"\/\u00e9"]}}]}]}"#;
    let expected = plan(compact);
    let value: serde_json::Value = serde_json::from_str(compact).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let tabs = pretty.replace("  ", "\t");
    for source in [
        pretty.clone(),
        tabs,
        pretty.replace('\n', "\r\n"),
        format!("\u{feff}{pretty}"),
        format!("\n{pretty}\n\n"),
    ] {
        assert_eq!(plan(&source), expected, "{source}");
    }
    let long = compact.replace("\"k\"", &format!("\"{}\"", "k".repeat(900)));
    assert_eq!(plan(&long).tasks.len(), 1);
}
