//! Frames through the loaded program without a network: to explain, to test, to price.

use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use libbpf_rs::ProgramHandle;
use zerocopy::FromBytes;

use crate::abi::RawExplanation;
use crate::explain::Described;
use crate::loader::{self, Programs, live_run, test_run};
use crate::pins::{EXPLAIN, PROGRAM, pinned_interfaces};
use crate::{Error, Plan};

/// Asks the pinned program about a described packet.
pub(crate) fn explain(pins: &Path, described: &Described) -> Result<RawExplanation, Error> {
    let interfaces = pinned_interfaces(pins)?;
    let interface = match &described.interface {
        Some(name) => interfaces.iter().find(|interface| interface.name == *name),
        None => interfaces.first(),
    };
    let interface = interface.ok_or_else(|| match &described.interface {
        Some(name) => Error::Interface { name: name.clone() },
        None => Error::NotLoaded { pins: pins.to_owned() },
    })?;
    let arrival = Arrival { interface_index: interface.index, queue: described.queue };
    let run = Tester::open_named(pins, EXPLAIN)?.run(&described.frame()?, Some(arrival), 1)?;
    RawExplanation::read_from_prefix(&run.frame).map(|(answer, _)| answer).map_err(|_| {
        let what = format!("its explanation has {} bytes", run.frame.len());
        Error::Layout { pins: pins.to_owned(), what }
    })
}

/// Where a tested frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Index of an interface of this network namespace.
    pub interface_index: u32,
    /// One of its receive queues.
    pub queue: u32,
}

/// What a test-run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the program returned: `XDP_DROP` is 1, `XDP_PASS` 2, `XDP_REDIRECT` 4.
    pub action: u32,
    /// Mean time of one run.
    pub each: Duration,
    /// The frame behind the program.
    pub frame: Vec<u8>,
}

/// Runs frames through the loaded program without a network: for tests and benches. They count and
/// spend budgets as real ones do.
pub struct Tester {
    program: OwnedFd,
}

impl Tester {
    /// Opens the program that is pinned under `pins`.
    pub fn open(pins: &Path) -> Result<Self, Error> {
        Self::open_named(pins, PROGRAM)
    }

    fn open_named(pins: &Path, name: &str) -> Result<Self, Error> {
        let path = pins.join(name);
        if !path.exists() {
            return Err(Error::NotLoaded { pins: pins.to_owned() });
        }
        let handle =
            ProgramHandle::from_pinned_path(path).map_err(Error::bpf("open the program"))?;
        let program = handle.as_fd().try_clone_to_owned().map_err(Error::os("open the program"))?;
        Ok(Self { program })
    }

    /// Runs one frame of 14 bytes or more `repeat` times. Without an arrival it came by the loopback
    /// interface.
    pub fn run(&self, frame: &[u8], arrival: Option<Arrival>, repeat: u32) -> Result<Run, Error> {
        test_run(self.program.as_fd(), frame, arrival, repeat)
            .map_err(Error::os("run a frame through the XDP program"))
    }

    /// Injects a frame `repeat` times where it arrives, as its NIC would: a redirect to a worker's socket
    /// is done, what passes goes up the kernel's stack.
    pub fn inject(&self, frame: &[u8], arrival: Arrival, repeat: u32) -> Result<(), Error> {
        live_run(self.program.as_fd(), frame, arrival, repeat, loader::LIVE_BATCH)
            .map_err(Error::os("inject frames into an interface"))
    }
}

/// The price of a verdict: the program over the tables of an attached guard, each run with another
/// source. Counts and budgets move as with real frames.
pub struct Pricer {
    verdict: OwnedFd,
    frame: OwnedFd,
    /// Of the word of the source that changes from run to run.
    offset: usize,
}

/// Mean times of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// With the verdict.
    pub judged: Duration,
    /// Without it: what the measurement itself costs. The difference is the price.
    pub empty: Duration,
}

impl Pricer {
    /// Loads the program beside the guard that was attached by the same plan. The sources are of one
    /// family; of IPv6 ones the last four bytes are used.
    pub fn open(plan: &Plan, sources: &[IpAddr]) -> Result<Self, Error> {
        let v4 = sources.first().is_some_and(IpAddr::is_ipv4);
        if sources.is_empty() || sources.iter().any(|source| source.is_ipv4() != v4) {
            return Err(Error::Plan("price sources of one family".to_owned()));
        }
        let offset = if v4 { SOURCE4 } else { SOURCE6 };
        let words: Vec<u32> = sources.iter().map(last_word).collect();
        let programs = Programs::Price { offset: offset as u32, sources: words.len() as u32 };
        let mut storage = MaybeUninit::uninit();
        let loaded = loader::load(plan, &[LOOPBACK], programs, &mut storage)?;
        loader::fill_price_sources(&loaded, &words)?;
        let owned = |program: std::os::fd::BorrowedFd<'_>| {
            program.try_clone_to_owned().map_err(Error::os("keep the program"))
        };
        Ok(Self {
            verdict: owned(loaded.progs.price_verdict.as_fd())?,
            frame: owned(loaded.progs.price_frame.as_fd())?,
            offset,
        })
    }

    /// Runs an untagged frame `repeat` times with the verdict and as often without.
    pub fn price(&self, frame: &[u8], repeat: u32) -> Result<Price, Error> {
        if frame.len() < self.offset + 4 {
            return Err(Error::Plan("the frame has no source address".to_owned()));
        }
        let run = |program: &OwnedFd| {
            test_run(program.as_fd(), frame, None, repeat)
                .map(|run| run.each)
                .map_err(Error::os("run a frame through the XDP program"))
        };
        Ok(Price { judged: run(&self.verdict)?, empty: run(&self.frame)? })
    }
}

/// Where an untagged frame has its IPv4 source.
const SOURCE4: usize = 14 + 12;
/// Where an untagged frame has the last word of its IPv6 source.
const SOURCE6: usize = 14 + 8 + 12;
/// The interface that test-run takes when told none.
const LOOPBACK: u32 = 1;

fn last_word(source: &IpAddr) -> u32 {
    let bytes = match source {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => (v6.to_bits() as u32).to_be_bytes(),
    };
    u32::from_ne_bytes(bytes)
}
