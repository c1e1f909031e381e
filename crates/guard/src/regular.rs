//! Sources from which somebody logged in lately: no automation shuts them out of the driver.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::WallUs;
use crate::table::micros;

/// How long a source is remembered after its last login.
const MEMORY: Duration = Duration::from_secs(7 * 86_400);
/// A login is news again after so long: the store need not hear of each.
const NEWS: Duration = Duration::from_secs(86_400);
/// Sources that are remembered; beyond, who was silent longest is forgotten.
const ROOM: usize = 1_000_000;

/// Who logged in from where is not kept; whence is.
#[derive(Debug, Default)]
pub struct Regulars {
    last: HashMap<IpAddr, WallUs>,
    order: BTreeSet<(WallUs, IpAddr)>,
}

impl Regulars {
    /// Somebody logged in from there. Whether the store should hear of it.
    pub fn handle_login(&mut self, at_us: WallUs, source: IpAddr) -> bool {
        let last_us = self.last.get(&source).copied();
        let is_news = last_us.is_none_or(|last_us| at_us >= last_us.saturating_add(micros(NEWS)));
        if is_news {
            self.restore(source, at_us);
        }
        is_news
    }

    /// Somebody logged in from there before the start.
    pub fn restore(&mut self, source: IpAddr, at_us: WallUs) {
        if let Some(last_us) = self.last.insert(source, at_us) {
            self.order.remove(&(last_us, source));
        }
        self.order.insert((at_us, source));
        if self.order.len() > ROOM
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.last.remove(&oldest);
        }
    }

    /// Whether somebody logged in from there lately.
    #[must_use]
    pub fn has(&self, source: IpAddr) -> bool {
        self.last.contains_key(&source)
    }

    /// Whence somebody logged in lately, in no order.
    pub fn sources(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.last.keys().copied()
    }

    /// How many sources.
    #[must_use]
    pub fn count(&self) -> usize {
        self.last.len()
    }

    /// The next one that was silent too long: it is forgotten.
    pub fn poll_forgotten(&mut self, at_us: WallUs) -> Option<IpAddr> {
        let (last_us, source) = *self.order.first()?;
        // What is remembered of it may be a day old.
        if last_us.saturating_add(micros(MEMORY + NEWS)) > at_us {
            return None;
        }
        self.order.pop_first();
        self.last.remove(&source);
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: u64 = 86_400_000_000;

    #[test]
    fn a_source_is_a_regular_for_a_week_after_its_last_login_and_news_once_a_day() {
        let mut regulars = Regulars::default();
        let source: IpAddr = "2001:db8::1".parse().unwrap();
        assert!(!regulars.has(source));
        assert!(regulars.handle_login(DAY_US, source));
        assert!(!regulars.handle_login(2 * DAY_US - 1, source), "the store has heard of it today");
        assert!(regulars.handle_login(2 * DAY_US, source));
        assert_eq!(regulars.poll_forgotten(9 * DAY_US), None);
        assert!(regulars.has(source));
        assert_eq!(regulars.poll_forgotten(10 * DAY_US), Some(source));
        assert!(!regulars.has(source));
        assert_eq!(regulars.poll_forgotten(u64::MAX), None);
    }

    #[test]
    fn when_there_is_no_room_who_was_silent_longest_is_forgotten() {
        let mut regulars = Regulars::default();
        for n in 0..=ROOM as u32 {
            regulars.handle_login(u64::from(n), std::net::Ipv4Addr::from(n).into());
        }
        assert_eq!(regulars.count(), ROOM);
        assert!(!regulars.has("0.0.0.0".parse().unwrap()));
        assert!(regulars.has("0.0.0.1".parse().unwrap()));
    }
}
