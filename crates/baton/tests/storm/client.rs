//! A client that loses its server now and then: it starts workflows, each under a key of its own, and
//! waits for their ends. It asks again until it is answered, and never for more than it was to.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::Sender;
use std::time::Duration;

use serde_json::{Value, json};

use crate::site::Site;

/// How long a single request may take: longer than any wait it asks for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a client waits for an end.
#[derive(Clone, Copy)]
pub enum Waits {
    /// From revision to revision.
    ByRevision,
    /// On the workflow's stream, which is resumed where it was lost.
    ByStream,
}

pub struct Client<'a> {
    site: &'a Site,
    number: usize,
    waits: Waits,
    started: Sender<()>,
    agent: ureq::Agent,
}

/// What was asked for, by the words it was asked with.
struct Started {
    line: String,
    id: String,
}

impl<'a> Client<'a> {
    pub fn new(site: &'a Site, number: usize, waits: Waits, started: Sender<()>) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(PATIENCE)).max_idle_connections(0).build();
        Self { site, number, waits, started, agent: config.into() }
    }

    /// Each id it was told, and what it had asked for.
    pub fn work(&self, batches: usize, batch: usize) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for number in 0..batches {
            let lines = (0..batch).map(|n| format!("line-{}-{number}-{n}", self.number));
            let started: Vec<Started> = lines.map(|line| self.start(line)).collect();
            for Started { line, id } in started {
                self.end_of(&id);
                self.finds(&id, &line);
                found.push((id, line));
            }
        }
        found
    }

    fn start(&self, line: String) -> Started {
        let id = self.post(&line);
        // The one who kills needs no more after the last kill.
        let _ = self.started.send(());
        Started { line, id }
    }

    /// The id under which a workflow for this line was started, whenever that was.
    fn post(&self, line: &str) -> String {
        let body = json!({ "definition": "storm", "inputs": { "line": line } }).to_string();
        let shown = self.until_answered(|| {
            let request = self.agent.post(self.url("/workflows")).header("idempotency-key", line);
            answer(request.content_type("application/json").send(&body)?, 201)
        });
        shown["workflow_id"].as_str().unwrap().to_owned()
    }

    /// What was started is there, has brought what was asked for, and is found again under its key.
    fn finds(&self, id: &str, line: &str) {
        let path = self.url(&format!("/workflows/{id}"));
        let shown = self.until_answered(|| answer(self.agent.get(&path).call()?, 200));
        assert_eq!((&shown["status"], &shown["output"]), (&json!("completed"), &json!(line)));
        assert_eq!(self.post(line), id);
    }

    fn end_of(&self, id: &str) {
        match self.waits {
            Waits::ByRevision => self.follow_revisions(id),
            Waits::ByStream => self.follow_stream(id),
        }
    }

    fn follow_revisions(&self, id: &str) {
        let mut revision = 0;
        loop {
            let path = self.url(&format!("/workflows/{id}?revision={revision}&wait=20s"));
            let shown = self.until_answered(|| answer(self.agent.get(&path).call()?, 200));
            if !shown["completed_at"].is_null() {
                return;
            }
            revision = shown["revision"].as_u64().unwrap() + 1;
        }
    }

    fn follow_stream(&self, id: &str) {
        let mut last = None;
        self.until_answered(|| self.listen(id, &mut last));
    }

    /// Listens until the stream's last message. No message may come twice, or out of order.
    fn listen(&self, id: &str, last: &mut Option<u64>) -> Result<(), ureq::Error> {
        let mut request = self.agent.get(self.url(&format!("/workflows/{id}/stream")));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.call()?;
        assert_eq!(response.status(), 200);
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line?;
            if line == "event: done" {
                return Ok(());
            }
            if let Some(position) = line.strip_prefix("id: ").and_then(|id| id.parse().ok()) {
                assert!(last.is_none_or(|last| position > last), "{position} after {last:?}");
                *last = Some(position);
            }
        }
        Err(ureq::Error::ConnectionFailed)
    }

    /// Asks again, of the next server, as long as the connection is lost.
    fn until_answered<T>(&self, mut ask: impl FnMut() -> Result<T, ureq::Error>) -> T {
        loop {
            let server = self.site.server();
            match ask() {
                Ok(answer) => return answer,
                Err(lost) => self.site.after(server, &lost.to_string()),
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.site.address)
    }
}

fn answer(
    mut response: ureq::http::Response<ureq::Body>,
    status: u16,
) -> Result<Value, ureq::Error> {
    let text = response.body_mut().read_to_string()?;
    assert_eq!(response.status(), status, "{text}");
    Ok(serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{text}: {fault}")))
}
