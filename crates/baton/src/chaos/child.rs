//! One child process: its lines of output as they come, its end, and its death when it is time.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::exit::Failed;

/// How long a child may take until its workflow rests.
const CHILD_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a child's standard error that are kept.
const ERROR_BYTES_MAX: u64 = 64 * 1024;

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed, a JSON value a line; a line that was cut off is left out.
    pub lines: Vec<serde_json::Value>,
    /// What it said for people.
    pub said: String,
    /// From its start to its first line; to its end where there was none.
    pub first_line: Duration,
    /// From its start to its end.
    pub took: Duration,
}

/// Starts a child and stays with it to its end, which is `kill -9` after `kill_after`.
pub fn run(command: &mut Command, kill_after: Option<Duration>) -> anyhow::Result<Ended> {
    let started = Instant::now();
    let spawned =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.context("a child of this binary cannot be started")?;
    let lines = read_lines(&mut child)?;
    let said = child.stderr.take().map(read_said);
    let deadline = started + kill_after.unwrap_or(CHILD_PATIENCE);
    let (mut read, mut first_line) = (Vec::new(), None);
    let mut killed = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = if killed { CHILD_PATIENCE } else { left };
        match lines.recv_timeout(left) {
            Ok(line) => {
                first_line.get_or_insert_with(|| started.elapsed());
                read.extend(serde_json::from_str(&line).ok());
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().context("a child cannot be killed")?;
                killed = true;
            }
        }
    }
    let status = child.wait().context("a child cannot be waited for")?;
    if killed && kill_after.is_none() {
        bail!(Failed::usage(format!(
            "a run did not come to rest within {} s; chaos is for definitions that do",
            CHILD_PATIENCE.as_secs()
        )));
    }
    let took = started.elapsed();
    Ok(Ended {
        code: status.code(),
        lines: read,
        said: said.and_then(|said| said.join().ok()).unwrap_or_default(),
        first_line: first_line.unwrap_or(took),
        took,
    })
}

fn read_lines(child: &mut Child) -> anyhow::Result<Receiver<String>> {
    let output = child.stdout.take().context("a child has no output")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

fn read_said(output: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let mut output = output;
        // What cannot be read is not missed: it is only for people.
        let _ = (&mut output).take(ERROR_BYTES_MAX).read_to_end(&mut said);
        let _ = std::io::copy(&mut output, &mut std::io::sink());
        String::from_utf8_lossy(&said).into_owned()
    })
}
