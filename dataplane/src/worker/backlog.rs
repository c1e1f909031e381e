//! Whether this worker keeps up with what comes.
//!
//! A turn takes a bounded part of what waits. Where something is left each time for a while, more comes
//! than is carried: what waits grows older, callers repeat themselves, and in the end everything is
//! answered too late. So new calls are refused until nothing is left, before that happens.

use std::time::Duration;

use link::Instant;

/// A burst takes no longer: some thousand messages, at a few µs each.
const BURST: Duration = Duration::from_millis(20);

/// See the head of this file.
#[derive(Default)]
pub(super) struct Backlog {
    /// The first of the turns in a row that left something.
    since: Option<Instant>,
    /// Whether this turn leaves something.
    left: bool,
}

impl Backlog {
    /// A turn begins. Whether those before it left something for longer than a burst takes.
    pub(super) fn turn(&mut self, now: Instant) -> bool {
        if std::mem::take(&mut self.left) {
            self.since.get_or_insert(now);
        } else {
            self.since = None;
        }
        self.since.is_some_and(|since| now.saturating_sub(since) >= BURST)
    }

    /// As much was taken of one source as one turn may take: there is more.
    pub(super) fn leave(&mut self) {
        self.left = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of 5 ms that leave something or nothing, and whether each finds the worker busy.
    fn turns(left: &[bool]) -> Vec<bool> {
        let mut backlog = Backlog::default();
        let mut now = Duration::from_secs(1_000);
        let turn = |&left: &bool| {
            now += Duration::from_millis(5);
            let busy = backlog.turn(now);
            if left {
                backlog.leave();
            }
            busy
        };
        left.iter().map(turn).collect()
    }

    #[test]
    fn a_burst_is_no_backlog_and_one_look_at_an_empty_queue_ends_it() {
        assert_eq!(turns(&[true; 5]), [false; 5]);
        assert_eq!(turns(&[true; 7]), [false, false, false, false, false, true, true]);
        let caught_up = [true, true, true, true, false, true, true, true, true, true];
        assert_eq!(turns(&caught_up), [false; 10]);
        let busy = [true, true, true, true, true, true, false, true];
        assert_eq!(turns(&busy)[5..], [true, true, false]);
    }
}
