//! `forecast`: what a definition will probably use, before anything is started.

use baton_engine::forecast::{Forecast, TaskForecast, forecast_of};

use super::run::read_definition;
use super::there;
use crate::cli::Common;
use crate::config::Config;
use crate::display::say_out;
use crate::exit::Exit;
use crate::place::Place;
use crate::remote::Remote;
use crate::session::{read_store, tools};
use crate::text::clean;

/// Tells what earlier runs of a definition used; as JSON in the form of the API.
pub fn forecast(common: &Common, named: &str) -> anyhow::Result<Exit> {
    let forecast = match Remote::named(common)? {
        Some(remote) => there::forecast(&remote, named)?,
        None => here(common, named)?,
    };
    if common.json {
        say_out(&serde_json::to_string(&forecast)?);
        return Ok(Exit::Done);
    }
    say_out(&clean(&forecast.line()));
    forecast.tasks.iter().for_each(|task| say_out(&clean(&task_line(task, forecast.runs))));
    Ok(Exit::Done)
}

/// From the store at hand; where there is none yet, nothing has run.
fn here(common: &Common, named: &str) -> anyhow::Result<Forecast> {
    let config = Config::of(common)?;
    let tools = tools(common, &config)?;
    let plan = read_definition(common, &config, &tools, named)?;
    if !Place::new(common)?.has_store() {
        return Ok(Forecast::without_history());
    }
    Ok(forecast_of(&plan, read_store(common)?.as_mut())?)
}

fn task_line(task: &TaskForecast, runs: u32) -> String {
    format!("  {:<24} {}", task.key, task.line(runs))
}
