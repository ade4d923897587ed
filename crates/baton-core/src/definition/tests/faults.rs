//! Every fault, by a definition that has it.

use super::{Known, agent, faults, with_tasks};
use crate::definition::{Fault, read, render};
use crate::words::Permission;

fn shown(fault: &Fault) -> String {
    format!("{}: {}", fault.path, fault.message)
}

/// The only fault of a definition of these tasks must hold these words.
fn refuses(tasks: &[&str], words: &str) {
    let source = with_tasks(tasks);
    let found = faults(&source);
    let texts: Vec<String> = found
        .iter()
        .map(|fault| format!("{} | {}", shown(fault), fault.help.as_deref().unwrap_or("")))
        .collect();
    assert!(
        texts.len() == 1 && texts[0].contains(words),
        "{words:?} expected of {source}\nfound {texts:#?}"
    );
}

#[test]
// Long because it is one table of cases.
fn shapes() {
    for (task, words) in [
        ("7", "expected an object, found a number"),
        ("{ tool: core.noop }", "the field `id` is missing"),
        ("{ id: 5, tool: core.noop }", "id: expected a string, found a number"),
        ("{ id: 5a, tool: core.noop }", "`5a` is not a key"),
        ("{ id: a.b, tool: core.noop }", "`a.b` is not a key"),
        ("{ id: a, tool: core.noop, need: [] }", "did you mean `needs`?"),
        ("{ id: a, tool: core.noop, whatever: 1 }", "unknown field `whatever`"),
        ("{ id: a, tool: core.noop, tool: core.noop }", "`tool` is written twice"),
        ("{ id: a, tool: core.noop, timeout: 5 }", "timeout: expected a string, found a number"),
        ("{ id: a, tool: core.noop, timeout: 5y }", "`5y` is not a span of time"),
        ("{ id: a, tool: core.noop, timeout: 0s }", "longer than nothing"),
        ("{ id: a, tool: core.noop, on_failure: contiue }", "did you mean `continue`?"),
        ("{ id: a, tool: core.noop, permission: admin }", "known are read_only, read_write"),
        ("{ id: a, tool: core.noop, priority: 10 }", "from 0 to 9"),
        ("{ id: a, tool: core.noop, priority: high }", "expected an integer, found a string"),
        ("{ id: a, tool: core.noop, retry: { attempts: 0 } }", "retry.attempts: this must be"),
        ("{ id: a, tool: core.noop, retry: { tries: 3 } }", "unknown field `tries`"),
        ("{ id: a, tool: core.noop, retry: { backoff: 1m, max: 1s } }", "shorter than `backoff`"),
        ("{ id: a, tool: core.noop, with: [] }", "with: expected an object, found a list"),
        ("{ id: a, tool: core.noop, needs: b }", "needs: expected a list, found a string"),
        ("{ id: a, tool: core.noop, title: ~ }", "title: expected a string, found nothing"),
        ("{ id: a, tool: core.noop, concurrency: 2 }", "there is none"),
        ("{ id: a, tool: core.noop, each: tasks.list }", "a list or a template"),
        ("{ id: a, tool: core.noop, with: { a: *b } }", "this is not valid YAML"),
        ("{ id: a, tool: core.noop, with: { x: &b 1, a: *b } }", "aliases are not supported"),
        ("{ id: a, tool: core.noop, with: { <<: { a: 1 } } }", "merge keys are not supported"),
        ("{ id: a, tool: core.noop, with: { a: !!str 1 } }", "tags are not supported"),
        ("{ id: a, tool: core.noop, with: { a: .inf } }", "no JSON form"),
        ("{ id: a, tool: core.noop, with: { a: 99999999999999999999 } }", "64 bits"),
        ("{ id: a, tool: core.noop, with: { [a]: 1 } }", "a key must be a string"),
    ] {
        refuses(&[task], words);
    }
}

#[test]
// Long because it is one table of cases.
fn kinds() {
    for (task, words) in [
        ("{ id: a }", "does not say what it does"),
        ("{ id: a, tool: core.noop, emit: { type: x } }", "already of the kind `tool`"),
        ("{ id: a, agent: plein, prompt: hi }", "did you mean `plain`?"),
        ("{ id: a, worker: g p u, with: {} }", "`g p u` is not a type of worker"),
        ("{ id: a, worker: gpu, effect: twice }", "known are read, idempotent, once"),
        (
            "{ id: a, tool: core.noop, effect: once }",
            "`effect` belongs to tasks of the kind `worker`",
        ),
        ("{ id: a, tool: core.noop, heal: { plan_b: x } }", "the healing ladder is not supported"),
        ("{ id: a, tool: core.noop, output: {} }", "`output` belongs to tasks of the kind `agent`"),
        ("{ id: a, tool: core.noop, ask: hm }", "`ask` belongs to tasks of the kind `human`"),
        ("{ id: a, human: approval, with: {} }", "`with` belongs to"),
        ("{ id: a, human: yes }", "known are approval, form, choice"),
        ("{ id: a, human: form }", "the field `form` is missing"),
        ("{ id: a, human: form, form: { type: objekt } }", "not a valid JSON Schema"),
        ("{ id: a, human: choice, options: [] }", "1 to 100 options"),
        ("{ id: a, human: choice, options: [x, x] }", "`x` is there twice"),
        ("{ id: a, human: approval, options: [x] }", "`options` belongs to the answer `choice`"),
        ("{ id: a, wait: {} }", "exactly one of `for`, `until` and `event`"),
        ("{ id: a, wait: { for: 1s, until: x } }", "exactly one of"),
        ("{ id: a, wait: { for: 1s, timeout: 1s } }", "belongs to a wait for an `event`"),
        ("{ id: a, wait: { until: tomorrow } }", "`tomorrow` is not a moment"),
        ("{ id: a, wait: { event: 'a b' } }", "not the type of an event"),
        ("{ id: a, emit: { type: 'a.*' } }", "`*` is for those who wait"),
        ("{ id: a, emit: { data: 1 } }", "the field `type` is missing"),
        ("{ id: a, workflow: nowhere }", "there is no definition `nowhere`"),
        ("{ id: a, workflow: test }", "would run itself"),
        ("{ id: a, tool: core.noop, fallback: [ { agent: x } ] }", "stand in for an agent only"),
        ("{ id: a, tool: core.noop, fallback: [ { worker: x } ] }", "a worker as an alternative"),
        ("{ id: a, tool: core.noop, fallback: [ { with: {} } ] }", "the field `tool` is missing"),
    ] {
        refuses(&[task], words);
    }
}

#[test]
fn tools() {
    for (task, words) in [
        ("{ id: a, tool: fs.raed, with: { path: x } }", "did you mean `fs.read`?"),
        (
            "{ id: a, tool: fs.read }",
            "`path` is missing, which `fs.read` needs | `path`: the file to read",
        ),
        ("{ id: a, tool: fs.read, with: { path: 5 } }", "`fs.read` refuses this: 5 is not of type"),
        ("{ id: a, tool: fs.read, with: { path: x, limt: 5 } }", "did you mean `limit`?"),
        ("{ id: a, tool: fs.read, with: { path: '{{ inputs.x }}', limit: x } }", "refuses this"),
        ("{ id: a, tool: fs.write, with: { path: x, text: y } }", "add `permission: read_write`"),
        (
            "{ id: a, tool: core.noop, fallback: [ { tool: no } ] }",
            "fallback[0].tool: there is no tool `no`",
        ),
        (
            "{ id: a, tool: core.noop, fallback: [ { tool: fs.read } ] }",
            "fallback[0].with: `path` is missing",
        ),
        ("{ id: a, tool: core.noop, probe: { tool: fs.read } }", "probe.with: `path` is missing"),
        (
            "{ id: a, tool: core.noop, permission: read_write, probe: { tool: fs.write, with: { path: a, text: b } } }",
            "a probe only looks",
        ),
    ] {
        refuses(&[task], words);
    }
    let known = Known { permission_max: Permission::ReadOnly, ..Known::new() };
    let source = with_tasks(&["{ id: a, tool: core.noop, permission: read_write }"]);
    let found = read(&source, &known).unwrap_err();
    assert!(found[0].message.contains("is above `read_only`"), "{found:?}");
}

#[test]
fn graphs() {
    const A: &str = "{ id: a, tool: core.noop }";
    for (tasks, words) in [
        (vec![A, A], "the task `a` is there twice"),
        (vec![A, "{ id: b, tool: core.noop, needs: [aa] }"], "there is no task `aa`"),
        (vec!["{ id: verdict, tool: core.noop, needs: [verdct] }"], "did you mean `verdict`?"),
        (vec!["{ id: a, tool: core.noop, needs: [a] }"], "`a` needs itself"),
        (
            vec![
                "{ id: a, tool: core.noop, needs: [c] }",
                "{ id: b, tool: core.noop, needs: [a] }",
                "{ id: c, tool: core.noop, needs: [b] }",
            ],
            "a -> c -> b -> a (each needs the next)",
        ),
    ] {
        refuses(&tasks, words);
    }
}

#[test]
// Long because it is one table of cases.
fn names() {
    const A: &str = "{ id: a, tool: core.noop }";
    const B: &str = "{ id: my-task, tool: core.noop }";
    for (fields, words) in [
        ("with: { v: '{{ tasks.a.output' }", "cannot be read"),
        ("with: { v: '{{ 1 + }}' }", "cannot be read"),
        (
            "with: { v: '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}' }",
            "`macro` is not supported",
        ),
        ("with: { v: '{% include \"x\" %}' }", "`include` is not supported"),
        ("with: { v: '{% set x %}a{% endset %}' }", "`set` is not supported"),
        ("with: { v: \"{{ 'a' * 100000000 }}\" }", "repeated by a number up to 1000"),
        ("with: { v: '{% set x = 1 %}{% set x = x ~ x %}' }", "the second name here"),
        ("with: { v: '{{ [1] | batch(1000000000, 1) }}' }", "there is no filter `batch`"),
        ("with: { v: '{{ 1 | nofilter }}' }", "there is no filter `nofilter`"),
        ("with: { v: '{{ 1 is notest }}' }", "there is no test `notest`"),
        ("with: { v: '{{ now() }}' }", "the name `now` is not known here"),
        ("with: { v: '{{ tasks.a.output }}' }", "add `a` to `needs` of `t`"),
        ("with: { v: '{{ tasks.nope.output }}' }", "there is no task `nope`"),
        (
            "with: { v: '{{ tasks.a.result }}' }, needs: [a]",
            "did you mean `tasks.a.output.result`?",
        ),
        (
            "with: { v: '{{ tasks.my-task.output }}' }, needs: [my-task]",
            "write it `tasks[\"my-task\"]`",
        ),
        ("with: { v: '{{ tasks[inputs.x].output }}' }", "must be written out"),
        ("with: { v: '{{ tasks }}' }", "must be followed by the key"),
        ("with: { v: '{{ tasks.t.output }}' }", "`t` reads itself"),
        ("with: { v: '{{ item }}' }", "`item` is known in tasks with `each` only"),
        ("each: '{{ item }}'", "`item` is not known in `each` itself"),
        ("with: { v: '{{ event }}' }", "`event` is known in `wait.when` only"),
        ("with: { v: '{{ output }}' }", "`output` alone is known in `probe.happened` only"),
        ("with: { v: '{{ a.output }}' }, needs: [a]", "did you mean `tasks.a.output`?"),
        ("with: { v: '{{ inpus.x }}' }", "did you mean `inputs`?"),
        ("with: { v: '{{ workflow.ident }}' }", "`workflow` has no `ident`"),
        ("when: '{{ true }}'", "without `{{ }}`"),
        ("when: '1 +'", "this expression cannot be read"),
        ("when: tasks.a.output", "add `a` to `needs` of `t`"),
        ("concurrency_key: '{{ tasks.a.output }}'", "add `a` to `needs` of `t`"),
        ("rate_key: '{{ tasks.a.output }}'", "add `a` to `needs` of `t`"),
        ("fallback: [ { tool: core.noop, with: { v: '{{ tasks.a.output }}' } } ]", "add `a` to"),
        ("probe: { tool: core.noop, happened: tasks.a.output }", "add `a` to `needs`"),
    ] {
        let task = format!("{{ id: t, tool: core.noop, {fields} }}");
        refuses(&[A, B, &task], words);
    }
}

#[test]
fn a_need_of_a_need_may_be_named_and_a_barrier_counts() {
    let tasks = |needs: &str| {
        format!(
            "name: n\nstages:\n  - name: s1\n    tasks:\n      - {{ id: a, tool: core.noop }}\n      - {{ id: b, tool: core.noop, needs: [a] }}\n      - {{ id: c, tool: core.noop, needs: [b], when: tasks.a.output }}\n  - name: s2\n    tasks:\n      - {{ id: d, tool: core.noop, {needs} when: tasks.a.output }}\n"
        )
    };
    assert_eq!(faults(&tasks("")), []);
    assert_eq!(faults(&tasks("needs: [c],")), []);
    let found = faults(&tasks("needs: [],"));
    assert_eq!(found[0].help.as_deref(), Some("add `a` to `needs` of `d`"));
}

#[test]
// Long because it is one table of cases.
fn roots_and_stages() {
    for (source, words) in [
        ("", "the definition is empty"),
        ("- a", "expected an object, found a list"),
        ("a: [", "this is not valid YAML"),
        ("name: x", "the field `stages` is missing"),
        ("name: x\nstages: []", "at least one stage"),
        ("name: x\nstages: [ { name: s, tasks: [] } ]", "at least one task"),
        (
            "name: x\nstages: [ { tasks: [ { id: a, tool: core.noop } ] } ]",
            "the field `name` is missing",
        ),
        (
            "name: x\nstages: [ { name: s, weight: 0, tasks: [ { id: a, tool: core.noop } ] } ]",
            "at least 1",
        ),
        (
            "name: x\nversion: 0\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "at least 1",
        ),
        (
            "name: a b\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "`a b` is not a name",
        ),
        (
            "name: x\nprogress: fast\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "agent-based, stage-weighted",
        ),
        (
            "name: x\nbudget: { tokens: 0 }\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "budget.tokens: this must be an integer of at least 1",
        ),
        (
            "name: x\nbudget: { at_limit: explode }\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "known are ask, stop, cheaper_model, hand_over",
        ),
        (
            "name: x\ninputs: { type: 5 }\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "not a valid JSON Schema",
        ),
        (
            "name: x\ninputs: { $ref: 'https://example.com/s.json' }\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "not a valid JSON Schema",
        ),
        (
            "name: x\noutput: '{{ tasks.b }}'\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "there is no task `b`",
        ),
        (
            "name: x\nstages: [ { name: s, milestones: [ { id: m, tasks: [b] } ], tasks: [ { id: a, tool: core.noop } ] } ]",
            "stages[0].milestones[0].tasks[0]: there is no task `b`",
        ),
        (
            "name: x\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop, needs: [b] } ] }, { name: s2, tasks: [ { id: b, tool: core.noop } ] } ]",
            "of the later stage `s2`",
        ),
        (
            "name: x\ninputs: { type: object, properties: { repo: {} } }\noutput: '{{ inputs.rep }}'\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]",
            "the input `rep` is not declared",
        ),
        (
            "name: x\nstages: [ { name: s, tasks: [ { id: a, tool: core.noop } ] } ]\n---\nname: y",
            "a second document",
        ),
    ] {
        let found: Vec<String> = faults(source).iter().map(shown).collect();
        assert!(
            found.len() == 1 && found[0].contains(words),
            "{words:?} expected of {source}\nfound {found:#?}"
        );
    }
}

const MANY: &str = "name: review
stages:
  - name: gather
    tasks:
      - id: log
        tool: git.lgo
        timeout: 5 minutes
      - id: todos
        tool: fs.read
        with: { path: \"{{ inputs.repo }}\", pattern: TODO }
  - name: judge
    tasks:
      - id: verdict
        tool: core.noop
        needs: [todos]
        with:
          text: |
            A first line,
            and {{ tasks.log.output }}.
";

#[test]
fn every_fault_is_listed_and_shown_on_the_source() {
    let all: Vec<String> =
        faults(MANY).iter().map(|fault| render(fault, "review.yaml", MANY)).collect();
    let expected = "\
error: there is no tool `git.lgo`
 --> review.yaml:6:15
  |
6 |         tool: git.lgo
  |               ^^^^^^^
  = help: known are `core.noop`, `fs.list`, `fs.read`, `fs.write`

error: `5 minutes` is not a span of time; write it like `250ms`, `10s`, `5m`, `1h30m` or `2d`
 --> review.yaml:7:18
  |
7 |         timeout: 5 minutes
  |                  ^^^^^^^^^

error: `fs.read` does not take `pattern`
  --> review.yaml:10:44
   |
10 |         with: { path: \"{{ inputs.repo }}\", pattern: TODO }
   |                                            ^^^^^^^
   = help: known are `path`, `limit`

error: `log` may not have ended when `verdict` starts
  --> review.yaml:19:20
   |
19 |             and {{ tasks.log.output }}.
   |                    ^^^^^^^^^^^^^^^^
   = help: add `log` to `needs` of `verdict`
";
    assert_eq!(all.join("\n"), expected);
}

#[test]
fn long_lines_are_cut_around_the_marker_and_control_characters_escaped() {
    let filler = "é".repeat(500);
    let source = format!("name: \"{filler}\\u001b\u{7f}\", \u{1b}[31m");
    let fault = Fault {
        path: String::new(),
        line: 1,
        column: 508,
        length: 6,
        message: "a \u{1b}[31mbad\u{202e} message".to_owned(),
        help: None,
    };
    let shown = render(&fault, "x.yaml", &source);
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    let column = lines[4].find('^').unwrap();
    let above: String = lines[3].chars().skip(column).take(6).collect();
    assert_eq!(above, "\\u001b", "{shown}");
}

/// The example of the public contract, whose kinds are not all there yet.
const OF_THE_CONTRACT: &str = r#"
name: repository-review
version: 1
description: Review a git repository and publish a verdict.
playbook: { examples: ["review this repository"] }
inputs:
  type: object
  required: [repo]
  properties:
    repo: { type: string, title: Path of the repository }
    since: { type: string, default: "90 days ago" }
budget: { tokens: 50000, usd: "0.50", time: 10m, calls: 200, at_limit: ask }
progress: agent-based
stages:
  - name: gather
    tasks:
      - { id: log, tool: fs.list, with: { path: "{{ inputs.repo }}" } }
      - { id: todos, tool: fs.read, with: { path: "{{ inputs.repo }}" }, on_failure: continue }
  - name: judge
    weight: 3
    milestones: [ { id: judged, title: Verdict agreed, tasks: [verdict, agree] } ]
    tasks:
      - id: verdict
        agent: reviewer
        needs: [log, todos]
        prompt: "…{{ tasks.log.output }}…"
        output: { type: object, required: [score], properties: { score: { type: integer } } }
        permission: read_only
        timeout: 2m
        retry: { attempts: 3, backoff: 1s, max: 30s }
        fallback: [ { agent: reviewer-small } ]
        heal: { plan_b: ask_senior }
      - { id: agree, human: approval, needs: [verdict], ask: "Publish a score of {{ tasks.verdict.output.score }}?" }
      - { id: publish, tool: fs.write, needs: [verdict, agree], permission: read_write, when: "tasks.verdict.output.score < 7",
          with: { path: HEALTH.md, text: "{{ tasks.verdict.output }}" }, probe: { tool: fs.read, with: { path: HEALTH.md } } }
plan_b: { ask_senior: [ { id: senior, human: form, form: { type: object, properties: { score: { type: integer } } } } ] }
output: "{{ tasks.verdict.output }}"
triggers: [ { event: "repo.*", when: "event.data.branch == 'main'" }, { schedule: "0 6 * * 1", zone: Europe/Berlin, missed: once } ]
"#;

#[test]
fn the_example_of_the_contract_fails_only_on_what_is_not_supported_yet() {
    let mut known = Known::new();
    for name in ["reviewer", "reviewer-small"] {
        known.agents.insert(name.to_owned(), agent(&["fs.*"]));
    }
    let found: Vec<String> = read(OF_THE_CONTRACT, &known)
        .expect_err("it holds what is not there yet")
        .into_iter()
        .map(|fault| {
            assert!(fault.message.ends_with("not supported by this version of Baton"), "{fault:?}");
            fault.path
        })
        .collect();
    assert_eq!(found, ["stages[1].tasks[0].heal", "plan_b"]);
}
