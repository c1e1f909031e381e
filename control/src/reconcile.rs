//! Brings the driver's maps to what the state says: the one writer of lists and limits.
//!
//! A thread of its own: a kernel map never delays a decision. It remembers all that it was told, so that pins
//! that appear, or appear anew after an unload, are filled at once; what changes comes as [`News`] and costs what
//! it is, however long the lists are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use guard::GeoSet;
use xdp_prog::{
    Deny, Limits, Maps, Ports, Prefix, Region, Regular, Standing, Talker, TrunkRates, Trust,
};

use crate::machine::Load;
use crate::shown::{DriverCounter, TalkerShown};
use crate::state::imports::Entries;

/// One denied prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The prefix.
    pub prefix: Prefix,
    /// Until when by the driver's clock, since boot; `None`: until removed.
    pub not_after: Option<Duration>,
}

/// A trusted network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The network.
    pub prefix: Prefix,
    /// Whose budgets it spends: a gateway's, or its own.
    pub trunk: String,
    /// How much they are.
    pub rates: TrunkRates,
    /// Whether administrators sit there.
    pub admin: bool,
}

/// A geo set that the driver knows.
#[derive(Clone, Debug)]
pub struct Realm {
    /// The name of the set.
    pub name: String,
    /// Its addresses.
    pub set: Arc<GeoSet>,
    /// Who is in one of these may come, and nobody else; if not, nobody in it may.
    pub allow: bool,
}

/// A list of denied sources that came together.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Who is denied.
    pub entries: Arc<Entries>,
    /// Until when by the driver's clock, since boot; `None`: until removed.
    pub not_after: Option<Duration>,
}

/// What holds for all, and the lists that are short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Perimeter {
    /// Trusted networks.
    pub trust: Vec<Trusted>,
    /// How much others may send.
    pub limits: Limits,
    /// What is open beside what we serve.
    pub ports: Ports,
    /// Scanners by name.
    pub signatures: Vec<String>,
}

/// All that the driver should hold.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// What holds for all.
    pub perimeter: Perimeter,
    /// Who is denied.
    pub deny: Vec<Denial>,
    /// Whence somebody registered or called lately.
    pub regulars: Vec<Regular>,
    /// Geo sets of the driver.
    pub realms: Vec<Realm>,
    /// Imports of the deny list.
    pub imports: Vec<Imported>,
}

/// What changed.
#[derive(Clone, Debug)]
pub enum News {
    /// All of it is said anew.
    Whole(Box<Desired>),
    /// What holds for all.
    Perimeter(Box<Perimeter>),
    /// Somebody is denied, or until another time.
    Denied(Denial),
    /// He is not any more.
    Admitted(Prefix),
    /// Geo sets of the driver, all of them.
    Realms(Vec<Realm>),
    /// Imports of the deny list, all of them.
    Imports(Vec<Imported>),
    /// Somebody registered or called from there.
    Regular(Regular),
    /// That was long ago.
    Stranger(IpAddr),
}

/// How often the pins are looked at when nothing changes.
const LOOK: Duration = Duration::from_millis(200);

/// Entries of imports that are written at a time, and the time until the next of them.
const SLICE: usize = 5_000;
const BREATH: Duration = Duration::from_millis(1);

/// Looks that must fail in a row before it is worth a line: a guard that is just being loaded is not
/// whole yet.
const FAILURES_UNTOLD: u32 = 5;

/// The maps, and of which geo sets they were made.
#[derive(Default)]
pub struct Guard {
    /// The maps, once they are there.
    pub maps: Option<Maps>,
    realms: Vec<Realm>,
}

impl Guard {
    /// Geo sets that the maps hold.
    #[must_use]
    pub fn realms(&self) -> &[Realm] {
        &self.realms
    }
}

/// The same, shared with the API for counters and explanations. The API only reads.
pub type SharedMaps = Arc<Mutex<Guard>>;

/// What somebody did, and the driver with it, since it was looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub source: IpAddr,
    /// Packets.
    pub packets: u64,
    /// Of them dropped.
    pub dropped: u64,
    /// Of them OPTIONS.
    pub options: u64,
    /// Why the last one left.
    pub reason: &'static str,
}

/// What is seen beside the loop.
#[derive(Clone, Debug)]
pub enum Sight {
    /// Who sent through the driver.
    Senders(Vec<Seen>),
    /// How busy the machine is.
    Machine(Load),
    /// Whence logins by SSH failed, once for each.
    Logins(Vec<IpAddr>),
    /// Why such logins are not seen; `None`: they are.
    LoginsUnread(Option<String>),
    /// How many denials found no room in the driver's tables; 0: all are there.
    LeftOut(usize),
}

/// What the talkers of the last look had sent.
#[derive(Default)]
struct Before(HashMap<IpAddr, Talker>);

impl Before {
    /// Who sent anything since then. One whose place went to another and who came again begins at nothing.
    fn look(&mut self, talkers: Vec<Talker>) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut now = HashMap::with_capacity(talkers.len());
        for talker in talkers {
            let before = self.0.get(&talker.source).filter(|old| old.packets <= talker.packets);
            let since =
                |of: fn(&Talker) -> u64| of(&talker) - before.map_or(0, of).min(of(&talker));
            let packets = since(|it| it.packets);
            if packets > 0 {
                seen.push(Seen {
                    source: talker.source,
                    packets,
                    dropped: since(|it| it.dropped),
                    options: since(|it| it.options),
                    reason: talker.reason.name(),
                });
            }
            now.insert(talker.source, talker);
        }
        self.0 = now;
        seen
    }
}

/// How often the talkers are looked at.
const LOOK_AT_TALKERS: Duration = Duration::from_secs(1);

/// News that are taken before the maps are looked at.
const BATCH: usize = 10_000;

/// Runs until the sender of news is gone. `served` are the ports of the configuration; what is seen goes to
/// `sight`, unless nobody takes it.
pub fn run(
    pins: &Path,
    served: Ports,
    news: &Receiver<News>,
    sight: &Sender<Sight>,
    maps: &SharedMaps,
) {
    let mut reconciler = Reconciler::new(pins.to_path_buf(), served);
    let (mut before, mut looked) = (Before::default(), std::time::Instant::now());
    let mut failures = 0;
    loop {
        // Whoever waits for the maps gets them in between.
        let writes = reconciler.is_whole && !reconciler.unwritten.is_empty();
        let wait = if writes { BREATH } else { LOOK };
        let mut batch = match news.recv_timeout(wait) {
            Ok(first) => vec![first],
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        batch.extend(news.try_iter().take(BATCH));
        reconciler.foresee(&batch);
        let Ok(mut held) = maps.lock() else { return };
        let left_out = reconciler.left_out;
        let outcome = reconciler.reconcile(&mut held.maps, batch);
        if reconciler.left_out != left_out
            && sight.try_send(Sight::LeftOut(reconciler.left_out)).is_err()
        {
            // Said when the loop has time.
            reconciler.left_out_untold = true;
        } else if std::mem::take(&mut reconciler.left_out_untold) {
            let told = sight.try_send(Sight::LeftOut(reconciler.left_out));
            reconciler.left_out_untold = told.is_err();
        }
        held.realms.clone_from(&reconciler.realms);
        match outcome {
            // Some of it was written, and what failed may fail again.
            Ok(()) if !reconciler.unwritten.is_empty() => {}
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
        if looked.elapsed() >= LOOK_AT_TALKERS
            && let Some(talkers) = held.maps.as_ref().and_then(|maps| maps.talkers().ok())
        {
            looked = std::time::Instant::now();
            let _ = sight.try_send(Sight::Senders(before.look(talkers)));
        }
    }
}

/// What was said, and what of it the maps hold.
struct Reconciler {
    pins: PathBuf,
    served: Ports,
    perimeter: Perimeter,
    deny: BTreeMap<Prefix, Option<Duration>>,
    regulars: HashMap<IpAddr, Regular>,
    realms: Vec<Realm>,
    imports: Vec<Imported>,
    /// Who is denied but not by an entry of his own, and until when: by an import, or as a single address of a set
    /// that is forbidden, which the table of denied ones finds quicker than a trie.
    listed: HashMap<Prefix, Option<Duration>>,
    /// Of those whose entry is not what was said yet: a list of a million is written in slices, so that nobody who
    /// asks the maps waits for all of it.
    unwritten: VecDeque<Prefix>,
    /// Numbers of trunks by their names; one that has gone leaves its number to the next.
    trunks: BTreeMap<String, u16>,
    /// Denials that find no room; those of operators and automation have theirs before any list.
    left_out: usize,
    left_out_untold: bool,
    /// Who they are.
    crowded: HashSet<Prefix>,
    /// SIP is let in once all who are denied are written.
    admits_later: bool,
    /// Whether anything was said at all.
    is_told: bool,
    /// Whether the maps hold what was said.
    is_whole: bool,
}

impl Reconciler {
    fn new(pins: PathBuf, served: Ports) -> Self {
        Self {
            pins,
            served,
            perimeter: Perimeter::default(),
            deny: BTreeMap::new(),
            regulars: HashMap::new(),
            realms: Vec::new(),
            imports: Vec::new(),
            listed: HashMap::new(),
            unwritten: VecDeque::new(),
            trunks: BTreeMap::new(),
            left_out: 0,
            left_out_untold: false,
            crowded: HashSet::new(),
            admits_later: false,
            is_told: false,
            is_whole: false,
        }
    }

    /// Long lists are compared before the maps are held: whoever asks them waits for what is written alone.
    fn foresee(&mut self, batch: &[News]) {
        let mut is_long = false;
        for news in batch {
            if matches!(news, News::Whole(_) | News::Realms(_) | News::Imports(_)) {
                self.remember(news);
                is_long = true;
            }
        }
        if is_long {
            self.list_anew();
        }
    }

    fn reconcile(
        &mut self,
        held: &mut Option<Maps>,
        batch: Vec<News>,
    ) -> Result<(), xdp_prog::Error> {
        if held.as_ref().is_some_and(|maps| !maps.is_current()) {
            *held = None;
        }
        if held.is_none() && self.pins.exists() {
            *held = Some(Maps::open(&self.pins).inspect_err(|_| self.remember_all(&batch))?);
            self.is_whole = false;
        }
        let Some(maps) = held else {
            self.remember_all(&batch);
            // Where there is no driver, or not yet, all of it is compared once there is.
            self.unwritten.clear();
            return Ok(());
        };
        for news in newest(batch) {
            self.remember(&news);
            if self.is_whole
                && let Err(error) = self.apply(maps, &news)
            {
                // Whatever follows, the next look makes all of it right.
                self.is_whole = false;
                tracing::warn!(%error, "reconcile_by_parts_failed");
            }
        }
        if self.is_whole {
            self.write_slice(maps).inspect_err(|_| self.is_whole = false)?;
            self.admit(maps)?;
        }
        if self.is_told && !self.is_whole {
            self.write_all(maps)?;
            // However often a single denial finds no room, the rest goes on.
            self.is_whole = self.write_slice(maps).is_ok();
        }
        Ok(())
    }

    fn remember_all(&mut self, batch: &[News]) {
        self.is_whole = false;
        for news in batch {
            self.remember(news);
        }
    }

    fn remember(&mut self, news: &News) {
        match news {
            News::Whole(desired) => {
                self.is_told = true;
                self.is_whole = false;
                self.perimeter = desired.perimeter.clone();
                self.deny = desired.deny.iter().map(|it| (it.prefix, it.not_after)).collect();
                self.regulars = desired.regulars.iter().map(|it| (it.address, *it)).collect();
                self.realms.clone_from(&desired.realms);
                self.imports.clone_from(&desired.imports);
            }
            News::Perimeter(perimeter) => self.perimeter = (**perimeter).clone(),
            News::Realms(realms) => self.realms.clone_from(realms),
            News::Imports(imports) => self.imports.clone_from(imports),
            News::Denied(denial) => _ = self.deny.insert(denial.prefix, denial.not_after),
            News::Admitted(prefix) => _ = self.deny.remove(prefix),
            News::Regular(regular) => _ = self.regulars.insert(regular.address, *regular),
            News::Stranger(address) => _ = self.regulars.remove(address),
        }
    }

    fn apply(&mut self, maps: &mut Maps, news: &News) -> Result<(), xdp_prog::Error> {
        match news {
            News::Whole(_) => Ok(()),
            News::Perimeter(_) => self.write_perimeter(maps),
            // Who was left out may have room now.
            News::Realms(_) | News::Imports(_) | News::Admitted(_) if self.left_out > 0 => {
                self.write_sources(maps)
            }
            // Who is denied by it waits to be written already.
            News::Realms(_) => self.write_regions(maps),
            News::Imports(_) => Ok(()),
            News::Denied(Denial { prefix, .. }) | News::Admitted(prefix) => {
                self.crowded.remove(prefix);
                self.write_denial(maps, *prefix)
            }
            News::Regular(regular) => maps.regular_set(regular).map(drop),
            News::Stranger(address) => maps.regular_remove(*address).map(drop),
        }
    }

    /// Rules about who may come before limits about how much: nothing is open in between.
    fn write_all(&mut self, maps: &mut Maps) -> Result<(), xdp_prog::Error> {
        self.write_sources(maps)?;
        let room = maps.regular_room() as usize;
        maps.regular_replace_all(self.regulars.values().copied().take(room))?;
        self.left_out += self.regulars.len().saturating_sub(room);
        self.write_perimeter(maps)?;
        self.admits_later = true;
        self.admit(maps)
    }

    /// Lets SIP in, once nobody who is denied would come with it.
    fn admit(&mut self, maps: &Maps) -> Result<(), xdp_prog::Error> {
        if self.unwritten.is_empty() && self.admits_later {
            maps.admit()?;
            self.admits_later = false;
        }
        Ok(())
    }

    /// Whether somebody is denied, and until when.
    fn denial_of(&self, prefix: Prefix) -> Option<Option<Duration>> {
        match (self.deny.get(&prefix), self.listed.get(&prefix)) {
            (Some(&own), Some(&listed)) => Some(later(own, listed)),
            (own, listed) => own.or(listed).copied(),
        }
    }

    fn write_denial(&self, maps: &mut Maps, prefix: Prefix) -> Result<(), xdp_prog::Error> {
        match self.denial_of(prefix).filter(|_| !self.crowded.contains(&prefix)) {
            Some(not_after) => maps.deny_add(&Deny { prefix, not_after }).map(drop),
            None => maps.deny_remove(prefix).map(drop),
        }
    }

    /// Who is denied by realms and imports.
    fn list(&self) -> HashMap<Prefix, Option<Duration>> {
        let mut listed = HashMap::new();
        for Realm { set, .. } in self.realms.iter().filter(|realm| !realm.allow) {
            let prefixes = set.prefixes().filter_map(|(ip, bits)| Prefix::new(ip, bits).ok());
            listed.extend(prefixes.filter(Prefix::is_host).map(|prefix| (prefix, None)));
        }
        for Imported { entries, not_after } in &self.imports {
            for entry in entries.iter() {
                let Ok(prefix) = Prefix::new(entry.address(), entry.bits()) else { continue };
                let end = listed.entry(prefix).or_insert(*not_after);
                *end = later(*end, *not_after);
            }
        }
        listed
    }

    /// What imports changed is to be written.
    fn list_anew(&mut self) {
        let listed = self.list();
        let old = std::mem::replace(&mut self.listed, listed);
        let gone = old.keys().filter(|prefix| !self.listed.contains_key(prefix));
        let new = self.listed.iter().filter(|(prefix, end)| old.get(prefix) != Some(end));
        self.unwritten.extend(gone.chain(new.map(|(prefix, _)| prefix)));
    }

    /// Writes some of what is not written yet.
    fn write_slice(&mut self, maps: &mut Maps) -> Result<(), xdp_prog::Error> {
        for _ in 0..SLICE {
            let Some(prefix) = self.unwritten.pop_front() else { break };
            self.write_denial(maps, prefix)?;
        }
        Ok(())
    }

    /// Networks of realms, and who may come alone.
    fn write_regions(&self, maps: &mut Maps) -> Result<(), xdp_prog::Error> {
        let mut regions = Vec::new();
        for Realm { set, allow, .. } in &self.realms {
            for (address, bits) in set.prefixes() {
                let Ok(prefix) = Prefix::new(address, bits) else { continue };
                if *allow || !prefix.is_host() {
                    regions.push(Region { prefix, forbid: !allow, allow: *allow });
                }
            }
        }
        maps.geo_replace_all(regions).map(drop)
    }

    /// Who may not come: denials, imports of them, and realms. What the tables hold otherwise is written in slices,
    /// who is denied no longer first, so that there is room.
    fn write_sources(&mut self, maps: &mut Maps) -> Result<(), xdp_prog::Error> {
        self.write_regions(maps)?;
        let held = maps.deny_list()?.into_iter().map(|deny| (deny.prefix, deny.not_after));
        let held: HashMap<Prefix, Option<Duration>> = held.collect();
        self.compare(&held, maps.deny_room());
        Ok(())
    }

    /// What must be written so that tables of that room which hold this hold what was said.
    fn compare(&mut self, held: &HashMap<Prefix, Option<Duration>>, mut room: (u32, u32)) {
        let listed = self.listed.keys().filter(|prefix| !self.deny.contains_key(prefix));
        // A table that is full is no reason to write nothing else.
        let (mut crowded, mut changed) = (HashSet::new(), Vec::new());
        for prefix in self.deny.keys().chain(listed) {
            let room = if prefix.is_host() { &mut room.0 } else { &mut room.1 };
            if *room == 0 {
                crowded.insert(*prefix);
                continue;
            }
            *room -= 1;
            if held.get(prefix).copied() != self.denial_of(*prefix) {
                changed.push(*prefix);
            }
        }
        let is_gone =
            |prefix: &&Prefix| crowded.contains(*prefix) || self.denial_of(**prefix).is_none();
        let gone: Vec<Prefix> = held.keys().filter(is_gone).copied().collect();
        self.unwritten = gone.into_iter().chain(changed).collect();
        self.left_out = crowded.len();
        self.crowded = crowded;
    }

    fn write_perimeter(&mut self, maps: &mut Maps) -> Result<(), xdp_prog::Error> {
        self.number_trunks();
        for trusted in &self.perimeter.trust {
            maps.set_trunk(self.trunk(&trusted.trunk), &trusted.rates)?;
        }
        let trust: Vec<Trust> = self
            .perimeter
            .trust
            .iter()
            .map(|it| Trust { prefix: it.prefix, trunk: self.trunk(&it.trunk), admin: it.admin })
            .take(maps.trust_room() as usize)
            .collect();
        maps.trust_replace_all(trust)?;
        maps.signature_replace_all(self.perimeter.signatures.iter().map(String::as_str))?;
        let wanted = &self.perimeter.ports;
        let either = |ours: &BTreeSet<u16>, wanted: &BTreeSet<u16>| ours | wanted;
        maps.set_ports(&Ports {
            closed: wanted.closed,
            tcp: either(&self.served.tcp, &wanted.tcp),
            udp: either(&self.served.udp, &wanted.udp),
            admin: wanted.admin.clone(),
            local: self.served.local,
        })?;
        maps.set_limits(&self.perimeter.limits)
    }

    /// The number of a trunk; those beyond the table share the last, and its limits.
    fn trunk(&self, name: &str) -> u16 {
        self.trunks.get(name).copied().unwrap_or(TRUNK_LAST)
    }

    /// Names that are wanted keep their numbers, so what they spent stays theirs.
    fn number_trunks(&mut self) {
        let wanted: BTreeSet<&str> =
            self.perimeter.trust.iter().map(|trusted| &*trusted.trunk).collect();
        self.trunks.retain(|name, _| wanted.contains(&**name));
        let used: BTreeSet<u16> = self.trunks.values().copied().collect();
        let mut free = (1..TRUNK_LAST).filter(|number| !used.contains(number));
        for name in wanted {
            if !self.trunks.contains_key(name)
                && let Some(number) = free.next()
            {
                self.trunks.insert(name.to_owned(), number);
            }
        }
    }
}

/// Of two ends the later; none is later than any.
fn later(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// Of perimeters each says the whole, so the last of a batch says it all: a hundred gateways that are made at
/// once are written once. So it is with imports.
fn newest(mut batch: Vec<News>) -> Vec<News> {
    let kinds: [fn(&News) -> bool; 2] =
        [|it| matches!(it, News::Perimeter(_)), |it| matches!(it, News::Imports(_))];
    for says_all in kinds {
        let mut later = batch.iter().filter(|news| says_all(news)).count();
        batch.retain(|news| {
            later -= usize::from(says_all(news));
            !says_all(news) || later == 0
        });
    }
    batch
}

/// The last place in the driver's table of trunks.
const TRUNK_LAST: u16 = xdp_prog::abi::TRUNKS_MAX as u16 - 1;

/// The ports that the kernel gives to our own connections to others.
#[must_use]
pub fn local_ports() -> (u16, u16) {
    /// What Linux takes unless told otherwise.
    const USUAL: (u16, u16) = (32_768, 60_999);
    let Ok(text) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else {
        return USUAL;
    };
    let mut ends = text.split_whitespace().filter_map(|end| end.parse().ok());
    ends.next().zip(ends.next()).unwrap_or(USUAL)
}

/// Counters of the driver by reason, for API and metrics.
#[must_use]
pub fn counters(maps: &SharedMaps) -> Vec<DriverCounter> {
    let Ok(held) = maps.lock() else { return Vec::new() };
    let Some(maps) = held.maps.as_ref() else { return Vec::new() };
    let spared = maps.spared().unwrap_or_default();
    let counts = maps.counters().unwrap_or_default();
    let of = |reason, standing| maps.counter(reason, standing).map_or(0, |count| count.packets);
    counts
        .into_iter()
        .enumerate()
        .map(|(place, count)| DriverCounter {
            reason: count.reason.name(),
            drops: count.reason.drops(),
            packets: count.packets,
            bytes: count.bytes,
            stranger: of(count.reason, Standing::Stranger),
            regular: of(count.reason, Standing::Regular),
            trusted: of(count.reason, Standing::Trusted),
            spared: spared.get(place).map_or(0, |count| count.packets),
            doc: count.reason.doc(),
        })
        .collect()
}

/// Who sends most, of strangers and of those that were dropped; a hundred of them.
#[must_use]
pub fn talkers(maps: &SharedMaps, now: Duration) -> Vec<TalkerShown> {
    const SHOWN: usize = 100;
    let Ok(held) = maps.lock() else { return Vec::new() };
    let mut all = held.maps.as_ref().and_then(|maps| maps.talkers().ok()).unwrap_or_default();
    all.sort_unstable_by_key(|talker| std::cmp::Reverse(talker.packets));
    all.truncate(SHOWN);
    all.into_iter()
        .map(|talker| TalkerShown {
            source: talker.source.to_string(),
            packets: talker.packets,
            dropped: talker.dropped,
            options: talker.options,
            reason: talker.reason.name(),
            silent_s: now.saturating_sub(talker.last).as_secs(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
