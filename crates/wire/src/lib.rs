//! Bytes to headers and back: Ethernet, VLAN, IPv4, IPv6, UDP, RTP, RTCP.
//!
//! Bytes are checked once, where they enter: [`datagram::parse`] turns a frame into a [`Datagram`],
//! after which no accessor fails. The same module writes headers in front of a payload and rewrites
//! those of a frame in place. Nothing here allocates or reads a clock.
//!
//! Read `datagram.rs` first, then `rtp.rs` and `rtcp.rs`; `checksum.rs` is RFC 1071 and RFC 1624.

#![forbid(unsafe_code)]

pub mod checksum;
pub mod datagram;
pub mod rtcp;
pub mod rtp;

pub use datagram::{Datagram, Fault, Headers, Mac};
