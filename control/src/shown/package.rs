//! Subscriptions and what they pay for, as they are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Decimal, Moment};
use crate::state::entity::Subscription;

/// A subscription and how it stands.
#[derive(Serialize, JsonSchema)]
pub struct SubscriptionShown {
    /// What an operator says of it.
    #[serde(flatten)]
    pub subscription: Subscription,
    /// `waiting`, `active`, `suspended` or `ended`.
    pub state: &'static str,
    /// Its current or last period, from 1 on; 0: none has begun.
    pub period: u32,
    /// When that began.
    pub period_from: Option<Moment>,
    /// When it is over, of one that runs.
    pub period_to: Option<Moment>,
    /// Seconds that calls used of it.
    pub used_s: u64,
    /// What they used of its amount.
    pub used_amount: Decimal,
    /// Seconds that running calls hold.
    pub held_s: u64,
    /// What they hold of its amount.
    pub held_amount: Decimal,
    /// Seconds that are left.
    pub left_s: u64,
    /// What is left of its amount.
    pub left_amount: Decimal,
    /// What the account's calls cost in it, where the package asks for that.
    pub spent: Decimal,
}

/// Seconds of a call that a subscription paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoveredShown {
    /// Which, by the name at the time.
    pub subscription: String,
    /// Of which package.
    pub package: String,
    /// In which of its periods.
    pub period: u32,
    /// By what: `minutes` or `amount`.
    pub means: String,
    /// Behind how many billed seconds they begin.
    pub from_s: u64,
    /// How many they are.
    pub seconds: u64,
    /// What they took of the amount.
    pub amount: Decimal,
}

/// Subscriptions by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageFigures {
    /// Their first period is to come.
    pub waiting: u64,
    /// They pay for calls.
    pub active: u64,
    /// Their rent could not be paid.
    pub suspended: u64,
    /// They are over.
    pub ended: u64,
}
