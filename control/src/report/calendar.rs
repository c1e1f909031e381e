//! Hours, days and months of a time zone, as stretches of absolute time.
//!
//! Every moment is in exactly one of them. A day of summer time has 23 or 25 hours, an hour of a zone with
//! half hours begins at half past in UTC, and a clock that is put begins a new hour.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::Refusal;

/// Most stretches of one report: a year of hours, and some.
pub const BUCKETS_MAX: usize = 10_000;

const HOUR_US: i64 = 3_600_000_000;

/// How long a row's stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// All that was asked for.
    Whole,
    /// An hour by the wall clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From a first to the next.
    Month,
}

impl Every {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Hour, Self::Day, Self::Month];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn text(self, at: &Zoned) -> String {
        let format = match self {
            Self::Whole => return String::new(),
            Self::Hour => "%Y-%m-%d %H:00%:z",
            Self::Day => "%Y-%m-%d",
            Self::Month => "%Y-%m",
        };
        at.strftime(format).to_string()
    }

    /// When the next one begins.
    fn next(self, at: &Zoned) -> Option<i64> {
        let zone = at.time_zone();
        let mut date = match self {
            Self::Whole => return None,
            Self::Hour => return next_hour(at),
            Self::Day => at.date().tomorrow().ok()?,
            Self::Month => at.date().first_of_month().checked_add(1.month()).ok()?,
        };
        loop {
            let next = date.to_zoned(zone.clone()).ok()?;
            // A clock that was put back over midnight comes to the same date twice.
            if next.timestamp() > at.timestamp() {
                return Some(next.timestamp().as_microsecond());
            }
            date = date.tomorrow().ok()?;
        }
    }
}

fn next_hour(at: &Zoned) -> Option<i64> {
    let us = at.timestamp().as_microsecond();
    let local = us + i64::from(at.offset().seconds()) * 1_000_000;
    let next = us + HOUR_US - local.rem_euclid(HOUR_US);
    let mut put = at.time_zone().following(at.timestamp());
    let put = put.find(|put| put.offset() != at.offset());
    let put = put.map(|put| put.timestamp().as_microsecond());
    Some(put.map_or(next, |put| put.min(next)))
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Not before, µs since 1970 UTC.
    pub from_us: i64,
    /// Before, likewise.
    pub to_us: i64,
    /// As the zone names it.
    pub text: String,
}

/// The stretches from one moment to another.
///
/// # Errors
/// When there are too many.
pub fn buckets(
    from_us: i64,
    to_us: i64,
    zone: &TimeZone,
    every: Every,
) -> Result<Vec<Bucket>, Refusal> {
    let mut buckets = Vec::new();
    let mut at = from_us;
    while at < to_us {
        if buckets.len() == BUCKETS_MAX {
            let detail = format!("it has more than {BUCKETS_MAX} of them; ask for less, or by day");
            return Err(Refusal::new(422, "too long a time", detail));
        }
        let moment = Timestamp::from_microsecond(at)
            .map_err(|_| Refusal::invalid("from: that is before all calendars"))?
            .to_zoned(zone.clone());
        let next = every.next(&moment).unwrap_or(to_us).min(to_us);
        buckets.push(Bucket { from_us: at, to_us: next, text: every.text(&moment) });
        at = next;
    }
    Ok(buckets)
}

/// A moment as RFC 3339 writes it, or a date: its first moment in the zone. µs since 1970 UTC.
///
/// # Errors
/// When it is neither.
pub fn moment(field: &str, text: &str, zone: &TimeZone) -> Result<i64, Refusal> {
    let date = || {
        let date: jiff::civil::Date =
            if text.len() == 10 { text.parse().ok()? } else { return None };
        Some(date.to_zoned(zone.clone()).ok()?.timestamp())
    };
    text.parse().ok().or_else(date).map(Timestamp::as_microsecond).ok_or_else(|| {
        let like = "2026-01-31, or 2026-01-31T23:59:00+01:00";
        Refusal::invalid(format!("{field}: {text:?} is no date and no RFC 3339 time, like {like}"))
    })
}

/// A zone of the IANA database.
///
/// # Errors
/// When it has none of this name.
pub fn zone(name: &str) -> Result<TimeZone, Refusal> {
    TimeZone::get(name).map_err(|_| {
        let name: String = name.chars().take(64).collect();
        Refusal::invalid(format!("time_zone: {name:?} is no IANA time zone, like Europe/Berlin"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(zone_name: &str, from: &str, to: &str, every: Every) -> Vec<(i64, String)> {
        let zone = zone(zone_name).unwrap();
        let us = |text| moment("from", text, &zone).unwrap();
        let found = buckets(us(from), us(to), &zone, every).unwrap();
        let whole: i64 = found.iter().map(|it| it.to_us - it.from_us).sum();
        assert_eq!(whole, us(to) - us(from), "no moment is left out, none is in two");
        found.into_iter().map(|it| ((it.to_us - it.from_us) / 60_000_000, it.text)).collect()
    }

    #[test]
    fn days_of_summer_time_have_23_and_25_hours() {
        let spring = of("Europe/Berlin", "2026-03-28", "2026-03-31", Every::Day);
        let minutes: Vec<i64> = spring.iter().map(|it| it.0).collect();
        assert_eq!(minutes, [1_440, 1_380, 1_440]);
        assert_eq!(spring[1].1, "2026-03-29");
        let autumn = of("Europe/Berlin", "2026-10-25", "2026-10-26", Every::Hour);
        assert_eq!(autumn.len(), 25);
        assert_eq!(autumn[2].1, "2026-10-25 02:00+02:00");
        assert_eq!(autumn[3].1, "2026-10-25 02:00+01:00");
    }

    #[test]
    fn hours_of_a_zone_with_half_hours_begin_at_half_past() {
        let hours = of("Asia/Kolkata", "2026-01-31T10:00:00Z", "2026-01-31T12:00:00Z", Every::Hour);
        let told: Vec<(i64, &str)> = hours.iter().map(|it| (it.0, &*it.1)).collect();
        let expected = [
            (30, "2026-01-31 15:00+05:30"),
            (60, "2026-01-31 16:00+05:30"),
            (30, "2026-01-31 17:00+05:30"),
        ];
        assert_eq!(told, expected);
        // Clocks that are put by half an hour (Lord Howe) make a short hour of each.
        let put = of("Australia/Lord_Howe", "2026-04-05", "2026-04-06", Every::Hour);
        assert_eq!((put.len(), put.iter().map(|it| it.0).sum::<i64>()), (25, 24 * 60 + 30));
    }

    #[test]
    fn months_and_days_begin_where_the_zone_says_even_without_a_midnight() {
        let months = of("America/New_York", "2026-01-15", "2026-04-01", Every::Month);
        let names: Vec<&str> = months.iter().map(|it| &*it.1).collect();
        assert_eq!(names, ["2026-01", "2026-02", "2026-03"]);
        // Clocks went from 24:00 to 01:00, and back from 24:00 to 23:00; Samoa left a day out.
        assert_eq!(of("America/Sao_Paulo", "2018-11-03", "2018-11-06", Every::Day).len(), 3);
        assert_eq!(of("America/Sao_Paulo", "2018-02-17", "2018-02-19", Every::Day)[0].0, 1_500);
        assert_eq!(of("Pacific/Apia", "2011-12-29", "2012-01-01", Every::Day).len(), 2);
        // And over midnight at one past it (until 2006).
        assert!(of("America/St_Johns", "2005-10-29", "2005-11-01", Every::Day).len() >= 3);
    }

    #[test]
    fn too_many_stretches_and_times_that_are_none_are_refused() {
        let utc = zone("UTC").unwrap();
        let years = buckets(0, i64::MAX / 4, &utc, Every::Hour).unwrap_err();
        assert!(years.detail.contains("10000"), "{}", years.detail);
        for text in ["yesterday", "2026-02-30", "2026-01-31T10:00:00", ""] {
            assert!(moment("to", text, &utc).is_err(), "{text}");
        }
        assert!(zone("Europe/Atlantis").is_err());
    }
}
