//! Seconds times tariff to charge, exactly.
//!
//! Money is an integer of billionths and never floats. [`charge()`] is a pure function of a duration, a
//! [`Price`] and [`Rounding`]. Both are frozen at admission into the words of [`Terms`], so a
//! stored call can be charged again at any time to the same digit.
//!
//! Read `money.rs`, then `price.rs`, `calendar.rs` and `tariff.rs`, then `charge.rs`, then `terms.rs`.

#![forbid(unsafe_code)]

pub mod calendar;
pub mod charge;
mod money;
pub mod price;
pub mod tariff;
pub mod terms;

pub use calendar::Calendar;
pub use charge::{Charge, Rounding, Stretch, charge};
pub use money::{Money, MoneyFault, RoundingMode};
pub use price::{Origin, Price, PriceFault, Section};
pub use tariff::{Asked, Tariff};
pub use terms::Terms;
