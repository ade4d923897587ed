//! Rows of the books are kept whole, in the commit of their events, and add up by every column alike
//! on every store.
//!
//! What is booked, and when, is not known here.

use baton_core::agent::Spending;
use baton_core::codes::Code;
use baton_core::words::UsageBy;
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{UsageFilter, UsageKey, Views};

use super::{Check, Script, Site};
use crate::sums;

pub(super) const CHECKS: &[Check] = &[
    ("the books are kept whole", the_books_are_kept_whole),
    ("a refused commit books nothing", a_refused_commit_books_nothing),
    ("a call is booked once", a_call_is_booked_once),
    ("sums are those of the rows", sums_are_those_of_the_rows),
    ("sums go on in pages", sums_go_on_in_pages),
    ("sums of great numbers end at the largest", sums_of_great_numbers_end_at_the_largest),
    ("a purge keeps the books", a_purge_keeps_the_books),
];

/// Three workflows with some calls each.
fn booked(site: &dyn Site) -> (Script, Vec<UsageRow>) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let numbers = ["one", "two", "three"].map(|name| script.admit(name));
    let mut rows = Vec::new();
    for seed in 0..40 {
        // Sums of the largest costs have a check of their own.
        if seed % 13 != 0 {
            rows.push(script.book(numbers[(seed % 7 % 3) as usize], seed));
        }
    }
    owner.commit(&script.take()).expect("a commit");
    (script, rows)
}

fn all() -> UsageFilter {
    UsageFilter { limit: u32::MAX, ..UsageFilter::default() }
}

fn the_books_are_kept_whole(site: &dyn Site) {
    let (script, rows) = booked(site);
    let mut owner = site.owner();
    for number in script.numbers() {
        let own: Vec<UsageRow> = rows.iter().filter(|row| row.number == number).cloned().collect();
        assert!(
            own.iter().any(|row| row.cost.is_none()) && own.iter().any(|row| row.used.is_some())
        );
        assert_eq!(owner.usage(number), Ok(own.clone()));
        assert_eq!(site.reader().usage_of_tasks(number), Ok(sums::of_tasks(&own)));
    }
    assert_eq!(owner.usage(77), Ok(vec![]));
}

fn a_refused_commit_books_nothing(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("one");
    script.book(number, 1);
    let mut commit = script.take();
    commit.purged.push(77);
    owner.commit(&commit).expect_err("no such workflow");
    assert_eq!(owner.usage(number), Ok(vec![]));
    assert_eq!(site.reader().usage(&all()), Ok(vec![(UsageKey::Number(0), Spending::default())]));
}

fn a_call_is_booked_once(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("one");
    let row = script.book(number, 1);
    owner.commit(&script.take()).expect("a commit");
    script.book(number, 2);
    let mut commit = script.take();
    commit.usage.push(row.clone());
    owner.commit(&commit).expect_err("it is booked");
    assert_eq!(owner.usage(number), Ok(vec![row]));
}

fn sums_are_those_of_the_rows(site: &dyn Site) {
    let (_, rows) = booked(site);
    let mut reader = site.reader();
    let (from_day, until_day) = (rows[5].day(), rows[20].day());
    assert!(from_day < until_day, "there is more than one day");
    let filters = [
        all(),
        UsageFilter { from_day: Some(from_day), until_day: Some(until_day), ..all() },
        UsageFilter { workflows: vec![1, 3, 99], ..all() },
        UsageFilter { workflows: vec![2], until_position: Some(rows[20].position), ..all() },
        UsageFilter { model: Some("a/one".to_owned()), agent: Some("ärzte".to_owned()), ..all() },
        UsageFilter { user: Some("user:ada".to_owned()), ..all() },
        UsageFilter { conversation: Some(rows[0].conversation), ..all() },
        UsageFilter { model: Some("no such".to_owned()), ..all() },
    ];
    for filter in filters {
        for by in UsageBy::ALL.iter().copied().map(Some).chain([None]) {
            let filter = UsageFilter { by, ..filter.clone() };
            let expected = sums::of(rows.iter(), &filter);
            assert_eq!(reader.usage(&filter), Ok(expected), "{filter:?}");
        }
    }
}

fn sums_go_on_in_pages(site: &dyn Site) {
    booked(site);
    let mut reader = site.reader();
    for by in UsageBy::ALL {
        let by = Some(*by);
        let whole = reader.usage(&UsageFilter { by, ..all() }).expect("sums");
        let mut paged = Vec::new();
        let mut after: Option<UsageKey> = None;
        loop {
            let filter = UsageFilter { by, after, limit: 1, ..UsageFilter::default() };
            let Some(sum) = page(&mut *reader, &filter) else { break };
            after = Some(sum.0.clone());
            paged.push(sum);
        }
        assert_eq!(paged, whole);
    }
}

fn page(reader: &mut dyn Views, filter: &UsageFilter) -> Option<(UsageKey, Spending)> {
    let mut sums = reader.usage(filter).expect("a page");
    assert!(sums.len() <= 1);
    sums.pop()
}

fn sums_of_great_numbers_end_at_the_largest(site: &dyn Site) {
    let mut owner = site.owner();
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let number = script.admit("dear");
    // Each costs 2^62 picodollars.
    for seed in [13, 26 + 39, 13 * 7, 13 * 11, 13 * 17] {
        assert!(script.book(number, seed).cost.is_some_and(|cost| cost.as_pico() == 1 << 62));
    }
    owner.commit(&script.take()).expect("a commit");
    let sums = site.reader().usage(&all()).expect("a sum");
    assert_eq!(sums[0].1.cost.as_pico(), u64::MAX);
}

fn a_purge_keeps_the_books(site: &dyn Site) {
    let (mut script, rows) = booked(site);
    let mut owner = site.owner();
    let head = owner.take_over().expect("an epoch");
    script.next().after = head;
    script.next().head = head;
    script.purge(1);
    owner.commit(&script.take()).expect("a commit");
    assert_eq!(owner.stream(1), Ok(vec![]));
    assert_eq!(site.reader().usage(&all()), Ok(sums::of(rows.iter(), &all())));
}
