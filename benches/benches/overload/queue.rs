//! The worker's NIC: a queue in memory that drops at its tail, as a NIC does.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use dataplane::nic::{Accounts, Batch, Frame, HEADROOM_BYTES, Nic, NicStatistics};
use wire::datagram::{self, Headers};

/// Frames that wait for the worker, at most.
const WAITING_MAX: usize = 4_096;
/// Frames it may send in one turn.
const SENDING_MAX: usize = 4_096;
const FRAMES: usize = WAITING_MAX + SENDING_MAX;
const FRAME_BYTES: usize = 4_096;

/// See the head of this file.
pub(crate) struct Queue {
    memory: Box<[u8]>,
    pool: Vec<u32>,
    waiting: VecDeque<(u32, u32, u32)>,
    sent: Vec<(u32, u32, u32)>,
    statistics: NicStatistics,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            memory: vec![0; FRAMES * FRAME_BYTES].into(),
            pool: (0..FRAMES as u32).collect(),
            waiting: VecDeque::with_capacity(WAITING_MAX),
            sent: Vec::with_capacity(SENDING_MAX),
            statistics: NicStatistics::default(),
        }
    }

    /// A datagram arrives. A full queue drops it.
    pub(crate) fn deliver(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        if self.waiting.len() == WAITING_MAX {
            self.statistics.receive_full += 1;
            return;
        }
        let Some(index) = self.pool.pop() else { return };
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
            Some(length) => self.waiting.push_back((index, 0, length as u32)),
            None => self.pool.push(index),
        }
    }

    /// What was sent since the last look.
    pub(crate) fn take_sent(&mut self, mut with: impl FnMut(SocketAddr, &[u8])) {
        for (index, start, length) in self.sent.drain(..) {
            let from = index as usize * FRAME_BYTES + start as usize;
            let frame = self.memory.get(from..from + length as usize).unwrap_or_default();
            let datagram = datagram::parse(frame).expect("what we send can be read");
            with(datagram.destination, datagram.payload(frame));
            self.pool.push(index);
        }
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
            && let Some((index, start, length)) = self.waiting.pop_front()
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
        let rings = self.waiting.len() + self.sent.len();
        let pool = self.pool.len();
        Accounts { pool, rings, hands: FRAMES - pool - rings }
    }
}
