//! Who serves a number and what it costs: the longest of so many prefixes twice, in the table of routes and in a
//! tariff, beside the best question that one can ask SQLite.
//!
//! *hot* asks for the same 64 numbers again and again, which the core's own cache holds; *warm* for 4,096, as many as
//! its second cache holds of small sheets; *any* for another one each time, all over the sheet. How long a sheet takes
//! to be built is said beside it. *changed* is what the loop does when one rate of so many becomes
//! another one: the table is built beside it.

use std::cell::RefCell;
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use benches::measure::{Step, grouped, price};
use control::state::State;
use control::state::entity::{Kind, RateRow};
use control::state::tables::Build;
use numbers::PrefixTable;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rating::tariff::Row;
use rating::{Asked, Calendar, Money, Origin, Price, RoundingMode, Section, Tariff};
use rusqlite::Connection;
use serde_json::json;

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// Questions in a run.
const RUN: usize = 4_096;
/// Runs before the same numbers come again, where any number is asked for.
const LAPS: usize = 64;
/// Numbers that are called all the time.
const HOT: usize = 64;
/// Different prices of a sheet, as carriers have them.
const PRICES: u32 = 4_000;
const GATEWAYS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--sheet") {
        return say_sheet();
    }
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    for prefixes in SIZES {
        steps.push(Box::new(Ours::new("hot", prefixes, HOT)));
        steps.push(Box::new(Ours::new("warm", prefixes, RUN)));
        steps.push(Box::new(Ours::new("any", prefixes, RUN * LAPS)));
    }
    for name in [CHANGED, CHANGED_WHILE_BUILT] {
        let (state, rows, build) = (None, Vec::new(), None);
        steps.push(Box::new(Changed { name, prefixes: SIZES[2], state, rows, build }));
    }
    steps.push(Box::new(Sql { prefixes: SIZES[2], made: None }));
    price(&mut steps)
}

/// The largest sheet and the numbers that it is asked for, as others read them (`benches/kamailio/mtree`): a line each,
/// `prefix,price` and then `,number`.
fn say_sheet() -> Result<(), Box<dyn Error>> {
    let sheet = sheet(SIZES[2]);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (nth, prefix) in sheet.iter().enumerate() {
        writeln!(out, "{prefix},{}", rate(nth).rate)?;
    }
    for number in numbers(&sheet, RUN) {
        writeln!(out, ",{}", String::from_utf8_lossy(&number))?;
    }
    Ok(out.flush()?)
}

/// Prefixes as sheets have them: behind 200 country codes, most of seven or eight digits.
fn sheet(prefixes: usize) -> Vec<String> {
    let mut random = SmallRng::seed_from_u64(7);
    let countries: Vec<u32> = (0..200).map(|_| random.random_range(1..1_000)).collect();
    let mut sheet = std::collections::BTreeSet::new();
    while sheet.len() < prefixes {
        let country = countries[random.random_range(0..countries.len())].to_string();
        let length = [5, 6, 6, 7, 7, 7, 7, 8, 8, 8, 9][random.random_range(0..11)];
        let width = length - country.len();
        let rest = random.random_range(0..10_u64.pow(width as u32));
        sheet.insert(format!("{country}{rest:0width$}"));
    }
    sheet.into_iter().collect()
}

/// Numbers of twelve digits that the sheet knows.
fn numbers(sheet: &[String], count: usize) -> Vec<[u8; 12]> {
    let mut random = SmallRng::seed_from_u64(8);
    let number = |_| {
        let mut number = [b'0'; 12];
        let prefix = sheet[random.random_range(0..sheet.len())].as_bytes();
        number.iter_mut().for_each(|digit| *digit = random.random_range(b'0'..=b'9'));
        number[..prefix.len()].copy_from_slice(prefix);
        number
    };
    (0..count).map(number).collect()
}

fn rate(nth: usize) -> Price {
    let billionths = i64::from(nth as u32 % PRICES + 1) * 100_000;
    Price {
        tariff: 1,
        version: 1,
        prefix_digits: 0,
        origin: Origin::Any,
        locked: false,
        rate: Money::from_billionths(billionths),
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: [Section::default(); 3],
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 0,
    }
}

struct Ours {
    name: String,
    prefixes: usize,
    /// Different ones.
    numbers: usize,
    made: Option<(PrefixTable<u32>, Tariff, Vec<[u8; 12]>)>,
    /// How many of them came already.
    asked: usize,
}

impl Ours {
    fn new(kind: &str, prefixes: usize, numbers: usize) -> Self {
        let name = format!("route and rate of {}, {kind}", grouped(prefixes as u64));
        Self { name, prefixes, numbers, made: None, asked: 0 }
    }
}

impl Step for Ours {
    fn name(&self) -> &str {
        &self.name
    }

    fn operations(&self) -> u32 {
        RUN as u32
    }

    fn prepare(&mut self) {
        self.asked = (self.asked + RUN) % self.numbers;
        if self.made.is_some() {
            return;
        }
        let sheet = sheet(self.prefixes);
        let asked = numbers(&sheet, self.numbers);
        let began = Instant::now();
        let served = sheet.iter().cloned().zip((0..GATEWAYS).cycle());
        let routes = PrefixTable::build(served);
        let routed = began.elapsed();
        let rows = sheet.into_iter().zip((0..).map(rate));
        let rows = rows.map(|(prefix, price)| Row::always(prefix, price));
        let tariff = Tariff::build(rows, Calendar::default());
        let built = began.elapsed() - routed;
        say_built(self.prefixes, routed, built);
        self.made = Some((routes, tariff, asked));
    }

    fn run(&mut self) {
        let Some((routes, tariff, asked)) = &self.made else { return };
        let next = asked.get(self.asked..).unwrap_or_default();
        for number in next.iter().cycle().take(RUN) {
            let asked = Asked { callee: black_box(number), caller: None, at_us: 1 };
            black_box((routes.longest(asked.callee), tariff.price(&asked)));
        }
    }
}

/// Changes in a run of one rate after the other.
const CHANGES: usize = 64;

const CHANGED: &str = "one rate of 1,000,000 changed";
const CHANGED_WHILE_BUILT: &str = "one rate of 1,000,000 changed while a table of them is built";

struct Changed {
    name: &'static str,
    prefixes: usize,
    state: Option<State>,
    rows: Vec<RateRow>,
    /// It holds the rates as they were.
    build: Option<Build>,
}

impl Changed {
    /// A table is ordered, and those that were ordered before it are there.
    fn order(&mut self) {
        let Some(state) = &mut self.state else { return };
        if let Some(build) = self.build.take() {
            state.take_table(build.run());
        }
        let row = self.rows.first().into_iter().cloned().collect::<Vec<_>>();
        state.put_rates("sheet", &row, false).expect("it is taken");
        self.build = state.poll_build();
    }
}

impl Step for Changed {
    fn name(&self) -> &str {
        self.name
    }

    fn operations(&self) -> u32 {
        CHANGES as u32
    }

    fn prepare(&mut self) {
        if self.state.is_some() {
            if self.name == CHANGED_WHILE_BUILT {
                self.order();
            }
            return;
        }
        let row = json!({"prefix": "", "rate": "0.01"});
        let row: RateRow = serde_json::from_value(row).expect("it is a rate");
        let rows = sheet(self.prefixes).into_iter();
        let rows: Vec<RateRow> = rows.map(|prefix| RateRow { prefix, ..row.clone() }).collect();
        let mut state = State::default();
        let made = state.create(Kind::Tariff, json!({"name": "sheet"}));
        made.and_then(|_| state.put_rates("sheet", &rows, false)).expect("it is taken");
        while let Some(build) = state.poll_build() {
            state.take_table(build.run());
        }
        self.rows = rows.into_iter().step_by(self.prefixes / CHANGES).take(CHANGES).collect();
        self.state = Some(state);
        if self.name == CHANGED_WHILE_BUILT {
            self.order();
        }
    }

    fn run(&mut self) {
        let Some(state) = &mut self.state else { return };
        for row in self.rows.chunks(1) {
            black_box(state.put_rates("sheet", row, false).is_ok());
        }
    }
}

fn say_built(prefixes: usize, routes: Duration, tariff: Duration) {
    let prefixes = grouped(prefixes as u64);
    eprintln!("{prefixes} prefixes: routes built in {routes:.1?}, the tariff in {tariff:.1?}");
}

/// One question about the rate alone.
struct Sql {
    prefixes: usize,
    made: Option<(Connection, Vec<[u8; 12]>)>,
}

impl Step for Sql {
    fn name(&self) -> &str {
        "rate of 1,000,000, warm, by SQLite in memory"
    }

    fn operations(&self) -> u32 {
        RUN as u32
    }

    fn prepare(&mut self) {
        if self.made.is_some() {
            return;
        }
        let sheet = sheet(self.prefixes);
        let asked = numbers(&sheet, RUN);
        let fill = || -> rusqlite::Result<Connection> {
            let mut db = Connection::open_in_memory()?;
            db.execute_batch(
                "CREATE TABLE rate (prefix TEXT PRIMARY KEY, price INTEGER NOT NULL) WITHOUT ROWID",
            )?;
            let all = db.transaction()?;
            let mut insert = all.prepare("INSERT INTO rate VALUES (?1, ?2)")?;
            for (nth, prefix) in sheet.iter().enumerate() {
                insert.execute((prefix, rate(nth).rate.billionths()))?;
            }
            drop(insert);
            all.commit()?;
            Ok(db)
        };
        self.made = Some((fill().expect("SQLite works in memory"), asked));
    }

    fn run(&mut self) {
        let Some((db, asked)) = &self.made else { return };
        let places: Vec<String> = (1..=12).map(|end| format!("substr(?1, 1, {end})")).collect();
        let question = format!(
            "SELECT price FROM rate WHERE prefix IN ({}) ORDER BY length(prefix) DESC LIMIT 1",
            places.join(", ")
        );
        let question = RefCell::new(db.prepare_cached(&question).expect("it is SQL"));
        for number in asked {
            let number = std::str::from_utf8(number).unwrap_or_default();
            let found = question.borrow_mut().query_row([number], |row| row.get::<_, i64>(0));
            black_box(found.expect("the sheet knows it"));
        }
    }
}
