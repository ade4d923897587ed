//! The vocabularies a store knows, as its reference tables hold them.
//!
//! This is the list of vocabularies, not of words: those stand in core, once.

use baton_core::codes::Code;
use baton_core::words::{
    ActorKind, Billing, ConversationStatus, FactKind, Origin, ProgressMethod, TaskStatus,
    WaitReason, WorkflowStatus,
};
use baton_core::workflow::EventKind;

/// A vocabulary as a reference table.
pub(crate) struct Vocabulary {
    /// The table's name.
    pub name: &'static str,
    /// Its rows.
    pub members: Vec<Member>,
}

/// A row of a reference table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// What rows of other tables hold.
    pub code: u8,
    /// The public word.
    pub word: String,
    /// Whether nothing follows it.
    pub terminal: bool,
}

/// Every vocabulary that a column refers to.
pub(crate) fn vocabularies() -> Vec<Vocabulary> {
    vec![
        of::<ActorKind>(),
        of::<Billing>(),
        of::<ConversationStatus>(),
        of::<EventKind>(),
        of::<FactKind>(),
        of::<Origin>(),
        of::<ProgressMethod>(),
        of::<TaskStatus>(),
        of::<WaitReason>(),
        of::<WorkflowStatus>(),
    ]
}

fn of<C: Code>() -> Vocabulary {
    let member = |code: &C| Member {
        code: code.code(),
        word: code.word().to_owned(),
        terminal: code.is_terminal(),
    };
    Vocabulary { name: C::VOCABULARY, members: C::ALL.iter().map(member).collect() }
}

/// What a stored vocabulary lacks, or why it cannot be brought up to the program's.
pub(crate) fn missing(known: &Vocabulary, stored: &[Member]) -> Result<Vec<Member>, String> {
    let name = known.name;
    if let Some(odd) = stored.iter().find(|member| !known.members.contains(member)) {
        let Member { code, word, .. } = odd;
        return Err(format!(
            "its vocabulary `{name}` holds {code} = `{word}`, which this Baton does not know; \
             a newer Baton wrote it: use that one"
        ));
    }
    Ok(known.members.iter().filter(|member| !stored.contains(member)).cloned().collect())
}

/// The reasons of waiting that only a person can end.
pub(crate) const FOR_PEOPLE: [WaitReason; 4] =
    [WaitReason::Person, WaitReason::Approval, WaitReason::Budget, WaitReason::InDoubt];
