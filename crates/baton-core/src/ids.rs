//! Identifiers: newtypes over UUIDv7, built from a moment and never from a random source of their own.
//!
//! A workflow's id ends in 32 zero bits; a task's id is its workflow's id with its ordinal plus one
//! in those bits. So a task's workflow is found by arithmetic, and no store needs an index of task
//! ids. 42 random bits a millisecond remain; a store refuses a second workflow of the same id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Moment;

const ORDINAL_MASK: u128 = 0xffff_ffff;

/// A task's place in its workflow, from 0: tasks of the plan first, then items of `each`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ordinal(pub u32);

impl Ordinal {
    /// As an index into the workflow's tasks.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A workflow, over all of its runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkflowId(Uuid);

/// A task of a workflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

/// A conversation: what ties together everything it caused. Every workflow has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(Uuid);

/// A project: what a workflow may belong to. Whoever names it makes it; nothing is looked up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(Uuid);

fn v7(moment: &Moment, salt: u64) -> u128 {
    let millis = (moment.now.as_millis().max(0) as u128) & 0xffff_ffff_ffff;
    let random = moment.draw(salt);
    (millis << 80)
        | (0x7 << 76)
        | (((random >> 64) & 0xfff) << 64)
        | (0b10 << 62)
        | (random & 0x3fff_ffff_ffff_ffff)
}

impl WorkflowId {
    /// A new id. `salt` tells apart ids made at the same moment.
    pub fn new(moment: &Moment, salt: u64) -> Self {
        Self(Uuid::from_u128(v7(moment, salt) & !ORDINAL_MASK))
    }

    /// The id of its task at `ordinal`.
    pub fn task(self, ordinal: Ordinal) -> TaskId {
        TaskId(Uuid::from_u128(self.0.as_u128() | (u128::from(ordinal.0) + 1)))
    }
}

impl TaskId {
    /// Its workflow and its ordinal there; `None` for an id that is not a task's.
    pub fn split(self) -> Option<(WorkflowId, Ordinal)> {
        let bits = self.0.as_u128();
        let ordinal = u32::try_from(bits & ORDINAL_MASK).ok()?.checked_sub(1)?;
        Some((WorkflowId(Uuid::from_u128(bits & !ORDINAL_MASK)), Ordinal(ordinal)))
    }
}

impl ConversationId {
    /// A new id. `salt` tells apart ids made at the same moment.
    pub fn new(moment: &Moment, salt: u64) -> Self {
        Self(Uuid::from_u128(v7(moment, salt)))
    }
}

macro_rules! uuid_text {
    ($($name:ident),+) => { $(
        impl $name {
            /// The 16 bytes a store writes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
            /// From the 16 bytes a store read.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    )+ };
}

uuid_text!(WorkflowId, TaskId, ConversationId, ProjectId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_task_knows_its_workflow() {
        let moment = Moment::new(Timestamp::from_millis(1_800_000_000_000), 7);
        let workflow = WorkflowId::new(&moment, 0);
        let task = workflow.task(Ordinal(41));
        assert_eq!(task.split(), Some((workflow, Ordinal(41))));
        assert_eq!(Uuid::from_bytes(*task.as_bytes()).get_version_num(), 7);
        assert_ne!(workflow, WorkflowId::new(&moment, 1));
    }
}
