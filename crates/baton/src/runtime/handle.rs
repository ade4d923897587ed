//! The way in: asks the owner for something and gets the answer after it is on disk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use baton_core::actor::Actor;
use baton_engine::exchange::{Declined, Gone, Input, Reply, Request, Token};
use baton_engine::meters::Meters;
use baton_engine::ports::{Door, Live, Then};

use super::hub::Hub;
use super::inbox::Inbox;
use super::reports::Reports;

type Answer = Result<Reply, Gone>;

/// Who waits for which answer.
#[derive(Default)]
pub struct Desk {
    waiting: Mutex<Option<HashMap<Token, Then>>>,
    newest: AtomicU64,
}

impl Desk {
    /// A desk that takes questions.
    pub fn open() -> Self {
        Self { waiting: Mutex::new(Some(HashMap::new())), newest: AtomicU64::new(0) }
    }

    fn wait(&self, callback: Then) -> Option<Token> {
        let token = self.newest.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.as_mut() {
            Some(waiting) => {
                waiting.insert(token, callback);
                Some(token)
            }
            None => {
                drop(waiting);
                callback(Err(Gone::OwnerEnded));
                None
            }
        }
    }

    /// Gives answers.
    pub fn answer(&self, answers: Vec<(Token, Result<Reply, Declined>)>) {
        for (token, answer) in answers {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let callback = waiting.as_mut().and_then(|waiting| waiting.remove(&token));
            drop(waiting);
            if let Some(callback) = callback {
                callback(answer.map_err(Gone::Declined));
            }
        }
    }

    /// Tells everybody that no answer will come, now and later.
    pub fn close(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        for callback in waiting.into_iter().flat_map(HashMap::into_values) {
            callback(Err(Gone::OwnerEnded));
        }
    }
}

/// Asks the owner of a store.
#[derive(Clone)]
pub struct Handle {
    pub(super) inbox: Arc<Inbox<Input>>,
    pub(super) desk: Arc<Desk>,
    pub(super) hub: Arc<Hub>,
    pub(super) abandoned: Arc<AtomicBool>,
    pub(super) reports: Arc<Reports>,
    pub(super) meters: Arc<Meters>,
}

impl Handle {
    /// Asks and waits for the answer.
    pub fn call(&self, actor: &Actor, request: Request) -> Answer {
        let (sender, receiver) = sync_channel(1);
        let then = move |answer| {
            // Whoever asked may have left.
            let _ = sender.send(answer);
        };
        Door::ask(self, actor, request, Box::new(then));
        receiver.recv().unwrap_or(Err(Gone::OwnerEnded))
    }

    /// What the owner counts.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.meters)
    }

    /// Asks the owner to start nothing more and to leave when what runs has ended.
    pub fn drain(&self) {
        self.inbox.push(Input::Drain);
    }

    /// Asks the owner to leave without waiting for what runs: the next owner finds those calls as
    /// if this one had been killed.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.drain();
    }

    /// What the calls that run in this process say of themselves.
    pub fn live(&self) -> Arc<dyn Live> {
        Arc::clone(&self.reports) as Arc<dyn Live>
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

impl Door for Handle {
    fn ask(&self, actor: &Actor, request: Request, then: Then) {
        if let Some(token) = self.desk.wait(then) {
            self.inbox.push(Input::Request { token, actor: actor.clone(), request });
        }
    }

    fn follow(&self, stream: Option<u64>, news: Box<dyn FnMut(u64) -> bool + Send>) {
        self.hub.follow(stream, news);
    }
}
