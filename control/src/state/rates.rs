//! The rates of tariffs.

use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use rating::{Asked, Money, Origin, Price};

use super::State;
use super::entity::section::Sections;
use super::entity::{Entity, Kind, RateRow, TariffHead};
use super::moment::When;
use crate::Refusal;

/// Templates behind each other.
const TEMPLATES_MAX: usize = 4;

impl State {
    pub(super) fn tariff_head(&self, name: &str) -> Result<&TariffHead, Refusal> {
        match self.document(Kind::Tariff, name)? {
            Entity::Tariff(tariff) => Ok(tariff),
            _ => Err(Refusal::missing("tariff", name)),
        }
    }

    /// The tariff with this id.
    pub(super) fn tariff_of(&self, id: u32) -> Option<&TariffHead> {
        self.tariff_head(self.name_of(Kind::Tariff, id)).ok()
    }

    /// The rates of a tariff with a key behind this one, by [`RateRow::key`]; `None`: all.
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
        let rows = self.rates.get(&id).into_iter();
        Ok(rows.flat_map(move |rows| rows.from(behind)).map(|(_, row)| row))
    }

    /// How many rates a tariff has.
    #[must_use]
    pub fn rate_count(&self, tariff: u32) -> usize {
        self.rates.get(&tariff).map_or(0, |rows| rows.len())
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
        check_periods(&self.whole_head(&head), rows)?;
        head.version += 1;
        let rates = Arc::make_mut(self.rates.entry(head.id).or_default());
        if replace {
            rates.clear();
        }
        for row in rows {
            rates.insert(row.key(), row.clone());
        }
        self.put(Entity::Tariff(head.clone()));
        Ok(Entity::Tariff(head))
    }

    /// Puts a sheet in the place of all rates from an instant on: what is not in it ends there, and what was to come
    /// later does not come. The head with the new version, the rates that changed, and the keys of those that are gone.
    ///
    /// # Errors
    /// When there is no such tariff, or one of the rates cannot be; then none is changed.
    pub fn schedule_rates(
        &mut self,
        tariff: &str,
        mut rows: Vec<RateRow>,
        at: When,
    ) -> Result<(Entity, Vec<RateRow>, Vec<String>), Refusal> {
        for row in &mut rows {
            row.effective = Some(row.effective.unwrap_or(at).max(at));
        }
        let id = self.tariff_head(tariff)?.id;
        let is_later = |row: &RateRow| row.effective.is_some_and(|when| when >= at);
        let old: Vec<RateRow> =
            self.rates.get(&id).into_iter().flat_map(|rows| rows.values()).cloned().collect();
        let (later, running): (Vec<RateRow>, Vec<RateRow>) = old.into_iter().partition(is_later);
        let running = running.into_iter().filter(|row| row.ends.is_none_or(|ends| ends > at));
        let mut changed: Vec<RateRow> =
            running.map(|row| RateRow { ends: Some(at), ..row }).collect();
        changed.append(&mut rows);
        let head = self.put_rates(tariff, &changed, false)?;
        let kept: HashSet<String> = changed.iter().map(RateRow::key).collect();
        let gone: Vec<String> =
            later.iter().map(RateRow::key).filter(|key| !kept.contains(key)).collect();
        if let Some(rates) = self.rates.get_mut(&id).map(Arc::make_mut) {
            gone.iter().for_each(|key| drop(rates.remove(key)));
        }
        if !gone.is_empty() {
            self.put(head.clone());
        }
        Ok((head, changed, gone))
    }

    /// Takes one rate out, by its [`RateRow::key`].
    ///
    /// # Errors
    /// When there is no such tariff or rate.
    pub fn remove_rate(&mut self, tariff: &str, key: &str) -> Result<Entity, Refusal> {
        let mut head = self.tariff_head(tariff)?.clone();
        head.version += 1;
        let rates = self.rates.get_mut(&head.id).map(Arc::make_mut);
        let gone = rates.and_then(|rates| rates.remove(key));
        gone.ok_or_else(|| Refusal::missing("rate", key))?;
        self.put(Entity::Tariff(head.clone()));
        Ok(Entity::Tariff(head))
    }

    /// A rate from the store, at boot.
    pub fn restore_rate(&mut self, tariff: u32, row: RateRow) {
        Arc::make_mut(self.rates.entry(tariff).or_default()).insert(row.key(), row);
    }

    /// The price of a call in a tariff.
    #[must_use]
    pub fn price(&self, tariff: u32, asked: &Asked<'_>) -> Option<Price> {
        self.tariffs.get(&tariff)?.price(asked)
    }

    /// The same where a prefix stands before the callee: a rate that ends within it says nothing of the call.
    #[must_use]
    pub fn price_behind(&self, tariff: u32, prefix: &str, asked: &Asked<'_>) -> Option<Price> {
        if prefix.is_empty() {
            return self.price(tariff, asked);
        }
        let callee = [prefix.as_bytes(), asked.callee].concat();
        let price = self.price(tariff, &Asked { callee: &callee, ..*asked });
        price.filter(|price| usize::from(price.prefix_digits) >= prefix.len())
    }

    /// What stands before the callee where a call by that gateway is charged by its route.
    #[must_use]
    pub fn billing_prefix(&self, gateway: u32) -> &str {
        self.routings.get(&gateway).map_or("", |gateway| &gateway.billing_prefix)
    }

    /// A head with all that it has of its template.
    pub(super) fn whole_head(&self, head: &TariffHead) -> TariffHead {
        let mut whole = head.clone();
        let mut template = head.template.as_str();
        // More of them than this are refused, and so is a circle.
        for _ in 0..TEMPLATES_MAX {
            let Ok(next) = self.tariff_head(template) else { break };
            whole = whole.over(next);
            template = &next.template;
        }
        whole
    }

    /// What must hold of a head: its template leads somewhere and not back, and its rates find their periods.
    pub(super) fn check_tariff(&self, head: &TariffHead) -> Result<(), Refusal> {
        let mut template = head.template.as_str();
        let mut steps = 0;
        while !template.is_empty() {
            steps += 1;
            if steps > TEMPLATES_MAX || template == head.name {
                let what = format!(
                    "template: a tariff has up to {TEMPLATES_MAX} behind each other, and none twice"
                );
                return Err(Refusal::invalid(what));
            }
            template = &self.tariff_head(template)?.template;
        }
        let rows = self.rates.get(&head.id).into_iter().flat_map(|rows| rows.values());
        check_periods(&self.whole_head(head), rows)
    }

    /// Tariffs that have something of this one follow it.
    pub(super) fn rebuild_derived(&mut self, template: &str) {
        let heads = self.documents(Kind::Tariff).filter_map(|entity| match entity {
            Entity::Tariff(head) => Some(head),
            _ => None,
        });
        let derived: Vec<TariffHead> =
            heads.filter(|head| self.descends(head, template)).cloned().collect();
        derived.iter().for_each(|head| self.table_changed(head));
    }

    fn descends(&self, head: &TariffHead, ancestor: &str) -> bool {
        let up = |head: &&TariffHead| self.tariff_head(&head.template).ok();
        let mut ancestors = std::iter::successors(up(&head), up).take(TEMPLATES_MAX);
        ancestors.any(|head| head.name == ancestor)
    }

    /// What all prices of a tariff have in common.
    pub(super) fn base_price(&self, whole: &TariffHead) -> Price {
        let number = |name: &str| self.values.number(name);
        let fee_unit =
            Money::from_billionths((number("SERVER_BILLING_FEE_UNIT") * 1_000).cast_signed());
        Price {
            tariff: whole.id,
            version: whole.version,
            prefix_digits: 0,
            origin: Origin::Any,
            locked: false,
            rate: Money::ZERO,
            unit_s: whole.unit_s.unwrap_or(60),
            minimum_s: whole.minimum_s.unwrap_or(1),
            increment_s: whole.increment_s.unwrap_or(1),
            sections: Default::default(),
            connection_fee: whole.connection_fee.unwrap_or_default(),
            fee_precision: whole
                .fee_precision
                .unwrap_or_else(|| u8::try_from(number("FEE_PRECISION")).unwrap_or(6)),
            rounding_mode: whole.mode().unwrap_or_default(),
            fee_unit: whole.fee_unit.unwrap_or(fee_unit),
            tax: whole.tax().unwrap_or(0),
        }
    }
}

/// The price of a row.
pub(super) fn priced(base: Price, whole: &TariffHead, row: &RateRow) -> Price {
    let increment_s = row.increment_s.unwrap_or(base.increment_s);
    let sections = match (&row.sections, &whole.sections) {
        (None, None) => None,
        (own, template) => Sections::over(own.clone(), template.clone()),
    };
    Price {
        locked: row.locked,
        rate: row.rate,
        unit_s: row.unit_s.unwrap_or(base.unit_s),
        minimum_s: row.minimum_s.unwrap_or(base.minimum_s),
        increment_s,
        sections: sections.map_or(base.sections, |all| all.sections(row.rate, increment_s)),
        connection_fee: row.connection_fee.unwrap_or(base.connection_fee),
        ..base
    }
}

/// Every period that rates name is there.
fn check_periods<'r>(
    whole: &TariffHead,
    rows: impl IntoIterator<Item = &'r RateRow>,
) -> Result<(), Refusal> {
    let week = whole.week();
    let known = |row: &RateRow| week.iter().any(|(name, _)| *name == &*row.period);
    match rows.into_iter().find(|row| !row.period.is_empty() && !known(row)) {
        None => Ok(()),
        Some(row) => Err(Refusal::invalid(format!(
            "period: the rate of {:?} names {:?}, and the tariff has no such period",
            row.prefix, row.period
        ))),
    }
}

/// Every rate can be, and no two are the same.
fn check_rates(rows: &[RateRow]) -> Result<(), Refusal> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (place, row) in (1..).zip(rows) {
        let refuse =
            |what: &str| Refusal::invalid(format!("rate {place} ({:?}): {what}", row.prefix));
        row.check().map_err(|refusal| refuse(&refusal.detail))?;
        if let Some(first) = seen.insert(row.key(), place) {
            return Err(refuse(&format!("it is rate {first} as well; keep one of them")));
        }
    }
    Ok(())
}
