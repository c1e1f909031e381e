//! What a destination costs.

use std::fmt;

use crate::{Money, RoundingMode};

/// Most decimals of a fee.
const FEE_PRECISION_MAX: u8 = 6;
/// No price counts in longer units, steps or sections, s.
pub const SECONDS_MAX: u32 = 86_400;
/// Dearest rate, in billionths.
pub const RATE_MAX: i64 = 1_000_000_000 * BILLIONTHS;
/// Dearest connection fee, in billionths.
pub const CONNECTION_FEE_MAX: i64 = 1_000_000 * BILLIONTHS;
/// Largest fee unit, in billionths.
pub const FEE_UNIT_MAX: i64 = 1_000 * BILLIONTHS;
/// Highest tax: a thousand percent.
pub const TAX_MAX: u32 = 1_000 * PERCENT;
/// Sections before the base rate.
pub const SECTIONS_MAX: usize = 3;
/// One percent, as [`Price::tax`] counts.
pub const PERCENT: u32 = 10_000;

const BILLIONTHS: i64 = 1_000_000_000;

/// A tier of a call's time before the base rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Section {
    /// How long it lasts, behind those before it; 0: there is none here or behind.
    pub seconds: u32,
    /// Money per `unit_s` of its price.
    pub rate: Money,
    /// Billed in steps of, seconds, but never past its end.
    pub increment_s: u32,
}

/// For whose calls a price is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// For those of whom no other price of the prefix says more.
    #[default]
    Any,
    /// For those who call by no number, or an invalid one.
    Unknown,
    /// For those whose number begins with so many characters that were named.
    Prefix(u8),
}

/// The price of one destination, with everything a charge depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Price {
    /// The tariff it came from.
    pub tariff: u32,
    /// That tariff's version.
    pub version: u32,
    /// Length of the matched prefix, 0–32.
    pub prefix_digits: u8,
    /// What was matched of the caller.
    pub origin: Origin,
    /// Nobody may call there.
    pub locked: bool,
    /// Money per `unit_s` seconds, behind all sections.
    pub rate: Money,
    /// Seconds that a rate pays for, usually 60.
    pub unit_s: u32,
    /// Billed at least, seconds.
    pub minimum_s: u32,
    /// Billed in steps of, seconds.
    pub increment_s: u32,
    /// What the call costs at its beginning.
    pub sections: [Section; SECTIONS_MAX],
    /// Added once, on answer.
    pub connection_fee: Money,
    /// Decimals of the fee, 0–6.
    pub fee_precision: u8,
    /// How the fee is rounded.
    pub rounding_mode: RoundingMode,
    /// A fee is a multiple of it, rounded up; zero: by precision and mode.
    pub fee_unit: Money,
    /// On the rounded fee, in ten-thousandths of a percent.
    pub tax: u32,
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
    /// A day is the longest.
    TooLong,
    /// An amount that is no price of a call.
    TooMuch,
}

impl fmt::Display for PriceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negative => "a rate and a connection fee are 0 or more",
            Self::NoUnit => "a rate pays for at least one second, usually 60",
            Self::TooPrecise => "a fee has at most six decimals",
            Self::TooLong => "units, steps and sections last a day at most",
            Self::TooMuch => {
                "a rate is at most 1000000000, a connection fee less than 1000000, a fee unit at most 1000, \
                 a tax at most 1000 %"
            }
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
        let sections = self.sections.iter();
        let rates = sections.clone().map(|section| section.rate).chain([self.rate]);
        let dearest = rates.clone().max();
        let amounts = rates.chain([self.connection_fee, self.fee_unit]);
        let spans = sections.flat_map(|section| [section.seconds, section.increment_s]);
        let mut spans = spans.chain([self.unit_s, self.minimum_s, self.increment_s]);
        if amounts.min() < Some(Money::ZERO) {
            Err(PriceFault::Negative)
        } else if self.unit_s == 0 {
            Err(PriceFault::NoUnit)
        } else if self.fee_precision > FEE_PRECISION_MAX {
            Err(PriceFault::TooPrecise)
        } else if spans.any(|seconds| seconds > SECONDS_MAX) {
            Err(PriceFault::TooLong)
        } else if dearest.is_some_and(|rate| rate.billionths() > RATE_MAX)
            || self.connection_fee.billionths() >= CONNECTION_FEE_MAX
            || self.fee_unit.billionths() > FEE_UNIT_MAX
            || self.tax > TAX_MAX
        {
            Err(PriceFault::TooMuch)
        } else {
            Ok(())
        }
    }

    /// The same for nothing.
    #[must_use]
    pub fn free(self) -> Self {
        let sections = [Section::default(); SECTIONS_MAX];
        Self { rate: Money::ZERO, connection_fee: Money::ZERO, sections, ..self }
    }

    /// Whether no call costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let sections = self.sections.iter().all(|section| section.rate == Money::ZERO);
        sections && self.rate == Money::ZERO && self.connection_fee == Money::ZERO
    }
}

#[cfg(test)]
pub(crate) fn per_minute(rate: &str, minimum_s: u32, increment_s: u32) -> Price {
    Price {
        tariff: 1,
        version: 2,
        prefix_digits: 2,
        origin: Origin::Any,
        locked: false,
        rate: rate.parse().unwrap(),
        unit_s: 60,
        minimum_s,
        increment_s,
        sections: [Section::default(); SECTIONS_MAX],
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_nobody_meant_is_refused() {
        let price = per_minute("0.60", 1, 1);
        assert_eq!(price.check(), Ok(()));
        let below = Money::from_billionths(-1);
        let section = |section| Price { sections: [section; SECTIONS_MAX], ..price };
        for (wrong, fault) in [
            (Price { rate: below, ..price }, PriceFault::Negative),
            (Price { connection_fee: below, ..price }, PriceFault::Negative),
            (section(Section { rate: below, ..Section::default() }), PriceFault::Negative),
            (Price { unit_s: 0, ..price }, PriceFault::NoUnit),
            (Price { fee_precision: 7, ..price }, PriceFault::TooPrecise),
            (Price { minimum_s: 86_401, ..price }, PriceFault::TooLong),
            (section(Section { seconds: 86_401, ..Section::default() }), PriceFault::TooLong),
            (Price { rate: "1000000001".parse().unwrap(), ..price }, PriceFault::TooMuch),
            (Price { tax: TAX_MAX + 1, ..price }, PriceFault::TooMuch),
            (Price { fee_unit: "1001".parse().unwrap(), ..price }, PriceFault::TooMuch),
            (Price { connection_fee: "1000000".parse().unwrap(), ..price }, PriceFault::TooMuch),
        ] {
            assert_eq!(wrong.check(), Err(fault));
        }
    }

    #[test]
    fn a_price_is_free_when_no_second_and_no_answer_costs() {
        let price = per_minute("0", 1, 1);
        assert!(price.is_free());
        let sections = [Section { seconds: 60, rate: "0.1".parse().unwrap(), increment_s: 1 }; 3];
        let costs = Price { sections, ..price };
        assert!(!costs.is_free() && costs.free().is_free());
    }
}
