//! Packages from PyPI, each set of them in an environment of its own below the target folder.
//!
//! It knows nothing of what they are for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace::{metadata, output};

/// The file in an environment that says what was installed into it, written last.
const STAMP: &str = "installed";

/// An environment with its packages.
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The environment of this name with exactly these packages (`name==version`), made where it is
    /// not there yet.
    pub fn with(name: &str, packages: &[&str]) -> Result<Self> {
        let environment = Self { folder: folder(name)? };
        let wanted = packages.join("\n");
        let stamp = environment.folder.join(STAMP);
        if std::fs::read_to_string(&stamp).is_ok_and(|has| has == wanted) {
            return Ok(environment);
        }
        eprintln!("pip install {}", packages.join(" "));
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&environment.folder).stdin(Stdio::null());
        output(&mut make).context("cannot make an environment for Python's packages")?;
        let mut install = environment.pip("install");
        output(install.args(packages)).context("cannot install from PyPI")?;
        std::fs::write(&stamp, wanted)?;
        Ok(environment)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its interpreter.
    pub fn python(&self) -> Command {
        Command::new(self.folder.join("bin").join("python"))
    }

    /// Its installer, to be given what to do with.
    pub fn pip(&self, word: &str) -> Command {
        let mut pip = self.python();
        pip.args(["-m", "pip", word, "--quiet", "--disable-pip-version-check"]);
        pip.stdin(Stdio::null());
        pip
    }
}

/// Where the environment of this name is, or would be.
pub fn folder(name: &str) -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let target = metadata.get("target_directory").and_then(Value::as_str);
    let target = target.context("cargo metadata names no target_directory")?;
    Ok(Path::new(target).join("xtask").join(name))
}
