//! The arrows between the crates: `core <- engine <- { store | adapters | server } <- baton`.
//!
//! Only our own crates count here. What a crate takes from elsewhere is chosen in its manifest.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// Every crate of ours, and which of the others it may be built with.
const ARROWS: &[(&str, &[&str])] = &[
    ("baton-core", &[]),
    ("baton-engine", &["baton-core"]),
    ("baton-store", &["baton-core", "baton-engine"]),
    ("baton-adapters", &["baton-core", "baton-engine"]),
    // Apart from the adapters because the SDK is slow to build.
    ("baton-mcp", &["baton-core", "baton-engine"]),
    // Apart from the adapters too: what speaks to models changes with their providers.
    ("baton-models", &["baton-core", "baton-engine"]),
    ("baton-server", &["baton-core", "baton-engine"]),
    // Apart from the server because it is not called, and from the adapters because it calls nobody
    // for a task: it follows the journal.
    ("baton-telemetry", &["baton-core", "baton-engine"]),
    (
        "baton",
        &[
            "baton-core",
            "baton-engine",
            "baton-store",
            "baton-adapters",
            "baton-mcp",
            "baton-models",
            "baton-server",
            "baton-telemetry",
        ],
    ),
    ("baton-sim", &["baton-core", "baton-engine", "baton-store"]),
    ("xtask", &[]),
];

/// Blind to one another, also in their tests.
const SIBLINGS: &[&str] = &[
    "baton-store",
    "baton-adapters",
    "baton-mcp",
    "baton-models",
    "baton-server",
    "baton-telemetry",
];

/// At the end of all arrows, also in tests.
const ENDS: &[&str] = &["baton", "xtask"];

/// Checks what `cargo metadata --no-deps` says of the workspace.
pub fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let packages = packages.context("cargo metadata names no packages")?;
    let ours: Vec<&str> = packages.iter().map(name_of).collect();
    let checked = packages.iter().flat_map(|package| check_package(package, &ours));
    Ok(checked.collect())
}

fn check_package(package: &Value, ours: &[&str]) -> Vec<Finding> {
    let name = name_of(package);
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        let what = format!("the crate {name} has no place in the layout");
        let mend = "give it a row in xtask/src/tidy/arrows.rs, with the reason for a new crate";
        return vec![finding(name, what, mend)];
    };
    let mut found = Vec::new();
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    for dependency in dependencies.into_iter().flatten() {
        let used = name_of(dependency);
        let is_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
        let is_fine = allowed.contains(&used) || (is_for_tests && may_test_with(name, used));
        if ours.contains(&used) && !is_fine {
            let what = format!("{name} depends on {used}, against the arrows");
            let mend = "move what is needed inwards, or behind a port of the engine";
            found.push(finding(name, what, mend));
        }
    }
    found
}

/// A package's or a dependency's name; an empty one has no place in the layout.
fn name_of(value: &Value) -> &str {
    value.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Tests may look against an arrow, though not from sibling to sibling and not at the binary.
fn may_test_with(name: &str, used: &str) -> bool {
    let both_siblings = SIBLINGS.contains(&name) && SIBLINGS.contains(&used);
    !both_siblings && !ENDS.contains(&used)
}

fn finding(name: &str, what: String, mend: &'static str) -> Finding {
    let path = match name {
        "xtask" => "xtask/Cargo.toml".to_owned(),
        _ => format!("crates/{name}/Cargo.toml"),
    };
    Finding { path, line: 1, what, mend }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is said of a workspace in which `name` depends on `used`.
    fn said(name: &str, used: &str, kind: Value) -> Vec<String> {
        let metadata = json!({"packages": [
            {"name": name, "dependencies": [
                {"name": used, "kind": kind},
                {"name": "serde", "kind": null},
            ]},
            {"name": used, "dependencies": []},
        ]});
        let findings = check(&metadata).unwrap().into_iter();
        findings.map(|finding| finding.what).collect()
    }

    #[test]
    fn arrows_point_one_way() {
        assert_eq!(said("baton-engine", "baton-core", Value::Null), [""; 0]);
        assert_eq!(
            said("baton-core", "baton-engine", Value::Null),
            ["baton-core depends on baton-engine, against the arrows"]
        );
        assert_eq!(
            said("baton-server", "baton-store", json!("build")),
            ["baton-server depends on baton-store, against the arrows"]
        );
    }

    #[test]
    fn tests_are_freer_but_siblings_stay_blind() {
        assert_eq!(said("baton-engine", "baton-store", json!("dev")), [""; 0]);
        assert_eq!(said("baton", "baton-sim", json!("dev")), [""; 0]);
        assert_eq!(said("baton-store", "baton-adapters", json!("dev")).len(), 1);
        assert_eq!(said("baton-engine", "baton", json!("dev")).len(), 1);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        assert_eq!(
            said("baton-util", "baton-core", Value::Null),
            ["the crate baton-util has no place in the layout"]
        );
    }
}
