//! Triggers as they are read: what stands in the plan, and each fault at its place.

use serde_json::json;

use super::{faults, plan};
use crate::plan::Occasion;
use crate::words::Missed;

fn with_triggers(triggers: &str) -> String {
    format!(
        "name: x\ninputs: {{ type: object, required: [repo], properties: {{ repo: {{ type: string }}, at: {{ default: 1 }} }} }}\n\
         stages: [ {{ name: s, tasks: [ {{ id: a, tool: core.noop }} ] }} ]\ntriggers: {triggers}\n"
    )
}

#[test]
fn triggers_stand_in_the_plan() {
    let plan = plan(&with_triggers(
        r#"[ { event: "repo.*", when: "event.data.branch == 'main'", inputs: { repo: "{{ event.data.repo }}" } },
             { schedule: "0 6 * * 1", zone: Europe/Berlin, missed: all, inputs: { repo: ".", at: "{{ schedule.due }}" } },
             { schedule: "*/5 * * * *", inputs: { repo: "." } } ]"#,
    ));
    let on: Vec<_> = plan.triggers.iter().map(|trigger| trigger.on.clone()).collect();
    let schedule = |cron: &str, zone: &str, missed| Occasion::Schedule {
        cron: cron.to_owned(),
        zone: zone.to_owned(),
        missed,
    };
    let when = Some("event.data.branch == 'main'".to_owned());
    let expected = [
        Occasion::Event { event: "repo.*".to_owned(), when },
        schedule("0 6 * * 1", "Europe/Berlin", Missed::All),
        schedule("*/5 * * * *", "UTC", Missed::Once),
    ];
    assert_eq!(on, expected);
    assert_eq!(plan.triggers[1].inputs, Some(json!({ "repo": ".", "at": "{{ schedule.due }}" })));
    let text = serde_json::to_string(&plan).expect("a plan");
    assert_eq!(serde_json::from_str::<crate::plan::Plan>(&text).ok(), Some(plan));
}

/// Without `inputs`, an event's data gives them, and what a schedule lacks is told when it fires.
#[test]
fn inputs_need_not_be_written() {
    let plan = plan(&with_triggers("[ { event: a }, { schedule: '* * * * *' } ]"));
    assert!(plan.triggers.iter().all(|trigger| trigger.inputs.is_none()));
}

/// A plan without triggers is kept as it was before there were any: its hash must not change.
#[test]
fn a_plan_without_triggers_is_written_as_before() {
    let plan = plan(&super::with_tasks(&["{ id: a, tool: core.noop }"]));
    assert!(!serde_json::to_string(&plan).expect("a plan").contains("triggers"));
}

#[test]
fn every_fault_of_a_trigger_is_told_at_its_place() {
    for (trigger, path, words) in [
        ("{ inputs: { repo: x } }", "", "either `event` or `schedule`"),
        ("{ event: a, schedule: '* * * * *', inputs: { repo: x } }", "", "either `event` or"),
        ("{ schedule: '61 * * * *', inputs: { repo: x } }", ".schedule", "is no schedule"),
        ("{ schedule: '0 0 30 2 *', inputs: { repo: x } }", ".schedule", "is no schedule"),
        ("{ schedule: '* * * * *', zone: Mars, inputs: { repo: x } }", ".zone", "time zone"),
        ("{ schedule: '* * * * *', missed: maybe, inputs: { repo: x } }", ".missed", "skip, once"),
        ("{ schedule: '* * * * *', when: 'true', inputs: { repo: x } }", ".when", "with `event`"),
        ("{ event: a, zone: UTC, inputs: { repo: x } }", ".zone", "with `schedule`"),
        ("{ event: 'a b', inputs: { repo: x } }", ".event", "not the type of an event"),
        ("{ event: a, when: 'event.', inputs: { repo: x } }", ".when", "cannot be read"),
        (
            "{ event: a, when: 'inputs.repo', inputs: { repo: x } }",
            ".when",
            "`inputs` is not known",
        ),
        ("{ event: a, inputs: { repo: '{{ schedule.due }}' } }", ".inputs.repo", "not known here"),
        (
            "{ schedule: '* * * * *', inputs: { repo: '{{ schedule.when }}' } }",
            ".inputs.repo",
            "has no `when`",
        ),
        ("{ event: a, inputs: {} }", ".inputs", "`repo`"),
        ("{ event: a, inputs: { repo: 5 } }", ".inputs.repo", "string"),
        ("{ event: a, inputs: { repo: x, more: 1 } }", ".inputs.more", "more"),
        ("{ event: a, every: 1, inputs: { repo: x } }", ".every", "unknown field"),
        ("5", "", "expected an object"),
    ] {
        let found = faults(&with_triggers(&format!("[ {trigger} ]")));
        let [fault] = &found[..] else { panic!("{trigger}: {found:#?}") };
        assert_eq!(fault.path, format!("triggers[0]{path}"), "{trigger}: {fault:?}");
        assert!(fault.message.contains(words), "{trigger}: {fault:?}");
    }
    let many = vec!["{ event: a }"; 101].join(", ");
    assert!(faults(&with_triggers(&format!("[{many}]")))[0].message.contains("at most 100"));
}
