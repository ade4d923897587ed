//! `kill -9` in the middle of an agent's work: nothing that was finished is asked, paid or done again.

use serde_json::json;

use crate::common::Desk;
use crate::counter::Counter;
use crate::server::Server;
use crate::{MODEL, asked, call, desk, sum, turns};

const CONFIG: &str = "
[tools.shell]
allow = true
[tools.http]
hosts = ['*']
allow_private = true
[agents.worker]
tools = ['shell.run', 'http.get']
permission = 'read_write'
";
const TASK: &str = "agent: worker, permission: read_write, output: { type: object }";

/// A turn with two calls, one of them to be made once, and a turn that takes its time.
fn script(url: &str, pause: &str) -> String {
    format!(
        "price: {{ input: '1', output: '10' }}
answers:
  - agent: worker
    turns:
      - text: I do both at once.
        calls:
          - {{ tool: shell.run, arguments: {{ script: 'echo paid >> paid.log' }} }}
          - {{ tool: http.get, arguments: {{ url: '{url}' }} }}
        usage: {{ input_tokens: 1000, output_tokens: 100 }}
      - output: {{ done: true }}
        delay: {pause}
        usage: {{ input_tokens: 2000, output_tokens: 200 }}
"
    )
}

fn start(desk: &Desk, arguments: &[&str]) -> crate::common::Running {
    desk.start(&[arguments, &MODEL[..], &["--json"]].concat())
}

/// Killed between two parallel calls, and again in the turn after them.
fn killed_twice(counter: &Counter) -> Desk {
    let desk = desk(CONFIG, TASK, &script(&counter.url, "1h"));
    let mut run = start(&desk, &["run", "work.yaml"]);
    run.until("task.completed", Some("a(1)"));
    counter.hear();
    run.kill();
    let mut resumed = start(&desk, &["resume", "last"]);
    resumed.until("task.completed", Some("a(2)"));
    resumed.until("task.started", Some("a"));
    resumed.kill();
    desk.write("desk.yaml", &script(&counter.url, "1ms"));
    let resumed = call(&desk, 0, &["resume", "last"]);
    assert_eq!(resumed.out, "{\n  \"done\": true\n}\n", "{resumed:?}");
    desk
}

#[test]
fn ch8_after_kill_9_it_goes_on_after_the_last_finished_turn_and_makes_the_missing_call_alone() {
    let counter = Counter::start();
    let desk = killed_twice(&counter);
    assert_eq!(desk.read("paid.log"), "paid\n", "the call that had ended was not made again");
    assert_eq!(counter.asked(), 2, "the one that was cut off was made again, once");
    let turns = turns(&desk);
    let told = |turn: &serde_json::Value| {
        json!([turn["call"], turn["status"], turn["possibly_billed"], turn["restarts"]])
    };
    let told: Vec<_> = turns.iter().map(told).collect();
    let expected = [
        json!([1, "completed", false, 0]),
        json!([2, "lost", true, 1]),
        json!([3, "completed", false, 2]),
    ];
    assert_eq!(told, expected, "no finished turn was asked again");
    let calls = &turns[0]["calls"];
    assert_eq!((&calls[0]["attempts"], &calls[1]["attempts"]), (&json!(1), &json!(2)));
    assert_eq!(turns[2]["messages"], turns[1]["messages"], "the same request");
    assert_eq!(turns[2]["digest"], turns[1]["digest"], "byte for byte");
}

#[test]
fn ch8_show_proves_what_was_before_and_after_the_crash_and_what_it_cost() {
    let counter = Counter::start();
    let desk = killed_twice(&counter);
    let sum = sum(&desk);
    let counts = json!([sum["turns"], sum["calls"], sum["possibly_billed"], sum["restarts"]]);
    assert_eq!(counts, json!([2, 2, 1, 2]), "{sum}");
    assert_eq!(sum["usage"], json!({ "input_tokens": 3000, "output_tokens": 300 }));
    assert_eq!(sum["cost_usd"], "0.006");
    let text = desk.expect(0, &["show", "last"]).out;
    let line = "scripted/desk: 2 turns, 2 calls, 3,000 tokens in and 300 out, $0.006, 1 cut off, possibly billed, \
                2 restarts";
    assert!(text.contains(line), "{text}");
    let text = desk.expect(0, &["show", "last/a"]).out;
    let parts: Vec<&str> = text.split("— the process ended here, and another went on —").collect();
    assert_eq!(parts.len(), 3, "{text}");
    assert!(parts[0].contains("call 1: scripted/desk, 1,000 tokens in and 100 out, $0.002"));
    assert!(parts[1].contains("call 2: scripted/desk, lost: possibly billed"), "{text}");
    assert!(parts[2].contains("call 3: scripted/desk, 2,000 tokens in and 200 out, $0.004"));
}

#[test]
fn ch8_a_once_call_that_was_cut_off_waits_in_doubt_and_its_agent_with_it() {
    let desk = desk(CONFIG, TASK, &script("http://127.0.0.1:9/", "1ms"));
    let _gate = desk.gate("gate");
    let script = desk.read("desk.yaml").replace("echo paid", "read x < gate; echo paid");
    desk.write("desk.yaml", &script);
    let mut run = start(&desk, &["run", "work.yaml"]);
    run.until("task.started", Some("a(1)"));
    run.kill();
    call(&desk, 3, &["resume", "last"]);
    assert_eq!(
        (&asked(&desk)["needs"], &asked(&desk)["task"]),
        (&"in_doubt".into(), &"a(1)".into())
    );
    desk.expect(0, &["settle", "last/a(1)", "--happened", "--result", "\"by hand\""]);
    call(&desk, 0, &["resume", "last"]);
    assert_eq!(desk.read("paid.log"), "", "it was not made again");
    let turns = turns(&desk);
    assert_eq!(turns[0]["calls"][0]["output"], "by hand", "its model is told what came of it");
}

#[test]
fn an_agent_keeps_its_concurrency_key_over_a_restart_while_its_calls_run() {
    let desk = desk(
        CONFIG,
        &format!("concurrency_key: desk, {TASK}"),
        &script("http://127.0.0.1:9/", "1ms"),
    );
    let mut gate = desk.gate("gate");
    let script = desk.read("desk.yaml").replace("echo paid", "read x < gate; echo paid");
    desk.write("desk.yaml", &script);
    let mut run = start(&desk, &["run", "work.yaml"]);
    run.until("task.started", Some("a(1)"));
    run.kill();
    desk.write("free.yaml", "name: free\nversion: 1\nstages:\n  - { name: only, tasks: [ { id: f, tool: core.noop } ] }\n");
    let server = Server::start_with(&desk, &MODEL);
    let newest = || desk.shown()["workflow"]["workflow_id"].as_str().unwrap().to_owned();
    let first = newest();
    let mut begun = start(&desk, &["run", "work.yaml"]);
    begun.until("workflow.started", None);
    let second = newest();
    // What needs no key goes through, and what needs this one does not begin.
    desk.expect(0, &["run", "free.yaml"]);
    let tasks = server.get(&format!("/workflows/{second}/tasks")).expect(200);
    let waiting = &tasks["items"][0];
    assert_eq!((&waiting["status"], &waiting["attempts"]), (&json!("ready"), &json!(0)));
    let doubt = format!("{first}/a(1)");
    desk.expect(0, &["settle", &doubt, "--happened", "--result", "\"by hand\""]);
    server.until(&first, "completed");
    gate.open();
    assert_eq!(begun.rest().0, Some(0));
}
