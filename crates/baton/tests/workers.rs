//! External workers: the shipped one, in Python, with the real binary; both are killed in the middle.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Desk, Running};
use serde_json::Value;

/// The SHA-256 of nothing but `content\n`.
const SUM: &str = "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/worker").join(name)
}

/// A server at an address that stays the same over its restarts.
struct Site {
    desk: Desk,
    address: String,
}

impl Site {
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { desk: Desk::new(), address: free.to_string() }
    }

    fn serve(&self) -> Running {
        let mut server = self.desk.start(&["serve", "--listen", &self.address]);
        server.hear("Ctrl-C");
        server
    }

    fn worker(&self) -> Worker {
        let mut command = Command::new("python3");
        command.arg(example("worker.py")).current_dir(self.desk.path("."));
        command.env("BATON_URL", format!("http://{}", self.address)).env("LEASE_SECONDS", "3");
        Worker(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Waits until a task of the newest workflow has started, by its events.
    fn until_started(&self, task: &str) {
        let mut watch = self.desk.start(&["watch", "last", "--json"]);
        watch.until("task.started", Some(task));
        watch.kill();
    }

    /// A named pipe: whoever reads it is held up until it is opened for writing.
    fn pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.desk.path(name)).status().unwrap().success());
    }

    /// Lets the one who reads the pipe go on.
    fn let_go(&self, name: &str) {
        File::create(self.desk.path(name)).unwrap().write_all(b"content\n").unwrap();
    }
}

/// It is killed as `kill -9` would, at the latest when the test is over.
struct Worker(Child);

impl Worker {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn count(events: &[Value], kind: &str, task: &str) -> usize {
    events.iter().filter(|event| event["type"] == kind && event["task"] == task).count()
}

#[test]
fn nothing_is_lost_and_nothing_completed_twice_when_server_and_worker_are_killed() {
    let site = Site::new();
    let files = ["a", "held", "c", "lost", "e"];
    for name in files {
        match name {
            "held" | "lost" => site.pipe(name),
            _ => site.desk.write(name, "content\n"),
        }
    }
    let task = "{ id: sum, each: [a, held, c, lost, e], concurrency: 1, worker: checksum, with: { path: '{{ item }}' } }";
    site.desk.define("sums.yaml", &[task]);
    let server = site.serve();
    let worker = site.worker();
    let mut run = site.desk.start(&["run", "sums.yaml", "--json"]);
    run.until("task.started", Some("sum[1]"));
    run.kill();
    server.kill();
    let server = site.serve();
    // The worker has held its lease all the while, and its answer counts.
    site.let_go("held");
    site.until_started("sum[3]");
    let mut metrics = ureq::get(format!("http://{}/metrics", site.address)).call().unwrap();
    assert!(metrics.body_mut().read_to_string().unwrap().contains("\nbaton_leases 1\n"));
    worker.kill();
    let _other = site.worker();
    // The lost lease is given again, to the one that now reads the pipe.
    site.let_go("lost");
    let (code, last) = site.desk.start(&["watch", "last", "--json"]).end();
    assert_eq!((code, &last["workflow"]["status"]), (Some(0), &"completed".into()));
    let shown = site.desk.shown();
    let events = shown["events"].as_array().unwrap();
    for (n, name) in files.iter().enumerate() {
        let (task, attempts) = (format!("sum[{n}]"), 1 + usize::from(*name == "lost"));
        assert_eq!(count(events, "task.completed", &task), 1, "{task}: {shown}");
        assert_eq!(count(events, "task.started", &task), attempts, "{task}: {shown}");
        let done = |event: &&Value| event["type"] == "task.completed" && event["task"] == task;
        let completed = events.iter().find(done).unwrap();
        assert_eq!(completed["data"]["output"]["value"]["inline"]["sha256"], SUM, "{completed}");
    }
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_run_without_a_server_leaves_work_for_workers_to_one() {
    let site = Site::new();
    site.desk.write("one.md", "content\n");
    let definition = example("checksums.yaml");
    let definition = definition.to_str().unwrap();
    let left = site.desk.expect(1, &["run", definition]);
    let is_told = left.said.contains("(checksum)") && left.said.contains("`baton serve`");
    assert!(is_told, "{}", left.said);
    let server = site.serve();
    let _worker = site.worker();
    let (code, last) = site.desk.start(&["watch", "last", "--json"]).end();
    assert_eq!((code, &last["workflow"]["output"]), (Some(0), &format!("{SUM}  one.md\n").into()));
    server.kill();
}

#[test]
fn a_run_that_waits_for_an_event_says_who_can_bring_it() {
    let site = Site::new();
    site.desk.define("waits.yaml", &["{ id: news, wait: { event: 'news.*' } }"]);
    let mut run = site.desk.start(&["run", "waits.yaml"]);
    assert!(run.hear("another `baton run`").contains("(news.*)"));
    site.desk.define("tells.yaml", &["{ id: tell, emit: { type: news.good } }"]);
    // The one that waits owns the store and leaves as soon as it has its event, perhaps before this one
    // has heard of its own end.
    site.desk.expect(0, &["run", "tells.yaml"]);
    assert_eq!(run.end().0, Some(0));
}

#[test]
fn the_example_computes_what_it_says() {
    let site = Site::new();
    let server = site.serve();
    let _worker = site.worker();
    site.desk.write("one.md", "content\n");
    site.desk.write("two.md", "content\n");
    let definition = example("checksums.yaml");
    let called = site.desk.expect(0, &["run", definition.to_str().unwrap()]);
    assert_eq!(called.out.trim(), format!("{SUM}  one.md\n{SUM}  two.md"), "{called:?}");
    server.kill();
}
