//! What of a call's billed seconds which subscription pays for, in the order of the seconds.
//!
//! ```text
//!  billed seconds  0 ────── 60 ────── 90 ──────── 150 ──── 200
//!                  │ gold,   │ gold,   │ silver,   │ the    │
//!                  │ minutes │ amount  │ minutes   │ balance│
//! ```
//!
//! A call takes what is free for the stretch that it may talk next: of the first package its minutes, then its amount as
//! far as that pays for whole seconds, then of the next one. A stretch that goes on with the same means grows, so that its
//! worth is rounded once.

use rating::charge::{worth, worth_until};
use rating::{Money, Price, Stretch};
use serde::{Deserialize, Serialize};

use crate::state::entity;

/// Stretches of one call. Beyond, the balance pays.
const STRETCHES_MAX: usize = 32;

/// What of a package pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// Its minutes.
    Minutes,
    /// Its amount.
    Amount,
}

impl Means {
    /// The word in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::Amount => "amount",
        }
    }
}

/// A stretch that a subscription pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Which.
    pub subscription: u32,
    /// In which of its periods.
    pub period: u32,
    /// By what.
    pub means: Means,
    /// The first second of it.
    pub from_s: u64,
    /// The first behind it.
    pub until_s: u64,
    /// What it takes of the amount.
    #[serde(with = "entity::money")]
    pub worth: Money,
}

/// What a subscription has that no call uses or holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Which.
    pub subscription: u32,
    /// In which of its periods.
    pub period: u32,
    /// Seconds.
    pub seconds: u64,
    /// Money.
    pub amount: Money,
}

/// All stretches of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover(Vec<Covered>);

impl Covered {
    /// As a charge leaves it out.
    #[must_use]
    pub fn stretch(&self) -> Stretch {
        Stretch { from_s: self.from_s, until_s: self.until_s }
    }

    /// How many seconds it has.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.until_s.saturating_sub(self.from_s)
    }

    /// What it takes of the minutes.
    #[must_use]
    pub fn minutes_s(&self) -> u64 {
        if self.means == Means::Minutes { self.seconds() } else { 0 }
    }
}

impl Cover {
    /// Whether nothing is paid for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its stretches, the first first.
    pub fn iter(&self) -> impl Iterator<Item = &Covered> {
        self.0.iter()
    }

    /// As a charge leaves them out.
    #[must_use]
    pub fn stretches(&self) -> Vec<Stretch> {
        self.0.iter().map(Covered::stretch).collect()
    }

    /// The first second behind all of it.
    #[must_use]
    pub fn end_s(&self) -> u64 {
        self.0.last().map_or(0, |last| last.until_s)
    }

    /// Takes of what is free, in this order, for the seconds from `from_s` on and before `until_s`.
    pub fn extend(&mut self, price: &Price, free: &[Allowance], from_s: u64, until_s: u64) {
        let mut at_s = from_s.max(self.end_s());
        for allowance in free {
            for means in [Means::Minutes, Means::Amount] {
                if at_s >= until_s || self.0.len() >= STRETCHES_MAX {
                    return;
                }
                at_s = self.take(price, allowance, means, at_s, until_s);
            }
        }
    }

    /// The first second that this does not pay for.
    fn take(
        &mut self,
        price: &Price,
        free: &Allowance,
        means: Means,
        at_s: u64,
        until_s: u64,
    ) -> u64 {
        let Allowance { subscription, period, .. } = *free;
        let goes_on = |last: &&mut Covered| {
            (last.subscription, last.period, last.means, last.until_s)
                == (subscription, period, means, at_s)
        };
        let mut fresh = Covered {
            subscription,
            period,
            means,
            from_s: at_s,
            until_s: at_s,
            worth: Money::ZERO,
        };
        let mut last = self.0.last_mut().filter(goes_on);
        let covered = last.as_deref_mut().unwrap_or(&mut fresh);
        match means {
            Means::Minutes => covered.until_s = until_s.min(at_s.saturating_add(free.seconds)),
            Means::Amount => {
                // What it holds already is its own.
                let Ok(money) = free.amount.plus(covered.worth) else { return at_s };
                if money <= Money::ZERO {
                    return at_s;
                }
                let stretch = worth_until(money, price, covered.from_s, until_s);
                let Ok(worth) = worth(&stretch, price) else { return at_s };
                (covered.until_s, covered.worth) = (stretch.until_s.max(at_s), worth);
            }
        }
        let until_s = covered.until_s;
        if last.is_none() && until_s > at_s {
            self.0.push(fresh);
        }
        until_s
    }

    /// The call had only so many seconds billed.
    pub fn cut(&mut self, price: &Price, billed_s: u64) {
        self.0.retain(|covered| covered.from_s < billed_s);
        let Some(last) = self.0.last_mut().filter(|last| last.until_s > billed_s) else { return };
        last.until_s = billed_s;
        if last.means == Means::Amount {
            // A part of what was money is.
            last.worth = worth(&last.stretch(), price).unwrap_or(last.worth);
        }
    }
}

#[cfg(test)]
mod tests;
