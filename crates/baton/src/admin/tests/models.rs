//! The doctor tells which models there are, what is missing, and what a model answers when it is tried.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use baton_models::{Known, ModelsConfig, ProviderConfig};

use crate::admin::doctor::{Finding, Level, Report, Trying};

fn looked(config: &ModelsConfig, key: Option<&str>, trying: Trying) -> Report {
    let mut report = Report::default();
    report.look_at_models(config, &|name| Some(name) == key, trying);
    report
}

fn found<'a>(report: &'a Report, what: &str) -> &'a Finding {
    let found = report.findings.iter().find(|found| found.what.contains(what));
    found.unwrap_or_else(|| panic!("no `{what}` in\n{}", report.render()))
}

fn script(folder: &Path, turn: &str) -> ModelsConfig {
    let file = folder.join("desk.yaml");
    std::fs::write(&file, format!("answers: [{{turns: [{turn}]}}]")).expect("written");
    let worker = vec!["scripted/desk".to_owned()];
    ModelsConfig { scripts: vec![file], worker, ..ModelsConfig::default() }
}

#[test]
fn a_key_is_named_and_one_that_is_needed_is_a_problem() {
    let config = ModelsConfig { worker: vec!["openai/gpt-5".into()], ..ModelsConfig::default() };
    let without = looked(&config, Some("ANTHROPIC_API_KEY"), Trying::Nothing);
    let missing = found(&without, "OPENAI_API_KEY is not set");
    assert_eq!((missing.level, missing.place.as_str()), (Level::Problem, "openai"));
    assert!(missing.mend.as_deref().is_some_and(|mend| mend.contains("set OPENAI_API_KEY")));
    assert_eq!(found(&without, "the key in ANTHROPIC_API_KEY is set").level, Level::Ok);
    assert!(!without.render().contains("GEMINI"), "nobody asked for it");
    let nothing = looked(&ModelsConfig::default(), Some("ANTHROPIC_API_KEY"), Trying::Nothing);
    let usual = found(&nothing, "agents that name no model ask anthropic/");
    assert_eq!((usual.level, usual.place.as_str()), (Level::Ok, "models.worker"));
    let with = looked(&config, Some("OPENAI_API_KEY"), Trying::Nothing);
    assert_ne!(with.worst(), Level::Problem, "{}", with.render());
}

#[test]
fn a_server_that_should_be_there_is_a_problem() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    drop(listener);
    let mine = ProviderConfig { base_url: base_url.clone(), ..ProviderConfig::default() };
    let providers = BTreeMap::from([("mine".to_owned(), mine)]);
    let report =
        looked(&ModelsConfig { providers, ..ModelsConfig::default() }, None, Trying::Nothing);
    let silent = found(&report, "it does not say which models it has");
    assert_eq!(
        (silent.level, silent.place.clone()),
        (Level::Problem, format!("mine at {base_url}"))
    );
}

#[test]
fn each_role_s_first_model_is_tried_and_what_came_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let usage = "usage: {input_tokens: 1000, output_tokens: 1}";
    let mut config =
        script(folder.path(), &format!("{{text: yes, {usage}}}").replace("yes", "'yes'"));
    let quiet = looked(&config, None, Trying::Nothing);
    assert!(!quiet.render().contains("answered"), "nothing is asked unless told to");
    let unknown = looked(&config, None, Trying::EachRole);
    assert_eq!(found(&unknown, "at a price that is not known").place, "models.worker");
    let (input, output) = (Some("1".to_owned()), Some("2".to_owned()));
    let known = Known { input, output, ..Known::default() };
    config.known.insert("scripted/desk".to_owned(), known);
    let tried = looked(&config, None, Trying::EachRole);
    let answered = found(&tried, "`scripted/desk` answered in");
    assert!(answered.what.contains("1,001 tokens, $0.001002"), "{}", answered.what);
}

#[test]
fn a_model_that_does_not_answer_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = script(folder.path(), "{fail: {kind: denied, message: the key is wrong}}");
    let report = looked(&config, None, Trying::EachRole);
    let failed = found(&report, "does not answer (denied): the key is wrong");
    assert_eq!((failed.level, failed.place.as_str()), (Level::Problem, "models.worker"));
    let only = Some("scripted:/nowhere/a.yaml".to_owned());
    let report = looked(&ModelsConfig { only, ..config }, None, Trying::EachRole);
    assert_eq!(found(&report, "/nowhere/a.yaml cannot be read").level, Level::Problem);
}

#[test]
fn a_name_that_is_none_is_a_problem_of_its_role() {
    let config = ModelsConfig { planner: vec!["gpt".into()], ..ModelsConfig::default() };
    let report = looked(&config, None, Trying::Nothing);
    assert_eq!(found(&report, "`gpt` is no model").place, "models.planner");
}
