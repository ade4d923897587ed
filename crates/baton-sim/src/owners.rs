//! Owners come and go: one takes the store over, dies, or is replaced while it still runs.

use baton_engine::engine::{Engine, TakeUp};
use baton_engine::exchange::{Input, JobKey};
use baton_engine::ledger::Used;
use baton_engine::store::{Store, StoreError};

use crate::check::unread;
use crate::fault::FaultyStore;
use crate::ledger::{Violation, violation};
use crate::rng::Rng;
use crate::world::{Cut, Happening, Owner, World};

impl World {
    /// The store as one sees it for whom it fails now and then.
    pub(crate) fn faulty_store(&mut self) -> FaultyStore {
        let rng = Rng::new(self.rng.next());
        let store = FaultyStore::new(self.store.clone(), rng, self.weather.store);
        store.failing_reads(self.weather.reads)
    }

    /// Opens the store; nobody owns it where it cannot be read just now.
    pub(crate) fn open(&mut self) -> Result<(), Violation> {
        self.lose_snapshots();
        let mut store = self.faulty_store();
        let now = self.now();
        let mut settings = self.settings.clone();
        let used = Used::of(&settings.budgets, now.moment.now, &mut self.store.views());
        settings.used = used.map_err(unread)?;
        match Engine::open(&mut store, settings, TakeUp::All, now) {
            Ok(engine) => self.owner = Some(Owner { engine, store }),
            Err(StoreError::Unavailable(_)) => self.pass(1000),
            Err(fault) => return violation(format!("the store cannot be opened: {fault}")),
        }
        Ok(())
    }

    /// Snapshots are a cache: between two owners, some are gone, some damaged, some not ours.
    fn lose_snapshots(&mut self) {
        let (rng, weather, whole) = (&mut self.rng, &self.weather, &mut self.snapshots);
        self.store.change_snapshots(|snapshots| {
            snapshots.retain(|_, _| !rng.chance(weather.snapshots));
            for row in snapshots.values_mut() {
                match rng.below(8).checked_sub(4).filter(|_| weather.snapshots > 0) {
                    Some(0) => row.bytes = row.bytes.iter().map(|byte| byte ^ 1).collect(),
                    Some(1) => row.position += 1,
                    Some(2) => row.version += 1,
                    Some(_) => row.shape += 1,
                    None => *whole += 1,
                }
            }
        });
    }

    /// The owner's process ends: what was under way has happened by now, or never does.
    pub(crate) fn die(&mut self, cut: Cut) -> Result<(), Violation> {
        self.deaths += 1;
        self.owner = None;
        self.draining = false;
        let jobs: Vec<JobKey> = self.running.keys().copied().collect();
        for job in jobs {
            let happens = match cut {
                Cut::Unanswered => true,
                Cut::Undone => false,
                Cut::Unwritten | Cut::Unreleased => self.rng.chance(500),
            };
            if happens {
                self.has_effect(job)?;
            }
        }
        self.running.clear();
        self.asking.clear();
        self.agenda.retain(|_, happening| matches!(happening, Happening::Says(_)));
        self.inbox.clear();
        self.pass(1000);
        Ok(())
    }

    /// Another owner takes over while this one still runs: its next commit must be refused.
    pub(crate) fn take_over(&mut self) -> Result<(), Violation> {
        let Some(mut zombie) = self.owner.take() else {
            return Ok(());
        };
        let mut late: Vec<Input> = std::mem::take(&mut self.inbox);
        for (at, happening) in std::mem::take(&mut self.agenda) {
            match happening {
                Happening::Says(_) => drop(self.agenda.insert(at, happening)),
                Happening::Answer(job, result) => late.push(Input::Called { job, result }),
                Happening::Arrives(input) | Happening::Wishes(_, input) => late.push(input),
                Happening::Effect(_) => {}
            }
        }
        self.die(Cut::Unwritten)?;
        self.open()?;
        let now = self.now();
        let turn = zombie.engine.turn(&mut zombie.store, now, late);
        zombie.store.permille = 0;
        if turn.commit.is_empty() || turn.fault.is_some() {
            return self.turn(Vec::new());
        }
        match zombie.store.commit(&turn.commit) {
            Err(StoreError::Conflict(_) | StoreError::Unavailable(_)) => self.turn(Vec::new()),
            other => violation(format!("an owner that was replaced committed: {other:?}")),
        }
    }
}
