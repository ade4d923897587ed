//! The rows of conversations on PostgreSQL: finding them, mending them, and the parameter under which
//! a commit brings them.

use baton_core::codes::Code;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::ConversationId;
use baton_engine::store::{ConversationFilter, StoreError};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use super::fault::Fault;
use super::link::Link;
use super::read::{all, first};
use super::views::{DIALECT, parameter};
use crate::conversation::{self, CONVERSATION};
use crate::rows::Cells;
use crate::sound::integer;

/// Writes a row, which is removed before, as `commit.sql` does.
const NEW: &str = "INSERT INTO conversation (number, id, status, busy, revision, head, created_at, \
    updated_at, sought, face) SELECT number, decode(id, 'hex'), status, busy, revision, head, \
    created_at, updated_at, sought, face FROM jsonb_to_recordset($1::text::jsonb) AS u \
    (number int8, id text, status int2, busy int2, revision int8, head int8, created_at int8, \
    updated_at int8, sought text, face text)";

/// Rows as one JSON text: most commits have none, and then it costs the statement one empty
/// parameter instead of ten.
pub(crate) fn as_text(rows: &[ConversationRow]) -> Result<Option<String>, StoreError> {
    let row = |row: &ConversationRow| {
        let id = u128::from_be_bytes(*row.id.as_bytes());
        Ok(json!({
            "number": integer(row.number),
            "id": format!("{id:032x}"),
            "status": row.status.code(),
            "busy": u8::from(row.busy),
            "revision": integer(row.revision),
            "head": integer(row.head),
            "created_at": row.created_at.as_millis(),
            "updated_at": row.updated_at.as_millis(),
            "sought": conversation::sought(&row.face.title),
            "face": conversation::face(row)?,
        }))
    };
    let rows = rows.iter().map(row).collect::<Result<Vec<Value>, StoreError>>()?;
    Ok((!rows.is_empty()).then(|| Value::from(rows).to_string()))
}

/// Writes the whole row anew: what never changes of it may be what was damaged.
pub(crate) fn rewrite(link: &mut Link, row: &ConversationRow) -> Result<(), Fault> {
    let old = "DELETE FROM conversation WHERE number = $1 OR id = $2";
    link.once(old, &[&integer(row.number), &row.id.as_bytes().as_slice()])?;
    link.once(NEW, &[&as_text(std::slice::from_ref(row))?]).map(drop)
}

/// The number of the conversation with this id.
pub(crate) fn number_of(link: &mut Link, id: ConversationId) -> Result<Option<u64>, Fault> {
    let sql = "SELECT number FROM conversation WHERE id = $1";
    first(&link.read(sql, &[&id.as_bytes().as_slice()])?, |cells| cells.number())
}

/// The id of the conversation of a number.
pub(crate) fn id_of(link: &mut Link, number: u64) -> Result<Option<ConversationId>, Fault> {
    let rows = link.read("SELECT id FROM conversation WHERE number = $1", &[&integer(number)])?;
    first(&rows, |cells| cells.bytes().map(ConversationId::from_bytes))
}

/// The numbers of those for which something is to be done, ascending.
pub(crate) fn busy(link: &mut Link) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT number FROM conversation WHERE busy <> 0 ORDER BY number";
    all(&link.read(sql, &[])?, |cells| cells.number())
}

/// Those that a filter wants, newest first.
pub(crate) fn list(
    link: &mut Link,
    filter: &ConversationFilter,
) -> Result<Vec<ConversationRow>, Fault> {
    let (sql, values) = conversation::listing(filter, &DIALECT);
    let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(parameter).collect();
    all(&link.read(&sql, &parameters)?, conversation::row)
}

/// The one with this id.
pub(crate) fn by_id(link: &mut Link, id: ConversationId) -> Result<Option<ConversationRow>, Fault> {
    let sql = format!("SELECT {CONVERSATION} FROM conversation WHERE id = $1");
    first(&link.read(&sql, &[&id.as_bytes().as_slice()])?, conversation::row)
}

/// The one of this number.
pub(crate) fn by_number(link: &mut Link, number: u64) -> Result<Option<ConversationRow>, Fault> {
    let sql = format!("SELECT {CONVERSATION} FROM conversation WHERE number = $1");
    first(&link.read(&sql, &[&integer(number)])?, conversation::row)
}

/// The smallest number after this one that has a row.
pub(crate) fn next(link: &mut Link, after: u64) -> Result<Option<u64>, Fault> {
    let sql = "SELECT number FROM conversation WHERE number > $1 ORDER BY number LIMIT 1";
    first(&link.read(sql, &[&integer(after)])?, |cells| cells.number())
}
