//! Where flows live: a flat array over one worker's media ports of every address, so a port is its own look-up.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::Instant;
use crate::course::{Deaf, Ears};
use crate::flow::{Flow, Opening, PayloadTypes, PortState, Pressed, Silence};
use crate::inband::Detectors;
use crate::latch::Latch;
use crate::port::Port;
use crate::quality::{Figures, Quality};
use crate::report::Reports;
use crate::sound::Sounds;
use crate::tap::{Tap, Untapped};
use crate::work::Bench;

/// Media before the answer is heard no longer than this.
const EARLY_MAX: Duration = Duration::from_secs(120);

/// After the answer, how long a far address may still be learned.
const LATCH_WINDOW: Duration = Duration::from_secs(10);

/// Keys that wait to be heeded; more are pressed by nobody between two turns of a worker.
pub(crate) const KEYS_MAX: usize = 256;

/// All flows of one worker.
pub struct Table {
    addresses: Box<[IpAddr]>,
    /// The lowest number of each address, and how many there are.
    first: u16,
    ports: u16,
    flows: Box<[Flow]>,
    open_pairs: u32,
    /// Where [`Self::poll_silent`] looks next.
    sweep: usize,
    pub(crate) pressed: VecDeque<Pressed>,
    pub(crate) detectors: Detectors,
    pub(crate) sounds: Sounds,
    pub(crate) ears: Box<dyn Ears + Send>,
    /// Who takes copies of what is tapped.
    pub(crate) tap: Box<dyn Tap + Send>,
    pub(crate) settles: bool,
    pub(crate) settled_ports: u32,
    /// Ports whose course is to be said anew, each once.
    pub(crate) changed: VecDeque<Port>,
    pub(crate) bench: Bench,
}

impl Table {
    /// A table of `ports` ports from `first` on, of each of our addresses, all closed. `first` and `ports` are even.
    #[must_use]
    pub fn new(first: u16, ports: u16, addresses: &[IpAddr]) -> Self {
        assert!(first.is_multiple_of(2) && ports.is_multiple_of(2), "ports come in pairs");
        assert!((1..=256).contains(&addresses.len()), "1 to 256 media addresses");
        let all = usize::from(ports) * addresses.len();
        let flows = (0..all).map(|_| Flow::closed()).collect();
        let pressed = VecDeque::with_capacity(KEYS_MAX);
        let changed = VecDeque::with_capacity(all);
        let (settles, settled_ports, sweep) = (true, 0, 0);
        let open_pairs = 0;
        Self {
            addresses: addresses.into(),
            first,
            ports,
            flows,
            open_pairs,
            sweep,
            pressed,
            detectors: Detectors::new(),
            sounds: Sounds::new(),
            ears: Box::new(Deaf),
            tap: Box::new(Untapped),
            settles,
            settled_ports,
            changed,
            bench: Bench::new(all / 2),
        }
    }

    /// How many ports of all addresses there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub(crate) fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter()
    }

    /// The port of an own endpoint; [`Port::NONE`]: of no address of this table.
    #[must_use]
    pub fn port_of(&self, own: SocketAddr) -> Port {
        // Whoever has one address alone is not asked by which.
        let address = match &*self.addresses {
            [_] => Some(0),
            all => all.iter().position(|one| *one == own.ip()),
        };
        address.map_or(Port::NONE, |address| Port::new(address as u8, own.port()))
    }

    /// The port whose flow lies at that place.
    #[must_use]
    pub fn port_at(&self, place: usize) -> Port {
        let ports = usize::from(self.ports);
        Port::new((place / ports) as u8, self.first + (place % ports) as u16)
    }

    /// Our endpoint that a port names: what leaves by the port leaves from here.
    pub(crate) fn own(&self, port: Port) -> Option<SocketAddr> {
        let address = self.addresses.get(usize::from(port.address()))?;
        Some(SocketAddr::new(*address, port.number()))
    }

    /// Where the flow of a port lies, if it is one of ours.
    fn place(&self, port: Port) -> Option<usize> {
        let offset = port.number().wrapping_sub(self.first);
        let begin = usize::from(port.address()) * usize::from(self.ports);
        (offset < self.ports).then_some(begin + usize::from(offset))
    }

    pub(crate) fn flow(&mut self, port: Port) -> Option<&mut Flow> {
        let place = self.place(port)?;
        self.flows.get_mut(place)
    }

    /// The RTP flow of a pair, to be read.
    fn peek(&self, port: Port) -> Option<&Flow> {
        self.flows.get(self.place(port.rtp())?)
    }

    pub(crate) fn open_at(&self, port: Port) -> Option<&Flow> {
        let flow = self.flows.get(self.place(port)?)?;
        flow.open.then_some(flow)
    }

    pub(crate) fn open_flow(&mut self, port: Port) -> Option<&mut Flow> {
        self.flow(port).filter(|flow| flow.open)
    }

    /// How many pairs are open.
    #[must_use]
    pub fn open_pairs(&self) -> u32 {
        self.open_pairs
    }

    /// Bytes that one port pair takes.
    #[must_use]
    pub fn pair_bytes() -> usize {
        2 * size_of::<Flow>()
    }

    /// Opens the pair that begins at the even `port`. It hears nobody until [`Self::set_remote`], and
    /// before [`Self::set_answered`] it is early media. `false`: not a pair of this table, or open.
    pub fn open(&mut self, now: Instant, port: Port, opening: &Opening) -> bool {
        let free = !port.is_rtcp() && self.flow(port).is_some_and(|flow| !flow.open);
        if !free {
            return false;
        }
        for port in port.pair() {
            let Some(flow) = self.flow(port) else { return false };
            let is_changed = flow.is_changed;
            *flow = Flow {
                open: true,
                is_changed,
                peer: opening.peer,
                owner: opening.owner,
                towards_caller: opening.towards_caller,
                early_until: Some(now + EARLY_MAX),
                opened: now,
                ..Flow::closed()
            };
            self.change_one(port);
        }
        self.open_pairs += 1;
        true
    }

    /// Turns an open pair to another port of ours: what it hears leaves there from now on. What it knows
    /// of its own far end stays. `false`: it is not open.
    pub fn turn(&mut self, port: Port, peer: Port) -> bool {
        for (port, peer) in port.pair().into_iter().zip(peer.pair()) {
            let Some(flow) = self.open_flow(port) else { return false };
            flow.peer = peer;
            self.change(port);
        }
        true
    }

    /// Closes a pair and gives the figures of what it heard. A closed pair gives zeros.
    pub fn close(&mut self, port: Port) -> Figures {
        let figures = self.figures(port);
        let Some(flow) = self.open_at(port.rtp()) else { return figures };
        self.end_work(flow.work);
        self.set_inband(port, false);
        for port in port.pair() {
            // Its peer has nowhere to go from now on.
            self.change(port);
            self.set_settled(port, false);
            if let Some(flow) = self.flow(port) {
                *flow = Flow { is_changed: flow.is_changed, ..Flow::closed() };
            }
        }
        self.open_pairs -= 1;
        figures
    }

    /// What a pair has heard so far.
    #[must_use]
    pub fn figures(&self, port: Port) -> Figures {
        let port = port.rtp();
        let Some(flow) = self.open_at(port) else { return Figures::default() };
        let counted = Quality::from(&self.sums_of(port, flow)).figures();
        Figures { judged: flow.judged, settled: flow.settled, ..self.with_reports(port, counted) }
    }

    /// A new SDP of the far end: where it wants RTP and RTCP (`None`: nowhere), what we may learn, which
    /// payload types it may send. What was learned before is forgotten, unless the SDP repeats the
    /// address of the one before it.
    pub fn set_remote(
        &mut self,
        port: Port,
        rtp: Option<SocketAddr>,
        rtcp: Option<SocketAddr>,
        latch: Latch,
        payload_types: PayloadTypes,
    ) {
        for (port, remote) in [(port.rtp(), rtp), (port.rtcp(), rtcp)] {
            let Some(flow) = self.open_flow(port) else { return };
            flow.payload_types = payload_types;
            flow.latch = latch;
            flow.refused = None;
            // A refresh repeats its SDP: what packets proved since the first one still holds.
            // Another far end has reported nothing yet; one that wants nothing for a while comes back.
            if remote.is_some() && flow.told != remote {
                flow.reports = Reports::default();
            }
            if flow.told != remote || !flow.latched {
                flow.told = remote;
                flow.remote = remote;
                flow.latched = false;
            }
            self.change(port);
        }
    }

    /// Whether the far end of this pair is silent by agreement.
    pub fn set_on_hold(&mut self, port: Port, on_hold: bool) {
        if let Some(flow) = self.open_flow(port.rtp()) {
            flow.resumed |= flow.on_hold && !on_hold;
            flow.on_hold = on_hold;
        }
    }

    /// Which payload type telephone events have that arrive at this pair; they are read from now on.
    pub fn set_events(&mut self, port: Port, payload_type: u8) {
        if let Some(flow) = self.open_flow(port.rtp()) {
            flow.events = payload_type;
            self.change_one(port.rtp());
        }
    }

    /// Whether a pair carries fax in UDP and no RTP. A pair that changes forgets whom it learned: who sends
    /// sound and who sends fax need not be one port.
    pub fn set_fax(&mut self, port: Port, fax: bool) {
        if let Some(flow) = self.open_flow(port.rtp()).filter(|flow| flow.fax != fax) {
            flow.fax = fax;
            flow.remote = flow.told;
            flow.latched = false;
            self.change(port.rtp());
        }
    }

    /// Whether what arrives at a pair goes nowhere, because its leg waits beside the call. Its far end is
    /// heard all the same, and so are its keys.
    pub fn set_parked(&mut self, port: Port, parked: bool) {
        for port in port.pair() {
            if let Some(flow) = self.open_flow(port) {
                flow.parked = parked;
                self.change_one(port);
            }
        }
    }

    pub(crate) fn note_key(&mut self, pressed: Pressed) {
        if self.pressed.len() < KEYS_MAX {
            self.pressed.push_back(pressed);
        }
    }

    /// The next key that was pressed, in order.
    pub fn poll_key(&mut self) -> Option<Pressed> {
        self.pressed.pop_front()
    }

    /// The call is answered: both sides are heard from now on, and silence counts from now on.
    pub fn set_answered(&mut self, now: Instant, port: Port) {
        for port in port.pair() {
            if let Some(flow) = self.open_flow(port) {
                flow.early_until = None;
                flow.opened = now;
                // A caller behind NAT may send nothing before the answer: its window begins here.
                if let Latch::Learn { until } | Latch::LearnPort { until } = &mut flow.latch {
                    *until = (*until).max(now + LATCH_WINDOW);
                }
                self.change_one(port);
            }
        }
    }

    /// Whether any RTP was heard by this pair.
    #[must_use]
    pub fn has_heard(&self, port: Port) -> bool {
        self.heard_at(port).is_some()
    }

    /// When RTP was last heard by this pair.
    #[must_use]
    pub fn heard_at(&self, port: Port) -> Option<Instant> {
        let port = port.rtp();
        let flow = self.open_at(port)?;
        match flow.settled {
            true => flow.heard.max(Some(self.ears.sums(port).last).filter(|last| !last.is_zero())),
            false => flow.heard,
        }
    }

    /// Looks at no more than `steps` further pairs for an answered call that has heard nothing from
    /// either side for `timeout`. Goes round for ever. Of a call on hold it says so once in each `timeout`.
    pub fn poll_silent(
        &mut self,
        now: Instant,
        timeout: Duration,
        steps: usize,
    ) -> Option<Silence> {
        for _ in 0..steps.min(self.flows.len() / 2) {
            let place = self.sweep;
            self.sweep = if place + 2 >= self.flows.len() { 0 } else { place + 2 };
            let port = self.port_at(place);
            let Some((near, peer)) = self.silent(now, timeout, port) else { continue };
            let Some((far, _)) = self.silent(now, timeout, peer) else { continue };
            let is_agreed = near.is_agreed || far.is_agreed;
            if is_agreed {
                [port, peer].into_iter().for_each(|port| self.count_anew(now, port));
            }
            return Some(Silence { is_agreed, ..near });
        }
        None
    }

    fn silent(&mut self, now: Instant, timeout: Duration, port: Port) -> Option<(Silence, Port)> {
        self.listen(port);
        let flow = self.open_flow(port)?;
        if std::mem::take(&mut flow.resumed) {
            flow.opened = now;
        }
        let last = flow.heard.unwrap_or(flow.opened).max(flow.opened);
        let silent = flow.early_until.is_none() && now.saturating_sub(last) >= timeout;
        silent.then_some((Silence { owner: flow.owner, is_agreed: flow.on_hold }, flow.peer))
    }

    fn count_anew(&mut self, now: Instant, port: Port) {
        if let Some(flow) = self.open_flow(port) {
            flow.opened = now;
        }
    }

    /// What a restart must remember of a pair.
    #[must_use]
    pub fn snapshot(&self, port: Port) -> PortState {
        self.peek(port).map_or_else(PortState::default, |flow| PortState {
            remote: flow.remote,
            latched: flow.latched,
            fixed: flow.latch == Latch::Fixed && flow.remote.is_some(),
            on_hold: flow.on_hold,
            payload_types: flow.payload_types,
            events: flow.events,
            fax: flow.fax,
            inband: flow.inband.is_some(),
            keypad: flow.keypad,
            shift: self.shift(port),
            keys: self.keys(port),
            transcoding: self.transcoding(port),
        })
    }

    /// Opens a pair as it was before a restart: answered, its far end where it was. An unproven far end
    /// may be learned until `until`.
    pub fn reopen(
        &mut self,
        now: Instant,
        port: Port,
        opening: &Opening,
        state: &PortState,
        until: Instant,
    ) -> bool {
        if !self.open(now, port, opening) {
            return false;
        }
        let rtcp = state.remote.map(|rtp| SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)));
        // Without any address the leg was behind NAT and not heard yet.
        let latch = match state.remote {
            Some(_) if state.fixed => Latch::Fixed,
            Some(_) => Latch::LearnPort { until },
            None => Latch::Learn { until },
        };
        self.set_remote(port, state.remote, rtcp, latch, state.payload_types);
        self.set_answered(now, port);
        self.set_on_hold(port, state.on_hold);
        self.set_events(port, state.events);
        self.set_fax(port, state.fax);
        self.set_inband(port, state.inband);
        self.restore_keys(port, &state.keys);
        self.set_keypad(port, state.keypad);
        self.restore_shift(port, state.shift);
        if let Some(flow) = self.open_flow(port) {
            flow.latched = state.latched;
        }
        // What was settled went on meanwhile, and proved its far end later than was written down.
        if let Some(source) = self.ears.settled(port, opening.owner) {
            if let Some(flow) = self.open_flow(port) {
                (flow.remote, flow.latched) = (Some(source), true);
            }
            self.set_settled(port, true);
        }
        true
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
