//! The bounds of an agent's loop: answers that do not fit, the same again, cancelling, transcripts that
//! outgrow their window.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{MODEL, call, desk, events, sum, turns};

const CONFIG: &str = "
[agents.thinker]
tools = ['core.noop', 'fs.read']
output_tokens = 100
asks = 2
";
const TASK: &str = "agent: thinker, output: { type: object, required: [n] }";

#[test]
fn an_answer_that_does_not_fit_is_asked_again_with_the_reason_and_then_fails_with_its_text_kept() {
    let script = "
answers:
  - turns:
      - { text: Certainly! }
      - { output: { m: 1 } }
      - { text: 'I cannot, sorry.' }
";
    let desk = desk(CONFIG, TASK, script);
    let failed = call(&desk, 1, &["run", "work.yaml"]);
    assert!(failed.said.contains("it is no JSON"), "{failed:?}");
    let turns = turns(&desk);
    assert_eq!(turns.len(), 3, "two are asked again");
    let asked = |at: usize| turns[at]["asked"][0]["text"].as_str().unwrap().to_owned();
    assert!(asked(1).contains("it is no JSON"), "{}", asked(1));
    assert!(asked(2).contains("\"n\" is a required property"), "{}", asked(2));
    assert_eq!(turns[2]["said"][0]["text"], "I cannot, sorry.");
    assert_eq!(turns[2]["failure"]["kind"], "invalid_output");
    assert!(desk.expect(0, &["show", "last/a"]).out.contains("says    I cannot, sorry."));
}

#[test]
fn the_same_call_with_the_same_result_is_stopped_and_said() {
    let turns: String =
        "      - calls: [ { tool: core.noop, arguments: { value: 1 } } ]\n".repeat(9);
    let desk = desk(CONFIG, TASK, &format!("answers:\n  - turns:\n{turns}"));
    let failed = call(&desk, 1, &["run", "work.yaml"]);
    let said =
        "the agent asks for the same call of `core.noop` again, which brought the same 3 times";
    assert!(failed.said.contains(said), "{failed:?}");
    assert_eq!((sum(&desk)["turns"].clone(), sum(&desk)["calls"].clone()), (json!(4), json!(3)));
}

#[test]
fn an_agent_ends_at_its_turns_and_its_calls() {
    let turn =
        |n: u32| format!("      - calls: [ {{ tool: core.noop, arguments: {{ value: {n} }} }} ]\n");
    let script: String = (0..9).map(turn).collect();
    for (limit, said) in [("turns: 3", "at most 3 turns"), ("calls: 2", "at most 2 calls")] {
        let desk =
            desk(CONFIG, &format!("{TASK}, {limit}"), &format!("answers:\n  - turns:\n{script}"));
        let failed = call(&desk, 1, &["run", "work.yaml"]);
        assert!(failed.said.contains(said), "{failed:?}");
    }
}

#[test]
fn ch9_cancelling_stops_a_call_of_a_model_at_once_and_books_what_may_have_been_billed() {
    let script = "answers: [ { turns: [ { text: at last, delay: 1h } ] } ]";
    let desk = desk(CONFIG, "agent: thinker", script);
    let mut run = desk.start(&[&["run", "work.yaml", "--json"], &MODEL[..]].concat());
    run.until("task.started", Some("a"));
    let told = Instant::now();
    desk.expect(0, &["cancel", "last"]);
    let (code, _) = run.end();
    assert!(told.elapsed() < Duration::from_secs(1), "it took {:?}", told.elapsed());
    assert_eq!(code, Some(1));
    assert_eq!(desk.shown()["workflow"]["status"], "cancelled");
    assert_eq!(sum(&desk)["possibly_billed"], 1);
    assert_eq!(turns(&desk)[0]["possibly_billed"], true);
}

#[test]
fn or8_a_compaction_is_an_event_and_all_that_was_said_stays_readable() {
    let script = "
window_tokens: 2000
answers:
  - turns:
      - { calls: [ { tool: fs.read, arguments: { path: one.txt } } ], usage: { input_tokens: 300, output_tokens: 20 } }
      - { calls: [ { tool: fs.read, arguments: { path: two.txt } } ], usage: { input_tokens: 1700, output_tokens: 20 } }
      - { output: { n: 1 }, usage: { input_tokens: 1300, output_tokens: 20 } }
";
    let desk = desk(CONFIG, TASK, script);
    desk.write("one.txt", &"first ".repeat(700));
    desk.write("two.txt", &"second ".repeat(250));
    call(&desk, 0, &["run", "work.yaml"]);
    let compacted = events(&desk, "task.transcript_compacted");
    assert_eq!(compacted.len(), 1, "{compacted:?}");
    assert_eq!(compacted[0]["data"]["left_out"], 1);
    let turns = turns(&desk);
    let first = turns[0]["calls"][0]["output"].to_string();
    assert!(first.contains("first first"), "what was left out is still told: {first}");
    let prompt = |call: &str| {
        let shown = desk.expect(0, &["show", "last/a", "--prompt", call]);
        assert!(shown.said.contains("its digest is the one that was journaled"), "{shown:?}");
        shown.out
    };
    assert!(prompt("2").contains("first first"));
    assert!(!prompt("3").contains("first first"), "the third request is shorter");
    assert!(prompt("3").contains("second second"));
}

#[test]
fn or8_turns_that_are_left_out_do_not_begin_anew() {
    let script = "
window_tokens: 2000
answers:
  - turns:
      - { calls: [ { tool: fs.read, arguments: { path: one.txt } } ], usage: { input_tokens: 300, output_tokens: 20 } }
      - { calls: [ { tool: fs.read, arguments: { path: two.txt } } ], usage: { input_tokens: 1200, output_tokens: 20 } }
      - { output: { n: 1 }, usage: { input_tokens: 1300, output_tokens: 20 } }
";
    let desk = desk(CONFIG, TASK, script);
    desk.write("one.txt", &"first ".repeat(450));
    desk.write("two.txt", &"second ".repeat(450));
    call(&desk, 0, &["run", "work.yaml"]);
    let compacted = events(&desk, "task.transcript_compacted");
    assert_eq!(compacted[0]["data"]["dropped"], 1, "{compacted:?}");
    let turns = turns(&desk);
    assert_eq!(turns.len(), 3, "each turn was asked once");
    assert!(turns[0]["calls"][0]["output"].to_string().contains("first first"));
}
