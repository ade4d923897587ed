//! One pass over the journal in the order of positions: what each stream ends with, and whether
//! every link holds.
//!
//! Bodies are read only where the system stream needs them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use baton_core::codes::Code;
use baton_core::fact::{self, Change};
use baton_core::words::FactKind;
use baton_core::workflow::{Event, EventKind};

use super::{Difference, EVENTS_AT_A_TIME, Found, Mend, graves};
use crate::live::read_event;
use crate::store::{Audit, DefinitionRow, FactRow, Head, Record, SYSTEM_STREAM, StoreError};

/// What a stream is of, as its first event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Of {
    /// Its first event is neither's: what it is cannot be known.
    #[default]
    Unknown,
    /// A workflow.
    Workflow,
    /// A conversation.
    Conversation,
}

impl Of {
    fn first(record: &Record) -> Self {
        if record.kind == EventKind::Admitted.code() {
            Self::Workflow
        } else if record.kind == EventKind::Opened.code() {
            Self::Conversation
        } else {
            Self::Unknown
        }
    }
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail {
    /// What it is of.
    pub of: Of,
    /// The position of its newest event.
    pub head: u64,
    /// The version of it.
    pub version: u64,
    /// Whether every link up to it holds.
    pub broken: bool,
}

/// What the journal holds, without its bodies. Its size grows with workflows, not with events.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// How many events there are.
    pub events: u64,
    /// The end of each workflow's and each conversation's stream.
    pub tails: BTreeMap<u64, Tail>,
    /// The numbers of the workflows that tombstones stand for.
    pub purged: BTreeSet<u64>,
    /// The positions of the events that carry tombstones.
    pub purges: Vec<u64>,
    /// Whether something of the system stream cannot be read, perhaps tombstones: no row can then
    /// be said to be a stray.
    pub illegible: bool,
    definitions: BTreeMap<(String, u32), DefinitionRow>,
    facts: BTreeMap<(FactKind, Vec<u8>), FactRow>,
    actors: HashSet<u32>,
    system: Tail,
    /// Positions without an event.
    holes: u64,
    /// Events that tombstones say were removed.
    removed: u64,
    head: Head,
}

pub(super) fn survey(audit: &mut dyn Audit, found: Found<'_>) -> Result<Survey, StoreError> {
    let stored = audit.head()?;
    let actors = audit.actors()?.into_iter().map(|(number, _)| number);
    let mut survey = Survey { actors: actors.collect(), ..Survey::default() };
    loop {
        let records = audit.events(survey.head.position, EVENTS_AT_A_TIME)?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            survey.take(record, audit, found)?;
        }
    }
    survey.compare_holes(found)?;
    survey.compare_head(&stored, found)?;
    Ok(survey)
}

impl Survey {
    fn take(
        &mut self,
        record: &Record,
        audit: &mut dyn Audit,
        found: Found<'_>,
    ) -> Result<(), StoreError> {
        let place = format!("the event at position {}", record.position);
        if record.at < self.head.at {
            let what = format!("{place}: its time is before that of the event before it");
            found(Difference::fault(what, record.at, self.head.at))?;
        }
        if record.cause >= record.position {
            let what = format!("{place}: its cause is not before it");
            found(Difference::fault(what, record.cause, "an earlier position"))?;
        }
        if !self.actors.contains(&record.actor) {
            let what = format!("{place}: its actor is not known");
            found(Difference::fault(what, record.actor, "a numbered actor"))?;
        }
        self.holes += record.position.saturating_sub(self.head.position).saturating_sub(1);
        self.events += 1;
        self.head.position = record.position;
        self.head.at = record.at;
        self.head.streams = self.head.streams.max(record.stream);
        self.link(record, found)?;
        if record.stream == SYSTEM_STREAM {
            self.take_system(record, &place, audit, found)?;
        }
        Ok(())
    }

    /// Checks that the event follows the one before it in its stream.
    fn link(&mut self, record: &Record, found: Found<'_>) -> Result<(), StoreError> {
        let tail = match record.stream {
            SYSTEM_STREAM => &mut self.system,
            number => {
                let new = || Tail { of: Of::first(record), ..Tail::default() };
                self.tails.entry(number).or_insert_with(new)
            }
        };
        if (record.previous, record.version) != (tail.head, tail.version + 1) && !tail.broken {
            tail.broken = true;
            let Record { position, stream, version, previous, .. } = record;
            found(Difference::fault(
                format!("the event at position {position}: its place in stream {stream}"),
                format!("version {version} after position {previous}"),
                format!("version {} after position {}", tail.version + 1, tail.head),
            ))?;
        }
        tail.head = record.position;
        tail.version = record.version;
        Ok(())
    }

    fn take_system(
        &mut self,
        record: &Record,
        place: &str,
        audit: &mut dyn Audit,
        found: Found<'_>,
    ) -> Result<(), StoreError> {
        match read_event(record) {
            Err(fault) => {
                self.illegible = true;
                found(Difference::fault(place, fault, "a readable event"))?;
            }
            Ok(
                event @ (Event::EventReceived(_)
                | Event::TriggerFired(_)
                | Event::TokenCreated(_)
                | Event::TokenRevoked(_)),
            ) => self.take_facts(&event, record),
            // No row and no fact follows from it.
            Ok(Event::ServerReleased(_)) => {}
            Ok(Event::DefinitionRemoved(removed)) => {
                self.definitions.retain(|(name, _), _| *name != removed.name);
            }
            Ok(Event::DefinitionRegistered(defined)) => {
                let row = DefinitionRow {
                    name: defined.name,
                    version: defined.version,
                    plan: defined.plan,
                    source: defined.source,
                    triggers: defined.triggers,
                    at: record.at,
                };
                self.definitions.insert((row.name.clone(), row.version), row);
            }
            Ok(event @ (Event::Purged(_) | Event::BatchPurged(_))) => {
                self.purges.push(record.position);
                match graves::left_by(event, record.at, audit) {
                    Ok(graves) => self.take_graves(&graves),
                    Err(StoreError::Corrupt(detail)) => {
                        self.illegible = true;
                        let what = format!("{place}: what stays of purged workflows");
                        found(Difference::fault(what, detail, "tombstones that can be read"))?;
                    }
                    Err(unreadable) => return Err(unreadable),
                }
            }
            Ok(other) => {
                let kind = format!("{:?}", other.kind());
                found(Difference::fault(
                    format!("{place}, in the system stream"),
                    kind,
                    "an event of the whole store",
                ))?;
            }
        }
        Ok(())
    }

    fn take_facts(&mut self, event: &Event, record: &Record) {
        let Record { position, at, .. } = *record;
        for Change::Holds(kind, key, value) in fact::changes(event) {
            let row = FactRow { kind, key: key.clone(), value, position, at, expires: None };
            self.facts.insert((kind, key), row);
        }
    }

    fn take_graves(&mut self, graves: &[graves::Grave]) {
        for (card, row) in graves {
            self.removed += row.revision;
            self.head.streams = self.head.streams.max(card.number);
            self.purged.insert(card.number);
        }
    }

    /// Positions are dense but for the events that tombstones account for.
    fn compare_holes(&self, found: Found<'_>) -> Result<(), StoreError> {
        if self.holes == self.removed || self.illegible {
            return Ok(());
        }
        found(Difference::fault(
            "positions without an event",
            self.holes,
            format!("{}, as the tombstones say", self.removed),
        ))
    }

    fn compare_head(&mut self, stored: &Head, found: Found<'_>) -> Result<(), StoreError> {
        self.head.system_version = self.system.version;
        self.head.system_head = self.system.head;
        self.head.epoch = stored.epoch;
        if self.illegible {
            // The newest workflow may be among the purged ones; its number must not be given again.
            self.head.streams = self.head.streams.max(stored.streams);
        }
        match Difference::of_fields("the head of the journal", stored, &self.head) {
            None => Ok(()),
            // An end that is missing cannot be made up: only a head that lags behind is moved.
            Some(difference) if stored.position > self.head.position => found(difference),
            Some(difference) => found(difference.mended_by(Mend::Head(self.head))),
        }
    }
}

impl Survey {
    /// Whether the row of a workflow of this number can be right.
    pub fn may_be_workflow(&self, number: u64) -> bool {
        self.purged.contains(&number)
            || self.tails.get(&number).is_some_and(|tail| tail.of != Of::Conversation)
    }

    /// Whether the row of a conversation of this number can be right.
    pub fn may_be_conversation(&self, number: u64) -> bool {
        self.tails.get(&number).is_some_and(|tail| tail.of != Of::Workflow)
    }
}

pub(super) fn compare_definitions(
    survey: &Survey,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let rows = audit.definitions()?.into_iter();
    let mut stored: BTreeMap<(String, u32), DefinitionRow> =
        rows.map(|row| ((row.name.clone(), row.version), row)).collect();
    for (key, row) in &survey.definitions {
        let what = format!("the definition `{}` version {}", row.name, row.version);
        let mend = Mend::Definition(row.clone());
        match stored.remove(key) {
            None => found(Difference::fault(what, "no row", "a row").mended_by(mend))?,
            Some(old) => {
                if let Some(difference) = Difference::of_fields(&what, &old, row) {
                    found(difference.mended_by(mend))?;
                }
            }
        }
    }
    for (name, version) in stored.into_keys() {
        let what = format!("the definition `{name}` version {version}");
        let mend = Mend::NoDefinition(name, version);
        found(Difference::fault(what, "a row", "no row").mended_by(mend))?;
    }
    Ok(())
}

/// Facts that expire are nobody's to derive.
pub(super) fn compare_facts(
    survey: &Survey,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let mut stored: BTreeMap<(FactKind, Vec<u8>), FactRow> =
        audit.facts()?.into_iter().map(|row| ((row.kind, row.key.clone()), row)).collect();
    for (key, row) in &survey.facts {
        let what = format!("the fact `{}` of position {}", row.kind, row.position);
        let mend = Mend::Fact(row.clone());
        match stored.remove(key) {
            None => found(Difference::fault(what, "no row", "a row").mended_by(mend))?,
            Some(old) => {
                if let Some(difference) = Difference::of_fields(&what, &old, row) {
                    found(difference.mended_by(mend))?;
                }
            }
        }
    }
    // Which facts an event that cannot be read stands for is not known.
    for row in stored.into_values().filter(|_| !survey.illegible) {
        let what = format!("the fact `{}` of position {}", row.kind, row.position);
        let mend = Mend::NoFact(row.kind, row.key);
        found(Difference::fault(what, "a row", "no row").mended_by(mend))?;
    }
    Ok(())
}
