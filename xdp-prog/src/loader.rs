//! The object on its way into the kernel, and the raw calls that libbpf-rs does not wrap.
//!
//! libbpf-rs has no flags for a link and no test-run of a pinned program: the few raw calls that
//! takes are here, and nowhere else.
#![allow(unsafe_code, reason = "raw libbpf calls that libbpf-rs does not wrap")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapHandle, OpenMapMut, OpenObject};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::Error;
use crate::abi::{self, Source};
use crate::attach::Mode;
use crate::flood::Floor;
use crate::maps::open_map;
use crate::pins;
use crate::plan::{Capacities, Deliver, Plan};
use crate::replay::TapeSizes;
use crate::streams::Stream;
use crate::tester::{Arrival, Run};

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
    reason = "generated from the objects"
)]
mod skeletons {
    pub(super) mod guard {
        include!(concat!(env!("OUT_DIR"), "/tollgate.skel.rs"));
    }
    pub(super) mod flood {
        include!(concat!(env!("OUT_DIR"), "/flood.skel.rs"));
    }
    pub(super) mod replay {
        include!(concat!(env!("OUT_DIR"), "/replay.skel.rs"));
    }
}
use skeletons::flood;
use skeletons::guard as skeleton;
use skeletons::replay;

/// Which programs of the object are wanted.
#[derive(Clone, Copy)]
pub(crate) enum Programs {
    /// Those that guard and explain.
    Guard,
    /// Those that are measured, over so many sources, each written at an offset into the frame.
    Price { offset: u32, sources: u32 },
}

/// Loads the programs over the tables pinned under the plan's pins; makes those that are missing.
pub(crate) fn load<'kernel>(
    plan: &Plan,
    indices: &[u32],
    programs: Programs,
    storage: &'kernel mut MaybeUninit<OpenObject>,
) -> Result<skeleton::TollgateSkel<'kernel>, Error> {
    let mut open = skeleton::TollgateSkelBuilder::default()
        .open(storage)
        .map_err(Error::bpf("read the XDP object"))?;
    let globals =
        open.maps.rodata_data.as_deref_mut().ok_or_else(|| {
            Error::Plan("the XDP object was built without its settings".to_owned())
        })?;
    fill_globals(globals, plan, indices);
    let guard = matches!(programs, Programs::Guard);
    if let Programs::Price { offset, sources } = programs {
        globals.price_offset = offset;
        globals.price_sources_used = sources;
        open.maps.price_sources.set_max_entries(sources).map_err(Error::bpf("size the tables"))?;
    }
    open.progs.tollgate.set_autoload(guard);
    open.progs.explain.set_autoload(guard);
    open.progs.price_verdict.set_autoload(!guard);
    open.progs.price_frame.set_autoload(!guard);
    size_tables(&mut open, plan)?;
    let loaded = open.load().map_err(Error::bpf("load the XDP program"))?;
    // Last: a start that ends before this leaves tables of no plan, which the next one makes anew.
    loaded
        .maps
        .media_plan
        .update(0u32.as_bytes(), media_plan(plan).as_bytes(), libbpf_rs::MapFlags::ANY)
        .map_err(Error::bpf("say of which addresses the tables of media are"))?;
    Ok(loaded)
}

fn media_plan(plan: &Plan) -> abi::MediaPlan {
    let (first, last) = plan.media_ports;
    let mut own = [Source::default(); abi::OWN_ADDRESSES_MAX];
    for (place, address) in own.iter_mut().zip(plan.own()) {
        *place = Source::from(address);
    }
    abi::MediaPlan { ports: [first.into(), last.into()], own }
}

/// Whether the pinned tables of media are of these addresses in this order, and of these ports.
fn is_of_plan(plan: &Plan) -> bool {
    let pinned = open_map(&plan.pins, pins::MEDIA_PLAN).ok();
    let said = pinned.and_then(|map| map.lookup(0u32.as_bytes(), libbpf_rs::MapFlags::ANY).ok()?);
    said.is_some_and(|said| said == media_plan(plan).as_bytes())
}

/// Fills the table of sources for a price.
pub(crate) fn fill_price_sources(
    loaded: &skeleton::TollgateSkel<'_>,
    words: &[u32],
) -> Result<(), Error> {
    fill_array(&loaded.maps.price_sources, words)
}

/// Fills an array from its first place on.
fn fill_array<V: IntoBytes + Immutable>(array: &impl MapCore, values: &[V]) -> Result<(), Error> {
    let places: Vec<u32> = (0..values.len() as u32).collect();
    array
        .update_batch(
            places.as_bytes(),
            values.as_bytes(),
            values.len() as u32,
            libbpf_rs::MapFlags::ANY,
            libbpf_rs::MapFlags::ANY,
        )
        .map_err(Error::bpf("write the sources"))
}

/// Which programs of the object of floods are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfFloods {
    Flood,
    Streams,
    Proof,
    Bare,
}

fn open_flood(
    which: OfFloods,
    storage: &mut MaybeUninit<OpenObject>,
) -> Result<flood::OpenFloodSkel<'_>, Error> {
    let open = flood::FloodSkelBuilder::default().open(storage);
    let mut open = open.map_err(Error::bpf("read the object of floods"))?;
    let programs = &mut open.progs;
    programs.flood.set_autoload(which == OfFloods::Flood);
    programs.streams.set_autoload(which == OfFloods::Streams);
    programs.streams_proof.set_autoload(which == OfFloods::Proof);
    for bare in [
        &mut programs.bare,
        &mut programs.bare_source,
        &mut programs.bare_line,
        &mut programs.bounce,
    ] {
        bare.set_autoload(which == OfFloods::Bare);
    }
    Ok(open)
}

/// What a flood is made of.
pub(crate) struct FloodParts {
    /// Index of the interface that it leaves by.
    pub(crate) cable: u32,
    /// Of the words of the IP header but source and checksum, as they lie in memory.
    pub(crate) sum: u32,
    /// Where in the frame a number goes; 0 is nowhere.
    pub(crate) number_at: [u32; 2],
    /// In network order.
    pub(crate) sources: Vec<u32>,
}

/// Loads the program that makes floods, with its sources.
pub(crate) fn load_flood(stream: &FloodParts) -> Result<OwnedFd, Error> {
    let mut storage = MaybeUninit::uninit();
    let mut open = open_flood(OfFloods::Flood, &mut storage)?;
    let sources = stream.sources.len() as u32;
    let globals = open.maps.rodata_data.as_deref_mut();
    let globals = globals.ok_or_else(|| Error::Plan("a flood has no settings".to_owned()))?;
    globals.flood_cable = stream.cable;
    globals.flood_sum = stream.sum;
    globals.flood_number_at = stream.number_at;
    globals.flood_sources_used = sources;
    open.maps.flood_sources.set_max_entries(sources).map_err(Error::bpf("size the tables"))?;
    let loaded = open.load().map_err(Error::bpf("load the program of floods"))?;
    fill_array(&loaded.maps.flood_sources, &stream.sources)?;
    kept(loaded.progs.flood.as_fd())
}

/// What all streams have in common.
pub(crate) struct StreamsParts {
    /// Of the IP header without addresses and checksum, as it lies in memory.
    pub(crate) ip_sum: u32,
    /// Of what UDP's checksum covers but what changes.
    pub(crate) sum: u32,
    /// Of the frame.
    pub(crate) head: [u64; 5],
    pub(crate) proven: bool,
}

/// The kernel's side of streams.
pub(crate) struct LoadedStreams {
    pub(crate) program: OwnedFd,
    pub(crate) cables: MapHandle,
    pub(crate) gap: MapHandle,
}

/// Loads the program that makes these streams.
pub(crate) fn load_streams(
    parts: &StreamsParts,
    streams: &[Stream],
) -> Result<LoadedStreams, Error> {
    let mut storage = MaybeUninit::uninit();
    let mut open = open_flood(OfFloods::Streams, &mut storage)?;
    let globals = open.maps.rodata_data.as_deref_mut();
    let globals = globals.ok_or_else(|| Error::Plan("streams have no settings".to_owned()))?;
    globals.streams_ip_sum = parts.ip_sum;
    globals.streams_sum = parts.sum;
    globals.streams_head = parts.head;
    globals.streams_proven = parts.proven.into();
    globals.streams_used = streams.len() as u32;
    let words: Vec<[u32; 7]> = streams.iter().map(Stream::words).collect();
    let table = &mut open.maps.streams_table;
    table.set_max_entries(words.len() as u32).map_err(Error::bpf("size the tables"))?;
    let loaded = open.load().map_err(Error::bpf("load the program of streams"))?;
    fill_array(&loaded.maps.streams_table, &words)?;
    let (cables, gap) = (handle(&loaded.maps.streams_cables)?, handle(&loaded.maps.streams_gap)?);
    Ok(LoadedStreams { program: kept(loaded.progs.streams.as_fd())?, cables, gap })
}

/// Loads the program that looks at streams that come back, and the table of what it saw.
pub(crate) fn load_proof(
    streams: u32,
    ends: Option<&[[u32; 4]]>,
) -> Result<(OwnedFd, MapHandle), Error> {
    let mut storage = MaybeUninit::uninit();
    let mut open = open_flood(OfFloods::Proof, &mut storage)?;
    let globals = open.maps.rodata_data.as_deref_mut();
    let globals = globals.ok_or_else(|| Error::Plan("a proof has no settings".to_owned()))?;
    globals.proof_knows_ends = ends.is_some().into();
    let table = &mut open.maps.streams_ends;
    table.set_max_entries(streams).map_err(Error::bpf("size the tables"))?;
    let loaded = open.load().map_err(Error::bpf("load the proof of streams"))?;
    if let Some(ends) = ends {
        fill_array(&loaded.maps.streams_ends, ends)?;
    }
    Ok((kept(loaded.progs.streams_proof.as_fd())?, handle(&loaded.maps.streams_proofs)?))
}

/// Loads the program that drops all, or sends all back.
pub(crate) fn load_bare(floor: Floor) -> Result<OwnedFd, Error> {
    let mut storage = MaybeUninit::uninit();
    let open = open_flood(OfFloods::Bare, &mut storage)?;
    let loaded = open.load().map_err(Error::bpf("load the bare program"))?;
    let program = match floor {
        Floor::Nothing => &loaded.progs.bare,
        Floor::Source => &loaded.progs.bare_source,
        Floor::Line => &loaded.progs.bare_line,
        Floor::Bounce => &loaded.progs.bounce,
    };
    kept(program.as_fd())
}

/// The kernel's side of a tape.
pub(crate) struct TapeParts {
    pub(crate) program: OwnedFd,
    pub(crate) cable: MapHandle,
    pub(crate) state: MapHandle,
    pub(crate) orders: MapHandle,
    pub(crate) smalls: MapHandle,
    pub(crate) larges: MapHandle,
    pub(crate) patches: MapHandle,
}

/// Which program of the object of replays is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfReplay {
    Tape,
    Sink,
    Ears,
}

fn open_replay(
    which: OfReplay,
    storage: &mut MaybeUninit<OpenObject>,
) -> Result<replay::OpenReplaySkel<'_>, Error> {
    let open = replay::ReplaySkelBuilder::default().open(storage);
    let mut open = open.map_err(Error::bpf("read the object of replays"))?;
    open.progs.replay.set_autoload(which == OfReplay::Tape);
    open.progs.replay_sink.set_autoload(which == OfReplay::Sink);
    open.progs.replay_hear.set_autoload(which == OfReplay::Ears);
    Ok(open)
}

fn kept(program: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    program.try_clone_to_owned().map_err(Error::os("keep the program"))
}

fn handle(map: &impl MapCore) -> Result<MapHandle, Error> {
    MapHandle::from_map_id(map.info().map_err(Error::bpf("find a table"))?.info.id)
        .map_err(Error::bpf("open a table"))
}

/// Loads the program that sends from tables of these sizes, most frames of `usual` bytes.
pub(crate) fn load_tape(sizes: &TapeSizes, usual: u32) -> Result<TapeParts, Error> {
    let mut storage = MaybeUninit::uninit();
    let mut open = open_replay(OfReplay::Tape, &mut storage)?;
    let globals = open.maps.rodata_data.as_deref_mut();
    let globals = globals.ok_or_else(|| Error::Plan("a tape has no settings".to_owned()))?;
    globals.replay_usual = usual;
    let maps = &mut open.maps;
    let size = |map: &mut OpenMapMut<'_>, entries: u32| {
        map.set_max_entries(entries.max(1)).map_err(Error::bpf("size the tables"))
    };
    size(&mut maps.replay_orders, sizes.orders)?;
    size(&mut maps.replay_smalls, sizes.smalls)?;
    size(&mut maps.replay_larges, sizes.larges)?;
    size(&mut maps.replay_patches, sizes.patches)?;
    let loaded = open.load().map_err(Error::bpf("load the program that replays"))?;
    Ok(TapeParts {
        program: kept(loaded.progs.replay.as_fd())?,
        cable: handle(&loaded.maps.replay_cable)?,
        state: handle(&loaded.maps.bss)?,
        orders: handle(&loaded.maps.replay_orders)?,
        smalls: handle(&loaded.maps.replay_smalls)?,
        larges: handle(&loaded.maps.replay_larges)?,
        patches: handle(&loaded.maps.replay_patches)?,
    })
}

/// Loads the program that drops and counts.
pub(crate) fn load_sink() -> Result<(OwnedFd, MapHandle), Error> {
    let mut storage = MaybeUninit::uninit();
    let open = open_replay(OfReplay::Sink, &mut storage)?;
    let loaded = open.load().map_err(Error::bpf("load the program that counts"))?;
    Ok((kept(loaded.progs.replay_sink.as_fd())?, handle(&loaded.maps.replay_counts)?))
}

/// Loads the program that gives UDP to sockets.
pub(crate) fn load_ears() -> Result<(OwnedFd, MapHandle), Error> {
    let mut storage = MaybeUninit::uninit();
    let open = open_replay(OfReplay::Ears, &mut storage)?;
    let loaded = open.load().map_err(Error::bpf("load the program that hears"))?;
    Ok((kept(loaded.progs.replay_hear.as_fd())?, handle(&loaded.maps.replay_sockets)?))
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
    let sizes = &plan.capacities;
    globals.deny_mask = Capacities::buckets(sizes.deny_addresses) - 1;
    globals.regular_mask = Capacities::buckets(sizes.regulars) - 1;
    globals.budget_mask = Capacities::budget_buckets(sizes.strangers) - 1;
    globals.network_budget_mask = Capacities::budget_buckets(sizes.strangers) - 1;
    globals.regular_budget_mask = Capacities::budget_buckets(sizes.regulars) - 1;
    globals.flow_mask = sizes.places() - 1;
    globals.network_flow_mask = sizes.places() - 1;
    globals.talker_mask = sizes.places() - 1;
    globals.interfaces = indices.len() as u32;
    globals.interface_index[..indices.len()].copy_from_slice(indices);
    globals.own_addresses = plan.own().count() as u32;
    globals.service_addresses = plan.addresses.len() as u32;
    for (place, address) in globals.own_address.iter_mut().zip(plan.own()) {
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
    let denied = Capacities::buckets(sizes.deny_addresses);
    let regulars = Capacities::buckets(sizes.regulars);
    size(&mut maps.deny_buckets, denied)?;
    size(&mut maps.deny_entries, denied * abi::ADDRESS_SLOTS as u32)?;
    size(&mut maps.regular_buckets, regulars)?;
    size(&mut maps.regular_entries, regulars * abi::ADDRESS_SLOTS as u32)?;
    size(&mut maps.deny_prefixes, sizes.deny_prefixes)?;
    size(&mut maps.geo_prefixes, sizes.geo_prefixes)?;
    size(&mut maps.trust_prefixes, sizes.trusted_prefixes)?;
    size(&mut maps.budgets, Capacities::budget_buckets(sizes.strangers))?;
    size(&mut maps.network_budgets, Capacities::budget_buckets(sizes.strangers))?;
    size(&mut maps.regular_budgets, Capacities::budget_buckets(sizes.regulars))?;
    size(&mut maps.calls, sizes.calls)?;
    size(&mut maps.call_budgets, sizes.calls)?;
    size(&mut maps.media_rules, plan.media_places())?;
    size(&mut maps.media_heard, plan.media_places())?;
    size(&mut maps.flows, sizes.places())?;
    size(&mut maps.network_flow_sets, sizes.places())?;
    size(&mut maps.talkers, sizes.places())?;
    size(&mut maps.sockets, abi::INTERFACES_MAX as u32 * sizes.queues_per_interface)?;
    let is_of_plan = is_of_plan(plan);
    for map in [
        &mut maps.settings,
        &mut maps.tabulation,
        &mut maps.counts,
        &mut maps.spared,
        &mut maps.deny_buckets,
        &mut maps.deny_entries,
        &mut maps.regular_buckets,
        &mut maps.regular_entries,
        &mut maps.deny_prefixes,
        &mut maps.geo_prefixes,
        &mut maps.trust_prefixes,
        &mut maps.deny_near,
        &mut maps.geo_near,
        &mut maps.trust_near,
        &mut maps.budgets,
        &mut maps.regular_budgets,
        &mut maps.network_budgets,
        &mut maps.crowds,
        &mut maps.trunks,
        &mut maps.calls,
        &mut maps.call_budgets,
        // Before what it speaks of, so that a start that ends in between leaves none of another plan.
        &mut maps.media_plan,
        &mut maps.media_rules,
        &mut maps.media_heard,
        &mut maps.flows,
        &mut maps.network_flow_sets,
        &mut maps.talkers,
        &mut maps.signatures,
        &mut maps.ports,
        &mut maps.tags,
        &mut maps.sockets,
        &mut maps.answers,
    ] {
        let name = map.name().to_string_lossy().into_owned();
        let path = plan.pins.join(&name);
        let is_left = pins::OF_ONE_PROCESS.contains(&&*name)
            || pins::OF_ONE_PLAN.contains(&&*name) && !is_of_plan;
        if is_left && path.exists() {
            fs::remove_file(&path).map_err(Error::os(format!("remove {}", path.display())))?;
        }
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

/// The words of a mappable array, as long as this lives.
pub(crate) struct Mapped {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: what it points to is memory that no thread owns, read and written as atomics alone.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps an array that was made to be mapped.
    pub(crate) fn open(array: &MapHandle) -> io::Result<Self> {
        let words = array.max_entries() as usize * array.value_size() as usize / size_of::<u64>();
        let none = || io::Error::from(io::ErrorKind::InvalidInput);
        let bytes = NonZeroUsize::new(words * size_of::<u64>()).ok_or_else(none)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice changes no memory of ours.
        let start = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, array.as_fd(), 0) }?;
        Ok(Self { start: start.cast(), words })
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping holds so many words from a page boundary on until it is dropped, and
        // whoever else has it, the kernel among them, changes it word by word.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: this is the mapping of `open`, which nobody can reach any more.
        let _ = unsafe { munmap(self.start.cast(), self.words * size_of::<u64>()) };
    }
}

/// The answer of a libbpf call, which is the negative error number.
fn answer(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

pub(crate) fn create_link(program: BorrowedFd<'_>, index: u32, flags: u32) -> io::Result<OwnedFd> {
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

pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open; without options the kernel reads nothing of ours.
    let result = unsafe {
        libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null())
    };
    answer(result).map(drop)
}

pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the descriptor is open, and `path` is a C string that lives over the call.
    let result = unsafe { libbpf_sys::bpf_obj_pin(object.as_raw_fd(), path.as_ptr()) };
    answer(result).map(drop)
}

/// Whether an interface sends what a program in a driver gives to it: not one whose own program runs behind its
/// driver (generic), nor one that says it does not. All others do, also where the kernel says nothing (before Linux
/// 6.3). A veth does while its far end polls: an XDP program there, or GRO switched on.
#[must_use]
pub fn sends_for_drivers(index: u32) -> bool {
    /// `NETDEV_XDP_ACT_NDO_XMIT` (linux/netdev.h).
    const SENDS: u64 = 1 << 2;
    query(index).is_none_or(|query| {
        let is_generic = u32::from(query.attach_mode) == libbpf_sys::XDP_ATTACHED_SKB;
        !is_generic && (query.feature_flags == 0 || query.feature_flags & SENDS != 0)
    })
}

pub(crate) fn mode_of(index: u32) -> Mode {
    match query(index).map(|query| u32::from(query.attach_mode)) {
        Some(libbpf_sys::XDP_ATTACHED_DRV) => Mode::Native,
        Some(libbpf_sys::XDP_ATTACHED_SKB) => Mode::Generic,
        _ => Mode::Unknown,
    }
}

fn query(index: u32) -> Option<libbpf_sys::bpf_xdp_query_opts> {
    let mut query = libbpf_sys::bpf_xdp_query_opts {
        sz: size_of::<libbpf_sys::bpf_xdp_query_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    // SAFETY: `query` says its own size and lives over the call.
    let result = unsafe { libbpf_sys::bpf_xdp_query(index as i32, 0, &raw mut query) };
    (result == 0).then_some(query)
}

/// A frame with all of its headroom used for an explanation still fits.
const ROOM_BYTES: usize = 256;

pub(crate) fn test_run(
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

/// Frames that the kernel holds at a time while it injects: a NIC's batch.
pub(crate) const LIVE_BATCH: u32 = 64;

/// Puts a frame on an interface `repeat` times as if its NIC had received it: what the program decides
/// is done.
pub(crate) fn live_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    arrival: Arrival,
    repeat: u32,
    batch: u32,
) -> io::Result<()> {
    let context = libbpf_sys::xdp_md {
        data_end: frame.len() as u32,
        ingress_ifindex: arrival.interface_index,
        rx_queue_index: arrival.queue,
        ..Default::default()
    };
    let mut options = libbpf_sys::bpf_test_run_opts {
        sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
        data_in: frame.as_ptr().cast(),
        data_size_in: frame.len() as u32,
        ctx_in: (&raw const context).cast(),
        ctx_size_in: size_of_val(&context) as u32,
        repeat: i32::try_from(repeat).unwrap_or(i32::MAX),
        flags: libbpf_sys::BPF_F_TEST_XDP_LIVE_FRAMES,
        batch_size: batch,
        ..Default::default()
    };
    // SAFETY: every pointer in `options` is to memory of ours of the size beside it that lives over the
    // call; the kernel writes to none of it.
    let result =
        unsafe { libbpf_sys::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    answer(result).map(drop)
}
