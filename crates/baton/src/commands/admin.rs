//! `doctor`, `archive`, `purge`: looking after a store.

use baton_engine::exchange::Burial;
use baton_engine::store::Views;
use baton_server::wire::{Answer, Ask};

use crate::admin::archive::archive;
use crate::admin::doctor::{Level, Trying, doctor};
use crate::admin::purge::purge;
use crate::admin::rebuild::rebuild;
use crate::admin::selection::Selection;
use crate::admin::{NotPurged, Purger};
use crate::cli::{Archive, Common, Finished};
use crate::config::Config;
use crate::display::say_out;
use crate::exit::{Exit, Failed};
use crate::place::Place;
use crate::reading::find_workflow;
use crate::session::{Purpose, Session, read, read_store, require_store};

/// Computes the read models anew.
pub fn rebuild_views(common: &Common) -> anyhow::Result<Exit> {
    let place = Place::new(common)?;
    let report = rebuild(place.folder(), place.store()).map_err(Failed::unreachable)?;
    print(common, &report, &report.render())?;
    Ok(if report.left() == 0 { Exit::Done } else { Exit::WorkFailed })
}

/// Looks for what is wrong.
pub fn look_over(common: &Common, trying: Trying) -> anyhow::Result<Exit> {
    let place = Place::new(common)?;
    let config = Config::of(common)?;
    let mut report = doctor(place.folder(), place.store(), &config);
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    report.look_at_models(&config.models, &is_set, trying);
    print(common, &report, &report.render())?;
    Ok(if report.worst() == Level::Problem { Exit::WorkFailed } else { Exit::Done })
}

/// Copies finished workflows into a file and purges them.
pub fn archive_finished(common: &Common, asked: &Archive) -> anyhow::Result<Exit> {
    with_purger(common, |purger, views| {
        let selection = selection(common, &asked.finished)?;
        let report = archive(&selection, &asked.to, views, purger)?;
        print(common, &report, &report.render())
    })
}

/// Purges finished workflows.
pub fn purge_finished(common: &Common, asked: &Finished) -> anyhow::Result<Exit> {
    with_purger(common, |purger, views| {
        let report = purge(&selection(common, asked)?, views, purger)?;
        print(common, &report, &report.render())
    })
}

fn with_purger(
    common: &Common,
    work: impl FnOnce(&mut dyn Purger, &mut dyn Views) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    require_store(common)?;
    let mut session = Session::open(common, Purpose::Tell)?;
    let done = read_store(common).and_then(|mut views| work(&mut session, views.as_mut()));
    let closed = session.close();
    done?;
    closed?;
    Ok(Exit::Done)
}

fn selection(common: &Common, asked: &Finished) -> anyhow::Result<Selection> {
    let mut reading = read(common)?;
    let named = asked.ids.iter().map(|id| Ok(find_workflow(reading.as_mut(), id)?.id));
    Ok(Selection {
        ids: named.collect::<anyhow::Result<_>>()?,
        older_than: asked.older_than,
        statuses: asked.statuses.clone(),
    })
}

fn print(common: &Common, report: &impl serde::Serialize, text: &str) -> anyhow::Result<()> {
    if common.json {
        say_out(&serde_json::to_string(report)?);
    } else {
        say_out(text.trim_end());
    }
    Ok(())
}

impl Purger for Session {
    fn purge(&mut self, workflows: Vec<Burial>) -> Result<u32, NotPurged> {
        match self.ask(Ask::Purge { workflows }) {
            Ok(Answer::Count(count)) => Ok(count),
            Ok(other) => Err(NotPurged::Failed(format!("the owner answered {other:?}"))),
            Err(fault) => match fault.downcast_ref::<Failed>() {
                Some(failed) if failed.exit == Exit::Usage => {
                    Err(NotPurged::Refused(failed.to_string()))
                }
                Some(_) | None => Err(NotPurged::Failed(format!("{fault:#}"))),
            },
        }
    }
}
