//! The books: every change of a balance is one entry with two sides, the account and its counter-account, by the
//! same amount and opposite signs. So the sum over all accounts and counter-accounts is zero, in each currency.
//!
//! An entry carries the balance after it, as the decision loop had it: whoever adds up the entries finds out
//! whether the loop did.

use rating::Money;

/// Why a balance moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// Money came from a customer, or went to a vendor.
    Payment,
    /// A call.
    Charge,
    /// Money went back where it came from.
    Refund,
    /// Somebody set right what was wrong.
    Correction,
    /// A period of a subscription.
    Rent,
    /// What calls cost less than a package asks for.
    Package,
    /// What an agent earns on a call.
    Income,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Payment,
        Self::Charge,
        Self::Refund,
        Self::Correction,
        Self::Rent,
        Self::Package,
        Self::Income,
    ];

    /// The word in ledgers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Correction => "correction",
            Self::Rent => "rent",
            Self::Package => "package",
            Self::Income => "income",
        }
    }

    /// From its word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The other side of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// What customers paid, less what they got back.
    Cash,
    /// What vendors were paid, less what they gave back.
    Settled,
    /// What customers' calls brought.
    Revenue,
    /// What vendors' calls cost.
    Cost,
    /// What was set right by hand.
    Correction,
    /// What subscriptions brought.
    Subscriptions,
    /// What agents earned.
    Agents,
}

impl Counter {
    /// Every counter-account.
    pub const ALL: [Self; 7] = [
        Self::Cash,
        Self::Settled,
        Self::Revenue,
        Self::Cost,
        Self::Correction,
        Self::Subscriptions,
        Self::Agents,
    ];

    /// The word in ledgers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Settled => "settled",
            Self::Revenue => "revenue",
            Self::Cost => "cost",
            Self::Correction => "correction",
            Self::Subscriptions => "subscriptions",
            Self::Agents => "agents",
        }
    }

    /// From its word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counter| counter.name() == name)
    }
}

/// Why a balance moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Whose.
    pub account: u32,
    /// When, µs since 1970 UTC.
    pub at_us: u64,
    /// Why.
    pub kind: EntryKind,
    /// Billionths; negative takes away.
    pub amount: i64,
    /// The balance after it, billionths.
    pub balance: i64,
    /// What moved the other way.
    pub counter: Counter,
    /// Unique for ever: a request id, or the record and the side charged.
    pub reference: String,
    /// Who booked it; empty: the switch.
    pub who: String,
    /// For people.
    pub memo: String,
}

/// What a request id booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Why.
    pub kind: EntryKind,
    /// How much.
    pub amount: Money,
    /// What the balance was then.
    pub balance: Money,
}

impl Booked {
    /// The account and the request id in the reference of an entry that somebody booked.
    #[must_use]
    pub fn request(reference: &str) -> Option<(u32, &str)> {
        let (kind, rest) = reference.split_once(':')?;
        // That of a record names the record.
        EntryKind::from_name(kind)?;
        let (account, request_id) = rest.split_once(':')?;
        Some((account.parse().ok()?, request_id))
    }

    /// [`Self::request`], the other way.
    #[must_use]
    pub fn reference(kind: EntryKind, account: u32, request_id: &str) -> String {
        format!("{}:{account}:{request_id}", kind.name())
    }
}

/// Which entries of an account are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerFilter {
    /// Whose.
    pub account: u32,
    /// Only these.
    pub kind: Option<EntryKind>,
    /// Not before, µs since 1970 UTC.
    pub from_us: i64,
    /// Before, µs since 1970 UTC.
    pub to_us: i64,
}

/// One kind of an account's entries of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSum {
    /// Why.
    pub kind: EntryKind,
    /// How many.
    pub entries: u64,
    /// Their sum.
    pub amount: Money,
}

/// What an account had before a time, and what moved it then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The sum of all entries before.
    pub opening: Money,
    /// By kind.
    pub sums: Vec<KindSum>,
}

/// The sum of entries of one account, kind and counter-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookSum {
    /// Whose.
    pub account: u32,
    /// [`EntryKind`] by its word, if it is one.
    pub kind: String,
    /// [`Counter`] by its word, if it is one.
    pub counter: String,
    /// How many.
    pub entries: u64,
    /// Their sum, billionths.
    pub amount: i64,
}

/// All books as they were at one moment, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Entries.
    pub sums: Vec<BookSum>,
    /// The balance in the last entry of each account.
    pub last: Vec<(u32, i64)>,
    /// What complete records charged each customer, billionths.
    pub sold: Vec<(u32, i64)>,
    /// What complete records charged for each vendor.
    pub bought: Vec<(u32, i64)>,
    /// What complete records brought each agent.
    pub earned: Vec<(u32, i64)>,
}
