//! `cargo xtask licences`: every package that ends up in a build, against the licences allowed.
//!
//! It reads what packages declare; it does not read their files. Packages used by tests alone are
//! not shipped and not looked at.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{spdx, workspace};

/// What may be in a build: permissive licences only.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The system Baton is built for.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Fails naming every package whose licence is not allowed; tells of packages present twice.
pub fn run() -> Result<()> {
    let metadata = workspace::metadata(&["--locked", "--filter-platform", PLATFORM])?;
    let packages = shipped(&metadata)?;
    for (name, versions) in duplicates(&packages) {
        println!("note: {name} is built in {} versions: {}", versions.len(), versions.join(", "));
    }
    let offenders: Vec<String> = packages.iter().filter_map(offence).collect();
    if !offenders.is_empty() {
        bail!(
            "not allowed, replace the dependency or extend the list in xtask/src/licences.rs:\n{}",
            offenders.join("\n")
        );
    }
    println!("licences: {} packages, all allowed", packages.len());
    Ok(())
}

/// What matters of a package.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
}

/// Why a package may not be there, if so.
fn offence(package: &Package) -> Option<String> {
    let Package { name, version, .. } = package;
    let Some(licence) = &package.licence else {
        return Some(format!("{name} {version}: declares no licence"));
    };
    match spdx::satisfied(licence, ALLOWED) {
        Ok(true) => None,
        Ok(false) => Some(format!("{name} {version}: {licence}")),
        Err(fault) => Some(format!("{name} {version}: cannot read `{licence}`: {fault:?}")),
    }
}

/// The packages of which several versions are built, with those.
fn duplicates(packages: &BTreeSet<Package>) -> Vec<(&str, Vec<&str>)> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let of_name = versions.entry(&package.name).or_default();
        of_name.push(&package.version);
    }
    versions.retain(|_, of_name| of_name.len() > 1);
    versions.into_iter().collect()
}

/// Every package that normal and build dependencies lead to, the workspace's own included.
fn shipped(metadata: &Value) -> Result<BTreeSet<Package>> {
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in list(metadata, "/resolve/nodes")? {
        let used = list(node, "/deps")?.iter().filter(|used| is_shipped(used));
        let used = used.map(|used| text(used, "pkg")).collect::<Result<_>>()?;
        edges.insert(text(node, "id")?, used);
    }
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let members = list(metadata, "/workspace_members")?;
    let mut ahead: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    while let Some(id) = ahead.pop() {
        if reached.insert(id) {
            ahead.extend(edges.get(id).into_iter().flatten());
        }
    }
    let mut packages = BTreeSet::new();
    for package in list(metadata, "/packages")? {
        if reached.contains(text(package, "id")?) {
            packages.insert(Package {
                name: text(package, "name")?.to_owned(),
                version: text(package, "version")?.to_owned(),
                licence: text(package, "license").ok().map(str::to_owned),
            });
        }
    }
    Ok(packages)
}

/// Whether a dependency is one of a build, and not of tests alone.
fn is_shipped(dependency: &Value) -> bool {
    let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
    kinds.into_iter().flatten().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"))
}

fn list<'a>(value: &'a Value, pointer: &str) -> Result<&'a Vec<Value>> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .with_context(|| format!("cargo metadata has no list {pointer}"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("cargo metadata has no text `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, version: &str, licence: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.map(str::to_owned),
        }
    }

    #[test]
    fn what_only_tests_lead_to_is_not_shipped() {
        let uses = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let listed =
            |name: &str| json!({"id": name, "name": name, "version": "1", "license": "MIT"});
        let packages = ["ours", "normal", "build", "dev"].map(listed);
        let metadata = json!({
            "workspace_members": ["ours"],
            "packages": packages,
            "resolve": {"nodes": [
                {"id": "ours", "deps": [uses("normal", Value::Null), uses("dev", json!("dev"))]},
                {"id": "normal", "deps": [uses("build", json!("build"))]},
                {"id": "dev", "deps": []},
            ]},
        });
        let packages = shipped(&metadata).unwrap();
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["build", "normal", "ours"]);
    }

    #[test]
    fn a_missing_unknown_or_unreadable_licence_is_an_offence() {
        assert_eq!(offence(&package("a", "1", Some("MIT OR GPL-3.0"))), None);
        assert_eq!(offence(&package("a", "1", Some("GPL-3.0"))).unwrap(), "a 1: GPL-3.0");
        assert!(offence(&package("a", "1", None)).is_some());
        assert!(offence(&package("a", "1", Some("MIT OR"))).is_some());
    }

    #[test]
    fn a_package_in_two_versions_is_a_duplicate() {
        let packages = [("a", "1"), ("a", "2"), ("b", "1")]
            .map(|(name, version)| package(name, version, None))
            .into();
        assert_eq!(duplicates(&packages), [("a", vec!["1", "2"])]);
    }
}
