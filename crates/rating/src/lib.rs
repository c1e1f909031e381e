//! Seconds times tariff to charge, exactly.
//!
//! Money is an integer of billionths and never floats. [`charge()`] is a pure function of a duration, a
//! [`Price`] and [`Rounding`], so a stored call can be charged again at any time to the same digit; a
//! [`Price`] packs into eight words for that ([`Price::to_words`]).
//!
//! Read `money.rs`, then `price.rs`, then `charge.rs`.

#![forbid(unsafe_code)]

pub mod charge;
mod money;
mod price;

pub use charge::{Charge, Rounding, charge};
pub use money::{Money, MoneyFault, RoundingMode};
pub use price::{Price, Tariff};
