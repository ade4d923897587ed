//! Turns that are held back because none of their agent's models can be asked where Baton runs now.
//!
//! Nothing of it is journaled: the next owner may have what is missing. Which model an agent goes on
//! to is the core's to record, and how those who watch are told is not known here.

use baton_core::ids::Ordinal;
use baton_core::plan::ModelSpec;
use baton_core::workflow::Command;

use crate::engine::Engine;
use crate::exchange::{Effect, Held};
use crate::ports::Models;

/// What becomes of an agent's next turn.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// It starts with the model that the agent uses.
    Start,
    /// It is this later model's of the list.
    Later(u32),
    /// It is held back, for this.
    Hold(String),
}

/// Which way an agent goes that uses the model at this place of its list.
fn way(models: &dyn Models, list: &[ModelSpec], used: usize) -> Way {
    let missing = |model: &ModelSpec| models.missing(&model.name);
    let Some(why) = list.get(used).and_then(missing) else { return Way::Start };
    let mut numbered = (0..).zip(list).skip(used + 1);
    if let Some((later, _)) = numbered.find(|(_, model)| missing(model).is_none()) {
        return Way::Later(later);
    }
    // An earlier one has failed here: this one fails as well, and what is planned for that happens.
    let one_was_asked = list.iter().take(used).any(|model| missing(model).is_none());
    if one_was_asked { Way::Start } else { Way::Hold(why) }
}

impl Engine {
    /// Whether an agent's next turn may start with the model it uses. Where that cannot be asked here,
    /// the agent goes on to a later one, or its task is held back.
    pub(crate) fn may_ask(&mut self, number: u64, task: Ordinal) -> bool {
        let (Some(models), Some(live)) = (&self.models, self.lives.get(&number)) else {
            return true;
        };
        let Some(agent) = live.state.agent_call(task) else {
            return true;
        };
        let used = live.state.agent_run(task).map_or(0, |run| run.model);
        match way(models.as_ref(), &agent.models, used as usize) {
            Way::Start => {
                if let Some(live) = self.lives.get_mut(&number) {
                    live.held.remove(&task);
                }
                true
            }
            Way::Later(model) => {
                // Refused where the task may not start any more.
                let _ = self.apply_own(number, &Command::UseModel { task, model });
                false
            }
            Way::Hold(why) => {
                self.hold(number, task, why);
                false
            }
        }
    }

    fn hold(&mut self, number: u64, task: Ordinal, why: String) {
        let attempt = self.attempt_of(number, task);
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let held = Held { task: live.state.id.task(task), attempt, why };
        if live.held.insert(task, held.clone()).as_ref() != Some(&held) {
            self.effect(Effect::TellHeld(held));
        }
    }

    /// Looks again at what is held back of a workflow that somebody wants to go on.
    pub(crate) fn look_at_held(&mut self, number: u64) {
        let held = self.lives.get(&number).map(|live| live.held.keys().copied().collect());
        let held: Vec<Ordinal> = held.unwrap_or_default();
        self.enqueue(number, &held);
    }
}

#[cfg(test)]
mod tests {
    use baton_core::failure::CallFailure;
    use baton_core::words::FailureKind;

    use super::*;
    use crate::ports::{Control, ModelAnswer, ModelRequest};

    /// These can be asked.
    struct Only(&'static [&'static str]);

    impl Models for Only {
        fn call(
            &self,
            _: &ModelRequest,
            _: &Control,
            _: &mut dyn FnMut(&str),
        ) -> Result<ModelAnswer, CallFailure> {
            Err(CallFailure::refused(FailureKind::NotFound, "nobody is asked here"))
        }

        fn missing(&self, model: &str) -> Option<String> {
            (!self.0.contains(&model)).then(|| format!("{model} needs a key"))
        }
    }

    #[test]
    fn an_agent_goes_on_to_a_later_model_and_is_held_where_none_can_be_asked() {
        let list = ["a/a", "b/b", "c/c"].map(ModelSpec::named);
        let to = |there: &'static [&'static str], used| way(&Only(there), &list, used);
        assert_eq!(to(&["a/a"], 0), Way::Start);
        assert_eq!(to(&["c/c"], 0), Way::Later(2));
        assert_eq!(to(&[], 1), Way::Hold("b/b needs a key".to_owned()));
        assert_eq!(to(&["a/a"], 1), Way::Start, "it fails there, as `a/a` did before it");
    }
}
