//! How frames come and go: one NIC per worker, all interfaces' queues of its number.
//!
//! A [`Frame`] is the right to one buffer of the NIC's memory. It is moved into a ring or back to the
//! pool; dropping one would lose its buffer for ever, so a drop panics in debug builds. Both NICs
//! deliver whole Ethernet frames: [`afxdp`] those of the wire, [`udp`] made-up ones around what kernel
//! sockets received.

pub mod afxdp;
pub mod udp;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use b2bua::Path;

/// Frames taken at once.
pub const BATCH_FRAMES: usize = 64;

/// Free bytes in front of a fresh frame, so that a longer header fits.
pub const HEADROOM_BYTES: usize = 64;

/// One buffer of the NIC's memory, and the right to it.
#[derive(Debug)]
#[must_use = "a frame is transmitted or given back"]
pub struct Frame {
    /// Number of the buffer.
    index: u32,
    /// Where its content begins.
    start: u32,
    /// How long it is.
    length: u32,
}

impl Frame {
    /// The right to buffer `index`, with `length` bytes of content from `start` on. For a NIC only.
    pub fn new(index: u32, start: u32, length: u32) -> Self {
        Self { index, start, length }
    }

    /// Ends the frame's life as a token; its buffer lives on in a ring or the pool.
    #[must_use]
    pub fn dissolve(self) -> (u32, u32, u32) {
        let parts = (self.index, self.start, self.length);
        std::mem::forget(self);
        parts
    }

    /// Says how much was written into [`Nic::room`].
    pub fn set_length(&mut self, length: usize) {
        self.length = length as u32;
    }

    /// Number of the buffer.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Where in the buffer the content begins.
    #[must_use]
    pub fn start(&self) -> u32 {
        self.start
    }

    /// Bytes of content.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length as usize
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        debug_assert!(
            std::thread::panicking(),
            "frame {} was dropped, its buffer is lost",
            self.index
        );
    }
}

/// Frames received together.
#[derive(Debug, Default)]
pub struct Batch {
    frames: Vec<Frame>,
}

impl Batch {
    /// An empty batch with room for [`BATCH_FRAMES`].
    #[must_use]
    pub fn new() -> Self {
        Self { frames: Vec::with_capacity(BATCH_FRAMES) }
    }

    /// Whether it holds as many as it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.frames.len() >= BATCH_FRAMES
    }

    /// Adds a frame; for a NIC that looked at [`Self::is_full`].
    pub fn push(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    /// Hands out all frames.
    pub fn drain(&mut self) -> impl Iterator<Item = Frame> + '_ {
        self.frames.drain(..)
    }
}

/// Totals since the NIC was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NicStatistics {
    /// Frames received.
    pub received: u64,
    /// Frames given to the kernel.
    pub sent: u64,
    /// Frames dropped because a transmit ring or socket was full.
    pub transmit_full: u64,
    /// Frames the kernel dropped because we gave it no buffers or took none back in time.
    pub receive_full: u64,
    /// Frames that were malformed, or longer than a buffer.
    pub invalid: u64,
}

/// Where all buffers are; the sum never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Free.
    pub pool: usize,
    /// With the kernel, to be filled, sent, or taken back.
    pub rings: usize,
    /// With the worker.
    pub hands: usize,
}

/// What a worker needs of its NIC.
pub trait Nic {
    /// Fills `batch`; how many frames it holds then.
    fn receive(&mut self, batch: &mut Batch) -> usize;
    /// A frame's content.
    fn bytes(&self, frame: &Frame) -> &[u8];
    /// A frame's content, to be changed.
    fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8];
    /// All the room from a frame's start on.
    fn room(&mut self, frame: &mut Frame) -> &mut [u8];
    /// Sends a frame out of an interface. A full ring drops it, counted.
    fn transmit(&mut self, interface: usize, frame: Frame);
    /// A free frame.
    fn take(&mut self) -> Option<Frame>;
    /// A frame nobody needs any more.
    fn give_back(&mut self, frame: Frame);
    /// Makes the kernel look at what was transmitted.
    fn flush(&mut self);
    /// Sleeps until a frame comes, the bell rings, or `limit` has passed.
    fn wait(&mut self, bell: BorrowedFd<'_>, limit: Duration);
    /// The next datagram of ours that ICMP says did not arrive: its path, and how many bytes of its
    /// front were written into `room`. Only a NIC of kernel sockets hears of such.
    fn poll_undeliverable(&mut self, room: &mut [u8]) -> Option<(Path, usize)> {
        let _ = room;
        None
    }
    /// Totals.
    fn statistics(&self) -> NicStatistics;
    /// Where all buffers are.
    fn accounts(&self) -> Accounts;
}

/// A poll timeout: whole milliseconds, rounded up so that a deadline is never spun for.
pub(crate) fn poll_timeout(limit: Duration) -> nix::poll::PollTimeout {
    let ms = limit.as_micros().div_ceil(1000).min(1000);
    nix::poll::PollTimeout::from(ms as u16)
}
