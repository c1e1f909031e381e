//! Whence a message came and whither replies to it go.

use std::net::SocketAddr;

use link::endpoint::Transport;

/// The two ends and the carrier between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// How SIP travels here.
    pub transport: Transport,
    /// Our end: where a message came in, or leaves from.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The rim's number for a stream connection; 0 over UDP.
    pub connection: u32,
}

impl Path {
    /// Whether the transport repeats lost messages itself, so that transactions need not.
    pub(crate) fn is_reliable(&self) -> bool {
        self.transport != Transport::Udp
    }
}
