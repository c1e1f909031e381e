//! What is done to the packets of a pair besides new addresses, and the bench it is done on.
//!
//! ```text
//!  arrives ──▶ opened ──▶ judged in clear ──▶ (made into others) ──▶ sealed for the leg it leaves by
//!             of its own   `forward.rs`                              of that one
//!             port's work                                            port's work
//! ```
//!
//! A flow with work at either end is never settled. Between two calls of ours packets are in clear: each is
//! opened where it comes from a wire, and sealed where it goes to one. Works lie in a pool as large as the
//! table has pairs, whose memory is touched as they come.
//!
//! Withstands: packets that nobody with the key has made, and such as were here before. They are counted and
//! forgotten; whoever sends them is believed by no port.

use std::collections::VecDeque;

use codec::{Settings, Start, Transcoder};
use srtp::{Fault, Kept, Master, Receiver, Sender};

use crate::dial::Dials;
use crate::flow::Owner;
use crate::forward::{DropReason, Verdict};
use crate::port::Port;
use crate::{Instant, Table};

const _: () = assert!(PACKETS_MAX == codec::PACKETS_MAX);

/// The longest packet that anything is done to.
pub const PACKET_BYTES_MAX: usize = 1_500;
/// So many may become of one.
pub const PACKETS_MAX: usize = 4;

/// The place of no work.
pub(crate) const NO_WORK: u32 = u32::MAX;

/// A key, and how far its streams have come: one direction of one leg, for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The key.
    pub master: Master,
    /// How far.
    pub kept: Kept,
}

/// The work of one pair, for RTP and RTCP alike.
#[derive(Default)]
pub(crate) struct Work {
    /// Opens what arrives.
    opens: Option<Receiver>,
    /// Seals what leaves.
    seals: Option<Sender>,
    /// It waits in [`Bench::turned`].
    is_told: bool,
    /// Makes what arrives into what the other side reads: its place in [`Bench::transcoders`].
    transcodes: Option<u16>,
    /// Puts keys into what leaves: its place in [`Bench::dials`].
    dials: Option<u16>,
}

impl Work {
    fn is_none(&self) -> bool {
        let is_clear = self.opens.is_none() && self.seals.is_none();
        is_clear && self.transcodes.is_none() && self.dials.is_none()
    }

    fn take_turned(&mut self) -> bool {
        let opened = self.opens.as_mut().is_some_and(Receiver::take_turned);
        let sealed = self.seals.as_mut().is_some_and(Sender::take_turned);
        opened | sealed
    }
}

/// All works of a table, and where packets lie meanwhile.
pub(crate) struct Bench {
    works: Vec<Work>,
    free: Vec<u32>,
    /// A packet that was opened.
    clear: Box<[u8]>,
    packets: Box<[[u8; PACKET_BYTES_MAX]; PACKETS_MAX]>,
    lengths: [usize; PACKETS_MAX],
    /// Ports whose streams have come far enough for another checkpoint, each once.
    turned: VecDeque<Port>,
    /// Directions of transcoded calls, and those of them that nobody has now.
    transcoders: Vec<Transcoder>,
    free_transcoders: Vec<u16>,
    /// How many were ever taken.
    transcoders_taken: u64,
    pub(crate) dials: Dials,
}

impl Bench {
    pub(crate) fn works_taken(&self) -> usize {
        self.works.len() - self.free.len()
    }

    /// Of a table of so many pairs.
    pub(crate) fn new(pairs: usize) -> Self {
        Self {
            works: Vec::with_capacity(pairs),
            free: Vec::with_capacity(pairs),
            clear: vec![0; PACKET_BYTES_MAX].into(),
            packets: Box::new([[0; PACKET_BYTES_MAX]; PACKETS_MAX]),
            lengths: [0; PACKETS_MAX],
            turned: VecDeque::with_capacity(pairs),
            transcoders: Vec::new(),
            free_transcoders: Vec::new(),
            transcoders_taken: 0,
            dials: Dials::new(pairs),
        }
    }

    /// What puts keys into what leaves by a pair with that work.
    pub(crate) fn dial(&self, place: u32) -> Option<u16> {
        self.work(place).and_then(|work| work.dials)
    }

    /// How far the stream has come that is made of what arrives at a pair with that work.
    pub(crate) fn transcoded(&self, place: u32) -> Option<Start> {
        let it = self.work(place)?.transcodes?;
        self.transcoders.get(usize::from(it)).map(Transcoder::position)
    }

    /// What is to go as it leaves behind the keys that were put in.
    fn renumber(&mut self, now: Instant, place: u32) {
        let Some(dial) = self.dial(place) else { return };
        for (room, length) in self.packets.iter_mut().zip(&mut self.lengths) {
            let packet = room.get_mut(..*length).filter(|packet| !packet.is_empty());
            if packet.is_some_and(|packet| !self.dials.pass(now, dial, packet)) {
                *length = 0;
            }
        }
    }

    /// A place for one more direction.
    fn reserve_transcoder(&mut self, settings: Settings, start: Start) -> Option<u16> {
        let made = Transcoder::new(settings, start);
        if let Some(place) = self.free_transcoders.pop() {
            self.transcoders[usize::from(place)] = made;
            self.transcoders_taken += 1;
            return Some(place);
        }
        let place = u16::try_from(self.transcoders.len()).ok()?;
        let has_room = self.transcoders.len() < self.transcoders.capacity();
        has_room.then(|| self.transcoders.push(made))?;
        self.transcoders_taken += 1;
        Some(place)
    }

    /// What becomes of a packet that arrives at a pair with that work. `false`: it needs nothing.
    fn transcode(&mut self, place: u32, packet: &[u8], is_rtcp: bool) -> Result<bool, DropReason> {
        let Some(it) = self.work(place).and_then(|work| work.transcodes) else { return Ok(false) };
        // Reports tell of streams that the other side does not see.
        if is_rtcp {
            return Err(DropReason::NotTranscoded);
        }
        let Some(it) = self.transcoders.get_mut(usize::from(it)) else { return Ok(false) };
        let made = it.transcode(packet, &mut self.packets, &mut self.lengths);
        made.map_err(|_| DropReason::NotTranscoded)?;
        Ok(true)
    }

    /// A place for the work of one more pair; there is one for each.
    fn reserve(&mut self) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        let place = u32::try_from(self.works.len()).ok().filter(|&place| place != NO_WORK)?;
        (self.works.len() < self.works.capacity()).then(|| self.works.push(Work::default()))?;
        Some(place)
    }

    fn release(&mut self, place: u32) {
        if let Some(work) = self.works.get_mut(place as usize) {
            self.free_transcoders.extend(work.transcodes);
            if let Some(dial) = work.dials {
                self.dials.release(dial);
            }
            *work = Work::default();
            self.free.push(place);
        }
    }

    fn work(&self, place: u32) -> Option<&Work> {
        self.works.get(place as usize)
    }

    fn work_mut(&mut self, place: u32) -> Option<&mut Work> {
        self.works.get_mut(place as usize)
    }

    /// A packet as what is to go; the only one, for now.
    fn lay(&mut self, packet: &[u8]) -> Result<(), DropReason> {
        let room = self.packets[0].get_mut(..packet.len()).ok_or(DropReason::TooLong)?;
        room.copy_from_slice(packet);
        self.lengths = [0; PACKETS_MAX];
        self.lengths[0] = packet.len();
        Ok(())
    }

    /// Seals all that is to go.
    fn seal(&mut self, place: u32, is_rtcp: bool) -> Result<(), DropReason> {
        let sender = self.works.get_mut(place as usize).and_then(|work| work.seals.as_mut());
        let Some(sender) = sender else { return Ok(()) };
        for (room, length) in self.packets.iter_mut().zip(&mut self.lengths) {
            if *length > 0 {
                *length = seal(sender, room, *length, is_rtcp)?;
            }
        }
        Ok(())
    }
}

fn seal(
    sender: &mut Sender,
    room: &mut [u8],
    length: usize,
    is_rtcp: bool,
) -> Result<usize, DropReason> {
    let sealed = match is_rtcp {
        false => sender.protect_rtp(room, length),
        true => sender.protect_rtcp(room, length),
    };
    sealed.map_err(|fault| reason(fault, is_rtcp))
}

fn reason(fault: Fault, is_rtcp: bool) -> DropReason {
    match fault {
        Fault::Malformed if is_rtcp => DropReason::NotRtcp,
        Fault::Malformed => DropReason::NotRtp,
        Fault::NoRoom => DropReason::TooLong,
        Fault::Unauthentic => DropReason::Unauthentic,
        // Whatever its place in the stream is, it is spent.
        Fault::Replayed | Fault::Exhausted => DropReason::Replayed,
    }
}

impl Table {
    /// The keys of the far end of an open pair: what it sends is opened with one, what it hears is sealed
    /// with the other. The key that is there already goes on where it is. `false`: the pair is not open.
    pub fn set_keys(
        &mut self,
        port: Port,
        inward: Option<&Master>,
        outward: Option<&Master>,
    ) -> bool {
        self.set_work(port, inward.is_some() || outward.is_some(), |work| {
            if work.opens.as_ref().map(Receiver::master) != inward {
                work.opens = inward.map(Receiver::new);
            }
            if work.seals.as_ref().map(Sender::master) != outward {
                work.seals = outward.map(Sender::new);
            }
        })
    }

    /// The keys of a pair and how far they have come, inward and outward.
    #[must_use]
    pub fn keys(&self, port: Port) -> [Option<Secured>; 2] {
        let work = self.open_at(port.rtp()).and_then(|flow| self.bench.work(flow.work));
        let Some(work) = work else { return [None; 2] };
        let opens = work.opens.as_ref();
        let seals = work.seals.as_ref();
        [
            opens.map(|it| Secured { master: *it.master(), kept: it.kept() }),
            seals.map(|it| Secured { master: *it.master(), kept: it.kept() }),
        ]
    }

    /// The keys of a pair as they were before a restart.
    pub(crate) fn restore_keys(&mut self, port: Port, keys: &[Option<Secured>; 2]) {
        let [inward, outward] = keys;
        self.set_work(port, inward.is_some() || outward.is_some(), |work| {
            work.opens = inward.as_ref().map(|it| Receiver::restore(&it.master, &it.kept));
            work.seals = outward.as_ref().map(|it| Sender::restore(&it.master, &it.kept));
        });
    }

    /// Makes room for so many directions of transcoded calls; at start, and once.
    pub fn reserve_transcoders(&mut self, directions: u16) {
        self.bench.transcoders.reserve_exact(directions.into());
        self.bench.free_transcoders.reserve_exact(directions.into());
    }

    /// How many directions more can be transcoded.
    #[must_use]
    pub fn free_transcoders(&self) -> usize {
        let bench = &self.bench;
        bench.transcoders.capacity() - bench.transcoders.len() + bench.free_transcoders.len()
    }

    /// How many directions were ever transcoded, and how many are no more.
    #[must_use]
    pub fn transcoders(&self) -> [u64; 2] {
        let live = self.bench.transcoders.len() - self.bench.free_transcoders.len();
        let taken = self.bench.transcoders_taken;
        [taken, taken - live as u64]
    }

    /// Bytes that one direction takes.
    #[must_use]
    pub fn transcoder_bytes() -> usize {
        size_of::<Transcoder>()
    }

    /// Makes what arrives at an open pair into what the other side reads; `None`: it goes on as it is. With
    /// the same settings it goes on where it is. `false`: all transcoders are taken.
    pub fn set_transcoding(
        &mut self,
        port: Port,
        settings: Option<Settings>,
        start: Start,
    ) -> bool {
        if self.transcoding(port) == settings {
            return true;
        }
        let mut has_room = true;
        let mut place = None;
        if let Some(settings) = settings {
            // One of this pair's own is made anew in place.
            let work = self.open_at(port.rtp()).and_then(|flow| self.bench.work(flow.work));
            if let Some(own) = work.and_then(|work| work.transcodes) {
                self.bench.transcoders[usize::from(own)] = Transcoder::new(settings, start);
                return true;
            }
            place = self.bench.reserve_transcoder(settings, start);
            has_room = place.is_some();
        }
        let mut left = None;
        let is_set = self.set_work(port, place.is_some(), |work| {
            left = core::mem::replace(&mut work.transcodes, place);
        });
        self.bench.free_transcoders.extend(left);
        if !is_set {
            self.bench.free_transcoders.extend(place);
        }
        has_room && is_set
    }

    /// What becomes of what arrives at a pair.
    #[must_use]
    pub fn transcoding(&self, port: Port) -> Option<Settings> {
        let work = self.open_at(port.rtp()).and_then(|flow| self.bench.work(flow.work))?;
        let transcoder = self.bench.transcoders.get(usize::from(work.transcodes?))?;
        Some(*transcoder.settings())
    }

    /// The next call whose keys have come so far that its checkpoint is to be written anew.
    pub fn poll_turned(&mut self) -> Option<Owner> {
        while let Some(port) = self.bench.turned.pop_front() {
            let Some(flow) = self.open_at(port) else { continue };
            let (place, owner) = (flow.work, flow.owner);
            let Some(work) = self.bench.work_mut(place) else { continue };
            if core::mem::take(&mut work.is_told) {
                return Some(owner);
            }
        }
        None
    }

    /// What [`Verdict::Changed`] and [`Verdict::ChangedInside`] send, in order: no more than
    /// [`PACKETS_MAX`]. It holds until the next packet is judged.
    pub fn changed_packets(&self) -> impl Iterator<Item = &[u8]> {
        let packets = self.bench.packets.iter().zip(self.bench.lengths);
        packets.filter_map(|(packet, length)| packet.get(..length).filter(|it| !it.is_empty()))
    }

    /// Lets `change` see to the work of a pair, which is taken from the pool for it, and put back if nothing
    /// is left to do. `needed`: whether there is to be any, if there is none yet.
    fn set_work(&mut self, port: Port, needed: bool, change: impl FnOnce(&mut Work)) -> bool {
        let port = port.rtp();
        let Some(flow) = self.open_at(port) else { return false };
        let before = flow.work;
        let place = match before {
            NO_WORK if needed => self.bench.reserve(),
            NO_WORK => return true,
            place => Some(place),
        };
        let Some(place) = place else { return false };
        let Some(work) = self.bench.work_mut(place) else { return false };
        change(work);
        let now = if work.is_none() { NO_WORK } else { place };
        if now == NO_WORK {
            self.bench.release(place);
        }
        if now != before {
            for port in port.pair() {
                if let Some(flow) = self.open_flow(port) {
                    flow.work = now;
                }
                self.change(port);
            }
        }
        true
    }

    /// Puts keys into what leaves by an open pair from now on.
    pub(crate) fn set_dial(&mut self, port: Port, place: u16) -> bool {
        self.set_work(port, true, |work| work.dials = Some(place))
            && self.open_at(port).is_some_and(|flow| self.bench.dial(flow.work) == Some(place))
    }

    /// The checkpoint of a pair's call is to be written anew: what leaves by it has another shift.
    pub(crate) fn tell_shift(&mut self, port: Port) {
        let Some(place) = self.open_at(port).map(|flow| flow.work) else { return };
        if let Some(work) = self.bench.work_mut(place)
            && !core::mem::replace(&mut work.is_told, true)
        {
            self.bench.turned.push_back(port.rtp());
        }
    }

    /// Ends the work of a pair that closes.
    pub(crate) fn end_work(&mut self, place: u32) {
        if place != NO_WORK {
            self.bench.release(place);
        }
    }

    /// Whether what arrives at a pair with that work must be opened.
    pub(crate) fn opens(&self, place: u32) -> bool {
        place != NO_WORK && self.bench.work(place).is_some_and(|work| work.opens.is_some())
    }

    /// Opens a packet that arrived at `port`, and lets `judge` see it in clear.
    pub(crate) fn open_packet(
        &mut self,
        port: Port,
        place: u32,
        payload: &[u8],
        judge: impl FnOnce(&mut Self, &[u8]) -> Result<Verdict, DropReason>,
    ) -> Result<Verdict, DropReason> {
        let is_rtcp = port.is_rtcp();
        let mut clear = core::mem::take(&mut self.bench.clear);
        let opened = clear.get_mut(..payload.len()).ok_or(DropReason::TooLong).and_then(|room| {
            room.copy_from_slice(payload);
            let receiver = self.bench.work_mut(place).and_then(|work| work.opens.as_mut());
            let receiver = receiver.ok_or(DropReason::Unauthentic)?;
            let opened = match is_rtcp {
                false => receiver.unprotect_rtp(room),
                true => receiver.unprotect_rtcp(room),
            };
            opened.map_err(|fault| reason(fault, is_rtcp))
        });
        let verdict = opened.and_then(|length| {
            self.tell_turned(port, place);
            judge(self, &clear[..length])
        });
        self.bench.clear = clear;
        verdict
    }

    /// What becomes of a verdict on a packet in clear, by the works of the pairs where it arrives and leaves.
    pub(crate) fn finish(
        &mut self,
        now: Instant,
        verdict: Verdict,
        arrives: u32,
        (port, place): (Port, u32),
        packet: &[u8],
        was_opened: bool,
    ) -> Result<Verdict, DropReason> {
        let is_made = self.bench.transcode(arrives, packet, port.is_rtcp())?;
        Ok(match verdict {
            Verdict::Send { from, to, owner } => {
                let seals = self.bench.work(place).is_some_and(|work| work.seals.is_some());
                // Reports and fax have no numbers of ours.
                let is_sound = self.open_at(port).is_some_and(|flow| !flow.fax);
                let dials = is_sound && !port.is_rtcp() && self.bench.dial(place).is_some();
                if !is_made {
                    if !was_opened && !seals && !dials {
                        return Ok(verdict);
                    }
                    self.bench.lay(packet)?;
                }
                if dials {
                    self.bench.renumber(now, place);
                }
                self.bench.seal(place, port.is_rtcp())?;
                self.tell_turned(port, place);
                Verdict::Changed { from, to, owner }
            }
            Verdict::Inside { from, to, owner } if was_opened || is_made => {
                if !is_made {
                    self.bench.lay(packet)?;
                }
                Verdict::ChangedInside { from, to, owner }
            }
            _ => verdict,
        })
    }

    /// Seals a packet of our own in `room` for the far end of a pair. `None`: it cannot be.
    pub(crate) fn seal_own(&mut self, port: Port, room: &mut [u8], length: usize) -> Option<usize> {
        let place = self.open_at(port)?.work;
        let sender = self.bench.work_mut(place).and_then(|work| work.seals.as_mut());
        let Some(sender) = sender else { return Some(length) };
        let sealed = seal(sender, room, length, port.is_rtcp()).ok();
        self.tell_turned(port, place);
        sealed
    }

    fn tell_turned(&mut self, port: Port, place: u32) {
        let Some(work) = self.bench.work_mut(place) else { return };
        if work.take_turned() && !work.is_told {
            work.is_told = true;
            self.bench.turned.push_back(port.rtp());
        }
    }
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
