//! The data folder: who owns the store in it, and how others reach the owner.
//!
//! One process owns a store: it holds the lock, writes, and listens on the local socket, whose path
//! stands in the lock file. Everybody reads the store by themselves.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use baton_core::actor::Actor;
use baton_server::client::LocalClient;
use baton_store::{NotAStoreUrl, StoreUrl};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::cli::Common;
use crate::exit::Failed;

/// Unix socket paths hold 108 bytes with their end.
const SOCKET_PATH_BYTES_MAX: usize = 100;
/// How long an owner that is starting or ending is waited for.
const OWNER_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked for meanwhile.
const OWNER_CHECK: Duration = Duration::from_millis(20);

/// A data folder.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
    store: StoreUrl,
}

/// The right to own the store; it ends when this is dropped, or the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Where the owner listens.
    pub socket: PathBuf,
}

/// Who owns the store.
pub enum Owned {
    /// This process may.
    Here(Lock),
    /// Another process does, and this is the way to it.
    Elsewhere(Box<LocalClient>),
}

#[derive(Serialize, Deserialize)]
struct LockText {
    process: u32,
    socket: PathBuf,
}

impl Place {
    /// The data folder and the store that a command names; neither need exist yet.
    pub fn new(common: &Common) -> anyhow::Result<Self> {
        let folder =
            std::path::absolute(&common.data).context("the data folder has no absolute path")?;
        let store = match &common.store {
            Some(url) => {
                url.parse().map_err(|fault: NotAStoreUrl| Failed::usage(fault.to_string()))?
            }
            None => StoreUrl::Sqlite(folder.join("baton.db")),
        };
        Ok(Self { folder, store })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the store is.
    pub fn store(&self) -> &StoreUrl {
        &self.store
    }

    /// Whether there can be a store: a file that is there, or a server that will say.
    pub fn has_store(&self) -> bool {
        match &self.store {
            StoreUrl::Sqlite(path) => path.exists(),
            StoreUrl::Postgres(_) => true,
        }
    }

    /// Makes the folder, private to this user and unknown to version control.
    fn make(&self) -> anyhow::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(&self.folder).with_context(|| {
            format!(
                "the data folder {} cannot be made; name one that this user may write with \
                     `--data DIR`",
                self.folder.display()
            )
        })?;
        let ignore = self.folder.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n")
                .with_context(|| format!("{} cannot be written", ignore.display()))?;
        }
        Ok(())
    }

    fn lock_path(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// Takes the lock, or finds the way to the process that has it.
    pub fn own_or_reach(&self, actor: &Actor) -> anyhow::Result<Owned> {
        self.make()?;
        let began = Instant::now();
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(Owned::Here(lock));
            }
            let fault = match self.reach(actor) {
                Ok(client) => return Ok(Owned::Elsewhere(Box::new(client))),
                Err(fault) => fault,
            };
            if began.elapsed() > OWNER_PATIENCE {
                return Err(fault.context(format!(
                    "another process owns the store in {} and does not answer; end it, or wait for it",
                    self.folder.display()
                )));
            }
            // sleep: neither a starting nor an ending owner gives a signal to others.
            std::thread::sleep(OWNER_CHECK);
        }
    }

    fn try_lock(&self) -> anyhow::Result<Option<Lock>> {
        let path = self.lock_path();
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.with_context(|| {
            format!(
                "{} cannot be opened for writing; give this user the right to write its folder, \
                 or name another one with `--data DIR`",
                path.display()
            )
        })?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(e) => {
                return Err(e).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        let socket = self.socket();
        // Left behind by an owner that was killed: the lock says that it is nobody's.
        let _ = std::fs::remove_file(&socket);
        let text = serde_json::to_string(&LockText {
            process: std::process::id(),
            socket: socket.clone(),
        })?;
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .context("the lock file cannot be written")?;
        file.write_all(text.as_bytes()).context("the lock file cannot be written")?;
        Ok(Some(Lock { file, socket }))
    }

    fn socket(&self) -> PathBuf {
        let here = self.folder.join("socket");
        if here.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return here;
        }
        let name = baton_core::body::BlobHash::of(self.folder.as_os_str().as_bytes()).to_string();
        let name = format!("baton-{}.sock", name.get(..24).unwrap_or(&name));
        let runtime =
            std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        runtime.join(name)
    }

    /// The way to the process that owns the store; there may be none.
    pub fn reach(&self, actor: &Actor) -> anyhow::Result<LocalClient> {
        let mut text = String::new();
        File::open(self.lock_path())
            .and_then(|mut file| file.read_to_string(&mut text))
            .context("the lock file cannot be read")?;
        let LockText { socket, .. } =
            serde_json::from_str(&text).context("the lock file does not name a socket yet")?;
        LocalClient::connect(&socket, actor.clone())
            .with_context(|| format!("nobody listens at {}", socket.display()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever waits for the lock must not find the old socket's name.
        let _ = self.file.set_len(0);
    }
}
