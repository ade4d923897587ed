//! Where the workspace is, and how its cargo is called.
//!
//! It decides nothing about what is run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The root of the workspace.
///
/// Cargo says at run time where this package is; asked at compile time, a moved checkout would go
/// on working on the old place.
pub fn root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("CARGO_MANIFEST_DIR is not set: call this as `cargo xtask`")?;
    let package = PathBuf::from(package);
    let root = package.parent().context("the package xtask has no parent folder")?;
    Ok(root.to_path_buf())
}

/// The cargo that started us, in the root of the workspace.
pub fn cargo() -> Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()?);
    Ok(command)
}

/// Runs a command with our own output and waits for it; an error when it does not end well.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and gives back what it wrote; an error, with its own words, when it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}: {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote what is not UTF-8", shown(command)))
}

/// What `cargo metadata` says, with further arguments.
pub fn metadata(arguments: &[&str]) -> Result<Value> {
    let text = output(cargo()?.args(["metadata", "--format-version", "1"]).args(arguments))?;
    serde_json::from_str(&text).context("cannot read the output of cargo metadata")
}

fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut words = vec![name.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
