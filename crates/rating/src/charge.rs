//! What one call costs.
//!
//! Milliseconds become seconds by `HOLD_TIME_PRECISION`, free seconds fall off, the rest is billed in
//! blocks: the minimum once, then steps. The fee is an exact fraction, rounded once, here.

use crate::{Money, MoneyFault, Price};

/// System parameters that shape a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// `HOLD_TIME_PRECISION`, ms: a rest of the duration from here on counts as a second. 0: any rest
    /// does; 1000: none does.
    pub hold_time_precision_ms: u32,
    /// `FREE_TIME`, s: taken off the front; customers' side only.
    pub free_time_s: u32,
}

impl Default for Rounding {
    fn default() -> Self {
        Self { hold_time_precision_ms: 50, free_time_s: 0 }
    }
}

/// The charge of one call for one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Seconds that were billed.
    pub billed_s: u64,
    /// What they cost, connection fee included.
    pub fee: Money,
}

/// Whole seconds of a duration: a rest of 0 never rounds.
#[must_use]
pub fn seconds(duration_ms: u64, hold_time_precision_ms: u32) -> u64 {
    let rest = duration_ms % 1000;
    duration_ms / 1000 + u64::from(rest > 0 && rest >= u64::from(hold_time_precision_ms))
}

/// Seconds as they are billed: at least the minimum, then whole steps.
#[must_use]
pub fn billed(seconds: u64, minimum_s: u32, increment_s: u32) -> u64 {
    let (minimum, step) = (u64::from(minimum_s), u64::from(increment_s.max(1)));
    match seconds {
        0 => 0,
        _ if seconds <= minimum => minimum,
        _ => minimum.saturating_add((seconds - minimum).div_ceil(step).saturating_mul(step)),
    }
}

/// The charge of an answered call of `duration_ms`. A call of no seconds, or of free ones only, costs
/// nothing at all, connection fee included.
///
/// # Errors
/// When the fee is too large to be money.
pub fn charge(duration_ms: u64, price: &Price, rounding: &Rounding) -> Result<Charge, MoneyFault> {
    let seconds = seconds(duration_ms, rounding.hold_time_precision_ms);
    let seconds = seconds.saturating_sub(rounding.free_time_s.into());
    if seconds == 0 {
        return Ok(Charge::default());
    }
    let billed_s = billed(seconds, price.minimum_s, price.increment_s);
    let unit = i128::from(price.unit_s.max(1));
    let exact = i128::from(price.rate.billionths())
        .checked_mul(billed_s.into())
        .and_then(|talk| talk.checked_add(i128::from(price.connection_fee.billionths()) * unit))
        .ok_or(MoneyFault::Overflow)?;
    let fee = Money::rounded(exact, unit, price.fee_precision, price.rounding_mode)?;
    Ok(Charge { billed_s, fee })
}

/// How many seconds of talk `available` pays for, at most `longest`; 0: not even the first block.
#[must_use]
pub fn affordable_s(available: Money, price: &Price, rounding: &Rounding, longest: u64) -> u64 {
    let pays = |seconds: u64| {
        let duration_ms = seconds.saturating_mul(1000);
        charge(duration_ms, price, rounding).is_ok_and(|charge| charge.fee <= available)
    };
    if pays(longest) {
        return longest;
    }
    // Fees grow with seconds, so the last affordable second is found by halving.
    let (mut good, mut bad) = (0, longest);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if pays(middle) { good = middle } else { bad = middle }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RoundingMode;
    use crate::price::per_minute;
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};

    #[test]
    fn sixty_one_seconds_bill_by_increments() {
        assert_eq!(billed(61, 60, 60), 120);
        assert_eq!(billed(61, 1, 1), 61);
        assert_eq!(billed(61, 30, 6), 66);
        assert_eq!(billed(10, 30, 6), 30);
        assert_eq!(billed(0, 30, 6), 0);
        assert_eq!(billed(5, 0, 0), 5);
    }

    #[test]
    fn a_rest_below_the_precision_is_dropped_and_none_never_rounds() {
        assert_eq!(seconds(10_049, 50), 10);
        assert_eq!(seconds(10_050, 50), 11);
        assert_eq!(seconds(10_051, 50), 11);
        assert_eq!(seconds(10_000, 0), 10);
        assert_eq!(seconds(10_001, 0), 11);
        assert_eq!(seconds(10_999, 1000), 10);
    }

    #[test]
    fn the_connection_fee_comes_once_and_free_calls_pay_none() {
        let price = Price { connection_fee: "0.05".parse().unwrap(), ..per_minute("0.60", 1, 1) };
        let fee = |ms| charge(ms, &price, &Rounding::default()).unwrap().fee.to_string();
        assert_eq!(fee(10_000), "0.15");
        assert_eq!(fee(0), "0.00");
        let free = Rounding { free_time_s: 10, ..Rounding::default() };
        assert_eq!(charge(10_000, &price, &free).unwrap().fee, Money::ZERO);
        assert_eq!(charge(16_000, &price, &free).unwrap().fee.to_string(), "0.11");
    }

    #[test]
    fn the_fee_is_rounded_once() {
        let price = Price { fee_precision: 4, ..per_minute("0.0001", 1, 1) };
        // 0.0001 / 60 · 89 s = 0.00014833…
        assert_eq!(charge(89_000, &price, &Rounding::default()).unwrap().fee.to_string(), "0.0001");
        let up = Price { rounding_mode: RoundingMode::Up, ..price };
        assert_eq!(charge(89_000, &up, &Rounding::default()).unwrap().fee.to_string(), "0.0002");
    }

    #[test]
    fn a_fee_too_large_is_an_error_and_never_wraps() {
        let price = per_minute("9000000000", 1, 1);
        let fee = charge(u64::MAX, &price, &Rounding::default());
        assert_eq!(fee, Err(MoneyFault::Overflow));
    }

    #[test]
    fn the_last_affordable_second_is_paid_for_and_the_next_is_not() {
        let price = per_minute("0.60", 1, 1);
        let rounding = Rounding::default();
        assert_eq!(affordable_s("1.00".parse().unwrap(), &price, &rounding, 86_400), 100);
        assert_eq!(affordable_s("0.009".parse().unwrap(), &price, &rounding, 86_400), 0);
        assert_eq!(affordable_s("99999".parse().unwrap(), &price, &rounding, 3_600), 3_600);
        assert_eq!(affordable_s("1.00".parse().unwrap(), &price, &rounding, u64::MAX), 100);
    }

    proptest! {
        #[test]
        fn a_charge_agrees_with_an_independent_decimal(
            rate in 0i64..5_000_000_000, fee in 0i64..1_000_000_000,
            duration in 1u64..100_000_000, minimum in 0u32..120, increment in 1u32..120,
            unit in 1u32..120, precision in 0u8..=6,
        ) {
            let price = Price {
                rate: Money::from_billionths(rate),
                connection_fee: Money::from_billionths(fee),
                unit_s: unit,
                fee_precision: precision,
                ..per_minute("0", minimum, increment)
            };
            let ours = charge(duration, &price, &Rounding::default()).unwrap();
            let billed = Decimal::from(ours.billed_s);
            let talk = Decimal::from_i128_with_scale(rate.into(), 9) * billed / Decimal::from(unit);
            let exact = talk + Decimal::from_i128_with_scale(fee.into(), 9);
            let theirs = if ours.billed_s == 0 {
                Decimal::ZERO
            } else {
                exact.round_dp_with_strategy(precision.into(), RoundingStrategy::MidpointNearestEven)
            };
            prop_assert_eq!(Decimal::from_i128_with_scale(ours.fee.billionths().into(), 9), theirs);
        }
    }
}
