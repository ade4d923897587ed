//! What is written with a stroke in front: commands that every surface understands.
//!
//! `/stop` and `/escalate` are no matter of planning: the engine obeys them before anybody plans.

use baton_engine::conversations::conversation_view;
use baton_engine::conversing::{Decided, PlanJob};
use baton_engine::store::{StoreError, Views};

use super::library::Shelf;
use super::said::Said;
use super::{ChatPlanner, answer, failed, playbooks};

/// A command of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'s> {
    /// Run a definition, without a review.
    Run(&'s str),
    /// Where everything stands.
    Status,
    /// The plan.
    Plan,
    /// One that is not known.
    Unknown(&'s str),
}

impl<'s> Command<'s> {
    /// Reads a message; `None` where it is no command.
    pub fn read(text: &'s str) -> Option<Self> {
        let rest = text.trim().strip_prefix('/')?;
        let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        // A path is no command.
        if word.is_empty() || word.contains('/') {
            return None;
        }
        Some(match word {
            "run" => Self::Run(rest.trim()),
            "status" => Self::Status,
            "plan" => Self::Plan,
            other => Self::Unknown(other),
        })
    }
}

impl ChatPlanner {
    /// Does what a command asks for.
    pub(super) fn obey(
        &self,
        command: Command<'_>,
        job: &PlanJob,
        said: &Said,
        views: &mut dyn Views,
    ) -> Result<Decided, StoreError> {
        Ok(match command {
            Command::Run(named) => run(named, job, said, &self.library.shelf()),
            Command::Status => answer(&status(job, views)?),
            Command::Plan => answer(&plan(job)),
            Command::Unknown(word) => answer(&format!(
                "There is no command /{word}. There are /run NAME, /plan, /status, /escalate and /stop."
            )),
        })
    }
}

fn run(named: &str, job: &PlanJob, said: &Said, at_hand: &Shelf) -> Decided {
    let (name, rest) = named.split_once(char::is_whitespace).unwrap_or((named, ""));
    match at_hand.plans.get(name) {
        Some(plan) => playbooks::start(job, plan, rest, said),
        None => failed(&format!("There is no definition `{name}`.\n{}", playbooks::offer(at_hand))),
    }
}

fn status(job: &PlanJob, views: &mut dyn Views) -> Result<String, StoreError> {
    let Some(conversation) = conversation_view(job.state.id, views)? else {
        return Ok("Nothing is under way.".to_owned());
    };
    let line = |workflow: &baton_engine::view::WorkflowView| {
        let (done, total) = (workflow.agents_completed, workflow.agents_total);
        format!("{}: {}, {done} of {total} tasks", workflow.name, workflow.status)
    };
    let lines: Vec<String> = conversation.workflows.iter().map(line).collect();
    Ok(if lines.is_empty() { "Nothing is under way.".to_owned() } else { lines.join("\n") })
}

fn plan(job: &PlanJob) -> String {
    match job.state.proposal {
        Some(workflow) => format!("The plan {workflow} waits for your review."),
        None => "No plan waits for a review.".to_owned(),
    }
}
