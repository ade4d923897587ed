//! Which models there are: keys in the environment, local servers on their usual ports, and what is
//! configured.
//!
//! Of a key only its variable's name is told, and no provider beyond this machine is asked anything:
//! that costs, and needs the key. Asking for a word is another matter (`baton doctor --try-models`).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::config::{ModelsConfig, ProviderConfig};
use crate::scripted::PROVIDER as SCRIPTED;

/// Providers that everybody knows, the variables of their keys, and the model of each that is asked
/// where nobody names one: neither its dearest nor its smallest.
const WITH_KEYS: &[(&str, &str, &str)] = &[
    ("anthropic", "ANTHROPIC_API_KEY", "claude-sonnet-5-5"),
    ("openai", "OPENAI_API_KEY", "gpt-6.1-terra"),
    ("gemini", "GEMINI_API_KEY", "gemini-3.8-flash"),
];

/// Servers that run on this machine, and where they listen unless told otherwise.
const LOCAL: &[(&str, &str)] = &[
    ("llamacpp", "http://127.0.0.1:8080/v1/"),
    ("lmstudio", "http://127.0.0.1:1234/v1/"),
    ("ollama", "http://127.0.0.1:11434/v1/"),
    ("vllm", "http://127.0.0.1:8000/v1/"),
];

/// How long a server on this machine may take to say which models it has.
const ASK_MAX: Duration = Duration::from_millis(1_500);
/// The longest list of models that is read, in bytes.
const LIST_BYTES_MAX: u64 = 1024 * 1024;
/// The most models of one server that are told, and the characters of a name.
const MODELS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 200;

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name: what models' names begin with.
    pub provider: String,
    /// Where it listens; empty for those that everybody knows.
    pub base_url: String,
    /// Whether somebody configured it or a role names it, so that it should be there.
    pub is_wanted: bool,
    /// How it stands.
    pub standing: Standing,
}

/// How a provider stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This variable holds a key. Whether the provider takes it, only a call tells.
    KeyIsSet(String),
    /// This variable holds none.
    KeyIsMissing(String),
    /// It listens on this machine, and has these models.
    Has(Vec<String>),
    /// It should listen on this machine, and does not say which models it has.
    Silent(String),
    /// It is elsewhere and needs no key: only a call tells.
    Elsewhere,
    /// A role names it, and nobody says where it is.
    Unknown,
}

impl Found {
    /// Whether it can be asked, as far as can be told without asking.
    pub fn is_there(&self) -> bool {
        match &self.standing {
            Standing::KeyIsSet(_) | Standing::Has(_) | Standing::Elsewhere => true,
            Standing::KeyIsMissing(_) | Standing::Silent(_) | Standing::Unknown => false,
        }
    }

    /// What to do where it is not there.
    pub fn mend(&self) -> Option<String> {
        let name = &self.provider;
        match &self.standing {
            Standing::KeyIsSet(_) | Standing::Has(_) | Standing::Elsewhere => None,
            Standing::KeyIsMissing(variable) => {
                Some(format!("set {variable} in the environment of Baton"))
            }
            Standing::Silent(_) => {
                Some(format!("start it, or set `base_url` of [models.providers.{name}]"))
            }
            Standing::Unknown => Some(format!("declare [models.providers.{name}] with `base_url`")),
        }
    }
}

/// Looks for all that may be there. Servers on this machine are asked at the same time; it takes at
/// most as long as the slowest, about two seconds.
///
/// `is_set` says whether a variable of the environment holds something.
pub fn discover(config: &ModelsConfig, is_set: &dyn Fn(&str) -> bool) -> Vec<Found> {
    let wanted = wanted(config);
    let mut found = Vec::new();
    let mut to_ask = BTreeMap::new();
    for (name, place) in places(config) {
        let is_wanted = wanted.contains(&name.as_str()) || config.providers.contains_key(&name);
        let standing = match place {
            Place::Key(variable) if is_set(&variable) => Standing::KeyIsSet(variable),
            Place::Key(variable) => Standing::KeyIsMissing(variable),
            Place::Here(base_url) => {
                to_ask.insert(name.clone(), base_url);
                Standing::Silent(String::new())
            }
            Place::Elsewhere => Standing::Elsewhere,
            Place::Nowhere => Standing::Unknown,
        };
        let base_url = to_ask.get(&name).cloned().unwrap_or_default();
        found.push(Found { provider: name, base_url, is_wanted, standing });
    }
    let agent = agent();
    std::thread::scope(|scope| {
        for found in &mut found {
            if to_ask.contains_key(&found.provider) {
                let agent = &agent;
                scope.spawn(move || found.standing = ask(agent, &found.base_url));
            }
        }
    });
    found
}

/// The models that are asked where nobody names any: those of the keys that are set, or, where none
/// is, the first of each server on this machine.
pub fn usual_models(found: &[Found]) -> Vec<String> {
    let with_key = WITH_KEYS.iter().filter_map(|(provider, _, model)| {
        let of = found.iter().find(|found| found.provider == *provider)?;
        matches!(of.standing, Standing::KeyIsSet(_)).then(|| format!("{provider}/{model}"))
    });
    let usual: Vec<String> = with_key.collect();
    if !usual.is_empty() {
        return usual;
    }
    let local = found.iter().filter_map(|found| match &found.standing {
        // Models that turn text into vectors have it in their names.
        Standing::Has(models) => models
            .iter()
            .find(|model| !model.contains("embed"))
            .map(|model| format!("{}/{model}", found.provider)),
        Standing::KeyIsSet(_)
        | Standing::KeyIsMissing(_)
        | Standing::Silent(_)
        | Standing::Elsewhere
        | Standing::Unknown => None,
    });
    local.collect()
}

/// Where a provider is.
enum Place {
    Key(String),
    Here(String),
    Elsewhere,
    Nowhere,
}

/// All providers: known, configured, and named by a role.
fn places(config: &ModelsConfig) -> BTreeMap<String, Place> {
    let known =
        WITH_KEYS.iter().map(|(name, key, _)| ((*name).to_owned(), Place::Key((*key).to_owned())));
    let local =
        LOCAL.iter().map(|(name, base)| ((*name).to_owned(), Place::Here((*base).to_owned())));
    let mut places: BTreeMap<String, Place> = known.chain(local).collect();
    for (name, declared) in &config.providers {
        if let Some(place) = declared_place(declared) {
            places.insert(name.clone(), place);
        }
    }
    for name in wanted(config) {
        places.entry(name.to_owned()).or_insert(Place::Nowhere);
    }
    places
}

fn declared_place(declared: &ProviderConfig) -> Option<Place> {
    match &declared.key_env {
        Some(variable) => Some(Place::Key(variable.clone())),
        // A known one, set up otherwise: it is where it was.
        None if declared.base_url.is_empty() => None,
        None if is_here(&declared.base_url) => Some(Place::Here(declared.base_url.clone())),
        None => Some(Place::Elsewhere),
    }
}

/// Whether an address is one of this machine.
fn is_here(base_url: &str) -> bool {
    let Ok(uri) = base_url.parse::<ureq::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address: Result<std::net::IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The providers whose models a role names.
fn wanted(config: &ModelsConfig) -> Vec<&str> {
    let roles = [&config.planner, &config.worker, &config.rewriter, &config.embedder];
    let names = roles.into_iter().flatten().chain(&config.only);
    let providers = names.filter_map(|name| name.split_once('/').map(|(provider, _)| provider));
    providers.filter(|provider| *provider != SCRIPTED && !provider.contains(':')).collect()
}

/// No proxy stands between this machine and itself, and nothing here leads elsewhere.
fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(ASK_MAX))
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

/// Asks a server which models it has, as OpenAI's protocol has it.
fn ask(agent: &Agent, base_url: &str) -> Standing {
    let url = format!("{}/models", base_url.trim_end_matches('/'));
    let answer = match agent.get(&url).call() {
        Ok(answer) => answer,
        Err(why) => return Standing::Silent(why.to_string()),
    };
    let status = answer.status();
    let mut text = String::new();
    let read = answer.into_body().into_reader().take(LIST_BYTES_MAX).read_to_string(&mut text);
    match (status.is_success(), read) {
        (true, Ok(_)) => listed(&text),
        (true, Err(why)) => Standing::Silent(why.to_string()),
        (false, _) => Standing::Silent(format!("it answers {}", status.as_u16())),
    }
}

fn listed(text: &str) -> Standing {
    let list: Option<Value> = serde_json::from_str(text).ok();
    let Some(list) = list.as_ref().and_then(|list| list.get("data")).and_then(Value::as_array)
    else {
        return Standing::Silent("what listens there is no server of models".to_owned());
    };
    let ids = list.iter().filter_map(|model| model.get("id").and_then(Value::as_str));
    let names = ids.map(|id| id.chars().take(NAME_CHARS_MAX).collect());
    Standing::Has(names.take(MODELS_MAX).collect())
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
