//! What an event leads to beside the workflow's own state: timers, listeners, effects, family.

use baton_core::body::Blob;
use baton_core::conversation::ReviewEnd;
use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::TaskPlan;
use baton_core::words::{AttemptStatus, FailureKind};
use baton_core::workflow::{
    Account, BudgetScope, Command, Event, Lease, ModelChanged, Next, Phase, Resume, Task,
    TaskPhase, TranscriptCompacted, Verdict, Waiting,
};

use crate::engine::Engine;
use crate::exchange::{Effect, JobKey, Prepare, Reply};
use crate::live::Live;
use crate::scope::Ingredients;
use crate::store::{Store, StoreError};
use crate::timers::Due;

impl Engine {
    /// What an event just staged leads to.
    // Long because it has one arm for each event.
    pub(crate) fn react(&mut self, number: u64, event: &Event) {
        if event.attempt_end().is_some() || matches!(event, Event::BudgetRaised(_)) {
            self.let_ask_for_room(number);
        }
        self.free_idle_keys(number);
        match event {
            Event::Started(_) => self.watch_budget(number),
            Event::Retried(_) => {
                self.report_retry(number);
                self.count_anew(number);
                self.watch_budget(number);
            }
            Event::Resumed(_) => {
                self.count_anew(number);
                self.watch_budget(number);
                self.requeue(number);
            }
            // What was ready at admission left the queue again: it could not start.
            Event::Approved(_) => {
                self.report_review(number, ReviewEnd::Approved);
                self.requeue(number);
            }
            Event::SentBack(sent) => {
                let comments = sent.comments.clone();
                self.report_review(number, ReviewEnd::SentBack { comments });
            }
            Event::Paused(_) => {
                self.queue.clear(number);
                self.workers.withdraw(number);
            }
            Event::CancelRequested(_) => self.stop_calls(number),
            Event::Finished(_) => {
                self.free_agents_keys(number);
                self.tell_of_end(number);
                self.report_end(number);
            }
            Event::TaskWaited(waited) => {
                self.release(number, waited.task);
                self.await_outside(number, waited.task, &waited.on);
            }
            Event::AttemptFailed(failed) => {
                self.release(number, failed.task);
                match &failed.next {
                    Next::Retry { span, .. } => {
                        let over = self.now.uptime + *span;
                        if let Some(live) = self.lives.get_mut(&number) {
                            live.pauses.insert(failed.task, (failed.attempt, over));
                        }
                        self.timers.after(over, Due::Task(number, failed.task, failed.attempt));
                    }
                    Next::InDoubt => self.probe(number, failed.task),
                    Next::Repeat | Next::Model | Next::Fallback => {}
                }
            }
            Event::TaskCompleted(done) => self.release(number, done.task),
            Event::TaskFailed(failed) => self.release(number, failed.task),
            Event::TaskCancelled(cancelled) => self.release(number, cancelled.task),
            Event::TaskSkipped(skipped) => self.release(number, skipped.task),
            Event::TaskEmitted(emitted) => self.emitted(number, emitted),
            Event::TaskAnswered(answered) => {
                self.queue.rest(number, answered.task, self.now.uptime)
            }
            // Neither is an attempt: the turn is still to be made.
            Event::ModelChanged(ModelChanged { task, .. })
            | Event::TranscriptCompacted(TranscriptCompacted { task, .. }) => {
                // What was counted was another request: the next model counts its own way.
                if let Some(live) = self.lives.get_mut(&number) {
                    live.counted.remove(task);
                }
                self.enqueue(number, &[*task]);
            }
            Event::QuestionAnswered(answered) => self.pass_on(number, answered),
            Event::QuestionWithdrawn(withdrawn) => self.close_question(number, withdrawn),
            Event::Admitted(_)
            | Event::ClockSet(_)
            | Event::PlanEdited(_)
            | Event::EditUndone(_)
            | Event::TaskStarted(_)
            | Event::TaskExpanded(_)
            | Event::CallUndone(_)
            | Event::CallApproved(_)
            | Event::BudgetRaised(_)
            | Event::QuestionAsked(_)
            | Event::DefinitionRegistered(_)
            | Event::Purged(_)
            | Event::BatchPurged(_)
            | Event::DefinitionRemoved(_)
            | Event::EventReceived(_)
            | Event::TriggerFired(_)
            | Event::TokenCreated(_)
            | Event::TokenRevoked(_)
            | Event::ServerReleased(_)
            | Event::Conversation(_) => {}
        }
    }

    /// What calls held of a budget may be free now.
    fn let_ask_for_room(&mut self, number: u64) {
        let take = |live: &mut Live| std::mem::take(&mut live.without_room);
        let own = self.lives.get_mut(&number).map(take).unwrap_or_default();
        self.enqueue(number, &own);
        if !self.ledger.is_needed() {
            return;
        }
        // A budget above is others' too.
        let others = self.lives.iter_mut().map(|(number, live)| (*number, take(live)));
        let others: Vec<(u64, Vec<Ordinal>)> =
            others.filter(|(_, tasks)| !tasks.is_empty()).collect();
        for (number, tasks) in others {
            self.enqueue(number, &tasks);
        }
    }

    /// An agent whose run ended between two of its turns has had its key until now.
    fn free_agents_keys(&mut self, number: u64) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        if *live.state.account() == Account::default() {
            return;
        }
        let agents = live.state.tasks().iter().zip((0..).map(Ordinal));
        let agents = agents.filter(|(task, _)| task.agent.is_some()).map(|(_, task)| task);
        for task in agents.collect::<Vec<_>>() {
            self.queue.end(number, task, self.now.uptime);
        }
    }

    /// An agent of a run that fails has no turn more: its key is free once nothing of it runs or waits.
    /// A child of the same run may wait for it, and the run for its child.
    fn free_idle_keys(&mut self, number: u64) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let failing = match &live.state.phase {
            Phase::Running { failing } | Phase::Paused { failing, .. } => failing.is_some(),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => false,
        };
        if !failing {
            return;
        }
        let state = &live.state;
        let is_its = |agent: Ordinal, task: Ordinal| {
            task == agent || state.item(task).is_some_and(|(block, _)| block.parent == agent)
        };
        let is_idle = |agent: &Ordinal| {
            let mut busy = state.executing().chain(state.waiting().map(|(task, _)| task));
            let is_agent = state.task(*agent).is_some_and(|task| task.agent.is_some());
            is_agent && !busy.any(|task| is_its(*agent, task))
        };
        let mut idle: Vec<Ordinal> = self.queue.with_keys(number).filter(is_idle).collect();
        idle.sort_unstable();
        for agent in idle {
            self.queue.end(number, agent, self.now.uptime);
        }
    }

    /// A task executes no longer: its places are free.
    fn release(&mut self, number: u64, task: Ordinal) {
        self.workers.let_go(number, task);
        self.queue.end(number, task, self.now.uptime);
        if !self.listeners.is_empty() {
            self.listeners.retain(|(n, t, _)| (*n, *t) != (number, task));
        }
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        if let Some((items, _)) = live.state.item(task) {
            self.queue.unpark_item(number, items.parent, self.now.uptime);
        }
    }

    fn await_outside(&mut self, number: u64, task: Ordinal, on: &Waiting) {
        let attempt = self.attempt_of(number, task);
        match on {
            Waiting::Timer { span: Some(span), until, .. } => {
                let left = until.since(self.now.moment.now).min(*span);
                self.timers.after(self.now.uptime + left, Due::Task(number, task, attempt));
            }
            Waiting::Timer { span: None, until, .. } => {
                self.timers.at(*until, Due::Task(number, task, attempt))
            }
            Waiting::Event { pattern, until } => {
                self.listeners.push((number, task, pattern.clone()));
                if let Some(until) = until {
                    let left = until.since(self.now.moment.now);
                    self.timers.after(self.now.uptime + left, Due::Task(number, task, attempt));
                }
            }
            Waiting::Approval { until, .. } => {
                if let Some(until) = until {
                    let left = until.since(self.now.moment.now);
                    self.timers.after(self.now.uptime + left, Due::Task(number, task, attempt));
                }
            }
            Waiting::Budget { scope: BudgetScope::User | BudgetScope::Workspace, .. } => {
                let next = self.lives.get(&number).and_then(|live| live.state.next_day(task));
                if let Some(next) = next {
                    self.timers.at(next, Due::Task(number, task, attempt));
                }
            }
            Waiting::Person { .. }
            | Waiting::Question { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Budget { .. }
            | Waiting::Child { .. } => {}
        }
    }

    pub(crate) fn attempt_of(&self, number: u64, task: Ordinal) -> u32 {
        self.lives
            .get(&number)
            .and_then(|live| live.state.task(task))
            .map_or(0, |task| task.attempts)
    }

    /// Tells what runs to end, and sets the deadline.
    fn stop_calls(&mut self, number: u64) {
        self.queue.clear(number);
        self.workers.withdraw(number);
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let job = |task: Ordinal| {
            let attempt = live.state.task(task).map_or(0, |task| task.attempts);
            Effect::Cancel(JobKey { number, task, attempt })
        };
        // Workers outside are told with their next heartbeat.
        let here = live.state.executing().filter(|task| live.state.lease(*task).is_none());
        let asking = self.questions.of(number);
        self.turn.effects.extend(here.chain(asking).map(job));
        for (_, on) in live.state.waiting() {
            if let Waiting::Child { child } = on
                && let Some(child) = self.ids.get(child)
            {
                let reason = Some("its parent was cancelled".to_owned());
                self.follow_ups.push_back((*child, Command::Cancel { reason }));
            }
        }
        self.timers.after(
            self.now.uptime + self.settings.cancel_deadline,
            Due::CancelDeadline(number, live.state.run),
        );
    }

    fn tell_of_end(&mut self, number: u64) {
        self.workers.withdraw(number);
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let Phase::Ended(ended) = &live.state.phase else {
            return;
        };
        let (id, revision, outcome) = (live.state.id, live.state.revision, ended.outcome.clone());
        for token in std::mem::take(&mut live.waiters) {
            self.turn
                .answers
                .push((token, Ok(Reply::Ended { id, outcome: outcome.clone(), revision })));
        }
        if let Some((parent, task)) = live.state.parent.and_then(|task| task.split())
            && let Some(parent) = self.ids.get(&parent)
        {
            self.follow_ups.push_back((*parent, Command::ChildEnded { task, child: id, outcome }));
        }
    }

    /// Asks a declared probe whether the call happened. One probe of a task is out at a time: its
    /// answer carries no attempt, and must not be taken for an answer about a later one.
    fn probe(&mut self, number: u64, task: Ordinal) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let Some(facts) = live.state.task(task) else {
            return;
        };
        let (of, rung, attempt) = (facts.of, facts.rung, facts.attempts);
        let has_probe = |plan: &TaskPlan| plan.probe.is_some();
        if rung > 0 || !live.state.plan.task(of).is_some_and(has_probe) {
            return;
        }
        if live.probing.contains_key(&task) {
            return;
        }
        live.probing.insert(task, attempt);
        let ingredients = Ingredients::gather(&live.state, live.loaded.program.references(of));
        let (loaded, folder) = (live.loaded.clone(), live.state.folder.clone());
        let run = live.state.run;
        self.effect(Effect::Probe(Prepare {
            number,
            task,
            run,
            of,
            rung,
            loaded,
            folder,
            ingredients,
        }));
    }

    /// Takes in what a probe says; about an attempt that is no longer the newest it says nothing.
    pub(crate) fn probed(
        &mut self,
        number: u64,
        task: Ordinal,
        verdict: Option<(Verdict, Option<Blob>)>,
    ) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let Some(asked) = live.probing.remove(&task) else {
            return;
        };
        let in_doubt = |facts: &Task| {
            let on_doubt = |on: &Waiting| matches!(on, Waiting::InDoubt { .. });
            matches!(&facts.phase, TaskPhase::Waiting { on, .. } if on_doubt(on))
        };
        let Some(facts) = live.state.task(task).filter(|facts| in_doubt(facts)) else {
            return;
        };
        if facts.attempts != asked {
            self.probe(number, task);
        } else if let Some((verdict, blob)) = verdict {
            self.staging.offer(blob);
            // Refused where a person was faster.
            let _ = self.apply_own(number, &Command::Settle { task, verdict });
        }
    }

    /// Puts what may start into the queue again, and waits anew for what has not come.
    pub(crate) fn requeue(&mut self, number: u64) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let ready: Vec<Ordinal> = (0..)
            .map(Ordinal)
            .zip(live.state.tasks())
            .filter_map(|(ordinal, task)| matches!(task.phase, TaskPhase::Ready).then_some(ordinal))
            .collect();
        let retries: Vec<(Ordinal, Waiting)> = live
            .state
            .waiting()
            .filter(|(_, on)| {
                let retry = Resume::Retry;
                matches!(on, Waiting::Timer { then, .. } if *then == retry)
            })
            .map(|(task, on)| (task, on.clone()))
            .collect();
        self.enqueue(number, &ready);
        for (task, on) in retries {
            let attempt = self.attempt_of(number, task);
            let pause = self.lives.get(&number).and_then(|live| live.pauses.get(&task));
            match pause {
                Some((of, over)) if *of == attempt => {
                    self.timers.after(*over, Due::Task(number, task, attempt));
                }
                // It began under another owner.
                Some(_) | None => self.await_outside(number, task, &on),
            }
        }
    }

    /// Takes up a workflow after its owner changed: what ran is lost, what waited waits on.
    pub(crate) fn revive(&mut self, number: u64, store: &mut dyn Store) -> Result<(), StoreError> {
        let Some(live) = self.lives.get_mut(&number) else {
            return Ok(());
        };
        live.state.take_ready();
        let executing: Vec<(Ordinal, u32, Option<Lease>)> = live
            .state
            .executing()
            .filter_map(|task| {
                Some((task, live.state.task(task)?.attempts, live.state.lease(task).cloned()))
            })
            .collect();
        let waiting: Vec<(Ordinal, Waiting)> =
            live.state.waiting().map(|(task, on)| (task, on.clone())).collect();
        let cancelling = matches!(live.state.phase, Phase::Cancelling { .. });
        self.take_agents_keys(number, store)?;
        self.free_idle_keys(number);
        self.requeue(number);
        for (task, on) in waiting {
            match &on {
                Waiting::Timer { then: Resume::Retry, .. } => {}
                Waiting::InDoubt { .. } => self.probe(number, task),
                Waiting::Child { child } => self.reunite(number, task, *child, store)?,
                Waiting::Question { .. } => {
                    let attempt = self.attempt_of(number, task);
                    self.follow_ups.push_back((number, lost(task, attempt)));
                }
                Waiting::Timer { .. }
                | Waiting::Event { .. }
                | Waiting::Person { .. }
                | Waiting::Approval { .. }
                | Waiting::Budget { .. } => {
                    self.await_outside(number, task, &on);
                }
            }
        }
        for (task, attempt, lease) in executing {
            match lease {
                Some(lease) => self.hold_again(number, task, attempt, &lease),
                None => self.follow_ups.push_back((number, lost(task, attempt))),
            }
        }
        if cancelling {
            self.stop_calls(number);
        }
        self.watch_budget(number);
        self.unsettled.push_back(number);
        Ok(())
    }

    /// A child may have ended in the very commit that its parent's owner did not live to see.
    fn reunite(
        &mut self,
        number: u64,
        task: Ordinal,
        child: WorkflowId,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        if self.ids.contains_key(&child) {
            return Ok(());
        }
        let Some(child_number) = store.number_of(child)? else {
            return Err(StoreError::Corrupt(format!("the child workflow {child} is missing")));
        };
        self.load(child_number, store)?;
        let ended = self.lives.get(&child_number).and_then(|live| live.state.ended()).cloned();
        if let Some(ended) = ended {
            self.follow_ups
                .push_back((number, Command::ChildEnded { task, child, outcome: ended.outcome }));
        }
        self.staging.workflows.push(child_number);
        Ok(())
    }
}

/// What is told of an attempt that ended with its owner.
pub(crate) const LOST_WITH_OWNER: &str =
    "the process that ran it ended before its end was recorded";

pub(crate) fn lost(task: Ordinal, attempt: u32) -> Command {
    let failure = CallFailure::in_doubt(FailureKind::Lost, LOST_WITH_OWNER);
    Command::Fail { task, attempt, status: AttemptStatus::Lost, failure }
}
