//! How long somebody waits who asks for an account's calls of one day, among days of calls of everybody: with all of it in
//! memory, and with the file's pages dropped from memory before each question.
//!
//! `HISTORY_RECORDS` (200,000) a day and `HISTORY_DAYS` (3) say how much there is. One day is stored as control stores it; the
//! others are copies of it with times and ids of their own, which is quicker. Figures are waiting time by the clock, since
//! that is what the disk costs.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use benches::measure::{grouped, quartiles};
use benches::record::call;
use control::page::Page;
use control::report::{Asked, Kind, calendar};
use control::state::entity::{Entity, Kind as Document};
use control::store::sqlite::{Reader, Sqlite};
use control::store::{CdrFilter, Change, History, Store};
use link::record::EndReason;
use rusqlite::Connection;
use serde_json::json;

type Failure = Box<dyn Error>;

/// 2026-01-01, in µs.
const BEGIN_US: u64 = 1_767_225_600_000_000;
const DAY_US: u64 = 86_400_000_000;
const ACCOUNTS: u64 = 200;
const GROUP: u64 = 1_000;
/// Odd, so that there is a median.
const ROUNDS: usize = 9;

fn main() -> Result<(), Failure> {
    let said = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let records = said("HISTORY_RECORDS").unwrap_or(200_000);
    let days = said("HISTORY_DAYS").unwrap_or(3);
    let here = std::env::current_exe()?;
    let place = here.with_file_name(format!("history-bench-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let measured = measure(&place.join("tollgate.db"), records, days);
    std::fs::remove_dir_all(&place)?;
    measured
}

/// A day of calls, evenly over its hours and accounts, then copies of it.
fn fill(file: &Path, records: u64, days: u64) -> Result<(), Failure> {
    let mut store = Sqlite::open(file)?;
    store.load()?;
    let accounts = (1..=ACCOUNTS).map(|id| {
        let body = json!({"name": format!("customer-{id}"), "role": "customer"});
        let entity = Entity::read(Document::Account, u32::try_from(id).unwrap_or(0), body);
        entity.map(|entity| Change::Put(Box::new(entity))).map_err(|no| no.detail)
    });
    store.commit(&accounts.collect::<Result<Vec<_>, _>>()?)?;
    let every_us = (DAY_US - 120_000_000) / records;
    for group in 0..records.div_ceil(GROUP) {
        let numbers = (group * GROUP)..((group + 1) * GROUP).min(records);
        let ends = numbers.map(|number| {
            let mut cdr = call(number, BEGIN_US);
            cdr.record.started_us = BEGIN_US + number * every_us;
            cdr.record.ended_ms = 64_000;
            cdr.record.reason = EndReason::Normal as u8;
            cdr.record.attempts[0].ended_ms = 64_000;
            let account = number * 7_919 % ACCOUNTS + 1;
            cdr.customer = u32::try_from(account).unwrap_or(0);
            cdr.account = format!("customer-{account}");
            // Nothing of a minute is too large to be money.
            let _ = cdr.rate();
            Change::CdrEnd(Box::new(cdr))
        });
        store.commit(&ends.collect::<Vec<_>>())?;
    }
    let db = Connection::open(file)?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;")?;
    let schema: Vec<String> = db
        .prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = 'cdr_20260101' AND sql IS NOT NULL",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let columns: Vec<String> = db
        .prepare("SELECT name FROM pragma_table_info('cdr_20260101') WHERE name NOT IN ('place', 'ended_us', 'started_us', 'id')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let columns = columns.join(", ");
    for day in 1..days {
        let name = format!("cdr_202601{:02}", day + 1);
        for sql in &schema {
            db.execute_batch(&sql.replace("cdr_20260101", &name))?;
        }
        db.execute(
            &format!(
                "INSERT INTO {name} (ended_us, started_us, id, {columns})
                 SELECT ended_us + ?1, started_us + ?1, printf('%016x', 7 + ?2) || substr(id, 17), {columns} FROM cdr_20260101"
            ),
            [(day * DAY_US).cast_signed(), day.cast_signed()],
        )?;
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// Pages of the file that the kernel keeps are forgotten.
fn forget(file: &Path) {
    let of = format!("of={}", file.display());
    let words = [of.as_str(), "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
    let _ = Command::new("dd").args(words).status();
}

type Question = Box<dyn Fn(&mut Reader) -> Result<usize, Failure>>;

fn list(limit: usize) -> Question {
    Box::new(move |reader| {
        let filter = CdrFilter {
            account: Some("customer-77".into()),
            from: Some("2026-01-01T00:00:00Z".into()),
            to: Some("2026-01-02T00:00:00Z".into()),
            ..CdrFilter::default()
        };
        let page = Page { limit, cursor: None };
        let found = reader.cdrs(&filter, &page).map_err(|no| no.detail)?;
        Ok(found["items"].as_array().map_or(0, Vec::len))
    })
}

fn report(account: Option<&'static str>) -> Question {
    Box::new(move |reader| {
        let kind = Kind::find("revenue").map_err(|no| no.detail)?;
        let asked = Asked {
            kind,
            from_us: BEGIN_US.cast_signed(),
            to_us: (BEGIN_US + DAY_US).cast_signed(),
            zone: calendar::zone("UTC").map_err(|no| no.detail)?,
            every: kind.every,
            area_digits: None,
            agent: None,
            account: account.map(ToOwned::to_owned),
            vendor_account: None,
            gateway: None,
            vendor: None,
        };
        Ok(reader.report(&asked).map_err(|no| no.detail)?.items.len())
    })
}

/// How long it took each time, ms, and how many rows there were.
fn times(file: &Path, ask: &Question, from_disk: bool) -> Result<(Vec<f64>, usize), Failure> {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut rows = 0;
    for round in 0..=ROUNDS {
        if from_disk {
            forget(file);
        }
        let mut reader = Reader::open(file)?;
        let begun = Instant::now();
        rows = ask(&mut reader)?;
        // The first one brings it into memory.
        if round > 0 {
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    Ok((times, rows))
}

fn measure(file: &Path, records: u64, days: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    fill(file, records, days)?;
    let bytes = std::fs::metadata(file)?.len();
    println!(
        "{} records in {days} days, {} MB, {} accounts; filled in {} s\n",
        grouped(records * days),
        grouped(bytes >> 20),
        ACCOUNTS,
        begun.elapsed().as_secs()
    );
    let questions: [(&str, Question); 4] = [
        ("an account's day, the last 100", list(100)),
        ("an account's day, all of it", list(10_000)),
        ("an account's day, its revenue", report(Some("customer-77"))),
        ("everybody's day, by account", report(None)),
    ];
    println!(
        "| asked | rows | in memory, ms | quartiles | from the disk, ms | quartiles |\n|---|---|---|---|---|---|"
    );
    for (name, ask) in questions {
        let mut figures = String::new();
        let mut rows = String::new();
        for from_disk in [false, true] {
            match times(file, &ask, from_disk) {
                Ok((mut times, found)) => {
                    let [low, median, high] = quartiles(&mut times);
                    figures += &format!(" {median:.1} | {low:.1} to {high:.1} |");
                    rows = grouped(found as u64);
                }
                // It reads for longer than anybody may wait.
                Err(_) => figures += " refused | |",
            }
        }
        println!("| {name} | {rows} |{figures}");
    }
    Ok(())
}
