//! Where an engine's effects go: calls to simulated tools, renderings, probes. What they really did is
//! in the effect ledger; when it happens is in the world's agenda.

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use baton_core::workflow::{ConversationEvent, Event, TaskStarted, Verdict};
use baton_engine::attempt_status;
use baton_engine::conversing::PlanJob;
use baton_engine::exchange::{Call, Effect, Input, JobKey, Prepare};
use baton_engine::live::{read_blob, read_event};
use baton_engine::scope::{render, render_output};
use baton_engine::store::Store;
use baton_engine::turns::Asking;

use crate::check;
use crate::ledger::{Violation, violation};
use crate::models;
use crate::planner;
use crate::reading;
use crate::talk_check;
use crate::tools;
use crate::world::{Happening, Running, World};

impl World {
    pub(crate) fn carry_out(&mut self, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Call(call) => self.call(&call),
            Effect::Ask(asking) => self.ask(&asking),
            Effect::Count(asking) => {
                // Some models count, some do not.
                let tokens = (asking.job.task.0 % 2 == 0).then_some(200);
                self.later(Input::Counted { job: asking.job, tokens });
                Ok(())
            }
            // Nobody watches.
            Effect::TellHeld(_) => Ok(()),
            Effect::Cancel(job) => self.cancel(job),
            Effect::Answer { job, ticket, heard } => self.hears(job, ticket, &heard),
            Effect::Prepare(job) => {
                let mut store = self.faulty_store();
                let result = render(&job, &mut |hash| read_blob(hash, &mut store));
                let (number, task, run) = (job.number, job.task, job.run);
                self.later(Input::Prepared { number, task, run, result });
                Ok(())
            }
            Effect::Conclude(job) => {
                let mut store = self.faulty_store();
                let mut read = |hash| read_blob(hash, &mut store);
                let result = render_output(&job.loaded.program, &job.ingredients, &mut read);
                let number = job.number;
                self.later(Input::Concluded { number, result });
                Ok(())
            }
            Effect::Probe(job) => {
                self.probe(&job);
                Ok(())
            }
            Effect::Plan(job) => self.plan(&job),
            Effect::Snapshot(job) => {
                let (number, row) = (job.number, job.row());
                self.later(Input::Snapshot { number, row });
                Ok(())
            }
        }
    }

    fn later(&mut self, input: Input) {
        let millis = match self.weather.tools {
            true => self.rng.below(20_000),
            false => 1,
        };
        self.plan_ahead(millis, Happening::Arrives(input));
    }

    /// CH6: the start of an attempt is durable before its call is made.
    fn call(&mut self, call: &Call) -> Result<(), Violation> {
        let JobKey { number, task, attempt } = call.job;
        let stream = self.store.stream(number).map_err(check::unread)?;
        let started = stream.iter().rev().any(|record| {
            let event = read_event(record);
            matches!(event, Ok(Event::TaskStarted(TaskStarted { task: t, attempt: a, .. }))
                if t == task && a == attempt)
        });
        if !started {
            return violation(format!("ch6: {:?} was called, its start is not durable", call.job));
        }
        let run = reading::row(&self.store, number).map_or(0, |(_, row)| row.run);
        let key = call.idempotency_key.clone();
        self.ledger.called(call.job, run, call.rung, &key)?;
        let before = self.calls.entry(key.clone()).or_default();
        let course = match self.weather.tools {
            true => tools::wild(call, &mut self.rng),
            false => tools::calm(call, *before),
        };
        *before += 1;
        let class = tools::effect_of(call);
        let pending = course.effect.is_some();
        self.running.insert(call.job, Running { key, class, pending });
        self.follow_course(call.job, course);
        Ok(())
    }

    /// CH6 for a turn, and that no turn which is in the journal is made again.
    fn ask(&mut self, asking: &Asking) -> Result<(), Violation> {
        let JobKey { number, task, attempt } = asking.job;
        let stream = self.store.stream(number).map_err(check::unread)?;
        let (mut started, mut answers) = (false, 0);
        for record in &stream {
            let event = read_event(record).map_err(check::unread)?;
            let is_mine = event.task() == Some(task);
            if let (Event::TaskStarted(begun), true) = (&event, is_mine) {
                started = begun.attempt == attempt;
            }
            answers += usize::from(is_mine && matches!(event, Event::TaskAnswered(_)));
            if let (Event::TranscriptCompacted(compacted), true) = (&event, is_mine) {
                answers = answers.saturating_sub(compacted.dropped as usize);
            }
            if matches!(&event, Event::Retried(retried) if retried.tasks.contains(&task)) {
                answers = 0;
            }
        }
        if !started {
            return violation(format!("ch6: the turn {:?} is not durable", asking.job));
        }
        let mut store = self.faulty_store();
        let request = match asking.request(&mut |hash| read_blob(hash, &mut store)) {
            Ok(request) => request,
            Err(_) => {
                let failure = CallFailure::passing(FailureKind::Lost, "the store does not answer");
                let result = Err((attempt_status(&failure), failure));
                self.later(Input::Answered { job: asking.job, result });
                return Ok(());
            }
        };
        if models::answers(&request) != answers {
            return violation(format!("a finished turn is asked for again: {:?}", asking.job));
        }
        let written = |fault| Violation(format!("a request cannot be written: {fault}"));
        self.prompts.push((asking.job, request.canonical().map_err(written)?));
        let turns = match self.weather.tools {
            true => models::wild(asking, &request, &mut self.rng),
            false => models::calm(asking, &request),
        };
        for (at, result) in turns {
            let answered = Input::Answered { job: asking.job, result };
            self.plan_ahead(at, Happening::Arrives(answered));
        }
        Ok(())
    }

    /// CH6 for a planner, which answers late, and now and then twice.
    fn plan(&mut self, job: &PlanJob) -> Result<(), Violation> {
        let stream = self.store.stream(job.number).map_err(check::unread)?;
        let is_its = |event: &ConversationEvent| {
            matches!(event, ConversationEvent::PlanningStarted(started)
                if started.planning == job.planning)
        };
        if !talk_check::events(&stream)?.iter().any(is_its) {
            return violation(format!("ch6: planning {} is not durable", job.planning));
        }
        let again = u64::from(self.weather.tools && self.rng.chance(200));
        for _ in 0..=again {
            let (number, planning) = (job.number, job.planning);
            let thought = Box::new(planner::think(job));
            self.later(Input::Planned { number, planning, thought });
        }
        Ok(())
    }

    /// A call is told to end: it does, or never answers again. Its effect has happened, or never does.
    fn cancel(&mut self, job: JobKey) -> Result<(), Violation> {
        if !self.running.contains_key(&job) {
            return Ok(());
        }
        if self.rng.chance(300) {
            self.has_effect(job)?;
        }
        self.running.remove(&job);
        self.asking.remove(&job);
        let of_job =
            |happening: &Happening| matches!(happening, Happening::Answer(of, _) if *of == job);
        self.agenda.retain(|_, happening| !of_job(happening));
        if self.rng.chance(700) {
            let failure = CallFailure::in_doubt(FailureKind::Cancelled, "told to stop");
            let answer = Err((attempt_status(&failure), failure));
            self.plan_ahead(100, Happening::Answer(job, answer));
        }
        Ok(())
    }

    /// A probe looks now and answers later. Some do not know.
    fn probe(&mut self, job: &Prepare) {
        let (number, task) = (job.number, job.task);
        let id = reading::row(&self.store, number).map(|(card, row)| (card.id, row.run));
        let verdict = id.filter(|_| !self.rng.chance(300)).map(|(id, run)| {
            let key = idempotency_key(id, task, run, job.rung);
            self.truth(&key, job)
        });
        self.later(Input::Probed { number, task, verdict });
    }

    fn truth(&self, key: &str, job: &Prepare) -> (Verdict, Option<baton_core::body::Blob>) {
        if !self.ledger.has_happened(key) {
            return (Verdict::DidNotHappen, None);
        }
        let plan = job.loaded.plan.task(job.of);
        let (body, blob) = tools::output(plan.map_or("", |plan| plan.key.as_str()), job.rung);
        (Verdict::Happened(body), blob)
    }
}

/// The key an attempt of this task calls under: as the engine makes it.
pub fn idempotency_key(
    id: baton_core::ids::WorkflowId,
    task: baton_core::ids::Ordinal,
    run: u32,
    rung: u32,
) -> String {
    format!("{}:{run}:{rung}", id.task(task))
}
