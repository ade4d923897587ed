//! Triggers: what starts a workflow of a definition by itself.
//!
//! When they fire is the engine's; here they are read, and every fault is told at its place.

use super::draft::{CallOf, CallSite, Draft, SiteKind};
use super::fault::{Faults, Path};
use super::fields::{At, Fields};
use super::kind::event_type;
use super::tree::{Node, shorten};
use super::walk::object;
use crate::plan::{Occasion, Trigger};
use crate::schedule::{Schedule, ZONE_DEFAULT, zone};
use crate::words::Missed;

/// The most triggers a definition may have.
pub const TRIGGERS_MAX: usize = 100;

pub(crate) const TRIGGER_FIELDS: [&str; 6] =
    ["event", "when", "schedule", "zone", "missed", "inputs"];

/// Reads the list; those with faults are left out.
pub(crate) fn read<'t, 's>(
    list: &At<'t, 's, '_>,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Vec<Trigger> {
    let nodes = list.list(faults).unwrap_or_default();
    if nodes.len() > TRIGGERS_MAX {
        let message = format!("a definition may have at most {TRIGGERS_MAX} triggers");
        faults.add(list.node.place, &list.path, message);
        return Vec::new();
    }
    let numbered = nodes.iter().enumerate();
    numbered
        .filter_map(|(index, node)| trigger(node, &list.path.index(index), draft, faults))
        .collect()
}

fn trigger<'t, 's>(
    node: &'t Node<'s>,
    path: &Path<'_>,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Trigger> {
    let fields = Fields::of(node, path, &TRIGGER_FIELDS, faults)?;
    let kind = match (fields.entry("event"), fields.entry("schedule")) {
        (Some(_), None) => SiteKind::OnEvent,
        (None, Some(_)) => SiteKind::OnSchedule,
        (Some(_), Some(_)) | (None, None) => {
            let message = "a trigger has either `event` or `schedule`";
            faults.add(fields.place, path, message);
            return None;
        }
    };
    let inputs = fields.get("inputs").map(|at| {
        draft.sites_of(&at, None, kind);
        let (with, place) = (Some(at.node), fields.place);
        draft.calls.push(CallSite { with, place, path: path.to_string(), of: CallOf::Trigger });
        object(&at, faults)
    });
    let on = match kind {
        SiteKind::OnSchedule => schedule(&fields, faults),
        SiteKind::OnEvent
        | SiteKind::Task
        | SiteKind::Each
        | SiteKind::Event
        | SiteKind::Probe
        | SiteKind::Output => event(&fields, draft, faults),
    };
    Some(Trigger { on: on?, inputs })
}

fn event<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Occasion> {
    foreign(fields, &["zone", "missed"], "schedule", faults);
    let when = fields.get("when").and_then(|at| {
        let text = at.text(faults)?;
        draft.expression(&at, None, SiteKind::OnEvent);
        Some(text.to_owned())
    });
    let event = event_type(&fields.get("event")?, faults)?.to_owned();
    Some(Occasion::Event { event, when })
}

fn schedule(fields: &Fields<'_, '_, '_>, faults: &mut Faults) -> Option<Occasion> {
    foreign(fields, &["when"], "event", faults);
    let missed = fields.get("missed").and_then(|at| at.word::<Missed>(faults));
    let named = fields.get("zone").map(|at| Some((at.text(faults)?, at)));
    let found = match &named {
        None => Some((ZONE_DEFAULT, zone(ZONE_DEFAULT).ok()?)),
        Some(None) => None,
        Some(Some((name, at))) => match zone(name) {
            Ok(found) => Some((*name, found)),
            Err(unknown) => {
                let message = format!("`{}` is {unknown}", shorten(name));
                let fault = faults.add(at.node.place, &at.path, message);
                fault.help("write it like `Europe/Berlin`");
                None
            }
        },
    };
    let at = fields.get("schedule")?;
    let cron = at.text(faults)?;
    let in_zone = found.as_ref().map(|(_, zone)| zone.clone());
    if let Err(bad) = Schedule::read(cron, in_zone.unwrap_or(jiff::tz::TimeZone::UTC)) {
        let message = format!("`{}` is no schedule: {bad}", shorten(cron));
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help("write five cron fields, like `0 6 * * 1`: minute, hour, day, month, weekday");
        return None;
    }
    Some(Occasion::Schedule {
        cron: cron.to_owned(),
        zone: found?.0.to_owned(),
        missed: missed.unwrap_or(Missed::Once),
    })
}

/// Refuses fields of the other kind.
fn foreign(fields: &Fields<'_, '_, '_>, names: &[&str], owner: &str, faults: &mut Faults) {
    for name in names {
        if let Some(entry) = fields.entry(name) {
            let message = format!("`{name}` belongs to a trigger with `{owner}`");
            faults.add(entry.place, &fields.path.field(name), message);
        }
    }
}
