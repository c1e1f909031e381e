//! The INVITEs of one leg that are out at once: one for each candidate of the group being tried.
//!
//! Each has a line of its own among the attempts of the call's record, and is known by that line's
//! number. All have one Call-ID and one tag of ours, and each a transaction of its own, as the branches
//! of a proxy that forks (RFC 3261 §16.7). After a 2xx one is left.

use link::record::ATTEMPTS_MAX;

use crate::transaction::TransactionKey;

/// See the head of this file.
#[derive(Clone, Copy)]
pub(super) struct Branches {
    /// By attempt: the transaction whose last word is awaited.
    clients: [Option<TransactionKey>; ATTEMPTS_MAX],
    /// The attempt that the group begins with.
    first_attempt: u8,
    /// The candidate that it was.
    first_candidate: u8,
    /// The attempt whose leg it is: the one that won, and until then the first.
    current: u8,
}

impl Branches {
    pub(super) const NONE: Self =
        Self { clients: [None; ATTEMPTS_MAX], first_attempt: 0, first_candidate: 0, current: 0 };

    /// A group of which nothing is out yet.
    pub(super) fn begin(first_attempt: u8, first_candidate: u8) -> Self {
        Self { first_attempt, first_candidate, current: first_attempt, ..Self::NONE }
    }

    /// The attempt whose leg it is.
    pub(super) fn current(&self) -> usize {
        usize::from(self.current)
    }

    /// The leg is this attempt's from now on.
    pub(super) fn turn_to(&mut self, attempt: u8) {
        self.current = attempt;
    }

    /// The attempt that the group begins with.
    pub(super) fn first_attempt(&self) -> usize {
        usize::from(self.first_attempt)
    }

    /// Which candidate an attempt of the group was.
    pub(super) fn candidate_of(&self, attempt: u8) -> usize {
        usize::from(self.first_candidate) + usize::from(attempt.saturating_sub(self.first_attempt))
    }

    /// The INVITE of an attempt is out.
    pub(super) fn open(&mut self, attempt: u8, client: TransactionKey) {
        if let Some(place) = self.clients.get_mut(usize::from(attempt)) {
            *place = Some(client);
        }
    }

    /// Nothing more is awaited of an attempt.
    pub(super) fn close(&mut self, attempt: u8) {
        if let Some(place) = self.clients.get_mut(usize::from(attempt)) {
            *place = None;
        }
    }

    /// Nothing more is awaited of any.
    pub(super) fn clear(&mut self) {
        self.clients = [None; ATTEMPTS_MAX];
    }

    /// Whether the last word of this very INVITE is awaited.
    pub(super) fn has(&self, attempt: u8, client: TransactionKey) -> bool {
        self.clients.get(usize::from(attempt)) == Some(&Some(client))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.clients == [None; ATTEMPTS_MAX]
    }

    /// Those that are out, by attempt.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, TransactionKey)> + use<> {
        let clients = self.clients.into_iter().zip(0..);
        clients.filter_map(|(client, attempt)| Some((attempt, client?)))
    }

    /// The first that is out: the one that won, after a 2xx.
    pub(super) fn first(&self) -> Option<TransactionKey> {
        self.iter().next().map(|(_, client)| client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_known_by_its_number_and_its_transaction() {
        let key = |slot| TransactionKey { slot, generation: 9 };
        let mut branches = Branches::begin(2, 3);
        assert!(branches.is_empty());
        assert_eq!(branches.current(), 2);
        branches.turn_to(4);
        branches.open(2, key(20));
        branches.open(4, key(40));
        branches.open(200, key(1));
        assert_eq!((branches.candidate_of(2), branches.candidate_of(4)), (3, 5));
        assert!(branches.has(4, key(40)) && !branches.has(4, key(20)) && !branches.has(3, key(1)));
        assert!(branches.iter().eq([(2, key(20)), (4, key(40))]));
        branches.close(2);
        assert_eq!(branches.first(), Some(key(40)));
        branches.clear();
        assert!(branches.is_empty() && branches.first().is_none());
        assert_eq!(branches.current(), 4, "the leg is still its own");
    }
}
