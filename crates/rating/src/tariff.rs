//! Prices by prefix, origin, period and instant.
//!
//! A row is in force from one instant until another, in one period of the week or always, for callers of one origin
//! or for all. What comes into force later stands in the table already, so nobody has to wake up for it. Longest
//! callee prefix first, then longest origin, then the period; a prefix none of whose rows is in force for a call
//! leaves it to the next shorter one.

use std::collections::HashMap;

use numbers::PrefixTable;

use crate::{Calendar, Origin, Price};

/// Places from here on are of prefixes with several rows.
const SEVERAL: u32 = 1 << 31;

/// For whose calls a row is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// For those of whom no other row of the prefix says more.
    #[default]
    Any,
    /// For those who call by no number, or an invalid one.
    Unknown,
    /// For those whose number begins so.
    Prefix(String),
}

/// A price and when it holds for whom.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the callee begins with.
    pub prefix: String,
    /// Whose calls.
    pub caller: Caller,
    /// Place of its period in the calendar; none: always.
    pub period: Option<u8>,
    /// In force from here on, µs since 1970 UTC; 0: ever.
    pub from_us: u64,
    /// And until here, excluded; `u64::MAX`: for ever.
    pub until_us: u64,
    /// What it costs.
    pub price: Price,
}

impl Row {
    /// Always, and for everybody.
    #[must_use]
    pub fn always(prefix: String, price: Price) -> Self {
        Self { prefix, caller: Caller::Any, period: None, from_us: 0, until_us: u64::MAX, price }
    }

    fn is_plain(&self) -> bool {
        self.caller == Caller::Any
            && self.period.is_none()
            && (self.from_us, self.until_us) == (0, u64::MAX)
    }
}

/// What a price is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The number as billed.
    pub callee: &'a [u8],
    /// Who calls, as billed; none: no number, or an invalid one.
    pub caller: Option<&'a [u8]>,
    /// The instant of the INVITE, µs since 1970 UTC.
    pub at_us: u64,
}

/// One of several rows of a prefix.
#[derive(Clone, Debug)]
struct Held {
    caller: Caller,
    period: Option<u8>,
    from_us: u64,
    until_us: u64,
    price: u32,
}

/// Prices by prefix. Immutable; a change is a new version.
///
/// A sheet of a million prefixes has some thousand prices: each stands here once, so that those which are
/// asked for stay in the cache.
#[derive(Clone, Debug, Default)]
pub struct Tariff {
    /// Which price a prefix has, or from [`SEVERAL`] on which several.
    prefixes: PrefixTable<u32>,
    several: Vec<Box<[Held]>>,
    prices: Vec<Price>,
    calendar: Calendar,
}

impl Tariff {
    /// A tariff of these rows. Of rows of the same prefix, caller and period each is in force until the next one
    /// is; of those that would be so from the same instant on, the last counts.
    #[must_use]
    pub fn build(rows: impl IntoIterator<Item = Row>, calendar: Calendar) -> Self {
        let mut places: HashMap<Price, u32> = HashMap::new();
        let mut prices = Vec::new();
        let mut place = |price: Price| {
            *places.entry(price).or_insert_with(|| {
                prices.push(price);
                prices.len() as u32 - 1
            })
        };
        let mut plain: Vec<(String, u32)> = Vec::new();
        let mut special: HashMap<String, Vec<Held>> = HashMap::new();
        for row in rows {
            let price = place(row.price);
            if row.is_plain() {
                plain.push((row.prefix, price));
            } else {
                let Row { prefix, caller, period, from_us, until_us, .. } = row;
                let held = Held { caller, period, from_us, until_us, price };
                special.entry(prefix).or_default().push(held);
            }
        }
        if !special.is_empty() {
            plain.retain(|(prefix, price)| match special.get_mut(prefix) {
                Some(rows) => {
                    let (caller, period) = (Caller::Any, None);
                    let held =
                        Held { caller, period, from_us: 0, until_us: u64::MAX, price: *price };
                    rows.insert(0, held);
                    false
                }
                None => true,
            });
        }
        let mut several = Vec::with_capacity(special.len());
        for (prefix, rows) in special {
            plain.push((prefix, SEVERAL + several.len() as u32));
            several.push(in_turn(rows));
        }
        Self { prefixes: PrefixTable::build(plain), several, prices, calendar }
    }

    /// The price of a call.
    #[must_use]
    pub fn price(&self, asked: &Asked<'_>) -> Option<Price> {
        let (digits, place) = self.prefixes.longest(asked.callee)?;
        if place < SEVERAL {
            return self.found(digits, place, Origin::Any);
        }
        let periods = self.calendar.at(asked.at_us);
        self.prefixes.matching(asked.callee).find_map(|(digits, place)| {
            let Some(several) = place.checked_sub(SEVERAL) else {
                return self.found(digits, place, Origin::Any);
            };
            let rows = self.several.get(several as usize)?;
            let fits = rows.iter().filter(|row| row.fits(asked, periods));
            let row = fits.max_by_key(|row| row.rank())?;
            self.found(digits, row.price, row.origin())
        })
    }

    fn found(&self, digits: usize, place: u32, origin: Origin) -> Option<Price> {
        let price = self.prices.get(place as usize)?;
        Some(Price { prefix_digits: digits as u8, origin, ..*price })
    }

    /// How many prefixes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }
}

impl Held {
    fn fits(&self, asked: &Asked<'_>, periods: u16) -> bool {
        let caller = match &self.caller {
            Caller::Any => true,
            Caller::Unknown => asked.caller.is_none(),
            Caller::Prefix(prefix) => {
                asked.caller.is_some_and(|caller| caller.starts_with(prefix.as_bytes()))
            }
        };
        caller
            && (self.from_us..self.until_us).contains(&asked.at_us)
            && self.period.is_none_or(|period| periods >> period & 1 == 1)
    }

    /// Longest origin first, then the first period, then none.
    fn rank(&self) -> (usize, u8) {
        let origin = match &self.caller {
            Caller::Any => 0,
            Caller::Unknown => 1,
            Caller::Prefix(prefix) => prefix.len(),
        };
        (origin, self.period.map_or(0, |period| u8::MAX - period))
    }

    fn origin(&self) -> Origin {
        match &self.caller {
            Caller::Any => Origin::Any,
            Caller::Unknown => Origin::Unknown,
            Caller::Prefix(prefix) => Origin::Prefix(prefix.len() as u8),
        }
    }
}

/// Each until the next of its caller and period.
fn in_turn(mut rows: Vec<Held>) -> Box<[Held]> {
    // Stable: of those that begin together the last stays last.
    rows.sort_by(|one, other| {
        let key = |row: &Held| (row.period, row.from_us);
        one.caller.cmp(&other.caller).then(key(one).cmp(&key(other)))
    });
    let ends: Vec<Option<u64>> = rows
        .iter()
        .zip(rows.iter().skip(1))
        .map(|(row, next)| {
            let same = (&row.caller, row.period) == (&next.caller, next.period);
            same.then_some(next.from_us)
        })
        .collect();
    for (row, end) in rows.iter_mut().zip(ends) {
        row.until_us = row.until_us.min(end.unwrap_or(u64::MAX));
    }
    rows.retain(|row| row.from_us < row.until_us);
    rows.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Period;
    use crate::price::per_minute;

    fn row(prefix: &str, rate: &str) -> Row {
        Row::always(prefix.to_owned(), per_minute(rate, 1, 1))
    }

    fn built(rows: &[Row]) -> Tariff {
        let night = Period { days: 0x7f, from_min: 20 * 60, until_min: 8 * 60 };
        Tariff::build(rows.to_vec(), Calendar::new(jiff::tz::TimeZone::UTC, vec![night]))
    }

    fn rate(tariff: &Tariff, callee: &str, caller: Option<&str>, at_us: u64) -> Option<String> {
        let caller = caller.map(str::as_bytes);
        let price = tariff.price(&Asked { callee: callee.as_bytes(), caller, at_us })?;
        Some(price.rate.to_string())
    }

    #[test]
    fn the_price_of_a_number_is_that_of_its_longest_prefix() {
        let tariff = built(&[row("44", "0.01"), row("4420", "0.02")]);
        assert_eq!(rate(&tariff, "442071", None, 7).as_deref(), Some("0.02"));
        assert_eq!(rate(&tariff, "441130", None, 7).as_deref(), Some("0.01"));
        assert_eq!(rate(&tariff, "33", None, 7), None);
    }

    #[test]
    fn the_longest_callee_prefix_wins_and_then_the_longest_origin() {
        let from = |prefix: &str, caller: &str, rate: &str| Row {
            caller: Caller::Prefix(caller.to_owned()),
            ..row(prefix, rate)
        };
        let unknown = Row { caller: Caller::Unknown, ..row("44", "0.09") };
        let tariff = built(&[
            row("44", "0.05"),
            from("44", "33", "0.02"),
            from("44", "331", "0.01"),
            unknown,
            from("4420", "49", "0.04"),
        ]);
        let priced = |callee: &str, caller: Option<&str>| {
            let caller = caller.map(str::as_bytes);
            let asked = Asked { callee: callee.as_bytes(), caller, at_us: 1 };
            let price = tariff.price(&asked).unwrap();
            (price.rate.to_string(), price.prefix_digits, price.origin)
        };
        assert_eq!(priced("4411", Some("3314")), ("0.01".into(), 2, Origin::Prefix(3)));
        assert_eq!(priced("4411", Some("334")), ("0.02".into(), 2, Origin::Prefix(2)));
        assert_eq!(priced("4411", Some("1")), ("0.05".into(), 2, Origin::Any));
        assert_eq!(priced("4411", None), ("0.09".into(), 2, Origin::Unknown));
        assert_eq!(priced("4420", Some("49")), ("0.04".into(), 4, Origin::Prefix(2)));
        assert_eq!(
            priced("4420", Some("331")),
            ("0.01".into(), 2, Origin::Prefix(3)),
            "no default"
        );
    }

    #[test]
    fn a_row_comes_into_force_at_its_instant_and_ends_at_it() {
        let later = Row { from_us: 100, ..row("44", "0.02") };
        let last = Row { from_us: 200, until_us: 300, ..row("44", "0.03") };
        let tariff = built(&[row("44", "0.01"), last, later, row("4", "0.07")]);
        let at = |at_us| rate(&tariff, "44", None, at_us).unwrap();
        assert_eq!([at(0), at(99), at(100)], ["0.01", "0.01", "0.02"]);
        assert_eq!([at(199), at(200), at(299)], ["0.02", "0.03", "0.03"]);
        assert_eq!(at(300), "0.07", "what was replaced does not come back");
    }

    #[test]
    fn a_period_goes_before_the_rest_of_the_day() {
        let night = Row { period: Some(0), ..row("44", "0.01") };
        let tariff = built(&[
            row("44", "0.02"),
            night.clone(),
            row("4", "0.09"),
            Row { prefix: "49".into(), ..night },
        ]);
        let hour = 3_600_000_000;
        assert_eq!(rate(&tariff, "44", None, 8 * hour).as_deref(), Some("0.02"));
        assert_eq!(rate(&tariff, "44", None, 20 * hour).as_deref(), Some("0.01"));
        assert_eq!(rate(&tariff, "49", None, 20 * hour).as_deref(), Some("0.01"));
        assert_eq!(rate(&tariff, "49", None, 8 * hour).as_deref(), Some("0.09"));
    }
}
