//! The rows of conversations, for any SQL store: their columns, the query of a list, and what a
//! title is found by.
//!
//! What is in a face is core's; here it is one text.

use std::fmt::Write as _;

use baton_core::codes::Code;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::ConversationId;
use baton_engine::store::{ConversationFilter, StoreError};

use crate::listing::{Dialect, Value};
use crate::rows::{Cells, corrupt};
use crate::sound::{self, integer};

/// The columns of [`row`], in its order.
pub(crate) const CONVERSATION: &str =
    "number, id, status, busy, revision, head, created_at, updated_at, face";

/// A conversation.
pub(crate) fn row<'row, C: Cells<'row>>(cells: &mut C) -> Result<ConversationRow, C::Fault> {
    Ok(ConversationRow {
        number: cells.number()?,
        id: ConversationId::from_bytes(cells.bytes()?),
        status: cells.code()?,
        busy: cells.integer()? != 0,
        revision: cells.number()?,
        head: cells.number()?,
        created_at: cells.time()?,
        updated_at: cells.time()?,
        face: serde_json::from_str(cells.text()?).map_err(corrupt)?,
    })
}

/// The face of a row as it is kept.
pub(crate) fn face(row: &ConversationRow) -> Result<String, StoreError> {
    serde_json::to_string(&row.face).map_err(sound::refused)
}

/// What a title, or a part of one, is found by: its small letters, as databases do not agree on
/// what those of other alphabets are; and without the characters that not every database can hold.
pub(crate) fn sought(title: &str) -> String {
    let held = title.chars().filter(|letter| !letter.is_control());
    // One letter at a time: what it becomes must not depend on those beside it.
    held.flat_map(char::to_lowercase).collect()
}

/// The query that yields the conversations wanted, newest first, and its values.
pub(crate) fn listing(filter: &ConversationFilter, dialect: &Dialect) -> (String, Vec<Value>) {
    let Dialect { parameter: p, find } = dialect;
    let mut values = vec![Value::Integer(i64::from(filter.limit))];
    let mut bind = |value| {
        values.push(value);
        values.len()
    };
    let mut terms = String::new();
    // Writing to a string does not fail.
    if let Some(status) = filter.status {
        let at = bind(Value::Integer(i64::from(status.code())));
        let _ = write!(terms, " AND status = CAST({p}{at} AS bigint)");
    }
    if let Some(title) = &filter.title {
        let at = bind(Value::Text(sought(title)));
        let _ = write!(terms, " AND {find}(sought, {p}{at}) > 0");
    }
    if let Some(before) = filter.before {
        let at = bind(Value::Integer(integer(before)));
        let _ = write!(terms, " AND number < {p}{at}");
    }
    let sql = format!(
        "SELECT {CONVERSATION} FROM conversation WHERE TRUE{terms} \
         ORDER BY number DESC LIMIT {p}1"
    );
    (sql, values)
}
