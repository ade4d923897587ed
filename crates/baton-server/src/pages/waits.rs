//! What a task that waits for a person's word stands on: the exact call to approve, or the budget that
//! ran out, read from its workflow's events.
//!
//! Whether a word is good, and what follows from it, is the machine's to say.

use baton_core::agent::Message;
use baton_core::body::BlobHash;
use baton_core::ids::{Ordinal, TaskId};
use baton_core::spoken::cut;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::TaskRow;
use baton_core::workflow::{Amount, AskedCall, BudgetScope, Event, TaskAnswered, Waiting};
use baton_engine::inbox::InboxItem;
use baton_engine::live::read_event;
use baton_engine::store::{Record, StoreError, Views};
use baton_engine::view::text_of;

use super::history::pretty;
use super::panel::Text;

/// How many events before its wait are looked at for the answer that asked for a call.
const EVENTS_MAX: usize = 400;
/// How many characters of the arguments are shown.
const ARGUMENTS_CHARS_MAX: usize = 20_000;
/// How many characters of what an agent said beside its call.
const WHY_CHARS_MAX: usize = 1_000;
/// How many hexadecimal digits of a digest are shown.
const DIGITS: usize = 12;

/// What a task waits on, beside what the inbox says of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Stands {
    /// One call.
    Call(Exact),
    /// A budget.
    Budget(Raise),
}

/// The one call that an approval is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// The tool, as the model wrote it.
    pub tool: String,
    /// Its arguments, in the canonical form that the digest is of, over lines.
    pub arguments: Text,
    /// What the agent said beside it; nothing where it only called.
    pub why: Option<String>,
    /// Of the tool and the arguments: an approval names it, and is good for no other call.
    pub digest: String,
    /// The beginning of it, for people.
    pub short: String,
    /// After this moment nobody is asked any more.
    pub until: Option<String>,
}

/// A budget that ran out, and what raises it as far as it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Whose it is, and how long more of it is good for.
    pub whose: &'static str,
    /// What can be granted: the name in the form, the unit, and what stands there at first.
    pub fields: Vec<(&'static str, &'static str, String)>,
}

/// The tasks of the workflow that was looked at last: what waits in one often waits together.
#[derive(Debug, Default)]
pub struct Looked {
    number: u64,
    rows: Vec<TaskRow>,
}

impl Looked {
    /// What a task of the inbox stands on; `None` where the inbox has said it all.
    pub fn stands(
        &mut self,
        item: &InboxItem,
        views: &mut dyn Views,
    ) -> Result<Option<Stands>, StoreError> {
        let Some((id, ordinal)) = item.task_id.and_then(TaskId::split) else { return Ok(None) };
        let Some((card, _)) = views.workflow(id)? else { return Ok(None) };
        if self.number != card.number {
            *self = Self { number: card.number, rows: views.tasks(card.number)? };
        }
        let row = self.rows.iter().find(|row| row.ordinal == ordinal && row.waits_for.is_some());
        let Some(record) = row.map(|row| record(row.position, self.number, views)).transpose()?
        else {
            return Ok(None);
        };
        let waited = record.as_ref().map(read_event).transpose()?;
        let (Some(record), Some(Event::TaskWaited(waited))) = (record, waited) else {
            return Ok(None);
        };
        match waited.on {
            Waiting::Approval { digest, until, .. } => {
                let exact = exact((&record, ordinal), (digest, until), views)?;
                Ok(exact.map(Stands::Call))
            }
            Waiting::Budget { scope, more, .. } => Ok(Some(Stands::Budget(raise(scope, more)))),
            Waiting::Person { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Timer { .. }
            | Waiting::Question { .. }
            | Waiting::Event { .. }
            | Waiting::Child { .. } => Ok(None),
        }
    }
}

/// The event of a workflow at a position.
fn record(position: u64, number: u64, views: &mut dyn Views) -> Result<Option<Record>, StoreError> {
    Ok(views.events(position.saturating_sub(1), Some(number), 1)?.into_iter().next())
}

/// The call of this digest, from the answer that asked for it.
fn exact(
    (waited, ordinal): (&Record, Ordinal),
    (digest, until): (BlobHash, Option<Timestamp>),
    views: &mut dyn Views,
) -> Result<Option<Exact>, StoreError> {
    let mut at = waited.previous;
    for _ in 0..EVENTS_MAX {
        let Some(before) = record(at, waited.stream, views)?.filter(|_| at > 0) else { break };
        if let Event::TaskAnswered(answered) = read_event(&before)?
            && let Some(call) = asked(&answered, ordinal).filter(|call| call.digest() == digest)
        {
            let arguments = visible(&pretty(&text_of(&call.input, views)?));
            let digest = digest.to_string();
            return Ok(Some(Exact {
                tool: call.tool.clone(),
                arguments: Text::bounded(&arguments, ARGUMENTS_CHARS_MAX),
                why: why(&answered, views)?,
                short: digest.get(..DIGITS).unwrap_or_default().to_owned(),
                digest,
                until: until.map(|until| until.to_string()),
            }));
        }
        at = before.previous;
    }
    Ok(None)
}

/// JSON in which nothing hides: what turns text around or takes no room is written as its escape.
fn visible(json: &str) -> String {
    let hides = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{7f}'..='\u{9f}')
    };
    json.chars().fold(String::with_capacity(json.len()), |mut all, c| {
        if hides(c) {
            all.push_str(&format!("\\u{:04x}", u32::from(c)))
        } else {
            all.push(c)
        }
        all
    })
}

/// The call that this task is, among those of an answer.
fn asked(answered: &TaskAnswered, ordinal: Ordinal) -> Option<&AskedCall> {
    let place = ordinal.0.checked_sub(answered.first?.0)?;
    answered.calls.get(usize::try_from(place).ok()?)
}

fn why(answered: &TaskAnswered, views: &mut dyn Views) -> Result<Option<String>, StoreError> {
    let damaged = |fault| StoreError::Corrupt(format!("a stored message: {fault}"));
    let message: Message =
        serde_json::from_str(text_of(&answered.message, views)?.as_str()).map_err(damaged)?;
    let text = message.text();
    let text = text.trim();
    Ok((!text.is_empty()).then(|| cut(text, WHY_CHARS_MAX)))
}

/// What is granted where nobody says how much: as much again as the budget had.
fn raise(scope: BudgetScope, more: Amount) -> Raise {
    let whose = match scope {
        BudgetScope::Workflow => "Raise this workflow’s budget by",
        BudgetScope::Agent => "Raise this agent’s own budget by",
        BudgetScope::Conversation => "Let this workflow go beyond the conversation’s budget by",
        BudgetScope::Parent => "Let this workflow go beyond its parent’s budget by",
        BudgetScope::User => "Let this workflow go beyond today’s budget of its user by",
        BudgetScope::Workspace => "Let this workflow go beyond today’s budget of all by",
    };
    let fields = [
        ("tokens", "tokens", (more.tokens > 0).then(|| more.tokens.to_string())),
        ("usd", "US dollars", (more.cost.as_pico() > 0).then(|| more.cost.to_string())),
        ("calls", "calls", (more.calls > 0).then(|| more.calls.to_string())),
    ];
    let bounded = |(name, unit, preset): (_, _, Option<String>)| Some((name, unit, preset?));
    Raise { whose, fields: fields.into_iter().filter_map(bounded).collect() }
}

#[cfg(test)]
mod tests {
    use baton_core::agent::Cost;

    use super::*;

    #[test]
    fn nothing_hides_in_what_is_approved() {
        let shown = visible("{ \"path\": \"\u{202e}txt.sh\u{200b}é\" }");
        assert_eq!(shown, "{ \"path\": \"\\u202etxt.sh\\u200bé\" }");
    }

    #[test]
    fn only_what_the_budget_bounds_can_be_granted() {
        let more = Amount { tokens: 10_000, cost: Cost::pico(500_000_000_000), calls: 0 };
        let raise = raise(BudgetScope::Workflow, more);
        let presets: Vec<_> =
            raise.fields.iter().map(|(name, _, preset)| (*name, preset.as_str())).collect();
        assert_eq!(presets, [("tokens", "10000"), ("usd", "0.50")]);
    }
}
