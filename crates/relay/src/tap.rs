//! A copy of what goes on, for whoever records.
//!
//! The relay says of each packet of a tapped port whose it is and hands it over; what becomes of it is no business of
//! the packet path. It is the packet as its far end meant it, before anything of ours is done to it.

use std::net::SocketAddr;

use crate::flow::Owner;
use crate::port::Port;
use crate::{Instant, Table};

/// A packet that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tapped<'a> {
    /// When it came.
    pub at: Instant,
    /// Of which call.
    pub owner: Owner,
    /// Whether the caller sent it.
    pub from_caller: bool,
    /// Who sent it.
    pub source: SocketAddr,
    /// Our endpoint that it came to.
    pub destination: SocketAddr,
    /// RTP, or RTCP at an odd port.
    pub packet: &'a [u8],
}

/// Who takes the copies.
pub trait Tap {
    /// Takes one, or loses and counts it: nobody waits.
    fn take(&mut self, tapped: &Tapped<'_>);
}

/// Where nobody records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untapped;

impl Tap for Untapped {
    fn take(&mut self, _: &Tapped<'_>) {}
}

impl Table {
    /// Who takes the copies; without, nobody.
    pub fn set_tap(&mut self, tap: Box<dyn Tap + Send>) {
        self.tap = tap;
    }

    /// Whether what arrives at a pair, and goes on, is copied.
    pub fn set_tapped(&mut self, port: Port, tapped: bool) {
        for port in port.pair() {
            if let Some(flow) = self.open_flow(port)
                && flow.tapped != tapped
            {
                flow.tapped = tapped;
                self.change_one(port);
            }
        }
    }

    #[cold]
    pub(crate) fn copy(&mut self, at: Instant, port: Port, source: SocketAddr, packet: &[u8]) {
        let (Some(flow), Some(destination)) = (self.open_at(port), self.own(port)) else { return };
        let (owner, from_caller) = (flow.owner, flow.towards_caller);
        self.tap.take(&Tapped { at, owner, from_caller, source, destination, packet });
    }
}
