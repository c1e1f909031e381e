//! Call records by day: one table for each day (UTC) of their ends, so that a day can be
//! read, and dropped, without the others.
//!
//! A call without an end is in `cdr`; with its end it goes, in the transaction that books its charges, to
//! the table of that day. A list runs from day to day, so what it costs is the days that it reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;
use zerocopy::IntoBytes;

use super::{Reader, archive, corrections, history, micros, running};
use crate::Refusal;
use crate::cdr::{Cdr, id_text};
use crate::hourly::HOUR_US;
use crate::page::{Page, strange_cursor};
use crate::store::{CdrFilter, Charged};

/// How long one question about records may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a row has but for its place in time.
const COLUMNS: &str =
    "billing_mode, gateway, vendor_gateway, customer, vendor, caller, callee, source,
    answered_ms, hold_ms, status, end_reason, ended_by, billed_s, charge, tax,
    vendor_billed_s, vendor_charge, vendor_tax, body, agent, agent_income";

/// The values of [`COLUMNS`], behind two moments and the id.
const VALUES: &str = "?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25";

/// Brings the records of a release without days to theirs; nothing is left to do after the first time.
pub(super) fn sort_by_day(db: &Connection) -> Result<(), rusqlite::Error> {
    add_agents(db)?;
    let ended = "started_us + coalesce(ended_ms, 0) * 1000";
    let day = format!("CAST(strftime('%Y%m%d', ({ended}) / 1000000, 'unixepoch') AS INTEGER)");
    let days = format!("SELECT DISTINCT {day} FROM cdr WHERE complete = 1");
    let days: Vec<u32> =
        db.prepare(&days)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for of in days {
        let step = db.unchecked_transaction()?;
        create(&step, of)?;
        step.execute_batch(&format!(
            "INSERT OR IGNORE INTO cdr_{of} (ended_us, started_us, id, {COLUMNS})
                SELECT {ended}, started_us, id, {COLUMNS} FROM cdr WHERE complete = 1 AND {day} = {of};
             DELETE FROM cdr WHERE complete = 1 AND {day} = {of};"
        ))?;
        step.commit()?;
    }
    Ok(())
}

/// Gives the tables of days of before there were agents their columns.
fn add_agents(db: &Connection) -> Result<(), rusqlite::Error> {
    for day in days(db)? {
        let has = format!("SELECT 1 FROM pragma_table_info('cdr_{day}') WHERE name = 'agent'");
        if db.query_row(&has, [], |_| Ok(())).optional()?.is_none() {
            db.execute_batch(&format!(
                "ALTER TABLE cdr_{day} ADD COLUMN agent_income INTEGER NOT NULL DEFAULT 0;
                 ALTER TABLE cdr_{day} ADD COLUMN agent INTEGER NOT NULL DEFAULT 0;"
            ))?;
        }
    }
    Ok(())
}

/// The day of a moment, µs since 1970 UTC: 20260131.
pub(super) fn day_of(us: i64) -> u32 {
    let moment = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
    let year = u32::try_from(date.year()).unwrap_or(0);
    year * 10_000
        + u32::from(date.month().unsigned_abs()) * 100
        + u32::from(date.day().unsigned_abs())
}

/// The last day of which something lies before a moment.
pub(super) fn day_before(us: i64) -> u32 {
    day_of(us.saturating_sub(1))
}

/// The table of a day.
pub(super) fn create(db: &Connection, day: u32) -> Result<(), rusqlite::Error> {
    db.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS cdr_{day} (place INTEGER PRIMARY KEY, ended_us INTEGER NOT NULL,
            started_us INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
            billing_mode TEXT NOT NULL, gateway TEXT NOT NULL, vendor_gateway TEXT NOT NULL,
            customer INTEGER NOT NULL, vendor INTEGER NOT NULL,
            caller TEXT NOT NULL, callee TEXT NOT NULL, source TEXT NOT NULL,
            answered_ms INTEGER, hold_ms INTEGER NOT NULL,
            status INTEGER NOT NULL, end_reason TEXT NOT NULL, ended_by TEXT NOT NULL,
            billed_s INTEGER NOT NULL, charge INTEGER NOT NULL, tax INTEGER NOT NULL,
            vendor_billed_s INTEGER NOT NULL, vendor_charge INTEGER NOT NULL,
            vendor_tax INTEGER NOT NULL, body TEXT NOT NULL,
            agent INTEGER NOT NULL DEFAULT 0, agent_income INTEGER NOT NULL DEFAULT 0);
         CREATE INDEX IF NOT EXISTS cdr_{day}_ended ON cdr_{day} (ended_us, id);
         CREATE INDEX IF NOT EXISTS cdr_{day}_customer ON cdr_{day} (customer, ended_us, id);"
    ))
}

/// The days that have a table, the oldest first.
pub(super) fn days(db: &Connection) -> Result<Vec<u32>, rusqlite::Error> {
    let names = "SELECT CAST(substr(name, 5) AS INTEGER) AS day FROM sqlite_schema
        WHERE type = 'table' AND name GLOB 'cdr_[0-9]*' ORDER BY day";
    db.prepare_cached(names)?.query_map([], |row| row.get(0))?.collect()
}

/// What the calls that ended cost each account of a side, tax included. Days are added up here, so that no statement
/// names more tables than SQLite takes.
pub(super) fn charged(db: &Connection, side: Side) -> Result<Vec<(u32, i64)>, rusqlite::Error> {
    let mut sums = BTreeMap::new();
    let mut add = |account: u32, amount: i64| {
        let all = sums.entry(account).or_insert(0_i64);
        *all = all.saturating_add(amount);
    };
    for day in days(db)? {
        charged_on(db, day, side)?.into_iter().for_each(|(account, amount)| add(account, amount));
    }
    archive::add(db, side, add)?;
    corrections::add(db, side, &mut sums)?;
    Ok(sums.into_iter().collect())
}

/// The same of the calls of one day, as they were charged at their ends.
pub(super) fn charged_on(
    db: &Connection,
    day: u32,
    side: Side,
) -> Result<Vec<(u32, i64)>, rusqlite::Error> {
    let (account, charge, given) = match side {
        Side::Customers => ("customer", "charge + tax", "1"),
        Side::Vendors => ("vendor", "vendor_charge + vendor_tax", "1"),
        Side::Agents => ("agent", "agent_income", "agent <> 0"),
    };
    let sums = format!("SELECT {account}, sum({charge}) FROM cdr_{day} WHERE {given} GROUP BY 1");
    let mut statement = db.prepare(&sums)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Every column of a day's table but its place.
pub(super) fn all_columns() -> String {
    format!("ended_us, started_us, id, {COLUMNS}")
}

/// Whose charges.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Customers,
    Vendors,
    Agents,
}

impl Side {
    /// All sides, with their words.
    pub(super) const ALL: [(Self, &'static str); 3] = [
        (Self::Customers, Self::Customers.word()),
        (Self::Vendors, Self::Vendors.word()),
        (Self::Agents, Self::Agents.word()),
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Customers => "customer",
            Self::Vendors => "vendor",
            Self::Agents => "agent",
        }
    }
}

/// Whether a table of these days has the end of this record.
pub(super) fn has(db: &Connection, days: &[u32], id: &str) -> Result<bool, rusqlite::Error> {
    for day in days {
        let query = ["SELECT 1 FROM cdr_", &day.to_string(), " WHERE id = ?1"].concat();
        let found: Option<i64> =
            db.prepare_cached(&query)?.query_row([id], |row| row.get(0)).optional()?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The days from that of this record's start on: its end is in one of them, if there is one.
fn since_start<'d>(cdr: &Cdr, days: &'d [u32]) -> &'d [u32] {
    let first = day_of(cdr.record.started_us.cast_signed());
    days.get(days.partition_point(|day| *day < first)..).unwrap_or_default()
}

/// A call without an end. A start that comes again after its end opens nothing.
pub(super) fn put_start(db: &Connection, days: &[u32], cdr: &Cdr) -> Result<(), rusqlite::Error> {
    let id = id_text(cdr.record.id);
    if has(db, since_start(cdr, days), &id)? {
        return Ok(());
    }
    let into = "INSERT OR IGNORE INTO cdr (complete, ended_ms, started_us, id, ";
    let sql = [into, COLUMNS, ") VALUES (0, NULL, ?2, ?3, ", VALUES, ")"].concat();
    // Who reads it makes its text of the image.
    write(db, &sql, cdr, &id, b"")?;
    let cover = (!cdr.cover.is_empty()).then(|| serde_json::to_string(&cdr.cover));
    let cover = cover.and_then(Result::ok);
    let agent = cdr.agent.and_then(|agent| serde_json::to_string(&agent).ok());
    db.prepare_cached(
        "INSERT OR REPLACE INTO opened (id, customer, vendor, record, cover, agent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![id, cdr.customer, cdr.vendor, cdr.record.as_bytes(), cover, agent])
    .map(|_| ())
}

/// A call with its end, once for ever. A day's first record makes its table.
pub(super) fn put_end(
    db: &Connection,
    days: &mut Vec<u32>,
    cdr: &Cdr,
) -> Result<(), rusqlite::Error> {
    let id = id_text(cdr.record.id);
    let day = day_of(cdr.ended_us().cast_signed());
    if let Err(at) = days.binary_search(&day) {
        create(db, day)?;
        days.insert(at, day);
    }
    let others: Vec<u32> =
        since_start(cdr, days).iter().copied().filter(|other| *other != day).collect();
    if !has(db, &others, &id)? {
        let (into, day) = ("INSERT OR IGNORE INTO cdr_", day.to_string());
        let places = " (ended_us, started_us, id, ";
        let sql = [into, &day, places, COLUMNS, ") VALUES (?1, ?2, ?3, ", VALUES, ")"].concat();
        write(db, &sql, cdr, &id, &cdr.text_bytes())?;
    }
    for sql in ["DELETE FROM cdr WHERE id = ?1", "DELETE FROM opened WHERE id = ?1"] {
        db.prepare_cached(sql)?.execute([&id])?;
    }
    Ok(())
}

fn write(
    db: &Connection,
    sql: &str,
    cdr: &Cdr,
    id: &str,
    text: &[u8],
) -> Result<(), rusqlite::Error> {
    let record = &cdr.record;
    let answered = (record.answered_ms != link::record::NEVER).then_some(record.answered_ms);
    let mut statement = db.prepare_cached(sql)?;
    let values = params![
        cdr.ended_us().cast_signed(),
        record.started_us.cast_signed(),
        id,
        cdr.billing_mode.name(),
        cdr.gateway,
        cdr.vendor_gateway,
        cdr.customer,
        cdr.vendor,
        record.facts.caller.to_text(),
        record.facts.callee.to_text(),
        cdr.source(),
        answered,
        cdr.hold_ms().cast_signed(),
        record.status,
        cdr.told_reason().name(),
        record.who_ended().name(),
        cdr.customer_charge.billed_s.cast_signed(),
        cdr.customer_charge.fee.billionths(),
        cdr.customer_charge.tax.billionths(),
        cdr.vendor_charge.billed_s.cast_signed(),
        cdr.vendor_charge.fee.billionths(),
        cdr.vendor_charge.tax.billionths(),
        ToSqlOutput::Borrowed(ValueRef::Text(text)),
        cdr.agent.map_or(0, |agent| agent.account),
        cdr.agent_income.billionths()
    ];
    statement.execute(values).map(|_| ())
}

/// What is asked for, as SQL.
#[derive(Clone, Default)]
struct Wanted {
    clauses: Vec<String>,
    values: Vec<String>,
    from: Option<i64>,
    to: Option<i64>,
    /// The calls of these alone.
    customers: Option<Vec<u32>>,
}

impl Wanted {
    fn narrow(&mut self, clause: &str, value: &str) {
        self.values.push(value.to_owned());
        self.clauses.push(clause.replace('?', &format!("?{}", self.values.len())));
    }

    fn read(filter: &CdrFilter) -> Result<Self, Refusal> {
        let mut wanted = Self::default();
        let plain = [
            ("gateway = ?", &filter.gateway),
            ("vendor_gateway = ?", &filter.vendor),
            ("billing_mode = ?", &filter.billing_mode),
            ("end_reason = ?", &filter.end_reason),
        ];
        for (clause, value) in plain {
            if let Some(value) = value {
                wanted.narrow(clause, value);
            }
        }
        for (field, text) in [("caller", &filter.caller), ("callee", &filter.callee)] {
            let Some(text) = text else { continue };
            if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"#+".contains(&b)) {
                return Err(Refusal::invalid(format!("{field}: {text:?} is no number prefix")));
            }
            wanted.narrow(&format!("{field} GLOB ?"), &format!("{text}*"));
        }
        if let Some(answered) = filter.answered {
            let is = if answered { "NOT" } else { "" };
            wanted.clauses.push(format!("answered_ms IS {is} NULL"));
        }
        if let Some(least) = filter.hold_ms_min {
            wanted.clauses.push(format!("hold_ms >= {least}"));
        }
        if let Some((agent, customers)) = &filter.agent {
            wanted.clauses.push(format!("agent IN (0, {agent})"));
            wanted.customers = Some(customers.clone());
        }
        if let Some(id) = &filter.id {
            wanted.narrow("id = ?", id);
            if let Some(customers) = wanted.customers.take() {
                let customers: Vec<String> = customers.iter().map(u32::to_string).collect();
                wanted.clauses.push(format!("customer IN ({})", customers.join(", ")));
            }
        }
        wanted.from = filter.from.as_deref().map(|text| micros("from", text)).transpose()?;
        wanted.to = filter.to.as_deref().map(|text| micros("to", text)).transpose()?;
        Ok(wanted)
    }

    /// The same of everybody, or of some customers: each of them has his place in an index, all of them together have not.
    fn page<T>(
        &self,
        db: &Connection,
        table: &Table,
        behind: Option<&(i64, String)>,
        (limit, until): (usize, Instant),
        reads: &Reads<T>,
    ) -> Result<Vec<Found<T>>, Refusal> {
        let Some(customers) = &self.customers else {
            return self.rows(db, table, behind, limit, reads);
        };
        let places: Reads<()> = ("NULL", |_, _, _, _| Ok(()));
        let mut latest: Vec<Found<()>> = Vec::new();
        for customer in customers {
            if Instant::now() > until {
                return Err(too_much());
            }
            let mut his = self.clone();
            his.clauses.push(format!("customer = {customer}"));
            latest.extend(his.rows(db, table, behind, limit, &places)?);
            latest.sort_unstable_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
            latest.truncate(limit);
        }
        let mut found = Vec::with_capacity(latest.len());
        for place in latest {
            let mut one = self.clone();
            one.narrow("id = ?", &place.id);
            found.extend(one.rows(db, table, None, 1, reads)?);
        }
        Ok(found)
    }

    /// Of a table's rows behind `behind`, the latest first.
    fn rows<T>(
        &self,
        db: &Connection,
        table: &Table,
        behind: Option<&(i64, String)>,
        limit: usize,
        (columns, read): &Reads<T>,
    ) -> Result<Vec<Found<T>>, Refusal> {
        let (time, name, complete) = match table {
            Table::Open => ("started_us", "cdr".to_owned(), false),
            Table::Day(day) => ("ended_us", format!("cdr_{day}"), true),
        };
        let mut clauses = self.clauses.clone();
        let mut values = self.values.clone();
        if let Some((at, id)) = behind {
            // Within the same microsecond the id decides, so a page neither repeats nor skips.
            values.push(id.clone());
            let place = values.len();
            clauses.push(format!("{time} <= {at} AND ({time} < {at} OR id < ?{place})"));
        }
        clauses.extend(self.from.map(|from| format!("{time} >= {from}")));
        clauses.extend(self.to.map(|to| format!("{time} < {to}")));
        let given = if clauses.is_empty() { "1".to_owned() } else { clauses.join(" AND ") };
        let sql = format!(
            "SELECT {time}, id, {columns} FROM {name} WHERE {given}
             ORDER BY {time} DESC, id DESC LIMIT {limit}"
        );
        let mut statement = db.prepare_cached(&sql).map_err(history)?;
        let mut rows = statement.query(params_from_iter(&values)).map_err(history)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(history)? {
            let (at, id) = (row.get(0).map_err(history)?, row.get(1).map_err(history)?);
            let what = read(db, &id, complete, row)?;
            found.push(Found { at, id, complete, what });
        }
        Ok(found)
    }
}

/// Columns from the third on, and what is made of a row with them: the database, the id, whether it has its end.
type Reads<T> = (&'static str, fn(&Connection, &String, bool, &Row<'_>) -> Result<T, Refusal>);

fn too_much() -> Refusal {
    let hint = "give `from` and `to`, or an account: what is asked for lies in too many days";
    Refusal::new(503, "too much to read", hint)
}

fn body_of(text: &str, complete: bool) -> Result<Value, Refusal> {
    let mut body: Value = serde_json::from_str(text)
        .map_err(|error| Refusal::new(500, "history unreadable", error.to_string()))?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("complete".into(), complete.into());
    }
    Ok(body)
}

/// Where records are.
enum Table {
    /// Without an end.
    Open,
    /// That ended on this day.
    Day(u32),
}

/// A record, and its place in the list.
struct Found<T> {
    at: i64,
    id: String,
    complete: bool,
    what: T,
}

impl<T> Found<T> {
    fn cursor(&self) -> String {
        let open = if self.complete { "" } else { "open-" };
        format!("{open}{}-{}", self.at, self.id)
    }
}

/// Whence a list goes on.
#[derive(Default)]
struct Behind {
    open: bool,
    place: Option<(i64, String)>,
}

impl Behind {
    fn read(page: &Page) -> Result<Self, Refusal> {
        let Some(text) = &page.cursor else { return Ok(Self { open: true, place: None }) };
        let (open, text) = match text.strip_prefix("open-") {
            Some(text) => (true, text),
            None => (false, text.as_str()),
        };
        let (at, id) = text.split_once('-').ok_or_else(strange_cursor)?;
        let at = at.parse().map_err(|_| strange_cursor())?;
        Ok(Self { open, place: Some((at, id.to_owned())) })
    }
}

impl Reader {
    /// A page of records: those without an end, then by their end, newest first.
    pub(super) fn page_of_records(
        &self,
        filter: &CdrFilter,
        page: &Page,
    ) -> Result<Value, Refusal> {
        let bodies: Reads<Value> = ("body", |db, id, complete, row| {
            let mut body: String = row.get(2).map_err(history)?;
            if !complete {
                body = running::text(db, id).map_err(history)?.unwrap_or_default();
            }
            let mut body = body_of(&body, complete)?;
            corrections::tell(db, id, &mut body).map_err(history)?;
            Ok(body)
        });
        Ok(page.fill(self.found(filter, page, &bodies)?, Found::cursor, |found| found.what))
    }

    /// How many records ended in each hour, counted since 1970 UTC, of these.
    pub(super) fn ends_of_hours(&self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, Refusal> {
        let [from, to] = [first, last].map(|hour| (hour * HOUR_US).cast_signed());
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        let mut hours = Vec::new();
        for day in days(&seen).map_err(history)? {
            if !(day_of(from)..=day_before(to)).contains(&day) {
                continue;
            }
            let sql = format!(
                "SELECT ended_us / ?3, count(*) FROM cdr_{day} WHERE ended_us >= ?1 AND ended_us < ?2 GROUP BY 1"
            );
            let mut statement = seen.prepare_cached(&sql).map_err(history)?;
            let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
            let values = params![from, to, HOUR_US.cast_signed()];
            for hour in statement.query_map(values, read).map_err(history)? {
                let (hour, count) = hour.map_err(history)?;
                hours.push((hour.cast_unsigned(), count.cast_unsigned()));
            }
        }
        Ok(hours)
    }

    /// Every record that ended in an hour, in the order of their ends, as it was written then.
    pub(super) fn ends_of_hour(
        &self,
        hour: u64,
        each: &mut dyn FnMut(&Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let from = (hour * HOUR_US).cast_signed();
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        let day = day_of(from);
        if days(&seen).map_err(history)?.binary_search(&day).is_err() {
            return Ok(());
        }
        let sql = format!(
            "SELECT body FROM cdr_{day} WHERE ended_us >= ?1 AND ended_us < ?2 ORDER BY ended_us, id"
        );
        let mut statement = seen.prepare_cached(&sql).map_err(history)?;
        let to = from + HOUR_US.cast_signed();
        let mut rows = statement.query(params![from, to]).map_err(history)?;
        while let Some(row) = rows.next().map_err(history)? {
            let body: String = row.get(0).map_err(history)?;
            each(&body_of(&body, true)?)?;
        }
        Ok(())
    }

    /// A page of answered calls as they were charged, and where the next one goes on.
    pub(super) fn page_of_charged(
        &self,
        filter: &CdrFilter,
        page: &Page,
    ) -> Result<(Vec<Charged>, Option<String>), Refusal> {
        let charged: Reads<Charged> =
            (corrections::CHARGED, |db, id, _, row| corrections::charged(db, id, row, 2));
        let filter = CdrFilter { answered: Some(true), ..filter.clone() };
        let mut found = self.found(&filter, page, &charged)?;
        found.retain(|found| found.complete);
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(Found::cursor);
        Ok((found.into_iter().map(|found| found.what).collect(), next))
    }

    /// What is on a page, and one more if there is.
    fn found<T>(
        &self,
        filter: &CdrFilter,
        page: &Page,
        reads: &Reads<T>,
    ) -> Result<Vec<Found<T>>, Refusal> {
        let mut wanted = Wanted::read(filter)?;
        for (side, name) in [("customer", &filter.account), ("vendor", &filter.vendor_account)] {
            let Some(name) = name else { continue };
            wanted.clauses.push(format!("{side} = {}", self.account(name)?));
        }
        let behind = Behind::read(page)?;
        let until = Instant::now() + PATIENCE;
        let mut found: Vec<Found<T>> = Vec::new();
        let room = page.limit + 1;
        // One look at all tables.
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        let tables = days(&seen).map_err(history)?;
        if behind.open && wanted.from.is_none() && wanted.to.is_none() {
            let place = behind.place.as_ref();
            found.extend(wanted.page(&seen, &Table::Open, place, (room, until), reads)?);
        }
        let place = behind.place.filter(|_| !behind.open);
        let last = place.as_ref().map(|(at, _)| *at).or(wanted.to).map_or(u32::MAX, day_of);
        let first = wanted.from.map_or(0, day_of);
        if wanted.from.is_some() || wanted.to.is_some() {
            let gone = archive::within(&seen, first, wanted.to.map_or(u32::MAX, day_before));
            let gone = gone.map_err(history)?;
            if !gone.is_empty() {
                return Err(archive::refusal(&gone));
            }
        }
        for day in tables.into_iter().rev().filter(|day| (first..=last).contains(day)) {
            if found.len() >= room {
                break;
            }
            if Instant::now() > until {
                return Err(too_much());
            }
            let room = room - found.len();
            let (table, place) = (Table::Day(day), place.as_ref());
            found.extend(wanted.page(&seen, &table, place, (room, until), reads)?);
        }
        Ok(found)
    }

    /// The number of an account. One that is deleted goes by its number.
    pub(super) fn account(&self, name: &str) -> Result<u32, Refusal> {
        let sql = "SELECT id FROM document WHERE kind = 'account' AND name = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let found = statement.query_row([name], |row| row.get(0)).optional().map_err(history)?;
        found.or_else(|| name.parse().ok()).ok_or_else(|| Refusal::missing("account", name))
    }

    /// One record, wherever it is.
    pub(super) fn record(&self, id: &str) -> Result<Value, Refusal> {
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        let tables = days(&seen).map_err(history)?;
        for day in tables.iter().rev() {
            let sql = format!("SELECT body FROM cdr_{day} WHERE id = ?1");
            let mut statement = seen.prepare_cached(&sql).map_err(history)?;
            let body: Option<String> =
                statement.query_row([id], |row| row.get(0)).optional().map_err(history)?;
            if let Some(body) = body {
                let mut body = body_of(&body, true)?;
                corrections::tell(&seen, id, &mut body).map_err(history)?;
                return Ok(body);
            }
        }
        match running::text(&seen, id).map_err(history)? {
            Some(body) => body_of(&body, false),
            None => Err(Refusal::missing("CDR", id)),
        }
    }
}
