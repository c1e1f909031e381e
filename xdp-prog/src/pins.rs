//! The directory of the pins: what outlives every process, and how it ends.
//!
//! Everything is pinned under one directory of a bpffs: the tables by their names, the programs as
//! `program` and `explain`, and for each interface a bpf_link as `link_NAME`. [`unload`] removes the
//! pins, and with the last of them the kernel detaches.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use nix::mount::{MsFlags, mount};
use nix::net::if_::if_indextoname;
use nix::sys::statfs::{FsType, statfs};

use crate::Error;
use crate::attach::{Interface, Mode};
use crate::loader::{mode_of, pin};

/// The magic number of a bpffs (linux/magic.h).
const BPF_FS: FsType = FsType(0xcafe_4a11);
const LINK: &str = "link_";
/// A pin on its way to its place.
const BESIDE: &str = "new_";
pub(crate) const PROGRAM: &str = "program";
pub(crate) const EXPLAIN: &str = "explain";
/// Every table of `bpf/maps.h`, by the name it is pinned under.
const TABLES: [&str; 32] = [
    "settings",
    "tabulation",
    "counts",
    "spared",
    "deny_buckets",
    "deny_entries",
    "regular_buckets",
    "regular_entries",
    "deny_prefixes",
    "geo_prefixes",
    "trust_prefixes",
    "deny_near",
    "geo_near",
    "trust_near",
    "budgets",
    "regular_budgets",
    "network_budgets",
    "crowds",
    "trunks",
    "calls",
    "call_budgets",
    "media_plan",
    "media_rules",
    "media_heard",
    "flows",
    "network_flow_sets",
    "talkers",
    "signatures",
    "ports",
    "tags",
    "sockets",
    "answers",
];

/// Those that say something of one process of the dataplane alone: each attachment makes them anew, in whatever
/// size it wants.
pub(crate) const OF_ONE_PROCESS: [&str; 3] = ["calls", "call_budgets", "tags"];

/// Those that go by the addresses of media, their order and their ports, which the first one names: with others they
/// are made anew, and each call of before is told again.
pub(crate) const OF_ONE_PLAN: [&str; 3] = [MEDIA_PLAN, "media_rules", "media_heard"];
pub(crate) const MEDIA_PLAN: &str = "media_plan";

/// Whether a guard is pinned under `pins`, whole or in part.
pub(crate) fn stand(pins: &Path) -> bool {
    TABLES.iter().any(|table| pins.join(table).exists())
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
pub(crate) fn prepare(pins: &Path) -> Result<(), Error> {
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

/// Pins `object` instead of what may be pinned there, without a moment of neither.
pub(crate) fn replace_pin(path: &Path, object: BorrowedFd<'_>) -> Result<(), Error> {
    let what = format!("pin {}", path.display());
    let mut beside = OsString::from(BESIDE);
    beside.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(beside);
    gone(fs::remove_file(&beside))
        .and_then(|()| pin(object, &beside))
        .and_then(|()| fs::rename(&beside, path))
        .map_err(Error::os(what))
}

/// Where the link of an interface is pinned. A bpffs takes no dots in names, an interface no colons.
pub(crate) fn link_pin(pins: &Path, interface: &str) -> PathBuf {
    pins.join(format!("{LINK}{}", interface.replace('.', ":")))
}

/// Names of the interfaces whose links are pinned, with their pins.
pub(crate) fn pinned_links(pins: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
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
        // Of an index that is not there nix makes an empty name.
        let known = known.filter(|name| !name.is_empty());
        let mode = if known.is_some() { mode_of(index) } else { Mode::Unknown };
        interfaces.push(Interface { name: known.unwrap_or(name), index, mode });
    }
    Ok(interfaces)
}

pub(crate) fn open_link(path: &Path) -> Result<Option<OwnedFd>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let link =
        libbpf_rs::Link::open(path).map_err(Error::bpf(format!("open {}", path.display())))?;
    link.as_fd().try_clone_to_owned().map(Some).map_err(Error::os("open a link"))
}

pub(crate) fn link_index(link: &OwnedFd) -> Option<u32> {
    match LinkInfo::from_fd(link.as_fd()).ok()?.info {
        LinkTypeInfo::Xdp(xdp) if xdp.ifindex != 0 => Some(xdp.ifindex),
        _ => None,
    }
}
