//! What belongs to another worker goes there once, by copy, through one ring per ordered pair.
//!
//! Who owns a datagram is read from the datagram itself: a SIP message's shard from its Call-ID, a
//! media datagram's worker from the port it was sent to. No look-up, no shared state.

use std::net::SocketAddr;

use b2bua::{Keys, Path, Shard};
use link::ring::{Consumer, Producer, Wake};
use shm::Doorbell;

use super::letter::{Kind, Label, by_udp, seal, unseal};

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

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.out.len()
    }

    /// The worker that owns the call of a message.
    pub(super) fn sip_owner(&self, call_id: &[u8]) -> usize {
        if self.workers() == 1 {
            return self.own;
        }
        self.worker_of(b2bua::shard_of(call_id, &self.keys))
    }

    /// The worker that owns a shard.
    pub(super) fn worker_of(&self, shard: Shard) -> usize {
        usize::from(b2bua::worker_of(shard, self.workers() as u8))
    }

    /// The worker that owns a media port; `None`: not a media port.
    pub(super) fn media_owner(&self, port: u16) -> Option<usize> {
        let (first, each) = self.media;
        let place = usize::from(port.checked_sub(first)?) / usize::from(each);
        (place < self.workers()).then_some(place)
    }

    /// Gives a payload to its owner.
    pub(super) fn give(&mut self, owner: usize, kind: Kind, path: &Path, payload: &[u8]) -> Handed {
        let Some(length) = seal(&mut self.letter, path, payload) else {
            return Handed::TooLong;
        };
        let Some((ring, _)) = self.out.get_mut(owner).and_then(Option::as_mut) else {
            return Handed::Full;
        };
        let letter = self.letter.get(..length).unwrap_or_default();
        match ring.push(Label::of(kind).number(), letter) {
            Ok(wake) => {
                self.wake |= u64::from(wake == Wake::Needed) << owner;
                Handed::Over
            }
            Err(_) => Handed::Full,
        }
    }

    /// Gives media of one port of ours to the owner of another.
    pub(super) fn give_media(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> Handed {
        match self.media_owner(to.port()) {
            Some(owner) => self.give(owner, Kind::MediaInside, &by_udp(to, from), payload),
            None => Handed::Full,
        }
    }

    /// The next payload that another worker gave us, written into `room`.
    pub(super) fn take<'a>(
        &mut self,
        from: usize,
        room: &'a mut [u8],
    ) -> Option<(Kind, Path, &'a [u8])> {
        let ring = self.inward.get_mut(from)?.as_mut()?;
        let (number, length) = ring.pop(room)?;
        let (path, payload) = unseal(room.get(..length)?)?;
        Some((Label::of_number(number).kind, path, payload))
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
