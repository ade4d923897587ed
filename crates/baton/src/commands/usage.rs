//! `usage`: what calls of models used, added up.

use baton_core::ids::WorkflowId;
use baton_core::spoken::{cut, grouped, many};
use baton_engine::usage::{Spent, UsageLine, UsageQuery};

use crate::cli::{Common, Usage};
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::reading::{Reading, find_workflow};
use crate::session;
use crate::text::clean;

/// How wide the first column is.
const KEY_CHARS: usize = 36;

/// Shows what was used; as JSON one value, with the lines in `items`.
pub fn usage(common: &Common, asked: &Usage) -> anyhow::Result<Exit> {
    let mut reading = session::read(common)?;
    let query = query(asked, reading.as_mut())?;
    let report = reading.usage(&query)?;
    if common.json {
        say_out(&serde_json::to_string(&report)?);
        return Ok(Exit::Done);
    }
    if report.items.is_empty() {
        say("no calls of models are booked");
        return Ok(Exit::Done);
    }
    let by = report.by.to_string().to_uppercase();
    say_out(&format!(
        "{by:<KEY_CHARS$}  {:>7}  {:>13}  {:>13}  {:>13}  {}",
        "CALLS", "INPUT", "CACHED", "OUTPUT", "COST"
    ));
    report.items.iter().for_each(|line| say_out(&text(&key(line), &line.spent)));
    if report.next_cursor.is_some() {
        say(&format!("… and more behind the first {}; --limit shows more", asked.limit));
    }
    say_out(&text("total", &report.total));
    if report.total.possibly_billed_calls > 0 {
        let calls = many(report.total.possibly_billed_calls, "call");
        say(&format!("{calls} cut off, possibly billed: what they used is not known"));
    }
    Ok(Exit::Done)
}

fn query(asked: &Usage, reading: &mut dyn Reading) -> anyhow::Result<UsageQuery> {
    let find = |named: &String| find_workflow(reading, named).map(|workflow| workflow.id);
    let workflow: Option<WorkflowId> = asked.workflow.as_ref().map(find).transpose()?;
    Ok(UsageQuery {
        by: asked.by,
        from: asked.from.clone(),
        to: asked.to.clone(),
        workflow,
        conversation: asked.conversation,
        model: asked.model.clone(),
        agent: asked.agent.clone(),
        user: asked.user.clone(),
        cursor: None,
        limit: asked.limit,
    })
}

fn key(line: &UsageLine) -> String {
    match &line.name {
        Some(name) => format!("{} {}", line.key, clean(name)),
        None => clean(&line.key),
    }
}

fn text(key: &str, spent: &Spent) -> String {
    format!(
        "{:<KEY_CHARS$}  {:>7}  {:>13}  {:>13}  {:>13}  {}",
        cut(key, 60),
        grouped(spent.calls),
        grouped(spent.input_tokens),
        grouped(spent.cached_tokens),
        grouped(spent.output_tokens),
        spent.cost_line(),
    )
}
