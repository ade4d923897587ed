//! Where the runs of a trial take place: the caller's folder, or a fresh copy of it each time.
//!
//! A copy is made once, leaving out what `.gitignore` names; each run gets links to its files. The
//! built-in tools that write replace a file and never change it in place, so the links stay apart.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ignore::WalkBuilder;

use crate::exit::Failed;

/// Bytes of a folder that is copied.
pub const COPY_BYTES_MAX: u64 = 256 << 20;
/// Files of a folder that is copied; each run links them all.
pub const COPY_FILES_MAX: u64 = 20_000;

/// Where runs take place.
#[derive(Clone, Debug)]
pub enum Ground {
    /// In this very folder.
    Here(PathBuf),
    /// In copies of this one.
    Copies(PathBuf),
}

impl Ground {
    /// Copies `folder` to `pristine`, from which every run gets its own.
    pub fn copied(folder: &Path, scratch: &Path) -> anyhow::Result<Self> {
        let pristine = scratch.join("pristine");
        let mut copying = Copying { files: 0, bytes: 0, from: folder };
        copying.tree(scratch, &pristine)?;
        Ok(Self::Copies(pristine))
    }

    /// The folder of one run; `own` is where its copy goes.
    pub fn prepare(&self, own: &Path) -> anyhow::Result<PathBuf> {
        match self {
            Self::Here(folder) => Ok(folder.clone()),
            Self::Copies(pristine) => {
                let cannot = || format!("{} cannot be filled", own.display());
                link_tree(pristine, own).with_context(cannot)?;
                Ok(own.to_owned())
            }
        }
    }

    /// The only folder tools may touch, where there is one.
    pub fn root(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            Self::Here(_) => None,
            Self::Copies(_) => Some(folder.to_owned()),
        }
    }
}

struct Copying<'a> {
    files: u64,
    bytes: u64,
    from: &'a Path,
}

impl Copying<'_> {
    fn tree(&mut self, scratch: &Path, to: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
        let scratch = scratch.to_owned();
        let walk = WalkBuilder::new(self.from)
            .hidden(false)
            .require_git(false)
            .git_global(false)
            .ignore(false)
            .filter_entry(move |entry| entry.path() != scratch)
            .build();
        for entry in walk {
            let entry = entry.with_context(|| format!("copying {}", self.from.display()))?;
            let Ok(path) = entry.path().strip_prefix(self.from) else {
                continue;
            };
            if let Some(kind) = entry.file_type()
                && !path.as_os_str().is_empty()
            {
                self.one(entry.path(), &to.join(path), kind)
                    .with_context(|| format!("copying {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    fn one(&mut self, from: &Path, to: &Path, kind: std::fs::FileType) -> anyhow::Result<()> {
        if kind.is_dir() {
            std::fs::create_dir_all(to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
        } else if kind.is_file() {
            self.files += 1;
            self.bytes += from.metadata()?.len();
            self.check()?;
            std::fs::copy(from, to)?;
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.files > COPY_FILES_MAX || self.bytes > COPY_BYTES_MAX {
            bail!(Failed::usage(format!(
                "{} is too large to be copied for every run (more than {COPY_FILES_MAX} files or {} MiB); \
                 call chaos in a smaller folder, or with --real-effects to run right there",
                self.from.display(),
                COPY_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }
}

fn link_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, kind) = (to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            link_tree(&entry.path(), &path)?;
        } else {
            // A link to a symbolic link is that link again.
            std::fs::hard_link(entry.path(), &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_honours_gitignore_and_keeps_runs_apart() {
        let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("sub")).unwrap();
        std::fs::create_dir_all(at("target")).unwrap();
        std::fs::write(at(".gitignore"), "target/\n").unwrap();
        std::fs::write(at("sub/kept"), "kept").unwrap();
        std::fs::write(at("target/large"), "large").unwrap();
        let ground = Ground::copied(folder.path(), scratch.path()).unwrap();
        let first = ground.prepare(&scratch.path().join("1")).unwrap();
        let second = ground.prepare(&scratch.path().join("2")).unwrap();
        assert!(!first.join("target").exists());
        std::fs::write(first.join("new"), "new").unwrap();
        std::fs::write(first.join("next"), "changed").unwrap();
        std::fs::rename(first.join("next"), first.join("sub/kept")).unwrap();
        assert_eq!(std::fs::read_to_string(second.join("sub/kept")).unwrap(), "kept");
        assert!(!second.join("new").exists());
    }
}
