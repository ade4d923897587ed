//! What people and programs ask for: admission, commands, waiting for an end, forks, definitions.

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::conversation::{self, Caller};
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::words::{Origin, Role};
use baton_core::workflow::{
    Admitted, Command, Event, Kept, Output, Refusal, ServerReleased, TokenCreated, WorkflowState,
};

use crate::engine::{Admission, Engine};
use crate::exchange::{Declined, Input, Reply, Request, Submit, Token};
use crate::live::{fold, read_blob};
use crate::store::{Store, StoreError};

pub(crate) type Answer = Result<Reply, Declined>;

impl Engine {
    /// Takes one thing in that has arrived.
    pub(crate) fn take(&mut self, input: Input, store: &mut dyn Store) {
        match input {
            Input::Request { token, actor, request } => self.request(token, &actor, request, store),
            Input::Called { job, result } => self.called(job, result),
            Input::Counted { job, tokens } => self.counted(job, tokens),
            Input::Answered { job, result } => self.take_answer(job, result),
            Input::Prepared { number, task, run, result } => {
                self.prepared(number, (task, run), result)
            }
            Input::Probed { number, task, verdict } => self.probed(number, task, verdict),
            Input::Concluded { number, result } => self.concluded(number, result),
            Input::Snapshot { number, row } => self.keep(number, row),
            Input::Asked { job, ticket, question } => self.asked(job, ticket, question),
            Input::TakenBack { job, ticket } => self.taken_back(job, ticket),
            Input::Planned { number, planning, thought } => {
                self.planned(number, planning, *thought, store)
            }
            Input::Drain => self.drain(),
        }
    }

    fn request(&mut self, token: Token, actor: &Actor, request: Request, store: &mut dyn Store) {
        if let Some(answer) = self.carry_out(token, actor, request, store) {
            self.answer(token, answer);
        }
    }

    /// Does what is asked; `None` where the answer comes later.
    // Long because it has one arm for each request.
    pub(crate) fn carry_out(
        &mut self,
        token: Token,
        actor: &Actor,
        request: Request,
        store: &mut dyn Store,
    ) -> Option<Answer> {
        let actor_number = self.actor(actor);
        Some(match request {
            Request::Submit(submit) => self.submit(*submit, actor, store),
            Request::Command { workflow, command, blob } => {
                self.staging.offer(blob);
                self.command(workflow, &command, actor_number, store)
            }
            Request::Edit(edit) => self.edit_plan(*edit, actor_number, store),
            Request::UndoEdit { workflow, edit } => {
                self.undo_edit((workflow, edit), actor_number, store)
            }
            Request::AwaitEnd { workflow } => match self.await_end(token, workflow, store) {
                Ok(None) => return None,
                Ok(Some(reply)) => Ok(reply),
                Err(declined) => Err(declined),
            },
            Request::Fork { workflow, position } => {
                self.fork(workflow, position, actor_number, store)
            }
            Request::TakeUpAll => {
                let taken = self.take_up_all(store);
                let taken = taken.and_then(|taken| self.take_up_talks(store).map(|()| taken));
                taken.map(Reply::TakenUp).map_err(|e| Declined::Store(e.to_string()))
            }
            Request::TakeUp { workflow } => {
                let number = self.find(workflow, store);
                number.and_then(|number| {
                    self.look_at_held(number);
                    self.reply(number)
                })
            }
            Request::Define { loaded, source } => self.define(loaded, source, actor_number, store),
            Request::RemoveDefinition { name } => {
                self.remove_definition(&name, actor_number, store)
            }
            Request::KeepTime => {
                self.keep_time();
                Ok(Reply::KeepsTime)
            }
            Request::Publish { event, blob } => self.publish(*event, blob, actor_number, store),
            Request::Purge { workflows } => self.purge(&workflows, actor_number, store),
            Request::Lease(ask) => match self.lease(token, actor_number, *ask) {
                Ok(()) => return None,
                Err(declined) => Err(declined),
            },
            Request::Heartbeat { task, token, progress } => {
                self.heartbeat((task, token), progress, store)
            }
            Request::Complete { task, token, output } => {
                self.complete_lease((task, token), actor_number, output, store)
            }
            Request::FailWork { task, token, failure } => {
                self.fail_lease((task, token), actor_number, failure, store)
            }
            Request::Leases => Ok(Reply::Leases(self.holdings())),
            Request::CreateToken { name, role, hash } => {
                self.create_token(TokenCreated { name, role, hash }, actor_number, store)
            }
            Request::RevokeToken { name } => self.revoke_token(name, actor_number, store),
            Request::ReleaseServer { name } => {
                let event = Event::from(ServerReleased { name });
                self.staging.append_system(&event, 0, actor_number, self.now.moment.now);
                Ok(Reply::ServerReleased)
            }
            Request::Open { opening, role } => {
                let caller = Caller { actor: actor.clone(), role };
                self.open_talk(*opening, &caller, store)
            }
            Request::Converse { conversation, word, role } => {
                let caller = Caller { actor: actor.clone(), role };
                self.converse(conversation, word, &caller, store)
            }
            Request::Attend { conversation } => self.attend(conversation, store),
            Request::Once { once, request } => self.once(&once, token, actor, *request, store),
        })
    }

    /// The workflow as it is after what was just staged.
    pub(crate) fn reply(&self, number: u64) -> Answer {
        let live = self.lives.get(&number).ok_or(Declined::Refused(Refusal::AlreadyEnded))?;
        let state = &live.state;
        let (id, status, revision) = (state.id, state.status(), state.revision);
        Ok(Reply::Workflow { id, number, status, revision, position: self.staging.head().position })
    }

    fn submit(&mut self, submit: Submit, actor: &Actor, store: &mut dyn Store) -> Answer {
        if self.draining {
            return Err(Declined::Draining);
        }
        let id = self.new_id();
        let reports_to = self.link(submit.conversation, id, actor, store)?;
        let actor = self.actor(actor);
        let Submit {
            loaded,
            inputs: (inputs, blob),
            origin,
            priority,
            review,
            conversation,
            project,
            folder,
        } = submit;
        self.staging.offer(blob);
        let event = Admitted {
            user: None,
            hops: 0,
            reports_to,
            project,
            id,
            conversation: conversation.unwrap_or_else(|| self.new_conversation()),
            origin,
            priority: priority.min(9),
            plan: loaded.blob.hash,
            inputs,
            review,
            parent: None,
            folder,
            fork_of: None,
            fork_position: None,
            kept: Vec::new(),
        };
        let number = self.admit(loaded, Admission { event, cause: 0 }, actor);
        self.settle(store);
        self.reply(number)
    }

    /// Tells a conversation of a workflow that is about to be admitted for it; `None` where it is
    /// none in which anything was said.
    fn link(
        &mut self,
        conversation: Option<ConversationId>,
        workflow: WorkflowId,
        actor: &Actor,
        store: &mut dyn Store,
    ) -> Result<Option<u64>, Declined> {
        let Some(conversation) = conversation else {
            return Ok(None);
        };
        let number = self.find_talk(conversation, store)?;
        if let Some(number) = number {
            let caller = Caller { actor: actor.clone(), role: Role::Operator };
            let link = conversation::Command::Link { workflow };
            self.apply_to_talk(number, &link, &caller).map_err(Declined::Conversation)?;
        }
        Ok(number)
    }

    fn command(
        &mut self,
        id: WorkflowId,
        command: &Command,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        let number = self.find(id, store)?;
        self.apply(number, command, actor).map_err(Declined::Refused)?;
        self.settle(store);
        self.reply(number)
    }

    fn await_end(
        &mut self,
        token: Token,
        id: WorkflowId,
        store: &mut dyn Store,
    ) -> Result<Option<Reply>, Declined> {
        let number = self.find(id, store)?;
        let Some(live) = self.lives.get_mut(&number) else {
            return Err(Declined::NoSuchWorkflow(id));
        };
        let Some(ended) = live.state.ended() else {
            live.waiters.push(token);
            return Ok(None);
        };
        Ok(Some(Reply::Ended { id, outcome: ended.outcome.clone(), revision: live.state.revision }))
    }

    fn fork(
        &mut self,
        id: WorkflowId,
        position: Option<u64>,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        if self.draining {
            return Err(Declined::Draining);
        }
        let unread = |e: StoreError| Declined::Store(e.to_string());
        let source = self.find(id, store)?;
        let records = store.stream(source).map_err(unread)?;
        let until = position.unwrap_or(u64::MAX);
        let folded =
            fold(&records, until, &mut |hash| self.load_plan(hash, store)).map_err(unread)?;
        let Some((state, loaded, at)) = folded else {
            return Err(Declined::NoSuchWorkflow(id));
        };
        let kept = self.kept(&state, store)?;
        let event = Admitted {
            user: None,
            reports_to: None,
            hops: 0,
            project: state.project,
            id: self.new_id(),
            conversation: state.conversation,
            origin: Origin::Fork,
            priority: state.priority,
            plan: loaded.blob.hash,
            inputs: state.inputs.clone(),
            review: false,
            parent: None,
            folder: state.folder.clone(),
            fork_of: Some(id),
            fork_position: Some(at),
            kept: Vec::new(),
        };
        let admission = Admission { event, cause: at }.keeping(kept);
        let number = self.admit(loaded, admission, actor);
        self.settle(store);
        self.reply(number)
    }

    /// What a fork takes over: the outputs of completed tasks, lists of items as plain lists.
    fn kept(
        &mut self,
        state: &WorkflowState,
        store: &mut dyn Store,
    ) -> Result<Vec<Kept>, Declined> {
        let mut kept = Vec::new();
        for (task, _) in (0..).map(Ordinal).zip(&state.plan.tasks) {
            let output = match state.task(task).and_then(|facts| facts.output()) {
                None => continue,
                Some(Output::Value(body)) => Output::Value(body.clone()),
                Some(Output::Items { first, count }) => {
                    let items = (first.0..first.0 + count).map(Ordinal);
                    let list =
                        items
                            .map(|item| item_output(state, item, store))
                            .collect::<Result<Vec<Json>, _>>()?;
                    let text =
                        Json::from_serialize(&list).map_err(|e| Declined::Store(e.to_string()))?;
                    let (body, blob) = Body::split(text);
                    self.staging.offer(blob);
                    Output::Value(body)
                }
            };
            kept.push(Kept { task, output });
        }
        Ok(kept)
    }
}

fn item_output(
    state: &WorkflowState,
    item: Ordinal,
    store: &mut dyn Store,
) -> Result<Json, Declined> {
    match state.task(item).and_then(|facts| facts.output()) {
        Some(Output::Value(Body::Inline(json))) => Ok(json.clone()),
        Some(Output::Value(Body::Blob { hash, .. })) => {
            read_blob(*hash, store).map_err(|fault| Declined::Store(fault.to_string()))
        }
        Some(Output::Items { .. }) | None => Ok(Json::null()),
    }
}
