//! Deadlines: one per owner, in an indexed heap of fixed size.
//!
//! An owner (a transaction, a call) is a small number and keeps its own list of what is due when;
//! here stands only its earliest deadline. Setting, moving and clearing cost O(log n), asking for
//! the next one is free, and nothing is ever allocated: every owner has its place.

use crate::Instant;

/// Children per node: four deadlines share a cache line, so the heap is half as deep as with two.
const ARITY: usize = 4;

const ABSENT: u32 = u32::MAX;

/// See the head of this file.
pub(crate) struct Timers {
    /// (deadline in µs, owner), each parent no later than its children.
    heap: Vec<(u64, u32)>,
    /// Where an owner stands in the heap, or `ABSENT`.
    position: Box<[u32]>,
}

impl Timers {
    pub(crate) fn new(owners: u32) -> Self {
        Self {
            heap: Vec::with_capacity(owners as usize),
            position: vec![ABSENT; owners as usize].into_boxed_slice(),
        }
    }

    /// The earliest deadline and whose it is.
    pub(crate) fn first(&self) -> Option<(Instant, u32)> {
        self.heap.first().map(|&(at_us, owner)| (Instant::from_micros(at_us), owner))
    }

    /// Sets, moves or clears the deadline of an owner.
    pub(crate) fn set(&mut self, owner: u32, deadline: Option<Instant>) {
        let place = self.position[owner as usize];
        match (deadline.map(micros_until), place) {
            (None, ABSENT) => {}
            (None, place) => self.remove(place as usize),
            (Some(deadline), ABSENT) => {
                self.heap.push((deadline, owner));
                self.rise(self.heap.len() - 1);
            }
            (Some(deadline), place) => {
                self.heap[place as usize].0 = deadline;
                let place = self.rise(place as usize);
                self.sink(place);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let (_, owner) = self.heap.swap_remove(place);
        self.position[owner as usize] = ABSENT;
        if place < self.heap.len() {
            let place = self.rise(place);
            self.sink(place);
        }
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].0 <= entry.0 {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let first = place * ARITY + 1;
            let children = first..(first + ARITY).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child].0) else { break };
            if entry.0 <= self.heap[least].0 {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: (u64, u32)) {
        self.heap[place] = entry;
        // A heap index is below the number of owners, which is a u32.
        self.position[entry.1 as usize] = place as u32;
    }
}

/// A moment in µs, half as large, and never earlier: a part of a µs counts as one.
pub(crate) fn micros_until(at: Instant) -> u64 {
    // Not by `as_nanos`, whose division costs more than all else that is done to a deadline.
    at.as_secs() * 1_000_000 + u64::from(at.subsec_nanos().div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_moment_is_told_earlier_than_it_is() {
        for (nanos, micros) in [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_999_999_999, 2_000_000)] {
            assert_eq!(micros_until(Duration::from_nanos(nanos)), micros);
        }
    }

    proptest! {
        #[test]
        fn the_heap_agrees_with_a_sorted_model(
            operations in prop::collection::vec((0_u32..24, prop::option::of(0_u64..50)), 1..400)
        ) {
            let mut timers = Timers::new(24);
            let mut model = BTreeMap::new();
            for (owner, deadline) in operations {
                let deadline = deadline.map(Duration::from_millis);
                timers.set(owner, deadline);
                match deadline {
                    Some(deadline) => model.insert(owner, deadline),
                    None => model.remove(&owner),
                };
                prop_assert_eq!(timers.first().map(|(at, _)| at), model.values().min().copied());
                if let Some((at, owner)) = timers.first() {
                    prop_assert_eq!(model.get(&owner), Some(&at));
                }
            }
            let mut last = Duration::ZERO;
            while let Some((at, owner)) = timers.first() {
                prop_assert!(at >= last);
                last = at;
                prop_assert_eq!(model.remove(&owner), Some(at));
                timers.set(owner, None);
            }
            prop_assert!(model.is_empty());
        }
    }
}
