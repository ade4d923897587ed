//! Triggers: those of the newest version of each registered definition, and their firing.
//!
//! A firing and the workflow it admits are in the commit of what caused it, so that it happens once or,
//! with its cause, not at all. When schedules are due is in `schedules`, what comes from outside in
//! `publish`.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::definition::input_faults;
use baton_core::ids::WorkflowId;
use baton_core::plan::Occasion;
use baton_core::time::Timestamp;
use baton_core::words::Origin;
use baton_core::workflow::{Admitted, Event, FiringCause, TriggerFired};
use serde_json::Value;

use crate::deliver::matches_type;
use crate::engine::{Admission, Engine};
use crate::loaded::Loaded;
use crate::schedules::Clockwork;
use crate::store::{DefinitionRow, Store, StoreError};

/// How many firings may lead to one another: a workflow that sets itself off again ends here.
pub(crate) const HOPS_MAX: u8 = 16;
/// The priority of what a trigger starts.
const PRIORITY: u8 = 5;
/// The longest reason of a firing that started nothing, in characters.
const FAULT_CHARS_MAX: usize = 1_000;

/// A definition whose triggers are looked at.
#[derive(Debug)]
pub(crate) struct Armed {
    pub version: u32,
    pub loaded: Arc<Loaded>,
    /// Its schedules, by the index of their trigger.
    pub clockworks: BTreeMap<usize, Clockwork>,
}

/// Every definition that has triggers, by name.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    pub armed: BTreeMap<String, Armed>,
    /// When the timer for schedules is due.
    pub timer: Option<Timestamp>,
    /// Whether anything is started by the clock: a command that comes and goes starts nothing so.
    pub keeps_time: bool,
}

/// One firing of one trigger.
pub(crate) struct Firing {
    pub definition: String,
    pub trigger: usize,
    pub cause: FiringCause,
    /// The position of the event that led to it; 0 where the clock did.
    pub position: u64,
    /// What its templates see.
    pub what: Arc<Value>,
    /// How many firings led to this one.
    pub hops: u8,
    /// The number of the actor behind it.
    pub actor: u32,
}

impl Triggers {
    /// The triggers that look for events of this type.
    pub fn listening(&self, event_type: &str) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for (name, armed) in &self.armed {
            for (index, trigger) in armed.loaded.plan.triggers.iter().enumerate() {
                match &trigger.on {
                    Occasion::Event { event, .. } if matches_type(event, event_type) => {
                        found.push((name.clone(), index));
                    }
                    Occasion::Event { .. } | Occasion::Schedule { .. } => {}
                }
            }
        }
        found
    }

    /// Looks at the triggers of a definition no more.
    pub fn disarm(&mut self, name: &str) {
        self.armed.remove(name);
    }
}

impl Engine {
    /// Arms the newest version of every definition.
    pub(crate) fn arm_all(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut newest: BTreeMap<String, DefinitionRow> = BTreeMap::new();
        for row in store.triggered()? {
            newest.insert(row.name.clone(), row);
        }
        for row in newest.into_values() {
            // A newer version without triggers takes those of the older out of use.
            let is_newest = store.definition(&row.name, None)?.is_none_or(|it| it == row);
            if is_newest {
                match self.arm(&row, store) {
                    // Its workflows could not start either; `baton doctor` names what is damaged.
                    Ok(()) | Err(StoreError::Corrupt(_)) => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        self.watch_schedules();
        Ok(())
    }

    /// Looks at the triggers of a definition from now on.
    pub(crate) fn arm(
        &mut self,
        row: &DefinitionRow,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        if self.triggers.armed.get(&row.name).is_some_and(|it| it.version == row.version) {
            return Ok(());
        }
        let loaded = self.load_plan(row.plan, store)?;
        let clockworks = self.clockworks(row, &loaded, store)?;
        let armed = Armed { version: row.version, loaded, clockworks };
        self.triggers.armed.insert(row.name.clone(), armed);
        Ok(())
    }

    /// Fires the trigger if its `when` is true of the event.
    pub(crate) fn fire_if_meant(&mut self, firing: &Firing) {
        let Some(armed) = self.triggers.armed.get(&firing.definition) else {
            return;
        };
        // A `when` that fails on this event is not true of it.
        if armed.loaded.program.trigger_fires(firing.trigger, &firing.what).unwrap_or(false) {
            self.fire(firing);
        }
    }

    /// Records a firing and admits its workflow; where that cannot be, the firing says why.
    pub(crate) fn fire(&mut self, firing: &Firing) {
        let Some(armed) = self.triggers.armed.get(&firing.definition) else {
            return;
        };
        let (version, loaded) = (armed.version, Arc::clone(&armed.loaded));
        let inputs = inputs_of(&loaded, firing);
        let id = inputs.is_ok().then(|| self.new_id());
        let fault = inputs.as_ref().err();
        let event = TriggerFired {
            definition: firing.definition.clone(),
            version,
            trigger: u32::try_from(firing.trigger).unwrap_or(u32::MAX),
            cause: firing.cause.clone(),
            workflow: id,
            fault: fault.map(|fault| fault.chars().take(FAULT_CHARS_MAX).collect()),
        };
        let now = self.now.moment.now;
        let (event, cause) = (Event::from(event), firing.position);
        let position = self.staging.append_system(&event, cause, firing.actor, now);
        if let (Some(id), Ok(inputs)) = (id, inputs) {
            let event = self.started_by(firing, id, &inputs);
            self.admit(loaded, Admission { event, cause: position }, firing.actor);
            self.fired.push((firing.position, id));
        }
    }

    fn started_by(&mut self, firing: &Firing, id: WorkflowId, inputs: &Value) -> Admitted {
        let (inputs, blob) = Body::split(Json::of(inputs));
        self.staging.offer(blob);
        Admitted {
            reports_to: None,
            user: None,
            id,
            conversation: self.new_conversation(),
            origin: Origin::Trigger,
            priority: PRIORITY,
            // Filled in when it is admitted.
            plan: baton_core::body::BlobHash::of(b""),
            inputs,
            review: false,
            parent: None,
            project: None,
            hops: firing.hops.saturating_add(1),
            folder: None,
            fork_of: None,
            fork_position: None,
            kept: Vec::new(),
        }
    }

    /// The number of Baton itself, who acts where nobody else does.
    pub(crate) fn own_actor(&mut self) -> u32 {
        self.actor(&Actor::system())
    }
}

fn inputs_of(loaded: &Loaded, firing: &Firing) -> Result<Value, String> {
    if firing.hops >= HOPS_MAX {
        return Err(format!(
            "{HOPS_MAX} firings in a row led to this one; a trigger must not set itself off again"
        ));
    }
    let given = loaded.program.trigger_inputs(firing.trigger, &firing.what);
    let given = given.map_err(|failure| failure.message.to_string())?;
    input_faults(&loaded.plan, &given).map_err(|faults| {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!("the inputs of `{}`: {}", loaded.plan.name, said.join("; "))
    })
}
