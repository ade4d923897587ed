//! Usage as every surface shows it: of one workflow, and added up by day, model, agent and whom it
//! served.
//!
//! What is booked is core's, and how rows are added up a store's; nothing here calls a model.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::agent::{Cost, Spending};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::spoken::{grouped, many};
use baton_core::time::{DAY_MS, Timestamp};
use baton_core::words::UsageBy;
use baton_core::workflow::rows::WorkflowRow;
use baton_core::workflow::usage::day_of;
use serde::{Deserialize, Serialize};

use crate::store::{StoreError, UsageFilter, UsageKey, Views};

/// The most workflows whose usage is asked for at once.
const WORKFLOWS_AT_ONCE: usize = 500;

/// What calls of models used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// All tokens that providers counted.
    pub tokens: u64,
    /// Those that were read.
    pub input_tokens: u64,
    /// Of these, tokens that a provider had in its cache.
    pub cached_tokens: u64,
    /// Of these, tokens that a provider put into its cache.
    pub cache_write_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// Of these, tokens of reasoning.
    pub reasoning_tokens: u64,
    /// What is known of the cost; absent where something was called and nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Cost>,
    /// Whether some calls are not in `cost_usd`: cut off, or of a model without a price.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cost_is_partial: bool,
    /// Calls of models.
    pub calls: u64,
    /// Of these, calls that were cut off: what they used is not in the tokens.
    pub possibly_billed_calls: u64,
    /// What these may have used at most.
    pub possibly_billed_tokens_max: u64,
    /// What these may have cost at most; absent where none was cut off, or the price of one is not
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possibly_billed_cost_max: Option<Cost>,
}

impl From<Spending> for Spent {
    fn from(spending: Spending) -> Self {
        let used = spending.usage;
        Self {
            tokens: used.tokens(),
            input_tokens: used.input_tokens,
            cached_tokens: used.cached_tokens,
            cache_write_tokens: used.cache_write_tokens,
            output_tokens: used.output_tokens,
            reasoning_tokens: used.reasoning_tokens,
            cost_usd: spending.known_cost(),
            cost_is_partial: spending.is_partial(),
            calls: spending.calls,
            possibly_billed_calls: spending.possibly_billed,
            possibly_billed_tokens_max: spending.at_most.tokens,
            possibly_billed_cost_max: spending.possible_cost(),
        }
    }
}

impl Spent {
    /// In a line: `12,000 tokens in 4 calls, $0.04`; nothing where nothing was called.
    pub fn line(&self) -> Option<String> {
        if self.calls == 0 {
            return None;
        }
        let cut_off = match self.possibly_billed_calls {
            0 => String::new(),
            calls => format!(" ({} cut off, possibly billed)", grouped(calls)),
        };
        let (tokens, calls) = (many(self.tokens, "token"), many(self.calls, "call"));
        Some(format!("{tokens} in {calls}{cut_off}, {}", self.cost_line()))
    }

    /// The cost: `$0.04`, `at least $0.04`, `cost unknown`.
    pub fn cost_line(&self) -> String {
        match (self.cost_usd, self.cost_is_partial) {
            (None, _) => "cost unknown".to_owned(),
            (Some(cost), true) => format!("at least ${cost}"),
            (Some(cost), false) => format!("${cost}"),
        }
    }
}

/// What a workflow used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of models.
    #[serde(flatten)]
    pub spent: Spent,
    /// Milliseconds from the start of its first run to its end, or to the newest event.
    pub time_ms: u64,
}

impl Usage {
    /// Of a workflow up to a moment.
    pub fn until(at: Timestamp, row: &WorkflowRow, spending: Spending) -> Self {
        let span = row.started_at.map_or(Duration::ZERO, |started| at.since(started));
        let time_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { spent: spending.into(), time_ms }
    }
}

/// What a workflow used of models; up to and with a position where one is given.
pub fn spending_of(
    number: u64,
    until_position: Option<u64>,
    views: &mut dyn Views,
) -> Result<Spending, StoreError> {
    let workflows = vec![number];
    let filter = UsageFilter { workflows, until_position, limit: 1, ..UsageFilter::default() };
    Ok(views.usage(&filter)?.first().map(|(_, sum)| *sum).unwrap_or_default())
}

/// What all workflows of a conversation used of models.
pub fn spending_of_conversation(
    conversation: ConversationId,
    views: &mut dyn Views,
) -> Result<Spending, StoreError> {
    let filter =
        UsageFilter { conversation: Some(conversation), limit: 1, ..UsageFilter::default() };
    Ok(views.usage(&filter)?.first().map(|(_, sum)| *sum).unwrap_or_default())
}

/// What each of these workflows used of models; those that used nothing are not there.
pub(crate) fn spending_of_each(
    numbers: &[u64],
    views: &mut dyn Views,
) -> Result<BTreeMap<u64, Spending>, StoreError> {
    let mut found = BTreeMap::new();
    for some in numbers.chunks(WORKFLOWS_AT_ONCE) {
        let by = Some(UsageBy::Workflow);
        let workflows = some.to_vec();
        let filter = UsageFilter { by, workflows, limit: u32::MAX, ..UsageFilter::default() };
        for (key, sum) in views.usage(&filter)? {
            found.extend(key.number().map(|number| (number, sum)));
        }
    }
    Ok(found)
}

/// What is asked of the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// By what.
    pub by: Option<UsageBy>,
    /// From this day on: `2026-11-21`.
    pub from: Option<String>,
    /// Up to and with this day.
    pub to: Option<String>,
    /// Only of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Only of this conversation.
    pub conversation: Option<ConversationId>,
    /// Only of this model.
    pub model: Option<String>,
    /// Only of this agent.
    pub agent: Option<String>,
    /// Only of workflows that this actor started: `user:ada`.
    pub user: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// At most this many lines.
    pub limit: u32,
}

/// Sums of the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// What they are by.
    pub by: UsageBy,
    /// A line for each.
    pub items: Vec<UsageLine>,
    /// All that the filters leave, on every page.
    pub total: Spent,
    /// For the next page; absent on the last.
    pub next_cursor: Option<String>,
}

/// One sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLine {
    /// Of what: a day, the name of a model, an agent or a task, an actor, the id of a workflow or of a
    /// conversation.
    pub key: String,
    /// The definition's name, of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it used.
    #[serde(flatten)]
    pub spent: Spent,
}

/// What is asked cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageFault {
    /// A day is not written like one. Which parameter, and what it says.
    NoDay(&'static str, String),
    /// The cursor is not of this list.
    NoCursor,
    /// There is no such workflow.
    NoWorkflow(WorkflowId),
    /// The store did not answer.
    Store(StoreError),
}

impl std::fmt::Display for UsageFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDay(name, text) => {
                write!(f, "`{name}` is {text:?}; write a day in UTC like 2026-11-21")
            }
            Self::NoCursor => f.write_str(
                "`cursor` is not a `next_cursor` of this list; leave it out to start anew",
            ),
            Self::NoWorkflow(id) => write!(f, "there is no workflow {id}"),
            Self::Store(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for UsageFault {}

impl From<StoreError> for UsageFault {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

/// Answers what is asked of the books; by day where nothing is said.
pub fn usage(query: &UsageQuery, views: &mut dyn Views) -> Result<UsageReport, UsageFault> {
    let by = query.by.unwrap_or(UsageBy::Day);
    let filter = filter_of(query, views)?;
    let total = views.usage(&UsageFilter { limit: 1, ..filter.clone() })?;
    let total = total.first().map(|(_, sum)| *sum).unwrap_or_default();
    let after = query.cursor.as_deref().map(|text| key_of(by, text).ok_or(UsageFault::NoCursor));
    let (limit, after) = (query.limit.saturating_add(1), after.transpose()?);
    let mut sums = views.usage(&UsageFilter { by: Some(by), limit, after, ..filter })?;
    let has_more = sums.len() > query.limit as usize;
    sums.truncate(query.limit as usize);
    let next_cursor = sums.last().filter(|_| has_more).map(|(key, _)| cursor_of(by, key));
    let mut items = Vec::with_capacity(sums.len());
    for (key, sum) in sums {
        items.push(line(by, &key, sum, views)?);
    }
    Ok(UsageReport { by, items, total: total.into(), next_cursor })
}

fn filter_of(query: &UsageQuery, views: &mut dyn Views) -> Result<UsageFilter, UsageFault> {
    let day = |name, text: &Option<String>| {
        let read =
            |text: &String| day_in(text).ok_or_else(|| UsageFault::NoDay(name, text.clone()));
        text.as_ref().map(read).transpose()
    };
    let workflows = match query.workflow {
        None => Vec::new(),
        Some(id) => {
            let (card, _) = views.workflow(id)?.ok_or(UsageFault::NoWorkflow(id))?;
            vec![card.number]
        }
    };
    Ok(UsageFilter {
        from_day: day("from", &query.from)?,
        until_day: day("to", &query.to)?,
        workflows,
        model: query.model.clone(),
        agent: query.agent.clone(),
        user: query.user.clone(),
        conversation: query.conversation,
        ..UsageFilter::default()
    })
}

fn line(
    by: UsageBy,
    key: &UsageKey,
    sum: Spending,
    views: &mut dyn Views,
) -> Result<UsageLine, StoreError> {
    let mut line = UsageLine { key: cursor_of(by, key), name: None, spent: sum.into() };
    if by == UsageBy::Workflow
        && let Some(id) = key.number().map(|number| views.id_of(number)).transpose()?.flatten()
    {
        line.key = id.to_string();
        line.name = views.workflow(id)?.map(|(card, _)| card.name);
    }
    Ok(line)
}

impl UsageKey {
    /// The number of a workflow.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            Self::Name(_) | Self::Id(_) => None,
        }
    }
}

/// A key as a cursor, and but for workflows as it is shown.
fn cursor_of(by: UsageBy, key: &UsageKey) -> String {
    match key {
        UsageKey::Number(day) if by == UsageBy::Day => day_text(*day),
        UsageKey::Number(number) => number.to_string(),
        UsageKey::Name(name) => name.clone(),
        UsageKey::Id(id) => ConversationId::from_bytes(*id).to_string(),
    }
}

fn key_of(by: UsageBy, text: &str) -> Option<UsageKey> {
    match by {
        UsageBy::Day => day_in(text).map(UsageKey::Number),
        UsageBy::Workflow => text.parse().ok().map(UsageKey::Number),
        UsageBy::Model | UsageBy::Agent | UsageBy::Task | UsageBy::User => {
            Some(UsageKey::Name(text.to_owned()))
        }
        UsageBy::Conversation => {
            text.parse().ok().map(|id: ConversationId| UsageKey::Id(*id.as_bytes()))
        }
    }
}

/// A day in UTC as it is written: days since 1970.
fn day_in(text: &str) -> Option<i64> {
    let at: Timestamp = format!("{text}T00:00:00Z").parse().ok()?;
    let day = day_of(at);
    (day_text(day) == text).then_some(day)
}

fn day_text(day: i64) -> String {
    let at = Timestamp::from_millis(day.saturating_mul(DAY_MS)).to_string();
    at.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_it_is_written() {
        for (text, day) in [("1970-01-01", 0), ("2026-11-21", 20_778), ("1969-12-31", -1)] {
            assert_eq!((day_in(text), day_text(day)), (Some(day), text.to_owned()));
        }
        for wrong in ["", "today", "2026-11-31", "2026-1-2", "2026-11-21T10:00:00Z", "20261121"] {
            assert_eq!(day_in(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_and_not_shown_as_nothing() {
        let used = baton_core::agent::Usage { input_tokens: 12_000, ..Default::default() };
        let known = Spending::of_call(Some(used), Some(Cost::pico(40_000_000_000)));
        let line = |calls: &[Spending]| Spent::from(calls.iter().copied().sum::<Spending>()).line();
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[known]).as_deref(), Some("12,000 tokens in 1 call, $0.04"));
        let unpriced = Spending::of_call(Some(used), None);
        assert_eq!(line(&[unpriced]).as_deref(), Some("12,000 tokens in 1 call, cost unknown"));
        let cut_off = Spending::of_call(None, None);
        let both = "12,000 tokens in 2 calls (1 cut off, possibly billed), at least $0.04";
        assert_eq!(line(&[known, cut_off]).as_deref(), Some(both));
        let json = serde_json::to_value(Usage { spent: unpriced.into(), time_ms: 3 });
        let json = json.expect("written");
        assert_eq!((json.get("cost_usd"), &json["cost_is_partial"]), (None, &true.into()));
        assert_eq!((&json["tokens"], &json["time_ms"]), (&12_000.into(), &3.into()));
    }
}
