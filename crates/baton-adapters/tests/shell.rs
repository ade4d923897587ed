//! `shell.run` and the guard: output, time, cancel, and a Baton that is killed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use baton_adapters::disabled;
use baton_core::words::{FailureKind, Happened};
use baton_engine::ports::{Control, Tools as _};
use common::{GUARD, Workshop};
use serde_json::{Value, json};

/// Waits until a condition holds that another process brings about.
fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

/// Whether a process runs (a zombie does not).
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().chars().next());
    state.flatten().is_some_and(|state| state != 'Z')
}

fn pids(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("pids")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Notes its own number, a grandchild's, and that of one in a session of its own, then stays.
const FAMILY: &str = "echo $$ >> pids; (sleep 300 & echo $! >> pids; wait) & \
     setsid sh -c 'echo $$ >> pids; trap \"\" TERM; sleep 300 & wait; sleep 300' & \
     while :; do sleep 300; done";

#[test]
fn it_is_off_by_default_and_says_which_setting_enables_it() {
    let shop = Workshop::new();
    assert!(shop.tools.specs().iter().all(|spec| spec.name != "shell.run"));
    let failure = shop.err("shell.run", json!({ "script": "true" }));
    assert_eq!(failure.kind, FailureKind::Denied);
    assert_eq!(disabled("shell.run"), Some(failure.message.as_str()));
    assert_eq!(disabled("fs.read"), None);
}

#[test]
fn a_command_gets_its_arguments_input_folder_and_little_else() {
    let shop = Workshop::with_shell();
    std::fs::create_dir(shop.root().join("sub")).unwrap();
    let output = shop.ok(
        "shell.run",
        json!({
            "script": "cat; pwd; echo $1 $A; env | cut -d= -f1 | sort; echo oops >&2",
            "args": ["x y"], "cwd": "sub", "env": { "A": "b" }, "stdin": "in\n",
        }),
    );
    let stdout = output["stdout"].as_str().unwrap();
    assert!(stdout.starts_with("in\n"), "{stdout}");
    assert!(stdout.contains("/sub\nx y b\n"), "{stdout}");
    assert!(stdout.contains("BATON_IDEMPOTENCY_KEY\n") && !stdout.contains("CARGO"), "{stdout}");
    assert_eq!((&output["stderr"], &output["exit_code"]), (&json!("oops\n"), &json!(0)));
    let output = shop.ok("shell.run", json!({ "program": "printf", "args": ["%s|", "$A", "b c"] }));
    assert_eq!(output["stdout"], "$A|b c|");
}

#[test]
fn an_exit_code_is_a_failure_that_happened_unless_it_is_expected() {
    let shop = Workshop::with_shell();
    let failure = shop.err("shell.run", json!({ "script": "echo why >&2; exit 3" }));
    assert_eq!((failure.kind, failure.happened), (FailureKind::Refused, Happened::Yes));
    assert!(failure.message.contains("why") && failure.message.contains('3'), "{failure:?}");
    let output = shop.ok("shell.run", json!({ "script": "exit 3", "ok_codes": [0, 3] }));
    assert_eq!(output["exit_code"], 3);
    let failure = shop.err("shell.run", json!({ "script": "kill -9 $$" }));
    assert!(failure.message.contains("signal"), "{failure:?}");
    let failure = shop.err("shell.run", json!({ "program": "no-such-program" }));
    assert_eq!((failure.kind, failure.happened), (FailureKind::NotFound, Happened::No));
    for input in [json!({}), json!({ "program": "a", "script": "b" }), json!({ "program": "./x" })]
    {
        assert_eq!(shop.err("shell.run", input).kind, FailureKind::InvalidInput);
    }
    let failure = shop.err("shell.run", json!({ "script": "true", "cwd": ".." }));
    assert_eq!(failure.kind, FailureKind::Denied);
}

#[test]
fn a_flood_of_output_neither_blocks_nor_is_kept() {
    let shop = Workshop::with_shell();
    let output = shop.ok("shell.run", json!({
        "script": "head -c 5000000 /dev/zero | tr '\\0' e >&2; head -c 5000000 /dev/zero | tr '\\0' o",
        "max_bytes": 1000,
    }));
    assert_eq!(output["stdout"], "o".repeat(1000));
    assert_eq!(output["stderr"], "e".repeat(1000));
    assert_eq!(output["truncated"], true);
    // Input that nobody reads blocks nothing either.
    shop.ok("shell.run", json!({ "program": "true", "stdin": "x".repeat(1 << 20) }));
}

#[test]
fn what_a_command_leaves_behind_is_ended_with_it() {
    let shop = Workshop::with_shell();
    let started = Instant::now();
    let script = "setsid sleep 300 & echo $! > pids; sleep 300 & echo $! >> pids";
    shop.ok("shell.run", json!({ "script": script }));
    let pids = pids(&shop.root());
    assert_eq!(pids.len(), 2);
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn time_out_and_cancel_end_the_whole_family_politely_first() {
    let shop = Workshop::with_shell();
    let polite = json!({ "script": "trap 'echo bye > bye; exit 0' TERM; sleep 300 & wait" });
    let control = Control::new(Duration::from_millis(400));
    let failure = shop.call_within("shell.run", polite, &control).unwrap_err();
    assert_eq!((failure.kind, failure.happened), (FailureKind::TimedOut, Happened::Unknown));
    assert_eq!(std::fs::read_to_string(shop.root().join("bye")).unwrap(), "bye\n");

    let stubborn = json!({ "script": "trap '' TERM; echo $$ > pids; while :; do sleep 300; done" });
    let control = Control::new(Duration::from_millis(400));
    let failure = shop.call_within("shell.run", stubborn, &control).unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(!pids(&shop.root()).iter().any(|pid| runs(pid)));
    std::fs::remove_file(shop.root().join("pids")).unwrap();

    let control = Control::new(Duration::from_secs(60));
    let failure = std::thread::scope(|scope| {
        let input = json!({ "script": FAMILY });
        let call = scope.spawn(|| shop.call_within("shell.run", input, &control));
        until("the family has not started", || pids(&shop.root()).len() == 3);
        control.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!((failure.kind, failure.retryable), (FailureKind::Cancelled, false));
    assert!(!pids(&shop.root()).iter().any(|pid| runs(pid)));
}

#[test]
fn a_killed_baton_takes_its_children_and_theirs_with_it() {
    let shop = Workshop::with_shell();
    let input: Value = json!({ "script": FAMILY });
    let mut baton = Command::new(GUARD)
        .args(["call", shop.root().to_str().unwrap(), "shell.run", &input.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("the family has not started", || pids(&shop.root()).len() == 3);
    let family = pids(&shop.root());
    assert!(family.iter().all(|pid| runs(pid)), "{family:?}");
    // Child::kill sends SIGKILL.
    baton.kill().unwrap();
    baton.wait().unwrap();
    until("someone survived", || !family.iter().any(|pid| runs(pid)));
}
