//! The digest of a request: what a model call is journaled with, and a rebuilt prompt is checked by.
//!
//! A chain over the messages, so that a call costs what is new since the last one and not the whole
//! transcript. It says nothing of how a provider's own request is written.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::body::{BlobHash, Body};
use crate::plan::OfferedTool;

/// What a request says beside its messages. Its JSON is hashed: fields are only ever added, and left
/// out where they are empty.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RequestHead<'r> {
    /// The model, `provider/name`.
    pub model: &'r str,
    /// What it is told beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<&'r str>,
    /// The tools it is offered.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tools: &'r [OfferedTool],
    /// A JSON Schema of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<&'r Value>,
    /// At most so many tokens of answer.
    pub output_tokens_max: u32,
}

impl RequestHead<'_> {
    /// How long it is as JSON.
    pub fn bytes(&self) -> u64 {
        serde_json::to_vec(self).map_or(0, |json| json.len() as u64)
    }
}

/// A digest over the messages of a transcript up to some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(BlobHash);

impl Default for Digest {
    fn default() -> Self {
        Self(BlobHash([0; 32]))
    }
}

impl Digest {
    /// With one more message of the transcript: its kind, and the bodies it is made of.
    pub fn then<'b>(self, kind: &str, bodies: impl IntoIterator<Item = &'b Body>) -> Self {
        let mut sum = Sha256::new_with_prefix(self.0.0);
        sum.update(kind.as_bytes());
        for body in bodies {
            sum.update(body.content_hash().0);
        }
        Self(BlobHash(sum.finalize().into()))
    }

    /// Of a whole request.
    pub fn request(self, head: &RequestHead<'_>) -> BlobHash {
        // Plain structs with string keys: writing them cannot fail.
        let head = serde_json::to_vec(head).unwrap_or_default();
        let mut sum = Sha256::new_with_prefix(self.0.0);
        sum.update(head);
        BlobHash(sum.finalize().into())
    }
}
