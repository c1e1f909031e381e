//! What the API shows of another switch's call records, rated by our tariffs.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Decimal, Moment, RemarkShown};

/// How the fees of another switch stand to ours.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CompareReport {
    /// By which mapping the file was read.
    pub mapping: String,
    /// Lines of the file that say something.
    pub lines: usize,
    /// Those of them that are wrong: they are in no sum.
    pub wrong: usize,
    /// The first thousand of those.
    pub remarks: Vec<RemarkShown>,
    /// All calls by how their fee stands to ours, and by currency.
    pub verdicts: Vec<VerdictShown>,
    /// Calls that are not `equal`.
    pub differences: usize,
    /// The first of those, in the order of the file.
    pub items: Vec<ComparedShown>,
}

/// Calls whose fees differ alike.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerdictShown {
    /// `equal`, or why it is not; docs/operations.md.
    pub verdict: &'static str,
    /// The currency of the accounts; empty: there are none.
    pub currency: String,
    /// How many.
    pub calls: u64,
    /// What they took; null: more than money can say.
    pub theirs: Option<Decimal>,
    /// What our tariffs say.
    pub ours: Option<Decimal>,
}

/// A call whose fee differs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ComparedShown {
    /// As in `verdicts`.
    pub verdict: &'static str,
    /// What about it.
    pub why: String,
    /// The line of the file.
    pub line: u32,
    /// What they call the record.
    pub record_id: String,
    /// Who pays.
    pub payer: String,
    /// Who was called.
    pub callee: String,
    /// When it began.
    pub start: Moment,
    /// How long it was, ms.
    pub duration_ms: u64,
    /// What of the callee our rate is for.
    pub prefix: Option<String>,
    /// Our rate.
    pub rate: Option<String>,
    /// What they took.
    pub their_amount: Option<Decimal>,
    /// What our tariff says, without tax.
    pub our_amount: Option<Decimal>,
    /// Theirs less ours.
    pub difference: Option<Decimal>,
}
