//! Tables of large tariffs: built beside the loop, which decides by the one before until the new one is there.
//!
//! A sheet of a million rates takes a second to sort and index; calls do not wait for that. Small ones are built at once.
//! The rates are changed on meanwhile (`rate_rows.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rating::tariff::{Caller, Row};
use rating::{Calendar, Price, Tariff};

use super::State;
use super::entity::{TariffHead, UNKNOWN};
use super::rate_rows::RateRows;
use super::rates::priced;

/// So many rates are built within some milliseconds, while the loop waits.
const AT_ONCE: usize = 5_000;

/// What a table is made of, at one moment.
#[derive(Debug)]
pub struct Build {
    tariff: u32,
    rows: Arc<RateRows>,
    whole: TariffHead,
    base: Price,
}

/// A table that is ready.
#[derive(Debug)]
pub struct Built {
    tariff: u32,
    table: Arc<Tariff>,
}

impl Build {
    /// Sorts and indexes; this takes its time.
    #[must_use]
    pub fn run(self) -> Built {
        let Self { tariff, rows, whole, base } = self;
        let week = whole.week();
        let zone = TimeZone::get(whole.time_zone.as_deref().unwrap_or("UTC"));
        let periods = week.iter().map(|(_, period)| *period).collect();
        let calendar = Calendar::new(zone.unwrap_or(TimeZone::UTC), periods);
        let rows = rows.values().filter_map(|row| {
            let period = week.iter().position(|(name, _)| *name == &*row.period);
            Some(Row {
                prefix: row.prefix.clone(),
                caller: match &*row.origin {
                    "" => Caller::Any,
                    UNKNOWN => Caller::Unknown,
                    prefix => Caller::Prefix(prefix.to_owned()),
                },
                period: match &*row.period {
                    "" => None,
                    // Every name was found once at entry, so no rate is lost here.
                    _ => Some(u8::try_from(period?).ok()?),
                },
                from_us: row.effective.map_or(0, |when| when.0),
                until_us: row.ends.map_or(u64::MAX, |when| when.0),
                price: priced(base, &whole, row),
            })
        });
        Built { tariff, table: Arc::new(Tariff::build(rows, calendar)) }
    }
}

/// Tables that are to be built. Each wish has a number, and they are built one at a time, the oldest wish first.
#[derive(Debug)]
pub(super) struct Tables {
    /// Of so many rates they are built at once.
    at_once: usize,
    /// By the oldest wish: whose table.
    wanted: BTreeMap<u64, u32>,
    /// The wish that is being built for whom, unless that is out of date.
    building: Option<(u64, Option<u32>)>,
    wishes: u64,
}

impl Default for Tables {
    fn default() -> Self {
        Self { at_once: AT_ONCE, wanted: BTreeMap::new(), building: None, wishes: 0 }
    }
}

impl Tables {
    fn want(&mut self, tariff: u32) {
        self.wishes += 1;
        // What waits already will be built of what is there then.
        if !self.wanted.values().any(|waits| *waits == tariff) {
            self.wanted.insert(self.wishes, tariff);
        }
    }

    /// A newer table is there, or nothing at all.
    fn drop(&mut self, tariff: u32) {
        self.wanted.retain(|_, waits| *waits != tariff);
        if let Some((_, of)) = &mut self.building {
            *of = of.filter(|of| *of != tariff);
        }
    }

    /// The last wish before which all are fulfilled.
    fn fulfilled(&self) -> u64 {
        let first = self.wanted.keys().next().copied();
        let building = self.building.map(|(wish, _)| wish);
        first.into_iter().chain(building).min().map_or(self.wishes, |open| open - 1)
    }
}

impl State {
    /// A tariff's rates or terms changed: its table follows, at once if it is small.
    pub(super) fn table_changed(&mut self, head: &TariffHead) {
        if self.rate_count(head.id) > self.tables.at_once && self.tariffs.contains_key(&head.id) {
            return self.tables.want(head.id);
        }
        self.tables.drop(head.id);
        let Built { tariff, table } = self.build(head).run();
        self.tariffs.insert(tariff, table);
    }

    /// A tariff is no more.
    pub(super) fn table_gone(&mut self, tariff: u32) {
        self.tables.drop(tariff);
        self.tariffs.remove(&tariff);
    }

    /// Of what a tariff's table is made now.
    pub(super) fn build(&self, head: &TariffHead) -> Build {
        let whole = self.whole_head(head);
        let base = self.base_price(&whole);
        let rows = self.rates.get(&head.id).map(Arc::clone).unwrap_or_default();
        Build { tariff: head.id, rows, whole, base }
    }

    /// The next table that is to be built beside the loop, once the one before is [taken](Self::take_table).
    pub fn poll_build(&mut self) -> Option<Build> {
        if self.tables.building.is_some() {
            return None;
        }
        let (wish, tariff) = self.tables.wanted.pop_first()?;
        let head = self.tariff_of(tariff)?.clone();
        self.tables.building = Some((wish, Some(tariff)));
        Some(self.build(&head))
    }

    /// From now on calls are rated by that table, unless there is a newer one.
    pub fn take_table(&mut self, built: Built) {
        if let Some((_, Some(tariff))) = self.tables.building.take()
            && tariff == built.tariff
        {
            self.tariffs.insert(tariff, built.table);
        }
    }

    /// How many changes of tariffs asked for a table that is built beside the loop.
    #[must_use]
    pub fn tables_wanted(&self) -> u64 {
        self.tables.wishes
    }

    /// The last of them that is in force, with all before it.
    #[must_use]
    pub fn tables_in_force(&self) -> u64 {
        self.tables.fulfilled()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rating::Asked;
    use serde_json::json;

    use super::*;
    use crate::state::entity::{Entity, Kind, RateRow};

    fn row(prefix: &str, cents: u32) -> RateRow {
        let rate = format!("0.{cents:02}");
        serde_json::from_value(json!({"prefix": prefix, "rate": rate})).unwrap()
    }

    /// Tariffs of more than `at_once` rates are built beside the loop.
    fn state(at_once: usize) -> State {
        let mut state = State::default();
        state.tables.at_once = at_once;
        for tariff in [json!({"name": "t"}), json!({"name": "u", "template": "t"})] {
            state.create(Kind::Tariff, tariff).unwrap();
        }
        state
    }

    fn rate(state: &State, tariff: &str, callee: &str) -> Option<String> {
        let id = state.document(Kind::Tariff, tariff).unwrap().id();
        let asked = Asked { callee: callee.as_bytes(), caller: None, at_us: 0 };
        state.price(id, &asked).map(|price| price.rate.to_string())
    }

    #[test]
    fn a_large_tariff_goes_by_its_former_table_until_the_new_one_is_there() {
        let mut state = state(1);
        state.put_rates("t", &[row("44", 1)], false).unwrap();
        state.put_rates("t", &[row("39", 2)], false).unwrap();
        assert_eq!((rate(&state, "t", "44"), rate(&state, "t", "39")), (Some("0.01".into()), None));
        assert_eq!((state.tables_wanted(), state.tables_in_force()), (1, 0));
        let build = state.poll_build().unwrap();
        // What is changed meanwhile is built afterwards.
        state.put_rates("t", &[row("44", 3)], false).unwrap();
        assert!(state.poll_build().is_none(), "one at a time");
        state.take_table(build.run());
        assert_eq!(rate(&state, "t", "39").as_deref(), Some("0.02"));
        assert_eq!((state.tables_wanted(), state.tables_in_force()), (2, 1));
        let build = state.poll_build().unwrap();
        state.take_table(build.run());
        assert_eq!(rate(&state, "t", "44").as_deref(), Some("0.03"));
        assert_eq!((state.tables_wanted(), state.tables_in_force()), (2, 2));
    }

    #[test]
    fn a_table_that_is_out_of_date_when_it_is_ready_is_not_taken() {
        let mut state = state(1);
        state.put_rates("t", &[row("44", 1)], false).unwrap();
        state.put_rates("t", &[row("39", 2)], false).unwrap();
        let build = state.poll_build().unwrap();
        // Small again, so that it is built at once.
        state.put_rates("t", &[row("44", 5)], true).unwrap();
        state.take_table(build.run());
        assert_eq!((rate(&state, "t", "44"), rate(&state, "t", "39")), (Some("0.05".into()), None));
        state.put_rates("t", &[row("39", 2)], false).unwrap();
        let build = state.poll_build().unwrap();
        state.delete(Kind::Tariff, "u").unwrap();
        state.delete(Kind::Tariff, "t").unwrap();
        state.take_table(build.run());
        assert!(state.tariffs.is_empty());
        assert_eq!(state.tables_wanted(), state.tables_in_force());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(bool, BTreeMap<u8, u32>, bool),
        Remove(bool, u8),
        Minimum(u32),
        Order,
        Take,
    }

    fn step() -> impl Strategy<Value = Step> {
        let rows = prop::collection::btree_map(1..9_u8, 1..99_u32, 1..6);
        prop_oneof![
            4 => (any::<bool>(), rows, any::<bool>()).prop_map(|(u, rows, all)| Step::Put(u, rows, all)),
            2 => (any::<bool>(), 1..9_u8).prop_map(|(u, prefix)| Step::Remove(u, prefix)),
            1 => (1..90_u32).prop_map(Step::Minimum),
            3 => Just(Step::Order),
            3 => Just(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn in_the_end_every_price_is_what_the_rates_say(steps in prop::collection::vec(step(), 1..40)) {
            let mut state = state(3);
            let mut ready = None;
            for step in steps {
                match step {
                    Step::Put(u, rows, all) => {
                        let rows: Vec<RateRow> =
                            rows.into_iter().map(|(prefix, cents)| row(&prefix.to_string(), cents)).collect();
                        state.put_rates(if u { "u" } else { "t" }, &rows, all).unwrap();
                    }
                    Step::Remove(u, prefix) => {
                        let key = row(&prefix.to_string(), 1).key();
                        let _ = state.remove_rate(if u { "u" } else { "t" }, &key);
                    }
                    Step::Minimum(seconds) => {
                        state.update(Kind::Tariff, "t", &json!({"minimum_s": seconds})).unwrap();
                    }
                    Step::Order => ready = ready.or(state.poll_build().map(Build::run)),
                    Step::Take => drop(ready.take().map(|built| state.take_table(built))),
                }
            }
            while let Some(built) = ready.take().or_else(|| state.poll_build().map(Build::run)) {
                state.take_table(built);
            }
            prop_assert_eq!(state.tables_wanted(), state.tables_in_force());
            for tariff in ["t", "u"] {
                let Ok(Entity::Tariff(head)) = state.document(Kind::Tariff, tariff) else { panic!() };
                let table = state.build(&head.clone()).run().table;
                for prefix in 1..9_u8 {
                    let callee = prefix.to_string();
                    let asked = Asked { callee: callee.as_bytes(), caller: None, at_us: 0 };
                    prop_assert_eq!(state.price(head.id, &asked), table.price(&asked));
                }
            }
        }
    }
}
