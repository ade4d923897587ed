//! The tool `person.ask`, with which an agent asks people: what it takes, and what such a call asks.
//!
//! Nobody serves it: the call's task waits for a person, as a task of the kind `human` does. What
//! answers it is said in [`question`](crate::workflow::question).

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::plan::{Human, ToolSpec};
use crate::words::{Effect, HumanKind, Permission};
use crate::workflow::question::{QUESTION_BYTES_MAX, Question, Shape};

/// The tool's name.
pub const PERSON_ASK: &str = "person.ask";
/// The server in its name, which no other may have.
pub const PERSON_SERVER: &str = "person";
/// The field of the answer where an agent asks for a text.
pub const ANSWER_FIELD: &str = "answer";
/// The most choices of a question.
const CHOICES_MAX: usize = 100;
/// The longest choice, in characters.
const CHOICE_CHARS_MAX: usize = 500;

static SPEC: LazyLock<ToolSpec> = LazyLock::new(|| ToolSpec {
    name: PERSON_ASK.to_owned(),
    description:
        "Asks a person and waits for the answer, which may take days. The answer is one of \
                  the choices, the fields of the form, or else `{answer}`, a text."
            .to_owned(),
    effect: Effect::Read,
    permission: Permission::ReadOnly,
    input: json!({
        "type": "object",
        "required": ["question"],
        "additionalProperties": false,
        "properties": {
            "question": {
                "type": "string",
                "minLength": 1,
                "description": "What is asked, with all that is needed to answer it.",
            },
            "choices": {
                "type": "array",
                "items": { "type": "string", "minLength": 1, "maxLength": CHOICE_CHARS_MAX },
                "minItems": 1,
                "maxItems": CHOICES_MAX,
                "uniqueItems": true,
                "description": "The answers to choose from.",
            },
            "form": {
                "type": "object",
                "description": "Instead of choices: a JSON Schema of a flat object of strings, \
                                numbers, booleans and enums.",
            },
        },
    }),
    output: None,
    quick: false,
});

/// What the tool says of itself.
pub fn person_ask() -> &'static ToolSpec {
    &SPEC
}

/// What a person is asked by a call with these arguments, which fit the tool's input; `Err` says for
/// the model what cannot be asked.
pub fn asked_of_person(arguments: &Value) -> Result<Human, String> {
    let ask = arguments.get("question").and_then(Value::as_str).unwrap_or_default();
    let choices = arguments.get("choices").and_then(Value::as_array);
    let form = arguments.get("form");
    if choices.is_some() && form.is_some() {
        return Err("a question has `choices` or a `form`, not both".to_owned());
    }
    if ask.trim().is_empty() || ask.len() > QUESTION_BYTES_MAX {
        return Err(format!("a question has 1 to {QUESTION_BYTES_MAX} bytes"));
    }
    let of = |kind| Human { kind, ask: Some(ask.to_owned()), form: None, options: Vec::new() };
    if let Some(choices) = choices {
        let options = choices.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        return Ok(Human { options, ..of(HumanKind::Choice) });
    }
    let form = form.cloned().unwrap_or_else(any_text);
    let question = Question::with_form(ask, &form).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!("the form cannot be asked: {}", faults.join("; "))
    })?;
    let form = match question.shape {
        Shape::Form(form) => Some(form),
        Shape::Url(_) => None,
    };
    Ok(Human { form, ..of(HumanKind::Form) })
}

/// The form of a question that any text answers.
fn any_text() -> Value {
    json!({
        "type": "object",
        "required": [ANSWER_FIELD],
        "properties": { ANSWER_FIELD: { "type": "string", "title": "Answer" } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_choices_a_form_or_takes_any_text() {
        let choice = asked_of_person(&json!({ "question": "Which?", "choices": ["a", "b"] }));
        let choice = choice.unwrap();
        assert_eq!((choice.kind, choice.options.len()), (HumanKind::Choice, 2));
        let text = asked_of_person(&json!({ "question": "Where?" })).unwrap();
        assert_eq!(text.form.unwrap()["required"], json!([ANSWER_FIELD]));
        let form = json!({ "type": "object", "properties": { "n": { "type": "integer", "pattern": "x" } } });
        let form = asked_of_person(&json!({ "question": "How?", "form": form })).unwrap();
        assert_eq!(form.form.unwrap()["properties"]["n"], json!({ "type": "integer" }));
    }

    #[test]
    fn what_cannot_be_asked_is_said_to_the_model() {
        let deep = json!({ "type": "object", "properties": { "a": { "type": "object" } } });
        for (arguments, said) in [
            (json!({ "question": " " }), "1 to 4096 bytes"),
            (json!({ "question": "x".repeat(5_000) }), "1 to 4096 bytes"),
            (json!({ "question": "?", "choices": ["a"], "form": {} }), "not both"),
            (json!({ "question": "?", "form": deep }), "/properties/a"),
        ] {
            let fault = asked_of_person(&arguments).expect_err("it cannot be asked");
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn the_tools_own_schema_holds_for_what_it_takes() {
        let validator = jsonschema::validator_for(&person_ask().input).unwrap();
        assert!(validator.is_valid(&json!({ "question": "?", "choices": ["a"] })));
        for wrong in [
            json!({}),
            json!({ "question": 1 }),
            json!({ "question": "?", "choices": [] }),
            json!({ "question": "?", "choices": ["a", "a"] }),
            json!({ "question": "?", "to": "bob" }),
        ] {
            assert!(!validator.is_valid(&wrong), "{wrong}");
        }
    }
}
