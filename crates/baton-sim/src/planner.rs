//! The simulated planner: what it brings is a function of the conversation as it stands. What people say
//! names what they want of it; it asks what it knows already beside what is new.

use std::sync::Arc;

use baton_core::body::{Body, Json};
use baton_core::conversation::{AnswerKind, Clarification, ConversationState};
use baton_core::plan::Plan;
use baton_core::words::{Effect, WorkflowStatus};
use baton_engine::conversing::{Decided, Next, PlanJob, Proposal, Thought, spoken};
use baton_engine::loaded::Loaded;
use serde_json::{Value, json};

use crate::plans;
use crate::rng::Rng;

/// What a person wants of a planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// So many rounds of questions come first.
    pub rounds: u32,
    /// And then this.
    pub then: Then,
    /// Which plan it brings; 0 is a small one that works.
    pub seed: u64,
}

/// What comes of a planning in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Answer,
    Propose,
    Start,
    Escalate,
    Fail,
    /// A model plans, and what it brings is proposed.
    Model,
}

const WORDS: [(Then, &str); 6] = [
    (Then::Answer, "answer"),
    (Then::Propose, "propose"),
    (Then::Start, "start"),
    (Then::Escalate, "escalate"),
    (Then::Fail, "fail"),
    (Then::Model, "model"),
];

impl Wish {
    /// One of them, whichever.
    pub fn random(rng: &mut Rng) -> Self {
        let rounds = [0, 0, 0, 1, 1, 2, 9].get(rng.below(7) as usize).copied().unwrap_or(0);
        let likely = [Then::Propose, Then::Propose, Then::Model, Then::Start];
        let any = WORDS.map(|(then, _)| then);
        let drawn = if rng.chance(500) { rng.pick(&likely) } else { rng.pick(&any) };
        let then = drawn.copied().unwrap_or(Then::Answer);
        Self { rounds, then, seed: rng.below(1_000) }
    }

    /// As it is said.
    pub fn text(self) -> String {
        let word = WORDS.iter().find(|(then, _)| *then == self.then).map_or("", |(_, word)| word);
        format!("{} {word} {}", self.rounds, self.seed)
    }

    fn read(text: &Body) -> Option<Self> {
        let Body::Inline(json) = text else {
            return None;
        };
        let value = json.value();
        let mut parts = value.as_str()?.split(' ');
        let rounds = parts.next()?.parse().ok()?;
        let word = parts.next()?;
        let (then, _) = WORDS.iter().find(|(_, of)| *of == word)?;
        Some(Self { rounds, then: *then, seed: parts.next()?.parse().ok()? })
    }
}

/// What the planner brings of this.
pub fn think(job: &PlanJob) -> Thought {
    let wish = job.state.request.text.as_ref().and_then(Wish::read);
    let Some(wish) = wish else {
        return decided("I see.", Next::Answer);
    };
    if let Some(heard) = &job.heard {
        return if heard.status == WorkflowStatus::Completed {
            decided("The model's plan.", proposes(job, wish))
        } else {
            decided("The model brought nothing.", Next::Fail)
        };
    }
    if job.state.request.rounds < wish.rounds {
        return Thought::Decided(Decided {
            text: None,
            focus: None,
            next: Next::Ask(questions(&job.state)),
        });
    }
    match wish.then {
        Then::Answer => decided("So it is.", Next::Answer),
        Then::Propose => decided("My plan.", proposes(job, wish)),
        Then::Start => match proposal(job, wish) {
            Some(proposal) => decided("It begins.", Next::Start(proposal)),
            None => decided("No plan.", Next::Fail),
        },
        Then::Escalate => decided("Not me.", Next::Escalate { reason: "too hard".to_owned() }),
        Then::Fail => decided("I cannot.", Next::Fail),
        Then::Model => model(),
    }
}

fn decided(text: &str, next: Next) -> Thought {
    Thought::Decided(Decided { text: Some(spoken(text)), focus: None, next })
}

/// Two new questions behind two that may have been answered, and one of them again.
fn questions(state: &ConversationState) -> Vec<Clarification> {
    let question = |key: String, kind: AnswerKind, default: Option<Value>| Clarification {
        question: format!("{key}?"),
        reason: "it must be known".to_owned(),
        key,
        kind,
        default,
    };
    let choices = vec!["left".to_owned(), "right".to_owned()];
    let both = |round: u32| {
        let number = AnswerKind::Number { min: Some(1.0), max: Some(9.0), integer: true };
        let choice = AnswerKind::Choice { choices: choices.clone() };
        [
            question(format!("a{round}"), choice, Some(Value::Null)),
            question(format!("b{round}"), number, Some(json!(3))),
        ]
    };
    let round = state.request.rounds;
    both(round.saturating_sub(1)).into_iter().chain(both(round)).chain(both(round)).collect()
}

fn proposes(job: &PlanJob, wish: Wish) -> Next {
    proposal(job, wish).map_or(Next::Fail, Next::Propose)
}

fn proposal(job: &PlanJob, wish: Wish) -> Option<Proposal> {
    let request = &job.state.request;
    let name = if request.comments.is_some() { "smaller" } else { "first" };
    let plan = match wish.seed {
        0 => small(name),
        seed => plans::random(&mut Rng::new(seed ^ u64::from(job.planning)), 0),
    };
    let loaded = Arc::new(Loaded::new(plan).ok()?);
    let assumptions = request.known.keys().map(|key| format!("{key} is known")).collect();
    Some(Proposal { loaded, inputs: inputs(), assumptions, will_not: vec!["harm".to_owned()] })
}

fn inputs() -> baton_engine::exchange::Split {
    Body::split(Json::of(&json!({ "text": "y" })))
}

/// Pays once, and looks.
fn small(name: &str) -> Plan {
    let call = |key: &str, effect| {
        let work = baton_core::plan::Work::Tool(plans::call(effect, json!({ "key": key })));
        plans::task(key.to_owned(), 0, work)
    };
    plans::plan(name, vec![call("t0", Effect::Once), call("t1", Effect::Read)])
}

fn model() -> Thought {
    let mut plan = plans::plan("planner", vec![plans::task("t0".to_owned(), 0, plans::agent())]);
    plan.output = Some(json!("{{ tasks.t0.output }}"));
    match Loaded::new(plan) {
        Ok(loaded) => Thought::Model { loaded: Arc::new(loaded), inputs: inputs() },
        Err(fault) => Thought::failed(&fault),
    }
}
