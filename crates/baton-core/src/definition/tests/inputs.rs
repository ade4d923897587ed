//! Inputs of a run.

use serde_json::{Value, json};

use super::{plan, with_tasks};
use crate::definition::{input_faults, input_from_text};
use crate::plan::Plan;

fn declared() -> Plan {
    let tasks = with_tasks(&["{ id: a, tool: core.noop }"]);
    plan(&format!(
        "inputs:
  type: object
  required: [repo, since]
  properties:
    repo: {{ type: string, title: Path of the repository }}
    since: {{ type: string, default: 90 days }}
    count: {{ type: integer }}
    ratio: {{ type: number }}
    flag: {{ type: boolean }}
    files: {{ type: array, items: {{ type: string }} }}
    more: {{ type: object }}
    loose: {{}}
    maybe: {{ type: [integer, 'null'] }}
    either: {{ type: [integer, string] }}
{tasks}"
    ))
}

#[test]
fn defaults_are_filled_and_every_fault_is_listed() {
    let plan = declared();
    let filled = input_faults(&plan, &json!({ "repo": "." })).unwrap();
    assert_eq!(filled, json!({ "repo": ".", "since": "90 days" }));
    let faults =
        input_faults(&plan, &json!({ "rep": ".", "count": "x", "files": ["a", 1], "since": 5 }))
            .unwrap_err();
    let mut shown: Vec<String> = faults
        .iter()
        .map(|fault| {
            let help = fault.help.as_deref().unwrap_or("-");
            format!("{} | {} | {help}", fault.pointer, fault.message)
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "/count | \"x\" is not of type \"integer\" | -",
            "/files/1 | 1 is not of type \"string\" | -",
            "/rep | there is no input `rep` | did you mean `repo`?",
            "/repo | the input `repo` is missing | Path of the repository",
            "/since | 5 is not of type \"string\" | -",
        ]
    );
}

#[test]
fn inputs_without_a_schema_are_refused() {
    let plan = plan(&with_tasks(&["{ id: a, tool: core.noop }"]));
    assert_eq!(input_faults(&plan, &Value::Null), Ok(json!({})));
    assert_eq!(input_faults(&plan, &json!({ "x": 1 })).unwrap_err()[0].pointer, "/x");
    assert!(input_faults(&plan, &json!([])).is_err());
}

#[test]
fn text_of_a_command_line_becomes_what_is_declared() {
    let plan = declared();
    for (name, text, value) in [
        ("repo", "5", json!("5")),
        ("repo", "true", json!("true")),
        ("count", "5", json!(5)),
        ("count", "5.5", json!("5.5")),
        ("count", "five", json!("five")),
        ("ratio", "5", json!(5)),
        ("ratio", "0.5", json!(0.5)),
        ("flag", "true", json!(true)),
        ("flag", "yes", json!("yes")),
        ("files", "[\"a\"]", json!(["a"])),
        ("files", "a", json!("a")),
        ("more", "{\"a\":1}", json!({ "a": 1 })),
        ("loose", "5", json!("5")),
        ("unknown", "5", json!("5")),
        ("maybe", "null", json!(null)),
        ("maybe", "5", json!(5)),
        ("either", "5", json!("5")),
    ] {
        assert_eq!(input_from_text(&plan, name, text), value, "{name}={text}");
    }
}
