//! One sentence that says where a workflow stands, made from its view and those of its tasks.
//!
//! It invents nothing: every word follows from a status, a count or a moment of the views.

use baton_core::spoken::{cut, many, span};
use baton_core::time::Timestamp;
use baton_core::words::{TaskStatus, WaitReason, WorkflowStatus};
use baton_engine::view::{TaskView, WorkflowView};

use super::times::{Age, coarse};

/// How many tasks are named before the rest is counted.
const NAMED_MAX: usize = 2;
/// The longest name in a sentence, in characters.
const NAME_CHARS_MAX: usize = 60;

/// Where a workflow stands, for a line of a list: nothing is known of its tasks.
pub fn brief(workflow: &WorkflowView, now: Timestamp) -> String {
    full(workflow, &[], now)
}

/// Where a workflow stands. Without tasks, counts take the place of names.
pub fn full(workflow: &WorkflowView, tasks: &[TaskView], now: Timestamp) -> String {
    let lead = lead(workflow, tasks, now);
    match workflow.status {
        WorkflowStatus::Draft | WorkflowStatus::PendingReview | WorkflowStatus::Queued => lead,
        WorkflowStatus::Running | WorkflowStatus::Paused | WorkflowStatus::Cancelling => {
            format!("{lead}; {}{}.", done(workflow), failed(workflow))
        }
        WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => format!("{lead}: {}{}.", done(workflow), failed(workflow)),
    }
}

/// `2 of 5 tasks complete`.
pub fn done(workflow: &WorkflowView) -> String {
    let total = many(u64::from(workflow.agents_total), "task");
    format!("{} of {total} complete", workflow.agents_completed)
}

fn failed(workflow: &WorkflowView) -> String {
    match workflow.tasks_failed {
        0 => String::new(),
        count => format!(", {count} failed"),
    }
}

fn lead(workflow: &WorkflowView, tasks: &[TaskView], now: Timestamp) -> String {
    let since = |at: Timestamp| match coarse(now.since(at)).as_str() {
        "now" => "just now".to_owned(),
        age => format!("for {age}"),
    };
    let took = workflow.started_at.map_or_else(String::new, |started| {
        let until = workflow.completed_at.unwrap_or(now);
        format!(" after {}", span(until.since(started)))
    });
    match workflow.status {
        WorkflowStatus::Draft => "Sent back: nothing starts before it is changed.".to_owned(),
        WorkflowStatus::PendingReview => {
            let total = many(u64::from(workflow.agents_total), "task");
            format!("Its plan of {total} waits for your review, {}.", since(workflow.updated_at))
        }
        WorkflowStatus::Queued => {
            format!("Queued {}: nothing has started yet.", since(workflow.created_at))
        }
        WorkflowStatus::Running => running(workflow, tasks),
        WorkflowStatus::Paused => {
            format!("Paused, last change {}", Age::of(workflow.updated_at, now).ago())
        }
        WorkflowStatus::Cancelling if workflow.tasks_waiting_for_people > 0 => {
            "Stopping, and waits for your word on a call in doubt".to_owned()
        }
        WorkflowStatus::Cancelling => "Stopping: what runs was told to end".to_owned(),
        WorkflowStatus::Completed => format!("Completed{took}"),
        WorkflowStatus::CompletedWithErrors => format!("Completed with errors{took}"),
        WorkflowStatus::Failed => format!("Failed{took}"),
        WorkflowStatus::Cancelled => format!("Cancelled{took}"),
    }
}

/// Who or what a running workflow waits for: a person first, then what moves, then what holds it up.
fn running(workflow: &WorkflowView, tasks: &[TaskView]) -> String {
    let waits = |on: WaitReason| move |task: &&TaskView| task.waits_for == Some(on);
    let named = |on: WaitReason| names(tasks.iter().filter(waits(on)));
    if let Some(asked) = named(WaitReason::Person) {
        return format!("Waits for your answer to {asked}");
    }
    if let Some(doubt) = named(WaitReason::InDoubt) {
        return format!("Waits for your word whether {doubt} happened");
    }
    if let Some(call) = named(WaitReason::Approval) {
        return format!("Waits for your approval of {call}");
    }
    if let Some(short) = named(WaitReason::Budget) {
        return format!("Waits for more budget for {short}");
    }
    match workflow.tasks_waiting_for_people {
        0 => {}
        1 => return "Waits for your answer".to_owned(),
        count => return format!("Waits for {count} answers of yours"),
    }
    let moves = |task: &&TaskView| task.status == TaskStatus::Executing;
    if let Some(moving) = names(tasks.iter().filter(moves)) {
        return format!("Working on {moving}");
    }
    let held = [
        (WaitReason::Event, "an event"),
        (WaitReason::Child, "the workflow it started"),
        (WaitReason::Timer, "its time"),
    ];
    for (on, what) in held {
        if let Some(held) = named(on) {
            return format!("Held up: {held} waits for {what}");
        }
    }
    match &workflow.current_stage {
        Some(stage) => format!("Running in {}", name(stage)),
        None => "Running".to_owned(),
    }
}

fn names<'t>(tasks: impl Iterator<Item = &'t TaskView>) -> Option<String> {
    let (mut shown, mut more) = (Vec::new(), 0_u64);
    for task in tasks {
        if shown.len() < NAMED_MAX {
            shown.push(name(task.title.as_deref().unwrap_or(&task.key)));
        } else {
            more += 1;
        }
    }
    if shown.is_empty() {
        return None;
    }
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{more}", shown.join(", ")))
}

/// A foreign name, set apart from the sentence around it in both directions of writing.
pub fn name(text: &str) -> String {
    format!("“\u{2068}{}\u{2069}”", cut(text, NAME_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use baton_core::ids::{ConversationId, Ordinal};
    use baton_core::time::Moment;
    use baton_core::words::{Origin, ProgressMethod};

    use baton_engine::view::Usage;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn moment() -> Moment {
        Moment::new(Timestamp::from_millis(1_800_000_000_000), 7)
    }

    fn workflow(status: WorkflowStatus) -> WorkflowView {
        let at = moment().now;
        let id = baton_core::ids::WorkflowId::new(&moment(), 0);
        WorkflowView {
            workflow_id: id,
            id,
            name: "w".to_owned(),
            description: None,
            kind: "workflow",
            origin: Origin::Cli,
            run: 1,
            status,
            current_stage: Some("look".to_owned()),
            priority: 5,
            progress_percentage: 40,
            progress: 40,
            agents_completed: 2,
            agents_total: 5,
            progress_calculation_method: ProgressMethod::AgentBased,
            progress_updated_at: at,
            tasks_failed: 0,
            tasks_waiting_for_people: 0,
            conversation_id: ConversationId::new(&moment(), 0),
            project_id: None,
            scripted: false,
            trace_id: String::new(),
            usage: Usage::default(),
            budget: None,
            forecast: None,
            revision: 3,
            created_at: at,
            started_at: Some(at),
            updated_at: at,
            completed_at: None,
            purged_at: None,
            output: None,
            error: None,
        }
    }

    fn task(key: &str, status: TaskStatus, waits_for: Option<WaitReason>) -> TaskView {
        TaskView {
            id: baton_core::ids::WorkflowId::new(&moment(), 0).task(Ordinal(0)),
            key: key.to_owned(),
            title: None,
            stage: "look".to_owned(),
            kind: "tool",
            tool: None,
            call_of: None,
            status,
            waits_for,
            attempts: 1,
            started_at: None,
            ended_at: None,
            position: 1,
            usage: None,
            live: None,
            ordinal: Ordinal(0),
        }
    }

    /// The sentence four minutes on, without the marks that isolate names.
    fn say(workflow: &WorkflowView, tasks: &[TaskView]) -> String {
        let later = Timestamp::from_millis(moment().now.as_millis() + 4 * MINUTE);
        full(workflow, tasks, later).replace(['\u{2068}', '\u{2069}'], "")
    }

    #[test]
    fn a_person_is_named_before_what_moves() {
        let running = workflow(WorkflowStatus::Running);
        let moves = task("scan", TaskStatus::Executing, None);
        let asks = task("agree", TaskStatus::Waiting, Some(WaitReason::Person));
        let doubt = task("pay", TaskStatus::Waiting, Some(WaitReason::InDoubt));
        let all = [moves.clone(), doubt.clone(), asks];
        assert_eq!(say(&running, &all), "Waits for your answer to “agree”; 2 of 5 tasks complete.");
        let two = [moves.clone(), doubt];
        let doubtful = "Waits for your word whether “pay” happened; 2 of 5 tasks complete.";
        assert_eq!(say(&running, &two), doubtful);
        let many = [moves.clone(), moves.clone(), moves.clone(), moves];
        assert_eq!(
            say(&running, &many),
            "Working on “scan”, “scan” and 2 more; 2 of 5 tasks complete."
        );
    }

    #[test]
    fn what_an_agent_waits_for_is_named() {
        let mut running = workflow(WorkflowStatus::Running);
        running.tasks_waiting_for_people = 1;
        let waits = |on| [task("write", TaskStatus::Waiting, Some(on))];
        let say = |on| say(&running, &waits(on));
        let approval = "Waits for your approval of “write”; 2 of 5 tasks complete.";
        assert_eq!(say(WaitReason::Approval), approval);
        let budget = "Waits for more budget for “write”; 2 of 5 tasks complete.";
        assert_eq!(say(WaitReason::Budget), budget);
    }

    #[test]
    fn what_holds_it_up_is_said() {
        let held = [task("ask", TaskStatus::Waiting, Some(WaitReason::Event))];
        let said = say(&workflow(WorkflowStatus::Running), &held);
        assert_eq!(said, "Held up: “ask” waits for an event; 2 of 5 tasks complete.");
    }

    #[test]
    fn without_tasks_counts_take_the_place_of_names() {
        let mut running = workflow(WorkflowStatus::Running);
        assert_eq!(say(&running, &[]), "Running in “look”; 2 of 5 tasks complete.");
        running.tasks_waiting_for_people = 2;
        assert_eq!(say(&running, &[]), "Waits for 2 answers of yours; 2 of 5 tasks complete.");
    }

    #[test]
    fn an_end_says_how_long_it_took_and_what_failed() {
        let mut failed = workflow(WorkflowStatus::Failed);
        failed.tasks_failed = 1;
        failed.completed_at = Some(Timestamp::from_millis(moment().now.as_millis() + 75_000));
        assert_eq!(say(&failed, &[]), "Failed after 1 min 15 s: 2 of 5 tasks complete, 1 failed.");
    }

    #[test]
    fn every_status_has_a_whole_sentence() {
        for status in <WorkflowStatus as baton_core::codes::Code>::ALL {
            let said = say(&workflow(*status), &[]);
            assert!(
                said.ends_with('.') && said.starts_with(char::is_uppercase),
                "{status}: {said}"
            );
        }
        let paused = say(&workflow(WorkflowStatus::Paused), &[]);
        assert_eq!(paused, "Paused, last change 4 min ago; 2 of 5 tasks complete.");
    }

    #[test]
    fn a_foreign_name_does_not_leave_its_quotes() {
        let mut running = workflow(WorkflowStatus::Running);
        running.current_stage = Some(format!("\u{202e}{}", "x".repeat(5_000)));
        let said = full(&running, &[], moment().now);
        assert!(said.contains("“\u{2068}\u{202e}x") && said.contains("…\u{2069}”;"), "{said}");
        assert!(said.chars().count() < 200);
    }
}
