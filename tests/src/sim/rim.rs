//! The rim of the simulated machine: connections of TCP, in order and without loss until they break, and
//! word of what could not be delivered.
//!
//! It holds the far ends of the workers' rings and decides as `dataplane/src/rim/exchange.rs` does: a
//! message goes by the connection of its path, else by one that leads there, else by a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path as FilePath;

use b2bua::Path;
use dataplane::rim::stand_in::{MakeRing, StandIn};
use dataplane::rim::{Rings, WorkerSide};
use dataplane::worker::Kind;
use link::endpoint::Transport;

use super::machine::{SIP_PORT, WORKERS};
use super::network::{Letter, Way};
use super::peer::header;

/// As much of a datagram as comes back with an ICMP error.
const QUOTED_BYTES: usize = 520;

/// The rim, as long as one dataplane lives.
pub(super) struct Rim {
    sides: Vec<StandIn>,
    /// Ours and theirs, by number.
    connections: BTreeMap<u32, (SocketAddr, SocketAddr)>,
    by_remote: BTreeMap<SocketAddr, u32>,
    last: u32,
    room: Box<[u8]>,
    /// Messages that came back.
    pub(super) given_back: u32,
}

impl Rim {
    /// No connections yet; the workers' sides of the rings.
    pub(super) fn open(
        bell: &FilePath,
        message_bytes_max: usize,
        memory: &mut MakeRing<'_>,
    ) -> (Vec<WorkerSide>, Self) {
        let worker_bells = vec![bell.to_owned(); WORKERS as usize];
        let rings = Rings { worker_bells, bell: bell.to_owned(), message_bytes_max };
        let pairs = StandIn::open(&rings, memory).expect("the doorbell is there");
        let (workers, sides) = pairs.into_iter().unzip();
        let rim = Self {
            sides,
            connections: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            last: 0,
            room: vec![0; message_bytes_max + 128].into(),
            given_back: 0,
        };
        (workers, rim)
    }

    /// All connections break.
    pub(super) fn cut(&mut self) {
        self.connections.clear();
        self.by_remote.clear();
    }

    fn connect(&mut self, local: SocketAddr, remote: SocketAddr) -> u32 {
        self.last += 1;
        self.connections.insert(self.last, (local, remote));
        self.by_remote.insert(remote, self.last);
        self.last
    }

    /// A message came by a connection, which is a new one if nobody knows it. Which worker has it.
    pub(super) fn deliver(&mut self, letter: &Letter) -> usize {
        let Letter { from: remote, to: local, bytes, .. } = letter;
        let known = self.by_remote.get(remote).copied();
        let connection = known.unwrap_or_else(|| self.connect(*local, *remote));
        let path = Path { transport: Transport::Tcp, local: *local, remote: *remote, connection };
        self.tell(Kind::Sip, &path, bytes)
    }

    /// ICMP says that nobody is there: the front of a datagram of ours comes back. Which worker has it.
    pub(super) fn unreachable(&mut self, letter: &Letter) -> usize {
        let Letter { from: local, to: remote, bytes, .. } = letter;
        let path =
            Path { transport: Transport::Udp, local: *local, remote: *remote, connection: 0 };
        let front = bytes.get(..QUOTED_BYTES).unwrap_or(bytes);
        self.given_back += 1;
        self.tell(Kind::Undeliverable, &path, front)
    }

    fn tell(&mut self, kind: Kind, path: &Path, bytes: &[u8]) -> usize {
        let worker = path.connection as usize % self.sides.len();
        if let Some(side) = self.sides.get_mut(worker) {
            // What a full ring does not take is lost, as with a machine that is too slow.
            let _ = side.give(kind, path, bytes);
        }
        worker
    }

    /// Sends what a worker gave away. Whether anything came back to some worker.
    pub(super) fn take_sent(
        &mut self,
        worker: usize,
        away: &BTreeSet<IpAddr>,
        mut send: impl FnMut(Letter),
    ) -> bool {
        let mut came_back = false;
        let mut room = std::mem::take(&mut self.room);
        while let Some((path, bytes)) = self.sides.get_mut(worker).and_then(|it| it.take(&mut room))
        {
            let Some(connection) = self.way(&path, bytes, away) else {
                self.given_back += 1;
                self.tell(Kind::Undeliverable, &path, bytes);
                came_back = true;
                continue;
            };
            let (from, to) = connection;
            send(Letter { from, to, bytes: bytes.to_vec(), way: Way::Stream });
        }
        self.room = room;
        came_back
    }

    /// The ends of the connection by which a message goes. `None`: there is none and can be none.
    fn way(
        &mut self,
        path: &Path,
        bytes: &[u8],
        away: &BTreeSet<IpAddr>,
    ) -> Option<(SocketAddr, SocketAddr)> {
        if path.transport != Transport::Tcp {
            return None;
        }
        let own = self.connections.get(&path.connection);
        if let Some(ends) = own.filter(|(_, remote)| remote.ip() == path.remote.ip()) {
            return Some(*ends);
        }
        let mut remote = path.remote;
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        if text.starts_with("SIP/2.0 ") {
            // RFC 3261 §18.2.2: to where its Via says.
            let sent_by = header(text, "Via").and_then(|via| via.split([' ', ';']).nth(1));
            remote = sent_by.and_then(|sent_by| sent_by.parse().ok()).unwrap_or(remote);
        }
        if let Some(known) = self.by_remote.get(&remote) {
            return self.connections.get(known).copied();
        }
        // Callers who came from any port listen nowhere.
        let listens = remote.port() == SIP_PORT && !away.contains(&remote.ip());
        listens.then(|| {
            self.connect(path.local, remote);
            (path.local, remote)
        })
    }
}
