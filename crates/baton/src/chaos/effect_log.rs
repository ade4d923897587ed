//! The effect log: a line before and a line after every call, each on disk before things go on.
//!
//! A call whose `begin` line stands there may have happened; only an `end` line says more.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind, Happened};
use baton_engine::ports::{Call, Control, Tools};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Results larger than this many bytes of JSON are not written down: they fit no command line.
const RESULT_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    tool: String,
    effect: Effect,
    mark: Mark,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Begin,
    End(End),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct End {
    happened: Happened,
    result: Option<Value>,
}

/// Tools whose every call is written down before and after it is made.
pub struct LoggedTools<T> {
    tools: T,
    file: Mutex<File>,
}

impl<T: Tools> LoggedTools<T> {
    /// Writes behind what already stands in the file.
    pub fn to(path: &Path, tools: T) -> anyhow::Result<Self> {
        let cannot = || format!("the effect log {} cannot be opened", path.display());
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(path);
        let mut file = opened.with_context(cannot)?;
        end_torn_line(&mut file).with_context(cannot)?;
        let file = Mutex::new(file);
        Ok(Self { tools, file })
    }

    fn write(&self, call: &Call, mark: Mark) -> std::io::Result<()> {
        let specs = self.tools.specs();
        let spec = specs.iter().find(|spec| spec.name == call.tool);
        let line = Line {
            key: call.idempotency_key.clone(),
            tool: call.tool.clone(),
            effect: spec.map_or(Effect::Once, |spec| spec.effect),
            mark,
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}

/// What a kill cut off stays a line of its own, which nobody can read.
fn end_torn_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0_u8];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

impl<T: Tools> Tools for LoggedTools<T> {
    fn specs(&self) -> Arc<[ToolSpec]> {
        self.tools.specs()
    }

    fn learn(&self, server: &str) -> Result<(), String> {
        self.tools.learn(server)
    }

    fn servers(&self) -> Vec<Json> {
        self.tools.servers()
    }

    fn release(&self, server: &str) -> bool {
        self.tools.release(server)
    }

    fn call(&self, call: &Call, control: &Control) -> Result<Json, CallFailure> {
        self.write(call, Mark::Begin).map_err(|e| {
            let message = format!("the effect log cannot be written, the call was not made: {e}");
            CallFailure::passing(FailureKind::Unavailable, message)
        })?;
        let result = self.tools.call(call, control);
        let end = match &result {
            Ok(output) => End {
                happened: Happened::Yes,
                result: (output.as_str().len() <= RESULT_BYTES_MAX).then(|| output.value()),
            },
            Err(failure) => End { happened: failure.happened, result: None },
        };
        // Without its end line the call counts as one that may have happened, which is true.
        let _ = self.write(call, Mark::End(end));
        result
    }
}

/// What is known of a task's newest call.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// It was never begun, or ended as not happened.
    DidNotHappen,
    /// It ended, with this result where that was written down.
    Happened(Option<Value>),
    /// It was begun and nothing more is known.
    Begun,
}

/// The calls that were begun, in order.
#[derive(Debug, Default)]
pub struct EffectLog {
    calls: Vec<Begun>,
}

#[derive(Debug)]
struct Begun {
    key: String,
    effect: Effect,
    end: Option<End>,
}

impl EffectLog {
    /// Reads a log; one that does not exist tells of no call.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::of(&text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn of(text: &str) -> Self {
        let mut log = Self::default();
        let lines = text.lines();
        // A torn `begin` was not synced, so its call was not made; a torn `end` says nothing.
        for line in lines.filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            let Line { key, effect, mark, .. } = line;
            match mark {
                Mark::Begin => log.calls.push(Begun { key, effect, end: None }),
                Mark::End(end) => {
                    let newest = log.calls.iter_mut().rev().find(|call| call.key == key);
                    if let Some(call) = newest {
                        call.end = Some(end);
                    }
                }
            }
        }
        log
    }

    /// How often a `once` call was begun though an earlier one of the same key may have happened.
    pub fn doubled(&self) -> u64 {
        let mut done = BTreeSet::new();
        let mut doubled = 0;
        for call in self.once() {
            if done.contains(&call.key) {
                doubled += 1;
            }
            let undone = call.end.as_ref().is_some_and(|end| end.happened == Happened::No);
            if !undone {
                done.insert(&call.key);
            }
        }
        doubled
    }

    /// How many different `once` calls were begun.
    pub fn once_keys(&self) -> usize {
        let keys: BTreeSet<_> = self.once().map(|call| &call.key).collect();
        keys.len()
    }

    fn once(&self) -> impl Iterator<Item = &Begun> {
        let calls = self.calls.iter();
        calls.filter(|call| call.effect == Effect::Once && !call.key.is_empty())
    }

    /// What is known of the newest call of a task, by the task's id.
    pub fn truth(&self, task_id: &str) -> Truth {
        let is_of = |call: &&Begun| call.key.split(':').next() == Some(task_id);
        let Some(call) = self.calls.iter().rev().find(is_of) else {
            return Truth::DidNotHappen;
        };
        match &call.end {
            None => Truth::Begun,
            Some(end) => match end.happened {
                Happened::No => Truth::DidNotHappen,
                Happened::Yes => Truth::Happened(end.result.clone()),
                Happened::Unknown => Truth::Begun,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, mark: &str) -> String {
        format!(r#"{{"key":"{key}","tool":"shell.run","effect":"once","mark":{mark}}}"#)
    }

    const BEGIN: &str = r#""begin""#;
    const YES: &str = r#"{"end":{"happened":"yes","result":7}}"#;
    const NO: &str = r#"{"end":{"happened":"no","result":null}}"#;

    fn log(lines: &[(&str, &str)]) -> EffectLog {
        let lines = lines.iter().map(|(key, mark)| line(key, mark));
        EffectLog::of(&lines.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_repetition_after_a_call_that_may_have_happened_is_doubled() {
        let repeated = [("a:1:0", BEGIN), ("b:1:0", BEGIN), ("a:1:0", BEGIN)];
        assert_eq!(log(&repeated).doubled(), 1);
        assert_eq!(log(&repeated).once_keys(), 2);
        let after_no = [("a:1:0", BEGIN), ("a:1:0", NO), ("a:1:0", BEGIN)];
        assert_eq!(log(&after_no).doubled(), 0);
        let after_yes = [("a:1:0", BEGIN), ("a:1:0", YES), ("a:1:0", BEGIN)];
        assert_eq!(log(&after_yes).doubled(), 1);
    }

    #[test]
    fn the_truth_about_a_task_is_its_newest_call() {
        let log = log(&[
            ("a:1:0", BEGIN),
            ("a:1:0", NO),
            ("a:1:0", BEGIN),
            ("b:1:0", BEGIN),
            ("b:1:0", YES),
        ]);
        assert_eq!(log.truth("a"), Truth::Begun);
        assert_eq!(log.truth("b"), Truth::Happened(Some(Value::from(7))));
        assert_eq!(log.truth("c"), Truth::DidNotHappen);
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, format!("{}\n{{\"key\":\"b", line("a:1:0", BEGIN))).unwrap();
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).open(&path).unwrap();
        end_torn_line(&mut file).unwrap();
        writeln!(file, "{}", line("a:1:0", YES)).unwrap();
        let log = EffectLog::read(&path).unwrap();
        assert_eq!(log.truth("a"), Truth::Happened(Some(Value::from(7))));
        assert_eq!(log.truth("b"), Truth::DidNotHappen);
    }
}
