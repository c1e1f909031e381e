//! What each step of a call's journey costs, and how that is measured so that a ratio stands.
//!
//! A bench is a program under `benches/`; what it found stands in `README.md`, beside the command that
//! finds it again. Nothing imports this crate, and no test has a time in it.
//!
//! Read `measure.rs` for how a figure is taken, `invite.rs` for the message that everybody parses,
//! `phones.rs` for the call that everybody carries, `desk.rs` for who decides about it, `shared.rs`
//! for the memory between two processes, `record.rs` for the call that is stored, `world.rs` for the cables, `receiver.rs` for whose time the far end takes.

#![forbid(unsafe_code)]

pub mod desk;
pub mod invite;
pub mod measure;
pub mod phones;
pub mod receiver;
pub mod record;
pub mod shared;
pub mod world;
