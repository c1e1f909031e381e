//! Who would be sold calls below what they cost by a sheet.
//!
//! Per minute alone: no fee, no section, no step, no tax. A code is compared with the price that a tariff of customers
//! has for it, and so is each longer prefix of that tariff which the vendor has no longer code for. Which vendor a call
//! really takes is another question, so a loss is one that *may* be.

use std::collections::HashMap;
use std::sync::Arc;

use rating::tariff::Asked;
use rating::{Money, Tariff};

use super::{Sheet, SheetRate};
use crate::state::moment::When;
use crate::state::rate_rows::RateRows;

/// Losses that are told; all are counted.
pub const TOLD_MAX: usize = 1_000;

/// A tariff that calls are sold by.
#[derive(Clone, Debug)]
pub struct Sale {
    /// Its name.
    pub tariff: String,
    /// Accounts that it is sold to, some of them.
    pub customers: Vec<String>,
    /// How many they are.
    pub customers_all: usize,
    /// Its prices.
    pub prices: Arc<Tariff>,
    /// Its rows by their keys.
    pub rows: Arc<RateRows>,
}

/// A prefix that would be sold below its cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// By the tariff of this place in the list.
    pub sale: usize,
    /// The prefix.
    pub prefix: String,
    /// The line of the sheet that says the cost.
    pub line: u32,
    /// From when on.
    pub from: When,
    /// Money that is taken for `sold_unit_s`.
    pub sold: Money,
    /// Seconds that it is taken for.
    pub sold_unit_s: u32,
    /// Money that is paid per minute.
    pub cost: Money,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The first [`TOLD_MAX`].
    pub told: Vec<Loss>,
    /// How many prefixes each tariff of the list would lose by.
    pub by_sale: Vec<usize>,
}

/// Finds them. `bought` as in [`super::compare::Plan`], `held` are the rows of the vendor's tariff.
#[must_use]
pub fn find(sheet: &Sheet, bought: &[(usize, When)], held: &RateRows, sales: &[Sale]) -> Losses {
    let mut costs: HashMap<&str, Vec<(&SheetRate, When)>> = HashMap::new();
    for (place, from) in bought {
        if let Some(rate) = sheet.rates.get(*place) {
            costs.entry(&rate.prefix).or_default().push((rate, *from));
        }
    }
    // A code that the vendor has beside the sheet costs what it did.
    for row in held.values() {
        costs.entry(&row.prefix).or_default();
    }
    let mut losses = Losses { told: Vec::new(), by_sale: vec![0; sales.len()] };
    for (number, sale) in sales.iter().enumerate() {
        for (place, from) in bought {
            if let Some(rate) = sheet.rates.get(*place) {
                losses.look(number, sale, &rate.prefix, rate, *from);
            }
        }
        let mut last = "";
        for row in sale.rows.values() {
            if row.prefix == last || costs.contains_key(row.prefix.as_str()) {
                continue;
            }
            last = &row.prefix;
            let shorter = (0..row.prefix.len()).rev().filter_map(|end| row.prefix.get(..end));
            let found = shorter.into_iter().find_map(|prefix| costs.get(prefix));
            for (rate, from) in found.into_iter().flatten() {
                losses.look(number, sale, &row.prefix, rate, *from);
            }
        }
    }
    losses
}

impl Losses {
    fn look(&mut self, number: usize, sale: &Sale, prefix: &str, rate: &SheetRate, from: When) {
        let Some(terms) = rate.terms else { return };
        // Nobody's number begins with nothing, so this is what all others pay.
        let asked = Asked { callee: prefix.as_bytes(), caller: Some(b""), at_us: from.0 };
        let Some(price) = sale.prices.price(&asked).filter(|price| !price.locked) else { return };
        let (sold, unit_s) = (price.rate, price.unit_s);
        let per_minute = i128::from(sold.billionths()) * 60;
        if per_minute >= i128::from(terms.rate.billionths()) * i128::from(unit_s) {
            return;
        }
        if let Some(count) = self.by_sale.get_mut(number) {
            *count += 1;
        }
        if self.told.len() < TOLD_MAX {
            self.told.push(Loss {
                sale: number,
                prefix: prefix.to_owned(),
                line: rate.line,
                from,
                sold,
                sold_unit_s: unit_s,
                cost: terms.rate,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use rating::tariff::Row;
    use rating::{Calendar, Price};
    use serde_json::json;

    use super::*;
    use crate::sheet;
    use crate::sheet::compare::{Held, Mode, compare};
    use crate::state::entity::{RateRow, SheetMapping, TariffHead};

    fn row(prefix: &str, rate: &str, unit_s: u32) -> RateRow {
        serde_json::from_value(json!({"prefix": prefix, "rate": rate, "unit_s": unit_s})).unwrap()
    }

    fn keyed(rows: &[RateRow]) -> RateRows {
        rows.iter().map(|row| (row.key(), row.clone())).collect()
    }

    fn sale(rows: &[RateRow], locked: &str) -> Sale {
        let price = |row: &RateRow| Price {
            unit_s: row.unit_s.unwrap(),
            locked: row.prefix == locked,
            ..sheet::tests::price(row.rate)
        };
        let built = rows.iter().map(|row| Row::always(row.prefix.clone(), price(row)));
        Sale {
            tariff: "sell".into(),
            customers: vec!["customer".into()],
            customers_all: 1,
            prices: Arc::new(Tariff::build(built, Calendar::default())),
            rows: Arc::new(keyed(rows)),
        }
    }

    #[test]
    fn a_prefix_sold_below_its_cost_is_found_from_both_sides() {
        let mapping: SheetMapping = serde_json::from_value(
            json!({"name": "m", "account": "v", "code": "Code", "rate": "Rate"}),
        )
        .unwrap();
        let text = "Code,Rate\n44,0.06\n4420,0.02\n33,0.05\n39,0.1\n7,0.1\n49,0.1\n";
        let mut sheet = sheet::read(text.as_bytes(), &mapping).unwrap();
        let head: TariffHead = serde_json::from_value(json!({"name": "buy"})).unwrap();
        let held = keyed(&[row("44", "0.01", 60), row("4477", "0.01", 60)]);
        let at = When(1_000_000);
        let plan = compare(&mut sheet, Held { head: &head, rows: &held }, Mode::Add, at);
        let sales = [sale(
            &[
                row("44", "0.05", 60),
                row("4471", "0.055", 60),
                row("4477", "0.02", 60),
                row("44200", "0.02", 60),
                row("3", "0.001", 1),
                row("39", "0.001", 1),
                row("7", "0.01", 60),
            ],
            "7",
        )];
        let losses = find(&sheet, &plan.bought, &held, &sales);
        let mut told: Vec<(&str, u32)> =
            losses.told.iter().map(|loss| (loss.prefix.as_str(), loss.line)).collect();
        told.sort_unstable();
        // 4477 costs what it did, 33 is sold at 0.06 a minute, nobody may call 7, and nobody sells 49.
        assert_eq!(told, [("39", 5), ("44", 2), ("4471", 2)]);
        assert_eq!(losses.by_sale, [3]);
    }
}
