//! Which frame of which call is next, and when.
//!
//! Each slot plays the captured call from its start to its end, and then, as often as there are rounds, from
//! the start again. A heap holds one entry per slot, by the time of its next frame: memory is that of the slots,
//! however long the calls and however many the rounds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// When the slots begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Starts {
    /// New calls in a second; 0: all at once.
    pub per_second: f64,
    /// Draws when within its share of that second each call begins; 0: evenly.
    pub seed: u64,
}

/// The next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When, ns from the begin.
    pub at_ns: u64,
    /// The call's number.
    pub call: u64,
    /// Which of the capture's frames.
    pub frame: u32,
}

/// All that is to come.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// When each frame is due, ns from its call's begin.
    times: Vec<u64>,
    slots: u64,
    rounds: u64,
    /// From the begin of a slot's call to that of its next.
    period_ns: u64,
    heap: BinaryHeap<Reverse<Due>>,
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a draw by number.
fn draw(seed: u64, number: u64) -> u64 {
    let mut word = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

impl Schedule {
    /// Frames due at `times` (ns from the begin of a call, never going back), `slots` calls at a time, `rounds`
    /// after each other (0: without end), `speed` times as fast. Between two rounds is a pause as long as
    /// frames are apart on average.
    #[must_use]
    pub fn new(times: &[u64], slots: u32, rounds: u64, speed: f64, starts: Starts) -> Self {
        let scaled = |ns: u64| (ns as f64 / speed.max(f64::MIN_POSITIVE)) as u64;
        let times: Vec<u64> = times.iter().copied().map(scaled).collect();
        let last = times.last().copied().unwrap_or(0);
        let pause = last / (times.len() as u64).saturating_sub(1).max(1);
        let begin = |slot: u32| {
            if starts.per_second <= 0.0 {
                return 0;
            }
            let within = match starts.seed {
                0 => 0.0,
                seed => draw(seed, slot.into()) as f64 / u64::MAX as f64,
            };
            ((f64::from(slot) + within) / starts.per_second * 1e9) as u64
        };
        let heap = match times.first() {
            None => BinaryHeap::new(),
            Some(first) => (0..slots)
                .map(|slot| {
                    Reverse(Due { at_ns: begin(slot) + first, call: slot.into(), frame: 0 })
                })
                .collect(),
        };
        Self {
            period_ns: last.saturating_add(pause).max(1),
            times,
            slots: slots.max(1).into(),
            rounds: if rounds == 0 { u64::MAX } else { rounds },
            heap,
        }
    }

    /// The next frame; `None`: all were sent.
    #[must_use]
    pub fn peek(&self) -> Option<Due> {
        self.heap.peek().map(|due| due.0)
    }

    /// Goes on behind the next frame.
    pub fn advance(&mut self) {
        let Some(mut top) = self.heap.peek_mut() else { return };
        let due = top.0;
        let time = |frame: u32| self.times.get(frame as usize).copied();
        let begin = due.at_ns - time(due.frame).unwrap_or(0).min(due.at_ns);
        if let Some(time) = time(due.frame + 1) {
            *top = Reverse(Due { at_ns: begin + time, call: due.call, frame: due.frame + 1 });
            return;
        }
        if due.call / self.slots + 1 >= self.rounds {
            PeekMut::pop(top);
            return;
        }
        let at_ns = begin.saturating_add(self.period_ns).saturating_add(time(0).unwrap_or(0));
        *top = Reverse(Due { at_ns, call: due.call + self.slots, frame: 0 });
    }

    /// Frames in all; `None`: without end.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        if self.rounds == u64::MAX {
            return None;
        }
        (self.times.len() as u64).checked_mul(self.slots)?.checked_mul(self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT_ONCE: Starts = Starts { per_second: 0.0, seed: 0 };

    fn all(mut schedule: Schedule) -> Vec<Due> {
        let mut found = Vec::new();
        while let Some(due) = schedule.peek() {
            found.push(due);
            schedule.advance();
        }
        found
    }

    #[test]
    fn rounds_follow_each_other_with_a_pause() {
        let found = all(Schedule::new(&[0, 10, 40], 1, 2, 1.0, AT_ONCE));
        let times: Vec<u64> = found.iter().map(|due| due.at_ns).collect();
        assert_eq!(times, [0, 10, 40, 60, 70, 100]);
        assert_eq!(found[3], Due { at_ns: 60, call: 1, frame: 0 });
    }

    #[test]
    fn speed_divides_times_and_starts_are_spread() {
        let starts = Starts { per_second: 1_000_000.0, seed: 0 };
        let found = all(Schedule::new(&[0, 20_000], 3, 1, 10.0, starts));
        let times: Vec<(u64, u64)> = found.iter().map(|due| (due.at_ns, due.call)).collect();
        assert_eq!(times, [(0, 0), (1_000, 1), (2_000, 0), (2_000, 2), (3_000, 1), (4_000, 2)]);
    }

    #[test]
    fn a_seed_draws_the_starts_and_the_same_seed_draws_the_same() {
        let with = |seed| all(Schedule::new(&[0], 50, 1, 1.0, Starts { per_second: 50.0, seed }));
        assert_eq!(with(7), with(7));
        assert_ne!(with(7), with(8));
        for (slot, due) in with(7).iter().enumerate() {
            assert_eq!(due.at_ns / 20_000_000, slot as u64, "each in its own share");
        }
    }

    #[test]
    fn nothing_captured_is_nothing_to_send() {
        assert_eq!(all(Schedule::new(&[], 10, 0, 1.0, AT_ONCE)), []);
    }

    proptest! {
        #[test]
        fn every_frame_of_every_call_comes_once_in_the_order_of_time(
            mut times in prop::collection::vec(0_u64..1_000_000, 1..20),
            slots in 1_u32..20, rounds in 1_u64..4, seed: u64, per_second in 0.0..1e6_f64,
        ) {
            times.sort_unstable();
            let schedule = Schedule::new(&times, slots, rounds, 1.0, Starts { per_second, seed });
            let total = schedule.total();
            let found = all(schedule);
            prop_assert_eq!(total, Some(found.len() as u64));
            prop_assert!(found.windows(2).all(|pair| pair[0].at_ns <= pair[1].at_ns));
            let mut next = vec![0; slots as usize * rounds as usize];
            for due in found {
                let place = &mut next[due.call as usize];
                prop_assert_eq!(*place, due.frame);
                *place += 1;
            }
            prop_assert!(next.iter().all(|&next| next as usize == times.len()));
        }
    }
}
