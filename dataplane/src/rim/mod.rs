//! What is not on the fast path goes through the kernel's own sockets, on threads of their own.
//!
//! [`datagram`] is SIP in fragments, over the path MTU or to a hop not known yet. [`stream`] is SIP over TCP,
//! TLS and WebSocket: listeners there, a task for each connection in `connection.rs`, the one owner of all
//! of them in `exchange.rs`. Rings are the only way in and out, a pair for each worker and thread; the
//! letters are those of `worker/letter.rs`. Beside them go only totals and parameters.

mod connection;
mod counter;
pub mod datagram;
mod exchange;
mod frames;
mod limits;
pub mod stand_in;
pub mod stream;
mod tls;
mod websocket;

pub use counter::StreamCounter;
pub use tls::{Tls, TlsFiles};

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use b2bua::Path;
use link::Text;
use link::endpoint::Transport;
use link::order::{Parameters, PlaceName};
use link::ring::{self, Consumer, Full, Producer, Wake};
use shm::Doorbell;

use crate::worker::{ENVELOPE_BYTES, Kind, Label, envelope, seal, unseal};
use datagram::Datagrams;
use stream::Streams;

/// Names of places that may wait for room in a ring.
const NAMES_MAX: usize = link::profile::GATEWAYS_MAX as usize;
/// Letters of each ring.
const SLOTS: usize = 256;

/// What became of a payload given to the rim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is in the ring.
    Over,
    /// The ring is full, or the payload too long for it.
    Lost,
}

/// What the rings between the workers and a thread of the rim are made of.
pub struct Rings {
    /// What wakes each worker.
    pub worker_bells: Vec<PathBuf>,
    /// What wakes the thread.
    pub bell: PathBuf,
    /// Longest SIP message.
    pub message_bytes_max: usize,
}

impl Rings {
    fn letter_bytes(&self) -> usize {
        self.message_bytes_max + ENVELOPE_BYTES
    }

    fn bell(&self) -> io::Result<Doorbell> {
        open_bell(&self.bell)
    }

    /// Both ends of each worker's pair, with room for so many letters.
    fn open(&self, slots: usize) -> io::Result<Vec<(WorkerEnd, RimEnd)>> {
        self.open_in(|bytes| ring::in_process(slots, bytes))
    }

    /// The same, of rings for letters of so many bytes that `ring` makes.
    fn open_in(
        &self,
        mut ring: impl FnMut(usize) -> Result<(Producer, Consumer), ring::RingError>,
    ) -> io::Result<Vec<(WorkerEnd, RimEnd)>> {
        let bytes = self.letter_bytes();
        let made = |error: ring::RingError| io::Error::other(error.to_string());
        self.worker_bells
            .iter()
            .map(|worker_bell| {
                let (give, given) = ring(bytes).map_err(made)?;
                let (tell, told) = ring(bytes).map_err(made)?;
                let letter = vec![0; bytes].into();
                let bell = self.bell()?;
                let worker = WorkerEnd { out: give, inward: told, bell, letter, wake: false };
                Ok((worker, RimEnd { out: given, inward: tell, bell: open_bell(worker_bell)? }))
            })
            .collect()
    }
}

fn open_bell(path: &std::path::Path) -> io::Result<Doorbell> {
    Doorbell::open(path).map_err(|error| io::Error::other(error.to_string()))
}

/// A worker's end of a pair of rings.
struct WorkerEnd {
    out: Producer,
    inward: Consumer,
    /// Wakes the thread.
    bell: Doorbell,
    letter: Box<[u8]>,
    wake: bool,
}

impl WorkerEnd {
    fn give(&mut self, label: Label, path: &Path, payload: &[u8]) -> Given {
        let Some(length) = seal(&mut self.letter, path, payload) else { return Given::Lost };
        match self.out.push(label.number(), self.letter.get(..length).unwrap_or_default()) {
            Ok(wake) => {
                self.wake |= wake == Wake::Needed;
                Given::Over
            }
            Err(_) => Given::Lost,
        }
    }

    fn wake(&mut self) {
        if std::mem::take(&mut self.wake) {
            self.bell.ring();
        }
    }
}

/// The rim's end of a pair of rings.
struct RimEnd {
    out: Consumer,
    inward: Producer,
    /// Wakes the worker.
    bell: Doorbell,
}

impl RimEnd {
    fn give(&mut self, kind: Kind, path: &Path, payload: &[u8]) -> Result<(), Full> {
        let parts = [&envelope(path)[..], payload];
        if self.inward.push_parts(Label::of(kind).number(), &parts)? == Wake::Needed {
            self.bell.ring();
        }
        Ok(())
    }
}

/// One worker's rings to and from the rim.
pub struct WorkerSide {
    datagrams: Option<Datagrams>,
    streams: Option<Streams>,
    /// Names of places for which the ring had no room yet: control tells all of them at once.
    names: VecDeque<PlaceName>,
}

impl WorkerSide {
    /// Without `datagrams` for the `udp` NIC, which is all kernel sockets already.
    #[must_use]
    pub fn new(datagrams: Option<Datagrams>, streams: Option<Streams>) -> Self {
        Self { datagrams, streams, names: VecDeque::with_capacity(NAMES_MAX) }
    }

    /// No rim at all.
    #[must_use]
    pub fn none() -> Self {
        Self::new(None, None)
    }

    fn ends(&mut self) -> impl Iterator<Item = &mut WorkerEnd> {
        let datagrams = self.datagrams.as_mut().map(|datagrams| &mut datagrams.end);
        let streams = self.streams.as_mut().map(|streams| &mut streams.end);
        datagrams.into_iter().chain(streams)
    }

    /// Gives a payload to the thread that its transport is the business of.
    pub fn give(&mut self, label: Label, path: &Path, payload: &[u8]) -> Given {
        let end = if path.transport == Transport::Udp {
            self.datagrams.as_mut().map(|datagrams| &mut datagrams.end)
        } else {
            self.streams.as_mut().map(|streams| &mut streams.end)
        };
        end.map_or(Given::Lost, |end| end.give(label, path, payload))
    }

    /// The next payload that the kernel received, or that came back.
    pub fn take<'a>(&mut self, room: &'a mut [u8]) -> Option<(Kind, Path, &'a [u8])> {
        let (number, length) = self.ends().find_map(|end| end.inward.pop(room))?;
        let (path, payload) = unseal(room.get(..length)?)?;
        Some((Label::of_number(number).kind, path, payload))
    }

    /// Datagrams of this worker that the rim lost since the last look: its ring was full, or the kernel
    /// refused them.
    pub fn lost(&self) -> u64 {
        self.datagrams
            .as_ref()
            .map_or(0, |datagrams| datagrams.losses.lost.swap(0, Ordering::Relaxed))
    }

    /// Datagrams that the rim did not let in to this worker since the last look.
    pub fn refused(&self) -> u64 {
        let refused = |datagrams: &Datagrams| datagrams.losses.refused.swap(0, Ordering::Relaxed);
        self.datagrams.as_ref().map_or(0, refused)
    }

    /// What became of connections since the last look of any worker.
    pub fn counted(&self, counter: StreamCounter) -> u64 {
        self.streams.as_ref().map_or(0, |streams| streams.tally.take(counter))
    }

    /// Takes over the parameters of connections.
    pub fn set_parameters(&self, parameters: &Parameters) {
        if let Some(streams) = &self.streams {
            streams.limits.set(parameters);
        }
    }

    /// Says by which name whoever answers at a place proves who he is. What finds no room here proves
    /// itself by its address, until it is told again with the next change of its gateway.
    pub fn set_name(&mut self, name: &PlaceName) {
        if self.streams.is_some() && self.names.len() < NAMES_MAX {
            self.names.push_back(*name);
        }
        self.tell_names();
    }

    fn tell_names(&mut self) {
        while let Some(name) = self.names.front().copied() {
            let transport = name.place.transport();
            if let Some(remote) = name.place.socket_address() {
                let path = Path { transport, local: remote, remote, connection: 0 };
                let mut payload = [0; 1 + size_of::<Text<254>>()];
                let length = 1 + name.name.as_bytes().len();
                payload[0] = name.proof;
                payload[1..length].copy_from_slice(name.name.as_bytes());
                let given = self.give(Label::of(Kind::Name), &path, &payload[..length]);
                if given == Given::Lost {
                    return;
                }
            }
            self.names.pop_front();
        }
    }

    /// From here on the rim must ring. `false`: something came meanwhile.
    pub fn try_sleep(&mut self) -> bool {
        self.names.is_empty() && self.ends().all(|end| end.inward.try_sleep())
    }

    /// From here on it need not.
    pub fn awake(&mut self) {
        self.ends().for_each(|end| end.inward.awake());
    }

    /// Rings the doorbells of threads that sleep.
    pub fn wake(&mut self) {
        self.tell_names();
        self.ends().for_each(WorkerEnd::wake);
    }
}
