//! `cargo xtask bench`: `baton bench` as users would have it, in release, beside the stores it needs.
//!
//! It measures nothing itself and understands one option, `--store`, to know whether PostgreSQL is
//! needed.

use anyhow::Result;

use crate::postgres::Cluster;
use crate::workspace::{cargo, succeed};

/// Where `baton bench` finds a PostgreSQL in which it may make databases of its own.
const BENCH_URL: &str = "BATON_BENCH_POSTGRES";

/// Builds `baton` in release and runs its benchmarks with these arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    succeed(cargo()?.args(["build", "--release", "--package", "baton"]))?;
    let mut bench = cargo()?;
    bench.args(["run", "--quiet", "--release", "--package", "baton", "--"]);
    bench.arg("bench").args(arguments);
    if !needs_postgres(arguments) || std::env::var_os(BENCH_URL).is_some() {
        return succeed(&mut bench);
    }
    let cluster = Cluster::start()?;
    succeed(bench.env(BENCH_URL, &cluster.url))
}

/// Whether PostgreSQL is among the stores asked for; without the option both are.
fn needs_postgres(arguments: &[String]) -> bool {
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if word == "--store" {
            return words.next() != Some("sqlite");
        }
        if let Some(store) = word.strip_prefix("--store=") {
            return store != "sqlite";
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> bool {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        needs_postgres(&words)
    }

    #[test]
    fn postgres_is_started_unless_sqlite_alone_is_asked_for() {
        assert!(asked(""));
        assert!(asked("chain_c64 --json"));
        assert!(asked("--store postgres"));
        assert!(asked("--store=both chain_c1"));
        assert!(!asked("chain_c1 --store sqlite --json"));
        assert!(!asked("--store=sqlite"));
    }
}
