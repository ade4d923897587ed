//! Templates compiled and evaluated.
//!
//! A string that is exactly one `{{ expression }}` yields its value, any other its text. Whether a
//! template may be used at all is decided before, in `check`.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, Expression, Value as Rendered};
use serde_json::Value;

use super::check::BadTemplate;
use super::json;
use super::limits::{self, Bounded, EXPRESSIONS, RENDER_BYTES_MAX};
use super::scan::{self, Reference};
use super::scope::{Context, View};

/// Compiles a bare expression.
pub(crate) fn compile_expression(
    source: &str,
) -> Result<Expression<'static, 'static>, BadTemplate> {
    EXPRESSIONS.compile_expression_owned(source.to_owned()).map_err(|error| BadTemplate::of(&error))
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) enum Expr {
    /// A path alone, followed in the data as it is, without copying more than its end.
    Path(Reference),
    /// Anything else.
    Compiled { expression: Expression<'static, 'static>, source: Box<str> },
}

impl Expr {
    /// Compiles a bare expression.
    pub fn compile(source: &str) -> Result<Self, BadTemplate> {
        let expression = compile_expression(source)?;
        Ok(match scan::sole_reference(&scan::expression(source)) {
            Some(reference) => Self::Path(reference),
            None => Self::Compiled { expression, source: source.into() },
        })
    }

    /// Its value.
    pub fn value(&self, view: &Arc<View>) -> Result<Value, String> {
        match self {
            Self::Path(reference) => view.follow(reference),
            Self::Compiled { expression, source } => {
                let read = || scan::expression_references(&scan::expression(source));
                let value =
                    evaluate(expression, view).map_err(|error| explain(&error, view, read()))?;
                json::of(&value).map_err(|error| match error {
                    json::NoJson::Undefined => undefined(view, read()),
                    json::NoJson::Other(message) => message,
                })
            }
        }
    }

    /// Whether it holds, by the template library's rule: empty, zero and `null` do not.
    pub fn is_true(&self, view: &Arc<View>) -> Result<bool, String> {
        match self {
            Self::Path(reference) => view.follow(reference).map(|value| match value {
                Value::Null => false,
                Value::Bool(truth) => truth,
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::String(text) => !text.is_empty(),
                Value::Array(list) => !list.is_empty(),
                Value::Object(object) => !object.is_empty(),
            }),
            Self::Compiled { expression, source } => {
                let read = || scan::expression_references(&scan::expression(source));
                let value =
                    evaluate(expression, view).map_err(|error| explain(&error, view, read()))?;
                if value.is_undefined() {
                    return Err(undefined(view, read()));
                }
                Ok(value.is_true())
            }
        }
    }
}

fn evaluate(
    expression: &Expression<'static, 'static>,
    view: &Arc<View>,
) -> Result<Rendered, minijinja::Error> {
    expression.eval(Rendered::from_object(Context(Arc::clone(view))))
}

/// The library says that something is undefined; this says what.
fn undefined(view: &View, read: Vec<Reference>) -> String {
    let missing = read.iter().find_map(|name| view.follow(name).err());
    missing.unwrap_or_else(|| "the value is undefined".to_owned())
}

fn explain(error: &minijinja::Error, view: &View, read: Vec<Reference>) -> String {
    // Operators report an undefined operand as one of the wrong type.
    let operand = error.detail().is_some_and(|detail| detail.contains("undefined"));
    if operand || error.kind() == ErrorKind::UndefinedError {
        return undefined(view, read);
    }
    if error.kind() == ErrorKind::OutOfFuel {
        let most = limits::FUEL_MAX;
        return format!("it did not end within {most} steps; make the loop shorter");
    }
    if error.kind() == ErrorKind::WriteFailure {
        return limits::too_large().to_string();
    }
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// A piece of a text.
#[derive(Debug)]
pub(crate) enum Part {
    /// As it is.
    Text(Box<str>),
    /// The text of a value.
    Value(Arc<Expr>),
}

/// A compiled field: JSON with templates in it.
#[derive(Debug)]
pub(crate) enum Form {
    /// No template in it.
    Constant(Value),
    /// One expression: its value.
    Value(Arc<Expr>),
    /// Text with expressions in it and no statements.
    Parts(Vec<Part>),
    /// Text with statements: the name of a template in the environment.
    Text(Box<str>),
    /// At least one element holds a template.
    List(Vec<Form>),
    /// At least one value holds a template.
    Map(Vec<(Box<str>, Form)>),
}

impl Form {
    /// Whether there is no template in it.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}

/// Compiles the fields of one plan; what is written twice is compiled once.
pub(crate) struct Compiler {
    environment: Environment<'static>,
    texts: HashMap<String, Box<str>>,
    values: HashMap<String, Arc<Expr>>,
}

/// Where in a field something failed, from the inside out, and why.
#[derive(Debug)]
pub(crate) struct Failed {
    path: Vec<String>,
    message: String,
}

impl Failed {
    fn new(message: String) -> Self {
        let path = Vec::new();
        Self { path, message }
    }

    fn within(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }

    /// `with.text: why`
    pub fn in_field(&self, field: &str) -> String {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        format!("{field}{path}: {}", self.message)
    }
}

impl Compiler {
    /// Nothing compiled yet.
    pub fn new() -> Self {
        Self { environment: limits::environment(), texts: HashMap::new(), values: HashMap::new() }
    }

    /// The environment that holds the compiled texts.
    pub fn finish(self) -> Environment<'static> {
        self.environment
    }

    /// Compiles a value with templates in it.
    pub fn form(&mut self, value: &Value) -> Result<Form, Failed> {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(list) => {
                let forms = list.iter().enumerate().map(|(index, item)| {
                    self.form(item).map_err(|failed| failed.within(format!("[{index}]")))
                });
                let forms: Vec<Form> = forms.collect::<Result<_, _>>()?;
                Ok(if forms.iter().all(Form::is_constant) {
                    Form::Constant(value.clone())
                } else {
                    Form::List(forms)
                })
            }
            Value::Object(object) => {
                let forms = object.iter().map(|(key, item)| {
                    let form = self.form(item);
                    let form = form.map_err(|failed| failed.within(format!(".{key}")))?;
                    Ok((key.as_str().into(), form))
                });
                let forms: Vec<(Box<str>, Form)> = forms.collect::<Result<_, Failed>>()?;
                Ok(if forms.iter().all(|(_, form)| form.is_constant()) {
                    Form::Constant(value.clone())
                } else {
                    Form::Map(forms)
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Form::Constant(value.clone())),
        }
    }

    /// Compiles a text that may be a template.
    pub fn text(&mut self, text: &str) -> Result<Form, Failed> {
        if !scan::is_template(text) {
            return Ok(Form::Constant(text.into()));
        }
        if let Some(source) = scan::sole_expression(text, &scan::blocks(text)) {
            return self.expression(source).map(Form::Value);
        }
        if let Some(parts) = self.parts(text) {
            return Ok(Form::Parts(parts));
        }
        if let Some(name) = self.texts.get(text) {
            return Ok(Form::Text(name.clone()));
        }
        let name = self.texts.len().to_string();
        self.environment
            .add_template_owned(name.clone(), text.to_owned())
            .map_err(|error| Failed::new(BadTemplate::of(&error).message))?;
        let name: Box<str> = name.into();
        self.texts.insert(text.to_owned(), name.clone());
        Ok(Form::Text(name))
    }

    /// The pieces of a text without statements, comments and white-space control, which is most of
    /// them: they share the expressions, and need no template of the library each.
    fn parts(&mut self, text: &str) -> Option<Vec<Part>> {
        if text.contains("{%") || text.contains("{#") {
            return None;
        }
        let mut parts = Vec::new();
        let mut from = 0;
        for block in scan::blocks(text) {
            let inner = text.get(block.range.start + 2..block.range.end.checked_sub(2)?)?;
            if inner.starts_with(['-', '+']) || inner.ends_with(['-', '+']) {
                return None;
            }
            parts.push(Part::Text(text.get(from..block.range.start)?.into()));
            parts.push(Part::Value(self.expression(inner.trim()).ok()?));
            from = block.range.end;
        }
        parts.push(Part::Text(text.get(from..)?.into()));
        Some(parts)
    }

    /// Compiles a bare expression.
    pub fn expression(&mut self, source: &str) -> Result<Arc<Expr>, Failed> {
        if let Some(known) = self.values.get(source) {
            return Ok(Arc::clone(known));
        }
        let compiled = Expr::compile(source).map_err(|bad| Failed::new(bad.message))?;
        let compiled = Arc::new(compiled);
        self.values.insert(source.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// The value of a field.
pub(crate) fn render(
    form: &Form,
    environment: &Environment<'static>,
    view: &Arc<View>,
) -> Result<Value, Failed> {
    match form {
        Form::Constant(value) => Ok(value.clone()),
        Form::Value(expression) => expression.value(view).map_err(Failed::new),
        Form::Parts(parts) => render_parts(parts, view).map(Value::String).map_err(Failed::new),
        Form::Text(name) => {
            render_text(name, environment, view).map(Value::String).map_err(Failed::new)
        }
        Form::List(forms) => {
            let items = forms.iter().enumerate().map(|(index, form)| {
                render(form, environment, view)
                    .map_err(|failed| failed.within(format!("[{index}]")))
            });
            items.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Form::Map(forms) => {
            let items = forms.iter().map(|(key, form)| {
                let value = render(form, environment, view);
                let value = value.map_err(|failed| failed.within(format!(".{key}")))?;
                Ok((key.to_string(), value))
            });
            items.collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
    }
}

fn render_parts(parts: &[Part], view: &Arc<View>) -> Result<String, String> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(piece) => text.push_str(piece),
            Part::Value(expression) => match expression.value(view)? {
                Value::String(piece) => text.push_str(&piece),
                value @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_)) => text.push_str(&value.to_string()),
            },
        }
        if text.len() > RENDER_BYTES_MAX {
            return Err(limits::too_large().to_string());
        }
    }
    Ok(text)
}

fn render_text(
    name: &str,
    environment: &Environment<'static>,
    view: &Arc<View>,
) -> Result<String, String> {
    let mut out = Bounded::default();
    let template = environment.get_template(name).map_err(|error| error.to_string())?;
    let context = Rendered::from_object(Context(Arc::clone(view)));
    template.render_captured_to(context, &mut out).map_err(|error| {
        let read = scan::references(&scan::blocks(template.source()));
        explain(&error, view, read)
    })?;
    String::from_utf8(out.0).map_err(|error| error.to_string())
}
