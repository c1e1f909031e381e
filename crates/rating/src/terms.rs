//! A price with the parameters it is charged by, frozen at admission.
//!
//! Parameters change under running calls, and later under stored ones; both must cost what was agreed at
//! their INVITE. So [`Rounding`] travels in the same words as the [`Price`], and a stored call is charged
//! again to the same digit from these words and its duration alone. Every live call carries two of them and
//! each of its candidates one, so each field has as many bits as [`Price::check`] lets it need.

use crate::price::{SECONDS_MAX, SECTIONS_MAX, Section};
use crate::{Charge, Money, MoneyFault, Origin, Price, Rounding, RoundingMode, charge};

/// How many words there are.
pub const WORDS: usize = 11;

/// Tells these words from none, and from those of another release.
const FORMAT: u64 = 2;

const SECONDS_BITS: u32 = 17;
const HOLD_TIME_BITS: u32 = 10;
const MODE_BITS: u32 = 2;
const CONNECTION_FEE_BITS: u32 = 50;
const PRECISION_BITS: u32 = 3;
const DIGITS_BITS: u32 = 6;
const FORMAT_BITS: u32 = 4;
const FEE_UNIT_BITS: u32 = 40;
const TAX_BITS: u32 = 24;
const FREE_TIME_BITS: u32 = 32;

const _: () = assert!(SECONDS_MAX < 1 << SECONDS_BITS);
const _: () = assert!(crate::price::CONNECTION_FEE_MAX < 1 << CONNECTION_FEE_BITS);
const _: () = assert!(crate::price::FEE_UNIT_MAX < 1 << FEE_UNIT_BITS);
const _: () = assert!(crate::price::TAX_MAX < 1 << TAX_BITS);

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

    /// Packed into the words that travel with a call.
    #[must_use]
    pub fn to_words(&self) -> [u64; WORDS] {
        let Self { price, rounding } = self;
        let [first, second, third] = price.sections;
        // More than 1000 ms means what 1000 does, so that the cut changes no charge.
        let hold_time = u64::from(rounding.hold_time_precision_ms.min(1000));
        let origin = match price.origin {
            Origin::Any => ORIGIN_ANY,
            Origin::Unknown => ORIGIN_UNKNOWN,
            Origin::Prefix(characters) => characters.into(),
        };
        [
            u64::from(price.tariff) << 32 | u64::from(price.version),
            bits(price.rate),
            pack(&[
                (price.unit_s.into(), SECONDS_BITS),
                (price.minimum_s.into(), SECONDS_BITS),
                (price.increment_s.into(), SECONDS_BITS),
                (hold_time, HOLD_TIME_BITS),
                (price.rounding_mode as u64, MODE_BITS),
            ]),
            pack(&[
                (bits(price.connection_fee), CONNECTION_FEE_BITS),
                (price.fee_precision.into(), PRECISION_BITS),
                (price.prefix_digits.into(), DIGITS_BITS),
                (FORMAT, FORMAT_BITS),
            ]),
            pack(&[(bits(price.fee_unit), FEE_UNIT_BITS), (price.tax.into(), TAX_BITS)]),
            pack(&[
                (rounding.free_time_s.into(), FREE_TIME_BITS),
                (origin, DIGITS_BITS),
                (third.increment_s.into(), SECONDS_BITS),
            ]),
            bits(first.rate),
            bits(second.rate),
            bits(third.rate),
            pack(&[
                (first.seconds.into(), SECONDS_BITS),
                (first.increment_s.into(), SECONDS_BITS),
                (second.seconds.into(), SECONDS_BITS),
            ]),
            pack(&[
                (second.increment_s.into(), SECONDS_BITS),
                (third.seconds.into(), SECONDS_BITS),
            ]),
        ]
    }

    /// Read back; `None` for words nobody packed.
    #[must_use]
    pub fn from_words(words: &[u64; WORDS]) -> Option<Self> {
        let [tariff, rate, unit, fee, tax, free, rates @ .., early, late] = *words;
        let [unit_s, minimum_s, increment_s, hold_time, mode] =
            unpack(unit, [SECONDS_BITS, SECONDS_BITS, SECONDS_BITS, HOLD_TIME_BITS, MODE_BITS]);
        let [connection_fee, precision, digits, format] =
            unpack(fee, [CONNECTION_FEE_BITS, PRECISION_BITS, DIGITS_BITS, FORMAT_BITS]);
        let [fee_unit, tax] = unpack(tax, [FEE_UNIT_BITS, TAX_BITS]);
        let [free_time_s, origin, third_s] =
            unpack(free, [FREE_TIME_BITS, DIGITS_BITS, SECONDS_BITS]);
        let [first, first_s, second] = unpack(early, [SECONDS_BITS; 3]);
        let [second_s, third] = unpack(late, [SECONDS_BITS; 2]);
        let steps: [(u64, u64); SECTIONS_MAX] =
            [(first, first_s), (second, second_s), (third, third_s)];
        let mut sections = [Section::default(); SECTIONS_MAX];
        for ((section, rate), (seconds, increment_s)) in sections.iter_mut().zip(rates).zip(steps) {
            let (seconds, increment_s) = (seconds as u32, increment_s as u32);
            *section = Section { seconds, rate: money(rate), increment_s };
        }
        let price = Price {
            tariff: (tariff >> 32) as u32,
            version: (tariff & u64::from(u32::MAX)) as u32,
            prefix_digits: digits as u8,
            origin: match origin {
                ORIGIN_ANY => Origin::Any,
                ORIGIN_UNKNOWN => Origin::Unknown,
                characters => Origin::Prefix(characters as u8),
            },
            // Nobody was admitted there.
            locked: false,
            rate: money(rate),
            unit_s: unit_s as u32,
            minimum_s: minimum_s as u32,
            increment_s: increment_s as u32,
            sections,
            connection_fee: money(connection_fee),
            fee_precision: precision as u8,
            rounding_mode: RoundingMode::from_number(mode),
            fee_unit: money(fee_unit),
            tax: tax as u32,
        };
        let rounding = Rounding {
            hold_time_precision_ms: hold_time as u32,
            free_time_s: free_time_s as u32,
        };
        (format == FORMAT && price.check().is_ok()).then_some(Self { price, rounding })
    }
}

fn bits(amount: Money) -> u64 {
    amount.billionths().cast_unsigned()
}

fn money(bits: u64) -> Money {
    Money::from_billionths(bits.cast_signed())
}

/// Values of so many bits each, the first one lowest.
fn pack(fields: &[(u64, u32)]) -> u64 {
    let mut word = 0;
    for (value, width) in fields.iter().rev() {
        word = word << width | value & ((1 << width) - 1);
    }
    word
}

fn unpack<const N: usize>(word: u64, widths: [u32; N]) -> [u64; N] {
    let mut rest = word;
    widths.map(|width| {
        let value = rest & ((1 << width) - 1);
        rest >>= width;
        value
    })
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
        words[3] = 0;
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
                words[3] = words[3] & !(0xf << 59) | FORMAT << 59;
            }
            if let Some(terms) = Terms::from_words(&words) {
                let _ = terms.charge(duration_ms);
            }
        }
    }
}
