//! SIP text to messages, zero-copy, and back.
//!
//! A datagram enters at [`Message::parse`] and leaves as a [`Message`] that borrows it: the headers
//! that every message needs are checked once there, so that their accessors cannot fail; the others
//! are read on demand. What is not a message is a [`Fault`]; a broken request can still be answered
//! through [`Refusable`]. [`stream::Framer`] finds the messages of a TCP stream. [`refuse::admit`] says
//! what a user agent that understands a request must still refuse, [`digest`] who sent it. Messages are
//! written by [`emit::Writer`], session descriptions read and rewritten by [`sdp::Sdp`]. Nothing here
//! allocates, blocks, logs, reads a clock or panics on hostile bytes.
//!
//! Read `message.rs` for the whole, `head.rs` for the one pass over the lines, `uri.rs` and `header/`
//! for the parts, `equality.rs` for when two URIs are one, `emit.rs` for the way back.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod digest;
pub mod dtmf;
pub mod emit;
mod equality;
pub mod fault;
mod head;
pub mod header;
mod lines;
pub mod message;
pub mod method;
pub mod q850;
pub mod refusable;
pub mod refuse;
mod room;
mod scan;
pub mod sdp;
pub mod sipfrag;
pub mod status;
pub mod stream;
pub mod telephone;
pub mod telling;
pub mod uri;

pub use emit::{Part, Writer};
pub use fault::Fault;
pub use head::Headers;
pub use header::cseq::Cseq;
pub use header::name::Name;
pub use header::name_addr::NameAddr;
pub use header::params::{Param, Params};
pub use header::text::Text;
pub use header::via::{Transport, Via};
pub use header::{HEADERS_MAX, Header};
pub use message::{Message, Request};
pub use method::Method;
pub use refusable::Refusable;
pub use sdp::{Sdp, SdpFault};

pub use status::reason_phrase;
pub use stream::{Frame, Framer, StreamFault};
pub use telephone::Telephone;
pub use uri::{Host, Scheme, Uri};
