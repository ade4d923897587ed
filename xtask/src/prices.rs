//! `cargo xtask prices`: writes the table of models' prices anew, from the package genai-prices.
//!
//! The table is dated and committed; nothing checks it, as prices change without us.

use std::path::Path;

use anyhow::{Context, Result};

use crate::python::Environment;
use crate::workspace::{output, root};

/// Prices as providers list them, gathered by Pydantic; MIT.
const SOURCE: &str = "genai-prices==0.2.3";
/// The crate that holds the table.
const CRATE: &str = "crates/baton-models";

/// Installs the package and writes the table and the licence of its source.
pub fn run() -> Result<()> {
    let root = root()?;
    let environment = Environment::with("prices", &[SOURCE])?;
    let table = output(environment.python().arg(root.join("xtask").join("prices.py")))?;
    write(&root.join(CRATE).join("src").join("prices.json"), &table)?;
    let mut licence = environment.python();
    licence.args(["-c", LICENCE]);
    write(&root.join(CRATE).join("LICENSE-genai-prices"), &output(&mut licence)?)?;
    println!("{CRATE}/src/prices.json: {} lines from {SOURCE}", table.lines().count());
    Ok(())
}

/// Prints the licence that a package brings.
const LICENCE: &str = "
import importlib.metadata as metadata
files = metadata.files('genai-prices')
print(next(f for f in files if f.name == 'LICENSE').read_text(), end='')
";

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
