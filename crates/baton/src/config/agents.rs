//! `[agents.NAME]`: which models an agent asks, what it is told, what it may call, and how far it goes.
//!
//! It holds and checks what was declared, in the configuration or in the `baton.toml` beside a definition. Whether tools and models are there is found out where a
//! definition names the agent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use baton_core::agent::Cost;
use baton_core::definition::{AGENT_STEPS_MAX, MODELS_MAX, NAME_CHARS_MAX};
use baton_core::plan::{AgentLimits, AgentSpec, ModelSpec};
use baton_core::time::Span;
use baton_core::words::{Compaction, Permission};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The largest file of instructions, in bytes.
const INSTRUCTIONS_BYTES_MAX: u64 = 1024 * 1024;

/// Every agent by its name.
pub type Agents = BTreeMap<AgentName, Agent>;

/// An agent's name: letters, digits, `_`, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct AgentName(String);

impl std::borrow::Borrow<str> for AgentName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AgentName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AgentName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            return Err(format!(
                "`{shown}` is no name of an agent; use 1 to {NAME_CHARS_MAX} of the characters \
                 A-Z a-z 0-9 _ - ."
            ));
        }
        Ok(Self(name))
    }
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Agent {
    /// `provider/name`, tried in order; those of the role `worker` where it names none.
    pub models: Vec<String>,
    /// What a model is told beforehand.
    pub instructions: Instructions,
    /// What it may call: names of tools, or `server.*`.
    pub tools: Vec<String>,
    /// Which of these a person approves, each call anew.
    pub approve: Vec<String>,
    /// How long such a question stands.
    pub approve_within: Option<Span>,
    /// The highest permission its tasks may ask for.
    pub permission: Permission,
    /// How far it may go.
    pub limits: AgentLimits,
    /// What becomes of a transcript that outgrows its model's window.
    pub compaction: Compaction,
}

/// What a model is told beforehand, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Instructions {
    /// Nothing.
    #[default]
    None,
    /// `instructions`.
    Text(String),
    /// `instructions_file`: read anew for each plan.
    File(PathBuf),
}

impl Instructions {
    /// The text; `Err` says why it cannot be had.
    fn text(&self) -> Result<Option<String>, String> {
        match self {
            Self::None => Ok(None),
            Self::Text(text) => Ok(Some(text.clone())),
            Self::File(path) => read(path)
                .map(Some)
                .map_err(|cause| format!("its instructions_file {}: {cause}", path.display())),
        }
    }
}

/// The agents of the `baton.toml` in a definition's folder; none where there is no such file. It may
/// come with the definition, so that nothing else in it is believed, and instructions stand in that
/// folder. `Err` says what is wrong with it.
pub fn beside(folder: &Path) -> Result<Agents, String> {
    /// What of the file is looked at.
    #[derive(Deserialize)]
    struct Beside {
        #[serde(default)]
        agents: Agents,
    }
    let path = folder.join(super::FILE_NAME);
    if !path.exists() {
        return Ok(Agents::new());
    }
    let fault = |cause: String| format!("{} cannot be used: {}", path.display(), cause.trim_end());
    let text = read(&path).map_err(fault)?;
    let Beside { mut agents } = toml::from_str(&text).map_err(|cause| fault(cause.to_string()))?;
    for file in agents.values_mut().filter_map(Agent::file) {
        if !file.components().all(|part| matches!(part, Component::Normal(_))) {
            let cause = format!("the instructions_file {} is not in its folder", file.display());
            return Err(fault(cause));
        }
        *file = folder.join(&file);
    }
    Ok(agents)
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|cause| cause.to_string())?;
    // A pipe would never end, and a folder is none.
    if !file.metadata().map_err(|cause| cause.to_string())?.is_file() {
        return Err("this is no file".to_owned());
    }
    let mut text = String::new();
    let read = file.take(INSTRUCTIONS_BYTES_MAX + 1).read_to_string(&mut text);
    let bytes = read.map_err(|cause| cause.to_string())? as u64;
    if bytes > INSTRUCTIONS_BYTES_MAX {
        return Err(format!("it has more than {INSTRUCTIONS_BYTES_MAX} bytes"));
    }
    Ok(text)
}

impl Agent {
    /// The agent with its models, bounded by the highest permission that is allowed here. `Err` says
    /// why it cannot be used.
    pub fn spec(&self, models: Vec<ModelSpec>, most: Permission) -> Result<AgentSpec, String> {
        Ok(AgentSpec {
            models,
            instructions: self.instructions.text()?,
            tools: self.tools.clone(),
            approve: self.approve.clone(),
            approve_within: self.approve_within,
            permission: self.permission.min(most),
            limits: self.limits,
            compaction: self.compaction,
        })
    }

    /// The file of its instructions, to be found beside the configuration.
    pub(super) fn file(&mut self) -> Option<&mut PathBuf> {
        match &mut self.instructions {
            Instructions::File(path) => Some(path),
            Instructions::None | Instructions::Text(_) => None,
        }
    }
}

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    #[serde(deserialize_with = "models")]
    models: Vec<String>,
    instructions: Option<String>,
    instructions_file: Option<PathBuf>,
    #[serde(deserialize_with = "patterns")]
    tools: Vec<String>,
    #[serde(deserialize_with = "patterns")]
    approve: Vec<String>,
    approve_within: Option<Span>,
    permission: Permission,
    #[serde(deserialize_with = "at_least_one")]
    turns: u32,
    #[serde(deserialize_with = "steps")]
    calls: u32,
    #[serde(deserialize_with = "steps")]
    asks: u32,
    #[serde(deserialize_with = "tokens")]
    output_tokens: u64,
    #[serde(deserialize_with = "some_tokens")]
    tokens: Option<u64>,
    #[serde(deserialize_with = "cost")]
    usd: Option<Cost>,
    compaction: Compaction,
}

impl Default for Written {
    fn default() -> Self {
        let limits = AgentLimits::default();
        Self {
            models: Vec::new(),
            instructions: None,
            instructions_file: None,
            tools: Vec::new(),
            approve: Vec::new(),
            approve_within: None,
            permission: Permission::ReadOnly,
            turns: limits.turns_max,
            calls: limits.calls_max,
            asks: limits.asks_max,
            output_tokens: limits.output_tokens_max.into(),
            tokens: limits.tokens_max,
            usd: limits.cost_max,
            compaction: Compaction::default(),
        }
    }
}

impl TryFrom<Written> for Agent {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let instructions = match (written.instructions, written.instructions_file) {
            (None, None) => Instructions::None,
            (Some(text), None) => Instructions::Text(text),
            (None, Some(path)) => Instructions::File(path),
            (Some(_), Some(_)) => {
                let fault =
                    "there are both `instructions` and `instructions_file`; keep one of them";
                return Err(fault.to_owned());
            }
        };
        if written.approve_within.is_some() && written.approve.is_empty() {
            let fault =
                "`approve_within` goes with `approve`; name the tools that a person approves";
            return Err(fault.to_owned());
        }
        let limits = AgentLimits {
            turns_max: written.turns,
            calls_max: written.calls,
            asks_max: written.asks,
            output_tokens_max: u32::try_from(written.output_tokens).unwrap_or(u32::MAX),
            tokens_max: written.tokens,
            cost_max: written.usd,
        };
        Ok(Self {
            models: written.models,
            instructions,
            tools: written.tools,
            approve: written.approve,
            approve_within: written.approve_within,
            permission: written.permission,
            limits,
            compaction: written.compaction,
        })
    }
}

fn models<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let models = Vec::<String>::deserialize(from)?;
    let is_whole = |name: &&String| {
        name.split_once('/')
            .is_some_and(|(provider, rest)| !provider.is_empty() && !rest.is_empty())
    };
    if let Some(wrong) = models.iter().find(|name| !is_whole(name)) {
        let message = format!("{wrong:?} is no model; write it like `provider/name`");
        return Err(D::Error::custom(message));
    }
    if models.len() > MODELS_MAX {
        return Err(D::Error::custom(format!("at most {MODELS_MAX} models are tried in order")));
    }
    Ok(models)
}

fn patterns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(from)?;
    let is_pattern = |text: &&String| {
        text.split_once('.').is_some_and(|(server, tool)| {
            let is_whole = !server.is_empty() && !tool.is_empty() && !server.contains('*');
            is_whole && (tool == "*" || !tool.contains('*'))
        })
    };
    if let Some(wrong) = patterns.iter().find(|text| !is_pattern(text)) {
        let message =
            format!("{wrong:?} is no tool; write it like `git.log`, or `git.*` for all of one");
        return Err(D::Error::custom(message));
    }
    Ok(patterns)
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(u32::deserialize(from)?, 1)
}

fn steps<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(u32::deserialize(from)?, 0)
}

fn within<E: Error>(value: u32, least: u32) -> Result<u32, E> {
    if (least..=AGENT_STEPS_MAX).contains(&value) {
        return Ok(value);
    }
    Err(E::custom(format!("{value} is not within {least} to {AGENT_STEPS_MAX}")))
}

fn tokens<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        0 => Err(D::Error::custom("there must be room for at least one token")),
        value => Ok(value),
    }
}

fn some_tokens<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    tokens(from).map(Some)
}

fn cost<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Cost>, D::Error> {
    let cost = Cost::deserialize(from)?;
    if cost == Cost::default() {
        return Err(D::Error::custom("there must be more than nothing to spend"));
    }
    Ok(Some(cost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(&format!("[agents.reader]\n{text}\n")).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_written_is_what_holds_and_the_rest_is_as_usual() {
        let agents = read("").unwrap().agents;
        let usual = agents.get("reader").unwrap();
        assert_eq!((usual.limits, usual.compaction), Default::default());
        assert_eq!((usual.permission, usual.tools.len()), (Permission::ReadOnly, 0));
        let all = "models = [\"ollama/a\", \"local/b/c\"]\ninstructions = \"Be brief.\"\n\
             tools = [\"git.*\", \"fs.read\"]\napprove = [\"git.log\"]\napprove_within = \"5m\"\n\
             permission = \"read_write\"\nturns = 5\ncalls = 0\nasks = 1\noutput_tokens = 100\n\
             tokens = 5000000000\nusd = \"0.25\"\ncompaction = \"fail\"";
        let agents = read(all).unwrap().agents;
        let spec = agents.get("reader").unwrap().spec(Vec::new(), Permission::ReadOnly).unwrap();
        assert_eq!(spec.instructions.as_deref(), Some("Be brief."));
        assert_eq!((spec.tools.len(), spec.approve.len()), (2, 1));
        assert_eq!((spec.approve_within, spec.compaction), ("5m".parse().ok(), Compaction::Fail));
        assert_eq!(spec.permission, Permission::ReadOnly, "no agent has more than is allowed here");
        let AgentLimits { turns_max, calls_max, asks_max, output_tokens_max, tokens_max, cost_max } =
            spec.limits;
        assert_eq!((turns_max, calls_max, asks_max, output_tokens_max), (5, 0, 1, 100));
        assert_eq!((tokens_max, cost_max), (Some(5_000_000_000), "0.25".parse().ok()));
    }

    #[test]
    fn a_fault_names_its_line_its_column_and_what_would_do() {
        for (text, place, says) in [
            ("models = [\"gpt\"]", "line 2, column 10", "write it like `provider/name`"),
            ("tools = [\"*\"]", "line 2, column 9", "write it like `git.log`, or `git.*`"),
            ("tools = [\"git.l*\"]", "line 2, column 9", "\"git.l*\" is no tool"),
            ("permission = \"admin\"", "line 2, column 14", "admin"),
            ("turns = 0", "line 2, column 9", "0 is not within 1 to 100000"),
            ("tokens = 0", "line 2, column 10", "at least one token"),
            ("usd = 0.5", "line 2, column 7", "expected a string"),
            ("usd = \"a lot\"", "line 2, column 7", "a sum of dollars like \"0.50\""),
            ("instruction = \"x\"", "line 2, column 1", "unknown field `instruction`"),
            ("instructions = \"x\"\ninstructions_file = \"y\"", "line 1", "keep one of them"),
            ("approve_within = \"5m\"", "line 1, column 1", "goes with `approve`"),
            ("[agents.\"a b\"]", "line 2, column 9", "`a b` is no name of an agent"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(place) && fault.contains(says), "{text}: {fault}");
        }
    }

    #[test]
    fn of_a_file_beside_a_definition_only_its_agents_are_believed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(beside(folder.path()), Ok(Agents::new()));
        let write = |text: &str| std::fs::write(folder.path().join("baton.toml"), text).unwrap();
        write("[tools.shell]\nallow = true\n[agents.a]\ninstructions_file = \"a.md\"\n");
        let agents = beside(folder.path()).unwrap();
        let file = Instructions::File(folder.path().join("a.md"));
        assert_eq!(agents.get("a").unwrap().instructions, file);
        for (text, says) in [
            ("[agents.a]\ninstructions_file = \"../a.md\"", "is not in its folder"),
            ("[agents.a]\ninstructions_file = \"/etc/passwd\"", "is not in its folder"),
            ("[agents.a]\nturns = 0", "line 2, column 9"),
        ] {
            write(text);
            let fault = beside(folder.path()).unwrap_err();
            assert!(fault.contains("baton.toml") && fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn instructions_are_read_from_a_file_that_is_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("told.md"), "Be brief.").unwrap();
        let spec = |name: &str| {
            let agents = read(&format!("instructions_file = \"{name}\"")).unwrap();
            let agents = agents.relative_to(folder.path()).agents;
            agents.get("reader").unwrap().spec(Vec::new(), Permission::ReadOnly)
        };
        assert_eq!(spec("told.md").unwrap().instructions.as_deref(), Some("Be brief."));
        for (name, says) in [("none.md", "none.md"), ("", "this is no file")] {
            let fault = spec(name).unwrap_err();
            assert!(fault.contains("instructions_file") && fault.contains(says), "{fault}");
        }
    }
}
