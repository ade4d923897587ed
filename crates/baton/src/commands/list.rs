//! `list`, `inbox`: what there is, a line each.

use baton_core::codes::Code;
use baton_core::spoken::cut;
use baton_core::time::Timestamp;
use baton_core::words::{HumanKind, WaitReason};
use baton_core::workflow::question::{Question, Shape};
use baton_core::workflow::{Waiting, WorkflowState};
use baton_engine::inbox::{InboxItem, Wanted};
use baton_engine::store::Filter;

use crate::cli::{Common, List};
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::runtime::SystemClock;
use crate::session;
use crate::text::{ago, clean, hanging};

/// The most questions an inbox lists.
const INBOX_MAX: u32 = 500;

/// How many fields of a form are named.
const FIELDS_SHOWN_MAX: usize = 8;

/// The wall clock's reading.
pub fn now() -> Timestamp {
    SystemClock::default().now().moment.now
}

/// Lists workflows, newest first.
pub fn list(common: &Common, list: &List) -> anyhow::Result<Exit> {
    let filter = Filter {
        statuses: list.statuses.clone(),
        name: list.name.clone(),
        limit: list.limit,
        ..Filter::default()
    };
    let found = session::read(common)?.list(&filter)?;
    if common.json {
        for workflow in &found {
            say_out(&serde_json::to_string(workflow)?);
        }
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        say("no workflows; `baton run FILE` starts one");
        return Ok(Exit::Done);
    }
    let now = now();
    say_out(&format!(
        "{:<36}  {:<22}  {:<21}  {:>5}  {:>11}  {}",
        "ID", "NAME", "STATUS", "DONE", "TASKS", "UPDATED"
    ));
    for workflow in &found {
        let scripted = if workflow.scripted { " (scripted)" } else { "" };
        let note = match workflow.purged_at {
            Some(_) => " (purged)",
            None if workflow.tasks_waiting_for_people > 0 => " ← needs you",
            None => "",
        };
        let tasks = format!("{}/{}", workflow.agents_completed, workflow.agents_total);
        say_out(&format!(
            "{}  {:<22}  {:<21}  {:>4}%  {:>11}  {}{scripted}{note}",
            workflow.id,
            cut(&clean(&workflow.name), 22),
            workflow.status,
            workflow.progress_percentage,
            tasks,
            ago(workflow.updated_at, now)
        ));
    }
    Ok(Exit::Done)
}

/// Lists what needs a person.
pub fn inbox(common: &Common) -> anyhow::Result<Exit> {
    let items = session::read(common)?.inbox(INBOX_MAX)?;
    if items.is_empty() && !common.json {
        say("nothing needs you");
    }
    for item in &items {
        say_out(&if common.json { serde_json::to_string(item)? } else { inbox_text(item) });
    }
    Ok(Exit::Done)
}

fn inbox_text(item: &InboxItem) -> String {
    let name = clean(&item.name);
    let (Some(task), Some(id)) = (&item.task, item.task_id) else {
        return format!("{name} · review of the plan\n    baton approve {}", item.workflow_id);
    };
    let how = if item.needs == WaitReason::InDoubt.word() {
        how_to_settle(&id.to_string())
    } else {
        let (options, form) = (&item.options, item.form.as_ref());
        item.kind.map_or_else(
            || format!("baton show {id}"),
            |kind| how_to_respond((kind, options, form), &id.to_string()),
        )
    };
    let decline = match (item.question, item.kind) {
        (Some(_), Some(HumanKind::Form)) => format!(" | baton respond {id} --decline"),
        (_, _) => String::new(),
    };
    let asker = item.tool.as_ref().map(|tool| {
        let url = item.url.as_ref().map(|url| format!(", which sends you to {}", clean(url)));
        let age = ago(item.since, now());
        format!("\n    asked by {}{}, {age}", clean(tool), url.unwrap_or_default())
    });
    let (ask, asker) = (hanging(&item.ask, 4), asker.unwrap_or_default());
    format!("{name} / {} · {ask}{asker}\n    {how}{decline}", clean(task))
}

fn how_to_settle(id: &str) -> String {
    format!("baton settle {id} --happened [--result JSON] | --did-not-happen")
}

fn how_to_approve(id: &str) -> String {
    format!("baton approve {id} | baton reject {id}")
}

/// The command that answers a question.
fn how_to_respond(
    (kind, options, form): (HumanKind, &[String], Option<&serde_json::Value>),
    id: &str,
) -> String {
    match kind {
        HumanKind::Approval => how_to_approve(id),
        HumanKind::Choice => {
            let options: Vec<String> = options.iter().map(|it| quoted(it)).collect();
            format!("baton respond {id} {}", options.join(" | "))
        }
        HumanKind::Form => format!("baton respond {id} {}", quoted(&blank(form))),
    }
}

/// The command that answers a waiting task.
fn how_to_answer(wanted: Option<Wanted<'_>>, waits_for: WaitReason, id: &str) -> String {
    if waits_for == WaitReason::InDoubt {
        return how_to_settle(id);
    }
    match wanted {
        Some(wanted) => how_to_respond((wanted.kind, wanted.options, wanted.form), id),
        None => format!("baton show {id}"),
    }
}

/// A text as a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    let text = clean(text);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The fields of a form with nothing in them.
fn blank(form: Option<&serde_json::Value>) -> String {
    let fields = form.and_then(|form| form.get("properties"));
    let fields = fields.and_then(serde_json::Value::as_object).into_iter().flatten();
    let mut fields: Vec<String> = fields.map(|(name, _)| format!("{name:?}: …")).collect();
    if fields.len() > FIELDS_SHOWN_MAX {
        fields.truncate(FIELDS_SHOWN_MAX);
        fields.push("…".to_owned());
    }
    format!("{{{}}}", fields.join(", "))
}

/// What a running call asks, and how to answer.
fn of_call(key: &str, id: &str, question: &Question) -> String {
    let (to, how) = match &question.shape {
        Shape::Form(form) => {
            let how = how_to_respond((HumanKind::Form, &[], Some(form)), id);
            (String::new(), format!("{how} | baton respond {id} --decline"))
        }
        Shape::Url(url) => (format!("\n    it sends you to {}", clean(url)), how_to_approve(id)),
    };
    format!("  {}: {}{to}\n    {how}", clean(key), hanging(&question.message, 4))
}

/// What a workflow asks people, and how to answer, a line each.
pub fn questions(state: &WorkflowState) -> Vec<String> {
    let waiting = state.waiting().filter(|(_, on)| on.is_for_people());
    let line = |(task, on): (baton_core::ids::Ordinal, &Waiting)| {
        let ask = match on {
            Waiting::Person { ask }
            | Waiting::Approval { ask, .. }
            | Waiting::Budget { ask, .. } => hanging(ask, 4),
            Waiting::Question { question, .. } => {
                return of_call(&state.key_of(task), &state.id.task(task).to_string(), question);
            }
            Waiting::InDoubt { failure } => format!("did it happen? {}", clean(&failure.message)),
            Waiting::Timer { .. } | Waiting::Event { .. } | Waiting::Child { .. } => String::new(),
        };
        let wanted = Wanted::in_state(state, task, on);
        let how = how_to_answer(wanted, on.reason(), &state.id.task(task).to_string());
        format!("  {}: {ask}\n    {how}", clean(&state.key_of(task)))
    };
    waiting.map(line).collect()
}
