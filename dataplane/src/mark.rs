//! The mark of what leaves by a socket of the kernel (`SS_QOS_SIGNAL`, `SS_QOS_RTP`): frames of our own
//! have it in their headers.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};

/// With which code point a socket marks what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    is_ipv4: bool,
    dscp: u8,
}

impl Mark {
    /// Of a new socket.
    pub(crate) fn none(is_ipv4: bool) -> Self {
        Self { is_ipv4, dscp: 0 }
    }

    /// Has the socket whose mark it is mark by `dscp` from now on.
    ///
    /// # Errors
    /// When the kernel will not.
    pub(crate) fn turn(&mut self, socket: &impl AsFd, dscp: u8) -> io::Result<()> {
        if self.dscp != dscp {
            let class = i32::from(dscp) << 2;
            match self.is_ipv4 {
                true => setsockopt(socket, sockopt::Ipv4Tos, &class)?,
                false => setsockopt(socket, sockopt::Ipv6TClass, &class)?,
            }
            self.dscp = dscp;
        }
        Ok(())
    }
}
