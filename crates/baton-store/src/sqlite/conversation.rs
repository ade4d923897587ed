//! The rows of conversations in the embedded store: writing them and finding them.

use baton_core::codes::Code;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::ConversationId;
use baton_engine::store::ConversationFilter;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::fault::Fault;
use super::read::RowCells;
use super::views::DIALECT;
use crate::conversation::{self, CONVERSATION};
use crate::sound::integer;

/// Writes rows, each in the place of the one before it of the same number.
pub(crate) fn write(connection: &Connection, rows: &[ConversationRow]) -> Result<(), Fault> {
    for row in rows {
        let face = conversation::face(row)?;
        let sought = conversation::sought(&row.face.title);
        // Most changes leave alone what indexes hold, and then no index is touched.
        let changed = connection
            .prepare_cached(
                "UPDATE conversation SET revision = ?2, head = ?3, updated_at = ?4, sought = ?5, \
                 face = ?6 WHERE number = ?1 AND id = ?7 AND status = ?8 AND busy = ?9",
            )?
            .execute(params![
                row.number,
                row.revision,
                row.head,
                row.updated_at.as_millis(),
                sought,
                face,
                row.id.as_bytes(),
                row.status.code(),
                row.busy,
            ])?;
        if changed == 0 {
            put(connection, row, &sought, &face)?;
        }
    }
    Ok(())
}

fn put(
    connection: &Connection,
    row: &ConversationRow,
    sought: &str,
    face: &str,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO conversation (number, id, status, busy, revision, head, created_at, \
             updated_at, sought, face) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT (number) DO UPDATE SET id = ?2, status = ?3, busy = ?4, revision = ?5, \
             head = ?6, created_at = ?7, updated_at = ?8, sought = ?9, face = ?10",
        )?
        .execute(params![
            row.number,
            row.id.as_bytes(),
            row.status.code(),
            row.busy,
            row.revision,
            row.head,
            row.created_at.as_millis(),
            row.updated_at.as_millis(),
            sought,
            face,
        ])?;
    Ok(())
}

/// Writes the whole row anew: what never changes of it may be what was damaged.
pub(crate) fn rewrite(connection: &Connection, row: &ConversationRow) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM conversation WHERE number = ?1 OR id = ?2")?
        .execute(params![integer(row.number), row.id.as_bytes()])?;
    write(connection, std::slice::from_ref(row))
}

/// The number of the conversation with this id.
pub(crate) fn number_of(connection: &Connection, id: ConversationId) -> Result<Option<u64>, Fault> {
    let mut select = connection.prepare_cached("SELECT number FROM conversation WHERE id = ?1")?;
    Ok(select.query_row([id.as_bytes()], |row| row.get(0)).optional()?)
}

/// The id of the conversation of a number.
pub(crate) fn id_of(connection: &Connection, number: u64) -> Result<Option<ConversationId>, Fault> {
    let mut select = connection.prepare_cached("SELECT id FROM conversation WHERE number = ?1")?;
    let id = select.query_row([integer(number)], |row| row.get(0)).optional()?;
    Ok(id.map(ConversationId::from_bytes))
}

/// The numbers of those for which something is to be done, ascending.
pub(crate) fn busy(connection: &Connection) -> Result<Vec<u64>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT number FROM conversation WHERE busy <> 0 ORDER BY number")?;
    let numbers = select.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// Those that a filter wants, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &ConversationFilter,
) -> Result<Vec<ConversationRow>, Fault> {
    let (sql, values) = conversation::listing(filter, &DIALECT);
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_and_then(params_from_iter(values), |row| {
        conversation::row(&mut RowCells::of(row))
    })?;
    rows.collect()
}

/// The one with this id.
pub(crate) fn by_id(
    connection: &Connection,
    id: ConversationId,
) -> Result<Option<ConversationRow>, Fault> {
    let sql = format!("SELECT {CONVERSATION} FROM conversation WHERE id = ?1");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([id.as_bytes()])?;
    rows.next()?.map(|row| conversation::row(&mut RowCells::of(row))).transpose()
}

/// The one of this number.
pub(crate) fn by_number(
    connection: &Connection,
    number: u64,
) -> Result<Option<ConversationRow>, Fault> {
    let sql = format!("SELECT {CONVERSATION} FROM conversation WHERE number = ?1");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([integer(number)])?;
    rows.next()?.map(|row| conversation::row(&mut RowCells::of(row))).transpose()
}

/// The smallest number after this one that has a row.
pub(crate) fn next(connection: &Connection, after: u64) -> Result<Option<u64>, Fault> {
    let sql = "SELECT number FROM conversation WHERE number > ?1 ORDER BY number LIMIT 1";
    let mut select = connection.prepare_cached(sql)?;
    Ok(select.query_row([integer(after)], |row| row.get(0)).optional()?)
}
