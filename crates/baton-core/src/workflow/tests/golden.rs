//! A golden file per event shape: what was once written stays readable, and is written the same.

use std::path::PathBuf;

use super::*;
use crate::agent::{Cost, Usage};
use crate::codes::Code;
use crate::ids::TaskId;
use crate::workflow::edits::{EditUndone, PlanEdited};
use crate::workflow::event::{CallUndone, ClockSet, Retried, SentBack, TaskEmitted};
use crate::workflow::rows::{Tombstone, WorkflowCard, WorkflowRow, workflow_card, workflow_row};
use crate::workflow::tombstones::Tombstones;
use crate::workflow::{Amount, BudgetScope};
use crate::workflow::{
    BatchPurged, BudgetRaised, CallApproved, DefinitionRegistered, DefinitionRemoved, EventKind,
    EventReceived, FiringCause, ModelCall, ModelChanged, Purged, ServerReleased, TaskAnswered,
    TokenCreated, TokenRevoked, TranscriptCompacted, TriggerFired,
};

fn file(kind: EventKind) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("{}.json", kind.word()))
}

/// An event of the kind with every field filled in.
// Long because it has one example for each event.
fn example(kind: EventKind) -> Event {
    let blob = Body::Blob { hash: BlobHash::of(b"a large body"), size: 4096 };
    let failure = CallFailure { retry_after_ms: Some(1500), ..unknown() };
    let story = admitted(plan([tool("a")]), |_| {});
    let id = story.state.id;
    let parent: TaskId = id.task(Ordinal(3));
    let status = AttemptStatus::Lost;
    let task = Ordinal(2);
    match kind {
        EventKind::Admitted => Admitted {
            id,
            conversation: story.state.conversation,
            origin: Origin::Fork,
            priority: 9,
            plan: BlobHash::of(b"a plan"),
            inputs: body(json!({ "repo": "." })),
            folder: Some("/srv/ada".into()),
            user: None,
            reports_to: None,
            review: true,
            parent: Some(parent),
            project: None,
            hops: 0,
            fork_of: Some(id),
            fork_position: Some(17),
            kept: vec![kept(0), Kept { task, output: Output::Value(blob) }],
        }
        .into(),
        EventKind::Approved => approved(),
        EventKind::SentBack => SentBack { comments: "smaller".to_owned() }.into(),
        EventKind::Started => Started {}.into(),
        EventKind::Paused => Paused { cause: PauseCause::TimeBudget }.into(),
        EventKind::Resumed => resumed(),
        EventKind::CancelRequested => CancelRequested { reason: Some("enough".to_owned()) }.into(),
        EventKind::Finished => finished(Outcome::CompletedWithErrors { output: blob, failed: 2 }),
        EventKind::Retried => Retried { run: 2, tasks: vec![Ordinal(0), task] }.into(),
        EventKind::PlanEdited => {
            let (plan, before) = (BlobHash::of(b"an edited plan"), BlobHash::of(b"a plan"));
            PlanEdited { edit: 2, plan, before, inputs: Some(body(json!({ "repo": "." }))) }.into()
        }
        EventKind::EditUndone => EditUndone { edit: 2, plan: BlobHash::of(b"a plan") }.into(),
        EventKind::ClockSet => ClockSet { ahead_ms: -1_500 }.into(),
        EventKind::TaskStarted => {
            let input = Some(body(json!({ "path": "." })));
            TaskStarted { task, attempt: 3, input, lease: None, rung: 0, model: None }.into()
        }
        EventKind::TaskWaited => {
            let then = super::super::Resume::Complete;
            let span = Some(Duration::from_millis(1500));
            waited(2, Waiting::Timer { until: second(60), span, then })
        }
        EventKind::TaskExpanded => expanded(2, 7, 3),
        EventKind::TaskCompleted => gathered(2, 7, 3),
        EventKind::AttemptFailed => {
            let next = Next::Retry { until: second(60), span: Duration::from_millis(1500) };
            AttemptFailed { task, attempt: 3, status, failure, next }.into()
        }
        EventKind::TaskFailed => TaskFailed { task, status: Some(status), failure }.into(),
        EventKind::TaskSkipped => skipped(2, SkipCause::Dependency),
        EventKind::TaskCancelled => cancelled(2),
        EventKind::CallUndone => CallUndone { task }.into(),
        EventKind::TaskEmitted => {
            let event_type = "design.requested".to_owned();
            TaskEmitted { task, event_type, data: body(json!({ "job": 1 })) }.into()
        }
        EventKind::TaskAnswered => TaskAnswered {
            task,
            attempt: 3,
            message: blob,
            usage: Usage {
                input_tokens: 900,
                cached_tokens: 700,
                cache_write_tokens: 100,
                output_tokens: 80,
                reasoning_tokens: 30,
            },
            first: Some(Ordinal(7)),
            calls: vec![AskedCall { refused: Some("there is no tool".to_owned()), ..wants("x") }],
            again: Some(body(json!({ "user": [{ "text": "again" }] }))),
        }
        .into(),
        EventKind::CallApproved => CallApproved { task, digest: BlobHash::of(b"a call") }.into(),
        EventKind::BudgetRaised => {
            let by = Amount { tokens: 50_000, cost: Cost::pico(500_000_000_000), calls: 20 };
            BudgetRaised { task, scope: BudgetScope::Agent, by }.into()
        }
        EventKind::ModelChanged => ModelChanged { task, model: 1 }.into(),
        EventKind::TranscriptCompacted => {
            TranscriptCompacted { task, left_out: 3, dropped: 1 }.into()
        }
        EventKind::QuestionAsked => {
            let schema = json!({
                "type": "object", "required": ["size"],
                "properties": {
                    "size": { "type": "integer", "title": "Size", "minimum": 1, "default": 3 },
                    "mail": { "type": "string", "format": "email" },
                    "colour": { "type": "string", "enum": ["r"], "enumNames": ["Red"] },
                },
            });
            let question = Question::with_form("How large?", &schema).expect("a form");
            let tool = Some("files.move".to_owned());
            QuestionAsked { task, attempt: 3, number: 5, tool, question }.into()
        }
        EventKind::QuestionAnswered => answered(2, 3, 5, of_size(4)),
        EventKind::QuestionWithdrawn => withdrawn(2, 3, 5, Withdrawal::TakenBack),
        EventKind::DefinitionRegistered => {
            let name = "review".to_owned();
            let plan = BlobHash::of(b"a plan");
            DefinitionRegistered { name, version: 4, plan, source: None, triggers: 0 }.into()
        }
        EventKind::Purged => {
            let plan = BlobHash::of(b"a plan");
            let card = workflow_card(&story.state, 5, plan);
            let row = workflow_row(&story.state, 5, 99);
            Purged { tombstone: Tombstone { plan, card, row } }.into()
        }
        EventKind::BatchPurged => {
            let plan = BlobHash::of(b"a plan");
            let card =
                |number| WorkflowCard { parent: None, ..workflow_card(&story.state, number, plan) };
            let child = WorkflowCard { parent: Some(parent), ..card(5) };
            let row = |number| workflow_row(&story.state, number, 94 + number);
            let ended_at = Some(second(60));
            let ended = WorkflowRow { ended_at, started_at: Some(second(1)), ..row(5) };
            let one = Tombstone { plan, card: child, row: ended };
            let other = Tombstone { plan, card: card(7), row: row(7) };
            let tombstones = serde_json::to_value(Tombstones(vec![one, other]));
            let tombstones = body(tombstones.expect("it is written"));
            BatchPurged { events: 2, tombstones, usage: None }.into()
        }
        EventKind::DefinitionRemoved => DefinitionRemoved { name: "review".to_owned() }.into(),
        EventKind::EventReceived => EventReceived {
            source: "/ci".to_owned(),
            id: "7".to_owned(),
            event_type: "repo.push".to_owned(),
            subject: Some("main".to_owned()),
            time: Some(second(60)),
            datacontenttype: Some("application/json".to_owned()),
            extensions: [("actor".to_owned(), "ada".to_owned())].into(),
            data: blob,
            encoding: None,
        }
        .into(),
        EventKind::TokenCreated => TokenCreated {
            name: "ci".to_owned(),
            role: crate::words::Role::Operator,
            hash: BlobHash::of(b"a token"),
        }
        .into(),
        EventKind::TokenRevoked => TokenRevoked { name: "ci".to_owned() }.into(),
        EventKind::ServerReleased => ServerReleased { name: "files".to_owned() }.into(),
        EventKind::TriggerFired => TriggerFired {
            definition: "review".to_owned(),
            version: 4,
            trigger: 1,
            cause: FiringCause::Schedule { due: second(60) },
            workflow: Some(id),
            fault: Some("its inputs do not fit".to_owned()),
        }
        .into(),
        EventKind::Opened
        | EventKind::MessageAdded
        | EventKind::PlanningStarted
        | EventKind::PlannerAdmitted
        | EventKind::PlanningEnded
        | EventKind::ClarificationAsked
        | EventKind::ClarificationAnswered
        | EventKind::PlanProposed
        | EventKind::PlanReviewed
        | EventKind::WorkflowLinked
        | EventKind::WorkflowEnded
        | EventKind::ContextShifted
        | EventKind::Stopped
        | EventKind::Escalated
        | EventKind::Claimed
        | EventKind::Released
        | EventKind::Closed => talks::example(kind),
    }
}

/// A shape that was stored once is read for ever. A missing file is written, and then fails the
/// test, so that a new shape is looked at before it is kept.
#[test]
fn every_event_is_written_as_it_ever_was() {
    let mut faults = Vec::new();
    for kind in EventKind::ALL {
        let (path, event) = (file(*kind), example(*kind));
        let written = event.body().expect("it is written");
        let Ok(golden) = std::fs::read_to_string(&path) else {
            std::fs::write(&path, format!("{written}\n")).expect("the folder can be written");
            faults.push(format!("{kind}: there was no golden file; look at the new one"));
            continue;
        };
        let read = Event::read(*kind, golden.trim()).expect("what was stored is readable");
        if read != event || golden.trim() != written {
            faults.push(format!("{kind}: stored {golden}, written now {written}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The same for a start on lease, whose shape has one field more.
#[test]
fn a_start_on_lease_is_written_as_it_ever_was() {
    let golden = include_str!("../../../tests/golden/task.started.leased.json").trim();
    let event = Event::read(EventKind::TaskStarted, golden).expect("what was stored is readable");
    assert_eq!(event, leased(2, 3));
    assert_eq!(event.body().expect("it is written"), golden);
}

/// The same for an agent's turn.
#[test]
fn a_turn_is_written_as_it_ever_was() {
    let golden = include_str!("../../../tests/golden/task.started.turn.json").trim();
    let event = Event::read(EventKind::TaskStarted, golden).expect("what was stored is readable");
    let prompt = Some(prompt("Well?"));
    let digest = BlobHash::of(b"a request");
    let model = Some(ModelCall {
        model: "scripted/one".to_owned(),
        messages: 1,
        digest,
        tokens_max: 4_200,
        cost_max: Some(Cost::pico(63_000_000_000)),
    });
    let turn =
        TaskStarted { task: Ordinal(2), attempt: 3, input: prompt, lease: None, rung: 0, model };
    assert_eq!(event, turn.clone().into());
    assert_eq!(Event::from(turn).body().expect("it is written"), golden);
}

/// The same for an agent's answer that asks a person.
#[test]
fn an_answer_that_asks_a_person_is_written_as_it_ever_was() {
    let golden = include_str!("../../../tests/golden/task.answered.asks.json").trim();
    let event = Event::read(EventKind::TaskAnswered, golden).expect("what was stored is readable");
    let TurnAnswer { message, usage, calls, .. } = says([wants_answer("How large?")]);
    let (task, first) = (Ordinal(2), Some(Ordinal(7)));
    let asks = TaskAnswered { task, attempt: 3, message, usage, first, calls, again: None };
    assert_eq!(event, asks.clone().into());
    assert_eq!(Event::from(asks).body().expect("it is written"), golden);
}

/// The other shapes of a question and its answer are read for ever as well.
#[test]
fn an_address_and_a_refusal_are_written_as_they_ever_were() {
    let question = Question::with_address("Sign in.", "https://example.org/in").expect("a web one");
    let asked = Event::from(QuestionAsked {
        task: Ordinal(2),
        attempt: 3,
        number: 5,
        tool: None,
        question,
    });
    let declined = answered(2, 3, 5, Answer::Declined);
    for (event, golden) in [
        (asked, include_str!("../../../tests/golden/task.question_asked.url.json")),
        (declined, include_str!("../../../tests/golden/task.question_answered.declined.json")),
    ] {
        assert_eq!(event.body().expect("it is written"), golden.trim());
        assert_eq!(Event::read(event.kind(), golden.trim()).expect("it is readable"), event);
    }
}

/// CH1: what no declaration knows is not read.
#[test]
fn ch1_an_unknown_word_is_not_read() {
    let unknown = r#"{"task":1,"cause":"because"}"#;
    assert!(Event::read(EventKind::TaskSkipped, unknown).is_err());
    assert!(EventKind::from_code(250).is_none());
    assert!("pending-review".parse::<crate::words::WorkflowStatus>().is_err());
}
