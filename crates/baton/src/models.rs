//! Which models an agent asks: those it names, those of the role `worker`, else one that was found.
//!
//! So a key in the environment or a server on this machine is enough. Asking is not its business.

use std::cell::OnceCell;

use baton_core::plan::ModelSpec;
use baton_models::{Found, ModelSet, ModelsConfig, Standing, discover};

/// The model that is asked with nothing but a provider's key: small ones, under names that stay. From the
/// providers' lists of models, 2026-11.
const WITH_KEY: &[(&str, &str)] = &[
    ("anthropic", "anthropic/claude-haiku-4-5"),
    ("gemini", "gemini/gemini-flash-latest"),
    ("openai", "openai/gpt-5-mini"),
];

/// The models of one configuration. What can be found is looked for once, and only where it is needed.
pub struct Chosen {
    config: ModelsConfig,
    models: ModelSet,
    found: OnceCell<Vec<String>>,
}

impl Chosen {
    /// `Err` says why the configured ones cannot be used.
    pub fn new(config: &ModelsConfig) -> Result<Self, String> {
        let models = ModelSet::new(config.clone()).map_err(|fault| fault.to_string())?;
        Ok(Self { config: config.clone(), models, found: OnceCell::new() })
    }

    /// What is known of the models of an agent that names these; empty where there is none at all.
    pub fn of(&self, names: &[String]) -> Vec<ModelSpec> {
        let named = self.models.resolve(names);
        if !named.is_empty() {
            return named;
        }
        let found = self.found.get_or_init(|| first(&discover(&self.config, &is_set)));
        self.models.resolve(found)
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The one to ask: on this machine where there is one, as that costs nothing.
fn first(found: &[Found]) -> Vec<String> {
    let local = found.iter().find_map(|one| match &one.standing {
        Standing::Has(models) => {
            // Those that only turn text into numbers say so in their names.
            let speaks = models.iter().find(|name| !name.contains("embed"))?;
            Some(format!("{}/{speaks}", one.provider))
        }
        Standing::KeyIsSet(_)
        | Standing::KeyIsMissing(_)
        | Standing::Silent(_)
        | Standing::Elsewhere
        | Standing::Unknown => None,
    });
    let with_key = || {
        let keyed = |of: &str| {
            let is_it = |one: &&Found| one.provider == of;
            found.iter().find(is_it).is_some_and(Found::is_there)
        };
        WITH_KEY.iter().find(|(of, _)| keyed(of)).map(|(_, model)| (*model).to_owned())
    };
    local.or_else(with_key).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(provider: &str, standing: Standing) -> Found {
        Found { provider: provider.to_owned(), base_url: String::new(), is_wanted: false, standing }
    }

    #[test]
    fn what_runs_here_goes_before_what_is_paid_and_nothing_is_made_up() {
        let key = |provider| found(provider, Standing::KeyIsSet("KEY".to_owned()));
        let has = |models: &[&str]| {
            let models = models.iter().map(|&model| model.to_owned()).collect();
            found("ollama", Standing::Has(models))
        };
        let missing = found("anthropic", Standing::KeyIsMissing("KEY".to_owned()));
        assert_eq!(first(&[key("openai"), has(&["nomic-embed", "qwen"])]), ["ollama/qwen"]);
        assert_eq!(first(&[missing.clone(), key("openai")]), ["openai/gpt-5-mini"]);
        assert_eq!(first(&[key("openai"), has(&[])]), ["openai/gpt-5-mini"]);
        assert!(first(&[missing, key("of-my-own")]).is_empty());
    }

    #[test]
    fn what_is_asked_without_a_word_has_a_known_price() {
        let chosen = Chosen::new(&ModelsConfig::default()).unwrap();
        for (_, model) in WITH_KEY {
            let specs = chosen.of(&[(*model).to_owned()]);
            assert!(specs[0].price.is_some() && specs[0].window_tokens.is_some(), "{specs:?}");
        }
    }
}
