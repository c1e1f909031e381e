//! Packages: what an account pays for in advance, and what of a call that pays for.
//!
//! A subscription has periods, one behind the other ([`period`]); in each it has minutes and an amount ([`Standing`]).
//! Both are held for a call like money, stretch by stretch of the seconds that are billed ([`cover`]), so no second is
//! ever used twice; what the call used of them is gone when it has ended, in the same group as its record.

pub mod cover;
pub mod period;

use rating::Money;
use serde::{Deserialize, Serialize};

use crate::state::entity;
pub use cover::{Allowance, Cover, Covered, Means};

/// What a subscription does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its first period is to come.
    #[default]
    Waiting,
    /// It pays for calls.
    Active,
    /// Its rent could not be paid.
    Suspended,
    /// It is over.
    Ended,
}

impl State {
    /// The word in API and CLI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Ended => "ended",
        }
    }
}

/// How a subscription stands, as the store keeps it. Times are µs since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which subscription.
    pub subscription: u32,
    /// What it does.
    pub state: State,
    /// Its current or last period, from 1 on; 0: none has begun.
    pub period: u32,
    /// When that began.
    pub begins_us: u64,
    /// When it is over; of one that has none yet, when that begins.
    pub ends_us: u64,
    /// Whence periods are counted, and which one began there.
    pub anchor_us: u64,
    /// See `anchor_us`.
    pub anchor_period: u32,
    /// Seconds that were used in the period.
    pub used_s: u64,
    /// What of its amount was.
    #[serde(with = "entity::money")]
    pub used: Money,
    /// What the account's calls cost in it, tax not counted.
    #[serde(with = "entity::money")]
    pub spent: Money,
}
