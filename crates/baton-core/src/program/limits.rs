//! The template library, bounded: strict, without files, clocks or unbounded output.
//!
//! What one evaluation builds in memory is bounded by the library (a repetition has at most 100 MB),
//! by the filters in `filters`, and by what the check of a template refuses; chains of `~` on large
//! texts are bounded by the template's length alone. Which names a template may read is the definition reader's business.

use std::io::{self, Write};
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::json;

/// Instructions one evaluation may run.
pub const FUEL_MAX: u64 = 2_000_000;
/// Bytes one field may render to.
pub const RENDER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of source one template may have.
pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;

/// The statements a template may use. Macros, captures and imports are left out on purpose: they
/// let a few lines build texts in memory that no bound on the output sees.
pub(crate) const STATEMENTS: [&str; 10] =
    ["for", "endfor", "if", "elif", "else", "endif", "set", "with", "endwith", "raw"];

/// How often a literal text may be repeated (`'-' * 40`).
pub const REPEAT_MAX: u32 = 1_000;

/// Names a template may call.
pub(crate) const FUNCTIONS: [&str; 2] = ["range", "dict"];

/// The environment every bare expression is compiled in.
pub(crate) static EXPRESSIONS: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// A bounded environment without templates.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL_MAX));
    environment.set_debug(false);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(format);
    // A text keeps its last newline, as it is written.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    super::filters::install(&mut environment);
    environment.remove_global("debug");
    environment.remove_global("namespace");
    environment
}

/// Strings print as they are, everything else as JSON: `true`, `null`, `{"a":1}`.
fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_undefined() || value.as_str().is_some() {
        return minijinja::escape_formatter(out, state, value);
    }
    let json = json::of(value).map_err(|message| {
        minijinja::Error::new(ErrorKind::InvalidOperation, message.to_string())
    })?;
    out.write_str(&json.to_string())?;
    Ok(())
}

/// A buffer that refuses to grow past [`RENDER_BYTES_MAX`].
#[derive(Default)]
pub(crate) struct Bounded(pub Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDER_BYTES_MAX {
            return Err(io::Error::other(too_large().to_string()));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said of a field that renders to too much.
pub(crate) fn too_large() -> impl std::fmt::Display {
    format!("the result is larger than {RENDER_BYTES_MAX} bytes")
}
