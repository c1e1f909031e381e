//! What the API shows of a vendor's rate sheet.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Decimal, Moment};
use crate::sheet::diff::Difference;

/// What a sheet says, what it changes and who would lose money by it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SheetReport {
    /// The tariff.
    pub tariff: String,
    /// By which mapping it was read.
    pub mapping: String,
    /// `add` or `replace`.
    pub mode: String,
    /// From when on lines hold that say nothing, or something earlier.
    pub at: Moment,
    /// Whether the tariff was changed.
    pub taken: bool,
    /// Lines that say something.
    pub lines: usize,
    /// Codes that could be read of them.
    pub codes: usize,
    /// Codes that had no rate.
    pub new: usize,
    /// Codes that cost more than the tariff says for their instant.
    pub increased: usize,
    /// Codes that cost less.
    pub decreased: usize,
    /// Codes that cost the same, in other steps or with another fee.
    pub changed: usize,
    /// Codes that are served no more.
    pub closed: usize,
    /// Codes that are as they were.
    pub unchanged: usize,
    /// Codes that are said again, or by a later line from before `at`.
    pub duplicate: usize,
    /// Codes that are not in the sheet, and end (`replace`).
    pub ended: usize,
    /// Rates that are put or changed in the tariff.
    pub rates_put: usize,
    /// Rates that were to come, and do not.
    pub rates_gone: usize,
    /// Lines that are wrong.
    pub wrong: usize,
    /// Lines with more decimals than a tariff keeps.
    pub rounding: usize,
    /// Codes of which the line says that they fare otherwise than they do.
    pub contradicting: usize,
    /// Those lines, the first thousand.
    pub remarks: Vec<RemarkShown>,
    /// Tariffs that calls would be sold by below their cost.
    pub losing: Vec<SaleShown>,
    /// How many prefixes of them, together.
    pub losses: usize,
    /// Those prefixes, the first thousand.
    pub loss: Vec<LossShown>,
    /// Tariffs that calls are sold by in another currency: they were not compared.
    pub sales_elsewhere: usize,
}

/// A line of which something is to be said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RemarkShown {
    /// Its number, from 1 on.
    pub line: u32,
    /// `wrong`, `rounds` or `status`.
    pub kind: &'static str,
    /// What, and what to do.
    pub why: String,
}

/// A tariff that calls would be sold by below their cost.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SaleShown {
    /// The tariff.
    pub tariff: String,
    /// Accounts that it is sold to, the first ten.
    pub customers: Vec<String>,
    /// How many they are.
    pub customers_all: usize,
    /// How many prefixes.
    pub prefixes: usize,
}

/// A prefix that would be sold below its cost.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LossShown {
    /// By this tariff.
    pub tariff: String,
    /// The prefix.
    pub prefix: String,
    /// The line of the sheet that says the cost.
    pub line: u32,
    /// From when on.
    pub from: Moment,
    /// What is taken for it, per `unit_s`.
    pub sold: Decimal,
    /// Seconds that `sold` pays for.
    pub unit_s: u32,
    /// What is paid for it, per minute.
    pub cost: Decimal,
}

/// What a tariff made of costs has of them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GenerateReport {
    /// The tariff.
    pub tariff: String,
    /// From when on rates hold that are new or not higher.
    pub at: Moment,
    /// From when on higher ones hold, and codes are closed.
    pub notice: Moment,
    /// Whether the tariff was changed.
    pub taken: bool,
    /// Codes of the sheet, once for each instant.
    pub codes: usize,
    /// Codes that had no rate.
    pub new: usize,
    /// Codes that cost more.
    pub increased: usize,
    /// Codes that cost less.
    pub decreased: usize,
    /// Codes that cost the same, in other steps or with another fee.
    pub changed: usize,
    /// Codes that are served no more.
    pub closed: usize,
    /// Codes that are as they were.
    pub unchanged: usize,
    /// Rates that are put or changed in the tariff.
    pub rates_put: usize,
    /// Rates that were to come, and do not.
    pub rates_gone: usize,
}

/// A rate that differs between two versions of prices.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RateDifference {
    /// Callee prefix.
    pub prefix: String,
    /// For whose calls.
    pub origin: String,
    /// At which hours.
    pub period: String,
    /// `new`, `increase`, `decrease`, `changed` or `closed`.
    pub change: &'static str,
    /// The rate before; null: there was none.
    pub old_rate: Option<Decimal>,
    /// The rate after; null: there is none.
    pub rate: Option<Decimal>,
    /// Seconds that they pay for, where the row says so.
    pub unit_s: Option<u32>,
    /// From when on the rate after holds; null: ever, or it is closed.
    pub effective: Option<Moment>,
    /// Nobody may call there.
    pub locked: bool,
}

impl RateDifference {
    /// As it is told.
    #[must_use]
    pub fn of(it: &Difference) -> Self {
        let (prefix, origin, period) = it.key();
        let new = it.new.as_ref();
        Self {
            prefix: prefix.to_owned(),
            origin: origin.to_owned(),
            period: period.to_owned(),
            change: it.fares.name(),
            old_rate: it.old.as_ref().map(|row| row.rate.into()),
            rate: new.map(|row| row.rate.into()),
            unit_s: new.or(it.old.as_ref()).and_then(|row| row.unit_s),
            effective: new.and_then(|row| row.effective).map(|at| Moment::at(at.0)),
            locked: new.is_some_and(|row| row.locked),
        }
    }
}
