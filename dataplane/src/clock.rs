//! The two clocks, read in one place.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every Linux, and a negative time was before 1970.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Monotonic time since the machine booted.
#[must_use]
pub fn now() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Wall time minus monotonic time: what makes 1970 of boot.
#[must_use]
pub fn wall_offset() -> Duration {
    read(ClockId::CLOCK_REALTIME).saturating_sub(now())
}
