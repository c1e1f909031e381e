//! A network of this process's own: namespaces, a bpffs and cables that are gone when it ends.

use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns, unshare};
use nix::unistd::{Pid, geteuid, gettid};
use wire::datagram::{self, Headers};
use xdp_prog::{Capacities, Deliver, Plan};

/// Any error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Our MAC address on every cable; the far end's begins in 4.
pub const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Nobody's: the far end's kernel drops what is sent there, as early as it can.
pub const FAR_MAC: [u8; 6] = [4, 0, 0, 0, 0, 4];

/// Takes this thread, and those it starts, to namespaces of their own with a bpffs. Returns where pins
/// may go; `None`: we are not root, and that was said.
///
/// # Errors
/// When the kernel refuses.
pub fn enter() -> Result<Option<PathBuf>, Failure> {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: namespaces and XDP need root");
        return Ok(None);
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    mount(Some("bpf"), "/mnt", Some("bpf"), MsFlags::empty(), None::<&str>)?;
    Ok(Some(PathBuf::from("/mnt/tgbench")))
}

/// Runs a command of spaces and words.
///
/// # Errors
/// What it said when it failed.
pub fn run(words: &str) -> Result<(), Failure> {
    let mut parts = words.split(' ');
    let done = Command::new(parts.next().unwrap_or_default()).args(parts).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{words}: {}", String::from_utf8_lossy(&done.stderr)).into())
}

/// The far namespace: it lives as long as its thread, which waits until this is dropped.
pub struct Far {
    thread: i32,
    _stay: Sender<()>,
}

impl Far {
    /// Makes it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn make() -> Result<Self, Failure> {
        let (stay, leave): (Sender<()>, Receiver<()>) = channel();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let entered = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid().as_raw());
            let _ = tell.send(entered);
            let _ = leave.recv();
        });
        Ok(Self { thread: told.recv()??, _stay: stay })
    }

    /// A cable: its end `tgbenchN` is here, up and with our MAC address, the other is `tgfarN` there.
    ///
    /// # Errors
    /// When `ip` or `ethtool` fail.
    pub fn cable(&self, number: u32) -> Result<String, Failure> {
        let (near, far) = (format!("tgbench{number}"), format!("tgfar{number}"));
        run(&format!("ip link add {near} type veth peer name {far}"))?;
        // Packets of the kernel's own would be counted with ours.
        for end in [&near, &far] {
            run(&format!("ip link set {end} addrgenmode none"))?;
        }
        run(&format!("ip link set {near} address 02:00:00:00:00:02"))?;
        run(&format!("ethtool -K {near} tx off"))?;
        run(&format!("ip link set {far} netns {}", self.thread))?;
        run(&format!("ip link set {near} up"))?;
        run(&format!("nsenter --net=/proc/{}/ns/net ip link set {far} up", self.thread))?;
        Ok(near)
    }

    /// Does something in the far namespace, and what it starts is there too.
    ///
    /// # Errors
    /// Its own.
    pub fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.thread))?;
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
                work()
            });
            there.join().map_err(|_| "what was done in the far namespace died")?
        })
    }

    /// Frames that the far end of a cable has got.
    ///
    /// # Errors
    /// When its counter cannot be read.
    pub fn received(&self, number: u32) -> Result<u64, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{}/net/dev", self.thread))?;
        let line = text.lines().find_map(|line| {
            line.trim_start().strip_prefix(&format!("tgfar{number}:")).map(str::to_owned)
        });
        let line = line.ok_or("the far end is gone")?;
        Ok(line.split_whitespace().nth(1).ok_or("no counter")?.parse()?)
    }
}

/// Nails this thread to a core, so that generator and subject do not share one.
///
/// # Errors
/// When there is no such core.
pub fn pin(core: usize) -> Result<(), Failure> {
    pin_thread(0, core)
}

/// The same for any thread, the kernel's too.
///
/// # Errors
/// When there is no such core, or no such thread.
pub fn pin_thread(thread: i32, core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(thread), &set)?)
}

/// A guard on these interfaces, its tables as large as by default.
#[must_use]
pub fn plan(pins: &Path, interfaces: &[String], addresses: &[SocketAddr]) -> Plan {
    Plan {
        interfaces: interfaces.iter().map(|name| name.as_str().into()).collect(),
        addresses: addresses.iter().map(SocketAddr::ip).collect(),
        sip_port: 5060,
        media_addresses: Vec::new(),
        media_ports: crate::phones::MEDIA_PORTS,
        pins: pins.to_owned(),
        capacities: Capacities { queues_per_interface: 1, ..Capacities::default() },
        deliver: Deliver::Sockets,
    }
}

/// A frame from the far end of a cable.
#[must_use]
pub fn frame(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let headers = Headers {
        destination_mac: NEAR_MAC,
        source_mac: FAR_MAC,
        vlan: None,
        source,
        destination,
        dscp: 0,
        ttl: 64,
    };
    let mut frame = vec![0; payload.len() + datagram::HEADERS_BYTES_MAX];
    let length = datagram::write(&mut frame, &headers, payload).unwrap_or(0);
    frame.truncate(length);
    frame
}

/// An RTP packet of 20 ms of G.711: 172 bytes, and 214 with its headers.
#[must_use]
pub fn rtp() -> Vec<u8> {
    let mut packet = vec![0xd5; 172];
    if let Some(head) = packet.first_chunk_mut() {
        *head = [0x80, 8, 0, 1, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];
    }
    packet
}
