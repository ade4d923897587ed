//! Forms from JSON Schemas: a field for each property, or one for a whole value, and what is written
//! into them as JSON.
//!
//! Whether an answer fits is the machine's to say: here it only gets the type that its field has.

use serde_json::Value;

/// A form.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Its fields become an object.
    Fields(Vec<Field>),
    /// What stands in its only field is the answer.
    Whole(Field),
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name in the answer.
    pub name: String,
    /// For people.
    pub label: String,
    /// What it takes.
    pub control: Control,
    /// Whether the answer must have it.
    pub required: bool,
    /// What stands in it at first.
    pub preset: String,
}

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// A line of text.
    Text,
    /// A text of many lines.
    Long,
    /// A number; whether it must be whole.
    Number(Whole),
    /// Yes or no.
    Flag,
    /// One of these, each as JSON.
    Select(Vec<(String, String)>),
    /// Any other value, as JSON.
    Json,
}

/// Whether a number must be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// It must.
    Whole,
    /// It may have a fraction.
    Any,
}

/// What the only field of a form is called.
const WHOLE: &str = "answer";

impl Form {
    /// The form of a schema: a field for each of its properties, or one for the whole of a value that
    /// is no object of known fields. Where there is no schema any text is good.
    pub fn of(schema: Option<&Value>) -> Self {
        let Some(schema) = schema else {
            return Self::Whole(whole(Control::Long));
        };
        let fields = fields(schema);
        if !fields.is_empty() {
            return Self::Fields(fields);
        }
        Self::Whole(whole(match control(schema) {
            Control::Text => Control::Long,
            // Left empty it would be a `no` that nobody said.
            Control::Flag => Control::Select(["true", "false"].map(alike).to_vec()),
            other @ (Control::Long | Control::Number(_) | Control::Select(_) | Control::Json) => {
                other
            }
        }))
    }

    /// What there is to fill in.
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Fields(fields) => fields,
            Self::Whole(field) => std::slice::from_ref(field),
        }
    }

    /// The answer, by what was written into the fields.
    pub fn read<'w>(&self, written: impl Fn(&str) -> Option<&'w str>) -> Result<Value, Unreadable> {
        match self {
            Self::Whole(field) => {
                let missing = || Unreadable("the answer is empty: write one, or leave it".into());
                field.read(written(&field.name))?.ok_or_else(missing)
            }
            Self::Fields(fields) => {
                let mut answer = serde_json::Map::new();
                for field in fields {
                    if let Some(value) = field.read(written(&field.name))? {
                        answer.insert(field.name.clone(), value);
                    }
                }
                Ok(Value::Object(answer))
            }
        }
    }
}

fn whole(control: Control) -> Field {
    let (name, label) = (WHOLE.to_owned(), "Your answer".to_owned());
    Field { name, label, control, required: true, preset: String::new() }
}

fn alike(word: &str) -> (String, String) {
    (word.to_owned(), word.to_owned())
}

/// The fields of an object, in the order of its schema.
fn fields(form: &Value) -> Vec<Field> {
    let required = form.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
    let properties = form.get("properties").and_then(Value::as_object).into_iter().flatten();
    let field = |(name, schema): (&String, &Value)| {
        let control = control(schema);
        let preset = schema.get("default").map_or_else(String::new, |it| shown(it, &control));
        let label = schema.get("title").and_then(Value::as_str).unwrap_or(name).to_owned();
        Field { name: name.clone(), label, control, required: is_required(name), preset }
    };
    properties.map(field).collect()
}

fn control(schema: &Value) -> Control {
    if let Some(options) = schema.get("oneOf").and_then(Value::as_array) {
        let titled = |it: &Value| {
            let value = it.get("const")?;
            Some((value.to_string(), shown(it.get("title").unwrap_or(value), &Control::Text)))
        };
        return Control::Select(options.iter().filter_map(titled).collect());
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        let option = |it: &Value| (it.to_string(), shown(it, &Control::Text));
        return Control::Select(options.iter().map(option).collect());
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => Control::Text,
        Some("integer") => Control::Number(Whole::Whole),
        Some("number") => Control::Number(Whole::Any),
        Some("boolean") => Control::Flag,
        Some(_) | None => Control::Json,
    }
}

fn shown(value: &Value, control: &Control) -> String {
    match (value, control) {
        (Value::String(text), Control::Text) => text.clone(),
        (_, _) => value.to_string(),
    }
}

/// Why a field cannot be taken as it was filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Field {
    /// What was written into it, as the answer has it; `None` where it is left out.
    pub fn read(&self, written: Option<&str>) -> Result<Option<Value>, Unreadable> {
        let fault = |what: &str| Unreadable(format!("“{}” {what}", self.label));
        if self.control == Control::Flag {
            return Ok(Some(Value::Bool(written.is_some())));
        }
        let Some(text) = written.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let parsed = || serde_json::from_str::<Value>(text);
        match &self.control {
            Control::Text | Control::Long => Ok(Some(Value::String(text.to_owned()))),
            Control::Number(_) => {
                let number = parsed().ok().filter(Value::is_number);
                number.map(Some).ok_or_else(|| fault("must be a number"))
            }
            Control::Select(_) | Control::Json => {
                parsed().map(Some).map_err(|e| fault(&format!("must be JSON: {e}")))
            }
            Control::Flag => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> Vec<Field> {
        let form = json!({
            "type": "object",
            "required": ["score"],
            "properties": {
                "score": { "type": "integer", "title": "Score", "default": 3 },
                "note": { "type": "string" },
                "sure": { "type": "boolean" },
                "kind": { "enum": ["a", 2] },
                "rest": { "type": "array" },
            },
        });
        fields(&form)
    }

    #[test]
    fn a_form_follows_its_schema() {
        let fields = form();
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["score", "note", "sure", "kind", "rest"]);
        let score = fields.first().expect("the first field");
        assert_eq!(
            (score.label.as_str(), score.preset.as_str(), score.required),
            ("Score", "3", true)
        );
        let select = fields.get(3).map(|field| field.control.clone());
        let options = [("\"a\"", "a"), ("2", "2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(select, Some(Control::Select(options.to_vec())));
    }

    #[test]
    fn options_with_titles_are_shown_by_them() {
        let options = json!([{ "const": "r", "title": "Red" }, { "const": "g" }]);
        let form = json!({
            "properties": { "c": { "type": "string", "oneOf": options, "default": "g" } },
        });
        let field = fields(&form).pop().expect("a field");
        let options = [("\"r\"", "Red"), ("\"g\"", "g")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(field.control, Control::Select(options.to_vec()));
        assert_eq!(field.preset, "\"g\"");
    }

    #[test]
    fn what_is_written_becomes_a_value_of_its_type() {
        let fields = form();
        let read = |name: &str, text: Option<&str>| {
            let field =
                fields.iter().find(|field| field.name == name).expect("a field of this name");
            field.read(text)
        };
        assert_eq!(read("score", Some("7")), Ok(Some(json!(7))));
        assert_eq!(read("note", Some("7")), Ok(Some(json!("7"))));
        assert_eq!(read("note", Some("")), Ok(None));
        assert_eq!(read("sure", Some("on")), Ok(Some(json!(true))));
        assert_eq!(read("sure", None), Ok(Some(json!(false))));
        assert_eq!(read("kind", Some("\"a\"")), Ok(Some(json!("a"))));
        assert_eq!(read("rest", Some("[1]")), Ok(Some(json!([1]))));
        assert_eq!(
            read("score", Some("x")),
            Err(Unreadable("“Score” must be a number".to_owned()))
        );
        assert!(read("rest", Some("[")).is_err());
    }

    #[test]
    fn an_answer_that_is_no_object_of_fields_has_a_field_for_the_whole() {
        let controls = [
            (None, Control::Long, "Well.\nDone.", json!("Well.\nDone.")),
            (Some(json!({ "type": "string" })), Control::Long, "7", json!("7")),
            (Some(json!({ "type": "array" })), Control::Json, "[1]", json!([1])),
            (Some(json!({ "type": "object" })), Control::Json, "{}", json!({})),
            (Some(json!({ "type": "integer" })), Control::Number(Whole::Whole), "7", json!(7)),
        ];
        for (schema, control, text, answer) in controls {
            let form = Form::of(schema.as_ref());
            assert_eq!(form, Form::Whole(whole(control)), "{schema:?}");
            let written = |name: &str| (name == WHOLE).then_some(text);
            assert_eq!(form.read(written), Ok(answer), "{schema:?}");
            assert!(form.read(|_| None).is_err_and(|why| why.0.contains("is empty")));
        }
    }
}
