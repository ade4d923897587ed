//! What is measured from outside: child processes are started, counted, slowed and killed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use baton_core::actor::Actor;
use baton_core::body::Json;
use baton_core::ids::WorkflowId;
use baton_core::plan::Plan;
use baton_core::words::{Origin, WorkflowStatus};
use baton_engine::store::Filter;
use baton_server::client::LocalClient;
use baton_server::wire::{Answer, Ask, Said, Submission};
use baton_store::{StoreUrl, open_views};

use super::figures::median;
use super::rig::chain;
use super::{fresh_store, millis, web};

/// Clients that wait while the owner is killed.
const CLIENTS: usize = 500;
/// How long a sync is made by the figure with a slow disk.
const SLOW: Duration = Duration::from_millis(5);

/// The median of a 256-byte append and `fdatasync` on this disk.
pub fn sync_rate(folder: &Path) -> anyhow::Result<Duration> {
    let file = std::fs::File::create(folder.join("sync"))?;
    let mut times = Vec::new();
    for n in 0..500_u64 {
        let began = Instant::now();
        file.write_all_at(&[7; 256], n * 256)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(median(&mut times))
}

/// Measures a figure so many times, each on a fresh store.
pub fn samples(
    figure: &str,
    store: &str,
    runs: u32,
    scratch: &Path,
    sync: Duration,
) -> anyhow::Result<Vec<f64>> {
    if figure == "start" {
        return start(runs, scratch);
    }
    let mut samples = Vec::new();
    for n in 0..runs {
        let folder = scratch.join(format!("{figure}-{store}-{n}"));
        std::fs::create_dir_all(&folder)?;
        let url = fresh_store(store, &folder, n)?;
        let sample = match figure {
            "syncs_c1" => syncs(&url, &folder, "steps_c1", 1_000.0, 100.0)?,
            "syncs_c64" => syncs(&url, &folder, "steps_c64", 10_000.0, 0.0)?,
            "chain_c64_slow_sync" => slow_sync(&url, &folder, sync)?,
            "recovery" => recovery(&url, &folder, Reach::Socket)?,
            "recovery_http" => recovery(&url, &folder, Reach::Http)?,
            figure => number(&finish(spawn(
                Command::new(std::env::current_exe()?),
                figure,
                &url,
                &folder,
            )?)?)?,
        };
        samples.push(sample);
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(samples)
}

pub fn spawn(
    mut command: Command,
    figure: &str,
    url: &StoreUrl,
    folder: &Path,
) -> anyhow::Result<Child> {
    let store = match url {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(url) => url.clone(),
    };
    command
        .args(["bench", figure, "--inner"])
        .env("BATON_BENCH_STORE", store)
        .env("BATON_BENCH_FOLDER", folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().context("the measuring process cannot be started")
}

pub fn finish(child: Child) -> anyhow::Result<String> {
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the measuring process ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn number(text: &str) -> anyhow::Result<f64> {
    let line = text.lines().next_back().unwrap_or_default();
    line.trim().parse().with_context(|| format!("the measuring process printed `{line}`"))
}

/// Only syncs are stopped at: every other call of the system would cost ten times what it does.
const TRACED: [&str; 7] =
    ["-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none"];

fn strace() -> anyhow::Result<Command> {
    let found =
        Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(
        found.is_ok_and(|status| status.success()),
        "skipped: `strace` is not installed, and it does the counting"
    );
    Ok(Command::new("strace"))
}

/// Syncs a step, as the operating system counts them: what twice the work has more than once the
/// work, without the commits that admit the workflows.
fn syncs(
    url: &StoreUrl,
    folder: &Path,
    figure: &str,
    steps: f64,
    admissions: f64,
) -> anyhow::Result<f64> {
    let mut counts = Vec::new();
    for rounds in ["1", "2"] {
        let log = folder.join("strace");
        let mut command = strace()?;
        command.args(TRACED).arg("-o").arg(&log);
        command.arg(std::env::current_exe()?).env("BATON_BENCH_ROUNDS", rounds);
        let inner = folder.join(rounds);
        std::fs::create_dir_all(&inner)?;
        let url = match url {
            StoreUrl::Sqlite(_) => StoreUrl::Sqlite(inner.join("baton.db")),
            StoreUrl::Postgres(url) => StoreUrl::Postgres(url.clone()),
        };
        finish(spawn(command, figure, &url, &inner)?)?;
        let lines = std::fs::read_to_string(&log)?;
        counts.push(
            lines.lines().filter(|line| line.contains("sync(") && !line.contains("resumed")).count()
                as f64,
        );
    }
    let more = counts.last().unwrap_or(&0.0) - counts.first().unwrap_or(&0.0);
    Ok((more - admissions) / steps)
}

/// Steps a second with a slow disk, as a share of what 64 chains can do at one sync a step.
fn slow_sync(url: &StoreUrl, folder: &Path, sync: Duration) -> anyhow::Result<f64> {
    let mut command = strace()?;
    let delay = format!("inject=fsync,fdatasync:delay_enter={}", SLOW.as_micros());
    command.args(TRACED).args(["-e", &delay, "-o", "/dev/null"]);
    command.arg(std::env::current_exe()?);
    let per_second = number(&finish(spawn(command, "steps_c64", url, folder)?)?)?;
    Ok(per_second / (64.0 / (SLOW + sync).as_secs_f64()))
}

/// Milliseconds from the start of a process to its first finished workflow, with 100,000 finished
/// ones in the store.
fn start(runs: u32, scratch: &Path) -> anyhow::Result<Vec<f64>> {
    let folder = scratch.join("start");
    std::fs::create_dir_all(&folder)?;
    let url = fresh_store("sqlite", &folder, 0)?;
    finish(spawn(Command::new(std::env::current_exe()?), "many_finished", &url, &folder)?)?;
    let once = |_| {
        let began = Instant::now();
        let mut child =
            spawn(Command::new(std::env::current_exe()?), "first_answer", &url, &folder)?;
        read_line(&mut child)?;
        let took = began.elapsed();
        finish(child)?;
        Ok(millis(took))
    };
    let samples = (0..runs).map(once).collect();
    std::fs::remove_dir_all(&folder)?;
    samples
}

pub fn read_line(child: &mut Child) -> anyhow::Result<String> {
    let stdout = child.stdout.as_mut().context("no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    ensure!(!line.is_empty(), "the process ended before it was ready");
    Ok(line)
}

/// How clients reach the owner they wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// On its local socket.
    Socket,
    /// Each on a stream over HTTP.
    Http,
}

/// Seconds from a restart to the end of 500 workflows whose owner was killed in the middle, with
/// 500 clients waiting for them.
fn recovery(url: &StoreUrl, folder: &Path, reach: Reach) -> anyhow::Result<f64> {
    let socket = folder.join("socket");
    let figure = match reach {
        Reach::Socket => "serve",
        Reach::Http => "serve_http",
    };
    let mut owner = spawn(Command::new(std::env::current_exe()?), figure, url, folder)?;
    read_line(&mut owner)?;
    let workflows = submit_all(&socket)?;
    kill_in_the_middle(&mut owner, url)?;
    // Left behind by the killed owner.
    let _ = std::fs::remove_file(&socket);
    let began = Instant::now();
    let mut owner = spawn(Command::new(std::env::current_exe()?), figure, url, folder)?;
    let ready = read_line(&mut owner)?;
    let lost = match reach {
        Reach::Socket => wait_all(&socket, &workflows)?,
        Reach::Http => web::wait_all(ready.trim().parse()?, &workflows)?,
    };
    let took = began.elapsed();
    owner.stdin.take().map(|mut stdin| stdin.write_all(b"\n")).transpose()?;
    finish(owner)?;
    ensure!(lost == 0, "{lost} of {} workflows were lost", workflows.len());
    Ok(took.as_secs_f64())
}

fn connect(socket: &Path) -> anyhow::Result<LocalClient> {
    LocalClient::connect(socket, Actor::user("bench")).context("the owner's socket")
}

fn submit_all(socket: &Path) -> anyhow::Result<Vec<WorkflowId>> {
    let plan = Plan::clone(&chain(10)?.plan);
    let mut client = connect(socket)?;
    let submission = Submission {
        plan,
        inputs: Json::of(&serde_json::json!({})),
        origin: Origin::Cli,
        priority: 5,
        review: false,
        conversation: None,
        folder: None,
    };
    for _ in 0..CLIENTS {
        client.send(Ask::Submit(Box::new(submission.clone())))?;
    }
    let one = |_| match client.read()? {
        Said::Answer { answer: Answer::Workflow { id, .. }, .. } => Ok(id),
        said @ (Said::Answer { .. } | Said::News { .. }) => bail!("not admitted: {said:?}"),
    };
    (0..CLIENTS).map(one).collect()
}

/// Kills the owner as soon as all workflows are admitted: most are in the middle then.
fn kill_in_the_middle(owner: &mut Child, url: &StoreUrl) -> anyhow::Result<()> {
    owner.kill()?;
    owner.wait()?;
    let statuses = vec![WorkflowStatus::Queued, WorkflowStatus::Running];
    let filter = Filter { statuses, limit: 1, ..Filter::default() };
    ensure!(
        !open_views(url)?.list(&filter)?.is_empty(),
        "the owner was killed too late: nothing was open"
    );
    Ok(())
}

/// Waits for every workflow on a connection of its own; how many did not complete.
fn wait_all(socket: &Path, workflows: &[WorkflowId]) -> anyhow::Result<usize> {
    let wait = |workflow: &WorkflowId| {
        let mut client = connect(socket)?;
        client.patience(Some(Duration::from_secs(60)))?;
        client.send(Ask::AwaitEnd { workflow: *workflow })?;
        Ok(client)
    };
    let clients = workflows.iter().map(wait).collect::<anyhow::Result<Vec<_>>>()?;
    let mut lost = 0;
    for mut client in clients {
        let said = client.read().context("a client still waits after a minute")?;
        let ended = matches!(said, Said::Answer { answer: Answer::Ended { .. }, .. });
        lost += usize::from(!ended);
    }
    Ok(lost)
}
