//! What dataplane and control say to each other, and the rings they say it on.
//!
//! The dataplane *asks* ([`Ask`]) and *reports* ([`Report`]); control *answers* ([`Answer`]) and
//! *orders* ([`Order`]). Each of the four is a plain enum of fixed-size structs; [`ring`] carries
//! them between processes over a slice of atomic words, [`table`] keeps one slot per call there, so
//! that neither process takes the other's memory of a call with it when it dies.
//!
//! Nothing here maps memory, blocks or reads a clock: the programs bring the words and the time.
//!
//! Read `ask.rs` and `answer.rs` for the conversation, `record.rs` and `figures.rs` for what a call
//! leaves behind,
//! `layout.rs` for where everything lies, `ring.rs` and `table.rs` for why a crash loses nothing.

#![forbid(unsafe_code)]

pub mod answer;
pub mod ask;
pub mod board;
pub mod counter;
pub mod endpoint;
pub mod fence;
pub mod figures;
pub mod latency;
pub mod layout;
pub mod message;
pub mod order;
pub mod ports;
pub mod profile;
pub mod record;
pub mod report;
pub mod ring;
pub mod table;
pub mod text;
pub mod word;

pub use answer::Answer;
pub use ask::Ask;
pub use endpoint::{Endpoint, Transport};
pub use layout::{Link, Sizes};
pub use message::{Down, Up};
pub use order::Order;
pub use profile::Profile;
pub use record::CallRecord;
pub use report::Report;
pub use text::Text;

/// Monotonic time since the machine booted (CLOCK_MONOTONIC).
///
/// A plain [`core::time::Duration`], so that every crate may say `Instant` and mean the same type
/// without one of them owning it.
pub type Instant = core::time::Duration;
