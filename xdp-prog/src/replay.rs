//! Frames put on a cable from a table in the kernel, and what counts or hears them at its other end.
//!
//! A [`Tape`] holds kept frames, patches of addresses and RTP sources, and orders: which frame under which
//! patch is next. The kernel makes live frames of them on the core that asks, as fast as that can. A
//! [`Sink`] drops and counts what comes to an interface; [`Ears`] give UDP to AF_XDP sockets.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use nix::net::if_::if_nametoindex;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Error;
use crate::loader::{self, TapeParts, create_link};
use crate::tester::Arrival;

/// The longest frame that lies in a place of the small table.
pub const SMALL_BYTES: usize = 248;
/// The longest frame of all.
pub const LARGE_BYTES: usize = 2_040;
/// The shortest: an Ethernet header.
const BYTES_MIN: usize = 14;
/// Frames written by one system call.
const WRITE_FRAMES: usize = 1_024;

/// How many there may be of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapeSizes {
    /// Orders.
    pub orders: u32,
    /// Frames up to [`SMALL_BYTES`].
    pub smalls: u32,
    /// Frames up to [`LARGE_BYTES`].
    pub larges: u32,
    /// Patches; the one at place 0 is never used.
    pub patches: u32,
}

/// Where a kept frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the small table.
    Small(u32),
    /// In the large one.
    Large(u32),
}

/// Mirror of `struct replay_order`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
pub struct Order {
    frame: u32,
    patch: u32,
}

impl Order {
    /// The frame at this place; a patch, or 0.
    #[must_use]
    pub fn new(place: Place, patch: u32) -> Self {
        const LARGE: u32 = 0x8000_0000;
        let frame = match place {
            Place::Small(number) => number & !LARGE,
            Place::Large(number) => number | LARGE,
        };
        Self { frame, patch }
    }
}

/// Mirror of `struct replay_patch`: what becomes of a plain UDP frame with RTP, as it lies in the frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
pub struct Patch {
    /// Sum of the 16-bit words of both addresses, new less old.
    pub address_sum: u32,
    /// The same of both ports and the RTP source.
    pub rest_sum: u32,
    /// The RTP source (SSRC).
    pub rtp_source: [u8; 4],
    /// Source and destination.
    pub ports: [u8; 4],
    /// Source and destination; of IPv4 the first eight bytes.
    pub addresses: [u8; 32],
    /// 1 for IPv6.
    pub is_v6: u32,
    rest: [u32; 3],
}
const _: () = assert!(size_of::<Patch>() == 64);

impl Patch {
    /// Of this family, all else zero.
    #[must_use]
    pub fn new(is_v6: bool) -> Self {
        Self { is_v6: is_v6.into(), ..Self::default() }
    }
}

/// Mirror of `struct replay_state`.
#[repr(C)]
#[derive(Clone, Copy, IntoBytes, FromBytes, Immutable, KnownLayout)]
struct State {
    next: u32,
    first: u32,
    end: u32,
    refused: u32,
}

/// Kept frames, patches and orders in the kernel, and the program that sends them.
pub struct Tape {
    parts: TapeParts,
    /// A frame of the usual length, from which the kernel makes its pages.
    usual: Vec<u8>,
    sizes: TapeSizes,
}

impl Tape {
    /// Makes it, for the interface of this network namespace at the near end of a cable. Frames of `usual`
    /// bytes cost least.
    pub fn open(cable: &str, sizes: TapeSizes, usual: usize) -> Result<Self, Error> {
        let usual = usual.clamp(BYTES_MIN, LARGE_BYTES);
        let parts = loader::load_tape(&sizes, usual as u32)?;
        let cable = index_of(cable)?;
        write(&parts.cable, 0, cable.as_bytes(), 1)?;
        Ok(Self { parts, usual: vec![0; usual], sizes })
    }

    /// How many there may be of each.
    #[must_use]
    pub fn sizes(&self) -> TapeSizes {
        self.sizes
    }

    /// Writes frames of up to [`SMALL_BYTES`] from this place on.
    pub fn write_smalls<'b>(
        &self,
        first: u32,
        frames: impl Iterator<Item = &'b [u8]>,
    ) -> Result<(), Error> {
        write_frames::<SMALL_BYTES>(&self.parts.smalls, first, frames)
    }

    /// Writes frames of up to [`LARGE_BYTES`] from this place on.
    pub fn write_larges<'b>(
        &self,
        first: u32,
        frames: impl Iterator<Item = &'b [u8]>,
    ) -> Result<(), Error> {
        write_frames::<LARGE_BYTES>(&self.parts.larges, first, frames)
    }

    /// Writes patches from this place on.
    pub fn write_patches(&self, first: u32, patches: &[Patch]) -> Result<(), Error> {
        write(&self.parts.patches, first, patches.as_bytes(), patches.len())
    }

    /// Writes orders from this place on.
    pub fn write_orders(&self, first: u32, orders: &[Order]) -> Result<(), Error> {
        write(&self.parts.orders, first, orders.as_bytes(), orders.len())
    }

    /// The next frame is that of order `next`; behind order `end - 1` comes order `first` again.
    pub fn wind(&self, next: u32, first: u32, end: u32) -> Result<(), Error> {
        let state = State { next, first, end, refused: 0 };
        write(&self.parts.state, 0, state.as_bytes(), 1)
    }

    /// Sends so many frames, and returns how many of them the program refused since it was wound. Those for
    /// which the far end has no room are lost.
    pub fn send(&self, frames: u32) -> Result<u32, Error> {
        // They come from nowhere, and go where the program says.
        let nowhere = Arrival { interface_index: 0, queue: 0 };
        loader::live_run(
            self.parts.program.as_fd(),
            &self.usual,
            nowhere,
            frames,
            loader::LIVE_BATCH,
        )
        .map_err(Error::os("send frames of a tape"))?;
        let state = self.parts.state.lookup(0_u32.as_bytes(), MapFlags::ANY);
        let state = state.map_err(Error::bpf("read the state of a tape"))?.unwrap_or_default();
        Ok(State::read_from_bytes(&state).map_or(0, |state| state.refused))
    }
}

fn write_frames<'b, const ROOM: usize>(
    map: &MapHandle,
    first: u32,
    frames: impl Iterator<Item = &'b [u8]>,
) -> Result<(), Error> {
    let value = ROOM + size_of::<[u32; 2]>();
    let (mut values, mut count, mut first) = (Vec::with_capacity(value * WRITE_FRAMES), 0, first);
    for frame in frames {
        if !(BYTES_MIN..=ROOM).contains(&frame.len()) {
            let what = format!("a frame of {} bytes has no place in a table", frame.len());
            return Err(Error::Plan(what));
        }
        let end = values.len() + value;
        values.extend_from_slice([frame.len() as u32, 0].as_bytes());
        values.extend_from_slice(frame);
        values.resize(end, 0);
        count += 1;
        if count == WRITE_FRAMES {
            write(map, first, &values, count)?;
            first += count as u32;
            values.clear();
            count = 0;
        }
    }
    write(map, first, &values, count)
}

fn write(map: &MapHandle, first: u32, values: &[u8], count: usize) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    if count == 1 {
        let done = map.update(first.as_bytes(), values, MapFlags::ANY);
        return done.map_err(Error::bpf("write a table of frames"));
    }
    let places: Vec<u32> = (first..).take(count).collect();
    map.update_batch(places.as_bytes(), values, count as u32, MapFlags::ANY, MapFlags::ANY)
        .map_err(Error::bpf("write a table of frames"))
}

/// Drops what comes to an interface, and counts it, until this is dropped.
pub struct Sink {
    _link: OwnedFd,
    counts: MapHandle,
}

impl Sink {
    /// Puts it there: in the driver, or behind it where the driver takes no program.
    pub fn attach(interface: &str) -> Result<Self, Error> {
        let (program, counts) = loader::load_sink()?;
        Ok(Self { _link: attach(program.as_fd(), interface)?, counts })
    }

    /// Frames and bytes so far.
    pub fn counted(&self) -> Result<[u64; 2], Error> {
        let mut sums = [0; 2];
        for (which, sum) in (0_u32..).zip(&mut sums) {
            let found = self.counts.lookup_percpu(which.as_bytes(), MapFlags::ANY);
            let found = found.map_err(Error::bpf("read the counts of a sink"))?.unwrap_or_default();
            let words = found.iter().filter_map(|word| u64::read_from_bytes(word).ok());
            *sum = words.sum();
        }
        Ok(sums)
    }
}

/// Gives UDP that comes to an interface to AF_XDP sockets, until this is dropped.
pub struct Ears {
    _link: OwnedFd,
    sockets: MapHandle,
}

impl Ears {
    /// Puts them there: in the driver, or behind it where the driver takes no program.
    pub fn attach(interface: &str) -> Result<Self, Error> {
        let (program, sockets) = loader::load_ears()?;
        Ok(Self { _link: attach(program.as_fd(), interface)?, sockets })
    }

    /// The socket that hears one receive queue.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        use std::os::fd::AsRawFd;
        let socket = socket.as_raw_fd() as u32;
        self.sockets
            .update(queue.as_bytes(), socket.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("give a socket to the program that hears"))
    }
}

fn attach(program: BorrowedFd<'_>, interface: &str) -> Result<OwnedFd, Error> {
    let index = index_of(interface)?;
    create_link(program, index, libbpf_sys::XDP_FLAGS_DRV_MODE)
        .or_else(|_| create_link(program, index, libbpf_sys::XDP_FLAGS_SKB_MODE))
        .map_err(|source| Error::Attach { name: interface.to_owned(), source })
}

fn index_of(interface: &str) -> Result<u32, Error> {
    if_nametoindex(interface).map_err(|_| Error::Interface { name: interface.to_owned() })
}
