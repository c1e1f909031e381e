//! What benches put a guard under, and beside: floods of ever other sources, and the cheapest drop there is.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

use nix::net::if_::if_nametoindex;

use crate::Error;
use crate::loader::{self, FloodParts, create_link};
use crate::tester::Arrival;

/// One kind of frame from many sources, put on a cable as fast as this core can.
pub struct Flood {
    program: OwnedFd,
    frame: Vec<u8>,
}

impl Flood {
    /// Loads it, for the interface of this network namespace at the near end of a cable. The frame is
    /// untagged, UDP over IPv4 without options and without a UDP checksum; the sources take turns in their
    /// order. At each place of `numbers` (offsets into the frame, two at most) eight digits change from
    /// frame to frame.
    pub fn open(
        cable: &str,
        frame: &[u8],
        sources: &[Ipv4Addr],
        numbers: &[usize],
    ) -> Result<Self, Error> {
        let sum = header_sum(frame)
            .ok_or_else(|| Error::Plan("a flood is of UDP over IPv4 without options".to_owned()))?;
        let stream = FloodParts {
            cable: index_of(cable)?,
            sum,
            number_at: std::array::from_fn(|place| numbers.get(place).map_or(0, |&at| at as u32)),
            sources: sources.iter().map(|source| u32::from_ne_bytes(source.octets())).collect(),
        };
        let program = loader::load_flood(&stream)?;
        Ok(Self { program, frame: frame.to_vec() })
    }

    /// Sends so many frames. Those for which the far end has no room are lost.
    pub fn send(&self, frames: u32) -> Result<(), Error> {
        // They come from nowhere, and go where the program says.
        let nowhere = Arrival { interface_index: 0, queue: 0 };
        loader::live_run(self.program.as_fd(), &self.frame, nowhere, frames, loader::LIVE_BATCH)
            .map_err(Error::os("send a flood"))
    }
}

/// What a program that does next to nothing does with every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Nothing.
    Nothing,
    /// Reads the source address.
    Source,
    /// Reads it, and counts it in one line of a table of 16 MB.
    Line,
    /// Sends the frame back as it is, its MACs turned.
    Bounce,
}

/// A program that drops every frame, or bounces it, on an interface until this is dropped.
pub struct Bare {
    _link: OwnedFd,
}

impl Bare {
    /// Puts it there, in the driver.
    pub fn attach(interface: &str, floor: Floor) -> Result<Self, Error> {
        let program = loader::load_bare(floor)?;
        let native = libbpf_sys::XDP_FLAGS_DRV_MODE;
        let link = create_link(program.as_fd(), index_of(interface)?, native)
            .map_err(|source| Error::Native { name: interface.to_owned(), source })?;
        Ok(Self { _link: link })
    }
}

pub(crate) fn index_of(interface: &str) -> Result<u32, Error> {
    if_nametoindex(interface).map_err(|_| Error::Interface { name: interface.to_owned() })
}

/// Of the IP header's words but source and checksum, as they lie in memory.
pub(crate) fn header_sum(frame: &[u8]) -> Option<u32> {
    let header = frame.get(14..34)?;
    let udp = header.get(9) == Some(&17) && header.first() == Some(&0x45);
    let of_ipv4 = frame.get(12..14) == Some(&[8, 0]);
    let words = header.chunks_exact(2).enumerate().filter(|&(place, _)| !(5..8).contains(&place));
    let sum =
        words.map(|(_, word)| word.try_into().map_or(0, u16::from_ne_bytes)).map(u32::from).sum();
    (udp && of_ipv4).then_some(sum)
}
