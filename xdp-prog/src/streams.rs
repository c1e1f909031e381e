//! RTP streams that benches send over a cable, and the proof that they came back whole.

use std::net::SocketAddrV4;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::Error;
use crate::flood::{header_sum, index_of};
use crate::loader::{self, LoadedStreams, StreamsParts, create_link};
use crate::tester::Arrival;

/// Parts of each power of two by which delays are told.
const DELAY_PARTS_BITS: u32 = 4;

/// One stream: who sends it, to where, and over which cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its source.
    pub from: SocketAddrV4,
    /// Its destination.
    pub to: SocketAddrV4,
    /// The place of its cable, 0 or 1; see [`Streams::lay`].
    pub cable: u32,
    /// The MAC addresses that its frames begin with: destination, source.
    pub macs: [[u8; 6]; 2],
}

impl Stream {
    /// As the object has it: all in network order.
    pub(crate) fn words(&self) -> [u32; 7] {
        let [source, destination, ports] = words(self.from, self.to);
        let macs = self.macs.as_flattened().as_chunks().0;
        let mac = |place: usize| macs.get(place).map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        [source, destination, ports, self.cable, mac(0), mac(1), mac(2)]
    }
}

/// Addresses and ports as a frame has them.
fn words(from: SocketAddrV4, to: SocketAddrV4) -> [u32; 3] {
    let ([a, b], [c, d]) = (from.port().to_be_bytes(), to.port().to_be_bytes());
    [from.ip().octets(), to.ip().octets(), [a, b, c, d]].map(u32::from_ne_bytes)
}

/// Packets that leave together, if they have no pace; and how long they may wait for each other if they have.
const BATCH: u32 = loader::LIVE_BATCH;
const BATCH_TIME: Duration = Duration::from_micros(20);

/// RTP streams, a packet of each in turn, put on a cable as fast as this core can, or slower.
pub struct Streams {
    program: OwnedFd,
    cables: MapHandle,
    gap: MapHandle,
    batch: u32,
    frame: Vec<u8>,
}

impl Streams {
    /// Loads them; their cables are to be laid then. The frame is untagged, 20 ms of G.711 in RTP over UDP over IPv4
    /// without options. If they are proven, the first 16 bytes of each payload
    /// are a mark and the time it was sent, for a [`Proof`] to read.
    ///
    /// # Errors
    /// When the frame is another, or the kernel refuses.
    pub fn open(frame: &[u8], streams: &[Stream], proven: bool) -> Result<Self, Error> {
        /// Addresses and ports, the checksum of UDP, what changes of RTP, mark and time.
        const CHANGES: [std::ops::Range<usize>; 4] = [26..38, 40..42, 44..54, 54..70];
        let wrong = || Error::Plan("a stream is of RTP over UDP over IPv4".to_owned());
        let mut still = frame.to_vec();
        for change in CHANGES.into_iter().take(if proven { 4 } else { 3 }) {
            still.get_mut(change).ok_or_else(wrong)?.fill(0);
        }
        let ip_sum = header_sum(&still).ok_or_else(wrong)?;
        still.resize(still.len().next_multiple_of(2), 0);
        // The UDP datagram, and of the pseudo-header the protocol and the length again.
        let datagram = still.get(34..).unwrap_or_default().as_chunks().0;
        let words = datagram.iter().map(|word| u64::from(u16::from_ne_bytes(*word)));
        let length = u16::from_ne_bytes([frame[38], frame[39]]);
        let mut sum = words.sum::<u64>() + u64::from(length) + u64::from(17_u16.to_be());
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let mut head = [0; 5];
        for (word, bytes) in head.iter_mut().zip(frame.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        let parts = StreamsParts { ip_sum, sum: sum as u32, head, proven };
        let loaded = loader::load_streams(&parts, streams)?;
        let LoadedStreams { program, cables, gap } = loaded;
        Ok(Self { program, cables, gap, batch: BATCH, frame: frame.to_vec() })
    }

    /// Streams with this place leave by that interface of this thread's network namespace: the near end of a cable.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn lay(&self, cable: u32, interface: &str) -> Result<(), Error> {
        let index = index_of(interface)?.to_ne_bytes();
        let said = self.cables.update(&cable.to_ne_bytes(), &index, MapFlags::ANY);
        said.map_err(Error::bpf("lay the cable of streams"))
    }

    /// So many packets a second from now on, ten thousand at least; `None`: as many as go.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_pace(&mut self, pace: Option<u64>) -> Result<(), Error> {
        let gap = pace.map_or(0, |pace| 1_000_000_000 / pace.max(1));
        self.batch = match gap {
            0 => BATCH,
            gap => (BATCH_TIME.as_nanos() as u64 / gap).clamp(1, BATCH.into()) as u32,
        };
        let said = self.gap.update(&0_u32.to_ne_bytes(), &gap.to_ne_bytes(), MapFlags::ANY);
        said.map_err(Error::bpf("set the pace of streams"))
    }

    /// Sends so many packets. Those for which the far end has no room are lost.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn send(&self, packets: u32) -> Result<(), Error> {
        let nowhere = Arrival { interface_index: 0, queue: 0 };
        loader::live_run(self.program.as_fd(), &self.frame, nowhere, packets, self.batch)
            .map_err(Error::os("send streams"))
    }
}

/// A program that looks at each packet of proven streams that comes back to an interface, and drops it. What is no RTP
/// goes on to the kernel.
pub struct Proof {
    _link: OwnedFd,
    proofs: MapHandle,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// Packets where they are to come out, with the payload that they were sent with and a checksum that is right, each
    /// behind the one before.
    pub packets: u64,
    /// Others of the streams.
    pub damaged: u64,
    /// Sequence numbers that were passed over.
    pub missing: u64,
    /// Packets that came behind a later one, or twice.
    pub late: u64,
    /// Packets that came out where they are not to: at another end, or from or to another port.
    pub stray: u64,
    /// What was no packet of any of them.
    pub foreign: u64,
    /// How long they were under way: packets by time, told to a sixteenth.
    delays: Vec<u64>,
}

impl Proof {
    /// Puts it there, in the driver, for so many streams; each may come out as it likes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach(interface: &str, streams: u32) -> Result<Self, Error> {
        Self::load(interface, streams, None)
    }

    /// The same, and each comes out from there to there; `None`: not at this end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach_to_ends(
        interface: &str,
        ends: &[Option<(SocketAddrV4, SocketAddrV4)>],
    ) -> Result<Self, Error> {
        let words = |end: &Option<(SocketAddrV4, SocketAddrV4)>| {
            let [source, destination, ports] = end.map_or([0; 3], |(from, to)| words(from, to));
            [0, source, destination, ports]
        };
        let all: Vec<[u32; 4]> = ends.iter().map(words).collect();
        Self::load(interface, ends.len() as u32, Some(&all))
    }

    fn load(interface: &str, streams: u32, ends: Option<&[[u32; 4]]>) -> Result<Self, Error> {
        let (program, proofs) = loader::load_proof(streams, ends)?;
        let native = libbpf_sys::XDP_FLAGS_DRV_MODE;
        let link = create_link(program.as_fd(), index_of(interface)?, native)
            .map_err(|source| Error::Native { name: interface.to_owned(), source })?;
        Ok(Self { _link: link, proofs })
    }

    /// What came back since it was attached.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn read(&self) -> Result<Proven, Error> {
        let read = Error::bpf("read what came back");
        let all = self.proofs.lookup_percpu(&0_u32.to_ne_bytes(), MapFlags::ANY).map_err(read)?;
        let mut proven = Proven::default();
        for bytes in all.into_iter().flatten() {
            let mut words = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
            let mut next = || words.next().unwrap_or_default();
            proven.packets += next();
            proven.damaged += next();
            proven.missing += next();
            proven.late += next();
            proven.stray += next();
            proven.foreign += next();
            let delays: Vec<u64> = words.collect();
            proven.delays.resize(delays.len(), 0);
            for (sum, one) in proven.delays.iter_mut().zip(delays) {
                *sum += one;
            }
        }
        Ok(proven)
    }
}

impl Proven {
    /// What came since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.delays.iter().zip(&before.delays);
        Self {
            packets: self.packets - before.packets,
            damaged: self.damaged - before.damaged,
            missing: self.missing - before.missing,
            late: self.late - before.late,
            stray: self.stray - before.stray,
            foreign: self.foreign - before.foreign,
            delays: pairs.map(|(now, then)| now - then).collect(),
        }
    }

    /// How long the packet was under way that so great a part was not slower than.
    #[must_use]
    pub fn delay(&self, part: f64) -> Duration {
        let all: u64 = self.delays.iter().sum();
        let wanted = (all as f64 * part).ceil() as u64;
        let mut so_far = 0;
        for (place, packets) in (0..).zip(&self.delays) {
            so_far += packets;
            if so_far >= wanted.max(1) {
                return delay_of(place);
            }
        }
        Duration::ZERO
    }
}

/// The middle of the delays that are counted there.
fn delay_of(place: u32) -> Duration {
    let (power, part) = (place >> DELAY_PARTS_BITS, place & ((1 << DELAY_PARTS_BITS) - 1));
    let step = (1_u64 << power) as f64 / f64::from(1 << DELAY_PARTS_BITS);
    let ns = (1_u64 << power) as f64 + (f64::from(part) + 0.5) * step;
    Duration::from_nanos(ns as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_told_to_a_sixteenth() {
        let mut delays = vec![0; 512];
        // 20,000 ns: fourteen powers of two, and 3,616 of 16,384 above it.
        delays[14 << 4 | 3] = 99;
        delays[20 << 4] = 1;
        let proven = Proven { packets: 100, delays, ..Proven::default() };
        assert_eq!(proven.delay(0.5).as_nanos(), 19_968);
        assert_eq!(proven.delay(0.999).as_micros(), 1_081);
    }
}
