//! What tools need of this machine: git, and the folders they may touch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Report;

pub(super) fn look(roots: &[PathBuf], report: &mut Report) {
    let mut version = Command::new("git");
    version.arg("--version").stdin(Stdio::null());
    match version.output() {
        Ok(said) if said.status.success() => {
            let said = String::from_utf8_lossy(&said.stdout);
            report.ok(crate::text::clean(said.trim()), "git");
        }
        Ok(_) | Err(_) => report.note(
            "`git` cannot be run: the tools `git.log`, `git.diff` and `git.status` will fail",
            "git",
            "install git, or put it on the PATH",
        ),
    }
    let here = [PathBuf::from(".")];
    let roots = if roots.is_empty() { &here[..] } else { roots };
    roots.iter().for_each(|root| look_at_root(root, report));
}

fn look_at_root(root: &Path, report: &mut Report) {
    let place = root.display();
    match std::fs::read_dir(root) {
        Ok(_) => report.ok("tools may read and write beneath it", place),
        Err(e) => report.problem(
            format!("a folder that tools may touch cannot be read: {e}"),
            place,
            "name another one as `roots` of `[tools]` in baton.toml, or give this user the right",
        ),
    }
}
