//! What is measured over HTTP: a server on a free port, and clients that speak to it byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use baton_core::ids::WorkflowId;
use baton_server::http::Api;
use baton_store::StoreUrl;

use super::figures::resident_mib;
use super::outside::{finish, read_line, spawn};
use super::rig::{Rig, chain, fan, parked};
use crate::config::Config;
use crate::definitions::ServedDefinitions;
use crate::descriptors;
use crate::web::Web;

/// Tells the process that holds streams open which.
const URL_VARIABLE: &str = "BATON_BENCH_URL";
/// How many follow while latencies are measured.
pub const SUBSCRIBERS: usize = 100;
/// How many idle subscribers are weighed.
const IDLE: usize = 10_000;
/// Descriptors that are no idle subscriber's.
const OTHER_DESCRIPTORS: u64 = 256;
/// Requests of one figure.
const REQUESTS: usize = 1_000;
/// How long a client waits.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A rig that answers over HTTP.
pub fn serve(rig: &Rig, store: &StoreUrl) -> anyhow::Result<Web> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let tools = rig.tools();
    let definitions = ServedDefinitions::new(Arc::clone(&tools), Config::default(), store.clone());
    Web::start(listener, rig.handle(), store, |base| Api::new(base, tools, Arc::new(definitions)))
}

/// A part of sorted times, in milliseconds.
pub fn part(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len() as f64 * share) as usize;
    times.get(at.min(times.len().saturating_sub(1))).map_or(f64::NAN, |t| t.as_secs_f64() * 1e3)
}

pub fn connect(address: SocketAddr, path: &str) -> anyhow::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    ask(&mut stream, address, path)?;
    Ok(BufReader::with_capacity(1_024, stream))
}

fn ask(stream: &mut TcpStream, address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    Ok(stream.write_all(request.as_bytes())?)
}

/// Reads the headers of an answer; how long its body is, where that is said.
pub fn headers(reader: &mut BufReader<TcpStream>) -> anyhow::Result<usize> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let is_well = ["HTTP/1.1 200", "HTTP/1.1 101"].iter().any(|status| line.starts_with(status));
    ensure!(is_well, "the server answered {line}");
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    Ok(length)
}

/// Milliseconds from an event's commit to its being seen by each of 100 subscribers: the given
/// share of all.
///
/// The commit's end is when its answer comes back, on the owner's thread right behind the news.
pub fn stream(store: &StoreUrl, share: f64) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    let web = serve(&rig, store)?;
    let (sender, seen) = channel();
    for _ in 0..SUBSCRIBERS {
        let mut reader = connect(web.address(), "/api/v1/events/stream?type=workflow.admitted")?;
        headers(&mut reader)?;
        let sender = sender.clone();
        std::thread::spawn(move || listen(reader, &sender));
    }
    let plan = parked(1)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        rig.submit(&plan)?;
        let committed = Instant::now();
        for _ in 0..SUBSCRIBERS {
            let at = seen.recv_timeout(PATIENCE).context("a subscriber saw nothing")?;
            times.push(at.saturating_duration_since(committed));
        }
    }
    web.stop()?;
    rig.close()?;
    Ok(part(&mut times, share))
}

/// Says when each event came; ends with the stream.
pub fn listen(mut reader: BufReader<TcpStream>, seen: &Sender<Instant>) {
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|size| size > 0) {
        let now = Instant::now();
        if line.starts_with("event: ") && seen.send(now).is_err() {
            return;
        }
        line.clear();
    }
}

/// Waits for every workflow on a stream of its own; how many did not complete.
pub fn wait_all(address: SocketAddr, workflows: &[WorkflowId]) -> anyhow::Result<usize> {
    let open = |id: &WorkflowId| connect(address, &format!("/api/v1/workflows/{id}/stream"));
    let streams = workflows.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let mut lost = 0;
    for mut stream in streams {
        headers(&mut stream)?;
        lost += usize::from(!ends_completed(&mut stream).context("a client still waits")?);
    }
    Ok(lost)
}

/// Reads a stream up to its last message; whether that tells of success.
fn ends_completed(stream: &mut BufReader<TcpStream>) -> anyhow::Result<bool> {
    let mut line = String::new();
    let mut is_last = false;
    while stream.read_line(&mut line)? > 0 {
        if is_last && line.starts_with("data: ") {
            return Ok(line.contains(r#""status":"completed""#));
        }
        is_last |= line.trim_end() == "event: done";
        line.clear();
    }
    Ok(false)
}

/// Milliseconds a request takes, one after the other on one connection: a share of all.
fn requests(web: &Web, path: &str, share: f64) -> anyhow::Result<f64> {
    let mut reader = connect(web.address(), path)?;
    let mut times = Vec::new();
    let mut body = Vec::new();
    for n in 0..REQUESTS {
        let began = Instant::now();
        if n > 0 {
            ask(reader.get_mut(), web.address(), path)?;
        }
        let length = headers(&mut reader)?;
        ensure!(length > 0, "an answer without a body");
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        times.push(began.elapsed());
    }
    // The first ones open connections to the store.
    let warm = times.get_mut(10..).unwrap_or_default();
    Ok(part(warm, share))
}

/// Progress of one workflow of 100,000 tasks.
pub fn progress(store: &StoreUrl, share: f64) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    let id = rig.submit(&fan(100_000)?)?;
    rig.wait(id)?;
    let web = serve(&rig, store)?;
    let took = requests(&web, &format!("/api/v1/workflows/{id}"), share)?;
    web.stop()?;
    rig.close()?;
    Ok(took)
}

/// 50 of 100,000 workflows, filtered by status.
pub fn list(store: &StoreUrl, share: f64) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    rig.run_many(&chain(1)?, 100_000, 512)?;
    let web = serve(&rig, store)?;
    let took = requests(&web, "/api/v1/workflows?status=completed&limit=50", share)?;
    web.stop()?;
    rig.close()?;
    Ok(took)
}

/// How a stream is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By server-sent events.
    Events,
    /// Over a WebSocket.
    Socket,
}

impl Way {
    /// What the URL of a stream that is followed so begins with.
    fn scheme(self) -> &'static str {
        match self {
            Self::Events => "http://",
            Self::Socket => "ws://",
        }
    }

    /// Follows a workflow, from where its stream begins.
    fn follow(self, address: SocketAddr, workflow: &str) -> anyhow::Result<TcpStream> {
        match self {
            Self::Events => {
                let path = format!("/api/v1/workflows/{workflow}/stream");
                let mut reader = connect(address, &path)?;
                headers(&mut reader)?;
                Ok(reader.into_inner())
            }
            Self::Socket => follow_by_socket(address, workflow),
        }
    }
}

/// Opens a WebSocket, says what is wanted, and waits for the first of it.
fn follow_by_socket(address: SocketAddr, workflow: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::with_capacity(1_024, stream);
    headers(&mut reader)?;
    let ask = format!("{{\"workflow\":\"{workflow}\"}}");
    // A text in one frame (RFC 6455, 5.2); a mask of zeros leaves it as it is.
    let mut frame = vec![0x81, 0x80 | u8::try_from(ask.len())?, 0, 0, 0, 0];
    frame.extend_from_slice(ask.as_bytes());
    reader.get_mut().write_all(&frame)?;
    reader.read_exact(&mut [0])?;
    Ok(reader.into_inner())
}

/// KiB of this process for each of 10,000 idle subscribers, who are another process's.
pub fn subscribers(store: &StoreUrl, folder: &Path, way: Way) -> anyhow::Result<f64> {
    many_descriptors()?;
    let rig = Rig::open(store)?;
    let id = rig.submit(&parked(1)?)?;
    let web = serve(&rig, store)?;
    // What the first ones need once, all share.
    let follow = |_| way.follow(web.address(), &id.to_string());
    let first = (0..64).map(follow).collect::<Result<Vec<_>, _>>()?;
    let before = resident_mib()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.env(URL_VARIABLE, format!("{}{}/{id}", way.scheme(), web.address()));
    let mut child = spawn(command, "hold", store, folder)?;
    ensure!(read_line(&mut child)?.trim() == "ready", "the subscribers did not come");
    ensure!(web.broadcaster().subscribers() >= IDLE, "some subscribers are missing");
    let more = resident_mib()? - before;
    finish(child)?;
    drop(first);
    web.stop()?;
    rig.close()?;
    Ok(more * 1024.0 / IDLE as f64)
}

/// Holds 10,000 streams open until its input ends.
pub fn hold() -> anyhow::Result<()> {
    many_descriptors()?;
    let url = std::env::var(URL_VARIABLE)?;
    let of = |way: Way| url.strip_prefix(way.scheme()).map(|rest| (way, rest));
    let (way, rest) = of(Way::Events).or(of(Way::Socket)).context("no URL")?;
    let (address, workflow) = rest.split_once('/').context("no workflow")?;
    let address = address.parse()?;
    let held: Result<Vec<_>, _> = (0..IDLE).map(|_| way.follow(address, workflow)).collect();
    let held = held?;
    crate::display::say_out("ready");
    std::io::stdout().flush()?;
    let mut end = String::new();
    std::io::stdin().lock().read_line(&mut end)?;
    drop(held);
    Ok(())
}

/// Lets this process have the connections that are needed.
fn many_descriptors() -> anyhow::Result<()> {
    let (needed, may) = (IDLE as u64 + OTHER_DESCRIPTORS, descriptors::raise()?);
    ensure!(may >= needed, "{needed} open files are needed, and `ulimit -Hn` is {may}: raise it");
    Ok(())
}
