//! Reports: sums over the tables of days and over the ledger, as they are at one moment.
//!
//! SQLite adds up one stretch of one day at a time, in integers; stretches and days are put together here.
//! What a record costs is read in [`charges`] and nowhere else.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Row, ToSql};
use serde_json::{Map, Value};

use super::records::{day_before, day_of, days};
use super::{Reader, archive, history};
use crate::Refusal;
use crate::report::area::{CODE_DIGITS, area};
use crate::report::calendar::{self, Bucket, Every};
use crate::report::country::country;
use crate::report::measure::{Measure, Purse, Sum, amount};
use crate::report::{AREA_NAME, Asked, Dimension, Kind, Reads, ReportShown, RowShown};
use crate::shown::Moment;

/// How long one report may read.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Rows that one report can have.
const ROWS_MAX: usize = 50_000;

/// What a call costs: billed seconds of both sides, fee and tax of the customer, then of the vendor, and what it brings
/// an agent, as they were set right last, if any record was.
pub(super) fn charges(are_corrected: bool) -> [String; 7] {
    let column = |column: &str| {
        if !are_corrected {
            return format!("r.{column}");
        }
        let last =
            format!("SELECT {column} FROM correction WHERE cdr = r.id ORDER BY id DESC LIMIT 1");
        format!("coalesce(({last}), r.{column})")
    };
    let charge = column("charge");
    // What the call costs an agent stays, so he earns by what the customer's charge changed.
    let income = format!("iif(r.agent = 0, 0, r.agent_income + {charge} - r.charge)");
    let [billed_s, vendor_billed_s, tax] = ["billed_s", "vendor_billed_s", "tax"].map(column);
    let [cost, vendor_tax] = ["vendor_charge", "vendor_tax"].map(column);
    [billed_s, vendor_billed_s, charge, tax, cost, vendor_tax, income]
}

/// Whether anything was ever set right.
pub(super) fn are_corrected(db: &Connection) -> Result<bool, Refusal> {
    let sql = "SELECT EXISTS (SELECT 1 FROM correction)";
    db.prepare_cached(sql).and_then(|mut it| it.query_row([], |row| row.get(0))).map_err(refused)
}

/// An account that may stand in a row.
struct Named {
    name: String,
    currency: String,
}

type Accounts = BTreeMap<u32, Named>;

fn accounts(db: &Connection) -> Result<Accounts, Refusal> {
    let sql = "SELECT id, name, coalesce(json_extract(body, '$.currency'), '') FROM document
               WHERE kind = 'account'";
    let mut statement = db.prepare_cached(sql).map_err(refused)?;
    let read =
        |row: &Row<'_>| Ok((row.get(0)?, Named { name: row.get(1)?, currency: row.get(2)? }));
    let found = statement.query_map([], read).map_err(refused)?;
    found.collect::<Result<_, _>>().map_err(refused)
}

/// One that is deleted goes by its number.
fn name_of(accounts: &Accounts, id: u32) -> String {
    match accounts.get(&id) {
        Some(account) => account.name.clone(),
        None if id == 0 => String::new(),
        None => format!("#{id}"),
    }
}

fn currency_of(accounts: &Accounts, id: u32) -> &str {
    accounts.get(&id).map_or("", |account| &account.currency)
}

/// Times of an attempt count from the start of its call, as that of the call's end does.
const ATTEMPT_END: &str = "coalesce(a.value ->> '$.ended_ms', (r.ended_us - r.started_us) / 1000)";

/// What is asked for, as SQL.
struct Question {
    /// Behind `SELECT`.
    columns: String,
    /// Behind the name of a day's table.
    beside: &'static str,
    /// Behind `WHERE`.
    given: String,
    /// From `?3` on.
    values: Vec<String>,
    /// The first so many columns tell rows apart.
    keys: usize,
}

impl Question {
    fn new(reader: &Reader, asked: &Asked) -> Result<Self, Refusal> {
        let (kind, reads) = (asked.kind, asked.kind.reads);
        let are_corrected = are_corrected(&reader.connection)?;
        // Accounts are read for their money's sake, too.
        let whose = |dimension, column: &str| {
            let told = kind.has_money() || kind.dimensions.contains(&dimension);
            if told { format!("r.{column}") } else { "0".to_owned() }
        };
        let mut keys = vec![
            whose(Dimension::Account, "customer"),
            whose(Dimension::VendorAccount, "vendor"),
            whose(Dimension::Agent, "agent"),
        ];
        let texts = kind.dimensions.iter().filter_map(|it| text_of(*it, reads, asked.area_digits));
        keys.extend(texts);
        let columns: Vec<String> =
            keys.iter().cloned().chain(sums_of(kind, are_corrected)).collect();
        let mut question = Self {
            columns: columns.join(", "),
            beside: if reads == Reads::Attempts {
                ", json_each(r.body, '$.attempts') AS a"
            } else {
                ""
            },
            given: "r.ended_us >= ?1 AND r.ended_us < ?2 AND ".to_owned() + is_read(reads),
            values: Vec::new(),
            keys: keys.len(),
        };
        for (side, name) in [("customer", &asked.account), ("vendor", &asked.vendor_account)] {
            let Some(name) = name else { continue };
            question.given += &format!(" AND r.{side} = {}", reader.account(name)?);
        }
        if let Some(agent) = asked.agent {
            question.given += &format!(" AND r.agent = {agent}");
        }
        let gateways =
            [(Dimension::Gateway, &asked.gateway), (Dimension::VendorGateway, &asked.vendor)];
        for (dimension, name) in gateways {
            let (Some(name), Some(is)) = (name, text_of(dimension, reads, None)) else { continue };
            question.values.push(name.clone());
            question.given += &format!(" AND {is} = ?{}", question.values.len() + 2);
        }
        Ok(question)
    }

    /// All of it that one table has of a stretch.
    fn of_day(&self, day: u32) -> String {
        let Self { columns, beside, given, keys, .. } = self;
        let places: Vec<String> = (1..=*keys).map(|at| at.to_string()).collect();
        let places = places.join(", ");
        format!("SELECT {columns} FROM cdr_{day} AS r{beside} WHERE {given} GROUP BY {places}")
    }
}

/// Which records a report reads.
fn is_read(reads: Reads) -> &'static str {
    match reads {
        Reads::Calls | Reads::Attempts => "r.billing_mode <> 'illegal'",
        Reads::Failures => "r.billing_mode <> 'illegal' AND r.answered_ms IS NULL",
        Reads::Agents => "r.agent <> 0",
        Reads::Illegal => "r.billing_mode = 'illegal'",
        Reads::Ledger => "0",
    }
}

/// What tells rows apart, as text. `None`: accounts, which go by their numbers.
fn text_of(dimension: Dimension, reads: Reads, digits: Option<usize>) -> Option<String> {
    Some(match dimension {
        Dimension::Account | Dimension::VendorAccount | Dimension::Agent => return None,
        Dimension::VendorGateway if reads == Reads::Attempts => {
            "a.value ->> '$.gateway'".to_owned()
        }
        Dimension::Gateway => "r.gateway".to_owned(),
        Dimension::VendorGateway => "r.vendor_gateway".to_owned(),
        Dimension::EndReason => "r.end_reason".to_owned(),
        Dimension::Status => "CAST(r.status AS TEXT)".to_owned(),
        Dimension::Source => "r.source".to_owned(),
        Dimension::Area => {
            // A call that was refused before its number was transformed has the one that was dialled.
            let number = "coalesce(nullif(r.body ->> '$.callee_billed', ''), r.callee)";
            format!("substr(ltrim({number}, '+'), 1, {})", digits.unwrap_or(CODE_DIGITS))
        }
    })
}

/// The sums of a row, in the order in which [`read_sum`] reads them.
fn sums_of(kind: &Kind, are_corrected: bool) -> Vec<String> {
    let sum = |what: &str| format!("coalesce(sum({what}), 0)");
    let count = |what: &str| format!("count({what})");
    let answered = "a.value ->> '$.answered_ms'";
    let (attempts, answered, talk, pdd) = match kind.reads {
        Reads::Attempts => (
            count("*"),
            count(answered),
            sum(&format!("max(0, {ATTEMPT_END} - {answered})")),
            format!("coalesce(a.value ->> '$.ringing_ms', {answered}) - (a.value ->> '$.sent_ms')"),
        ),
        Reads::Illegal => (
            sum("coalesce(r.body ->> '$.calls', 1)"),
            count("r.answered_ms"),
            sum("r.hold_ms"),
            "NULL".to_owned(),
        ),
        Reads::Calls | Reads::Failures | Reads::Agents | Reads::Ledger => (
            count("*"),
            count("r.answered_ms"),
            sum("r.hold_ms"),
            "r.body ->> '$.pdd_ms'".to_owned(),
        ),
    };
    // Only a report that tells of it opens every record for it.
    let pdd = if kind.measures.contains(&Measure::Pdd) { pdd } else { "NULL".to_owned() };
    let mut sums = vec![attempts, answered, talk, sum(&pdd), count(&pdd)];
    sums.extend(charges(are_corrected).map(|charge| sum(&charge)));
    sums
}

/// Reads [`sums_of`], which begin at a column.
fn read_sum(row: &Row<'_>, first: usize) -> Result<(Sum, [i128; 5]), rusqlite::Error> {
    let number = |at: usize| row.get::<_, i64>(first + at);
    let count = |at: usize| number(at).map(|count| u64::try_from(count).unwrap_or(0));
    let sum = Sum {
        attempts: count(0)?,
        answered: count(1)?,
        talk_ms: count(2)?,
        pdd_ms: count(3)?,
        rang: count(4)?,
        billed_s: count(5)?,
        vendor_billed_s: count(6)?,
        money: BTreeMap::new(),
    };
    let money = [number(7)?, number(8)?, number(9)?, number(10)?, number(11)?];
    Ok((sum, money.map(i128::from)))
}

/// Sums by stretch and by what tells rows apart.
type Rows = BTreeMap<(usize, Vec<String>), Sum>;

/// One row of SQL: what tells it apart, and its sum with its money in its currencies.
fn read_row(
    row: &Row<'_>,
    asked: &Asked,
    keys: usize,
    accounts: &Accounts,
) -> Result<(Vec<String>, Sum), rusqlite::Error> {
    let (customer, vendor, agent): (u32, u32, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let mut texts = 3;
    let mut key = Vec::new();
    for dimension in asked.kind.dimensions {
        key.push(match dimension {
            Dimension::Account => name_of(accounts, customer),
            Dimension::VendorAccount => name_of(accounts, vendor),
            Dimension::Agent => name_of(accounts, agent),
            other => {
                let text: Option<String> = row.get(texts)?;
                let text = text.unwrap_or_default();
                texts += 1;
                match other {
                    Dimension::Area => area(&text, asked.area_digits).to_owned(),
                    _ => text,
                }
            }
        });
    }
    let (mut sum, [revenue, tax, cost, vendor_tax, earnings]) = read_sum(row, keys)?;
    if asked.kind.has_money() {
        // An agent has the currency of his customers.
        let paid = Purse { revenue, tax, earnings, ..Purse::default() };
        sum.earn(currency_of(accounts, customer), paid);
        let owed = Purse { cost, vendor_tax, ..Purse::default() };
        sum.earn(currency_of(accounts, vendor), owed);
    }
    Ok((key, sum))
}

fn too_long() -> Refusal {
    let hint = "what is asked for lies in too many records; ask for less time, or for one account";
    Refusal::new(503, "too much to read", hint)
}

/// What SQLite says of a report.
fn refused(error: rusqlite::Error) -> Refusal {
    match &error {
        _ if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => too_long(),
        rusqlite::Error::SqliteFailure(_, Some(text)) if text.contains("integer overflow") => {
            Refusal::new(422, "sum too large", "ask for a shorter time")
        }
        _ => history(error),
    }
}

impl Reader {
    /// A report that is interrupted when it takes longer.
    pub(super) fn report_within(
        &self,
        asked: &Asked,
        patience: Duration,
    ) -> Result<ReportShown, Refusal> {
        let interrupt = self.connection.get_interrupt_handle();
        let (done, waits) = channel::<()>();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                if waits.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                    interrupt.interrupt();
                }
            });
            let until = Instant::now() + patience;
            let report = self.report_of(asked, until);
            drop(done);
            report
        })
    }

    fn report_of(&self, asked: &Asked, until: Instant) -> Result<ReportShown, Refusal> {
        // One look at all tables.
        let seen = self.connection.unchecked_transaction().map_err(refused)?;
        let accounts = accounts(&seen)?;
        let kind = asked.kind;
        let is_ledger = kind.reads == Reads::Ledger;
        let (items, totals) = if is_ledger {
            self.balances(&seen, asked, &accounts)?
        } else {
            self.added(&seen, asked, &accounts, until)?
        };
        let moment = |us: i64| u64::try_from(us).ok().map(Moment::at);
        Ok(ReportShown {
            report: kind.name,
            from: Some(asked.from_us).filter(|us| !is_ledger || *us > 0).and_then(moment),
            to: Some(asked.to_us).filter(|us| *us < i64::MAX).and_then(moment),
            time_zone: asked.zone.iana_name().unwrap_or("UTC").to_owned(),
            by: asked.every.name(),
            columns: kind.columns(asked.every),
            items,
            totals,
        })
    }

    /// Rows and totals of records.
    fn added(
        &self,
        db: &Connection,
        asked: &Asked,
        accounts: &Accounts,
        until: Instant,
    ) -> Result<(Vec<RowShown>, Vec<RowShown>), Refusal> {
        let question = Question::new(self, asked)?;
        let buckets = calendar::buckets(asked.from_us, asked.to_us, &asked.zone, asked.every)?;
        let tables = days(db).map_err(refused)?;
        let gone = archive::within(db, day_of(asked.from_us), day_before(asked.to_us));
        let gone = gone.map_err(refused)?;
        if !gone.is_empty() {
            return Err(archive::refusal(&gone));
        }
        let mut rows = Rows::new();
        for (place, bucket) in buckets.iter().enumerate() {
            let of = day_of(bucket.from_us)..=day_of(bucket.to_us - 1);
            let first = tables.partition_point(|day| day < of.start());
            let within = tables.iter().skip(first).take_while(|day| of.contains(day));
            for day in within {
                if Instant::now() > until {
                    return Err(too_long());
                }
                let mut values: Vec<&dyn ToSql> = vec![&bucket.from_us, &bucket.to_us];
                values.extend(question.values.iter().map(|value| value as &dyn ToSql));
                let mut statement = db.prepare_cached(&question.of_day(*day)).map_err(refused)?;
                let read = |row: &Row<'_>| read_row(row, asked, question.keys, accounts);
                for row in statement.query_map(&values[..], read).map_err(refused)? {
                    let (key, sum) = row.map_err(refused)?;
                    rows.entry((place, key)).or_default().add(&sum);
                }
                if rows.len() > ROWS_MAX {
                    let detail = format!(
                        "it has more than {ROWS_MAX}; ask for less time, or `by` longer ones"
                    );
                    return Err(Refusal::new(422, "too many rows", detail));
                }
            }
        }
        shown(asked, &buckets, &rows)
    }

    /// Rows and totals of balances.
    fn balances(
        &self,
        db: &Connection,
        asked: &Asked,
        accounts: &Accounts,
    ) -> Result<(Vec<RowShown>, Vec<RowShown>), Refusal> {
        let only = asked.account.as_deref().map(|name| self.account(name)).transpose()?;
        let mut found: BTreeMap<u32, [i128; 9]> = BTreeMap::new();
        found.extend(accounts.keys().map(|id| (*id, [0; 9])));
        for (id, moved) in moved(db, asked)? {
            found.insert(id, moved);
        }
        let mut items = BTreeMap::new();
        let mut totals: BTreeMap<&str, [i128; 9]> = BTreeMap::new();
        for (id, moved) in found.into_iter().filter(|(id, _)| only.is_none_or(|only| only == *id)) {
            let currency = currency_of(accounts, id);
            let total = totals.entry(currency).or_default();
            total.iter_mut().zip(moved).for_each(|(total, moved)| *total += moved);
            let name = name_of(accounts, id);
            items.insert(name.clone(), balance_row(Some(name), currency, &moved)?);
        }
        let totals = totals.iter().map(|(currency, moved)| balance_row(None, currency, moved));
        Ok((items.into_values().collect(), totals.collect::<Result<_, _>>()?))
    }
}

/// What moved each balance, in the order of [`Measure::OF_BALANCES`].
fn moved(db: &Connection, asked: &Asked) -> Result<Vec<(u32, [i128; 9])>, Refusal> {
    let kinds = ["payment", "charge", "refund", "correction", "rent", "package", "income"];
    let kinds = kinds.map(|kind| {
        format!("coalesce(sum(amount) FILTER (WHERE at_us >= ?1 AND kind = '{kind}'), 0)")
    });
    let sql = format!(
        "SELECT account, coalesce(sum(amount) FILTER (WHERE at_us < ?1), 0), {}, sum(amount)
         FROM ledger WHERE at_us < ?2 GROUP BY account",
        kinds.join(", ")
    );
    let read = |row: &Row<'_>| {
        let mut moved = [0_i128; 9];
        for (at, amount) in moved.iter_mut().enumerate() {
            *amount = i128::from(row.get::<_, i64>(at + 1)?);
        }
        Ok((row.get(0)?, moved))
    };
    let mut statement = db.prepare_cached(&sql).map_err(refused)?;
    let found = statement.query_map([asked.from_us, asked.to_us], read).map_err(refused)?;
    found.collect::<Result<_, _>>().map_err(refused)
}

fn balance_row(
    account: Option<String>,
    currency: &str,
    moved: &[i128; 9],
) -> Result<RowShown, Refusal> {
    let mut row = Map::new();
    if let Some(account) = account {
        row.insert("account".into(), account.into());
    }
    row.insert("currency".into(), currency.into());
    for (measure, moved) in Measure::OF_BALANCES.iter().zip(moved) {
        row.insert(measure.name().into(), amount(*moved)?);
    }
    Ok(RowShown(row))
}

/// Rows and totals as they are told.
fn shown(
    asked: &Asked,
    buckets: &[Bucket],
    rows: &Rows,
) -> Result<(Vec<RowShown>, Vec<RowShown>), Refusal> {
    let mut items = Vec::new();
    let mut total = Sum::default();
    for ((place, key), sum) in rows {
        total.add(sum);
        let mut head = Map::new();
        let bucket = buckets.get(*place).filter(|_| asked.every != Every::Whole);
        if let Some(bucket) = bucket {
            let begins = u64::try_from(bucket.from_us).map(Moment::at).unwrap_or_default();
            head.insert("begins".into(), crate::shown::json(begins));
            head.insert("period".into(), bucket.text.clone().into());
        }
        for (dimension, text) in asked.kind.dimensions.iter().zip(key) {
            let value = match dimension {
                Dimension::Status => text.parse::<u16>().unwrap_or(0).into(),
                _ => Value::from(text.clone()),
            };
            head.insert(dimension.name().into(), value);
            if *dimension == Dimension::Area {
                head.insert(AREA_NAME.into(), country(text).into());
            }
        }
        told(asked.kind, &head, sum, &mut items)?;
    }
    let mut totals = Vec::new();
    told(asked.kind, &Map::new(), &total, &mut totals)?;
    Ok((items, totals))
}

/// A row for each currency of a sum.
fn told(
    kind: &Kind,
    head: &Map<String, Value>,
    sum: &Sum,
    rows: &mut Vec<RowShown>,
) -> Result<(), Refusal> {
    for (currency, sum, purse) in sum.by_currency() {
        let mut row = head.clone();
        if kind.has_money() {
            row.insert("currency".into(), currency.into());
        }
        for measure in kind.measures {
            row.insert(measure.name().into(), sum.tell(*measure, purse)?);
        }
        rows.push(RowShown(row));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Sqlite;
    use crate::store::sqlite::tests::{Scratch, scratch};
    use crate::store::{Change, Store};

    fn asked() -> Asked {
        Asked {
            kind: Kind::find("revenue").unwrap(),
            from_us: 0,
            to_us: 86_400_000_000,
            zone: jiff::tz::TimeZone::UTC,
            every: Every::Hour,
            area_digits: None,
            agent: None,
            account: None,
            vendor_account: None,
            gateway: None,
            vendor: None,
        }
    }

    fn stored(fees: &[i64]) -> (Scratch, Reader) {
        let path = scratch();
        let mut store = Sqlite::open(&path).unwrap();
        for (number, fee) in fees.iter().enumerate() {
            let fee = rating::Money::from_billionths(*fee);
            let mut cdr = crate::cdr::Cdr::default();
            cdr.record.id = [number as u64, 1];
            cdr.customer_charge = rating::Charge { billed_s: 1, fee, ..Default::default() };
            store.commit(&[Change::CdrEnd(Box::new(cdr))]).unwrap();
        }
        let reader = Reader::open(&path).unwrap();
        (path, reader)
    }

    #[test]
    fn who_would_wait_too_long_is_told_to_ask_for_less() {
        let (_scratch, reader) = stored(&[1]);
        let refusal = reader.report_within(&asked(), Duration::ZERO).unwrap_err();
        assert_eq!((refusal.status, refusal.title), (503, "too much to read"));
        let report = reader.report_within(&asked(), PATIENCE).unwrap();
        assert_eq!(report.items.len(), 1, "and the connection is as it was");
    }

    #[test]
    fn sums_are_exact_to_the_last_amount_that_there_is_and_refused_beyond() {
        let most = |fees: &[i64]| stored(fees).1.report_within(&asked(), PATIENCE);
        let report = most(&[i64::MAX - 1, 1]).unwrap();
        assert_eq!(report.items[0].0["revenue"], "9223372036.854775807");
        let refusal = most(&[i64::MAX, 1]).unwrap_err();
        assert_eq!((refusal.status, refusal.title), (422, "sum too large"));
    }
}
