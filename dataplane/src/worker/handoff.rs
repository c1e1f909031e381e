//! What belongs to another worker goes there once, by copy, through one ring per ordered pair.
//!
//! Who owns a datagram is read from the datagram itself: a SIP message's shard from its Call-ID, a
//! media datagram's worker from the port it was sent to. No look-up, no shared state.

use std::net::SocketAddr;

use b2bua::Keys;
use link::Endpoint;
use link::ring::{Consumer, Producer, Wake};
use shm::Doorbell;
use zerocopy::IntoBytes;

/// Source and destination in front of each payload.
pub(crate) const ENVELOPE_BYTES: usize = 2 * size_of::<Endpoint>();

/// What became of a datagram that was given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It is in the ring.
    Over,
    /// The ring is full: dropped; SIP retransmits, RTP is late anyway.
    Full,
    /// It does not fit a slot: dropped.
    TooLong,
}

/// One worker's rings to and from all others.
pub struct Handoff {
    own: usize,
    keys: Keys,
    /// First media port and ports per worker.
    media: (u16, u16),
    /// By worker; our own place is `None`.
    out: Box<[Option<(Producer, Doorbell)>]>,
    /// By worker; our own place is `None`.
    inward: Box<[Option<Consumer>]>,
    /// Bit per worker whose doorbell must be rung at the end of this turn.
    wake: u64,
    letter: Box<[u8]>,
}

impl Handoff {
    /// `out` and `inward` by worker index; `media` is the first media port and the ports per worker.
    #[must_use]
    pub fn new(
        own: usize,
        keys: Keys,
        media: (u16, u16),
        out: Vec<Option<(Producer, Doorbell)>>,
        inward: Vec<Option<Consumer>>,
        letter_bytes: usize,
    ) -> Self {
        assert_eq!(out.len(), inward.len());
        Self {
            own,
            keys,
            media,
            out: out.into(),
            inward: inward.into(),
            wake: 0,
            letter: vec![0; letter_bytes].into(),
        }
    }

    fn workers(&self) -> usize {
        self.out.len()
    }

    /// The worker that owns the call of a message.
    pub(super) fn sip_owner(&self, call_id: &[u8]) -> usize {
        if self.workers() == 1 {
            return self.own;
        }
        let shard = b2bua::shard_of(call_id, &self.keys);
        usize::from(b2bua::worker_of(shard, self.workers() as u8))
    }

    /// The worker that owns a media port; `None`: not a media port.
    pub(super) fn media_owner(&self, port: u16) -> Option<usize> {
        let (first, each) = self.media;
        let place = usize::from(port.checked_sub(first)?) / usize::from(each);
        (place < self.workers()).then_some(place)
    }

    /// Gives a datagram to its owner.
    pub(super) fn give(
        &mut self,
        owner: usize,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> Handed {
        let Some(length) = seal(&mut self.letter, source, destination, payload) else {
            return Handed::TooLong;
        };
        let Some((ring, _)) = self.out.get_mut(owner).and_then(Option::as_mut) else {
            return Handed::Full;
        };
        let letter = self.letter.get(..length).unwrap_or_default();
        match ring.push(0, letter) {
            Ok(wake) => {
                self.wake |= u64::from(wake == Wake::Needed) << owner;
                Handed::Over
            }
            Err(_) => Handed::Full,
        }
    }

    /// The next datagram that another worker gave us, written into `room`.
    pub(super) fn take<'a>(
        &mut self,
        from: usize,
        room: &'a mut [u8],
    ) -> Option<(SocketAddr, SocketAddr, &'a [u8])> {
        let ring = self.inward.get_mut(from)?.as_mut()?;
        let (_, length) = ring.pop(room)?;
        unseal(room.get(..length)?)
    }

    pub(super) fn sources(&self) -> usize {
        self.inward.len()
    }

    /// Rings the doorbells of workers that sleep.
    pub(super) fn wake(&mut self) {
        while self.wake != 0 {
            let owner = self.wake.trailing_zeros() as usize;
            self.wake &= self.wake - 1;
            if let Some(Some((_, bell))) = self.out.get(owner) {
                bell.ring();
            }
        }
    }

    /// From here on producers must ring. `false`: something came meanwhile.
    pub(super) fn try_sleep(&mut self) -> bool {
        self.inward.iter_mut().flatten().all(Consumer::try_sleep)
    }

    pub(super) fn awake(&mut self) {
        self.inward.iter_mut().flatten().for_each(Consumer::awake);
    }
}

/// Writes envelope and payload; `None` when they do not fit.
pub(crate) fn seal(
    letter: &mut [u8],
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> Option<usize> {
    let envelope = [Endpoint::from(source), Endpoint::from(destination)];
    let length = ENVELOPE_BYTES + payload.len();
    let room = letter.get_mut(..length)?;
    let (head, body) = room.split_at_mut(ENVELOPE_BYTES);
    head.copy_from_slice(envelope.as_bytes());
    body.copy_from_slice(payload);
    Some(length)
}

/// Reads what [`seal`] wrote.
pub(crate) fn unseal(letter: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    use zerocopy::FromBytes;
    let (envelope, payload) = <[Endpoint; 2]>::read_from_prefix(letter).ok()?;
    let [source, destination] = envelope;
    Some((source.socket_address()?, destination.socket_address()?, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_arrives_as_it_was_sealed() {
        let mut letter = [0; 128];
        let (source, destination) =
            ("10.0.0.1:5060".parse().unwrap(), "[fd10:1::2]:5060".parse().unwrap());
        let length = seal(&mut letter, source, destination, b"payload").unwrap();
        assert_eq!(unseal(&letter[..length]).unwrap(), (source, destination, &b"payload"[..]));
        assert!(seal(&mut letter, source, destination, &[0; 128]).is_none());
        assert!(unseal(&letter[..20]).is_none());
    }
}
