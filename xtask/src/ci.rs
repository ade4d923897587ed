//! `cargo xtask ci`: exactly what continuous integration runs.
//!
//! Every step runs, also after one that failed, so that one run shows all there is to mend.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::workspace::{cargo, succeed};
use crate::{generate, licences, testing, tidy};

/// A name and what it does.
type Step = (&'static str, fn() -> Result<()>);

/// What takes seconds comes first.
const STEPS: &[Step] = &[
    ("format", format),
    ("tidy", tidy::run),
    ("licences", licences::run),
    ("clippy", clippy),
    ("generated files", || generate::run(generate::Mode::Check)),
    ("tests", || testing::run(&[])),
];

/// Runs every step; an error names those that failed.
pub fn run() -> Result<()> {
    let failed = run_steps(STEPS);
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("ci: all {} steps passed", STEPS.len());
    Ok(())
}

/// Runs the steps, tells each with its duration, and gives back the names of those that failed.
fn run_steps(steps: &[Step]) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, step) in steps {
        println!("=== {name}");
        let started = Instant::now();
        let outcome = step();
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("=== {name}: passed in {seconds:.1} s"),
            Err(error) => {
                println!("=== {name}: FAILED in {seconds:.1} s: {error:#}");
                failed.push(*name);
            }
        }
    }
    failed
}

fn format() -> Result<()> {
    succeed(cargo()?.args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    succeed(cargo()?.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_named_and_does_not_hide_the_next() {
        let steps: &[Step] =
            &[("one", || bail!("broken")), ("two", || Ok(())), ("three", || bail!("broken too"))];
        assert_eq!(run_steps(steps), ["one", "three"]);
    }
}
