//! A price with the parameters it is charged by, frozen at admission.
//!
//! Parameters change under running calls, and later under stored ones; both must cost what was agreed at
//! their INVITE. So [`Rounding`] travels in the same eight words as the [`Price`], and a stored call is
//! charged again to the same digit from these words and its duration alone.

use crate::{Charge, MoneyFault, Price, Rounding, charge};

/// The word of [`Price::to_words`] that is ours.
const ROUNDING_WORD: usize = 6;

/// Tells words with a rounding from those of a bare price.
const HAS_ROUNDING: u64 = 1 << 63;

/// All that a side's charge depends on, but the duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The price of the destination.
    pub price: Price,
    /// The parameters at the INVITE; a vendor's has no free time.
    pub rounding: Rounding,
}

impl Terms {
    /// A customer's terms.
    #[must_use]
    pub fn customer(price: Price, rounding: Rounding) -> Self {
        Self { price, rounding }
    }

    /// A vendor's terms: `FREE_TIME` is a gift to customers only.
    #[must_use]
    pub fn vendor(price: Price, rounding: Rounding) -> Self {
        Self { price, rounding: Rounding { free_time_s: 0, ..rounding } }
    }

    /// The charge of an answered call of `duration_ms` under these terms.
    ///
    /// # Errors
    /// When the fee is too large to be money.
    pub fn charge(&self, duration_ms: u64) -> Result<Charge, MoneyFault> {
        charge(duration_ms, &self.price, &self.rounding)
    }

    /// Packed into the words that travel with a call; [`Price::from_words`] reads them too.
    #[must_use]
    pub fn to_words(&self) -> [u64; 8] {
        // More than 1000 ms means what 1000 does, so that the cut to sixteen bits changes no charge.
        let precision_ms = u64::from(self.rounding.hold_time_precision_ms.min(1000));
        let mut words = self.price.to_words();
        words[ROUNDING_WORD] =
            HAS_ROUNDING | precision_ms << 32 | u64::from(self.rounding.free_time_s);
        words
    }

    /// Read back; `None` for words nobody packed.
    #[must_use]
    pub fn from_words(words: &[u64; 8]) -> Option<Self> {
        let price = Price::from_words(words)?;
        let word = words[ROUNDING_WORD];
        if word & HAS_ROUNDING == 0 {
            return None;
        }
        let rounding = Rounding {
            hold_time_precision_ms: (word >> 32 & 0xffff) as u32,
            free_time_s: (word & 0xffff_ffff) as u32,
        };
        Some(Self { price, rounding })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::per_minute;
    use proptest::prelude::*;

    #[test]
    fn a_bare_price_is_no_terms_and_terms_hold_a_price() {
        let price = per_minute("0.60", 1, 1);
        assert_eq!(Terms::from_words(&price.to_words()), None);
        let words = Terms::customer(price, Rounding::default()).to_words();
        assert_eq!(Price::from_words(&words), Some(price));
    }

    #[test]
    fn free_time_is_a_gift_to_customers_only() {
        let rounding = Rounding { free_time_s: 6, ..Rounding::default() };
        let price = per_minute("0.60", 1, 1);
        let fee = |terms: Terms| terms.charge(66_000).unwrap().fee.to_string();
        assert_eq!(fee(Terms::customer(price, rounding)), "0.60");
        assert_eq!(fee(Terms::vendor(price, rounding)), "0.66");
    }

    proptest! {
        #[test]
        fn a_stored_call_costs_again_what_it_cost(
            duration_ms in 0u64..10_000_000, hold_time_precision_ms in 0u32..=2000, free_time_s: u32,
        ) {
            let rounding = Rounding { hold_time_precision_ms, free_time_s: free_time_s % 100 };
            let terms = Terms::customer(per_minute("0.0123", 30, 6), rounding);
            let stored = Terms::from_words(&terms.to_words()).unwrap();
            prop_assert_eq!(stored.charge(duration_ms), terms.charge(duration_ms));
        }

        #[test]
        fn words_of_any_kind_never_panic(words: [u64; 8], duration_ms: u64) {
            let mut words = words;
            words[7] = 1;
            if let Some(terms) = Terms::from_words(&words) {
                let _ = terms.charge(duration_ms);
            }
        }
    }
}
