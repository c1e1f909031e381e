//! What can stop the guard from being loaded, fed or asked, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::Mode;

/// The operator's or the operating system's failure; its text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan asks for what the program cannot hold.
    #[error("the plan of the guard cannot be: {0}")]
    Plan(String),
    /// An interface is not there, or not in this network namespace.
    #[error("no network interface {name}: see `ip link` in the namespace of the dataplane")]
    Interface {
        /// Its name.
        name: String,
    },
    /// Pins need a BPF file system.
    #[error("{} is not on a BPF file system: mount one with `mount -t bpf bpf {}`",
            .path.display(), mount_point(.path))]
    NotBpffs {
        /// The directory of the pins.
        path: PathBuf,
    },
    /// No guard is loaded there.
    #[error("no guard is loaded under {}: start tollgate-dataplane first", .pins.display())]
    NotLoaded {
        /// The directory of the pins.
        pins: PathBuf,
    },
    /// The pinned tables have other sizes or another layout than this program.
    #[error(
        "the tables under {} do not fit ({what}): stop the dataplane, run \
         `tollgate-dataplane --unload`, and start it again; control then writes the lists anew",
        .pins.display()
    )]
    Layout {
        /// The directory of the pins.
        pins: PathBuf,
        /// Which table, and how it differs.
        what: String,
    },
    /// A table has no room.
    #[error("the {list} list is full at {capacity} entries: raise its capacity in the config")]
    Full {
        /// Which list.
        list: &'static str,
        /// How many entries it holds.
        capacity: u32,
    },
    /// There is no such interface or queue in the plan.
    #[error("interface {interface} queue {queue} has no place in the socket map")]
    NoSuchQueue {
        /// Index of the interface in the plan.
        interface: usize,
        /// The queue.
        queue: u32,
    },
    /// The interface takes no XDP program.
    #[error(
        "{name} takes no XDP program ({source}): another one may be attached (`bpftool net`), or \
         its MTU may be too large for XDP (`ip link set {name} mtu 1500`)"
    )]
    Attach {
        /// Its name.
        name: String,
        /// The kernel's answer to generic mode.
        source: io::Error,
    },
    /// The driver of the interface takes no XDP program, and nothing else is allowed.
    #[error(
        "the driver of {name} takes no XDP program ({source}), and interface.mode = \"native\" wants \
         it there: write \"native-or-generic\" for the slower way behind the driver; or another one may be \
         attached (`bpftool net`), or its MTU may be too large for XDP (`ip link set {name} mtu 1500`)"
    )]
    Native {
        /// Its name.
        name: String,
        /// The driver's answer.
        source: io::Error,
    },
    /// The guard runs on the interface in a mode that is not allowed any more.
    #[error(
        "{name} is guarded in {} mode, which interface.mode no longer allows: stop the dataplane, run \
         `tollgate-dataplane --unload`, and start it again; control then writes the lists anew",
        .mode.name()
    )]
    Mode {
        /// Its name.
        name: String,
        /// How the guard runs on it.
        mode: Mode,
    },
    /// The kernel refused a BPF operation.
    #[error("cannot {what}: {source}{}", hint(.source.kind()))]
    Bpf {
        /// What was tried.
        what: String,
        /// Its answer.
        source: libbpf_rs::Error,
    },
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    Os {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: what was tried, with the kernel's answer.
    pub(crate) fn bpf(what: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Self {
        move |source| Self::Bpf { what: what.into(), source }
    }

    /// For `map_err`: what was tried, with the system's answer.
    pub(crate) fn os<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self::Os { what: what.into(), source: source.into() }
    }
}

fn mount_point(pins: &Path) -> String {
    let standard = Path::new("/sys/fs/bpf");
    let point = if pins.starts_with(standard) { standard } else { pins.parent().unwrap_or(pins) };
    point.display().to_string()
}

fn hint(kind: libbpf_rs::ErrorKind) -> &'static str {
    match kind {
        libbpf_rs::ErrorKind::PermissionDenied => {
            ": run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
        }
        _ => "",
    }
}
