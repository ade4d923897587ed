//! The port to what is remembered beyond a conversation. What remembers is an adapter's.

use baton_core::ids::ConversationId;
use serde::Serialize;

use crate::store::StoreError;

/// Something that is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// Finds what is remembered.
pub trait Recall: Send + Sync {
    /// What is nearest in meaning to a question that comes up in a conversation, nearest first, at most
    /// so much.
    fn search(
        &self,
        conversation: ConversationId,
        question: &str,
        most: usize,
    ) -> Result<Vec<Remembered>, StoreError>;
}

/// Remembers nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoMemory;

impl Recall for NoMemory {
    fn search(&self, _: ConversationId, _: &str, _: usize) -> Result<Vec<Remembered>, StoreError> {
        Ok(Vec::new())
    }
}
