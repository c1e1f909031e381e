//! How far the spill is in the database: written with what was in it, in the same transaction.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::Place;

/// Made by the first who spilled anything.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS spilled (only INTEGER PRIMARY KEY CHECK (only = 1),
    generation INTEGER NOT NULL, frame INTEGER NOT NULL)";

pub(super) fn note(db: &Connection, through: Place) -> Result<(), rusqlite::Error> {
    db.execute_batch(TABLE)?;
    let sql = "INSERT OR REPLACE INTO spilled (only, generation, frame) VALUES (1, ?1, ?2)";
    let Place { generation, frame } = through;
    db.execute(sql, params![generation.cast_signed(), frame.cast_signed()]).map(|_| ())
}

pub(super) fn through(db: &Connection) -> Result<Place, rusqlite::Error> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'spilled'";
    if db.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Place::default());
    }
    let found = db.query_row("SELECT generation, frame FROM spilled", [], |row| {
        let (generation, frame): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(Place { generation: generation.cast_unsigned(), frame: frame.cast_unsigned() })
    });
    Ok(found.optional()?.unwrap_or_default())
}
