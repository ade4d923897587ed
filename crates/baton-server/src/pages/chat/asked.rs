//! A round of questions: what is still asked as fields of one form, the rest with what came of it; and
//! what was written into such a form, as answers.
//!
//! Whether an answer fits is the machine's to say: here it only gets the type that its question has.

use baton_core::body::Json;
use baton_core::conversation::{Answer, AnswerKind, Clarification, Given};
use baton_core::words::ClarificationStatus;
use baton_engine::conversations::AskedView;
use serde_json::{Value, json};

use super::super::forms::Unreadable;

/// What stands before the key of a question in the name of its value.
const VALUE: &str = "value.";
/// And in the name of how it is answered.
const GIVEN: &str = "given.";
/// How it is answered.
const SKIP: &str = "skip";
const DECIDE: &str = "decide";

/// A round of questions.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Which, from 1.
    pub number: u32,
    /// What can be answered now.
    pub open: Vec<Ask>,
    /// What came of the others.
    pub done: Vec<Done>,
}

/// A question that can be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What tells it apart on the page.
    pub id: String,
    /// Its key.
    pub key: String,
    /// What is asked.
    pub question: String,
    /// Why.
    pub reason: String,
    /// How it is answered.
    pub field: Field,
    /// What stands there at first.
    pub preset: String,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// By a text.
    Text,
    /// By the path of a file or folder.
    File,
    /// By one of these: the value and its label.
    Choice(Vec<(String, String)>),
    /// By a number: the least, the most, the step.
    Number(String, String, &'static str),
}

/// A question that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What was asked.
    pub question: String,
    /// What was said to it, where an answer was given.
    pub answer: Option<String>,
    /// What came of it where there was none.
    pub fate: &'static str,
}

impl Round {
    /// Of what was asked by the event at a position; `asked` are the questions that can be answered now.
    pub fn of(
        (position, number): (u64, u32),
        questions: Vec<AskedView>,
        asked: &[Clarification],
    ) -> Self {
        let is_open = |one: &AskedView| {
            one.status == ClarificationStatus::Asked
                && asked.iter().any(|question| question == &one.question)
        };
        let (open, done): (Vec<_>, Vec<_>) = questions.into_iter().partition(is_open);
        Self {
            number,
            open: open
                .into_iter()
                .zip(1..)
                .map(|(one, at)| Ask::of(one.question, position, at))
                .collect(),
            done: done.into_iter().map(Done::of).collect(),
        }
    }
}

impl Ask {
    fn of(question: Clarification, position: u64, at: u32) -> Self {
        let preset = question.default.as_ref().map_or_else(String::new, plain);
        let alike = |choice: &String| (choice.clone(), choice.clone());
        let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
        let field = match &question.kind {
            AnswerKind::Text => Field::Text,
            AnswerKind::File => Field::File,
            AnswerKind::Choice { choices } => Field::Choice(choices.iter().map(alike).collect()),
            AnswerKind::YesNo => {
                let pair = |value: &str, label: &str| (value.to_owned(), label.to_owned());
                Field::Choice(vec![pair("true", "Yes"), pair("false", "No")])
            }
            AnswerKind::Number { min, max, integer } => {
                Field::Number(bound(*min), bound(*max), if *integer { "1" } else { "any" })
            }
        };
        Self {
            id: format!("ask-{position}-{at}"),
            key: question.key,
            question: question.question,
            reason: question.reason,
            field,
            preset,
        }
    }
}

impl Done {
    fn of(asked: AskedView) -> Self {
        let fate = match asked.status {
            ClarificationStatus::Asked => "not answered",
            ClarificationStatus::Answered => "answered",
            ClarificationStatus::Skipped => "skipped",
            ClarificationStatus::Delegated => "you decide",
            ClarificationStatus::Superseded => "not asked any more",
        };
        let kind = &asked.question.kind;
        let answer = asked.answer.as_ref().map(|answer| match (answer.value(), kind) {
            (Value::Bool(true), AnswerKind::YesNo) => "yes".to_owned(),
            (Value::Bool(false), AnswerKind::YesNo) => "no".to_owned(),
            (value, _) => plain(&value),
        });
        Self { question: asked.question.question, answer, fate }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What was written into the form of these questions; those left empty stay open.
pub fn read<'w>(
    questions: &[Clarification],
    written: impl Fn(&str) -> Option<&'w str>,
) -> Result<Vec<Answer>, Unreadable> {
    let mut answers = Vec::new();
    for question in questions {
        let key = &question.key;
        let given = match written(&format!("{GIVEN}{key}")) {
            Some(SKIP) => Given::Skipped,
            Some(DECIDE) => Given::Delegated,
            Some(_) | None => match written(&format!("{VALUE}{key}")) {
                None => continue,
                Some(text) => Given::Value(Json::of(&value(question, text)?)),
            },
        };
        answers.push(Answer { key: key.clone(), given });
    }
    if answers.is_empty() {
        return Err(Unreadable(
            "nothing is answered: answer a question, skip it, or leave it to Baton".to_owned(),
        ));
    }
    Ok(answers)
}

fn value(question: &Clarification, text: &str) -> Result<Value, Unreadable> {
    let fault = |what: &str| Unreadable(format!("“{}” takes {what}", question.question));
    match &question.kind {
        AnswerKind::Text | AnswerKind::File | AnswerKind::Choice { .. } => Ok(json!(text)),
        AnswerKind::YesNo => text.parse().map(Value::Bool).map_err(|_| fault("yes or no")),
        AnswerKind::Number { .. } => {
            let number = serde_json::from_str::<Value>(text.trim()).ok().filter(Value::is_number);
            number.ok_or_else(|| fault("a number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(key: &str, kind: AnswerKind) -> Clarification {
        Clarification {
            key: key.to_owned(),
            question: format!("{key}?"),
            reason: String::new(),
            kind,
            default: None,
        }
    }

    fn all() -> Vec<Clarification> {
        vec![
            question("text", AnswerKind::Text),
            question("sure", AnswerKind::YesNo),
            question("many", AnswerKind::Number { min: Some(1.0), max: None, integer: true }),
            question("pick", AnswerKind::Choice { choices: vec!["<a>".to_owned()] }),
        ]
    }

    fn read_of(written: &[(&str, &'static str)]) -> Result<Vec<Answer>, Unreadable> {
        read(&all(), |name| written.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    #[test]
    fn some_are_answered_some_left_and_the_rest_stays_open() {
        let answers = read_of(&[
            ("value.many", "7"),
            ("given.many", "value"),
            ("given.sure", "skip"),
            ("given.pick", "decide"),
            ("value.pick", "<a>"),
        ]);
        let given: Vec<_> =
            answers.expect("answers").into_iter().map(|it| (it.key, it.given)).collect();
        let wanted = [
            ("sure".to_owned(), Given::Skipped),
            ("many".to_owned(), Given::Value(Json::of(&json!(7)))),
            ("pick".to_owned(), Given::Delegated),
        ];
        assert_eq!(given, wanted, "what was chosen outweighs what stands in the field");
    }

    #[test]
    fn what_cannot_be_read_says_what_would_be() {
        let wrong = [("value.many", "x", "a number"), ("value.sure", "perhaps", "yes or no")];
        for (name, text, what) in wrong {
            let told = read_of(&[(name, text)]).expect_err("it does not fit").0;
            assert!(told.contains(what), "{told}");
        }
        assert!(read_of(&[]).expect_err("nothing was said").0.contains("nothing is answered"));
    }

    #[test]
    fn what_is_over_says_what_came_of_it() {
        let asked = |question: Clarification, status, answer: Option<Value>| AskedView {
            question,
            status,
            answer: answer.map(|it| Json::of(&it)),
        };
        let [text, sure, many, _] = <[_; 4]>::try_from(all()).expect("four");
        let open = [many.clone()];
        let round = Round::of(
            (9, 2),
            vec![
                asked(text, ClarificationStatus::Skipped, None),
                asked(sure, ClarificationStatus::Answered, Some(json!(true))),
                asked(many, ClarificationStatus::Asked, None),
            ],
            &open,
        );
        let done: Vec<_> = round.done.iter().map(|it| (it.answer.as_deref(), it.fate)).collect();
        assert_eq!(done, [(None, "skipped"), (Some("yes"), "answered")]);
        let open: Vec<_> = round.open.iter().map(|it| it.field.clone()).collect();
        assert_eq!(open, [Field::Number("1".to_owned(), String::new(), "1")]);
    }
}
