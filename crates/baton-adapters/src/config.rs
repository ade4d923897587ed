//! The `[tools]` section of `baton.toml`: roots, hosts, bounds, and what is off by default.
//!
//! It only holds what was declared; opening the roots is [`crate::BuiltinTools::new`]'s work.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;

/// What the built-in tools may touch. Every field has a default; unknown fields are faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolsConfig {
    /// `roots`: the folders tools may read and write beneath. Relative paths of calls start at the
    /// first one. Empty means the folder the process was started in.
    pub roots: Vec<PathBuf>,
    /// `[tools.http]`: where `http.get` and `http.request` may go.
    pub http: HttpConfig,
    /// `[tools.shell]`: whether and how `shell.run` runs.
    pub shell: ShellConfig,
    /// `[tools.limits]`: the bounds of every call.
    pub limits: Limits,
}

/// Yes or no to something that is no by default; `true` or `false` in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "bool")]
pub enum Permit {
    /// Refused. The default.
    #[default]
    Denied,
    /// Allowed.
    Granted,
}

impl From<bool> for Permit {
    fn from(granted: bool) -> Self {
        if granted { Self::Granted } else { Self::Denied }
    }
}

/// Where HTTP calls may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// `hosts`: exact names (`api.example.org`), names with a port (`localhost:8080`), every name
    /// beneath one (`*.example.org`), or `*` for any. Empty means none.
    pub hosts: Vec<String>,
    /// `allow_private`: whether private, loopback and link-local addresses may be connected to.
    pub allow_private: Permit,
}

/// How `shell.run` runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShellConfig {
    /// `allow`: whether `shell.run` exists at all.
    pub allow: Permit,
    /// `env`: the names of Baton's environment variables that commands see.
    pub env: Vec<String>,
}

impl Default for ShellConfig {
    fn default() -> Self {
        let env = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER"];
        Self { allow: Permit::Denied, env: env.map(str::to_owned).to_vec() }
    }
}

/// The bounds of every call; a call may ask for less, never for more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `file_bytes_max`: bytes of one file that is read, written or searched.
    pub file_bytes_max: usize,
    /// `list_entries_max`: entries of `fs.list` and `git.status`.
    pub list_entries_max: usize,
    /// `search_matches_max`: lines that `fs.search` reports.
    pub search_matches_max: usize,
    /// `log_entries_max`: commits of `git.log`.
    pub log_entries_max: usize,
    /// `csv_rows_max`: rows of `csv.read` and `csv.write`.
    pub csv_rows_max: usize,
    /// `output_bytes_max`: bytes taken of a child's output, of each stream.
    pub output_bytes_max: usize,
    /// `http_bytes_max`: bytes of an answer's body, decompressed.
    pub http_bytes_max: usize,
    /// `text_bytes_max`: bytes that a template or a query may yield.
    pub text_bytes_max: usize,
    /// `fuel`: instructions a template or a query may take.
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 16 << 20,
            list_entries_max: 100_000,
            search_matches_max: 10_000,
            log_entries_max: 10_000,
            csv_rows_max: 100_000,
            output_bytes_max: 8 << 20,
            http_bytes_max: 16 << 20,
            text_bytes_max: 4 << 20,
            fuel: 1_000_000,
        }
    }
}

/// Why the built-in tools cannot be set up.
#[derive(Debug)]
pub enum ToolsError {
    /// There is no current folder to take as the root.
    NoFolder(io::Error),
    /// A declared root cannot be opened as a folder.
    Root(PathBuf, io::Error),
    /// A declared host is not a host pattern.
    Host(String),
}

impl fmt::Display for ToolsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder(cause) => write!(
                f,
                "the current folder cannot be read ({cause}); name one in `[tools] roots`"
            ),
            Self::Root(path, cause) => write!(
                f,
                "`[tools] roots` names {}, which cannot be opened as a folder: {cause}",
                path.display()
            ),
            Self::Host(host) => write!(
                f,
                "`[tools.http] hosts` names `{host}`, which is no host pattern; \
                 write `api.example.org`, `*.example.org`, `localhost:8080` or `*`"
            ),
        }
    }
}

impl std::error::Error for ToolsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoFolder(cause) | Self::Root(_, cause) => Some(cause),
            Self::Host(_) => None,
        }
    }
}
