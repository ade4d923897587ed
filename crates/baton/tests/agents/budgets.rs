//! Budgets: what happens where the next call may not fit, by each of the four ways.

use serde_json::json;

use crate::common::Desk;
use crate::server::Server;
use crate::{asked, call, define, desk, sum};

const CONFIG: &str = "
[agents.thinker]
tools = ['core.noop']
output_tokens = 100
";
const TASK: &str =
    "agent: thinker, output: { type: object, required: [n], properties: { n: { type: integer } } }";
/// The second turn does not fit any more.
const SCRIPT: &str = "
price: { input: '2', output: '4' }
answers:
  - turns:
      - { calls: [ { tool: core.noop } ], usage: { input_tokens: 9000, output_tokens: 50 } }
      - { output: { n: 7 }, usage: { input_tokens: 9100, output_tokens: 5 } }
";

fn run(budget: &str, code: i32) -> (Desk, crate::common::Called) {
    let desk = desk(CONFIG, TASK, SCRIPT);
    define(&desk, &format!("budget: {{ {budget} }}\n"), TASK);
    let called = call(&desk, code, &["run", "work.yaml"]);
    (desk, called)
}

#[test]
fn at_the_limit_it_asks_and_goes_on_when_more_is_granted() {
    let (desk, _) = run("tokens: 10000", 3);
    let item = asked(&desk);
    assert_eq!((&item["needs"], &item["kind"]), (&"budget".into(), &"approval".into()));
    let ask = item["ask"].as_str().unwrap();
    for part in
        ["the workflow's budget has 10000 tokens", "9050 are used", "the next call may take"]
    {
        assert!(ask.contains(part), "{ask}");
    }
    assert_eq!(sum(&desk)["turns"], 1, "nothing was asked beyond it");
    let budget = desk.shown()["workflow"]["budget"].clone();
    assert_eq!((&budget["tokens"], &budget["at_limit"]), (&json!(10_000), &json!("ask")));
    let used = &budget["used"];
    assert_eq!((&used["tokens"], &used["calls"]), (&json!(9_050), &json!(2)), "{budget}");
    assert_eq!((&used["usd"], &budget["reserved"]["tokens"]), (&json!("0.0182"), &json!(0)));
    let text = desk.expect(0, &["show", "last"]).out;
    assert!(text.contains("budget: 9,050 of 10,000 tokens; at the limit: ask"), "{text}");
    desk.expect(0, &["approve", "last"]);
    assert_eq!(call(&desk, 0, &["resume", "last"]).out, "{\n  \"n\": 7\n}\n");
    let raised = crate::events(&desk, "task.budget_raised");
    assert_eq!(raised[0]["data"]["by"]["tokens"], 10_000);
    let text = desk.expect(0, &["show", "last"]).out;
    assert!(text.contains("of 20,000 tokens (10,000 granted)"), "{text}");
    let shown = desk.shown()["workflow"].clone();
    let server = Server::start(&desk);
    let there = server.get(&format!("/workflows/{}", shown["id"].as_str().unwrap())).expect(200);
    assert_eq!(there["budget"], shown["budget"], "the same over HTTP");
    assert_eq!(there["budget"]["granted"]["tokens"], 10_000);
}

#[test]
fn as_much_is_granted_as_somebody_says_and_a_refusal_fails() {
    let (desk, _) = run("tokens: 10000", 3);
    desk.expect(2, &["respond", "last/a", r#"{"token": 1}"#]);
    desk.expect(0, &["respond", "last/a", r#"{"tokens": 1, "usd": "0.10"}"#]);
    call(&desk, 3, &["resume", "last"]);
    assert!(asked(&desk)["ask"].as_str().unwrap().contains("has 10001 tokens"));
    desk.expect(0, &["reject", "last", "-m", "too much"]);
    let failed = &desk.shown()["workflow"];
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("too much"), "{failed}");
}

#[test]
fn at_the_limit_it_stops_and_says_why() {
    let (desk, failed) = run("tokens: 10000, at_limit: stop", 1);
    assert!(failed.said.contains("the workflow's budget has 10000 tokens"), "{failed:?}");
    assert_eq!(sum(&desk)["turns"], 1);
}

#[test]
fn at_the_limit_of_money_it_stops_too() {
    // 9,000 tokens read and 50 written are $0.0182.
    let (_, failed) = run("usd: '0.02', at_limit: stop", 1);
    assert!(failed.said.contains("$0.0182 are used"), "{failed:?}");
}

#[test]
fn a_person_takes_over_where_it_is_handed_over() {
    let (desk, _) = run("tokens: 10000, at_limit: hand_over", 3);
    let item = asked(&desk);
    assert_eq!(item["kind"], "form");
    assert_eq!(item["form"]["required"], json!(["n"]), "the answer is the task's output");
    desk.expect(2, &["respond", "last/a", r#"{"n": "seven"}"#]);
    desk.expect(0, &["respond", "last/a", r#"{"n": 8}"#]);
    assert_eq!(desk.shown()["workflow"]["output"], json!({ "n": 8 }));
}

#[test]
fn a_price_that_is_not_known_is_never_taken_for_nothing() {
    let desk = desk(CONFIG, TASK, &SCRIPT.replace("price:", "# price:"));
    define(&desk, "budget: { usd: '5' }\n", TASK);
    let failed = call(&desk, 1, &["run", "work.yaml"]);
    assert!(failed.said.contains("the price of `scripted/desk` is not known"), "{failed:?}");
    define(&desk, "", TASK);
    call(&desk, 0, &["run", "work.yaml"]);
    assert_eq!(sum(&desk)["cost_usd"], json!(null));
    assert!(desk.expect(0, &["show", "last"]).out.contains("cost unknown"));
}

#[test]
fn or8_a_budget_above_workflows_counts_what_earlier_ones_used_also_over_a_restart() {
    let config = format!("{CONFIG}\n[budgets.workspace]\ntokens = 20000\n");
    let desk = desk(&config, TASK, SCRIPT);
    define(&desk, "", TASK);
    call(&desk, 0, &["run", "work.yaml"]);
    // Another process: it knows of the first run by the books alone. The script says more tokens than
    // its requests have bytes, so that the first turn is let through.
    call(&desk, 3, &["run", "work.yaml"]);
    let ask = asked(&desk)["ask"].as_str().unwrap().to_owned();
    assert!(
        ask.contains("the workspace's budget for today has 20000 tokens, 27205 are used"),
        "{ask}"
    );
    desk.expect(0, &["approve", "last"]);
    call(&desk, 0, &["resume", "last"]);
}

#[test]
fn or8_a_parents_budget_counts_what_a_child_used_also_before_a_restart() {
    let desk = desk(CONFIG, TASK, SCRIPT);
    define(&desk, "", TASK);
    let child = desk.read("work.yaml").replace("name: work", "name: child");
    desk.write("child.yaml", &child);
    desk.define(
        "work.yaml",
        &[
            "{ id: first, workflow: child }",
            "{ id: gate, human: approval, ask: Go on?, needs: [first] }",
            "{ id: second, workflow: child, needs: [gate] }",
        ],
    );
    let parent = desk.read("work.yaml");
    desk.write("work.yaml", &format!("budget: {{ tokens: 30000 }}\n{parent}"));
    call(&desk, 3, &["run", "work.yaml"]);
    desk.expect(0, &["approve", asked(&desk)["task_id"].as_str().unwrap()]);
    // Another process: what the first child used, the journal says. The script says more tokens than its
    // requests have bytes, so that the second child's first turn is let through.
    call(&desk, 3, &["resume", "--all"]);
    let item = asked(&desk);
    assert_eq!(item["needs"], "budget");
    let ask = item["ask"].as_str().unwrap();
    assert!(ask.contains("the parent workflow's budget has 30000 tokens, 27205 are used"), "{ask}");
    desk.expect(0, &["approve", item["task_id"].as_str().unwrap()]);
    call(&desk, 0, &["resume", "--all"]);
}

#[test]
fn at_the_limit_a_cheaper_model_goes_on_where_the_agent_has_one() {
    let config = format!(
        "{CONFIG}[models]\nscripts = ['dear.yaml', 'cheap.yaml']\nworker = ['scripted/dear', 'scripted/cheap']\n"
    );
    let desk = desk(&config, TASK, "");
    desk.write(
        "dear.yaml",
        &SCRIPT.replace("input: '2', output: '4'", "input: '20', output: '40'"),
    );
    desk.write("cheap.yaml", &SCRIPT.replace("n: 7", "n: 8").replace("9100", "1000"));
    // The first turn is $0.182: of the dear model, no further one fits.
    define(&desk, "budget: { usd: '0.19', at_limit: cheaper_model }\n", TASK);
    assert_eq!(desk.expect(0, &["run", "work.yaml"]).out, "{\n  \"n\": 8\n}\n");
    let models: Vec<_> = crate::turns(&desk).iter().map(|turn| turn["model"].clone()).collect();
    assert_eq!(models, ["scripted/dear", "scripted/cheap"]);
    assert_eq!(crate::events(&desk, "task.model_changed")[0]["data"]["model"], 1);
    // Where there is none any more, it asks.
    define(&desk, "budget: { usd: '0.183', at_limit: cheaper_model }\n", TASK);
    desk.expect(3, &["run", "work.yaml"]);
    assert!(asked(&desk)["ask"].as_str().unwrap().contains("$0.182 are used"));
}
