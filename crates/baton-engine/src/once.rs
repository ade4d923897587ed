//! Requests that are sent again under the same key: done once, answered alike.
//!
//! The answer is remembered in the commit of what was done, for a day. What was declined is not: it changed
//! nothing, and may be asked for again.

use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Json};
use baton_core::fact::event_key;
use baton_core::words::FactKind;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::exchange::{Declined, OnceKey, Reply, Request, Token};
use crate::request::Answer;
use crate::store::{FactRow, Store};

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The value of a remembered answer.
#[derive(Serialize, Deserialize)]
struct Remembered {
    body: BlobHash,
    reply: Reply,
}

impl Engine {
    /// Does what is asked, unless it was done under this key before.
    pub(crate) fn once(
        &mut self,
        once: &OnceKey,
        token: Token,
        actor: &Actor,
        request: Request,
        store: &mut dyn Store,
    ) -> Answer {
        let key = event_key(&actor.to_string(), &once.key);
        let now = self.now.moment.now;
        let fact = self.fact(FactKind::Remembered, &key, store)?;
        let fact = fact.filter(|fact| fact.expires.is_some_and(|until| until > now));
        if let Some(fact) = fact {
            let remembered: Remembered = serde_json::from_str(fact.value.as_str())
                .map_err(|e| Declined::Store(format!("a remembered answer cannot be read: {e}")))?;
            if remembered.body != once.body {
                return Err(Declined::KeyReused);
            }
            return Ok(remembered.reply);
        }
        // What is answered later has no answer to remember now.
        let Some(answer) = self.carry_out(token, actor, request, store) else {
            return Err(Declined::Store("a key is for what changes something".to_owned()));
        };
        let reply = answer?;
        let remembered = Remembered { body: once.body, reply };
        let value = Json::from_serialize(&remembered)
            .map_err(|e| Declined::Store(format!("the answer cannot be remembered: {e}")))?;
        let position = self.staging.head().position;
        let expires = Some(now.plus(REMEMBERED));
        let kind = FactKind::Remembered;
        self.staging.keep(FactRow { kind, key, value, position, at: now, expires });
        Ok(remembered.reply)
    }

    /// A fact as this turn leaves it.
    pub(crate) fn fact(
        &self,
        kind: FactKind,
        key: &[u8],
        store: &mut dyn Store,
    ) -> Result<Option<FactRow>, Declined> {
        match self.staging.fact(kind, key) {
            Some(fact) => Ok(Some(fact.clone())),
            None => store.fact(kind, key).map_err(|fault| Declined::Store(fault.to_string())),
        }
    }
}
