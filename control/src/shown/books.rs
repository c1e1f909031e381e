//! What the API shows of money: bookings, entries, statements, and whether the books agree.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Decimal, Moment};

/// What was booked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BookedShown {
    /// The balance when it was booked.
    pub balance: Decimal,
    /// The request id was booked before; nothing moved.
    pub repeated: bool,
}

/// What a stored call costs since it was set right.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CorrectedShown {
    /// The customer's charge.
    pub charge: Decimal,
    /// Tax on it.
    pub tax: Decimal,
    /// The vendor's charge.
    pub vendor_charge: Decimal,
    /// Tax on it.
    pub vendor_tax: Decimal,
    /// The request id set it right before; nothing moved.
    pub repeated: bool,
}

/// What a page of records costs by today's tariffs.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct RerateShown {
    /// Nothing was changed.
    pub dry_run: bool,
    /// How many records the page has.
    pub records: u64,
    /// Of these: cost something else.
    pub changed: u64,
    /// Cost what they did.
    pub unchanged: u64,
    /// Were rated anew by this request id before.
    pub repeated: u64,
    /// Were set right by hand, and left so.
    pub kept: u64,
    /// Have no rate now, and were left so.
    pub unrated: u64,
    /// Cannot be set right.
    pub failed: u64,
    /// What the page cost each account before, and after, tax included.
    pub sums: Vec<RerateSumShown>,
    /// Records that changed, were kept, have no rate or failed.
    pub items: Vec<ReratedShown>,
    /// Where the next page goes on.
    pub next: Option<String>,
}

/// What records cost an account.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RerateSumShown {
    /// Whose; empty: it is deleted.
    pub account: String,
    /// `customer` or `vendor`.
    pub side: &'static str,
    /// ISO 4217.
    pub currency: String,
    /// Before; null: more than an amount can be.
    pub before: Option<Decimal>,
    /// After.
    pub after: Option<Decimal>,
}

/// A record that is rated anew.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReratedShown {
    /// The record.
    pub id: String,
    /// `changed`, `kept`, `unrated` or `failed`.
    pub what: &'static str,
    /// Who pays.
    pub account: String,
    /// Who is paid.
    pub vendor_account: String,
    /// Callee as billed.
    pub callee_billed: String,
    /// Seconds billed to the customer before.
    pub old_billed_s: u64,
    /// And after.
    pub billed_s: u64,
    /// The customer's charge before.
    pub old_charge: Decimal,
    /// And after.
    pub charge: Decimal,
    /// `rate/unit` of the customer, after.
    pub rate: Option<String>,
    /// The vendor's charge before.
    pub old_vendor_charge: Decimal,
    /// And after.
    pub vendor_charge: Decimal,
    /// `rate/unit` of the vendor, after.
    pub vendor_rate: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What was set right of a stored call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CorrectionShown {
    /// When.
    pub at: Moment,
    /// By whom.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Tells it from others of the record.
    pub request_id: String,
    /// The customer's charge before.
    pub old_charge: Decimal,
    /// Tax on it.
    pub old_tax: Decimal,
    /// The customer's charge since.
    pub charge: Decimal,
    /// Tax on it.
    pub tax: Decimal,
    /// The vendor's charge before.
    pub old_vendor_charge: Decimal,
    /// Tax on it.
    pub old_vendor_tax: Decimal,
    /// The vendor's charge since.
    pub vendor_charge: Decimal,
    /// Tax on it.
    pub vendor_tax: Decimal,
}

/// One entry of a balance.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LedgerShown {
    /// When.
    pub at: Moment,
    /// `payment`, `charge`, `refund`, `correction`, `rent`, `package` or `income`.
    pub kind: String,
    /// Negative takes away.
    pub amount: Decimal,
    /// The balance after it.
    pub balance: Decimal,
    /// What moved the other way: `cash`, `settled`, `revenue`, `cost`, `correction`, `subscriptions` or `agents`.
    pub counter: String,
    /// A request id, or the record and the side charged.
    pub reference: String,
    /// Who booked it; empty: the switch.
    pub who: String,
    /// For people.
    pub memo: String,
}

/// What moved a balance in a time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatementShown {
    /// Whose.
    pub account: String,
    /// ISO 4217.
    pub currency: String,
    /// Since when; null: ever.
    pub from: Option<Moment>,
    /// Before when; null: now.
    pub to: Option<Moment>,
    /// The balance then.
    pub opening: Decimal,
    /// What came between, by kind.
    pub payments: Decimal,
    /// Negative.
    pub charges: Decimal,
    /// Negative.
    pub refunds: Decimal,
    /// Either.
    pub corrections: Decimal,
    /// Negative: periods of subscriptions.
    pub rents: Decimal,
    /// Negative: what calls cost less than packages ask for.
    pub packages: Decimal,
    /// Either: what an agent earned on calls.
    pub incomes: Decimal,
    /// How many entries.
    pub entries: u64,
    /// The balance in the end.
    pub closing: Decimal,
}

/// Whether the books agree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditShown {
    /// No difference was found.
    pub agrees: bool,
    /// How many accounts have entries.
    pub accounts: usize,
    /// How many entries.
    pub entries: u64,
    /// The other side of all entries, by currency. With the balances they add up to zero.
    pub counters: Vec<CounterShown>,
    /// What differs.
    pub differences: Vec<DifferenceShown>,
}

/// A counter-account.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CounterShown {
    /// ISO 4217; empty: of accounts that are deleted.
    pub currency: String,
    /// Which: `balances` is all accounts together.
    pub counter: String,
    /// How much is on it; null: more than an amount can be.
    pub amount: Option<Decimal>,
}

/// Two numbers that should be one.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DifferenceShown {
    /// Whose; `#` and its number: deleted; empty: nobody's.
    pub account: String,
    /// `balance`: as held now. `chain`: in the last entry. `sold`, `bought`: charges of records. `one-sided`:
    /// entries without a counter-account.
    pub what: String,
    /// By the entries.
    pub entries: Decimal,
    /// By the other book.
    pub other: Decimal,
}
