//! A folder of its own for a test, and the real binary called in it as a person would.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal};
use serde_json::Value;

/// A folder with a configuration that allows `shell.run`.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder };
        desk.write("baton.toml", "[tools.shell]\nallow = true\n");
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A definition of one stage with these tasks, a YAML flow mapping each.
    pub fn define(&self, file: &str, tasks: &[&str]) {
        let lines: String = tasks.iter().map(|task| format!("      - {task}\n")).collect();
        let name = file.split('.').next().unwrap();
        self.write(
            file,
            &format!("name: {name}\nversion: 1\nstages:\n  - name: only\n    tasks:\n{lines}"),
        );
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.current_dir(self.folder.path()).args(arguments);
        for name in
            ["BATON_DATA", "BATON_CONFIG", "BATON_SERVER", "BATON_TOKEN", "BATON_CA", "BATON_MODEL"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    pub fn call(&self, arguments: &[&str]) -> Called {
        Called::of(self.command(arguments).output().unwrap())
    }

    /// Calls and insists on an exit code.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Called {
        let called = self.call(arguments);
        assert_eq!(called.code, Some(code), "{arguments:?}: {called:?}");
        called
    }

    /// Calls with these lines on its standard input.
    pub fn tell(&self, lines: &str, arguments: &[&str]) -> Called {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who has ended reads no more.
        let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
        Called::of(child.wait_with_output().unwrap())
    }

    /// Starts a command that reads what is typed; its JSON lines are read as they come.
    pub fn talk(&self, arguments: &[&str]) -> (ChildStdin, Running) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        let mut running = Running::of(command);
        let typed = running.child.0.stdin.take().unwrap();
        (typed, running)
    }

    /// Starts a command whose JSON lines are read as they come.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::of(self.command(arguments))
    }

    /// A gate: a script that says `read x < NAME` waits there until it is opened.
    pub fn gate(&self, name: &str) -> Gate {
        let made = Command::new("mkfifo").arg(self.path(name)).status();
        assert!(made.unwrap().success());
        let mut options = File::options();
        // Opened both ways, it waits for nobody and keeps what is written.
        Gate(options.read(true).write(true).open(self.path(name)).unwrap())
    }

    /// `show --json` of the newest workflow.
    pub fn shown(&self) -> Value {
        let called = self.expect(0, &["show", "last", "--events", "--json"]);
        called.json().pop().unwrap()
    }

    pub fn task_status(&self, key: &str) -> String {
        let shown = self.shown();
        let tasks = shown["tasks"].as_array().unwrap();
        let task = tasks.iter().find(|task| task["key"] == key).unwrap();
        task["status"].as_str().unwrap().to_owned()
    }
}

pub struct Gate(File);

impl Gate {
    pub fn open(&mut self) {
        self.0.write_all(b"go\n").unwrap();
    }

    /// The line that somebody wrote into it.
    pub fn read(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(&self.0).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Called {
    pub code: Option<i32>,
    pub out: String,
    pub said: String,
}

impl Called {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            said: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap();
        self.out.lines().map(read).collect()
    }
}

/// A process that does not outlive the test that started it, however that ends.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that runs.
pub struct Running {
    child: Held,
    lines: BufReader<ChildStdout>,
    said: BufReader<ChildStderr>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child: Held(child), lines, said }
    }

    /// Reads lines until this event of this task (any, where none is named).
    pub fn until(&mut self, event: &str, task: Option<&str>) -> Value {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            if read == 0 {
                let mut said = String::new();
                self.said.read_to_string(&mut said).unwrap();
                panic!("it ended before {event} of {task:?}: {said}");
            }
            let value: Value = serde_json::from_str(&line).unwrap();
            let is_task = task.is_none_or(|task| value["task"] == task);
            if value["event"] == event && is_task {
                return value;
            }
        }
    }

    /// The next line, which is JSON.
    pub fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{line:?}: {fault}"))
    }

    /// Reads what it says to people until a line has this in it.
    pub fn hear(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "it ended before it said {part:?}");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.0.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    /// Waits for the end; gives the exit code and the lines that were not read before.
    pub fn rest(mut self) -> (Option<i32>, Vec<Value>) {
        let lines = self.lines.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        let lines = lines.collect();
        (self.child.0.wait().unwrap().code(), lines)
    }

    /// Waits for the end; gives the exit code and the last line, or what was said instead.
    pub fn end(mut self) -> (Option<i32>, Value) {
        let lines: Vec<String> = self.lines.lines().map(Result::unwrap).collect();
        let last = lines.last().map(|line| serde_json::from_str(line).unwrap());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        let code = self.child.0.wait().unwrap().code();
        (code, last.unwrap_or(Value::String(said)))
    }
}
