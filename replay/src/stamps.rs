//! When each packet was sent, for whoever hears it: written by the sending thread, read by the listening one.

use std::sync::atomic::{AtomicU64, Ordering};

/// Packets of one stream that are remembered, and how many if there are very many streams.
const KEPT: usize = 256;
const KEPT_OF_MANY: usize = 16;
const MANY: usize = 16_384;
/// A stamp is a packet's number and the low bits of its time, which wrap after three days.
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// One row of stamps per stream of a slot.
pub(crate) struct Stamps {
    stamps: Vec<AtomicU64>,
    kept: usize,
}

impl Stamps {
    pub(crate) fn new(places: usize) -> Self {
        let kept = if places > MANY { KEPT_OF_MANY } else { KEPT };
        let stamps = (0..places * kept).map(|_| AtomicU64::new(u64::MAX)).collect();
        Self { stamps, kept }
    }

    fn at(&self, place: usize, sequence: u16) -> Option<&AtomicU64> {
        self.stamps.get(place * self.kept + usize::from(sequence) % self.kept)
    }

    /// It was sent now.
    pub(crate) fn set(&self, place: usize, sequence: u16, now_ns: u64) {
        if let Some(stamp) = self.at(place, sequence) {
            let word = u64::from(sequence) << TIME_BITS | now_ns & TIME_MASK;
            // A stamp is one word: whoever reads it sees this one or the one before.
            stamp.store(word, Ordering::Relaxed);
        }
    }

    /// How long it was on its way, ns; `None`: it is not remembered.
    pub(crate) fn delay(&self, place: usize, sequence: u16, arrived_ns: u64) -> Option<u64> {
        let word = self.at(place, sequence)?.load(Ordering::Relaxed);
        if word == u64::MAX || word >> TIME_BITS != u64::from(sequence) {
            return None;
        }
        let delay = arrived_ns.wrapping_sub(word) & TIME_MASK;
        // A clock read a moment too late makes it negative.
        Some(if delay > TIME_MASK / 2 { 0 } else { delay })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_the_delay_until_another_packet_takes_its_place() {
        let stamps = Stamps::new(2);
        stamps.set(1, 7, 1_000);
        assert_eq!(stamps.delay(1, 7, 1_500), Some(500));
        assert_eq!(stamps.delay(1, 7, 900), Some(0));
        assert_eq!(stamps.delay(0, 7, 1_500), None);
        stamps.set(1, 7 + KEPT as u16, 2_000);
        assert_eq!(stamps.delay(1, 7, 2_500), None);
        assert_eq!(stamps.delay(9, 7, 2_500), None, "no such place");
    }
}
