//! The way of the guard into the kernel and out again.
//!
//! Everything is pinned under one directory of a bpffs: the tables by their names, the programs as
//! `program` and `explain`, and for each interface a bpf_link as `link_NAME`. Whoever loads finds the
//! tables of the last one and keeps them, so lists outlive every process. A new program replaces the
//! old inside its link, between two frames; an interface is never without one. [`unload`] removes the
//! pins, and with the last of them the kernel detaches.
//!
//! libbpf-rs has no flags for a link and no test-run of a pinned program: the few raw calls that
//! takes are here, and nowhere else.
#![allow(unsafe_code, reason = "raw libbpf calls that libbpf-rs does not wrap")]

use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{
    MapCore, MapFlags, MapHandle, OpenMapMut, ProgramHandle,
    query::{LinkInfo, LinkTypeInfo},
};
use nix::mount::{MsFlags, mount};
use nix::net::if_::{if_indextoname, if_nametoindex};
use nix::sys::statfs::{FsType, statfs};
use zerocopy::{FromBytes, IntoBytes};

use crate::Error;
use crate::abi::{self, RawExplanation, Source};
use crate::explain::Described;
use crate::maps::{OptionsLimit, check_layout, open_map, read_settings, write_settings};
use crate::plan::{Deliver, Plan};

#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    unreachable_pub,
    unused_qualifications,
    reason = "generated from the object"
)]
mod skeleton {
    include!(concat!(env!("OUT_DIR"), "/tollgate.skel.rs"));
}

/// The magic number of a bpffs (linux/magic.h).
const BPF_FS: FsType = FsType(0xcafe_4a11);
const LINK: &str = "link_";
/// A pin on its way to its place.
const BESIDE: &str = "new_";
const PROGRAM: &str = "program";
const EXPLAIN: &str = "explain";
/// Every table of `bpf/maps.h`, by the name it is pinned under.
const TABLES: [&str; 10] = [
    "settings",
    "counts",
    "deny_buckets",
    "deny_entries",
    "deny_prefixes",
    "trust_prefixes",
    "deny_near",
    "trust_near",
    "budgets",
    "sockets",
];

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
    queues_per_interface: u32,
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
}

/// Loads the guard and puts it on every interface of the plan, and off those that left the plan.
///
/// Tables that are pinned already are kept with all that is in them. Where a link is pinned, its
/// program is replaced in place; else one is attached, in native mode if the driver can. If one
/// interface takes none, none is changed.
pub fn attach(plan: &Plan) -> Result<Attached, Error> {
    plan.check()?;
    let indices =
        plan.interfaces.iter().map(|name| index_of(name)).collect::<Result<Vec<_>, _>>()?;
    prepare_pins(&plan.pins)?;

    let mut storage = MaybeUninit::uninit();
    let mut open = skeleton::TollgateSkelBuilder::default()
        .open(&mut storage)
        .map_err(Error::bpf("read the XDP object"))?;
    let globals =
        open.maps.rodata_data.as_deref_mut().ok_or_else(|| {
            Error::Plan("the XDP object was built without its settings".to_owned())
        })?;
    fill_globals(globals, plan, &indices);
    size_tables(&mut open, plan)?;
    let loaded = open.load().map_err(Error::bpf("load the XDP program"))?;

    let settings = open_map(&plan.pins, "settings")?;
    let fresh = begin_settings(&settings)?;
    if !fresh {
        check_layout(&plan.pins, &read_settings(&settings)?)?;
    }

    let program = loaded.progs.tollgate.as_fd();
    let mut links = Vec::new();
    for (name, &index) in plan.interfaces.iter().zip(&indices) {
        links.push(Link::find_or_create(&plan.pins, name, index, program)?);
    }
    // From here on nothing is expected to fail, and what fails leaves the new program working.
    for link in &links {
        link.settle(program)?;
    }
    replace_pin(&plan.pins.join(PROGRAM), program)?;
    replace_pin(&plan.pins.join(EXPLAIN), loaded.progs.explain.as_fd())?;
    for (name, path) in pinned_links(&plan.pins)? {
        if !plan.interfaces.contains(&name) {
            fs::remove_file(&path).map_err(Error::os(format!("take the guard off {name}")))?;
        }
    }

    let interfaces = plan
        .interfaces
        .iter()
        .zip(&indices)
        .map(|(name, &index)| Interface { name: name.clone(), index, mode: mode_of(index) })
        .collect();
    Ok(Attached {
        interfaces,
        sockets: open_map(&plan.pins, "sockets")?,
        queues_per_interface: plan.capacities.queues_per_interface,
    })
}

/// Removes every pin under `pins`: the guard leaves its interfaces, its lists are gone. Pins that are
/// not there are no error.
pub fn unload(pins: &Path) -> Result<(), Error> {
    // Links first: no frame shall meet a program whose tables are being taken away.
    let links = pinned_links(pins)?.into_iter().map(|(_, path)| path);
    let names = [PROGRAM, EXPLAIN].into_iter().chain(TABLES);
    let halves = names.clone().map(|name| format!("{BESIDE}{name}"));
    let rest = names.map(str::to_owned).chain(halves).map(|name| pins.join(name));
    for path in links.chain(rest) {
        gone(fs::remove_file(&path)).map_err(Error::os(format!("remove {}", path.display())))?;
    }
    gone(fs::remove_dir(pins)).map_err(Error::os(format!("remove {}", pins.display())))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the directory of the pins, on a bpffs; mounts the standard one where it is missing.
fn prepare_pins(pins: &Path) -> Result<(), Error> {
    let standard = Path::new("/sys/fs/bpf");
    let there = pins.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !is_bpffs(there)? {
        if !pins.starts_with(standard) || !standard.exists() || is_bpffs(standard)? {
            return Err(Error::NotBpffs { path: pins.to_owned() });
        }
        mount(Some("bpf"), standard, Some("bpf"), MsFlags::empty(), None::<&str>)
            .map_err(Error::os("mount a bpffs on /sys/fs/bpf"))?;
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(pins)
        .map_err(Error::os(format!("make {}", pins.display())))
}

fn is_bpffs(path: &Path) -> Result<bool, Error> {
    let found = statfs(path).map_err(Error::os(format!("look at {}", path.display())))?;
    Ok(found.filesystem_type() == BPF_FS)
}

fn index_of(name: &str) -> Result<u32, Error> {
    if_nametoindex(name).map_err(|_| Error::Interface { name: name.to_owned() })
}

/// What the verifier shall know before it reads the program.
fn fill_globals(globals: &mut skeleton::types::rodata, plan: &Plan, indices: &[u32]) {
    globals.deliver = match plan.deliver {
        Deliver::Sockets => skeleton::types::deliver::DELIVER_SOCKETS,
        Deliver::Kernel => skeleton::types::deliver::DELIVER_KERNEL,
    };
    globals.sip_port = plan.sip_port.into();
    globals.media_first = plan.media_ports.0.into();
    globals.media_last = plan.media_ports.1.into();
    globals.queues_per_interface = plan.capacities.queues_per_interface;
    globals.deny_mask = plan.capacities.deny_buckets() - 1;
    globals.budget_mask = plan.capacities.budget_buckets() - 1;
    globals.interfaces = indices.len() as u32;
    globals.interface_index[..indices.len()].copy_from_slice(indices);
    globals.own_addresses = plan.addresses.len() as u32;
    for (place, &address) in globals.own_address.iter_mut().zip(&plan.addresses) {
        *place = own(address);
    }
}

fn own(address: IpAddr) -> skeleton::types::source {
    let source = Source::from(address);
    let mut word = [0; 4];
    for (word, bytes) in word.iter_mut().zip(source.word.chunks_exact(4)) {
        *word = u32::read_from_bytes(bytes).unwrap_or_default();
    }
    skeleton::types::source { family: source.family, word }
}

/// Gives every table its size and its pin, and refuses pins of another size.
fn size_tables(open: &mut skeleton::OpenTollgateSkel<'_>, plan: &Plan) -> Result<(), Error> {
    let sizes = &plan.capacities;
    let maps = &mut open.maps;
    let size = |map: &mut OpenMapMut<'_>, entries: u32| {
        map.set_max_entries(entries).map_err(Error::bpf("size the tables"))
    };
    size(&mut maps.deny_buckets, sizes.deny_buckets())?;
    size(&mut maps.deny_entries, sizes.deny_buckets() * abi::DENY_SLOTS as u32)?;
    size(&mut maps.deny_prefixes, sizes.deny_prefixes)?;
    size(&mut maps.trust_prefixes, sizes.trusted_prefixes)?;
    size(&mut maps.budgets, sizes.budget_buckets())?;
    size(&mut maps.sockets, abi::INTERFACES_MAX as u32 * sizes.queues_per_interface)?;
    for map in [
        &mut maps.settings,
        &mut maps.counts,
        &mut maps.deny_buckets,
        &mut maps.deny_entries,
        &mut maps.deny_prefixes,
        &mut maps.trust_prefixes,
        &mut maps.deny_near,
        &mut maps.trust_near,
        &mut maps.budgets,
        &mut maps.sockets,
    ] {
        let name = map.name().to_string_lossy().into_owned();
        let path = plan.pins.join(&name);
        if path.exists() {
            fits(&plan.pins, &name, map)?;
        }
        map.set_pin_path(path).map_err(Error::bpf("pin the tables"))?;
    }
    Ok(())
}

fn fits(pins: &Path, name: &str, wanted: &OpenMapMut<'_>) -> Result<(), Error> {
    let found = open_map(pins, name)?;
    let shape = |entries, key, value| format!("{entries} entries of {key}+{value} bytes");
    let found = shape(found.max_entries(), found.key_size(), found.value_size());
    let wanted = shape(wanted.max_entries(), wanted.key_size(), wanted.value_size());
    if found == wanted {
        return Ok(());
    }
    let what = format!("{name} has {found}, the plan wants {wanted}");
    Err(Error::Layout { pins: pins.to_owned(), what })
}

/// Fills the settings of new tables. Returns whether they were new.
fn begin_settings(map: &MapHandle) -> Result<bool, Error> {
    let mut settings = read_settings(map)?;
    if settings.layout != 0 {
        return Ok(false);
    }
    getrandom::fill(settings.key.as_mut_bytes())
        .map_err(|error| Error::os("draw a key")(io::Error::other(error)))?;
    settings.layout = abi::LAYOUT;
    OptionsLimit::default().write(&mut settings);
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
        name: &str,
        index: u32,
        program: BorrowedFd<'_>,
    ) -> Result<Self, Error> {
        let path = pins.join(format!("{LINK}{}", pin_name(name)));
        let name = name.to_owned();
        if let Some(link) = open_link(&path)? {
            // An interface that was deleted leaves a link to nothing behind, even if one of the
            // same name came after it.
            if link_index(&link) == Some(index) {
                return Ok(Self { name, link, path, state: LinkState::Pinned });
            }
        }
        let link = create_link(program, index, libbpf_sys::XDP_FLAGS_DRV_MODE)
            .or_else(|_| create_link(program, index, libbpf_sys::XDP_FLAGS_SKB_MODE))
            .map_err(|source| Error::Attach { name: name.clone(), source })?;
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

/// Pins `object` instead of what may be pinned there, without a moment of neither.
fn replace_pin(path: &Path, object: BorrowedFd<'_>) -> Result<(), Error> {
    let what = format!("pin {}", path.display());
    let mut beside = OsString::from(BESIDE);
    beside.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(beside);
    gone(fs::remove_file(&beside))
        .and_then(|()| pin(object, &beside))
        .and_then(|()| fs::rename(&beside, path))
        .map_err(Error::os(what))
}

/// A bpffs takes no dots in names, an interface no colons.
fn pin_name(interface: &str) -> String {
    interface.replace('.', ":")
}

/// Names of the interfaces whose links are pinned, with their pins.
fn pinned_links(pins: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let entries = match fs::read_dir(pins) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::os(format!("read {}", pins.display())))?,
    };
    let mut links = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::os(format!("read {}", pins.display())))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // One on its way holds a link too: a crash may have left it there.
        if let Some(name) = name.strip_prefix(BESIDE).unwrap_or(name).strip_prefix(LINK) {
            links.push((name.replace(':', "."), path));
        }
    }
    links.sort();
    Ok(links)
}

pub(crate) fn pinned_interfaces(pins: &Path) -> Result<Vec<Interface>, Error> {
    let mut interfaces = Vec::new();
    for (name, path) in pinned_links(pins)? {
        let index = open_link(&path)?.and_then(|link| link_index(&link)).unwrap_or(0);
        // By index and not by name: the interface may have been renamed since.
        let known = if_indextoname(index).ok().and_then(|name| name.into_string().ok());
        let mode = if known.is_some() { mode_of(index) } else { Mode::Unknown };
        interfaces.push(Interface { name: known.unwrap_or(name), index, mode });
    }
    Ok(interfaces)
}

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

    /// Mean time of the program over many frames, each run `repeat` times.
    pub fn price(
        &self,
        frames: &[Vec<u8>],
        arrival: Option<Arrival>,
        repeat: u32,
    ) -> Result<Duration, Error> {
        let mut sum = Duration::ZERO;
        for frame in frames {
            sum += self.run(frame, arrival, repeat)?.each;
        }
        Ok(sum / frames.len().max(1) as u32)
    }
}

fn open_link(path: &Path) -> Result<Option<OwnedFd>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let link =
        libbpf_rs::Link::open(path).map_err(Error::bpf(format!("open {}", path.display())))?;
    link.as_fd().try_clone_to_owned().map(Some).map_err(Error::os("open a link"))
}

fn link_index(link: &OwnedFd) -> Option<u32> {
    match LinkInfo::from_fd(link.as_fd()).ok()?.info {
        LinkTypeInfo::Xdp(xdp) if xdp.ifindex != 0 => Some(xdp.ifindex),
        _ => None,
    }
}

/// The answer of a libbpf call, which is the negative error number.
fn answer(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

fn create_link(program: BorrowedFd<'_>, index: u32, flags: u32) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags,
        ..Default::default()
    };
    // SAFETY: `program` is open, and `options` says its own size and lives over the call.
    let link = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            index as i32,
            libbpf_sys::BPF_XDP,
            &raw const options,
        )
    };
    let link = answer(link)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}

fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open; without options the kernel reads nothing of ours.
    let result = unsafe {
        libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null())
    };
    answer(result).map(drop)
}

fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the descriptor is open, and `path` is a C string that lives over the call.
    let result = unsafe { libbpf_sys::bpf_obj_pin(object.as_raw_fd(), path.as_ptr()) };
    answer(result).map(drop)
}

fn mode_of(index: u32) -> Mode {
    let mut query = libbpf_sys::bpf_xdp_query_opts {
        sz: size_of::<libbpf_sys::bpf_xdp_query_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    // SAFETY: `query` says its own size and lives over the call.
    let result = unsafe { libbpf_sys::bpf_xdp_query(index as i32, 0, &raw mut query) };
    match (result, u32::from(query.attach_mode)) {
        (0, libbpf_sys::XDP_ATTACHED_DRV) => Mode::Native,
        (0, libbpf_sys::XDP_ATTACHED_SKB) => Mode::Generic,
        _ => Mode::Unknown,
    }
}

/// A frame with all of its headroom used for an explanation still fits.
const ROOM_BYTES: usize = 256;

fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    arrival: Option<Arrival>,
    repeat: u32,
) -> io::Result<Run> {
    let mut out = vec![0; frame.len() + ROOM_BYTES];
    let mut context = libbpf_sys::xdp_md { data_end: frame.len() as u32, ..Default::default() };
    let mut options = libbpf_sys::bpf_test_run_opts {
        sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
        data_in: frame.as_ptr().cast(),
        data_size_in: frame.len() as u32,
        data_out: out.as_mut_ptr().cast(),
        data_size_out: out.len() as u32,
        repeat: i32::try_from(repeat).unwrap_or(i32::MAX),
        ..Default::default()
    };
    if let Some(arrival) = arrival {
        context.ingress_ifindex = arrival.interface_index;
        context.rx_queue_index = arrival.queue;
        options.ctx_in = (&raw const context).cast();
        options.ctx_size_in = size_of_val(&context) as u32;
    }
    // SAFETY: every pointer in `options` is to a buffer of ours of the size beside it that lives over
    // the call; the kernel writes only to `out`.
    let result =
        unsafe { libbpf_sys::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    answer(result)?;
    out.truncate(options.data_size_out as usize);
    Ok(Run {
        action: options.retval,
        each: Duration::from_nanos(options.duration.into()),
        frame: out,
    })
}
