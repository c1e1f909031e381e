//! What of a flow another hand may do, and the one function that says so.
//!
//! There is one flow, and it lives here. Where a driver can send packets on by itself, it is told for each port what
//! becomes of what arrives there: its copy is made by [`Table::course`] and by nothing else, whenever
//! [`Table::poll_changed`] names the port. While a port is settled the driver counts, and is asked through [`Ears`].

use std::net::SocketAddr;

use crate::flow::{Beside, Flow, NO_EVENTS, Owner, PayloadTypes};
use crate::latch::Latch;
use crate::port::Port;
use crate::work::NO_WORK;
use crate::{Instant, Table};

/// What becomes of what arrives at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is nobody's port.
    Closed,
    /// All of it must be judged here.
    Open,
    /// What this source sends must be judged here; another is not believed while this one is heard.
    Known(SocketAddr),
    /// It goes on with new addresses, and nothing else.
    Settled(Onward),
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onward {
    /// Whose packets.
    pub source: SocketAddr,
    /// Of which payload types.
    pub payload_types: PayloadTypes,
    /// The payload type that is read here all the same; [`NO_EVENTS`](crate::NO_EVENTS): none.
    pub events: u8,
    /// From our endpoint on the other leg.
    pub from: SocketAddr,
    /// To the other leg's far end.
    pub to: SocketAddr,
    /// Whose flow it is.
    pub owner: Owner,
    /// Until when, if nobody says more; `None`: for good.
    pub not_after: Option<Instant>,
}

/// The sums behind the figures of a direction, as whoever counts hands them over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// RTP packets accepted.
    pub packets: u64,
    /// Their bytes, RTP headers included.
    pub bytes: u64,
    /// When the last one came; zero: none did.
    pub last: Instant,
    /// Names the stream.
    pub ssrc: u32,
    /// Its first extended sequence number.
    pub base: u32,
    /// Its highest.
    pub highest: u32,
    /// Its packets.
    pub received: u32,
    /// Arrival minus timestamp of the last packet, in units of 125 µs.
    pub transit: u32,
    /// Jitter times 16.
    pub jitter: u32,
    /// Packets of former streams that never came.
    pub lost_before: u32,
}

/// Who counts in our stead what is settled.
pub trait Ears {
    /// What was heard at a settled port.
    fn sums(&self, port: Port) -> Sums;

    /// Whose packets of that owner are settled at a port since before this process.
    fn settled(&self, port: Port, owner: Owner) -> Option<SocketAddr>;
}

/// Of a machine on which nobody does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Ears for Deaf {
    fn sums(&self, _: Port) -> Sums {
        Sums::default()
    }

    fn settled(&self, _: Port, _: Owner) -> Option<SocketAddr> {
        None
    }
}

impl Table {
    /// By whom what is settled is heard; without, nobody.
    pub fn set_ears(&mut self, ears: Box<dyn Ears + Send>) {
        self.ears = ears;
    }

    /// What becomes of what arrives at a port.
    #[must_use]
    pub fn course(&self, port: Port) -> Course {
        let Some(flow) = self.open_at(port) else { return Course::Closed };
        let Some(source) = flow.remote.filter(|_| flow.latched && flow.latch != Latch::Inside)
        else {
            return Course::Open;
        };
        match self.onward(port, flow, source) {
            Some(onward) => Course::Settled(onward),
            None => Course::Known(source),
        }
    }

    fn onward(&self, port: Port, flow: &Flow, source: SocketAddr) -> Option<Onward> {
        let needs_nothing_else = !port.is_rtcp()
            && self.settles
            && flow.early_until.is_none()
            && !flow.parked
            && flow.inband.is_none()
            && !flow.tapped
            && !flow.fax
            && flow.work == NO_WORK
            && !flow.payload_types.is_any();
        // Whom it goes to hears what his own port says of him.
        let target = self.open_at(flow.peer).filter(|target| {
            let is_as_it_came = needs_nothing_else && target.work == NO_WORK;
            is_as_it_came && target.owner == flow.owner && target.latch != Latch::Inside
        })?;
        let (from, to) = (self.own(flow.peer)?, target.remote?);
        (from.is_ipv4() == to.is_ipv4()).then_some(Onward {
            source,
            payload_types: flow.payload_types,
            events: flow.events,
            from,
            to,
            owner: flow.owner,
            not_after: flow.not_after,
        })
    }

    /// The next port whose course may be another than was said last.
    pub fn poll_changed(&mut self) -> Option<Port> {
        let port = self.changed.pop_front()?;
        if let Some(flow) = self.flow(port) {
            flow.is_changed = false;
        }
        Some(port)
    }

    /// Whether a port is settled: since then others count for it; from here on we do again.
    pub fn set_settled(&mut self, port: Port, settled: bool) {
        self.listen(port);
        let Some(flow) = self.flow(port) else { return };
        flow.beside = Beside::default();
        if flow.open && flow.settled != settled {
            flow.settled = settled;
            self.settled_ports =
                if settled { self.settled_ports + 1 } else { self.settled_ports - 1 };
        }
    }

    /// Packets, and their bytes, of a settled port that were left to us: its driver has not counted them.
    #[must_use]
    pub fn beside(&self, port: Port) -> (u32, u64) {
        let flow = self.open_at(port).filter(|flow| flow.settled);
        flow.map_or((0, 0), |flow| (flow.beside.packets, flow.beside.bytes))
    }

    /// As many were left to the process before this one.
    pub fn restore_beside(&mut self, port: Port, (packets, bytes): (u32, u64)) {
        if let Some(flow) = self.open_flow(port).filter(|flow| flow.settled) {
            flow.beside = Beside { packets, bytes };
        }
    }

    /// Whether a port is settled.
    #[must_use]
    pub fn is_settled(&self, port: Port) -> bool {
        self.open_at(port).is_some_and(|flow| flow.settled)
    }

    /// How many ports are.
    #[must_use]
    pub fn settled_ports(&self) -> u32 {
        self.settled_ports
    }

    /// The sums of a port, for whoever counts from here on.
    #[must_use]
    pub fn sums(&self, port: Port) -> Sums {
        self.open_at(port).map(|flow| self.sums_of(port, flow)).unwrap_or_default()
    }

    /// Whether anything may be settled at all.
    pub fn set_settles(&mut self, settles: bool) {
        if self.settles != settles {
            self.settles = settles;
            self.change_all();
        }
    }

    /// Until when a pair may go on without us; `None`: for good.
    pub fn set_not_after(&mut self, port: Port, not_after: Option<Instant>) {
        if let Some(flow) = self.open_flow(port.rtp())
            && flow.not_after != not_after
        {
            flow.not_after = not_after;
            self.change_one(port.rtp());
        }
    }

    /// Every port is named by [`Self::poll_changed`], at a start: who stood here before us said other things.
    pub fn change_all(&mut self) {
        for place in 0..self.len() {
            self.change_one(self.port_at(place));
        }
    }

    /// A port changed; what its other leg hears goes by what it says.
    pub(crate) fn change(&mut self, port: Port) {
        let peer = self.flow(port).map_or(Port::NONE, |flow| flow.peer);
        self.change_one(port);
        // Each of the two: RTP's peer is RTP, RTCP's is RTCP.
        self.change_one(peer.beside(port));
    }

    pub(crate) fn change_one(&mut self, port: Port) {
        let Some(flow) = self.flow(port).filter(|flow| !flow.is_changed) else { return };
        flow.is_changed = true;
        self.changed.push_back(port);
    }

    pub(crate) fn sums_of(&self, port: Port, flow: &Flow) -> Sums {
        if flow.settled { flow.with_beside(self.ears.sums(port)) } else { flow.sums() }
    }

    /// A settled flow as its driver counted it, for who must judge by it.
    pub(crate) fn listen(&mut self, port: Port) {
        if self.is_settled(port) {
            self.hear_out(port);
        }
    }

    /// Apart, since what is settled seldom comes here.
    #[cold]
    pub(crate) fn hear_out(&mut self, port: Port) {
        let sums = self.ears.sums(port);
        if let Some(flow) = self.flow(port) {
            flow.take(sums);
        }
    }
}

impl Flow {
    /// What was heard here lately may be later than what was heard there.
    fn take(&mut self, sums: Sums) {
        self.heard = self.heard.max(Some(sums.last).filter(|last| !last.is_zero()));
        self.quality = (&self.with_beside(sums)).into();
    }

    fn with_beside(&self, sums: Sums) -> Sums {
        Sums {
            packets: sums.packets + u64::from(self.beside.packets),
            bytes: sums.bytes + self.beside.bytes,
            received: sums.received.saturating_add(self.beside.packets),
            ..sums
        }
    }

    fn sums(&self) -> Sums {
        Sums { last: self.heard.unwrap_or_default(), ..Sums::from(&self.quality) }
    }

    /// Whether a packet is.
    pub(crate) fn reads_packet(&self, packet: &[u8]) -> bool {
        packet.get(1).is_some_and(|&second| self.reads(second & 0x7f))
    }

    /// Whether a payload type is for us to read.
    pub(crate) fn reads(&self, payload_type: u8) -> bool {
        self.events != NO_EVENTS && payload_type == self.events
    }
}
