//! What a recorded call sounds like: packets of both sides in, the bytes of its files out.
//!
//! [`Timeline`] lays the samples of both sides beside each other by their RTP timestamps, [`wav`] and [`pcap`] say how a
//! file begins and goes on. Nothing here knows of files, clocks or calls.
//!
//! Read `timeline.rs` for how packets become a recording; the rest is formats.

#![forbid(unsafe_code)]

pub mod pcap;
mod timeline;
pub mod wav;

pub use timeline::{Frame, RATE, Side, Timeline};

/// Monotonic time since the machine booted.
pub type Instant = core::time::Duration;
