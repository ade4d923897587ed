//! The shape of files: header, lengths, ends of lines.
//!
//! Between the length aimed at and the one that needs a reason in writing there is only a note.

use super::functions::functions;
use super::source::Source;
use super::{Finding, Report};

const FILE_LINES_AIM: usize = 400;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_AIM: usize = 30;
const FUNCTION_LINES_MAX: usize = 70;

/// Applies the rules of shape to a file.
pub fn check(source: &Source, report: &mut Report) {
    report.faults.extend(line_ends(source));
    if !source.is_rust() {
        return;
    }
    if !source.text.starts_with("//!") {
        report.faults.push(source.finding(
            1,
            "does not begin with `//!`",
            "say the file's duty, then what it deliberately does not do",
        ));
    }
    file_length(source, report);
    function_lengths(source, report);
}

fn line_ends(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in source.text.split('\n').enumerate() {
        if line.ends_with(char::is_whitespace) {
            found.push(source.finding(index + 1, "white space at the end", "remove it"));
        }
        if source.is_rust() && line.contains('\t') {
            found.push(source.finding(index + 1, "a tab", "indent by spaces; in a string, `\\t`"));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        let last = source.text.lines().count();
        found.push(source.finding(last, "no line end at the end of the file", "add one"));
    }
    found
}

fn file_length(source: &Source, report: &mut Report) {
    let length = source.text.lines().count();
    let header = source.text.lines().take_while(|line| line.starts_with("//!"));
    let has_reason = header.into_iter().any(|line| line.starts_with("//! Long because"));
    let what = format!("a file of {length} lines");
    if length > FILE_LINES_MAX && !has_reason {
        let mend = "split it, or write `//! Long because …` in its header";
        report.faults.push(source.finding(1, what, mend));
    } else if length > FILE_LINES_AIM {
        report.notes.push(source.finding(1, what, "400 are aimed at"));
    }
}

fn function_lengths(source: &Source, report: &mut Report) {
    for function in functions(source) {
        let length = function.length();
        let what = format!("`{}` has {length} lines", function.name);
        let line = function.first_line;
        if length > FUNCTION_LINES_MAX && !has_reason_above(source, line) {
            let mend = "split it, or write `// Long because …` above it";
            report.faults.push(source.finding(line, what, mend));
        } else if length > FUNCTION_LINES_AIM {
            report.notes.push(source.finding(line, what, "30 are aimed at"));
        }
    }
}

/// Whether the comments and attributes right above a line give a reason for length.
fn has_reason_above(source: &Source, line: usize) -> bool {
    let above = source.lines.iter().take(line.saturating_sub(1)).rev();
    above
        .take_while(|line| line.code.trim().starts_with("#[") || !line.comment.is_empty())
        .any(|line| line.comment.starts_with("// Long because"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        let mut report = Report::default();
        check(&Source::new("crates/x/src/lib.rs", text), &mut report);
        report
    }

    fn faults(text: &str) -> Vec<String> {
        let faults = report(text).faults;
        faults.into_iter().map(|fault| fault.what).collect()
    }

    #[test]
    fn a_file_says_its_duty_first() {
        assert_eq!(faults("//! Duty.\n"), [""; 0]);
        assert_eq!(faults("use a;\n"), ["does not begin with `//!`"]);
    }

    #[test]
    fn white_space_at_ends_and_tabs_are_found() {
        assert_eq!(faults("//! a \n"), ["white space at the end"]);
        assert_eq!(faults("//! a\n\tuse b;\n"), ["a tab"]);
        assert_eq!(faults("//! a"), ["no line end at the end of the file"]);
        assert_eq!(faults("//! a\r\n"), ["white space at the end"]);
    }

    #[test]
    fn a_long_file_needs_a_reason_in_its_header() {
        let body = "// x\n".repeat(800);
        assert_eq!(faults(&format!("//! a\n{body}")), ["a file of 801 lines"]);
        assert_eq!(faults(&format!("//! a\n//! Long because so.\n{body}")), [""; 0]);
        let middling = report(&format!("//! a\n{}", "// x\n".repeat(400)));
        assert!(middling.faults.is_empty());
        assert_eq!(middling.notes.len(), 1);
    }

    #[test]
    fn a_long_function_needs_a_reason_above_it() {
        let function = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(69));
        assert_eq!(faults(&format!("//! a\n{function}")), ["`a` has 71 lines"]);
        let reason = "// Long because so.\n#[inline]\n";
        assert_eq!(faults(&format!("//! a\n{reason}{function}")), [""; 0]);
        assert_eq!(
            faults(&format!("//! a\n{reason}fn b() {{}}\n{function}")),
            ["`a` has 71 lines"]
        );
    }
}
