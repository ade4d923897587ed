//! Which model is asked: the next one where one fails, and the script that has to be there again.

use rustix::process::Signal;
use serde_json::json;

use crate::common::{Called, Desk};
use crate::server::Server;
use crate::{call, define, desk, events, sum, turns};

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

/// A workflow whose agent goes on once its script is there again: it was approved, and cut off.
fn interrupted() -> crate::common::Desk {
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
    desk
}

#[test]
fn mp3_who_takes_work_up_without_its_model_holds_it_back_and_says_so_until_it_is_there() {
    let desk = interrupted();
    let mut server = Server::start(&desk);
    let heard = server.hear("a task is held back");
    assert!(heard.contains("--model scripted:FILE"), "{heard}");
    let id = desk.shown()["workflow"]["workflow_id"].as_str().unwrap().to_owned();
    let task = &server.get(&format!("/workflows/{id}/tasks")).expect(200)["items"][0];
    assert_eq!((&task["status"], &task["attempts"]), (&json!("ready"), &json!(1)));
    let held = task["live"]["held"].as_str().unwrap();
    assert!(held.contains("no script stands in for `scripted/desk`"), "{held}");
    let shown = desk.expect(0, &["show", "last"]).out;
    assert!(shown.contains("held: no script stands in"), "{shown}");
    let mut resumed = desk.start(&["resume", "last"]);
    resumed.hear("held by the owner of the store: no script stands in");
    drop(resumed);
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
    let events = events(&desk, "task.failed").len();
    assert_eq!(events, 0, "nothing of it is journaled");
    let all = desk.expect(1, &["resume", "--all"]);
    assert!(all.said.contains("held: no script stands in"), "{all:?}");
    assert_eq!(desk.shown()["workflow"]["status"], "running");
    let resumed = call(&desk, 0, &["resume", "--all"]);
    assert_eq!(resumed.out.trim(), "done", "what was done stays done");
}

#[test]
fn mp3_a_retry_without_the_model_waits_for_it() {
    let script =
        "answers:\n  - turns:\n      - { fail: { kind: usage_limit, message: used up } }\n";
    let desk = desk("[agents.thinker]\n", "agent: thinker", script);
    call(&desk, 1, &["run", "work.yaml"]);
    let held = desk.expect(1, &["retry", "last"]);
    assert!(held.said.contains("held: no script stands in"), "{held:?}");
    assert!(held.said.contains("baton resume"), "{held:?}");
    let shown = desk.shown();
    assert_eq!(
        (&shown["workflow"]["status"], &shown["workflow"]["run"]),
        (&json!("running"), &json!(2))
    );
    desk.write("desk.yaml", "answers:\n  - turns:\n      - { text: done }\n");
    assert_eq!(call(&desk, 0, &["resume", "last"]).out.trim(), "done");
}

#[test]
fn mp3_a_model_without_its_key_gives_way_to_a_later_one_before_anything_is_asked() {
    let config = "
[models]
scripts = ['desk.yaml']
worker = ['openai/gpt-5', 'scripted/desk']
[agents.thinker]
";
    let desk = desk(config, "agent: thinker", "answers:\n  - turns:\n      - { text: done }\n");
    let mut command = desk.command(&["run", "work.yaml"]);
    let ran = Called::of(command.env_remove("OPENAI_API_KEY").output().unwrap());
    assert_eq!((ran.code, ran.out.trim()), (Some(0), "done"), "{ran:?}");
    let models: Vec<_> = turns(&desk).iter().map(|turn| turn["model"].clone()).collect();
    assert_eq!(models, ["scripted/desk"]);
    assert_eq!(events(&desk, "task.model_changed")[0]["data"]["model"], 1);
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
    let none = Called::of(command.output().unwrap());
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
