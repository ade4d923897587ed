//! Every promise of the ledger that is kept so far has a test named after it.
//!
//! Whether the test shows the promise is for its reader to judge.

use super::Finding;
use super::functions::functions;
use super::source::Source;

/// The ids that must have a test by now, one a line; behind `#` those to come.
pub const PATH: &str = "xtask/ledger.txt";

/// Says which ids of the list have no test `fn id_…` in any crate.
pub fn check(list: &str, sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in list.lines().enumerate() {
        let id = line.split('#').next().unwrap_or_default().trim();
        let finding = |what, mend| Finding { path: PATH.to_owned(), line: index + 1, what, mend };
        if id.is_empty() {
            continue;
        }
        if !is_id(id) {
            found.push(finding(
                format!("`{id}` is no id of the ledger"),
                "write one id a line, such as `ch1`",
            ));
        } else if !sources.iter().any(|source| tests_promise(source, id)) {
            found.push(finding(
                format!("no test `fn {id}_…` in crates/"),
                "write the test that shows the promise",
            ));
        }
    }
    found
}

fn tests_promise(source: &Source, id: &str) -> bool {
    let prefix = format!("{id}_");
    source.path.starts_with("crates/")
        && functions(source)
            .iter()
            .any(|function| function.name.starts_with(&prefix) && source.is_test(function.at))
}

/// Two small letters and a number.
fn is_id(text: &str) -> bool {
    let number = text.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    text.len() - number.len() == 2 && is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(list: &str, path: &str, text: &str) -> Vec<String> {
        let findings = check(list, &[Source::new(path, text)]).into_iter();
        findings.map(|finding| finding.what).collect()
    }

    #[test]
    fn a_promise_needs_a_test_of_its_name() {
        let tested = "#[test]\nfn ch1_statuses_are_declared_once() {}";
        let path = "crates/baton/tests/ledger.rs";
        assert_eq!(said("ch1\n", path, tested), [""; 0]);
        assert_eq!(said("ch11\n", path, tested), ["no test `fn ch11_…` in crates/"]);
        assert_eq!(
            said("ch1\n", "crates/baton/src/main.rs", tested),
            ["no test `fn ch1_…` in crates/"],
            "a function that ships is no test"
        );
    }

    #[test]
    fn what_is_commented_out_is_not_asked_for() {
        assert_eq!(said("# title\n#mp1\n\n", "a.rs", ""), [""; 0]);
    }

    #[test]
    fn a_slip_in_the_list_does_not_pass_for_an_id() {
        for slip in ["ch", "1", "ch1 ch2", "CH1", "ch1_a", "chx1"] {
            let what = format!("`{slip}` is no id of the ledger");
            assert_eq!(said(slip, "a.rs", ""), [what]);
        }
    }
}
