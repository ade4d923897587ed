//! External workers over HTTP: the real server on a loopback port, and clients that lease and
//! complete over connections they keep. The clients do nothing else, and share the machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, bail, ensure};
use baton_core::ids::Ordinal;
use baton_core::plan::{TaskPlan, Work, WorkerCall};
use baton_core::words::Effect;
use baton_engine::loaded::Loaded;
use baton_store::StoreUrl;
use serde::Deserialize;

use super::rig::{Rig, load, noop};
use super::web;

/// Steps of a chain.
const CHAIN: u32 = 10;
/// Chains that run at a time.
const AT_ONCE: usize = 64;
/// Chains that are measured.
const CHAINS: usize = 2_000;
/// Connections that lease and complete, and how many tasks each takes at most: 64 tasks at a time.
const WORKERS: usize = 16;
const BATCH: u32 = 4;

/// Steps a second, each leased and completed over HTTP.
pub fn per_second(store: &StoreUrl) -> anyhow::Result<f64> {
    let rig = Rig::open(store)?;
    let server = web::serve(&rig, store)?;
    let workers: Vec<JoinHandle<anyhow::Result<()>>> = (0..WORKERS)
        .map(|_| server.address())
        .map(|at| std::thread::spawn(move || work(at)))
        .collect();
    let plan = chain()?;
    rig.run_many(&plan, CHAINS / 4, AT_ONCE)?;
    let (_, all) = rig.run_many(&plan, CHAINS, AT_ONCE)?;
    rig.close()?;
    for worker in workers {
        worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
    }
    server.stop()?;
    Ok(CHAINS as f64 * f64::from(CHAIN) / all.as_secs_f64())
}

/// One task for workers after the other.
fn chain() -> anyhow::Result<Arc<Loaded>> {
    let step = |n: u32| {
        let needs = n.checked_sub(1).map(Ordinal).into_iter().collect();
        let worker_type = "bench".to_owned();
        let with = serde_json::json!({});
        let call = WorkerCall { worker_type, with, effect: Effect::Idempotent };
        TaskPlan { work: Work::Worker(call), ..noop(format!("step-{n}"), needs) }
    };
    load("worker-chain", (0..CHAIN).map(step).collect())
}

#[derive(Deserialize)]
struct Leased {
    task_id: String,
    token: u32,
}

/// Leases and completes until the server takes nothing more.
fn work(address: SocketAddr) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let ask = format!(r#"{{"types":["bench"],"worker":"bench","max":{BATCH},"wait":"20s"}}"#);
    loop {
        let (status, leases) = connection.post("lease", &ask)?;
        if status == 503 {
            return Ok(());
        }
        ensure!(status == 200, "a lease was answered {status}");
        for lease in serde_json::from_slice::<Vec<Leased>>(&leases)? {
            let path = format!("{}/complete", lease.task_id);
            let answer = format!(r#"{{"token":{},"output":null}}"#, lease.token);
            let (status, _) = connection.post(&path, &answer)?;
            ensure!(status == 200, "a completion was answered {status}");
        }
    }
}

/// A connection that is kept.
struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    fn post(&mut self, path: &str, body: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let length = body.len();
        let request = format!(
            "POST /api/v1/tasks/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no answer")?.parse()?;
        let mut length = None;
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                bail!("the connection was closed");
            }
            match line.trim().split_once(": ") {
                Some(("content-length", value)) => length = Some(value.parse()?),
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = vec![0; length.context("an answer without a length")?];
        self.reader.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}
