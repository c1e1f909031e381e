//! Invoices: what the calls and rents of a time come to, sealed once it has a number, and set right by notes.
//!
//! A document moves no money: charges did that when calls ended, payments do. It says what they add up to. Once issued it
//! never changes; what the records of its time cost by then that they did not cost before is the difference that a note
//! tells, whatever made it: corrections, a re-rate, an end that came late.
//!
//! Lines are exact. The total is rounded once, and says by how much, so the totals of a document and its notes are
//! always the rounded sum of their records.

pub mod mail;
pub mod paper;

use std::collections::BTreeMap;

use rating::{Money, MoneyFault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::shown::Decimal;
use crate::state::entity;
pub use crate::state::word::{LineOf, Paper};

/// One line: the calls to a destination, or what a package cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// `calls`; `rent` of packages; `package`: what calls cost less than it asks for.
    pub what: LineOf,
    /// Of calls the first digits of their numbers, empty: no such number; else what the ledger says.
    pub destination: String,
    /// Of calls the country of those digits; empty: none, or no calls.
    #[serde(default)]
    pub country: String,
    /// Answered calls, or entries. A note has what changed, so any of these may be negative.
    pub count: i64,
    /// Billed seconds.
    pub billed_s: i64,
    /// What they cost without tax, exact.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    pub amount: Money,
    /// Their tax, exact.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    pub tax: Money,
}

/// What is read of the store for a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billed {
    /// The account's number.
    pub account: u32,
    /// First day, in the account's zone.
    pub from: String,
    /// First day that is not in it any more.
    pub to: String,
    /// The same, µs since 1970 UTC.
    pub from_us: u64,
    /// And this.
    pub to_us: u64,
    /// Digits that tell destinations apart; 0: their country codes.
    pub area_digits: u8,
    /// What it comes to.
    pub lines: Vec<Line>,
}

/// A document, as it is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Its number; empty: a draft has none.
    pub number: String,
    /// `invoice`, `credit_note` (it takes back) or `debit_note` (it adds).
    pub paper: Paper,
    /// Of a note: the number of what it sets right.
    pub of: String,
    /// Why, as somebody said of a note.
    pub reason: String,
    /// The account's name.
    pub account: String,
    /// Who bills: a line each (`TG_INVOICE_SELLER`).
    pub seller: Vec<String>,
    /// Who is billed, likewise (`bill_to` of the account).
    pub bill_to: Vec<String>,
    /// ISO 4217.
    pub currency: String,
    /// IANA name of the zone whose days are meant.
    pub time_zone: String,
    /// First day, `2026-01-01`.
    pub from: String,
    /// First day that is not in it any more.
    pub to: String,
    /// Digits that tell destinations apart; 0: their country codes.
    pub area_digits: u8,
    /// The day that it was issued; empty: it was not.
    pub issued: String,
    /// The day until which it is to be paid; of a draft as if it was issued on the first day after its time.
    pub due: String,
    /// Whither calls went, then rents.
    pub lines: Vec<Line>,
    /// The sum of all lines, exact.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    pub amount: Money,
    /// The sum of their taxes, exact.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    pub tax: Money,
    /// What rounding to `TG_INVOICE_DIGITS` decimals adds.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    pub rounding: Money,
    /// `amount`, `tax` and `rounding`.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    pub total: Money,
}

/// What becomes of a document after it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// When it was issued, µs since 1970 UTC; 0: it is a draft.
    pub issued_us: u64,
    /// From when on it is overdue.
    pub due_us: u64,
    /// SHA-256 of the sealed document.
    pub sha256: String,
    /// When it was sent last; 0: never.
    pub sent_us: u64,
    /// To whom.
    pub sent_to: String,
    /// What was paid of it.
    #[serde(with = "entity::money")]
    pub paid: Money,
    /// What its notes come to.
    #[serde(with = "entity::money")]
    pub set_right: Money,
    /// A note took back all of it.
    pub is_cancelled: bool,
}

/// What is known of a document without its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Tells it from others, also before it has a number.
    pub id: u32,
    /// Its place in the one row of numbers; 0: a draft.
    pub number: u32,
    /// The number as it is written; of a draft `draft-` and its id.
    pub name: String,
    /// What it is.
    pub paper: Paper,
    /// Of a note: the id of what it sets right.
    pub of: u32,
    /// Whose.
    pub account: u32,
    /// Its time, µs since 1970 UTC.
    pub from_us: u64,
    /// The first moment behind it.
    pub to_us: u64,
    /// What it comes to.
    #[serde(with = "entity::money")]
    pub total: Money,
    /// What became of it.
    pub standing: Standing,
}

impl Head {
    /// What is still to be paid; negative: to be paid back.
    #[must_use]
    pub fn open(&self) -> Money {
        let Standing { paid, set_right, .. } = self.standing;
        let owed = self.total.plus(set_right).and_then(|owed| owed.minus(paid));
        owed.unwrap_or_default()
    }

    /// `draft`, `issued`, `paid` or `cancelled`. Notes are not paid: what they set right is.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            _ if self.number == 0 => "draft",
            _ if self.standing.is_cancelled => "cancelled",
            _ if self.paper == Paper::Invoice && self.open() <= Money::ZERO => "paid",
            _ => "issued",
        }
    }

    /// Whether it is a numbered invoice that holds for some of this time.
    #[must_use]
    pub fn covers(&self, from_us: u64, to_us: u64) -> bool {
        let holds = self.paper == Paper::Invoice && self.number > 0 && !self.standing.is_cancelled;
        holds && self.from_us < to_us && from_us < self.to_us
    }
}

/// A document and what is known of it, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What is known of it.
    pub head: Head,
    /// The document as JSON: what the seal is of.
    pub body: String,
}

/// The sum of amounts and of taxes.
///
/// # Errors
/// When it does not fit.
pub fn sums<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Result<(Money, Money), MoneyFault> {
    lines.into_iter().try_fold((Money::ZERO, Money::ZERO), |(amount, tax), line| {
        Ok((amount.plus(line.amount)?, tax.plus(line.tax)?))
    })
}

/// Lines that lead from what was billed to what there is now, the lines of `before` being those of a document and all its
/// notes. What did not change has none.
///
/// # Errors
/// When a sum does not fit.
pub fn difference(before: &[Line], now: &[Line]) -> Result<Vec<Line>, MoneyFault> {
    let mut by: BTreeMap<(u8, &str), Line> = BTreeMap::new();
    let mut add = |line: &'_ Line, key, is_now: bool| -> Result<(), MoneyFault> {
        let sum = by.entry(key).or_insert_with(|| Line {
            what: line.what,
            destination: line.destination.clone(),
            country: line.country.clone(),
            ..Line::default()
        });
        let count = |sum: i64, it: i64| {
            let sum = if is_now { sum.checked_add(it) } else { sum.checked_sub(it) };
            sum.ok_or(MoneyFault::Overflow)
        };
        let money = |sum: Money, it: Money| if is_now { sum.plus(it) } else { sum.minus(it) };
        sum.count = count(sum.count, line.count)?;
        sum.billed_s = count(sum.billed_s, line.billed_s)?;
        sum.amount = money(sum.amount, line.amount)?;
        sum.tax = money(sum.tax, line.tax)?;
        Ok(())
    };
    for (lines, is_now) in [(before, false), (now, true)] {
        for line in lines {
            add(line, (line.what as u8, line.destination.as_str()), is_now)?;
        }
    }
    let is_change = |line: &Line| {
        line.count != 0
            || line.billed_s != 0
            || line.amount != Money::ZERO
            || line.tax != Money::ZERO
    };
    Ok(by.into_values().filter(is_change).collect())
}

impl Document {
    /// Adds its lines up. `before`: exact sums and totals of what it sets right and of other notes to that; the total of a
    /// note is what makes all of them the rounded sum of their lines.
    ///
    /// # Errors
    /// When a sum does not fit.
    pub fn add_up(&mut self, digits: u8, before: (Money, Money)) -> Result<(), MoneyFault> {
        let (exact_before, total_before) = before;
        (self.amount, self.tax) = sums(&self.lines)?;
        let exact = self.amount.plus(self.tax)?;
        let total = exact_before.plus(exact)?.to_decimals(digits)?;
        self.total = total.minus(total_before)?;
        self.rounding = self.total.minus(exact)?;
        Ok(())
    }

    /// Its exact sum.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn exact(&self) -> Result<Money, MoneyFault> {
        self.amount.plus(self.tax)
    }

    /// The text that is sealed, and its SHA-256.
    #[must_use]
    pub fn seal(&self) -> (String, String) {
        // A document has no map with strange keys, so nothing of it cannot be written.
        let body = serde_json::to_string(self).unwrap_or_default();
        let sum = Sha256::digest(body.as_bytes());
        let sha256 = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        (body, sha256)
    }
}

#[cfg(test)]
mod tests;
