//! The queries of the books, for any SQL store: rows, and sums of them by one column.
//!
//! What a column means, and which sums are asked for, is the engine's.

use std::fmt::Write as _;

use baton_core::agent::{AtMost, Cost, Spending, Usage};
use baton_core::ids::{ConversationId, Ordinal};
use baton_core::words::UsageBy;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{UsageFilter, UsageKey, UsageOfTask};

use crate::listing::Value;
use crate::rows::Cells;
use crate::sound::integer;

/// The columns of [`row`], in its order.
pub(crate) const USAGE: &str = "position, number, ordinal, of, task, attempt, agent, model, \
    started_by, conversation, at, billing, input_tokens, cached_tokens, cache_write_tokens, \
    output_tokens, reasoning_tokens, cost, reserved_tokens, reserved_cost";

/// The columns of [`spending`], in its order. A cost is added up in two halves: the sum of many may be
/// more than a column holds. What was reserved counts for calls that were cut off: they have no tokens.
const SUMS: &str = "count(*), count(*) - count(input_tokens), count(*) - count(cost), \
    CAST(coalesce(sum(input_tokens), 0) AS bigint), \
    CAST(coalesce(sum(cached_tokens), 0) AS bigint), \
    CAST(coalesce(sum(cache_write_tokens), 0) AS bigint), \
    CAST(coalesce(sum(output_tokens), 0) AS bigint), \
    CAST(coalesce(sum(reasoning_tokens), 0) AS bigint), \
    CAST(coalesce(sum(cost >> 32), 0) AS bigint), \
    CAST(coalesce(sum(cost & 4294967295), 0) AS bigint), \
    CAST(coalesce(sum(CASE WHEN input_tokens IS NULL THEN reserved_tokens END), 0) AS bigint), \
    CAST(coalesce(sum(CASE WHEN input_tokens IS NULL THEN reserved_cost >> 32 END), 0) AS bigint), \
    CAST(coalesce(sum(CASE WHEN input_tokens IS NULL THEN reserved_cost & 4294967295 END), 0) \
        AS bigint), \
    count(CASE WHEN input_tokens IS NULL THEN reserved_cost END)";

/// A row of the books.
pub(crate) fn row<'row, C: Cells<'row>>(cells: &mut C) -> Result<UsageRow, C::Fault> {
    Ok(UsageRow {
        position: cells.number()?,
        number: cells.number()?,
        ordinal: Ordinal(cells.number()?),
        of: Ordinal(cells.number()?),
        task: cells.text()?.to_owned(),
        attempt: cells.number()?,
        agent: cells.text()?.to_owned(),
        model: cells.text()?.to_owned(),
        user: cells.text()?.to_owned(),
        conversation: ConversationId::from_bytes(cells.bytes()?),
        at: cells.time()?,
        billing: cells.code()?,
        used: used(cells)?,
        cost: cells.maybe_number()?.map(Cost::pico),
        reserved_tokens: cells.maybe_number()?,
        reserved_cost: cells.maybe_number()?.map(Cost::pico),
    })
}

fn used<'row, C: Cells<'row>>(cells: &mut C) -> Result<Option<Usage>, C::Fault> {
    let mut tokens = || cells.maybe_number::<u64>();
    let input = tokens()?;
    let (cached, cache_write) = (tokens()?, tokens()?);
    let (output, reasoning) = (tokens()?, tokens()?);
    Ok(input.map(|input_tokens| Usage {
        input_tokens,
        cached_tokens: cached.unwrap_or(0),
        cache_write_tokens: cache_write.unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        reasoning_tokens: reasoning.unwrap_or(0),
    }))
}

fn spending<'row, C: Cells<'row>>(cells: &mut C) -> Result<Spending, C::Fault> {
    Ok(Spending {
        calls: cells.number()?,
        possibly_billed: cells.number()?,
        unpriced: cells.number()?,
        usage: Usage {
            input_tokens: cells.number()?,
            cached_tokens: cells.number()?,
            cache_write_tokens: cells.number()?,
            output_tokens: cells.number()?,
            reasoning_tokens: cells.number()?,
        },
        cost: cost(cells)?,
        at_most: AtMost { tokens: cells.number()?, cost: cost(cells)?, priced: cells.number()? },
    })
}

/// Of its two halves.
fn cost<'row, C: Cells<'row>>(cells: &mut C) -> Result<Cost, C::Fault> {
    let (high, low): (u64, u64) = (cells.number()?, cells.number()?);
    Ok(Cost::pico(high.saturating_mul(1 << 32).saturating_add(low)))
}

/// The sums of the tasks of the workflow `{p}1`, by ordinal.
pub(crate) fn of_tasks(p: char) -> String {
    format!(
        "SELECT ordinal, of, {SUMS} FROM usage WHERE number = {p}1 GROUP BY ordinal, of \
         ORDER BY ordinal, of"
    )
}

/// A row of [`of_tasks`].
pub(crate) fn task<'row, C: Cells<'row>>(cells: &mut C) -> Result<UsageOfTask, C::Fault> {
    let (ordinal, of) = (Ordinal(cells.number()?), Ordinal(cells.number()?));
    Ok(UsageOfTask { ordinal, of, spending: spending(cells)? })
}

/// The query that yields the sums asked for, and its values.
pub(crate) fn sums(filter: &UsageFilter, p: char) -> (String, Vec<Value>) {
    let (mut values, mut terms) = (vec![Value::Integer(i64::from(filter.limit))], String::new());
    let column = filter.by.map_or("CAST(0 AS bigint)", column);
    let (order, behind) = match filter.by.is_some_and(UsageBy::is_newest_first) {
        true => ("DESC", "<"),
        false => ("ASC", ">"),
    };
    for (term, value) in wanted(filter) {
        values.push(value);
        // Writing to a string does not fail.
        let _ = write!(terms, " AND {term} {p}{}", values.len());
    }
    if let Some(after) = &filter.after {
        values.push(value(after));
        let _ = write!(terms, " AND {column} {behind} {p}{}", values.len());
    }
    if !filter.workflows.is_empty() {
        let first = values.len() + 1;
        let places = (first..first + filter.workflows.len()).map(|at| format!("{p}{at}"));
        let _ = write!(terms, " AND number IN ({})", places.collect::<Vec<_>>().join(", "));
        values.extend(filter.workflows.iter().map(|number| Value::Integer(integer(*number))));
    }
    let group = filter.by.map_or(String::new(), |_| format!("GROUP BY {column}"));
    let sql = format!(
        "SELECT {column}, {SUMS} FROM usage WHERE TRUE{terms} {group} ORDER BY 1 {order} LIMIT {p}1"
    );
    (sql, values)
}

/// What each row must be, but for the number of its workflow.
fn wanted(filter: &UsageFilter) -> Vec<(&'static str, Value)> {
    let name = |text: &String| Value::Text(text.clone());
    let terms = [
        ("day >=", filter.from_day.map(Value::Integer)),
        ("day <=", filter.until_day.map(Value::Integer)),
        ("model =", filter.model.as_ref().map(name)),
        ("agent =", filter.agent.as_ref().map(name)),
        ("started_by =", filter.user.as_ref().map(name)),
        ("conversation =", filter.conversation.map(|id| Value::Bytes(id.as_bytes().to_vec()))),
        ("position <=", filter.until_position.map(|position| Value::Integer(integer(position)))),
    ];
    terms.into_iter().filter_map(|(term, value)| Some((term, value?))).collect()
}

fn column(by: UsageBy) -> &'static str {
    match by {
        UsageBy::Day => "day",
        UsageBy::Model => "model",
        UsageBy::Agent => "agent",
        UsageBy::Task => "task",
        UsageBy::Workflow => "number",
        UsageBy::Conversation => "conversation",
        UsageBy::User => "started_by",
    }
}

fn value(key: &UsageKey) -> Value {
    match key {
        UsageKey::Number(number) => Value::Integer(*number),
        UsageKey::Name(name) => Value::Text(name.clone()),
        UsageKey::Id(id) => Value::Bytes(id.to_vec()),
    }
}

/// A row of [`sums`].
pub(crate) fn sum<'row, C: Cells<'row>>(
    by: Option<UsageBy>,
    cells: &mut C,
) -> Result<(UsageKey, Spending), C::Fault> {
    let key = match by {
        None | Some(UsageBy::Day | UsageBy::Workflow) => UsageKey::Number(cells.integer()?),
        Some(UsageBy::Model | UsageBy::Agent | UsageBy::Task | UsageBy::User) => {
            UsageKey::Name(cells.text()?.to_owned())
        }
        Some(UsageBy::Conversation) => UsageKey::Id(cells.bytes()?),
    };
    Ok((key, spending(cells)?))
}
