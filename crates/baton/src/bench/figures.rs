//! The figures: what each measures, inside a fresh process of its own.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use baton_engine::loaded::Loaded;
use baton_store::StoreUrl;

use super::rig::{Rig, chain, fan, parked, parked_items};
use super::speaking;
use super::turns;
use super::web;
use crate::display::say_out;

/// Steps of a chain.
const CHAIN: u32 = 10;
/// Workflows that a chain figure runs once it is warm.
const CHAINS: usize = 2_000;

/// Measures one figure in this process and prints its number.
pub fn measure(figure: &str, store: &StoreUrl, folder: &Path) -> anyhow::Result<()> {
    let value = match figure {
        "chain_c1_vs_commit" => chain_c1_vs_commit(store, folder)?,
        "chain_c1" => chain_c1(&Rig::open(store)?, 300)?.as_secs_f64() * 1e3,
        "chain_c64" => chains(&Rig::open(store)?, 64, CHAINS)?.per_second,
        "cpu_c64" => chains(&Rig::open(store)?, 64, CHAINS)?.cpu_ms,
        "fan_1000" => fans(&Rig::open(store)?, 1_000, 20)?.per_second,
        "fan_10000" => fans(&Rig::open(store)?, 10_000, 4)?.per_second,
        "size_100000" => size(&Rig::open(store)?)?,
        "disk_step" => disk_step(store)?,
        "memory_idle" => memory_idle(store)?,
        "memory_1000" => memory_1000(store)?,
        "idle" => idle(store)?,
        "stream_p50" => web::stream(store, 0.5)?,
        "stream_p99" => web::stream(store, 0.99)?,
        "first_chunk_p50" => speaking::first_chunk(store, 0.5)?,
        "first_chunk_p99" => speaking::first_chunk(store, 0.99)?,
        "speech_step" => speaking::step_while_speaking(store)?,
        "progress_100000_p50" => web::progress(store, 0.5)?,
        "progress_100000_p99" => web::progress(store, 0.99)?,
        "list_100000_p50" => web::list(store, 0.5)?,
        "list_100000_p99" => web::list(store, 0.99)?,
        "subscribers" => web::subscribers(store, folder, web::Way::Events)?,
        "sockets" => web::subscribers(store, folder, web::Way::Socket)?,
        "hold" => return web::hold(),
        "workers_http" => super::workers::per_second(store)?,
        "steps_c1" => return counted(store, 1, 100),
        "steps_c64" => return counted(store, 64, 1_000),
        "many_finished" => return many_finished(store),
        "first_answer" => return first_answer(store),
        "serve" => return serve(store, folder),
        "serve_http" => return serve_http(store, folder),
        other => of_a_size(other, store)?,
    };
    say_out(&value.to_string());
    Ok(())
}

/// Figures that say how much of it is wanted: `NAME_N`.
fn of_a_size(figure: &str, store: &StoreUrl) -> anyhow::Result<f64> {
    let (name, size) = figure.rsplit_once('_').unwrap_or_default();
    let Ok(size) = size.parse() else { bail!("there is no figure `{figure}`") };
    Ok(match name {
        "take_up" => take_up(store, size)?,
        "turns" => turns::run(store, size)?.on_disk(),
        "turns_whole" => turns::run(store, size)?.whole(),
        "turn_cpu" => turns::run(store, size)?.turn_cpu(),
        _ => bail!("there is no figure `{figure}`"),
    })
}

fn chain_c1(rig: &Rig, workflows: usize) -> anyhow::Result<Duration> {
    let plan = chain(CHAIN)?;
    rig.run_many(&plan, workflows / 10, 1)?;
    let (mut times, _) = rig.run_many(&plan, workflows, 1)?;
    Ok(median(&mut times) / CHAIN)
}

/// A step alone against one commit of one small row, by turns, so that both see the same machine.
fn chain_c1_vs_commit(store: &StoreUrl, folder: &Path) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    let plan = chain(CHAIN)?;
    rig.run_many(&plan, 30, 1)?;
    let mut bare = super::bare::Bare::open(folder)?;
    bare.commits(50)?;
    let (mut steps, mut commits) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        commits.extend(bare.commits(50)?);
        let (times, _) = rig.run_many(&plan, 15, 1)?;
        steps.extend(times.into_iter().map(|time| time / CHAIN));
    }
    Ok(median(&mut steps).as_secs_f64() / median(&mut commits).as_secs_f64())
}

struct Rate {
    per_second: f64,
    cpu_ms: f64,
}

fn chains(rig: &Rig, at_once: usize, workflows: usize) -> anyhow::Result<Rate> {
    let plan = chain(CHAIN)?;
    rig.run_many(&plan, workflows / 4, at_once)?;
    rate(rig, &plan, workflows, at_once, workflows * CHAIN as usize)
}

fn fans(rig: &Rig, width: u32, workflows: usize) -> anyhow::Result<Rate> {
    let plan = fan(width)?;
    rig.run_many(&plan, 1, 1)?;
    rate(rig, &plan, workflows, 1, workflows * (width as usize + 2))
}

fn rate(
    rig: &Rig,
    plan: &Arc<Loaded>,
    workflows: usize,
    at_once: usize,
    steps: usize,
) -> anyhow::Result<Rate> {
    let before = cpu_time();
    let (_, all) = rig.run_many(plan, workflows, at_once)?;
    let cpu = cpu_time().saturating_sub(before);
    let steps = steps as f64;
    Ok(Rate { per_second: steps / all.as_secs_f64(), cpu_ms: cpu.as_secs_f64() * 1e3 / steps })
}

/// Processor time a step of one workflow of 100,000 tasks against that of workflows of 1,000.
fn size(rig: &Rig) -> anyhow::Result<f64> {
    let small = fans(rig, 1_000, 100)?.cpu_ms;
    let large = fans(rig, 100_000, 1)?.cpu_ms;
    Ok(large / small)
}

fn disk_step(store: &StoreUrl) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    let plan = chain(CHAIN)?;
    let before = rig.bytes_on_disk()?;
    rig.run_many(&plan, 4_000, 64)?;
    let after = rig.bytes_on_disk()?;
    rig.close()?;
    Ok((after as f64 - before as f64) / f64::from(4_000 * CHAIN))
}

fn memory_idle(store: &StoreUrl) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    rig.run_many(&chain(CHAIN)?, 1, 1)?;
    resident_mib()
}

fn memory_1000(store: &StoreUrl) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    let plan = parked(CHAIN)?;
    for _ in 0..1_000 {
        rig.submit(&plan)?;
    }
    resident_mib()
}

/// From opening a store to its owner's being ready, with one workflow that has done this many items
/// and waits for a person.
fn take_up(store: &StoreUrl, items: u32) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    rig.submit_and_wait_for_question(&parked_items(items)?)?;
    rig.close()?;
    let began = Instant::now();
    let rig = Rig::open(store)?;
    let took = began.elapsed();
    rig.close()?;
    Ok(took.as_secs_f64() * 1e3)
}

/// What the engine asks of its store in a second in which nothing happens.
fn idle(store: &StoreUrl) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    rig.submit(&parked(CHAIN)?)?;
    // The first pause lets the store tidy up once, which is not idling.
    rest(Duration::from_secs(1));
    let before = rig.store_calls();
    let span = Duration::from_secs(5);
    rest(span);
    Ok((rig.store_calls() - before) as f64 / span.as_secs_f64())
}

fn rest(span: Duration) {
    // sleep: what is measured is that nothing happens in this time.
    std::thread::sleep(span);
}

/// Runs a known number of steps twice over, for a parent that counts syncs: a line before each half.
fn counted(store: &StoreUrl, at_once: usize, workflows: usize) -> anyhow::Result<()> {
    let rig = Rig::open(store)?;
    let plan = chain(CHAIN)?;
    let rounds: usize =
        std::env::var("BATON_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (_, all) = rig.run_many(&plan, workflows * rounds, at_once)?;
    say_out(&(workflows as f64 * rounds as f64 * f64::from(CHAIN) / all.as_secs_f64()).to_string());
    rig.close()
}

/// Fills the store with 100,000 finished workflows.
fn many_finished(store: &StoreUrl) -> anyhow::Result<()> {
    let rig = Rig::open(store)?;
    rig.run_many(&chain(1)?, 100_000, 512)?;
    rig.close()?;
    say_out("0");
    Ok(())
}

/// Opens the store, has one workflow done and says so: what a parent waits for.
fn first_answer(store: &StoreUrl) -> anyhow::Result<()> {
    let rig = Rig::open(store)?;
    rig.run_many(&chain(1)?, 1, 1)?;
    say_out("0");
    rig.close()
}

/// Owns the store and serves others on the local socket until its input ends.
fn serve(store: &StoreUrl, folder: &Path) -> anyhow::Result<()> {
    let rig = Rig::open(store)?;
    let server = rig.serve(&folder.join("socket"))?;
    serve_until_told(&"ready")?;
    drop(server);
    rig.close()
}

/// The same, and over HTTP as well: what it says is where.
fn serve_http(store: &StoreUrl, folder: &Path) -> anyhow::Result<()> {
    let rig = Rig::open(store)?;
    let server = rig.serve(&folder.join("socket"))?;
    let web = web::serve(&rig, store)?;
    serve_until_told(&web.address())?;
    web.stop()?;
    drop(server);
    rig.close()
}

fn serve_until_told(ready: &dyn std::fmt::Display) -> anyhow::Result<()> {
    say_out(&ready.to_string());
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(())
}

/// The middle one.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(Duration::ZERO)
}

/// Processor time of this process so far.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// What this process has in memory.
pub fn resident_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
