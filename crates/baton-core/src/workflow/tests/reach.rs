//! Which statuses the commands reach: all that are declared, but those that later work will reach.

use std::collections::BTreeSet;

use super::*;
use crate::codes::Code;
use crate::words::{WaitReason, WorkflowStatus};
use crate::workflow::{Resume, TaskPhase, Verdict};

/// Every command that could be meant for any task of this state.
fn commands(state: &WorkflowState) -> Vec<Command> {
    let mut all = vec![
        Command::Approve { revision: state.revision },
        Command::SendBack { comments: String::new() },
        pause(),
        Command::Resume,
        cancel(),
        retry([]),
        Command::Advance,
        finish(),
    ];
    for (task, n) in state.tasks().iter().zip(0..) {
        let attempt = task.attempts;
        all.extend([
            start(n),
            Command::SkipTask { task: Ordinal(n) },
            complete(n, attempt),
            fail(n, attempt, passing()),
            fail(n, attempt, failure(Happened::No)),
            fail_by(n, attempt, AttemptStatus::Lost, unknown()),
            suspend(n, attempt, person()),
            suspend(n, attempt, Waiting::Event { pattern: "x".to_owned(), until: None }),
            suspend(n, attempt, Waiting::Child { child: state.id }),
            suspend(
                n,
                attempt,
                Waiting::Timer { until: second(9), span: None, then: Resume::Complete },
            ),
            ask(n, attempt),
            respond(n, json!({ "size": 3 })),
            Command::TakeBack { task: Ordinal(n), attempt },
            Command::Settle { task: Ordinal(n), verdict: Verdict::DidNotHappen },
            Command::Elapse { task: Ordinal(n) },
        ]);
    }
    all
}

fn reached(
    plans: impl IntoIterator<Item = Story>,
) -> (BTreeSet<WorkflowStatus>, BTreeSet<TaskStatus>, BTreeSet<WaitReason>) {
    let (mut workflow, mut tasks, mut waits) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut open: Vec<Story> = plans.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(story) = open.pop() {
        workflow.insert(story.state.status());
        tasks.extend(story.state.tasks().iter().map(|task| task.phase.status()));
        waits.extend(story.state.waiting().map(|(_, on)| on.reason()));
        let phase = |task: &super::super::Task| match &task.phase {
            TaskPhase::Waiting { on, .. } => format!("{on:?}"),
            phase => phase.status().to_string(),
        };
        let phases: Vec<String> = story.state.tasks().iter().map(phase).collect();
        let failing = story.state.may_start();
        if story.clock < 12 && seen.insert((story.state.status(), failing, phases)) {
            let next = commands(&story.state).into_iter().filter_map(|command| {
                let events = story.state.decide(&command, &story.moment()).ok()?;
                (!events.is_empty()).then(|| story.clone().after(events))
            });
            open.extend(next);
        }
    }
    (workflow, tasks, waits)
}

#[test]
fn every_status_is_reached_from_the_start() {
    let task = || once("a").on_failure(OnFailure::SkipDependents).retry(2, 1, 1);
    let graph = || plan([task(), tool("b").needs([0]).on_failure(OnFailure::Continue)]);
    let (workflow, tasks, waits) =
        reached([admitted(graph(), |event| event.review = true), given(plan([tool("a")]))]);
    assert_eq!(workflow, WorkflowStatus::ALL.iter().copied().collect());
    assert_eq!(tasks, TaskStatus::ALL.iter().copied().collect());
    // Token and money budgets, and the approval of single calls, come with agents.
    let later = [WaitReason::Budget, WaitReason::Approval];
    let declared = WaitReason::ALL.iter().copied();
    assert_eq!(waits, declared.filter(|reason| !later.contains(reason)).collect());
}
