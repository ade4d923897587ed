//! A planned death: an owner that kills its own process at one exact commit, so that a trial of
//! recovery can cut a run at every boundary of the journal. Nobody else sets it.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Signal, getpid, kill_process};

/// Where about a commit an owner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeathPoint {
    /// Before it is written: what the commit would have told is done and not recorded.
    BeforeCommit,
    /// After it is on disk, before its answers and effects are let out.
    BeforeRelease,
    /// After its effects were handed on and its answers given.
    AfterRelease,
}

impl DeathPoint {
    /// Every point, in the order of a turn.
    pub const ALL: [Self; 3] = [Self::BeforeCommit, Self::BeforeRelease, Self::AfterRelease];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::BeforeCommit => "before-commit",
            Self::BeforeRelease => "before-release",
            Self::AfterRelease => "after-release",
        }
    }
}

/// When an owner dies by its own hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// Where.
    pub point: DeathPoint,
    /// At which commit of this process, from 1.
    pub commit: u64,
}

impl Death {
    /// Kills this process, as `kill -9` would, if this is the place.
    pub fn strike(self, point: DeathPoint, commit: u64) {
        if (self.point, self.commit) == (point, commit) {
            // The signal is delivered before the call returns; a failure leaves the process alive,
            // which the trial sees.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.point.word(), self.commit)
    }
}

impl FromStr for Death {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(word, commit)| {
            let point = DeathPoint::ALL.into_iter().find(|point| point.word() == word)?;
            let commit = commit.parse().ok()?;
            Some(Self { point, commit })
        });
        parsed.ok_or_else(|| format!("`{text}` is not `before-release:3` or the like"))
    }
}
