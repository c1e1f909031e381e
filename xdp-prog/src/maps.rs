//! What control does with a loaded guard: writes its lists and limits, reads its counters, asks it.
//!
//! The pinned tables are the truth about what the driver does; this keeps beside them what makes a
//! change cheap. One process writes (control's reconciler); any may read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{self, RawExplanation, Settings};
use crate::addresses::{self, Addresses};
use crate::attach::Interface;
use crate::explain::{Described, Explanation, Purse, Rule};
use crate::pins::pinned_interfaces;
use crate::prefixes::{self, Prefixes};
use crate::tester;
use crate::{Error, Limits, Meter, Prefix, Rate, Reason, Standing, TrunkRates};

/// Monotonic time since the machine booted (CLOCK_MONOTONIC), the clock of the driver.
pub type Instant = Duration;

/// A rule of the deny list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deny {
    /// Who is shut out.
    pub prefix: Prefix,
    /// The last moment of it; `None` is for good. The driver itself looks at the clock.
    pub not_after: Option<Instant>,
}

/// An address from which somebody registered or called lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regular {
    /// Whence.
    pub address: IpAddr,
    /// How many contacts are registered there; its budgets grow with them.
    pub contacts: u32,
    /// Until when it is one.
    pub not_after: Instant,
}

/// A trusted network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Who is trusted.
    pub prefix: Prefix,
    /// Whose budgets are spent, by [`Maps::set_trunk`]; 0: those of the nearest around it.
    pub trunk: u16,
    /// Whether the ports of administrators are open to it.
    pub admin: bool,
}

/// A network of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its addresses.
    pub prefix: Prefix,
    /// Nobody in it may come.
    pub forbid: bool,
    /// Who is in it may come; if there are any such, nobody else may.
    pub allow: bool,
}

/// What is open beside SIP's and media's own ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Whether all others are closed; if not, nothing here matters.
    pub closed: bool,
    /// TCP, to everybody.
    pub tcp: BTreeSet<u16>,
    /// UDP, to everybody.
    pub udp: BTreeSet<u16>,
    /// TCP, to administrators; to everybody while none is named.
    pub admin: BTreeSet<u16>,
    /// First and last port of our own connections to others.
    pub local: (u16, u16),
}

/// What a replacement of a whole list came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rules that are new or got another end.
    pub written: usize,
    /// Rules that are gone.
    pub removed: usize,
}

/// Frames and bytes that left for one reason since the tables were made, over all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Why they left.
    pub reason: Reason,
    /// How many frames.
    pub packets: u64,
    /// Their bytes from Ethernet header to the end, without check sequence.
    pub bytes: u64,
}

/// What a stranger, or another source whose frames a rule dropped, did since he has a place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talker {
    /// Who.
    pub source: IpAddr,
    /// Frames to our ports.
    pub packets: u64,
    /// Of them dropped.
    pub dropped: u64,
    /// Of them OPTIONS.
    pub options: u64,
    /// Why the last one left.
    pub reason: Reason,
    /// When, by the driver's clock.
    pub last: Instant,
}

/// The tables of a loaded guard.
pub struct Maps {
    pins: PathBuf,
    settings: MapHandle,
    counts: MapHandle,
    spared: MapHandle,
    talkers: MapHandle,
    trunks: MapHandle,
    signatures: MapHandle,
    ports: MapHandle,
    addresses: Addresses,
    regulars: Addresses,
    denied: Prefixes,
    regions: Prefixes,
    trusted: Prefixes,
}

impl Maps {
    /// Opens what [`crate::attach`] pinned under `pins`, with every rule in it.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        let settings = open_map(pins, "settings")?;
        let current = read_settings(&settings)?;
        check_layout(pins, &current)?;
        Ok(Self {
            counts: open_map(pins, "counts")?,
            spared: open_map(pins, "spared")?,
            talkers: open_map(pins, "talkers")?,
            trunks: open_map(pins, "trunks")?,
            signatures: open_map(pins, "signatures")?,
            ports: open_map(pins, "ports")?,
            addresses: Addresses::open(pins, "deny", current.key)?,
            regulars: Addresses::open(pins, "regular", current.key)?,
            denied: Prefixes::open(pins, "deny")?,
            regions: Prefixes::open(pins, "geo")?,
            trusted: Prefixes::open(pins, "trust")?,
            pins: pins.to_owned(),
            settings,
        })
    }

    /// Whether these are still the tables under the pins: after `--unload` and a new start they are
    /// not, and must be opened again and filled.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let id = |map: &MapHandle| map.info().map(|info| info.info.id).ok();
        open_map(&self.pins, "settings").is_ok_and(|pinned| id(&pinned) == id(&self.settings))
    }

    /// Denies a source, or changes until when. `false`: it was denied just so.
    pub fn deny_add(&mut self, deny: &Deny) -> Result<bool, Error> {
        let not_after = deny.not_after;
        if deny.prefix.is_host() {
            let said = addresses::Said { not_after, count: None };
            self.addresses.set(deny.prefix.address(), said)
        } else {
            self.denied.set(deny.prefix, prefixes::Said { not_after, mark: 0 })
        }
    }

    /// Frames that exactly this rule of the deny list dropped; of an address modulo 2^32.
    pub fn deny_hits(&self, prefix: Prefix) -> Result<u64, Error> {
        if prefix.is_host() {
            Ok(self.addresses.count(prefix.address())?.unwrap_or(0).into())
        } else {
            self.denied.hits(prefix)
        }
    }

    /// Takes exactly this rule from the deny list. `false`: there was none.
    pub fn deny_remove(&mut self, prefix: Prefix) -> Result<bool, Error> {
        if prefix.is_host() {
            self.addresses.remove(prefix.address())
        } else {
            self.denied.remove(prefix)
        }
    }

    /// The deny list, networks first.
    pub fn deny_list(&self) -> Result<Vec<Deny>, Error> {
        let networks = self.denied.iter().map(|(prefix, said)| (prefix, said.not_after));
        let hosts = self.addresses.list()?;
        let hosts = hosts.into_iter().map(|(address, end)| (Prefix::host(address), end));
        Ok(networks.chain(hosts).map(|(prefix, not_after)| Deny { prefix, not_after }).collect())
    }

    /// How many single addresses, and how many networks, can be denied.
    #[must_use]
    pub fn deny_room(&self) -> (u32, u32) {
        (self.addresses.capacity(), self.denied.capacity())
    }

    /// How many regulars there can be.
    #[must_use]
    pub fn regular_room(&self) -> u32 {
        self.regulars.capacity()
    }

    /// How many networks can be trusted.
    #[must_use]
    pub fn trust_room(&self) -> u32 {
        self.trusted.capacity()
    }

    /// Makes the deny list be `wanted`. Rules that stay are not touched, so nobody slips through
    /// meanwhile; of a network named twice the last counts.
    pub fn deny_replace_all(
        &mut self,
        wanted: impl IntoIterator<Item = Deny>,
    ) -> Result<Changed, Error> {
        let mut hosts = HashMap::new();
        let mut networks = BTreeMap::new();
        for Deny { prefix, not_after } in wanted {
            if prefix.is_host() {
                hosts.insert(prefix.address(), addresses::Said { not_after, count: None });
            } else {
                networks.insert(prefix, prefixes::Said { not_after, mark: 0 });
            }
        }
        let (hosts_written, hosts_removed) = self.addresses.replace(&hosts)?;
        let (written, removed) = self.denied.replace(&networks)?;
        Ok(Changed { written: written + hosts_written, removed: removed + hosts_removed })
    }

    /// Removes the rules that ended before `now`, so that their room is free; they had no effect
    /// any more. Returns how many.
    pub fn deny_expire(&mut self, now: Instant) -> Result<usize, Error> {
        let mut removed = 0;
        for deny in self.deny_list()? {
            if deny.not_after.is_some_and(|not_after| now > not_after) {
                removed += usize::from(self.deny_remove(deny.prefix)?);
            }
        }
        Ok(removed)
    }

    /// How many single addresses and networks the deny list can hold.
    #[must_use]
    pub fn deny_capacity(&self) -> (u32, u32) {
        (self.addresses.capacity(), self.denied.capacity())
    }

    /// Enters a regular, or changes what is known of him. `false`: it stood there just so.
    pub fn regular_set(&mut self, regular: &Regular) -> Result<bool, Error> {
        let (not_after, count) = (Some(regular.not_after), Some(regular.contacts));
        self.regulars.set(regular.address, addresses::Said { not_after, count })
    }

    /// A source is a regular no longer. `false`: it was none.
    pub fn regular_remove(&mut self, address: IpAddr) -> Result<bool, Error> {
        self.regulars.remove(address)
    }

    /// Makes the regulars be `wanted`, touching only what differs.
    pub fn regular_replace_all(
        &mut self,
        wanted: impl IntoIterator<Item = Regular>,
    ) -> Result<Changed, Error> {
        let wanted = wanted.into_iter().map(|Regular { address, contacts, not_after }| {
            (address, addresses::Said { not_after: Some(not_after), count: Some(contacts) })
        });
        let (written, removed) = self.regulars.replace(&wanted.collect())?;
        Ok(Changed { written, removed })
    }

    /// Trusts a network or an address: no rule about sources touches it, and its budgets are its own. `false`:
    /// it was trusted just so.
    pub fn trust_add(&mut self, trust: &Trust) -> Result<bool, Error> {
        let set = self.trusted.set(trust.prefix, trust.said())?;
        self.tell_admins()?;
        Ok(set)
    }

    /// Takes exactly this rule from the trust list. `false`: there was none.
    pub fn trust_remove(&mut self, prefix: Prefix) -> Result<bool, Error> {
        let removed = self.trusted.remove(prefix)?;
        self.tell_admins()?;
        Ok(removed)
    }

    /// The trust list.
    #[must_use]
    pub fn trust_list(&self) -> Vec<Trust> {
        self.trusted.iter().map(|(prefix, said)| Trust::of(prefix, said)).collect()
    }

    /// Makes the trust list be `wanted`, touching only what differs.
    pub fn trust_replace_all(
        &mut self,
        wanted: impl IntoIterator<Item = Trust>,
    ) -> Result<Changed, Error> {
        let wanted = wanted.into_iter().map(|trust| (trust.prefix, trust.said())).collect();
        let (written, removed) = self.trusted.replace(&wanted)?;
        self.tell_admins()?;
        Ok(Changed { written, removed })
    }

    /// While nobody is named as administrator, nobody is locked out.
    fn tell_admins(&self) -> Result<(), Error> {
        let admins = self.trusted.iter().any(|(_, said)| said.mark & abi::MARK_ADMIN != 0);
        self.edit_settings(|settings| settings.admins = admins.into())
    }

    /// Sets the budgets of a trunk, by its number from 1 on; what it spent stays spent.
    pub fn set_trunk(&mut self, number: u16, rates: &TrunkRates) -> Result<(), Error> {
        let mut trunk = abi::Trunk::default();
        let key = u32::from(number);
        self.trunks
            .lookup_into(key.as_bytes(), trunk.as_mut_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("read the budgets of a trunk"))?;
        let [invites, rest] = rates.limits();
        if (trunk.invites, trunk.rest) == (invites, rest) {
            return Ok(());
        }
        (trunk.invites, trunk.rest) = (invites, rest);
        self.trunks
            .update(key.as_bytes(), trunk.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("write the budgets of a trunk"))
    }

    /// Makes the regions be `wanted`, touching only what differs; of a network named twice all holds.
    pub fn geo_replace_all(
        &mut self,
        wanted: impl IntoIterator<Item = Region>,
    ) -> Result<Changed, Error> {
        let mut networks: BTreeMap<Prefix, prefixes::Said> = BTreeMap::new();
        for Region { prefix, forbid, allow } in wanted {
            let forbid = if forbid { abi::MARK_GEO_FORBID } else { 0 };
            let allow = if allow { abi::MARK_GEO_ALLOW } else { 0 };
            networks.entry(prefix).or_default().mark |= forbid | allow;
        }
        let marks = networks.values().fold(0, |marks, said| marks | said.mark);
        let (written, removed) = self.regions.replace(&networks)?;
        self.edit_settings(|settings| settings.geo = marks)?;
        Ok(Changed { written, removed })
    }

    /// Frames that exactly this network of a region dropped.
    pub fn geo_hits(&self, prefix: Prefix) -> Result<u64, Error> {
        self.regions.hits(prefix)
    }

    /// Makes the scanners that are known by name be `wanted`: first words of User-Agent or Server headers, in
    /// any case; what is longer than [`abi::AGENT_BYTES`] is cut.
    pub fn signature_replace_all<'a>(
        &mut self,
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Changed, Error> {
        let wanted: BTreeSet<[u8; abi::AGENT_BYTES]> = wanted.into_iter().map(agent).collect();
        let mut changed = Changed::default();
        for old in self.signatures.keys() {
            if !wanted.iter().any(|agent| agent[..] == old[..]) {
                self.signatures.delete(&old).map_err(Error::bpf("remove a signature"))?;
                changed.removed += 1;
            }
        }
        for agent in &wanted {
            let found = self.signatures.lookup(agent, MapFlags::ANY);
            if found.map_err(Error::bpf("read a signature"))?.is_none() {
                self.signatures
                    .update(agent, 0u64.as_bytes(), MapFlags::ANY)
                    .map_err(Error::bpf("write a signature"))?;
                changed.written += 1;
            }
        }
        let any = !wanted.is_empty();
        self.edit_settings(|settings| settings.signatures = any.into())?;
        Ok(changed)
    }

    /// Frames that a signature dropped.
    pub fn signature_hits(&self, name: &str) -> Result<u64, Error> {
        let found = self
            .signatures
            .lookup(&agent(name), MapFlags::ANY)
            .map_err(Error::bpf("read a signature"))?;
        Ok(found.and_then(|hits| u64::read_from_bytes(&hits).ok()).unwrap_or(0))
    }

    /// Opens and closes ports; holds from the next frame on.
    pub fn set_ports(&mut self, ports: &Ports) -> Result<(), Error> {
        let bits = |open: &BTreeSet<u16>, word: u32| {
            let first = word * 64;
            open.iter()
                .filter_map(|&port| u32::from(port).checked_sub(first).filter(|&bit| bit < 64))
                .fold(0u64, |bits, bit| bits | 1 << bit)
        };
        for word in 0..self.ports.max_entries() {
            let wanted = abi::PortWord {
                tcp: bits(&ports.tcp, word),
                udp: bits(&ports.udp, word),
                admin: bits(&ports.admin, word),
            };
            let mut found = abi::PortWord::default();
            self.ports
                .lookup_into(word.as_bytes(), found.as_mut_bytes(), MapFlags::ANY)
                .map_err(Error::bpf("read the open ports"))?;
            if found != wanted {
                self.ports
                    .update(word.as_bytes(), wanted.as_bytes(), MapFlags::ANY)
                    .map_err(Error::bpf("write the open ports"))?;
            }
        }
        self.edit_settings(|settings| {
            settings.closed = ports.closed.into();
            (settings.local_first, settings.local_last) =
                (ports.local.0.into(), ports.local.1.into());
        })
    }

    /// Sets how much may be sent; holds from the next frame on.
    pub fn set_limits(&mut self, limits: &Limits) -> Result<(), Error> {
        self.edit_settings(|settings| limits.write(settings))
    }

    /// Lets in whom the rules let in, from the next frame on: of new tables, once all rules are written.
    pub fn admit(&self) -> Result<(), Error> {
        self.edit_settings(|settings| settings.admits = 1)
    }

    /// Whether rules were written, so that anybody is let in.
    pub fn admits(&self) -> Result<bool, Error> {
        Ok(read_settings(&self.settings)?.admits != 0)
    }

    fn edit_settings(&self, edit: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        let found = read_settings(&self.settings)?;
        let mut settings = found;
        edit(&mut settings);
        if settings == found {
            return Ok(());
        }
        write_settings(&self.settings, &settings)
    }

    /// Every counter, in the order of [`Reason::ALL`].
    pub fn counters(&self) -> Result<Vec<Count>, Error> {
        Reason::ALL.iter().map(|&reason| self.count_of(&self.counts, reason)).collect()
    }

    /// What would have been dropped, but was let in, in monitor mode, or told so ([`Reason::AnswerUnreachable`]); in
    /// the order of [`Reason::ALL`]. It stands in [`Self::counters`] by what became of it.
    pub fn spared(&self) -> Result<Vec<Count>, Error> {
        Reason::ALL.iter().map(|&reason| self.count_of(&self.spared, reason)).collect()
    }

    /// One counter, for those of that standing alone.
    pub fn counter(&self, reason: Reason, standing: Standing) -> Result<Count, Error> {
        self.count(&self.counts, reason, standing)
    }

    fn count_of(&self, books: &MapHandle, reason: Reason) -> Result<Count, Error> {
        let mut sum = Count { reason, packets: 0, bytes: 0 };
        for &standing in Standing::ALL {
            let count = self.count(books, reason, standing)?;
            sum.packets += count.packets;
            sum.bytes += count.bytes;
        }
        Ok(sum)
    }

    fn count(&self, books: &MapHandle, reason: Reason, standing: Standing) -> Result<Count, Error> {
        let number = reason as u32 * Standing::ALL.len() as u32 + standing as u32;
        let cpus = books
            .lookup_percpu(number.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("read the counters"))?
            .unwrap_or_default();
        let mut count = Count { reason, packets: 0, bytes: 0 };
        for cpu in cpus.iter().filter_map(|cpu| abi::Count::read_from_bytes(cpu).ok()) {
            count.packets += cpu.packets;
            count.bytes += cpu.bytes;
        }
        Ok(count)
    }

    /// Every source that has a place in the table of talkers.
    pub fn talkers(&self) -> Result<Vec<Talker>, Error> {
        let all = self
            .talkers
            .lookup_batch(8192, MapFlags::ANY, MapFlags::ANY)
            .map_err(Error::bpf("read the talkers"))?;
        let talkers = all.filter_map(|(_, bytes)| {
            let talker = abi::Talker::read_from_bytes(&bytes).ok()?;
            Some(Talker {
                source: talker.source.address()?,
                packets: talker.packets,
                dropped: talker.dropped,
                options: talker.options,
                reason: Reason::from_number(talker.reason)?,
                last: Instant::from_nanos(talker.last_ns),
            })
        });
        Ok(talkers.collect())
    }

    /// What the loaded program would do with such a packet now: it is run, by test-run, with the
    /// tables as they are. Nothing is counted and no budget spent.
    pub fn explain(&self, described: &Described) -> Result<Explanation, Error> {
        let answer = tester::explain(&self.pins, described)?;
        let reason = Reason::from_number(answer.reason).ok_or_else(|| {
            let what = format!("reason {} is unknown", answer.reason);
            Error::Layout { pins: self.pins.clone(), what }
        })?;
        let spared = Reason::from_number(answer.spared);
        let refused = Reason::from_number(answer.refused);
        Ok(Explanation {
            verdict: reason.verdict(),
            reason,
            standing: Standing::from_number(answer.standing).unwrap_or(Standing::Unasked),
            meter: Meter::from_number(answer.meter),
            contacts: answer.contacts,
            spared,
            refused,
            rule: self.rule(&answer),
        })
    }

    /// The entry that decided, by what the program saw.
    fn rule(&self, answer: &RawExplanation) -> Option<Rule> {
        let source = answer.source.address()?;
        let found = |bits: u32| Prefix::new(source, u8::try_from(bits).ok()?).ok();
        let not_after = until(answer.rule_not_after);
        let prefix = match answer.rule {
            abi::RULE_DENY_ADDRESS => Prefix::host(source),
            // The trie's own find may have ended and only stand for a network around it.
            abi::RULE_DENY_PREFIX => {
                self.denied.longest(source, not_after).or_else(|| found(answer.rule_bits))?
            }
            abi::RULE_GEO => return Some(Rule::Region(found(answer.rule_bits)?)),
            _ => return self.budget(answer),
        };
        let denied = Deny { prefix, not_after };
        match answer.trusted {
            0 => Some(Rule::Deny(denied)),
            _ => Some(Rule::Trust { trusted: found(answer.trust_bits)?, denied }),
        }
    }

    /// The budget that was spent.
    fn budget(&self, answer: &RawExplanation) -> Option<Rule> {
        let meter = Meter::from_number(answer.meter)?;
        let settings = read_settings(&self.settings).ok()?;
        let over = Reason::DropOptionsBudget as u32 + meter as u32;
        let reason = Reason::from_number(answer.reason)?;
        let shared = match reason {
            Reason::DropAnyBudget => Some((Purse::Any, settings.any_limit)),
            Reason::DropNetworkBudget => {
                Some((Purse::Network, settings.network_limits[meter as usize]))
            }
            Reason::DropCrowdBudget => Some((Purse::Crowd, settings.crowd_limits[meter as usize])),
            _ => None,
        };
        if let Some((purse, limit)) = shared {
            return Some(Rule::Budget { purse, meter, rate: Rate::read(&limit) });
        }
        let limit = match Standing::from_number(answer.standing)? {
            _ if answer.reason != over => return None,
            Standing::Trusted => {
                let mut trunk = abi::Trunk::default();
                self.trunks
                    .lookup_into(answer.trunk.as_bytes(), trunk.as_mut_bytes(), MapFlags::ANY)
                    .ok()?;
                if meter == Meter::Invite { trunk.invites } else { trunk.rest }
            }
            Standing::Regular => settings.regular_limit(answer.contacts),
            Standing::Stranger | Standing::Unasked => settings.limits[meter as usize],
        };
        Some(Rule::Budget { purse: Purse::Own, meter, rate: Rate::read(&limit) })
    }

    /// The guarded interfaces and how the program runs on each.
    pub fn interfaces(&self) -> Result<Vec<Interface>, Error> {
        pinned_interfaces(&self.pins)
    }
}

impl Trust {
    fn said(&self) -> prefixes::Said {
        let admin = if self.admin { abi::MARK_ADMIN } else { 0 };
        prefixes::Said { not_after: None, mark: admin | u32::from(self.trunk) }
    }

    fn of(prefix: Prefix, said: prefixes::Said) -> Self {
        let trunk = (said.mark & abi::MARK_TRUNK) as u16;
        Self { prefix, trunk, admin: said.mark & abi::MARK_ADMIN != 0 }
    }
}

/// `struct agent` of a name.
fn agent(name: &str) -> [u8; abi::AGENT_BYTES] {
    let mut text = [0; abi::AGENT_BYTES];
    for (place, byte) in text.iter_mut().zip(name.bytes()) {
        *place = byte.to_ascii_lowercase();
    }
    text
}

/// A pinned table by its name.
pub(crate) fn open_map(pins: &Path, name: &str) -> Result<MapHandle, Error> {
    let path = pins.join(name);
    if !path.exists() {
        return Err(Error::NotLoaded { pins: pins.to_owned() });
    }
    MapHandle::from_pinned_path(path).map_err(Error::bpf(format!("open the table {name}")))
}

pub(crate) fn read_settings(map: &impl MapCore) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    map.lookup_into(0u32.as_bytes(), settings.as_mut_bytes(), MapFlags::ANY)
        .map_err(Error::bpf("read the settings of the guard"))?;
    Ok(settings)
}

pub(crate) fn write_settings(map: &impl MapCore, settings: &Settings) -> Result<(), Error> {
    map.update(0u32.as_bytes(), settings.as_bytes(), MapFlags::ANY)
        .map_err(Error::bpf("write the settings of the guard"))
}

pub(crate) fn check_layout(pins: &Path, settings: &Settings) -> Result<(), Error> {
    if settings.layout == abi::LAYOUT {
        return Ok(());
    }
    let what = format!("layout {} instead of {}", settings.layout, abi::LAYOUT);
    Err(Error::Layout { pins: pins.to_owned(), what })
}

/// The end of a rule as the driver reads it.
pub(crate) fn nanoseconds(not_after: Option<Instant>) -> u64 {
    // An end at boot itself is long past, but 0 would be never.
    not_after.map_or(0, |end| u64::try_from(end.as_nanos()).unwrap_or(u64::MAX).max(1))
}

/// The end of a rule as people read it.
pub(crate) fn until(not_after: u64) -> Option<Instant> {
    (not_after != 0).then(|| Instant::from_nanos(not_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_at_boot_is_not_for_good() {
        assert_eq!(nanoseconds(Some(Instant::ZERO)), 1);
        assert_eq!(nanoseconds(None), 0);
        assert_eq!(nanoseconds(Some(Instant::MAX)), u64::MAX);
        assert_eq!(until(0), None);
        assert_eq!(until(5), Some(Instant::from_nanos(5)));
    }
}
