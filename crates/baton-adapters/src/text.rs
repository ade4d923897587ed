//! `text.render` and `json.query`: a template or an expression over data, without I/O.
//!
//! Both are bounded in instructions and in what they yield. There is no loader, no escaping and no
//! access to anything but `data`.

use std::io;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::FailureKind;
use minijinja::{Environment, UndefinedBehavior};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::Limits;
use crate::schema::{any, object, optional, required, text};
use crate::tool::{Scope, Tool, reads};

/// `text.render`.
pub(crate) struct Render;

/// `json.query`.
pub(crate) struct Query;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenderInput {
    template: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryInput {
    data: Value,
    query: String,
}

impl Tool for Render {
    type Input = RenderInput;
    type Output = String;

    fn spec(&self, _: &Limits) -> ToolSpec {
        let template = "A Jinja template; it sees `data`. Values print as JSON with `|tojson`.";
        ToolSpec {
            quick: true,
            ..reads(
                "text.render",
                "Renders a template over `data` and returns the text.",
                object([
                    required("template", text(template)),
                    optional("data", any("What the template sees as `data`.")),
                ]),
            )
        }
    }

    fn run(&self, scope: &Scope<'_>, input: RenderInput) -> Result<String, CallFailure> {
        let environment = environment(scope.limits());
        let mut writer = Bounded::new(scope.limits().text_bytes_max);
        let done =
            environment.template_from_named_str("template", &input.template).and_then(|template| {
                let context = over(&input.data);
                template.render_captured_to(context, &mut writer).map(drop)
            });
        writer.within("text.render")?;
        done.map_err(|fault| at_fault("template", &fault))?;
        String::from_utf8(writer.bytes).map_err(|_| {
            CallFailure::refused(FailureKind::Template, "the template did not yield UTF-8")
        })
    }
}

impl Tool for Query {
    type Input = QueryInput;
    type Output = Box<RawValue>;

    fn spec(&self, _: &Limits) -> ToolSpec {
        let query = "An expression over `data`: `data.items | selectattr('open') | list`.";
        ToolSpec {
            quick: true,
            ..reads(
                "json.query",
                "Evaluates an expression over `data` and returns its value.",
                object([
                    required("data", any("What the expression sees as `data`.")),
                    required("query", text(query)),
                ]),
            )
        }
    }

    fn run(&self, scope: &Scope<'_>, input: QueryInput) -> Result<Box<RawValue>, CallFailure> {
        let environment = environment(scope.limits());
        let value = environment
            .compile_expression(&input.query)
            .and_then(|query| query.eval(over(&input.data)))
            .map_err(|fault| at_fault("query", &fault))?;
        if value.is_undefined() {
            return Err(CallFailure::refused(
                FailureKind::Template,
                "the query names something `data` does not have; \
                 add `| default(none)` if that may be so",
            ));
        }
        let mut writer = Bounded::new(scope.limits().text_bytes_max);
        let done = serde_json::to_writer(&mut writer, &value);
        writer.within("json.query")?;
        done.ok()
            .and_then(|()| String::from_utf8(writer.bytes).ok())
            .and_then(|json| RawValue::from_string(json).ok())
            .ok_or_else(|| {
                CallFailure::refused(FailureKind::Template, "the query's value is no JSON")
            })
    }
}

fn over(data: &Value) -> minijinja::Value {
    minijinja::context! { data => minijinja::value::Serde(data) }
}

fn environment<'source>(limits: &Limits) -> Environment<'source> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(limits.fuel));
    environment
}

/// The fault with its line; the source itself stands in the definition.
fn at_fault(what: &str, fault: &minijinja::Error) -> CallFailure {
    let line = fault.line().map_or_else(String::new, |line| format!(" in line {line}"));
    CallFailure::refused(FailureKind::Template, format!("the {what} fails{line}: {fault}"))
}

/// Takes bytes up to a bound; fuel counts instructions, not what they write.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    overrun: bool,
}

impl Bounded {
    fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, overrun: false }
    }

    fn within(&self, tool: &str) -> Result<(), CallFailure> {
        if !self.overrun {
            return Ok(());
        }
        let max = self.bytes_max;
        Err(CallFailure::refused(
            FailureKind::TooLarge,
            format!(
                "{tool} yields more than {max} bytes (`[tools.limits] text_bytes_max`); \
                 write to a file in parts, or raise it"
            ),
        ))
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.bytes_max {
            self.overrun = true;
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
