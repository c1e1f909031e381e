//! Transfers under way: what a call needs beside its two legs while one of them changes hands.
//!
//! A fixed table, so that no number of REFERs takes more memory; one too many is refused.

use crate::dialog::{Leg, Side};
use crate::transaction::TransactionKey;

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The target is called; the spare leg leads to it.
    Calling { invite: TransactionKey },
    /// The target answered. Whoever stays has its offer, and the spare leg is the transferor's.
    Joining { invite: TransactionKey },
    /// Another call of ours takes the place of the spare leg; whoever stays has its offer.
    Replacing { server: TransactionKey },
}

/// See the head of this file.
pub(crate) struct Transfer {
    /// The side that changes hands.
    pub(crate) side: Side,
    pub(crate) stage: Stage,
    pub(crate) spare: Leg,
    /// The number of the REFER, which names its subscription (RFC 3515 §2.4.6).
    pub(crate) refer: u32,
    /// The status told last; 0: the transferor does not want to hear any.
    pub(crate) told: u16,
}

/// All of a worker.
pub(crate) struct Transfers {
    places: Box<[Option<Transfer>]>,
    free: u32,
}

/// One call in so many may be transferred at once.
const CALLS_PER_TRANSFER: u32 = 32;

impl Transfers {
    pub(crate) fn new(calls_max: u32) -> Self {
        let free = (calls_max / CALLS_PER_TRANSFER).clamp(2, 1_024);
        Self { places: (0..free).map(|_| None).collect(), free }
    }

    /// Whether one more can begin.
    pub(crate) fn has_room(&self) -> bool {
        self.free > 0
    }

    /// How many are under way.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// Begins one; its place. `None`: there is no room.
    pub(crate) fn open(&mut self, transfer: Transfer) -> Option<u16> {
        let place = self.places.iter().position(Option::is_none)?;
        self.places[place] = Some(transfer);
        self.free -= 1;
        Some(place as u16)
    }

    pub(crate) fn at(&mut self, place: u16) -> Option<&mut Transfer> {
        self.places.get_mut(usize::from(place))?.as_mut()
    }

    pub(crate) fn peek(&self, place: u16) -> Option<&Transfer> {
        self.places.get(usize::from(place))?.as_ref()
    }

    /// Ends one, and gives it back.
    pub(crate) fn close(&mut self, place: u16) -> Option<Transfer> {
        let transfer = self.places.get_mut(usize::from(place))?.take()?;
        self.free += 1;
        Some(transfer)
    }
}
