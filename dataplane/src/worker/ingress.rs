//! What the NIC received: SIP to the brain, RTP to the relay, the rest counted.

use std::net::SocketAddr;

use b2bua::Path;
use link::Instant;
use link::endpoint::Transport;
use relay::Verdict;
use sip::Message;
use wire::datagram::{self, Datagram};

use super::{Worker, micros};
use crate::counters::WorkerCounter;
use crate::nic::{Frame, Nic};

impl<N: Nic> Worker<N> {
    /// One batch of frames. Whether there was one.
    pub(super) fn ingress(&mut self, now: Instant) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        let received = self.nic.receive(&mut batch);
        for frame in batch.drain() {
            self.frame(now, frame);
        }
        self.batch = batch;
        received > 0
    }

    fn frame(&mut self, now: Instant, frame: Frame) {
        self.counters.add(WorkerCounter::FramesReceived, 1);
        let bytes = self.nic.bytes(&frame);
        let datagram = match datagram::parse(bytes) {
            Ok(datagram) => datagram,
            Err(fault) => {
                self.counters.wire_fault(fault);
                return self.nic.give_back(frame);
            }
        };
        if self.is_media(datagram.destination.port()) {
            self.media_frame(now, frame, &datagram);
        } else {
            self.sip_frame(now, frame, &datagram);
        }
    }

    pub(super) fn is_media(&self, port: u16) -> bool {
        self.handoff.media_owner(port).is_some()
    }

    /// Ours is relayed in place; another worker's goes over by copy.
    fn media_frame(&mut self, now: Instant, frame: Frame, datagram: &Datagram) {
        let owner = self.handoff.media_owner(datagram.destination.port());
        if owner != Some(self.index) {
            let bytes = self.nic.bytes(&frame);
            if let Some(owner) = owner {
                let payload = datagram.payload(bytes);
                let handed =
                    self.handoff.give(owner, datagram.source, datagram.destination, payload);
                self.counters.handed(handed);
            }
            return self.nic.give_back(frame);
        }
        let payload = datagram.payload(self.nic.bytes(&frame));
        match self.switch.media().forward(
            now,
            datagram.destination.port(),
            datagram.source,
            payload,
        ) {
            Verdict::Send { from, to, owner } => {
                self.side.calls.touch_media(b2bua::call_of(owner).slot, micros(now));
                self.counters.add(WorkerCounter::MediaRelayed, 1);
                self.relay_frame(frame, datagram, from, to);
            }
            Verdict::Drop(reason) => {
                self.counters.media_drop(reason);
                self.nic.give_back(frame);
            }
        }
    }

    /// A media datagram that came over a ring: same verdict, sent from a fresh frame.
    pub(super) fn media_handed(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        match self.switch.media().forward(now, destination.port(), source, payload) {
            Verdict::Send { from, to, owner } => {
                self.side.calls.touch_media(b2bua::call_of(owner).slot, micros(now));
                self.counters.add(WorkerCounter::MediaRelayed, 1);
                self.send(from, to, payload, super::egress::Kind::Media);
            }
            Verdict::Drop(reason) => self.counters.media_drop(reason),
        }
    }

    fn sip_frame(&mut self, now: Instant, frame: Frame, datagram: &Datagram) {
        let length = datagram.payload_bytes();
        // The brain may need the frame pool while it reads, so the message moves out first.
        let mut incoming = std::mem::take(&mut self.incoming);
        if let Some(room) = incoming.get_mut(..length) {
            room.copy_from_slice(datagram.payload(self.nic.bytes(&frame)));
            self.nic.give_back(frame);
            self.sip_datagram(now, datagram.source, datagram.destination, room);
        } else {
            self.nic.give_back(frame);
            self.counters.add(WorkerCounter::SipTooLong, 1);
        }
        self.incoming = incoming;
    }

    /// A SIP datagram, whatever way it came: to the brain, or to the worker that owns its call.
    pub(super) fn sip_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) {
        // RFC 5626 §3.5.1: a double CRLF is a keep-alive; anything this short is no message.
        if bytes.len() < 16 {
            return self.counters.add(WorkerCounter::SipKeepAlive, 1);
        }
        self.counters.add(WorkerCounter::SipReceived, 1);
        let path =
            Path { transport: Transport::Udp, local: destination, remote: source, connection: 0 };
        match Message::parse(bytes) {
            Ok(message) => {
                let owner = self.handoff.sip_owner(message.call_id());
                if owner == self.index {
                    self.switch.handle_message(now, path, &message);
                    self.apply(now);
                } else {
                    let handed = self.handoff.give(owner, source, destination, bytes);
                    self.counters.handed(handed);
                }
            }
            Err(fault) => {
                self.counters.sip_fault(fault);
                self.switch.handle_fault(now, path, bytes, fault);
                self.apply(now);
            }
        }
    }
}
