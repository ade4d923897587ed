//! A collector of OpenTelemetry for tests: rotel, from PyPI.
//!
//! It is only fetched here; the tests start it themselves, each its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{output, root};

/// What receives traces and metrics in tests.
const ROTEL: &str = "rotel==0.0.1a15";

/// Where the collector's program is, fetched on first use.
pub fn program() -> Result<PathBuf> {
    let python = root()?.join("target/collector/python");
    if let Some(program) = find(&python) {
        return Ok(program);
    }
    output(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
    output(Command::new(python.join("bin/pip")).args(["install", "--quiet", ROTEL]))?;
    find(&python).context("rotel was installed, and its program is not there")
}

/// The program lies in the package, below the name of Python's version.
fn find(python: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(python.join("lib")).ok()?;
    let programs = versions
        .filter_map(|version| Some(version.ok()?.path().join("site-packages/rotel/rotel-agent")));
    programs.into_iter().find(|program| program.is_file())
}
