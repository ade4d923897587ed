//! A request becomes questions, a plan, and work; what does not fit goes back to the model.

use serde_json::{Value, json};

use crate::common::Desk;
use crate::{
    call, desk, expect, plan, planned, plannings, prompt, propose, script, search, turns, workflows,
};

fn ask(key: &str) -> Value {
    let question = json!({
        "key": key, "question": format!("Which {key}?"), "reason": "There are several.", "type": "text"
    });
    call("chat.ask", json!({ "questions": [question] }))
}

/// The error of the call in a turn.
fn error(turn: &Value) -> &str {
    turn["calls"][0]["error"].as_str().unwrap_or_else(|| panic!("{turn}"))
}

#[test]
fn ch3_it_asks_plans_and_runs_and_its_usage_is_the_conversations() {
    let mut proposal = propose(plan(json!([search()])));
    let arguments = &mut proposal["calls"][0]["arguments"];
    arguments["assumptions"] = json!(["Only TODO counts."]);
    arguments["will_not"] = json!(["Change a file."]);
    arguments["why"] = json!({ "todos": "It reads every file." });
    proposal["usage"] = json!({ "input_tokens": 700, "output_tokens": 30 });
    let mut asks = ask("folder");
    asks["usage"] = json!({ "input_tokens": 500, "output_tokens": 20 });
    let desk = desk(&json!([
        { "agent": "planner", "when": { "contains": "\"answer\": \"src\"" }, "turns": [proposal] },
        { "agent": "planner", "turns": [asks] },
    ]));
    let done = expect(&desk, 0, &["find them"], &["src", "a"]);
    for told in [
        "? Which folder?",
        "There are several.",
        "- todos: It reads every file.",
        "assumed: Only TODO counts.",
        "it will not: Change a file.",
    ] {
        assert!(done.said.contains(told), "{told}: {done:?}");
    }
    assert!(done.said.contains("completed · 1 of 1 tasks"), "{done:?}");
    let asked = prompt(&desk);
    assert!(asked.contains("\"rounds_of_questions_left\": 2"), "{asked}");
    let resumed = expect(&desk, 0, &["--resume", "last", "--json"], &[]);
    let conversation = &crate::last(&resumed)["conversation"];
    assert_eq!(conversation["usage"]["input_tokens"], 1_200, "{conversation}");
    assert_eq!(conversation["usage"]["output_tokens"], 50, "{conversation}");
    desk.expect(0, &["doctor"]);
}

#[test]
fn ch7_every_fault_of_a_plan_goes_back_and_nothing_of_it_is_kept() {
    let cycle = plan(json!([
        { "id": "a", "tool": "fs.serch", "with": {}, "needs": ["b"] },
        { "id": "b", "tool": "fs.read", "with": { "path": "x" }, "needs": ["a"] },
        { "id": "c", "agent": "nobody", "prompt": "Go." },
        { "id": "d", "tool": "fs.read", "with": { "path": "{{ tasks.nope.output }}" } },
    ]));
    let strange = json!({ "stages": [], "steps": 1 });
    let desk =
        desk(&turns(json!([propose(cycle), propose(strange), propose(plan(json!([search()]))),])));
    expect(&desk, 0, &["find them", "--yes"], &[]);
    let turns = planned(&desk);
    let faults = error(&turns[0]);
    for (place, said) in [
        ("plan.stages[0].tasks[0].tool", "fs.serch"),
        ("plan.stages[0].tasks[0].tool", "did you mean `fs.search`"),
        ("plan.stages[0].tasks[2].agent", "nobody"),
        ("plan.stages[0].tasks[3].with.path", "nope"),
        ("needs", "a"),
    ] {
        let found = faults.lines().any(|line| line.contains(place) && line.contains(said));
        assert!(found, "{place} {said}: {faults}");
    }
    assert!(error(&turns[1]).contains("stages"), "{turns:?}");
    assert_eq!(workflows(&desk, "find-the-todos").len(), 1, "what was refused left nothing");
}

#[test]
fn ch3_what_is_known_is_not_asked_again_and_rounds_end() {
    let known = |key: &str| {
        format!("\"key\": \"{key}\",\n      \"question\": \"Which {key}?\",\n      \"you_decide\"")
    };
    let stated = call(
        "chat.propose_plan",
        json!({ "title": "Find them", "plan": plan(json!([search()])), "assumptions": ["All of src."] }),
    );
    let bare = propose(plan(json!([search()])));
    let desk = desk(&json!([
        { "agent": "planner", "when": { "contains": known("c") }, "turns": [ask("d"), bare, stated] },
        { "agent": "planner", "when": { "contains": known("b") }, "turns": [ask("a"), ask("c")] },
        { "agent": "planner", "when": { "contains": known("a") }, "turns": [ask("b")] },
        { "agent": "planner", "turns": [ask("a")] },
    ]));
    let done = expect(&desk, 0, &["find them"], &["?", "?", "?", "a"]);
    assert!(done.said.contains("assumed: All of src."), "{done:?}");
    let turns = planned(&desk);
    assert!(error(&turns[0]).contains("3 rounds"), "{turns:?}");
    assert!(error(&turns[1]).contains("assumptions: a, b, c was left to you"), "{turns:?}");
    assert_eq!(done.said.matches("? Which a?").count(), 1, "{done:?}");
    assert_eq!(plannings(&desk).len(), 4);
}

#[test]
fn questions_without_end_end_in_words_and_nothing_runs() {
    let asks: Vec<Value> = (0..40).map(|n| ask(&format!("key{n}"))).collect();
    let known = json!({ "agent": "planner", "when": { "contains": "\"rounds_of_questions_left\": 0" }, "turns": asks });
    let first = |n: usize| {
        json!({ "agent": "planner", "when": { "contains": format!("\"rounds_of_questions_left\": {n}") },
            "turns": [ask(&format!("first{n}"))] })
    };
    let desk = desk(&json!([known, first(3), first(2), first(1)]));
    let ended = expect(&desk, 1, &["find them"], &["x", "x", "x"]);
    assert!(ended.said.contains("I could not make a plan of it"), "{ended:?}");
    assert!(ended.said.contains("state your assumptions in the plan"), "{ended:?}");
    let turns = planned(&desk);
    assert_eq!(turns.len(), 16, "as many as `[planning] turns` says");
}

#[test]
fn plain_words_are_an_answer_and_a_broken_call_is_told() {
    let desk = desk(&turns(json!([
        { "calls": [{ "tool": "chat.answer", "arguments": "{\"text\": " }] },
        { "calls": [{ "tool": "chat.answer", "arguments": { "txt": "x" } }] },
        { "text": "It is Sunday." },
    ])));
    let done = expect(&desk, 0, &["what day is it?"], &[]);
    assert!(done.said.contains("It is Sunday."), "{done:?}");
    let turns = planned(&desk);
    assert!(error(&turns[0]).contains("arguments"), "{turns:?}");
    assert!(error(&turns[1]).contains("text"), "{turns:?}");
}

#[test]
fn a_plan_that_is_sent_back_is_planned_anew_with_what_was_said_of_it() {
    let second = call(
        "chat.propose_plan",
        json!({ "title": "Find them in docs", "plan": plan(json!([search()])) }),
    );
    let desk = desk(&json!([
        { "agent": "planner", "when": { "contains": "only in docs" }, "turns": [second] },
        { "agent": "planner", "turns": [propose(plan(json!([search()])))] },
    ]));
    let done = expect(&desk, 0, &["find them"], &["only in docs", "a"]);
    assert!(done.said.contains("plan · find-them-in-docs"), "{done:?}");
    let asked = prompt(&desk);
    assert!(asked.contains("\"plan_sent_back\""), "{asked}");
    assert!(
        asked.contains("\"comments\": \"only in docs\"") && asked.contains("fs.search"),
        "{asked}"
    );
    let id = plannings(&desk)[0]["id"].as_str().unwrap().to_owned();
    let whole = desk.expect(0, &["show", &format!("{id}/plan"), "--prompt", "1"]).out;
    assert!(whole.contains("only in docs"), "{whole}");
    assert_eq!(workflows(&desk, "find-the-todos")[0]["status"], "cancelled");
}

fn definition(desk: &Desk, task: &str) {
    desk.define("tally.yaml", &[task]);
}

#[test]
fn a_definition_that_reads_starts_at_once_and_one_that_writes_is_reviewed() {
    let start = call("chat.start_definition", json!({ "name": "tally", "inputs": {} }));
    let shift = call(
        "chat.shift_context",
        json!({ "kind": "definition", "id": "tally", "title": "The tally", "summary": "Counting." }),
    );
    let wrong = call("chat.start_definition", json!({ "name": "tallly" }));
    let desk = desk(&turns(json!([wrong, shift, start])));
    definition(&desk, "{ id: t, tool: fs.search, with: { path: src, pattern: TODO } }");
    let done = expect(&desk, 0, &["count"], &[]);
    assert!(done.said.contains("I start `tally`."), "{done:?}");
    assert!(done.said.contains("about The tally now"), "{done:?}");
    assert!(error(&planned(&desk)[0]).contains("tallly"));
    let conversation = crate::last(&expect(&desk, 0, &["--resume", "last", "--json"], &[]));
    assert_eq!(conversation["conversation"]["focus"]["id"], "tally");

    script(&desk, &turns(json!([call("chat.start_definition", json!({ "name": "tally" }))])));
    definition(
        &desk,
        "{ id: t, tool: shell.run, permission: read_write, with: { script: 'echo x > out' } }",
    );
    let waits = expect(&desk, 3, &["count"], &[]);
    assert!(waits.said.contains("which may change something"), "{waits:?}");
    assert_eq!(desk.read("out"), "");
}

#[test]
fn what_it_cannot_do_it_hands_to_a_person() {
    let desk =
        desk(&turns(json!([call("chat.escalate", json!({ "reason": "It takes a signature." }))])));
    let waits = expect(&desk, 3, &["sign it"], &[]);
    assert!(waits.said.contains("A person is needed: It takes a signature."), "{waits:?}");
}

#[test]
fn there_is_no_memory_yet_and_it_says_so_with_an_empty_list() {
    let desk = desk(&turns(json!([
        call("chat.search_memory", json!({ "query": "TODO" })),
        call("chat.answer", json!({ "text": "Nothing." })),
    ])));
    expect(&desk, 0, &["what do you remember?"], &[]);
    assert_eq!(planned(&desk)[0]["calls"][0]["output"], json!({ "memories": [] }));
}
