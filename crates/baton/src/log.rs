//! The log: what an operator may want to read later, to standard error, as text or JSON lines.
//!
//! Not the journal: nothing is derived from it. A refusal is not an error and is not logged.

use std::sync::OnceLock;

use baton_core::time::Timestamp;
use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::display::say;
use crate::runtime::SystemClock;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// What does not work.
    Error,
    /// What may soon not work.
    Warn,
    /// What an operator did or should know.
    Info,
    /// Each commit: its position, streams and duration.
    Debug,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

static SETTINGS: OnceLock<(Level, Format)> = OnceLock::new();

/// Sets what is logged and how, once.
pub fn set(level: Level, format: Format) {
    // Set twice, the first setting stays.
    let _ = SETTINGS.set((level, format));
}

fn settings() -> (Level, Format) {
    SETTINGS.get().copied().unwrap_or((Level::Warn, Format::Text))
}

/// Whether anything of this level is logged: asked before costly fields are gathered.
pub fn is_on(level: Level) -> bool {
    level <= settings().0
}

/// Logs a sentence with its facts.
pub fn log(level: Level, message: &str, facts: &[(&str, Value)]) {
    if !is_on(level) {
        return;
    }
    let at: Timestamp = SystemClock::default().now().moment.now;
    let word = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    match settings().1 {
        Format::Text => {
            let facts: Vec<String> =
                facts.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            say(&format!("{at} {word:<5} {message}{}", facts.concat()));
        }
        Format::Json => {
            let mut line = Map::new();
            line.insert("at".to_owned(), Value::String(at.to_string()));
            line.insert("level".to_owned(), Value::String(word.to_owned()));
            line.insert("message".to_owned(), Value::String(message.to_owned()));
            line.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            say(&Value::Object(line).to_string());
        }
    }
}
