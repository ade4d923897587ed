//! The simulated workers outside: they lease, do their work at once or not at all, and then answer,
//! twice, late, or never. They outlive the owners they lease from.

use std::sync::Arc;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::failure::CallFailure;
use baton_core::words::{FailureKind, Happened};
use baton_core::workflow::{Event, TaskStarted};
use baton_engine::exchange::{Input, JobKey, Request};
use baton_engine::live::read_event;
use baton_engine::store::Store;
use baton_engine::workers::{Lease, LeaseAsk};

use crate::check;
use crate::ledger::{Violation, violation};
use crate::people::ask;
use crate::tools;
use crate::world::{Happening, World};

/// The type of worker that they are.
pub const TYPE: &str = "sim";

/// What comes of a lease.
struct Course {
    happens: bool,
    /// When they answer, in milliseconds; `None` is the output, else why it failed.
    answers: Vec<(u64, Option<CallFailure>)>,
}

impl World {
    /// A worker asks for some tasks; some have left before there are any.
    pub(crate) fn worker_asks(&mut self) {
        let stays = !self.weather.tools || self.rng.chance(900);
        let gone = Arc::new(());
        let lease = LeaseAsk {
            types: vec![TYPE.to_owned()],
            worker: "worker".into(),
            max: 1 + u32::try_from(self.rng.below(3)).unwrap_or(0),
            wait: Duration::from_millis(self.rng.below(10_000)),
            span: Duration::from_millis(1_000 + self.rng.below(30_000)),
            asker: Arc::downgrade(if stays { &self.here } else { &gone }),
        };
        ask(self, Request::Lease(Box::new(lease)));
    }

    /// What a worker does with a task it got.
    pub(crate) fn works(&mut self, lease: &Lease) -> Result<(), Violation> {
        let Some((number, task)) = self.job_of(lease) else {
            return violation(format!("{lease:?} was leased, and there is no such task"));
        };
        let job = JobKey { number, task, attempt: lease.token };
        let stream = self.store.stream(number).map_err(check::unread)?;
        let started = stream.iter().rev().any(|record| {
            matches!(read_event(record), Ok(Event::TaskStarted(TaskStarted { task: t, attempt: a, .. }))
                if t == task && a == lease.token)
        });
        if !started {
            return violation(format!("ch6: {job:?} was leased, its start is not durable"));
        }
        let (state, _) = check::folded(&mut self.store, number)?;
        self.ledger.called(job, state.run, 0, &lease.idempotency_key)?;
        let course = if self.weather.tools { self.wild_course() } else { Self::calm_course() };
        if course.happens {
            self.ledger.happen(job, state.effect(task), &lease.idempotency_key)?;
        }
        let key = state.task_plan(task).map_or_else(String::new, |plan| plan.key.clone());
        for (at, failure) in course.answers {
            let (task, token) = (lease.task, lease.token);
            let request = match failure {
                None => Request::Complete { task, token, output: tools::output(&key, 0) },
                Some(failure) => Request::FailWork { task, token, failure },
            };
            let (token, actor) = (self.rng.next(), Actor::user("worker"));
            self.plan_ahead(at, Happening::Says(Input::Request { token, actor, request }));
        }
        Ok(())
    }

    fn job_of(&self, lease: &Lease) -> Option<(u64, baton_core::ids::Ordinal)> {
        let (_, task) = lease.task.split()?;
        let rows = crate::reading::rows(&self.store);
        let (card, _) = rows.iter().find(|(card, _)| card.id == lease.workflow)?;
        Some((card.number, task))
    }

    fn calm_course() -> Course {
        Course { happens: true, answers: vec![(100, None)] }
    }

    fn wild_course(&mut self) -> Course {
        let latency = 1 + self.rng.below(5_000);
        let maybe = self.rng.chance(500);
        let busy = || CallFailure::passing(FailureKind::Unavailable, "busy");
        let refused = || CallFailure::refused(FailureKind::Refused, "no");
        let (happens, answers) = match self.rng.below(100) {
            0..60 => (true, vec![(latency, None)]),
            60..68 => (true, vec![(latency, None), (latency + 3_000, None)]),
            68..76 => (false, vec![(latency, Some(busy()))]),
            76..80 => (false, vec![(latency, Some(refused()))]),
            80..84 => {
                let failure = CallFailure { happened: Happened::Yes, ..refused() };
                (true, vec![(latency, Some(failure))])
            }
            84..92 => (maybe, Vec::new()),
            _ => (true, vec![(40_000, None)]),
        };
        Course { happens, answers }
    }
}
