//! Folds each conversation's stream and compares its row.
//!
//! A stream that does not begin as a conversation's does is not folded here, and a row of its number is
//! left alone where it cannot be known what it is of.

use baton_core::conversation::ConversationState;
use baton_core::conversation::rows::{ConversationRow, conversation_row};
use baton_core::workflow::{ConversationEvent, Event};

use super::journal::{Of, Survey};
use super::{Difference, Found, Mend};
use crate::live::read_event;
use crate::store::{Audit, SYSTEM_STREAM, StoreError};

/// Compares every row; returns how many conversations were folded.
pub(super) fn compare_all(
    survey: &Survey,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<u64, StoreError> {
    let mut folded = 0;
    let tails = survey.tails.iter().filter(|(_, tail)| tail.of == Of::Conversation);
    for (number, tail) in tails {
        folded += 1;
        match project(*number, tail.head, audit) {
            Ok(row) => compare(row, audit, found)?,
            Err(StoreError::Corrupt(detail)) => {
                let what = format!("the events of conversation {number}");
                found(Difference::fault(what, detail, "events that can be folded"))?;
            }
            Err(unreadable) => return Err(unreadable),
        }
    }
    compare_strays(survey, audit, found)?;
    Ok(folded)
}

/// The row it should have.
fn project(number: u64, head: u64, audit: &mut dyn Audit) -> Result<ConversationRow, StoreError> {
    let records = audit.chain(number, head)?;
    let lacking = || StoreError::Corrupt("the stream does not begin with its opening".to_owned());
    let (first, rest) = records.split_first().ok_or_else(lacking)?;
    let Event::Conversation(ConversationEvent::Opened(opened)) = read_event(first)? else {
        return Err(lacking());
    };
    let mut state = ConversationState::opened(&opened, first.at);
    for record in rest {
        let Event::Conversation(event) = read_event(record)? else {
            let place = record.position;
            let detail = format!("the event at position {place} is not a conversation's");
            return Err(StoreError::Corrupt(detail));
        };
        state.evolve(&event, record.at);
    }
    Ok(conversation_row(&state, number, head))
}

fn compare(
    row: ConversationRow,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let name = format!("conversation {} (`{}`, {})", row.number, row.face.title, row.id);
    let stored = audit.conversation(row.number);
    let mend = Mend::Conversation(Box::new(row.clone()));
    match stored {
        Ok(None) => found(Difference::fault(name, "no row", "a row").mended_by(mend)),
        // Unlike other rows it holds a text that may not be readable; the journal has what it says.
        Err(StoreError::Corrupt(detail)) => {
            found(Difference::fault(name, detail, "a readable row").mended_by(mend))
        }
        Err(unreadable) => Err(unreadable),
        Ok(Some(old)) => match Difference::of_fields(&name, &old, &row) {
            Some(difference) => found(difference.mended_by(mend)),
            None => Ok(()),
        },
    }
}

/// Rows that no stream is behind.
fn compare_strays(
    survey: &Survey,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let mut at = SYSTEM_STREAM;
    while let Some(number) = audit.next_conversation(at)? {
        at = number;
        if !survey.may_be_conversation(number) {
            let what = format!("conversation {number}");
            let mend = Mend::NoConversation(number);
            found(Difference::fault(what, "a row", "no event").mended_by(mend))?;
        }
    }
    Ok(())
}
