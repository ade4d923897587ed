//! What plans may name, as a model is told: definitions, tools and agents, those first that fit its words.
//!
//! Every list is bounded and says what it leaves out. Descriptions are other people's text, and shortened.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::plan::{Plan, ToolSpec};
use baton_core::playbook::{Playbook, Shelf};
use baton_core::spoken::cut;
use serde_json::{Map, Value, json};

use super::library::Library;
use crate::agents;

/// The most definitions that are told.
const DEFINITIONS_MAX: usize = 12;
/// The most tools.
const TOOLS_MAX: usize = 40;
/// The most agents.
const AGENTS_MAX: usize = 20;
/// The longest description, in characters.
const LINE_CHARS_MAX: usize = 200;
/// The most fields of an input that are told.
const FIELDS_MAX: usize = 20;

/// What there is, nearest to the words first.
pub fn listed(query: &str, library: &Library) -> Value {
    let silent = silent_servers(library);
    let specs = library.tools().specs();
    let tools = nearest(specs.iter().collect(), query, |tool: &&ToolSpec| {
        format!("{} {}", tool.name, tool.description)
    });
    let agents = agents::listed(library.config());
    let usable = agents.into_iter().filter(|agent| agent.trouble.is_none()).collect();
    let agents =
        nearest(usable, query, |agent| format!("{} {}", agent.name, agent.tools.join(" ")));
    let plans = library.shelf().plans;
    let definitions = definitions(query, &plans);
    let mut told = Map::new();
    let mut list = |name: &str, all: usize, shown: Vec<Value>| {
        if all > shown.len() {
            told.insert(format!("{name}_left_out"), json!(all - shown.len()));
        }
        told.insert(name.to_owned(), Value::Array(shown));
    };
    list("definitions", plans.len(), definitions);
    list("tools", tools.len(), tools.into_iter().take(TOOLS_MAX).map(tool).collect());
    let agent = |agent: baton_server::http::AgentItem| json!({ "name": agent.name, "tools": agent.tools, "permission": agent.permission.word() });
    list("agents", agents.len(), agents.into_iter().take(AGENTS_MAX).map(agent).collect());
    if !silent.is_empty() {
        told.insert("servers_not_reached".to_owned(), json!(silent));
    }
    Value::Object(told)
}

/// Has every server tell its tools; the names of those that do not.
fn silent_servers(library: &Library) -> Vec<&str> {
    let servers = library.config().servers.keys();
    let silent = servers.filter(|server| library.tools().learn(server).is_err());
    silent.map(String::as_str).collect()
}

/// The definitions that fit, and then the others by name.
fn definitions(query: &str, plans: &BTreeMap<String, Arc<Plan>>) -> Vec<Value> {
    let shelf = Shelf::of(plans.values().map(|plan| Playbook::from(plan.as_ref())));
    let found: Vec<String> = shelf.matches(query).into_iter().map(|one| one.name).collect();
    let others = plans.keys().filter(|name| !found.contains(name));
    let names = found.iter().chain(others).take(DEFINITIONS_MAX);
    let told = |plan: &Arc<Plan>| {
        json!({
            "name": plan.name,
            "does": plan.description.as_deref().map(short),
            "inputs": plan.inputs.as_ref().map(fields),
        })
    };
    names.filter_map(|name| plans.get(name)).map(told).collect()
}

/// Those with most of the words first; of equals, in their order.
fn nearest<T>(mut all: Vec<T>, query: &str, text: impl Fn(&T) -> String) -> Vec<T> {
    let query = query.to_lowercase();
    let words: Vec<&str> = query
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    all.sort_by_cached_key(|one| {
        let text = text(one).to_lowercase();
        std::cmp::Reverse(words.iter().filter(|word| text.contains(*word)).count())
    });
    all
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name,
        "does": short(&tool.description),
        "effect": tool.effect.word(),
        "permission": tool.permission.word(),
        "with": fields(&tool.input),
    })
}

/// The fields of an object's schema in a word each; `?` behind those that may be left out.
fn fields(schema: &Value) -> Value {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten().take(FIELDS_MAX);
    let field = |(name, schema): (&String, &Value)| {
        let what = match (schema.get("enum"), schema.get("type")) {
            (Some(values), _) => cut(&values.to_string(), LINE_CHARS_MAX),
            (None, Some(kind)) => kind.as_str().map_or_else(|| kind.to_string(), str::to_owned),
            (None, None) => "any".to_owned(),
        };
        let open = if required.contains(&name.as_str()) { "" } else { "?" };
        (name.clone(), Value::String(format!("{what}{open}")))
    };
    Value::Object(properties.map(field).collect())
}

fn short(text: &str) -> String {
    cut(text.lines().next().unwrap_or_default(), LINE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_more_words_comes_first() {
        let all = vec!["fs.read reads a file", "git.log reads commits", "csv.parse parses rows"];
        let found = nearest(all.clone(), "commits of git", |one| (*one).to_owned());
        assert_eq!(found[0], all[1]);
        assert_eq!(nearest(all.clone(), "", |one| (*one).to_owned()), all);
    }

    #[test]
    fn a_schema_is_told_in_a_word_for_each_field() {
        let schema = json!({
            "required": ["path"],
            "properties": { "path": { "type": "string" }, "kind": { "enum": ["a", "b"] }, "x": {} },
        });
        let told = fields(&schema);
        assert_eq!(told, json!({ "path": "string", "kind": "[\"a\",\"b\"]?", "x": "any?" }));
        assert_eq!(fields(&json!(true)), json!({}));
    }
}
