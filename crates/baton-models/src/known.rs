//! The providers known without a configuration: what they speak, where they are, and what opens them.
//!
//! One table for those who ask models and those who look for them. Nothing is asked here.

use crate::config::Protocol;

/// One of them.
pub(crate) struct KnownProvider {
    /// What its models' names begin with.
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) base_url: &'static str,
    pub(crate) access: Access,
}

/// Who may ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Who has its key.
    Key {
        /// The variable of the environment that holds it.
        variable: &'static str,
        /// The model that is asked where nobody names one: one that the table of prices knows.
        usual_model: &'static str,
    },
    /// Whoever is on the same machine.
    Local,
}

/// All of them; those that need a key in the order in which they are asked where nobody names one.
pub(crate) const KNOWN: &[KnownProvider] = &[
    KnownProvider {
        name: "anthropic",
        protocol: Protocol::Anthropic,
        base_url: "https://api.anthropic.com/v1/",
        access: Access::Key { variable: "ANTHROPIC_API_KEY", usual_model: "claude-sonnet-5-5" },
    },
    KnownProvider {
        name: "openai",
        protocol: Protocol::Openai,
        base_url: "https://api.openai.com/v1/",
        access: Access::Key { variable: "OPENAI_API_KEY", usual_model: "gpt-6.1-terra" },
    },
    KnownProvider {
        name: "gemini",
        protocol: Protocol::Gemini,
        base_url: "https://generativelanguage.googleapis.com/v1beta/",
        access: Access::Key { variable: "GEMINI_API_KEY", usual_model: "gemini-3.8-flash" },
    },
    local("llamacpp", "http://127.0.0.1:8080/v1/"),
    local("lmstudio", "http://127.0.0.1:1234/v1/"),
    local("ollama", "http://127.0.0.1:11434/v1/"),
    local("vllm", "http://127.0.0.1:8000/v1/"),
];

/// A server that listens here unless told otherwise.
const fn local(name: &'static str, base_url: &'static str) -> KnownProvider {
    KnownProvider { name, protocol: Protocol::Openai, base_url, access: Access::Local }
}

impl Access {
    /// The variable of the key, where one is needed.
    pub(crate) fn variable(self) -> Option<&'static str> {
        match self {
            Self::Key { variable, .. } => Some(variable),
            Self::Local => None,
        }
    }
}
