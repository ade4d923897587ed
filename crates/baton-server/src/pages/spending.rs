//! What the agents of a workflow used, beside what they may: tokens, money, calls, and which models.
//!
//! A price that is not known is said to be unknown, and what was cut off to be possibly billed; nothing
//! is guessed, and nothing is added up here that the books have not.

use baton_core::agent::Cost;
use baton_core::plan::Budget;
use baton_core::spoken::{grouped, many};
use baton_core::words::UsageBy;
use baton_core::workflow::Amount;
use baton_engine::store::{StoreError, UsageFilter, UsageKey, Views};
use baton_engine::usage::Spent;

/// How many models are named.
const MODELS_MAX: u32 = 8;
/// The provider that replays a file in the place of a model.
const SCRIPTED: &str = "scripted/";

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Tokens, money and calls.
    pub figures: Vec<Figure>,
    /// The models that were asked, and those that may be.
    pub models: Vec<Model>,
}

/// One thing that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What.
    pub what: &'static str,
    /// How much.
    pub used: String,
    /// Of how much, where that is bounded.
    pub of: Option<String>,
    /// What is to be known beside it.
    pub notes: Vec<String>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// `provider/name`.
    pub name: String,
    /// Whether it is a file of answers.
    pub is_scripted: bool,
    /// What it was asked.
    pub used: String,
}

/// What a run may use, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// As it was planned.
    pub planned: Budget,
    /// What people granted beyond.
    pub granted: Amount,
    /// What earlier runs used: the budget is the present run's.
    pub before: Option<Earlier>,
}

/// The calls that were begun over all runs, as budgets count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Turns of agents.
    pub of_models: u64,
    /// Calls of tools that agents asked for.
    pub of_tools: u64,
}

/// What runs before the present one used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier(pub Spent);

/// Whether answers of this model come from a file.
pub fn is_scripted(model: &str) -> bool {
    model.starts_with(SCRIPTED)
}

/// What was used; `asked` are the models that the plan lets its agents ask. `None` where nothing was, and
/// nothing can be.
pub fn spending(
    (number, spent, made): (u64, &Spent, Option<Made>),
    (bounds, asked): (Option<Bounds>, Vec<&str>),
    views: &mut dyn Views,
) -> Result<Option<Spending>, StoreError> {
    if spent.calls == 0 && asked.is_empty() {
        return Ok(None);
    }
    let filter = UsageFilter {
        by: Some(UsageBy::Model),
        workflows: vec![number],
        limit: MODELS_MAX,
        ..UsageFilter::default()
    };
    let mut models = Vec::new();
    for (key, sum) in views.usage(&filter)? {
        if let UsageKey::Name(name) = key {
            let used = many(sum.calls, "call");
            models.push(Model { is_scripted: is_scripted(&name), name, used });
        }
    }
    for name in asked.into_iter().take(MODELS_MAX as usize) {
        if !models.iter().any(|model| model.name == name) {
            let (name, used) = (name.to_owned(), "nothing booked yet".to_owned());
            models.push(Model { is_scripted: is_scripted(&name), name, used });
        }
    }
    Ok(Some(Spending { figures: figures(spent, made, bounds), models }))
}

fn figures(spent: &Spent, made: Option<Made>, bounds: Option<Bounds>) -> Vec<Figure> {
    let most = bounds.map(|bounds| Most::of(&bounds)).unwrap_or_default();
    let before = bounds.and_then(|bounds| bounds.before).map(|Earlier(before)| before);
    let tokens_run = before.map(|before| grouped(spent.tokens.saturating_sub(before.tokens)));
    let cost_run = before.zip(spent.cost_usd).map(|(before, cost)| {
        let cost = cost.minus(before.cost_usd.unwrap_or_default());
        if spent.cost_is_partial { format!("at least ${cost}") } else { format!("${cost}") }
    });
    vec![
        tokens(spent).of(most.tokens, tokens_run),
        cost(spent).of(most.cost, cost_run),
        // How many calls were made before the present run, no view tells.
        calls(spent, made).of(most.calls.filter(|_| before.is_none()), None),
    ]
}

impl Figure {
    /// Beside its bound, which is the present run's: with what that run used, where it is not the first.
    fn of(self, most: Option<String>, in_run: Option<String>) -> Self {
        match (most, in_run) {
            (Some(most), Some(in_run)) => {
                let all = format!("{} over all runs", self.used);
                let notes = std::iter::once(all).chain(self.notes).collect();
                Self { used: in_run, of: Some(most), notes, ..self }
            }
            (most, _) => Self { of: most, ..self },
        }
    }
}

/// The bounds in words.
#[derive(Default)]
struct Most {
    tokens: Option<String>,
    cost: Option<String>,
    calls: Option<String>,
}

impl Most {
    fn of(bounds: &Bounds) -> Self {
        let Bounds { planned, granted, .. } = bounds;
        let more = |granted: bool| if granted { " (raised)" } else { "" };
        Self {
            tokens: planned.tokens_max.map(|most| {
                let raised = more(granted.tokens > 0);
                format!("{}{raised}", grouped(most.saturating_add(granted.tokens)))
            }),
            cost: planned.cost_max.map(|most| {
                let raised = more(granted.cost > Cost::default());
                format!("${}{raised}", most.plus(granted.cost))
            }),
            calls: planned.calls_max.map(|most| {
                let raised = more(granted.calls > 0);
                format!("{}{raised}", grouped(u64::from(most.saturating_add(granted.calls))))
            }),
        }
    }
}

fn tokens(spent: &Spent) -> Figure {
    let cached = match spent.cached_tokens {
        0 => String::new(),
        cached => format!(" ({} from the cache)", grouped(cached)),
    };
    let (read, written) = (grouped(spent.input_tokens), grouped(spent.output_tokens));
    let parts = format!("{read} in{cached}, {written} out");
    let mut notes: Vec<String> = (spent.tokens > 0).then_some(parts).into_iter().collect();
    if spent.possibly_billed_calls > 0 {
        notes.push(match spent.possibly_billed_tokens_max {
            0 => "and what was cut off, which nobody counted".to_owned(),
            most => format!("and at most {} of what was cut off", grouped(most)),
        });
    }
    Figure { what: "Tokens", used: grouped(spent.tokens), of: None, notes }
}

fn cost(spent: &Spent) -> Figure {
    let used = match (spent.cost_usd, spent.cost_is_partial) {
        (_, _) if spent.calls == 0 => "nothing yet".to_owned(),
        (None, _) => "unknown".to_owned(),
        (Some(cost), true) => format!("at least ${cost}"),
        (Some(cost), false) => format!("${cost}"),
    };
    let mut notes = Vec::new();
    match (spent.possibly_billed_calls, spent.possibly_billed_cost_max) {
        (0, _) => {}
        (_, Some(most)) => notes.push(format!("and at most ${most} of what was cut off")),
        (_, None) => notes.push("and what was cut off, possibly billed".to_owned()),
    }
    Figure { what: "Cost", used, of: None, notes }
}

fn calls(spent: &Spent, made: Option<Made>) -> Figure {
    let cut_off = match spent.possibly_billed_calls {
        0 => None,
        calls => Some(format!("{} cut off, possibly billed", grouped(calls))),
    };
    let Some(Made { of_models, of_tools }) = made else {
        let notes = cut_off.into_iter().collect();
        return Figure { what: "Calls of models", used: grouped(spent.calls), of: None, notes };
    };
    let kinds = format!("{} of models, {} of tools", grouped(of_models), grouped(of_tools));
    let notes = std::iter::once(kinds).chain(cut_off).collect();
    let used = grouped(of_models.saturating_add(of_tools));
    Figure { what: "Calls", used, of: None, notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent() -> Spent {
        Spent {
            tokens: 1_250,
            input_tokens: 1_200,
            output_tokens: 50,
            cost_usd: Some(Cost::pico(120_000_000_000)),
            calls: 3,
            ..Spent::default()
        }
    }

    fn line(figure: &Figure) -> String {
        let of = figure.of.as_ref().map_or_else(String::new, |of| format!(" of {of}"));
        format!("{}{of}; {}", figure.used, figure.notes.join("; "))
    }

    fn lines(spent: &Spent, bounds: Option<Bounds>) -> Vec<String> {
        let made = Made { of_models: spent.calls, of_tools: 4 };
        figures(spent, Some(made), bounds).iter().map(line).collect()
    }

    #[test]
    fn what_is_used_is_said_with_what_may_be() {
        assert_eq!(
            lines(&spent(), None),
            ["1,250; 1,200 in, 50 out", "$0.12; ", "7; 3 of models, 4 of tools"]
        );
        let planned = Budget { tokens_max: Some(5_000), calls_max: Some(9), ..Budget::default() };
        let granted = Amount { tokens: 5_000, ..Amount::default() };
        let bounds = Bounds { planned, granted, before: None };
        let bounded = lines(&spent(), Some(bounds));
        assert_eq!(bounded[0], "1,250 of 10,000 (raised); 1,200 in, 50 out");
        assert_eq!(bounded[1..], ["$0.12; ", "7 of 9; 3 of models, 4 of tools"]);
        let before = Some(Earlier(Spent { tokens: 1_000, ..Spent::default() }));
        let second = lines(&spent(), Some(Bounds { before, ..bounds }));
        assert_eq!(second[0], "250 of 10,000 (raised); 1,250 over all runs; 1,200 in, 50 out");
    }

    #[test]
    fn before_the_first_turn_has_ended_nothing_is_said_to_be_free() {
        assert_eq!(figures(&Spent::default(), None, None)[1].used, "nothing yet");
    }

    #[test]
    fn what_nobody_knows_is_not_guessed() {
        let cut_off = Spent { possibly_billed_calls: 1, cost_is_partial: true, ..spent() };
        let said = lines(&cut_off, None);
        assert_eq!(said[1], "at least $0.12; and what was cut off, possibly billed");
        assert_eq!(said[2], "7; 3 of models, 4 of tools; 1 cut off, possibly billed");
        let unknown = Spent { cost_usd: None, cost_is_partial: true, ..spent() };
        assert_eq!(lines(&unknown, None)[1], "unknown; ");
        let most = Spent { possibly_billed_tokens_max: 4_000, ..cut_off };
        assert!(lines(&most, None)[0].contains("at most 4,000 of what was cut off"));
    }
}
