//! Confinement: every path of a call is opened beneath a declared root, or not at all.
//!
//! The kernel resolves (`openat2` with `RESOLVE_BENEATH`), so that neither `..` nor links lead out
//! and nothing can be swapped between a check and its use. What is done with an open file is not
//! this module's business.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::config::ToolsError;
use crate::tool::invalid;

/// How often a resolution is tried again when folders are renamed meanwhile.
const RACES_MAX: usize = 16;

/// What a regular file is opened with for reading; non-blocking, so that a FIFO cannot hang us.
pub(crate) const READING: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What a folder is opened with.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The declared roots, opened once.
pub(crate) struct Roots {
    roots: Vec<Root>,
}

struct Root {
    folder: OwnedFd,
    /// As declared, absolute.
    given: PathBuf,
    /// Without links.
    path: PathBuf,
}

/// A path of a call, under the root it belongs to. Nothing is known of what is there.
pub(crate) struct Place<'a> {
    root: &'a Root,
    beneath: PathBuf,
    /// Whether outputs name it relative to the root.
    first: bool,
}

impl Roots {
    /// Opens the roots; none means the current folder.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, ToolsError> {
        let here = std::env::current_dir().map_err(ToolsError::NoFolder)?;
        let declared = if paths.is_empty() { std::slice::from_ref(&here) } else { paths };
        let roots = declared.iter().map(|path| Root::open(&here.join(path)));
        roots.collect::<Result<_, _>>().map(|roots| Self { roots })
    }

    /// The place a path of a call names: beneath the first root, or absolute in any.
    pub(crate) fn place(&self, path: &str) -> Result<Place<'_>, CallFailure> {
        if path.contains('\0') {
            return Err(invalid("a path has a NUL character in it"));
        }
        let path = Path::new(path);
        let mut places = self.roots.iter().enumerate().filter_map(|(at, root)| {
            let beneath = if path.is_relative() {
                path
            } else {
                path.strip_prefix(&root.path).or_else(|_| path.strip_prefix(&root.given)).ok()?
            };
            Some(Place { root, beneath: plain(beneath), first: at == 0 })
        });
        places.next().ok_or_else(|| self.outside(path))
    }

    /// The place a path of a call names whose relative paths start at `folder`. Outputs name such a
    /// place absolutely, so that a later call finds it from anywhere.
    pub(crate) fn place_from(
        &self,
        folder: Option<&Path>,
        path: &str,
    ) -> Result<Place<'_>, CallFailure> {
        let Some(folder) = folder.filter(|_| Path::new(path).is_relative()) else {
            return self.place(path);
        };
        if self.roots.first().is_some_and(|root| root.path == folder || root.given == folder) {
            return self.place(path);
        }
        let joined = folder.join(path);
        let joined = joined.to_str().ok_or_else(|| invalid("the caller's folder is not UTF-8"))?;
        Ok(Place { first: false, ..self.place(joined)? })
    }

    /// Whether a path without links lies in a root.
    pub(crate) fn contain(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(&root.path))
    }

    fn outside(&self, path: &Path) -> CallFailure {
        let roots = self.roots.iter().map(|root| root.path.display());
        let roots: Vec<String> = roots.map(|root| root.to_string()).collect();
        CallFailure::refused(
            FailureKind::Denied,
            format!(
                "{} is outside the declared roots ({}); add its folder to `[tools] roots`",
                path.display(),
                roots.join(", ")
            ),
        )
    }
}

impl Root {
    fn open(given: &Path) -> Result<Self, ToolsError> {
        let fault = |cause| ToolsError::Root(given.to_owned(), cause);
        let path = given.canonicalize().map_err(fault)?;
        let folder = rustix::fs::openat(CWD, &path, FOLDER, Mode::empty())
            .map_err(|errno| fault(errno.into()))?;
        Ok(Self { folder, given: given.to_owned(), path })
    }
}

impl<'a> Place<'a> {
    /// A place further down; `name` may have several components.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> Place<'a> {
        Place { root: self.root, beneath: self.beneath.join(name), first: self.first }
    }

    /// The folder that holds it, and its name in there.
    pub(crate) fn split(&self) -> Result<(Place<'a>, PathBuf), CallFailure> {
        let Some(Component::Normal(name)) = self.beneath.components().next_back() else {
            return Err(invalid(format!("`{}` names no file", self.shown())));
        };
        let parent = self.beneath.parent().unwrap_or(Path::new(""));
        let folder = Place { root: self.root, beneath: parent.to_owned(), first: self.first };
        Ok((folder, PathBuf::from(name)))
    }

    /// The folders on the way to it from the root, itself included, the root not.
    pub(crate) fn way(&self) -> Vec<Place<'a>> {
        let mut folders: Vec<&Path> = self.beneath.ancestors().collect();
        folders.pop();
        let places = folders.into_iter().rev().map(|beneath| Place {
            root: self.root,
            beneath: beneath.to_owned(),
            first: self.first,
        });
        places.collect()
    }

    /// How outputs and messages name it: a path that a later call can use.
    pub(crate) fn shown(&self) -> String {
        if !self.first {
            return self.absolute().to_string_lossy().into_owned();
        }
        match self.beneath.as_os_str().is_empty() {
            true => ".".to_owned(),
            false => self.beneath.to_string_lossy().into_owned(),
        }
    }

    /// Its absolute path as far as the words go; links in it are not resolved.
    pub(crate) fn absolute(&self) -> PathBuf {
        self.root.path.join(&self.beneath)
    }

    /// The root's path.
    pub(crate) fn root(&self) -> &'a Path {
        &self.root.path
    }

    /// Opens whatever is there.
    pub(crate) fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, CallFailure> {
        self.open_raw(flags, mode).map_err(|errno| self.failed(errno))
    }

    /// Opens a folder.
    pub(crate) fn folder(&self) -> Result<OwnedFd, CallFailure> {
        self.open(FOLDER, Mode::empty())
    }

    /// Opens a regular file for reading; gives its length too.
    pub(crate) fn file(&self) -> Result<(File, u64), CallFailure> {
        let file = self.open(READING, Mode::empty())?;
        regular(file).map_err(|errno| self.failed(errno))
    }

    /// Opens whatever is there, with the kernel's own error.
    pub(crate) fn open_raw(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let path = match self.beneath.as_os_str().is_empty() {
            true => Path::new("."),
            false => self.beneath.as_path(),
        };
        open_beneath(&self.root.folder, path, flags, mode)
    }

    /// What an error of the kernel means for a call that names this place.
    pub(crate) fn failed(&self, errno: Errno) -> CallFailure {
        let shown = self.shown();
        let refused = CallFailure::refused;
        match errno {
            Errno::NOENT => refused(FailureKind::NotFound, format!("{shown} does not exist")),
            Errno::NOTDIR => refused(FailureKind::NotFound, format!("{shown} is no folder")),
            Errno::XDEV | Errno::LOOP => refused(
                FailureKind::Denied,
                format!(
                    "{shown} leads outside its root {} by `..` or a link",
                    self.root.path.display()
                ),
            ),
            Errno::ACCESS | Errno::PERM | Errno::ROFS => refused(
                FailureKind::Denied,
                format!("{shown}: the operating system refuses it: {errno}"),
            ),
            NOT_REGULAR | Errno::NXIO | Errno::ISDIR => refused(
                FailureKind::Refused,
                format!("{shown} is not a regular file; nothing else is read or written"),
            ),
            _ => CallFailure::passing(FailureKind::Unavailable, format!("{shown}: {errno}")),
        }
    }
}

/// What [`regular`] says of FIFOs, devices, sockets and folders. No open of ours yields it.
const NOT_REGULAR: Errno = Errno::NOTSUP;

/// Takes only a regular file; gives its length too.
pub(crate) fn regular(file: OwnedFd) -> Result<(File, u64), Errno> {
    let stat = rustix::fs::fstat(&file)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(NOT_REGULAR);
    }
    Ok((File::from(file), u64::try_from(stat.st_size).unwrap_or(0)))
}

/// The path without `.`; `..` is left to the kernel, which alone knows what it means behind links.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn open_beneath(
    root: &impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RACES_MAX {
        match rustix::fs::openat2(root, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Older kernels lack the call; some container filters answer it with EPERM.
            Err(Errno::NOSYS | Errno::PERM) => return open_stepwise(root, path, flags, mode),
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

/// Without `openat2`: component by component, no link followed and no `..` taken.
fn open_stepwise(
    root: &impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let mut folder = rustix::fs::openat(root, ".", FOLDER, Mode::empty())?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::CurDir => Path::new("."),
            Component::Normal(name) => Path::new(name),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(Errno::XDEV);
            }
        };
        let last = parts.peek().is_none();
        let (flags, mode) = if last { (flags, mode) } else { (FOLDER, Mode::empty()) };
        let next = rustix::fs::openat(&folder, name, flags | OFlags::NOFOLLOW, mode)?;
        if last {
            return Ok(next);
        }
        folder = next;
    }
    Err(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn opened(
        open: impl Fn(&OwnedFd, &Path, OFlags, Mode) -> Result<OwnedFd, Errno>,
    ) -> Vec<(&'static str, Result<(), Errno>)> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        std::fs::write(root.join("sub/file"), "f").unwrap();
        symlink("../secret", root.join("up")).unwrap();
        symlink(folder.path(), root.join("out")).unwrap();
        let fd = rustix::fs::openat(CWD, &root, FOLDER, Mode::empty()).unwrap();
        let names =
            ["sub/file", "./sub/file", "../secret", "up", "out/secret", "sub/../../secret", "none"];
        let open = |name| open(&fd, Path::new(name), READING, Mode::empty()).map(drop);
        names.into_iter().map(|name| (name, open(name))).collect()
    }

    #[test]
    fn nothing_leads_out_of_a_root_with_or_without_the_kernels_help() {
        for found in [opened(open_beneath), opened(open_stepwise)] {
            for (name, result) in found {
                match name {
                    "sub/file" | "./sub/file" => assert_eq!(result, Ok(()), "{name}"),
                    "none" => assert_eq!(result, Err(Errno::NOENT)),
                    _ => assert!(
                        matches!(result, Err(Errno::XDEV | Errno::LOOP | Errno::NOTDIR)),
                        "{name}: {result:?}"
                    ),
                }
            }
        }
    }
}
