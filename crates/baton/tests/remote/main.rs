//! The command line at a server: `--server URL` and a real `baton serve`, and others in its place.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

#[path = "../common/mod.rs"]
mod common;
mod going_away;
mod hostile;
#[path = "../common/proxy.rs"]
mod proxy;
mod same;
mod trust;

use std::net::{Ipv4Addr, TcpListener};

use common::{Called, Desk, Running};
use serde_json::Value;

/// A server in a folder of its own.
pub(crate) struct Home {
    pub(crate) desk: Desk,
    pub(crate) url: String,
    running: Running,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::of(Desk::new(), "127.0.0.1:0")
    }

    pub(crate) fn of(desk: Desk, listen: &str) -> Self {
        let mut running = desk.start(&["serve", "--listen", listen, "--json"]);
        let url = running.line()["url"].as_str().unwrap().to_owned();
        Self { desk, url, running }
    }

    /// `kill -9`.
    pub(crate) fn kill(self) -> Desk {
        self.running.kill();
        self.desk
    }
}

/// A folder without a store, from which a server is called.
pub(crate) struct Away {
    pub(crate) desk: Desk,
    pub(crate) url: String,
}

impl Away {
    pub(crate) fn from(url: &str) -> Self {
        Self { desk: Desk::new(), url: url.to_owned() }
    }

    pub(crate) fn call(&self, arguments: &[&str]) -> Called {
        let mut all = vec!["--server", &self.url];
        all.extend(arguments);
        let called = self.desk.call(&all);
        assert!(!self.desk.path(".baton").exists(), "no store is made here");
        called
    }

    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Called {
        let called = self.call(arguments);
        assert_eq!(called.code, Some(code), "{arguments:?}: {called:?}");
        called
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut all = vec!["--server", &self.url];
        all.extend(arguments);
        self.desk.start(&all)
    }

    /// The same with a token.
    pub(crate) fn expect_with(&self, token: &str, code: i32, arguments: &[&str]) -> Called {
        let mut command = self.desk.command(arguments);
        command.env("BATON_SERVER", &self.url).env("BATON_TOKEN", token);
        let called = Called::of(command.output().unwrap());
        assert_eq!(called.code, Some(code), "{arguments:?}: {called:?}");
        assert!(!called.said.contains(token) && !called.out.contains(token), "{called:?}");
        called
    }

    /// The id of the newest workflow.
    pub(crate) fn newest(&self) -> String {
        let listed = self.expect(0, &["list", "--json"]).json();
        listed[0]["id"].as_str().unwrap().to_owned()
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The positions of the events among JSON lines.
pub(crate) fn positions(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["position"].as_u64()).collect()
}

/// The positions of the journal's events among those that are shown, without what they tell of calls.
pub(crate) fn shown_positions(shown: &Value) -> Vec<u64> {
    let events = shown["events"].as_array().unwrap().iter();
    let own = events.filter(|event| !event["type"].as_str().unwrap().starts_with("tool."));
    own.map(|event| event["id"].as_str().unwrap().parse().unwrap()).collect()
}
