//! Changes as text: how the [spill](super::spill) keeps what a database could not take yet.
//!
//! What is written is read by the same release, or by the next one; a field that is not known to both is no
//! field of a [`Change`](super::Change) yet. Everything comes back as it was: whoever replays it does what
//! would have been done at first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use guard::GeoSet;
use link::CallRecord;
use link::record::EndReason;
use rating::terms::WORDS;
use rating::{Charge, Money, Terms};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zerocopy::{FromBytes, IntoBytes};

use super::sqlite::{geo_bytes, geo_set};
use super::{Amounts, BothTerms, Correction, LedgerEntry, Located, ParameterChange};
use crate::agent::Agent;
use crate::cdr::{Aggregate, BillingMode, Cdr};
use crate::journal::{Event, Severity};
use crate::package::Cover;
use crate::params;
use crate::shown::{AttemptShown, CoveredShown};
use crate::state::entity::{Entity, Kind};
use crate::state::imports::Entries;
use crate::store::ledger::{Counter, EntryKind};

/// What is written for a run of equal bytes, and how long one is at least.
const RUN: char = '~';
const RUN_MIN: usize = 4;

/// Bytes as hexadecimal digits; a run of equal ones as its length and one of them.
fn digits(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for run in bytes.chunk_by(|a, b| a == b) {
        for part in run.chunks(0xffff) {
            let byte = part[0];
            let _ = if part.len() >= RUN_MIN {
                write!(text, "{RUN}{:04x}{byte:02x}", part.len())
            } else {
                part.iter().try_for_each(|byte| write!(text, "{byte:02x}"))
            };
        }
    }
    text
}

/// Reads [`digits`].
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (count, behind) = match rest.strip_prefix(RUN) {
            Some(run) => {
                let (count, behind) = run.split_at_checked(4)?;
                (usize::from_str_radix(count, 16).ok()?, behind)
            }
            None => (1, rest),
        };
        let (byte, behind) = behind.split_at_checked(2)?;
        let byte = u8::from_str_radix(byte, 16).ok()?;
        bytes.resize(bytes.len() + count, byte);
        rest = behind;
    }
    Some(bytes)
}

fn read_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    bytes(&text).ok_or_else(|| D::Error::custom("these are no bytes"))
}

/// One of a closed list, by its word.
fn one_of<T: Copy, E: serde::de::Error>(
    all: &[T],
    name: impl Fn(T) -> &'static str,
    word: &str,
) -> Result<T, E> {
    let found = all.iter().copied().find(|one| name(*one) == word);
    found.ok_or_else(|| E::custom(format!("{word:?} is none of them")))
}

macro_rules! by_word {
    ($type:ty, $all:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                one_of(&$all, Self::name, &String::deserialize(from)?)
            }
        }
    };
}

by_word!(Kind, Kind::ALL);
by_word!(EntryKind, EntryKind::ALL);
by_word!(Counter, Counter::ALL);
by_word!(BillingMode, BillingMode::ALL);
by_word!(Severity, [Severity::Info, Severity::Warning, Severity::Critical]);

/// The one copy of a word: names of events are few, and all of them are ours.
fn word(text: String) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = words.get(&*text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.into_boxed_str());
    words.insert(kept);
    kept
}

impl Serialize for Entity {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (self.kind(), self.id(), self.body()).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (kind, id, body): (Kind, u32, Value) = Deserialize::deserialize(from)?;
        Self::read(kind, id, body).map_err(|refusal| D::Error::custom(refusal.detail))
    }
}

/// The entries of an import.
pub(super) mod entries {
    use super::{Arc, Deserializer, Entries, Serializer, digits, read_bytes};
    use serde::de::Error as _;

    pub(in super::super) fn serialize<S: Serializer>(
        entries: &Arc<Entries>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(&digits(&entries.to_bytes()))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Entries>, D::Error> {
        let entries = Entries::from_bytes(&read_bytes(from)?);
        entries.map(Arc::new).ok_or_else(|| D::Error::custom("these are no entries"))
    }
}

/// The addresses of a geo set.
pub(super) mod geo {
    use super::{Arc, Deserializer, GeoSet, Serializer, digits, geo_bytes, geo_set, read_bytes};
    use serde::de::Error as _;

    pub(in super::super) fn serialize<S: Serializer>(
        set: &Arc<GeoSet>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(&digits(&geo_bytes(set)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<GeoSet>, D::Error> {
        let set = geo_set(&read_bytes(from)?);
        set.map(Arc::new).ok_or_else(|| D::Error::custom("these are no ranges"))
    }
}

impl Serialize for ParameterChange {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { at_us, who, name, old, new } = self;
        (at_us, who, name, old, new).serialize(out)
    }
}

impl<'de> Deserialize<'de> for ParameterChange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (at_us, who, name, old, new): (u64, String, String, String, Option<String>) =
            Deserialize::deserialize(from)?;
        let row = params::find(&name).map_err(|refusal| D::Error::custom(refusal.detail))?;
        Ok(Self { at_us, who, name: row.name, old, new })
    }
}

impl Serialize for LedgerEntry {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { account, at_us, kind, amount, balance, counter, reference, who, memo } = self;
        (account, at_us, kind, amount, balance, counter, reference, who, memo).serialize(out)
    }
}

impl<'de> Deserialize<'de> for LedgerEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (account, at_us, kind, amount, balance, counter, reference, who, memo) =
            Deserialize::deserialize(from)?;
        Ok(Self { account, at_us, kind, amount, balance, counter, reference, who, memo })
    }
}

impl Serialize for Amounts {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { charge, tax, vendor_charge, vendor_tax, billed_s, vendor_billed_s } = self;
        let money = [charge, tax, vendor_charge, vendor_tax].map(|money| money.billionths());
        (money, billed_s, vendor_billed_s).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Amounts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (amounts, billed_s, vendor_billed_s): ([i64; 4], _, _) =
            Deserialize::deserialize(from)?;
        let [charge, tax, vendor_charge, vendor_tax] = amounts.map(Money::from_billionths);
        Ok(Self { charge, tax, vendor_charge, vendor_tax, billed_s, vendor_billed_s })
    }
}

impl Serialize for Correction {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { id, request_id, at_us, who, reason, customer, vendor, agent, .. } = self;
        let Self { old, new, terms: BothTerms { customer: sold, vendor: bought }, entries, .. } =
            self;
        let words = [sold, bought].map(|terms| terms.map(|terms| terms.to_words()));
        let call = (id, customer, vendor, agent);
        (call, request_id, at_us, who, reason, old, new, words, entries).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Correction {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (call, request_id, at_us, who, reason, old, new, words, entries) =
            Deserialize::deserialize(from)?;
        let (id, customer, vendor, agent) = call;
        let words: [Option<[u64; WORDS]>; 2] = words;
        let [sold, bought] = words.map(|words| words.and_then(|words| Terms::from_words(&words)));
        let terms = BothTerms { customer: sold, vendor: bought };
        Ok(Self {
            id,
            request_id,
            at_us,
            who,
            reason,
            customer,
            vendor,
            agent,
            old,
            new,
            terms,
            entries,
        })
    }
}

impl Serialize for Located {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { target, servers } = self;
        (target, servers).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (target, servers) = Deserialize::deserialize(from)?;
        Ok(Self { target, servers })
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { at_us, name, subject, severity, detail } = self;
        (at_us, name, subject, severity, detail).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (at_us, name, subject, severity, detail): (_, String, _, _, _) =
            Deserialize::deserialize(from)?;
        Ok(Self { at_us, name: word(name), subject, severity, detail })
    }
}

/// A charge.
#[derive(Serialize, Deserialize)]
struct ChargeKept(u64, i64, i64);

impl ChargeKept {
    fn new(charge: &Charge) -> Self {
        let Charge { billed_s, fee, tax } = charge;
        Self(*billed_s, fee.billionths(), tax.billionths())
    }

    fn charge(self) -> Charge {
        let Self(billed_s, fee, tax) = self;
        let money = Money::from_billionths;
        Charge { billed_s, fee: money(fee), tax: money(tax) }
    }
}

/// An attempt; its reason by the word.
#[derive(Deserialize)]
struct AttemptKept {
    gateway: String,
    sent_ms: u32,
    ringing_ms: Option<u64>,
    answered_ms: Option<u64>,
    ended_ms: Option<u64>,
    status: u16,
    reason: String,
    cause: Option<u8>,
}

impl AttemptKept {
    fn attempt<E: serde::de::Error>(self) -> Result<AttemptShown, E> {
        let Self { gateway, sent_ms, ringing_ms, answered_ms, ended_ms, status, reason, cause } =
            self;
        let reason = one_of(&EndReason::ALL, EndReason::name, &reason)?.name();
        Ok(AttemptShown {
            gateway,
            sent_ms,
            ringing_ms,
            answered_ms,
            ended_ms,
            status,
            reason,
            cause,
        })
    }
}

/// A record; `A` are its attempts, as they are written or as they are read.
#[derive(Serialize, Deserialize)]
struct CdrKept<A> {
    record: String,
    billing_mode: BillingMode,
    gateway: String,
    vendor_gateway: String,
    customer: u32,
    vendor: u32,
    account: String,
    vendor_account: String,
    plain_end: bool,
    customer_charge: ChargeKept,
    vendor_charge: ChargeKept,
    attempts: Vec<A>,
    aggregate: Option<(String, u64)>,
    #[serde(default)]
    cover: Cover,
    #[serde(default)]
    covered: Vec<CoveredShown>,
    #[serde(default)]
    agent: Option<Agent>,
    #[serde(default)]
    agent_account: String,
    /// What the call costs him and brings him, billionths.
    #[serde(default)]
    earned: (i64, i64),
}

impl Serialize for Cdr {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self {
            record,
            billing_mode,
            gateway,
            vendor_gateway,
            customer,
            vendor,
            account,
            vendor_account,
            plain_end,
            customer_charge,
            vendor_charge,
            attempts,
            aggregate,
            cover,
            covered,
            agent,
            agent_account,
            agent_charge,
            agent_income,
        } = self.clone();
        let kept = CdrKept {
            record: digits(record.as_bytes()),
            billing_mode,
            gateway,
            vendor_gateway,
            customer,
            vendor,
            account,
            vendor_account,
            plain_end,
            customer_charge: ChargeKept::new(&customer_charge),
            vendor_charge: ChargeKept::new(&vendor_charge),
            attempts,
            aggregate: aggregate.map(|it| (it.source, it.calls)),
            cover,
            covered,
            agent,
            agent_account,
            earned: (agent_charge.billionths(), agent_income.billionths()),
        };
        kept.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Cdr {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let kept: CdrKept<AttemptKept> = CdrKept::deserialize(from)?;
        let record = bytes(&kept.record);
        let record = record.and_then(|bytes| CallRecord::read_from_bytes(&bytes).ok());
        let attempts = kept.attempts.into_iter().map(AttemptKept::attempt);
        Ok(Self {
            record: record.ok_or_else(|| D::Error::custom("this is no call's record"))?,
            billing_mode: kept.billing_mode,
            gateway: kept.gateway,
            vendor_gateway: kept.vendor_gateway,
            customer: kept.customer,
            vendor: kept.vendor,
            account: kept.account,
            vendor_account: kept.vendor_account,
            plain_end: kept.plain_end,
            customer_charge: kept.customer_charge.charge(),
            vendor_charge: kept.vendor_charge.charge(),
            attempts: attempts.collect::<Result<_, D::Error>>()?,
            aggregate: kept.aggregate.map(|(source, calls)| Aggregate { source, calls }),
            cover: kept.cover,
            covered: kept.covered,
            agent: kept.agent,
            agent_account: kept.agent_account,
            agent_charge: Money::from_billionths(kept.earned.0),
            agent_income: Money::from_billionths(kept.earned.1),
        })
    }
}

/// A group as the spill keeps it.
///
/// # Errors
/// When a change cannot be told as text, which none of ours is.
pub(super) fn to_text<T: Serialize + ?Sized>(group: &T) -> std::io::Result<Vec<u8>> {
    serde_json::to_vec(group).map_err(std::io::Error::other)
}

/// Reads [`to_text`].
///
/// # Errors
/// When another release wrote it, with changes that this one does not know.
pub(super) fn from_text<T: DeserializeOwned>(text: &[u8]) -> std::io::Result<T> {
    serde_json::from_slice(text).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Change;
    use proptest::prelude::*;
    use serde_json::json;

    fn again(change: &Change) -> Change {
        from_text(&to_text(change).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn bytes_come_back_whatever_they_are(some in proptest::collection::vec(0_u8..3, 0..600)) {
            prop_assert_eq!(bytes(&digits(&some)), Some(some));
        }
    }

    #[test]
    fn text_that_is_no_bytes_is_said_to_be_none() {
        for text in ["0", "0g", "~", "~00", "~0004", "~00040", "é"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(bytes(""), Some(Vec::new()));
        assert_eq!(digits(&[0; 70_000]).len(), 2 * 7);
    }

    #[test]
    fn every_kind_of_change_comes_back_as_it_was() {
        let mut record = CallRecord { id: [7, u64::MAX], ..CallRecord::empty() };
        record.attempts_used = 1;
        let cdr = Cdr {
            attempts: crate::cdr::attempts(&record, |_| "london"),
            record,
            billing_mode: BillingMode::Illegal,
            account: "naïve \"name\"".into(),
            plain_end: true,
            customer_charge: Charge {
                billed_s: 3,
                fee: Money::from_billionths(-4),
                tax: Money::from_billionths(5),
            },
            aggregate: Some(Aggregate { source: "192.0.2.0/24".into(), calls: 9 }),
            ..Cdr::default()
        };
        let body = json!({"name": "c", "role": "customer"});
        let entity = Entity::read(Kind::Account, 5, body).unwrap();
        let set = GeoSet::build(["10.0.0.0/8".parse().unwrap()]).unwrap();
        let prefixes = vec!["192.0.2.0/24".parse().unwrap()];
        let ledger = LedgerEntry {
            account: 1,
            at_us: 2,
            kind: EntryKind::Refund,
            amount: i64::MIN,
            balance: i64::MAX,
            counter: Counter::Cash,
            reference: "refund:1:x".into(),
            who: "anna".into(),
            memo: "line\nbreak".into(),
        };
        let (who, old, new) = ("anna".into(), "0".into(), Some("5".into()));
        let parameter = ParameterChange { at_us: 1, who, name: "FREE_TIME", old, new };
        let event = Event {
            at_us: 3,
            name: "store_failed",
            subject: "store".into(),
            severity: Severity::Critical,
            detail: String::new(),
        };
        let changes = [
            Change::Put(Box::new(entity)),
            Change::Delete(Kind::Code, 9),
            Change::GeoRanges(1, Arc::new(set)),
            Change::ImportEntries(2, Arc::new(Entries::new(prefixes))),
            Change::Parameter(Box::new(parameter)),
            Change::Correction(Box::new(Correction {
                id: [3, u64::MAX],
                request_id: "r".into(),
                new: Amounts { tax: Money::from_billionths(-7), ..Amounts::default() },
                entries: vec![ledger.clone()],
                ..Correction::default()
            })),
            Change::Ledger(Box::new(ledger)),
            Change::CdrStart(Box::new(cdr.clone())),
            Change::CdrEnd(Box::new(cdr)),
            Change::CdrLost([1, 2]),
            Change::Heartbeat(u64::MAX),
            Change::Event(Box::new(event)),
            Change::Located(Box::new(Located { target: "t".into(), servers: Vec::new() })),
            Change::Regular("::1".parse().unwrap(), 8),
        ];
        for change in changes {
            assert_eq!(format!("{:?}", again(&change)), format!("{change:?}"));
        }
    }
}
