//! The templates, and what holds for every tool: schemas that agree with what is read.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy knows tests, not what they share"
)]

mod common;

use std::collections::BTreeSet;

use baton_adapters::{BuiltinTools, Permit, ToolsConfig};
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind, Permission};
use baton_engine::ports::Tools as _;
use common::Workshop;
use serde_json::{Value, json};

#[test]
fn a_noop_returns_its_value() {
    let shop = Workshop::new();
    assert_eq!(shop.ok("core.noop", json!({})), Value::Null);
    assert_eq!(shop.ok("core.noop", json!({ "value": [1] })), json!([1]));
}

#[test]
fn a_template_renders_without_escaping_and_fails_on_what_is_not_there() {
    let shop = Workshop::new();
    let template = "{% for x in data.list %}<{{ x }}>\n{% endfor %}{{ data.list|tojson }}";
    let input = json!({ "template": template, "data": { "list": [1, "a&b"] } });
    assert_eq!(shop.ok("text.render", input), json!("<1>\n<a&b>\n[1, \"a\\u0026b\"]"));
    for template in [
        "{{ data.x }}",
        "{{ y }}",
        "{% include 'a' %}",
        "{{",
        "{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}",
    ] {
        let failure = shop.err("text.render", json!({ "template": template, "data": {} }));
        assert_eq!(failure.kind, FailureKind::Template, "{template}");
    }
}

#[test]
fn what_a_template_or_a_query_yields_is_bounded() {
    let shop = Workshop::with(|config| config.limits.text_bytes_max = 1000);
    let template = "{% for x in range(1001) %}x{% endfor %}";
    let failure = shop.err("text.render", json!({ "template": template }));
    assert_eq!(failure.kind, FailureKind::TooLarge);
    let query = "range(1000) | list";
    let failure = shop.err("json.query", json!({ "data": 1, "query": query }));
    assert_eq!(failure.kind, FailureKind::TooLarge);
}

#[test]
fn a_query_gives_the_value_of_its_expression() {
    let shop = Workshop::new();
    let data = json!({ "items": [{ "n": 1, "ok": true }, { "n": 2, "ok": false }] });
    for (query, value) in [
        ("data['items'][1].n", json!(2)),
        ("data['items'] | selectattr('ok') | map(attribute='n') | list", json!([1])),
        ("data['items'] | length > 1 and true", json!(true)),
        ("data.none | default(none)", Value::Null),
        ("data", data.clone()),
    ] {
        assert_eq!(
            shop.ok("json.query", json!({ "data": data, "query": query })),
            value,
            "{query}"
        );
    }
    for query in ["data.none", "data.", "nothing.at.all"] {
        let failure = shop.err("json.query", json!({ "data": data, "query": query }));
        assert_eq!(failure.kind, FailureKind::Template, "{query}");
    }
}

fn properties(spec: &ToolSpec) -> &serde_json::Map<String, Value> {
    spec.input["properties"].as_object().unwrap()
}

/// A value that fits a property's schema.
fn sample(schema: &Value) -> Value {
    let kind = schema["type"].get(0).unwrap_or(&schema["type"]);
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match kind.as_str() {
        Some("string") => json!("sample"),
        Some("integer") => schema["minimum"].clone(),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!({ "any": 1 }),
    }
}

/// Whether the input itself was refused, whatever the tool then made of it.
fn misread(shop: &Workshop, spec: &ToolSpec, input: &Value) -> Option<String> {
    let failure = shop.call(&spec.name, input.clone()).err()?;
    let sign = format!("the input of {} is not right", spec.name);
    Some(failure.message).filter(|message| message.contains(&sign))
}

/// serde lists the fields it knows when it meets one it does not.
#[test]
fn the_schema_of_each_tool_names_exactly_the_fields_it_reads() {
    let shop = Workshop::with_shell();
    assert_eq!(shop.tools.specs().len(), 15);
    for spec in shop.tools.specs().iter() {
        let fault = misread(&shop, spec, &json!({ "unknown-field": 1 })).unwrap();
        let known: BTreeSet<&str> = fault.split('`').skip(3).step_by(2).collect();
        let declared: BTreeSet<&str> = properties(spec).keys().map(String::as_str).collect();
        assert_eq!(known, declared, "{}", spec.name);
    }
}

#[test]
fn the_schema_of_each_tool_agrees_with_what_it_reads() {
    let shop = Workshop::with_shell();
    for spec in shop.tools.specs().iter() {
        let name = &spec.name;
        let validator = jsonschema::validator_for(&spec.input).unwrap();
        let full: Value = properties(spec)
            .iter()
            .map(|(key, schema)| (key.clone(), sample(schema)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        assert!(validator.is_valid(&full), "{name}: {full}");
        assert_eq!(misread(&shop, spec, &full), None, "{name}");
        for key in properties(spec).keys() {
            for change in [None, Some(Value::Null), Some(json!([{ "wrong": 1 }]))] {
                let mut input = full.clone();
                match change {
                    None => drop(input.as_object_mut().unwrap().remove(key)),
                    Some(value) => input[key] = value,
                }
                // `rows` of csv.write takes any JSON inside its list.
                let agreed = validator.is_valid(&input) == misread(&shop, spec, &input).is_none();
                assert!(agreed, "{name}: {key} in {input}");
            }
        }
    }
}

#[test]
fn only_tools_that_read_may_be_called_by_read_only_tasks() {
    let shop = Workshop::with_shell();
    for spec in shop.tools.specs().iter() {
        let expected = match spec.effect {
            Effect::Read => Permission::ReadOnly,
            Effect::Idempotent | Effect::Once => Permission::ReadWrite,
        };
        assert_eq!(spec.permission, expected, "{}", spec.name);
        let class = match spec.name.as_str() {
            "fs.write" | "csv.write" => Effect::Idempotent,
            "http.request" | "shell.run" => Effect::Once,
            _ => Effect::Read,
        };
        assert_eq!(spec.effect, class, "{}", spec.name);
        let quick = ["core.noop", "json.query", "text.render"].contains(&spec.name.as_str());
        assert_eq!(spec.quick, quick, "{}", spec.name);
    }
}

#[test]
fn the_configuration_is_read_with_its_defaults_and_refuses_what_it_does_not_know() {
    let config: ToolsConfig = serde_json::from_value(json!({
        "roots": ["/tmp"],
        "http": { "hosts": ["*.example.org"], "allow_private": true },
        "shell": { "allow": true },
        "limits": { "fuel": 5 },
    }))
    .unwrap();
    assert_eq!(config.http.allow_private, Permit::Granted);
    assert_eq!(config.shell.allow, Permit::Granted);
    assert_eq!((config.limits.fuel, config.limits.file_bytes_max), (5, 16 << 20));
    assert!(config.shell.env.contains(&"PATH".to_owned()));
    for wrong in
        [json!({ "root": [] }), json!({ "http": { "host": [] } }), json!({ "limits": { "x": 1 } })]
    {
        assert!(serde_json::from_value::<ToolsConfig>(wrong).is_err());
    }
    let config = ToolsConfig { roots: vec!["/no/such/folder".into()], ..ToolsConfig::default() };
    let fault = BuiltinTools::new(config).err().unwrap().to_string();
    assert!(fault.contains("/no/such/folder") && fault.contains("roots"), "{fault}");
}
