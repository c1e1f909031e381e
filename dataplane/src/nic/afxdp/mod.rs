//! The AF_XDP NIC of one worker: one memory, one socket per interface, all on the worker's queue.
//!
//! All interfaces share one memory, so a frame that came in by one leaves by another without a copy of
//! ours. Zero-copy is tried first; a driver that cannot (veth) copies, and [`AfXdp::zero_copy`] says
//! which. After [`AfXdp::open`] nothing is allocated.
//!
//! `ring.rs` is the arithmetic, `mapping.rs` the memory, `socket.rs` the system calls, `queues.rs` how many
//! queues there are.

#![allow(unsafe_code, reason = "rings and frames are memory shared with the kernel")]

mod mapping;
mod queues;
mod ring;
mod socket;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};

use self::mapping::Mapping;
use self::socket::{Binding, Socket};
use super::{Accounts, BATCH_FRAMES, Batch, Frame, HEADROOM_BYTES, Nic, NicStatistics};

/// System calls per flush: the kernel takes some dozens of frames by each.
const KICKS_MAX: u32 = 8;
/// Longest sleep while frames wait for their next kick.
const UNSENT_SLEEP_MAX: Duration = Duration::from_millis(1);
/// How often, and with which pause, a busy queue is asked for: a second in all.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Memory of huge pages comes in these.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Why the NIC could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such interface in this network namespace.
    #[error("no interface {0}: look at `ip link`, in the network namespace the dataplane runs in")]
    NoInterface(String),
    /// The packet memory.
    #[error(
        "{0} MiB of packet memory: {1}; lower dataplane.frames_per_worker, or reserve huge pages"
    )]
    Memory(usize, io::Error),
    /// Queues without a worker, or workers without a queue.
    #[error(
        "{name} has {queues} receive queues and dataplane.workers = {workers}, where each must read one: run \
         `ethtool -L {name} combined {workers}` (`rx {workers}` for a driver without combined ones), or \
         change dataplane.workers"
    )]
    Queues {
        /// The interface.
        name: String,
        /// How many it has.
        queues: u32,
        /// How many would be read.
        workers: u32,
    },
    /// The socket.
    #[error(
        "an AF_XDP socket on queue {1} of {0}: {2}; has it that many queues (`ethtool -l {0}`), and \
         does nobody else hold the queue? Without AF_XDP: dataplane.nic = \"udp\""
    )]
    Socket(String, u32, io::Error),
}

/// Refuses interfaces with queues that none of `workers` would read, or with too few for them.
///
/// # Errors
/// [`Error::Queues`], or [`Error::NoInterface`].
pub fn check_queues(interfaces: &[String], workers: u32) -> Result<(), Error> {
    for name in interfaces {
        let queues = queues::receive_queues(name).map_err(|_| Error::NoInterface(name.clone()))?;
        if let Some(queues) = queues.filter(|queues| *queues != workers) {
            return Err(Error::Queues { name: name.clone(), queues, workers });
        }
    }
    Ok(())
}

/// Frames kept back for sending.
fn reserve(frames: usize) -> usize {
    frames / 4
}

/// Frames that one interface holds to receive into, at most. Its rings are as long: while a worker is
/// away, nothing is lost before the memory is full.
fn share(frames: usize, interfaces: usize) -> usize {
    (frames - reserve(frames)) / interfaces.max(1)
}

/// Tries again while the queue is busy: the kernel lets go of a dead process's sockets some time after
/// it is gone, and a restart must not wait for a second restart.
fn patiently(open: impl Fn() -> io::Result<Socket>) -> io::Result<Socket> {
    for _ in 0..BUSY_TRIES {
        match open() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(BUSY_PAUSE);
            }
            done => return done,
        }
    }
    open()
}

/// All sockets of one worker.
pub struct AfXdp {
    memory: Mapping,
    frame_bytes: u32,
    frames: usize,
    sockets: Vec<Socket>,
    zero_copy: bool,
    pool: Vec<u32>,
    /// Buffers with the kernel.
    in_rings: usize,
    /// Interfaces with frames since the last flush, a bit each.
    dirty: u64,
    next: usize,
    statistics: NicStatistics,
}

impl AfXdp {
    /// Opens a socket on `queue` of every interface, over one memory of `frames` frames.
    ///
    /// # Errors
    /// When the memory cannot be had or a queue cannot be bound.
    pub fn open(
        interfaces: &[String],
        queue: u32,
        frames: u32,
        frame_bytes: u32,
        hugepages: bool,
    ) -> Result<Self, Error> {
        let bytes = frames as usize * frame_bytes as usize;
        let memory = |error: io::Error| Error::Memory(bytes >> 20, error);
        let flags = if hugepages { MFdFlags::MFD_HUGETLB } else { MFdFlags::empty() };
        let file = memfd_create(c"tollgate-umem", flags | MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| memory(errno.into()))?;
        let whole = if hugepages { bytes.next_multiple_of(HUGE_PAGE_BYTES) } else { bytes };
        nix::unistd::ftruncate(&file, whole as i64).map_err(|errno| memory(errno.into()))?;
        let memory = Mapping::new(file.as_fd(), 0, whole).map_err(memory)?;
        let slots = (share(frames as usize, interfaces.len()) as u32).next_power_of_two();
        let bind =
            |zero_copy| Self::bind(interfaces, queue, &memory, frame_bytes, slots, zero_copy);
        let (sockets, zero_copy) = match bind(true) {
            Ok(sockets) => (sockets, true),
            Err(_) => (bind(false)?, false),
        };
        let mut nic = Self {
            memory,
            frame_bytes,
            frames: frames as usize,
            sockets,
            zero_copy,
            pool: (0..frames).rev().collect(),
            in_rings: 0,
            dirty: 0,
            next: 0,
            statistics: NicStatistics::default(),
        };
        nic.refill();
        Ok(nic)
    }

    fn bind(
        interfaces: &[String],
        queue: u32,
        memory: &Mapping,
        frame_bytes: u32,
        slots: u32,
        zero_copy: bool,
    ) -> Result<Vec<Socket>, Error> {
        let mut sockets: Vec<Socket> = Vec::with_capacity(interfaces.len());
        for name in interfaces {
            let no_interface = || Error::NoInterface(name.clone());
            let c_name = CString::new(name.as_str()).map_err(|_| no_interface())?;
            let ifindex = nix::net::if_::if_nametoindex(c_name.as_c_str());
            let ifindex = ifindex.map_err(|_| no_interface())?;
            let binding = match sockets.first() {
                None => Binding::Own { zero_copy },
                Some(first) => Binding::Shared(first),
            };
            let open = || Socket::open(ifindex, queue, memory, frame_bytes, slots, binding);
            let socket =
                patiently(open).map_err(|error| Error::Socket(name.clone(), queue, error))?;
            sockets.push(socket);
        }
        Ok(sockets)
    }

    /// Whether the driver writes into our memory itself.
    #[must_use]
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// The sockets, in the order of the interfaces, for the XSK map.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(Socket::fd)
    }

    /// Keeps every fill ring as full as the pool allows. No interface is given more than its share,
    /// else the first one would take all of a small memory.
    fn refill(&mut self) {
        let (reserve, share) = (reserve(self.frames), share(self.frames, self.sockets.len()));
        for socket in &mut self.sockets {
            let spare = self.pool.len().saturating_sub(reserve);
            let missing = share.saturating_sub(socket.receiving());
            let count = spare.min(missing).min(socket.fill_room() as usize);
            if count < BATCH_FRAMES.min(spare).min(share / 2) || count == 0 {
                continue;
            }
            let from = self.pool.len() - count;
            let frame_bytes = u64::from(self.frame_bytes);
            let addresses = self.pool.drain(from..).map(|index| u64::from(index) * frame_bytes);
            // `fill_room` was asked first, so all of them are taken.
            self.in_rings += socket.fill(addresses) as usize;
        }
    }

    /// Takes back what was sent.
    fn reap(&mut self) {
        let (pool, frame_bytes) = (&mut self.pool, u64::from(self.frame_bytes));
        for socket in &mut self.sockets {
            let back = socket.complete(|address| pool.push((address / frame_bytes) as u32));
            self.in_rings -= back as usize;
        }
    }

    fn place(&self, index: u32, start: u32, length: u32) -> (usize, usize) {
        let offset = index as usize * self.frame_bytes as usize + start as usize;
        let room = (self.frame_bytes - start.min(self.frame_bytes)) as usize;
        (offset, room.min(length as usize))
    }
}

impl Nic for AfXdp {
    fn receive(&mut self, batch: &mut Batch) -> usize {
        self.reap();
        self.refill();
        let frame_bytes = u64::from(self.frame_bytes);
        let mut received = 0;
        // Another interface begins each time, so that none starves.
        let first = self.next;
        self.next = (first + 1) % self.sockets.len().max(1);
        for turn in 0..self.sockets.len() {
            let place = (first + turn) % self.sockets.len();
            let Some(socket) = self.sockets.get_mut(place) else { continue };
            let room = BATCH_FRAMES - received;
            let count = socket.receive(room as u32, |address, length| {
                let index = (address / frame_bytes) as u32;
                batch.push(Frame::new(index, (address % frame_bytes) as u32, length));
            });
            received += count as usize;
            if count == 0 && socket.wants_fill_kick() {
                socket.kick_fill();
            }
        }
        self.in_rings -= received;
        self.statistics.received += received as u64;
        received
    }

    fn bytes(&self, frame: &Frame) -> &[u8] {
        let (offset, length) = self.place(frame.index, frame.start, frame.length);
        let Some(start) = self.memory.at(offset, length) else { return &[] };
        // SAFETY: `at` checked the range; the token is the only right to this buffer, it is borrowed
        // for as long as the bytes are, and the kernel does not touch buffers outside its rings.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }

    fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8] {
        let (offset, length) = self.place(frame.index, frame.start, frame.length);
        let Some(start) = self.memory.at(offset, length) else { return &mut [] };
        // SAFETY: as in `bytes`; the token is borrowed mutably, so this is the only view of the buffer.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), length) }
    }

    fn room(&mut self, frame: &mut Frame) -> &mut [u8] {
        let (offset, length) = self.place(frame.index, frame.start, self.frame_bytes);
        let Some(start) = self.memory.at(offset, length) else { return &mut [] };
        // SAFETY: as in `bytes_mut`.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), length) }
    }

    fn transmit(&mut self, interface: usize, frame: Frame) {
        let address = u64::from(frame.index) * u64::from(self.frame_bytes) + u64::from(frame.start);
        let length = frame.length;
        // The kernel skips a descriptor that it finds malformed, and older ones never give it back.
        if length == 0 || frame.start + length > self.frame_bytes {
            self.statistics.invalid += 1;
            return self.give_back(frame);
        }
        let sent = self.sockets.get_mut(interface).is_some_and(|s| s.transmit(address, length));
        if !sent {
            self.statistics.transmit_full += 1;
            return self.give_back(frame);
        }
        let _ = frame.dissolve();
        self.in_rings += 1;
        self.statistics.sent += 1;
        self.dirty |= 1 << interface;
    }

    fn take(&mut self) -> Option<Frame> {
        if self.pool.is_empty() {
            self.reap();
        }
        self.pool.pop().map(|index| Frame::new(index, HEADROOM_BYTES as u32, 0))
    }

    fn give_back(&mut self, frame: Frame) {
        self.pool.push(frame.dissolve().0);
    }

    fn flush(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        for (place, socket) in self.sockets.iter_mut().enumerate() {
            if dirty >> place & 1 == 0 {
                continue;
            }
            for _ in 0..KICKS_MAX {
                if socket.unsent() == 0 || !socket.wants_kick() {
                    break;
                }
                socket.kick();
            }
            // What the kernel left behind is kicked again in the next turn.
            if socket.unsent() > 0 {
                self.dirty |= 1 << place;
            }
        }
    }

    fn wait(&mut self, bell: BorrowedFd<'_>, limit: Duration) {
        const FDS_MAX: usize = 17;
        let wanted = PollFlags::POLLIN;
        let mut fds: [PollFd<'_>; FDS_MAX] =
            std::array::from_fn(|place| match place.checked_sub(1) {
                None => PollFd::new(bell, wanted),
                Some(place) => match self.sockets.get(place) {
                    Some(socket) => PollFd::new(socket.fd(), wanted),
                    None => PollFd::new(bell, PollFlags::empty()),
                },
            });
        let used = (self.sockets.len() + 1).min(FDS_MAX);
        let limit = if self.dirty == 0 { limit } else { limit.min(UNSENT_SLEEP_MAX) };
        // An interrupted or refused poll is a short sleep; the turn looks everywhere anyway.
        let _ = poll(fds.get_mut(..used).unwrap_or_default(), super::poll_timeout(limit));
    }

    fn statistics(&self) -> NicStatistics {
        let mut statistics = self.statistics;
        for socket in &self.sockets {
            let (full, invalid) = socket.drops();
            statistics.receive_full += full;
            statistics.invalid += invalid;
        }
        statistics
    }

    fn accounts(&self) -> Accounts {
        let (pool, rings) = (self.pool.len(), self.in_rings);
        Accounts { pool, rings, hands: self.frames.saturating_sub(pool + rings) }
    }
}
