//! When periods begin and end: by the calendar of the account's zone, each counted from the first, so that a month that
//! is short moves none behind it.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::state::entity::Span;

/// When the `count`th period behind the one that began at `anchor_us` begins, µs since 1970 UTC. What no calendar has is
/// never.
#[must_use]
pub fn begins_us(anchor_us: u64, zone: &str, span: Span, count: u32) -> u64 {
    let instant = i64::try_from(anchor_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    // A zone was found when it was entered.
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let count = i64::from(count);
    let length = match span {
        Span::Day => 1.day().checked_mul(count),
        Span::Week => 1.week().checked_mul(count),
        Span::Month => 1.month().checked_mul(count),
    };
    let begins = instant.zip(length.ok()).and_then(|(instant, length)| {
        instant.to_zoned(zone).checked_add(length).ok().map(|begins| begins.timestamp())
    });
    begins.and_then(|begins| u64::try_from(begins.as_microsecond()).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_microsecond() as u64
    }

    #[test]
    fn a_short_month_moves_none_behind_it() {
        let anchor = at("2026-01-31T00:00:00Z");
        let begins = |count| begins_us(anchor, "UTC", Span::Month, count);
        assert_eq!(begins(0), anchor);
        assert_eq!(begins(1), at("2026-02-28T00:00:00Z"));
        assert_eq!(begins(2), at("2026-03-31T00:00:00Z"));
        assert_eq!(begins(13), at("2027-02-28T00:00:00Z"));
    }

    #[test]
    fn a_day_is_that_of_the_zone_however_long_it_is() {
        let anchor = at("2026-03-28T23:00:00Z");
        let begins = |span, count| begins_us(anchor, "Europe/Berlin", span, count);
        // Midnight to midnight, of which the first day has 23 hours.
        assert_eq!(begins(Span::Day, 1), at("2026-03-29T22:00:00Z"));
        assert_eq!(begins(Span::Day, 2), at("2026-03-30T22:00:00Z"));
        assert_eq!(begins(Span::Week, 1), at("2026-04-04T22:00:00Z"));
    }

    #[test]
    fn what_no_calendar_has_is_never() {
        assert_eq!(begins_us(at("2026-01-31T00:00:00Z"), "UTC", Span::Month, u32::MAX), u64::MAX);
        assert_eq!(begins_us(u64::MAX, "UTC", Span::Day, 1), u64::MAX);
    }
}
