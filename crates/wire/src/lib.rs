//! Bytes to headers and back: Ethernet, VLAN tags, IPv4, IPv6, UDP, RTP, RTCP.
//!
//! A header is checked once, where its `View` is made; after that no accessor can fail. What hostile
//! bytes can get wrong is a [`Fault`], one counter each. Nothing here allocates or reads a clock.
//!
//! [`datagram`] is what the packet path uses: a whole frame in, its two endpoints and its payload
//! out, and the same way back. Read it first, then the layer files from `ethernet.rs` up to `udp.rs`;
//! `rtp.rs` and `rtcp.rs` read payloads.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod checksum;
pub mod datagram;
pub mod ethernet;
mod fault;
pub mod ipv4;
pub mod ipv6;
pub mod rtcp;
pub mod rtp;
pub mod udp;

pub use fault::Fault;
