//! What a vendor's sheet is compared with beside the loop: his tariff, and what calls are sold by. By reference, so
//! that handing it out costs the loop no time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::State;
use super::entity::{Entity, Kind, RateRow, SheetMapping, TariffHead};
use super::rate_rows::RateRows;
use crate::Refusal;
use crate::sheet::losses::Sale;

/// Customers of a tariff that are named.
const CUSTOMERS_TOLD: usize = 10;

/// Tariffs at one instant.
#[derive(Clone, Debug)]
pub struct PriceLists {
    /// How the sheet is to be read.
    pub mapping: SheetMapping,
    /// The vendor's tariff, with all that it has of its template.
    pub head: TariffHead,
    /// Its rows by their keys.
    pub rows: Arc<RateRows>,
    /// What calls are sold by, in the same currency.
    pub sales: Vec<Sale>,
    /// Tariffs that calls are sold by in another one.
    pub sales_elsewhere: usize,
}

/// One tariff at one instant.
#[derive(Clone, Debug)]
pub struct Prices {
    /// Its head with all that it has of its template.
    pub head: TariffHead,
    /// Its rows by their keys.
    pub rows: Arc<RateRows>,
}

impl State {
    /// The prices of a tariff.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) fn prices(&self, tariff: &str) -> Result<Prices, Refusal> {
        let head = self.tariff_head(tariff)?;
        let rows = self.rates.get(&head.id).cloned().unwrap_or_default();
        Ok(Prices { head: self.whole_head(head), rows })
    }

    /// What a sheet for this tariff is compared with.
    ///
    /// # Errors
    /// When there is no such tariff or mapping.
    pub(crate) fn price_lists(&self, tariff: &str, mapping: &str) -> Result<PriceLists, Refusal> {
        let head = self.tariff_head(tariff)?;
        let Entity::Sheet(mapping) = self.document(Kind::Sheet, mapping)? else {
            return Err(Refusal::missing(Kind::Sheet.name(), mapping));
        };
        let mut sold: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for entity in self.documents(Kind::Mapping).chain(self.documents(Kind::Phone)) {
            let (tariff, account) = match entity {
                Entity::Mapping(gateway) => (&gateway.tariff, &gateway.account),
                Entity::Phone(phone) => (&phone.tariff, &phone.account),
                _ => continue,
            };
            if !tariff.is_empty() {
                sold.entry(tariff).or_default().insert(account);
            }
        }
        let (mut sales, mut sales_elsewhere) = (Vec::new(), 0);
        for (name, customers) in sold {
            let other = self.tariff_head(name)?;
            let (Some(prices), true) =
                (self.tariffs.get(&other.id), other.currency == head.currency)
            else {
                sales_elsewhere += 1;
                continue;
            };
            let some = customers.iter().take(CUSTOMERS_TOLD);
            sales.push(Sale {
                tariff: name.to_owned(),
                customers: some.map(|name| (*name).to_owned()).collect(),
                customers_all: customers.len(),
                prices: Arc::clone(prices),
                rows: self.rates.get(&other.id).cloned().unwrap_or_default(),
            });
        }
        Ok(PriceLists {
            mapping: mapping.clone(),
            head: self.whole_head(head),
            rows: self.rates.get(&head.id).cloned().unwrap_or_default(),
            sales,
            sales_elsewhere,
        })
    }

    /// Puts rows into a tariff and takes others out, if it is the one still that they were found by. Its head with
    /// the new version.
    ///
    /// # Errors
    /// When there is no such tariff, it changed meanwhile, or a row cannot be; then nothing is changed.
    pub(crate) fn change_rates(
        &mut self,
        tariff: &str,
        version: u32,
        rows: &[RateRow],
        gone: &[String],
    ) -> Result<Entity, Refusal> {
        let head = self.tariff_head(tariff)?;
        if head.version != version {
            let detail = format!(
                "tariff {tariff:?} changed while the sheet was compared with it; nothing was taken, send it again"
            );
            return Err(Refusal::new(409, "tariff changed", detail));
        }
        let id = head.id;
        let taken = self.put_rates(tariff, rows, false)?;
        if gone.is_empty() {
            return Ok(taken);
        }
        if let Some(rates) = self.rates.get_mut(&id).map(Arc::make_mut) {
            gone.iter().for_each(|key| drop(rates.remove(key)));
        }
        self.put(taken.clone());
        Ok(taken)
    }
}
