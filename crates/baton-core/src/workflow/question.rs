//! A question that a running call, or an agent, asks a person: its words, its bounds, and what answers it.
//!
//! When it may be asked and what follows is decided in [`decide`](super::decide); what fits its form
//! is said in [`form`].

mod form;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::body::Json;
use crate::codes;
use crate::definition::InputFault;
use crate::plan::Human;
use crate::words::HumanKind;

pub use form::{FIELDS_MAX, FORM_BYTES_MAX, OPTIONS_MAX};

/// The longest message of a question, in bytes.
pub const QUESTION_BYTES_MAX: usize = 4 * 1024;
/// The longest address a person may be sent to, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 2 * 1024;
/// How many questions one attempt may ask, one after the other: a call that asks and takes back must
/// not fill the journal.
pub const QUESTIONS_MAX: u32 = 32;

/// What a running call asks a person. What it says comes from outside and is bounded, not believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// For the person.
    pub message: String,
    /// What answers it.
    pub shape: Shape,
}

/// What answers a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The fields of this JSON Schema, a flat object.
    Form(Value),
    /// The person's word that they have been at this address: what they did there, they told nobody
    /// here.
    Url(String),
}

/// What a person says to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The fields of the form; `null` where an address was to be visited.
    Accepted(Json),
    /// They will not say.
    Declined,
}

codes! {
    /// Why a question is over without an answer.
    pub enum Withdrawal: "withdrawal" {
        /// The call ended without waiting for it.
        CallEnded = 0 "call_ended",
        /// The call was lost.
        CallLost = 1 "call_lost",
        /// Who asked does not want to know any more.
        TakenBack = 2 "taken_back",
        /// The run ends: nobody is asked any more.
        RunEnds = 3 "run_ends",
    }
}

/// How many questions a task has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Over all attempts: the newest question's number.
    pub newest: u32,
    /// In the newest attempt.
    pub in_attempt: u32,
}

impl Asked {
    /// Whether nothing was ever asked.
    pub(in crate::workflow) fn is_none(&self) -> bool {
        self.newest == 0
    }
}

impl Question {
    /// A question with a form as MCP's elicitation has it: a flat object of texts, numbers, flags and
    /// choices. What else the schema says is left out. `Err` lists what cannot be asked so.
    pub fn with_form(message: &str, schema: &Value) -> Result<Self, Vec<InputFault>> {
        let message = checked_message(message).map_err(|fault| vec![fault])?;
        Ok(Self { message, shape: Shape::Form(form::checked(schema)?) })
    }

    /// A question that sends the person to an address of the web.
    pub fn with_address(message: &str, url: &str) -> Result<Self, Vec<InputFault>> {
        let message = checked_message(message).map_err(|fault| vec![fault])?;
        let plain = |c: char| c.is_ascii_graphic();
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if url.len() > ADDRESS_BYTES_MAX || !is_web || !url.chars().all(plain) {
            let says = format!(
                "this must be an http(s) address of at most {ADDRESS_BYTES_MAX} plain characters"
            );
            return Err(vec![form::fault("/url", &says)]);
        }
        Ok(Self { message, shape: Shape::Url(url.to_owned()) })
    }

    /// What a value says as an answer; `Err` lists how it does not fit.
    ///
    /// A form takes its fields, with the defaults of those left out; an address takes `true` or
    /// `false`, alone or as `approved`.
    pub fn answer(&self, value: &Value) -> Result<Answer, Vec<InputFault>> {
        match &self.shape {
            Shape::Form(schema) => {
                form::filled(schema, value).map(|value| Answer::Accepted(Json::of(&value)))
            }
            Shape::Url(_) => match approval_in(value) {
                Some(true) => Ok(Answer::Accepted(Json::null())),
                Some(false) => Ok(Answer::Declined),
                None => {
                    let says = "this must be `true` once the address was visited, or `false`";
                    Err(vec![form::fault("", says)])
                }
            },
        }
    }
}

/// How a value does not fit what a person is asked: one of the options, or what the form says.
pub fn misfits(
    (kind, options, form): (HumanKind, &[String], Option<&Value>),
    value: &Value,
) -> Vec<InputFault> {
    let is_option = |option: &String| value.as_str() == Some(option);
    match kind {
        HumanKind::Form => form.map_or_else(Vec::new, |form| {
            form::faults(form, value).unwrap_or_else(|why| vec![form::fault("", &why)])
        }),
        HumanKind::Choice if options.iter().any(is_option) => Vec::new(),
        HumanKind::Choice => vec![form::fault("", "this is none of the options")],
        HumanKind::Approval if approval_in(value).is_some() => Vec::new(),
        HumanKind::Approval => vec![form::fault("", "this must be `true` or `false`")],
    }
}

/// The answer that a value is to what an agent asks: a form's with the defaults of the fields that it
/// leaves out, and a text alone is that of a form of one text. `Err` lists how it does not fit.
pub fn answered(human: &Human, value: &Value) -> Result<Value, Vec<InputFault>> {
    if let (HumanKind::Form, Some(schema)) = (human.kind, &human.form) {
        let alone = value.is_string().then(|| form::only_text(schema)).flatten();
        let fields = alone.map(|name| json!({ name: value }));
        return form::filled(schema, fields.as_ref().unwrap_or(value));
    }
    let faults = misfits((human.kind, &human.options, human.form.as_ref()), value);
    if faults.is_empty() { Ok(value.clone()) } else { Err(faults) }
}

/// Whether a value says that a person rejects what they are asked: `approved` as false.
pub fn is_rejection(value: &Value) -> bool {
    value.get("approved") == Some(&Value::Bool(false))
}

/// The yes or no in a value: `true` and `false`, alone or as `approved`.
fn approval_in(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.get("approved")?.as_bool())
}

fn checked_message(message: &str) -> Result<String, InputFault> {
    if message.trim().is_empty() || message.len() > QUESTION_BYTES_MAX {
        let says = format!("this must be a text of 1 to {QUESTION_BYTES_MAX} bytes");
        return Err(form::fault("/message", &says));
    }
    Ok(message.to_owned())
}
