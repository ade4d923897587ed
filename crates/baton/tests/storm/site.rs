//! Where the storm takes place: a folder, an address that stays the same, and who is serving there now.

use std::net::TcpListener;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Desk, Running};

/// How long a server may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder and an address.
pub struct Site {
    pub desk: Desk,
    pub address: String,
    store: Option<String>,
    /// How many servers have come up so far.
    servers: Mutex<u32>,
    came: Condvar,
}

/// A server that runs.
pub struct Served {
    pub running: Running,
    /// How many workflows it took up.
    pub taken_up: u64,
    url: String,
}

impl Site {
    pub fn new(definition: &str, store: Option<String>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let desk = Desk::new();
        desk.write("storm.yaml", definition);
        let address = free.to_string();
        Self { desk, address, store, servers: Mutex::new(0), came: Condvar::new() }
    }

    /// A command's arguments, with the store that is used here.
    pub fn arguments<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        let store = self.store.iter().flat_map(|store| ["--store", store.as_str()]);
        command.iter().copied().chain(store).collect()
    }

    /// Starts a server, and tells those who wait for one.
    pub fn serve(&self) -> Served {
        let command = ["serve", "--listen", &self.address, "--json"];
        let mut running = self.desk.start(&self.arguments(&command));
        let taken_up = running.line()["taken_up"].as_u64().unwrap();
        *self.servers.lock().unwrap() += 1;
        self.came.notify_all();
        Served { running, taken_up, url: format!("http://{}/api/v1", self.address) }
    }

    /// Which server there is now: a number to await the next one by.
    pub fn server(&self) -> u32 {
        *self.servers.lock().unwrap()
    }

    /// Waits for a server after this one. A connection that was lost though nobody was killed is a fault.
    pub fn after(&self, server: u32, lost: &str) {
        let servers = self.servers.lock().unwrap();
        let waited = self.came.wait_timeout_while(servers, PATIENCE, |now| *now <= server);
        assert!(!waited.unwrap().1.timed_out(), "no server after {server}: {lost}");
    }

    /// Waits until no child of a killed server is left: whatever was to happen has happened.
    pub fn wait_for_orphans(&self) {
        let mark = self.desk.path("").display().to_string();
        let begun = Instant::now();
        while lives_in(mark.trim_end_matches('/')) {
            assert!(begun.elapsed() < PATIENCE, "a child of a killed server lives on");
            // sleep: processes that are nobody's children give no signal.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The effects so far: the key of the call, and the line.
    pub fn effects(&self) -> Vec<(String, String)> {
        let text = self.desk.read("effects");
        let lines = text.lines().map(|line| line.split_once(' ').unwrap());
        lines.map(|(key, line)| (key.to_owned(), line.to_owned())).collect()
    }
}

/// Whether some process has this working folder.
fn lives_in(folder: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut folders =
        processes.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    folders.any(|at| at.display().to_string() == folder)
}

impl Served {
    pub fn get(&self, path: &str) -> Value {
        let mut response = ureq::get(format!("{}{path}", self.url)).call().unwrap();
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = ureq::post(format!("{}{path}", self.url)).config();
        let request = request.http_status_as_error(false).build();
        let mut response = request.content_type("application/json").send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    /// All pages of a list.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}"));
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { return all };
            cursor = format!("&cursor={next}");
        }
    }
}
