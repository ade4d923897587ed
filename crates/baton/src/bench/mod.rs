//! `baton bench`: the figures of the project, measured on this machine, each in fresh processes.
//!
//! It runs the figures and prints them; what each measures stands in [`figures`], and what has to
//! be measured from outside a process in [`outside`].

mod bare;
mod figures;
mod outside;
mod prose;
mod rig;
mod speaking;
mod turns;
mod web;
mod workers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use baton_store::StoreUrl;
use serde_json::json;

use crate::cli::{Bench, Common};
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};

/// Where PostgreSQL is, for `--store postgres`.
pub const POSTGRES_VARIABLE: &str = "BATON_BENCH_POSTGRES";

/// A figure's bounds, as the project set them.
struct Figure {
    name: &'static str,
    unit: &'static str,
    must: f64,
    aim: f64,
    /// Whether less is better.
    less: bool,
    on_postgres: bool,
}

impl Figure {
    /// What it must and should reach on a store. PostgreSQL has a bound of its own for chains;
    /// the other bounds are the embedded store's.
    fn bounds(&self, store: &str) -> (f64, f64) {
        match (store, self.name) {
            ("sqlite", _) => (self.must, self.aim),
            (_, "chain_c64") => (4_000.0, 10_000.0),
            (_, _) => (if self.less { f64::INFINITY } else { f64::NEG_INFINITY }, f64::INFINITY),
        }
    }
}

const fn less(name: &'static str, unit: &'static str, must: f64, aim: f64) -> Figure {
    Figure { name, unit, must, aim, less: true, on_postgres: false }
}

const fn more(name: &'static str, unit: &'static str, must: f64, aim: f64) -> Figure {
    Figure { name, unit, must, aim, less: false, on_postgres: false }
}

const fn both(figure: Figure) -> Figure {
    Figure { on_postgres: true, ..figure }
}

/// Every figure, in the order of the table.
const FIGURES: [Figure; 38] = [
    less("chain_c1_vs_commit", "commits a step", 2.5, 1.5),
    less("syncs_c1", "syncs a step", 1.05, 1.0),
    less("syncs_c64", "syncs a step", 0.1, 0.03),
    both(more("chain_c64", "steps/s", 20_000.0, 50_000.0)),
    more("chain_c64_slow_sync", "share", 0.5, 0.75),
    less("cpu_c64", "ms a step", 0.08, 0.03),
    both(more("fan_1000", "steps/s", 20_000.0, 50_000.0)),
    both(more("fan_10000", "steps/s", 20_000.0, 50_000.0)),
    both(less("size_100000", "ratio", 1.3, 1.05)),
    more("workers_http", "steps/s", 5_000.0, 15_000.0),
    both(less("recovery", "s", 1.0, 0.3)),
    less("recovery_http", "s", 1.0, 0.3),
    less("start", "ms", 100.0, 20.0),
    less("memory_idle", "MiB", 40.0, 20.0),
    less("memory_1000", "MiB", 150.0, 80.0),
    both(less("disk_step", "bytes a step", 600.0, 300.0)),
    less("idle", "calls/s", 1.0, 0.1),
    less("stream_p50", "ms", 5.0, 1.0),
    less("stream_p99", "ms", 20.0, 5.0),
    less("first_chunk_p50", "ms", 5.0, 1.0),
    less("first_chunk_p99", "ms", 9.0, 5.0),
    both(less("speech_step", "ratio", 1.5, 1.2)),
    less("progress_100000_p50", "ms", 1.0, 0.3),
    less("progress_100000_p99", "ms", 5.0, 1.0),
    less("list_100000_p50", "ms", 2.0, 0.5),
    less("list_100000_p99", "ms", 10.0, 2.0),
    less("subscribers", "KiB each", 10.0, 5.0),
    less("sockets", "KiB each", 10.0, 5.0),
    both(less("turns_1000", "ratio", 1.5, 1.1)),
    both(less("turns_10", "ratio", f64::INFINITY, f64::INFINITY)),
    both(less("turns_100", "ratio", f64::INFINITY, f64::INFINITY)),
    less("turns_whole_10", "ratio", f64::INFINITY, f64::INFINITY),
    less("turns_whole_100", "ratio", f64::INFINITY, f64::INFINITY),
    less("turns_whole_1000", "ratio", f64::INFINITY, f64::INFINITY),
    less("turn_cpu_10", "ms a turn", f64::INFINITY, f64::INFINITY),
    less("turn_cpu_100", "ms a turn", f64::INFINITY, f64::INFINITY),
    less("turn_cpu_1000", "ms a turn", f64::INFINITY, f64::INFINITY),
    both(less("chain_c1", "ms a step", f64::INFINITY, f64::INFINITY)),
];

/// Measures and prints.
pub fn bench(common: &Common, bench: &Bench) -> anyhow::Result<Exit> {
    let json = common.json;
    if let Some(figure) = bench.figure.as_deref().filter(|_| bench.inner) {
        let url = std::env::var("BATON_BENCH_STORE").context("BATON_BENCH_STORE is not set")?;
        let folder = PathBuf::from(
            std::env::var_os("BATON_BENCH_FOLDER").context("BATON_BENCH_FOLDER is not set")?,
        );
        figures::measure(figure, &url.parse()?, &folder)?;
        return Ok(Exit::Done);
    }
    let scratch = Scratch::new()?;
    let wanted = bench.figure.as_deref().unwrap_or("");
    let exact = FIGURES.iter().any(|figure| figure.name == wanted);
    let is_wanted = |figure: &&Figure| {
        if exact { figure.name == wanted } else { figure.name.starts_with(wanted) }
    };
    let chosen: Vec<&Figure> = FIGURES.iter().filter(is_wanted).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        return Err(Failed::usage(format!(
            "there is no figure `{wanted}`; there are {}",
            names.join(", ")
        ))
        .into());
    }
    let machine = outside::sync_rate(&scratch.folder)?;
    if !json {
        say_out(&format!(
            "this disk: one 256-byte append and fdatasync in {:.3} ms (p50)",
            machine.as_secs_f64() * 1e3
        ));
        say_out(&format!(
            "{:<10} {:<20} {:>12} {:>12} {:>12}  {:<14} {:>9} {:>9}",
            "store", "figure", "median", "min", "max", "unit", "must", "aim"
        ));
    }
    for store in stores(common.store.as_deref())? {
        for figure in chosen.iter().filter(|figure| store == "sqlite" || figure.on_postgres) {
            let samples =
                outside::samples(figure.name, store, bench.runs.max(1), &scratch.folder, machine);
            match samples {
                Ok(samples) => print(figure, store, samples, json),
                Err(fault) => say(&format!("{:<10} {:<20} {fault:#}", store, figure.name)),
            }
        }
    }
    Ok(Exit::Done)
}

fn stores(asked: Option<&str>) -> anyhow::Result<Vec<&'static str>> {
    let stores = match asked {
        None | Some("sqlite") => vec!["sqlite"],
        Some("postgres") => vec!["postgres"],
        Some("both") => vec!["sqlite", "postgres"],
        Some(other) => {
            let message = format!(
                "`--store {other}` cannot be measured; it is `sqlite`, `postgres` or `both` here"
            );
            return Err(Failed::usage(message).into());
        }
    };
    if stores.contains(&"postgres") && std::env::var_os(POSTGRES_VARIABLE).is_none() {
        let message =
            format!("{POSTGRES_VARIABLE} does not name a server; `cargo xtask bench` starts one");
        return Err(Failed::usage(message).into());
    }
    Ok(stores)
}

fn print(figure: &Figure, store: &str, mut samples: Vec<f64>, json: bool) {
    samples.sort_by(f64::total_cmp);
    let at = |index: usize| samples.get(index).copied().unwrap_or(f64::NAN);
    let (median, min, max) = (at(samples.len() / 2), at(0), at(samples.len().saturating_sub(1)));
    if json {
        let line = json!({ "figure": figure.name, "store": store, "median": median, "min": min, "max": max, "unit": figure.unit });
        return say_out(&line.to_string());
    }
    let short = |value: f64| match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let (must, aim) = figure.bounds(store);
    let reached = |bound: f64| if figure.less { median <= bound } else { median >= bound };
    let verdict = match (reached(must), reached(aim)) {
        _ if must.is_infinite() => "",
        (_, true) => "aim reached",
        (true, false) => "must reached",
        (false, false) => "SHORT OF MUST",
    };
    let bound = |bound: f64| {
        if bound.is_infinite() { "-".to_owned() } else { bound.to_string() }
    };
    say_out(&format!(
        "{:<10} {:<20} {:>12} {:>12} {:>12}  {:<14} {:>9} {:>9}  {verdict}",
        store,
        figure.name,
        short(median),
        short(min),
        short(max),
        figure.unit,
        bound(must),
        bound(aim),
    ));
}

/// A folder that goes when this is dropped.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("baton-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is only scratch.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The store of one measurement: always a fresh one.
fn fresh_store(store: &str, folder: &Path, n: u32) -> anyhow::Result<StoreUrl> {
    if store == "sqlite" {
        return Ok(StoreUrl::Sqlite(folder.join("baton.db")));
    }
    let base = std::env::var(POSTGRES_VARIABLE).context("no PostgreSQL is named")?;
    let join = if base.contains('?') { '&' } else { '?' };
    Ok(format!("{base}{join}schema=bench_{}_{n}", std::process::id()).parse()?)
}

/// A span in milliseconds.
fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
