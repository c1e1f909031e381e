//! Brings the driver's maps to what the state says: the one writer of deny, trust and limits.
//!
//! A thread of its own: a kernel map never delays a decision. Desired states come whole; the newest one
//! wins. Pins that appear, or appear anew after an unload, are filled at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use xdp_prog::{Deny, Maps, Prefix};

use crate::shown::DriverCounter;

/// One denied prefix.
#[derive(Clone, Debug, Eq)]
pub struct Denial {
    /// The prefix.
    pub name: String,
    /// Until when, µs since 1970 UTC; 0: until removed.
    pub until_us: u64,
    /// The same by the driver's clock, since boot.
    pub not_after: Option<Duration>,
}

/// The moment since boot is computed anew each time and then differs a little; what was meant does not.
impl PartialEq for Denial {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.until_us == other.until_us
    }
}

/// What the driver should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Denied prefixes.
    pub deny: Vec<Denial>,
    /// Prefixes.
    pub trust: Vec<String>,
    /// OPTIONS of one source per second.
    pub options_per_second: u32,
    /// And at once.
    pub options_burst: u32,
}

/// How often the pins are looked at when nothing changes.
const LOOK: Duration = Duration::from_millis(200);

/// Looks that must fail in a row before it is worth a line: a guard that is just being loaded is not
/// whole yet.
const FAILURES_UNTOLD: u32 = 5;

/// The maps, shared with the API for counters and explanations. The API only reads.
pub type SharedMaps = Arc<Mutex<Option<Maps>>>;

/// Runs until the sender of desired states is gone.
pub fn run(pins: &Path, desired: &Receiver<Desired>, maps: &SharedMaps) {
    let mut reconciler = Reconciler::new(pins.to_path_buf());
    let mut wanted: Option<Desired> = None;
    let mut failures = 0;
    loop {
        match desired.recv_timeout(LOOK) {
            Ok(newest) => wanted = Some(desired.try_iter().last().unwrap_or(newest)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(wanted) = &wanted else { continue };
        let Ok(mut held) = maps.lock() else { return };
        match reconciler.reconcile(&mut held, wanted) {
            Ok(()) if failures >= FAILURES_UNTOLD => {
                tracing::info!("reconciled");
                failures = 0;
            }
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                if failures == FAILURES_UNTOLD {
                    tracing::warn!(%error, "reconcile_failed");
                }
            }
        }
    }
}

struct Reconciler {
    pins: PathBuf,
    /// What we wrote last into the maps we hold.
    written: Option<Desired>,
}

impl Reconciler {
    fn new(pins: PathBuf) -> Self {
        Self { pins, written: None }
    }

    fn reconcile(
        &mut self,
        held: &mut Option<Maps>,
        wanted: &Desired,
    ) -> Result<(), xdp_prog::Error> {
        if held.as_ref().is_some_and(|maps| !maps.is_current()) {
            *held = None;
            self.written = None;
        }
        if held.is_none() {
            if !self.pins.exists() {
                return Ok(());
            }
            *held = Some(Maps::open(&self.pins)?);
            self.written = None;
        }
        let Some(maps) = held else { return Ok(()) };
        match &self.written {
            Some(written) if written == wanted => return Ok(()),
            Some(written) => Self::by_difference(maps, written, wanted)?,
            None => Self::whole(maps, wanted)?,
        }
        maps.set_options_limit(wanted.options_per_second, wanted.options_burst)?;
        self.written = Some(wanted.clone());
        Ok(())
    }

    fn whole(maps: &mut Maps, wanted: &Desired) -> Result<(), xdp_prog::Error> {
        let denies: Vec<Deny> = wanted.deny.iter().filter_map(deny).collect();
        maps.deny_replace_all(denies)?;
        let trusts: Vec<Prefix> = wanted.trust.iter().filter_map(|text| prefix(text)).collect();
        maps.trust_replace_all(trusts)?;
        Ok(())
    }

    /// Additions before removals, so that nothing is open in between.
    fn by_difference(
        maps: &mut Maps,
        written: &Desired,
        wanted: &Desired,
    ) -> Result<(), xdp_prog::Error> {
        let changes = Changes::between(&written.deny, &wanted.deny);
        for denial in changes.written {
            if let Some(deny) = deny(denial) {
                maps.deny_add(&deny)?;
            }
        }
        for name in changes.removed {
            if let Some(prefix) = prefix(name) {
                maps.deny_remove(prefix)?;
            }
        }
        for text in wanted.trust.iter().filter(|text| !written.trust.contains(text)) {
            if let Some(prefix) = prefix(text) {
                maps.trust_add(prefix)?;
            }
        }
        for text in written.trust.iter().filter(|text| !wanted.trust.contains(text)) {
            if let Some(prefix) = prefix(text) {
                maps.trust_remove(prefix)?;
            }
        }
        Ok(())
    }
}

/// What must be written, and what must go, to come from one list of denials to another.
#[derive(Debug, PartialEq, Eq)]
struct Changes<'d> {
    written: Vec<&'d Denial>,
    removed: Vec<&'d str>,
}

impl<'d> Changes<'d> {
    fn between(before: &'d [Denial], after: &'d [Denial]) -> Self {
        let mut old: BTreeMap<&str, &Denial> =
            before.iter().map(|denial| (denial.name.as_str(), denial)).collect();
        let mut written = Vec::new();
        for denial in after {
            if old.remove(denial.name.as_str()) != Some(denial) {
                written.push(denial);
            }
        }
        Self { written, removed: old.into_keys().collect() }
    }
}

/// Every name was checked when it was entered, so none is lost here.
fn prefix(text: &str) -> Option<Prefix> {
    let parsed: routing::Prefix = text.parse().ok()?;
    Prefix::new(parsed.address(), parsed.bits()).ok()
}

fn deny(denial: &Denial) -> Option<Deny> {
    Some(Deny { prefix: prefix(&denial.name)?, not_after: denial.not_after })
}

/// Counters of the driver by reason, for API and metrics.
#[must_use]
pub fn counters(maps: &SharedMaps) -> Vec<DriverCounter> {
    let Ok(held) = maps.lock() else { return Vec::new() };
    let counts = held.as_ref().and_then(|maps| maps.counters().ok()).unwrap_or_default();
    counts
        .into_iter()
        .map(|count| DriverCounter {
            reason: count.reason.name(),
            drops: count.reason.drops(),
            packets: count.packets,
            bytes: count.bytes,
            doc: count.reason.doc(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(name: &str, until_us: u64, not_after_s: u64) -> Denial {
        let not_after = (until_us > 0).then(|| Duration::from_secs(not_after_s));
        Denial { name: name.into(), until_us, not_after }
    }

    #[test]
    fn a_denial_whose_time_changed_is_written_again_and_one_that_stayed_is_not() {
        let before = [denial("10.0.0.1/32", 60, 1), denial("10.0.0.2/32", 60, 1)];
        let after = [denial("10.0.0.1/32", 60, 2), denial("10.0.0.2/32", 90, 2)];
        let changes = Changes::between(&before, &after);
        assert_eq!(changes, Changes { written: vec![&after[1]], removed: Vec::new() });
    }

    #[test]
    fn what_is_wanted_no_longer_is_removed() {
        let before = [denial("10.0.0.1/32", 0, 0)];
        assert_eq!(Changes::between(&before, &[]).removed, ["10.0.0.1/32"]);
    }
}
