//! The guard of a child that is talked to: it hands everything over, and ends the child with its line.
#![allow(clippy::unwrap_used, reason = "clippy knows tests, not what they share")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use baton_adapters::{GUARD_WORD, RELAY_WORD};

fn guarded(program: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_baton-test-guard"))
        .args([GUARD_WORD, RELAY_WORD])
        .args(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ends(child: &mut Child) -> Duration {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the guard lives on");
        // sleep: a process that is not waited for gives no signal.
        std::thread::sleep(Duration::from_millis(10));
    }
    begun.elapsed()
}

#[test]
fn a_child_is_talked_to_line_by_line_and_ends_with_its_input() {
    let mut child = guarded(&["cat"]);
    let mut line = child.stdin.take().unwrap();
    let mut heard = BufReader::new(child.stdout.take().unwrap());
    for said in ["one\n", "two\n"] {
        line.write_all(said.as_bytes()).unwrap();
        let mut back = String::new();
        heard.read_line(&mut back).unwrap();
        assert_eq!(back, said);
    }
    drop(line);
    assert!(ends(&mut child) < Duration::from_secs(2), "it had no reason to be killed");
}

#[test]
fn a_child_that_reads_nothing_and_does_not_end_is_killed_when_its_line_closes() {
    let mut child = guarded(&["sleep", "1000"]);
    let mut line = child.stdin.take().unwrap();
    // The child takes none of it.
    line.write_all(&[b'x'; 32_000]).unwrap();
    drop(line);
    ends(&mut child);
}
