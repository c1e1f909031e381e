//! What differs between two versions of prices: of one tariff at two instants, or of two tariffs.

use std::collections::{BTreeMap, BTreeSet};

use rating::Money;

use super::compare::{Held, in_force};
use crate::state::entity::RateRow;
use crate::state::moment::When;

/// What becomes of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fares {
    /// There was none.
    New,
    /// It costs more per minute.
    Increase,
    /// It costs less.
    Decrease,
    /// It costs the same, by other steps, fees or sections, or may be called again or no more.
    Changed,
    /// There is none any more.
    Closed,
}

impl Fares {
    /// The word of the API, as vendors' sheets have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Increase => "increase",
            Self::Decrease => "decrease",
            Self::Changed => "changed",
            Self::Closed => "closed",
        }
    }
}

/// One rate that differs.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What becomes of it.
    pub fares: Fares,
    /// The row before; none: there was none.
    pub old: Option<RateRow>,
    /// The row after.
    pub new: Option<RateRow>,
}

impl Difference {
    /// Prefix, origin and period, which order them.
    #[must_use]
    pub fn key(&self) -> (&str, &str, &str) {
        self.new.as_ref().or(self.old.as_ref()).map_or(("", "", ""), key)
    }
}

fn key(row: &RateRow) -> (&str, &str, &str) {
    (&row.prefix, &row.origin, &row.period)
}

/// Rows that hold at an instant.
fn holding<'h>(held: Held<'h>, at: When) -> BTreeMap<(&'h str, &'h str, &'h str), &'h RateRow> {
    let mut all: BTreeMap<_, Vec<&RateRow>> = BTreeMap::new();
    for row in held.rows.values() {
        all.entry(key(row)).or_default().push(row);
    }
    let holds = |(key, mut rows): (_, Vec<&'h RateRow>)| {
        rows.sort_by_key(|row| row.effective);
        Some((key, in_force(rows.into_iter(), at)?))
    };
    all.into_iter().filter_map(holds).collect()
}

/// All that differs, by prefix, origin and period.
#[must_use]
pub fn diff(old: (Held<'_>, When), new: (Held<'_>, When)) -> Vec<Difference> {
    let (before, after) = (holding(old.0, old.1), holding(new.0, new.1));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let differs = |key| {
        let (was, is): (Option<&&RateRow>, Option<&&RateRow>) = (before.get(&key), after.get(&key));
        let fares = match (was, is) {
            (None, None) => return None,
            (None, Some(_)) => Fares::New,
            (Some(_), None) => Fares::Closed,
            (Some(was), Some(is)) => fares((old.0, was), (new.0, is))?,
        };
        let row = |row: Option<&&RateRow>| row.map(|row| (*row).clone());
        Some(Difference { fares, old: row(was), new: row(is) })
    };
    keys.into_iter().filter_map(differs).collect()
}

/// `None`: both charge the same.
fn fares(old: (Held<'_>, &RateRow), new: (Held<'_>, &RateRow)) -> Option<Fares> {
    let minute = |(held, row): (Held<'_>, &RateRow)| {
        let unit_s = row.unit_s.or(held.head.unit_s).unwrap_or(60).max(1);
        (i128::from(row.rate.billionths()), i128::from(unit_s))
    };
    let ((was, of), (is, per)) = (minute(old), minute(new));
    match (is * of).cmp(&(was * per)) {
        std::cmp::Ordering::Greater => return Some(Fares::Increase),
        std::cmp::Ordering::Less => return Some(Fares::Decrease),
        std::cmp::Ordering::Equal => {}
    }
    let whole = |(held, row): (Held<'_>, &RateRow)| {
        let head = held.head;
        let sections = row.sections.clone().or(head.sections.clone());
        let fee: Money = row.connection_fee.or(head.connection_fee).unwrap_or_default();
        (
            row.minimum_s.or(head.minimum_s).unwrap_or(1),
            row.increment_s.or(head.increment_s).unwrap_or(1),
            fee,
            sections.unwrap_or_default(),
            row.locked,
        )
    };
    (whole(old) != whole(new)).then_some(Fares::Changed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::state::entity::TariffHead;
    use crate::state::rate_rows::RateRows;

    #[test]
    fn two_instants_of_a_tariff_differ_by_what_charges_otherwise() {
        let head: TariffHead =
            serde_json::from_value(json!({"name": "t", "increment_s": 6})).unwrap();
        let rows: Vec<RateRow> = serde_json::from_value(json!([
            {"prefix": "1", "rate": "1"}, {"prefix": "1", "rate": "2", "effective": "2026-12-01T00:00:00Z"},
            {"prefix": "2", "rate": "1"}, {"prefix": "2", "rate": "0.01", "unit_s": 1, "effective": "2026-12-01T00:00:00Z"},
            {"prefix": "3", "rate": "1", "ends": "2026-12-01T00:00:00Z"},
            {"prefix": "4", "rate": "1", "effective": "2026-12-01T00:00:00Z"},
            {"prefix": "5", "rate": "1"}, {"prefix": "5", "rate": "1", "increment_s": 6, "effective": "2026-12-01T00:00:00Z"},
            {"prefix": "6", "rate": "1"}, {"prefix": "6", "rate": "1", "locked": true, "effective": "2026-12-01T00:00:00Z"},
            {"prefix": "7", "rate": "60"}, {"prefix": "7", "rate": "1", "unit_s": 1, "effective": "2026-12-01T00:00:00Z"},
            {"prefix": "8", "rate": "1"}, {"prefix": "8", "rate": "2", "origin": "49", "effective": "2026-12-01T00:00:00Z"},
        ]))
        .unwrap();
        let rows: RateRows = rows.into_iter().map(|row| (row.key(), row)).collect();
        let held = Held { head: &head, rows: &rows };
        let at = |text: &str| text.parse::<When>().unwrap();
        let (before, after) = (at("2026-11-30T23:59:59Z"), at("2026-12-01T00:00:00Z"));
        let found = diff((held, before), (held, after));
        let told: Vec<_> =
            found.iter().map(|it| (it.key().0, it.key().1, it.fares.name())).collect();
        let expected = [
            ("1", "", "increase"),
            ("2", "", "decrease"),
            ("3", "", "closed"),
            ("4", "", "new"),
            ("6", "", "changed"),
            ("8", "49", "new"),
        ];
        assert_eq!(told, expected);
        assert!(diff((held, before), (held, before)).is_empty());
    }
}
