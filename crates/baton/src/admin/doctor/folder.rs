//! The data folder: whether it can be written, by whom, how much room is left, and who owns it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use baton_store::StoreUrl;
use rustix::fs::Access;

use super::Report;
use crate::admin::bytes;
use crate::admin::lock::{self, LOCK_FILE, Lock};

/// Below this much room new work is at risk.
const ROOM_LOW: u64 = 1 << 30;
/// Below this much room commits will soon fail.
const ROOM_MIN: u64 = 64 << 20;

/// Whether a process owns the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// None does.
    Nobody,
    /// One does.
    Running,
}

pub(super) fn look(folder: &Path, store: &StoreUrl, report: &mut Report) -> Owner {
    let place = folder.display();
    match std::fs::metadata(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            report.note(
                "there is no data folder yet",
                place,
                "`baton run FILE` makes it; `--data FOLDER` names another one",
            );
            return Owner::Nobody;
        }
        Err(e) => {
            let what = format!("the data folder cannot be read: {e}");
            report.problem(what, place, "give this user the right to read and enter it");
            return Owner::Nobody;
        }
        Ok(found) if !found.is_dir() => {
            report.problem(
                "the data folder is a file",
                place,
                "name a folder with `--data FOLDER`",
            );
            return Owner::Nobody;
        }
        Ok(_) => {}
    }
    if rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        report.ok("the data folder can be written", place);
    } else {
        report.problem(
            "the data folder cannot be written",
            place,
            "`chmod u+rwx` it, or give it to this user with `chown`",
        );
    }
    privacy(folder, store, report);
    room(folder, report);
    owner(folder, report)
}

fn privacy(folder: &Path, store: &StoreUrl, report: &mut Report) {
    let file = match store {
        StoreUrl::Sqlite(path) => Some((path.clone(), 0o600)),
        StoreUrl::Postgres(_) => None,
    };
    for (path, mode) in [(folder.to_path_buf(), 0o700_u32)].into_iter().chain(file) {
        let Ok(found) = std::fs::metadata(&path) else {
            continue;
        };
        // In a folder that others cannot enter, the modes of its files do not matter.
        if found.permissions().mode() & 0o077 == 0 {
            return;
        }
        let what = "others on this machine can read it, and with it what your workflows read";
        let mend = format!("chmod {mode:o} {}", path.display());
        report.note(what, path.display(), &format!("`{mend}`"));
    }
}

fn room(folder: &Path, report: &mut Report) {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let what = format!("{} free on its disk", bytes(free));
    let place = folder.display();
    let mend = "free some space, or let finished workflows go: `baton purge --older-than 30d`";
    if free < ROOM_MIN {
        report.problem(what, place, mend);
    } else if free < ROOM_LOW {
        report.note(what, place, mend);
    } else {
        report.ok(what, place);
    }
}

fn owner(folder: &Path, report: &mut Report) -> Owner {
    let place = folder.join(LOCK_FILE);
    match lock::take(folder) {
        Ok(Lock::Taken(Some(process))) => {
            report.ok(format!("the process {process} owns the store"), place.display());
            Owner::Running
        }
        Ok(Lock::Taken(None)) => {
            report.ok("a process owns the store", place.display());
            Owner::Running
        }
        Ok(Lock::Absent | Lock::Held(_)) => {
            let socket = folder.join("socket");
            if socket.exists() {
                report.note(
                    "a process that was killed left its socket behind",
                    socket.display(),
                    "nothing to do: the next command that works on the store removes it",
                );
            }
            Owner::Nobody
        }
        Err(e) => {
            let what = format!("the lock cannot be looked at: {e}");
            report.problem(what, place.display(), "give this user the right to read it");
            Owner::Nobody
        }
    }
}
