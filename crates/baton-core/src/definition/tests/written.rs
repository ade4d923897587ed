//! A plan written as a definition is read as the same plan again, as JSON and as YAML.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::definition::{changes, edited, written, yaml};

/// A definition with every field there is, as far as one task can have it.
const ALL: &str = r#"
name: all.of-it
version: 3
description: "What: every field # once"
playbook: { examples: ["do it all", "- do: it"] }
inputs:
  type: object
  properties: { repo: { type: string, default: "." }, n: { type: integer, minimum: 1 } }
budget: { tokens: 100000, usd: "1.50", calls: 20, time: 1h30m, at_limit: stop }
progress: stage-weighted
stages:
  - name: first stage
    weight: 3
    milestones:
      - { id: looked, title: "We have looked", tasks: [read, list] }
      - { id: bare, tasks: [list] }
    tasks:
      - id: read
        title: "Reads: a file"
        tool: fs.read
        with: { path: "{{ inputs.repo }}/a", limit: 3 }
        retry: { attempts: 3, backoff: 2s, max: 1m }
        timeout: 90s
        concurrency_key: "k-{{ inputs.repo }}"
        rate_key: slow
        priority: 7
        fallback: [{ tool: fs.list }, { tool: core.noop, with: { x: [1, 2.5, null, true] } }]
        probe: { tool: fs.read, with: { path: b }, happened: "output == 1" }
      - { id: list, tool: fs.list, with: { path: b }, on_failure: continue }
      - id: each
        tool: core.noop
        each: "{{ tasks.read.output }}"
        concurrency: 2
        needs: [read]
        when: "inputs.n > 1"
        with:
          text: |
            several lines
              with another indent

            and a blank one
          odd: " \ttab and \"quotes\"\nline"
      - { id: none, tool: core.noop, needs: [] }
  - name: people
    tasks:
      - { id: ok, human: approval, ask: "Go on?" }
      - { id: pick, human: choice, options: ["yes", "no", "12", "a: b"] }
      - { id: fill, human: form, form: { type: object, properties: { "a b": { type: string } } } }
      - { id: nap, wait: { for: 250ms } }
      - { id: then, wait: { until: "2027-01-15T08:00:00Z" } }
      - { id: heard, wait: { event: "design.*", when: "event.n == 1", timeout: 2d } }
      - { id: tell, emit: { type: design.done, data: { n: "{{ inputs.n }}" } } }
      - { id: bare, emit: { type: design.bare } }
      - { id: inner, workflow: child, with: { x: 1 } }
      - { id: out, worker: gpu.render, with: { a: 1 }, effect: once, permission: read_write }
      - { id: put, tool: fs.write, permission: read_write, with: { path: c, text: "" } }
      - id: think
        agent: worker
        prompt: |-
          Look at {{ inputs.repo }}
          and say what you see.
        output: { type: object, properties: { s: { type: string } } }
        tools: [fs.read]
        turns: 4
        tokens: 900
        usd: "0.25"
        fallback: [{ agent: other }, { tool: core.noop }]
output: { done: "{{ tasks.read.output }}", "a b": [[], {}, [[1], { c: 2 }]] }
triggers:
  - { event: push, when: "event.n == 1", inputs: { repo: "{{ event.repo }}" } }
  - { schedule: "0 6 * * 1", zone: Europe/Berlin, missed: skip }
"#;

fn known() -> Known {
    let mut known = Known::new();
    let child = "name: child\nstages: [{ name: s, tasks: [{ id: a, tool: core.noop }] }]";
    known.definitions.insert("child".into(), read(child, &known).expect("a child"));
    let mut worker = agent(&["fs.read", "fs.list"]);
    worker.approve = vec!["fs.read".into()];
    let mut other = worker.clone();
    other.models = vec![ModelSpec::named("provider/other")];
    known.agents.insert("worker".into(), worker);
    known.agents.insert("other".into(), other);
    known
}

#[track_caller]
fn goes_round(plan: &Plan, catalog: &dyn Catalog) {
    let value = written(plan);
    let shown = |faults: Vec<Fault>| format!("{faults:#?}\n{value:#}");
    assert_eq!(&read(&value.to_string(), catalog).map_err(shown).expect("JSON"), plan);
    let text = yaml(&value);
    let shown = |faults: Vec<Fault>| format!("{faults:#?}\n{text}");
    assert_eq!(&read(&text, catalog).map_err(shown).expect("YAML"), plan);
    assert_eq!(written(&read(&text, catalog).expect("YAML")), value);
}

#[test]
fn every_field_goes_round() {
    let known = known();
    let plan = read(ALL, &known).map_err(|faults| format!("{faults:#?}")).expect("a definition");
    goes_round(&plan, &known);
    let thinks = plan.tasks.last().map(|task| &task.work);
    let Some(crate::plan::Work::Agent(agent)) = thinks else { panic!("{thinks:?}") };
    assert_eq!(agent.alternatives, ["other"]);
    let text = yaml(&written(&plan));
    assert!(text.contains("prompt: |-\n"), "{text}");
    assert!(text.contains("milestones:\n"), "{text}");
}

/// The definitions that people are shown, with whatever tools they name.
#[test]
fn every_example_goes_round() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    let mut read_count = 0;
    for file in files {
        let source = std::fs::read_to_string(&file).expect("it is a text");
        let folder = file.parent().map(Path::to_owned);
        let known = Anything { folder, ..Anything::default() };
        // What is no definition, or names what only a configuration has, is others' to test.
        if let Ok(plan) = read(&source, &known) {
            goes_round(&plan, &known);
            read_count += 1;
        }
    }
    assert!(read_count >= 5, "only {read_count} examples could be read");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            files.push(path);
        }
    }
}

/// A catalogue in which every tool and agent exists.
#[derive(Default)]
struct Anything {
    tools: made::Tools,
    folder: Option<PathBuf>,
}

/// Tools made when they are first named, and kept where they are.
mod made {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Default)]
    pub struct Tools(RefCell<BTreeMap<String, &'static ToolSpec>>);

    impl Tools {
        pub fn get(&self, name: &str) -> Option<&ToolSpec> {
            let mut tools = self.0.borrow_mut();
            let made = tools.entry(name.to_owned()).or_insert_with(|| {
                Box::leak(Box::new(ToolSpec {
                    name: name.to_owned(),
                    description: String::new(),
                    effect: Effect::Idempotent,
                    permission: Permission::ReadOnly,
                    input: json!({ "type": "object" }),
                    output: None,
                    quick: false,
                }))
            });
            Some(made)
        }
    }
}

impl Catalog for Anything {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.tools.get(name)
    }

    fn tool_names(&self) -> Vec<&str> {
        Vec::new()
    }

    fn agent(&self, _name: &str) -> Option<Result<AgentSpec, String>> {
        let mut all = agent(&[]);
        all.permission = Permission::ReadWrite;
        Some(Ok(all))
    }

    fn definition(&self, name: &str) -> Option<Result<Plan, String>> {
        let file = self.folder.as_ref()?.join(format!("{name}.yaml"));
        let source = std::fs::read_to_string(file).ok()?;
        Some(read(&source, self).map_err(|faults| format!("{faults:?}")))
    }

    fn permission_max(&self) -> Permission {
        Permission::ReadWrite
    }
}

/// Any JSON that a definition can hold, with texts that YAML has rules about.
fn any_json() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        any::<String>(),
        "[ -~]{0,12}",
        "[a-z :#\\-\n\t|>'\"{}\\[\\],&*!%@`]{0,16}",
        "(yes|no|null|true|~|1e3|0x1f|-|---|\\.\\.\\.|<<|\\.inf|1:2|2027-01-15)",
        "([a-z ]{0,6}\n){1,4}[a-z ]{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        odd.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{0,8}", inner, 0..4)
                .prop_map(|fields| { Value::Object(fields.into_iter().collect()) }),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_read_back_from_yaml(value in any_json()) {
        let text = yaml(&value);
        let shown = |faults| format!("{faults:?}\n{text}");
        let located = crate::definition::Located::read(&text).map_err(shown).expect("it is YAML");
        prop_assert_eq!(located.value(), &value, "{}", text);
    }
}

#[test]
fn an_edit_keeps_the_name_the_version_and_the_children() {
    let mut known = known();
    let plan = read(ALL, &known).expect("a definition");
    let newer =
        "name: child\nversion: 2\nstages: [{ name: s, tasks: [{ id: b, tool: core.noop }] }]";
    known.definitions.insert("child".into(), read(newer, &known).expect("a child"));
    let text = yaml(&written(&plan));
    assert_eq!(edited(&text, &plan, &known), Ok(plan.clone()), "its child is the one it had");
    let renamed =
        text.replace("name: all.of-it", "name: other").replace("version: 3", "version: 4");
    let faults = edited(&renamed, &plan, &known).expect_err("another definition");
    let told: Vec<(&str, u32)> =
        faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
    assert_eq!(told, [("name", 1), ("version", 2)]);
    let broken = text.replace("tool: fs.list", "tool: fs.lost");
    assert!(!edited(&broken, &plan, &known).expect_err("no tool").is_empty());
}

#[test]
fn what_changed_is_told_by_key() {
    let known = known();
    let plan = |text: &str| read(text, &known).expect("a definition");
    let before = plan(
        "name: n\nstages:\n- {name: s, tasks: [{id: a, tool: core.noop}, {id: b, tool: core.noop}]}\n- {name: t, tasks: [{id: c, tool: core.noop}]}",
    );
    let after = plan(
        "name: n\ndescription: d\nstages:\n- {name: s, tasks: [{id: d, tool: core.noop}, {id: a, tool: core.noop, title: A}]}\n- {name: t, tasks: [{id: c, tool: core.noop}]}",
    );
    let told = changes(&before, &after);
    assert_eq!(
        (told.added, told.removed, told.changed),
        (vec!["d".to_owned()], vec!["b".to_owned()], vec!["a".to_owned()])
    );
    assert_eq!(told.fields, ["description"]);
    let back = changes(&after, &before);
    assert_eq!((back.added, back.removed), (vec!["b".to_owned()], vec!["d".to_owned()]));
    assert_eq!(changes(&before, &before), Default::default());
}
