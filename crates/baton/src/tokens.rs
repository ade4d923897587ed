//! Who calls over HTTP: the tokens of the store, kept in memory by their hashes.
//!
//! What a role allows is judged by the server. A change is heard of with its commit and read beside it, so
//! that it counts within a moment.

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use baton_core::actor::Actor;
use baton_core::body::BlobHash;
use baton_core::fact::Token;
use baton_core::words::{ActorKind, FactKind};
use baton_engine::ports::Door;
use baton_engine::store::{SYSTEM_STREAM, StoreError, Views};
use baton_server::http::{Caller, Identity};

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

type Known = HashMap<BlobHash, Caller>;

/// The tokens that hold.
pub struct Tokens {
    known: Arc<RwLock<Known>>,
    reach: Reach,
}

impl Tokens {
    /// Reads what there is, and follows its changes until the owner ends.
    pub fn follow(mut views: Box<dyn Views>, owner: &Handle, reach: Reach) -> anyhow::Result<Self> {
        let (sender, news) = channel();
        owner.follow(Some(SYSTEM_STREAM), Box::new(move |_| sender.send(()).is_ok()));
        let known = Arc::new(RwLock::new(read(views.as_mut())?));
        let shared = Arc::clone(&known);
        let thread = std::thread::Builder::new().name("tokens".to_owned());
        let follow = move || {
            for () in &news {
                // What was committed meanwhile is read at once.
                while news.try_recv().is_ok() {}
                match read(views.as_mut()) {
                    Ok(new) => *shared.write().unwrap_or_else(PoisonError::into_inner) = new,
                    Err(fault) => {
                        let facts = [("fault", fault.to_string().into())];
                        log(
                            Level::Error,
                            "the tokens cannot be read; the earlier ones count",
                            &facts,
                        );
                    }
                }
            }
        };
        thread.spawn(follow).context("no thread for the tokens")?;
        Ok(Self { known, reach })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Identity for Tokens {
    fn identify(&self, bearer: &str) -> Option<Caller> {
        // Found by a digest: how long it takes says nothing of the tokens.
        let hash = BlobHash::of(bearer.as_bytes());
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned()
    }

    fn asks(&self) -> bool {
        self.reach == Reach::Beyond || !self.is_empty()
    }
}

fn read(views: &mut dyn Views) -> Result<Known, StoreError> {
    let facts = views.facts(FactKind::Token)?;
    let known = facts.into_iter().filter_map(|fact| {
        let grant = Token::read(&fact.value)?.grant?;
        let name = String::from_utf8(fact.key).ok()?;
        let actor = Actor { kind: ActorKind::Client, name };
        Some((grant.hash, Caller { actor, role: grant.role }))
    });
    Ok(known.collect())
}
