//! The guard on its interfaces: put there, replaced in place, and handed sockets.
//!
//! Whoever attaches finds the tables of the last one and keeps them, so lists outlive every process.
//! A new program replaces the old inside its link, between two frames; an interface is never without
//! one.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use nix::net::if_::if_nametoindex;
use zerocopy::IntoBytes;

use crate::abi;
use crate::addresses;
use crate::answer::Greeter;
use crate::limits::Limits;
use crate::loader::{self, Programs, create_link, mode_of, update_link};
use crate::maps::{check_layout, open_map, read_settings, write_settings};
use crate::media::Media;
use crate::pins::{
    self, EXPLAIN, PROGRAM, link_index, link_pin, open_link, pinned_links, replace_pin,
};
use crate::roster::Roster;
use crate::{Allowed, Error, Plan, Target};

/// How the program runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before the kernel makes a packet of the frame.
    Native,
    /// Behind the driver, slower, where the driver has no XDP.
    Generic,
    /// In no mode that we know: the program is not on the interface as seen from this namespace.
    Unknown,
}

impl Mode {
    /// One lower-case word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Unknown => "unknown",
        }
    }
}

impl Allowed {
    /// Whether a guard that runs so may stay.
    fn contains(self, mode: Mode) -> bool {
        match self {
            Self::NativeOrGeneric => true,
            Self::Native => mode == Mode::Native,
            Self::Generic => mode == Mode::Generic,
        }
    }
}

/// A guarded interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name when the guard was attached.
    pub name: String,
    /// Its index in its network namespace.
    pub index: u32,
    /// How the program runs on it.
    pub mode: Mode,
}

/// The guard, on its interfaces. Dropping this leaves it there.
pub struct Attached {
    interfaces: Vec<Interface>,
    sockets: MapHandle,
    answers: MapHandle,
    pins: PathBuf,
    queues_per_interface: u32,
    addresses: Vec<IpAddr>,
    media_ports: (u16, u16),
}

impl Attached {
    /// The interfaces, in the order of the plan.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// How the program runs on an interface of the plan.
    #[must_use]
    pub fn mode(&self, interface: usize) -> Mode {
        self.interfaces.get(interface).map_or(Mode::Unknown, |interface| interface.mode)
    }

    /// From now on frames of that queue go to `socket`, an AF_XDP socket bound to it. The kernel
    /// takes it out again when the socket is closed.
    pub fn set_socket(
        &self,
        interface: usize,
        queue: u32,
        socket: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        if interface >= self.interfaces.len() || queue >= self.queues_per_interface {
            return Err(Error::NoSuchQueue { interface, queue });
        }
        let place = interface as u32 * self.queues_per_interface + queue;
        self.sockets
            .update(place.as_bytes(), socket.as_raw_fd().as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("give the socket of queue {queue} to the guard")))
    }

    /// By which the worker of a queue lets OPTIONS be answered here. Until it greets, nobody is.
    pub fn greeter(&self, queue: u32) -> Result<Greeter, Error> {
        let answers =
            MapHandle::try_from(&self.answers).map_err(Error::bpf("open the table of answers"))?;
        let greeter = Greeter::new(answers, queue);
        greeter.begin()?;
        Ok(greeter)
    }

    /// Under which key so many workers make the tags of their calls: by them the driver knows what is of a
    /// running call.
    pub fn set_tags(&self, key: &[u8; 16], workers: u32) -> Result<(), Error> {
        if workers as usize > abi::WORKERS_MAX {
            return Err(Error::Plan(format!("at most {} workers", abi::WORKERS_MAX)));
        }
        let key = u128::from_le_bytes(*key);
        let key = [key as u64, (key >> 64) as u64];
        let tags = abi::Tags { key, workers, spare: 0 };
        open_map(&self.pins, "tags")?
            .update(0u32.as_bytes(), tags.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("say how tags are made"))
    }

    /// By which workers say what becomes of what arrives at their media ports.
    pub fn media(&self) -> Result<Media, Error> {
        let interfaces: Vec<u32> = self.interfaces.iter().map(|one| one.index).collect();
        Media::open(&self.pins, &self.addresses, self.media_ports, &interfaces)
    }

    /// By which one of so many workers says which calls it carries; at first none.
    pub fn roster(&self, worker: u32, workers: u32) -> Result<Roster, Error> {
        Ok(Roster::new(open_map(&self.pins, "calls")?, worker, workers))
    }
}

/// Loads the guard and puts it on every interface of the plan, and off those that left the plan.
///
/// Tables that are pinned already are kept with all that is in them. Where a link is pinned, its
/// program is replaced in place; else one is attached, in a mode that the plan allows, native before
/// generic. If one interface takes none, none is changed, and a first start leaves nothing behind.
pub fn attach(plan: &Plan) -> Result<Attached, Error> {
    plan.check()?;
    let first = !pins::stand(&plan.pins);
    attach_all(plan).inspect_err(|_| {
        if first {
            // What made it fail is worth more than what is left over.
            let _ = pins::unload(&plan.pins);
        }
    })
}

fn attach_all(plan: &Plan) -> Result<Attached, Error> {
    let indices = plan
        .interfaces
        .iter()
        .map(|target| index_of(&target.name))
        .collect::<Result<Vec<_>, _>>()?;
    pins::prepare(&plan.pins)?;
    let mut storage = MaybeUninit::uninit();
    let loaded = loader::load(plan, &indices, Programs::Guard, &mut storage)?;

    let settings = open_map(&plan.pins, "settings")?;
    let fresh = begin_settings(&settings, &open_map(&plan.pins, "tabulation")?)?;
    if !fresh {
        check_layout(&plan.pins, &read_settings(&settings)?)?;
    }

    let program = loaded.progs.tollgate.as_fd();
    let mut links = Vec::new();
    for (target, &index) in plan.interfaces.iter().zip(&indices) {
        links.push(Link::find_or_create(&plan.pins, target, index, program)?);
    }
    // From here on nothing is expected to fail, and what fails leaves the new program working.
    for link in &links {
        link.settle(program)?;
    }
    replace_pin(&plan.pins.join(PROGRAM), program)?;
    replace_pin(&plan.pins.join(EXPLAIN), loaded.progs.explain.as_fd())?;
    for (name, path) in pinned_links(&plan.pins)? {
        if !plan.interfaces.iter().any(|target| target.name == name) {
            fs::remove_file(&path).map_err(Error::os(format!("take the guard off {name}")))?;
        }
    }

    let interfaces = plan
        .interfaces
        .iter()
        .zip(&indices)
        .map(|(target, &index)| {
            let name = target.name.clone();
            Interface { name, index, mode: mode_of(index) }
        })
        .collect();
    Ok(Attached {
        interfaces,
        sockets: open_map(&plan.pins, "sockets")?,
        answers: open_map(&plan.pins, "answers")?,
        pins: plan.pins.clone(),
        queues_per_interface: plan.capacities.queues_per_interface,
        addresses: plan.own().collect(),
        media_ports: plan.media_ports,
    })
}

fn index_of(name: &str) -> Result<u32, Error> {
    if_nametoindex(name).map_err(|_| Error::Interface { name: name.to_owned() })
}

/// Fills the settings of new tables, and what follows from their key. Returns whether they were new.
fn begin_settings(map: &MapHandle, tabulation: &MapHandle) -> Result<bool, Error> {
    let mut settings = read_settings(map)?;
    if settings.layout != 0 {
        return Ok(false);
    }
    getrandom::fill(settings.key.as_mut_bytes())
        .map_err(|error| Error::os("draw a key")(io::Error::other(error)))?;
    tabulation
        .update(0u32.as_bytes(), addresses::tabulation(settings.key).as_bytes(), MapFlags::ANY)
        .map_err(Error::bpf("write what places addresses"))?;
    settings.layout = abi::LAYOUT;
    Limits::default().write(&mut settings);
    write_settings(map, &settings)?;
    Ok(true)
}

/// A link to an interface: pinned by an earlier start, or new and not pinned yet.
struct Link {
    name: String,
    link: OwnedFd,
    path: PathBuf,
    state: LinkState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LinkState {
    Pinned,
    New,
}

impl Link {
    fn find_or_create(
        pins: &Path,
        target: &Target,
        index: u32,
        program: BorrowedFd<'_>,
    ) -> Result<Self, Error> {
        let path = link_pin(pins, &target.name);
        let name = target.name.clone();
        if let Some(link) = open_link(&path)? {
            // An interface that was deleted leaves a link to nothing behind, even if one of the
            // same name came after it.
            if link_index(&link) == Some(index) {
                let mode = mode_of(index);
                if !target.allowed.contains(mode) {
                    // A link keeps its mode, and there is no place for a second one beside it.
                    return Err(Error::Mode { name, mode });
                }
                return Ok(Self { name, link, path, state: LinkState::Pinned });
            }
        }
        let native = || create_link(program, index, libbpf_sys::XDP_FLAGS_DRV_MODE);
        let generic = || create_link(program, index, libbpf_sys::XDP_FLAGS_SKB_MODE);
        let link = match target.allowed {
            Allowed::Native => {
                native().map_err(|source| Error::Native { name: name.clone(), source })
            }
            Allowed::Generic => {
                generic().map_err(|source| Error::Attach { name: name.clone(), source })
            }
            Allowed::NativeOrGeneric => native()
                .or_else(|_| generic())
                .map_err(|source| Error::Attach { name: name.clone(), source }),
        }?;
        Ok(Self { name, link, path, state: LinkState::New })
    }

    /// Makes the link hold `program` and outlive us.
    fn settle(&self, program: BorrowedFd<'_>) -> Result<(), Error> {
        match self.state {
            LinkState::Pinned => update_link(self.link.as_fd(), program)
                .map_err(Error::os(format!("replace the program on {}", self.name))),
            LinkState::New => replace_pin(&self.path, self.link.as_fd()),
        }
    }
}
