//! Which model is asked: the next one where one fails, and the script that has to be there again.

use serde_json::json;

use crate::common::{Called, Desk};
use crate::{call, define, desk, sum, turns};

const TASK: &str = "agent: thinker, permission: read_write";

#[test]
fn mp3_the_next_model_of_the_list_answers_where_one_fails_and_a_finished_batch_stays_finished() {
    let config = "
[tools.shell]
allow = true
[models]
scripts = ['first.yaml', 'second.yaml']
worker = ['scripted/first', 'scripted/second']
[agents.thinker]
tools = ['shell.run']
permission = 'read_write'
";
    let desk = desk(config, TASK, "");
    let turn = "calls: [ { tool: shell.run, arguments: { script: 'echo x >> done.log' } }, { tool: shell.run, arguments: { script: 'echo y >> done.log' } } ]";
    let script =
        |second: &str| format!("answers:\n  - turns:\n      - {{ {turn} }}\n      - {second}\n");
    desk.write("first.yaml", &script("{ fail: { kind: usage_limit, message: nothing is left } }"));
    desk.write("second.yaml", &script("{ text: from the second }"));
    let ran = desk.expect(0, &["run", "work.yaml"]);
    assert_eq!(ran.out.trim(), "from the second");
    let mut lines: Vec<String> = desk.read("done.log").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["x", "y"], "the batch is finished, and not made again");
    let models: Vec<_> = turns(&desk).iter().map(|turn| turn["model"].clone()).collect();
    assert_eq!(models, ["scripted/first", "scripted/first", "scripted/second"]);
    assert_eq!(turns(&desk)[1]["failure"]["kind"], "usage_limit");
    assert_eq!(sum(&desk)["models"], json!(["scripted/first", "scripted/second"]));
}

#[test]
fn mp3_where_no_model_answers_it_says_what_each_said_last() {
    let config = "
[models]
scripts = ['first.yaml', 'second.yaml']
worker = ['scripted/first', 'scripted/second']
[agents.thinker]
";
    let desk = desk(config, "agent: thinker", "");
    for name in ["first", "second"] {
        let fail = format!("{{ fail: {{ kind: usage_limit, message: {name} is used up }} }}");
        desk.write(&format!("{name}.yaml"), &format!("answers:\n  - turns:\n      - {fail}\n"));
    }
    let failed = desk.expect(1, &["run", "work.yaml"]);
    assert!(failed.said.contains("second is used up"), "{failed:?}");
}

#[test]
fn a_script_that_is_not_named_again_after_a_restart_is_asked_for() {
    let config = "[agents.thinker]\ntools = ['fs.write']\napprove = ['fs.write']\npermission = 'read_write'\n";
    let script = "
answers:
  - turns:
      - calls: [ { tool: fs.write, arguments: { path: a.txt, text: a } } ]
      - text: done
";
    let desk = desk(config, TASK, script);
    call(&desk, 3, &["run", "work.yaml"]);
    desk.expect(0, &["approve", "last"]);
    let refused = desk.expect(2, &["resume", "last"]);
    assert!(refused.said.contains("--model scripted:FILE"), "{refused:?}");
    assert!(refused.said.contains("nothing was started"), "{refused:?}");
    let resumed = call(&desk, 0, &["resume", "last"]);
    assert_eq!(resumed.out.trim(), "done", "what was done stays done");
}

#[test]
fn a_run_that_no_model_can_answer_is_refused_before_it_begins() {
    let keyless = |desk: &Desk, code: i32| {
        let mut command = desk.command(&["run", "work.yaml"]);
        let called = Called::of(command.env_remove("OPENAI_API_KEY").output().unwrap());
        assert_eq!(called.code, Some(code), "{called:?}");
        called.said
    };
    let desk = desk("[agents.thinker]\nmodels = ['openai/gpt-5']\n", "agent: thinker", "");
    let said = keyless(&desk, 2);
    assert!(said.contains("OPENAI_API_KEY") && said.contains("nothing was started"), "{said}");
    assert!(desk.expect(0, &["list", "--json"]).out.is_empty(), "nothing was admitted");
    let config = "
[models]
scripts = ['desk.yaml']
[agents.thinker]
models = ['openai/gpt-5', 'scripted/desk']
";
    desk.write("baton.toml", config);
    desk.write("desk.yaml", "answers:\n  - turns:\n      - { text: from the second }\n");
    keyless(&desk, 0);
    assert_eq!(desk.shown()["workflow"]["status"], "completed", "a later one answers");
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let desk = desk("[agents.thinker]\n", "agent: thinker", "");
    let mut command = desk.command(&["run", "work.yaml"]);
    for key in ["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"] {
        command.env_remove(key);
    }
    let none = crate::common::Called::of(command.output().unwrap());
    assert!(none.said.contains("--model scripted:FILE"), "{none:?}");
    let missing = desk.expect(2, &["run", "work.yaml", "--model", "scripted:none.yaml"]);
    assert!(missing.said.contains("none.yaml cannot be read"), "{missing:?}");
    define(&desk, "", "agent: thinkr");
    desk.write("desk.yaml", "answers: [ { turns: [ { text: a } ] } ]");
    let unknown = call(&desk, 2, &["run", "work.yaml"]);
    assert!(unknown.said.contains("did you mean `thinker`?"), "{unknown:?}");
}

#[test]
fn mp3_a_model_that_is_busy_is_asked_again_without_a_word_in_the_definition() {
    let script = "
answers:
  - turns:
      - { text: here, fail: { kind: rate_limited, message: busy, retry_after: 1ms, times: 2 } }
";
    let desk = desk("[agents.thinker]\n", "agent: thinker", script);
    assert_eq!(call(&desk, 0, &["run", "work.yaml"]).out.trim(), "here");
    let told = |turn: &serde_json::Value| (turn["status"].clone(), turn["possibly_billed"].clone());
    let told: Vec<_> = turns(&desk).iter().map(told).collect();
    let (failed, answered) = ((json!("failed"), json!(false)), (json!("completed"), json!(false)));
    assert_eq!(told, [failed.clone(), failed, answered]);
}
