//! Tokens: created and revoked by name. The engine sees hashes and never a token.
//!
//! Whom a token lets in to what is judged where requests come in.

use baton_core::fact;
use baton_core::words::FactKind;
use baton_core::workflow::{Event, TokenCreated, TokenRevoked};

use crate::engine::Engine;
use crate::exchange::{Declined, Reply};
use crate::request::Answer;
use crate::store::Store;

impl Engine {
    pub(crate) fn create_token(
        &mut self,
        created: TokenCreated,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        if self.token_holds(&created.name, store)? {
            return Err(Declined::TokenExists(created.name));
        }
        let hash = created.hash;
        self.staging.append_system(&Event::from(created), 0, actor, self.now.moment.now);
        Ok(Reply::TokenCreated { hash })
    }

    pub(crate) fn revoke_token(
        &mut self,
        name: String,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        if !self.token_holds(&name, store)? {
            return Err(Declined::NoSuchToken(name));
        }
        let event = Event::from(TokenRevoked { name });
        self.staging.append_system(&event, 0, actor, self.now.moment.now);
        Ok(Reply::TokenRevoked)
    }

    fn token_holds(&self, name: &str, store: &mut dyn Store) -> Result<bool, Declined> {
        let fact = self.fact(FactKind::Token, name.as_bytes(), store)?;
        let token = fact.and_then(|fact| fact::Token::read(&fact.value));
        Ok(token.is_some_and(|token| token.grant.is_some()))
    }
}
