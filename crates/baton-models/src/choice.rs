//! Which models an agent's turns go to, and what is pinned of them in a plan.
//!
//! A plan that was admitted keeps the models it has: a choice changes those that are read with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use baton_core::agent::Price;
use baton_core::failure::CallFailure;
use baton_core::plan::ModelSpec;
use baton_core::time::Timestamp;
use baton_core::words::FailureKind;

use crate::config::ModelsConfig;
use crate::prices::{Prices, price_of};
use crate::scripted::{PROVIDER, Script};
use crate::set::ModelsFault;

/// What a file of answers is named with, where a model is.
const SCRIPTED: &str = "scripted:";

/// The models that are known by name, and the one that takes every other's place.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The only model that agents of definitions read from now on ask.
    only: Option<String>,
    /// By the names of their models.
    scripts: BTreeMap<String, Script>,
    prices: Prices,
    known: BTreeMap<String, Known>,
}

/// What `[models.known]` says of a model.
#[derive(Clone, Copy, Debug)]
struct Known {
    window_tokens: Option<u64>,
    price: Option<Price>,
}

impl Choice {
    /// As configured; scripts are read.
    pub(crate) fn new(config: &ModelsConfig) -> Result<Self, ModelsFault> {
        let mut known = BTreeMap::new();
        for (model, said) in &config.known {
            let price = price_of(said).map_err(|why| {
                let help = "write dollars per million tokens, like `input = \"0.15\"`";
                ModelsFault::new(format!("[models.known.\"{model}\"]: {why}; {help}"))
            })?;
            known.insert(model.clone(), Known { window_tokens: said.window_tokens, price });
        }
        let (scripts, prices) = (BTreeMap::new(), Prices::table());
        let mut choice = Self { only: None, scripts, prices, known };
        for file in &config.scripts {
            choice.add_script(file)?;
        }
        if let Some(model) = &config.only {
            choice.only(model)?;
        }
        Ok(choice)
    }

    /// Has every agent that is read from now on ask this model alone: `provider/name`, or
    /// `scripted:FILE`.
    pub(crate) fn only(&mut self, model: &str) -> Result<(), ModelsFault> {
        let name = match script_file(model) {
            Some(file) => self.add_script(&file)?,
            None => model.to_owned(),
        };
        let is_name =
            name.split_once('/').is_some_and(|(of, name)| !of.is_empty() && !name.is_empty());
        if !is_name {
            let help = "write it as `provider/name`, or as `scripted:FILE`";
            return Err(ModelsFault::new(format!("`{model}` names no model; {help}")));
        }
        self.only = Some(name);
        Ok(())
    }

    fn add_script(&mut self, file: &Path) -> Result<String, ModelsFault> {
        let script = Script::read(file)?;
        let model = script.model();
        match self.scripts.get(&model) {
            Some(other) if other.file() != file => {
                let (one, two) = (other.file().display(), file.display());
                let why = format!("{one} and {two} would both be `{model}`; rename one of them");
                return Err(ModelsFault::new(why));
            }
            Some(_) | None => self.scripts.insert(model.clone(), script),
        };
        Ok(model)
    }

    /// What is known of a model: as declared, else what its script says, else the table.
    pub(crate) fn spec(&self, model: &str) -> ModelSpec {
        let mut spec = match self.scripts.get(model) {
            None => self.prices.spec(model, &today()),
            Some(script) => ModelSpec {
                name: model.to_owned(),
                window_tokens: script.window_tokens(),
                price: script.price(),
            },
        };
        if let Some(known) = self.known.get(model) {
            spec.window_tokens = known.window_tokens.or(spec.window_tokens);
            spec.price = known.price.or(spec.price);
        }
        spec
    }

    /// What an agent that names these models is to be given, in their order.
    pub(crate) fn resolve(&self, models: &[String]) -> Vec<ModelSpec> {
        match &self.only {
            Some(only) => vec![self.spec(only)],
            None => models.iter().map(|model| self.spec(model)).collect(),
        }
    }

    /// The script that stands in for this model. `None` where the model is none of scripts at all.
    pub(crate) fn script(&self, model: &str) -> Option<Result<&Script, CallFailure>> {
        let (provider, _) = model.split_once('/')?;
        (provider == PROVIDER).then(|| {
            self.scripts.get(model).ok_or_else(|| {
                let message = format!(
                    "no script stands in for `{model}` here; name its file by `--model \
                     scripted:FILE`, or under `scripts` of [models]"
                );
                CallFailure::refused(FailureKind::NotFound, message)
            })
        })
    }

    /// The file that answers for every agent, where one does.
    pub(crate) fn only_script(&self) -> Option<&Path> {
        self.scripts.get(self.only.as_deref()?).map(Script::file)
    }
}

/// The file of `scripted:FILE`; none where a choice names a model.
pub fn script_file(model: &str) -> Option<PathBuf> {
    model.strip_prefix(SCRIPTED).map(PathBuf::from)
}

/// The day it is, `2026-11-21`.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(millis).to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn config(known: &[(&str, &str, &str)]) -> ModelsConfig {
        let known = known.iter().map(|(model, input, output)| {
            let (input, output) = (Some((*input).to_owned()), Some((*output).to_owned()));
            ((*model).to_owned(), config::Known { input, output, ..Default::default() })
        });
        ModelsConfig { known: known.collect(), ..Default::default() }
    }

    fn script_in(folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, "answers: [{turns: [{text: yes it is}]}]").expect("written");
        file
    }

    #[test]
    fn what_is_declared_goes_before_the_table() {
        let declared = config(&[("openai/gpt-5", "0.15", "1")]);
        let choice = Choice::new(&declared).expect("a sum");
        let spec = choice.spec("openai/gpt-5");
        assert_eq!(spec.price.map(|price| (price.input, price.output)), Some((150_000, 1_000_000)));
        assert!(spec.window_tokens.is_some(), "the table still says what is not declared");
        assert_eq!(choice.spec("ollama/made-up"), ModelSpec::named("ollama/made-up"));
    }

    #[test]
    fn a_price_that_is_no_sum_is_a_fault_that_names_it() {
        for (input, output) in [("cheap", "1"), ("0.0000001", "1"), ("-1", "1")] {
            let fault = Choice::new(&config(&[("a/b", input, output)])).expect_err("no sum");
            let fault = fault.to_string();
            assert!(
                fault.contains("[models.known.\"a/b\"]") && fault.contains("`input`"),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_choice_takes_the_place_of_every_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = script_in(folder.path(), "desk.script.yaml");
        let mut choice = Choice::new(&ModelsConfig::default()).expect("empty");
        let models = ["openai/gpt-5".to_owned(), "gemini/gemini-3.8-flash".to_owned()];
        let names = |choice: &Choice| -> Vec<String> {
            choice.resolve(&models).into_iter().map(|spec| spec.name).collect()
        };
        assert_eq!(names(&choice), models);
        choice.only("mistral/mistral-large-4").expect("a model");
        assert_eq!(names(&choice), ["mistral/mistral-large-4"]);
        let named = format!("scripted:{}", file.display());
        choice.only(&named).expect("a script");
        assert_eq!(names(&choice), ["scripted/desk"]);
        assert_eq!(choice.only_script(), Some(file.as_path()));
    }

    #[test]
    fn what_names_no_model_is_a_fault() {
        let mut choice = Choice::new(&ModelsConfig::default()).expect("empty");
        for wrong in ["gpt-5", "/x", "openai/", "scripted:/nowhere/at/all.yaml"] {
            let fault = choice.only(wrong).expect_err(wrong).to_string();
            assert!(fault.contains(wrong.trim_start_matches("scripted:")), "{fault}");
        }
    }

    #[test]
    fn two_scripts_of_one_name_are_a_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        let scripts = vec![script_in(folder.path(), "a.yaml"), script_in(folder.path(), "a.json")];
        let declared = ModelsConfig { scripts, ..Default::default() };
        let fault = Choice::new(&declared).expect_err("both are scripted/a").to_string();
        assert!(fault.contains("scripted/a") && fault.contains("rename"), "{fault}");
    }
}
