//! The published schema against the reader.

use serde_json::Value;

use super::reads::ALL_KINDS;
use super::{faults, with_tasks};
use crate::definition::fault::Faults;
use crate::definition::inputs::validator;
use crate::definition::{schema, tree};

fn json_of(source: &str) -> Value {
    tree::read(source, &mut Faults::default()).unwrap().to_json()
}

#[test]
// Long because it is one table of cases.
fn the_schema_accepts_and_refuses_the_shapes_the_reader_does() {
    let validator = validator(&schema()).unwrap();
    assert!(validator.is_valid(&json_of(ALL_KINDS)));
    for (task, fits) in [
        ("{ id: a, tool: core.noop }", true),
        ("{ id: a, tool: core.noop, with: {}, needs: [], when: 'true', timeout: 1h30m }", true),
        ("{ id: a, tool: core.noop, each: [1, 2], concurrency: 1 }", true),
        ("{ id: a, tool: core.noop, retry: { attempts: 2, backoff: 1s, max: 2s } }", true),
        ("{ id: a, tool: core.noop, probe: { tool: core.noop, happened: output } }", true),
        ("{ id: a, human: approval, ask: ok }", true),
        ("{ id: a, human: form, form: {} }", true),
        ("{ id: a, human: choice, options: [x] }", true),
        ("{ id: a, wait: { for: 1s } }", true),
        ("{ id: a, wait: { event: x.*, timeout: 1s } }", true),
        ("{ id: a, emit: { type: x } }", true),
        ("{ tool: core.noop }", false),
        ("{ id: 5a, tool: core.noop }", false),
        ("{ id: a }", false),
        ("{ id: a, tool: core.noop, human: approval }", false),
        ("{ id: a, agent: plain }", false),
        ("{ id: a, agent: plain, prompt: '' }", false),
        (
            "{ id: a, agent: plain, prompt: hi, output: { type: object }, permission: read_only }",
            true,
        ),
        ("{ id: a, agent: plain, prompt: hi, tools: [], approve: [], turns: 1, calls: 0 }", true),
        (
            "{ id: a, agent: plain, prompt: hi, tokens: 9, usd: '0.5', output_tokens: 9, asks: 0 }",
            true,
        ),
        (
            "{ id: a, agent: plain, prompt: hi, fallback: [ { agent: plain }, { tool: core.noop } ] }",
            true,
        ),
        ("{ id: a, agent: plain, prompt: hi, fallback: [ { agent: plain, with: {} } ] }", false),
        ("{ id: a, agent: plain, prompt: hi, fallback: [ { worker: x } ] }", false),
        ("{ id: a, agent: plain, prompt: hi, output: [] }", false),
        ("{ id: a, agent: plain, prompt: hi, usd: 0.5 }", false),
        ("{ id: a, agent: plain, prompt: hi, usd: '0' }", false),
        ("{ id: a, agent: plain, prompt: hi, turns: 0 }", false),
        ("{ id: a, agent: plain, prompt: hi, tools: git.log }", false),
        ("{ id: a, agent: plain, prompt: hi, with: {} }", false),
        ("{ id: a, agent: plain, prompt: hi, probe: { tool: core.noop } }", false),
        ("{ id: a, tool: core.noop, prompt: hi }", false),
        ("{ id: a, tool: core.noop, turns: 5 }", false),
        ("{ id: a, tool: core.noop, fallback: [ { agent: plain } ] }", false),
        ("{ id: a, worker: x }", true),
        ("{ id: a, worker: gpu.render, with: {}, effect: once, timeout: 5m }", true),
        ("{ id: a, worker: a b }", false),
        ("{ id: a, worker: '' }", false),
        ("{ id: a, worker: x, effect: twice }", false),
        ("{ id: a, worker: x, fallback: [] }", false),
        ("{ id: a, tool: core.noop, effect: once }", false),
        ("{ id: a, human: approval, effect: once }", false),
        ("{ id: a, tool: core.noop, whatever: 1 }", false),
        ("{ id: a, tool: core.noop, ask: x }", false),
        ("{ id: a, tool: core.noop, concurrency: 1 }", false),
        ("{ id: a, tool: core.noop, each: 5 }", false),
        ("{ id: a, tool: core.noop, timeout: 5y }", false),
        ("{ id: a, tool: core.noop, on_failure: x }", false),
        ("{ id: a, tool: core.noop, permission: x }", false),
        ("{ id: a, tool: core.noop, priority: 10 }", false),
        ("{ id: a, tool: core.noop, when: '{{ x }}' }", false),
        ("{ id: a, tool: core.noop, retry: { attempts: 0 } }", false),
        ("{ id: a, tool: core.noop, with: [] }", false),
        ("{ id: a, tool: core.noop, fallback: [ {} ] }", false),
        ("{ id: a, tool: core.noop, heal: {} }", false),
        ("{ id: a, tool: core.noop, output: {} }", false),
        ("{ id: a, human: form }", false),
        ("{ id: a, human: form, form: { type: array } }", false),
        ("{ id: a, human: choice, options: [] }", false),
        ("{ id: a, human: choice, options: [x, x] }", false),
        ("{ id: a, human: approval, options: [x] }", false),
        ("{ id: a, human: approval, with: {} }", false),
        ("{ id: a, wait: {} }", false),
        ("{ id: a, wait: { for: 1s, timeout: 1s } }", false),
        ("{ id: a, wait: { for: 1s, event: x } }", false),
        ("{ id: a, wait: { event: 'a b' } }", false),
        ("{ id: a, emit: { type: 'a.*' } }", false),
        ("{ id: a, emit: { data: 1 } }", false),
        ("{ id: a, emit: { type: x }, permission: read_only }", false),
    ] {
        let source = with_tasks(&[task]);
        let by_reader = faults(&source).is_empty();
        let by_schema = validator.is_valid(&json_of(&source));
        assert_eq!((by_reader, by_schema), (fits, fits), "{task}: {:?}", faults(&source));
    }
}

#[test]
fn every_field_the_reader_knows_is_in_the_schema_or_refused() {
    use crate::definition::{kind, task, triggers, walk};
    let schema = schema();
    for (place, known, refused) in [
        ("/properties", &walk::ROOT_FIELDS[..], &["plan_b"][..]),
        ("/properties/budget/properties", &walk::BUDGET_FIELDS, &[]),
        ("/$defs/stage/properties", &walk::STAGE_FIELDS, &[]),
        ("/$defs/milestone/properties", &walk::MILESTONE_FIELDS, &[]),
        ("/$defs/task/properties", &task::TASK_FIELDS, &["heal", "plan_b"]),
        ("/$defs/task/properties/retry/properties", &task::RETRY_FIELDS, &[]),
        ("/$defs/task/properties/probe/properties", &task::PROBE_FIELDS, &[]),
        ("/$defs/call/properties", &task::FALLBACK_FIELDS, &["worker"]),
        ("/$defs/trigger/properties", &triggers::TRIGGER_FIELDS, &[]),
        ("/$defs/wait/properties", &kind::WAIT_FIELDS, &[]),
        ("/$defs/task/properties/emit/properties", &kind::EMIT_FIELDS, &[]),
    ] {
        let properties = schema.pointer(place).and_then(Value::as_object).unwrap();
        let mut published: Vec<&str> = properties.keys().map(String::as_str).collect();
        published.extend(refused);
        published.sort_unstable();
        let mut known = known.to_vec();
        known.sort_unstable();
        assert_eq!(published, known, "{place}");
    }
}
