//! Sums of the books in memory: what the queries of [`usage`](crate::usage) add up in SQL.

use std::collections::BTreeMap;

use baton_core::agent::Spending;
use baton_core::ids::Ordinal;
use baton_core::words::UsageBy;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{UsageFilter, UsageKey, UsageOfTask};

use crate::sound::integer;

/// The sums asked for.
pub(crate) fn of<'a>(
    rows: impl Iterator<Item = &'a UsageRow>,
    filter: &UsageFilter,
) -> Vec<(UsageKey, Spending)> {
    let mut sums: BTreeMap<UsageKey, Spending> = BTreeMap::new();
    if filter.by.is_none() {
        sums.insert(UsageKey::Number(0), Spending::default());
    }
    for row in rows.filter(|row| is_wanted(row, filter)) {
        *sums.entry(key(row, filter.by)).or_default() += row.spending();
    }
    let mut sums: Vec<(UsageKey, Spending)> = sums.into_iter().collect();
    if let Some(after) = &filter.after {
        let newest_first = filter.by.is_some_and(UsageBy::is_newest_first);
        sums.retain(|(key, _)| if newest_first { key < after } else { key > after });
    }
    if filter.by.is_some_and(UsageBy::is_newest_first) {
        sums.reverse();
    }
    sums.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    sums
}

fn is_wanted(row: &UsageRow, filter: &UsageFilter) -> bool {
    let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|it| it == name);
    let day = row.day();
    filter.from_day.is_none_or(|from| day >= from)
        && filter.until_day.is_none_or(|until| day <= until)
        && (filter.workflows.is_empty() || filter.workflows.contains(&row.number))
        && is(&filter.model, &row.model)
        && is(&filter.agent, &row.agent)
        && is(&filter.user, &row.user)
        && filter.conversation.is_none_or(|id| id == row.conversation)
        && filter.until_position.is_none_or(|until| row.position <= until)
}

fn key(row: &UsageRow, by: Option<UsageBy>) -> UsageKey {
    match by {
        None => UsageKey::Number(0),
        Some(UsageBy::Day) => UsageKey::Number(row.day()),
        Some(UsageBy::Workflow) => UsageKey::Number(integer(row.number)),
        Some(UsageBy::Model) => UsageKey::Name(row.model.clone()),
        Some(UsageBy::Agent) => UsageKey::Name(row.agent.clone()),
        Some(UsageBy::Task) => UsageKey::Name(row.task.clone()),
        Some(UsageBy::User) => UsageKey::Name(row.user.clone()),
        Some(UsageBy::Conversation) => UsageKey::Id(*row.conversation.as_bytes()),
    }
}

/// What the tasks of one workflow used.
pub(crate) fn of_tasks(rows: &[UsageRow]) -> Vec<UsageOfTask> {
    let mut sums: BTreeMap<(Ordinal, Ordinal), Spending> = BTreeMap::new();
    for row in rows {
        *sums.entry((row.ordinal, row.of)).or_default() += row.spending();
    }
    let of = |((ordinal, of), spending)| UsageOfTask { ordinal, of, spending };
    sums.into_iter().map(of).collect()
}
