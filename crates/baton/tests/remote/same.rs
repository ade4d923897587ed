//! Every command says and ends the same at a server as on the store.

use crate::{Away, Home, positions, shown_positions};

const ASK: &str = r#"{ id: ask, human: approval, ask: "go on?" }"#;
const NOOP: &str = "{ id: first, tool: core.noop, with: { value: 1 } }";

#[test]
fn what_is_read_is_the_same_text_and_the_same_json() {
    let home = Home::new();
    let away = Away::from(&home.url);
    away.desk.define("plan.yaml", &[NOOP, ASK]);
    away.desk.define("fails.yaml", &["{ id: a, tool: fs.read, with: { path: nowhere } }"]);
    away.expect(3, &["run", "plan.yaml"]);
    away.expect(1, &["run", "fails.yaml"]);
    let id = away.newest();
    for arguments in [
        vec!["list", "--json"],
        vec!["list", "--json", "--status", "failed", "--name", "ail"],
        vec!["list", "--json", "--limit", "1"],
        vec!["inbox"],
        vec!["inbox", "--json"],
        vec!["show", "last", "--events", "--json"],
        vec!["show", &format!("{id}/a"), "--events", "--json"],
        vec!["watch", "last", "--json"],
        vec!["tools"],
        vec!["tools", "--json"],
        vec!["servers"],
        vec!["show", "nothing"],
        vec!["show", "fails"],
        vec!["show", "last/nothing"],
        vec!["cancel", "last"],
        vec!["approve", "last"],
        vec!["respond", "last", "1"],
    ] {
        let (here, there) = (home.desk.call(&arguments), away.call(&arguments));
        assert_eq!((here.code, &here.out), (there.code, &there.out), "{arguments:?}");
        assert_eq!(here.said, there.said, "{arguments:?}");
    }
}

#[test]
fn a_run_at_a_server_is_shown_and_ends_as_one_at_hand() {
    let home = Home::new();
    let away = Away::from(&home.url);
    for desk in [&home.desk, &away.desk] {
        desk.define("plan.yaml", &[NOOP, "{ id: each, tool: core.noop, each: '{{ range(3) }}' }"]);
    }
    let (here, there) =
        (home.desk.expect(0, &["run", "plan.yaml"]), away.expect(0, &["run", "plan.yaml"]));
    let signs = |said: &str| -> Vec<String> {
        let mut signs: Vec<String> = said
            .lines()
            .filter(|line| line.starts_with("  "))
            .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
            .collect();
        signs.sort();
        signs
    };
    assert_eq!(signs(&here.said), signs(&there.said));
    let lines = away.expect(0, &["run", "plan.yaml", "--json"]).json();
    let at = positions(&lines);
    assert!(at.windows(2).all(|pair| pair[0] < pair[1]), "{at:?}");
    let last = lines.last().unwrap();
    assert_eq!(last["workflow"]["status"], "completed");
    let shown = away.expect(0, &["show", "last", "--events", "--json"]).json().pop().unwrap();
    assert_eq!(at, shown_positions(&shown));
}

#[test]
fn faults_of_a_definition_stand_at_their_lines_and_those_of_inputs_at_their_names() {
    let home = Home::new();
    let away = Away::from(&home.url);
    let text = "name: needs\nversion: 1\ninputs:\n  type: object\n  required: [count]\n  properties: { count: { type: integer } }\nstages:\n  - name: only\n    tasks:\n      - { id: a, tool: core.noop }\n";
    for desk in [&home.desk, &away.desk] {
        desk.define("bad.yaml", &["{ id: a, tool: core.nop }", "{ id: a, tool: core.noop }"]);
        desk.write("needs.yaml", text);
    }
    let refused = away.expect(2, &["run", "bad.yaml"]);
    for part in ["bad.yaml:6:", "bad.yaml:7:", "core.noop", "nothing was started"] {
        assert!(refused.said.contains(part), "{part}: {}", refused.said);
    }
    for inputs in [vec![], vec!["--input", "count=x"], vec!["--input", "count=1", "--input", "b=2"]]
    {
        let mut arguments = vec!["run", "needs.yaml"];
        arguments.extend(inputs);
        let (here, there) = (home.desk.expect(2, &arguments), away.expect(2, &arguments));
        assert_eq!(here.said, there.said, "{arguments:?}");
    }
    away.expect(0, &["run", "needs.yaml", "--input", "count=1"]);
    // The server finds it by its name, beside itself.
    away.expect(0, &["run", "needs", "--input", "count=1"]);
    let missing = away.expect(2, &["run", "nowhere"]);
    assert!(missing.said.contains("there is no file nowhere"), "{}", missing.said);
}

#[test]
fn people_answer_at_a_server() {
    let home = Home::new();
    let away = Away::from(&home.url);
    away.desk
        .define("asks.yaml", &[ASK, "{ id: pick, human: choice, ask: which?, options: [a, b] }"]);
    away.expect(3, &["run", "asks.yaml"]);
    away.expect(2, &["respond", "last/pick", "c"]);
    away.expect(0, &["respond", "last/pick", "b"]);
    let told = away.expect(0, &["approve", "last/ask", "--json"]).json().pop().unwrap();
    assert_eq!(told["workflow_id"], away.newest());
    away.expect(0, &["watch", "last"]);
    away.expect(3, &["run", "asks.yaml", "--review"]);
    away.expect(0, &["reject", "last", "-m", "no"]);
    away.expect(3, &["watch", "last"]);
    away.expect(0, &["cancel", "last"]);
    away.expect(1, &["watch", "last"]);
}

#[test]
fn a_child_of_the_servers_that_asks_is_asked_about() {
    let home = Home::new();
    let away = Away::from(&home.url);
    home.desk.define("asks.yaml", &[ASK]);
    away.desk.define("parent.yaml", &["{ id: child, workflow: asks }"]);
    let waits = away.expect(3, &["run", "parent.yaml"]);
    assert!(waits.said.contains("ask: go on?"), "{waits:?}");
    let inbox = away.expect(0, &["inbox", "--json"]).json();
    away.expect(0, &["approve", inbox[0]["task_id"].as_str().unwrap()]);
    let parent = away.expect(0, &["list", "--json", "--name", "parent"]).json();
    away.expect(0, &["watch", parent[0]["id"].as_str().unwrap()]);
}

#[test]
fn workflows_are_paused_resumed_retried_and_forked_at_a_server() {
    let home = Home::new();
    let away = Away::from(&home.url);
    away.desk.define("parked.yaml", &[ASK]);
    away.desk.define("fails.yaml", &["{ id: a, tool: fs.read, with: { path: here } }"]);
    away.expect(3, &["run", "parked.yaml"]);
    away.expect(0, &["pause", "last"]);
    let twice = away.expect(2, &["pause", "last"]);
    assert!(twice.said.contains("`baton show ID`"), "{}", twice.said);
    away.expect(3, &["resume", "last"]);
    away.expect(3, &["resume", "--all"]);
    away.expect(3, &["fork", "last"]);
    away.expect(1, &["run", "fails.yaml"]);
    away.expect(2, &["resume", "last"]);
    home.desk.write("here", "found");
    away.expect(0, &["retry", "last", "--task", "a"]);
    assert_eq!(away.expect(0, &["list", "--json"]).json().len(), 3);
}

#[test]
fn a_call_in_doubt_is_settled_at_a_server() {
    let home = Home::new();
    let away = Away::from(&home.url);
    let slow = "{ id: slow, tool: shell.run, permission: read_write, timeout: 1s, with: { script: 'sleep 60' } }";
    away.desk.define("slow.yaml", &[slow]);
    away.expect(3, &["run", "slow.yaml"]);
    away.expect(0, &["settle", "last/slow", "--happened", "--result", r#"{"n": 1}"#]);
    let shown = away.expect(0, &["watch", "last", "--json"]).json().pop().unwrap();
    assert_eq!(shown["workflow"]["status"], "completed");
}

#[test]
fn a_tool_is_invoked_at_a_server() {
    let home = Home::new();
    let away = Away::from(&home.url);
    home.desk.write("note", "over there");
    let called = away.expect(0, &["invoke", "fs.read", "--with", "path=note"]);
    assert!(called.out.contains("over there"), "{called:?}");
    let refused = away.expect(2, &["invoke", "fs.read", "--with", "pth=note"]);
    assert_eq!(
        refused.said,
        home.desk.expect(2, &["invoke", "fs.read", "--with", "pth=note"]).said
    );
    away.expect(2, &["invoke", "fs.nothing"]);
}

#[test]
fn what_works_on_the_store_itself_says_so() {
    let away = Away::from("http://127.0.0.1:9");
    for arguments in [
        vec!["archive", "--to", "x", "--older-than", "1d"],
        vec!["purge", "--older-than", "1d"],
        vec!["doctor"],
        vec!["doctor", "--rebuild"],
        vec!["chaos", "plan.yaml"],
        vec!["bench"],
        vec!["serve"],
        vec!["token", "list"],
    ] {
        let refused = away.expect(2, &arguments);
        assert!(refused.said.contains("works on the store itself"), "{arguments:?}: {refused:?}");
    }
    away.expect(0, &["schema", "definition"]);
}
