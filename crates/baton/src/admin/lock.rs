//! Whether a process owns the store of a folder.
//!
//! The lock itself is the data folder's; here it is only looked at, or held while nobody may own it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use rustix::fs::FlockOperation;
use serde::Deserialize;

/// The lock file in a data folder.
pub(super) const LOCK_FILE: &str = "lock";
/// The longest text of a lock file that is read.
const LOCK_BYTES_MAX: u64 = 16 * 1024;

/// Who has the lock of a data folder.
pub(super) enum Lock {
    /// Nobody can, there is no lock file.
    Absent,
    /// Nobody did; it is held until this is dropped.
    Held(#[expect(dead_code, reason = "held, not read")] File),
    /// Another process does.
    Taken(Option<u32>),
}

#[derive(Deserialize)]
struct LockText {
    process: u32,
}

/// Takes the lock of a folder, if it is free.
pub(super) fn take(folder: &Path) -> std::io::Result<Lock> {
    let path = folder.join(LOCK_FILE);
    let mut file = match OpenOptions::new().read(true).open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Lock::Absent),
        Err(e) => return Err(e),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock::Held(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // An owner that is just starting has not said who it is.
            let _ = file.by_ref().take(LOCK_BYTES_MAX).read_to_string(&mut text);
            let said = serde_json::from_str::<LockText>(&text).ok();
            Ok(Lock::Taken(said.map(|said| said.process)))
        }
        Err(e) => Err(e.into()),
    }
}
