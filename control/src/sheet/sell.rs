//! A customer's sheet made of what calls cost: cost and margin, code by code, and from when on each of them holds.
//!
//! What a code costs is the dearest of the tariffs that calls are bought by, now and when the notice is over, so that no
//! rate is below its cost meanwhile. Whoever pays more by the new rate hears of it in time: it holds once the notice is over; what
//! is cheaper, or new, holds at once. Per minute alone: fees, sections and steps are those of the customer's tariff.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use rating::Money;

use super::compare::{Held, in_force};
use super::{Sheet, SheetRate, Terms};
use crate::state::entity::RateRow;
use crate::state::moment::When;

/// Billionths of a hundred percent.
const WHOLE: i128 = 100_000_000_000;

/// How costs become rates.
#[derive(Clone, Copy, Debug)]
pub struct Selling {
    /// Percent on top of the cost.
    pub margin_percent: Money,
    /// Money per minute on top of that.
    pub margin: Money,
    /// Decimals of a rate, up to 9; it is rounded up.
    pub decimals: u32,
    /// From when on a rate holds that is not higher.
    pub at: When,
    /// From when on a higher one does.
    pub notice: When,
    /// Whether codes end that cannot be bought any more.
    pub close: bool,
}

/// Rates per minute by code, of rows for all origins and at all times.
type Prices<'r> = BTreeMap<&'r str, Money>;

/// The sheet: each code that can be bought, with its rate and its instant.
#[must_use]
pub fn sheet(costs: &[Held<'_>], held: Held<'_>, how: &Selling) -> Sheet {
    let instants = [how.at, how.notice.max(how.at)];
    let costs: Vec<Prices<'_>> =
        costs.iter().flat_map(|cost| instants.map(|at| prices(*cost, at))).collect();
    let sold = prices(held, how.at);
    let codes: BTreeSet<&str> = costs.iter().flat_map(|prices| prices.keys().copied()).collect();
    let mut rates = Vec::new();
    for code in &codes {
        let cost = costs.iter().filter_map(|prices| price(prices, code)).max();
        let Some(rate) = cost.and_then(|cost| rate(cost, how)) else { continue };
        let dearer = price(&sold, code).is_some_and(|sold| rate > sold);
        let from = if dearer { instants[1] } else { how.at };
        let terms = Terms { rate, minimum_s: None, increment_s: None, connection_fee: None };
        // What was to come for this code comes by the new rate.
        let later = later(held, code).filter(|later| *later > from);
        for effective in std::iter::once(from).chain(later) {
            rates.push(line(code, Some(terms), effective));
        }
    }
    let gone = sold.keys().filter(|code| how.close && !codes.contains(*code));
    rates.extend(gone.map(|code| line(code, None, instants[1])));
    for (number, rate) in (1..).zip(&mut rates) {
        rate.line = number;
    }
    Sheet { lines: rates.len(), rates, ..Sheet::default() }
}

fn line(code: &str, terms: Option<Terms>, effective: When) -> SheetRate {
    let prefix = code.to_owned();
    SheetRate { line: 0, prefix, terms, effective: Some(effective), status: None }
}

/// What a tariff asks per minute at an instant.
fn prices<'h>(held: Held<'h>, at: When) -> Prices<'h> {
    let mut by_code: BTreeMap<&str, Vec<&RateRow>> = BTreeMap::new();
    for row in held.rows.values().filter(|row| is_plain(row)) {
        by_code.entry(row.prefix.as_str()).or_default().push(row);
    }
    let mut prices = Prices::new();
    for (code, mut rows) in by_code {
        rows.sort_by_key(|row| row.effective);
        let Some(row) = in_force(rows.into_iter(), at).filter(|row| !row.locked) else { continue };
        let unit_s = i128::from(row.unit_s.or(held.head.unit_s).unwrap_or(60).max(1));
        let minute = (i128::from(row.rate.billionths()) * 60 + unit_s - 1) / unit_s;
        if let Ok(minute) = i64::try_from(minute) {
            prices.insert(code, Money::from_billionths(minute));
        }
    }
    prices
}

fn is_plain(row: &RateRow) -> bool {
    row.origin.is_empty() && row.period.is_empty()
}

/// The price of a code by the longest one that it begins with.
fn price(prices: &Prices<'_>, code: &str) -> Option<Money> {
    (0..=code.len()).rev().find_map(|length| prices.get(code.get(..length)?).copied())
}

/// Instants from which on other rates of a code were to hold.
fn later<'h>(held: Held<'h>, code: &str) -> impl Iterator<Item = When> + 'h {
    let from = format!("{code};effective=");
    let rows = held.rows.from(Bound::Included(&from));
    rows.take_while(move |(key, _)| key.starts_with(&from)).filter_map(|(_, row)| row.effective)
}

/// Cost and margin, rounded up. `None`: it is too much to be a rate.
fn rate(cost: Money, how: &Selling) -> Option<Money> {
    let percent = i128::from(how.margin_percent.billionths());
    let exact = i128::from(cost.billionths()) * (WHOLE + percent);
    let exact = exact + i128::from(how.margin.billionths()) * WHOLE;
    let step = WHOLE * 10_i128.pow(9 - how.decimals.min(9));
    let steps = exact.max(0) / step + i128::from(exact.max(0) % step > 0);
    i64::try_from(steps * (step / WHOLE)).ok().map(Money::from_billionths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sheet::compare::{Mode, compare};
    use crate::state::entity::TariffHead;
    use crate::state::rate_rows::RateRows;

    type Rows = RateRows;

    fn head() -> TariffHead {
        serde_json::from_value(json!({"name": "t"})).unwrap()
    }

    fn rows(of: serde_json::Value) -> Rows {
        let rows: Vec<RateRow> = serde_json::from_value(of).unwrap();
        rows.into_iter().map(|row| (row.key(), row)).collect()
    }

    fn when(text: &str) -> When {
        text.parse().unwrap()
    }

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn selling() -> Selling {
        Selling {
            margin_percent: money("20"),
            margin: money("0.001"),
            decimals: 4,
            at: when("2026-12-01T00:00:00Z"),
            notice: when("2026-12-08T00:00:00Z"),
            close: false,
        }
    }

    /// Code, rate, and the day of December.
    fn told(costs: &[&Rows], target: &Rows, how: &Selling) -> Vec<(String, String, String)> {
        let head = head();
        let costs: Vec<Held<'_>> = costs.iter().map(|rows| Held { head: &head, rows }).collect();
        let sheet = sheet(&costs, Held { head: &head, rows: target }, how);
        let told = sheet.rates.iter().map(|it| {
            let rate = it.terms.map_or("closed".to_owned(), |terms| terms.rate.to_string());
            let day = it.effective.unwrap().to_string();
            (it.prefix.clone(), rate, day.get(8..10).unwrap_or_default().to_owned())
        });
        told.collect()
    }

    fn line(code: &str, rate: &str, day: &str) -> (String, String, String) {
        (code.into(), rate.into(), day.into())
    }

    #[test]
    fn a_rate_is_the_dearest_cost_and_the_margin_rounded_up() {
        let one =
            rows(json!([{"prefix": "44", "rate": "0.0100"}, {"prefix": "4420", "rate": "0.02"}]));
        let other = rows(json!([
            {"prefix": "44", "rate": "0.0002", "unit_s": 1}, {"prefix": "39", "rate": "0.00333"},
            {"prefix": "7", "rate": "9", "origin": "49"}, {"prefix": "8", "rate": "1", "locked": true},
        ]));
        let expected =
            [line("39", "0.005", "01"), line("44", "0.0154", "01"), line("4420", "0.025", "01")];
        assert_eq!(told(&[&one, &other], &Rows::default(), &selling()), expected);
    }

    #[test]
    fn what_is_dearer_waits_for_the_notice_and_what_is_not_holds_at_once() {
        let cost = rows(json!([
            {"prefix": "1", "rate": "1"}, {"prefix": "2", "rate": "1"}, {"prefix": "33", "rate": "1"},
            // A cost that rises within the notice is the cost.
            {"prefix": "4", "rate": "1"}, {"prefix": "4", "rate": "2", "effective": "2026-12-05T00:00:00Z"},
        ]));
        let target = rows(json!([
            {"prefix": "1", "rate": "1.1"}, {"prefix": "2", "rate": "1.3"}, {"prefix": "3", "rate": "0.5"},
            {"prefix": "2", "rate": "9", "effective": "2026-12-20T00:00:00Z"}, {"prefix": "5", "rate": "1"},
        ]));
        let mut how = Selling { margin: Money::ZERO, ..selling() };
        let expected = [
            line("1", "1.20", "08"),
            line("2", "1.20", "01"),
            line("2", "1.20", "20"),
            // Whoever calls there paid by 3.
            line("33", "1.20", "08"),
            line("4", "2.40", "01"),
        ];
        assert_eq!(told(&[&cost], &target, &how), expected);
        how.close = true;
        let closed = [line("3", "closed", "08"), line("5", "closed", "08")];
        assert_eq!(told(&[&cost], &target, &how)[5..], closed);
    }

    proptest! {
        #[test]
        fn the_same_costs_again_change_nothing_and_no_rate_is_below_its_cost(
            costs in proptest::collection::btree_map("[0-9]{1,4}", 0_i64..5_000_000_000, 1..30),
            sold in proptest::collection::btree_map("[0-9]{1,4}", 0_i64..5_000_000_000, 0..30),
            (percent, decimals, close) in (0_i64..100, 0_u32..7, any::<bool>()),
        ) {
            let rows = |rates: &BTreeMap<String, i64>| -> Rows {
                let row = |(prefix, rate): (&String, &i64)| {
                    let rate = Money::from_billionths(*rate).to_string();
                    let row: RateRow = serde_json::from_value(json!({"prefix": prefix, "rate": rate})).unwrap();
                    (row.key(), row)
                };
                rates.iter().map(row).collect()
            };
            let (cost, mut target, head) = (rows(&costs), rows(&sold), head());
            let margin_percent = Money::from_billionths(percent * 1_000_000_000);
            let how = Selling { margin_percent, decimals, close, ..selling() };
            let costs = [Held { head: &head, rows: &cost }];
            for round in 0..2 {
                let held = Held { head: &head, rows: &target };
                let mut made = sheet(&costs, held, &how);
                let plan = compare(&mut made, held, Mode::Add, how.at);
                if round > 0 {
                    prop_assert!(plan.rows.is_empty() && plan.gone.is_empty(), "{:?}", plan);
                }
                for key in plan.gone {
                    target.remove(&key);
                }
                target.extend(plan.rows.into_iter().map(|row| (row.key(), row)));
            }
            let after = prices(Held { head: &head, rows: &target }, how.notice);
            for (code, price) in prices(costs[0], how.at) {
                prop_assert!(super::price(&after, code).unwrap() >= price, "{}", code);
            }
        }
    }
}
