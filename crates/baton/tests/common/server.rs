//! `baton serve` in a folder, and a client that speaks plain HTTP to it.

use std::io::{BufRead, BufReader};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Desk, Running};

/// A server on a port of its own.
pub struct Server {
    running: Running,
    url: String,
    agent: ureq::Agent,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{self:?}: {fault}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name}: {self:?}")).to_str().unwrap()
    }

    /// Insists on a status.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

impl Server {
    pub fn start(desk: &Desk) -> Self {
        Self::start_with(desk, &[])
    }

    /// The same, with more arguments.
    pub fn start_with(desk: &Desk, more: &[&str]) -> Self {
        let listening = ["serve", "--listen", "127.0.0.1:0", "--json"];
        let mut running = desk.start(&[&listening, more].concat());
        let url = running.line()["url"].as_str().unwrap().to_owned();
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        // A connection that the server has hung up on must not be taken for the next request.
        let config = config.max_idle_connections(0).build();
        Self { running, url, agent: config.into() }
    }

    /// A path of the API, or of the server where it begins with `//`.
    pub fn url(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(outside) if outside.starts_with('/') => format!("{}{outside}", self.url),
            Some(_) | None => format!("{}/api/v1{path}", self.url),
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call().unwrap())
    }

    /// What a stream tells, up to and with a message.
    pub fn listen(&self, path: &str, last: &Value) -> Vec<Value> {
        let body = self.agent.get(self.url(path)).call().unwrap().into_body();
        let mut lines = BufReader::new(body.into_reader()).lines();
        let mut told = Vec::new();
        while told.last() != Some(last) {
            let line = lines.next().expect("the stream ended before").unwrap();
            told.extend(
                line.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap()),
            );
        }
        told
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, "application/json", &body.to_string())
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.put(self.url(path)).header("content-type", "application/json");
        answer(request.send(body.to_string()).unwrap())
    }

    pub fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(self.url(path)).call().unwrap())
    }

    /// A JSON body with more headers.
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            self.agent.post(self.url(path)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body).unwrap())
    }

    pub fn post_text(&self, path: &str, kind: &str, body: &str) -> Answer {
        self.try_post_text(path, kind, body).unwrap()
    }

    pub fn try_post_text(&self, path: &str, kind: &str, body: &str) -> Result<Answer, ureq::Error> {
        let request = self.agent.post(self.url(path)).header("content-type", kind);
        request.send(body).map(answer)
    }

    /// Starts a workflow and gives its id.
    pub fn begin(&self, body: &Value) -> String {
        let shown = self.post("/workflows", body).expect(201);
        shown["workflow_id"].as_str().unwrap().to_owned()
    }

    /// Waits for a status, from revision to revision.
    pub fn until(&self, id: &str, status: &str) -> Value {
        let mut shown = self.get(&format!("/workflows/{id}")).expect(200);
        while shown["status"] != status {
            let next = shown["revision"].as_u64().unwrap() + 1;
            shown = self.get(&format!("/workflows/{id}?revision={next}&wait=30s")).expect(200);
        }
        shown
    }

    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    pub fn hear(&mut self, part: &str) -> String {
        self.running.hear(part)
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.running.kill();
    }

    /// Waits for the end; gives the exit code.
    pub fn end(self) -> Option<i32> {
        self.running.end().0
    }
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let text = body.read_to_string().unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, text }
}
