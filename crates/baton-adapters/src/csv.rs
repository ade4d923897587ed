//! `csv.read` and `csv.write`: tables as lists of objects.
//!
//! Values are read as text, whatever they look like; making numbers of them is the definition's
//! business.

use std::collections::BTreeSet;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind};
use csv::StringRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Limits;
use crate::fs::read_whole;
use crate::schema::{any, flag, integer, list, object, optional, required, text};
use crate::tool::{Scope, Tool, bounded, invalid, reads, writes};
use crate::write::{WriteMode, Written, write_whole};

/// How often a long table looks at the clock.
const ROWS_BETWEEN_LOOKS: usize = 1_000;
/// What spreadsheets put before UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// `csv.read`.
pub(crate) struct Read;

/// `csv.write`.
pub(crate) struct Write;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadInput {
    path: String,
    delimiter: Option<String>,
    header: Option<bool>,
    max_rows: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    truncated: bool,
}

impl Tool for Read {
    type Input = ReadInput;
    type Output = Table;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.csv_rows_max;
        let header = "Whether the first line names the columns, else they are c1, c2, …; true.";
        reads(
            "csv.read",
            "Reads a CSV file beneath a root; returns `{columns, rows: [objects], truncated}` \
             with every value as text.",
            object([
                required("path", text("Relative to the first root, or absolute in any.")),
                optional("delimiter", text("One ASCII character; a comma.")),
                optional("header", flag(header)),
                optional("max_rows", integer(1, max, "Rows beyond are cut; as many as allowed.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: ReadInput) -> Result<Table, CallFailure> {
        let limit = scope.limits().csv_rows_max;
        let rows_max = bounded("max_rows", input.max_rows, limit, limit)?;
        let delimiter = delimiter(input.delimiter.as_deref())?;
        let place = scope.place(&input.path)?;
        let bytes = read_whole(scope, &place)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .from_reader(bytes.strip_prefix(MARK).unwrap_or(&bytes));
        let mut records = reader.records().map(|record| {
            record.map_err(|fault| {
                let message = format!("{} is no CSV of even rows: {fault}", place.shown());
                CallFailure::refused(FailureKind::Refused, message)
            })
        });
        let first = records.next().transpose()?.unwrap_or_default();
        let (columns, first) = match input.header.unwrap_or(true) {
            true => (first.iter().map(str::to_owned).collect(), None),
            false => ((1..=first.len()).map(|at| format!("c{at}")).collect(), Some(Ok(first))),
        };
        table(scope, columns, first.into_iter().chain(records), rows_max)
    }
}

fn table(
    scope: &Scope<'_>,
    columns: Vec<String>,
    records: impl Iterator<Item = Result<StringRecord, CallFailure>>,
    rows_max: usize,
) -> Result<Table, CallFailure> {
    unique(&columns)?;
    let mut table = Table { columns, rows: Vec::new(), truncated: false };
    let is_empty = table.columns.is_empty();
    // A file without a line has no row either, whoever names the columns.
    for record in records.take_while(|_| !is_empty) {
        if table.rows.len().is_multiple_of(ROWS_BETWEEN_LOOKS) {
            scope.check()?;
        }
        let record = record?;
        if table.rows.len() == rows_max {
            table.truncated = true;
            break;
        }
        let values = record.iter().map(Value::from);
        table.rows.push(table.columns.iter().cloned().zip(values).collect());
    }
    Ok(table)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteInput {
    path: String,
    rows: Vec<Value>,
    columns: Option<Vec<String>>,
    delimiter: Option<String>,
    header: Option<bool>,
}

impl Tool for Write {
    type Input = WriteInput;
    type Output = Written;

    fn spec(&self, _: &Limits) -> ToolSpec {
        writes(
            Effect::Idempotent,
            "csv.write",
            "Writes a CSV file beneath a root, whole or not at all; returns `{path, bytes}`.",
            object([
                required("path", text("Relative to the first root, or absolute in any.")),
                required("rows", list(any("An object by column, or a list."), "The rows.")),
                optional("columns", list(text("A name."), "In order; the first object's keys.")),
                optional("delimiter", text("One ASCII character; a comma.")),
                optional("header", flag("Whether to write the columns' names; true.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: WriteInput) -> Result<Written, CallFailure> {
        let max = scope.limits().csv_rows_max;
        if input.rows.len() > max {
            let message = format!("more than {max} rows (`[tools.limits] csv_rows_max`)");
            return Err(CallFailure::refused(FailureKind::TooLarge, message));
        }
        let place = scope.place(&input.path)?;
        let columns = match (input.columns, input.rows.first()) {
            (Some(columns), _) => columns,
            (None, Some(Value::Object(row))) => row.keys().cloned().collect(),
            (None, _) => vec![],
        };
        unique(&columns)?;
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter(input.delimiter.as_deref())?)
            .from_writer(Vec::new());
        let fault = |fault: csv::Error| invalid(format!("the rows are no table: {fault}"));
        if input.header.unwrap_or(true) && !columns.is_empty() {
            writer.write_record(&columns).map_err(fault)?;
        }
        for (at, row) in input.rows.iter().enumerate() {
            if at.is_multiple_of(ROWS_BETWEEN_LOOKS) {
                scope.check()?;
            }
            writer.write_record(cells(&columns, row, at)?).map_err(fault)?;
        }
        let bytes = writer.into_inner().map_err(|fault| invalid(fault.to_string()))?;
        write_whole(scope, &place, &bytes, WriteMode::Overwrite)
    }
}

fn delimiter(asked: Option<&str>) -> Result<u8, CallFailure> {
    match asked.map(str::as_bytes) {
        None => Ok(b','),
        Some([byte]) if byte.is_ascii() && !b"\"\r\n\0".contains(byte) => Ok(*byte),
        Some(_) => Err(invalid("`delimiter` must be one ASCII character and no quote")),
    }
}

/// An object has each key once, so a second column of the same name would be lost.
fn unique(columns: &[String]) -> Result<(), CallFailure> {
    let mut seen = BTreeSet::new();
    columns.iter().find(|name| !seen.insert(*name)).map_or(Ok(()), |twice| {
        let message = format!("two columns are named `{twice}`; use `header: false`");
        Err(CallFailure::refused(FailureKind::Refused, message))
    })
}

fn cells(columns: &[String], row: &Value, at: usize) -> Result<Vec<String>, CallFailure> {
    let wrong = |what: &str| invalid(format!("row {} (from 0: {at}) {what}", at + 1));
    if let Value::Array(values) = row {
        if !columns.is_empty() && values.len() != columns.len() {
            return Err(wrong("has another number of values than there are columns"));
        }
        return Ok(values.iter().map(cell).collect());
    }
    let Value::Object(row) = row else {
        return Err(wrong("is neither an object nor a list"));
    };
    if let Some(key) = row.keys().find(|key| !columns.contains(key)) {
        return Err(wrong(&format!("has `{key}`, which is no column")));
    }
    let value = |name: &String| row.get(name).map_or_else(String::new, cell);
    Ok(columns.iter().map(value).collect())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
