//! Facts: small records beside the journal, found by their kind and key without reading it.
//!
//! Those that last follow from the events of the system stream by [`changes`] alone, so that they can be
//! derived anew; who looks them up, and what is remembered only for a while, is the engine's.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::body::{BlobHash, Json};
use crate::ids::WorkflowId;
use crate::time::Timestamp;
use crate::words::{FactKind, Role};
use crate::workflow::{Event, FiringCause, TokenCreated};

/// What an event changes of the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on this holds.
    Holds(FactKind, Vec<u8>, Json),
}

/// When a schedule was last due: the value of its fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDue {
    /// The version of the definition it belonged to.
    pub version: u32,
    /// The newest moment it fired for.
    pub due: Timestamp,
    /// The workflow that it started then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowId>,
    /// Why it started none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl LastDue {
    /// The value of a fact.
    pub fn read(value: &Json) -> Option<Self> {
        serde_json::from_str(value.as_str()).ok()
    }
}

/// The value of [`FactKind::Token`], whose key is the token's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is good for; `None` where it was revoked.
    pub grant: Option<Grant>,
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whom it lets in.
    pub role: Role,
    /// SHA-256 of the token.
    pub hash: BlobHash,
}

impl Token {
    /// The value of a fact.
    pub fn read(value: &Json) -> Option<Self> {
        serde_json::from_str(value.as_str()).ok()
    }

    /// Whether a token may be called this: 1 to 64 of the characters `A-Z a-z 0-9 _ - .`.
    pub fn is_name(name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=64).contains(&name.len()) && name.bytes().all(plain)
    }

    fn holds(&self, name: &str) -> Change {
        Change::Holds(FactKind::Token, name.as_bytes().to_vec(), Json::of(&json!(self)))
    }
}

/// The key of [`FactKind::EventSeen`]: bounded, however long the two are.
pub fn event_key(source: &str, id: &str) -> Vec<u8> {
    // A length in front: no other pair makes the same bytes.
    let length = u64::try_from(source.len()).unwrap_or(u64::MAX);
    let digest = Sha256::new().chain_update(length.to_be_bytes()).chain_update(source);
    digest.chain_update(id).finalize().to_vec()
}

/// The key of [`FactKind::Schedule`].
pub fn schedule_key(definition: &str, trigger: u32) -> Vec<u8> {
    [definition.as_bytes(), &[0], &trigger.to_be_bytes()].concat()
}

/// What an event changes of the facts, in order.
pub fn changes(event: &Event) -> Vec<Change> {
    match event {
        Event::EventReceived(received) => {
            let key = event_key(&received.source, &received.id);
            let value = json!({ "source": received.source, "id": received.id });
            vec![Change::Holds(FactKind::EventSeen, key, Json::of(&value))]
        }
        Event::TriggerFired(fired) => match &fired.cause {
            FiringCause::Event { .. } => Vec::new(),
            FiringCause::Schedule { due } => {
                let key = schedule_key(&fired.definition, fired.trigger);
                let value = json!(LastDue {
                    version: fired.version,
                    due: *due,
                    workflow: fired.workflow,
                    fault: fired.fault.clone(),
                });
                vec![Change::Holds(FactKind::Schedule, key, Json::of(&value))]
            }
        },
        Event::TokenCreated(created) => {
            let TokenCreated { name, role, hash } = created;
            let token = Token { grant: Some(Grant { role: *role, hash: *hash }) };
            vec![token.holds(name)]
        }
        Event::TokenRevoked(revoked) => vec![Token { grant: None }.holds(&revoked.name)],
        Event::Admitted(_)
        | Event::Approved(_)
        | Event::SentBack(_)
        | Event::Started(_)
        | Event::Paused(_)
        | Event::Resumed(_)
        | Event::CancelRequested(_)
        | Event::Finished(_)
        | Event::Retried(_)
        | Event::ClockSet(_)
        | Event::PlanEdited(_)
        | Event::EditUndone(_)
        | Event::TaskStarted(_)
        | Event::TaskWaited(_)
        | Event::TaskExpanded(_)
        | Event::TaskCompleted(_)
        | Event::AttemptFailed(_)
        | Event::TaskFailed(_)
        | Event::TaskSkipped(_)
        | Event::TaskCancelled(_)
        | Event::CallUndone(_)
        | Event::TaskEmitted(_)
        | Event::TaskAnswered(_)
        | Event::CallApproved(_)
        | Event::BudgetRaised(_)
        | Event::ModelChanged(_)
        | Event::TranscriptCompacted(_)
        | Event::QuestionAsked(_)
        | Event::QuestionAnswered(_)
        | Event::QuestionWithdrawn(_)
        | Event::DefinitionRegistered(_)
        | Event::DefinitionRemoved(_)
        | Event::ServerReleased(_)
        | Event::Conversation(_)
        | Event::Purged(_)
        | Event::BatchPurged(_) => Vec::new(),
    }
}
