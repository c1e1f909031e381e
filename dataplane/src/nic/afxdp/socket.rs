//! One AF_XDP socket: its four rings and the calls that set it up.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::mapping::Mapping;
use super::ring::Indices;

/// A ring of `T` that lies in a mapping.
struct Ring<T> {
    _mapping: Mapping,
    indices: Indices,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    slots: NonNull<T>,
}

// SAFETY: all pointers go into `_mapping`, which moves along and is owned by this value alone.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    fn map(
        socket: BorrowedFd<'_>,
        page: i64,
        offsets: &libc::xdp_ring_offset,
        size: u32,
    ) -> io::Result<Self> {
        let slots_at = offsets.desc as usize;
        let slots_bytes = size as usize * size_of::<T>();
        let mapping = Mapping::new(socket, page, slots_at + slots_bytes)?;
        let inside = |offset: u64, bytes: usize| {
            mapping.at(offset as usize, bytes).ok_or_else(|| io::Error::other("ring offsets"))
        };
        let word = size_of::<AtomicU32>();
        Ok(Self {
            producer: inside(offsets.producer, word)?.cast(),
            consumer: inside(offsets.consumer, word)?.cast(),
            flags: inside(offsets.flags, word)?.cast(),
            slots: inside(offsets.desc, slots_bytes)?.cast(),
            indices: Indices::new(size),
            _mapping: mapping,
        })
    }

    fn shared_producer(&self) -> &AtomicU32 {
        // SAFETY: `map` checked that the word lies in the mapping, which lives as long as `self`; the
        // kernel keeps it aligned.
        unsafe { self.producer.as_ref() }
    }

    fn shared_consumer(&self) -> &AtomicU32 {
        // SAFETY: as in `shared_producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn needs_wakeup(&self) -> bool {
        // SAFETY: as in `shared_producer`.
        let flags = unsafe { self.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Producer: writes up to `values.len()` slots and publishes them; how many there was room for.
    fn produce(&mut self, values: impl ExactSizeIterator<Item = T>) -> u32 {
        let wanted = values.len() as u32;
        let consumer = self.shared_consumer().load(Ordering::Acquire);
        let count = self.indices.free(wanted, || consumer).min(wanted);
        for (ahead, value) in values.take(count as usize).enumerate() {
            let place = self.indices.place(ahead as u32);
            // SAFETY: `place` is below the ring's size because of the mask.
            let slot = unsafe { self.slots.add(place) };
            // SAFETY: the slot is free: the kernel consumed it, and does not look at it again before we
            // publish the producer index below.
            unsafe { slot.write(value) };
        }
        let index = self.indices.advance(count);
        self.shared_producer().store(index, Ordering::Release);
        count
    }

    /// Consumer: takes up to `most` slots.
    fn consume(&mut self, most: u32, mut take: impl FnMut(T)) -> u32 {
        let producer = self.shared_producer().load(Ordering::Acquire);
        let count = self.indices.filled(u32::MAX, || producer).min(most);
        for ahead in 0..count {
            let place = self.indices.place(ahead);
            // SAFETY: `place` is below the ring's size because of the mask.
            let slot = unsafe { self.slots.add(place) };
            // SAFETY: the kernel published this slot, and does not write it again until we publish a
            // consumer index past it; any bits are a valid `T` (plain integers).
            take(unsafe { slot.read() });
        }
        let index = self.indices.advance(count);
        self.shared_consumer().store(index, Ordering::Release);
        count
    }

    fn free(&mut self) -> u32 {
        let consumer = self.shared_consumer().load(Ordering::Acquire);
        self.indices.free(u32::MAX, || consumer)
    }

    fn outstanding(&mut self) -> u32 {
        self.free();
        self.indices.outstanding()
    }
}

/// A socket bound to one queue of one interface.
pub(super) struct Socket {
    fd: OwnedFd,
    fill: Ring<u64>,
    completion: Ring<u64>,
    receive: Ring<libc::xdp_desc>,
    transmit: Ring<libc::xdp_desc>,
    /// Buffers given to be filled that have not come back as frames.
    receiving: usize,
}

/// How a socket is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding<'a> {
    /// The first one brings the memory; `zero_copy` or not.
    Own { zero_copy: bool },
    /// The others share it.
    Shared(&'a Socket),
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.fd.as_raw_fd() == other.fd.as_raw_fd()
    }
}

impl Eq for Socket {}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({})", self.fd.as_raw_fd())
    }
}

fn set_option<T>(fd: BorrowedFd<'_>, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: `value` points to `length` readable bytes for the length of the call.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, value.cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn option<T>(fd: BorrowedFd<'_>, name: i32, mut value: T) -> io::Result<T> {
    let mut length = size_of::<T>() as libc::socklen_t;
    let room: *mut T = &raw mut value;
    // SAFETY: `room` points to `length` writable bytes for the length of the call, and every `T` used
    // here is made of plain integers.
    let done = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, room.cast(), &raw mut length)
    };
    if done == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

const NO_OFFSETS: libc::xdp_ring_offset =
    libc::xdp_ring_offset { producer: 0, consumer: 0, desc: 0, flags: 0 };

impl Socket {
    /// Opens and binds a socket to `queue` of the interface with index `ifindex`, each of its rings
    /// with `slots`, a power of two.
    pub(super) fn open(
        ifindex: u32,
        queue: u32,
        memory: &Mapping,
        frame_bytes: u32,
        slots: u32,
        binding: Binding<'_>,
    ) -> io::Result<Self> {
        // SAFETY: the arguments are constants; the result is checked.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel gave us this descriptor just now and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if let Binding::Own { .. } = binding {
            let registration = libc::xdp_umem_reg_v1 {
                addr: memory.address(),
                len: memory.length() as u64,
                chunk_size: frame_bytes,
                headroom: 0,
            };
            set_option(fd.as_fd(), libc::XDP_UMEM_REG, &registration)?;
        }
        for ring in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
            libc::XDP_TX_RING,
        ] {
            set_option(fd.as_fd(), ring, &slots)?;
        }
        let none = libc::xdp_mmap_offsets {
            rx: NO_OFFSETS,
            tx: NO_OFFSETS,
            fr: NO_OFFSETS,
            cr: NO_OFFSETS,
        };
        let offsets = option(fd.as_fd(), libc::XDP_MMAP_OFFSETS, none)?;
        let file = fd.as_fd();
        let (fill_page, completion_page) =
            (libc::XDP_UMEM_PGOFF_FILL_RING as i64, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64);
        let (receive_page, transmit_page) = (libc::XDP_PGOFF_RX_RING, libc::XDP_PGOFF_TX_RING);
        let socket = Self {
            fill: Ring::map(file, fill_page, &offsets.fr, slots)?,
            completion: Ring::map(file, completion_page, &offsets.cr, slots)?,
            receive: Ring::map(file, receive_page, &offsets.rx, slots)?,
            transmit: Ring::map(file, transmit_page, &offsets.tx, slots)?,
            receiving: 0,
            fd,
        };
        socket.bind(ifindex, queue, binding)?;
        Ok(socket)
    }

    fn bind(&self, ifindex: u32, queue: u32, binding: Binding<'_>) -> io::Result<()> {
        // A shared binding inherits mode and wake-up from the one that brought the memory.
        let (flags, shared_fd) = match binding {
            Binding::Own { zero_copy: true } => (libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP, 0),
            Binding::Own { zero_copy: false } => (libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP, 0),
            Binding::Shared(first) => (libc::XDP_SHARED_UMEM, first.fd.as_raw_fd()),
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: ifindex,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: shared_fd as u32,
        };
        let length = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
        let pointer: *const libc::sockaddr_xdp = &raw const address;
        // SAFETY: `pointer` points to `length` readable bytes for the length of the call.
        let done = unsafe { libc::bind(self.fd.as_raw_fd(), pointer.cast(), length) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives the kernel buffers to fill; how many it took.
    pub(super) fn fill(&mut self, addresses: impl ExactSizeIterator<Item = u64>) -> u32 {
        let taken = self.fill.produce(addresses);
        self.receiving += taken as usize;
        taken
    }

    /// Buffers that are out to be received into.
    pub(super) fn receiving(&self) -> usize {
        self.receiving
    }

    pub(super) fn fill_room(&mut self) -> u32 {
        self.fill.free()
    }

    /// Takes received frames: address and length of each.
    pub(super) fn receive(&mut self, most: u32, mut take: impl FnMut(u64, u32)) -> u32 {
        let taken = self.receive.consume(most, |descriptor| take(descriptor.addr, descriptor.len));
        self.receiving -= taken as usize;
        taken
    }

    /// Takes back buffers that were sent.
    pub(super) fn complete(&mut self, take: impl FnMut(u64)) -> u32 {
        self.completion.consume(u32::MAX, take)
    }

    /// Queues one frame; `false`: the ring is full.
    pub(super) fn transmit(&mut self, address: u64, length: u32) -> bool {
        let descriptor = libc::xdp_desc { addr: address, len: length, options: 0 };
        self.transmit.produce(std::iter::once(descriptor)) == 1
    }

    /// Frames the kernel has not taken from the transmit ring.
    pub(super) fn unsent(&mut self) -> u32 {
        self.transmit.outstanding()
    }

    pub(super) fn wants_kick(&self) -> bool {
        self.transmit.needs_wakeup()
    }

    /// Whether the kernel waits for a call before it fills buffers.
    pub(super) fn wants_fill_kick(&self) -> bool {
        self.fill.needs_wakeup()
    }

    /// Makes the kernel look at the transmit ring. It is not an error if it is busy: the next turn
    /// asks again.
    pub(super) fn kick(&self) {
        // SAFETY: a null buffer of no bytes is what AF_XDP's sendto takes.
        let _ = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
    }

    /// Makes the driver look at the fill ring: sendto wakes only its transmit side.
    pub(super) fn kick_fill(&self) {
        // SAFETY: a null buffer of no bytes is what AF_XDP's recvfrom takes.
        let _ = unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    /// Frames the kernel dropped for want of buffers or ring space, and malformed descriptors.
    pub(super) fn drops(&self) -> (u64, u64) {
        let none = libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        };
        let Ok(found) = option(self.fd(), libc::XDP_STATISTICS, none) else { return (0, 0) };
        let full = found.rx_dropped + found.rx_ring_full + found.rx_fill_ring_empty_descs;
        (full, found.rx_invalid_descs + found.tx_invalid_descs)
    }
}
