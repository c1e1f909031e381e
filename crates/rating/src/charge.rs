//! What one call costs.
//!
//! Milliseconds become seconds by `HOLD_TIME_PRECISION`, free seconds fall off. Sections cut the rest at their
//! ends, and each part is billed in steps: inside a section up to its end at most, at the base rate freely; the
//! minimum comes once, at the beginning. The fee is an exact fraction, rounded once, here; tax is a part of the
//! rounded fee, and stands apart.

use crate::price::PERCENT;
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
    /// What they cost, connection fee included and tax not.
    pub fee: Money,
    /// Tax on that fee.
    pub tax: Money,
}

impl Charge {
    /// What is to be paid.
    ///
    /// # Errors
    /// When it is too large to be money.
    pub fn total(&self) -> Result<Money, MoneyFault> {
        self.fee.plus(self.tax)
    }
}

/// Whole seconds of a duration: a rest of 0 never rounds.
#[must_use]
pub fn seconds(duration_ms: u64, hold_time_precision_ms: u32) -> u64 {
    let rest = duration_ms % 1000;
    duration_ms / 1000 + u64::from(rest > 0 && rest >= u64::from(hold_time_precision_ms))
}

/// Seconds as they are billed: at least the minimum, then whole steps, but no more than there are up to `end`.
/// All of them count from the beginning of this part of the call; `minimum` is what of the call's minimum lies in it.
fn billed(seconds: u64, minimum: u64, increment_s: u32, end: u64) -> u64 {
    let step = u64::from(increment_s.max(1));
    let steps = seconds.saturating_sub(minimum).div_ceil(step).saturating_mul(step);
    minimum.saturating_add(steps).min(end)
}

/// What is billed of a call of so many seconds: how many, and what they cost in billionths times `unit_s`.
fn talk(seconds: u64, price: &Price) -> Option<(u64, i128)> {
    let mut minimum = u64::from(price.minimum_s);
    let (mut left, mut billed_s, mut cost) = (seconds, 0_u64, 0_i128);
    let sections = price.sections.iter().take_while(|section| section.seconds > 0);
    let sections =
        sections.map(|section| (section.rate, section.increment_s, section.seconds.into()));
    for (rate, increment_s, length) in sections.chain([(price.rate, price.increment_s, u64::MAX)]) {
        let (inside, least) = (left.min(length), minimum.min(length));
        let seconds = billed(inside, least, increment_s, length);
        billed_s = billed_s.checked_add(seconds)?;
        cost = cost.checked_add(i128::from(rate.billionths()).checked_mul(seconds.into())?)?;
        (left, minimum) = (left - inside, minimum - least);
    }
    Some((billed_s, cost))
}

/// The charge of an answered call of `duration_ms`. A call of no seconds, or of free ones only, costs
/// nothing at all, connection fee and tax included.
///
/// # Errors
/// When the fee is too large to be money.
pub fn charge(duration_ms: u64, price: &Price, rounding: &Rounding) -> Result<Charge, MoneyFault> {
    let seconds = seconds(duration_ms, rounding.hold_time_precision_ms);
    let seconds = seconds.saturating_sub(rounding.free_time_s.into());
    if seconds == 0 {
        return Ok(Charge::default());
    }
    let unit = i128::from(price.unit_s.max(1));
    let (billed_s, cost) = talk(seconds, price).ok_or(MoneyFault::Overflow)?;
    let connection = i128::from(price.connection_fee.billionths()) * unit;
    let exact = cost.checked_add(connection).ok_or(MoneyFault::Overflow)?;
    let fee = if price.fee_unit > Money::ZERO {
        Money::rounded_up_to(exact, unit, price.fee_unit)?
    } else {
        Money::rounded(exact, unit, price.fee_precision, price.rounding_mode)?
    };
    Ok(Charge { billed_s, fee, tax: tax(fee, price)? })
}

/// The tax on a rounded fee, itself an amount of as many decimals.
pub(crate) fn tax(fee: Money, price: &Price) -> Result<Money, MoneyFault> {
    let exact = i128::from(fee.billionths()) * i128::from(price.tax);
    let whole = i128::from(100 * PERCENT);
    Money::rounded(exact, whole, price.fee_precision, price.rounding_mode)
}

/// How many seconds of talk `available` pays for, tax included, at most `longest`; 0: not even the first block.
#[must_use]
pub fn affordable_s(available: Money, price: &Price, rounding: &Rounding, longest: u64) -> u64 {
    let pays = |seconds: u64| {
        let charge = charge(seconds.saturating_mul(1000), price, rounding);
        charge.and_then(|charge| charge.total()).is_ok_and(|total| total <= available)
    };
    if pays(longest) {
        return longest;
    }
    // What a call costs never falls as it goes on, so the last affordable second is found by halving.
    let (mut good, mut bad) = (0, longest);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if pays(middle) { good = middle } else { bad = middle }
    }
    good
}

#[cfg(test)]
pub(crate) mod tests;
