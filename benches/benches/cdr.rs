//! What it costs to make calls durable: groups of a thousand changes into a database file, beside a bare loop over SQLite
//! with the same rows, batches and pragmas.
//!
//! A call is a start, an end and an entry for each side; a group has as many starts as ends, as in the busy hour.
//! *The same statements* executes what we execute with values that lie ready: what we take more is ours. *The rows that
//! remain* knows no calls that go on: the record and its entries alone, which a loss of power between answer and end
//! would cost. CPU time counts no waiting for the disk, so rates by the clock stand beside.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use benches::measure::{Step, grouped, price, quartiles};
use benches::record;
use control::cdr::{Cdr, id_text};
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::{PRAGMAS, Sqlite};
use control::store::{Change, LedgerEntry, Store};
use link::record::EndReason;
use rating::Money;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Changes of a group are a thousand at most; a call has four.
const CALLS: u64 = 250;
/// 2026-01-01, in µs.
const BEGIN_US: u64 = 1_767_225_600_000_000;
const DAY: &str = "cdr_20260101";
/// By the clock: groups of each by turns.
const GROUPS: usize = 200;

const STATEMENTS: &str = "a bare loop of the same statements";
const REMAINS: &str = "a bare loop of the rows that remain";

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    // On the disk that databases are on: memory would forgive every sync.
    let place = beside_us().join(format!("cdr-bench-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let measured = measure(&place);
    std::fs::remove_dir_all(&place)?;
    measured
}

fn measure(place: &Path) -> Result<(), Failure> {
    let at = |name: &str| place.join(name);
    let template = Template::of(&at("template.db"))?;
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(Ours::new(&at("ours.db"))?),
        Box::new(Bare::new(STATEMENTS, &at("statements.db"), &template, &Made::Statements)?),
        Box::new(Bare::new(REMAINS, &at("remains.db"), &template, &Made::Remains)?),
    ];
    price(&mut steps)?;
    if std::env::args().any(|argument| argument == "--count") {
        return Ok(());
    }
    by_the_clock(&mut steps);
    Ok(())
}

/// Where this program lies.
fn beside_us() -> std::path::PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().map_or_else(std::env::temp_dir, Path::to_path_buf)
}

fn by_the_clock(steps: &mut [Box<dyn Step>]) {
    let mut times = vec![Vec::with_capacity(GROUPS); steps.len()];
    for _ in 0..GROUPS {
        for (step, times) in steps.iter_mut().zip(&mut times) {
            step.prepare();
            let begun = Instant::now();
            step.run();
            times.push(begun.elapsed().as_secs_f64());
        }
    }
    println!("\n| by the clock, synced | calls/s | quartiles | to ours |\n|---|---|---|---|");
    let mut ours = None;
    for (step, mut times) in steps.iter().zip(times) {
        let [low, median, high] = quartiles(&mut times).map(|s| CALLS as f64 / s);
        let ours = *ours.get_or_insert(median);
        let [median, low, high, ratio] = [median, low, high, median / ours];
        let rate = |rate: f64| grouped(rate as u64);
        let (low, high) = (rate(high), rate(low));
        println!("| {} | {} | {low} to {high} | {ratio:.2} |", step.name(), rate(median));
    }
}

fn call(number: u64) -> Cdr {
    record::call(number, BEGIN_US)
}

fn start(number: u64) -> Change {
    Change::CdrStart(Box::new(call(number)))
}

/// The end and its entries.
fn end(number: u64) -> [Change; 3] {
    let mut cdr = call(number);
    cdr.record.ended_ms = 64_000;
    cdr.record.reason = EndReason::Normal as u8;
    cdr.record.attempts[0].ended_ms = 64_000;
    // Nothing of a minute is too large to be money.
    let _ = cdr.rate();
    let entry = |side: &str, account, amount: Money, counter| {
        Change::Ledger(Box::new(LedgerEntry {
            account,
            at_us: cdr.record.started_us,
            kind: EntryKind::Charge,
            amount: -amount.billionths(),
            balance: 1_000_000_000,
            counter,
            reference: format!("cdr:{}:{side}", id_text(cdr.record.id)),
            who: String::new(),
            memo: String::new(),
        }))
    };
    let customer = entry("customer", 1, cdr.customer_charge.fee, Counter::Revenue);
    let vendor = entry("vendor", 2, cdr.vendor_charge.fee, Counter::Cost);
    [customer, vendor, Change::CdrEnd(Box::new(cdr))]
}

struct Ours {
    store: Sqlite,
    next: u64,
    group: Vec<Change>,
}

impl Ours {
    fn new(path: &Path) -> Result<Self, Failure> {
        let mut store = Sqlite::open(path)?;
        let starts: Vec<Change> = (0..CALLS).map(start).collect();
        store.commit(&starts)?;
        Ok(Self { store, next: 0, group: Vec::new() })
    }
}

impl Step for Ours {
    fn name(&self) -> &str {
        "ours"
    }

    fn operations(&self) -> u32 {
        CALLS as u32
    }

    fn prepare(&mut self) {
        let numbers = self.next..self.next + CALLS;
        self.group.clear();
        for number in numbers {
            self.group.extend(end(number));
            self.group.push(start(number + CALLS));
        }
        self.next += CALLS;
    }

    fn run(&mut self) {
        self.store.commit(&self.group).expect("the disk has room");
    }
}

/// A row of a table, and an insertion of it.
#[derive(Clone)]
struct Insertion {
    sql: String,
    values: Vec<Value>,
}

/// What the store wrote of one call.
struct Template {
    schema: String,
    start: Insertion,
    opened: Insertion,
    end: Insertion,
    entries: Vec<Insertion>,
}

impl Template {
    fn of(path: &Path) -> Result<Self, Failure> {
        let mut store = Sqlite::open(path)?;
        store.commit(&end(0))?;
        store.commit(&[start(1)])?;
        drop(store);
        let db = Connection::open(path)?;
        let tables = format!("'cdr', 'opened', 'ledger', '{DAY}'");
        let schema =
            format!("SELECT sql FROM sqlite_schema WHERE tbl_name IN ({tables}) AND sql NOT NULL");
        let mut schema = db.prepare(&schema)?;
        let schema = schema.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let first = |table| Ok::<_, Failure>(rows(&db, table)?.remove(0));
        Ok(Self {
            schema: schema.join(";\n"),
            start: first("cdr")?,
            opened: first("opened")?,
            end: first(DAY)?,
            entries: rows(&db, "ledger")?,
        })
    }
}

/// The rows of a table, each as its insertion.
fn rows(db: &Connection, table: &str) -> Result<Vec<Insertion>, Failure> {
    let mut statement = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1"))?;
    let columns: Vec<String> = statement.column_names().map(Into::into).collect();
    // SQLite gives those numbers itself.
    let given: Vec<usize> = (0..columns.len())
        .filter(|at| !(columns[*at] == "place" || columns[*at] == "id" && table == "ledger"))
        .collect();
    let names: Vec<&str> = given.iter().map(|at| columns[*at].as_str()).collect();
    let places: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
    let (names, places) = (names.join(", "), places.join(", "));
    let sql = format!("INSERT INTO {table} ({names}) VALUES ({places})");
    let read = |row: &rusqlite::Row<'_>| given.iter().map(|at| row.get(*at)).collect();
    let found = statement.query_map([], read)?.collect::<Result<Vec<Vec<Value>>, _>>()?;
    Ok(found.into_iter().map(|values| Insertion { sql: sql.clone(), values }).collect())
}

/// Which statements a bare loop executes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Statements,
    Remains,
}

struct Bare {
    name: &'static str,
    db: Connection,
    template: Vec<(Insertion, bool)>,
    deletes: bool,
    next: u64,
    /// What is executed, in order.
    group: Vec<(usize, Vec<Value>)>,
    ids: Vec<String>,
}

impl Bare {
    fn new(
        name: &'static str,
        path: &Path,
        template: &Template,
        made: &Made,
    ) -> Result<Self, Failure> {
        let db = Connection::open(path)?;
        db.execute_batch(PRAGMAS)?;
        db.execute_batch(&template.schema)?;
        db.set_prepared_statement_cache_capacity(16);
        let Template { start, opened, end, entries, .. } = template;
        // Whether it is of a call that begins.
        let mut all: Vec<(Insertion, bool)> =
            entries.iter().map(|it| (it.clone(), false)).collect();
        all.push((end.clone(), false));
        let deletes = *made == Made::Statements;
        if deletes {
            all.extend([(start.clone(), true), (opened.clone(), true)]);
        }
        Ok(Self { name, db, template: all, deletes, next: 0, group: Vec::new(), ids: Vec::new() })
    }

    fn execute(&self) -> rusqlite::Result<()> {
        let all = self.db.unchecked_transaction()?;
        let mut ids = self.ids.iter();
        for (at, values) in &self.group {
            let (insertion, begins) = &self.template[*at];
            self.db.prepare_cached(&insertion.sql)?.execute(params_from_iter(values))?;
            if self.deletes
                && !begins
                && insertion.sql.contains(DAY)
                && let Some(id) = ids.next()
            {
                for sql in ["DELETE FROM cdr WHERE id = ?1", "DELETE FROM opened WHERE id = ?1"] {
                    self.db.prepare_cached(sql)?.execute([id])?;
                }
            }
        }
        all.commit()
    }
}

impl Step for Bare {
    fn name(&self) -> &str {
        self.name
    }

    fn operations(&self) -> u32 {
        CALLS as u32
    }

    fn prepare(&mut self) {
        self.group.clear();
        self.ids.clear();
        for number in self.next..self.next + CALLS {
            self.ids.push(id_text([7, number]));
            for (at, (insertion, begins)) in self.template.iter().enumerate() {
                let number = if *begins { number + CALLS } else { number };
                self.group.push((at, of_call(&insertion.values, number)));
            }
        }
        self.next += CALLS;
    }

    fn run(&mut self) {
        self.execute().expect("the disk has room");
    }
}

/// The values of another call: its id and its times.
fn of_call(values: &[Value], number: u64) -> Vec<Value> {
    let old = [id_text([7, 0]), id_text([7, 1])];
    let id = id_text([7, number]);
    let later = (number * 1_000).cast_signed();
    let of_call = |value: &Value| match value {
        Value::Text(text) => {
            Value::Text(old.iter().fold(text.clone(), |text, old| text.replace(old, &id)))
        }
        Value::Integer(us) if *us >= BEGIN_US.cast_signed() => Value::Integer(us + later),
        other => other.clone(),
    };
    values.iter().map(of_call).collect()
}
