//! What Ctrl-C, `SIGTERM` and `SIGHUP` do to a process: the first one stops safely, the second
//! gives up waiting for what runs, the third kills.
//!
//! It knows the owner's handle and nothing of workflows beyond an id to name.

use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Context;
use baton_core::ids::WorkflowId;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Signal, getpid, kill_process};

use crate::display::say;
use crate::exit::Exit;
use crate::runtime::Handle;

/// What this process is when a signal comes.
pub enum Role {
    /// The owner of a store, which must leave in order.
    Owner(Handle),
    /// A follower of another process's workflow, which may leave at once.
    Follower(WorkflowId),
    /// A part of a conversation that another process has, which may leave at once.
    Talker,
}

struct Heard {
    /// How many signals came, and to whom.
    state: Mutex<(u32, Role)>,
    /// Readable from the first signal on.
    bell: (PipeReader, PipeWriter),
}

static HEARD: OnceLock<Heard> = OnceLock::new();

/// From now on signals find this process in this role.
pub fn act_as(role: Role) -> anyhow::Result<()> {
    if let Some(heard) = HEARD.get() {
        lock(&heard.state).1 = role;
        return Ok(());
    }
    let bell = std::io::pipe().context("no pipe can be made")?;
    let heard = HEARD.get_or_init(|| Heard { state: Mutex::new((0, role)), bell });
    ctrlc::set_handler(|| hear(heard)).context("signals cannot be heard")
}

/// Whether a signal has come.
pub fn is_heard() -> bool {
    HEARD.get().is_some_and(|heard| lock(&heard.state).0 > 0)
}

/// Waits until there is something to read; `false` when a signal came first.
pub fn wait_for_input(input: BorrowedFd<'_>) -> bool {
    let bell = HEARD.get().map(|heard| heard.bell.0.as_fd());
    let fds = [Some(input), bell].into_iter().flatten();
    let mut fds: Vec<PollFd<'_>> =
        fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    loop {
        match rustix::event::poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            // What cannot be waited for is read, which says what is wrong with it.
            Ok(_) | Err(_) => return fds.get(1).is_none_or(|bell| bell.revents().is_empty()),
        }
    }
}

/// Waits for the first signal; returns at once where none can be heard.
pub fn wait() {
    let Some(heard) = HEARD.get() else {
        return;
    };
    let mut bell = [PollFd::new(&heard.bell.0, PollFlags::IN)];
    while let Err(rustix::io::Errno::INTR) = rustix::event::poll(&mut bell, None) {}
}

fn lock(state: &Mutex<(u32, Role)>) -> MutexGuard<'_, (u32, Role)> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs on a thread of its own, a signal at a time.
fn hear(heard: &Heard) {
    let mut state = lock(&heard.state);
    state.0 += 1;
    match (&state.1, state.0) {
        (Role::Follower(id), _) => {
            say(&format!(
                "left; another process goes on with it: `baton watch {id}` follows it again, \
                 `baton cancel {id}` stops it"
            ));
            std::process::exit(Exit::WorkFailed as i32);
        }
        (Role::Talker, _) => {
            say("left; what was said is kept: `baton chat --resume` goes on");
            std::process::exit(Exit::WorkFailed as i32);
        }
        (Role::Owner(owner), 1) => {
            owner.drain();
            say("stopping: nothing new starts, what runs may end; once more cuts it off");
            // One byte fits into an empty pipe.
            let _ = (&heard.bell.1).write_all(b"!");
        }
        (Role::Owner(owner), 2) => {
            say("cutting off what runs; once more kills this process");
            owner.abandon();
        }
        (Role::Owner(_), _) => {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
