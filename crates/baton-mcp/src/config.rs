//! `[servers.NAME]` of `baton.toml`: how each MCP server is reached, bounded and trusted.
//!
//! It only holds and checks what was declared; nothing is started here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use baton_core::time::Span;
use baton_core::words::{Effect, Permission};
use serde::Deserialize;

/// Every declared server by its name, the first part of its tools' names.
pub type ServersConfig = BTreeMap<String, ServerConfig>;

/// The longest name of a server, in characters.
const NAME_CHARS_MAX: usize = 40;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// `command`: the program and its arguments, for a server that speaks over its standard input
    /// and output. Either this or `url`.
    pub command: Vec<String>,
    /// `url`: where a server listens that speaks streamable HTTP.
    pub url: Option<String>,
    /// `bearer_env`: the variable of Baton's environment that holds the token for `url`.
    pub bearer_env: Option<String>,
    /// `env`: what the program's environment holds besides `PATH`, `HOME` and their like.
    pub env: BTreeMap<String, String>,
    /// `cwd`: the folder the program starts in; that of `baton.toml` where none is named.
    pub cwd: Option<PathBuf>,
    /// `timeout`: the longest a call may take, where its task does not say less.
    pub timeout: Option<Span>,
    /// `start_timeout`: how long the server has until it is ready and has told its tools.
    pub start_timeout: Span,
    /// `health_every`: how often it is asked whether it is well; half of that it has to answer.
    pub health_every: Span,
    /// `concurrency`: calls at a time.
    pub concurrency: usize,
    /// `enabled`: whether it may be used at all.
    pub enabled: bool,
    /// `[servers.NAME.tools.TOOL]`: what is known better here than the server says.
    pub tools: BTreeMap<String, ToolConfig>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            url: None,
            bearer_env: None,
            env: BTreeMap::new(),
            cwd: None,
            timeout: None,
            start_timeout: Span(Duration::from_secs(60)),
            health_every: Span(Duration::from_secs(10)),
            concurrency: 8,
            enabled: true,
            tools: BTreeMap::new(),
        }
    }
}

/// What the operator says of one tool; the server's own annotations otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolConfig {
    /// `effect`: `read`, `idempotent` or `once`.
    pub effect: Option<Effect>,
    /// `permission`: `read_only` or `read_write`.
    pub permission: Option<Permission>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A program and its arguments.
    Command(String, Vec<String>),
    /// A URL.
    Url(String),
}

/// Why a declared server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFault {
    server: String,
    what: String,
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`[servers.{}]` {}", self.server, self.what)
    }
}

impl std::error::Error for ServerFault {}

impl ServerConfig {
    /// Checks what the types do not.
    pub(crate) fn way(&self, name: &str) -> Result<Way, ServerFault> {
        let fault = |what: &str| ServerFault { server: name.to_owned(), what: what.to_owned() };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(plain) {
            return Err(fault("has a name that is not 1 to 40 letters, digits, `_` or `-`"));
        }
        if self.concurrency == 0 {
            return Err(fault("has a `concurrency` of 0; use `enabled = false` to turn it off"));
        }
        if self.health_every.0 < Duration::from_millis(100) {
            return Err(fault("has a `health_every` of less than 100ms"));
        }
        match (self.command.split_first(), &self.url) {
            (Some((program, arguments)), None) => {
                Ok(Way::Command(program.clone(), arguments.to_vec()))
            }
            (None, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Way::Url(url.clone()))
            }
            (None, Some(_)) => {
                Err(fault("has a `url` that begins with neither http:// nor https://"))
            }
            (Some(_), Some(_)) => Err(fault("has both a `command` and a `url`; keep one of them")),
            (None, None) => Err(fault("needs a `command` = [\"program\", …] or a `url`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_one_way_to_it_and_a_fault_says_what_is_wrong() {
        let command = vec!["npx".to_owned(), "-y".to_owned(), "x".to_owned()];
        let program = ServerConfig { command, ..ServerConfig::default() };
        let arguments = vec!["-y".to_owned(), "x".to_owned()];
        assert_eq!(program.way("files"), Ok(Way::Command("npx".to_owned(), arguments)));
        let both = ServerConfig { url: Some("http://a/mcp".to_owned()), ..program.clone() };
        let none = ServerConfig::default();
        let strange = ServerConfig { url: Some("ftp://a".to_owned()), ..none.clone() };
        let closed = ServerConfig { concurrency: 0, ..program.clone() };
        let faults = [
            ("a.b", &program, "letters"),
            ("a", &both, "both"),
            ("a", &none, "needs"),
            ("a", &strange, "http://"),
            ("a", &closed, "enabled = false"),
        ];
        for (name, config, word) in faults {
            let fault = config.way(name).unwrap_err().to_string();
            assert!(fault.contains(word) && fault.contains("[servers."), "{fault}");
        }
    }
}
