//! What the API shows: one type per answer, from which both the JSON and its schema are made.
//!
//! A document is shown with what lives beside it (balance, lines). Fields are only ever added.

pub mod backup;
mod books;
mod compare;
mod day;
mod dispute;
mod firewall;
mod invoice;
mod number;
mod package;
mod quality;
mod route;
mod sheet;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use link::ports::Pairs;
use rating::Money;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rfc3339;
use crate::state::entity::Phone;
use crate::state::entity::{Account, Mapping, Routing, TariffHead};

pub use books::{
    AuditShown, BookedShown, CorrectedShown, CorrectionShown, CounterShown, DifferenceShown,
    LedgerShown, RerateShown, RerateSumShown, ReratedShown, StatementShown,
};
pub use compare::{CompareReport, ComparedShown, VerdictShown};
pub use day::{DayShown, DayStep, HourShown};
pub use dispute::{
    DifferenceOfCallShown, DisputeClassShown, DisputeReport, DisputeSumShown, billionths,
};
pub use firewall::{
    AbuseFigures, AbuserShown, CodeMade, CodeShown, DefenceFigures, DeniedShown, DriverCounter,
    DriverLimit, FenceFigures, GeoRangeShown, GeoShown, ImportEntryShown, ImportShown, ImportTaken,
    LineRefused, PacketExplained, PresetShown, RangesTaken, SignatureShown, SuspensionShown,
    TalkerShown, TrustedShown,
};
pub use invoice::{InvoiceRow, InvoiceShown};
pub(crate) use invoice::{NewInvoice, NewInvoicePayment, NewNote, NewSending};
pub use number::{NumberOwnerShown, NumberSectionShown};
pub use package::{CoveredShown, PackageFigures, SubscriptionShown};
pub use quality::{CallPaths, FiguresShown, MediaShown, OPINIONS, QualityShown, call_path};
pub use route::{Considered, NumbersShown, RouteExplained};
pub use sheet::{GenerateReport, LossShown, RateDifference, RemarkShown, SaleShown, SheetReport};

/// An answer as JSON.
pub fn json(shown: impl Serialize) -> Value {
    serde_json::to_value(shown).unwrap_or_default()
}

/// An exact amount, as text so that no reader makes a float of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decimal(Cow<'static, str>);

impl From<Money> for Decimal {
    fn from(money: Money) -> Self {
        // Most amounts of most records.
        if money == Money::ZERO { Self("0.00".into()) } else { Self(money.to_string().into()) }
    }
}

/// A moment: RFC 3339, UTC, with milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moment(String);

impl Moment {
    /// From µs since 1970 UTC.
    #[must_use]
    pub fn at(wall_us: u64) -> Self {
        Self(rfc3339(wall_us))
    }
}

macro_rules! text_of_format {
    ($($kind:ident $format:literal)+) => {$(
        impl JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    )+};
}

text_of_format! { Decimal "decimal" Moment "date-time" }

/// A page of a list that can grow.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct PageOf<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<String>,
}

/// A list that comes whole.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub struct ListOf<T> {
    /// What is in it.
    pub items: Vec<T>,
}

/// What the decision loop adds to a status.
#[derive(Debug, Serialize, Deserialize)]
pub struct Held {
    /// New calls are refused.
    pub draining: bool,
    /// Running calls.
    pub calls: usize,
    /// Whether the store takes changes.
    pub store: bool,
    /// What waits for it beside it.
    pub spill: SpillFigures,
    /// Standing alarms.
    pub alarms: usize,
    /// Vendors' gateways that are probed or registered at, and whether they are online.
    pub gateways: BTreeMap<String, bool>,
    /// Who is registered.
    pub registrations: RegistrationFigures,
    /// What became of those whose logins failed.
    pub defence: DefenceFigures,
    /// What fences and access lists refused.
    pub fences: FenceFigures,
    /// Who begins to call where it is dear.
    pub abuse: AbuseFigures,
    /// What became of the workers' questions.
    pub asks: AskFigures,
    /// What media of ended calls were like.
    pub quality: Vec<QualityShown>,
    /// Subscriptions to packages.
    pub packages: PackageFigures,
}

/// Groups of changes that are durable in the spill, and will be in the database once it takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpillFigures {
    /// Groups of changes.
    pub groups: u64,
    /// What they take.
    pub bytes: u64,
}

/// What became of the workers' questions since the start of control.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskFigures {
    /// INVITEs and REGISTERs that were not decided, since nobody waited for them any more when their turn came.
    pub expired: u64,
}

/// How many contacts are registered, and what became of REGISTERs and challenges since the start of
/// control. What the workers challenge by themselves they count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationFigures {
    /// Contacts that are registered now.
    pub live: usize,
    /// REGISTERs that were done.
    pub accepted: u64,
    /// REGISTERs that were refused, by whatever status.
    pub refused: u64,
    /// REGISTERs and INVITEs that were asked for a password, or asked again.
    pub challenged: u64,
    /// Wrong passwords over a fresh nonce of ours.
    pub failed: u64,
}

/// Whether it is ready, and what it carries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// How this machine is called.
    pub node: String,
    /// The release.
    pub version: String,
    /// New calls are taken: every worker beats, the store takes changes, the driver has its rules, and there is no
    /// drain.
    pub ready: bool,
    /// Every worker beats.
    pub dataplane: bool,
    /// The store takes changes.
    pub store: bool,
    /// What waits for it beside it.
    pub spill: SpillFigures,
    /// The driver's maps are open.
    pub guard: bool,
    /// New calls are refused.
    pub draining: bool,
    /// Running calls.
    pub calls: usize,
    /// Running calls by the way that their media go.
    pub calls_by_path: CallPaths,
    /// What the dataplane says of itself.
    pub notices: BTreeMap<String, String>,
    /// How long control takes to decide, µs.
    pub decision_us: Latency,
    /// One per core.
    pub workers: Vec<WorkerStatus>,
    /// Standing alarms.
    pub alarms: usize,
    /// Vendors' gateways that do not answer, or that we are not registered at.
    pub gateways_offline: Vec<String>,
    /// Who is registered.
    pub registrations: RegistrationFigures,
    /// What became of those whose logins failed.
    pub defence: DefenceFigures,
    /// What fences and access lists refused.
    pub fences: FenceFigures,
    /// Who begins to call where it is dear.
    pub abuse: AbuseFigures,
    /// What became of the workers' questions.
    pub asks: AskFigures,
    /// Subscriptions to packages.
    pub packages: PackageFigures,
}

/// Quantiles of a duration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: u64,
    /// 99 of 100 took at most this.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// What one worker carries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkerStatus {
    /// Its number.
    pub worker: u32,
    /// Whether it beats.
    pub alive: bool,
    /// Running calls.
    pub calls: usize,
    /// Calls that it can hold.
    pub calls_max: u32,
    /// Ended calls whose record is not durable yet.
    pub records_waiting: usize,
    /// Its media ports, of all own addresses together.
    pub media_ports: PortFigures,
    /// The same of each own address.
    pub media_ports_by_address: Vec<AddressPorts>,
    /// Counters that are not zero, by name (docs/counters.md).
    pub counters: BTreeMap<String, u64>,
}

/// Pairs of media ports of a worker; each leg of a call takes one for each of its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PortFigures {
    /// Of calls.
    pub used: u64,
    /// Given back within `TG_MEDIA_PORT_QUARANTINE`.
    pub resting: u64,
    /// To be had.
    pub free: u64,
}

/// Pairs of media ports of a worker at one own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AddressPorts {
    /// The address.
    pub address: IpAddr,
    /// What its pairs are.
    #[serde(flatten)]
    pub ports: PortFigures,
    /// How often one was wanted in vain since the worker began.
    pub missed: u64,
}

impl AddressPorts {
    /// Those of each own address of a worker.
    pub fn read(told: &link::ports::Ports) -> Vec<Self> {
        told.iter()
            .map(|(address, pairs)| {
                let Pairs { used, resting, free, missed } = pairs;
                Self { address, ports: PortFigures { used, resting, free }, missed }
            })
            .collect()
    }
}

impl PortFigures {
    /// By what its worker has counted.
    pub fn read(counters: impl Iterator<Item = (String, u64)>) -> Self {
        let [mut all, mut taken, mut returned, mut rested] = [0; 4];
        for (name, value) in counters {
            match name.as_str() {
                "media_ports" => all = value,
                "media_ports_taken" => taken = value,
                "media_ports_returned" => returned = value,
                "media_ports_rested" => rested = value,
                _ => {}
            }
        }
        // Each value is read whole, but not all of them at one moment.
        let used = taken.saturating_sub(returned).min(all);
        let resting = returned.saturating_sub(rested).min(all - used);
        Self { used, resting, free: all - used - resting }
    }
}

/// An account with its balance.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountShown {
    /// The document.
    #[serde(flatten)]
    pub account: Account,
    /// Payments minus charges.
    pub balance: Decimal,
    /// Held for running calls.
    pub reserved: Decimal,
    /// Running calls.
    pub calls: u32,
    /// `active`, `locked` or `expired`.
    pub state: &'static str,
    /// Charges since its day began.
    pub spent_today: Decimal,
}

/// A tariff with the number of its rates.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TariffShown {
    /// The document.
    #[serde(flatten)]
    pub tariff: TariffHead,
    /// How many.
    pub rates: usize,
}

/// A customer's gateway with its lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MappingShown {
    /// The document.
    #[serde(flatten)]
    pub gateway: Mapping,
    /// Running calls.
    pub lines: u32,
}

/// A vendor's gateway with its lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoutingShown {
    /// The document.
    #[serde(flatten)]
    pub gateway: Routing,
    /// Running calls.
    pub lines: u32,
    /// Calls may go there: it answers OPTIONS if it is asked, and we are registered if we must be.
    pub online: bool,
    /// `off`, `trying`, `registered`, `refused` (our password) or `failed`.
    pub registration_state: &'static str,
    /// Until when, unless it is refreshed before; null: we are not registered.
    pub registered_until: Option<Moment>,
    /// From the last OPTIONS to its answer; null: none, or none came.
    pub options_round_trip_us: Option<u32>,
    /// Where the target leads now, first choice first.
    pub addresses: Vec<String>,
    /// Those of them that do not answer OPTIONS; calls pass them over.
    pub addresses_offline: Vec<String>,
}

/// A phone with its lines, and whether it can be reached.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PhoneShown {
    /// The document.
    #[serde(flatten)]
    pub phone: Phone,
    /// Running calls.
    pub lines: u32,
    /// It is registered.
    pub online: bool,
    /// Its contacts that are registered.
    pub contacts: usize,
}

/// Where somebody can be reached.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegistrationShown {
    /// User part of the address of record.
    pub aor: String,
    /// The phone or mapping gateway that it belongs to.
    pub owner: String,
    /// Anything is registered.
    pub online: bool,
    /// The best contact first.
    pub contacts: Vec<BindingShown>,
}

/// One contact that is registered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BindingShown {
    /// Its URI.
    pub uri: String,
    /// Preference in thousandths.
    pub q: u16,
    /// Whence its REGISTER came.
    pub source: String,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: &'static str,
    /// A call can be sent there; not so while its connection is gone.
    pub online: bool,
    /// It says another address than it came from.
    pub nat: bool,
    /// Registered without a gap since.
    pub since: Moment,
    /// When it was refreshed last.
    pub refreshed: Moment,
    /// When it ends.
    pub expires: Moment,
    /// Its User-Agent.
    pub user_agent: String,
    /// Route set that leads there (RFC 3327).
    pub path: String,
    /// Call-ID of its last REGISTER.
    pub call_id: String,
    /// CSeq of its last REGISTER.
    pub cseq: u32,
}

/// Rates that were taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RatesTaken {
    /// How many.
    pub rates: usize,
}

/// A running call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CallShown {
    /// That of its record.
    pub id: String,
    /// Whose it is.
    pub worker: u32,
    /// `calling`, `ringing` or `talking`.
    pub state: &'static str,
    /// When it came.
    pub started: Moment,
    /// Since then.
    pub age_ms: u64,
    /// Since the answer.
    pub talk_ms: u64,
    /// Caller as billed.
    pub caller: String,
    /// Callee as billed.
    pub callee: String,
    /// Whence it came.
    pub source: String,
    /// Number of the mapping gateway.
    pub customer_gateway: u32,
    /// Number of the routing gateway tried last.
    pub routing_gateway: Option<u32>,
    /// Gateways tried.
    pub attempts: usize,
    /// Call-ID of the caller's side.
    pub call_id: String,
    /// Since the last media seen; null before any.
    pub media_age_ms: Option<u64>,
    /// By which way its media go: `settled`: by the driver, both ways; `careful`: through a worker; `bypass`: from end
    /// to end; `none`: nothing was heard yet.
    pub path: &'static str,
    /// The lower mean opinion score of both directions.
    pub mos: Option<f64>,
    /// How it is recorded: `wav`, `pcap` or `both`; null: it is not.
    pub recording: Option<&'static str>,
    /// Both directions, as they were within the last two seconds.
    pub media: MediaShown,
}

/// A call's record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CdrShown<'a> {
    /// The shape of what follows; records of before there was one have none.
    pub version: u32,
    /// 32 hexadecimal digits.
    pub id: String,
    /// `customer_gateway`, `phone`, `illegal` or `none`.
    pub billing_mode: &'static str,
    /// The number shown to operators.
    pub billing_mode_code: i8,
    /// The mapping gateway or calling phone at the time.
    pub gateway: Cow<'a, str>,
    /// The last tried routing gateway or called phone at the time.
    pub vendor_gateway: Cow<'a, str>,
    /// Who pays, by the name at the time.
    pub account: Cow<'a, str>,
    /// Who is paid, by the name at the time.
    pub vendor_account: Cow<'a, str>,
    /// Calls that the row stands for.
    pub calls: u64,
    /// Whence it came.
    pub source: String,
    /// Caller as received.
    pub caller: Cow<'a, str>,
    /// Callee as received.
    pub callee: Cow<'a, str>,
    /// Caller as billed.
    pub caller_billed: Cow<'a, str>,
    /// Callee as billed.
    pub callee_billed: Cow<'a, str>,
    /// What the rate was looked up by before the callee as billed: the route's `billing_prefix`, the account's
    /// `forward_prefix`.
    pub billing_prefix: Cow<'a, str>,
    /// Caller as sent to the vendor.
    pub caller_sent: Cow<'a, str>,
    /// Callee as sent to the vendor.
    pub callee_sent: Cow<'a, str>,
    /// Call-ID of the caller's side.
    pub call_id: Cow<'a, str>,
    /// User-Agent of the caller's side.
    pub user_agent: Cow<'a, str>,
    /// The INVITE came.
    pub started: Moment,
    /// The first 18x.
    pub ringing: Option<Moment>,
    /// The 2xx.
    pub answered: Option<Moment>,
    /// The end.
    pub ended: Option<Moment>,
    /// Post-dial delay.
    pub pdd_ms: Option<u64>,
    /// Connect delay: from the INVITE to the 2xx.
    pub connect_ms: Option<u64>,
    /// Talk time as the customer pays it.
    pub hold_ms: u64,
    /// What of that is charged: no more than was granted.
    pub charged_ms: u64,
    /// Talk time as the vendor charges it.
    pub vendor_hold_ms: u64,
    /// The final SIP status.
    pub status: u16,
    /// Why it ended (docs/operations.md).
    pub end_reason: &'static str,
    /// `caller`, `callee` or `server`.
    pub ended_by: &'static str,
    /// The last vendor's own final status, whatever the caller heard.
    pub far_status: Option<u16>,
    /// The cause of ITU-T Q.850 that the far side itself gave for the end (RFC 3326).
    pub far_cause: Option<u8>,
    /// Seconds billed to the customer.
    pub billed_s: u64,
    /// The customer's charge.
    pub charge: Decimal,
    /// Tax on that charge, apart from it.
    pub tax: Decimal,
    /// Of the seconds billed those that packages paid for: they are in no charge.
    pub package_s: u64,
    /// What packages paid for them of their amounts.
    pub package_charge: Decimal,
    /// Which paid for what.
    pub packages: Cow<'a, [CoveredShown]>,
    /// The agent who earns on it, by the name at the time.
    pub agent: Option<Cow<'a, str>>,
    /// What the call costs him; null: his tariff has no rate for it.
    pub agent_charge: Option<Decimal>,
    /// What he earns: the customer's charge less that.
    pub agent_income: Decimal,
    /// `rate/unit` of his.
    pub agent_rate: Option<String>,
    /// `rate/unit` of the customer.
    pub rate: Option<String>,
    /// The caller prefix that chose that rate, or `unknown`; null: a rate for all callers.
    pub origin: Option<String>,
    /// Seconds that the vendor bills.
    pub vendor_billed_s: u64,
    /// The vendor's charge.
    pub vendor_charge: Decimal,
    /// Tax on that charge, apart from it.
    pub vendor_tax: Decimal,
    /// `rate/unit` of the vendor.
    pub vendor_rate: Option<String>,
    /// The caller prefix that chose that rate, or `unknown`; null: a rate for all callers.
    pub vendor_origin: Option<String>,
    /// The last media, since the start.
    pub media_ms: Option<u64>,
    /// All that the customer's charge depends on but the duration.
    pub terms: String,
    /// All that the vendor's charge depends on but the duration.
    pub vendor_terms: String,
    /// The answer went out before its start was durable.
    pub uncommitted: bool,
    /// How it was written to disk, `wav`, `pcap` or `both`, once it was answered; null: not at all.
    pub recording: Option<&'static str>,
    /// What was relayed.
    pub media: MediaShown,
    /// Gateways tried, in order.
    pub attempts: Cow<'a, [AttemptShown]>,
    /// What was set right since it ended, the first first; the charges and taxes above are those after the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<CorrectionShown>,
    /// Whether its end is durable; the store says so of a stored record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
}

/// A file of a recorded call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordingShown {
    /// Its name; a call whose dataplane died has several.
    pub file: String,
    /// The call's record.
    pub cdr: String,
    /// `wav` or `pcap`.
    pub kind: &'static str,
    /// The day the call came, UTC.
    pub day: String,
    /// As far as it is written.
    pub bytes: u64,
}

/// As people read a measured figure. Never of money.
pub fn hundredths(measured: f64) -> f64 {
    (measured * 100.0).round() / 100.0
}

/// One gateway that a call tried. Times count from the start of the call.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AttemptShown {
    /// The routing gateway at the time.
    pub gateway: String,
    /// The INVITE went out.
    pub sent_ms: u32,
    /// The first 18x.
    pub ringing_ms: Option<u64>,
    /// The 2xx.
    pub answered_ms: Option<u64>,
    /// The end.
    pub ended_ms: Option<u64>,
    /// The final SIP status.
    pub status: u16,
    /// Why it ended (docs/operations.md).
    pub reason: &'static str,
    /// The cause of ITU-T Q.850 that the vendor gave.
    pub cause: Option<u8>,
}

/// A system parameter, or a field of documents.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ParameterShown {
    /// Its name.
    pub name: &'static str,
    /// Its value; null: each document has its own.
    pub value: Option<String>,
    /// Its value unless changed.
    pub default: &'static str,
    /// What it can be.
    pub range: String,
    /// Its unit.
    pub unit: &'static str,
    /// Who acts on it.
    pub owner: &'static str,
    /// Whether a change changes anything.
    pub in_force: bool,
    /// What it means.
    pub doc: &'static str,
}

/// One change of a parameter.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ParameterChangeShown {
    /// When.
    pub at: Moment,
    /// Who.
    pub who: String,
    /// What it was.
    pub old: String,
    /// What it became; null: its default.
    pub new: Option<String>,
}

/// An alarm that stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlarmShown {
    /// What kind.
    pub name: &'static str,
    /// About what.
    pub subject: String,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    /// Since when.
    pub raised: Moment,
    /// When last.
    pub last: Moment,
    /// How often.
    pub count: u64,
    /// What exactly.
    pub detail: String,
}

/// One thing that happened.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventShown {
    /// When.
    pub at: Moment,
    /// What kind.
    pub name: &'static str,
    /// About what.
    pub subject: String,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    /// What exactly.
    pub detail: String,
}

/// What became of an account.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountEventShown {
    /// When.
    pub at: Moment,
    /// `created`, `deleted`, `account_locked`, `account_unlocked`, `account_expired`, `account_expiry_changed` or
    /// `balance_low`.
    pub name: String,
    /// By whom, and what exactly.
    pub detail: String,
}

/// Whether new calls are refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DrainShown {
    /// They are.
    pub draining: bool,
    /// Running calls.
    pub calls: usize,
}

/// Why a request is refused (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`: the title says it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is wrong, always the same words for the same thing.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What exactly, and what to do.
    pub detail: String,
}
