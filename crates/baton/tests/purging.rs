//! A purge as a person does it: the file gets smaller, what is left says so, nothing needs mending.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod common;

use common::Desk;

#[test]
fn a_purge_of_many_tiny_workflows_gives_the_disk_back() {
    let desk = Desk::new();
    desk.define("tiny.yaml", &["{ id: only, tool: core.noop }"]);
    let many = "{ id: many, each: '{{ range(1000) }}', workflow: tiny }";
    desk.define("many.yaml", &[many]);
    desk.expect(0, &["run", "many.yaml"]);
    // Whoever looks the file over carries the log into it.
    desk.expect(0, &["doctor"]);
    let size = || std::fs::metadata(desk.path(".baton/baton.db")).unwrap().len();
    let before = size();
    let purged = desk.expect(0, &["purge", "--older-than", "0s", "--json"]).json();
    assert_eq!(purged[0]["purged"], 1_001);
    let after = size();
    assert!(after * 2 < before, "{before} then {after}");
    let shown = desk.expect(0, &["show", "last"]);
    assert!(shown.out.contains("purged at 20"), "{}", shown.out);
    let shown = desk.shown();
    assert!(shown["workflow"]["purged_at"].is_string(), "{shown}");
    assert_eq!(shown["tasks"].as_array().map(Vec::len), Some(0), "{shown}");
    let doctor = desk.expect(0, &["doctor"]);
    assert!(doctor.out.contains(", 1001 purged"), "{}", doctor.out);
    let rebuilt = desk.expect(0, &["doctor", "--rebuild"]);
    assert!(rebuilt.out.contains("nothing was changed"), "{}", rebuilt.out);
    assert_eq!(
        (size(), desk.expect(0, &["list", "--json", "--limit", "5000"]).json().len()),
        (after, 1_001)
    );
}
