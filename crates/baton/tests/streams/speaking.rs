//! What models say while they say it, and what is left of it when the owner is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::agent::{Piece, Usage};
use baton_core::failure::CallFailure;
use baton_core::ids::{TaskId, WorkflowId};
use baton_core::plan::{AgentCall, AgentLimits, ModelSpec, Retry, Work};
use baton_core::time::Span;
use baton_core::words::{Compaction, FailureKind};
use baton_engine::chunks::Chunk;
use baton_engine::engine::TakeUp;
use baton_engine::exchange::Request;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest, Models};
use serde_json::{Value, json};

use super::ground::{CHAIN, Ground, until};
use super::listening::{Message, Socket, Sse, get};

/// What a model is made to do.
enum Word {
    Say(String),
    Answer,
    Fail,
}

/// A model that says what it is told to.
pub struct Mouth {
    said: Mutex<Sender<Word>>,
    words: Mutex<Receiver<Word>>,
}

impl Mouth {
    fn new() -> Arc<Self> {
        let (said, words) = channel();
        Arc::new(Self { said: Mutex::new(said), words: Mutex::new(words) })
    }

    fn word(&self, word: Word) {
        self.said.lock().unwrap().send(word).expect("the model listens");
    }

    fn say(&self, text: &str) {
        self.word(Word::Say(text.to_owned()));
    }
}

impl Models for Mouth {
    fn call(
        &self,
        _: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        let words = self.words.lock().unwrap();
        let mut text = String::new();
        loop {
            match words.recv_timeout(Duration::from_millis(20)) {
                Ok(Word::Say(more)) => {
                    told(&more);
                    text.push_str(&more);
                }
                Ok(Word::Answer) => {
                    let (content, usage) = (vec![Piece::Text(text)], Usage::default());
                    return Ok(ModelAnswer { content, usage, is_cut: false });
                }
                Ok(Word::Fail) => {
                    return Err(CallFailure::passing(FailureKind::RateLimited, "too many"));
                }
                Err(RecvTimeoutError::Timeout) if !control.is_cancelled() => {}
                Err(_) => return Err(CallFailure::passing(FailureKind::Cancelled, "cut off")),
            }
        }
    }
}

/// Starts a workflow whose first task is an agent; its stream.
fn start(ground: &Ground) -> (WorkflowId, String) {
    let mut plan = ground.plan(CHAIN);
    plan.tasks.truncate(1);
    let soon = Span(Duration::from_millis(1));
    plan.tasks[0].retry = Retry { attempts_max: 3, backoff: soon, max: soon };
    plan.tasks[0].work = Work::Agent(AgentCall {
        agent: "speaker".to_owned(),
        models: vec![ModelSpec::named("test/mouth")],
        instructions: None,
        prompt: "Speak.".to_owned(),
        tools: Vec::new(),
        output: None,
        limits: AgentLimits::default(),
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    });
    let id = ground.submit_plan(plan);
    (id, format!("/api/v1/workflows/{id}/stream"))
}

fn is_text(message: &Message) -> bool {
    message.event == "text.delta"
}

/// Messages up to the piece that ends with so many characters.
fn until_said(sse: &mut Sse, seq: u64) -> Vec<Message> {
    let mut all = Vec::new();
    while all.last().is_none_or(|last: &Message| !is_text(last) || last.value()["seq"] != seq) {
        all.push(sse.next().expect("the stream goes on"));
    }
    all
}

/// The texts that a client has when it puts each piece where it says it belongs.
fn texts(messages: &[Message]) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for message in messages.iter().filter(|message| is_text(message)) {
        let value = message.value();
        let offset = usize::try_from(value["offset"].as_u64().unwrap()).unwrap();
        let text = texts.entry(value["stream"].as_str().unwrap().to_owned()).or_default();
        assert!(text.chars().count() >= offset, "a gap before {value}");
        *text = text.chars().take(offset).collect();
        text.push_str(value["text"].as_str().unwrap());
        assert_eq!(text.chars().count() as u64, value["seq"].as_u64().unwrap());
    }
    texts
}

/// The pieces alone, in order and without a doubling.
fn joined(messages: &[Message]) -> String {
    let texts = messages.iter().filter(|message| is_text(message)).map(Message::value);
    texts.map(|value| value["text"].as_str().unwrap().to_owned()).collect()
}

fn kept(ground: &Ground) -> Vec<Chunk> {
    baton_store::chunks_of(&ground.url).chunks().expect("a log")
}

fn turn(id: WorkflowId, attempt: u32) -> String {
    let task: TaskId = id.task(baton_core::ids::Ordinal(0));
    format!("{task}.{attempt}")
}

#[test]
fn or7_text_comes_live_between_a_turns_start_and_its_answer_on_both_surfaces() {
    let mouth = Mouth::new();
    let ground = Ground::with(mouth.clone());
    let (id, path) = start(&ground);
    let mut sse = Sse::open(ground.address, &path, None);
    let mut socket = Socket::open(ground.address);
    socket.say(&json!({ "workflow": id }));
    let mut all = Vec::new();
    let mut seq = 0;
    for text in ["Hel", "lo, ", "\0\u{1b}[2J\n\"🦀\" <b>", "wörld"] {
        mouth.say(text);
        seq += text.chars().count() as u64;
        all.extend(until_said(&mut sse, seq));
    }
    mouth.word(Word::Answer);
    all.extend(sse.rest());
    let whole = "Hello, \0\u{1b}[2J\n\"🦀\" <b>wörld";
    assert_eq!(joined(&all), whole);
    let first = all.iter().find(|message| is_text(message)).unwrap();
    let expected = json!({
        "type": "text.delta", "workflow_id": id, "task_id": id.task(baton_core::ids::Ordinal(0)),
        "attempt": 1, "stream": turn(id, 1), "offset": 0, "seq": 3, "text": "Hel"
    });
    assert_eq!((first.value(), first.id.as_deref()), (expected, None));
    // Behind the start of its turn, before the answer, which has the whole.
    let kinds: Vec<&str> = all
        .iter()
        .filter_map(|message| if is_text(message) { Some("text") } else { message.kind() })
        .collect();
    let place = |kind: &str| kinds.iter().position(|other| *other == kind).expect(kind);
    let last = kinds.iter().rposition(|kind| *kind == "text").unwrap();
    assert!(place("task.started") < place("text") && last < place("task.answered"), "{kinds:?}");
    assert_eq!(texts(&socket.until_done())[&turn(id, 1)], whole);
    // Once it is journaled it is gone: the answer is the text.
    let again = Sse::open(ground.address, &path, None).rest();
    assert!(!again.iter().any(is_text));
    until("an empty log", || kept(&ground).is_empty());
}

#[test]
fn or7_who_comes_back_hears_the_rest_of_a_running_turn_and_nothing_twice() {
    let mouth = Mouth::new();
    let ground = Ground::with(mouth.clone());
    let (id, path) = start(&ground);
    let mut sse = Sse::open(ground.address, &path, None);
    mouth.say("one two ");
    let before = until_said(&mut sse, 8);
    let last = before.iter().rev().find_map(|message| message.id.clone()).unwrap();
    drop(sse);
    mouth.say("three ");
    let of_all = "/api/v1/events/stream";
    let follow = |path: &str, heard: &str| {
        Sse::open(ground.address, &format!("{path}?chunks={heard}"), Some(&last))
    };
    // From anywhere, not only from where a piece ended; on one workflow's stream and on that of all.
    for (heard, rest) in [(8, "three "), (5, "wo three "), (0, "one two three ")] {
        for path in [path.as_str(), of_all] {
            let mut sse = follow(path, &format!("{}:{heard}", turn(id, 1)));
            assert_eq!(joined(&until_said(&mut sse, 14)), rest, "{heard} of {path}");
        }
    }
    // Who says nothing of texts gets the whole, placed at its beginning.
    let mut plain = Sse::open(ground.address, &path, Some(&last));
    let mut heard = [before, until_said(&mut plain, 14)].concat();
    let mut current = follow(&path, &format!("{}:14", turn(id, 1)));
    // Who follows everything from now on hears what is said from now on.
    let mut fresh = Sse::open(ground.address, of_all, None);
    let mut socket = Socket::open(ground.address);
    socket.say(&json!({ "workflow": id, "chunks": format!("{}:14", turn(id, 1)) }));
    ground.until_followed(4);
    mouth.say("four");
    assert_eq!(joined(&until_said(&mut fresh, 18)), "four");
    let live = until_said(&mut current, 18);
    assert_eq!((joined(&live), live.len()), ("four".to_owned(), 1));
    mouth.word(Word::Answer);
    ground.wait(id);
    heard.extend(plain.rest());
    assert_eq!(texts(&heard)[&turn(id, 1)], "one two three four");
    assert_eq!(joined(&socket.until_done()), "four");
    // Who was away for the end finds the answer itself, and no text beside it.
    let late = follow(&path, &format!("{}:8", turn(id, 1))).rest();
    assert!(late.iter().any(|message| message.kind() == Some("task.answered")), "{late:?}");
    assert!(!late.iter().any(is_text), "{late:?}");
    let wrong = format!("{path}?chunks=x:1");
    let (code, problem) = Sse::refused(ground.address, &wrong);
    assert_eq!((code, problem["code"].as_str()), (400, Some("invalid_request")), "{problem}");
}

#[test]
fn or7_text_of_a_turn_that_failed_is_dropped_and_the_next_begins_anew() {
    let mouth = Mouth::new();
    let ground = Ground::with(mouth.clone());
    let (id, path) = start(&ground);
    let mut sse = Sse::open(ground.address, &path, None);
    mouth.say("wrong");
    until_said(&mut sse, 5);
    until("something kept", || !kept(&ground).is_empty());
    mouth.word(Word::Fail);
    mouth.say("right");
    let mut all = until_said(&mut sse, 5);
    mouth.word(Word::Answer);
    all.extend(sse.rest());
    assert_eq!(texts(&all).into_iter().collect::<Vec<_>>(), [(turn(id, 2), "right".to_owned())]);
    until("an empty log", || kept(&ground).is_empty());
}

#[test]
fn or7_a_slow_reader_of_a_long_text_is_told_so_and_has_all_of_it_in_the_end() {
    let mouth = Mouth::new();
    let ground = Ground::with(mouth.clone());
    let (id, path) = start(&ground);
    let mut slow = Sse::open(ground.address, "/api/v1/events/stream?after=0", None);
    let mut quick = Sse::open(ground.address, &path, None);
    // A character that takes six bytes of JSON: three turns are more than a connection holds.
    let block = "\u{1}".repeat(8_192);
    let most = 1 << 20;
    for attempt in 1..=3 {
        for n in 1..=130 {
            mouth.say(&block);
            // The longest text that is shown has 128 blocks.
            if n <= 128 {
                until_said(&mut quick, n * 8_192);
            }
        }
        if attempt < 3 {
            mouth.word(Word::Fail);
        }
    }
    until("a slow reader", || ground.lagged() > 0);
    let mut all = Vec::new();
    let is_last = |message: &Message| {
        is_text(message) && message.value()["attempt"] == 3 && message.value()["seq"] == most
    };
    while !all.last().is_some_and(is_last) {
        all.push(slow.next().expect("the stream goes on"));
    }
    assert_eq!(texts(&all)[&turn(id, 3)].len(), most);
    assert!(all.iter().any(|message| message.event == "lagged"));
    mouth.word(Word::Answer);
    ground.wait(id);
    let rest = slow.take_until(ground.newest());
    assert!(!rest.iter().any(is_text), "there was no more to hear");
    assert!(rest.iter().any(|message| message.kind() == Some("task.answered")));
}

#[test]
fn or7_who_watches_through_a_server_has_the_text_as_it_comes() {
    let mouth = Mouth::new();
    let ground = Ground::with(mouth.clone());
    let (id, _) = start(&ground);
    let server = format!("http://{}", ground.address);
    let mut watch = Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(["watch", &id.to_string(), "--json", "--server", &server])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut seq = 0;
    for text in ["one ", "two\u{1b}[2J ", "thrée"] {
        mouth.say(text);
        let line = lines.find(|line| line["event"] == "text.delta").expect("a piece");
        assert_eq!((&line["text"], &line["offset"]), (&json!(text), &json!(seq)));
        assert_eq!((&line["stream"], &line["task"]), (&json!(turn(id, 1)), &json!("one")));
        seq += text.chars().count();
    }
    mouth.word(Word::Answer);
    let rest: Vec<Value> = lines.collect();
    let answered = |line: &&Value| line["event"] == "task.answered";
    assert_eq!(rest.iter().filter(answered).count(), 1, "{rest:?}");
    assert_eq!(rest.last().unwrap()["workflow"]["status"], "completed");
    assert!(watch.wait().unwrap().success());
}

/// Where the process that is killed works, when it is asked for.
const FOLDER: &str = "BATON_TEST_SPEAKING";

#[test]
fn a_process_that_speaks_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mouth = Mouth::new();
    let ground = Ground::open(Path::new(&folder), mouth.clone(), TakeUp::All);
    let (id, _) = start(&ground);
    mouth.say("cut off here");
    until("everything kept", || kept(&ground).iter().map(Chunk::seq).max() == Some(12));
    std::fs::write(Path::new(&folder).join("said"), id.to_string()).expect("a file");
    std::thread::park();
}

#[test]
fn or7_after_a_kill_the_text_is_there_until_the_turn_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let test = "speaking::a_process_that_speaks_until_it_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let said = folder.path().join("said");
    let id = || std::fs::read_to_string(&said).ok()?.parse::<WorkflowId>().ok();
    until("a text", || id().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let id = id().unwrap();
    let mouth = Mouth::new();
    let ground = Ground::open(folder.path(), mouth.clone(), TakeUp::Asked);
    let path = format!("/api/v1/workflows/{id}/stream");
    let mut sse = Sse::open(ground.address, &path, None);
    let before = until_said(&mut sse, 12);
    assert_eq!(joined(&before), "cut off here");
    let last = before.iter().rev().find_map(|message| message.id.clone()).unwrap();
    let path = format!("{path}?chunks={}:4", turn(id, 1));
    let mut later = Sse::open(ground.address, &path, Some(&last));
    assert_eq!(joined(&until_said(&mut later, 12)), "off here");
    ground.ask(Request::TakeUpAll);
    mouth.say("whole");
    let after = until_said(&mut later, 5);
    assert_eq!(texts(&after), [(turn(id, 2), "whole".to_owned())].into());
    assert!(
        after.iter().any(|message| message.kind().is_some_and(|kind| kind.contains("attempt")))
    );
    until("the old text gone", || kept(&ground).iter().all(|chunk| chunk.turn.attempt == 2));
    mouth.word(Word::Answer);
    ground.wait(id);
    assert_eq!(get(ground.address, "/healthz").0, 200);
    until("an empty log", || kept(&ground).is_empty());
}
