//! Invoices, as they are told and asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Decimal, Moment};
use crate::invoice::{Document, Kept, Paper};

/// A document without its lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InvoiceRow {
    /// Its number; of a draft `draft-` and a number of its own.
    pub name: String,
    /// `draft`, `issued`, `paid` or `cancelled`.
    pub state: &'static str,
    /// What it is.
    pub paper: Paper,
    /// Of a note: the number of what it sets right.
    pub of: String,
    /// The account's name when it was made.
    pub account: String,
    /// ISO 4217.
    pub currency: String,
    /// First day, in the account's zone.
    pub from: String,
    /// First day that is not in it any more.
    pub to: String,
    /// The day that it was issued; empty: it was not.
    pub issued: String,
    /// Until when it is to be paid.
    pub due: String,
    /// What it comes to.
    pub total: Decimal,
    /// What its notes come to.
    pub set_right: Decimal,
    /// What was paid of it.
    pub paid: Decimal,
    /// What is still to be paid; negative: to be paid back.
    pub open: Decimal,
    /// Whether something is open and it is past `due`.
    pub overdue: bool,
    /// When it was sent last.
    pub sent: Option<Moment>,
    /// To whom.
    pub sent_to: String,
    /// SHA-256 of the document as compact JSON; empty: it is not sealed yet.
    pub sha256: String,
}

/// A document, and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InvoiceShown {
    /// What became of it.
    #[serde(flatten)]
    pub row: InvoiceRow,
    /// What is sealed.
    pub document: Document,
}

impl InvoiceShown {
    /// From what is stored, at a moment (µs since 1970 UTC).
    #[must_use]
    pub fn new(kept: &Kept, document: Document, now_us: u64) -> Self {
        let Kept { head, .. } = kept;
        let standing = &head.standing;
        let row = InvoiceRow {
            name: head.name.clone(),
            state: head.state(),
            paper: head.paper,
            of: document.of.clone(),
            account: document.account.clone(),
            currency: document.currency.clone(),
            from: document.from.clone(),
            to: document.to.clone(),
            issued: document.issued.clone(),
            due: document.due.clone(),
            total: head.total.into(),
            set_right: standing.set_right.into(),
            paid: standing.paid.into(),
            open: head.open().into(),
            overdue: head.paper == Paper::Invoice
                && head.state() == "issued"
                && now_us >= standing.due_us,
            sent: (standing.sent_us > 0).then(|| Moment::at(standing.sent_us)),
            sent_to: standing.sent_to.clone(),
            sha256: standing.sha256.clone(),
        };
        Self { row, document }
    }
}

/// What is to be invoiced.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvoice {
    /// Whose calls.
    pub account: String,
    /// A month of the account's zone, `2026-01`; or `from` and `to`.
    #[serde(default)]
    pub month: String,
    /// First day, in the account's zone.
    #[serde(default)]
    pub from: String,
    /// First day that is not in it any more.
    #[serde(default)]
    pub to: String,
    /// Digits that tell destinations apart; 0: their country codes.
    #[serde(default)]
    pub area_digits: u8,
}

/// Money for an invoice.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvoicePayment {
    /// How much; empty: all that is open.
    #[serde(default)]
    pub amount: String,
    /// Tells this payment from others of the account: the same one books once.
    pub request_id: String,
    /// For people.
    #[serde(default)]
    pub memo: String,
    /// It was paid before, as prepaid accounts do: nothing is booked, the invoice is paid from what is there.
    #[serde(default)]
    pub from_balance: bool,
}

/// Why a note is made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// For people.
    pub reason: String,
    /// It takes back all of the invoice, whose time can be invoiced again then.
    #[serde(default)]
    pub whole: bool,
}

/// To whom a document goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSending {
    /// An address; empty: the account's `email`.
    #[serde(default)]
    pub to: String,
}
