//! The page of one conversation: where it stands in a sentence, what can be done about it, and what was
//! said and done.
//!
//! Everything on it carries the conversation's id, from the model to the element, so that nothing of one
//! conversation is ever shown under another's name.

use baton_core::ids::ConversationId;
use baton_core::time::Timestamp;
use baton_core::words::{ConversationStatus, Doing};
use baton_engine::conversations::{ConversationView, conversation_view, entries};
use baton_engine::ports::Live;
use baton_engine::store::{StoreError, Views};

use super::super::looks::Look;
use super::super::times::Age;
use super::list::{Row, rows, titled};
use super::saying::{Pen, called, sentence, whose};
use super::told::{Item, Telling, keep_newest_round_open};
use crate::http::Caller;

/// How many entries are shown where nobody asks for more.
pub const ENTRIES: usize = 100;
/// The most entries that are shown.
pub const ENTRIES_MAX: usize = 2_000;
/// How many other conversations stand beside.
const OTHERS_MAX: u32 = 30;

/// What the page shows.
#[derive(Debug)]
pub struct Talk {
    /// Whose page it is.
    pub id: ConversationId,
    /// What the API shows of it.
    pub view: ConversationView,
    /// What it is called.
    pub title: String,
    /// How its situation looks.
    pub look: Look,
    /// Where it stands, in a sentence.
    pub sentence: String,
    /// The place on the page at which somebody must act: its mark, and what is done there.
    pub place: Option<(String, &'static str)>,
    /// Whether something is being done that can be stopped.
    pub may_stop: bool,
    /// Whether it is over.
    pub is_closed: bool,
    /// What the reader may do.
    pub pen: Pen,
    /// Who began it, and who has taken it over.
    pub who: (String, Option<String>),
    /// When it began.
    pub created: Age,
    /// What was said and done, oldest first.
    pub items: Vec<Item>,
    /// How many entries to ask for to see earlier ones; nothing where all are shown.
    pub earlier: Option<usize>,
    /// The newest conversations, this one among them.
    pub others: Vec<Row>,
}

impl Talk {
    /// Where a form on this page leads back to.
    pub fn back(&self) -> String {
        format!("chat/{}", self.id)
    }
}

/// Reads the page; `None` where there is no such conversation. `last` is how many entries it shows.
pub fn read(
    (id, last): (ConversationId, usize),
    (caller, live): (&Caller, &dyn Live),
    now: Timestamp,
    views: &mut dyn Views,
) -> Result<Option<Talk>, StoreError> {
    let (Some(row), Some(view)) = (views.conversation(id)?, conversation_view(id, views)?) else {
        return Ok(None);
    };
    let pen = Pen::of(&view, caller);
    let mut told = entries(row.number, views)?;
    keep_newest_round_open(&mut told);
    let shown = last.clamp(1, ENTRIES_MAX);
    let hidden = told.len().saturating_sub(shown);
    let earlier = (hidden > 0 && shown < ENTRIES_MAX).then(|| shown.saturating_mul(4));
    told.drain(..hidden);
    let me = caller.actor.to_string();
    let telling = Telling { of: id, me, asked: &view.questions, live, now };
    let items = telling.items(told, views)?;
    let (others, _) = rows((None, OTHERS_MAX), caller, now, views)?;
    Ok(Some(Talk {
        id,
        title: titled(&view.title),
        look: Look::of_conversation(view.status, view.doing),
        sentence: sentence(&view, &whose(&view, &pen)),
        place: place(&view).filter(|_| pen.writes()),
        may_stop: pen.writes() && is_busy(&view),
        is_closed: view.status == ConversationStatus::Closed,
        created: Age::of(view.created_at, now),
        who: (
            called(&view.originator).to_owned(),
            view.claimed_by.as_deref().map(called).map(str::to_owned),
        ),
        pen,
        items: items.into_iter().filter(|item| item.of == id).collect(),
        earlier,
        others: others.into_iter().map(|(_, row)| row).collect(),
        view,
    }))
}

/// Where somebody must act.
fn place(view: &ConversationView) -> Option<(String, &'static str)> {
    match view.doing {
        Doing::WaitingForUser => {}
        Doing::Escalated | Doing::Working | Doing::Idle => return None,
    }
    if !view.questions.is_empty() {
        return Some(("asked".to_owned(), "Answer"));
    }
    if let Some(proposal) = view.proposal {
        return Some((format!("plan-{proposal}"), "Review"));
    }
    let asks = view.workflows.iter().find(|workflow| workflow.tasks_waiting_for_people > 0)?;
    Some((format!("run-{}", asks.id), "Answer"))
}

/// Whether something is being done that can be stopped.
fn is_busy(view: &ConversationView) -> bool {
    view.planning || !view.questions.is_empty() || !view.workflows.is_empty()
}
