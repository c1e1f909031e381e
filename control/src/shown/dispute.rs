//! What the API shows of a vendor's call records beside ours.

use rating::Money;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Decimal, Moment, RemarkShown};
use crate::foreign::dispute::Sum;

/// Where a vendor's file and our records differ.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DisputeReport {
    /// The vendor's account.
    pub vendor_account: String,
    /// Its currency.
    pub currency: String,
    /// By which mapping the file was read.
    pub mapping: String,
    /// Calls that began not before.
    pub from: Moment,
    /// Calls that began before.
    pub to: Moment,
    /// How far apart starts of one call may be, ms.
    pub start_ms: u64,
    /// How far apart its durations may be, ms.
    pub duration_ms: u64,
    /// By how much its amounts may differ.
    pub amount: Decimal,
    /// Lines of the file that say something.
    pub lines: usize,
    /// Those of them that are wrong: they are in no class.
    pub wrong: usize,
    /// The first thousand of those.
    pub remarks: Vec<RemarkShown>,
    /// All calls by what became of them.
    pub classes: Vec<DisputeClassShown>,
    /// All calls of ours that are in a class.
    pub ours: DisputeSumShown,
    /// All calls of theirs.
    pub theirs: DisputeSumShown,
    /// What they ask for more than we owe: theirs less ours, of the classes but `outside`.
    pub disputed: Option<Decimal>,
    /// Calls that differ.
    pub differences: usize,
    /// The first of those, by time.
    pub items: Vec<DifferenceOfCallShown>,
}

/// Calls of both sides that fared alike.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DisputeClassShown {
    /// `matched`, `longer`, `shorter`, `dearer`, `cheaper`, `missing`, `extra`, `unanswered` or `outside`.
    pub class: &'static str,
    /// Ours.
    pub ours: DisputeSumShown,
    /// Theirs.
    pub theirs: DisputeSumShown,
}

/// Calls, added up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DisputeSumShown {
    /// How many.
    pub calls: u64,
    /// How long, ms.
    pub duration_ms: u64,
    /// What they cost without tax; null: more than money can say.
    pub amount: Option<Decimal>,
}

impl From<Sum> for DisputeSumShown {
    fn from(sum: Sum) -> Self {
        let Sum { calls, duration_ms, amount } = sum;
        Self { calls, duration_ms, amount: billionths(amount) }
    }
}

/// Money, if it is some.
#[must_use]
pub fn billionths(amount: i128) -> Option<Decimal> {
    i64::try_from(amount).ok().map(|it| Money::from_billionths(it).into())
}

/// A call that differs, or that one side alone tells.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DifferenceOfCallShown {
    /// As in `classes`.
    pub class: &'static str,
    /// Who was called.
    pub callee: String,
    /// The line of their file.
    pub line: Option<u32>,
    /// What they call it.
    pub record_id: String,
    /// Who called, as they say.
    pub caller: String,
    /// When it began, as they say.
    pub their_start: Option<Moment>,
    /// How long it was, as they say, ms.
    pub their_duration_ms: Option<u64>,
    /// What it costs, as they say.
    pub their_amount: Option<Decimal>,
    /// Our record.
    pub id: Option<String>,
    /// When it began, as we say.
    pub our_start: Option<Moment>,
    /// How long it was, as we say, ms.
    pub our_duration_ms: Option<u64>,
    /// What it costs, as we say.
    pub our_amount: Option<Decimal>,
    /// Theirs less ours.
    pub difference: Option<Decimal>,
}
