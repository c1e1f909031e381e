//! What becomes of recordings, counted by the recorder and the workers that feed it, published by the workers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to a recording, or to a packet of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecorderCounter {
    /// Recordings that began.
    Begun,
    /// Recordings that ended, whatever the reason.
    Ended,
    /// Calls that were not recorded because `recording.calls` others were.
    OverLimit,
    /// Recordings that were not begun, or were ended early, because the disk was nearly full.
    DiskFull,
    /// Recordings that were not begun, or were ended early, because a file could not be written.
    Failed,
    /// Packets that found no place on their way to the recorder, or came to it when their place was written.
    PacketsLost,
    /// Packets that are missing in a WAV file because of their codec; a pcap file has them.
    PacketsUnheard,
}

impl RecorderCounter {
    /// Every counter, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::Begun,
        Self::Ended,
        Self::OverLimit,
        Self::DiskFull,
        Self::Failed,
        Self::PacketsLost,
        Self::PacketsUnheard,
    ];

    /// The name in `status` and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "recordings_begun",
            Self::Ended => "recordings_ended",
            Self::OverLimit => "recordings_over_limit",
            Self::DiskFull => "recordings_disk_full",
            Self::Failed => "recordings_failed",
            Self::PacketsLost => "recording_packets_lost",
            Self::PacketsUnheard => "recording_packets_unheard",
        }
    }
}

/// What was counted since a worker last looked.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; RecorderCounter::ALL.len()]);

impl Tally {
    pub(super) fn add(&self, counter: RecorderCounter) {
        if let Some(count) = self.0.get(counter as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn take(&self, counter: RecorderCounter) -> u64 {
        self.0.get(counter as usize).map_or(0, |count| count.swap(0, Ordering::Relaxed))
    }
}
