//! The simulated NIC: one receive queue in memory that allocates nothing after it was made.
//!
//! Frames are real Ethernet frames, written and read by `wire` as on a real interface. A fuse makes
//! the whole process die in the middle of a turn, at the frame it is about to send.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::panic::resume_unwind;
use std::time::Duration;

use dataplane::nic::{Accounts, Batch, Frame, HEADROOM_BYTES, Nic, NicStatistics};
use wire::datagram::{self, Headers};

const FRAMES: u32 = 128;
const FRAME_BYTES: usize = 4096;

/// What a worker's thread ends with when the fuse burns down: SIGKILL, as far as anyone can tell.
pub struct Killed;

/// One queue.
pub struct Queue {
    memory: Box<[u8]>,
    pool: Vec<u32>,
    received: VecDeque<(u32, u32, u32)>,
    sent: Vec<(u32, u32, u32)>,
    fuse: Option<u32>,
    statistics: NicStatistics,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            memory: vec![0; FRAMES as usize * FRAME_BYTES].into(),
            pool: (0..FRAMES).collect(),
            received: VecDeque::with_capacity(FRAMES as usize),
            sent: Vec::with_capacity(FRAMES as usize),
            fuse: None,
            statistics: NicStatistics::default(),
        }
    }
}

impl Queue {
    /// The process dies when it is about to send its `frames`-th frame from now.
    pub fn light_fuse(&mut self, frames: u32) {
        self.fuse = Some(frames);
    }

    /// A datagram arrives. A full queue drops it.
    pub fn deliver(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let Some(index) = self.pool.pop() else {
            self.statistics.receive_full += 1;
            return;
        };
        let headers = Headers {
            destination_mac: [2; 6],
            source_mac: [4; 6],
            vlan: None,
            source,
            destination,
            dscp: 0,
            ttl: 64,
        };
        match datagram::write(self.buffer(index), &headers, payload) {
            Some(length) => self.received.push_back((index, 0, length as u32)),
            None => self.pool.push(index),
        }
    }

    /// What was sent since the last look, as datagrams.
    pub fn take_sent(&mut self, mut with: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        for (index, start, length) in self.sent.drain(..) {
            let from = index as usize * FRAME_BYTES + start as usize;
            let frame = self.memory.get(from..from + length as usize).unwrap_or_default();
            let datagram =
                datagram::parse(frame).expect("what we send can be read, and its checksums hold");
            with(datagram.source, datagram.destination, datagram.payload(frame));
            self.pool.push(index);
        }
    }

    /// Whether every buffer is in the pool again.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.pool.len() == FRAMES as usize
    }

    fn buffer(&mut self, index: u32) -> &mut [u8] {
        let from = index as usize * FRAME_BYTES;
        self.memory.get_mut(from..from + FRAME_BYTES).unwrap_or_default()
    }
}

impl Nic for Queue {
    fn receive(&mut self, batch: &mut Batch) -> usize {
        let mut count = 0;
        while !batch.is_full()
            && let Some((index, start, length)) = self.received.pop_front()
        {
            batch.push(Frame::new(index, start, length));
            count += 1;
        }
        self.statistics.received += count as u64;
        count
    }

    fn bytes(&self, frame: &Frame) -> &[u8] {
        let from = frame.index() as usize * FRAME_BYTES + frame.start() as usize;
        self.memory.get(from..from + frame.length()).unwrap_or_default()
    }

    fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8] {
        let (start, length) = (frame.start() as usize, frame.length());
        self.buffer(frame.index()).get_mut(start..start + length).unwrap_or_default()
    }

    fn room(&mut self, frame: &mut Frame) -> &mut [u8] {
        let start = frame.start() as usize;
        self.buffer(frame.index()).get_mut(start..).unwrap_or_default()
    }

    fn transmit(&mut self, _interface: usize, frame: Frame) {
        if let Some(left) = &mut self.fuse {
            if *left == 0 {
                resume_unwind(Box::new(Killed));
            }
            *left -= 1;
        }
        self.statistics.sent += 1;
        self.sent.push(frame.dissolve());
    }

    fn take(&mut self) -> Option<Frame> {
        self.pool.pop().map(|index| Frame::new(index, HEADROOM_BYTES as u32, 0))
    }

    fn give_back(&mut self, frame: Frame) {
        self.pool.push(frame.dissolve().0);
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _bell: BorrowedFd<'_>, _limit: Duration) {}

    fn statistics(&self) -> NicStatistics {
        self.statistics
    }

    fn accounts(&self) -> Accounts {
        let rings = self.received.len() + self.sent.len();
        let pool = self.pool.len();
        Accounts { pool, rings, hands: FRAMES as usize - pool - rings }
    }
}
