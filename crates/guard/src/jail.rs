//! Logins to the machine itself that failed (SSH): so many of one source, and it is shut out for a while.
//!
//! Counted as those of SIP are (`table.rs`), but apart from them, and each time for equally long.

use std::net::IpAddr;

use crate::WallUs;
use crate::suspend::{Rule, Scope};
use crate::table::Table;

/// Sources that are counted.
const ROOM: usize = 16_384;

/// Who failed.
#[derive(Debug)]
pub struct Jail {
    table: Table,
    /// Tells one failure from the next.
    failures: u64,
}

impl Default for Jail {
    fn default() -> Self {
        Self { table: Table::new(ROOM), failures: 0 }
    }
}

impl Jail {
    /// A login from there failed. Until when the source is to be shut out, if it was the last that is borne.
    pub fn handle_failure(&mut self, rule: &Rule, at_us: WallUs, source: IpAddr) -> Option<WallUs> {
        self.failures = self.failures.wrapping_add(1);
        let scope = Scope::Source(source);
        let entry = self.table.count(at_us, &scope, self.failures, rule, rule.time)?;
        Some(entry.until_us)
    }

    /// Whoever is let in again begins at nothing.
    pub fn release(&mut self, at_us: WallUs, source: IpAddr) {
        let scope = Scope::Source(source);
        if self.table.find(&scope).is_some_and(|entry| entry.is_suspended(at_us)) {
            self.table.forget(at_us, &scope);
        }
    }

    /// Moves on what time has moved.
    pub fn handle_time(&mut self, at_us: WallUs) {
        self.table.expire(at_us, |_| {});
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn three_failures_within_the_window_shut_out_for_equally_long_each_time() {
        const SECOND: u64 = 1_000_000;
        let rule =
            Rule { limit: 3, window: Duration::from_secs(600), time: Duration::from_secs(3_600) };
        let (mut jail, evil) = (Jail::default(), IpAddr::from([198, 51, 100, 66]));
        let mut fails = |at_s: u64| {
            jail.handle_time(at_s * SECOND);
            jail.handle_failure(&rule, at_s * SECOND, evil).map(|until_us| until_us / SECOND)
        };
        assert_eq!([1_000, 1_001, 1_601].map(&mut fails), [None; 3], "the first is too old");
        assert_eq!(fails(1_602), None);
        assert_eq!(fails(1_603), Some(5_203));
        assert_eq!([1_604, 1_605, 1_606].map(&mut fails), [None; 3], "shut out already");
        assert_eq!([6_000, 6_001].map(&mut fails), [None; 2]);
        assert_eq!(fails(6_002), Some(9_602), "no longer than the first time");
        assert_eq!([6_003, 6_004, 6_005].map(&mut fails), [None; 3]);
        jail.release(6_006 * SECOND, evil);
        let again = [6_007, 6_008, 6_009]
            .map(|at_s| jail.handle_failure(&rule, at_s * SECOND, evil).is_some());
        assert_eq!(again, [false, false, true]);
        let off = Rule { limit: 0, ..rule };
        assert_eq!(jail.handle_failure(&off, 20_000 * SECOND, evil), None);
    }
}
