//! `cargo xtask test`: starts what the tests need, runs all of them, and ends what it started.
//!
//! What cannot be had here is not a failure: the tests that need it skip themselves, and the
//! reason is said before the first test and again after the last.

use anyhow::Result;

use crate::collector;
use crate::fuzz;
use crate::postgres::Cluster;
use crate::workspace::{cargo, succeed};

/// Where tests find a PostgreSQL in which they may make databases of their own.
const TEST_URL: &str = "BATON_TEST_POSTGRES";
/// Where tests find the program of a collector of OpenTelemetry.
const TEST_COLLECTOR: &str = "BATON_TEST_COLLECTOR";

/// Runs the tests of the workspace and fuzzes the API, or runs those tests whose names contain one of
/// the filters.
///
/// An address that is already in `BATON_TEST_POSTGRES` is used as it is.
pub fn run(filters: &[String]) -> Result<()> {
    tests(filters)?;
    if filters.is_empty() { fuzz::run() } else { Ok(()) }
}

fn tests(filters: &[String]) -> Result<()> {
    let mut command = cargo()?;
    command.args(["test", "--workspace", "--no-fail-fast", "--"]);
    command.args(filters);
    let mut notices = Vec::new();
    match collector::program() {
        Ok(program) => drop(command.env(TEST_COLLECTOR, program)),
        Err(error) => notices.push(format!("tests with a collector are skipped: {error:#}")),
    }
    // Held until the tests have ended.
    let mut cluster = None;
    if let Ok(url) = std::env::var(TEST_URL) {
        eprintln!("PostgreSQL: {url} (from {TEST_URL})");
    } else {
        match Cluster::start() {
            Ok(started) => {
                eprintln!("PostgreSQL: {} (thrown away afterwards)", started.url);
                command.env(TEST_URL, &started.url);
                cluster = Some(started);
            }
            Err(error) => notices.push(format!("PostgreSQL tests are skipped: {error:#}")),
        }
    }
    notices.iter().for_each(|notice| eprintln!("{notice}"));
    let outcome = succeed(&mut command);
    notices.iter().for_each(|notice| eprintln!("{notice}"));
    drop(cluster);
    outcome
}
