//! What happens to a store as a whole: the bodies of the events of the system stream.
//!
//! Which facts follow from them is in [`crate::fact`]; the vocabulary of kinds stands with the events
//! of workflows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rows::Tombstone;
use crate::body::{BlobHash, Body};
use crate::ids::WorkflowId;
use crate::time::Timestamp;
use crate::words::Role;

/// A definition stands under its name and version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionRegistered {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its plan's blob.
    pub plan: BlobHash,
    /// The blob of its source: a JSON string of the text that was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<BlobHash>,
    /// How many triggers it has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub triggers: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A workflow's events and tasks were removed; its row stays, at head 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purged {
    /// What stays of it; the head of its row is the newest position that was removed.
    pub tombstone: Tombstone,
}

/// The events, tasks and plans of some workflows were removed; their rows stay, at head 0 and
/// updated when this happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchPurged {
    /// How many events were removed.
    pub events: u64,
    /// What stays of them: [`Tombstones`](super::tombstones::Tombstones).
    pub tombstones: Body,
    /// The rows of their books, a list of [`UsageRow`](super::usage::UsageRow), where they have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Body>,
}

/// No version of a definition stands under its name any more; its workflows stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionRemoved {
    /// Its name.
    pub name: String,
}

/// An event came from outside: a CloudEvent, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventReceived {
    /// Where it comes from; unique together with the id.
    pub source: String,
    /// Unique for the source.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, as its source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The media type of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// Its other attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, String>,
    /// Its data; of bytes, their text.
    pub data: Body,
    /// How that text stands for the bytes that were sent; absent where the data is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
}

/// How a text stands for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Base64 with padding, RFC 4648, section 4.
    Base64,
}

/// A trigger of a definition fired, once for its cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerFired {
    /// The definition's name.
    pub definition: String,
    /// Its version.
    pub version: u32,
    /// Which of its triggers, from 0.
    pub trigger: u32,
    /// What made it fire.
    pub cause: FiringCause,
    /// The workflow it admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowId>,
    /// Why it admitted none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// What made a trigger fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiringCause {
    /// An event, from outside or emitted by a task.
    Event {
        /// Its position in the journal.
        position: u64,
        /// Its source.
        source: String,
        /// Its id.
        id: String,
    },
    /// A schedule.
    Schedule {
        /// When it was due.
        due: Timestamp,
    },
}

/// A token lets somebody in from now on. The token itself is nowhere: only its hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// Its name: that of the actor it stands for.
    pub name: String,
    /// What it is good for.
    pub role: Role,
    /// SHA-256 of the token.
    pub hash: BlobHash,
}

/// A token lets nobody in any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// Its name.
    pub name: String,
}

/// A server of tools that was left alone for its failures may be called again, because somebody said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerReleased {
    /// Its name in the configuration.
    pub name: String,
}
