//! The index arithmetic of one AF_XDP ring: free-running 32-bit indices under a mask.
//!
//! Safe code on plain numbers; loads and stores of the shared words are `socket.rs`'s.

/// Our side of one ring. For a ring we produce into, `own` is the producer index and `other` the last
/// consumer index we saw; for one we consume from, the other way round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indices {
    own: u32,
    other: u32,
    size: u32,
}

impl Indices {
    pub(crate) fn new(size: u32) -> Self {
        assert!(size.is_power_of_two(), "the kernel's rings are powers of two");
        Self { own: 0, other: 0, size }
    }

    /// Where index `own + ahead` lies.
    pub(crate) fn place(&self, ahead: u32) -> usize {
        (self.own.wrapping_add(ahead) & (self.size - 1)) as usize
    }

    /// Producer: free slots, after a look at the consumer index if that is needed.
    pub(crate) fn free(&mut self, wanted: u32, consumer: impl FnOnce() -> u32) -> u32 {
        // A consumer index that no kernel writes makes the ring full, never larger than it is.
        let free =
            |indices: &Self| indices.size.saturating_sub(indices.own.wrapping_sub(indices.other));
        if free(self) < wanted {
            self.other = consumer();
        }
        free(self)
    }

    /// Consumer: filled slots, after a look at the producer index if that is needed.
    pub(crate) fn filled(&mut self, wanted: u32, producer: impl FnOnce() -> u32) -> u32 {
        if self.other.wrapping_sub(self.own) < wanted {
            self.other = producer();
        }
        // A producer index that no kernel writes must not make us read what is not there.
        self.other.wrapping_sub(self.own).min(self.size)
    }

    /// Moves our index on; the new one is to be published.
    pub(crate) fn advance(&mut self, by: u32) -> u32 {
        self.own = self.own.wrapping_add(by);
        self.own
    }

    /// Slots between the indices: what the other side has not taken yet, as far as we know.
    pub(crate) fn outstanding(&self) -> u32 {
        self.own.wrapping_sub(self.other)
    }

    #[cfg(test)]
    pub(crate) fn starting_at(size: u32, index: u32) -> Self {
        Self { own: index, other: index, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_ring_never_holds_more_than_its_size_and_wraps_at_2_to_the_32() {
        for start in [0, u32::MAX - 5, u32::MAX] {
            let (producer, consumer) = (AtomicU32::new(start), AtomicU32::new(start));
            let mut give = Indices::starting_at(8, start);
            let mut take = Indices::starting_at(8, start);
            let mut cells = [0; 8];
            let (mut next_in, mut next_out) = (0, 0);
            for round in 0..1000u32 {
                let wanted = round % 9;
                let room = give.free(wanted, || consumer.load(Ordering::Acquire));
                assert!(room <= 8);
                let count = wanted.min(room);
                for ahead in 0..count {
                    cells[give.place(ahead)] = next_in;
                    next_in += 1;
                }
                producer.store(give.advance(count), Ordering::Release);
                let there = take.filled(8, || producer.load(Ordering::Acquire));
                let count = there.min(round % 5);
                for ahead in 0..count {
                    assert_eq!(cells[take.place(ahead)], next_out);
                    next_out += 1;
                }
                consumer.store(take.advance(count), Ordering::Release);
            }
            assert!(next_out > 1000);
        }
    }

    #[test]
    fn an_absurd_producer_index_yields_no_more_than_the_ring_holds() {
        let mut take = Indices::new(8);
        assert_eq!(take.filled(1, || 4_000_000_000), 8);
    }

    #[test]
    fn an_absurd_consumer_index_makes_the_ring_full() {
        let mut give = Indices::new(8);
        assert_eq!(give.free(9, || 1), 0);
    }
}
