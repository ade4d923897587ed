//! The forms of the pages: what a person says, as the command it stands for.
//!
//! Whether it is allowed is the machine's to say; its refusal is shown as it is.

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use baton_core::agent::Cost;
use baton_core::body::Json;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_engine::inbox::inbox_of;
use baton_engine::store::Views;
use serde_json::{Value, json};

use super::forms::{Form as Asked, Unreadable};
use super::{Fault, Pages, id_of};
use crate::http::{Caller, Problem, ProblemCode};
use crate::local::command;
use crate::wire::Verb;

/// What stands before the names of a form's own fields.
const FIELD: &str = "field.";

/// What was sent.
pub(super) struct Sent(pub(super) Vec<(String, String)>);

impl Sent {
    /// What stands in a field; nothing where it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn task(&self) -> Result<Ordinal, Problem> {
        let task = self.get("task").and_then(|task| task.parse().ok()).map(Ordinal);
        task.ok_or_else(|| unreadable("the form names no task; load the page again"))
    }

    fn comment(&self) -> String {
        self.get("comment").unwrap_or_default().to_owned()
    }

    /// What this asks for. The answer to a form is filled in later, when its schema is known.
    fn verb(&self) -> Result<Verb, Problem> {
        Ok(match self.get("verb").unwrap_or_default() {
            "pause" => Verb::Pause,
            "resume" => Verb::Resume,
            "cancel" => Verb::Cancel { reason: self.get("comment").map(str::to_owned) },
            "retry" => {
                let task = self.get("task").map(|_| self.task()).transpose()?;
                Verb::Retry { tasks: task.into_iter().collect() }
            }
            "start" => {
                let revision = self.get("revision").and_then(|revision| revision.parse().ok());
                let missing = || unreadable("the form names no revision; load the page again");
                Verb::Approve { revision: revision.ok_or_else(missing)? }
            }
            "send_back" => Verb::SendBack { comments: self.comment() },
            word @ ("approve" | "reject") => self.respond(self.word(word))?,
            "raise" => self.respond(self.raise()?)?,
            "choose" => self.respond(json!(self.get("value").unwrap_or_default()))?,
            "fill" => self.respond(Value::Null)?,
            "decline" => Verb::Decline { task: self.task()?, question: self.question() },
            "happened" => Verb::Settle { task: self.task()?, result: Some(self.result()?) },
            "not_happened" => Verb::Settle { task: self.task()?, result: None },
            _ => {
                return Err(unreadable(
                    "the form asks for nothing that is known; load the page again",
                ));
            }
        })
    }

    fn respond(&self, value: Value) -> Result<Verb, Problem> {
        Ok(Verb::Respond { task: self.task()?, value, question: self.question() })
    }

    /// Which question of a running call the page showed.
    fn question(&self) -> Option<u32> {
        self.get("question").and_then(|number| number.parse().ok())
    }

    fn result(&self) -> Result<Json, Problem> {
        let Some(text) = self.get("result") else {
            return Ok(Json::null());
        };
        let fault = |e: serde_json::Error| unreadable(format!("the result must be JSON: {e}"));
        Json::parse(text.to_owned()).map_err(fault)
    }

    /// A yes or no; to an exact call it names which, so that it is good for no other.
    fn word(&self, word: &str) -> Value {
        let mut said = json!({ "approved": word == "approve", "comment": self.comment() });
        if let (Some(digest), Some(fields)) = (self.get("digest"), said.as_object_mut()) {
            fields.insert("digest".to_owned(), json!(digest));
        }
        said
    }

    /// By how much a budget is raised.
    fn raise(&self) -> Result<Value, Problem> {
        let mut by = serde_json::Map::new();
        for name in ["tokens", "calls"] {
            let Some(text) = self.get(name) else { continue };
            let wrong = |_| unreadable(format!("by how many {name} must be a whole number"));
            by.insert(name.to_owned(), json!(text.trim().parse::<u64>().map_err(wrong)?));
        }
        if let Some(text) = self.get("usd") {
            let cost: Cost = text
                .trim()
                .parse()
                .map_err(|why| unreadable(format!("by how much money must be {why}")))?;
            by.insert("usd".to_owned(), json!(cost));
        }
        let is_something = |value: &Value| *value != json!(0) && *value != json!(Cost::default());
        if by.values().any(is_something) {
            return Ok(Value::Object(by));
        }
        Err(unreadable("say by how much the budget is raised; to end it there, use Stop"))
    }

    /// The answer to a form, by its schema.
    fn answer(&self, form: Option<&Value>) -> Result<Value, Unreadable> {
        Asked::of(form).read(|name| self.get(&format!("{FIELD}{name}")))
    }
}

/// A form that says nothing that can be done.
pub(super) fn unreadable(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, detail)
}

/// Does what a form says, and leads back to the page it stood on.
pub(super) async fn act(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let sent = Sent(sent);
    if !pages.token.admits(sent.get("token"), &headers) {
        let detail =
            "this form is not from a page of this server as it runs now; load the page again";
        return Fault::from(Problem::new(ProblemCode::ForbiddenOrigin, detail)).into_response();
    }
    let back = match (sent.get("back"), sent.get("open")) {
        (Some("inbox"), _) => "../../".to_owned(),
        (Some(back), _) if let Some(id) = conversation_of(back) => format!("../../chat/{id}"),
        (_, Some(open)) if open.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("../{id}?task={open}")
        }
        (_, _) => format!("../{id}"),
    };
    match carry_out(&pages, &id, &caller, sent).await {
        Ok(()) => Redirect::to(&back).into_response(),
        Err(problem) => Fault::from(problem).into_response(),
    }
}

/// The conversation on whose page a form stood, as `chat/ID`.
fn conversation_of(back: &str) -> Option<ConversationId> {
    back.strip_prefix("chat/")?.parse().ok()
}

async fn carry_out(pages: &Pages, id: &str, caller: &Caller, sent: Sent) -> Result<(), Problem> {
    let id = id_of(id)?;
    let mut verb = sent.verb()?;
    if sent.get("verb") == Some("fill")
        && let Verb::Respond { task, value, .. } = &mut verb
    {
        let task = *task;
        *value = pages.api.readers.read(move |views| filled(views, id, task, &sent)).await?;
    }
    let request = command(id, verb, caller.actor.to_string());
    pages.api.ask(&caller.actor, request).await?;
    Ok(())
}

fn filled(
    views: &mut dyn Views,
    id: WorkflowId,
    task: Ordinal,
    sent: &Sent,
) -> Result<Value, Problem> {
    let missing = |what: &str| Problem::new(ProblemCode::NoSuchTask, what.to_owned());
    let found = views.workflow(id)?.ok_or_else(|| missing("there is no such workflow"))?;
    let rows = views.tasks(found.0.number)?;
    let row: Vec<_> = rows.into_iter().filter(|row| row.ordinal == task).collect();
    let asked = inbox_of((&found.0, &found.1), &row, 1, views)?;
    let [item] = asked.as_slice() else {
        return Err(missing("this task asks nobody any more"));
    };
    let invalid = |fault: Unreadable| Problem::new(ProblemCode::InvalidAnswer, fault.0);
    sent.answer(item.form.as_ref()).map_err(invalid)
}
