//! What control does with a loaded guard: writes its lists and limits, reads its counters, asks it.
//!
//! The pinned tables are the truth about what the driver does; this keeps beside them what makes a
//! change cheap. One process writes (control's reconciler); any may read.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{self, RawExplanation, Settings};
use crate::addresses::Addresses;
use crate::attach::Interface;
use crate::explain::{Described, Explanation, Rule};
use crate::pins::pinned_interfaces;
use crate::prefixes::Prefixes;
use crate::tester;
use crate::{Error, Prefix, Reason};

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

/// How many OPTIONS one source may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsLimit {
    /// In the long run; 0 is no limit at all.
    pub per_second: u32,
    /// At once, after silence; at least 1.
    pub burst: u32,
}

impl Default for OptionsLimit {
    /// A keep-alive comes each few seconds, from perhaps a dozen systems behind one address; a
    /// scanner sends thousands.
    fn default() -> Self {
        Self { per_second: 20, burst: 40 }
    }
}

/// The tables of a loaded guard.
pub struct Maps {
    pins: PathBuf,
    settings: MapHandle,
    counts: MapHandle,
    addresses: Addresses,
    denied: Prefixes,
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
            addresses: Addresses::open(pins, current.key)?,
            denied: Prefixes::open(pins, "deny", "deny_prefixes", "deny_near")?,
            trusted: Prefixes::open(pins, "trust", "trust_prefixes", "trust_near")?,
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
        if deny.prefix.is_host() {
            self.addresses.set(deny.prefix.address(), deny.not_after)
        } else {
            self.denied.set(deny.prefix, deny.not_after)
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
        let networks = self.denied.iter();
        let hosts = self.addresses.list()?;
        let hosts = hosts.into_iter().map(|(address, end)| (Prefix::host(address), end));
        Ok(networks.chain(hosts).map(|(prefix, not_after)| Deny { prefix, not_after }).collect())
    }

    /// Makes the deny list be `wanted`. Rules that stay are not touched, so nobody slips through
    /// meanwhile; of a network named twice the last counts.
    pub fn deny_replace_all(
        &mut self,
        wanted: impl IntoIterator<Item = Deny>,
    ) -> Result<Changed, Error> {
        let mut hosts = HashMap::new();
        let mut networks = BTreeMap::new();
        for deny in wanted {
            if deny.prefix.is_host() {
                hosts.insert(deny.prefix.address(), deny.not_after);
            } else {
                networks.insert(deny.prefix, deny.not_after);
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

    /// Trusts a network or an address: no deny rule touches it. `false`: it was trusted.
    pub fn trust_add(&mut self, prefix: Prefix) -> Result<bool, Error> {
        self.trusted.set(prefix, None)
    }

    /// Takes exactly this rule from the trust list. `false`: there was none.
    pub fn trust_remove(&mut self, prefix: Prefix) -> Result<bool, Error> {
        self.trusted.remove(prefix)
    }

    /// The trust list.
    #[must_use]
    pub fn trust_list(&self) -> Vec<Prefix> {
        self.trusted.iter().map(|(prefix, _)| prefix).collect()
    }

    /// Makes the trust list be `wanted`, touching only what differs.
    pub fn trust_replace_all(
        &mut self,
        wanted: impl IntoIterator<Item = Prefix>,
    ) -> Result<Changed, Error> {
        let wanted = wanted.into_iter().map(|prefix| (prefix, None)).collect();
        let (written, removed) = self.trusted.replace(&wanted)?;
        Ok(Changed { written, removed })
    }

    /// Sets how many OPTIONS a source may send; holds from the next frame on.
    pub fn set_options_limit(&mut self, per_second: u32, burst: u32) -> Result<(), Error> {
        let mut settings = read_settings(&self.settings)?;
        OptionsLimit { per_second, burst }.write(&mut settings);
        write_settings(&self.settings, &settings)
    }

    /// The limit in force.
    pub fn options_limit(&self) -> Result<OptionsLimit, Error> {
        Ok(OptionsLimit::read(&read_settings(&self.settings)?))
    }

    /// Every counter, in the order of [`Reason::ALL`].
    pub fn counters(&self) -> Result<Vec<Count>, Error> {
        Reason::ALL.iter().map(|&reason| self.count(reason)).collect()
    }

    fn count(&self, reason: Reason) -> Result<Count, Error> {
        let number = reason as u32;
        let cpus = self
            .counts
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

    /// What the loaded program would do with such a packet now: it is run, by test-run, with the
    /// tables as they are. Nothing is counted and no budget spent.
    pub fn explain(&self, described: &Described) -> Result<Explanation, Error> {
        let answer = tester::explain(&self.pins, described)?;
        let reason = Reason::from_number(answer.reason).ok_or_else(|| {
            let what = format!("reason {} is unknown", answer.reason);
            Error::Layout { pins: self.pins.clone(), what }
        })?;
        let rule = match reason {
            Reason::DropOptionsBudget => Some(Rule::Options(self.options_limit()?)),
            _ => self.rule(&answer),
        };
        Ok(Explanation { verdict: reason.verdict(), reason, rule })
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
            _ => return None,
        };
        let denied = Deny { prefix, not_after };
        match answer.trusted {
            0 => Some(Rule::Deny(denied)),
            _ => Some(Rule::Trust { trusted: found(answer.trust_bits)?, denied }),
        }
    }

    /// The guarded interfaces and how the program runs on each.
    pub fn interfaces(&self) -> Result<Vec<Interface>, Error> {
        pinned_interfaces(&self.pins)
    }
}

const SECOND_NS: u64 = 1_000_000_000;

impl OptionsLimit {
    pub(crate) fn write(self, settings: &mut Settings) {
        let interval = match self.per_second {
            0 => 0,
            // Never 0, which would be no limit.
            rate => (SECOND_NS / u64::from(rate)).max(1),
        };
        settings.options_interval_ns = interval;
        settings.options_tolerance_ns = interval * u64::from(self.burst.max(1));
    }

    fn read(settings: &Settings) -> Self {
        match settings.options_interval_ns {
            0 => Self { per_second: 0, burst: 1 },
            interval => Self {
                per_second: (SECOND_NS / interval) as u32,
                burst: (settings.options_tolerance_ns / interval) as u32,
            },
        }
    }
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
    fn a_limit_reads_back_as_it_was_set() {
        for (per_second, burst) in [(1, 1), (10, 20), (1_000, 5), (1_000_000, 1)] {
            let mut settings = Settings::default();
            let limit = OptionsLimit { per_second, burst };
            limit.write(&mut settings);
            assert_eq!(OptionsLimit::read(&settings), limit);
        }
    }

    #[test]
    fn no_limit_is_not_a_very_high_one() {
        let mut settings = Settings::default();
        OptionsLimit { per_second: u32::MAX, burst: u32::MAX }.write(&mut settings);
        assert_ne!(settings.options_interval_ns, 0);
        OptionsLimit { per_second: 0, burst: 0 }.write(&mut settings);
        assert_eq!(settings.options_interval_ns, 0);
    }

    #[test]
    fn an_end_at_boot_is_not_for_good() {
        assert_eq!(nanoseconds(Some(Instant::ZERO)), 1);
        assert_eq!(nanoseconds(None), 0);
        assert_eq!(nanoseconds(Some(Instant::MAX)), u64::MAX);
        assert_eq!(until(0), None);
        assert_eq!(until(5), Some(Instant::from_nanos(5)));
    }
}
