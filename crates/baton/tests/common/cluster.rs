//! A PostgreSQL of a test's own, which the test may break: a real server on 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start, recovery included.
const START_MAX: Duration = Duration::from_secs(60);

pub struct Cluster {
    folder: tempfile::TempDir,
    bin: PathBuf,
    pub port: u16,
    server: Child,
}

impl Cluster {
    /// Starts one with these settings, `name=value`; `None`, and says so, where it cannot be had.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = programs() else {
            println!("skipped: PostgreSQL is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        own(folder.path());
        let data = folder.path().join("data");
        let mut initdb = as_owner(&bin.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-A", "trust", "-U", "postgres", "--no-sync"]);
        assert!(initdb.output().unwrap().status.success());
        let settings = settings.join("\n");
        let file = data.join("postgresql.auto.conf");
        std::fs::write(&file, settings).unwrap();
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let server = serve(&bin, &data, port);
        let cluster = Self { folder, bin, port, server };
        cluster.await_start();
        Some(cluster)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost:{}/postgres", self.port)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs a statement; what it printed.
    pub fn sql(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-Atqc", sql]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Ends every connection of Baton's.
    pub fn terminate_all(&self) {
        self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'baton'",
        );
    }

    /// What `pg_ctl -m immediate stop` does: the server ends without a checkpoint.
    pub fn crash(&mut self) {
        let process = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(process, rustix::process::Signal::QUIT).unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again, recovery included.
    pub fn restart(&mut self) {
        self.server = serve(&self.bin, &self.data(), self.port);
        self.await_start();
    }

    fn await_start(&self) {
        let began = Instant::now();
        let ready = || {
            let port = self.port.to_string();
            let mut ask = Command::new(self.bin.join("pg_isready"));
            let asked = ask.args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() && asked.unwrap().success()
        };
        while !ready() {
            assert!(began.elapsed() < START_MAX, "the server does not start");
            // sleep: the server gives no signal to one that is not its parent's pg_ctl.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let process = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::QUIT);
        let _ = self.server.wait();
    }
}

/// The server as a child that ends with the test's thread.
fn serve(bin: &Path, data: &Path, port: u16) -> Child {
    let mut server = as_owner(&bin.join("postgres"));
    server.arg("-D").arg(data).args(["-p", &port.to_string()]);
    server.args(["-c", "listen_addresses=127.0.0.1", "-c"]);
    server.arg(format!("unix_socket_directories={}", data.display()));
    server.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap()
}

/// PostgreSQL refuses to be root.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_owner(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "QUIT", "--"]).arg(program).current_dir("/");
    command
}

/// Gives a file or folder to whom the server runs as.
pub fn own(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("postgres:postgres").arg(path).status();
        assert!(owned.unwrap().success());
    }
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = found.chain(std::env::split_paths(&path)).collect();
    all.retain(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file());
    all.into_iter().next()
}
