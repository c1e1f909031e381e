//! The week of a tariff: periods by the clock of its time zone.
//!
//! A period begins on its days at one time and lasts until another, that one excluded; what ends no later than
//! it begins ends on the next day. The clock is read at the instant of a call, so an hour that summer time skips
//! is in no period, and one that it repeats is in its period twice.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Minutes of a day.
pub const DAY_MIN: u16 = 24 * 60;

/// Periods that a tariff can have.
pub const PERIODS_MAX: usize = 16;

/// When a price of it holds, each week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Days on which it begins, Monday lowest.
    pub days: u8,
    /// When it begins, minutes since midnight.
    pub from_min: u16,
    /// When it is over; no later than `from_min`: on the next day.
    pub until_min: u16,
}

/// All periods of a tariff.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Whose clock counts.
    zone: TimeZone,
    periods: Vec<Period>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, periods: Vec::new() }
    }
}

impl Calendar {
    /// Of these periods, which rates name by their places.
    #[must_use]
    pub fn new(zone: TimeZone, periods: Vec<Period>) -> Self {
        Self { zone, periods }
    }

    /// Which periods an instant is in, the first one lowest; µs since 1970 UTC.
    #[must_use]
    pub fn at(&self, at_us: u64) -> u16 {
        let instant = i64::try_from(at_us).ok().map(jiff::Timestamp::from_microsecond);
        let Some(Ok(instant)) = instant else { return 0 };
        let clock = self.zone.to_datetime(instant);
        let minute = clock.hour() as u16 * 60 + clock.minute() as u16;
        let today = clock.weekday();
        let mut found = 0;
        for (place, period) in self.periods.iter().take(PERIODS_MAX).enumerate() {
            found |= u16::from(period.holds(today, minute)) << place;
        }
        found
    }
}

impl Period {
    fn holds(&self, today: Weekday, minute: u16) -> bool {
        let begins = |day: Weekday| self.days >> day.to_monday_zero_offset() & 1 == 1;
        if self.from_min < self.until_min {
            begins(today) && (self.from_min..self.until_min).contains(&minute)
        } else {
            begins(today) && minute >= self.from_min
                || begins(today.previous()) && minute < self.until_min
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKDAYS: u8 = 0b001_1111;
    const EVERY_DAY: u8 = 0b111_1111;

    fn calendar(zone: &str) -> Calendar {
        let minute = |hour: u16| hour * 60;
        let night = Period { days: WORKDAYS, from_min: minute(19), until_min: minute(8) };
        let noon = Period { days: EVERY_DAY, from_min: minute(12), until_min: minute(13) };
        let whole = Period { days: 1 << 6, from_min: 0, until_min: 0 };
        let spring = Period { days: EVERY_DAY, from_min: minute(2), until_min: minute(3) };
        Calendar::new(TimeZone::get(zone).unwrap(), vec![night, noon, whole, spring])
    }

    fn at(zone: &str, text: &str) -> u16 {
        let instant: jiff::Timestamp = text.parse().unwrap();
        calendar(zone).at(instant.as_microsecond() as u64)
    }

    #[test]
    fn a_period_is_half_open_and_may_cross_midnight() {
        // 2026-11-23 is a Monday.
        assert_eq!(at("UTC", "2026-11-23T18:59:59.999Z"), 0);
        assert_eq!(at("UTC", "2026-11-23T19:00:00Z"), 1);
        assert_eq!(at("UTC", "2026-11-24T07:59:59Z"), 1);
        assert_eq!(at("UTC", "2026-11-24T08:00:00Z"), 0);
        assert_eq!(at("UTC", "2026-11-24T12:30:00Z"), 2);
        // Friday's night ends on Saturday, and Sunday has none that begins.
        assert_eq!(at("UTC", "2026-11-28T07:00:00Z"), 1);
        assert_eq!(at("UTC", "2026-11-28T20:00:00Z"), 0);
        assert_eq!(at("UTC", "2026-11-29T20:00:00Z"), 4, "all of Sunday");
        assert_eq!(at("UTC", "2026-11-30T00:00:00Z"), 0, "and no more of Monday");
    }

    #[test]
    fn the_clock_is_that_of_the_tariff() {
        assert_eq!(at("Europe/Berlin", "2026-11-23T17:59:00Z"), 0);
        assert_eq!(at("Europe/Berlin", "2026-11-23T18:00:00Z"), 1);
        assert_eq!(at("America/New_York", "2026-11-23T23:59:00Z"), 0);
        assert_eq!(at("America/New_York", "2026-11-24T00:00:00Z"), 1, "it is Monday there");
    }

    #[test]
    fn a_skipped_hour_is_in_no_period_and_a_repeated_one_twice() {
        let minutes = |day: &str| {
            let midnight: jiff::Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
            let calendar = calendar("Europe/Berlin");
            let all = (0..180).map(|minute| midnight.as_microsecond() as u64 + minute * 60_000_000);
            all.filter(|at| calendar.at(*at) & 8 != 0).count()
        };
        assert_eq!(minutes("2026-03-29"), 0, "2:00 to 3:00 is not there");
        assert_eq!(minutes("2026-10-25"), 120, "2:00 to 3:00 comes twice");
        assert_eq!(minutes("2026-06-01"), 60);
    }

    #[test]
    fn an_instant_that_no_clock_shows_is_in_no_period() {
        assert_eq!(calendar("UTC").at(u64::MAX), 0);
    }
}
