//! What a script says follows from what it is asked, and what is wrong with one is told with its place.

use std::time::{Duration, Instant};

use baton_core::agent::ToolAnswer;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::time::{Moment, Timestamp};
use baton_core::words::Happened;
use baton_engine::ports::{CallContext, Control, ModelAnswer};
use serde_json::json;

use super::*;

const DESK: &str = r#"
window_tokens: 8000
price: {input: "1", output: "2.5"}
answers:
  - agent: reviewer
    when: {contains: README}
    turns: [{text: it reads well}]
  - agent: reviewer
    turns:
      - reasoning: the file first
        text: I look
        calls:
          - {tool: fs.read, arguments: {path: a.txt}}
          - {tool: fs.list}
        usage: {input_tokens: 100, cached_tokens: 40, output_tokens: 7}
      - when: {contains: no such file}
        text: then I ask
      - output: {verdict: good}
      - fail: {kind: rate_limited, message: too many, retry_after: 2s, times: 2}
        text: at last
      - fail: {kind: usage_limit, happened: unknown}
  - turns: [{text: anybody, cut: true}]
"#;

fn script(source: &str) -> Script {
    Script::parse(source, Path::new("examples/desk.script.yaml")).expect("it is well-formed")
}

fn request(agent: &str, attempt: u32, messages: Vec<Message>) -> ModelRequest {
    let moment = Moment::new(Timestamp::from_millis(1_000), 7);
    let workflow = WorkflowId::new(&moment, 0);
    let conversation = ConversationId::new(&moment, 0);
    ModelRequest {
        model: "scripted/desk".to_owned(),
        agent: agent.to_owned(),
        attempt,
        instructions: None,
        tools: Vec::new(),
        output: None,
        output_tokens_max: 1_000,
        messages,
        context: CallContext::new(workflow, (Ordinal(0), attempt), conversation),
    }
}

fn ask(script: &Script, request: &ModelRequest) -> Result<ModelAnswer, CallFailure> {
    script.answer(request, &Control::new(Duration::from_secs(5)), &mut |_| {})
}

fn said(answer: &ModelAnswer) -> String {
    Message::Assistant(answer.content.clone()).text()
}

/// What a conversation brings, turn after turn, each asked as the first attempt after the last.
fn turns(script: &Script, agent: &str, told: &[Message]) -> Vec<Result<String, FailureKind>> {
    let mut messages = Vec::new();
    let mut brought = Vec::new();
    for (at, message) in told.iter().enumerate() {
        messages.push(message.clone());
        match ask(script, &request(agent, at as u32 + 1, messages.clone())) {
            Ok(answer) => {
                brought.push(Ok(said(&answer)));
                messages.push(Message::Assistant(answer.content));
            }
            Err(failure) => {
                brought.push(Err(failure.kind));
                break;
            }
        }
    }
    brought
}

fn result(error: Option<&str>) -> Message {
    let (id, tool) = ("call-1-2".to_owned(), "fs.read".to_owned());
    let output = error.is_none().then(|| Json::of(&json!({"content": "text"})));
    Message::Tool(vec![ToolAnswer { id, tool, output, error: error.map(str::to_owned) }])
}

#[test]
fn turns_come_in_their_order_and_an_aside_takes_no_place() {
    let script = script(DESK);
    let straight = [Message::user("look"), result(None)];
    let looked = [Ok("I look".to_owned()), Ok("{\"verdict\":\"good\"}".to_owned())];
    assert_eq!(turns(&script, "reviewer", &straight), looked);
    let astray = [Message::user("look"), result(Some("there is no such file")), result(None)];
    let asked = [
        Ok("I look".to_owned()),
        Ok("then I ask".to_owned()),
        Ok("{\"verdict\":\"good\"}".to_owned()),
    ];
    assert_eq!(turns(&script, "reviewer", &astray), asked);
}

#[test]
fn who_asks_and_what_decide_who_answers() {
    let script = script(DESK);
    let first = |agent: &str, prompt: &str| turns(&script, agent, &[Message::user(prompt)]);
    assert_eq!(first("reviewer", "look at README.md"), [Ok("it reads well".to_owned())]);
    assert_eq!(first("somebody", "look at README.md"), [Ok("anybody".to_owned())]);
    let only = script_of_one("agent: other, turns: [{text: a}]");
    let failure =
        ask(&only, &request("reviewer", 1, vec![Message::user("x")])).expect_err("nobody");
    assert_eq!((failure.kind, failure.happened), (FailureKind::NotFound, Happened::No));
    assert!(
        failure.message.contains("desk.script.yaml") && failure.message.contains("agent: reviewer")
    );
}

fn script_of_one(role: &str) -> Script {
    script(&format!("answers: [{{{role}}}]"))
}

#[test]
fn an_answer_is_the_same_however_often_and_wherever_it_is_asked() {
    let (one, other) = (script(DESK), script(DESK));
    let second = vec![
        Message::user("look"),
        Message::Assistant(vec![Piece::Text("I look".into())]),
        result(None),
    ];
    let request = request("reviewer", 2, second);
    let answer = ask(&one, &request).expect("an answer");
    assert_eq!(ask(&one, &request).as_ref(), Ok(&answer));
    assert_eq!(ask(&other, &request), Ok(answer), "another process says the same");
}

#[test]
fn an_answer_has_calls_reasoning_and_usage() {
    let answer = ask(&script(DESK), &request("reviewer", 1, vec![Message::user("look")]));
    let answer = answer.expect("an answer");
    let [
        Piece::Reasoning(_),
        Piece::Text(_),
        Piece::Call { id: first, tool, arguments },
        Piece::Call { id: second, arguments: none, .. },
    ] = answer.content.as_slice()
    else {
        unreachable!("{:?}", answer.content)
    };
    assert_eq!((tool.as_str(), arguments.as_str()), ("fs.read", "{\"path\":\"a.txt\"}"));
    assert_eq!(none.as_str(), "{}");
    assert_ne!(first, second);
    let declared =
        Usage { input_tokens: 100, cached_tokens: 40, output_tokens: 7, ..Usage::default() };
    assert_eq!((answer.usage, answer.is_cut), (declared, false));
}

#[test]
fn usage_that_is_not_declared_is_counted_from_bytes() {
    let script = script_of_one("turns: [{text: \"0123456789abcdef\"}]");
    let short = ask(&script, &request("a", 1, vec![Message::user("x")])).expect("an answer").usage;
    let long = "x".repeat(4_001);
    let long = ask(&script, &request("a", 1, vec![Message::user(long)])).expect("an answer").usage;
    assert_eq!(long.input_tokens - short.input_tokens, 1_000);
    assert_eq!(short.output_tokens, r#"[{"text":"0123456789abcdef"}]"#.len().div_ceil(4) as u64);
}

#[test]
fn a_turn_fails_as_often_as_it_says_and_lost_calls_count() {
    let script = script(DESK);
    let say = |text: &str| Message::Assistant(vec![Piece::Text(text.into())]);
    let third = || {
        vec![Message::user("look"), say("I look"), result(None), say("{}"), Message::user("go on")]
    };
    let at = |attempt| ask(&script, &request("reviewer", attempt, third()));
    for attempt in [3, 4] {
        let failure = at(attempt).expect_err("it fails twice");
        assert_eq!((failure.kind, failure.retryable), (FailureKind::RateLimited, true));
        assert_eq!(failure.retry_after_ms, Some(2_000));
    }
    assert_eq!(at(5).map(|answer| said(&answer)), Ok("at last".to_owned()));
    let fourth = third().into_iter().chain([say("at last"), Message::user("and?")]).collect();
    let failure = ask(&script, &request("reviewer", 6, fourth)).expect_err("it always fails");
    assert_eq!((failure.kind, failure.retryable), (FailureKind::UsageLimit, false));
    assert_eq!(failure.happened, Happened::Unknown);
}

#[test]
fn a_script_that_has_ended_says_so() {
    let script = script_of_one("turns: [{text: once}]");
    let told = [Message::user("a"), Message::user("b")];
    let brought = turns(&script, "reviewer", &told);
    assert_eq!(brought, [Ok("once".to_owned()), Err(FailureKind::NotFound)]);
}

#[test]
fn text_is_told_in_pieces_and_is_whole_in_the_end() {
    let script = script_of_one("turns: [{text: \"abcdefgäöü\", chunks: 3}]");
    let mut heard = Vec::new();
    let control = Control::new(Duration::from_secs(5));
    let asked = request("a", 1, vec![Message::user("x")]);
    let answer = script.answer(&asked, &control, &mut |text| heard.push(text.to_owned()));
    assert_eq!(heard, ["abcd", "efgä", "öü"]);
    assert_eq!(answer.map(|answer| said(&answer)), Ok(heard.concat()));
}

#[test]
fn a_slow_answer_is_stopped_in_the_middle_and_may_have_been_billed() {
    let script = script_of_one("turns: [{text: abcd, chunks: 4, delay: 1h}]");
    let asked = request("a", 1, vec![Message::user("x")]);
    let control = Control::new(Duration::from_secs(3_600));
    let other = control.clone();
    let begun = Instant::now();
    let failure = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| script.answer(&asked, &control, &mut |_| {}));
        other.cancel();
        waiting.join().expect("it ends").expect_err("it was stopped")
    });
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!((failure.kind, failure.happened), (FailureKind::Cancelled, Happened::Unknown));
    let brief = Control::new(Duration::from_millis(30));
    let failure = script.answer(&asked, &brief, &mut |_| {}).expect_err("no time");
    assert_eq!((failure.kind, failure.happened), (FailureKind::TimedOut, Happened::Unknown));
}

#[test]
fn a_file_pretends_to_a_window_and_a_price() {
    let script = script(DESK);
    assert_eq!(script.model(), "scripted/desk");
    assert_eq!(script.window_tokens(), Some(8_000));
    let price = script.price().expect("it is declared");
    assert_eq!((price.input, price.output), (1_000_000, 2_500_000));
    assert_eq!(script_of_one("turns: [{text: a}]").price(), None, "and has none by itself");
}

#[test]
fn json_is_read_as_well() {
    let source = r#"{"answers": [{"turns": [{"text": "a", "calls": [{"tool": "x.y", "arguments": [1]}]}]}]}"#;
    let answer =
        ask(&script(source), &request("a", 1, vec![Message::user("x")])).expect("an answer");
    assert!(
        matches!(answer.content.last(), Some(Piece::Call { arguments, .. }) if arguments.as_str() == "[1]")
    );
}

#[test]
fn every_fault_has_its_place_and_what_to_do() {
    for (source, line, message) in [
        ("answers:\n  - turns:\n      - txt: a\n", 3, "there is no field `txt` here"),
        ("answers:\n  - turns:\n      - text: 1\n", 3, "`text` must be a string"),
        ("answers:\n  - turns: []\n", 2, "it has no `turns`"),
        ("answers:\n  - turns:\n      - delay: 1s\n", 3, "this turn says nothing"),
        ("answers:\n  - turns:\n      - text: a\n        delay: soon\n", 4, "not a span of time"),
        (
            "answers:\n  - turns:\n      - calls:\n          - arguments: {}\n",
            4,
            "it names no `tool`",
        ),
        ("answers:\n  - turns:\n      - fail: {kind: broken}\n", 3, "`kind` cannot be `broken`"),
        ("answers:\n  - turns:\n      - fail: {message: a}\n", 3, "it names no `kind`"),
        ("answers:\n  - turns:\n      - fail: {kind: lost}\n        text: a\n", 3, "never says"),
        ("answers:\n  - turns:\n      - {text: a, chunks: -1}\n", 3, "a whole number of at most"),
        (
            "answers:\n  - turns:\n      - {text: a, usage: {cached_tokens: 3}}\n",
            3,
            "larger than its sum",
        ),
        (
            "price: {input: \"1\"}\nanswers: [{turns: [{text: a}]}]\n",
            1,
            "both `input` and `output`",
        ),
        ("window_tokens: 5\n", 1, "it has no `answers`"),
        ("answers: 5\n", 1, "`answers` must be a list"),
        ("- 5\n", 1, "this must be an object"),
        ("answers: [\n", 1, "this is not valid YAML"),
    ] {
        let faults = Script::parse(source, Path::new("a.yaml")).expect_err(source);
        let fault = faults.iter().find(|fault| fault.message.contains(message));
        let fault = fault.unwrap_or_else(|| unreachable!("{source}: {faults:?}"));
        assert_eq!(fault.line, line, "{source}: {fault:?}");
        assert!(fault.help.is_some() || message.contains("YAML"), "{source}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    let fault = |file: &Path| Script::read(file).expect_err("a fault").to_string();
    assert!(fault(&file).contains("a.yaml cannot be read"));
    assert!(fault(folder.path()).contains("it is no file"));
    std::fs::write(&file, " \n").expect("written");
    assert!(fault(&file).contains("it is empty; it needs `answers`"));
    std::fs::write(&file, "answers:\n  - turns: [{txt: a}]\n").expect("written");
    let shown = fault(&file);
    assert!(shown.contains("a.yaml:2:14") && shown.contains("has 2 faults"), "{shown}");
}

#[test]
fn the_page_of_the_format_is_right() {
    let page = include_str!("../../../../docs/scripted.md");
    let (_, rest) = page.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let script = script(example);
    let prompt = || Message::user("look at src/lib.rs");
    assert_eq!(
        turns(&script, "reviewer", &[prompt(), result(None)]),
        [Ok("I look at the file first.".to_owned()), Ok("{\"verdict\":\"good\"}".to_owned()),]
    );
    for field in read::TURN {
        assert!(page.contains(&format!("\n| `{field}` |")), "{field}");
    }
}
