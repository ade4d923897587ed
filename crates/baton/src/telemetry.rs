//! Traces and metrics of an owner, for as long as this process is one.
//!
//! What is told, and how, is the exporter's business; where it goes stands in the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use baton_engine::store::Views;
use baton_telemetry::{Exporter, Settings, Source};
use serde_json::json;

use crate::config::Telemetry;
use crate::exit::Failed;
use crate::log::{Level, log};
use crate::remote::trusted;
use crate::runtime::Handle;

/// How long a process that ends waits for the collector.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(3);

/// Where the configuration or the environment says that telemetry goes; `None` where they say nothing.
pub fn settings(telemetry: &Telemetry) -> Result<Option<Settings>, Failed> {
    let variable = |name: &str| std::env::var_os(name);
    let Some(mut settings) = telemetry.settings(&variable)? else { return Ok(None) };
    if settings.is_encrypted() {
        settings.tls = trusted()?;
    }
    Ok(Some(settings))
}

/// Begins to tell of an owner, if anybody is to be told.
pub fn start(
    settings: Option<Settings>,
    owner: &Handle,
    views: impl FnOnce() -> anyhow::Result<Box<dyn Views>>,
) -> anyhow::Result<Option<Exporter>> {
    let Some(settings) = settings else { return Ok(None) };
    let source = Source { door: owner, meters: owner.meters(), views: views()? };
    let warn = Arc::new(|sentence: &str, cause: &str| {
        log(Level::Warn, sentence, &[("cause", json!(cause))]);
    });
    Exporter::start(settings, source, warn).map(Some).context("telemetry cannot be sent")
}
