//! A leg's media over a restart of the worker: what a checkpoint says of them, and their ports taken up again.

use core::time::Duration;

use relay::{Latch, Port};

use super::far::rtcp_beside;
use super::{LegMedia, MediaPlane, STREAMS_MAX, Streams, not_after, opening, start_of};
use crate::Instant;
use crate::dialog::Side;

impl MediaPlane {
    /// What a checkpoint says of a leg's stream.
    pub(crate) fn snapshot(&self, port: Port) -> relay::PortState {
        self.table.snapshot(port)
    }

    /// Both sides may be heard for longer than was said before, or for shorter.
    pub(crate) fn set_ends(&mut self, legs: [&LegMedia; 2], ends: Option<Instant>) {
        for port in legs.into_iter().flat_map(LegMedia::open_ports) {
            self.table.set_not_after(port, not_after(ends));
        }
    }

    /// Opens the streams of a call of before a restart on the very same ports. `false`: one of them
    /// is not ours, or taken; then nothing is open.
    pub(crate) fn reopen(
        &mut self,
        now: Instant,
        streams: &mut Streams<'_>,
        states: &[[relay::PortState; STREAMS_MAX]; 2],
        window: Duration,
    ) -> bool {
        let mut reserved = true;
        for leg in &mut streams.legs {
            for port in &mut leg.ports {
                let is_there = port.is_none() || reserved && self.pools.reserve_port(*port);
                if !is_there {
                    reserved = false;
                    *port = Port::NONE;
                }
            }
        }
        let pairs = streams.legs[0].ports.into_iter().zip(streams.legs[1].ports);
        let is_whole = reserved && pairs.clone().all(|(a, b)| a.is_none() == b.is_none());
        if !is_whole {
            for leg in &mut streams.legs {
                self.release(leg);
            }
            return false;
        }
        for (index, (port, _)) in pairs.enumerate() {
            for side in Side::BOTH.into_iter().filter(|_| !port.is_none()) {
                let state = &states[side as usize][index];
                let (port, opening) = opening(streams, side, index);
                self.table.reopen(now, port, &opening, state, now + window);
                self.table.set_not_after(port, not_after(streams.ends));
                self.table.set_tapped(port, streams.tapped);
                if streams.inside[side as usize] {
                    let rtcp = state.remote.and_then(rtcp_beside);
                    let types = state.payload_types;
                    self.table.set_remote(port, state.remote, rtcp, Latch::Inside, types);
                }
                streams.legs[side as usize].payload_types[index] = state.payload_types;
                let start = start_of(now, streams.randoms[side as usize], index, streams.secret);
                // The pool may be smaller than it was: then what is said goes on as it is.
                self.table.set_transcoding(port, state.transcoding, start);
            }
        }
        true
    }
}
