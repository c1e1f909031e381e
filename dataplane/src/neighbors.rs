//! Next hops: which interface and which MAC a destination is behind.
//!
//! A thread asks the kernel (netlink: route, neighbour, link) and keeps what is in use alive; workers have
//! their own table and never wait: an unknown destination is asked for once in a while and answered
//! `None`, and the datagram leaves through the rim meanwhile.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use link::Endpoint;
use link::ring::{self, Consumer, Producer};
use wire::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::clock;
use crate::netlink::{Netlink, Route};

/// Destinations of one worker.
const ENTRIES: usize = 4096;
/// How often an unknown destination is asked for again.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How often everything in use is looked at again.
const REFRESH: Duration = Duration::from_millis(1000);
/// How often the thread looks for questions.
const LOOK: Duration = Duration::from_millis(5);
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
}

#[derive(Clone, Copy)]
struct Entry {
    destination: IpAddr,
    hop: Option<Hop>,
    asked: Duration,
}

/// A worker's table.
pub struct Reader {
    entries: Box<[Option<Entry>]>,
    used: usize,
    updates: Option<Consumer>,
    questions: Option<Producer>,
}

fn place(destination: IpAddr) -> usize {
    // Only our own peers are looked up here, so no key is needed against collisions by design.
    let mixed = match destination {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => (u128::from(ip) ^ (u128::from(ip) >> 64)) as u64,
    };
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52) as usize % ENTRIES
}

impl Reader {
    /// A table for the `udp` NIC: the kernel finds the way to everybody.
    #[must_use]
    pub fn kernel() -> Self {
        Self { entries: Box::new([]), used: 0, updates: None, questions: None }
    }

    /// Takes in what the thread found since the last turn.
    pub fn refresh(&mut self) {
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
                vlan: None,
                payload_max: update.payload_max as usize,
            });
            if let Some(entry) = find(&mut self.entries, destination.ip()) {
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
            });
        };
        if let Some(entry) = find(&mut self.entries, destination) {
            if entry.hop.is_none() {
                ask(questions, entry);
            }
            return entry.hop;
        }
        if self.used >= ENTRIES * 3 / 4 {
            // More peers than entries: forget all, and ask for those that are still there.
            self.entries.fill(None);
            self.used = 0;
        }
        let mut entry = Entry { destination, hop: None, asked: Duration::ZERO };
        ask(questions, &mut entry);
        let mut at = place(destination);
        while self.entries.get(at).is_some_and(Option::is_some) {
            at = (at + 1) % ENTRIES;
        }
        if let Some(free) = self.entries.get_mut(at) {
            *free = Some(entry);
            self.used += 1;
        }
        None
    }
}

fn find(entries: &mut [Option<Entry>], destination: IpAddr) -> Option<&mut Entry> {
    let mut at = place(destination);
    for _ in 0..entries.len() {
        match entries.get(at)? {
            None => return None,
            Some(entry) if entry.destination == destination => break,
            Some(_) => at = (at + 1) % ENTRIES,
        }
    }
    entries.get_mut(at)?.as_mut().filter(|entry| entry.destination == destination)
}

fn ask(questions: &mut Producer, entry: &mut Entry) {
    let now = clock::now();
    if entry.asked != Duration::ZERO && now.saturating_sub(entry.asked) < ASK_EVERY {
        return;
    }
    entry.asked = now;
    let question = Endpoint::from(SocketAddr::new(entry.destination, 0));
    // A full ring means that the thread is busy with our other questions; we ask again.
    let _ = questions.push(0, question.as_bytes());
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
        readers.push(Reader {
            entries: vec![None; ENTRIES].into(),
            used: 0,
            updates: Some(told),
            questions: Some(ask),
        });
        sides.push(Worker { questions: asked, updates: tell });
    }
    let mut thread = Thread { netlink, links, sides, known: HashMap::new(), due: Duration::ZERO };
    std::thread::Builder::new().name("neighbors".into()).spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            thread.turn();
            std::thread::sleep(LOOK);
        }
    })?;
    Ok(readers)
}

struct Thread {
    netlink: Netlink,
    links: Vec<u32>,
    sides: Vec<Worker>,
    /// Destinations in use: what was told, and to which workers (a bit each).
    known: HashMap<IpAddr, (Option<Hop>, u64)>,
    due: Duration,
}

impl Thread {
    fn turn(&mut self) {
        for worker in 0..self.sides.len() {
            self.questions(worker);
        }
        let now = clock::now();
        // A notification of the kernel brings the next look forward.
        if self.netlink.anything_changed() {
            self.due = self.due.min(now + Duration::from_millis(20));
        }
        if now >= self.due {
            self.due = now + REFRESH;
            let all: Vec<IpAddr> = self.known.keys().copied().collect();
            for destination in all {
                self.look(destination);
            }
        }
    }

    fn questions(&mut self, worker: usize) {
        let mut room = [0; size_of::<Endpoint>()];
        for _ in 0..64 {
            let Some(side) = self.sides.get_mut(worker) else { return };
            if side.questions.pop(&mut room).is_none() {
                return;
            }
            let Ok(endpoint) = Endpoint::read_from_bytes(&room) else { continue };
            let Some(destination) = endpoint.socket_address() else { continue };
            let destination = destination.ip();
            if self.known.len() >= 4 * ENTRIES {
                self.known.clear();
            }
            let entry = self.known.entry(destination).or_insert((None, 0));
            entry.1 |= 1 << worker;
            let hop = entry.0;
            if hop.is_some() {
                self.tell(destination, hop, 1 << worker);
            } else {
                self.look(destination);
            }
        }
    }

    /// Asks the kernel, and tells the workers when the answer is another than before.
    fn look(&mut self, destination: IpAddr) {
        let hop = self.resolve(destination);
        let Some((told, workers)) = self.known.get_mut(&destination) else { return };
        let workers = *workers;
        if *told != hop {
            *told = hop;
            self.tell(destination, hop, workers);
        }
    }

    fn resolve(&mut self, destination: IpAddr) -> Option<Hop> {
        let Route { interface, gateway } = self.netlink.route(destination)?;
        let place = self.links.iter().position(|link| *link == interface)?;
        let link = self.netlink.link(interface)?;
        let next = gateway.unwrap_or(destination);
        let Some(destination_mac) = self.netlink.neighbor(interface, next) else {
            self.netlink.probe(interface, next);
            return None;
        };
        // The kernel sees none of our traffic, so it is asked to keep the entry alive.
        self.netlink.keep(interface, next);
        let payload_max = link.mtu.saturating_sub(HEADERS_BYTES) as usize;
        let source_mac = link.mac;
        Some(Hop { interface: place, source_mac, destination_mac, vlan: None, payload_max })
    }

    fn tell(&mut self, destination: IpAddr, hop: Option<Hop>, workers: u64) {
        let update = Update {
            destination: Endpoint::from(SocketAddr::new(destination, 0)),
            interface: hop.map_or(u32::MAX, |hop| hop.interface as u32),
            payload_max: hop.map_or(0, |hop| hop.payload_max as u32),
            source_mac: hop.map_or([0; 6], |hop| hop.source_mac),
            destination_mac: hop.map_or([0; 6], |hop| hop.destination_mac),
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
        let entries = vec![None; ENTRIES].into();
        (Reader { entries, used: 0, updates: Some(told), questions: Some(ask) }, tell, asked)
    }

    fn update(destination: IpAddr, interface: u32) -> Update {
        let destination = Endpoint::from(SocketAddr::new(destination, 0));
        let (source_mac, destination_mac) = ([2; 6], [4; 6]);
        Update { destination, interface, payload_max: 1452, source_mac, destination_mac }
    }

    #[test]
    fn an_unknown_destination_is_asked_for_once_and_known_when_told() {
        let (mut reader, mut tell, mut asked) = reader();
        let destination: IpAddr = "10.10.2.1".parse().unwrap();
        assert_eq!(reader.lookup(destination), None);
        assert_eq!(reader.lookup(destination), None);
        assert_eq!(asked.waiting(), 1);
        let _ = tell.push(0, update(destination, 1).as_bytes());
        reader.refresh();
        assert_eq!(reader.lookup(destination).unwrap().destination_mac, [4; 6]);
        let _ = tell.push(0, update(destination, u32::MAX).as_bytes());
        reader.refresh();
        assert_eq!(reader.lookup(destination), None);
    }

    #[test]
    fn more_peers_than_entries_never_fill_the_table() {
        let (mut reader, _tell, mut asked) = reader();
        let mut room = [0; size_of::<Endpoint>()];
        for peer in 0..20_000u32 {
            let _ = reader.lookup(std::net::Ipv4Addr::from(peer).into());
            while asked.pop(&mut room).is_some() {}
        }
        assert!(reader.used <= ENTRIES * 3 / 4);
    }
}
