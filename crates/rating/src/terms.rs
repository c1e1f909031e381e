//! A price with the parameters it is charged by, frozen at admission.
//!
//! Parameters change under running calls, and later under stored ones; both must cost what was agreed at
//! their INVITE. So [`Rounding`] travels in the same words as the [`Price`], and a stored call is charged
//! again to the same digit from these words and its duration alone. Every live call carries two of them and
//! each of its candidates one, so each field has as many bits as [`Price::check`] lets it need.

use crate::charge::{billed_s, charge_beside, tax};
use crate::price::{self, SECONDS_MAX, Section};
use crate::{Charge, Money, MoneyFault, Origin, Price, Rounding, RoundingMode, Stretch, charge};

/// How many words there are.
pub const WORDS: usize = 10;

/// Tells these words from none, and from those of another release.
const FORMAT: u64 = 2;

const FORMAT_BITS: u32 = 4;
const NUMBER_BITS: u32 = 32;
const RATE_BITS: u32 = 60;
const SECONDS_BITS: u32 = 17;
const HOLD_TIME_BITS: u32 = 10;
const MODE_BITS: u32 = 2;
const CONNECTION_FEE_BITS: u32 = 50;
const PRECISION_BITS: u32 = 3;
const DIGITS_BITS: u32 = 6;
const FEE_UNIT_BITS: u32 = 40;
const TAX_BITS: u32 = 24;

const _: () = assert!(SECONDS_MAX < 1 << SECONDS_BITS);
const _: () = assert!(price::RATE_MAX < 1 << RATE_BITS);
const _: () = assert!(price::CONNECTION_FEE_MAX < 1 << CONNECTION_FEE_BITS);
const _: () = assert!(price::FEE_UNIT_MAX < 1 << FEE_UNIT_BITS);
const _: () = assert!(price::TAX_MAX < 1 << TAX_BITS);

/// [`Origin`] in six bits: no number is longer than 32.
const ORIGIN_ANY: u64 = 0x3f;
const ORIGIN_UNKNOWN: u64 = 0x3e;

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

    /// The same beside stretches that packages pay for.
    ///
    /// # Errors
    /// When the fee is too large to be money.
    pub fn charge_beside(
        &self,
        duration_ms: u64,
        covered: &[Stretch],
    ) -> Result<Charge, MoneyFault> {
        charge_beside(duration_ms, &self.price, &self.rounding, covered)
    }

    /// Seconds that are billed of so long a call.
    ///
    /// # Errors
    /// When they are too many to be counted.
    pub fn billed_s(&self, duration_ms: u64) -> Result<u64, MoneyFault> {
        billed_s(duration_ms, &self.price, &self.rounding)
    }

    /// The tax on a fee, whoever said the fee.
    ///
    /// # Errors
    /// When it is too large to be money.
    pub fn tax(&self, fee: Money) -> Result<Money, MoneyFault> {
        tax(fee, &self.price)
    }

    /// Packed into the words that travel with a call.
    #[must_use]
    pub fn to_words(&self) -> [u64; WORDS] {
        let Self { price, rounding } = self;
        let mut words = Writer::default();
        words.put(FORMAT, FORMAT_BITS);
        words.put(price.tariff.into(), NUMBER_BITS);
        words.put(price.version.into(), NUMBER_BITS);
        words.put(price.prefix_digits.into(), DIGITS_BITS);
        words.put(
            match price.origin {
                Origin::Any => ORIGIN_ANY,
                Origin::Unknown => ORIGIN_UNKNOWN,
                Origin::Prefix(characters) => characters.into(),
            },
            DIGITS_BITS,
        );
        words.put(bits(price.rate), RATE_BITS);
        words.put(price.unit_s.into(), SECONDS_BITS);
        words.put(price.minimum_s.into(), SECONDS_BITS);
        words.put(price.increment_s.into(), SECONDS_BITS);
        for section in price.sections {
            words.put(section.seconds.into(), SECONDS_BITS);
            words.put(bits(section.rate), RATE_BITS);
            words.put(section.increment_s.into(), SECONDS_BITS);
        }
        words.put(bits(price.connection_fee), CONNECTION_FEE_BITS);
        words.put(price.fee_precision.into(), PRECISION_BITS);
        words.put(price.rounding_mode as u64, MODE_BITS);
        words.put(bits(price.fee_unit), FEE_UNIT_BITS);
        words.put(price.tax.into(), TAX_BITS);
        // More than 1000 ms means what 1000 does.
        words.put(rounding.hold_time_precision_ms.min(1000).into(), HOLD_TIME_BITS);
        words.put(rounding.free_time_s.into(), NUMBER_BITS);
        words.words
    }

    /// Read back; `None` for words nobody packed.
    #[must_use]
    pub fn from_words(words: &[u64; WORDS]) -> Option<Self> {
        let mut words = Reader { words, at: 0 };
        if words.take(FORMAT_BITS) != FORMAT {
            return None;
        }
        let price = Price {
            tariff: words.take(NUMBER_BITS) as u32,
            version: words.take(NUMBER_BITS) as u32,
            prefix_digits: words.take(DIGITS_BITS) as u8,
            origin: match words.take(DIGITS_BITS) {
                ORIGIN_ANY => Origin::Any,
                ORIGIN_UNKNOWN => Origin::Unknown,
                characters => Origin::Prefix(characters as u8),
            },
            // Nobody was admitted there.
            locked: false,
            rate: words.money(RATE_BITS),
            unit_s: words.take(SECONDS_BITS) as u32,
            minimum_s: words.take(SECONDS_BITS) as u32,
            increment_s: words.take(SECONDS_BITS) as u32,
            sections: std::array::from_fn(|_| Section {
                seconds: words.take(SECONDS_BITS) as u32,
                rate: words.money(RATE_BITS),
                increment_s: words.take(SECONDS_BITS) as u32,
            }),
            connection_fee: words.money(CONNECTION_FEE_BITS),
            fee_precision: words.take(PRECISION_BITS) as u8,
            rounding_mode: RoundingMode::from_number(words.take(MODE_BITS)),
            fee_unit: words.money(FEE_UNIT_BITS),
            tax: words.take(TAX_BITS) as u32,
        };
        let rounding = Rounding {
            hold_time_precision_ms: words.take(HOLD_TIME_BITS) as u32,
            free_time_s: words.take(NUMBER_BITS) as u32,
        };
        price.check().is_ok().then_some(Self { price, rounding })
    }
}

fn bits(amount: Money) -> u64 {
    amount.billionths().cast_unsigned()
}

/// Puts fields behind each other, each in so many bits, wherever words end.
#[derive(Default)]
struct Writer {
    words: [u64; WORDS],
    at: u32,
}

impl Writer {
    fn put(&mut self, value: u64, width: u32) {
        let value = u128::from(value & ((1 << width) - 1)) << (self.at % u64::BITS);
        let place = (self.at / u64::BITS) as usize;
        for (word, half) in self.words.iter_mut().skip(place).zip([value, value >> u64::BITS]) {
            *word |= half as u64;
        }
        self.at += width;
    }
}

/// Takes them again in the same order.
struct Reader<'w> {
    words: &'w [u64; WORDS],
    at: u32,
}

impl Reader<'_> {
    fn take(&mut self, width: u32) -> u64 {
        let place = (self.at / u64::BITS) as usize;
        let word = |place: usize| u128::from(self.words.get(place).copied().unwrap_or(0));
        let both = word(place) | word(place + 1) << u64::BITS;
        let value = (both >> (self.at % u64::BITS)) as u64;
        self.at += width;
        value & ((1 << width) - 1)
    }

    fn money(&mut self, width: u32) -> Money {
        Money::from_billionths(self.take(width).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charge::tests::any_price;
    use crate::price::per_minute;
    use proptest::prelude::*;

    #[test]
    fn words_that_nobody_packed_are_no_terms() {
        assert_eq!(Terms::from_words(&[0; WORDS]), None);
        let terms = Terms::customer(per_minute("0.60", 1, 1), Rounding::default());
        let mut words = terms.to_words();
        assert_eq!(Terms::from_words(&words), Some(terms));
        words[0] = 0;
        assert_eq!(Terms::from_words(&words), None);
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
        fn a_price_survives_its_journey_with_a_call(
            price in any_price(), hold_time_precision_ms in 0u32..=1000, free_time_s: u32,
        ) {
            let terms = Terms { price, rounding: Rounding { hold_time_precision_ms, free_time_s } };
            prop_assert_eq!(Terms::from_words(&terms.to_words()), Some(terms));
        }

        #[test]
        fn a_stored_call_costs_again_what_it_cost(
            price in any_price(), duration_ms in 0u64..10_000_000,
            hold_time_precision_ms in 0u32..=2000, free_time_s in 0u32..100,
        ) {
            let terms = Terms::customer(price, Rounding { hold_time_precision_ms, free_time_s });
            let stored = Terms::from_words(&terms.to_words()).unwrap();
            prop_assert_eq!(stored.charge(duration_ms), terms.charge(duration_ms));
        }

        #[test]
        fn words_of_any_kind_never_panic(mut words: [u64; WORDS], duration_ms: u64, marked: bool) {
            if marked {
                words[0] = words[0] & !0xf | FORMAT;
            }
            if let Some(terms) = Terms::from_words(&words) {
                let _ = terms.charge(duration_ms);
            }
        }
    }
}
