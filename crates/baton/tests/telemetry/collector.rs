//! A real collector that prints what it receives, and what it printed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Where `cargo xtask test` says that the collector's program is.
const PROGRAM: &str = "BATON_TEST_COLLECTOR";
/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, where there is one.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    if program.is_none() {
        println!("skipped: {PROGRAM} names no collector; `cargo xtask test` fetches one");
    }
    program
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A collector on a port, ended with the test.
pub struct Collector {
    child: Child,
    port: u16,
    printed: Arc<(Mutex<Vec<String>>, Condvar)>,
}

/// A span as the collector printed it.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: String,
    /// In nanoseconds since 1970.
    pub start: String,
    pub status: String,
    pub message: String,
    pub attributes: BTreeMap<String, String>,
}

impl Received {
    /// The value of an attribute; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub fn start(program: &PathBuf, port: u16) -> Self {
        let address = |port| format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.args(["start", "--otlp-http-endpoint", &address(port)]);
        command.args(["--otlp-grpc-endpoint", &address(free_port()), "--exporter", "blackhole"]);
        command.args(["--debug-log", "traces", "--debug-log", "metrics"]);
        command.args(["--debug-log-verbosity", "detailed"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let printed = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let read = Arc::clone(&printed);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                read.0.lock().unwrap().push(line);
                read.1.notify_all();
            }
        });
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "the collector does not listen");
            // sleep: it gives no sign when it does.
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, printed }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until something has been printed; gives all of it.
    pub fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let (lines, news) = &*self.printed;
        let began = Instant::now();
        let mut lines = lines.lock().unwrap();
        loop {
            let text = lines.join("\n");
            if is_there(&text) {
                return text;
            }
            assert!(began.elapsed() < PATIENCE, "no {what} in:\n{text}");
            lines = news.wait_timeout(lines, PATIENCE).unwrap().0;
        }
    }

    /// Waits for the span of a workflow's first run; gives all of its trace.
    pub fn trace(&self, workflow: &str) -> Vec<Received> {
        self.trace_with_run(workflow, "1")
    }

    /// Waits for the span of a run, which comes last; gives all of its trace.
    pub fn trace_with_run(&self, workflow: &str, run: &str) -> Vec<Received> {
        let name = format!("invoke_workflow {workflow}");
        let is_whole = |span: &Received| {
            span.name == name
                && span.get("baton.run") == run
                && !span.get("baton.status").is_empty()
        };
        let text = self.until(&name, |text| spans(text).iter().any(is_whole));
        let all = spans(&text);
        let trace = all.iter().find(|span| span.name == name).unwrap().trace.clone();
        all.into_iter().filter(|span| span.trace == trace).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The spans of what was printed.
fn spans(text: &str) -> Vec<Received> {
    let mut all: Vec<Received> = Vec::new();
    let mut is_span = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("Span #") {
            all.push(Received::default());
            is_span = true;
        } else if line.starts_with("Resource") {
            is_span = false;
        }
        let Some(span) = all.last_mut().filter(|_| is_span) else { continue };
        if let Some((name, value)) = line.strip_prefix("-> ").and_then(|it| it.split_once(": ")) {
            let value = value.split_once('(').map_or(value, |(_, value)| value);
            let value = value.strip_suffix(')').unwrap_or(value);
            span.attributes.insert(name.to_owned(), value.to_owned());
        } else if let Some((name, value)) = line.split_once(": ") {
            let field = match name.trim() {
                "Trace ID" => &mut span.trace,
                "ID" => &mut span.id,
                "Parent ID" => &mut span.parent,
                "Name" => &mut span.name,
                "Kind" => &mut span.kind,
                "Start time" => &mut span.start,
                "Status code" => &mut span.status,
                "Status message" => &mut span.message,
                _ => continue,
            };
            value.clone_into(field);
        }
    }
    all
}
