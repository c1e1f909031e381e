//! The driver's verdict about a SIP datagram, in Rust: for those that reach us past the driver.
//!
//! A datagram in fragments, one that came by an interface without a guard, or a message of a connection is read
//! by the kernel's own sockets. It is judged here by the rules of `bpf/` over the very tables that the program
//! looks at, so whoever is denied, a scanner, or out of budget, is so by any way. Flows are the driver's alone: a
//! connection has a limit of its own. A property holds the two against each other (`tests/twin.rs`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use siphasher::sip::SipHasher24;
use zerocopy::{FromZeros, IntoBytes};

use crate::abi::{
    ADDRESS_SLOTS, AddressBucket, AddressEntry, BudgetBucket, Call, Crowd, Limit, MARK_GEO_ALLOW,
    MARK_GEO_FORBID, MARK_TRUNK, METERS, PrefixKey, PrefixRule, Settings, Tags, Trunk,
};
use crate::addresses::{buckets, is_looked, source_hash, tag};
use crate::maps::{Instant, check_layout, nanoseconds, open_map, read_settings};
use crate::sip::Read;
use crate::{Error, Meter, Prefix, Reason};

/// The tables of a loaded guard, as the program sees them.
pub struct Twin {
    settings: MapHandle,
    deny: Table,
    regular: Table,
    deny_prefixes: MapHandle,
    geo_prefixes: MapHandle,
    trust_prefixes: MapHandle,
    budgets: MapHandle,
    network_budgets: MapHandle,
    crowds: MapHandle,
    regular_budgets: MapHandle,
    trunks: MapHandle,
    signatures: MapHandle,
    tags: MapHandle,
    calls: MapHandle,
    call_budgets: MapHandle,
}

/// Single addresses.
struct Table {
    buckets: MapHandle,
    entries: MapHandle,
}

/// What a table says of an address.
struct Found {
    count: u32,
    not_after: u64,
}

/// `who.h`.
enum Who {
    Trusted { trunk: u32 },
    Regular { contacts: u32 },
    Stranger,
}

/// When, and by whom.
struct Asked {
    now: u64,
    source: IpAddr,
    hash: u64,
    settings: Settings,
}

impl Twin {
    /// Opens what [`crate::attach`] pinned under `pins`.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        let settings = open_map(pins, "settings")?;
        check_layout(pins, &read_settings(&settings)?)?;
        Ok(Self {
            settings,
            deny: Table::open(pins, "deny")?,
            regular: Table::open(pins, "regular")?,
            deny_prefixes: open_map(pins, "deny_prefixes")?,
            geo_prefixes: open_map(pins, "geo_prefixes")?,
            trust_prefixes: open_map(pins, "trust_prefixes")?,
            budgets: open_map(pins, "budgets")?,
            network_budgets: open_map(pins, "network_budgets")?,
            crowds: open_map(pins, "crowds")?,
            regular_budgets: open_map(pins, "regular_budgets")?,
            trunks: open_map(pins, "trunks")?,
            signatures: open_map(pins, "signatures")?,
            tags: open_map(pins, "tags")?,
            calls: open_map(pins, "calls")?,
            call_budgets: open_map(pins, "call_budgets")?,
        })
    }

    /// [`Reason::WorkerSip`], or why the driver would drop whatever that source sends.
    pub fn judge_source(&self, now: Instant, source: IpAddr) -> Result<Reason, Error> {
        let asked = self.asked(now, source)?;
        Ok(self.shut_out(&asked)?.map_or(Reason::WorkerSip, |reason| asked.enforced(reason)))
    }

    /// [`Reason::WorkerSip`], [`Reason::WorkerCall`], or why the driver would drop a SIP datagram of `source`.
    /// Budgets are spent as there.
    pub fn judge(&self, now: Instant, source: IpAddr, payload: &[u8]) -> Result<Reason, Error> {
        let asked = self.asked(now, source)?;
        if let Some(reason) = self.shut_out(&asked)?.filter(|&reason| asked.holds(reason)) {
            return Ok(reason);
        }
        let Some((read, meter)) = Read::new(payload) else { return Ok(Reason::DropSipStartLine) };
        let refused = match self.who(&asked)? {
            Who::Trusted { trunk } => {
                let in_dialog = meter == Meter::Invite && read.has_tag();
                let meter = if in_dialog { Meter::Other } else { meter };
                let fits = self.spend_trunk(&asked, trunk, meter)?;
                if !fits && meter != Meter::Invite && self.spend_call(&asked, &read)? {
                    return Ok(Reason::WorkerCall);
                }
                (!fits).then(|| over(meter))
            }
            Who::Regular { contacts } => {
                let limit = asked.settings.regular_limit(contacts);
                let fits =
                    spend(&self.regular_budgets, &asked, asked.hash, meter as usize, &limit)?;
                (!fits).then(|| over(meter))
            }
            Who::Stranger => self.stranger(&asked, &read, meter)?,
        };
        Ok(refused.map_or(Reason::WorkerSip, |reason| asked.enforced(reason)))
    }

    /// Whether `source` is anybody's that we know: a trusted network's, or a regular's.
    pub fn knows(&self, now: Instant, source: IpAddr) -> Result<bool, Error> {
        Ok(!matches!(self.who(&self.asked(now, source)?)?, Who::Stranger))
    }

    fn asked(&self, now: Instant, source: IpAddr) -> Result<Asked, Error> {
        let settings = read_settings(&self.settings)?;
        let hash = source_hash(settings.key, source);
        Ok(Asked { now: nanoseconds(Some(now)), source, hash, settings })
    }

    /// `decide_source`, without monitor mode.
    fn shut_out(&self, asked: &Asked) -> Result<Option<Reason>, Error> {
        if asked.settings.admits == 0 {
            return Ok(Some(Reason::DropBeforeRules));
        }
        let said = match self.denied(asked)? {
            None => self.abroad(asked)?,
            denied => denied,
        };
        let Some(said) = said else { return Ok(None) };
        Ok(rule(&self.trust_prefixes, asked.source)?.is_none().then_some(said))
    }

    fn denied(&self, asked: &Asked) -> Result<Option<Reason>, Error> {
        if self.deny.find(asked)?.is_some_and(|entry| !asked.ended(entry.not_after)) {
            return Ok(Some(Reason::DropDenyAddress));
        }
        let rule = rule(&self.deny_prefixes, asked.source)?;
        Ok(rule.filter(|rule| !asked.ended(rule.not_after)).map(|_| Reason::DropDenyPrefix))
    }

    /// `geo.h`.
    fn abroad(&self, asked: &Asked) -> Result<Option<Reason>, Error> {
        if asked.settings.geo == 0 {
            return Ok(None);
        }
        let mark = rule(&self.geo_prefixes, asked.source)?.map_or(0, |rule| rule.mark);
        let missed = asked.settings.geo & MARK_GEO_ALLOW & !mark != 0;
        Ok((mark & MARK_GEO_FORBID != 0 || missed).then_some(Reason::DropGeo))
    }

    fn who(&self, asked: &Asked) -> Result<Who, Error> {
        if let Some(trust) = rule(&self.trust_prefixes, asked.source)? {
            return Ok(Who::Trusted { trunk: trust.mark & MARK_TRUNK });
        }
        let regular = self.regular.find(asked)?.filter(|entry| !asked.ended(entry.not_after));
        Ok(regular.map_or(Who::Stranger, |entry| Who::Regular { contacts: entry.count }))
    }

    fn stranger(
        &self,
        asked: &Asked,
        read: &Read<'_>,
        meter: Meter,
    ) -> Result<Option<Reason>, Error> {
        if asked.settings.signatures != 0
            && let Some(agent) = read.agent()
        {
            let known = self.signatures.lookup(&agent, MapFlags::ANY);
            if known.map_err(Error::bpf("read a signature"))?.is_some() {
                return Ok(Some(Reason::DropSignature));
            }
        }
        let any = &asked.settings.any_limit;
        if !spend(&self.budgets, asked, asked.hash, METER_ANY, any)? {
            return Ok(Some(Reason::DropAnyBudget));
        }
        let place = meter as usize;
        let limit = &asked.settings.limits[place];
        if !spend(&self.budgets, asked, asked.hash, place, limit)? {
            return Ok(Some(over(meter)));
        }
        let limit = &asked.settings.network_limits[place];
        let network = source_hash(asked.settings.key, network(asked.source));
        if !spend(&self.network_budgets, asked, network, place, limit)? {
            return Ok(Some(Reason::DropNetworkBudget));
        }
        Ok((!self.spend_crowd(asked, meter)?).then_some(Reason::DropCrowdBudget))
    }

    fn spend_crowd(&self, asked: &Asked, meter: Meter) -> Result<bool, Error> {
        let (limit, place) = (asked.settings.crowd_limits[meter as usize], meter as u32);
        if limit.interval_ns == 0 {
            return Ok(true);
        }
        let mut crowd = read::<Crowd>(&self.crowds, &place)?.unwrap_or_default();
        let fits = conforms(&mut crowd.due, &limit, asked.now);
        self.crowds
            .update(place.as_bytes(), crowd.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("spend the budget of all strangers"))?;
        Ok(fits)
    }

    fn spend_trunk(&self, asked: &Asked, number: u32, meter: Meter) -> Result<bool, Error> {
        let Some(mut trunk) = read::<Trunk>(&self.trunks, &number)? else { return Ok(true) };
        let (limit, due) = match meter {
            Meter::Invite => (trunk.invites, &mut trunk.invites_due),
            _ => (trunk.rest, &mut trunk.rest_due),
        };
        if limit.interval_ns == 0 {
            return Ok(true);
        }
        let fits = conforms(due, &limit, asked.now);
        self.trunks
            .update(number.as_bytes(), trunk.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("spend a budget of a trunk"))?;
        Ok(fits)
    }
}

/// `call.h`.
impl Twin {
    fn spend_call(&self, asked: &Asked, message: &Read<'_>) -> Result<bool, Error> {
        let Some([random, masked]) = message.token() else { return Ok(false) };
        let made: Tags = read(&self.tags, &0u32)?.unwrap_or_default();
        let mask = SipHasher24::new_with_keys(made.key[0], made.key[1]);
        let payload = masked ^ mask.hash(&random.to_le_bytes());
        let (slot, generation) = ((payload >> 40) as u32, payload as u32);
        let limit = &asked.settings.call_limit;
        for worker in 0..made.workers {
            let place = slot * made.workers + worker;
            let Some(call) = read::<Call>(&self.calls, &place)? else { return Ok(false) };
            if call.live == 0 || call.generation != generation {
                continue;
            }
            if limit.interval_ns == 0 {
                return Ok(true);
            }
            let mut due = read::<u64>(&self.call_budgets, &place)?.unwrap_or_default();
            let fits = conforms(&mut due, limit, asked.now);
            self.call_budgets
                .update(place.as_bytes(), due.as_bytes(), MapFlags::ANY)
                .map_err(Error::bpf("spend the budget of a call"))?;
            return Ok(fits);
        }
        Ok(false)
    }
}

impl Asked {
    fn ended(&self, not_after: u64) -> bool {
        not_after != 0 && self.now > not_after
    }

    /// In monitor mode nothing comes of a rule.
    fn enforced(&self, reason: Reason) -> Reason {
        if self.holds(reason) { reason } else { Reason::WorkerSip }
    }

    fn holds(&self, reason: Reason) -> bool {
        self.settings.monitor == 0 || reason == Reason::DropBeforeRules
    }
}

impl Table {
    fn open(pins: &Path, list: &str) -> Result<Self, Error> {
        let buckets = open_map(pins, &format!("{list}_buckets"))?;
        Ok(Self { buckets, entries: open_map(pins, &format!("{list}_entries"))? })
    }

    fn find(&self, asked: &Asked) -> Result<Option<Found>, Error> {
        let (source, hash) = (asked.source, asked.hash);
        for number in buckets(hash, self.buckets.max_entries()) {
            let bucket: AddressBucket = read(&self.buckets, &number)?.unwrap_or_default();
            if let Some(slot) = bucket.tags.iter().position(|&found| found == tag(source, hash)) {
                let count = bucket.counts[slot];
                if bucket.is_looked(slot) {
                    let place = number * ADDRESS_SLOTS as u32 + slot as u32;
                    let entry: Option<AddressEntry> = read(&self.entries, &place)?;
                    if let Some(entry) = entry.filter(|entry| entry.source == source.into()) {
                        return Ok(Some(Found { count, not_after: entry.not_after }));
                    }
                } else if !is_looked(source, None) {
                    return Ok(Some(Found { count, not_after: 0 }));
                }
            }
            if bucket.spilled == 0 {
                break;
            }
        }
        Ok(None)
    }
}

/// `DROP_OPTIONS_BUDGET + meter`.
fn over(meter: Meter) -> Reason {
    let number = Reason::DropOptionsBudget as u32 + meter as u32;
    Reason::from_number(number).unwrap_or(Reason::DropOtherBudget)
}

/// Beside the meters, in the same cache: all of SIP together.
const METER_ANY: usize = METERS;

/// `limit_spend`. The driver may spend from the same bucket meanwhile; what is lost by that is one knock of
/// somebody, let in too many.
fn spend(
    cache: &MapHandle,
    asked: &Asked,
    hash: u64,
    meter: usize,
    limit: &Limit,
) -> Result<bool, Error> {
    if limit.interval_ns == 0 {
        return Ok(true);
    }
    let mixed = (hash ^ meter as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let identity = mixed.max(1);
    let place = (mixed >> 32) as u32 & (cache.max_entries() - 1);
    let Some(mut bucket) = read::<BudgetBucket>(cache, &place)? else { return Ok(true) };
    let own = bucket.budgets.iter().position(|budget| budget.identity == identity);
    let owes_least = || (0..bucket.budgets.len()).min_by_key(|&at| bucket.budgets[at].due);
    let Some(at) = own.or_else(owes_least) else { return Ok(true) };
    if own.is_none() {
        bucket.budgets[at].due = 0;
    }
    bucket.budgets[at].identity = identity;
    let fits = conforms(&mut bucket.budgets[at].due, limit, asked.now);
    cache
        .update(place.as_bytes(), bucket.as_bytes(), MapFlags::ANY)
        .map_err(Error::bpf("spend a budget"))?;
    Ok(fits)
}

/// A due time is even; odd: who it belongs to went over and is out until then.
const OUT: u64 = 1;

/// `limit_meter`.
fn conforms(due: &mut u64, limit: &Limit, now: u64) -> bool {
    let next = ((*due).max(now) + limit.interval_ns) & !OUT;
    let is_out = *due & OUT != 0 && *due > now;
    if is_out || next.saturating_sub(now) > limit.tolerance_ns {
        if limit.renew_ns != 0 {
            *due = (now + limit.renew_ns) | OUT;
        }
        return false;
    }
    *due = next;
    true
}

/// `source_network`.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
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
