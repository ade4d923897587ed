//! `--server URL`: the same commands on the workflows behind a server, through its HTTP API.
//!
//! Nothing is decided here. What the server says is not trusted: everything read is bounded, and
//! nothing goes anywhere but to the address that was named.

mod address;
mod answers;
mod client;
mod conversing;
mod messages;
mod reading;
mod stream;

use baton_core::body::Json;
use baton_core::ids::WorkflowId;
use baton_core::plan::ToolSpec;
use baton_engine::edits::EditView;
use baton_engine::forecast::Forecast;
use baton_engine::view::WorkflowView;
use baton_server::http::AgentItem;
use baton_server::wire::{Ask, Verb};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use address::trusted;
pub use answers::{FieldError, Problem};

use answers::{Fault, Page};
use client::{Client, Sending};
use reading::{RemoteReading, encoded};
use stream::Stream;

use crate::cli::Common;
use crate::exit::Failed;
use crate::follow::Feed;
use crate::reading::Reading;
use crate::session::Stand;

/// A server that commands are carried out at.
pub struct Remote {
    client: Client,
}

/// A definition as the server describes it, as far as it is used.
#[derive(Debug, Deserialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// A JSON Schema object of its inputs.
    pub inputs: Option<Value>,
}

/// What a server found in a definition.
#[derive(Debug, Deserialize)]
pub struct Checked {
    /// The definition, where it can be started.
    pub definition: Option<Described>,
    /// Every fault, where it cannot.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// What it will probably use, where that was asked for.
    #[serde(default)]
    pub forecast: Option<Forecast>,
}

/// What a server said to a request to start something.
#[derive(Debug)]
pub enum Started {
    /// It was started.
    Yes(Stand),
    /// What was sent has faults.
    Refused(Problem),
}

impl Remote {
    /// Whether the command line or the environment names a server.
    pub fn is_named(common: &Common) -> bool {
        address::is_named(common)
    }

    /// The server that the command line or the environment names; nothing is sent yet.
    pub fn named(common: &Common) -> anyhow::Result<Option<Self>> {
        let address = address::named(common)?;
        Ok(address.map(|address| Self { client: Client::new(address) }))
    }

    /// A reader of what is there.
    pub fn reading(&self) -> Box<dyn Reading> {
        Box::new(RemoteReading { client: self.client.clone() })
    }

    /// The events of a workflow as they are committed.
    pub fn feed(&self, id: WorkflowId) -> Box<dyn Feed> {
        Box::new(Stream::open(&self.client, id))
    }

    /// Has something done to a workflow.
    pub fn change(&mut self, ask: Ask) -> anyhow::Result<Stand> {
        let (path, body) = match ask {
            Ask::Command { workflow, verb } => command(workflow, verb),
            Ask::Fork { workflow, position } => {
                (format!("/workflows/{workflow}/fork"), json!({ "position": position }))
            }
            Ask::UndoEdit { workflow, edit } => {
                let path = format!("/workflows/{workflow}/edits/{edit}/undo");
                self.edited(&path, &json!({}))?.map_err(|fault| self.failed(fault))?;
                return self.stand_of(workflow);
            }
            // A server works on everything by itself.
            Ask::TakeUp { workflow } => {
                return self.stand_of(workflow);
            }
            Ask::Hello
            | Ask::Submit(_)
            | Ask::Edit(_)
            | Ask::AwaitEnd { .. }
            | Ask::TakeUpAll
            | Ask::Define(_)
            | Ask::Purge { .. }
            | Ask::CreateToken { .. }
            | Ask::RevokeToken { .. }
            | Ask::Servers
            | Ask::Said { .. }
            | Ask::ReleaseServer { .. }
            | Ask::Open(_)
            | Ask::Converse { .. }
            | Ask::Attend { .. }
            | Ask::Follow { .. } => {
                return Err(Failed::usage("that cannot be asked of a server").into());
            }
        };
        Ok(stand(self.post(&path, &body)?.map_err(|fault| self.failed(fault))?))
    }

    /// What the server finds in a definition's source.
    pub fn check(&self, source: &str) -> anyhow::Result<Checked> {
        let sending = Sending { kind: "application/yaml", text: source };
        let checked = self.client.post("/definitions/validate", sending)?;
        checked.map_err(|fault| self.failed(fault))
    }

    /// The newest definition of a name, if there is one.
    pub fn definition(&self, name: &str) -> anyhow::Result<Option<Described>> {
        let found = self.client.find(&format!("/definitions/{}", encoded(name)));
        found.map_err(|fault| self.failed(fault))
    }

    /// What a definition of this name will probably use, if there is one.
    pub fn forecast(&self, name: &str) -> anyhow::Result<Option<Forecast>> {
        let found = self.client.find(&format!("/definitions/{}/forecast", encoded(name)));
        found.map_err(|fault| self.failed(fault))
    }

    /// What the server finds in a definition's source, and what it will probably use.
    pub fn check_ahead(&self, source: &str) -> anyhow::Result<Checked> {
        let sending = Sending { kind: "application/yaml", text: source };
        let checked = self.client.post("/definitions/validate?forecast=true", sending)?;
        checked.map_err(|fault| self.failed(fault))
    }

    /// Starts a workflow.
    pub fn start(&self, body: &Value) -> anyhow::Result<Started> {
        self.started("/workflows", body)
    }

    /// Calls a tool.
    pub fn invoke(&self, body: &Value) -> anyhow::Result<Started> {
        self.started("/invoke", body)
    }

    /// The tools that definitions can use.
    pub fn tools(&self) -> anyhow::Result<Vec<ToolSpec>> {
        let page: Result<Page<ToolSpec>, Fault> = self.client.get("/tools");
        Ok(page.map_err(|fault| self.failed(fault))?.items)
    }

    /// The agents that tasks can name.
    pub fn agents(&self) -> anyhow::Result<Vec<AgentItem>> {
        let page: Result<Page<AgentItem>, Fault> = self.client.get("/agents");
        Ok(page.map_err(|fault| self.failed(fault))?.items)
    }

    /// The MCP servers, as the API shows each.
    pub fn servers(&self) -> anyhow::Result<Vec<Json>> {
        let page: Result<Page<Json>, Fault> = self.client.get("/servers");
        Ok(page.map_err(|fault| self.failed(fault))?.items)
    }

    /// Has a server called again that is left alone for its failures.
    pub fn release(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/servers/{}/release", encoded(name));
        let sending = Sending { kind: "application/json", text: "" };
        let released: Result<Json, Fault> = self.client.post(&path, sending)?;
        released.map(drop).map_err(|fault| self.failed(fault))
    }

    /// The failure of a command that the server refused like this.
    pub fn refused(&self, problem: Problem) -> Failed {
        Fault::Refused(problem).failed(self.client.base())
    }

    fn started(&self, path: &str, body: &Value) -> anyhow::Result<Started> {
        match self.post(path, body)? {
            Ok(shown) => Ok(Started::Yes(stand(shown))),
            Err(Fault::Refused(problem)) if problem.status == 422 => Ok(Started::Refused(problem)),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    /// Replaces the plan of a workflow in review by what a text says.
    pub fn edit(&self, id: WorkflowId, revision: u64, source: &str) -> anyhow::Result<Started> {
        let body = json!({ "revision": revision, "plan": source });
        match self.edited(&format!("/workflows/{id}/edits"), &body)? {
            Ok(_) => self.stand_of(id).map(Started::Yes),
            Err(Fault::Refused(problem)) if problem.status == 422 => Ok(Started::Refused(problem)),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    /// The edits of a workflow's plan.
    pub fn edits(&self, id: WorkflowId) -> anyhow::Result<Vec<EditView>> {
        let page: Result<Page<EditView>, Fault> =
            self.client.get(&format!("/workflows/{id}/edits"));
        Ok(page.map_err(|fault| self.failed(fault))?.items)
    }

    fn edited(&self, path: &str, body: &Value) -> anyhow::Result<Result<EditView, Fault>> {
        let text = body.to_string();
        self.client.post(path, Sending { kind: "application/json", text: &text })
    }

    fn stand_of(&self, id: WorkflowId) -> anyhow::Result<Stand> {
        let shown = self.client.get(&format!("/workflows/{id}"));
        Ok(stand(shown.map_err(|fault| self.failed(fault))?))
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Result<WorkflowView, Fault>> {
        let text = body.to_string();
        self.client.post(path, Sending { kind: "application/json", text: &text })
    }

    fn failed(&self, fault: Fault) -> anyhow::Error {
        fault.failed(self.client.base()).into()
    }
}

fn stand(shown: WorkflowView) -> Stand {
    Stand { id: shown.id, status: shown.status, revision: shown.revision }
}

/// Where a command of a person is posted, and as what.
fn command(workflow: WorkflowId, verb: Verb) -> (String, Value) {
    let of_workflow = |word: &str| format!("/workflows/{workflow}/{word}");
    let of_task = |task, word: &str| format!("/tasks/{}/{word}", workflow.task(task));
    match verb {
        Verb::Approve { revision } => (of_workflow("approve"), json!({ "revision": revision })),
        Verb::SendBack { comments } => (of_workflow("reject"), json!({ "comments": comments })),
        Verb::Pause => (of_workflow("pause"), json!({})),
        Verb::Resume => (of_workflow("resume"), json!({})),
        Verb::Cancel { reason } => (of_workflow("cancel"), json!({ "reason": reason })),
        Verb::Retry { tasks } => {
            let tasks: Vec<_> = tasks.into_iter().map(|task| workflow.task(task)).collect();
            (of_workflow("retry"), json!({ "tasks": tasks }))
        }
        Verb::Respond { task, value, question } => {
            let body = match question {
                Some(question) => json!({ "value": value, "question": question }),
                None => json!({ "value": value }),
            };
            (of_task(task, "respond"), body)
        }
        Verb::Decline { task, question } => {
            let body = match question {
                Some(question) => json!({ "decline": true, "question": question }),
                None => json!({ "decline": true }),
            };
            (of_task(task, "respond"), body)
        }
        Verb::Settle { task, result: Some(result) } => {
            (of_task(task, "settle"), json!({ "happened": true, "result": result }))
        }
        Verb::Settle { task, result: None } => {
            (of_task(task, "settle"), json!({ "happened": false }))
        }
    }
}
