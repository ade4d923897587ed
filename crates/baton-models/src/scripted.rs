//! The provider `scripted`: a file of answers stands in for a model, so that agents run where none is.
//!
//! Which answer is given follows from the request alone, its transcript and attempt: nothing is
//! remembered between calls, and after a restart a script goes on where it was. It makes no sense of
//! what it is asked, and renders no templates.

mod read;
mod speak;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_core::agent::{Message, Part, Piece, Price, Usage};
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use baton_engine::ports::ModelRequest;

/// What the names of scripted models begin with, in plans, events and rows.
pub use baton_core::plan::SCRIPTED as PROVIDER;

/// A file of answers.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file it was read from, as it was named.
    file: PathBuf,
    /// The window it pretends to have.
    window_tokens: Option<u64>,
    /// What it pretends to cost.
    price: Option<Price>,
    /// Who says what; the first that suits a request answers it.
    roles: Vec<Role>,
}

/// What is said to one agent, or to any.
#[derive(Clone, Debug, Default)]
struct Role {
    /// The agent; any where there is none.
    agent: Option<String>,
    /// A text that stands in its first message.
    contains: Option<String>,
    /// In order, one a turn; those with a `when` are asides.
    turns: Vec<Turn>,
}

/// One answer.
#[derive(Clone, Debug, Default)]
struct Turn {
    /// An aside: given whenever the last message contains this, and taking no place in the order.
    when: Option<String>,
    /// What is said.
    content: Vec<Piece>,
    /// What it used, where that is declared.
    usage: Option<Usage>,
    /// Whether it ends for having used up its tokens.
    is_cut: bool,
    /// The pause before each piece of its text.
    delay: Duration,
    /// How many pieces its text is told in.
    chunks: u32,
    /// How it fails first.
    fail: Option<Fail>,
}

/// How a turn fails.
#[derive(Clone, Debug)]
struct Fail {
    failure: CallFailure,
    /// So many calls fail, then it answers; all of them where this is absent.
    times: Option<u32>,
}

impl Script {
    /// The name of its model: `scripted/` and the file's name up to its first dot.
    pub fn model(&self) -> String {
        model_of(&self.file)
    }

    /// The file it was read from, as it was named.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The window it pretends to have, in tokens.
    pub fn window_tokens(&self) -> Option<u64> {
        self.window_tokens
    }

    /// What it pretends to cost.
    pub fn price(&self) -> Option<Price> {
        self.price
    }

    /// The turn that answers a request: `Err` where none does, or where it fails.
    fn turn(&self, request: &ModelRequest) -> Result<&Turn, CallFailure> {
        let (turn, replayed) = self.due(request)?;
        match &turn.fail {
            Some(fail) if fail.times.is_none_or(|times| replayed.unheard(request) < times) => {
                Err(fail.failure.clone())
            }
            Some(_) | None => Ok(turn),
        }
    }

    /// The turn that a request has come to, whether it answers or fails, and what was before it.
    fn due(&self, request: &ModelRequest) -> Result<(&Turn, Replayed), CallFailure> {
        let prompt = request.messages.first().map(shown).unwrap_or_default();
        let suits = |role: &&Role| {
            let to_agent = role.agent.as_ref().is_none_or(|agent| *agent == request.agent);
            to_agent && role.contains.as_ref().is_none_or(|text| prompt.contains(text))
        };
        let role = self.roles.iter().find(suits).ok_or_else(|| self.unheard(request))?;
        // Of turns that were left out nobody knows any more whether they were asides.
        let left_out = request.turns_left_out;
        let mut replayed =
            Replayed { answers: left_out, in_order: left_out as usize, ..Replayed::default() };
        for (at, message) in request.messages.iter().enumerate() {
            if matches!(message, Message::Assistant(_)) {
                let before = at.checked_sub(1).and_then(|before| request.messages.get(before));
                let turn = role.next(before, replayed.in_order);
                replayed.take(turn);
            }
        }
        let turn = role.next(request.messages.last(), replayed.in_order);
        let turn = turn.ok_or_else(|| self.ended(request, replayed.in_order))?;
        Ok((turn, replayed))
    }

    fn unheard(&self, request: &ModelRequest) -> CallFailure {
        let (file, agent) = (self.file.display(), &request.agent);
        let message = format!(
            "{file} has no answers for the agent `{agent}` and what it is asked; add an entry to \
             `answers` with `agent: {agent}`"
        );
        CallFailure::refused(FailureKind::NotFound, message)
    }

    fn ended(&self, request: &ModelRequest, turns: usize) -> CallFailure {
        let (file, agent) = (self.file.display(), &request.agent);
        let message = format!(
            "{file} has {turns} turns for the agent `{agent}`, and it is asked for another; add one \
             to its `turns`"
        );
        CallFailure::refused(FailureKind::NotFound, message)
    }
}

impl Role {
    /// The turn after `last`, when so many of those in order were given before.
    fn next(&self, last: Option<&Message>, in_order: usize) -> Option<&Turn> {
        let last = last.map(shown).unwrap_or_default();
        let aside = |turn: &&Turn| turn.when.as_ref().is_some_and(|text| last.contains(text));
        self.turns
            .iter()
            .find(aside)
            .or_else(|| self.turns.iter().filter(|turn| turn.when.is_none()).nth(in_order))
    }
}

/// What the transcript says of the turns before.
#[derive(Default)]
struct Replayed {
    /// Answers in all.
    answers: u32,
    /// Those that were in order.
    in_order: usize,
    /// Calls that failed before them as they were declared to.
    failed: u32,
}

impl Replayed {
    fn take(&mut self, turn: Option<&Turn>) {
        self.answers = self.answers.saturating_add(1);
        // Where the script was changed meanwhile, an answer may be none of its own.
        if turn.is_none_or(|turn| turn.when.is_none()) {
            self.in_order += 1;
        }
        let times = turn.and_then(|turn| turn.fail.as_ref()).and_then(|fail| fail.times);
        self.failed = self.failed.saturating_add(times.unwrap_or(0));
    }

    /// How many calls for the turn at hand brought nothing so far, failed or lost.
    fn unheard(&self, request: &ModelRequest) -> u32 {
        let before = request.attempt.saturating_sub(1);
        before.saturating_sub(self.answers).saturating_sub(self.failed)
    }
}

/// The name of the model that a file of answers stands in for: `scripted/desk` for `a/desk.script.yaml`.
pub fn model_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{PROVIDER}/{}", name.split('.').next().unwrap_or_default())
}

/// What a message says, as a condition looks at it: its text, or what came of its calls.
fn shown(message: &Message) -> String {
    match message {
        Message::User(parts) => {
            let text = |part: &Part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Image { .. } => None,
            };
            parts.iter().filter_map(text).collect()
        }
        Message::Assistant(_) => message.text(),
        Message::Tool(answers) => {
            let texts = answers.iter().map(|answer| {
                let output = answer.output.as_ref().map(Json::as_str).unwrap_or_default();
                format!("{output}\n{}\n", answer.error.as_deref().unwrap_or_default())
            });
            texts.collect()
        }
    }
}
