//! Whence a message came and whither replies to it go.

use std::net::SocketAddr;

use link::endpoint::Transport;

use crate::keys::Shard;

/// The two ends and the carrier between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// How SIP travels here.
    pub transport: Transport,
    /// Our end: where a message came in, or leaves from.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The rim's number for a stream connection; over UDP 0, or where an [`Inside`] lies.
    pub connection: u32,
}

/// A path from one call of ours to another, which leaves the box nowhere: a transfer joins two calls
/// by it. Both ends of it are the same own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The shard of the call that a message is for.
    pub to: Shard,
    /// The shard of the call that it is from.
    pub from: Shard,
}

/// Tells an inside path from no connection.
const INSIDE: u32 = 1 << 31;

impl Inside {
    /// The path at `local`.
    #[must_use]
    pub fn path(self, local: SocketAddr) -> Path {
        let connection = INSIDE | u32::from(self.from.0) << 8 | u32::from(self.to.0);
        Path { transport: Transport::Udp, local, remote: local, connection }
    }
}

impl Path {
    /// Between which calls it leads, if it stays inside.
    #[must_use]
    pub fn inside(&self) -> Option<Inside> {
        let is_inside = self.transport == Transport::Udp && self.connection & INSIDE != 0;
        let [to, from, ..] = self.connection.to_le_bytes();
        is_inside.then_some(Inside { to: Shard(to), from: Shard(from) })
    }

    /// The same path as the other end sees it.
    #[must_use]
    pub fn turned(self) -> Self {
        match self.inside() {
            Some(Inside { to, from }) => Inside { to: from, from: to }.path(self.local),
            None => Self { local: self.remote, remote: self.local, ..self },
        }
    }

    /// Whether the transport repeats lost messages itself, so that transactions need not.
    pub(crate) fn is_reliable(&self) -> bool {
        self.transport != Transport::Udp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_leads_back_the_same_way() {
        let local = "192.0.2.1:5060".parse().unwrap();
        let inside = Inside { to: Shard(0), from: Shard(255) };
        let path = inside.path(local);
        assert_eq!(path.inside(), Some(inside));
        assert_eq!(path.turned().inside(), Some(Inside { to: Shard(255), from: Shard(0) }));
        assert_eq!(path.turned().turned(), path);
        assert!(!path.is_reliable());
        for connection in [0, 7] {
            assert_eq!(Path { connection, ..path }.inside(), None);
        }
        assert_eq!(Path { transport: Transport::Tcp, ..path }.inside(), None);
    }
}
