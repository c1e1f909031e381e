//! The dataplane: one pinned worker per core between the NIC and the SIP brain.
//!
//! Frames come in by [`nic`], a worker ([`worker`]) asks the brain (`b2bua`) or the relay what to do with
//! each, and sends what they say. [`neighbors`] knows the next hops, [`rim`] takes what the fast path
//! cannot, [`recorder`] writes calls to disk, [`prompts`] reads what callers hear of us, [`boot`] puts it all together.
//!
//! Read `boot.rs`, then `worker/mod.rs` and its files in the order of a turn.

pub mod boot;
pub mod clock;
pub mod cores;
pub mod counters;
mod mark;
pub mod neighbors;
mod netlink;
pub mod nic;
pub mod prompts;
pub mod recorder;
mod returned;
pub mod rim;
pub mod worker;
