//! Lines and calls per second of one gateway. Never below zero, asserted in production too.
//!
//! Calls come in clusters, and a contract of ten a second allows ten at once. So the second is a sliding
//! window over the calls that passed: never more than agreed in any second, never fewer.

use core::time::Duration;
use std::collections::VecDeque;

use crate::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// What a gateway may carry; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous calls.
    pub lines_max: u32,
    /// New calls per second.
    pub cps_max: u32,
}

/// The running counts of one gateway.
#[derive(Clone, Debug, Default)]
pub struct Limiter {
    lines: u32,
    /// When the calls of the last second passed, oldest first.
    passed: VecDeque<Instant>,
}

impl Limiter {
    /// Calls that hold a line.
    #[must_use]
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Whether a line is free.
    #[must_use]
    pub fn has_line(&self, limits: Limits) -> bool {
        limits.lines_max == 0 || self.lines < limits.lines_max
    }

    /// Whether one more new call keeps the agreed pace at `now`: the one that many calls ago has left
    /// the window.
    #[must_use]
    pub fn has_pace(&self, now: Instant, limits: Limits) -> bool {
        let allowed = limits.cps_max as usize;
        let Some(index) = self.passed.len().checked_sub(allowed) else { return true };
        self.passed.get(index).is_none_or(|passed| has_left(*passed, now))
    }

    /// Counts one new call's pace.
    pub fn take_pace(&mut self, now: Instant, limits: Limits) {
        self.passed.push_back(now);
        let too_many = |passed: &VecDeque<_>| passed.len() > limits.cps_max as usize;
        while too_many(&self.passed) || self.passed.front().is_some_and(|at| has_left(*at, now)) {
            self.passed.pop_front();
        }
    }

    /// Takes a line.
    pub fn take_line(&mut self) {
        self.lines += 1;
    }

    /// Gives a line back.
    pub fn release_line(&mut self) {
        self.lines =
            self.lines.checked_sub(1).expect("a line is released once for each time it was taken");
    }
}

/// Whether a call that passed then no longer counts.
fn has_left(passed: Instant, now: Instant) -> bool {
    passed.saturating_add(WINDOW) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_cps(cps_max: u32) -> Limits {
        Limits { lines_max: 0, cps_max }
    }

    fn passes(limiter: &mut Limiter, now_ms: u64, limits: Limits) -> bool {
        let now = Duration::from_millis(now_ms);
        let passes = limiter.has_pace(now, limits);
        if passes {
            limiter.take_pace(now, limits);
        }
        passes
    }

    #[test]
    fn ten_of_twenty_calls_a_second_pass_a_limit_of_ten() {
        let mut limiter = Limiter::default();
        let offered = (0..200).map(|call| 100_000 + 50 * call);
        let passed = offered.filter(|now_ms| passes(&mut limiter, *now_ms, at_cps(10))).count();
        assert_eq!(passed, 100);
    }

    #[test]
    fn ten_calls_at_once_pass_a_limit_of_ten_and_the_next_waits_out_the_second() {
        let mut limiter = Limiter::default();
        let at_once = (0..50).filter(|_| passes(&mut limiter, 1_000, at_cps(10))).count();
        assert_eq!(at_once, 10);
        assert!(!passes(&mut limiter, 1_999, at_cps(10)));
        assert!(passes(&mut limiter, 2_000, at_cps(10)));
    }

    #[test]
    fn a_changed_limit_counts_at_once() {
        let mut limiter = Limiter::default();
        assert!((0..10).all(|_| passes(&mut limiter, 1_000, at_cps(10))));
        assert!(!passes(&mut limiter, 1_500, at_cps(5)));
        assert!(passes(&mut limiter, 1_500, at_cps(0)));
        assert!(passes(&mut limiter, 1_500, at_cps(11)));
    }

    proptest::proptest! {
        #[test]
        fn a_call_is_refused_only_when_its_second_is_full(
            steps_ms in proptest::collection::vec(0u64..400, 1..200), cps_max in 1u32..12,
        ) {
            let mut limiter = Limiter::default();
            let mut passed: Vec<u64> = Vec::new();
            let mut now_ms = 0;
            for step_ms in steps_ms {
                now_ms += step_ms;
                let live = passed.iter().filter(|passed_ms| **passed_ms + 1_000 > now_ms).count();
                let room = live < cps_max as usize;
                proptest::prop_assert_eq!(passes(&mut limiter, now_ms, at_cps(cps_max)), room);
                passed.extend(room.then_some(now_ms));
            }
        }
    }

    #[test]
    fn the_last_line_is_the_last() {
        let limits = Limits { lines_max: 2, cps_max: 0 };
        let mut limiter = Limiter::default();
        for _ in 0..2 {
            assert!(limiter.has_line(limits));
            limiter.take_line();
        }
        assert!(!limiter.has_line(limits));
        limiter.release_line();
        assert!(limiter.has_line(limits));
    }
}
