//! The API against its own OpenAPI document: schemathesis, from PyPI, calls a real server with what the
//! document allows and with what it does not.
//!
//! A server error, or an answer that the document does not describe, is a failure. That a request which
//! fits the document is refused is none: what a definition means, no schema says. Nor is it one that a
//! revision was not reached in time. Streams are left out, as they do not end, and revoking tokens, as it
//! would lock the caller out.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::generate;
use crate::workspace::{output, root, succeed};

/// What calls the server.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// How long it calls, in seconds.
const SECONDS: &str = "45";
/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// What is told to it by a file: a 504 is what is promised, and nobody needs to wait long for one.
const SETTINGS: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]

[[operations]]
include-operation-id = ["show_workflow", "show_conversation"]
parameters = { "query.wait" = "10ms" }
"#;

/// Calls a server of this build for about a minute; where schemathesis cannot be had, it says so.
pub fn run() -> Result<()> {
    let folder = root()?.join("target/fuzz");
    let program = match program(&folder) {
        Ok(program) => program,
        Err(error) => {
            eprintln!("the API is not fuzzed: {error:#}");
            return Ok(());
        }
    };
    let baton = generate::build()?;
    // What an earlier run left would make this one another.
    let site = folder.join("site");
    if site.exists() {
        std::fs::remove_dir_all(&site)?;
    }
    std::fs::create_dir_all(&site)?;
    std::fs::write(site.join("schemathesis.toml"), SETTINGS)?;
    let made = output(Command::new(&baton).current_dir(&site).args(MAKE_TOKEN))?;
    let made: Value = serde_json::from_str(&made).context("`token create` wrote no JSON")?;
    let token = made.get("token").and_then(Value::as_str).context("there is no token")?;
    let server = Server::start(&baton, &site)?;
    let mut command = Command::new(program);
    command.current_dir(&site).args(["run", &format!("{}/openapi.json", server.url)]);
    command.args(["--checks", CHECKS, "--max-time", SECONDS, "--max-examples", "20"]);
    command.args(["--seed", "1", "--phases", "examples,coverage,fuzzing", "--warnings", "off"]);
    command.args(["--request-timeout", "20", "--exclude-path-regex", "/(stream|ws)$"]);
    command.args(["--exclude-operation-id", "revoke_token"]);
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    succeed(&mut command)
}

/// Makes the token under which the server is called.
const MAKE_TOKEN: [&str; 7] = ["token", "create", "--role", "admin", "--name", "fuzz", "--json"];

/// Where schemathesis is, fetched on first use.
fn program(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("python/bin/st");
    if !program.is_file() {
        let python = folder.join("python");
        output(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
        output(Command::new(python.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]))?;
    }
    Ok(program)
}

/// A server that ends with the run.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(baton: &Path, site: &Path) -> Result<Self> {
        let mut command = Command::new(baton);
        command.current_dir(site).args(["serve", "--listen", "127.0.0.1:0", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server")?;
        let lines = child.stdout.take().context("the server has no output")?;
        let mut server = Self { child, url: String::new() };
        let mut line = String::new();
        BufReader::new(lines).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).context("the server did not start")?;
        let url = said.get("url").and_then(Value::as_str).context("the server says no address")?;
        server.url = url.to_owned();
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
