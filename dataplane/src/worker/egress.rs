//! Frames on their way out: next hop, headers, queue; or the rim, when the fast path cannot.

use std::net::SocketAddr;

use b2bua::Path;
use link::Instant;
use link::endpoint::Transport;
use link::order::Parameters;
use wire::datagram::{self, Datagram};

use super::Worker;
use super::letter::{Kind, Label, by_udp};
use crate::counters::WorkerCounter;
use crate::nic::{Frame, Nic};
use crate::rim::Given;

/// Packets of tones and prompts between two looks at the NIC.
const SOUNDS_A_TURN_MAX: usize = 64;

impl<N: Nic> Worker<N> {
    /// Sends a SIP message the way its path says. A datagram may be lost anywhere, and is repeated; a
    /// stream takes a message, or it is [`Given::Lost`] for good.
    pub(super) fn send_sip(&mut self, path: &Path, message: &[u8]) -> Given {
        self.counters.add(WorkerCounter::SipSent, 1);
        if path.transport == Transport::Udp {
            self.send(path.local, path.remote, message, Kind::Sip);
            return Given::Over;
        }
        let label = Label { kind: Kind::Sip, dscp: self.dscp(Kind::Sip) };
        let given = self.rim.give(label, path, message);
        let counter = match given {
            Given::Over => WorkerCounter::StreamOut,
            Given::Lost => WorkerCounter::StreamLost,
        };
        self.counters.add(counter, 1);
        given
    }

    /// Sends what is due of tones, prompts and keys. No more than there are in one round, so that it ends.
    pub(super) fn sound(&mut self, now: Instant) {
        let mut packet = [0; relay::SOUND_BYTES];
        for _ in 0..SOUNDS_A_TURN_MAX {
            let media = self.switch.media();
            let due = media.poll_dialled(now, &mut packet);
            let Some(sound) = due.or_else(|| media.poll_sound(now, &mut packet)) else { break };
            let sealed = packet.get(..sound.bytes).unwrap_or_default();
            self.send(sound.from, sound.to, sealed, Kind::Media);
        }
    }

    /// Sends a payload of our own from a fresh frame.
    pub(super) fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8], kind: Kind) {
        // A datagram over the path MTU is fragmented by the kernel.
        let Some(hop) = self.hops.lookup(to.ip()).filter(|hop| payload.len() <= hop.payload_max)
        else {
            return self.by_rim(from, to, payload, kind);
        };
        let Some(mut frame) = self.nic.take() else {
            return self.counters.add(WorkerCounter::NoFrame, 1);
        };
        let headers = datagram::Headers {
            destination_mac: hop.destination_mac,
            source_mac: hop.source_mac,
            vlan: hop.vlan,
            source: from,
            destination: to,
            dscp: self.dscp(kind),
            ttl: 64,
        };
        match datagram::write(self.nic.room(&mut frame), &headers, payload) {
            Some(length) => {
                frame.set_length(length);
                self.counters.add(WorkerCounter::FramesSent, 1);
                self.nic.transmit(hop.interface, frame);
            }
            // A path of jumbo frames takes more than a frame of ours holds.
            None => {
                self.nic.give_back(frame);
                self.by_rim(from, to, payload, kind);
            }
        }
    }

    /// Sends a received media frame on, in place.
    pub(super) fn relay_frame(
        &mut self,
        mut frame: Frame,
        datagram: &Datagram,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        let Some(hop) = self.hops.lookup(to.ip()) else {
            return self.relay_by_rim(frame, datagram, from, to);
        };
        let headers = datagram::Headers {
            destination_mac: hop.destination_mac,
            source_mac: hop.source_mac,
            vlan: hop.vlan,
            source: from,
            destination: to,
            dscp: self.dscp(Kind::Media),
            ttl: 64,
        };
        if datagram::readdress(self.nic.bytes_mut(&mut frame), datagram, &headers) {
            self.counters.add(WorkerCounter::FramesSent, 1);
            return self.nic.transmit(hop.interface, frame);
        }
        self.relay_anew(frame, datagram, from, to);
    }

    /// Another family, tags or options: the payload is written into a frame of the new shape.
    #[cold]
    fn relay_anew(&mut self, frame: Frame, datagram: &Datagram, from: SocketAddr, to: SocketAddr) {
        let mut room = std::mem::take(&mut self.outgoing);
        let length = datagram.payload_bytes();
        if let Some(copy) = room.get_mut(..length) {
            copy.copy_from_slice(datagram.payload(self.nic.bytes(&frame)));
            self.nic.give_back(frame);
            self.send(from, to, copy, Kind::Media);
        } else {
            self.nic.give_back(frame);
        }
        self.outgoing = room;
    }

    #[cold]
    fn relay_by_rim(
        &mut self,
        frame: Frame,
        datagram: &Datagram,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        let payload = datagram.payload(self.nic.bytes(&frame));
        let label = Label { kind: Kind::Media, dscp: self.dscp(Kind::Media) };
        let given = self.rim.give(label, &by_udp(from, to), payload);
        self.counters.rim(given);
        self.nic.give_back(frame);
    }

    #[cold]
    fn by_rim(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8], kind: Kind) {
        let label = Label { kind, dscp: self.dscp(kind) };
        let given = self.rim.give(label, &by_udp(from, to), payload);
        self.counters.rim(given);
    }

    fn dscp(&self, kind: Kind) -> u8 {
        let Parameters { dscp_sip, dscp_rtp, .. } = self.parameters;
        let dscp = if kind == Kind::Media { dscp_rtp } else { dscp_sip };
        (dscp & 63) as u8
    }
}
