//! Whose events a subscriber follows.

use baton_core::ids::ConversationId;

/// Whose events are told. Ordered, so that those who follow the same stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scope {
    /// Everybody's.
    #[default]
    All,
    /// Those of one stream: a workflow's.
    Stream(u64),
    /// A conversation's own and those of all its workflows.
    Conversation(ConversationId),
}

/// Where something comes from that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The number of its stream.
    pub stream: u64,
    /// The conversation to which the stream belongs.
    pub conversation: Option<ConversationId>,
}

impl Scope {
    /// Whether it has what comes from there.
    pub fn has(self, source: Source) -> bool {
        match self {
            Self::All => true,
            Self::Stream(stream) => stream == source.stream,
            Self::Conversation(id) => source.conversation == Some(id),
        }
    }
}

impl Source {
    /// Every scope that has what comes from there.
    pub fn scopes(self) -> impl Iterator<Item = Scope> {
        let conversation = self.conversation.map(Scope::Conversation);
        [Scope::All, Scope::Stream(self.stream)].into_iter().chain(conversation)
    }
}
