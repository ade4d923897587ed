//! Who calls over HTTP: the tokens of the store, kept in memory by their hashes.
//!
//! What a role allows is judged by the server. A change is heard of with its commit and read beside it, so
//! that it counts within a moment. When a token was last used is known since this process began.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use anyhow::Context;
use baton_core::actor::Actor;
use baton_core::body::BlobHash;
use baton_core::fact::Token;
use baton_core::time::Timestamp;
use baton_core::words::{ActorKind, FactKind};
use baton_engine::ports::Door;
use baton_engine::store::{SYSTEM_STREAM, StoreError, Views};
use baton_server::http::{Caller, Identity};
use tokio::sync::watch;

use crate::log::{Level, log};
use crate::runtime::Handle;

/// Whether others than the person at this machine can reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// They cannot: without tokens, none is asked for.
    Loopback,
    /// They can: nobody comes in without a token, even when the last one is revoked.
    Beyond,
}

/// A token that holds.
struct Holding {
    caller: Caller,
    /// When it was last shown, in milliseconds since 1970; 0 where it was not.
    used_at: Arc<AtomicI64>,
}

type Known = HashMap<BlobHash, Holding>;

/// The tokens that hold.
pub struct Tokens {
    known: Arc<RwLock<Known>>,
    changes: watch::Sender<()>,
    reach: Reach,
}

impl Tokens {
    /// Reads what there is, and follows its changes until the owner ends.
    pub fn follow(mut views: Box<dyn Views>, owner: &Handle, reach: Reach) -> anyhow::Result<Self> {
        let (sender, news) = channel();
        owner.follow(Some(SYSTEM_STREAM), Box::new(move |_| sender.send(()).is_ok()));
        let known = Arc::new(RwLock::new(read(views.as_mut(), &Known::new())?));
        let (changes, _) = watch::channel(());
        let tokens = Self { known, changes, reach };
        let (known, changes) = (Arc::clone(&tokens.known), tokens.changes.clone());
        let thread = std::thread::Builder::new().name("tokens".to_owned());
        let follow = move || keep(&news, views.as_mut(), &known, &changes);
        thread.spawn(follow).context("no thread for the tokens")?;
        Ok(tokens)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }
}

/// Reads the tokens again at news of them.
fn keep(
    news: &Receiver<()>,
    views: &mut dyn Views,
    known: &RwLock<Known>,
    changes: &watch::Sender<()>,
) {
    for () in news {
        // What was committed meanwhile is read at once.
        while news.try_recv().is_ok() {}
        let new = read(views, &known.read().unwrap_or_else(PoisonError::into_inner));
        match new {
            Ok(new) => {
                *known.write().unwrap_or_else(PoisonError::into_inner) = new;
                changes.send_replace(());
            }
            Err(fault) => {
                let facts = [("fault", fault.to_string().into())];
                log(Level::Error, "the tokens cannot be read; the earlier ones count", &facts);
            }
        }
    }
}

impl Identity for Tokens {
    fn identify(&self, token: &BlobHash) -> Option<Caller> {
        // Found by a digest: how long it takes says nothing of the tokens.
        let known = self.known();
        let holding = known.get(token)?;
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        holding.used_at.store(i64::try_from(now).unwrap_or(i64::MAX), Ordering::Relaxed);
        Some(holding.caller.clone())
    }

    fn holds(&self, token: &BlobHash) -> bool {
        self.known().contains_key(token)
    }

    fn asks(&self) -> bool {
        self.reach == Reach::Beyond || !self.is_empty()
    }

    fn last_used(&self, name: &str) -> Option<Timestamp> {
        let known = self.known();
        let holding = known.values().find(|holding| holding.caller.actor.name == name)?;
        let used_at = holding.used_at.load(Ordering::Relaxed);
        (used_at > 0).then(|| Timestamp::from_millis(used_at))
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

fn read(views: &mut dyn Views, before: &Known) -> Result<Known, StoreError> {
    let facts = views.facts(FactKind::Token)?;
    let known = facts.into_iter().filter_map(|fact| {
        let grant = Token::read(&fact.value)?.grant?;
        let name = String::from_utf8(fact.key).ok()?;
        let actor = Actor { kind: ActorKind::Client, name };
        let used_at = before.get(&grant.hash).map(|holding| Arc::clone(&holding.used_at));
        let caller = Caller { actor, role: grant.role };
        Some((grant.hash, Holding { caller, used_at: used_at.unwrap_or_default() }))
    });
    Ok(known.collect())
}
