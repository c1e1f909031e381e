//! Prices by prefix.

use std::collections::HashMap;

use numbers::PrefixTable;

use crate::Price;

/// Prices by prefix. Immutable; a change is a new version.
///
/// A sheet of a million prefixes has some thousand prices: each stands here once, so that those which are
/// asked for stay in the cache.
#[derive(Clone, Debug, Default)]
pub struct Tariff {
    /// Which price a prefix has.
    prefixes: PrefixTable<u32>,
    prices: Vec<Price>,
}

impl Tariff {
    /// A tariff of these prefixes.
    #[must_use]
    pub fn build(prices: impl IntoIterator<Item = (String, Price)>) -> Self {
        let mut places: HashMap<Price, u32> = HashMap::new();
        let mut distinct = Vec::new();
        let place = |(prefix, price): (String, Price)| {
            let price = Price { prefix_digits: 0, ..price };
            let place = *places.entry(price).or_insert_with(|| {
                distinct.push(price);
                distinct.len() as u32 - 1
            });
            (prefix, place)
        };
        let prefixes = PrefixTable::build(prices.into_iter().map(place));
        Self { prefixes, prices: distinct }
    }

    /// The price of a number: that of its longest prefix.
    #[must_use]
    pub fn price(&self, number: &[u8]) -> Option<Price> {
        let (digits, place) = self.prefixes.longest(number)?;
        let price = self.prices.get(*place as usize)?;
        Some(Price { prefix_digits: digits as u8, ..*price })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::per_minute;

    #[test]
    fn the_price_of_a_number_is_that_of_its_longest_prefix() {
        let (uk, london) = (per_minute("0.01", 1, 1), per_minute("0.02", 1, 1));
        let tariff = Tariff::build([("44".to_owned(), uk), ("4420".to_owned(), london)]);
        assert_eq!(tariff.price(b"442071").map(|price| price.rate), Some(london.rate));
        assert_eq!(tariff.price(b"441130").map(|price| price.rate), Some(uk.rate));
        assert_eq!(tariff.price(b"33"), None);
    }
}
