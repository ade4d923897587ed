//! The shipped examples, run by the real binary on small real data.
//!
//! What they print is looked at for content, not for layout.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside of test functions")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A scratch folder that commands run in.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn repository() -> Self {
        let scratch = Self::new();
        scratch.git(&["init", "--quiet", "--initial-branch=trunk"]);
        scratch.write(".gitignore", "/target\n.baton/\n");
        scratch
    }

    fn with_contacts() -> Self {
        let scratch = Self::new();
        let contacts = std::fs::read_to_string(example("data/contacts.csv")).unwrap();
        scratch.write("examples/data/contacts.csv", &contacts);
        scratch
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.path().join(path)).ok()
    }

    fn git(&self, arguments: &[&str]) {
        self.git_as("Ada Example", arguments);
    }

    fn git_as(&self, name: &str, arguments: &[&str]) {
        let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
        let email = email.as_str();
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.0.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", name), ("GIT_AUTHOR_EMAIL", email)])
            .envs([("GIT_COMMITTER_NAME", name), ("GIT_COMMITTER_EMAIL", email)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn baton(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_baton"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("BATON_DATA")
            .env_remove("BATON_STORE")
            .env_remove("BATON_CONFIG")
            .output()
            .unwrap()
    }

    /// Runs an example to its end; what it printed.
    fn run(&self, name: &str, inputs: &[&str]) -> String {
        let example = example(name);
        let mut arguments = vec!["run", example.to_str().unwrap()];
        arguments.extend(inputs.iter().flat_map(|input| ["--input", input]));
        let output = self.baton(&arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn example(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("examples").join(name)
}

fn assert_says(report: &str, words: &[&str]) {
    for word in words {
        assert!(report.contains(word), "`{word}` is missing in:\n{report}");
    }
}

#[test]
fn repository_health_reports_on_a_lively_repository() {
    let scratch = Scratch::repository();
    scratch.write("README.md", "# Scratch\n");
    scratch.write("src/main.rs", "fn main() {}\n");
    scratch.commit("Begin");
    scratch.write("src/main.rs", "fn main() {\n    // TODO: greet\n}\n");
    scratch.commit("Say what is missing");
    scratch.write("target/huge", &"x".repeat(1 << 20));
    scratch.write("loose.txt", "not committed\n");

    let report = scratch.run("repository-health.yaml", &["repo=."]);
    assert_says(&report, &["on trunk", "Mostly healthy"]);
    assert_says(&report, &["it lacks a licence, tests"]);
    assert_says(&report, &["2 commits by 1 author", "Say what is missing"]);
    assert_says(&report, &["| src/main.rs | 2 |", "Bus factor 1"]);
    assert_says(&report, &["src/main.rs:2", "TODO: greet", "- loose.txt"]);
    assert!(!report.contains("huge"), "what git ignores is in:\n{report}");
}

#[test]
fn repository_health_reports_on_a_folder_below_and_a_lack_of_commits() {
    let scratch = Scratch::new();
    scratch.write("inner/README.md", "# Inner\n");
    scratch.git(&["init", "--quiet", "inner"]);
    let report = scratch.run("repository-health.yaml", &["repo=inner"]);
    assert_says(&report, &["# inner", "Nothing to judge yet"]);
    assert_says(&report, &["it has no commit yet", "Make the first commit."]);
    assert!(!report.contains("a README"), "{report}");
}

#[test]
fn repository_health_reports_on_a_period_without_a_commit() {
    let scratch = Scratch::repository();
    scratch.write("README.md", "# Scratch\n");
    scratch.commit("Begin");
    let inputs = ["repo=.", "since=2099-01-01"];
    let report = scratch.run("repository-health.yaml", &inputs);
    assert_says(&report, &["nothing was committed in the time since 2099-01-01"]);
    assert_says(&report, &["Last commit: less than 1 day ago"]);
}

#[test]
fn repository_health_counts_how_many_people_made_half_of_it() {
    let scratch = Scratch::repository();
    for (text, name) in [("1", "Ada"), ("2", "Bea"), ("3", "Cy"), ("4", "Di")] {
        scratch.write("src/a.txt", text);
        scratch.git(&["add", "."]);
        scratch.git_as(name, &["commit", "--quiet", "--message", "Change it"]);
    }
    let report = scratch.run("repository-health.yaml", &["repo=."]);
    assert_says(&report, &["4 commits by 4 authors", "- Ada: 1 (25 %)"]);
    assert_says(&report, &["Bus factor 2: 2 people made half"]);
    assert_says(&report, &["src/ (1 file)", "the top folder (1 file)"]);
}

#[test]
fn release_notes_put_what_breaks_first_and_write_only_when_asked() {
    let scratch = Scratch::repository();
    scratch.write("a", "1");
    scratch.commit("feat: the very first thing");
    scratch.git(&["tag", "v1"]);
    for (text, message) in [
        ("2", "fix(store): keep the last byte"),
        ("3", "feat!: drop the old form\n\nBREAKING CHANGE: convert files first"),
        ("4", "bench: a chain"),
        ("5", "Say more"),
    ] {
        scratch.write("a", text);
        scratch.commit(message);
    }
    let notes = scratch.run("release-notes.yaml", &["repo=.", "from=v1"]);
    assert_says(&notes, &["# HEAD since v1", "convert files first"]);
    assert_says(&notes, &["**store**: keep the last byte", "## Bench"]);
    assert_says(&notes, &["Say more", "Ada Example (4)", "4 changes"]);
    assert!(!notes.contains("very first"), "{notes}");
    let at = |word: &str| notes.find(word).unwrap();
    assert!(at("## Breaking") < at("## Added") && at("## Added") < at("## Fixed"));
    assert_eq!(scratch.read("NOTES.md"), None);

    let asked = ["repo=.", "from=v1", "write_to=NOTES.md"];
    let notes = scratch.run("release-notes.yaml", &asked);
    assert_eq!(scratch.read("NOTES.md").unwrap().trim(), notes.trim());
}

#[test]
fn csv_clean_up_writes_after_the_approval_and_not_before() {
    let scratch = Scratch::with_contacts();
    let definition = example("csv-clean-up.yaml");
    let waiting = scratch.baton(&["run", definition.to_str().unwrap()]);
    assert_eq!(waiting.status.code(), Some(3), "{waiting:?}");
    assert_eq!(scratch.read("contacts-clean.csv"), None);

    assert!(scratch.baton(&["approve", "last"]).status.success());
    let ended = scratch.baton(&["resume", "last"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let clean = scratch.read("contacts-clean.csv").unwrap();
    assert_eq!(clean.lines().count(), 8, "{clean}");
    assert_says(&clean, &["Ada Lovelace,ada@example.org,GB,2024-03-01,pro"]);
    assert_says(&clean, &["Konrad Zuse,konrad@example.org,DE,2024-06-22,free"]);
}

#[test]
fn csv_clean_up_writes_nothing_when_it_is_rejected() {
    let scratch = Scratch::with_contacts();
    let definition = example("csv-clean-up.yaml");
    let waiting = scratch.baton(&["run", definition.to_str().unwrap()]);
    assert_eq!(waiting.status.code(), Some(3), "{waiting:?}");

    assert!(scratch.baton(&["reject", "last"]).status.success());
    let ended = scratch.baton(&["resume", "last"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_says(&said, &["Rejected: nothing was written."]);
    assert_eq!(scratch.read("contacts-clean.csv"), None);
}

#[test]
fn fan_out_joins_what_was_found_in_each_document() {
    let scratch = Scratch::new();
    scratch.write("docs/good.md", "# Good\n\nSee [other](bad.md).\n");
    let bad = "# Bad\n\n# Bad\n\n[lost](nowhere.md#x)\n\n```\n# code\n";
    scratch.write("docs/bad.md", bad);
    let report = scratch.run("fan-out.yaml", &["path=docs"]);
    assert_says(&report, &["# 2 documents", "3 findings", "docs/good.md"]);
    assert_says(&report, &["line 3: the heading `# Bad` is there twice"]);
    assert_says(&report, &["line 5: the link to `nowhere.md` leads nowhere"]);
    assert_says(&report, &["a code block never ends"]);
}

/// A request is sent as an event, and its answer finds who waits for it.
#[test]
fn or11_a_request_finds_its_answer() {
    let scratch = Scratch::new();
    let answer = scratch.run("request-response.yaml", &["subject=a door"]);
    assert_says(&answer, &["Desk one proposes: A DOOR"]);
}
