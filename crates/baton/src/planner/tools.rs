//! The tools of the model that plans: each checks what it is given and says what is wrong with it.
//!
//! None of them changes anything. What ends the planning is the result of a call in the journal, and what
//! follows from it is decided when that call's workflow has ended.

use std::sync::Arc;

use baton_core::body::Json;
use baton_core::conversation::{ConversationState, Focus};
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::plan::ToolSpec;
use baton_core::words::{FailureKind, FocusKind};
use baton_engine::ports::{Call, Control, Tools};
use baton_engine::recall::Recall;
use baton_engine::store::StoreError;
use baton_engine::talks::fold_conversation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asking::{self, Questions};
use super::brought::{Brought, Named, Proposed};
use super::library::Library;
use super::{capabilities, offers, proposing};

/// So much is told of what is remembered.
const REMEMBERED_MAX: usize = 10;

/// The tools that everybody has, and those of the planner beside them.
pub struct ChatTools {
    others: Arc<dyn Tools>,
    library: Arc<Library>,
    memory: Arc<dyn Recall>,
}

/// What `chat.shift_context` brings: found again in the journal when the planning is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shifted {
    /// What the conversation is about from then on.
    pub focus: Focus,
}

impl ChatTools {
    /// Beside other tools; the catalogue of plans, which has only those, stays as it is.
    pub fn beside(others: Arc<dyn Tools>, library: Arc<Library>, memory: Arc<dyn Recall>) -> Self {
        Self { others, library, memory }
    }

    fn called(&self, tool: &str, call: &Call) -> Result<Json, CallFailure> {
        let state = self.state(call)?;
        let brought = match tool {
            offers::LIST_CAPABILITIES => {
                let arguments = call.input.value();
                let query = arguments.get("query").and_then(Value::as_str).unwrap_or_default();
                return Ok(Json::of(&capabilities::listed(query, &self.library)));
            }
            offers::SEARCH_MEMORY => return self.remembered(state.id, call),
            offers::SHIFT_CONTEXT => return self.shifted(call),
            offers::ASK => {
                let Questions { questions } = arguments(call)?;
                Brought::Ask(asking::checked(questions, &state).map_err(|faults| refused(&faults))?)
            }
            offers::PROPOSE_PLAN => {
                let proposed: Proposed = arguments(call)?;
                proposing::proposed(&proposed, &state, &self.library)
                    .map_err(|faults| refused(&faults))?;
                Brought::ProposePlan(Box::new(proposed))
            }
            offers::START_DEFINITION => {
                let named: Named = arguments(call)?;
                proposing::named_definition(&named, &self.library.shelf().plans)
                    .map_err(|faults| refused(&faults))?;
                Brought::StartDefinition(named)
            }
            offers::ANSWER => Brought::Answer(text(call, "text")?),
            offers::ESCALATE => Brought::Escalate(text(call, "reason")?),
            unknown => {
                let message = format!("there is no tool `{unknown}`");
                return Err(CallFailure::refused(FailureKind::NotFound, message));
            }
        };
        json_of(&brought)
    }

    /// The conversation that is planned for, as it stands, by the workflow that plans and no other.
    fn state(&self, call: &Call) -> Result<ConversationState, CallFailure> {
        let over = || {
            let message = "this tool is for the planning of a conversation, and this one is over";
            CallFailure::refused(FailureKind::Denied, message)
        };
        let context = call.context.as_ref().ok_or_else(over)?;
        let mut views = self.library.views().map_err(unread)?;
        let row = views.conversation(context.conversation).map_err(unread)?.ok_or_else(over)?;
        let records = views.stream(row.number).map_err(unread)?;
        let (state, _) = fold_conversation(&records).map_err(unread)?.ok_or_else(over)?;
        let planner = state.planning.and_then(|planning| planning.workflow);
        let caller = context.task.split().map(|(workflow, _)| workflow);
        if planner.is_none() || planner != caller {
            return Err(over());
        }
        Ok(state)
    }

    fn remembered(&self, conversation: ConversationId, call: &Call) -> Result<Json, CallFailure> {
        let found = self.memory.search(conversation, &text(call, "query")?, REMEMBERED_MAX);
        json_of(&json!({ "memories": found.map_err(unread)? }))
    }

    fn shifted(&self, call: &Call) -> Result<Json, CallFailure> {
        let focus: Focus = arguments(call)?;
        match self.missing(&focus).map_err(unread)? {
            None => json_of(&Shifted { focus }),
            Some(fault) => Err(refused(&[fault])),
        }
    }

    /// What is not there of what a conversation is to be about.
    fn missing(&self, focus: &Focus) -> Result<Option<String>, StoreError> {
        let none = |what: &str| Some(format!("id: there is no {what} `{}`", focus.id));
        Ok(match focus.kind {
            FocusKind::Workspace => None,
            FocusKind::Project | FocusKind::Document => {
                focus.id.trim().is_empty().then(|| "id: it must say which".to_owned())
            }
            FocusKind::Definition => {
                let is_there = self.library.shelf().plans.contains_key(&focus.id);
                if is_there { None } else { none("definition") }
            }
            FocusKind::Workflow => {
                let id = focus.id.parse::<WorkflowId>().ok();
                let mut views = self.library.views()?;
                let found = id.map(|id| views.workflow(id)).transpose()?.flatten();
                if found.is_some() { None } else { none("workflow") }
            }
        })
    }
}

impl Tools for ChatTools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        self.others.specs()
    }

    fn learn(&self, server: &str) -> Result<(), String> {
        self.others.learn(server)
    }

    fn servers(&self) -> Vec<Json> {
        self.others.servers()
    }

    fn release(&self, server: &str) -> bool {
        self.others.release(server)
    }

    fn call(&self, call: &Call, control: &Control) -> Result<Json, CallFailure> {
        let is_ours = call.tool.split_once('.').is_some_and(|(server, _)| server == offers::SERVER);
        if is_ours { self.called(&call.tool, call) } else { self.others.call(call, control) }
    }
}

fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T, CallFailure> {
    serde_json::from_str(call.input.as_str()).map_err(|fault| refused(&[fault.to_string()]))
}

fn text(call: &Call, field: &str) -> Result<String, CallFailure> {
    let arguments = call.input.value();
    let text = arguments.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(refused(&[format!("{field}: it must say something")]));
    }
    Ok(text.to_owned())
}

fn json_of<T: Serialize>(value: &T) -> Result<Json, CallFailure> {
    Json::from_serialize(value).map_err(|fault| refused(&[fault.to_string()]))
}

/// Every fault on a line of its own.
fn refused(faults: &[String]) -> CallFailure {
    let lines: Vec<String> = faults.iter().map(|fault| format!("- {fault}")).collect();
    let count =
        if faults.len() == 1 { "one fault".to_owned() } else { format!("{} faults", faults.len()) };
    CallFailure::faulty(format!("nothing was kept of it, as it has {count}:\n{}", lines.join("\n")))
}

fn unread(fault: StoreError) -> CallFailure {
    CallFailure::passing(FailureKind::Unavailable, fault.to_string())
}
