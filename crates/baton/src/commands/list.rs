//! `list`, `inbox`: what there is, a line each.

use baton_core::plan::{Human, Work};
use baton_core::time::Timestamp;
use baton_core::words::{HumanKind, WaitReason, WorkflowStatus};
use baton_core::workflow::{Waiting, WorkflowState};
use baton_engine::store::Filter;
use baton_engine::view::{plan_of, task_views, workflow_brief};

use crate::cli::{Common, List};
use crate::display::{say, say_out};
use crate::exit::Exit;
use crate::runtime::SystemClock;
use crate::session;
use crate::text::{ago, clean, cut, hanging};

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
    let mut views = session::read(common)?;
    let found = views.list(&filter)?;
    if common.json {
        for (card, row) in &found {
            say_out(&serde_json::to_string(&workflow_brief(card, row))?);
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
    for (card, row) in &found {
        let note = match row.purged_at() {
            Some(_) => " (purged)",
            None if row.waiting_people > 0 => " ← needs you",
            None => "",
        };
        let tasks = format!("{}/{}", row.progress.completed, row.progress.total);
        say_out(&format!(
            "{}  {:<22}  {:<21}  {:>4}%  {:>11}  {}{note}",
            card.id,
            cut(&clean(&card.name), 22),
            row.status,
            row.progress.percentage,
            tasks,
            ago(row.updated_at, now)
        ));
    }
    Ok(Exit::Done)
}

/// Lists what needs a person.
pub fn inbox(common: &Common) -> anyhow::Result<Exit> {
    let mut views = session::read(common)?;
    let waiting = views.waiting_for_people(INBOX_MAX)?;
    let reviews = views.list(&Filter {
        statuses: vec![WorkflowStatus::PendingReview],
        limit: INBOX_MAX,
        ..Filter::default()
    })?;
    if waiting.is_empty() && reviews.is_empty() {
        if !common.json {
            say("nothing needs you");
        }
        return Ok(Exit::Done);
    }
    for (card, _) in reviews {
        if common.json {
            say_out(&serde_json::json!({ "workflow_id": card.id, "name": card.name, "needs": "review" }).to_string());
        } else {
            say_out(&format!(
                "{} · review of the plan\n    baton approve {}",
                clean(&card.name),
                card.id
            ));
        }
    }
    for (card, task) in waiting {
        let Some(row) = views.workflow(card.id)?.map(|(_, row)| row) else {
            continue;
        };
        let plan = plan_of(&card, views.as_mut())?;
        let rows = views.tasks(card.number)?;
        let views_of = task_views(&card, &row, &plan, &rows);
        let Some(shown) = views_of.iter().find(|shown| shown.ordinal == task.ordinal) else {
            continue;
        };
        let event = views.events(task.position.saturating_sub(1), Some(card.number), 1)?;
        let ask = event
            .first()
            .and_then(|record| baton_engine::live::read_event(record).ok())
            .and_then(question_of);
        let ask = ask.unwrap_or_default();
        let how = how_to_answer(
            plan.task(task.of).map(|plan| &plan.work),
            task.waits_for,
            &shown.id.to_string(),
        );
        if common.json {
            let line = serde_json::json!({
                "task_id": shown.id, "workflow_id": card.id, "name": card.name, "task": shown.key,
                "needs": task.waits_for, "ask": ask,
            });
            say_out(&line.to_string());
        } else {
            say_out(&format!(
                "{} / {} · {}\n    {how}",
                clean(&card.name),
                clean(&shown.key),
                hanging(&ask, 4)
            ));
        }
    }
    Ok(Exit::Done)
}

fn question_of(event: baton_core::workflow::Event) -> Option<String> {
    use baton_core::workflow::Event;
    if let Event::AttemptFailed(failed) = event {
        return Some(format!("did it happen? {}", failed.failure.message));
    }
    let Event::TaskWaited(waited) = event else {
        return None;
    };
    let Waiting::Person { ask } = waited.on else {
        return None;
    };
    Some(ask)
}

/// The command that answers a waiting task.
fn how_to_answer(work: Option<&Work>, waits_for: Option<WaitReason>, id: &str) -> String {
    if waits_for == Some(WaitReason::InDoubt) {
        return format!("baton settle {id} --happened [--result JSON] | --did-not-happen");
    }
    match work {
        Some(Work::Human(human)) => match human.kind {
            HumanKind::Approval => format!("baton approve {id} | baton reject {id}"),
            HumanKind::Choice => {
                let options: Vec<String> = human.options.iter().map(|it| quoted(it)).collect();
                format!("baton respond {id} {}", options.join(" | "))
            }
            HumanKind::Form => format!("baton respond {id} {}", quoted(&blank(human))),
        },
        Some(Work::Tool(_) | Work::Wait(_) | Work::Emit(_) | Work::Workflow(_)) | None => {
            format!("baton show {id}")
        }
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
fn blank(human: &Human) -> String {
    let fields = human.form.as_ref().and_then(|form| form.get("properties"));
    let fields = fields.and_then(serde_json::Value::as_object).into_iter().flatten();
    let mut fields: Vec<String> = fields.map(|(name, _)| format!("{name:?}: …")).collect();
    if fields.len() > FIELDS_SHOWN_MAX {
        fields.truncate(FIELDS_SHOWN_MAX);
        fields.push("…".to_owned());
    }
    format!("{{{}}}", fields.join(", "))
}

/// What a workflow asks people, and how to answer, a line each.
pub fn questions(state: &WorkflowState) -> Vec<String> {
    let waiting = state.waiting().filter(|(_, on)| on.is_for_people());
    let line = |(task, on): (baton_core::ids::Ordinal, &Waiting)| {
        let ask = match on {
            Waiting::Person { ask } => hanging(ask, 4),
            Waiting::InDoubt { failure } => format!("did it happen? {}", clean(&failure.message)),
            Waiting::Timer { .. } | Waiting::Event { .. } | Waiting::Child { .. } => String::new(),
        };
        let work = state.task_plan(task).map(|plan| &plan.work);
        let how = how_to_answer(work, Some(on.reason()), &state.id.task(task).to_string());
        format!("  {}: {ask}\n    {how}", clean(&state.key_of(task)))
    };
    waiting.map(line).collect()
}
