//! `cargo xtask sim`: the simulator in release, for as long as one likes.
//!
//! Its options are the simulator's own.

use anyhow::Result;

use crate::workspace::{cargo, succeed};

/// Runs `baton-sim` with these arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut command = cargo()?;
    command.args(["run", "--release", "--package", "baton-sim"]);
    command.args(["--bin", "baton-sim", "--"]);
    succeed(command.args(arguments))
}
