//! `approve`, `reject`, `respond`, `settle`: what people answer, from anywhere or at the prompt.

use std::io::{BufRead, IsTerminal, Write};
use std::os::fd::AsFd;

use baton_core::body::Json;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::words::{HumanKind, WaitReason, WorkflowStatus};
use baton_core::workflow::question::{Question, Shape};
use baton_core::workflow::{Phase, Waiting, WorkflowState};
use baton_engine::inbox::Wanted;
use baton_server::wire::{Ask, Verb};
use serde_json::{Value, json};

use super::edit::in_editor;
use super::tell::tell;
use crate::cli::{Answer, Common, Respond, Settle};
use crate::display::say;
use crate::exit::{Exit, Failed};
use crate::follow::Follower;
use crate::reading::find_task;
use crate::session::{Session, read};
use crate::signals;
use crate::text::{clean, hanging};

/// Approves a waiting task, or the plan of a workflow in review.
pub fn approve(common: &Common, answer: &Answer) -> anyhow::Result<Exit> {
    let comment = answer.comment.clone().unwrap_or_default();
    let value = json!({ "approved": true, "comment": comment });
    decide(common, &answer.id, value, &|revision| Verb::Approve { revision })
}

/// Rejects a waiting task, or sends the plan of a workflow in review back.
pub fn reject(common: &Common, answer: &Answer) -> anyhow::Result<Exit> {
    let comment = answer.comment.clone().unwrap_or_default();
    let value = json!({ "approved": false, "comment": comment });
    decide(common, &answer.id, value, &|_| Verb::SendBack { comments: comment.clone() })
}

fn decide(
    common: &Common,
    named: &str,
    value: Value,
    review: &dyn Fn(u64) -> Verb,
) -> anyhow::Result<Exit> {
    let mut reading = read(common)?;
    let (found, task) = find_task(reading.as_mut(), named)?;
    let id = found.id;
    let task = match task {
        Some(task) => task,
        None if found.status == WorkflowStatus::PendingReview => {
            return tell(common, Ask::Command { workflow: id, verb: review(found.revision) });
        }
        None => {
            let tasks = match found.purged_at {
                Some(_) => Vec::new(),
                None => reading.tasks(id)?,
            };
            let waiting = tasks.into_iter().filter(|task| task.waits_for.is_some_and(is_answered));
            let waiting: Vec<Ordinal> = waiting.map(|task| task.ordinal).collect();
            match waiting.as_slice() {
                [only] => *only,
                [] => {
                    return Err(Failed::usage(format!(
                        "nothing in {id} waits for an answer; `baton inbox` shows what does"
                    ))
                    .into());
                }
                [..] => return Err(Failed::usage(format!(
                    "several tasks of {id} wait for an answer; name one: `baton inbox` shows them"
                ))
                .into()),
            }
        }
    };
    let verb = Verb::Respond { task, value, question: None };
    tell(common, Ask::Command { workflow: id, verb })
}

/// Whether what a task waits for is somebody's answer.
fn is_answered(reason: WaitReason) -> bool {
    match reason {
        WaitReason::Person | WaitReason::Approval | WaitReason::Budget => true,
        WaitReason::InDoubt | WaitReason::Event | WaitReason::Timer | WaitReason::Child => false,
    }
}

/// Answers a task that asks for a form or a choice, or declines what a running call asks.
pub fn respond(common: &Common, respond: &Respond) -> anyhow::Result<Exit> {
    let (workflow, task) = one_task(common, &respond.task)?;
    let question = respond.question;
    let Some(text) = &respond.value else {
        return tell(common, Ask::Command { workflow, verb: Verb::Decline { task, question } });
    };
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    let faults = read(common)?.misfits(workflow.task(task), &value)?;
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(|fault| clean(&fault.to_string())).collect();
        let said = format!("the answer does not fit the question:\n  {}", lines.join("\n  "));
        return Err(Failed::usage(said).into());
    }
    tell(common, Ask::Command { workflow, verb: Verb::Respond { task, value, question } })
}

/// Says whether a call in doubt happened.
pub fn settle(common: &Common, settle: &Settle) -> anyhow::Result<Exit> {
    let (workflow, task) = one_task(common, &settle.task)?;
    let result = if settle.happened {
        let text = settle.result.clone().unwrap_or_else(|| "null".to_owned());
        Some(Json::parse(text).map_err(|e| Failed::usage(format!("`--result` is not JSON: {e}")))?)
    } else {
        None
    };
    tell(common, Ask::Command { workflow, verb: Verb::Settle { task, result } })
}

fn one_task(common: &Common, named: &str) -> anyhow::Result<(WorkflowId, Ordinal)> {
    let (found, task) = find_task(read(common)?.as_mut(), named)?;
    let task = task.ok_or_else(|| {
        Failed::usage(format!(
            "`{named}` names a workflow; name a task as WORKFLOW/KEY, `baton inbox` shows them"
        ))
    })?;
    Ok((found.id, task))
}

/// Asks the person at this terminal what the workflow waits for; `false` when nobody can be asked.
pub fn ask_person(
    common: &Common,
    session: &mut Session,
    follower: &mut Follower,
) -> anyhow::Result<bool> {
    if common.trial.answer_people {
        return answer_for_people(session, &follower.state);
    }
    if signals::is_heard()
        || common.json
        || !std::io::stdin().is_terminal()
        || !std::io::stderr().is_terminal()
    {
        return Ok(false);
    }
    let state = &follower.state;
    if matches!(state.phase, Phase::PendingReview) {
        let Some(answer) = prompt("approve this plan? [a]pprove [e]dit [r]eject: ")? else {
            return Ok(false);
        };
        let verb = match answer.as_str() {
            "e" | "edit" => {
                if let Err(refusal) = in_editor(common, session, state.id) {
                    say(&format!("{refusal:#}"));
                }
                return Ok(true);
            }
            "a" | "approve" | "y" | "yes" => Verb::Approve { revision: state.revision },
            _ => Verb::SendBack { comments: answer },
        };
        session.change(Ask::Command { workflow: state.id, verb })?;
        return Ok(true);
    }
    let asking = follower.asking()?;
    let first = |state: &WorkflowState| {
        let mut waiting = state.waiting().filter(|(_, on)| on.is_for_people());
        waiting.next().map(|(task, on)| (task, on.clone()))
    };
    let Some((state, (task, on))) = asking.iter().find_map(|state| Some((state, first(state)?)))
    else {
        return Ok(false);
    };
    let Some(verb) = question(state, task, &on)? else {
        return Ok(false);
    };
    if let Err(refusal) = session.change(Ask::Command { workflow: state.id, verb }) {
        say(&format!("{refusal:#}"));
    }
    Ok(true)
}

/// Answers what a trial of recovery can: approves, takes the first choice; `false` where there is
/// nothing of the kind. Whether a call in doubt happened is not for it to say.
fn answer_for_people(session: &mut Session, state: &WorkflowState) -> anyhow::Result<bool> {
    let verb = match &state.phase {
        Phase::PendingReview => Some(Verb::Approve { revision: state.revision }),
        Phase::Queued
        | Phase::Running { .. }
        | Phase::Draft { .. }
        | Phase::Paused { .. }
        | Phase::Cancelling { .. }
        | Phase::Ended(_) => state.waiting().find_map(|(task, on)| first_answer(state, task, on)),
    };
    let Some(verb) = verb else {
        return Ok(false);
    };
    let workflow = state.id;
    session.change(Ask::Command { workflow, verb })?;
    Ok(true)
}

fn first_answer(state: &WorkflowState, task: Ordinal, on: &Waiting) -> Option<Verb> {
    if let Waiting::Question { number, .. } = on {
        return Some(Verb::Decline { task, question: Some(*number) });
    }
    let human = Wanted::in_state(state, task, on)?;
    let value = match human.kind {
        HumanKind::Approval => json!({ "approved": true, "comment": "approved by chaos" }),
        HumanKind::Choice => Value::String(human.options.first()?.clone()),
        HumanKind::Form => return None,
    };
    Some(Verb::Respond { task, value, question: None })
}

/// Asks what a running call asks; an answer that does not fit is told and asked for again.
fn of_call(
    (key, task): (&str, Ordinal),
    (number, question): (u32, &Question),
) -> anyhow::Result<Option<Verb>> {
    let how = match &question.shape {
        Shape::Form(_) => "(JSON, or [d]ecline)".to_owned(),
        Shape::Url(url) => format!("({}: [a]pprove once you were there, [d]ecline)", clean(url)),
    };
    let ask = hanging(&question.message, 4);
    loop {
        let Some(answer) = prompt(&format!("{key}: {ask} {how}: "))? else {
            return Ok(None);
        };
        let number = Some(number);
        let value = match (&question.shape, answer.as_str()) {
            (_, "d" | "decline") => return Ok(Some(Verb::Decline { task, question: number })),
            (Shape::Url(_), "a" | "approve" | "y" | "yes") => json!(true),
            (Shape::Url(_), _) => json!(null),
            (Shape::Form(_), _) => serde_json::from_str(&answer).unwrap_or(Value::String(answer)),
        };
        match question.answer(&value) {
            Ok(_) => return Ok(Some(Verb::Respond { task, value, question: number })),
            Err(faults) => faults.iter().for_each(|fault| say(&clean(&fault.to_string()))),
        }
    }
}

fn question(state: &WorkflowState, task: Ordinal, on: &Waiting) -> anyhow::Result<Option<Verb>> {
    let key = clean(&state.key_of(task));
    match on {
        Waiting::Question { number, question } => of_call((&key, task), (*number, question)),
        Waiting::Person { ask } | Waiting::Approval { ask, .. } | Waiting::Budget { ask, .. } => {
            let Some(human) = Wanted::in_state(state, task, on) else {
                return Ok(None);
            };
            let ask = hanging(ask, 4);
            let answer = match human.kind {
                HumanKind::Approval => prompt(&format!("{key}: {ask} [a]pprove [r]eject: "))?,
                HumanKind::Choice => {
                    prompt(&format!("{key}: {ask} ({}): ", clean(&human.options.join(" | "))))?
                }
                HumanKind::Form => prompt(&format!("{key}: {ask} (JSON): "))?,
            };
            let Some(answer) = answer else {
                return Ok(None);
            };
            let value = match (human.kind, answer.as_str()) {
                (HumanKind::Approval, "a" | "approve" | "y" | "yes") => json!(true),
                (HumanKind::Approval, _) => json!(false),
                (HumanKind::Choice, _) => Value::String(answer),
                (HumanKind::Form, _) => {
                    serde_json::from_str(&answer).unwrap_or(Value::String(answer))
                }
            };
            Ok(Some(Verb::Respond { task, value, question: None }))
        }
        Waiting::InDoubt { failure } => {
            let answer = prompt(&format!(
                "{key}: {}. Did the call happen? [y]es [n]o: ",
                clean(&failure.message)
            ))?;
            Ok(answer.map(|answer| {
                let result = matches!(answer.as_str(), "y" | "yes").then(Json::null);
                Verb::Settle { task, result }
            }))
        }
        Waiting::Timer { .. } | Waiting::Event { .. } | Waiting::Child { .. } => Ok(None),
    }
}

/// One line of the person at this terminal; `None` at the end of input or for an empty line.
pub(super) fn prompt(text: &str) -> anyhow::Result<Option<String>> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "  ? {text}")?;
    stderr.flush()?;
    drop(stderr);
    Ok(read_line()?.filter(|line| !line.is_empty()))
}

/// The next line of standard input, trimmed; `None` at its end, or when a signal came first.
pub(super) fn read_line() -> anyhow::Result<Option<String>> {
    if !signals::wait_for_input(std::io::stdin().as_fd()) {
        return Ok(None);
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim().to_owned()))
}
