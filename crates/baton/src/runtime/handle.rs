//! The way in: asks the owner for something and gets the answer after it is on disk.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use baton_core::actor::Actor;
use baton_engine::exchange::{Declined, Input, Reply, Request, Token};

use super::hub::{Hub, Subscription};
use super::inbox::Inbox;

/// Why no answer will come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The request was not carried out.
    Declined(Declined),
    /// The owner ended before it answered: whether the request was carried out is to be read.
    OwnerEnded,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined(declined) => declined.fmt(f),
            Self::OwnerEnded => f.write_str(
                "the owner of the store ended before it answered; look with `baton show`",
            ),
        }
    }
}

impl std::error::Error for Gone {}

type Answer = Result<Reply, Gone>;
type Callback = Box<dyn FnOnce(Answer) + Send>;

/// Who waits for which answer.
#[derive(Default)]
pub struct Desk {
    waiting: Mutex<Option<HashMap<Token, Callback>>>,
    newest: AtomicU64,
}

impl Desk {
    /// A desk that takes questions.
    pub fn open() -> Self {
        Self {
            waiting: Mutex::new(Some(HashMap::new())),
            newest: AtomicU64::new(0),
        }
    }

    fn wait(&self, callback: Callback) -> Option<Token> {
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
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
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
}

impl Handle {
    /// Asks and waits for the answer.
    pub fn ask(&self, actor: &Actor, request: Request) -> Answer {
        let (sender, receiver) = sync_channel(1);
        self.ask_then(actor, request, move |answer| {
            // Whoever asked may have left.
            let _ = sender.send(answer);
        });
        receiver.recv().unwrap_or(Err(Gone::OwnerEnded))
    }

    /// Asks; `then` gets the answer on the owner's thread and must return at once.
    pub fn ask_then(
        &self,
        actor: &Actor,
        request: Request,
        then: impl FnOnce(Answer) + Send + 'static,
    ) {
        if let Some(token) = self.desk.wait(Box::new(then)) {
            self.inbox.push(Input::Request {
                token,
                actor: actor.clone(),
                request,
            });
        }
    }

    /// Follows the events of one stream, or of all.
    pub fn follow(&self, stream: Option<u64>) -> Subscription {
        self.hub.subscribe(stream)
    }

    /// Asks the owner to start nothing more and to leave when what runs has ended.
    pub fn drain(&self) {
        self.inbox.push(Input::Drain);
    }
}
