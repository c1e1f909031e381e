//! The far ends of the workers' rings, for whoever stands in for the threads of the rim: a simulator that
//! has no kernel to open sockets of.

use std::io;
use std::sync::Arc;

use b2bua::Path;
use link::order::Parameters;
use link::ring::{Consumer, Full, Producer, RingError};

use super::datagram::{Datagrams, Losses};
use super::limits::Limits;
use super::stream::Streams;
use super::{RimEnd, Rings, WorkerSide};
use crate::worker::{Kind, Label, unseal};

/// Letters of each ring: few, so that thousands of simulated machines are soon there.
const SLOTS: usize = 32;

/// Makes a ring of so many slots and bytes of each.
pub type MakeRing<'a> = dyn FnMut(usize, usize) -> Result<(Producer, Consumer), RingError> + 'a;

/// One worker's rings, from the other side.
pub struct StandIn {
    datagrams: RimEnd,
    streams: RimEnd,
}

impl StandIn {
    /// Both sides of each worker's rings. `memory` makes each ring of so many slots and bytes of each.
    ///
    /// # Errors
    /// When a doorbell cannot be opened.
    pub fn open(rings: &Rings, memory: &mut MakeRing<'_>) -> io::Result<Vec<(WorkerSide, Self)>> {
        let mut open = || rings.open_in(|bytes| memory(SLOTS, bytes));
        let pairs = open()?.into_iter().zip(open()?);
        let sides = pairs.map(|((datagrams, datagrams_far), (streams, streams_far))| {
            let losses = Arc::<Losses>::default();
            let limits = Arc::new(Limits::new(&Parameters::default()));
            let datagrams = Datagrams { end: datagrams, losses };
            let streams = Streams { end: streams, tally: Arc::default(), limits };
            let side = WorkerSide::new(Some(datagrams), Some(streams));
            (side, Self { datagrams: datagrams_far, streams: streams_far })
        });
        Ok(sides.collect())
    }

    /// What the worker gave away next, by whichever ring.
    pub fn take<'a>(&mut self, room: &'a mut [u8]) -> Option<(Path, &'a [u8])> {
        loop {
            let given = self.datagrams.out.pop(room).or_else(|| self.streams.out.pop(room));
            let (label, length) = given?;
            if Label::of_number(label).kind != Kind::Name {
                return unseal(room.get(..length)?);
            }
        }
    }

    /// Gives the worker what came by a connection, or came back.
    ///
    /// # Errors
    /// When the ring has no room.
    pub fn give(&mut self, kind: Kind, path: &Path, payload: &[u8]) -> Result<(), Full> {
        self.streams.give(kind, path, payload)
    }
}
