//! `cargo xtask`: the project's own chores, one command each.
//!
//! It drives cargo, PostgreSQL and Python's packages as child processes and links to no crate of Baton, so that it
//! works, and says what is wrong, also while those do not compile.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to its user")]

mod bench;
mod ci;
mod collector;
mod fuzz;
mod generate;
mod licences;
mod llama;
mod postgres;
mod prices;
mod python;
mod sim;
mod spdx;
mod testing;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
cargo xtask COMMAND

  ci                   all that must hold before a merge, each step named and timed
  test [FILTER…]       all tests, with a PostgreSQL, a small model and a collector where they can be had
  fuzz                 the API against its OpenAPI document, with schemathesis
  tidy                 the rules of layout and taste
  licences             every dependency's licence against the list of those allowed
  generate [--check]   writes the generated files, or says which are out of date
  postgres             a throw-away PostgreSQL until Enter, end of input or Ctrl-C
  llama                a small language model on llama.cpp's server, until the same
  prices               writes the table of models' prices anew
  bench [NAME] [--json] [--store sqlite|postgres|both]
                       `baton bench` in release
  sim [--minutes N] [--seeds N] [--seed N]
                       the simulator in release
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        return usage("which command?");
    };
    match dispatch(command, rest) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
        None => usage(&format!("cannot do `{}`", arguments.join(" "))),
    }
}

/// Runs a command; nothing when there is no such command or it does not take these arguments.
fn dispatch(command: &str, rest: &[String]) -> Option<Result<()>> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command, words.as_slice()) {
        ("ci", []) => Some(ci::run()),
        ("test", _) => Some(testing::run(rest)),
        ("fuzz", []) => Some(fuzz::run()),
        ("tidy", []) => Some(tidy::run()),
        ("licences", []) => Some(licences::run()),
        ("generate", []) => Some(generate::run(generate::Mode::Write)),
        ("generate", ["--check"]) => Some(generate::run(generate::Mode::Check)),
        ("postgres", []) => Some(postgres::serve()),
        ("llama", []) => Some(llama::serve()),
        ("prices", []) => Some(prices::run()),
        ("bench", _) => Some(bench::run(rest)),
        ("sim", _) => Some(sim::run(rest)),
        _ => None,
    }
}

fn usage(fault: &str) -> ExitCode {
    eprintln!("xtask: {fault}\n\n{USAGE}");
    ExitCode::from(2)
}
