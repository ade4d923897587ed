//! What a running call may ask a person, and what becomes of the question.

use super::*;
use crate::words::WaitReason;
use crate::workflow::question::QUESTIONS_MAX;

fn asking(task: TaskPlan) -> Story {
    given(plan([task])).does(start(0)).does(ask(0, 1))
}

fn decline(question: Option<u32>) -> Command {
    Command::Decline { task: Ordinal(0), question }
}

fn respond_to(number: u32, value: Value) -> Command {
    let (by, question) = ("ada".to_owned(), Some(number));
    Command::Respond { task: Ordinal(0), value, by, question }
}

#[test]
fn a_call_asks_waits_for_a_person_and_goes_on_with_the_answer() {
    let story = given(plan([once("a")])).does(start(0));
    let story = story.when(ask(0, 1)).then([asked(0, 1, 1)]);
    let (_, on) = story.state.waiting().next().expect("it waits");
    assert_eq!((on.reason(), story.state.waiting_people()), (WaitReason::Person, 1));
    let story = story.when(ask(0, 1)).refused(Refusal::StaleAttempt);
    let story = story.when(respond(0, json!({ "size": 3 }))).then([answered(0, 1, 1, of_size(3))]);
    assert_eq!(story.status_of(0), TaskStatus::Executing);
    let story = story.when(respond(0, json!({ "size": 4 }))).refused(Refusal::NotWaiting);
    let story = story.when(decline(None)).refused(Refusal::NotWaiting);
    let story = story.when(ask(0, 1)).then([asked(0, 1, 2)]);
    let story = story.when(decline(None)).then([answered(0, 1, 2, Answer::Declined)]);
    story.when(complete(0, 1)).then([done(0)]);
}

#[test]
fn an_answer_fits_the_form_and_the_question_that_was_looked_at() {
    let story = asking(once("a"));
    let story = story.when(respond(0, json!({ "size": 0 }))).refused(Refusal::InvalidAnswer);
    let story = story.when(respond(0, json!({}))).refused(Refusal::InvalidAnswer);
    let story = story.when(respond(0, json!(true))).refused(Refusal::InvalidAnswer);
    let story = story.does(Command::TakeBack { task: Ordinal(0), attempt: 1 }).does(ask(0, 1));
    let fits = json!({ "size": 3 });
    let story = story.when(respond_to(1, fits.clone())).refused(Refusal::NotWaiting);
    let story = story.when(decline(Some(1))).refused(Refusal::NotWaiting);
    story.when(respond_to(2, fits)).then([answered(0, 1, 2, of_size(3))]);
}

#[test]
fn time_that_a_call_waits_for_a_person_is_not_used_up() {
    let story = asking(once("a"));
    let used = story.state.time_used(second(story.clock));
    assert!(!story.state.is_busy());
    assert_eq!(story.state.time_used(second(500)), used);
    let story = Story { clock: 500, ..story }.does(respond(0, json!({ "size": 3 })));
    assert_eq!(story.state.time_used(second(501)), used);
    assert_eq!(story.state.time_used(second(502)), used + Duration::from_secs(1));
}

#[test]
fn a_call_that_ends_leaves_no_question_open() {
    let ended = |command| asking(once("a")).when(command);
    let over = |cause| withdrawn(0, 1, 1, cause);
    ended(complete(0, 1)).then([over(Withdrawal::CallEnded), done(0)]);
    ended(complete(0, 2)).refused(Refusal::StaleAttempt);
    let no = failure(Happened::No);
    let failed = failed_by(0, AttemptStatus::Failed, no.clone());
    ended(fail(0, 1, no)).then([over(Withdrawal::CallEnded), failed]);
    let take_back = Command::TakeBack { task: Ordinal(0), attempt: 1 };
    let story = ended(take_back.clone()).then([over(Withdrawal::TakenBack)]);
    assert_eq!(story.status_of(0), TaskStatus::Executing);
    story.when(take_back).refused(Refusal::NotWaiting);
}

#[test]
fn a_lost_call_that_asked_is_repeated_or_in_doubt_by_its_class() {
    let lost = || fail_by(0, 1, AttemptStatus::Lost, unknown());
    for effect in [Effect::Read, Effect::Idempotent] {
        let story = asking(effectful("a", effect)).does(lost());
        assert_eq!((story.ready(), story.state.waiting_people()), (vec![0], 0));
        let story = story.does(start(0)).when(ask(0, 2)).then([asked(0, 2, 2)]);
        story.when(respond_to(1, json!({ "size": 3 }))).refused(Refusal::NotWaiting);
    }
    let story = asking(once("a")).does(lost());
    let (_, on) = story.state.waiting().next().expect("it waits");
    assert_eq!(on.reason(), WaitReason::InDoubt);
    story.when(respond(0, json!({ "size": 3 }))).refused(Refusal::NotWaiting);
}

#[test]
fn a_run_that_ends_asks_nobody_and_lets_the_call_end() {
    let over = || withdrawn(0, 1, 1, Withdrawal::RunEnds);
    let story = asking(once("a")).after([cancel_requested()]);
    let story = story.when(Command::Advance).then([over()]);
    let story = story.when(ask(0, 1)).refused(Refusal::NotRunning);
    story.does(complete(0, 1)).when(finish()).then([finished(Outcome::Cancelled { reason: None })]);
    let story = given(plan([once("a"), tool("b")])).does(start(0)).does(start(1)).does(ask(0, 1));
    let story = story.after([failed(1)]).when(Command::Advance).then([over()]);
    assert!(!story.state.is_settled(), "the call still runs");
    story.when(ask(0, 1)).refused(Refusal::NotRunning);
}

#[test]
fn a_pause_lets_people_answer() {
    let story = asking(once("a")).does(pause());
    let story = story.when(respond(0, json!({ "size": 3 }))).then([answered(0, 1, 1, of_size(3))]);
    story.when(ask(0, 1)).then([asked(0, 1, 2)]);
}

#[test]
fn an_attempt_asks_so_many_questions_and_the_next_one_anew() {
    let take_back = |attempt| Command::TakeBack { task: Ordinal(0), attempt };
    let mut story = given(plan([tool("a")])).does(start(0));
    for _ in 0..QUESTIONS_MAX {
        story = story.does(ask(0, 1)).does(take_back(1));
    }
    let story = story.when(ask(0, 1)).refused(Refusal::NotReady);
    let story = story.does(fail_by(0, 1, AttemptStatus::Lost, unknown())).does(start(0));
    story.when(ask(0, 2)).then([asked(0, 2, QUESTIONS_MAX + 1)]);
}

#[test]
fn work_outside_asks_nobody() {
    let story = given(plan([worker("a", Effect::Once)])).does(lease(0));
    story.when(ask(0, 1)).refused(Refusal::NotReady);
}
