//! The clocks of a replay: time since it began, and CPU time of a thread.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Monotonic time, ns.
pub(crate) fn now_ns() -> u64 {
    ns(ClockId::CLOCK_MONOTONIC)
}

/// Wall time, ns since 1970 UTC, as the kernel stamps packets.
pub(crate) fn wall_ns() -> u64 {
    ns(ClockId::CLOCK_REALTIME)
}

/// CPU time of this thread, ns.
pub(crate) fn thread_ns() -> u64 {
    ns(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn ns(clock: ClockId) -> u64 {
    // These clocks are there on every Linux.
    clock_gettime(clock).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}
