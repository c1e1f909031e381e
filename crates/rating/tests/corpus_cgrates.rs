//! What the tables of CGRateS cost by its own tests, and what they cost here.
//!
//! They lie beside the project (`../shared/corpus/rating`); nobody here wrote them. Each rating plan becomes a
//! tariff of ours: a rate's first group a section, a timing a period. Left out is what is no call by the second
//! (messages, data) and the one timing that is a day of the year.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rating::calendar::{DAY_MIN, Period};
use rating::tariff::{Caller, Row};
use rating::{
    Asked, Calendar, Money, Origin, Price, Rounding, RoundingMode, Section, Tariff, charge,
};
use serde_json::Value;

/// Lines of a table, each cut at its commas.
fn table(folder: &Path, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(',').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// `1m10s`, `60s`, `0` as seconds.
fn seconds(text: &str) -> u32 {
    let (mut total, mut number) = (0, 0);
    for letter in text.chars() {
        match letter {
            'm' => total += std::mem::take(&mut number) * 60,
            's' => total += std::mem::take(&mut number),
            digit => number = number * 10 + digit.to_digit(10).unwrap(),
        }
    }
    total + number
}

fn money(text: &str) -> Money {
    if text.is_empty() { Money::ZERO } else { text.parse().unwrap() }
}

/// A rate of one group or two, rounded up to four decimals as all of these are.
fn price(groups: &[Vec<String>]) -> Price {
    let base = groups.last().unwrap();
    // Money for no time at all is none.
    let unit_s = seconds(&base[3]).max(1);
    let mut sections = [Section::default(); 3];
    if let [first, second] = groups {
        assert_eq!(seconds(&first[3]), unit_s, "one unit in both groups");
        let (rate, increment_s) = (money(&first[2]), seconds(&first[4]));
        sections[0] = Section { seconds: seconds(&second[5]), rate, increment_s };
    }
    Price {
        tariff: 1,
        version: 1,
        prefix_digits: 0,
        origin: Origin::Any,
        locked: false,
        rate: money(&base[2]),
        unit_s,
        minimum_s: 0,
        increment_s: seconds(&base[4]).max(1),
        sections,
        connection_fee: money(&groups[0][1]),
        fee_precision: 4,
        rounding_mode: RoundingMode::Up,
        fee_unit: Money::ZERO,
        tax: 0,
    }
}

/// The week of a folder: each timing lasts until the next of the same days begins.
fn week(folder: &Path) -> Vec<(String, Period)> {
    let timings = table(folder, "Timings.csv");
    let weekly = timings.iter().filter(|timing| timing[2] == "*any" && timing[3] == "*any");
    let parsed: Vec<(String, u8, u16)> = weekly
        .map(|timing| {
            let days = match timing[4].as_str() {
                "*any" => 0x7f,
                days => {
                    days.split(';').fold(0, |all, day| all | 1 << (day.parse::<u8>().unwrap() - 1))
                }
            };
            let (hour, minute) = timing[5].rsplit_once(':').unwrap().0.split_once(':').unwrap();
            let from = hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap();
            (timing[0].clone(), days, from)
        })
        .collect();
    let end = |days: u8, from: u16| {
        let next = parsed.iter().filter(|other| other.1 == days && other.2 > from);
        next.map(|other| other.2).min().unwrap_or(DAY_MIN) % DAY_MIN
    };
    let period = |(name, days, from): &(String, u8, u16)| {
        let until_min = end(*days, *from);
        (name.clone(), Period { days: *days, from_min: *from, until_min })
    };
    parsed.iter().map(period).collect()
}

/// A plan as a tariff.
fn tariff(folder: &Path, plan: &str) -> Tariff {
    let week = week(folder);
    let rates = table(folder, "Rates.csv");
    let destinations = table(folder, "Destinations.csv");
    let plans = table(folder, "RatingPlans.csv").into_iter().filter(|line| line[0] == plan);
    let by_id = table(folder, "DestinationRates.csv");
    let mut rows = Vec::new();
    for (id, timing) in plans.map(|line| (line[1].clone(), line[2].clone())) {
        let period = week.iter().position(|(name, _)| *name == timing);
        if timing != "*any" && period.is_none() {
            continue;
        }
        for line in by_id.iter().filter(|line| line[0] == id) {
            let groups = rates.iter().filter(|rate| rate[0] == line[2]);
            let groups: Vec<Vec<String>> = groups.cloned().collect();
            let prefixes = destinations.iter().filter(|destination| destination[0] == line[1]);
            let prefixes: Vec<String> = match line[1].as_str() {
                "*any" => vec![String::new()],
                _ => prefixes.map(|destination| destination[1].clone()).collect(),
            };
            rows.extend(prefixes.into_iter().map(|prefix| Row {
                prefix,
                caller: Caller::Any,
                period: period.map(|place| place as u8),
                from_us: 0,
                until_us: u64::MAX,
                price: price(&groups),
            }));
        }
    }
    let periods = week.into_iter().map(|(_, period)| period).collect();
    Tariff::build(rows, Calendar::new(TimeZone::UTC, periods))
}

/// The plans that a case is looked up in, one behind the other.
fn plans(folder: &Path, case: &Value, at: &str) -> Vec<String> {
    let profiles = table(folder, "RatingProfiles.csv");
    let text = |field: &str| case[field].as_str().unwrap_or_default();
    let of = |subject: &str| {
        let own = profiles.iter().filter(|line| {
            line[0] == text("tenant") && line[1] == text("category") && line[2] == subject
        });
        own.filter(|line| line[3].as_str() <= at).max_by_key(|line| line[3].clone())
    };
    let own = of(text("subject")).or_else(|| of("*any"));
    let fallback = own.and_then(|line| of(line.get(5)?));
    own.into_iter().chain(fallback).map(|line| line[4].clone()).collect()
}

/// `43/60` at four decimals, rounded up.
fn exactly(text: &str) -> String {
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let (above, below): (u64, u64) = (above.parse().unwrap(), below.parse().unwrap());
    let amount = (above * 10_000).div_ceil(below) * 100_000;
    Money::from_billionths(amount.cast_signed()).to_string()
}

#[test]
fn calls_by_foreign_tables_cost_what_their_authors_say() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/rating");
    let Ok(cases) = std::fs::read_to_string(root.join("cgrates-expected-costs.json")) else {
        eprintln!("SKIPPED: {} is not there", root.display());
        return;
    };
    let cases: Value = serde_json::from_str(&cases).unwrap();
    let mut compared = 0;
    for case in cases["cases"].as_array().unwrap() {
        let text = |field: &str| case[field].as_str();
        let (Some(folder), Some(callee)) = (text("tariff_dir"), text("destination")) else {
            continue;
        };
        // By the second, and by the second only: `45s`, not `2048` of something.
        let Some(usage) = text("usage").filter(|usage| usage.ends_with(['s', 'm'])) else {
            continue;
        };
        let start =
            text("start").filter(|start| *start != "*now").unwrap_or("2026-11-25T12:00:00Z");
        if start.contains("-01-01T") {
            continue;
        }
        let folder = root.join(folder);
        let at: jiff::Timestamp = start.parse().unwrap();
        let asked =
            Asked { callee: callee.as_bytes(), caller: None, at_us: at.as_microsecond() as u64 };
        let plans = plans(&folder, case, start);
        let price = plans.iter().find_map(|plan| tariff(&folder, plan).price(&asked));
        let fee = price.map(|price| {
            let duration_ms = u64::from(seconds(usage)) * 1_000;
            charge(duration_ms, &price, &Rounding::default()).unwrap().fee.to_string()
        });
        assert_eq!(fee, text("exact_cost").map(exactly), "{case:#}");
        compared += 1;
    }
    assert!(compared >= 8, "only {compared} cases were compared");
}
