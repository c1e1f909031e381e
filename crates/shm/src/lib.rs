//! What two processes on one machine share: named memory, doorbells, locks.
//!
//! A path enters, words leave. [`Region`] is named memory as a slice of atomic words, [`Doorbell`]
//! wakes a process that sleeps on a file descriptor, [`Lock`] sees to it that there is only one of a
//! kind. The kernel lets go of all three when a process dies, however it dies.
//!
//! This crate exists because mapping memory takes `unsafe`, and every other library forbids that: the
//! two blocks in `region.rs` are all of it. What the words mean is `link`'s business.

mod doorbell;
mod error;
mod lock;
mod region;

pub use doorbell::Doorbell;
pub use error::Error;
pub use lock::Lock;
pub use region::{Origin, Region, remove};
