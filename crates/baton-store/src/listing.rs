//! The query of a list of workflows, for any SQL store.
//!
//! Each status is a branch of its own, so that each walks an index in order and stops at the
//! limit; one `IN` over several statuses would sort all that ever had them.

use std::fmt::Write as _;

use baton_core::codes::Code;
use baton_engine::store::Filter;

use crate::sound::integer;

/// How a database writes what the two do not write alike.
pub(crate) struct Dialect {
    /// What stands before the number of a parameter.
    pub parameter: char,
    /// The function that finds a text in another: its position from 1, or 0.
    pub find: &'static str,
}

/// A value to be bound.
pub(crate) enum Value {
    /// A signed integer of 64 bits.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The query that yields these columns of the workflows wanted, newest first, and its values.
pub(crate) fn listing(filter: &Filter, columns: &str, dialect: &Dialect) -> (String, Vec<Value>) {
    let Dialect { parameter: p, find } = dialect;
    let mut values = vec![Value::Integer(i64::from(filter.limit))];
    let mut bind = |value| {
        values.push(value);
        values.len()
    };
    let mut terms = String::new();
    // Writing to a string does not fail.
    if let Some(before) = filter.before {
        let at = bind(Value::Integer(integer(before)));
        let _ = write!(terms, " AND number < {p}{at}");
    }
    if let Some(name) = &filter.name {
        let at = bind(Value::Text(name.clone()));
        let _ = write!(terms, " AND {find}(name, {p}{at}) > 0");
    }
    if let Some(origin) = filter.origin {
        let at = bind(Value::Integer(i64::from(origin.code())));
        let _ = write!(terms, " AND origin = CAST({p}{at} AS bigint)");
    }
    if let Some(project) = filter.project {
        let at = bind(Value::Bytes(project.as_bytes().to_vec()));
        let _ = write!(terms, " AND project = {p}{at}");
    }
    if let Some(conversation) = filter.conversation {
        let at = bind(Value::Bytes(conversation.as_bytes().to_vec()));
        let _ = write!(terms, " AND conversation = {p}{at}");
    }
    if let Some(since) = filter.since {
        let at = bind(Value::Integer(since.as_millis()));
        let _ = write!(terms, " AND created_at >= CAST({p}{at} AS bigint)");
    }
    if filter.needs_people {
        terms.push_str(" AND waiting_people > 0");
    }
    let branch = |wanted: &str, page: usize| {
        format!(
            "SELECT number FROM (SELECT number FROM workflow WHERE {wanted}{terms} \
             ORDER BY number DESC LIMIT {p}1) AS page_{page}"
        )
    };
    let mut branches: Vec<String> = Vec::new();
    for status in &filter.statuses {
        let at = bind(Value::Integer(i64::from(status.code())));
        branches.push(branch(&format!("status = CAST({p}{at} AS bigint)"), at));
    }
    if branches.is_empty() {
        branches.push(branch("TRUE", 0));
    }
    let numbers = branches.join(" UNION ");
    let sql = format!(
        "SELECT {columns} FROM workflow WHERE number IN ({numbers}) \
         ORDER BY number DESC LIMIT {p}1"
    );
    (sql, values)
}
