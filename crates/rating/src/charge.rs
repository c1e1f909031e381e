//! What one call costs.
//!
//! Milliseconds become seconds by `HOLD_TIME_PRECISION`, free seconds fall off. Sections cut the rest at their
//! ends, and each part is billed in steps: inside a section up to its end at most, at the base rate freely; the
//! minimum comes once, at the beginning. The fee is an exact fraction, rounded once, here; tax is a part of the
//! rounded fee, and stands apart.
//!
//! So billed seconds count from 0 on without a gap, and what the first so many of them cost is one function. Of that
//! a package may pay for stretches, wherever they lie.

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

/// Some of a call's billed seconds, counted from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first of them.
    pub from_s: u64,
    /// The first behind them.
    pub until_s: u64,
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

/// The parts of a call's time: rate, step and length of each.
fn parts(price: &Price) -> impl Iterator<Item = (Money, u32, u64)> {
    let sections = price.sections.iter().take_while(|section| section.seconds > 0);
    let sections =
        sections.map(|section| (section.rate, section.increment_s, section.seconds.into()));
    sections.chain([(price.rate, price.increment_s, u64::MAX)])
}

/// How many seconds are billed of a call that talked for so many.
fn billed_of(seconds: u64, price: &Price) -> Option<u64> {
    let mut minimum = u64::from(price.minimum_s);
    let (mut left, mut billed_s) = (seconds, 0_u64);
    for (_, increment_s, length) in parts(price) {
        let (inside, least) = (left.min(length), minimum.min(length));
        billed_s = billed_s.checked_add(billed(inside, least, increment_s, length))?;
        (left, minimum) = (left - inside, minimum - least);
    }
    Some(billed_s)
}

/// What the first `billed_s` seconds cost, in billionths times `unit_s`.
fn cost_of(billed_s: u64, price: &Price) -> Option<i128> {
    let (mut left, mut cost) = (billed_s, 0_i128);
    for (rate, _, length) in parts(price) {
        let inside = left.min(length);
        cost = cost.checked_add(i128::from(rate.billionths()).checked_mul(inside.into())?)?;
        left -= inside;
    }
    Some(cost)
}

/// What of a stretch lies within the first `billed_s` seconds costs.
fn cost_within(stretch: &Stretch, billed_s: u64, price: &Price) -> Option<i128> {
    let cost = |until: u64| cost_of(until.min(billed_s), price);
    cost(stretch.until_s)?.checked_sub(cost(stretch.from_s.min(stretch.until_s))?)
}

fn rounded(exact: i128, price: &Price) -> Result<Money, MoneyFault> {
    let unit = i128::from(price.unit_s.max(1));
    if price.fee_unit > Money::ZERO {
        Money::rounded_up_to(exact, unit, price.fee_unit)
    } else {
        Money::rounded(exact, unit, price.fee_precision, price.rounding_mode)
    }
}

/// Seconds that are billed of an answered call of `duration_ms`.
///
/// # Errors
/// When they are too many to be counted.
pub fn billed_s(duration_ms: u64, price: &Price, rounding: &Rounding) -> Result<u64, MoneyFault> {
    let seconds = seconds(duration_ms, rounding.hold_time_precision_ms);
    match seconds.saturating_sub(rounding.free_time_s.into()) {
        0 => Ok(0),
        seconds => billed_of(seconds, price).ok_or(MoneyFault::Overflow),
    }
}

/// The charge of an answered call of `duration_ms`. A call of no seconds, or of free ones only, costs
/// nothing at all, connection fee and tax included.
///
/// # Errors
/// When the fee is too large to be money.
pub fn charge(duration_ms: u64, price: &Price, rounding: &Rounding) -> Result<Charge, MoneyFault> {
    charge_beside(duration_ms, price, rounding, &[])
}

/// The same of a call of which packages pay for stretches that do not overlap: these seconds are billed, and cost
/// nothing. The connection fee stays.
///
/// # Errors
/// When the fee is too large to be money.
pub fn charge_beside(
    duration_ms: u64,
    price: &Price,
    rounding: &Rounding,
    covered: &[Stretch],
) -> Result<Charge, MoneyFault> {
    let billed_s = billed_s(duration_ms, price, rounding)?;
    if billed_s == 0 {
        return Ok(Charge::default());
    }
    let unit = i128::from(price.unit_s.max(1));
    let connection = i128::from(price.connection_fee.billionths()) * unit;
    let cost = cost_of(billed_s, price).and_then(|cost| cost.checked_add(connection));
    let exact = covered.iter().try_fold(cost.ok_or(MoneyFault::Overflow)?, |left, stretch| {
        let paid = cost_within(stretch, billed_s, price);
        paid.and_then(|paid| left.checked_sub(paid)).ok_or(MoneyFault::Overflow)
    })?;
    let fee = rounded(exact, price)?;
    Ok(Charge { billed_s, fee, tax: tax(fee, price)? })
}

/// What a stretch is worth, rounded as a fee is.
///
/// # Errors
/// When it is too large to be money.
pub fn worth(stretch: &Stretch, price: &Price) -> Result<Money, MoneyFault> {
    rounded(cost_within(stretch, u64::MAX, price).ok_or(MoneyFault::Overflow)?, price)
}

/// The longest stretch from `from_s` on, and up to `until_s` at most, that `money` is worth.
#[must_use]
pub fn worth_until(money: Money, price: &Price, from_s: u64, until_s: u64) -> Stretch {
    let until = |until_s: u64| Stretch { from_s, until_s };
    let pays = |until_s: u64| worth(&until(until_s), price).is_ok_and(|worth| worth <= money);
    if until_s <= from_s || pays(until_s) {
        return until(until_s.max(from_s));
    }
    until(last(from_s, until_s, pays))
}

/// The tax on a rounded fee, itself an amount of as many decimals.
pub(crate) fn tax(fee: Money, price: &Price) -> Result<Money, MoneyFault> {
    let exact = i128::from(fee.billionths()) * i128::from(price.tax);
    let whole = i128::from(100 * PERCENT);
    Money::rounded(exact, whole, price.fee_precision, price.rounding_mode)
}

/// How many seconds of talk `available` pays for, tax included, at most `longest`, beside stretches that packages pay
/// for; 0: not even the first block.
#[must_use]
pub fn affordable_s(
    available: Money,
    price: &Price,
    rounding: &Rounding,
    covered: &[Stretch],
    longest: u64,
) -> u64 {
    let pays = |seconds: u64| {
        let charge = charge_beside(seconds.saturating_mul(1000), price, rounding, covered);
        charge.and_then(|charge| charge.total()).is_ok_and(|total| total <= available)
    };
    if pays(longest) { longest } else { last(0, longest, pays) }
}

/// The last of them that holds, by halving: what a call costs never falls as it goes on. The first one is taken to hold,
/// the end not to.
fn last(first: u64, end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut good, mut bad) = (first, end);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if holds(middle) { good = middle } else { bad = middle }
    }
    good
}

#[cfg(test)]
pub(crate) mod tests;
