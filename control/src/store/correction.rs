//! What was set right of a stored record: never in its row, always beside it, with who, when and why.

use link::Instant;
use rating::{Money, MoneyFault, Stretch, Terms};

use super::LedgerEntry;

/// What a call costs each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// The customer's charge.
    pub charge: Money,
    /// Tax on it.
    pub tax: Money,
    /// The vendor's charge.
    pub vendor_charge: Money,
    /// Tax on it.
    pub vendor_tax: Money,
    /// Seconds billed to the customer.
    pub billed_s: u64,
    /// Seconds that the vendor bills.
    pub vendor_billed_s: u64,
}

/// What both sides' charges follow from; none: from nothing that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BothTerms {
    /// The customer's.
    pub customer: Option<Terms>,
    /// The vendor's.
    pub vendor: Option<Terms>,
}

impl BothTerms {
    /// These, and where there are none, those.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self { customer: self.customer.or(others.customer), vendor: self.vendor.or(others.vendor) }
    }
}

impl Amounts {
    /// What the customer's balance falls by.
    ///
    /// # Errors
    /// When it is too large to be money.
    pub fn customer(&self) -> Result<Money, MoneyFault> {
        self.charge.plus(self.tax)
    }

    /// What the vendor's balance falls by.
    ///
    /// # Errors
    /// When it is too large to be money.
    pub fn vendor(&self) -> Result<Money, MoneyFault> {
        self.vendor_charge.plus(self.vendor_tax)
    }
}

/// Complete records, as one look at the store found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// When the look began.
    pub at: Instant,
    /// What it found.
    pub records: Vec<Charged>,
    /// Where the next one goes on.
    pub next: Option<String>,
}

/// What a complete record was charged at its end, as it is stored, and what was set right of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Which record.
    pub id: [u64; 2],
    /// When the INVITE came, µs since 1970 UTC.
    pub started_us: u64,
    /// Who called, as billed.
    pub caller: String,
    /// Who was called, as billed.
    pub callee: String,
    /// What the customer's rate was looked up by before that; empty: nothing.
    pub billing_prefix: String,
    /// Talk time that the customer is charged for.
    pub charged_ms: u64,
    /// Of the seconds billed to the customer those that packages paid for.
    pub covered: Vec<Stretch>,
    /// Talk time that the vendor charges.
    pub vendor_hold_ms: u64,
    /// Who pays; 0: nobody.
    pub customer: u32,
    /// Who is paid; 0: nobody.
    pub vendor: u32,
    /// Who earns on it; 0: nobody.
    pub agent: u32,
    /// What it cost at its end.
    pub amounts: Amounts,
    /// What that follows from.
    pub terms: BothTerms,
    /// What was set right since, the first first.
    pub corrected: Vec<Corrected>,
}

/// One correction of a record, and the entries that move its balances, durable together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// Which record.
    pub id: [u64; 2],
    /// Tells it from other corrections of the record.
    pub request_id: String,
    /// When, µs since 1970 UTC.
    pub at_us: u64,
    /// By whom.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Who pays.
    pub customer: u32,
    /// Who is paid.
    pub vendor: u32,
    /// Who earns on it; 0: nobody.
    pub agent: u32,
    /// What the call cost before it.
    pub old: Amounts,
    /// What it costs since.
    pub new: Amounts,
    /// What that follows from, where it was rated anew.
    pub terms: BothTerms,
    /// One for each side whose amount changed.
    pub entries: Vec<LedgerEntry>,
}

/// What the next correction of the record goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    /// Tells it from other corrections of the record.
    pub request_id: String,
    /// What the call cost before it.
    pub old: Amounts,
    /// What it costs since.
    pub new: Amounts,
    /// What that follows from, where it was rated anew.
    pub terms: BothTerms,
}

impl Correction {
    /// What the next one goes by.
    #[must_use]
    pub fn corrected(&self) -> Corrected {
        let Self { ref request_id, old, new, terms, .. } = *self;
        Corrected { request_id: request_id.clone(), old, new, terms }
    }
}
