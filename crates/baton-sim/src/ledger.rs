//! The effect ledger: what the simulated tools really did, written outside the store the moment it
//! happens. The engine never sees it; the simulated person and the checks do.

use std::collections::BTreeMap;
use std::fmt;

use baton_core::ids::Ordinal;
use baton_core::words::Effect;
use baton_engine::exchange::JobKey;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// A violation with these words.
pub fn violation<T>(said: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(said.into()))
}

/// What happened in the world.
#[derive(Debug, Default)]
pub struct Ledger {
    happened: BTreeMap<String, Vec<JobKey>>,
    keys: BTreeMap<(u64, Ordinal, u32, u32), String>,
    /// How many of them may happen once.
    #[cfg(test)]
    paid: usize,
}

impl Ledger {
    /// A call is made under this key, by this task in this run on this rung: always the same.
    pub fn called(&mut self, job: JobKey, run: u32, rung: u32, key: &str) -> Result<(), Violation> {
        let place = (job.number, job.task, run, rung);
        let known = self.keys.entry(place).or_insert_with(|| key.to_owned());
        if known != key {
            return violation(format!("{job:?} was called as {known}, now as {key}"));
        }
        let shared = self.keys.iter().find(|(other, k)| *k == key && **other != place);
        match shared {
            Some((other, _)) => violation(format!("{place:?} and {other:?} share the key {key}")),
            None => Ok(()),
        }
    }

    /// The call has its effect, now.
    pub fn happen(&mut self, job: JobKey, effect: Effect, key: &str) -> Result<(), Violation> {
        let all = self.happened.entry(key.to_owned()).or_default();
        all.push(job);
        #[cfg(test)]
        {
            self.paid += usize::from(effect == Effect::Once);
        }
        if effect == Effect::Once && all.len() > 1 {
            return violation(format!(
                "a once effect happened {} times: {all:?} under {key}",
                all.len()
            ));
        }
        Ok(())
    }

    /// Whether the call under this key ever had its effect.
    pub fn has_happened(&self, key: &str) -> bool {
        self.happened.contains_key(key)
    }

    /// How many effects there were that may happen once.
    #[cfg(test)]
    pub fn paid(&self) -> usize {
        self.paid
    }

    /// How many effects there were.
    pub fn count(&self) -> usize {
        self.happened.values().map(Vec::len).sum()
    }
}
