//! Calls that should be on disk and are not: an alarm, until none was missed for ten minutes.

use std::time::Duration;

use link::Instant;

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};

/// So long after the last loss all is well again.
const QUIET: Duration = Duration::from_secs(600);

const ALARM: &str = "recording_lost";
const SUBJECT: &str = "recordings";

/// What all workers have counted together since the dataplane began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Recordings not begun or ended early: the disk was nearly full.
    pub disk_full: u64,
    /// A file could not be written.
    pub failed: u64,
    /// Too many at a time.
    pub over_limit: u64,
    /// Packets that found no place on their way to the recorder.
    pub packets: u64,
}

/// What was counted when it was looked at last, and when it last grew.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recordings {
    /// Nothing yet: what is there by then is of the time before us.
    missed: Option<Missed>,
    grew: Option<Instant>,
}

impl Office {
    /// What was missed.
    pub fn handle_missed(&mut self, time: Time, missed: Missed) {
        let known = self.recordings.missed.replace(missed).unwrap_or(missed);
        let grew = missed.disk_full > known.disk_full
            || missed.failed > known.failed
            || missed.over_limit > known.over_limit
            || missed.packets > known.packets;
        if grew {
            self.recordings.grew = Some(time.now);
            let Missed { disk_full, failed, over_limit, packets } = missed;
            let detail = format!(
                "since the dataplane began: {disk_full} recordings for want of recording.free_min_mb on the disk, \
                 {failed} that could not be written, {over_limit} beyond recording.calls, {packets} packets"
            );
            self.journal.raise(Event {
                at_us: time.wall_us,
                name: ALARM,
                subject: SUBJECT.into(),
                severity: Severity::Critical,
                detail,
            });
        } else if self.recordings.grew.is_some_and(|grew| time.now.saturating_sub(grew) >= QUIET) {
            self.recordings.grew = None;
            self.journal.clear(time.wall_us, ALARM, SUBJECT);
        }
    }
}
