//! Simulated calls that ask people: they wait for the answer, or do not, or take the question back.
//!
//! What such a call does afterwards is held back until it has heard, and drawn by `tools.rs`.

use baton_core::workflow::question::Question;
use baton_core::workflow::{Event, QuestionAnswered, TaskPhase, Waiting};
use baton_engine::asking::Heard;
use baton_engine::exchange::{CallResult, Input, JobKey};
use baton_engine::live::read_event;
use baton_engine::store::Store;
use serde_json::json;

use crate::check;
use crate::ledger::{Violation, violation};
use crate::tools::{Course, Manner};
use crate::world::{Happening, World};

/// What a call does once it has heard, in milliseconds from then.
#[derive(Debug, Default)]
pub(crate) struct Held {
    effect: Option<u64>,
    answers: Vec<(u64, CallResult)>,
}

/// What every simulated call asks.
pub fn question() -> Question {
    let schema = json!({
        "type": "object", "required": ["size"],
        "properties": { "size": { "type": "integer", "minimum": 1 } },
    });
    let asked = Question::with_form("How large?", &schema);
    asked.unwrap_or_else(|_| unreachable!("the form is a valid one"))
}

impl World {
    /// Plans what a call does: all of it now, or what is left once it has heard.
    pub(crate) fn follow_course(&mut self, job: JobKey, course: Course) {
        let Course { effect, answers, asks } = course;
        let mut held = Held { effect, answers };
        let asked = |ticket| Input::Asked { job, ticket, question: question() };
        match asks {
            None => {}
            Some((at, Manner::Waits { again })) => {
                self.plan_ahead(at, Happening::Wishes(job, asked(1)));
                self.asking.insert(job, (1, again, std::mem::take(&mut held)));
            }
            Some((at, Manner::TakesBack { after })) => {
                self.plan_ahead(at, Happening::Wishes(job, asked(1)));
                let taken_back = Input::TakenBack { job, ticket: 1 };
                self.plan_ahead(at + after, Happening::Wishes(job, taken_back));
                if self.rng.chance(500) {
                    self.plan_ahead(at + after, Happening::Wishes(job, asked(2)));
                }
            }
            Some((at, Manner::Ends)) => {
                self.plan_ahead(at, Happening::Wishes(job, asked(1)));
            }
        }
        self.go_on(job, held);
    }

    fn go_on(&mut self, job: JobKey, held: Held) {
        if let Some(at) = held.effect {
            self.plan_ahead(at, Happening::Effect(job));
        }
        for (at, answer) in held.answers {
            self.plan_ahead(at, Happening::Answer(job, answer));
        }
    }

    /// A call hears what came of its question, which is durable by now.
    pub(crate) fn hears(
        &mut self,
        job: JobKey,
        ticket: u32,
        heard: &Heard,
    ) -> Result<(), Violation> {
        if let Heard::Said(_) = heard {
            let records = self.store.stream(job.number).map_err(check::unread)?;
            let is_it =
                |event: &QuestionAnswered| (event.task, event.attempt) == (job.task, job.attempt);
            let stands = records.iter().any(|record| {
                matches!(read_event(record), Ok(Event::QuestionAnswered(event)) if is_it(&event))
            });
            if !stands {
                return violation(format!("{job:?} heard {heard:?}, which is not durable"));
            }
        }
        let Some((waits_for, again, held)) = self.asking.remove(&job) else {
            return Ok(());
        };
        if waits_for != ticket {
            return violation(format!("{job:?} waits for {waits_for} and heard of {ticket}"));
        }
        if again > 0 && matches!(heard, Heard::Said(_)) {
            let ticket = ticket + 1;
            self.asking.insert(job, (ticket, again - 1, held));
            let question = question();
            self.plan_ahead(1, Happening::Wishes(job, Input::Asked { job, ticket, question }));
        } else {
            self.go_on(job, held);
        }
        Ok(())
    }

    /// Nobody is asked for a call that does not run.
    pub(crate) fn no_question_is_orphaned(&self) -> Result<(), Violation> {
        for (number, state) in self.engine().into_iter().flat_map(|engine| engine.states()) {
            for (task, on) in state.waiting() {
                let attempt = state.task(task).map_or(0, |task| task.attempts);
                let job = JobKey { number, task, attempt };
                let is_question = matches!(on, Waiting::Question { .. });
                let has_ended = |input: &Input| matches!(input, Input::Called { job: ended, .. } if *ended == job);
                if is_question
                    && !self.running.contains_key(&job)
                    && !self.inbox.iter().any(has_ended)
                {
                    let phase = state.task(task).map(|task| &task.phase);
                    let said: Option<&TaskPhase> = phase;
                    return violation(format!("{job:?} does not run: {said:?}"));
                }
            }
        }
        Ok(())
    }
}
