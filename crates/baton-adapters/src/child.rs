//! Runs a program under the guard: bounded output, cancel, time-out.
//!
//! It knows nothing of what is run; `git.rs` and `shell.rs` do.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;

use crate::guard::{GUARD_WORD, TERMINATE};
use crate::tool::Scope;

/// How long a child has between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long the guard has to clear up after a kill before it is killed itself.
const SWEEP: Duration = Duration::from_secs(5);
/// How often a running child's call looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// How much is read of a stream at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Starts children under a guard.
#[derive(Clone)]
pub(crate) struct Guarded {
    guard: PathBuf,
}

/// What to run.
pub(crate) struct Program<'a> {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) folder: &'a OwnedFd,
    pub(crate) input: &'a [u8],
    /// Bytes kept of each output stream.
    pub(crate) output_bytes_max: usize,
}

/// What came of it.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// Why it was ended, if it did not end by itself.
    pub(crate) cut: Option<FailureKind>,
}

/// The first bytes of a stream.
#[derive(Default)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    pub(crate) truncated: bool,
}

impl Guarded {
    /// Under this executable.
    pub(crate) fn by(guard: PathBuf) -> Self {
        Self { guard }
    }

    /// Runs a program to its end, or to the call's. An `Err` means that it was not started.
    pub(crate) fn run(&self, scope: &Scope<'_>, what: &Program<'_>) -> Result<Ended, CallFailure> {
        let mut running = self.start(what).map_err(|cause| {
            let message = format!("{} cannot be started: {cause}", what.program.display());
            CallFailure::passing(FailureKind::Unavailable, message)
        })?;
        running.feed(what.input);
        running.follow(scope, what.output_bytes_max).map_err(|cause| {
            let message = format!("{} was lost: {cause}", what.program.display());
            CallFailure::in_doubt(FailureKind::Lost, message)
        })
    }

    fn start(&self, what: &Program<'_>) -> io::Result<Running> {
        // Entered by descriptor, so that the folder cannot be swapped after it was checked.
        let folder = format!("/proc/self/fd/{}", what.folder.as_raw_fd());
        let mut child = Command::new(&self.guard)
            .arg0("baton")
            .arg(GUARD_WORD)
            .arg(what.input.len().to_string())
            .arg(&what.program)
            .args(&what.arguments)
            .env_clear()
            .envs(what.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = rustix::process::Pid::from_child(&child);
        Ok(Running {
            line: child.stdin.take(),
            stdout: child.stdout.take().map(|pipe| Stream::of(pipe.into())).transpose()?,
            stderr: child.stderr.take().map(|pipe| Stream::of(pipe.into())).transpose()?,
            end: rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok(),
            child,
        })
    }
}

struct Running {
    child: Child,
    /// The life line; closing it kills.
    line: Option<ChildStdin>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    /// Readable when the guard has ended.
    end: Option<OwnedFd>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.line = None;
        // The guard ends soon after its life line; this leaves no zombie.
        let _ = self.child.wait();
    }
}

impl Running {
    fn feed(&mut self, input: &[u8]) {
        if let Some(line) = &mut self.line {
            // The guard takes all of it at once; one that died shows in its status.
            let _ = line.write_all(input);
        }
    }

    fn follow(&mut self, scope: &Scope<'_>, bytes_max: usize) -> io::Result<Ended> {
        let mut stop: Option<(FailureKind, Instant)> = None;
        let status = loop {
            self.wait_a_while()?;
            for stream in [&mut self.stdout, &mut self.stderr] {
                Stream::drain(stream, bytes_max)?;
            }
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            match (stop, scope.stop()) {
                (None, Some(kind)) => {
                    stop = Some((kind, Instant::now()));
                    self.feed(&[TERMINATE]);
                }
                (Some((_, since)), _) => self.press(since.elapsed())?,
                (None, None) => {}
            }
        };
        // All writers are dead now: what is left in the pipes is all there will be.
        for stream in [&mut self.stdout, &mut self.stderr] {
            Stream::drain(stream, bytes_max)?;
        }
        Ok(Ended {
            status,
            stdout: Stream::taken(&mut self.stdout),
            stderr: Stream::taken(&mut self.stderr),
            cut: stop.map(|(kind, _)| kind),
        })
    }

    /// Ends a child that was asked to end and does not.
    fn press(&mut self, since: Duration) -> io::Result<()> {
        if since > GRACE {
            self.line = None;
        }
        if since > GRACE + SWEEP {
            self.child.kill()?;
        }
        Ok(())
    }

    /// Until there is output, an end, or it is time to look around.
    fn wait_a_while(&self) -> io::Result<()> {
        let streams = [&self.stdout, &self.stderr];
        let pipes = streams.into_iter().flatten().filter_map(Stream::pipe);
        let ends = self.end.as_ref().map(AsFd::as_fd);
        let mut fds: Vec<PollFd<'_>> =
            pipes.chain(ends).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let look = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
        match rustix::event::poll(&mut fds, Some(&look)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Our end of an output pipe and what came through it.
struct Stream {
    /// `None` when the other end is closed.
    pipe: Option<File>,
    captured: Captured,
}

impl Stream {
    fn of(pipe: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Self { pipe: Some(File::from(pipe)), captured: Captured::default() })
    }

    fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    fn taken(stream: &mut Option<Self>) -> Captured {
        stream.take().map(|stream| stream.captured).unwrap_or_default()
    }

    /// Takes what is there; keeps reading beyond the bound, so that the writer does not hang.
    fn drain(stream: &mut Option<Self>, bytes_max: usize) -> io::Result<()> {
        let Some(stream) = stream else { return Ok(()) };
        let Some(pipe) = &mut stream.pipe else {
            return Ok(());
        };
        let mut piece = vec![0_u8; PIECE_BYTES];
        // One full pipe at a time, so that a flood cannot keep us from looking around.
        for _ in 0..16 {
            match pipe.read(&mut piece) {
                Ok(0) => {
                    stream.pipe = None;
                    return Ok(());
                }
                Ok(count) => stream.captured.add(piece.get(..count).unwrap_or_default(), bytes_max),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }
}

impl Captured {
    fn add(&mut self, piece: &[u8], bytes_max: usize) {
        let room = bytes_max.saturating_sub(self.bytes.len());
        self.truncated |= piece.len() > room;
        let kept = piece.get(..room).unwrap_or(piece);
        self.bytes.extend_from_slice(kept);
    }

    /// As text; what is no UTF-8 becomes replacement characters.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The last characters, for messages.
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let count = text.trim().chars().count();
        text.trim().chars().skip(count.saturating_sub(600)).collect()
    }
}

/// The executable of this name in Baton's `PATH`, or the path itself if it is one.
pub(crate) fn find_program(name: &str) -> Result<PathBuf, CallFailure> {
    let found = if name.contains('/') {
        Some(PathBuf::from(name)).filter(|path| is_executable(path))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
    };
    found.ok_or_else(|| {
        let message = format!("there is no program `{name}`; install it or extend PATH");
        CallFailure::refused(FailureKind::NotFound, message)
    })
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// A variable of Baton's environment, for a child's.
pub(crate) fn inherited(name: impl AsRef<OsStr>) -> Option<(OsString, OsString)> {
    let name = name.as_ref();
    std::env::var_os(name).map(|value| (name.to_owned(), value))
}
