//! `baton-sim [--seed N] [--seeds N] [--minutes N]`: simulates seeds and says which one broke what.
//!
//! A failing seed ends the program with status 1 and the one line that replays it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks to its caller"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use baton_sim::{Survived, everywhere, run};

struct Asked {
    first: u64,
    seeds: u64,
    time: Option<Duration>,
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { first: 0, seeds: 1000, time: None };
    while let Some(name) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("{name} takes a number"))?;
        match name.as_str() {
            "--seed" => (asked.first, asked.seeds) = (number, 1),
            "--seeds" => asked.seeds = number,
            "--minutes" => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                asked.first = since.as_secs() * 1_000_000;
                asked.seeds = u64::MAX;
                asked.time = Some(Duration::from_secs(number * 60));
            }
            other => {
                return Err(format!("{other} is not known; there are --seed, --seeds, --minutes"));
            }
        }
    }
    Ok(asked)
}

/// Simulates one seed; a panic is a finding like another.
fn survive(seed: u64) -> Result<Survived, String> {
    match catch_unwind(AssertUnwindSafe(|| run(seed))) {
        Ok(Ok(survived)) => Ok(survived),
        Ok(Err(violation)) => Err(violation.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    }
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(said) => {
            eprintln!("{said}");
            return ExitCode::from(2);
        }
    };
    if asked.seeds > 1 {
        match everywhere() {
            Ok(cuts) => println!("cut everywhere: {cuts} cuts, all resumed alike"),
            Err(violation) => {
                println!("{violation}\ncut everywhere: cargo xtask sim --seeds 2");
                return ExitCode::FAILURE;
            }
        }
    }
    let begun = Instant::now();
    let mut all = Survived::default();
    let mut seeds = 0;
    while seeds < asked.seeds && asked.time.is_none_or(|time| begun.elapsed() < time) {
        let seed = asked.first + seeds;
        match survive(seed) {
            Ok(one) => {
                all.commits += one.commits;
                all.deaths += one.deaths;
                all.workflows += one.workflows;
                all.effects += one.effects;
            }
            Err(said) => {
                println!("{said}\nreplay it: cargo xtask sim --seed {seed}");
                return ExitCode::FAILURE;
            }
        }
        seeds += 1;
    }
    println!("{seeds} seeds: {all:?}");
    ExitCode::SUCCESS
}
