//! What each step of a call's journey costs, and how that is measured so that a ratio stands.
//!
//! A bench is a program under `benches/`; what it found stands in `README.md`, beside the command that
//! finds it again. Nothing imports this crate, and no test has a time in it.
//!
//! Read `measure.rs` for how a figure is taken, `invite.rs` for the message that everybody parses.

#![forbid(unsafe_code)]

pub mod invite;
pub mod measure;
