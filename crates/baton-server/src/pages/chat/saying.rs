//! Where a conversation stands, in a sentence, and who may write in it: from its view alone.
//!
//! Whether somebody may is the machine's to decide; here it is only said beforehand.

use baton_core::spoken::many;
use baton_core::words::{ConversationStatus, PlanningEnd, Role, WorkflowStatus};
use baton_engine::conversations::ConversationView;
use baton_engine::view::WorkflowView;

use super::super::sentence::name;
use crate::http::Caller;

/// What whoever looks at a conversation may do in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pen {
    /// Why they may not write; nothing where they may.
    pub barred: Option<String>,
    /// Whether they may take it over.
    pub may_claim: bool,
    /// Whether they may let go of it.
    pub may_release: bool,
}

impl Pen {
    /// Of a caller in a conversation.
    pub fn of(view: &ConversationView, caller: &Caller) -> Self {
        let me = caller.actor.to_string();
        let works = may_work(caller.role);
        let claimant = view.claimed_by.as_ref();
        let is_mine = view.originator == me || claimant == Some(&me);
        let barred = match (works, is_mine) {
            (true, true) => None,
            (false, _) => Some(format!(
                "You look on: to write takes a token of the role operator or admin, and yours is {}.",
                caller.role
            )),
            (true, false) => Some(only(view)),
        };
        Self {
            barred,
            may_claim: works && claimant.is_none(),
            may_release: works
                && claimant.is_some_and(|claimant| *claimant == me || caller.role == Role::Admin),
        }
    }

    /// Whether they may write.
    pub fn writes(&self) -> bool {
        self.barred.is_none()
    }
}

/// Whether a role does more than look on.
pub fn may_work(role: Role) -> bool {
    match role {
        Role::Admin | Role::Operator => true,
        Role::Viewer | Role::Worker => false,
    }
}

/// Who may write, where the reader may not.
fn only(view: &ConversationView) -> String {
    let began = called(&view.originator);
    match &view.claimed_by {
        None => format!("Only {began}, who began it, may write here."),
        Some(claimant) => {
            format!("Only {began} and {}, who has taken it over, may write here.", called(claimant))
        }
    }
}

/// An actor as people call them: `ada` for `user:ada`; what is no person keeps its kind.
pub fn called(actor: &str) -> &str {
    let person = actor.strip_prefix("user:").or_else(|| actor.strip_prefix("client:"));
    person.unwrap_or(actor)
}

/// Where it stands. `whose` answer is waited for: `your`, or `ada’s`.
pub fn sentence(view: &ConversationView, whose: &str) -> String {
    if view.status == ConversationStatus::Closed && view.workflows.is_empty() {
        return "Closed. Whoever may write opens it again with a message.".to_owned();
    }
    if let Some(reason) = &view.escalated {
        let next = match &view.claimed_by {
            Some(by) => format!("{} has taken it over.", called(by)),
            None => "Claim it to take it over.".to_owned(),
        };
        return format!("Escalated: {} {next}", sentence_of(reason));
    }
    match view.questions.len() {
        0 => {}
        1 => return format!("Waiting for {whose} answer."),
        count => return format!("Waiting for {whose} answers to {count} questions."),
    }
    if view.planning {
        return "Planning…".to_owned();
    }
    let proposed = view.workflows.iter().find(|workflow| Some(workflow.id) == view.proposal);
    if let Some(plan) = proposed {
        return format!("Waiting for {whose} review of the plan {}.", name(&plan.name));
    }
    let asks = view.workflows.iter().find(|workflow| workflow.tasks_waiting_for_people > 0);
    match (asks.or(view.workflows.first()), view.workflows.len()) {
        (None, _) => at_rest(view),
        (Some(one), 1) => format!("{}.", under_way(one, whose)),
        (Some(one), count) => format!("{}, and {} more.", under_way(one, whose), count - 1),
    }
}

/// Whose answer is waited for, as the reader hears it.
pub fn whose(view: &ConversationView, pen: &Pen) -> String {
    if pen.writes() { "your".to_owned() } else { format!("{}’s", called(&view.originator)) }
}

fn at_rest(view: &ConversationView) -> String {
    match view.planned {
        None if view.messages == 0 => "Nothing was said yet.".to_owned(),
        Some(PlanningEnd::Failed) => "Nothing came of it: say it in other words.".to_owned(),
        Some(PlanningEnd::Stopped) => "Stopped: nothing is being done.".to_owned(),
        None
        | Some(
            PlanningEnd::Answered
            | PlanningEnd::Asked
            | PlanningEnd::Proposed
            | PlanningEnd::Started
            | PlanningEnd::Escalated,
        ) => "Nothing is being done: say what comes next.".to_owned(),
    }
}

fn under_way(workflow: &WorkflowView, whose: &str) -> String {
    let called = name(&workflow.name);
    let total = many(u64::from(workflow.agents_total), "task");
    let done = format!("{} of {total}", workflow.agents_completed);
    if workflow.tasks_waiting_for_people > 0 {
        return format!("{called} waits for {whose} answer: {done}");
    }
    match workflow.status {
        WorkflowStatus::Draft | WorkflowStatus::PendingReview => {
            format!("{called} waits for {whose} review")
        }
        WorkflowStatus::Queued => format!("{called} is queued"),
        WorkflowStatus::Paused => format!("{called} is paused: {done}"),
        WorkflowStatus::Cancelling => format!("Stopping {called}: {done}"),
        WorkflowStatus::Running
        | WorkflowStatus::Completed
        | WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => format!("Running {called}: {done}"),
    }
}

/// A foreign text as a sentence of its own.
fn sentence_of(text: &str) -> String {
    let said = name(text.trim());
    format!("{said}.")
}

#[cfg(test)]
mod tests {
    use baton_core::actor::Actor;
    use baton_core::conversation::{AnswerKind, Clarification};
    use baton_core::ids::ConversationId;
    use baton_core::time::{Moment, Timestamp};
    use baton_core::words::{ActorKind, Doing};
    use baton_engine::usage::Spent;

    use super::*;

    fn view() -> ConversationView {
        let moment = Moment::new(Timestamp::from_millis(1_800_000_000_000), 7);
        let id = ConversationId::new(&moment, 0);
        ConversationView {
            conversation_id: id,
            id,
            title: "t".to_owned(),
            status: ConversationStatus::Active,
            doing: Doing::Idle,
            originator: "client:ada".to_owned(),
            claimed_by: None,
            escalated: None,
            focus: None,
            project_id: None,
            messages: 1,
            round: 0,
            questions: Vec::new(),
            planning: false,
            planned: None,
            proposal: None,
            workflows: Vec::new(),
            usage: Spent::default(),
            revision: 1,
            created_at: moment.now,
            updated_at: moment.now,
        }
    }

    fn caller(name: &str, role: Role) -> Caller {
        Caller { actor: Actor { kind: ActorKind::Client, name: name.to_owned() }, role }
    }

    fn question(key: &str) -> Clarification {
        Clarification {
            key: key.to_owned(),
            question: format!("{key}?"),
            reason: String::new(),
            kind: AnswerKind::Text,
            default: None,
        }
    }

    #[test]
    fn ho2_who_began_it_and_who_took_it_over_may_write() {
        let mut view = view();
        let pen = |view: &ConversationView, name, role| Pen::of(view, &caller(name, role));
        assert!(pen(&view, "ada", Role::Operator).writes());
        let bob = pen(&view, "bob", Role::Operator);
        assert!(bob.may_claim && !bob.may_release);
        assert_eq!(bob.barred.as_deref(), Some("Only ada, who began it, may write here."));
        let eve = pen(&view, "eve", Role::Viewer);
        assert!(!eve.may_claim && eve.barred.is_some_and(|why| why.contains("viewer")));
        view.claimed_by = Some("client:bob".to_owned());
        assert!(pen(&view, "ada", Role::Operator).writes());
        let bob = pen(&view, "bob", Role::Operator);
        assert!(bob.writes() && bob.may_release && !bob.may_claim);
        assert!(!pen(&view, "ada", Role::Operator).may_release);
        assert!(pen(&view, "root", Role::Admin).may_release);
    }

    #[test]
    fn the_first_that_somebody_must_act_on_is_said() {
        let mut all = view();
        let say =
            |view: &ConversationView| sentence(view, "your").replace(['\u{2068}', '\u{2069}'], "");
        assert_eq!(say(&all), "Nothing is being done: say what comes next.");
        all.planned = Some(PlanningEnd::Failed);
        assert_eq!(say(&all), "Nothing came of it: say it in other words.");
        all.planning = true;
        assert_eq!(say(&all), "Planning…");
        all.questions = vec![question("a")];
        assert_eq!(say(&all), "Waiting for your answer.");
        all.questions.push(question("b"));
        assert_eq!(sentence(&all, "ada’s"), "Waiting for ada’s answers to 2 questions.");
        all.escalated = Some("money".to_owned());
        assert_eq!(say(&all), "Escalated: “money”. Claim it to take it over.");
        all.claimed_by = Some("client:bob".to_owned());
        assert_eq!(say(&all), "Escalated: “money”. bob has taken it over.");
        all.status = ConversationStatus::Closed;
        assert!(say(&all).starts_with("Closed."));
    }
}
