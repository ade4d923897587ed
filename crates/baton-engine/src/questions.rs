//! Questions of running calls: journaled before anybody sees them, their answers before the call
//! does. What may be asked, and what follows from it, is the core's to decide.

use std::collections::BTreeMap;

use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::workflow::question::{Question, Withdrawal};
use baton_core::workflow::{Command, QuestionAnswered, QuestionWithdrawn};

use crate::asking::Heard;
use crate::engine::Engine;
use crate::exchange::{Effect, JobKey};
use crate::react::lost;

/// How many calls may wait for a person at a time, in the whole workspace: each keeps its place
/// among those that execute.
pub const OPEN_MAX: usize = 64;

/// What calls of this owner ask just now.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// The ticket of each task's question.
    open: BTreeMap<(u64, Ordinal), u32>,
    /// Whose calls were cut off because nobody stayed to answer them.
    cut_off: Vec<(u64, Ordinal)>,
}

impl Questions {
    /// The tasks of a workflow whose calls ask.
    pub fn of(&self, number: u64) -> impl Iterator<Item = Ordinal> + '_ {
        let range = (number, Ordinal(0))..=(number, Ordinal(u32::MAX));
        self.open.range(range).map(|((_, task), _)| *task)
    }
}

impl Engine {
    /// A running call asks a person.
    pub(crate) fn asked(&mut self, job: JobKey, ticket: u32, question: Question) {
        let JobKey { number, task, attempt } = job;
        let refused = if self.questions.open.len() >= OPEN_MAX {
            Some("too many calls wait for people already")
        } else {
            let asked = self.apply_own(number, &Command::Ask { task, attempt, question });
            asked.err().map(|_| "the run ends, or the call has asked enough")
        };
        match refused {
            Some(why) => self.effect(Effect::Answer { job, ticket, heard: Heard::Nothing(why) }),
            None => drop(self.questions.open.insert((number, task), ticket)),
        }
        if self.draining {
            self.cut_off_asking();
        }
    }

    /// Whoever asked does not want to know any more.
    pub(crate) fn taken_back(&mut self, job: JobKey, ticket: u32) {
        let JobKey { number, task, attempt } = job;
        if self.questions.open.get(&(number, task)) == Some(&ticket) {
            // Refused where a person was faster.
            let _ = self.apply_own(number, &Command::TakeBack { task, attempt });
        }
    }

    /// The answer is on disk when this is carried out.
    pub(crate) fn pass_on(&mut self, number: u64, answered: &QuestionAnswered) {
        let heard = Heard::Said(answered.answer.clone());
        self.tell_asker(number, (answered.task, answered.attempt), Some(heard));
    }

    /// Nobody is asked any more; the line to a call that goes on all the same is told so.
    pub(crate) fn close_question(&mut self, number: u64, withdrawn: &QuestionWithdrawn) {
        let heard = match withdrawn.cause {
            Withdrawal::RunEnds => Some(Heard::Nothing("the run ends")),
            // Its time goes on from here.
            Withdrawal::TakenBack => Some(Heard::Nothing("it was taken back")),
            Withdrawal::CallEnded | Withdrawal::CallLost => None,
        };
        self.tell_asker(number, (withdrawn.task, withdrawn.attempt), heard);
    }

    fn tell_asker(&mut self, number: u64, (task, attempt): (Ordinal, u32), heard: Option<Heard>) {
        let ticket = self.questions.open.remove(&(number, task));
        if let (Some(ticket), Some(heard)) = (ticket, heard) {
            let job = JobKey { number, task, attempt };
            self.effect(Effect::Answer { job, ticket, heard });
        }
    }

    /// Starts nothing more. A call that waits for a person would wait for ever: it is cut off, and
    /// repeated or in doubt by its effect class.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.cut_off_asking();
    }

    fn cut_off_asking(&mut self) {
        let open: Vec<_> = self.questions.open.keys().copied().collect();
        for (number, task) in open {
            let attempt = self.attempt_of(number, task);
            if self.apply_own(number, &lost(task, attempt)).is_ok() {
                self.questions.cut_off.push((number, task));
                self.effect(Effect::Cancel(JobKey { number, task, attempt }));
            }
        }
    }

    /// The tasks, by workflow and key, whose calls waited for a person when their owner had to go.
    pub fn cut_off(&self) -> impl Iterator<Item = (WorkflowId, String)> + '_ {
        self.questions.cut_off.iter().filter_map(|(number, task)| {
            let state = &self.lives.get(number)?.state;
            Some((state.id, state.key_of(*task)))
        })
    }
}
