//! Media relay: for each datagram, where it goes next.
//!
//! A datagram enters at [`Table::forward`], is matched to a flow by the port it was sent to, is
//! believed or not by the address it came from, and leaves as a [`Verdict`]. Its payload is never
//! touched. Nothing here allocates after [`Table::new`], blocks, logs or reads a clock; the worker
//! owns the bytes and says what time it is.
//!
//! A call opens one port per leg and media line, joins the two, tells each what the leg's SDP said
//! ([`Table::set_remote`]), opens the gates at the answer ([`Table::set_answered`]) and closes both:
//!
//! ```text
//!   caller ──▶ port A │ flow A: arrives at A, leaves from B │ port B ──▶ callee
//!          ◀──        │ flow B: arrives at B, leaves from A │        ◀──
//! ```
//!
//! Read `flow.rs` for the nouns, `latch.rs` for whom a flow believes, `table.rs` for where flows
//! live, `forward.rs` for the verb; `quality.rs` counts what arrived, `kept.rs` is what outlives us.

#![forbid(unsafe_code)]

mod flow;
mod forward;
mod kept;
mod latch;
mod quality;
mod table;
mod verdict;

#[cfg(test)]
mod tests;

pub use flow::{Gate, Hold, Opening, Owner, PayloadTypes, Remote};
pub use kept::{KEPT_BYTES, KeptFlow};
pub use latch::{Latch, RELATCH_SILENCE, may_send_to};
pub use quality::Figures;
pub use table::Table;
pub use verdict::{DropReason, Verdict};

/// Monotonic time since the machine booted.
pub type Instant = core::time::Duration;

/// How long after an SDP a far address may be learned, unless a parameter says otherwise.
pub const LATCH_WINDOW: core::time::Duration = core::time::Duration::from_secs(10);

/// How long media may flow before the answer, unless a parameter says otherwise.
pub const EARLY_MEDIA_MAX: core::time::Duration = core::time::Duration::from_secs(120);
