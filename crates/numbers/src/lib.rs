//! Dial plans: numbers in normal form, longest prefixes, transform rules.
//!
//! Every number of a message passes [`Number::normal`] first; lists, prefixes, rates and counters see
//! only that form. [`PrefixTable`] is the one way to match a prefix; [`transform`] the one way to
//! change a number; [`Screens`] say whether it passes,
//! [`Sections`] whose it is. Tables are built beside the decision loop and swapped whole; look-ups allocate
//! nothing.

#![forbid(unsafe_code)]

mod number;
mod prefix;
mod screen;
mod section;
pub mod transform;

pub use number::{Number, NumberFault};
pub use prefix::PrefixTable;
pub use screen::{Barred, Screen, Screens};
pub use section::{Section, SectionFault, Sections};
