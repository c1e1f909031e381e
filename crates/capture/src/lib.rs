//! A captured call, and thousands made of it.
//!
//! A capture file enters as bytes ([`Packets`]), becomes Ethernet frames that are kept once ([`Capture`]), with
//! other addresses if [`Rules`] say so. [`Clones`] say what differs from call to call, and
//! [`Capture::write`] writes any frame of any of them; [`Schedule`] says which is next and when,
//! [`Ear`] recognises what comes back. Nothing here reads a file, a clock or a socket, and nothing allocates
//! once the capture is read.
//!
//! Read `file.rs` and `link.rs` for what a capture is, `frame.rs` for what a frame says, `text.rs` for SIP,
//! `clones.rs` for what differs, `capture.rs` for the whole.

#![forbid(unsafe_code)]

mod address;
mod capture;
mod clones;
mod ear;
pub mod file;
mod frame;
pub mod link;
mod schedule;
mod text;

pub use address::{Readdress, Rule, RuleFault, Rules};
pub use capture::{Capture, Counts, Frame, Options, ReadError, Stream, WriteFault};
pub use clones::{CloneFault, Clones, StreamPatch};
pub use ear::{Ear, Found, Heard, Totals};
pub use file::{FileFault, Packet, Packets};
pub use frame::{Kind, Layout};
pub use schedule::{Due, Schedule, Starts};
