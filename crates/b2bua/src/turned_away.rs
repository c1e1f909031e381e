//! Requests that were refused without a transaction: their repetitions are refused the same way.
//!
//! A stateless refusal is right as long as the same question gets the same answer (RFC 3261
//! §8.2.7). Whether there is room, and who is known, changes from one moment to the next, and a
//! repetition that the network delayed would open a call for a caller who was refused. So the last
//! few refusals are remembered, each in the one place that its hash gives it: a flood forgets older
//! ones and takes no memory, and control is not asked again about a stranger who repeats himself.

use core::time::Duration;

use crate::Instant;
use crate::challenge::Nonces;
use crate::table::Key;

/// Places, of which a refusal has one.
const PLACES: usize = 4_096;

/// How long a repetition may be under way: 64 × T1.
const REMEMBERED: Duration = Duration::from_secs(32);

/// What a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Nothing at all.
    Nothing,
    /// This status.
    Status(u16),
    /// This status, before control has judged who asks.
    Unjudged(u16),
    /// A challenge.
    Challenge {
        /// 401 or 407.
        status: u16,
        /// Which nonce came back.
        nonces: Nonces,
    },
}

/// One of them, and until when it holds.
#[derive(Clone, Copy)]
struct Refusal {
    key: Key,
    until: Instant,
    answered: Answered,
}

/// See the head of this file.
pub(crate) struct TurnedAway {
    places: Box<[Refusal]>,
}

impl TurnedAway {
    pub(crate) fn new() -> Self {
        let nobody = Refusal { key: 0, until: Instant::ZERO, answered: Answered::Nothing };
        Self { places: vec![nobody; PLACES].into_boxed_slice() }
    }

    fn place(key: Key) -> usize {
        key as usize % PLACES
    }

    pub(crate) fn remember(&mut self, now: Instant, key: Key, answered: Answered) {
        self.places[Self::place(key)] = Refusal { key, until: now + REMEMBERED, answered };
    }

    /// What the same request was answered before.
    pub(crate) fn answered(&self, now: Instant, key: Key) -> Option<Answered> {
        let known = self.places[Self::place(key)];
        (known.key == key && now < known.until).then_some(known.answered)
    }
}
