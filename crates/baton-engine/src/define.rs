//! Definitions: registered under a name and version, removed by name.
//!
//! What their triggers do is not decided here; only which of them are armed.

use std::sync::Arc;

use baton_core::body::Blob;
use baton_core::workflow::{DefinitionRegistered, DefinitionRemoved, Event};

use crate::engine::Engine;
use crate::exchange::{Declined, Reply};
use crate::loaded::Loaded;
use crate::request::Answer;
use crate::store::{DefinitionRow, Store, StoreError};

impl Engine {
    /// Registers a definition, with its source where that is given.
    pub(crate) fn define(
        &mut self,
        loaded: Arc<Loaded>,
        source: Option<Blob>,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        let (name, version, plan) =
            (loaded.plan.name.clone(), loaded.plan.version, loaded.blob.hash);
        let stored = match self.staging.definition(&name, version) {
            // One commit does not both remove a name and use it again.
            Some(None) => {
                let what = format!("`{name}` was removed at this very moment; register it again");
                return Err(Declined::Store(what));
            }
            Some(Some(staged)) => Some(staged.clone()),
            None => store.definition(&name, Some(version)).map_err(unread)?,
        };
        match stored {
            Some(row) if row.plan == plan => Ok(Reply::Defined),
            Some(_) => Err(Declined::OtherContent { name, version }),
            None => {
                self.register(&loaded, source, actor);
                self.rearm(&name, store).map_err(unread)?;
                Ok(Reply::Defined)
            }
        }
    }

    fn register(&mut self, loaded: &Arc<Loaded>, source: Option<Blob>, actor: u32) {
        let (name, version) = (loaded.plan.name.clone(), loaded.plan.version);
        let (plan, at) = (loaded.blob.hash, self.now.moment.now);
        let triggers = u32::try_from(loaded.plan.triggers.len()).unwrap_or(u32::MAX);
        self.staging.offer(Some(loaded.blob.clone()));
        let hash = source.as_ref().map(|blob| blob.hash);
        self.staging.offer(source);
        let event =
            DefinitionRegistered { name: name.clone(), version, plan, source: hash, triggers };
        self.staging.append_system(&Event::from(event), 0, actor, at);
        self.programs.insert(plan, Arc::downgrade(loaded));
        let row = DefinitionRow { name, version, plan, source: hash, triggers, at };
        self.staging.define(row);
    }

    /// Removes every version of a definition.
    pub(crate) fn remove_definition(
        &mut self,
        name: &str,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        let is_staged = self.staging.newest_definition(name).is_some();
        if !is_staged && store.definition(name, None).map_err(unread)?.is_none() {
            return Err(Declined::NoSuchDefinition(name.to_owned()));
        }
        let event = Event::from(DefinitionRemoved { name: name.to_owned() });
        self.staging.append_system(&event, 0, actor, self.now.moment.now);
        self.staging.undefine(name);
        self.triggers.disarm(name);
        Ok(Reply::Removed)
    }

    /// Arms the triggers of the newest version of a definition, in the place of those of others.
    fn rearm(&mut self, name: &str, store: &mut dyn Store) -> Result<(), StoreError> {
        let staged = self.staging.newest_definition(name).cloned();
        let newest = staged.into_iter().chain(store.definition(name, None)?);
        let newest = newest.max_by_key(|row| row.version);
        let row = newest.filter(|row| row.triggers > 0);
        match row {
            Some(row) => self.arm(&row, store)?,
            None => self.triggers.disarm(name),
        }
        self.watch_schedules();
        Ok(())
    }
}

fn unread(fault: StoreError) -> Declined {
    Declined::Store(fault.to_string())
}
