//! Which models agents can ask, what is missing, and, where that is wanted, whether they answer.
//!
//! Of keys it tells the names of variables alone. It knows no protocol.

use std::time::{Duration, Instant};

use baton_core::agent::Message;
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::ModelSpec;
use baton_core::spoken::{many, span};
use baton_engine::ports::{CallContext, Control, ModelAnswer, ModelRequest, Models};
use baton_models::{Found, ModelSet, ModelsConfig, Prices, Standing, discover, usual_models};

use super::{Level, Report};
use crate::runtime::SystemClock;
use crate::text::clean;

/// How many models of a server are named.
const NAMED_MAX: usize = 5;
/// How long a model has for its word.
const TRY_MAX: Duration = Duration::from_secs(60);
/// What it may write: the least that OpenAI's responses take as `max_output_tokens` is 16.
const TRY_TOKENS: u32 = 16;
/// What to do where there is no model at all.
const NONE_MEND: &str = "set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, start a server like \
                         ollama, or run with `--model scripted:FILE`";

/// Whether models are asked for a word, which may cost a little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trying {
    /// They are not.
    Nothing,
    /// The first of each role is.
    EachRole,
}

impl Report {
    /// Looks at the models that are configured or can be found.
    ///
    /// `is_set` says whether a variable of the environment holds something.
    pub fn look_at_models(
        &mut self,
        config: &ModelsConfig,
        is_set: &dyn Fn(&str) -> bool,
        trying: Trying,
    ) {
        let models = match ModelSet::new(config.clone()) {
            Ok(models) => models,
            Err(fault) => {
                let mend = "mend `[models]` of baton.toml, or what `--model` names";
                return self.problem(clean(&fault.to_string()), "models", mend);
            }
        };
        self.ok(format!("prices are known as of {}", Prices::table().date), "models");
        let found = discover(config, is_set);
        found.iter().for_each(|found| self.provider(found));
        let mut roles = roles(config);
        if config.worker.is_empty() && config.only.is_none() {
            roles.push((WORKER, self.usual(&found)));
        }
        for (role, names) in roles {
            self.role(role, &names, &found);
            if trying == Trying::EachRole
                && role != EMBEDDER
                && let Some(model) = names.first()
            {
                self.tried(role, &models.spec(model), &models);
            }
        }
    }

    /// What agents ask that name no model, where no role says it.
    fn usual(&mut self, found: &[Found]) -> Vec<String> {
        let usual = usual_models(found);
        match usual.as_slice() {
            // Nothing is wrong where nobody works with agents.
            [] => {
                let what = "no model is found for agents that name none";
                self.add(Level::Ok, what, WORKER, Some(NONE_MEND.to_owned()));
            }
            usual => {
                let what = format!("agents that name no model ask {}", listed(usual));
                self.ok(what, WORKER);
            }
        }
        usual
    }

    fn provider(&mut self, found: &Found) {
        let (name, base_url) = (clean(&found.provider), clean(&found.base_url));
        let place = if base_url.is_empty() { name } else { format!("{name} at {base_url}") };
        let what = match &found.standing {
            Standing::KeyIsSet(variable) => format!("the key in {} is set", clean(variable)),
            Standing::KeyIsMissing(variable) => format!("{} is not set", clean(variable)),
            Standing::Has(models) => said_of(models),
            Standing::Silent(why) => format!("it does not say which models it has: {}", clean(why)),
            Standing::Elsewhere => "it needs no key, and was not asked".to_owned(),
            Standing::Unknown => {
                "a role names a model of it, and nobody says where it is".to_owned()
            }
        };
        match found.mend() {
            None => self.ok(what, place),
            Some(mend) if found.is_wanted => self.problem(what, place, &mend),
            // Nobody asked for it: that it is not there says nothing.
            Some(_) => {}
        }
    }

    /// What a role names of a server that lists its models.
    fn role(&mut self, role: &str, names: &[String], found: &[Found]) {
        for name in names {
            let Some((provider, model)) = name.split_once('/') else {
                let what = format!("`{}` is no model", clean(name));
                self.problem(what, role, "write it as `provider/name`");
                continue;
            };
            let of = found.iter().find(|found| found.provider == provider);
            if let Some(Found { standing: Standing::Has(models), .. }) = of
                && !models
                    .iter()
                    .any(|has| has == model || has.strip_suffix(":latest") == Some(model))
            {
                let what = format!("`{}` does not have `{}`", clean(provider), clean(model));
                let mend = format!("load it there, or name one that it has: {}", listed(models));
                self.problem(what, role, &mend);
            }
        }
    }

    fn tried(&mut self, role: &str, spec: &ModelSpec, models: &ModelSet) {
        let begun = Instant::now();
        let answer = try_model(models, &spec.name);
        let (name, place) = (clean(&spec.name), role);
        match answer {
            Ok(answer) => {
                let cost = match spec.price {
                    Some(price) => format!("${}", price.of(&answer.usage)),
                    None => "at a price that is not known".to_owned(),
                };
                let (took, tokens) = (span(begun.elapsed()), many(answer.usage.tokens(), "token"));
                self.ok(format!("`{name}` answered in {took}: {tokens}, {cost}"), place);
            }
            Err(failure) => {
                let what = format!(
                    "`{name}` does not answer ({}): {}",
                    failure.kind,
                    clean(&failure.message)
                );
                self.add(Level::Problem, what, place, None);
            }
        }
    }
}

/// The role of agents that name no model.
const WORKER: &str = "models.worker";
/// The role whose models turn text into numbers, and say nothing.
const EMBEDDER: &str = "models.embedder";

/// The models of each role that names some; the one of `--model` stands for all.
fn roles(config: &ModelsConfig) -> Vec<(&'static str, Vec<String>)> {
    let roles = [
        ("models.planner", &config.planner),
        (WORKER, &config.worker),
        ("models.rewriter", &config.rewriter),
        (EMBEDDER, &config.embedder),
    ];
    let only = config.only.as_ref().map(|only| match baton_models::script_file(only) {
        Some(file) => baton_models::scripted_name(&file),
        None => only.clone(),
    });
    let only = only.map(|only| ("--model", vec![only]));
    let named = roles.into_iter().filter(|(_, names)| !names.is_empty());
    named.map(|(role, names)| (role, names.clone())).chain(only).collect()
}

fn said_of(models: &[String]) -> String {
    match models {
        [] => "it listens, and has no model".to_owned(),
        models => format!("{}: {}", many(models.len() as u64, "model"), listed(models)),
    }
}

fn listed(models: &[String]) -> String {
    let names: Vec<String> = models.iter().take(NAMED_MAX).map(|name| clean(name)).collect();
    let more = if models.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn try_model(models: &ModelSet, model: &str) -> Result<ModelAnswer, CallFailure> {
    let moment = SystemClock::default().now().moment;
    let (workflow, conversation) = (WorkflowId::new(&moment, 0), ConversationId::new(&moment, 0));
    let request = ModelRequest {
        model: model.to_owned(),
        agent: "doctor".to_owned(),
        attempt: 1,
        instructions: None,
        tools: Vec::new(),
        output: None,
        output_tokens_max: TRY_TOKENS,
        messages: vec![Message::user("Answer with the word yes.")],
        context: CallContext::new(workflow, (Ordinal(0), 1), conversation),
    };
    models.call(&request, &Control::new(TRY_MAX), &mut |_| {})
}
