//! A real small model on a real server: llama.cpp speaks three of the protocols itself.
//!
//! `cargo xtask test` starts the server and names it; without one, every test here says that it is
//! skipped. What the model says is nonsense; how it is asked and heard is what is tested.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a test needs beside its test functions fails it"
)]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use baton_core::agent::{Message, read_output};
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{FailureKind, Happened};
use baton_engine::ports::{CallContext, Control, ModelAnswer, ModelRequest, Models};
use baton_models::{ModelSet, ModelsConfig, Protocol, ProviderConfig, Standing, discover};
use serde_json::json;

/// Names the server: `http://127.0.0.1:PORT`.
const SERVER: &str = "BATON_TEST_LLAMA";
/// What the server calls its model.
const MODEL: &str = "smollm2";
/// One thread of a busy machine writes a few tokens a second.
const CALL_MAX: Duration = Duration::from_secs(120);

const PROTOCOLS: [(&str, Protocol); 3] = [
    ("chat", Protocol::Openai),
    ("responses", Protocol::OpenaiResponses),
    ("messages", Protocol::Anthropic),
];

/// The server, for one test at a time: it has one place for requests.
struct Server {
    config: ModelsConfig,
    models: ModelSet,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    fn found() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let Ok(url) = std::env::var(SERVER) else {
            println!("skipped: {SERVER} names no server of llama.cpp");
            return None;
        };
        let provider = |protocol| ProviderConfig {
            protocol,
            base_url: format!("{url}/v1/"),
            ..ProviderConfig::default()
        };
        let providers: BTreeMap<_, _> = PROTOCOLS
            .into_iter()
            .map(|(name, protocol)| (name.to_owned(), provider(protocol)))
            .collect();
        let config = ModelsConfig { providers, ..ModelsConfig::default() };
        let models = ModelSet::new(config.clone()).expect("it is well declared");
        Some(Self { config, models, _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) })
    }

    /// Asks, and gives back what was told while the answer was made as well.
    fn ask(&self, request: &ModelRequest) -> (Vec<String>, Result<ModelAnswer, CallFailure>) {
        let mut told = Vec::new();
        let control = Control::new(CALL_MAX);
        let answer = self.models.call(request, &control, &mut |text| told.push(text.to_owned()));
        (told, answer)
    }
}

fn request(provider: &str, prompt: &str, output_tokens_max: u32) -> ModelRequest {
    let moment = Moment::new(Timestamp::from_millis(1_000), 7);
    let (workflow, conversation) = (WorkflowId::new(&moment, 0), ConversationId::new(&moment, 0));
    ModelRequest {
        model: format!("{provider}/{MODEL}"),
        agent: "tester".to_owned(),
        attempt: 1,
        instructions: Some("You are terse.".to_owned()),
        tools: Vec::new(),
        output: None,
        output_tokens_max,
        messages: vec![Message::user(prompt)],
        context: CallContext::new(workflow, (Ordinal(0), 1), conversation),
    }
}

fn text(answer: &ModelAnswer) -> String {
    Message::Assistant(answer.content.clone()).text()
}

#[test]
fn an_answer_comes_in_pieces_and_with_its_usage() {
    let Some(server) = Server::found() else { return };
    for (name, _) in PROTOCOLS {
        let (told, answer) = server.ask(&request(name, "Write a sentence about the sea.", 24));
        let answer = answer.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert!(!text(&answer).is_empty(), "{name}");
        assert!(told.len() > 1, "{name} told all at once: {told:?}");
        assert_eq!(told.concat(), text(&answer), "{name}");
        let usage = answer.usage;
        assert!(
            usage.input_tokens > 5 && usage.cached_tokens <= usage.input_tokens,
            "{name}: {usage:?}"
        );
        assert!((1..=24).contains(&usage.output_tokens), "{name}: {usage:?}");
    }
}

#[test]
fn an_answer_that_used_up_its_tokens_is_cut() {
    let Some(server) = Server::found() else { return };
    // The responses of llama.cpp call themselves completed in this case.
    for name in ["chat", "messages"] {
        let (_, answer) = server.ask(&request(name, "Write a long story about the sea.", 4));
        let answer = answer.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert!(answer.is_cut, "{name}: {answer:?}");
    }
}

#[test]
fn a_call_that_is_cancelled_in_the_middle_ends_at_once_and_frees_the_server() {
    let Some(server) = Server::found() else { return };
    for (name, _) in PROTOCOLS {
        let control = Control::new(CALL_MAX);
        let mut cancelled = None;
        let long = request(name, "Write a very long story about the sea.", 2_000);
        let answer = server.models.call(&long, &control, &mut |_| {
            cancelled.get_or_insert_with(Instant::now);
            control.cancel();
        });
        let cancelled = cancelled.unwrap_or_else(|| panic!("{name} told nothing: {answer:?}"));
        assert!(cancelled.elapsed() < Duration::from_secs(3), "{name} went on");
        let failure = answer.expect_err(name);
        assert_eq!((failure.kind, failure.happened), (FailureKind::Cancelled, Happened::Unknown));
        let (_, next) = server.ask(&request(name, "Say yes.", 4));
        assert!(next.is_ok(), "{name}: {next:?}");
    }
}

#[test]
fn an_answer_is_bound_by_a_schema() {
    let Some(server) = Server::found() else { return };
    let schema = json!({
        "type": "object",
        "properties": {
            "color": { "type": "string", "enum": ["red", "green"] },
            "count": { "type": "integer", "minimum": 1, "maximum": 9 },
        },
        "required": ["color", "count"],
        "additionalProperties": false,
    });
    for (name, protocol) in PROTOCOLS {
        let asked = request(name, "Name a color and a count.", 80);
        let (_, answer) = server.ask(&ModelRequest { output: Some(schema.clone()), ..asked });
        let answer = answer.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        let read = read_output(Some(&schema), &text(&answer));
        // Only its chat completions heed a schema; what the others say is for the loop to judge.
        if protocol == Protocol::Openai {
            assert!(read.is_ok(), "{name}: {read:?}");
        } else {
            assert!(!text(&answer).is_empty(), "{name}");
        }
    }
}

#[test]
fn the_server_is_found_with_its_model() {
    let Some(server) = Server::found() else { return };
    let found = discover(&server.config, &|_| false);
    let chat = found.iter().find(|found| found.provider == "chat").expect("it is told of");
    assert_eq!(chat.standing, Standing::Has(vec![MODEL.to_owned()]));
}
