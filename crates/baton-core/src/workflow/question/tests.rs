//! What may be asked, and what answers it.

use serde_json::json;

use super::*;

fn form(properties: Value) -> Result<Value, Vec<InputFault>> {
    let schema = json!({ "type": "object", "properties": properties });
    Question::with_form("Well?", &schema).map(|question| match question.shape {
        Shape::Form(form) => form["properties"].clone(),
        Shape::Url(url) => panic!("{url}"),
    })
}

fn pointers(faults: &[InputFault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.pointer.as_str()).collect()
}

#[test]
fn a_form_is_made_of_what_is_known() {
    let fields = form(json!({
        "name": { "type": "string", "title": "Name", "pattern": "(a+)+$", "minLength": 1 },
        "mail": { "type": "string", "format": "email", "default": "no mail" },
        "odd": { "type": "string", "format": "regex" },
        "share": { "type": "number", "minimum": 0, "maximum": 1, "default": 0.5 },
        "sure": { "type": "boolean", "default": true },
        "old": { "type": "string", "enum": ["r", "g"], "enumNames": ["Red"] },
        "many": {
            "type": "array", "maxItems": 1,
            "items": { "anyOf": [{ "const": "a", "title": "A" }] },
        },
    }));
    let fields = fields.expect("a form");
    assert_eq!(fields["name"], json!({ "title": "Name", "minLength": 1, "type": "string" }));
    assert_eq!(fields["mail"], json!({ "format": "email", "type": "string" }), "no such default");
    assert_eq!(fields["odd"], json!({ "type": "string" }));
    assert_eq!(fields["share"]["default"], 0.5);
    assert_eq!(fields["sure"], json!({ "type": "boolean", "default": true }));
    let options = json!([{ "const": "r", "title": "Red" }, { "const": "g", "title": "g" }]);
    assert_eq!(fields["old"]["oneOf"], options);
    assert_eq!(fields["many"]["items"]["oneOf"], json!([{ "const": "a", "title": "A" }]));
}

#[test]
fn every_fault_of_a_form_is_told_with_its_place() {
    let faults = form(json!({
        "nested": { "type": "object", "properties": {} },
        "list": { "type": "array", "items": { "type": "string" } },
        "a/b": { "type": "string", "title": 3 },
        "none": { "type": "string", "enum": [] },
        "twice": { "type": "string", "enum": ["x", "x"] },
        "": { "type": "string" },
    }));
    assert_eq!(
        pointers(&faults.expect_err("no form")),
        [
            "/properties/nested/type",
            "/properties/list/items",
            "/properties/a~1b/title",
            "/properties/none/enum",
            "/properties/twice/enum/1",
            "/properties/",
        ]
    );
    let refused = |schema: Value| Question::with_form("Well?", &schema).expect_err("no form");
    assert_eq!(pointers(&refused(json!({ "type": "string" }))), [""]);
    let schema = json!({ "type": "object", "properties": {}, "required": ["x"] });
    assert_eq!(pointers(&refused(schema)), ["/required/0"]);
}

#[test]
fn what_is_too_large_is_not_asked() {
    let fields = |count: usize| {
        let field = |n: usize| (format!("f{n}"), json!({ "type": "boolean" }));
        form(Value::Object((0..count).map(field).collect()))
    };
    assert!(fields(FIELDS_MAX).is_ok());
    assert!(fields(FIELDS_MAX + 1).is_err());
    assert!(
        form(json!({ "x": { "type": "string", "title": "x".repeat(FORM_BYTES_MAX) } })).is_err()
    );
    let options = |count: usize| {
        let options: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        form(json!({ "x": { "type": "string", "enum": options } }))
    };
    assert!(options(OPTIONS_MAX).is_ok());
    assert!(options(OPTIONS_MAX + 1).is_err());
    let schema = json!({ "type": "object", "properties": {} });
    for message in [String::new(), " ".to_owned(), "x".repeat(QUESTION_BYTES_MAX + 1)] {
        assert!(Question::with_form(&message, &schema).is_err());
        assert!(Question::with_address(&message, "https://example.org").is_err());
    }
}

#[test]
fn every_fault_of_an_answer_is_told_with_its_place() {
    let schema = json!({
        "type": "object", "required": ["size", "mail"],
        "properties": {
            "size": { "type": "integer", "maximum": 9 },
            "mail": { "type": "string", "format": "email" },
            "when": { "type": "string", "format": "date" },
            "colour": { "type": "string", "enum": ["r", "g"], "default": "g" },
            "tags": { "type": "array", "items": { "type": "string", "enum": ["a", "b"] } },
        },
    });
    let question = Question::with_form("Well?", &schema).expect("a form");
    let fits = json!({ "size": 3, "mail": "ada@example.org", "when": "2026-02-28", "tags": ["a"] });
    let filled = json!({
        "size": 3, "mail": "ada@example.org", "when": "2026-02-28", "tags": ["a"], "colour": "g",
    });
    assert_eq!(question.answer(&fits), Ok(Answer::Accepted(Json::of(&filled))));
    let wrong = json!({
        "size": 10, "when": "2026-02-31", "colour": "b", "tags": ["a", "a"], "more": 1,
    });
    let faults = question.answer(&wrong).expect_err("it does not fit");
    let mut told = pointers(&faults);
    told.sort_unstable();
    assert_eq!(told, ["/colour", "/mail", "/more", "/size", "/tags", "/when"]);
    assert_eq!(pointers(&question.answer(&json!("x")).expect_err("no object")), [""]);
}

#[test]
fn an_address_is_of_the_web_and_answered_by_a_word() {
    let at = |url: &str| Question::with_address("Sign in.", url);
    let question = at("https://example.org/in?x=1").expect("a web address");
    assert_eq!(question.answer(&json!(true)), Ok(Answer::Accepted(Json::null())));
    assert_eq!(question.answer(&json!({ "approved": false })), Ok(Answer::Declined));
    assert!(question.answer(&json!({})).is_err());
    for url in ["javascript:alert(1)", "file:///etc/passwd", "https://a b", "https://ü.example"] {
        assert!(at(url).is_err(), "{url}");
    }
    assert!(at(&format!("https://example.org/{}", "x".repeat(ADDRESS_BYTES_MAX))).is_err());
}
