//! Who pays by what: accounts by their names with the tariff of their gateways and phones, handed out by reference so
//! that files of other switches can be rated beside the loop.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rating::{Rounding, Tariff};

use super::State;
use super::entity::{Entity, Kind};
use crate::Refusal;

/// What an account pays by.
#[derive(Clone, Debug)]
pub struct Payer {
    /// Its currency.
    pub currency: String,
    /// Its tariff, if it has one.
    pub tariff: Option<Arc<Tariff>>,
    /// How many its gateways and phones have.
    pub tariffs: usize,
}

/// Accounts at one instant.
#[derive(Clone, Debug, Default)]
pub struct Payers {
    /// Those of the names that were asked for.
    pub by_name: HashMap<String, Payer>,
    /// The parameters that shape a charge.
    pub rounding: Rounding,
    /// Prefixes that cost customers nothing, with a comma behind each but the last.
    pub free: String,
}

impl Payers {
    /// Whether a number costs customers nothing.
    #[must_use]
    pub fn is_free(&self, callee: &str) -> bool {
        self.free.split(',').any(|prefix| !prefix.is_empty() && callee.starts_with(prefix))
    }
}

/// Whose side of a call is rated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is sold: by mapping gateways and phones.
    Customer,
    /// What is bought: by routing gateways.
    Vendor,
}

impl State {
    /// What accounts of these names pay by: their tariffs, or this one for all. Names that nobody has are left out.
    ///
    /// # Errors
    /// When there is no such tariff.
    pub(crate) fn payers(
        &self,
        names: &BTreeSet<String>,
        side: Side,
        tariff: Option<&str>,
    ) -> Result<HashMap<String, Payer>, Refusal> {
        let named = tariff.map(|name| self.tariff_head(name)).transpose()?;
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let kinds: &[Kind] = match side {
            Side::Customer => &[Kind::Mapping, Kind::Phone],
            Side::Vendor => &[Kind::Routing],
        };
        for entity in kinds.iter().flat_map(|kind| self.documents(*kind)) {
            let (account, tariff) = match entity {
                Entity::Mapping(gateway) => (&gateway.account, &gateway.tariff),
                Entity::Routing(gateway) => (&gateway.account, &gateway.tariff),
                Entity::Phone(phone) => (&phone.account, &phone.tariff),
                _ => continue,
            };
            if !tariff.is_empty() && names.contains(account) {
                found.entry(account).or_default().insert(tariff);
            }
        }
        let mut payers = HashMap::new();
        for name in names {
            let Ok(account) = self.account(name) else { continue };
            let tariffs = found.remove(name.as_str()).unwrap_or_default();
            let head = match (named, tariffs.len(), tariffs.first()) {
                (Some(head), ..) => Some(head),
                (None, 1, Some(only)) => Some(self.tariff_head(only)?),
                _ => None,
            };
            let tariff = head.and_then(|head| self.tariffs.get(&head.id)).cloned();
            let currency = account.currency.clone();
            payers.insert(name.clone(), Payer { currency, tariff, tariffs: tariffs.len() });
        }
        Ok(payers)
    }
}
