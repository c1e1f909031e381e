//! How often somebody tried to log in within a minute, whatever became of it.
//!
//! Withstands who tries from many addresses: there are so many rows, those of the last minute stay, and a source
//! that finds none is not counted. Many sources at once are a sign of their own ([`crate::Pattern::Distributed`]).

use std::collections::HashMap;
use std::net::IpAddr;

use crate::WallUs;

/// What is counted together, µs.
const SLOT_US: u64 = 10_000_000;
/// A minute, and the part of a slot that has begun: never less than a minute, up to ten seconds more.
const SLOTS: usize = 7;
/// Sources that are told apart.
const ROOM: usize = 65_536;

/// Attempts by source.
#[derive(Debug, Default)]
pub struct Attempts {
    rows: HashMap<IpAddr, Row>,
    /// When room was made last, in slots.
    swept: u64,
}

#[derive(Debug, Default)]
struct Row {
    /// The slot that is counted in now.
    slot: u64,
    counts: [u32; SLOTS],
}

impl Row {
    fn add(&mut self, slot: u64, count: u32) -> u64 {
        let gone = slot.saturating_sub(self.slot).min(SLOTS as u64);
        for past in 0..gone {
            self.counts[((slot - past) % SLOTS as u64) as usize] = 0;
        }
        self.slot = self.slot.max(slot);
        let now = &mut self.counts[(self.slot % SLOTS as u64) as usize];
        *now = now.saturating_add(count);
        self.counts.iter().copied().map(u64::from).sum()
    }
}

impl Attempts {
    /// So many more came from there. How many there were within a minute; 0: there is no room to know.
    pub fn handle(&mut self, at_us: WallUs, source: IpAddr, count: u32) -> u64 {
        let slot = at_us / SLOT_US;
        if self.rows.len() >= ROOM && !self.rows.contains_key(&source) {
            if self.swept < slot {
                self.swept = slot;
                self.rows.retain(|_, row| row.slot + SLOTS as u64 > slot);
            }
            if self.rows.len() >= ROOM {
                return 0;
            }
        }
        self.rows.entry(source).or_default().add(slot, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn what_came_within_a_minute_counts_and_what_is_older_does_not() {
        let mut attempts = Attempts::default();
        let evil = IpAddr::from([198, 51, 100, 66]);
        let begin = 1_800_000_000 * SECOND;
        for second in 0..60 {
            let sum = attempts.handle(begin + second * SECOND, evil, 2);
            assert_eq!(sum, (second + 1) * 2);
        }
        assert_eq!(attempts.handle(begin + 60 * SECOND, evil, 0), 120);
        assert_eq!(attempts.handle(begin + 70 * SECOND, evil, 0), 100, "the first ten are past");
        assert_eq!(attempts.handle(begin + 500 * SECOND, evil, 1), 1);
        assert_eq!(attempts.handle(begin, evil, 1), 2, "a clock that goes back counts on");
        assert_eq!(
            attempts.handle(begin, IpAddr::from([198, 51, 100, 67]), u32::MAX),
            u32::MAX.into()
        );
    }

    #[test]
    fn there_is_room_for_so_many_and_those_of_the_last_minute_stay() {
        let mut attempts = Attempts::default();
        let source = |n: u32| IpAddr::from(n.to_be_bytes());
        let begin = 1_800_000_000 * SECOND;
        for n in 0..ROOM as u32 {
            attempts.handle(begin, source(n), 1);
        }
        assert_eq!(attempts.handle(begin, source(u32::MAX), 1), 0);
        assert_eq!(attempts.handle(begin, source(7), 1), 2);
        assert_eq!(attempts.handle(begin + 80 * SECOND, source(u32::MAX), 1), 1);
        assert_eq!(attempts.rows.len(), 1);
    }
}
