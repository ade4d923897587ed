//! Every reference leads somewhere, and schemas say what the views that are served say.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every name that a `$ref` of the document leads to, and every `operationId`.
fn gather(value: &Value, refs: &mut BTreeSet<String>, operations: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field.as_str()) {
                    ("$ref", Some(to)) => {
                        refs.insert(to.trim_start_matches('#').to_owned());
                    }
                    ("operationId", Some(id)) => operations.push(id.to_owned()),
                    _ => gather(field, refs, operations),
                }
            }
        }
        Value::Array(elements) => {
            elements.iter().for_each(|element| gather(element, refs, operations));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_operations_are_told_apart() {
    let document: Value = serde_json::to_value(crate::http::openapi()).unwrap();
    let (mut refs, mut operations) = (BTreeSet::new(), Vec::new());
    gather(&document, &mut refs, &mut operations);
    assert!(refs.contains("/components/schemas/problem_code"));
    for to in refs {
        assert!(document.pointer(&to).is_some(), "{to}");
    }
    let count = operations.len();
    operations.sort();
    operations.dedup();
    assert_eq!(operations.len(), count, "{operations:?}");
}

/// The fields of a Rust struct as its source declares them, under their names in JSON.
fn declared(source: &str, name: &str) -> BTreeSet<String> {
    let begin = source.find(&format!("pub struct {name}")).unwrap();
    let text = source[begin..].split("\n}").next().unwrap();
    let mut fields = BTreeSet::new();
    let (mut renamed, mut is_skipped) = (None, false);
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[serde(rename = \"") {
            renamed = rest.split('"').next();
        }
        let skips = ["#[serde(skip)]", "#[serde(skip,"].iter().any(|skip| line.starts_with(skip));
        is_skipped |= skips || line.contains("flatten");
        if let Some((field, _)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")) {
            if !is_skipped {
                fields.insert(renamed.unwrap_or(field).to_owned());
            }
            (renamed, is_skipped) = (None, false);
        }
    }
    fields
}

#[test]
fn schemas_have_the_fields_of_the_views_that_are_served() {
    let document: Value = serde_json::to_value(crate::http::openapi()).unwrap();
    let view = include_str!("../../../../baton-engine/src/view.rs");
    let budget = include_str!("../../../../baton-engine/src/budget.rs");
    let usage = include_str!("../../../../baton-engine/src/usage.rs");
    let forecast = include_str!("../../../../baton-engine/src/forecast.rs");
    let turns = include_str!("../../../../baton-engine/src/turn_view.rs");
    let talk = include_str!("../../../../baton-engine/src/conversations.rs");
    let asked = include_str!("../../../../baton-core/src/conversation/clarification.rs");
    let cases = [
        ("Conversation", talk, "ConversationView"),
        ("ClosedTask", talk, "ClosedTaskView"),
        ("Clarification", asked, "Clarification"),
        ("Focus", include_str!("../../../../baton-core/src/conversation/state.rs"), "Focus"),
        ("AgentWork", turns, "AgentView"),
        ("Turn", turns, "TurnView"),
        ("Piece", turns, "PieceView"),
        ("AskedCall", turns, "AskedCallView"),
        ("Tokens", include_str!("../../../../baton-core/src/agent/usage.rs"), "Usage"),
        ("Prompt", include_str!("../../../../baton-engine/src/prompt.rs"), "PromptView"),
        ("Workflow", view, "WorkflowView"),
        ("Task", view, "TaskView"),
        ("Budget", budget, "Budget"),
        ("BudgetUse", budget, "BudgetUse"),
        ("BudgetShare", budget, "BudgetShare"),
        ("Spent", usage, "Spent"),
        ("UsageReport", usage, "UsageReport"),
        ("Forecast", forecast, "Forecast"),
        ("TaskForecast", forecast, "TaskForecast"),
        ("Range", forecast, "Range"),
        ("Said", include_str!("../../../../baton-engine/src/said.rs"), "Said"),
        ("Call", include_str!("../calls.rs"), "CallView"),
        ("Span", include_str!("../../../../baton-engine/src/trace.rs"), "SpanView"),
        ("Stage", include_str!("../../../../baton-engine/src/stages.rs"), "StageView"),
        ("Milestone", include_str!("../../../../baton-engine/src/stages.rs"), "MilestoneView"),
        ("Event", include_str!("../../../../baton-engine/src/events.rs"), "EventView"),
        ("InboxItem", include_str!("../../../../baton-engine/src/inbox.rs"), "InboxItem"),
        ("Tool", include_str!("../../../../baton-core/src/plan.rs"), "ToolSpec"),
        ("Edit", include_str!("../../../../baton-engine/src/edits.rs"), "EditView"),
        ("Changes", include_str!("../../../../baton-core/src/definition/changes.rs"), "Changes"),
        ("Failure", include_str!("../../../../baton-core/src/failure.rs"), "CallFailure"),
    ];
    for (schema, source, name) in cases {
        let shape = &document["components"]["schemas"][schema]["properties"];
        let shown = shape.as_object().unwrap_or_else(|| panic!("{schema}: {shape}"));
        let shown: BTreeSet<String> = shown.keys().cloned().collect();
        assert_eq!(shown, declared(source, name), "{schema}");
    }
}
