//! A thousand workflows, started over HTTP by fifty clients, while their server is killed three times.
//!
//! Every workflow has an effect outside of Baton: a line in a file. Which lines stand there, and not what
//! Baton believes, tells what was done twice or never.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod client;
#[path = "../common/cluster.rs"]
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod site;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};

use client::{Client, Waits};
use cluster::Cluster;
use serde_json::{Value, json};
use site::{Served, Site};

const CLIENTS: usize = 50;
/// How many workflows a client starts before it waits for them.
const BATCH: usize = 5;
const BATCHES: usize = 4;
const WORKFLOWS: usize = CLIENTS * BATCH * BATCHES;
/// After how many starts the server is killed: each time in the middle of starts, effects and waits.
const KILLS: [usize; 3] = [200, 450, 800];

/// The effect is a `once` call in the middle that takes a moment, and nothing else writes its line.
const STORM: &str = "name: storm
inputs: { type: object, required: [line], properties: { line: { type: string } } }
stages:
  - name: only
    tasks:
      - { id: before, tool: core.noop, with: { value: '{{ inputs.line }}' } }
      - id: effect
        tool: shell.run
        permission: read_write
        needs: [before]
        with: { script: 'sleep 0.05; echo \"$BATON_IDEMPOTENCY_KEY $1\" >> \"$PWD/effects\"', args: ['{{ tasks.before.output }}'] }
      - { id: after, tool: core.noop, needs: [effect], with: { value: '{{ inputs.line }}' } }
output: '{{ tasks.after.output }}'
";

#[test]
fn nothing_is_lost_or_doubled_and_every_client_finds_its_answer() {
    storm(&Site::new(STORM, None));
}

#[test]
fn neither_on_postgresql() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    storm(&Site::new(STORM, Some(cluster.url())));
}

fn storm(site: &Site) {
    let (started, starts) = channel();
    let (told, served, in_doubt) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let waits = if number % 2 == 0 { Waits::ByRevision } else { Waits::ByStream };
                let client = Client::new(site, number, waits, started.clone());
                scope.spawn(move || client.work(BATCHES, BATCH))
            })
            .collect();
        // Clients that have all failed must not be waited for.
        drop(started);
        let (served, in_doubt) = kill_again_and_again(site, &starts);
        let told = clients.into_iter().flat_map(|client| client.join().unwrap());
        (told.collect::<BTreeMap<String, String>>(), served, in_doubt)
    });
    println!("{in_doubt} of {WORKFLOWS} calls were in doubt after {} kills", KILLS.len());
    assert_eq!(told.len(), WORKFLOWS, "every start was answered with an id of its own");
    are_what_the_clients_found(&served, &told);
    happened_once(site, &told);
    served.running.signal(rustix::process::Signal::TERM);
    let (code, said) = served.running.end();
    assert_eq!(code, Some(0), "{said}");
    site.desk.expect(0, &site.arguments(&["doctor"]));
}

/// The server as it stands in the end, and how many calls a person had to settle.
fn kill_again_and_again(site: &Site, starts: &Receiver<()>) -> (Served, usize) {
    let mut served = site.serve();
    let (mut counted, mut in_doubt) = (0, 0);
    for kill in KILLS {
        (counted..kill).for_each(|_| starts.recv().expect("no client is left"));
        counted = kill;
        served.running.kill();
        site.wait_for_orphans();
        served = site.serve();
        assert!(served.taken_up > 0, "it was killed when nothing was open");
        in_doubt += settle(site, &served);
    }
    (served, in_doubt)
}

/// Tells of every call in doubt whether it happened: whether its line stands in the file.
fn settle(site: &Site, served: &Served) -> usize {
    let inbox = served.get("/inbox?limit=1000");
    let items = inbox["items"].as_array().unwrap();
    for item in items {
        assert_eq!(item["needs"], "in_doubt", "{item}");
        let task = item["task_id"].as_str().unwrap();
        let happened = site.effects().iter().any(|(key, _)| key.starts_with(task));
        let (status, told) =
            served.post(&format!("/tasks/{task}/settle"), &json!({ "happened": happened }));
        assert_eq!(status, 200, "{told}");
    }
    items.len()
}

/// There are these workflows and no more, and each is what its client was told.
fn are_what_the_clients_found(served: &Served, told: &BTreeMap<String, String>) {
    let listed = served.all("/workflows?q=storm&limit=300");
    assert_eq!(listed.len(), WORKFLOWS);
    for workflow in &listed {
        let id = workflow["workflow_id"].as_str().unwrap();
        assert!(told.contains_key(id), "nobody was told of {id}");
        assert_eq!((&workflow["status"], &workflow["run"]), (&json!("completed"), &json!(1)));
    }
    assert_eq!(served.get("/inbox")["items"], Value::Array(Vec::new()));
}

/// Every effect stands in the file once: by the line that was asked for, and by the key of its call.
fn happened_once(site: &Site, told: &BTreeMap<String, String>) {
    let effects = site.effects();
    assert_eq!(effects.len(), WORKFLOWS);
    let by_line: BTreeMap<&String, &String> =
        effects.iter().map(|(key, line)| (line, key)).collect();
    assert_eq!(by_line.len(), WORKFLOWS, "no line twice");
    assert!(told.values().all(|line| by_line.contains_key(line)));
    let keys: std::collections::BTreeSet<_> = by_line.values().collect();
    assert_eq!(keys.len(), WORKFLOWS, "no key twice");
}
