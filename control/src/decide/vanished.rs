//! Calls whose slot is gone with the memory it was in: the machine lost power, or somebody removed the
//! file.
//!
//! Their starts are durable and hold their records; a heartbeat, written every second while there are
//! calls, says how long they lasted at least. Nobody pays for more than that.

use core::time::Duration;

use link::record::{EndReason, EndedBy, NEVER};

use super::Office;
use crate::Time;
use crate::cdr::id_text;
use crate::journal::{Event, Severity};
use crate::store::{Change, Opened};

/// How often the store is told that calls go on.
const BEAT: Duration = Duration::from_secs(1);

/// What the store remembered of calls, and what it is told of them.
#[derive(Default)]
pub(super) struct Heartbeat {
    /// Calls without an end when this control started.
    pub(super) opened: Vec<Opened>,
    /// When calls of a former control still went on, µs since the machine booted then.
    pub(super) last_us: u64,
    due: Duration,
    /// Number of the last heartbeat's change.
    sequence: u64,
}

impl Office {
    /// Ends what a former control opened and what neither runs nor has just ended. Call it once every
    /// slot of the call table was looked at; after the first time there is nothing left to do.
    pub fn end_vanished(&mut self, time: Time) {
        let opened = std::mem::take(&mut self.heartbeat.opened);
        let mut ended = 0;
        for opened in opened {
            let id = opened.record.id;
            if !self.live.contains_key(&id) && !self.ending.contains(&id) {
                tracing::warn!(call = id_text(id), "call_vanished");
                self.end_opened(time, opened);
                ended += 1;
            }
        }
        if ended > 0 {
            self.journal.note(Event {
                at_us: time.wall_us,
                name: "machine_lost",
                subject: "call table".into(),
                severity: Severity::Critical,
                detail: format!(
                    "{ended} calls went on when the machine lost power or its shared memory; they were \
                     ended and charged at the last heartbeat before"
                ),
            });
        }
    }

    fn end_opened(&mut self, time: Time, opened: Opened) {
        let mut record = opened.record;
        let lasted_ms = self.heartbeat.last_us.saturating_sub(record.started_monotonic_us) / 1000;
        let lasted_ms = u32::try_from(lasted_ms).unwrap_or(NEVER - 1);
        // A start is written before the caller hears of the answer: the vendor's it is.
        let answered_ms = record.attempts().iter().map(|attempt| attempt.answered_ms).min();
        record.answered_ms = record.answered_ms.min(answered_ms.unwrap_or(NEVER));
        record.ended_ms = match record.answered_ms {
            NEVER => lasted_ms,
            answered => lasted_ms.max(answered),
        };
        record.reason = EndReason::MachineLost as u8;
        record.ended_by = EndedBy::Server as u8;
        record.end_attempts();
        let cover = self.awaited_cover(record.id).unwrap_or_default();
        self.grant_talked(time, opened.customer, &mut record, &cover);
        let mut cdr = self.cdr(record);
        // Whoever was admitted pays, whatever became of the gateways since.
        (cdr.customer, cdr.vendor) = (opened.customer, opened.vendor);
        cdr.agent = opened.agent;
        self.write_end(time, cdr, cover);
    }

    /// While calls go on the store is told so, unless it has not even taken the last heartbeat.
    pub(super) fn beat(&mut self, time: Time) {
        if self.live.is_empty()
            || time.now < self.heartbeat.due
            || self.heartbeat.sequence > self.stored
        {
            return;
        }
        self.heartbeat.due = time.now + BEAT;
        let now_us = u64::try_from(time.now.as_micros()).unwrap_or(u64::MAX);
        self.heartbeat.sequence = self.change(Change::Heartbeat(now_us));
    }
}
