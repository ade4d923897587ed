//! Planning that is cut off or stopped: nothing that was paid is paid again, and what was stopped ends.

use serde_json::json;

use crate::{
    MODEL, call, desk, expect, plan, planned, plannings, propose, script, search, turns, workflows,
};

fn slow(pause: &str) -> serde_json::Value {
    let mut proposal = propose(plan(json!([search()])));
    proposal["delay"] = json!(pause);
    turns(json!([call("chat.list_capabilities", json!({})), proposal]))
}

/// A chat that has come to the second turn of its planner, which takes an hour.
fn in_second_turn() -> (crate::common::Desk, crate::common::Running) {
    let desk = desk(&slow("1h"));
    let running = desk.start(&[&["chat", "find them", "--yes", "--json"], &MODEL[..]].concat());
    loop {
        let list = desk.call(&["list", "--json"]);
        let plans = list.code == Some(0) && !plannings(&desk).is_empty();
        if plans && planned(&desk).len() == 2 {
            return (desk, running);
        }
        // sleep: the chat tells of its conversation, and nothing of the turns of its planner.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn ch8_killed_while_it_plans_it_goes_on_and_pays_no_finished_turn_twice() {
    let (desk, running) = in_second_turn();
    running.kill();
    script(&desk, &slow("1ms"));
    let done = expect(&desk, 0, &["--resume", "last", "--yes"], &[]);
    assert!(done.said.contains("completed · 1 of 1 tasks"), "{done:?}");
    let turns = planned(&desk);
    let statuses: Vec<_> = turns.iter().map(|turn| turn["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["completed", "lost", "completed"]);
    assert_eq!((plannings(&desk).len(), workflows(&desk, "find-the-todos").len()), (1, 1));
    desk.expect(0, &["doctor"]);
}

#[test]
fn stop_means_stop_in_the_middle_of_a_call_of_the_model() {
    let (desk, mut running) = in_second_turn();
    let typed = crate::chat(&desk, &["--resume", "last", "/stop"], &[]);
    assert!(typed.said.contains("Stopped."), "{typed:?}");
    assert_eq!(plannings(&desk)[0]["status"], "cancelled");
    assert!(workflows(&desk, "find-the-todos").is_empty());
    running.signal(rustix::process::Signal::TERM);
    drop(running.line());
}
