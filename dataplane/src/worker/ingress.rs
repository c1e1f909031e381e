//! What the NIC received: SIP to the brain, RTP to the relay, the rest counted.

use std::net::SocketAddr;

use b2bua::Path;
use link::Instant;
use link::endpoint::Transport;
use relay::{PACKET_BYTES_MAX, PACKETS_MAX, Verdict};
use sip::{Fault, Message, Name};
use wire::datagram::{self, Datagram};

use super::letter::{Kind, by_udp};
use super::{Worker, micros};
use crate::counters::WorkerCounter;
use crate::nic::{BATCH_FRAMES, Frame, Nic};

/// What the relay made of one packet.
struct Changed {
    room: [[u8; PACKET_BYTES_MAX]; PACKETS_MAX],
    lengths: [usize; PACKETS_MAX],
    count: usize,
}

impl Default for Changed {
    fn default() -> Self {
        let room = [[0; PACKET_BYTES_MAX]; PACKETS_MAX];
        Self { room, lengths: [0; PACKETS_MAX], count: 0 }
    }
}

impl Changed {
    fn keep(&mut self, packet: &[u8]) {
        let room = self.room.get_mut(self.count).and_then(|room| room.get_mut(..packet.len()));
        if let (Some(room), Some(length)) = (room, self.lengths.get_mut(self.count)) {
            room.copy_from_slice(packet);
            *length = packet.len();
            self.count += 1;
        }
    }

    fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let packets = self.room.iter().zip(self.lengths).take(self.count);
        packets.filter_map(|(room, length)| room.get(..length))
    }
}

/// How many calls of ours one packet may go through: so often can a call be transferred.
const CALLS_IN_A_ROW_MAX: usize = 8;

impl<N: Nic> Worker<N> {
    /// One batch of frames. Whether there was one.
    pub(super) fn ingress(&mut self, now: Instant) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        let received = self.nic.receive(&mut batch);
        if batch.is_full() {
            self.backlog.leave();
        }
        for frame in batch.drain() {
            self.frame(now, frame);
        }
        self.batch = batch;
        self.take_back(now);
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
                let path = by_udp(datagram.destination, datagram.source);
                let handed = self.handoff.give(owner, Kind::Media, &path, payload);
                self.counters.handed(handed);
            }
            return self.nic.give_back(frame);
        }
        let payload = datagram.payload(self.nic.bytes(&frame));
        let port = self.switch.media().port_of(datagram.destination);
        let mut verdict = self.switch.forward(now, port, datagram.source, payload);
        for _ in 0..CALLS_IN_A_ROW_MAX {
            let Verdict::Inside { from, to, owner } = verdict else { break };
            if self.handoff.media_owner(to.port()) != Some(self.index) {
                break;
            }
            self.note_media(now, owner);
            let payload = datagram.payload(self.nic.bytes(&frame));
            let flows = self.switch.media();
            verdict = flows.forward_inside(now, flows.port_of(to), from, payload);
        }
        match verdict {
            Verdict::Send { from, to, owner } => {
                self.note_media(now, owner);
                self.relay_frame(frame, datagram, from, to);
            }
            Verdict::Inside { from, to, owner } => {
                self.note_media(now, owner);
                let payload = datagram.payload(self.nic.bytes(&frame));
                let handed = self.handoff.give_media(from, to, payload);
                self.counters.handed(handed);
                self.nic.give_back(frame);
            }
            Verdict::Changed { .. } | Verdict::ChangedInside { .. } => {
                self.nic.give_back(frame);
                self.media_onward(now, verdict, &[]);
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
        let port = self.switch.media().port_of(destination);
        let verdict = self.switch.forward(now, port, source, payload);
        self.media_onward(now, verdict, payload);
    }

    /// Carries a verdict out over a payload of no frame; inside, from call to call.
    pub(super) fn media_onward(&mut self, now: Instant, verdict: Verdict, payload: &[u8]) {
        self.media_through(now, verdict, payload, CALLS_IN_A_ROW_MAX);
    }

    fn media_through(&mut self, now: Instant, verdict: Verdict, payload: &[u8], calls: usize) {
        match verdict {
            Verdict::Send { from, to, owner } => {
                self.note_media(now, owner);
                self.send(from, to, payload, Kind::Media);
            }
            Verdict::Inside { from, to, owner } => {
                self.note_media(now, owner);
                self.media_inside(now, from, to, payload, calls);
            }
            Verdict::Changed { from, to, owner } => {
                self.note_media(now, owner);
                self.send_changed(from, to);
            }
            Verdict::ChangedInside { from, to, owner } => {
                self.note_media(now, owner);
                for packet in self.changed().packets() {
                    self.media_inside(now, from, to, packet, calls);
                }
            }
            Verdict::Drop(reason) => self.counters.media_drop(reason),
        }
    }

    /// From one call of ours to the next.
    fn media_inside(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        calls: usize,
    ) {
        if self.handoff.media_owner(to.port()) != Some(self.index) {
            let handed = self.handoff.give_media(from, to, payload);
            return self.counters.handed(handed);
        }
        let Some(calls) = calls.checked_sub(1) else { return };
        let flows = self.switch.media();
        let verdict = flows.forward_inside(now, flows.port_of(to), from, payload);
        self.media_through(now, verdict, payload, calls);
    }

    /// Sends what the relay made of a packet.
    fn send_changed(&mut self, from: SocketAddr, to: SocketAddr) {
        let mut room = std::mem::take(&mut self.outgoing);
        for at in 0..PACKETS_MAX {
            let packet = self.switch.media().changed_packets().nth(at);
            let copy = packet.and_then(|packet| {
                let room = room.get_mut(..packet.len())?;
                room.copy_from_slice(packet);
                Some(room)
            });
            let Some(copy) = copy else { break };
            self.send(from, to, copy, Kind::Media);
        }
        self.outgoing = room;
    }

    /// What the relay made of a packet, taken from where the next one will lie.
    fn changed(&mut self) -> Changed {
        let mut changed = Changed::default();
        for packet in self.switch.media().changed_packets() {
            changed.keep(packet);
        }
        changed
    }

    /// A packet of a call went on.
    fn note_media(&mut self, now: Instant, owner: relay::Owner) {
        self.side.calls.touch_media(b2bua::call_of(owner).slot, micros(now));
        self.counters.add(WorkerCounter::MediaRelayed, 1);
    }

    fn sip_frame(&mut self, now: Instant, frame: Frame, datagram: &Datagram) {
        let length = datagram.payload_bytes();
        // The brain may need the frame pool while it reads, so the message moves out first.
        let mut incoming = std::mem::take(&mut self.incoming);
        if let Some(room) = incoming.get_mut(..length) {
            room.copy_from_slice(datagram.payload(self.nic.bytes(&frame)));
            self.nic.give_back(frame);
            let path = by_udp(datagram.destination, datagram.source);
            self.sip_message(now, path, room);
        } else {
            self.nic.give_back(frame);
            self.counters.add(WorkerCounter::SipTooLong, 1);
        }
        self.incoming = incoming;
    }

    /// A SIP message, whatever way it came: to the brain, or to the worker that owns its call.
    pub(super) fn sip_message(&mut self, now: Instant, path: Path, bytes: &[u8]) {
        if path.transport == Transport::Udp && is_keep_alive(bytes) {
            return self.counters.add(WorkerCounter::SipKeepAlive, 1);
        }
        self.counters.add(WorkerCounter::SipReceived, 1);
        match read(path.transport, bytes) {
            Ok(message) => {
                let owner = self.handoff.sip_owner(message.call_id());
                if owner == self.index {
                    self.switch.handle_message(now, path, &message);
                    self.apply(now);
                } else {
                    let handed = self.handoff.give(owner, Kind::Sip, &path, bytes);
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

    /// Datagrams of ours that the NIC's own sockets got back.
    fn take_back(&mut self, now: Instant) {
        let mut room = std::mem::take(&mut self.incoming);
        for _ in 0..BATCH_FRAMES {
            let Some((path, length)) = self.nic.poll_undeliverable(&mut room) else { break };
            self.undeliverable(now, &path, room.get(..length).unwrap_or_default());
        }
        self.incoming = room;
    }

    /// A message of ours that came back, or its front: to the worker that owns its call, or to all where
    /// the front does not say whose it is.
    #[cold]
    pub(super) fn undeliverable(&mut self, now: Instant, path: &Path, bytes: &[u8]) {
        let owner = call_id(bytes).map(|call_id| self.handoff.sip_owner(call_id));
        for worker in 0..self.handoff.workers() {
            if owner.is_some_and(|owner| owner != worker) {
                continue;
            }
            if worker == self.index {
                self.own_undeliverable(now, bytes);
            } else {
                let handed = self.handoff.give(worker, Kind::Undeliverable, path, bytes);
                self.counters.handed(handed);
            }
        }
    }

    pub(super) fn own_undeliverable(&mut self, now: Instant, bytes: &[u8]) {
        self.switch.handle_undeliverable(now, bytes);
        self.apply(now);
    }
}

/// Reads a message as it is on its carrier. On a stream one without Content-Length has no end (RFC 3261
/// §20.14), and of one too long to be waited for the rim passes the head.
fn read(carrier: Transport, bytes: &[u8]) -> Result<Message<'_>, Fault> {
    let is_framed = matches!(carrier, Transport::Tcp | Transport::Tls);
    match Message::parse(bytes) {
        Ok(message) if is_framed && message.value(Name::ContentLength).is_none() => {
            Err(Fault::ContentLengthMalformed)
        }
        Err(Fault::BodyShort) if is_framed => Err(Fault::MessageTooLong),
        read => read,
    }
}

/// The Call-ID of a message that we wrote ourselves, whole or not.
fn call_id(front: &[u8]) -> Option<&[u8]> {
    let lines = front.split_inclusive(|&byte| byte == b'\n');
    let mut whole = lines.filter_map(|line| line.strip_suffix(b"\r\n"));
    whole.find_map(|line| line.strip_prefix(b"Call-ID: "))
}

/// What a peer sends to keep a NAT open: line ends (RFC 5626 §3.5.1), zeros, anything too short to be a
/// message, or a STUN binding request or indication (§3.5.2), which we never offered to answer.
fn is_keep_alive(bytes: &[u8]) -> bool {
    const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    let is_stun = matches!(bytes, [0, 1 | 0x11, _, _, rest @ ..] if rest.starts_with(&STUN_COOKIE));
    bytes.len() < 16 || is_stun || bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_keeps_a_nat_open_is_no_message() {
        let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        for bytes in
            [&b""[..], b"\r\n\r\n", b"\r\n", &[0; 4], &[0; 200], &b"\r\n".repeat(50), &stun]
        {
            assert!(is_keep_alive(bytes), "{}", bytes.escape_ascii());
        }
        for bytes in
            [&b"OPTIONS sip:a SIP/2.0\r\n"[..], b"\r\n\r\nOPTIONS sip:a", &[0, 1, 0, 0, 9, 9]]
        {
            assert_eq!(is_keep_alive(bytes), bytes.len() < 16, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_stream_is_stricter_with_the_length_than_a_datagram() {
        use Transport::{Tcp, Tls, Udp, Ws, Wss};
        let head = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bKa\r\n\
                    From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n";
        for (length, datagram, stream) in [
            ("l: 0\r\n", None, None),
            ("", None, Some(Fault::ContentLengthMalformed)),
            ("l: -1\r\n", Some(Fault::ContentLengthMalformed), Some(Fault::ContentLengthMalformed)),
            ("l: 9\r\n", Some(Fault::BodyShort), Some(Fault::MessageTooLong)),
        ] {
            let message = format!("{head}{length}\r\n");
            let fault = |carrier| read(carrier, message.as_bytes()).err();
            assert_eq!([Udp, Ws, Wss].map(fault), [datagram; 3], "{length}");
            assert_eq!([Tcp, Tls].map(fault), [stream; 2], "{length}");
        }
    }

    #[test]
    fn the_front_of_a_message_of_ours_names_its_call() {
        let front = b"INVITE sip:a SIP/2.0\r\nVia: x\r\nCall-ID: 0123\r\nCSeq: 1 INV";
        assert_eq!(call_id(front), Some(&b"0123"[..]));
        assert_eq!(call_id(&front[..40]), None);
    }
}
