//! The rates of tariffs.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use rating::Price;

use super::State;
use super::entity::{Entity, Kind, RateRow, TariffHead};
use crate::Refusal;

impl State {
    pub(super) fn tariff_head(&self, name: &str) -> Result<&TariffHead, Refusal> {
        match self.document(Kind::Tariff, name)? {
            Entity::Tariff(tariff) => Ok(tariff),
            _ => Err(Refusal::missing("tariff", name)),
        }
    }

    /// The rates of a tariff with a prefix behind this one, by prefix; `None`: all.
    ///
    /// # Errors
    /// When there is no such tariff.
    pub fn rates(
        &self,
        tariff: &str,
        behind: Option<&str>,
    ) -> Result<impl Iterator<Item = &RateRow>, Refusal> {
        let id = self.tariff_head(tariff)?.id;
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (behind, Bound::<&str>::Unbounded);
        let rows = self.rates.get(&id).into_iter();
        Ok(rows.flat_map(move |rows| rows.range::<str, _>(range)).map(|(_, row)| row))
    }

    /// How many rates a tariff has.
    #[must_use]
    pub fn rate_count(&self, tariff: u32) -> usize {
        self.rates.get(&tariff).map_or(0, BTreeMap::len)
    }

    /// Puts rates into a tariff, in place of all it had when `replace`. Its head with the new version.
    ///
    /// # Errors
    /// When there is no such tariff, or one of the rates cannot be; then none is changed.
    pub fn put_rates(
        &mut self,
        tariff: &str,
        rows: &[RateRow],
        replace: bool,
    ) -> Result<Entity, Refusal> {
        let mut head = self.tariff_head(tariff)?.clone();
        check_rates(rows)?;
        head.version += 1;
        let rates = self.rates.entry(head.id).or_default();
        if replace {
            rates.clear();
        }
        for row in rows {
            rates.insert(row.prefix.clone(), row.clone());
        }
        self.put(Entity::Tariff(head.clone()));
        Ok(Entity::Tariff(head))
    }

    /// Takes one rate out.
    ///
    /// # Errors
    /// When there is no such tariff or rate.
    pub fn remove_rate(&mut self, tariff: &str, prefix: &str) -> Result<Entity, Refusal> {
        let mut head = self.tariff_head(tariff)?.clone();
        head.version += 1;
        let gone = self.rates.get_mut(&head.id).and_then(|rates| rates.remove(prefix));
        gone.ok_or_else(|| Refusal::missing("rate", prefix))?;
        self.put(Entity::Tariff(head.clone()));
        Ok(Entity::Tariff(head))
    }

    /// A rate from the store, at boot.
    pub fn restore_rate(&mut self, tariff: u32, row: RateRow) {
        self.rates.entry(tariff).or_default().insert(row.prefix.clone(), row);
    }

    /// The price of a number in a tariff.
    #[must_use]
    pub fn price(&self, tariff: u32, number: &[u8]) -> Option<Price> {
        self.tariffs.get(&tariff)?.price(number)
    }
}

/// Every rate can be, and no prefix has two prices.
fn check_rates(rows: &[RateRow]) -> Result<(), Refusal> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (place, row) in (1..).zip(rows) {
        let refuse =
            |what: &str| Refusal::invalid(format!("rate {place} ({:?}): {what}", row.prefix));
        row.check().map_err(|refusal| refuse(&refusal.detail))?;
        if let Some(first) = seen.insert(&row.prefix, place) {
            return Err(refuse(&format!("it is rate {first} as well; keep one of them")));
        }
    }
    Ok(())
}
