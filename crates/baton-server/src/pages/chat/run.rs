//! A workflow of a conversation where it stands in it: how far it is, what it asks, what it brought.

use baton_core::ids::WorkflowId;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::inbox::inbox_of;
use baton_engine::said::Said;
use baton_engine::store::{StoreError, Views};
use baton_engine::view::{
    WorkflowView, add_live, all_tasks, outcome_of, plan_of, text_of, workflow_brief,
};

use super::super::looks::Look;
use super::super::panel::Text;
use super::super::questions::Question;
use super::super::sentence;

/// How many questions of one workflow are shown.
const QUESTIONS_MAX: usize = 20;

/// A workflow as it goes on.
#[derive(Debug)]
pub struct Run {
    /// What the API shows of it.
    pub view: WorkflowView,
    /// How its status looks.
    pub look: Look,
    /// Where it stands, in a sentence.
    pub sentence: String,
    /// `2 of 5 tasks complete`.
    pub done: String,
    /// What its tasks ask people; not the review of its plan.
    pub questions: Vec<Question>,
    /// Whether it has ended.
    pub has_ended: bool,
}

/// Reads where a workflow stands; `said` is what its tasks say of themselves.
pub fn run(
    (card, row): (&WorkflowCard, &WorkflowRow),
    said: Vec<Said>,
    now: Timestamp,
    views: &mut dyn Views,
) -> Result<Run, StoreError> {
    let view = workflow_brief(card, row, views)?;
    let (mut questions, mut tasks) = (Vec::new(), Vec::new());
    if view.completed_at.is_none() && view.purged_at.is_none() {
        let plan = plan_of(card, views)?;
        let rows = views.tasks(card.number)?;
        tasks = all_tasks((card, row), &plan, (&rows, &[]), views)?;
        add_live(&mut tasks, said);
        let asked = inbox_of((card, row), &rows, QUESTIONS_MAX, views)?;
        let asked = asked.into_iter().filter(|item| item.task_id.is_some()).collect();
        questions = Question::all(asked, now, views)?;
    }
    Ok(Run {
        look: Look::of_workflow(view.status, view.tasks_waiting_for_people),
        sentence: sentence::full(&view, &tasks, now),
        done: sentence::done(&view),
        questions,
        has_ended: view.completed_at.is_some(),
        view,
    })
}

/// What a workflow brought, if anything.
pub fn output(id: WorkflowId, views: &mut dyn Views) -> Result<Option<Text>, StoreError> {
    let Some((_, row)) = views.workflow(id)? else { return Ok(None) };
    if row.purged_at().is_some() {
        return Ok(None);
    }
    let outcome = outcome_of(&row, views)?;
    let Some(body) = outcome.as_ref().and_then(|outcome| outcome.output()).cloned() else {
        return Ok(None);
    };
    let json = text_of(&body, views)?;
    Ok((json.as_str() != "null").then(|| Text::of(&json)))
}
