//! What the API shows of the firewall: lists and what they dropped, who is shut out, what the driver counts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;
use crate::state::entity::{Denied, GeoHead, Import, Trusted};

/// A denied source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeniedShown {
    /// The document.
    #[serde(flatten)]
    pub denied: Denied,
    /// Its name: the address or prefix.
    pub prefix: String,
    /// Since when.
    pub since: Moment,
    /// Until when; null: until removed.
    pub until: Option<Moment>,
    /// Packets that the driver dropped by this entry since it holds it, of an address modulo 2^32; null: there
    /// is no driver.
    pub hits: Option<u64>,
}

/// A trusted source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrustedShown {
    /// The document.
    #[serde(flatten)]
    pub trusted: Trusted,
    /// Since when; null: since before that was kept.
    pub since: Option<Moment>,
    /// Until when; null: until removed.
    pub until: Option<Moment>,
}

/// A code that opens the firewall. The code itself is not kept.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CodeShown {
    /// Its number.
    pub id: u32,
    /// Whose it is.
    pub name: String,
    /// How long an address stays open, s.
    pub for_s: u64,
    /// For people.
    pub memo: String,
    /// Addresses that are open by it now.
    pub open: usize,
}

/// A code that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CodeMade {
    /// As it is listed.
    #[serde(flatten)]
    pub shown: CodeShown,
    /// The code, if it was made here; shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A list of denied sources that came together.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportShown {
    /// The document.
    #[serde(flatten)]
    pub import: Import,
    /// How many sources it denies.
    pub entries: usize,
    /// Since when.
    pub since: Moment,
    /// Until when; null: until removed.
    pub until: Option<Moment>,
}

/// What an import denies.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportEntryShown {
    /// The address or prefix.
    pub prefix: String,
    /// Packets that the driver dropped by it since it holds it, of an address modulo 2^32; null: there is no
    /// driver.
    pub hits: Option<u64>,
}

/// What became of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportTaken {
    /// How many sources are denied by it.
    pub entries: usize,
    /// Lines that were left out.
    pub refused: usize,
    /// Those of them that are told.
    pub lines: Vec<LineRefused>,
}

/// A line of a list that was left out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LineRefused {
    /// Its number, from 1 on.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// Why it cannot be.
    pub why: String,
}

/// A scanner that is known by the name it gives itself (`TG_SIGNATURES`).
#[derive(Debug, Serialize, JsonSchema)]
pub struct SignatureShown {
    /// What its User-Agent or Server header begins with.
    pub name: String,
    /// Packets that the driver dropped by it since it holds it; null: there is no driver.
    pub hits: Option<u64>,
}

/// Someone who is shut out because logins failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SuspensionShown {
    /// By which it is cleared.
    pub id: u32,
    /// `pair`, `endpoint`, `source`, `sweep` or `account`.
    pub scope: String,
    /// The endpoint, as it was said; null: whatever that source tries.
    pub endpoint: Option<String>,
    /// The source; null: from anywhere but where it is registered.
    pub source: Option<String>,
    /// The account that is not charged from there.
    pub account: Option<String>,
    /// What counted against it.
    pub failures: u32,
    /// Requests that were refused by it since it was decided, or since control started.
    pub refused: u64,
    /// How often it was suspended within a day, this time included.
    pub offences: u32,
    /// Since when.
    pub since: Moment,
    /// Until when.
    pub until: Moment,
    /// What is left of it, s.
    pub left_s: u64,
}

/// What became of those who tried, since the start of control.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefenceFigures {
    /// Who is shut out now.
    pub suspended: usize,
    /// Requests that were refused without a look at their password, because their sender is shut out.
    pub refused: u64,
    /// Passwords that were looked at.
    pub evaluated: u64,
    /// Sources that automation never denies, because somebody logged in from there lately.
    pub regulars: usize,
}

/// An account that began to call where it is dear (`TG_ABUSE_PREFIXES`).
#[derive(Debug, Serialize, JsonSchema)]
pub struct AbuserShown {
    /// Which account.
    pub account: String,
    /// The prefix of the call that listed it.
    pub prefix: String,
    /// Calls within the window, the one that listed it included.
    pub calls: u32,
    /// How many are usual: the mean of the busiest windows of the seven days before.
    pub usual: u32,
    /// Most calls within a window since.
    pub busiest: u32,
    /// Calls there since it was listed, or since control started, refused ones included.
    pub further: u64,
    /// Those that were refused, the one that listed it included.
    pub refused: u64,
    /// Since when.
    pub since: Moment,
    /// Until when.
    pub until: Moment,
    /// What is left of it, s.
    pub left_s: u64,
}

/// Calls to where it is dear, since the start of control.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbuseFigures {
    /// Accounts that are listed now.
    pub listed: usize,
    /// Calls that were counted.
    pub calls: u64,
    /// Of them refused.
    pub refused: u64,
}

/// A geo set with its size and its age.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GeoShown {
    /// The document.
    #[serde(flatten)]
    pub set: GeoHead,
    /// How many ranges it has, those that touch taken as one.
    pub ranges: usize,
    /// Days since `dated`; null: not known.
    pub age_days: Option<i64>,
    /// Fences that name it.
    pub fences: usize,
    /// Packets that the driver dropped by its ranges since it holds them; null: it does not.
    pub hits: Option<u64>,
}

/// A prefix of a geo set.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GeoRangeShown {
    /// The prefix.
    pub range: String,
    /// Packets that the driver dropped by it since it holds it; null: it does not.
    pub hits: Option<u64>,
}

/// Ranges that were taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RangesTaken {
    /// How many the set has now, those that touch taken as one.
    pub ranges: usize,
}

/// What fences and access lists refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct FenceFigures {
    /// Requests from outside a fence, and to places outside.
    pub signalling: u64,
    /// Descriptions that want media outside.
    pub description: u64,
    /// Flows whose media came from outside.
    pub media: u64,
    /// Requests with right credentials from outside the account's access addresses.
    pub access: u64,
}

/// A limit of the driver: a parameter of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DriverLimit {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub value: String,
    /// What it is unless changed.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// A set of limits by name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PresetShown {
    /// Its name.
    pub name: &'static str,
    /// For whom it is.
    pub doc: &'static str,
    /// What it sets.
    pub values: BTreeMap<&'static str, &'static str>,
}

/// A stranger whom the driver has seen, or another source that it dropped something of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TalkerShown {
    /// Who.
    pub source: String,
    /// Packets to our ports.
    pub packets: u64,
    /// Of them dropped.
    pub dropped: u64,
    /// Of them OPTIONS.
    pub options: u64,
    /// Why the last one left.
    pub reason: &'static str,
    /// How long ago that was.
    pub silent_s: u64,
}

/// A counter of the driver.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DriverCounter {
    /// Its name (docs/counters.md).
    pub reason: &'static str,
    /// Whether such frames are lost.
    pub drops: bool,
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of them strangers'.
    pub stranger: u64,
    /// Of them of sources where somebody is registered, or logged in lately.
    pub regular: u64,
    /// Of them of gateways and other trusted sources.
    pub trusted: u64,
    /// Frames that it would have dropped for this, but let in, in monitor mode, or told so by ICMP: those stand in
    /// `packets` of `answer_unreachable`.
    pub spared: u64,
    /// What it means.
    pub doc: &'static str,
}

/// What the loaded program would do with a packet.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PacketExplained {
    /// `pass`, `redirect`, `answer` or `drop`.
    pub verdict: &'static str,
    /// Its counter.
    pub reason: &'static str,
    /// What that means.
    pub doc: &'static str,
    /// The entry of a list, or the limit, that decided; null: none did.
    pub rule: Option<String>,
    /// Who the driver takes the sender for: stranger, regular, trusted; unasked: it makes no difference.
    pub standing: &'static str,
    /// For what kind of message its budget is: which of them is spent, its own, that of any kind, its network's or
    /// that of all strangers, `rule` says; null: none.
    pub meter: Option<&'static str>,
    /// In monitor mode, why it would be dropped; null: it would not.
    pub spared: Option<&'static str>,
    /// Of one whose sender is told so: why it is refused.
    pub refused: Option<&'static str>,
}
