//! The page of the books: what calls of models used, by day, model, agent, workflow or user; the same
//! sums that the API and the command line show.
//!
//! It adds nothing up itself, and rounds nothing.

use baton_core::agent::Cost;
use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::spoken::{cut, grouped};
use baton_core::words::UsageBy;
use baton_engine::store::Views;
use baton_engine::usage::{Spent, UsageFault, UsageLine, UsageQuery, UsageReport, usage};
use serde::Deserialize;

use super::spending::is_scripted;
use crate::http::{Problem, ProblemCode};

/// How many lines a page has.
const LINES_MAX: u32 = 60;
/// How many characters of a key are shown.
const KEY_CHARS_MAX: usize = 120;
/// The fewest decimals of a sum of money.
const DECIMALS_MIN: usize = 2;

/// The address of the page. What a form left empty is not asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    workflow: Option<String>,
    cursor: Option<String>,
}

/// What the page shows.
#[derive(Debug, Default)]
pub struct Books {
    /// What of the address is not understood, for people.
    pub fault: Option<String>,
    /// What the sums can be by.
    pub tabs: Vec<Tab>,
    /// What the address asks for, as forms carry it on.
    pub by: &'static str,
    /// From this day on; empty where none is asked for.
    pub from: String,
    /// Up to and with this day.
    pub to: String,
    /// The workflow that is looked at alone: its id and its name.
    pub workflow: Option<(WorkflowId, String)>,
    /// What the first column has.
    pub heading: &'static str,
    /// The sums.
    pub lines: Vec<Line>,
    /// The sum of all, on every page.
    pub total: Line,
    /// The cursor of what comes behind these.
    pub more: Option<String>,
    /// Whether it asks for a part of the books only.
    pub is_part: bool,
}

/// One way to look at the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// What it is called.
    pub name: &'static str,
    /// The query of its address.
    pub query: String,
    /// Whether it is this one.
    pub is_open: bool,
}

/// One sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Of what.
    pub key: String,
    /// What stands small beside it: the id of a workflow.
    pub beside: Option<String>,
    /// Where it leads, beneath the root.
    pub leads_to: Option<String>,
    /// Whether no model was asked, but a file.
    pub is_scripted: bool,
    /// Calls of models.
    pub calls: String,
    /// How many of them were cut off.
    pub cut_off: Option<String>,
    /// Tokens that were read.
    pub input: String,
    /// Of these, tokens from a provider's cache.
    pub cached: String,
    /// Tokens that were written.
    pub output: String,
    /// What is known of the cost.
    pub cost: Money,
}

/// A sum of money, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Money {
    /// Nothing is known.
    #[default]
    Unknown,
    /// This, and what is not known.
    AtLeast(String),
    /// This.
    Exactly(String),
}

/// Reads the page. What is not understood of the address is said, and the rest of it answered.
pub(super) fn read(asked: Asked, views: &mut dyn Views) -> Result<Books, Problem> {
    let (query, mut faults) = query(asked);
    let (query, report) = match usage(&query, views) {
        Ok(report) => (query, report),
        Err(why @ (UsageFault::NoDay(..) | UsageFault::NoCursor | UsageFault::NoWorkflow(_))) => {
            faults.push(why.to_string());
            let all = UsageQuery { by: query.by, limit: LINES_MAX, ..UsageQuery::default() };
            let report = usage(&all, views).map_err(refused)?;
            (all, report)
        }
        Err(down @ UsageFault::Store(_)) => return Err(refused(down)),
    };
    let found = query.workflow.map(|id| views.workflow(id)).transpose()?.flatten();
    let name = found.map(|(card, _)| card.name);
    let fault = (!faults.is_empty()).then(|| faults.join("; "));
    Ok(Books { fault, ..books(query, report, name) })
}

/// What is asked of the books, and what of it is not understood.
fn query(asked: Asked) -> (UsageQuery, Vec<String>) {
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let mut faults = Vec::new();
    let by = filled(asked.by).and_then(|word| {
        let read = word.parse::<UsageBy>();
        read.map_err(|unknown| faults.push(unknown.to_string())).ok()
    });
    let workflow = filled(asked.workflow).and_then(|text| {
        let said = "this is no id of a workflow, so all are shown";
        text.parse::<WorkflowId>().map_err(|_| faults.push(said.to_owned())).ok()
    });
    let (from, to, cursor) = (filled(asked.from), filled(asked.to), filled(asked.cursor));
    let limit = LINES_MAX;
    (UsageQuery { by, from, to, workflow, cursor, limit, ..UsageQuery::default() }, faults)
}

fn refused(fault: UsageFault) -> Problem {
    match fault {
        UsageFault::Store(fault) => fault.into(),
        why @ (UsageFault::NoDay(..) | UsageFault::NoCursor | UsageFault::NoWorkflow(_)) => {
            Problem::new(ProblemCode::InvalidRequest, why.to_string())
        }
    }
}

fn books(query: UsageQuery, report: UsageReport, name: Option<String>) -> Books {
    // These are days and an id by now, which an address takes as they are.
    let part = |name: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("&{name}={value}"))
    };
    let id = query.workflow.map(|id| id.to_string());
    let days = format!("{}{}", part("from", query.from.clone()), part("to", query.to.clone()));
    let rest = format!("{days}{}", part("workflow", id));
    let tab = |by: &UsageBy| Tab {
        name: name_of(*by),
        query: format!("?by={by}{rest}"),
        is_open: *by == report.by,
    };
    let decimals = report.items.iter().map(|line| &line.spent).chain([&report.total]);
    let decimals = decimals.filter_map(|spent| spent.cost_usd).map(decimals_of);
    let decimals = decimals.max().unwrap_or(DECIMALS_MIN);
    let line = |item: &UsageLine| Line {
        leads_to: leads_to(report.by, &item.key),
        is_scripted: report.by == UsageBy::Model && is_scripted(&item.key),
        beside: item.name.as_ref().map(|_| item.key.clone()),
        key: cut(item.name.as_ref().unwrap_or(&item.key), KEY_CHARS_MAX),
        ..Line::of(&item.spent, decimals)
    };
    Books {
        fault: None,
        tabs: shown(query.workflow).iter().map(tab).collect(),
        by: report.by.word(),
        heading: name_of(report.by),
        lines: report.items.iter().map(line).collect(),
        total: Line::of(&report.total, decimals),
        is_part: query.workflow.is_some()
            || query.from.is_some()
            || query.to.is_some()
            || query.cursor.is_some(),
        workflow: query.workflow.zip(name),
        from: query.from.unwrap_or_default(),
        to: query.to.unwrap_or_default(),
        more: report.next_cursor,
    }
}

/// What sums can be by; of one workflow also by its tasks.
fn shown(workflow: Option<WorkflowId>) -> &'static [UsageBy] {
    match workflow {
        Some(_) => &[UsageBy::Task, UsageBy::Agent, UsageBy::Model, UsageBy::Day],
        None => &[UsageBy::Day, UsageBy::Model, UsageBy::Agent, UsageBy::Workflow, UsageBy::User],
    }
}

fn name_of(by: UsageBy) -> &'static str {
    match by {
        UsageBy::Day => "Day (UTC)",
        UsageBy::Model => "Model",
        UsageBy::Agent => "Agent",
        UsageBy::Task => "Task",
        UsageBy::Workflow => "Workflow",
        UsageBy::Conversation => "Conversation",
        UsageBy::User => "User",
    }
}

/// A day leads to its models, a workflow to its page.
fn leads_to(by: UsageBy, key: &str) -> Option<String> {
    match by {
        UsageBy::Day => Some(format!("usage?by=model&from={key}&to={key}")),
        UsageBy::Workflow => Some(format!("workflows/{key}")),
        UsageBy::Model | UsageBy::Agent | UsageBy::Task | UsageBy::Conversation | UsageBy::User => {
            None
        }
    }
}

impl Line {
    fn of(spent: &Spent, decimals: usize) -> Self {
        let cut_off = spent.possibly_billed_calls;
        Self {
            calls: grouped(spent.calls),
            cut_off: (cut_off > 0).then(|| format!("{} cut off", grouped(cut_off))),
            input: grouped(spent.input_tokens),
            cached: grouped(spent.cached_tokens),
            output: grouped(spent.output_tokens),
            cost: Money::of(spent, decimals),
            ..Self::default()
        }
    }
}

impl Money {
    fn of(spent: &Spent, decimals: usize) -> Self {
        match (spent.cost_usd, spent.cost_is_partial) {
            (None, _) => Self::Unknown,
            (Some(cost), true) => Self::AtLeast(aligned(cost, decimals)),
            (Some(cost), false) => Self::Exactly(aligned(cost, decimals)),
        }
    }
}

fn decimals_of(cost: Cost) -> usize {
    cost.to_string().split('.').nth(1).map_or(0, str::len)
}

/// With as many decimals as the others have, so that digits stand beneath their like.
fn aligned(cost: Cost, decimals: usize) -> String {
    let missing = decimals.saturating_sub(decimals_of(cost));
    format!("${cost}{}", "0".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(cost: Option<u64>) -> Spent {
        Spent { calls: 1, cost_usd: cost.map(Cost::pico), ..Spent::default() }
    }

    fn report(by: UsageBy, sums: &[(&str, Option<u64>)]) -> UsageReport {
        let line = |(key, cost): &(&str, Option<u64>)| UsageLine {
            key: (*key).to_owned(),
            name: None,
            spent: spent(*cost),
        };
        let (items, total) = (sums.iter().map(line).collect(), spent(Some(0)));
        UsageReport { by, items, total, next_cursor: None }
    }

    #[test]
    fn sums_of_money_stand_beneath_one_another() {
        let sums = [("a/b", Some(3_210_000)), ("a/c", Some(1_500_000_000_000)), ("a/d", None)];
        let books = books(UsageQuery::default(), report(UsageBy::Model, &sums), None);
        let costs: Vec<_> = books.lines.into_iter().map(|line| line.cost).collect();
        let exactly = |text: &str| Money::Exactly(text.to_owned());
        assert_eq!(costs, [exactly("$0.00000321"), exactly("$1.50000000"), Money::Unknown]);
    }

    #[test]
    fn what_was_asked_for_is_carried_on() {
        let (from, id) = ("2026-11-01".to_owned(), "0190a5b0-0000-7000-8000-000000000001");
        let asked = Asked {
            from: Some(from),
            to: Some(" ".to_owned()),
            workflow: Some(id.to_owned()),
            ..Asked::default()
        };
        let (query, faults) = query(asked);
        assert!(faults.is_empty());
        let books = books(query, report(UsageBy::Task, &[]), Some("odd".to_owned()));
        let queries: Vec<_> = books.tabs.iter().map(|tab| tab.query.as_str()).collect();
        assert_eq!(queries[1], format!("?by=agent&from=2026-11-01&workflow={id}"));
        assert!(books.is_part && books.tabs.iter().filter(|tab| tab.is_open).count() == 1);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let asked = Asked {
            by: Some("<b>".to_owned()),
            workflow: Some("x".to_owned()),
            ..Asked::default()
        };
        let (query, faults) = query(asked);
        assert_eq!((query.by, query.workflow, faults.len()), (None, None, 2));
    }

    #[test]
    fn a_file_of_answers_is_no_model() {
        let sums = [("scripted/desk", None), ("openai/x", None)];
        let books = books(UsageQuery::default(), report(UsageBy::Model, &sums), None);
        let scripted: Vec<_> = books.lines.iter().map(|line| line.is_scripted).collect();
        assert_eq!(scripted, [true, false]);
    }
}
