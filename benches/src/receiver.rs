//! The far end of a cable, whose receive path is one thread of the kernel: what that costs is its CPU time.
//!
//! By itself veth receives on whichever core sent. With a receive poll in a thread (threaded NAPI) the
//! generator's work and the receiver's are told apart as with a NIC. Receive offload (GRO) stays on, as
//! everywhere by default; that also gives the end its poll when it has no XDP program.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::world::{Failure, Far, pin_thread, run};

/// The far receiver's core; the generator has the other one.
const CORE: usize = 1;

/// See the head of this file.
pub struct Receiver {
    device: String,
    thread: i32,
}

impl Receiver {
    /// Lays cable `number` and takes its far end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn at_the_end_of(far: &Far, number: u32) -> Result<Self, Failure> {
        let near = far.cable(number)?;
        let device = near.replace("bench", "far");
        far.inside(|| {
            run(&format!("ip link set {device} address 02:00:00:00:00:02"))?;
            poll_in_a_thread(&device)
        })?;
        Self::of(device, CORE)
    }

    fn of(device: String, core: usize) -> Result<Self, Failure> {
        let thread = thread_of(&device)?;
        pin_thread(thread, core)?;
        Ok(Self { device, thread })
    }

    /// Its name, in its namespace.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// CPU time that its thread has had.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn busy(&self) -> Result<Duration, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.thread))?;
        let ns = text.split_whitespace().next().ok_or("no CPU time")?;
        Ok(Duration::from_nanos(ns.parse()?))
    }

    /// One of the driver's counters; to be asked for in its namespace.
    ///
    /// # Errors
    /// When it has none such.
    pub fn count(&self, name: &str) -> Result<u64, Failure> {
        count(&self.device, name)
    }
}

/// One of a driver's counters, of an interface of this network namespace.
///
/// # Errors
/// When it has none such.
pub fn count(device: &str, name: &str) -> Result<u64, Failure> {
    let output = Command::new("ethtool").args(["-S", device]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
    Ok(line.ok_or_else(|| format!("veth does not count {name}: {text}"))?.parse()?)
}

/// Whoever mounts /sys sees the interfaces of his namespace in it.
fn poll_in_a_thread(device: &str) -> Result<(), Failure> {
    run(&format!("ethtool -K {device} gro on"))?;
    let threaded = format!("echo 1 >/sys/class/net/{device}/threaded");
    let words = format!("mount -t sysfs sysfs /sys && {threaded}");
    let done = Command::new("unshare").args(["--mount", "sh", "-c", &words]).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("threaded receive: {}", String::from_utf8_lossy(&done.stderr)).into())
}

/// The kernel's thread that receives for an interface.
fn thread_of(device: &str) -> Result<i32, Failure> {
    let wanted = format!("napi/{device}-");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(thread) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // It may have ended since.
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.starts_with(&wanted) {
            found.push(thread);
        }
    }
    match found[..] {
        [thread] => Ok(thread),
        _ => Err(format!("{} threads receive for {device}", found.len()).into()),
    }
}
