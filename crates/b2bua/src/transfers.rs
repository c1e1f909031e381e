//! Transfers under way: what a call needs beside its two legs while one of them changes hands.
//!
//! A fixed table, so that no number of REFERs takes more memory; one too many is refused.

use crate::dialog::{Leg, Side};
use crate::transaction::TransactionKey;

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The target is not called yet: whoever transfers by keys presses its number. The spare leg is nobody's.
    Begun,
    /// The target is called; the spare leg leads to it.
    Calling { invite: TransactionKey },
    /// The far end of the spare leg, which has a dialog already, is asked what it offers.
    Recalling { invite: TransactionKey },
    /// The target answered. Whoever stays has its offer, and the spare leg is the transferor's.
    Joining { invite: TransactionKey, is_acked: bool },
    /// Whoever transfers talks to the target; the spare leg waits for the end of that.
    Consulting,
    /// Another call of ours takes the place of the spare leg; whoever stays has its offer.
    Replacing { server: TransactionKey },
}

/// See the head of this file.
pub(crate) struct Transfer {
    /// The side that changes hands.
    pub(crate) side: Side,
    /// The side that asked for it, and whose call to the target is.
    pub(crate) asker: Side,
    pub(crate) stage: Stage,
    pub(crate) spare: Leg,
    pub(crate) asked: Asked,
    /// Whether the spare leg is the one that was in the call before, and another is in its place.
    pub(crate) is_displaced: bool,
    /// How often somebody was asked again who could not say anything then.
    pub(crate) tries: u8,
    /// Whether the target was offered what whoever stays described last, and so has only to answer.
    pub(crate) offered: bool,
}

/// How a transfer was asked for.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    /// By another call of ours (RFC 3891).
    Inside,
    /// By REFER.
    Refer {
        /// Its number, which names its subscription (RFC 3515 §2.4.6).
        number: u32,
        /// The status told last; 0: the transferor does not want to hear any.
        told: u16,
        /// Whether the target talks already, in a call whose place is to be taken.
        is_attended: bool,
    },
    /// By keys.
    Keys { plan: Plan, dialled: Dialled },
}

/// What is to become of a transfer by keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Whoever stays gets the target, as by REFER.
    HandOver,
    /// Whoever asked speaks to the target first; who stays waits.
    Consult,
    /// They spoke: who waited gets the target.
    Finish,
    /// They spoke: who waited gets back whoever asked.
    Return,
}

/// The longest number that is pressed: that of E.164 with an international prefix, and some more.
const DIGITS_MAX: usize = 24;

/// A number as far as it is pressed.
#[derive(Clone, Copy)]
pub(crate) struct Dialled {
    digits: [u8; DIGITS_MAX],
    length: u8,
}

impl Dialled {
    pub(crate) const NOTHING: Self = Self { digits: [0; DIGITS_MAX], length: 0 };

    /// One digit more; a number that is too long to be any stays as it is.
    pub(crate) fn press(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(usize::from(self.length)) {
            *place = digit;
            self.length += 1;
        }
    }

    pub(crate) fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
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
