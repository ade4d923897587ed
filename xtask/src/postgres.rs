//! A throw-away PostgreSQL: a real server on 127.0.0.1 in a temporary folder, durable as shipped.
//!
//! It never touches a cluster that is there already, and leaves nothing behind: the cluster is
//! ended by a guard process of its own, which acts when its input closes. That happens when the
//! [`Cluster`] is dropped and just as well on a panic, Ctrl-C or `SIGKILL`, so there is one way
//! out and no signal handler.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::workspace::output;

/// Between two looks at a port and its use by the server another program may take it.
const START_ATTEMPTS_MAX: u32 = 3;

/// Waits for the end of its input, then runs `$2…` and removes the folder `$1`.
const GUARD: &str = r#"
trap "" INT HUP TERM
read -r _
folder=$1; shift
"$@"
rm -rf -- "$folder"
"#;

/// A running server; gone, with its folder, once this is dropped.
pub struct Cluster {
    /// `postgres://…`, for the superuser, who needs no password.
    pub url: String,
    guard: Child,
}

impl Cluster {
    /// Makes a new cluster and starts it, after installing PostgreSQL where that is possible.
    pub fn start() -> Result<Self> {
        let installation = Installation::find_or_install()?;
        let folder = new_folder_path()?;
        output(installation.command("mkdir").arg("-m700").arg(&folder))
            .context("cannot make a folder for PostgreSQL")?;
        let guard = installation.guard(&folder)?;
        let mut cluster = Self { url: String::new(), guard };
        let port = installation.start_in(&folder)?;
        cluster.url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Ok(cluster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if let Err(error) = self.guard.wait() {
            eprintln!("PostgreSQL may still run: its guard was lost: {error}");
        }
    }
}

/// Runs a cluster for a person until Enter, the end of input, or Ctrl-C.
pub fn serve() -> Result<()> {
    let cluster = Cluster::start()?;
    println!("{}", cluster.url);
    eprintln!("PostgreSQL runs until Enter, end of input or Ctrl-C.");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the input")?;
    Ok(())
}

/// Whom the server runs as: it refuses to be root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunAs {
    Caller,
    PostgresUser,
}

/// The programs of one PostgreSQL.
struct Installation {
    bin: PathBuf,
    run_as: RunAs,
}

impl Installation {
    fn find_or_install() -> Result<Self> {
        let run_as = match output(Command::new("id").arg("-u"))?.trim() {
            "0" => RunAs::PostgresUser,
            _ => RunAs::Caller,
        };
        if let Some(bin) = find_programs() {
            return Ok(Self { bin, run_as });
        }
        if run_as == RunAs::Caller {
            bail!("no PostgreSQL is installed, and only root could install it");
        }
        install()?;
        let bin =
            find_programs().context("apt-get installed PostgreSQL, but no initdb is there")?;
        Ok(Self { bin, run_as })
    }

    /// A program of the installation or the system, run as who may own a cluster.
    fn command(&self, program: &str) -> Command {
        let own = self.bin.join(program);
        let program = if own.is_file() { own } else { PathBuf::from(program) };
        let mut command = match self.run_as {
            RunAs::Caller => Command::new(program),
            RunAs::PostgresUser => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
        };
        // The caller's folder need not be open to the user postgres.
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts who ends the cluster. In a process group of its own, so that Ctrl-C, which reaches
    /// the whole group of a terminal, does not end it too.
    fn guard(&self, folder: &Path) -> Result<Child> {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(folder.join("data"));
        stop.args(["-m", "immediate", "stop"]);
        Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(folder)
            .arg(stop.get_program())
            .args(stop.get_args())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the guard of PostgreSQL")
    }

    /// Makes the cluster in this folder, starts it, and says on which port.
    fn start_in(&self, folder: &Path) -> Result<u16> {
        let mut make = self.command("initdb");
        make.arg("-D").arg(folder.join("data"));
        make.args(["-A", "trust", "-U", "postgres", "-E", "UTF8"]);
        make.args(["--locale=C", "--no-sync"]);
        output(&mut make).context("cannot make a PostgreSQL cluster")?;
        let mut attempt = 1;
        loop {
            match self.start_on_free_port(folder) {
                Err(_) if attempt < START_ATTEMPTS_MAX => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_on_free_port(&self, folder: &Path) -> Result<u16> {
        let port = free_port()?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{}'",
            folder.display()
        );
        let log = folder.join("log");
        let mut start = self.command("pg_ctl");
        start.arg("-D").arg(folder.join("data"));
        start.arg("-l").arg(&log);
        start.args(["-w", "-o", &options, "start"]);
        output(&mut start).with_context(|| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            format!("PostgreSQL does not start; its log: {log}")
        })?;
        Ok(port)
    }
}

/// The folder of the newest PostgreSQL's programs: Debian's places first, then the search path.
fn find_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let newest = versions
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").is_file().then_some((version, bin))
        })
        .max();
    if let Some((_, bin)) = newest {
        return Some(bin);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|bin| bin.join("initdb").is_file())
}

fn install() -> Result<()> {
    eprintln!("PostgreSQL is not installed: apt-get install -y postgresql");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        output(command.args(arguments).stdin(Stdio::null()))
    };
    let install = ["install", "-y", "postgresql"];
    if apt(&install).is_err() {
        // A fresh image has no package lists.
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

fn new_folder_path() -> Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let name = format!("baton-pg-{}-{}", std::process::id(), now.subsec_nanos());
    Ok(std::env::temp_dir().join(name))
}

/// A port that nothing listens on just now.
pub fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    /// Answers with nothing where no PostgreSQL can be had, and says so.
    fn cluster() -> Option<Cluster> {
        if find_programs().is_none() {
            println!("skipped: PostgreSQL is not installed");
            return None;
        }
        Some(Cluster::start().unwrap())
    }

    fn address(cluster: &Cluster) -> String {
        let (_, host) = cluster.url.split_once('@').unwrap();
        host.trim_end_matches("/postgres").to_owned()
    }

    #[test]
    fn a_dropped_cluster_no_longer_listens() {
        let Some(cluster) = cluster() else { return };
        let address = address(&cluster);
        TcpStream::connect(&address).unwrap();
        drop(cluster);
        TcpStream::connect(&address).unwrap_err();
    }

    #[test]
    fn a_cluster_whose_owner_panics_no_longer_listens() {
        let Some(cluster) = cluster() else { return };
        let address = address(&cluster);
        std::thread::spawn(move || {
            let _held = cluster;
            panic!("as a failing chore would");
        })
        .join()
        .unwrap_err();
        TcpStream::connect(&address).unwrap_err();
    }
}
