//! A server that is killed, restarted or not there, and answers that are lost on the way.

use rustix::process::Signal;

use crate::proxy::Proxy;
use crate::{Away, Home, free_port, positions, shown_positions};

const GATED: &str =
    "{ id: held, tool: shell.run, permission: read_write, with: { script: 'read x < gate' } }";
const WAITS: &str = "{ id: held, needs: [first], wait: { event: go } }";
const LAST: &str = "{ id: last, tool: core.noop, needs: [held] }";

#[test]
fn a_run_goes_on_over_a_killed_and_restarted_server_without_a_line_lost_or_doubled() {
    let home = Home::new();
    let away = Away::from(&home.url);
    away.desk.define("waits.yaml", &["{ id: first, tool: core.noop }", WAITS, LAST]);
    let mut running = away.start(&["run", "waits.yaml", "--json"]);
    let waited = running.until("task.waited", Some("held"));
    let listen = home.url.trim_start_matches("http://").to_owned();
    let desk = home.kill();
    running.hear("the server does not answer");
    let home = Home::of(desk, &listen);
    let event = r#"{"specversion": "1.0", "id": "1", "source": "/test", "type": "go"}"#;
    let post = ureq::post(format!("{}/api/v1/events", home.url));
    let taken = post.header("content-type", "application/cloudevents+json").send(event).unwrap();
    assert!(taken.status().is_success());
    let (code, lines) = running.rest();
    assert_eq!(code, Some(0), "{lines:?}");
    assert_eq!(lines.last().unwrap()["workflow"]["status"], "completed");
    let after = positions(&lines);
    let shown = home.desk.shown();
    let all = shown_positions(&shown);
    let before = all.iter().filter(|at| **at > waited["position"].as_u64().unwrap());
    assert_eq!(before.copied().collect::<Vec<_>>(), after);
}

#[test]
fn what_is_posted_is_done_once_also_when_answers_are_lost() {
    let home = Home::new();
    let port = home.url.rsplit_once(':').unwrap().1.parse().unwrap();
    let proxy = Proxy::to(port, 2);
    let away = Away::from(&format!("http://127.0.0.1:{}", proxy.port));
    away.desk.define("plan.yaml", &["{ id: ask, human: approval, ask: 'go on?' }"]);
    proxy.arm();
    for _ in 0..5 {
        away.expect(3, &["run", "plan.yaml"]);
    }
    assert!(proxy.disarm() >= 5);
    assert_eq!(home.desk.expect(0, &["list", "--json"]).json().len(), 5);
}

#[test]
fn a_server_that_cannot_be_reached_is_said_at_once_with_what_to_do() {
    let away = Away::from(&format!("http://127.0.0.1:{}", free_port()));
    away.desk.define("plan.yaml", &["{ id: a, tool: core.noop }"]);
    for arguments in [vec!["list"], vec!["run", "plan.yaml"], vec!["watch", "last"], vec!["tools"]]
    {
        let called = away.expect(4, &arguments);
        assert!(called.said.contains("`baton serve`"), "{called:?}");
    }
}

#[test]
fn ctrl_c_leaves_the_run_going_and_says_so() {
    let home = Home::new();
    let mut gate = home.desk.gate("gate");
    let away = Away::from(&home.url);
    away.desk.define("gated.yaml", &[GATED]);
    let mut running = away.start(&["run", "gated.yaml", "--json"]);
    running.until("task.started", Some("held"));
    running.signal(Signal::INT);
    running.hear("another process goes on with it");
    assert_eq!(running.end().0, Some(1));
    assert_eq!(home.desk.task_status("held"), "executing");
    gate.open();
    away.expect(0, &["watch", "last"]);
}
