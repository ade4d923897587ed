//! What is there is found by asking it, and what is not is told with what to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

/// A server on this machine that gives this answer, and then the requests it got.
fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut lines = BufReader::new(stream.try_clone().expect("a copy")).lines();
        let first = lines.next().expect("a line").expect("text");
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let length = answer.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(format!("{head}{answer}").as_bytes()).expect("it listens");
        first
    });
    (url, served)
}

fn with(name: &str, provider: ProviderConfig) -> ModelsConfig {
    let providers = [(name.to_owned(), provider)].into_iter().collect();
    ModelsConfig { providers, ..ModelsConfig::default() }
}

fn at(base_url: String) -> ProviderConfig {
    ProviderConfig { base_url, ..ProviderConfig::default() }
}

fn standing(config: &ModelsConfig, name: &str) -> Found {
    let all = discover(config, &|variable| variable == "OPENAI_API_KEY");
    all.into_iter().find(|found| found.provider == name).expect("it is told of")
}

#[test]
fn a_local_server_tells_its_models() {
    let (url, served) = server(r#"{"object": "list", "data": [{"id": "small"}, {"id": "large"}]}"#);
    let found = standing(&with("mine", at(url)), "mine");
    assert_eq!(found.standing, Standing::Has(vec!["small".to_owned(), "large".to_owned()]));
    assert!(found.is_there() && found.is_wanted && found.mend().is_none());
    assert_eq!(served.join().expect("it served"), "GET /v1/models HTTP/1.1");
}

#[test]
fn another_server_is_not_taken_for_one_of_models() {
    let (url, _served) = server("<html>hello</html>");
    let found = standing(&with("mine", at(url)), "mine");
    assert!(
        matches!(&found.standing, Standing::Silent(why) if why.contains("no server of models"))
    );
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1/", listener.local_addr().expect("an address"));
    drop(listener);
    let found = standing(&with("ollama", at(url.clone())), "ollama");
    assert!(matches!(&found.standing, Standing::Silent(why) if !why.is_empty()));
    assert_eq!((found.is_there(), found.base_url), (false, url));
    let found = standing(&with("ollama", at("http://127.0.0.1:9/v1".into())), "ollama");
    assert!(found.mend().is_some_and(|mend| mend.contains("[models.providers.ollama]")));
}

#[test]
fn a_key_is_told_by_its_variable_alone() {
    let config = ModelsConfig { worker: vec!["openai/gpt-5".into()], ..ModelsConfig::default() };
    let openai = standing(&config, "openai");
    assert_eq!(openai.standing, Standing::KeyIsSet("OPENAI_API_KEY".to_owned()));
    assert!(openai.is_there() && openai.is_wanted);
    let anthropic = standing(&config, "anthropic");
    assert_eq!(anthropic.standing, Standing::KeyIsMissing("ANTHROPIC_API_KEY".to_owned()));
    assert!(!anthropic.is_wanted);
    assert!(anthropic.mend().is_some_and(|mend| mend.contains("set ANTHROPIC_API_KEY")));
}

#[test]
fn where_nobody_names_a_model_keys_go_before_servers() {
    let found = |provider: &str, standing: Standing| Found {
        provider: provider.to_owned(),
        base_url: String::new(),
        is_wanted: false,
        standing,
    };
    let models = ["nomic-embed-text".to_owned(), "small".to_owned()].to_vec();
    let mut all = vec![
        found("anthropic", Standing::KeyIsMissing("ANTHROPIC_API_KEY".to_owned())),
        found("ollama", Standing::Has(models)),
        found("vllm", Standing::Has(Vec::new())),
    ];
    assert_eq!(usual_models(&all), ["ollama/small"]);
    all.push(found("openai", Standing::KeyIsSet("OPENAI_API_KEY".to_owned())));
    assert_eq!(usual_models(&all), ["openai/gpt-6.1-terra"]);
    assert!(usual_models(&[]).is_empty());
    for (provider, _, model) in WITH_KEYS {
        let spec =
            crate::prices::Prices::table().spec(&format!("{provider}/{model}"), "2026-11-21");
        assert!(spec.price.is_some() && spec.window_tokens.is_some(), "{model} is of today");
    }
}

#[test]
fn what_is_elsewhere_is_not_asked() {
    let far = at("https://models.invalid/v1".into());
    assert_eq!(standing(&with("far", far), "far").standing, Standing::Elsewhere);
    let key =
        ProviderConfig { key_env: Some("FAR_KEY".into()), ..at("http://127.0.0.1:1/".into()) };
    let keyed = standing(&with("far", key), "far");
    assert_eq!(keyed.standing, Standing::KeyIsMissing("FAR_KEY".into()));
}

#[test]
fn a_provider_that_nobody_declared_is_told() {
    let config = ModelsConfig { planner: vec!["work/big".into()], ..ModelsConfig::default() };
    let found = standing(&config, "work");
    assert_eq!((found.standing.clone(), found.is_there()), (Standing::Unknown, false));
    let scripted = ModelsConfig { worker: vec!["scripted/a".into()], ..ModelsConfig::default() };
    let all = discover(&scripted, &|_| false);
    assert!(all.iter().all(|found| found.provider != "scripted" && !found.is_wanted));
}
