//! The providers there are: those that everybody knows, and those that are configured.
//!
//! Nothing is asked here. A key is read from the environment when a request needs it, and kept nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;

use crate::config::{ModelsConfig, Protocol, ProviderConfig};
use crate::set::ModelsFault;

/// Reads a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The providers known without a configuration: name, protocol, base URL, variable of the key.
const KNOWN: &[(&str, Protocol, &str, Option<&str>)] = &[
    ("anthropic", Protocol::Anthropic, "https://api.anthropic.com/v1/", Some("ANTHROPIC_API_KEY")),
    (
        "gemini",
        Protocol::Gemini,
        "https://generativelanguage.googleapis.com/v1beta/",
        Some("GEMINI_API_KEY"),
    ),
    ("llamacpp", Protocol::Openai, "http://127.0.0.1:8080/v1/", None),
    ("lmstudio", Protocol::Openai, "http://127.0.0.1:1234/v1/", None),
    ("ollama", Protocol::Openai, "http://127.0.0.1:11434/v1/", None),
    ("openai", Protocol::Openai, "https://api.openai.com/v1/", Some("OPENAI_API_KEY")),
    ("vllm", Protocol::Openai, "http://127.0.0.1:8000/v1/", None),
];

/// Whose dialect of a protocol an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The inventor's own.
    Native,
    /// That of another server, which knows the common part.
    Compatible,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) dialect: Dialect,
    pub(crate) base: Url,
    pub(crate) key_env: Option<String>,
    /// The connect, first-byte and idle timeouts.
    pub(crate) timeouts: ProviderConfig,
}

/// What opens a provider. It is never shown.
pub(crate) struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// For the header that carries it, and for nothing else.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

/// All providers by name: the known ones, and those of the configuration.
pub(crate) fn providers(
    config: &ModelsConfig,
) -> Result<BTreeMap<String, Arc<Provider>>, ModelsFault> {
    let mut all = BTreeMap::new();
    for (name, _, _, _) in KNOWN {
        let own = config.providers.get(*name).cloned().unwrap_or_default();
        all.insert((*name).to_owned(), Arc::new(Provider::new(name, own)?));
    }
    for (name, own) in &config.providers {
        if !all.contains_key(name) {
            all.insert(name.clone(), Arc::new(Provider::new(name, own.clone())?));
        }
    }
    Ok(all)
}

impl Provider {
    fn new(name: &str, own: ProviderConfig) -> Result<Self, ModelsFault> {
        check_name(name)?;
        let mut own = own;
        let known = KNOWN.iter().find(|(known, _, _, _)| *known == name);
        // The key of a known provider goes to its own address only.
        if own.base_url.is_empty()
            && let Some((_, protocol, base_url, key_env)) = known
        {
            let chosen = (*protocol, own.protocol);
            let is_chosen = chosen == (Protocol::Openai, Protocol::OpenaiResponses);
            own.protocol = if is_chosen { own.protocol } else { *protocol };
            own.base_url = (*base_url).to_owned();
            own.key_env = own.key_env.or_else(|| key_env.map(str::to_owned));
        }
        let base = base_of(name, &own.base_url)?;
        let is_native = KNOWN.iter().any(|(_, _, url, key_env)| {
            key_env.is_some() && Url::parse(url).is_ok_and(|url| url.host() == base.host())
        });
        // Google serves OpenAI's protocol as well, and not all of it.
        let is_native = is_native
            && match own.protocol {
                Protocol::Openai | Protocol::OpenaiResponses => {
                    base.host_str() == Some("api.openai.com")
                }
                Protocol::Anthropic | Protocol::Gemini => true,
            };
        Ok(Self {
            name: name.to_owned(),
            protocol: own.protocol,
            dialect: if is_native { Dialect::Native } else { Dialect::Compatible },
            base,
            key_env: own.key_env.clone(),
            timeouts: own,
        })
    }

    /// Its key; `Err` names the variable that is not set.
    pub(crate) fn key(&self, environment: &Environment) -> Result<Option<Key>, String> {
        let Some(name) = &self.key_env else {
            return Ok(None);
        };
        match environment(name).map(|key| key.trim().to_owned()) {
            Some(key) if !key.is_empty() => Ok(Some(Key(key))),
            Some(_) | None => Err(name.clone()),
        }
    }

    /// Below its base; `Err` where the base takes nothing below it.
    pub(crate) fn url<'s>(&self, path: impl IntoIterator<Item = &'s str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Whether it runs on this machine: no proxy of the environment stands between.
    pub(crate) fn is_local(&self) -> bool {
        let Some(host) = self.base.host_str() else {
            return false;
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn check_name(name: &str) -> Result<(), ModelsFault> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(ModelsFault::new(format!(
        "[models.providers.\"{name}\"]: a provider's name is letters, digits, `_`, `-` and `.`"
    )))
}

fn base_of(name: &str, text: &str) -> Result<Url, ModelsFault> {
    let fault = |why: &str| ModelsFault::new(format!("[models.providers.{name}] base_url: {why}"));
    if text.is_empty() {
        return Err(fault("missing; write where it listens, like `http://127.0.0.1:8080/v1/`"));
    }
    let url = Url::parse(text).map_err(|why| fault(&why.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("holds a name or a password; put the key into a variable, `key_env`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("has a query or a fragment; leave it out"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, own: ProviderConfig) -> Result<Provider, String> {
        Provider::new(name, own).map_err(|fault| fault.to_string())
    }

    fn at(base_url: &str, protocol: Protocol) -> ProviderConfig {
        ProviderConfig { base_url: base_url.to_owned(), protocol, ..ProviderConfig::default() }
    }

    #[test]
    fn known_providers_need_no_configuration() {
        let all = providers(&ModelsConfig::default()).expect("sound");
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        let expected = ["anthropic", "gemini", "llamacpp", "lmstudio", "ollama", "openai", "vllm"];
        assert_eq!(names, expected);
        for (name, provider) in &all {
            let is_remote = matches!(name.as_str(), "anthropic" | "gemini" | "openai");
            assert_eq!(provider.key_env.is_some(), is_remote, "{name}");
            assert_eq!(provider.dialect == Dialect::Native, is_remote, "{name}");
            assert_eq!(provider.is_local(), !is_remote, "{name}");
        }
    }

    #[test]
    fn a_known_one_is_set_up_otherwise_without_saying_all_again() {
        let patient = ProviderConfig {
            idle_timeout: "5m".parse().expect("a span"),
            ..ProviderConfig::default()
        };
        let anthropic = of("anthropic", patient).expect("sound");
        assert_eq!(anthropic.protocol, Protocol::Anthropic);
        assert_eq!(anthropic.timeouts.idle_timeout.to_string(), "5m");
        let openai = of("openai", at("", Protocol::OpenaiResponses)).expect("sound");
        assert_eq!(openai.protocol, Protocol::OpenaiResponses);
        assert_eq!(openai.url(["responses"]).as_str(), "https://api.openai.com/v1/responses");
    }

    #[test]
    fn a_known_key_goes_to_no_other_address() {
        let elsewhere = of("openai", at("https://models.test/v1", Protocol::Openai));
        assert_eq!(elsewhere.expect("sound").key_env, None);
    }

    #[test]
    fn what_cannot_be_an_address_is_told() {
        for (name, url, said) in [
            ("mine", "", "missing"),
            ("mine", "127.0.0.1:80", "base_url"),
            ("mine", "file:///etc", "neither http://"),
            ("mine", "http://u:p@host/v1", "password"),
            ("mine", "http://host/v1?key=1", "query"),
            ("a/b", "http://host/v1", "letters"),
        ] {
            let fault = of(name, at(url, Protocol::Openai)).expect_err(url);
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn a_name_goes_into_the_path_as_one_piece() {
        let mine = of("mine", at("http://h/v1", Protocol::Gemini)).expect("sound");
        let url = mine.url(["models", "../a?b:c"]);
        assert_eq!(url.as_str(), "http://h/v1/models/..%2Fa%3Fb:c");
    }
}
