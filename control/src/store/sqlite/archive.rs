//! Archived days: a day's records in a database of their own, and its table dropped.
//!
//! The file is written, examined and named first; then, in one transaction, the database checks that it has the records
//! that are in the file and no others, keeps what they add up to for each account, and takes its name from the table. So
//! a kill at any moment leaves the day where it was, or in its file, and the books agree with both. To drop gigabytes takes
//! longer than calls wait: the nameless table is swept in pieces.
//!
//! A file has the shape of the database, with the accounts' names and what was set right of its records, so whatever reads
//! one reads the other.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::backup::{beside, broken, keep, on_disk, private, sha256};
use super::records::{self, Side, create, days};
use super::{Error, Reader, Sqlite, failed, history};
use crate::Refusal;
use crate::shown::{DayShown, Moment};

/// What days were archived, and what their records charged.
pub(super) const TABLES: &str = "
    CREATE TABLE archived (day INTEGER PRIMARY KEY, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL, at_us INTEGER NOT NULL, purged_us INTEGER);
    CREATE TABLE archived_sum (day INTEGER NOT NULL, side TEXT NOT NULL, account INTEGER NOT NULL,
        amount INTEGER NOT NULL, PRIMARY KEY (day, side, account)) WITHOUT ROWID;
";

/// Rows that are swept in one transaction: some milliseconds.
const PIECE: usize = 500;

/// A day in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Which, as 20260131.
    pub day: u32,
    /// When, µs since 1970 UTC.
    pub at_us: u64,
    /// How many records.
    pub records: u64,
    /// How many times one of them was set right.
    pub corrections: u64,
    /// How long the file is.
    pub bytes: u64,
    /// SHA-256 of all of it.
    pub sha256: String,
}

/// `2026-01-31`.
#[must_use]
pub fn day_text(day: u32) -> String {
    format!("{:04}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100)
}

/// The day of a moment, µs since 1970 UTC: 20260131.
#[must_use]
pub fn day_at(us: u64) -> u32 {
    records::day_of(us.cast_signed())
}

/// From [`day_text`].
#[must_use]
pub fn day_from_text(text: &str) -> Option<u32> {
    let day: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(records::day_of(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond()))
}

/// The file of a day.
#[must_use]
pub fn file_of(folder: &Path, day: u32) -> PathBuf {
    folder.join(format!("cdr-{}.db", day_text(day)))
}

/// Writes a day into its file, in place of what a try before left.
///
/// # Errors
/// When the day has no records, or the file cannot be written or is not good; then there is none of this try.
pub fn write(database: &Path, folder: &Path, day: u32, at_us: u64) -> Result<Archived, Error> {
    let to = file_of(folder, day);
    let what = format!("archiving to {}", to.display());
    on_disk(&what, std::fs::create_dir_all(folder))?;
    let partial = beside(&to, ".partial");
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(&partial, ending));
    }
    let written = copy(database, &partial, day, &what).and_then(|held| {
        let (bytes, sha256) = on_disk(&what, sha256(&partial))?;
        on_disk(&what, keep(&partial, &to, &sha256))?;
        Ok(Archived { bytes, sha256, at_us, ..held })
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn copy(database: &Path, partial: &Path, day: u32, what: &str) -> Result<Archived, Error> {
    let store = Sqlite::open(partial)?;
    on_disk(what, private(partial))?;
    let db = &store.connection;
    db.execute("ATTACH ?1 AS live", [database.to_string_lossy()]).map_err(failed(what))?;
    create(db, day).map_err(failed(what))?;
    let columns = records::all_columns();
    // One moment of the database.
    db.execute_batch(&format!(
        "BEGIN;
         INSERT INTO main.document SELECT * FROM live.document WHERE kind = 'account';
         INSERT INTO main.cdr_{day} (place, {columns}) SELECT place, {columns} FROM live.cdr_{day};
         INSERT INTO main.correction SELECT * FROM live.correction
            WHERE cdr IN (SELECT id FROM main.cdr_{day});
         COMMIT;
         DETACH live;
         PRAGMA journal_mode=DELETE;"
    ))
    .map_err(failed(what))?;
    let sound: String =
        db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed(what))?;
    if sound != "ok" {
        return Err(broken(what, sound, "the disk may be failing; nothing was dropped"));
    }
    let (records, corrections) = count(db, day).map_err(failed(what))?;
    Ok(Archived { day, records, corrections, ..Archived::default() })
}

/// Records of a day, and how many times one of them was set right.
fn count(db: &Connection, day: u32) -> Result<(u64, u64), rusqlite::Error> {
    let count = format!(
        "SELECT (SELECT count(*) FROM cdr_{day}), (SELECT count(*) FROM correction
            WHERE EXISTS (SELECT 1 FROM cdr_{day} AS r WHERE r.id = correction.cdr))"
    );
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    db.query_row(&count, [], read).map(|(one, other)| (one.cast_unsigned(), other.cast_unsigned()))
}

/// Takes its name from the table of a day that is in its file. One that has other records or corrections by now stays, as does one
/// that is gone already.
pub(super) fn put(
    db: &Connection,
    tables: &mut Vec<u32>,
    it: &Archived,
) -> Result<(), rusqlite::Error> {
    let Ok(place) = tables.binary_search(&it.day) else { return Ok(()) };
    let known = "SELECT 1 FROM archived WHERE day = ?1";
    let is_known = db.query_row(known, [it.day], |_| Ok(())).optional()?.is_some();
    if is_known || count(db, it.day)? != (it.records, it.corrections) {
        return Ok(());
    }
    for (side, word) in Side::ALL {
        for (account, amount) in records::charged_on(db, it.day, side)? {
            db.prepare_cached(
                "INSERT INTO archived_sum (day, side, account, amount) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![it.day, word, account, amount])?;
        }
    }
    db.prepare_cached(
        "INSERT INTO archived (day, records, bytes, sha256, at_us) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        it.day,
        it.records.cast_signed(),
        it.bytes.cast_signed(),
        it.sha256,
        it.at_us.cast_signed()
    ])?;
    db.execute_batch(&format!("ALTER TABLE cdr_{0} RENAME TO gone_{0}", it.day))?;
    tables.remove(place);
    Ok(())
}

/// Drops a piece of a table that is no day's any more. Whether there may be more.
pub(super) fn sweep(db: &Connection) -> Result<bool, rusqlite::Error> {
    let gone =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'gone_[0-9]*' LIMIT 1";
    let gone: Option<String> = db.query_row(gone, [], |row| row.get(0)).optional()?;
    let Some(name) = gone else { return Ok(false) };
    let rows = format!(
        "DELETE FROM {name} WHERE place IN (SELECT place FROM {name} ORDER BY place LIMIT {PIECE})"
    );
    if db.prepare_cached(&rows)?.execute([])? < PIECE {
        db.execute_batch(&format!("DROP TABLE {name}"))?;
    }
    Ok(true)
}

/// Adds what records of archived days charged.
pub(super) fn add(
    db: &Connection,
    side: Side,
    mut with: impl FnMut(u32, i64),
) -> Result<(), rusqlite::Error> {
    let sums = "SELECT account, sum(amount) FROM archived_sum WHERE side = ?1 GROUP BY 1";
    let mut statement = db.prepare_cached(sums)?;
    let mut rows = statement.query([side.word()])?;
    while let Some(row) = rows.next()? {
        with(row.get(0)?, row.get(1)?);
    }
    Ok(())
}

/// Days of these that are in files, and not in the database.
pub(super) fn within(db: &Connection, first: u32, last: u32) -> Result<Vec<u32>, rusqlite::Error> {
    let sql = "SELECT day FROM archived WHERE day BETWEEN ?1 AND ?2 ORDER BY day";
    db.prepare_cached(sql)?.query_map([first, last], |row| row.get(0))?.collect()
}

/// Why a time that reaches into archived days is not read.
pub(super) fn refusal(archived: &[u32]) -> Refusal {
    let named: Vec<String> = archived.iter().take(5).map(|day| day_text(*day)).collect();
    let more = if archived.len() > named.len() { " and others" } else { "" };
    let detail = format!(
        "{}{more}: in files of their own; read one with `archive` (`tollgate cdr list --archive {}`), or name another time",
        named.join(", "),
        named.first().map_or("", String::as_str)
    );
    Refusal::new(409, "days archived", detail)
}

impl Reader {
    /// All days that there are or were, the oldest first.
    pub(super) fn all_days(&self) -> Result<Vec<DayShown>, Refusal> {
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        let mut shown = Vec::new();
        for day in days(&seen).map_err(history)? {
            let (records, _) = count(&seen, day).map_err(history)?;
            shown.push(DayShown::live(day_text(day), records));
        }
        let sql = "SELECT day, records, bytes, sha256, at_us, purged_us FROM archived";
        let mut statement = seen.prepare_cached(sql).map_err(history)?;
        let read = |row: &Row<'_>| {
            let number = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let purged: Option<i64> = row.get(5)?;
            Ok(DayShown {
                day: day_text(row.get(0)?),
                state: if purged.is_some() { "purged" } else { "archived" },
                records: number(1)?,
                bytes: Some(number(2)?),
                sha256: Some(row.get(3)?),
                archived: Some(Moment::at(number(4)?)),
                purged: purged.map(|at| Moment::at(at.cast_unsigned())),
            })
        };
        for day in statement.query_map([], read).map_err(history)? {
            shown.push(day.map_err(history)?);
        }
        shown.sort_by(|one, other| (&one.day, one.state).cmp(&(&other.day, other.state)));
        Ok(shown)
    }
}

#[cfg(test)]
mod tests;
