//! Next hops: which interface and which MAC a destination is behind.
//!
//! A thread asks the kernel (netlink: route, neighbour, link) and keeps what is in use alive; workers have
//! their own table and never wait: an unknown destination is asked for once in a while and answered
//! `None`, and the datagram leaves through the rim meanwhile.
//!
//! Strangers choose who is looked up here: their refusals go to whatever source they wrote. So the table
//! is hashed with a key, and a full bucket gives up who was used longest ago: a peer whose media flows is
//! never that one. Who is in use is asked for again and again; the rest the thread forgets.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use link::Endpoint;
use link::ring::{self, Consumer, Producer};
use wire::Mac;
use xdp_prog::sends_for_drivers;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::boot::last_words;
use crate::clock;
use crate::netlink::{Link, Neighbor, Netlink, Route};

/// Destinations of one worker: buckets, and places in each.
const BUCKETS: usize = 8_192;
const WAYS: usize = 8;
/// Destinations of all workers together.
const KNOWN_MAX: usize = 4 * BUCKETS * WAYS;
/// How often an unknown destination is asked for again.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How often a known one in use is asked for, so that the thread does not forget it.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// A hop nobody asked about for so long is asked for before it is used again.
const TRUST: Duration = Duration::from_secs(15);
/// When the thread forgets who is not asked for: later than any worker trusts what it was told.
const FORGET: Duration = Duration::from_secs(30);
const _: () = assert!(KEEP_EVERY.as_secs() < TRUST.as_secs() && TRUST.as_secs() < FORGET.as_secs());
/// Stands for "no VLAN" between the threads.
const NO_VLAN: u16 = u16::MAX;
/// How often everything in use is looked at again.
const REFRESH: Duration = Duration::from_millis(1000);
/// How often the thread looks for questions.
const LOOK: Duration = Duration::from_millis(5);
/// Destinations looked at again between two looks for questions, which wait while the kernel is asked.
const LOOKS_MAX: usize = 256;
/// IPv6 and UDP headers: what the MTU leaves for a payload at least.
const HEADERS_BYTES: u32 = 48;

/// The way to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Index of the interface in the configuration.
    pub interface: usize,
    /// Its MAC.
    pub source_mac: Mac,
    /// The next hop's MAC.
    pub destination_mac: Mac,
    /// The VLAN of the next hop.
    pub vlan: Option<u16>,
    /// Longest payload that needs no fragments.
    pub payload_max: usize,
    /// Whether the interface sends what a driver gives to it (`xdp_prog::sends_for_drivers`).
    pub for_drivers: bool,
}

/// What the thread tells a worker. Interface `u32::MAX`: no way is known.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Update {
    destination: Endpoint,
    interface: u32,
    payload_max: u32,
    source_mac: Mac,
    destination_mac: Mac,
    vlan: u16,
    /// 1: `for_drivers`.
    for_drivers: u16,
}

#[derive(Clone, Copy)]
struct Entry {
    destination: IpAddr,
    hop: Option<Hop>,
    /// When the thread was asked last.
    asked: Option<Duration>,
    used: Duration,
}

type Bucket = [Option<Entry>; WAYS];

/// A worker's table.
pub struct Reader {
    buckets: Box<[Bucket]>,
    key: RandomState,
    /// When this turn began.
    now: Duration,
    updates: Option<Consumer>,
    questions: Option<Producer>,
}

fn place(key: &RandomState, destination: IpAddr) -> usize {
    key.hash_one(destination) as usize % BUCKETS
}

fn find(bucket: &mut Bucket, destination: IpAddr) -> Option<&mut Entry> {
    bucket.iter_mut().flatten().find(|entry| entry.destination == destination)
}

impl Reader {
    /// A table for the `udp` NIC: the kernel finds the way to everybody.
    #[must_use]
    pub fn kernel() -> Self {
        let (buckets, key) = (Box::new([]), RandomState::new());
        Self { buckets, key, now: Duration::ZERO, updates: None, questions: None }
    }

    fn new(questions: Producer, updates: Consumer) -> Self {
        Self {
            buckets: vec![[None; WAYS]; BUCKETS].into(),
            key: RandomState::new(),
            now: clock::now(),
            updates: Some(updates),
            questions: Some(questions),
        }
    }

    /// Takes in what the thread found since the last turn.
    pub fn refresh(&mut self, now: Duration) {
        self.now = now;
        let Some(updates) = &mut self.updates else { return };
        let mut room = [0; size_of::<Update>()];
        let mut taken = 0;
        while taken < 64
            && let Some((_, length)) = updates.pop(&mut room)
        {
            taken += 1;
            let Some(bytes) = room.get(..length) else { continue };
            let Ok(update) = Update::read_from_bytes(bytes) else { continue };
            let Some(destination) = update.destination.socket_address() else { continue };
            let hop = (update.interface != u32::MAX).then_some(Hop {
                interface: update.interface as usize,
                source_mac: update.source_mac,
                destination_mac: update.destination_mac,
                vlan: (update.vlan != NO_VLAN).then_some(update.vlan),
                payload_max: update.payload_max as usize,
                for_drivers: update.for_drivers == 1,
            });
            let bucket = self.buckets.get_mut(place(&self.key, destination.ip()));
            let entry = bucket.and_then(|bucket| find(bucket, destination.ip()));
            if let Some(entry) = entry {
                entry.hop = hop;
            }
        }
    }

    /// The way to `destination`, if it is known now.
    pub fn lookup(&mut self, destination: IpAddr) -> Option<Hop> {
        let Some(questions) = &mut self.questions else {
            let (source_mac, destination_mac) = ([0; 6], [0; 6]);
            let payload_max = usize::MAX;
            return Some(Hop {
                interface: 0,
                source_mac,
                destination_mac,
                vlan: None,
                payload_max,
                for_drivers: false,
            });
        };
        let bucket = self.buckets.get_mut(place(&self.key, destination))?;
        let entry = match bucket
            .iter()
            .position(|entry| matches!(entry, Some(entry) if entry.destination == destination))
        {
            Some(at) => bucket.get_mut(at)?.as_mut()?,
            None => {
                // A free place (`None` is before any time), or whose was used longest ago.
                let place = bucket.iter_mut().min_by_key(|entry| entry.map(|entry| entry.used))?;
                place.insert(Entry { destination, hop: None, asked: None, used: self.now })
            }
        };
        entry.used = self.now;
        let asked_ago = entry.asked.map(|asked| self.now.saturating_sub(asked));
        if asked_ago.is_some_and(|ago| ago >= TRUST) {
            entry.hop = None;
        }
        let due = if entry.hop.is_some() { KEEP_EVERY } else { ASK_EVERY };
        if asked_ago.is_none_or(|ago| ago >= due) {
            let question = Endpoint::from(SocketAddr::new(destination, 0));
            // A full ring means that the thread is busy with our other questions; we ask again.
            if questions.push(0, question.as_bytes()).is_ok() {
                entry.asked = Some(self.now);
            }
        }
        entry.hop
    }
}

/// The thread's side of one worker.
struct Worker {
    questions: Consumer,
    updates: Producer,
}

/// Starts the thread; one reader per worker.
///
/// # Errors
/// When netlink cannot be opened or an interface is missing.
pub fn start(
    interfaces: &[String],
    workers: usize,
    stop: Arc<AtomicBool>,
) -> std::io::Result<Vec<Reader>> {
    let netlink = Netlink::open()?;
    let mut links = Vec::new();
    for name in interfaces {
        links.push(nix::net::if_::if_nametoindex(name.as_str()).map_err(std::io::Error::from)?);
    }
    let mut readers = Vec::new();
    let mut sides = Vec::new();
    for _ in 0..workers {
        let ring_error = |error: ring::RingError| std::io::Error::other(error.to_string());
        let (ask, asked) = ring::in_process(256, size_of::<Endpoint>()).map_err(ring_error)?;
        let (tell, told) = ring::in_process(1024, size_of::<Update>()).map_err(ring_error)?;
        readers.push(Reader::new(ask, told));
        sides.push(Worker { questions: asked, updates: tell });
    }
    let (known, due, sweep) = (HashMap::new(), Duration::ZERO, Sweep::default());
    let mut thread = Thread { netlink, links, sides, known, due, sweep };
    std::thread::Builder::new().name("neighbors".into()).spawn(move || {
        last_words("neighbors", || {
            while !stop.load(Ordering::Relaxed) {
                thread.turn();
                std::thread::sleep(LOOK);
            }
        });
    })?;
    Ok(readers)
}

/// A destination in use.
#[derive(Clone, Copy)]
struct Known {
    /// What was told.
    hop: Option<Hop>,
    /// To which workers, a bit each.
    workers: u64,
    /// When one of them asked last.
    asked: Duration,
}

/// What the kernel said in one look: asked once, however many destinations are behind it.
#[derive(Default)]
struct Seen {
    links: HashMap<u32, Option<Link>>,
    neighbors: HashMap<(u32, IpAddr), Option<Neighbor>>,
    senders: HashMap<u32, bool>,
}

struct Thread {
    netlink: Netlink,
    links: Vec<u32>,
    sides: Vec<Worker>,
    known: HashMap<IpAddr, Known>,
    due: Duration,
    sweep: Sweep,
}

/// What is left of looking at everything in use again.
#[derive(Default)]
struct Sweep {
    destinations: Vec<IpAddr>,
    seen: Seen,
}

impl Thread {
    fn turn(&mut self) {
        self.turn_at(clock::now());
    }

    fn turn_at(&mut self, now: Duration) {
        let mut seen = Seen::default();
        for worker in 0..self.sides.len() {
            self.questions(now, worker, &mut seen);
        }
        // A notification of the kernel brings the next look forward.
        if self.netlink.anything_changed() {
            self.due = self.due.min(now + Duration::from_millis(20));
        }
        if now >= self.due && self.sweep.destinations.is_empty() {
            self.due = now + REFRESH;
            self.known.retain(|_, known| now.saturating_sub(known.asked) < FORGET);
            let destinations = self.known.keys().copied().collect();
            self.sweep = Sweep { destinations, seen: Seen::default() };
        }
        self.sweep_on();
    }

    /// One slice of the sweep: workers wait for answers meanwhile.
    fn sweep_on(&mut self) {
        let mut seen = std::mem::take(&mut self.sweep.seen);
        for _ in 0..LOOKS_MAX {
            let Some(destination) = self.sweep.destinations.pop() else { break };
            self.look(destination, &mut seen);
        }
        self.sweep.seen = seen;
    }

    fn questions(&mut self, now: Duration, worker: usize, seen: &mut Seen) {
        let mut room = [0; size_of::<Endpoint>()];
        for _ in 0..64 {
            let Some(side) = self.sides.get_mut(worker) else { return };
            if side.questions.pop(&mut room).is_none() {
                return;
            }
            let Ok(endpoint) = Endpoint::read_from_bytes(&room) else { continue };
            let Some(destination) = endpoint.socket_address() else { continue };
            let destination = destination.ip();
            if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&destination) {
                // Workers ask again for all they use, long before they distrust what they know.
                self.known.clear();
            }
            let fresh = Known { hop: None, workers: 0, asked: now };
            let known = self.known.entry(destination).or_insert(fresh);
            known.workers |= 1 << worker;
            known.asked = now;
            let hop = known.hop;
            if hop.is_some() {
                self.tell(destination, hop, 1 << worker);
            } else {
                self.look(destination, seen);
            }
        }
    }

    /// Asks the kernel, and tells the workers when the answer is another than before.
    fn look(&mut self, destination: IpAddr, seen: &mut Seen) {
        let hop = self.resolve(destination, seen);
        let Some(known) = self.known.get_mut(&destination) else { return };
        if known.hop != hop {
            known.hop = hop;
            let workers = known.workers;
            self.tell(destination, hop, workers);
        }
    }

    fn resolve(&mut self, destination: IpAddr, seen: &mut Seen) -> Option<Hop> {
        let Route { interface, gateway } = self.netlink.route(destination)?;
        let netlink = &mut self.netlink;
        let link = seen.links.entry(interface).or_insert_with(|| netlink.link(interface));
        let link = (*link)?;
        // Frames of a VLAN leave by the interface that it stands on, tagged by us.
        let (port, vlan) = match link.vlan {
            Some((below, tag)) => (below, Some(tag)),
            None => (interface, None),
        };
        let place = self.links.iter().position(|link| *link == port)?;
        let next = gateway.unwrap_or(destination);
        let neighbor = seen.neighbors.entry((interface, next)).or_insert_with(|| {
            let neighbor = netlink.neighbor(interface, next);
            match neighbor {
                None => netlink.probe(interface, next),
                // The kernel sees none of our traffic, so it is asked to keep the entry alive.
                Some(found) if !found.permanent => netlink.keep(interface, next),
                Some(_) => {}
            }
            neighbor
        });
        Some(Hop {
            interface: place,
            source_mac: link.mac,
            destination_mac: (*neighbor)?.mac,
            vlan,
            payload_max: link.mtu.saturating_sub(HEADERS_BYTES) as usize,
            for_drivers: *seen.senders.entry(port).or_insert_with(|| sends_for_drivers(port)),
        })
    }

    fn tell(&mut self, destination: IpAddr, hop: Option<Hop>, workers: u64) {
        let update = Update {
            destination: Endpoint::from(SocketAddr::new(destination, 0)),
            interface: hop.map_or(u32::MAX, |hop| hop.interface as u32),
            payload_max: hop.map_or(0, |hop| hop.payload_max as u32),
            source_mac: hop.map_or([0; 6], |hop| hop.source_mac),
            destination_mac: hop.map_or([0; 6], |hop| hop.destination_mac),
            vlan: hop.and_then(|hop| hop.vlan).unwrap_or(NO_VLAN),
            for_drivers: hop.is_some_and(|hop| hop.for_drivers).into(),
        };
        for (worker, side) in self.sides.iter_mut().enumerate() {
            if workers >> worker & 1 == 1 {
                // A full ring means a worker that stands still; it asks again.
                let _ = side.updates.push(0, update.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> (Reader, Producer, Consumer) {
        let (ask, asked) = ring::in_process(256, size_of::<Endpoint>()).unwrap();
        let (tell, told) = ring::in_process(1024, size_of::<Update>()).unwrap();
        (Reader::new(ask, told), tell, asked)
    }

    fn update(destination: IpAddr, interface: u32) -> Update {
        let destination = Endpoint::from(SocketAddr::new(destination, 0));
        let (source_mac, destination_mac) = ([2; 6], [4; 6]);
        let payload_max = 1452;
        let (vlan, for_drivers) = (42, 1);
        Update {
            destination,
            interface,
            payload_max,
            source_mac,
            destination_mac,
            vlan,
            for_drivers,
        }
    }

    #[test]
    fn a_sweep_of_thousands_lets_questions_in_between_and_forgets_who_is_not_in_use() {
        let (_, tell, asked) = reader();
        let at = Duration::from_secs(100);
        let fresh = Known { hop: None, workers: 1, asked: at };
        let address = |host: u32| IpAddr::from(std::net::Ipv4Addr::from(0x7f00_0000 + host));
        let many = 3 * LOOKS_MAX as u32;
        let mut known: HashMap<_, _> = (0..many).map(|host| (address(host), fresh)).collect();
        known.insert(address(many), Known { asked: at - FORGET, ..fresh });
        let sides = vec![Worker { questions: asked, updates: tell }];
        let (netlink, due, sweep) = (Netlink::open().unwrap(), at, Sweep::default());
        let mut thread = Thread { netlink, links: vec![], sides, known, due, sweep };
        for left in [2, 1, 0] {
            thread.turn_at(at);
            assert_eq!(thread.sweep.destinations.len(), left * LOOKS_MAX);
        }
        assert_eq!((thread.known.len(), thread.due), (many as usize, at + REFRESH));
    }

    #[test]
    fn an_unknown_destination_is_asked_for_once_and_known_when_told() {
        let (mut reader, mut tell, mut asked) = reader();
        let destination: IpAddr = "10.10.2.1".parse().unwrap();
        assert_eq!(reader.lookup(destination), None);
        assert_eq!(reader.lookup(destination), None);
        assert_eq!(asked.waiting(), 1);
        let _ = tell.push(0, update(destination, 1).as_bytes());
        reader.refresh(clock::now());
        let hop = reader.lookup(destination).unwrap();
        assert_eq!((hop.destination_mac, hop.vlan), ([4; 6], Some(42)));
        let _ = tell.push(0, update(destination, u32::MAX).as_bytes());
        reader.refresh(clock::now());
        assert_eq!(reader.lookup(destination), None);
    }

    #[test]
    fn a_flood_of_strangers_never_pushes_out_who_is_in_use() {
        let (mut reader, mut tell, mut asked) = reader();
        let peer: IpAddr = "10.10.2.1".parse().unwrap();
        assert_eq!(reader.lookup(peer), None);
        let _ = tell.push(0, update(peer, 1).as_bytes());
        let mut room = [0; size_of::<Endpoint>()];
        for stranger in 0..100_000_u32 {
            // Five strangers for each millisecond, a packet of the peer each.
            reader.refresh(Duration::from_micros(200 * u64::from(stranger)));
            let _ = reader.lookup(std::net::Ipv4Addr::from(stranger).into());
            while asked.pop(&mut room).is_some() {}
            if stranger % 100 == 0 {
                assert!(reader.lookup(peer).is_some(), "{stranger}");
            }
        }
    }

    #[test]
    fn who_is_in_use_is_asked_for_again_and_who_was_not_is_not_trusted() {
        let (mut reader, mut tell, mut asked) = reader();
        let peer: IpAddr = "fd10:2::1".parse().unwrap();
        let at = |seconds| Duration::from_secs(seconds);
        let mut room = [0; size_of::<Endpoint>()];
        reader.refresh(at(100));
        assert_eq!(reader.lookup(peer), None);
        assert!(asked.pop(&mut room).is_some());
        let _ = tell.push(0, update(peer, 0).as_bytes());
        for (second, asks) in [(101, false), (105, true), (106, false)] {
            reader.refresh(at(second));
            assert!(reader.lookup(peer).is_some());
            assert_eq!(asked.pop(&mut room).is_some(), asks, "{second}");
        }
        reader.refresh(at(200));
        assert_eq!(reader.lookup(peer), None);
        assert!(asked.pop(&mut room).is_some());
    }
}
