//! The guard: a process between Baton and a child that ends the child when Baton ends.
//!
//! Its standard input is the life line. Baton writes the child's input into it, later perhaps one
//! [`TERMINATE`] byte, and otherwise only holds it open; the kernel closes it however Baton dies,
//! by `SIGKILL` too, and then the guard kills everything the child has left. The parent-death
//! signal would not do: it fires when the *thread* that started the child ends.
//!
//! A child that is talked to ([`RELAY_WORD`]) gets all of that input as it comes, and its end.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions,
};

/// The first argument that makes an executable a guard: it must then call [`guard_main`].
pub const GUARD_WORD: &str = "__guard";

/// In the place of the number of bytes: everything that comes is the child's input. When it ends,
/// the child has a moment to end by itself, and is killed then.
pub const RELAY_WORD: &str = "-";

/// How long a child has to end by itself whose input has ended.
const LEAVE: Duration = Duration::from_secs(2);

/// Asks the guard to end the child gently.
pub(crate) const TERMINATE: u8 = b'T';

/// What a guard exits with that could not start its child, as a shell does.
const NOT_STARTED: i32 = 127;

/// Runs a child under guard and exits as the child did: with its code, or by its signal.
///
/// Takes what follows [`GUARD_WORD`]: the number of bytes of the child's input or [`RELAY_WORD`],
/// the program, its arguments. Standard output, standard error, environment and folder are the child's.
pub fn guard_main(arguments: impl Iterator<Item = OsString>) -> ! {
    let code = match guard(arguments) {
        Ok(status) => leave(&status),
        Err(cause) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(io::stderr(), "the command was not started: {cause}");
            NOT_STARTED
        }
    };
    std::process::exit(code)
}

/// What the life line may still end; `None` when the child is about to be reaped.
type Target = Arc<Mutex<Option<Pid>>>;

/// What of the guard's input is the child's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feeding {
    /// The first bytes; what follows is for the guard.
    First(u64),
    /// All of it, as it comes.
    Everything,
}

impl Feeding {
    fn read(word: &str) -> Option<Self> {
        if word == RELAY_WORD {
            return Some(Self::Everything);
        }
        word.parse().ok().map(Self::First)
    }
}

fn guard(mut arguments: impl Iterator<Item = OsString>) -> io::Result<WaitIdStatus> {
    let feeding = arguments.next().and_then(|text| Feeding::read(text.to_str()?));
    let (Some(feeding), Some(program)) = (feeding, arguments.next()) else {
        return Err(io::Error::other("a guard needs a number and a program"));
    };
    // Grandchildren that leave the group and lose their parent become children of this process.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, no_core)?;
    let input = if feeding == Feeding::First(0) { Stdio::null() } else { Stdio::piped() };
    let mut child = Command::new(program).args(arguments).process_group(0).stdin(input).spawn()?;
    let pid = Pid::from_child(&child);
    let target: Target = Arc::new(Mutex::new(Some(pid)));
    match feeding {
        Feeding::First(bytes) => watch(&mut child, bytes, Arc::clone(&target)),
        Feeding::Everything => relay(&mut child, Arc::clone(&target)),
    }
    // The child stays a zombie, so that its number names nobody else while it is still a target.
    let status = wait_for(pid)?;
    *target.lock().unwrap_or_else(PoisonError::into_inner) = None;
    sweep(pid);
    Ok(status)
}

fn wait_for(pid: Pid) -> io::Result<WaitIdStatus> {
    loop {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(pid), ended) {
            Ok(Some(status)) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Feeds the child and obeys the life line, on threads that end with the process.
fn watch(child: &mut Child, input_bytes: u64, target: Target) {
    let feed = child.stdin.take();
    std::thread::spawn(move || {
        let mut line = io::stdin().lock();
        let mut input = Vec::new();
        let read = (&mut line).take(input_bytes).read_to_end(&mut input);
        if let (Some(mut feed), true) = (feed, read.is_ok()) {
            // A child that does not read must not keep us from the life line.
            std::thread::spawn(move || feed.write_all(&input));
        }
        let mut byte = [0_u8];
        while line.read_exact(&mut byte).is_ok() {
            if byte == [TERMINATE] {
                signal(&target, Signal::TERM);
            }
        }
        signal(&target, Signal::KILL);
    });
}

/// Hands the child what comes, and ends it when nothing can come any more.
fn relay(child: &mut Child, target: Target) {
    if let Some(mut feed) = child.stdin.take() {
        std::thread::spawn(move || {
            let mut line = io::stdin().lock();
            // A child that takes nothing more says so, or its end does.
            let _ = io::copy(&mut line, &mut feed);
        });
    }
    // A thread of its own: a child that does not read must not keep us from the life line.
    std::thread::spawn(move || {
        let line = io::stdin();
        loop {
            let mut ends = [PollFd::new(&line, PollFlags::empty())];
            match rustix::event::poll(&mut ends, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                // Without a life line the child must not live on.
                Err(_) => return signal(&target, Signal::KILL),
            }
        }
        // sleep: the child's end ends this process.
        std::thread::sleep(LEAVE);
        signal(&target, Signal::KILL);
    });
}

fn signal(target: &Target, signal: Signal) {
    let target = target.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = *target {
        let in_group = rustix::process::kill_process_group(pid, signal).is_ok();
        // A child may have left its own group.
        if !in_group || signal == Signal::KILL {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// Kills what the child left behind, wherever it moved to, until there is nothing.
fn sweep(pid: Pid) {
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    loop {
        // Whoever is reaped below has handed its own children to us before.
        for orphan in children() {
            let _ = rustix::process::kill_process(orphan, Signal::KILL);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn children() -> Vec<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let parse = |text: String| -> Vec<Pid> {
        let numbers = text.split_ascii_whitespace();
        numbers.filter_map(|number| Pid::from_raw(number.parse().ok()?)).collect()
    };
    lists.flat_map(parse).collect()
}

/// Ends as the child did, so that whoever waits for the guard sees the child's end.
fn leave(status: &WaitIdStatus) -> i32 {
    if let Some(code) = status.exit_status() {
        return code;
    }
    let number = status.terminating_signal().unwrap_or(0);
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }
    // Only signals that this process ignores come here.
    128 + number
}
