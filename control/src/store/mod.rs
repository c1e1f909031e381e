//! What must survive: changes of state, CDRs, money. The store follows the decision loop.
//!
//! [`Store`] is the door to another database than SQLite. Changes arrive in order, are applied in groups,
//! and each group is durable before the loop hears of it; nothing that waited for durability (an
//! answer, a free slot, a reply) goes out before.

pub mod correction;
mod kept;
pub mod ledger;
pub mod spill;
pub mod sqlite;
pub mod writer;

use std::net::IpAddr;

use std::sync::Arc;

use guard::{Abuser, GeoSet, Habit, Scope, Suspension};
use link::CallRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::Agent;
use crate::cdr::Cdr;
use crate::foreign::dispute::Bought;
use crate::invoice::{Billed, Head, Kept, Line};
use crate::journal::Event;
use crate::package::{Cover, Standing};
use crate::page::Page;
use crate::report::{Asked, ReportShown};
use crate::resolve::Server;
use crate::shown::DayShown;
use crate::state::binding::Binding;
use crate::state::entity::{Entity, Kind, RateRow, StartIs};
use crate::state::imports::Entries;
pub use correction::{Amounts, BothTerms, Charged, Corrected, Correction, Looked};
pub use ledger::{Booked, Books, LedgerEntry, LedgerFilter, Statement};
pub use spill::Place;
pub use sqlite::archive::Archived;

/// One thing to make durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A document is this now.
    Put(Box<Entity>),
    /// A document is gone.
    Delete(Kind, u32),
    /// These rates are in a tariff; in place of all it had when `replace`.
    Rates {
        /// The tariff.
        tariff: u32,
        /// The rates.
        rows: Vec<RateRow>,
        /// Whether all others go.
        replace: bool,
    },
    /// This rate is gone.
    RateGone(u32, String),
    /// A geo set has these addresses now.
    GeoRanges(u32, #[serde(with = "kept::geo")] Arc<GeoSet>),
    /// An import of the deny list holds these now.
    ImportEntries(u32, #[serde(with = "kept::entries")] Arc<Entries>),
    /// A parameter has another value.
    Parameter(Box<ParameterChange>),
    /// A balance moved. A second entry with the same reference is ignored: it is the same one.
    Ledger(Box<LedgerEntry>),
    /// An owner can be reached so.
    Binding(u32, Box<Binding>),
    /// An owner can be reached by this contact no more.
    BindingGone(u32, String),
    /// An owner can be reached by no contact.
    BindingsGone(u32),
    /// A stored record costs something else. A second one with the same request id is ignored.
    Correction(Box<Correction>),
    /// How a subscription stands.
    Standing(Box<Standing>),
    /// What packages pay for of a call that goes on.
    Covered([u64; 2], Box<Cover>),
    /// An answered call whose end is not known yet.
    CdrStart(Box<Cdr>),
    /// A call with its end.
    CdrEnd(Box<Cdr>),
    /// An answered call whose end will never be known.
    CdrLost([u64; 2]),
    /// An invoice or note, in place of its draft.
    Invoice(Box<Kept>),
    /// What became of one.
    InvoiceStanding(Box<Head>),
    /// A draft that nobody wants.
    InvoiceGone(u32),
    /// A day is in its file: its table goes.
    DayArchived(Box<Archived>),
    /// The file of a day is gone, or goes next; when, µs since 1970 UTC.
    DayPurged(u32, u64),
    /// Calls go on, µs since the machine booted.
    Heartbeat(u64),
    /// An event.
    Event(Box<Event>),
    /// Where a vendor's name leads.
    Located(Box<Located>),
    /// Nobody uses this name any more.
    LocatedGone(String),
    /// Someone is shut out.
    Suspension(Box<SuspensionKept>),
    /// Someone is not shut out any more.
    SuspensionGone(u32),
    /// What an account calls where it is dear, and whether it is listed for that.
    Habit(Box<HabitKept>),
    /// Nothing is known of that any more.
    HabitGone(u32),
    /// Somebody logged in from there, µs since 1970 UTC.
    Regular(IpAddr, u64),
    /// Nobody has logged in from there for long.
    RegularGone(IpAddr),
    /// We registered at a vendor, or are about to.
    Registration(Box<Registration>),
    /// We are not registered at this gateway any more.
    RegistrationGone(u32),
}

/// The last good answer of DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The one spelling of the target.
    pub target: String,
    /// Where it leads.
    pub servers: Vec<Server>,
}

/// A registration of ours, with all that it takes to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The gateway, which may be gone.
    pub gateway: u32,
    /// Of the Call-ID, which stays (RFC 3261 §10.2.4).
    pub call_id: u64,
    /// The gateway's target at the time.
    pub target: String,
    /// Where the last REGISTER went.
    pub server: Server,
    /// As whom.
    pub user: String,
    /// In which domain.
    pub domain: String,
    /// The digest username.
    pub username: String,
    /// The digest password.
    pub password: String,
    /// Until when it was granted, µs since 1970 UTC; 0: it was not.
    pub until_us: u64,
}

/// Someone who is shut out, as lists and the store have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspensionKept {
    /// By which it is cleared.
    pub number: u32,
    /// [`guard::Kind`] by its name.
    pub scope: String,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// The source.
    pub source: Option<IpAddr>,
    /// The account.
    pub account: Option<u32>,
    /// Since when, µs since 1970 UTC.
    pub since_us: u64,
    /// Until when, µs since 1970 UTC.
    pub until_us: u64,
    /// What counted against it.
    pub failures: u32,
    /// How often lately.
    pub offences: u32,
    /// It tried numbers one after the other.
    pub in_sequence: bool,
}

impl SuspensionKept {
    /// What is kept of a suspension.
    #[must_use]
    pub fn new(number: u32, it: &Suspension) -> Self {
        Self {
            number,
            scope: it.scope.kind().name().to_owned(),
            endpoint: it.scope.endpoint().map(str::to_owned),
            source: it.scope.source(),
            account: it.scope.account(),
            since_us: it.since_us,
            until_us: it.until_us,
            failures: it.failures,
            offences: it.offences,
            in_sequence: it.in_sequence,
        }
    }

    /// The suspension. `None`: what is kept names nobody.
    #[must_use]
    pub fn suspension(self) -> Option<Suspension> {
        let kind = guard::Kind::ALL.into_iter().find(|kind| kind.name() == self.scope)?;
        let endpoint = self.endpoint.map(String::into_boxed_str);
        let scope = match kind {
            guard::Kind::Pair => Scope::Pair(endpoint?, self.source?),
            guard::Kind::Endpoint => Scope::Endpoint(endpoint?),
            guard::Kind::Source => Scope::Source(self.source?),
            guard::Kind::Sweep => Scope::Sweep(self.source?),
            guard::Kind::Account => Scope::Account(self.account?, self.source?),
        };
        let Self { since_us, until_us, failures, offences, in_sequence, .. } = self;
        Some(Suspension { scope, since_us, until_us, failures, offences, in_sequence })
    }
}

/// What an account calls where it is dear, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HabitKept {
    /// Which account.
    pub account: u32,
    /// Its last day, in days since 1970 UTC.
    pub day: u64,
    /// The busiest window of that day, and of the seven before it.
    pub peaks: [u32; 8],
    /// When it called last, µs since 1970 UTC.
    pub last_us: u64,
    /// If it is listed.
    pub listed: Option<ListedKept>,
}

/// What an account is listed for, as the store has it: [`guard::Abuser`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedKept {
    /// The prefix of the call that listed it.
    pub prefix: String,
    /// Since when, µs since 1970 UTC.
    pub since_us: u64,
    /// Until when, µs since 1970 UTC.
    pub until_us: u64,
    /// Calls within the window.
    pub calls: u32,
    /// How many are usual.
    pub usual: u32,
    /// Most calls within a window since.
    pub busiest: u32,
}

impl HabitKept {
    /// What is kept of it.
    #[must_use]
    pub fn new(it: &Habit) -> Self {
        let listed = |it: &Abuser| {
            let Abuser { since_us, until_us, calls, usual, busiest, .. } = *it;
            let prefix = it.prefix.clone().into();
            ListedKept { prefix, since_us, until_us, calls, usual, busiest }
        };
        let Habit { account, day, peaks, last_us, ref abuser } = *it;
        Self { account, day, peaks, last_us, listed: abuser.as_ref().map(listed) }
    }

    /// What it was kept of.
    #[must_use]
    pub fn habit(self) -> Habit {
        let Self { account, day, peaks, last_us, listed } = self;
        let abuser = listed.map(|it| {
            let ListedKept { prefix, since_us, until_us, calls, usual, busiest } = it;
            let prefix = prefix.into();
            Abuser { account, prefix, since_us, until_us, calls, usual, busiest }
        });
        Habit { account, day, peaks, last_us, abuser }
    }
}

/// What was done to a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterChange {
    /// When, µs since 1970 UTC.
    pub at_us: u64,
    /// By whom.
    pub who: String,
    /// Which.
    pub name: &'static str,
    /// What it was.
    pub old: String,
    /// What it is; `None`: its default again.
    pub new: Option<String>,
}

/// An answered call without an end.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Its record at the start.
    pub record: CallRecord,
    /// Who pays.
    pub customer: u32,
    /// Who is paid.
    pub vendor: u32,
    /// What packages pay for of it.
    pub cover: Cover,
    /// Who earns on it.
    pub agent: Option<Agent>,
}

/// What the loop begins with.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All documents.
    pub entities: Vec<Entity>,
    /// All rates, by tariff.
    pub rates: Vec<(u32, RateRow)>,
    /// Addresses of geo sets, by the number of their heads.
    pub geo: Vec<(u32, GeoSet)>,
    /// Entries of imports of the deny list, likewise.
    pub imports: Vec<(u32, Entries)>,
    /// All changed parameters.
    pub parameters: Vec<(String, String)>,
    /// Balances: the sum of each account's entries, in billionths.
    pub balances: Vec<(u32, i64)>,
    /// What calls cost accounts within their last day or so: account, quarter of an hour since 1970, billionths.
    pub spent: Vec<(u32, u64, i64)>,
    /// What people booked, by account and request id, so that a repeated request is told from a new one.
    pub booked: Vec<((u32, String), Booked)>,
    /// Where phones can be reached, by the number of their owner.
    pub bindings: Vec<(u32, Binding)>,
    /// Answered calls without an end.
    pub opened: Vec<Opened>,
    /// Invoices, drafts and notes.
    pub invoices: Vec<Head>,
    /// How subscriptions stand.
    pub standings: Vec<Standing>,
    /// When calls last went on, µs since the machine booted at that time; 0: never.
    pub heartbeat_us: u64,
    /// Where names of vendors led last.
    pub located: Vec<Located>,
    /// Registrations of ours that may stand.
    pub registrations: Vec<Registration>,
    /// Who was shut out.
    pub suspensions: Vec<SuspensionKept>,
    /// What accounts call where it is dear.
    pub habits: Vec<HabitKept>,
    /// Whence somebody logged in lately, and when.
    pub regulars: Vec<(IpAddr, u64)>,
    /// The highest id that anything stored names, of a deleted document too.
    pub ids_used: u32,
}

/// Why the store cannot.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {detail}; {hint}")]
pub struct Error {
    /// What was tried.
    pub what: String,
    /// What the database said.
    pub detail: String,
    /// What to do.
    pub hint: &'static str,
    /// Whether it may be mended without us: a file that is locked, a disk that is full.
    pub passes: bool,
}

/// A durable follower of the loop.
pub trait Store: Send {
    /// Everything the loop needs at its start.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn load(&mut self) -> Result<Loaded, Error>;
    /// Makes a group of changes durable, all or nothing. The same group may be tried again.
    ///
    /// # Errors
    /// When nothing of it is durable.
    fn commit(&mut self, changes: &[Change]) -> Result<(), Error>;
    /// Whether the end of this record is durable.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn has_end(&mut self, id: [u64; 2]) -> Result<bool, Error>;
    /// Makes changes durable that were [spilled](spill) up to this place, and the place with them: what is replayed once
    /// more is skipped by it.
    ///
    /// # Errors
    /// When nothing of it is durable.
    fn commit_spilled(&mut self, through: Place, changes: &[Change]) -> Result<(), Error>;
    /// Up to which place what was spilled is durable.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn spilled_through(&mut self) -> Result<Place, Error>;
    /// Drops a piece of what is in archives by now. Whether there may be more.
    ///
    /// # Errors
    /// When nothing was dropped.
    fn sweep(&mut self) -> Result<bool, Error> {
        Ok(false)
    }
}

/// What history may be asked for. Every field narrows it.
#[derive(Clone, Debug, Default)]
pub struct CdrFilter {
    /// Mapping gateway, by name.
    pub gateway: Option<String>,
    /// Vendor's gateway, by name.
    pub vendor: Option<String>,
    /// Caller begins with.
    pub caller: Option<String>,
    /// Callee begins with.
    pub callee: Option<String>,
    /// Billing mode.
    pub billing_mode: Option<String>,
    /// End reason.
    pub end_reason: Option<String>,
    /// Answered calls only, or unanswered ones.
    pub answered: Option<bool>,
    /// One call.
    pub id: Option<String>,
    /// What an agent sees, by number: the calls of these customers, but for those that another one earned on.
    pub agent: Option<(u32, Vec<u32>)>,
    /// Who pays, by name; one that is deleted by its number.
    pub account: Option<String>,
    /// Who is paid, likewise.
    pub vendor_account: Option<String>,
    /// Talked for at least so long.
    pub hold_ms_min: Option<u64>,
    /// Ended not before, RFC 3339.
    pub from: Option<String>,
    /// Ended before, RFC 3339.
    pub to: Option<String>,
}

/// Which invoices are wanted.
#[derive(Clone, Debug, Default)]
pub struct InvoiceFilter {
    /// Whose.
    pub account: Option<String>,
    /// In which state.
    pub state: Option<String>,
    /// What is overdue by now, µs since 1970 UTC.
    pub now_us: u64,
}

/// Which calls were bought.
#[derive(Clone, Copy, Debug)]
pub struct BoughtFilter {
    /// Of whom.
    pub vendor: u32,
    /// Begun not before, µs since 1970 UTC.
    pub from_us: i64,
    /// Begun before, µs since 1970 UTC.
    pub to_us: i64,
    /// What counts as their begin.
    pub start_is: StartIs,
}

/// Reads of history, beside the loop.
pub trait History: Send {
    /// A page of CDRs, newest first.
    ///
    /// # Errors
    /// When the filter makes no sense or the database cannot be read.
    fn cdrs(&mut self, filter: &CdrFilter, page: &Page) -> Result<Value, crate::Refusal>;
    /// One CDR with its attempts.
    ///
    /// # Errors
    /// When there is none.
    fn cdr(&mut self, id: &str) -> Result<Value, crate::Refusal>;
    /// What a record was charged at its end, and since.
    ///
    /// # Errors
    /// When there is none, or it has no end yet.
    fn charged(&mut self, id: &str) -> Result<Charged, crate::Refusal>;
    /// The same of a page of answered calls, newest first, and where the next one goes on.
    ///
    /// # Errors
    /// When the filter makes no sense or the database cannot be read.
    fn charged_page(
        &mut self,
        filter: &CdrFilter,
        page: &Page,
    ) -> Result<(Vec<Charged>, Option<String>), crate::Refusal>;
    /// A page of an account's ledger, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn ledger(&mut self, filter: &LedgerFilter, page: &Page) -> Result<Value, crate::Refusal>;
    /// What an account had before a time, and what moved it then.
    ///
    /// # Errors
    /// When the database cannot be read, or a sum is too large.
    fn statement(&mut self, filter: &LedgerFilter) -> Result<Statement, crate::Refusal>;
    /// All entries and all records, added up as they are at one moment.
    ///
    /// # Errors
    /// When the database cannot be read, or a sum is too large.
    fn books(&mut self) -> Result<Books, crate::Refusal>;
    /// A page of what became of an account's state, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn account_history(&mut self, name: &str, page: &Page) -> Result<Value, crate::Refusal>;
    /// A page of who changed a parameter when, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn parameter_history(&mut self, name: &str, page: &Page) -> Result<Value, crate::Refusal>;
    /// Calls that a vendor's side answered, at most as many as a file may have; a correction counts.
    ///
    /// # Errors
    /// When they are more, take too long, or the database cannot be read.
    fn bought(&mut self, filter: &BoughtFilter) -> Result<Vec<Bought>, crate::Refusal>;
    /// A report of what was stored at one moment.
    ///
    /// # Errors
    /// When it names nobody, takes too long, or a sum is too large.
    fn report(&mut self, asked: &Asked) -> Result<ReportShown, crate::Refusal>;
    /// All days that records are or were in, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn days(&mut self) -> Result<Vec<DayShown>, crate::Refusal>;
    /// How many records ended in each hour, counted since 1970 UTC, from the first on and before the last.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn ends_by_hour(&mut self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, crate::Refusal>;
    /// Every record that ended in an hour, as it was written then.
    ///
    /// # Errors
    /// When the database cannot be read, or `each` says so.
    fn each_end(
        &mut self,
        hour: u64,
        each: &mut dyn FnMut(&Value) -> Result<(), crate::Refusal>,
    ) -> Result<(), crate::Refusal>;
    /// An invoice, draft or note.
    ///
    /// # Errors
    /// When there is none of this name, or the database cannot be read.
    fn invoice(&mut self, name: &str) -> Result<Kept, crate::Refusal>;
    /// The notes of an invoice, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn notes(&mut self, id: u32) -> Result<Vec<Kept>, crate::Refusal>;
    /// A page of invoices, drafts and notes, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn invoices(&mut self, filter: &InvoiceFilter, page: &Page) -> Result<Value, crate::Refusal>;
    /// What calls and rents of an account come to in a time.
    ///
    /// # Errors
    /// When some of it is archived, or the database cannot be read.
    fn billed(&mut self, billed: &Billed) -> Result<Vec<Line>, crate::Refusal>;
    /// Another door to the same history, so that a long read keeps nobody waiting.
    ///
    /// # Errors
    /// When the database cannot be opened.
    fn another(&self) -> Result<Box<dyn History>, crate::Refusal>;
}
