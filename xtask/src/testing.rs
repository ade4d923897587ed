//! `cargo xtask test`: starts what the tests need, runs all of them, and ends what it started.
//!
//! What cannot be had here is not a failure: the tests that need it skip themselves, and the
//! reason is said before the first test and again after the last.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::collector;
use crate::fuzz;
use crate::llama;
use crate::postgres::Cluster;
use crate::workspace::{cargo, succeed};

/// Where tests find a PostgreSQL in which they may make databases of their own.
const POSTGRES: &str = "BATON_TEST_POSTGRES";
/// Where tests find llama.cpp's server with the model `smollm2`: `http://127.0.0.1:PORT`.
const LLAMA: &str = "BATON_TEST_LLAMA";
/// Where tests find the program of a collector of OpenTelemetry.
const COLLECTOR: &str = "BATON_TEST_COLLECTOR";

/// Runs the tests of the workspace and fuzzes the API, or runs those tests whose names contain one of
/// the filters.
///
/// An address that is already in `BATON_TEST_POSTGRES` or `BATON_TEST_LLAMA` is used as it is.
pub fn run(filters: &[String]) -> Result<()> {
    tests(filters)?;
    if filters.is_empty() { fuzz::run() } else { Ok(()) }
}

fn tests(filters: &[String]) -> Result<()> {
    let mut command = cargo()?;
    command.args(["test", "--workspace", "--no-fail-fast", "--"]);
    command.args(filters);
    let mut skipped = Vec::new();
    let url = |cluster: &Cluster| cluster.url.clone();
    let _cluster = offer(("PostgreSQL", POSTGRES), Cluster::start, url, &mut command, &mut skipped);
    let url = |server: &llama::Server| server.url.clone();
    let _server =
        offer(("llama.cpp", LLAMA), llama::Server::start, url, &mut command, &mut skipped);
    let program = |program: &PathBuf| program.display().to_string();
    let _collector =
        offer(("collector", COLLECTOR), collector::program, program, &mut command, &mut skipped);
    let outcome = succeed(&mut command);
    skipped.iter().for_each(|notice| eprintln!("{notice}"));
    outcome
}

/// Starts a service, unless its variable names one, and tells the tests where it is; or notes why
/// those that need it are skipped.
fn offer<S>(
    (name, variable): (&str, &str),
    start: impl FnOnce() -> Result<S>,
    url: impl FnOnce(&S) -> String,
    command: &mut Command,
    skipped: &mut Vec<String>,
) -> Option<S> {
    if let Ok(url) = std::env::var(variable) {
        eprintln!("{name}: {url} (from {variable})");
        return None;
    }
    match start() {
        Ok(service) => {
            let url = url(&service);
            eprintln!("{name}: {url}");
            command.env(variable, url);
            Some(service)
        }
        Err(error) => {
            let notice = format!("tests with {name} are skipped: {error:#}");
            eprintln!("{notice}");
            skipped.push(notice);
            None
        }
    }
}
