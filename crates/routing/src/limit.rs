//! Lines and calls per second of one gateway. Never below zero, asserted in production too.

use core::time::Duration;

use crate::Instant;

/// What a gateway may carry; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous calls.
    pub lines_max: u32,
    /// New calls per second.
    pub cps_max: u32,
}

/// The running counts of one gateway.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limiter {
    lines: u32,
    /// When the next call may come, by the pace of the limit (a bucket as deep as one second).
    due: Instant,
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

    /// Whether one more new call keeps the agreed pace at `now`.
    #[must_use]
    pub fn has_pace(&self, now: Instant, limits: Limits) -> bool {
        limits.cps_max == 0 || self.due <= now
    }

    /// Counts one new call's pace.
    pub fn take_pace(&mut self, now: Instant, limits: Limits) {
        if let Some(step) = Duration::from_secs(1).checked_div(limits.cps_max) {
            // Up to one call's worth may be saved up: bursts are as even as the limit says.
            self.due = self.due.max(now.saturating_sub(step)) + step;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_of_twenty_calls_a_second_pass_a_limit_of_ten() {
        let limits = Limits { lines_max: 0, cps_max: 10 };
        let mut limiter = Limiter::default();
        let mut passed = 0;
        for call in 0..200u32 {
            let now = Duration::from_secs(100) + Duration::from_millis(50) * call;
            if limiter.has_pace(now, limits) {
                limiter.take_pace(now, limits);
                passed += 1;
            }
        }
        assert!((99..=101).contains(&passed), "{passed}");
    }

    #[test]
    fn a_pause_saves_up_no_burst() {
        let limits = Limits { lines_max: 0, cps_max: 10 };
        let mut limiter = Limiter::default();
        let now = Duration::from_secs(1_000);
        let burst = (0..50)
            .filter(|_| {
                let pass = limiter.has_pace(now, limits);
                if pass {
                    limiter.take_pace(now, limits);
                }
                pass
            })
            .count();
        assert!(burst <= 2, "{burst}");
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
