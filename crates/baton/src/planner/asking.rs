//! Questions that a model wants to ask: whether they can be asked, and have not been.

use baton_core::conversation::{AnswerKind, Clarification, ConversationState, Given, ROUNDS_MAX};
use serde::Deserialize;

/// The arguments of `chat.ask`.
#[derive(Debug, Deserialize)]
pub struct Questions {
    /// What is to be asked.
    pub questions: Vec<Asked>,
}

/// A question as a model writes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    key: String,
    question: String,
    reason: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    choices: Vec<String>,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    Choice,
    YesNo,
    File,
    Number,
}

/// The questions as they are asked; `Err` lists every fault.
pub fn checked(
    asked: Vec<Asked>,
    state: &ConversationState,
) -> Result<Vec<Clarification>, Vec<String>> {
    if state.request.rounds >= ROUNDS_MAX {
        return Err(vec![format!(
            "there were {ROUNDS_MAX} rounds of questions, and there is no other: take what is sensible, \
             state your assumptions in the plan, and call chat.propose_plan"
        )]);
    }
    let mut faults = Vec::new();
    let mut questions: Vec<Clarification> = Vec::new();
    for one in asked {
        if let Some(known) = known(&one, state) {
            faults.push(known);
        }
        if questions.iter().any(|other| other.key == one.key) {
            faults.push(format!("{}: two questions have this key", one.key));
        }
        match clarification(one) {
            Ok(question) => questions.push(question),
            Err(fault) => faults.push(fault),
        }
    }
    if questions.is_empty() && faults.is_empty() {
        faults.push("questions: there are none".to_owned());
    }
    if faults.is_empty() { Ok(questions) } else { Err(faults) }
}

/// What was said to the same question before, be it under another key.
fn known(asked: &Asked, state: &ConversationState) -> Option<String> {
    let same = |text: &str| text.trim().eq_ignore_ascii_case(asked.question.trim());
    let mut known = state.request.known.iter();
    let (key, known) =
        known.find(|(key, known)| **key == asked.key || same(&known.question.question))?;
    let said = match &known.given {
        Given::Value(value) => format!("it was answered with {}", value.as_str()),
        Given::Skipped => "it was passed over".to_owned(),
        Given::Delegated => "it was left to you".to_owned(),
    };
    Some(format!("{}: do not ask again, `{key}` is known: {said}", asked.key))
}

fn clarification(asked: Asked) -> Result<Clarification, String> {
    let Asked { key, question, reason, kind, choices, min, max } = asked;
    let fault = |what: &str| Err(format!("{key}: {what}"));
    let is_key = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if key.is_empty() || !key.chars().all(is_key) {
        return Err(format!("`{key}`: a key has letters, digits and `_`"));
    }
    if question.trim().is_empty() || reason.trim().is_empty() {
        return fault("a question and its reason say something");
    }
    if kind != Kind::Choice && !choices.is_empty() {
        return fault("only a `choice` has `choices`");
    }
    let kind = match kind {
        Kind::Text => AnswerKind::Text,
        Kind::YesNo => AnswerKind::YesNo,
        Kind::File => AnswerKind::File,
        Kind::Choice if choices.len() < 2 => return fault("a `choice` has at least two `choices`"),
        Kind::Choice => AnswerKind::Choice { choices },
        Kind::Number => match (min, max) {
            (Some(min), Some(max)) if min > max => return fault("`min` is above `max`"),
            _ => AnswerKind::Number { min, max, integer: false },
        },
    };
    Ok(Clarification { key, question, reason, kind, default: None })
}

#[cfg(test)]
mod tests {
    use baton_core::actor::Actor;
    use baton_core::body::Json;
    use baton_core::conversation::{Known, Opened};
    use baton_core::ids::ConversationId;
    use baton_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn state() -> ConversationState {
        let id = ConversationId::from_bytes([1; 16]);
        let opened =
            Opened { id, by: Actor::system(), title: String::new(), project: None, folder: None };
        ConversationState::opened(&opened, Timestamp::from_millis(0))
    }

    fn ask(questions: serde_json::Value, state: &ConversationState) -> Result<usize, String> {
        let Questions { questions } =
            serde_json::from_value(json!({ "questions": questions })).unwrap();
        checked(questions, state).map(|asked| asked.len()).map_err(|faults| faults.join("\n"))
    }

    fn where_to(key: &str) -> serde_json::Value {
        json!({ "key": key, "question": "Where to?", "reason": "It must go somewhere.", "type": "text" })
    }

    #[test]
    fn what_is_known_is_not_asked_again_under_any_key() {
        let mut state = state();
        let question = checked(vec![serde_json::from_value(where_to("place")).unwrap()], &state);
        let question = question.unwrap().remove(0);
        let given = Given::Value(Json::of(&json!("home")));
        state.request.known.insert("place".to_owned(), Known { question, given });
        for key in ["place", "other"] {
            let fault = ask(json!([where_to(key)]), &state).unwrap_err();
            assert!(fault.contains("`place` is known") && fault.contains("home"), "{fault}");
        }
    }

    #[test]
    fn rounds_are_bounded() {
        let mut state = state();
        assert_eq!(ask(json!([where_to("a")]), &state), Ok(1));
        state.request.rounds = ROUNDS_MAX;
        let fault = ask(json!([where_to("a")]), &state).unwrap_err();
        assert!(fault.contains("state your assumptions in the plan"), "{fault}");
    }

    #[test]
    fn what_cannot_be_asked_is_said_all_at_once() {
        let of = |key: &str, more: serde_json::Value| {
            let mut question = where_to(key);
            more.as_object()
                .unwrap()
                .iter()
                .for_each(|(name, value)| question[name] = value.clone());
            question
        };
        let wrong = json!([
            of("a", json!({ "type": "choice" })),
            of("b", json!({ "type": "number", "min": 2, "max": 1 })),
            of("c", json!({ "choices": ["x", "y"] })),
            of("d", json!({ "reason": " " })),
            of("e f", json!({})),
            where_to("g"),
            where_to("g"),
        ]);
        let faults = ask(wrong, &state()).unwrap_err();
        for said in ["a: a `choice`", "b: `min`", "c: only", "d: a question", "`e f`", "g: two"] {
            assert!(faults.contains(said), "{said} in {faults}");
        }
    }
}
