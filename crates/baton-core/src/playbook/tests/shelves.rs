//! What a shelf finds.

use serde_json::{Value, json};

use crate::playbook::{Choice, MATCHES_MAX, Match, Playbook, Shelf};

/// A definition by its name, description and examples.
type Told<'t> = (&'t str, &'t str, &'t [&'t str]);

fn shelf(told: &[Told<'_>]) -> Shelf {
    with_inputs(told, None)
}

fn with_inputs(told: &[Told<'_>], inputs: Option<&Value>) -> Shelf {
    let owned: Vec<Vec<String>> = told
        .iter()
        .map(|(.., examples)| examples.iter().map(|&text| text.to_owned()).collect())
        .collect();
    let playbooks = told.iter().zip(&owned);
    Shelf::of(playbooks.map(|((name, description, _), examples)| Playbook {
        name,
        description,
        examples,
        inputs,
    }))
}

fn names(matches: &[Match]) -> Vec<&str> {
    matches.iter().map(|found| found.name.as_str()).collect()
}

const SMALL: &[Told<'_>] = &[
    (
        "backup",
        "Copy the database to another disk.",
        &["back up the database", "save a copy of everything"],
    ),
    ("restore", "Bring the database back from a copy.", &["restore the database"]),
    ("invoice", "Send the invoices of a month to customers.", &["send the invoices"]),
];

#[test]
fn an_example_counts_more_than_a_name_and_a_name_more_than_a_description() {
    let shelf = shelf(&[
        ("alpha", "Compress pictures.", &["do one thing"]),
        ("compress", "Alpha and beta.", &["do another thing"]),
        ("beta", "Gamma and delta.", &["compress it"]),
    ]);
    assert_eq!(names(&shelf.matches("compressing")), ["beta", "compress", "alpha"]);
}

#[test]
fn an_example_word_for_word_is_certain_whatever_else_is_near() {
    let near = [
        ("a", "Publish the page.", &["publish the page", "publish the page now"][..]),
        ("b", "Publish the page.", &["publish the page!"]),
        ("c", "Publish the page.", &["publish the page today"]),
    ];
    let Choice::Unsure(both) = shelf(&near).choose("Publish the PAGE") else { panic!() };
    assert_eq!(names(&both), ["a", "b"]);
    let Choice::Certain(found) = shelf(&near).choose("publish the page now.") else { panic!() };
    assert_eq!((found.name.as_str(), found.score), ("a", 1.0));
    let common = shelf(&[("can", "", &["what can you do?"])]);
    assert!(matches!(common.choose("What can you do"), Choice::Certain(_)));
    assert!(matches!(common.choose("What should they do"), Choice::Nothing(_)));
}

#[test]
fn a_score_does_not_hang_on_the_size_of_the_shelf() {
    let others: Vec<(String, String)> = (0..2_000)
        .map(|n| (format!("other-{n}"), format!("Something of its own, subject {n}x.")))
        .collect();
    let large: Vec<Told<'_>> = others
        .iter()
        .map(|(name, description)| (name.as_str(), description.as_str(), &[][..]))
        .chain(SMALL.iter().copied())
        .collect();
    for request in
        ["back up my database", "send invoices of March", "restore the backup", "sail the sea"]
    {
        let score = |shelf: Shelf| shelf.matches(request).first().map_or(0.0, |found| found.score);
        let (small, large) = (score(shelf(SMALL)), score(shelf(&large)));
        assert!((small - large).abs() < 0.1, "{request}: {small} and {large}");
    }
}

#[test]
fn values_do_not_count_as_what_is_wanted() {
    let shelf = shelf(SMALL);
    for request in [
        "back up the database to /mnt/disk/of/elephants since 2026-01-01",
        "back up the database \"elephants of the sea\" 17 times",
        "\"back up the database\"",
        "back up the database of v1.2.3",
    ] {
        let Choice::Certain(found) = shelf.choose(request) else {
            panic!("{request}: {:#?}", shelf.choose(request));
        };
        assert_eq!(found.name, "backup");
    }
    assert!(
        matches!(shelf.choose("\"elephants\" 17 /sea"), Choice::Nothing(found) if found.is_empty())
    );
}

#[test]
fn values_of_inputs_are_known_and_find_nothing_alone() {
    let inputs = json!({ "properties": {
        "format": { "enum": ["portable", "compact"] },
        "indices": { "type": "boolean" },
    } });
    let shelf = with_inputs(&SMALL[..1], Some(&inputs));
    assert!(matches!(shelf.choose("back up, compact with indices"), Choice::Certain(_)));
    assert!(matches!(shelf.choose("compact indices"), Choice::Nothing(_)));
}

#[test]
fn a_match_says_what_it_was_found_by() {
    let found = shelf(SMALL).matches("Please send the March invoices");
    assert_eq!(names(&found), ["invoice"]);
    assert_eq!(found[0].words, ["send", "invoices"]);
}

#[test]
fn the_order_is_that_of_scores_and_then_of_names() {
    let told: Vec<String> = (0..9).rev().map(|n| format!("twin-{n}")).collect();
    let told: Vec<Told<'_>> =
        told.iter().map(|name| (name.as_str(), "Sort the post.", &[][..])).collect();
    let found = shelf(&told).matches("sort the post");
    assert_eq!(names(&found), ["twin-0", "twin-1", "twin-2", "twin-3", "twin-4"]);
    assert_eq!(found.len(), MATCHES_MAX);
    assert!(matches!(shelf(&told).choose("sort the post"), Choice::Unsure(_)));
}

#[test]
fn an_empty_shelf_has_nothing() {
    assert_eq!(shelf(&[]).choose("anything"), Choice::Nothing(Vec::new()));
}
