//! The list of conversations: what needs somebody first, then what moves, then the rest.

use baton_core::ids::ConversationId;
use baton_core::time::Timestamp;
use baton_core::words::{ConversationStatus, Doing};
use baton_engine::conversations::{ConversationView, conversation_views};
use baton_engine::store::{ConversationFilter, StoreError, Views};

use super::super::looks::Look;
use super::super::times::Age;
use super::saying::{Pen, called, may_work, sentence, whose};
use crate::http::Caller;

/// The most conversations of a page.
const PAGE_MAX: u32 = 60;

/// What the page shows.
#[derive(Debug)]
pub struct Chats {
    /// Those there are, by what they need; none is empty.
    pub groups: Vec<Group>,
    /// The cursor of older ones, if there are more.
    pub older: Option<u64>,
    /// Whether these are older ones.
    pub is_part: bool,
    /// Whether the reader may begin one.
    pub may_begin: bool,
}

impl Chats {
    /// How many need somebody.
    pub fn needing(&self) -> usize {
        self.groups.iter().filter(|group| group.needs).map(|group| group.rows.len()).sum()
    }
}

/// Conversations under a heading.
#[derive(Debug)]
pub struct Group {
    /// What they have in common.
    pub title: &'static str,
    /// Whether they need somebody.
    pub needs: bool,
    /// Newest first.
    pub rows: Vec<Row>,
}

/// One conversation in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: ConversationId,
    /// What it is called.
    pub title: String,
    /// How its situation looks.
    pub look: Look,
    /// Where it stands, in a sentence.
    pub sentence: String,
    /// Who began it, and who has it.
    pub who: String,
    /// How many messages it has.
    pub messages: u32,
    /// When anything last happened.
    pub age: Age,
}

impl Row {
    fn of(view: ConversationView, caller: &Caller, now: Timestamp) -> Self {
        let pen = Pen::of(&view, caller);
        let who = match &view.claimed_by {
            Some(claimant) if *claimant != view.originator => {
                format!("{}, taken over by {}", called(&view.originator), called(claimant))
            }
            Some(_) | None => called(&view.originator).to_owned(),
        };
        Self {
            id: view.id,
            look: Look::of_conversation(view.status, view.doing),
            sentence: sentence(&view, &whose(&view, &pen)),
            who,
            messages: view.messages,
            age: Age::of(view.updated_at, now),
            title: titled(&view.title),
        }
    }
}

/// What a conversation is called where it was given no name.
pub fn titled(title: &str) -> String {
    let title = title.trim();
    if title.is_empty() { "Untitled".to_owned() } else { title.to_owned() }
}

/// Rows with what each conversation is doing, and the cursor of older ones.
type Newest = (Vec<(Doing, Row)>, Option<u64>);

/// The newest conversations, in one order.
pub fn rows(
    (before, limit): (Option<u64>, u32),
    caller: &Caller,
    now: Timestamp,
    views: &mut dyn Views,
) -> Result<Newest, StoreError> {
    // One more than is shown tells whether there are more.
    let filter = ConversationFilter { before, limit: limit + 1, ..Default::default() };
    let mut found = conversation_views(&filter, views)?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let older = found.last().filter(|_| has_more).map(|(number, _)| *number);
    let row = |(_, view): (u64, ConversationView)| (view.doing, Row::of(view, caller, now));
    Ok((found.into_iter().map(row).collect(), older))
}

/// Those among the newest that wait for somebody, without those whose workflows' questions stand in the
/// inbox.
pub fn waiting(
    caller: &Caller,
    now: Timestamp,
    views: &mut dyn Views,
) -> Result<Vec<Row>, StoreError> {
    let filter = ConversationFilter { limit: PAGE_MAX, ..Default::default() };
    let found = conversation_views(&filter, views)?.into_iter().map(|(_, view)| view);
    let waits = |view: &ConversationView| {
        let is_open = view.status == ConversationStatus::Active;
        is_open && (view.escalated.is_some() || !view.questions.is_empty())
    };
    Ok(found.filter(waits).map(|view| Row::of(view, caller, now)).collect())
}

/// Reads the page.
pub fn read(
    before: Option<u64>,
    caller: &Caller,
    now: Timestamp,
    views: &mut dyn Views,
) -> Result<Chats, StoreError> {
    let (rows, older) = rows((before, PAGE_MAX), caller, now, views)?;
    let group = |title, needs, wanted: &[Doing]| Group {
        title,
        needs,
        rows: rows
            .iter()
            .filter(|(doing, _)| wanted.contains(doing))
            .map(|(_, row)| row.clone())
            .collect(),
    };
    let groups = [
        group("Waiting for an answer", true, &[Doing::Escalated, Doing::WaitingForUser]),
        group("Working", false, &[Doing::Working]),
        group("At rest", false, &[Doing::Idle]),
    ];
    let groups = groups.into_iter().filter(|group| !group.rows.is_empty()).collect();
    let may_begin = may_work(caller.role);
    Ok(Chats { groups, older, is_part: before.is_some(), may_begin })
}
