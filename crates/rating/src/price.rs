//! What a destination costs.

use std::fmt;

use crate::{Money, RoundingMode};

/// Most decimals of a fee.
const FEE_PRECISION_MAX: u8 = 6;

/// The price of one destination, with everything a charge depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Price {
    /// The tariff it came from.
    pub tariff: u32,
    /// That tariff's version.
    pub version: u32,
    /// Length of the matched prefix, 0–32.
    pub prefix_digits: u8,
    /// Money per `unit_s` seconds.
    pub rate: Money,
    /// Seconds that `rate` pays for, usually 60.
    pub unit_s: u32,
    /// Billed at least, seconds.
    pub minimum_s: u32,
    /// Billed in steps of, seconds.
    pub increment_s: u32,
    /// Added once, on answer.
    pub connection_fee: Money,
    /// Decimals of the fee, 0–6.
    pub fee_precision: u8,
    /// How the fee is rounded.
    pub rounding_mode: RoundingMode,
}

/// Why a price may not come into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceFault {
    /// A rate or connection fee below zero would pay the caller.
    Negative,
    /// A rate per no seconds.
    NoUnit,
    /// More than six decimals of the fee.
    TooPrecise,
}

impl fmt::Display for PriceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negative => "a rate and a connection fee are 0 or more",
            Self::NoUnit => "a rate pays for at least one second, usually 60",
            Self::TooPrecise => "a fee has at most six decimals",
        })
    }
}

impl std::error::Error for PriceFault {}

impl Price {
    /// Whether it may come into force; to be asked wherever a price enters from outside.
    ///
    /// # Errors
    /// When it would charge what nobody meant.
    pub fn check(&self) -> Result<(), PriceFault> {
        if self.rate < Money::ZERO || self.connection_fee < Money::ZERO {
            Err(PriceFault::Negative)
        } else if self.unit_s == 0 {
            Err(PriceFault::NoUnit)
        } else if self.fee_precision > FEE_PRECISION_MAX {
            Err(PriceFault::TooPrecise)
        } else {
            Ok(())
        }
    }

    /// Packed into the words that travel with a call.
    #[must_use]
    pub fn to_words(&self) -> [u64; 8] {
        [
            u64::from(self.tariff) << 32 | u64::from(self.version),
            self.rate.billionths().cast_unsigned(),
            u64::from(self.unit_s) << 32 | u64::from(self.minimum_s),
            u64::from(self.increment_s),
            self.connection_fee.billionths().cast_unsigned(),
            u64::from(self.prefix_digits) << 16
                | u64::from(self.fee_precision) << 8
                | self.rounding_mode as u64,
            // The rounding of `Terms`.
            0,
            1,
        ]
    }

    /// Read back; `None` for words nobody packed.
    #[must_use]
    pub fn from_words(words: &[u64; 8]) -> Option<Self> {
        let [tariff, rate, unit, increment, fee, small, _, used] = *words;
        if used != 1 {
            return None;
        }
        let low = |word: u64| (word & 0xffff_ffff) as u32;
        let high = |word: u64| (word >> 32) as u32;
        let byte = |word: u64, shift: u32| (word >> shift & 0xff) as u8;
        let price = Self {
            tariff: high(tariff),
            version: low(tariff),
            prefix_digits: byte(small, 16),
            rate: Money::from_billionths(rate.cast_signed()),
            unit_s: high(unit),
            minimum_s: low(unit),
            increment_s: low(increment),
            connection_fee: Money::from_billionths(fee.cast_signed()),
            fee_precision: byte(small, 8),
            rounding_mode: RoundingMode::from_number(small & 0xff),
        };
        price.check().is_ok().then_some(price)
    }
}

#[cfg(test)]
pub(crate) fn per_minute(rate: &str, minimum_s: u32, increment_s: u32) -> Price {
    Price {
        tariff: 1,
        version: 2,
        prefix_digits: 2,
        rate: rate.parse().unwrap(),
        unit_s: 60,
        minimum_s,
        increment_s,
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_survives_its_journey_with_a_call() {
        let price =
            Price { connection_fee: "0.05".parse().unwrap(), ..per_minute("0.0123", 30, 6) };
        assert_eq!(Price::from_words(&price.to_words()), Some(price));
        assert_eq!(Price::from_words(&[0; 8]), None);
    }

    #[test]
    fn a_price_that_nobody_meant_is_refused() {
        let price = per_minute("0.60", 1, 1);
        assert_eq!(price.check(), Ok(()));
        let below = Money::from_billionths(-1);
        for (wrong, fault) in [
            (Price { rate: below, ..price }, PriceFault::Negative),
            (Price { connection_fee: below, ..price }, PriceFault::Negative),
            (Price { unit_s: 0, ..price }, PriceFault::NoUnit),
            (Price { fee_precision: 7, ..price }, PriceFault::TooPrecise),
        ] {
            assert_eq!(wrong.check(), Err(fault));
            assert_eq!(Price::from_words(&wrong.to_words()), None);
        }
    }
}
