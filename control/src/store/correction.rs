//! What was set right of a stored record: never in its row, always beside it, with who, when and why.

use rating::{Money, MoneyFault, Terms};

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

/// What a complete record was charged at its end, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Which record.
    pub id: [u64; 2],
    /// Who pays; 0: nobody.
    pub customer: u32,
    /// Who is paid; 0: nobody.
    pub vendor: u32,
    /// What it cost.
    pub amounts: Amounts,
    /// What the customer's charge follows from, and so the tax on it.
    pub terms: Option<Terms>,
    /// Likewise the vendor's.
    pub vendor_terms: Option<Terms>,
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
    /// What the call cost before it.
    pub old: Amounts,
    /// What it costs since.
    pub new: Amounts,
    /// One for each side whose amount changed.
    pub entries: Vec<LedgerEntry>,
}

/// What the loop remembers of a correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// Which record.
    pub id: [u64; 2],
    /// Tells it from other corrections of the record.
    pub request_id: String,
    /// What the call cost before it.
    pub old: Amounts,
    /// What it costs since.
    pub new: Amounts,
}

impl Correction {
    /// What the loop remembers of it.
    #[must_use]
    pub fn corrected(&self) -> Corrected {
        let Self { id, ref request_id, old, new, .. } = *self;
        Corrected { id, request_id: request_id.clone(), old, new }
    }
}
