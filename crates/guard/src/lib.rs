//! Who is shut out, for how long, and why.
//!
//! Logins that failed enter [`Suspensions`], which says who may not try again for a while, whom the
//! driver should drop, and what looks like an attack. Nothing here knows a packet, a price or a clock;
//! whoever asks says what time it is, and what a source has deserved so far.
//!
//! Read `suspend.rs` for the nouns and the verb, `table.rs` for what is remembered and what must go when
//! there is no room, `pattern.rs` and `attempts.rs` for signs of an attack, `regular.rs` for whom automation spares, `jail.rs` for
//! logins to the machine itself; `abuse.rs` for accounts that begin to call where it is dear;
//! `geo.rs` stands alone: which addresses lie in a country or a list.

#![forbid(unsafe_code)]

mod abuse;
mod attempts;
pub mod geo;
mod jail;
mod pattern;
mod regular;
mod suspend;
mod table;

pub use abuse::{Abuse, AbuseRule, Abuser, Habit, Reckoning};
pub use attempts::Attempts;
pub use geo::{GeoFault, GeoRange, GeoSet};
pub use jail::Jail;
pub use pattern::{Pattern, Watch};
pub use regular::Regulars;
pub use suspend::{
    Consequence, Failure, Kind, Rule, Rules, Scope, Standing, Suspension, Suspensions,
};

/// Wall time, µs since 1970 UTC: what is decided here outlives a reboot.
pub type WallUs = u64;
