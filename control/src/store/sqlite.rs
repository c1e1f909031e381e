//! The embedded store: one SQLite file in WAL mode, groups of changes in one transaction each.

pub mod archive;
pub mod backup;
mod bought;
mod corrections;
mod invoice;
mod ledger;
mod place;
mod records;
mod reports;
mod running;
mod spilled;

use std::path::Path;
use std::time::Duration;

use guard::{GeoRange, GeoSet};
use link::CallRecord;
use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zerocopy::FromBytes;

use self::place::Place;
use super::{
    Books, BoughtFilter, CdrFilter, Change, Charged, Error, History, InvoiceFilter, LedgerFilter,
    Loaded, Located, Opened, ParameterChange, Statement, Store, spill,
};
use crate::Refusal;
use crate::cdr::id_text;
use crate::foreign::dispute::Bought;
use crate::invoice::{Billed, Kept, Line};
use crate::package::Cover;
use crate::page::Page;
use crate::report::{Asked, ReportShown};
use crate::shown::{self, AccountEventShown, DayShown, Moment, ParameterChangeShown};
use crate::state::entity::{Entity, Kind};
use crate::state::imports::Entries;
use crate::state::profile;

/// How the writing connection is set up. A record takes 2.1 KB, so of pages of SQLite's usual 4 KB half would be empty;
/// a database that there is keeps the pages it has.
pub const PRAGMAS: &str = "PRAGMA page_size=8192; PRAGMA journal_mode=WAL;
    PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;";

/// Each migration is applied once, in order; `user_version` says how many were.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE document (kind TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, id)) WITHOUT ROWID;
    CREATE TABLE rate (tariff INTEGER NOT NULL, prefix TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (tariff, prefix)) WITHOUT ROWID;
    CREATE TABLE parameter (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE parameter_history (at_us INTEGER NOT NULL, name TEXT NOT NULL, old TEXT NOT NULL, new TEXT);
    CREATE TABLE ledger (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, at_us INTEGER NOT NULL,
        kind TEXT NOT NULL, amount INTEGER NOT NULL, reference TEXT NOT NULL UNIQUE, memo TEXT NOT NULL);
    CREATE INDEX ledger_account ON ledger (account, id);
    CREATE TABLE cdr (id TEXT PRIMARY KEY, started_us INTEGER NOT NULL, complete INTEGER NOT NULL,
        billing_mode TEXT NOT NULL, gateway TEXT NOT NULL, vendor_gateway TEXT NOT NULL,
        customer INTEGER NOT NULL, vendor INTEGER NOT NULL,
        caller TEXT NOT NULL, callee TEXT NOT NULL, source TEXT NOT NULL,
        answered_ms INTEGER, ended_ms INTEGER, hold_ms INTEGER NOT NULL,
        status INTEGER NOT NULL, end_reason TEXT NOT NULL, ended_by TEXT NOT NULL,
        billed_s INTEGER NOT NULL, charge INTEGER NOT NULL, vendor_billed_s INTEGER NOT NULL,
        vendor_charge INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX cdr_started ON cdr (started_us, id);
    CREATE INDEX cdr_customer ON cdr (customer, started_us);
    CREATE TABLE event (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, name TEXT NOT NULL,
        subject TEXT NOT NULL, severity TEXT NOT NULL, detail TEXT NOT NULL);
", "
    ALTER TABLE parameter_history ADD COLUMN who TEXT NOT NULL DEFAULT '';
    CREATE INDEX parameter_history_name ON parameter_history (name);
", "
    CREATE TABLE opened (id TEXT PRIMARY KEY, customer INTEGER NOT NULL, vendor INTEGER NOT NULL,
        record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE heartbeat (only INTEGER PRIMARY KEY CHECK (only = 1), at_us INTEGER NOT NULL);
", "
    CREATE TABLE located (target TEXT PRIMARY KEY, servers TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE registration (gateway INTEGER PRIMARY KEY, body TEXT NOT NULL);
", "
    CREATE TABLE binding (owner INTEGER NOT NULL, uri TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (owner, uri)) WITHOUT ROWID;
", "
    CREATE TABLE suspension (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE regular (source TEXT PRIMARY KEY, at_us INTEGER NOT NULL) WITHOUT ROWID;
", "
    CREATE TABLE geo (id INTEGER PRIMARY KEY, ranges BLOB NOT NULL);
", "
    CREATE TABLE import (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);
", "
    CREATE TABLE habit (account INTEGER PRIMARY KEY, body TEXT NOT NULL);
", ledger::DOUBLE_ENTRY, "
    CREATE TABLE used (only INTEGER PRIMARY KEY CHECK (only = 1), id INTEGER NOT NULL);
    INSERT INTO used SELECT 1, coalesce(max(id), 0) FROM (SELECT max(id) AS id FROM document
        UNION ALL SELECT max(customer) FROM cdr UNION ALL SELECT max(vendor) FROM cdr);
    ALTER TABLE cdr ADD COLUMN tax INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE cdr ADD COLUMN vendor_tax INTEGER NOT NULL DEFAULT 0;
    DROP INDEX cdr_started;
    DROP INDEX cdr_customer;
", "
    CREATE INDEX event_subject ON event (subject, id);
", corrections::TABLE, "
    CREATE TABLE standing (subscription INTEGER PRIMARY KEY, body TEXT NOT NULL);
    ALTER TABLE opened ADD COLUMN cover TEXT;
    ALTER TABLE opened ADD COLUMN agent TEXT;
    ALTER TABLE cdr ADD COLUMN agent INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE cdr ADD COLUMN agent_income INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE correction ADD COLUMN agent INTEGER NOT NULL DEFAULT 0;
", archive::TABLES, invoice::TABLE];

/// How long another connection's lock is waited for.
const BUSY: Duration = Duration::from_millis(250);

/// Statements that are kept ready: one of each kind, and those of a few days.
const STATEMENTS: usize = 64;

const HINT: &str =
    "free space, stop whoever locks the file, or mend its permissions; nothing is lost meanwhile";

fn failed(what: &str) -> impl FnOnce(rusqlite::Error) -> Error + '_ {
    move |error| {
        let code = error.sqlite_error_code();
        let passes = matches!(
            code,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
        );
        Error { what: what.to_owned(), detail: error.to_string(), hint: HINT, passes }
    }
}

/// The writing connection.
pub struct Sqlite {
    connection: Connection,
    place: Place,
}

impl Sqlite {
    /// Opens or creates the database and brings it to this release's shape.
    ///
    /// # Errors
    /// When the file cannot be opened, or a later release made it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let what = format!("opening {}", path.display());
        let connection = Connection::open(path).map_err(failed(&what))?;
        connection.busy_timeout(BUSY).map_err(failed(&what))?;
        connection.execute_batch(PRAGMAS).map_err(failed(&what))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let mut store = Self { connection, place: Place::default() };
        store.migrate(&what)?;
        store.place = Place::of(path).map_err(|error| lost(&what, error))?;
        Ok(store)
    }

    fn migrate(&mut self, what: &str) -> Result<(), Error> {
        let version: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(failed(what))?;
        let version = usize::try_from(version).unwrap_or(usize::MAX);
        if version > MIGRATIONS.len() {
            let detail =
                format!("it has version {version}, this release knows {}", MIGRATIONS.len());
            let hint = "run the release that made it, or restore a backup";
            return Err(Error { what: what.to_owned(), detail, hint, passes: false });
        }
        for (index, migration) in MIGRATIONS.iter().enumerate().skip(version) {
            let step = self.connection.transaction().map_err(failed(what))?;
            step.execute_batch(migration).map_err(failed(what))?;
            step.pragma_update(None, "user_version", index as i64 + 1).map_err(failed(what))?;
            step.commit().map_err(failed(what))?;
        }
        records::sort_by_day(&self.connection).map_err(failed(what))
    }
}

impl Sqlite {
    /// One transaction.
    fn store(&mut self, changes: &[Change], through: Option<spill::Place>) -> Result<(), Error> {
        let what = "storing changes";
        self.expect_in_place(what)?;
        let group = self.connection.transaction().map_err(failed(what))?;
        let mut days = records::days(&group).map_err(failed(what))?;
        for change in changes {
            apply(&group, &mut days, change).map_err(failed(what))?;
        }
        if let Some(through) = through {
            spilled::note(&group, through).map_err(failed(what))?;
        }
        group.commit().map_err(failed(what))
    }

    /// A file that is moved or deleted under us takes what is written, and nobody finds it again.
    fn expect_in_place(&mut self, what: &str) -> Result<(), Error> {
        let Err(gone) = self.place.check() else { return Ok(()) };
        if gone.is_log {
            // What the log has goes to where it will be found; there is nothing else to do about a failure.
            let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        Err(lost(what, gone))
    }
}

fn lost(what: &str, detail: impl std::fmt::Display) -> Error {
    let hint = "put it back where it was, or stop control, restore a backup and start it; nothing is lost meanwhile";
    Error { what: what.to_owned(), detail: detail.to_string(), hint, passes: false }
}

fn unreadable(what: &str, detail: impl std::fmt::Display) -> Error {
    let hint = "the database was changed by hand; restore a backup";
    Error { what: what.to_owned(), detail: detail.to_string(), hint, passes: false }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Loaded, Error> {
        let db = &self.connection;
        let mut loaded = Loaded::default();
        load_documents(db, &mut loaded)?;
        load_books(db, &mut loaded)?;
        load_calls(db, &mut loaded)?;
        load_peers(db, &mut loaded)?;
        Ok(loaded)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        self.store(changes, None)
    }

    fn commit_spilled(&mut self, through: spill::Place, changes: &[Change]) -> Result<(), Error> {
        self.store(changes, Some(through))
    }

    fn spilled_through(&mut self) -> Result<spill::Place, Error> {
        spilled::through(&self.connection).map_err(failed("reading what was spilled"))
    }

    fn sweep(&mut self) -> Result<bool, Error> {
        archive::sweep(&self.connection).map_err(failed("sweeping days that were archived"))
    }

    fn has_end(&mut self, id: [u64; 2]) -> Result<bool, Error> {
        let (what, id) = ("looking for a record", id_text(id));
        let db = &self.connection;
        let days = records::days(db).map_err(failed(what))?;
        records::has(db, &days, &id).map_err(failed(what))
    }
}

const LOADING: &str = "loading the state";

/// Every row of a query.
fn rows<T>(
    db: &Connection,
    query: &str,
    read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, Error> {
    let mut rows = db.prepare(query).map_err(failed(LOADING))?;
    let rows = rows.query_map([], read).map_err(failed(LOADING))?;
    rows.collect::<Result<_, _>>().map_err(failed(LOADING))
}

fn pair<A: FromSql, B: FromSql>(row: &Row<'_>) -> Result<(A, B), rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn from_json<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|error| unreadable(LOADING, error))
}

/// Rows that are one body each.
fn bodies<T: DeserializeOwned>(db: &Connection, query: &str) -> Result<Vec<T>, Error> {
    let bodies: Vec<String> = rows(db, query, |row| row.get(0))?;
    bodies.iter().map(|body| from_json(body)).collect()
}

/// Rows of a number or a name, and a body.
fn named<N: FromSql, T: DeserializeOwned>(
    db: &Connection,
    query: &str,
) -> Result<Vec<(N, T)>, Error> {
    let found: Vec<(N, String)> = rows(db, query, pair)?;
    found.into_iter().map(|(name, body)| Ok((name, from_json(&body)?))).collect()
}

/// What operators wrote, and what belongs to it.
fn load_documents(db: &Connection, loaded: &mut Loaded) -> Result<(), Error> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    for (kind, id, body) in rows(db, "SELECT kind, id, body FROM document", read)? {
        let (kind, id, body): (String, u32, String) = (kind, id, body);
        let kind = Kind::from_name(&kind).ok_or_else(|| unreadable(LOADING, &kind))?;
        let mut body: Value = from_json(&body)?;
        profile::forget_dead_names(&mut body);
        let entity = Entity::read(kind, id, body).map_err(|r| unreadable(LOADING, r.detail))?;
        loaded.entities.push(entity);
    }
    loaded.rates = named(db, "SELECT tariff, body FROM rate")?;
    for (id, bytes) in rows(db, "SELECT id, ranges FROM geo", pair::<u32, Vec<u8>>)? {
        let set = geo_set(&bytes).ok_or_else(|| unreadable(LOADING, "ranges of a geo set"))?;
        loaded.geo.push((id, set));
    }
    for (id, bytes) in rows(db, "SELECT id, entries FROM import", pair::<u32, Vec<u8>>)? {
        let entries = Entries::from_bytes(&bytes);
        let entries = entries.ok_or_else(|| unreadable(LOADING, "entries of an import"))?;
        loaded.imports.push((id, entries));
    }
    loaded.parameters = rows(db, "SELECT name, value FROM parameter", pair)?;
    Ok(())
}

/// What accounts have, and which numbers are used up.
fn load_books(db: &Connection, loaded: &mut Loaded) -> Result<(), Error> {
    ledger::load(db, loaded)?;
    invoice::load(db, loaded)?;
    let ids = "SELECT max(id) FROM (SELECT max(id) AS id FROM document
        UNION ALL SELECT max(account) FROM ledger UNION ALL SELECT max(gateway) FROM registration
        UNION ALL SELECT id FROM used)";
    let used: Option<u32> = db.query_row(ids, [], |row| row.get(0)).map_err(failed(LOADING))?;
    loaded.ids_used = used.unwrap_or(0);
    Ok(())
}

/// Calls without an end, and when they still went on.
fn load_calls(db: &Connection, loaded: &mut Loaded) -> Result<(), Error> {
    let query = "SELECT id, customer, vendor, record, cover, agent FROM opened";
    let read = |row: &Row<'_>| {
        let parts = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        Ok(parts)
    };
    for (id, customer, vendor, record, cover, agent) in rows(db, query, read)? {
        let (id, record): (String, Vec<u8>) = (id, record);
        let (cover, agent): (Option<String>, Option<String>) = (cover, agent);
        let agent = agent.map(|agent| from_json(&agent)).transpose()?;
        let cover = cover.map_or_else(|| Ok(Cover::default()), |cover| from_json(&cover))?;
        match CallRecord::read_from_bytes(&record) {
            Ok(record) => loaded.opened.push(Opened { record, customer, vendor, cover, agent }),
            // Of a release with other records, which was stopped before it was drained.
            Err(_) => tracing::error!(call = id, "opened_call_unreadable"),
        }
    }
    let heartbeat = "SELECT at_us FROM heartbeat";
    let heartbeat: Option<i64> =
        db.query_row(heartbeat, [], |row| row.get(0)).optional().map_err(failed(LOADING))?;
    loaded.heartbeat_us = heartbeat.unwrap_or(0).cast_unsigned();
    loaded.standings = bodies(db, "SELECT body FROM standing")?;
    Ok(())
}

/// Who is where, who is registered with whom, and who behaved how.
fn load_peers(db: &Connection, loaded: &mut Loaded) -> Result<(), Error> {
    loaded.bindings = named(db, "SELECT owner, body FROM binding")?;
    let located = named(db, "SELECT target, servers FROM located")?;
    let located = located.into_iter().map(|(target, servers)| Located { target, servers });
    loaded.located = located.collect();
    loaded.registrations = bodies(db, "SELECT body FROM registration")?;
    loaded.suspensions = bodies(db, "SELECT body FROM suspension")?;
    loaded.habits = bodies(db, "SELECT body FROM habit")?;
    for (source, at_us) in rows(db, "SELECT source, at_us FROM regular", pair::<String, i64>)? {
        let source = source.parse().map_err(|error| unreadable(LOADING, error))?;
        loaded.regulars.push((source, at_us.cast_unsigned()));
    }
    Ok(())
}

fn apply(db: &Connection, days: &mut Vec<u32>, change: &Change) -> Result<(), rusqlite::Error> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        db.prepare_cached(sql)?.execute(values).map(|_| ())
    };
    match change {
        Change::Put(entity) => {
            run(
                "INSERT OR REPLACE INTO document (kind, id, name, body) VALUES (?1, ?2, ?3, ?4)",
                params![
                    entity.kind().name(),
                    entity.id(),
                    entity.name(),
                    entity.body().to_string()
                ],
            )?;
            // A record may name it longer than there is such a document.
            run("UPDATE used SET id = max(id, ?1)", params![entity.id()])
        }
        Change::Delete(kind, id) => {
            run("DELETE FROM document WHERE kind = ?1 AND id = ?2", params![kind.name(), id])?;
            if *kind == Kind::Tariff {
                run("DELETE FROM rate WHERE tariff = ?1", params![id])?;
            }
            if *kind == Kind::Geo {
                run("DELETE FROM geo WHERE id = ?1", params![id])?;
            }
            if *kind == Kind::Import {
                run("DELETE FROM import WHERE id = ?1", params![id])?;
            }
            if *kind == Kind::Subscription {
                run("DELETE FROM standing WHERE subscription = ?1", params![id])?;
            }
            if matches!(kind, Kind::Phone | Kind::Mapping) {
                run("DELETE FROM binding WHERE owner = ?1", params![id])?;
            }
            Ok(())
        }
        Change::Rates { tariff, rows, replace } => {
            if *replace {
                run("DELETE FROM rate WHERE tariff = ?1", params![tariff])?;
            }
            for row in rows {
                let body = serde_json::to_string(row).unwrap_or_default();
                run(
                    "INSERT OR REPLACE INTO rate (tariff, prefix, body) VALUES (?1, ?2, ?3)",
                    params![tariff, row.key(), body],
                )?;
            }
            Ok(())
        }
        Change::RateGone(tariff, prefix) => {
            run("DELETE FROM rate WHERE tariff = ?1 AND prefix = ?2", params![tariff, prefix])
        }
        Change::GeoRanges(id, set) => run(
            "INSERT OR REPLACE INTO geo (id, ranges) VALUES (?1, ?2)",
            params![id, geo_bytes(set)],
        ),
        Change::ImportEntries(id, entries) => run(
            "INSERT OR REPLACE INTO import (id, entries) VALUES (?1, ?2)",
            params![id, entries.to_bytes()],
        ),
        Change::Parameter(change) => {
            let ParameterChange { at_us, who, name, old, new } = &**change;
            run(
                "INSERT INTO parameter_history (at_us, who, name, old, new)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![at_us.cast_signed(), who, name, old, new],
            )?;
            match new {
                Some(value) => run(
                    "INSERT OR REPLACE INTO parameter (name, value) VALUES (?1, ?2)",
                    params![name, value],
                ),
                None => run("DELETE FROM parameter WHERE name = ?1", params![name]),
            }
        }
        Change::Binding(owner, binding) => run(
            "INSERT OR REPLACE INTO binding (owner, uri, body) VALUES (?1, ?2, ?3)",
            params![owner, binding.name(), serde_json::to_string(binding).unwrap_or_default()],
        ),
        Change::BindingGone(owner, uri) => {
            run("DELETE FROM binding WHERE owner = ?1 AND uri = ?2", params![owner, uri])
        }
        Change::BindingsGone(owner) => run("DELETE FROM binding WHERE owner = ?1", params![owner]),
        Change::Ledger(entry) => ledger::put(db, entry),
        Change::Correction(correction) => corrections::put(db, correction),
        Change::Standing(standing) => {
            let body = serde_json::to_string(standing).unwrap_or_default();
            run(
                "INSERT OR REPLACE INTO standing (subscription, body) VALUES (?1, ?2)",
                params![standing.subscription, body],
            )
        }
        Change::Covered(id, cover) => run(
            "UPDATE opened SET cover = ?2 WHERE id = ?1",
            params![id_text(*id), serde_json::to_string(cover).unwrap_or_default()],
        ),
        Change::CdrStart(cdr) => records::put_start(db, days, cdr),
        Change::CdrEnd(cdr) => records::put_end(db, days, cdr),
        Change::Invoice(kept) => invoice::put(db, kept),
        Change::InvoiceStanding(head) => invoice::stand(db, head),
        Change::InvoiceGone(id) => invoice::remove(db, *id),
        Change::DayArchived(archived) => archive::put(db, days, archived),
        Change::DayPurged(day, at_us) => run(
            "UPDATE archived SET purged_us = ?2 WHERE day = ?1 AND purged_us IS NULL",
            params![day, at_us.cast_signed()],
        ),
        Change::CdrLost(id) => running::lose(db, &id_text(*id)),
        Change::Heartbeat(at_us) => run(
            "INSERT OR REPLACE INTO heartbeat (only, at_us) VALUES (1, ?1)",
            params![at_us.cast_signed()],
        ),
        Change::Event(event) => run(
            "INSERT INTO event (at_us, name, subject, severity, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                event.at_us.cast_signed(),
                event.name,
                event.subject,
                event.severity.name(),
                event.detail
            ],
        ),
        Change::Located(located) => {
            let servers = serde_json::to_string(&located.servers).unwrap_or_default();
            run(
                "INSERT OR REPLACE INTO located (target, servers) VALUES (?1, ?2)",
                params![located.target, servers],
            )
        }
        Change::LocatedGone(target) => {
            run("DELETE FROM located WHERE target = ?1", params![target])
        }
        Change::Suspension(kept) => {
            let body = serde_json::to_string(kept).unwrap_or_default();
            run(
                "INSERT OR REPLACE INTO suspension (number, body) VALUES (?1, ?2)",
                params![kept.number, body],
            )
        }
        Change::Habit(kept) => {
            let body = serde_json::to_string(kept).unwrap_or_default();
            run(
                "INSERT OR REPLACE INTO habit (account, body) VALUES (?1, ?2)",
                params![kept.account, body],
            )
        }
        Change::HabitGone(account) => run("DELETE FROM habit WHERE account = ?1", params![account]),
        Change::SuspensionGone(number) => {
            run("DELETE FROM suspension WHERE number = ?1", params![number])
        }
        Change::Regular(source, at_us) => run(
            "INSERT OR REPLACE INTO regular (source, at_us) VALUES (?1, ?2)",
            params![source.to_string(), at_us.cast_signed()],
        ),
        Change::RegularGone(source) => {
            run("DELETE FROM regular WHERE source = ?1", params![source.to_string()])
        }
        Change::Registration(row) => {
            let body = serde_json::to_string(row).unwrap_or_default();
            run(
                "INSERT OR REPLACE INTO registration (gateway, body) VALUES (?1, ?2)",
                params![row.gateway, body],
            )
        }
        Change::RegistrationGone(gateway) => {
            run("DELETE FROM registration WHERE gateway = ?1", params![gateway])
        }
    }
}

/// The ranges of a set, both ends of each as 16 bytes, the highest first.
pub(super) fn geo_bytes(set: &GeoSet) -> Vec<u8> {
    let ends = set.ranges().iter().flat_map(|range| {
        let (first, last) = range.places();
        [first.to_be_bytes(), last.to_be_bytes()]
    });
    ends.flatten().collect()
}

/// Reads [`geo_bytes`].
pub(super) fn geo_set(bytes: &[u8]) -> Option<GeoSet> {
    let (pairs, []) = bytes.as_chunks::<32>() else { return None };
    let read = |pair: &[u8; 32]| {
        let (first, last) = pair.split_first_chunk::<16>()?;
        let last = last.first_chunk::<16>()?;
        GeoRange::from_places(u128::from_be_bytes(*first), u128::from_be_bytes(*last))
    };
    let ranges: Option<Vec<GeoRange>> = pairs.iter().map(read).collect();
    GeoSet::build(ranges?).ok()
}

/// A reading connection, for the API.
pub struct Reader {
    connection: Connection,
}

fn history(error: rusqlite::Error) -> Refusal {
    Refusal::new(503, "history unavailable", error.to_string())
}

fn micros(field: &str, text: &str) -> Result<i64, Refusal> {
    text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond).map_err(|_| {
        let example = "2026-01-31T23:59:00Z";
        Refusal::invalid(format!("{field}: {text:?} is no RFC 3339 time, like {example}"))
    })
}

impl Reader {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let what = format!("reading {}", path.display());
        let connection = Connection::open_with_flags(path, flags).map_err(failed(&what))?;
        connection.busy_timeout(BUSY).map_err(failed(&what))?;
        Ok(Self { connection })
    }
}

impl Reader {
    /// A page of rows of `whose`, newest first; each begins with its number.
    fn numbered(
        &self,
        sql: &str,
        whose: &dyn rusqlite::ToSql,
        page: &Page,
        show: impl Fn(&Row<'_>) -> Result<Value, rusqlite::Error>,
    ) -> Result<Value, Refusal> {
        let behind = page.number()?.and_then(|number| i64::try_from(number).ok());
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let values = params![whose, behind.unwrap_or(i64::MAX), page.limit as i64 + 1];
        let rows: Result<Vec<(i64, Value)>, _> = statement
            .query_map(values, |row| Ok((row.get(0)?, show(row)?)))
            .map_err(history)?
            .collect();
        Ok(page.fill(rows.map_err(history)?, |(number, _)| number.to_string(), |(_, row)| row))
    }
}

impl History for Reader {
    fn cdrs(&mut self, filter: &CdrFilter, page: &Page) -> Result<Value, Refusal> {
        self.page_of_records(filter, page)
    }

    fn cdr(&mut self, id: &str) -> Result<Value, Refusal> {
        self.record(id)
    }

    fn charged(&mut self, id: &str) -> Result<Charged, Refusal> {
        self.charged_at_end(id)
    }

    fn charged_page(
        &mut self,
        filter: &CdrFilter,
        page: &Page,
    ) -> Result<(Vec<Charged>, Option<String>), Refusal> {
        self.page_of_charged(filter, page)
    }

    fn ledger(&mut self, filter: &LedgerFilter, page: &Page) -> Result<Value, Refusal> {
        self.entries(filter, page)
    }

    fn statement(&mut self, filter: &LedgerFilter) -> Result<Statement, Refusal> {
        self.statement_of(filter)
    }

    fn books(&mut self) -> Result<Books, Refusal> {
        self.added_up()
    }

    fn account_history(&mut self, name: &str, page: &Page) -> Result<Value, Refusal> {
        let sql =
            "SELECT id, at_us, name, detail FROM event WHERE subject = ?1 AND id < ?2 AND name IN
                   ('created', 'deleted', 'account_locked', 'account_unlocked', 'account_expired',
                    'account_expiry_changed', 'balance_low') ORDER BY id DESC LIMIT ?3";
        self.numbered(sql, &format!("account {name}"), page, |row| {
            let at: i64 = row.get(1)?;
            Ok(shown::json(AccountEventShown {
                at: Moment::at(at.cast_unsigned()),
                name: row.get(2)?,
                detail: row.get(3)?,
            }))
        })
    }

    fn bought(&mut self, filter: &BoughtFilter) -> Result<Vec<Bought>, Refusal> {
        self.bought_of(filter)
    }

    fn report(&mut self, asked: &Asked) -> Result<ReportShown, Refusal> {
        self.report_within(asked, reports::PATIENCE)
    }

    fn days(&mut self) -> Result<Vec<DayShown>, Refusal> {
        self.all_days()
    }

    fn ends_by_hour(&mut self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, Refusal> {
        self.ends_of_hours(first, last)
    }

    fn each_end(
        &mut self,
        hour: u64,
        each: &mut dyn FnMut(&Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.ends_of_hour(hour, each)
    }

    fn invoice(&mut self, name: &str) -> Result<Kept, Refusal> {
        self.invoice_of(name)
    }

    fn notes(&mut self, id: u32) -> Result<Vec<Kept>, Refusal> {
        self.notes_of(id)
    }

    fn invoices(&mut self, filter: &InvoiceFilter, page: &Page) -> Result<Value, Refusal> {
        self.invoices_of(filter, page)
    }

    fn billed(&mut self, billed: &Billed) -> Result<Vec<Line>, Refusal> {
        self.bill(billed)
    }

    fn another(&self) -> Result<Box<dyn History>, Refusal> {
        let path = self.connection.path().unwrap_or_default();
        let opened = Self::open(Path::new(path));
        let refused = |error: Error| Refusal::new(503, "history unavailable", error.to_string());
        Ok(Box::new(opened.map_err(refused)?))
    }

    fn parameter_history(&mut self, name: &str, page: &Page) -> Result<Value, Refusal> {
        let sql = "SELECT rowid, at_us, who, old, new FROM parameter_history
                   WHERE name = ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ?3";
        self.numbered(sql, &name, page, |row| {
            let at: i64 = row.get(1)?;
            Ok(shown::json(ParameterChangeShown {
                at: Moment::at(at.cast_unsigned()),
                who: row.get(2)?,
                old: row.get(3)?,
                new: row.get(4)?,
            }))
        })
    }
}

#[cfg(test)]
mod tests;
