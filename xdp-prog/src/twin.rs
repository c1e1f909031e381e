//! The driver's verdict about a SIP datagram, in Rust: for those that reach us past the driver.
//!
//! A datagram in fragments, or one that came by an interface without a guard, is read by the kernel's own
//! sockets. It is judged here by the rules of `deny.h`, `trust.h` and `limit.h` over the very tables that
//! the program looks at, so whoever is denied, or out of budget, is so by any way. A property holds the
//! two against each other (`tests/twin.rs`).

use std::net::IpAddr;
use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use zerocopy::{FromZeros, IntoBytes};

use crate::abi::{
    BudgetBucket, DENY_SLOTS, DenyBucket, DenyEntry, PrefixKey, PrefixRule, Settings,
};
use crate::addresses::{buckets, source_hash, tag};
use crate::maps::{Instant, check_layout, nanoseconds, open_map, read_settings};
use crate::{Error, Prefix, Reason};

/// Line ends before a start line that are looked over.
const LEADING_LINE_ENDS_MAX: usize = 8;

/// The tables of a loaded guard, as the program sees them.
pub struct Twin {
    settings: MapHandle,
    deny_buckets: MapHandle,
    deny_entries: MapHandle,
    deny_prefixes: MapHandle,
    trust_prefixes: MapHandle,
    budgets: MapHandle,
}

impl Twin {
    /// Opens what [`crate::attach`] pinned under `pins`.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        let settings = open_map(pins, "settings")?;
        check_layout(pins, &read_settings(&settings)?)?;
        Ok(Self {
            settings,
            deny_buckets: open_map(pins, "deny_buckets")?,
            deny_entries: open_map(pins, "deny_entries")?,
            deny_prefixes: open_map(pins, "deny_prefixes")?,
            trust_prefixes: open_map(pins, "trust_prefixes")?,
            budgets: open_map(pins, "budgets")?,
        })
    }

    /// [`Reason::WorkerSip`], or why the driver would drop a SIP datagram of `source`. Budgets are spent
    /// as there.
    pub fn judge(&self, now: Instant, source: IpAddr, payload: &[u8]) -> Result<Reason, Error> {
        let now = nanoseconds(Some(now));
        let settings = read_settings(&self.settings)?;
        let hash = source_hash(settings.key, source);
        if let Some(denied) = self.denied(now, source, hash)?
            && rule(&self.trust_prefixes, source)?.is_none()
        {
            return Ok(denied);
        }
        if is_options(payload) && !self.spend(now, hash, &settings)? {
            return Ok(Reason::DropOptionsBudget);
        }
        Ok(Reason::WorkerSip)
    }

    fn denied(&self, now: u64, source: IpAddr, hash: u64) -> Result<Option<Reason>, Error> {
        let ended = |not_after: u64| not_after != 0 && now > not_after;
        let entry = self.entry(source, hash)?;
        if entry.is_some_and(|entry| !ended(entry.not_after)) {
            return Ok(Some(Reason::DropDenyAddress));
        }
        let rule = rule(&self.deny_prefixes, source)?;
        Ok(rule.filter(|rule| !ended(rule.not_after)).map(|_| Reason::DropDenyPrefix))
    }

    fn entry(&self, source: IpAddr, hash: u64) -> Result<Option<DenyEntry>, Error> {
        for place in buckets(hash, self.deny_buckets.max_entries()) {
            let bucket: DenyBucket = read(&self.deny_buckets, &place)?.unwrap_or_default();
            if let Some(slot) = bucket.tags.iter().position(|&found| found == tag(hash)) {
                let place = place * DENY_SLOTS as u32 + slot as u32;
                let entry: Option<DenyEntry> = read(&self.deny_entries, &place)?;
                if entry.is_some_and(|entry| entry.source == source.into()) {
                    return Ok(entry);
                }
            }
            if bucket.spilled == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Whether there was budget left. The driver may spend from the same bucket meanwhile; what is lost
    /// by that is one knock of somebody, let in too many.
    fn spend(&self, now: u64, hash: u64, settings: &Settings) -> Result<bool, Error> {
        let interval = settings.options_interval_ns;
        if interval == 0 {
            return Ok(true);
        }
        let place = (hash >> 16) as u32 & (self.budgets.max_entries() - 1);
        let Some(mut bucket) = read::<BudgetBucket>(&self.budgets, &place)? else {
            return Ok(true);
        };
        let identity = hash.max(1);
        let own = bucket.budgets.iter().position(|budget| budget.identity == identity);
        let owes_least = || (0..bucket.budgets.len()).min_by_key(|&at| bucket.budgets[at].due);
        let Some(at) = own.or_else(owes_least) else { return Ok(true) };
        let begun = if own.is_some() { bucket.budgets[at].due.max(now) } else { now };
        let due = begun + interval;
        if due - now > settings.options_tolerance_ns {
            return Ok(false);
        }
        bucket.budgets[at].identity = identity;
        bucket.budgets[at].due = due;
        self.budgets
            .update(place.as_bytes(), bucket.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("spend a budget of OPTIONS"))?;
        Ok(true)
    }
}

/// The longest rule of a trie around `source`.
fn rule(trie: &MapHandle, source: IpAddr) -> Result<Option<PrefixRule>, Error> {
    read(trie, &PrefixKey::from(Prefix::host(source)))
}

fn read<V: FromZeros + IntoBytes + zerocopy::FromBytes>(
    map: &MapHandle,
    key: &(impl IntoBytes + zerocopy::Immutable),
) -> Result<Option<V>, Error> {
    let mut value = V::new_zeroed();
    let found = map
        .lookup_into(key.as_bytes(), value.as_mut_bytes(), MapFlags::ANY)
        .map_err(Error::bpf("read the tables of the guard"))?;
    Ok(found.then_some(value))
}

/// `limit_is_options` of `limit.h`.
fn is_options(payload: &[u8]) -> bool {
    let mut line = payload;
    for _ in 0..LEADING_LINE_ENDS_MAX {
        let Some(rest) = line.strip_prefix(b"\r\n") else { break };
        line = rest;
    }
    line.starts_with(b"OPTIONS ")
}
