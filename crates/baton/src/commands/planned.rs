//! How questions and plans of a conversation look in lines, and what is typed as an answer.

use baton_core::body::Json;
use baton_core::conversation::{AnswerKind, Clarification, Given};
use baton_core::plan::{Plan, TaskPlan, Work};
use baton_core::words::{Effect, Permission};
use baton_engine::view::WorkflowView;
use serde_json::{Value, json};

use crate::text::clean;

/// A question with what it takes.
pub fn questions_text(question: &Clarification) -> Vec<String> {
    let mut lines = vec![format!("? {}", clean(&question.question))];
    lines.push(format!("  {}", clean(&question.reason)));
    if let AnswerKind::Choice { choices } = &question.kind {
        let numbered = (1..).zip(choices);
        lines.extend(numbered.map(|(at, choice)| format!("  {at}) {}", clean(choice))));
    }
    let default = question.default.as_ref().map(|default| format!("Enter for {default}, "));
    lines.push(format!("  ({}- to skip, ? to leave it to me)", default.unwrap_or_default()));
    lines
}

/// What was typed, as an answer; `Err` says what would fit.
pub fn read_given(question: &Clarification, line: &str) -> Result<Given, String> {
    let line = line.trim();
    let value = match (line, &question.default) {
        ("-", _) => return Ok(Given::Skipped),
        ("?", _) => return Ok(Given::Delegated),
        ("", Some(default)) => default.clone(),
        (text, _) => read_value(&question.kind, text),
    };
    let value = Json::of(&value);
    question.check(&value).map_err(|fault| format!("please answer with {fault}"))?;
    Ok(Given::Value(value))
}

fn read_value(kind: &AnswerKind, text: &str) -> Value {
    match kind {
        AnswerKind::Text | AnswerKind::File => json!(text),
        AnswerKind::Choice { choices } => {
            let by_number = text.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
            let named = choices.iter().find(|choice| choice.eq_ignore_ascii_case(text));
            let chosen = named.or_else(|| by_number.and_then(|at| choices.get(at)));
            json!(chosen.map_or(text, String::as_str))
        }
        AnswerKind::YesNo => match text.to_lowercase().as_str() {
            "y" | "yes" | "true" => json!(true),
            "n" | "no" | "false" => json!(false),
            other => json!(other),
        },
        AnswerKind::Number { .. } => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
}

/// A plan for review: its stages and tasks, who does what, what it needs, and what it will cost.
pub fn review_text(
    workflow: &WorkflowView,
    plan: &Plan,
    (assumptions, will_not): (&[String], &[String]),
) -> Vec<String> {
    let mut lines = vec![String::new(), format!("plan · {}", clean(&plan.name))];
    let mut tasks = plan.tasks.iter().peekable();
    for (at, stage) in plan.stages.iter().enumerate() {
        lines.push(format!("  {}", clean(&stage.name)));
        while let Some(task) = tasks.next_if(|task| task.stage == at as u32) {
            lines.push(task_line(task, plan));
        }
    }
    let forecast = workflow.forecast.as_ref().map(|forecast| clean(&forecast.line()));
    lines.extend(forecast.map(|line| format!("forecast: {line}")));
    lines.extend(assumptions.iter().map(|one| format!("assumed: {}", clean(one))));
    lines.extend(will_not.iter().map(|one| format!("it will not: {}", clean(one))));
    lines
}

fn task_line(task: &TaskPlan, plan: &Plan) -> String {
    let needs: Vec<&str> = task
        .needs
        .iter()
        .flatten()
        .filter_map(|need| plan.task(*need))
        .map(|need| need.key.as_str())
        .collect();
    let needs =
        if needs.is_empty() { String::new() } else { format!("  after {}", needs.join(", ")) };
    format!("    {:<18} {}{}", clean(&task.key), clean(&who(task)), clean(&needs))
}

/// Who does a task, and what that may change.
fn who(task: &TaskPlan) -> String {
    let elevated = match task.permission {
        Permission::ReadOnly => "",
        Permission::ReadWrite => ", may write",
    };
    match &task.work {
        Work::Tool(call) => {
            let effect = match call.effect {
                Effect::Read => "reads",
                Effect::Idempotent => "changes, repeatable",
                Effect::Once => "changes, once",
            };
            format!("{} ({effect}{elevated})", call.tool)
        }
        Work::Agent(agent) => format!("agent {}{elevated}", agent.agent),
        Work::Human(_) => "a person".to_owned(),
        Work::Wait(_) => "waits".to_owned(),
        Work::Emit(_) => "emits an event".to_owned(),
        Work::Workflow(child) => format!("workflow {}", child.plan.name),
        Work::Worker(worker) => format!("worker {}", worker.worker_type),
    }
}
