//! Ended: the record becomes a CDR, two charges and a free slot. Once, however often it is told.

use core::time::Duration;

use link::CallRecord;
use link::record::{CallKey, EndReason, EndedBy, NEVER};

use super::{Office, Waiting};
use crate::Time;
use crate::cdr::{BillingMode, Cdr, id_text};
use crate::journal::{Event, Severity};
use crate::package::Cover;
use crate::state::entity::Kind;
use crate::store::Change;

/// How long the alarm of an uncommitted answer stands after the last one.
const UNCOMMITTED_STANDS: Duration = Duration::from_secs(60);

impl Office {
    /// A record is complete. `stored`: its end was durable before this control started.
    pub fn handle_ended(
        &mut self,
        time: Time,
        worker: usize,
        call: CallKey,
        record: &CallRecord,
        stored: bool,
    ) {
        let mut live = self.release(record.id);
        let held = live.as_mut().map(|live| std::mem::take(&mut live.cover));
        let cover = held.or_else(|| self.awaited_cover(record.id)).unwrap_or_default();
        if stored {
            self.released.push_back((worker, call, record.id));
            return;
        }
        if !self.ending.insert(record.id) {
            return;
        }
        let mut cdr = self.cdr(*record);
        let awaited = self.awaiting_agents.remove(&record.id);
        cdr.agent = live.as_ref().map_or(awaited, |live| live.agent);
        // Whoever was admitted pays, whatever became of the gateway since.
        if let Some(payer) = live.map(|live| live.account).filter(|account| *account != 0) {
            cdr.customer = payer;
        }
        let sequence = self.write_end(time, cdr, cover);
        self.wait(sequence, Waiting::Release(worker, call, record.id));
        if sequence <= self.stored {
            self.handle_stored(self.stored);
        }
    }

    /// Charges both sides. When the change with this number is durable, so is the record. `cover` is what packages were
    /// to pay for of the call.
    pub(super) fn write_end(&mut self, time: Time, mut cdr: Cdr, cover: Cover) -> u64 {
        self.cover_end(time, &mut cdr, cover);
        if cdr.rate().is_err() {
            self.journal.raise(Event {
                at_us: time.wall_us,
                name: "charge_overflow",
                subject: id_text(cdr.record.id),
                severity: Severity::Critical,
                detail: "a fee is too large to be money; correct the tariff and rerate".into(),
            });
        }
        let agent = cdr.agent.take();
        self.earn(time, &mut cdr, agent);
        if cdr.record.answered_ms == NEVER && !cdr.costs() {
            cdr.billing_mode = BillingMode::None;
        }
        if cdr.record.uncommitted != 0 {
            self.note_uncommitted(time);
        }
        self.book_call(time, &cdr);
        cdr.account = self.state.name_of(Kind::Account, cdr.customer).to_owned();
        cdr.vendor_account = self.state.name_of(Kind::Account, cdr.vendor).to_owned();
        cdr.plain_end = self.state.values.number("SERVER_BILLING_RECORD_SERVER_HANG_UP") == 0;
        self.note_quality(&cdr);
        if self.is_suppressed(&cdr) {
            self.last_change()
        } else {
            self.change(Change::CdrEnd(Box::new(cdr)))
        }
    }

    /// An answer went out before its start was durable: the alarm stands until it has not happened again
    /// for a while.
    fn note_uncommitted(&mut self, time: Time) {
        self.uncommitted_until = Some(time.now + UNCOMMITTED_STANDS);
        self.journal.raise(Event {
            at_us: time.wall_us,
            name: "answers_uncommitted",
            subject: "store".into(),
            severity: Severity::Warning,
            detail:
                "calls were answered before their start was on disk; a loss of power would have \
                     cost their charges. Look for a slow disk, or for a control that was away"
                    .into(),
        });
    }

    /// Lets that alarm go.
    pub(super) fn settle_uncommitted(&mut self, time: Time) {
        if self.uncommitted_until.take_if(|until| *until <= time.now).is_some() {
            self.journal.clear(time.wall_us, "answers_uncommitted", "store");
        }
    }

    /// Only records of unanswered calls that cost nothing may be suppressed.
    fn is_suppressed(&self, cdr: &Cdr) -> bool {
        let callee = cdr.record.callee_billed.to_text();
        let unwanted = self.state.values.number("SERVER_BILLING_RECORD_ZERO_HOLD_TIME") == 0
            && cdr.hold_ms() == 0
            || self.state.values.has_prefix("BILLING_NO_CDR_E164S", &callee);
        // A start that is written gets its end.
        unwanted && !cdr.costs() && cdr.record.answered_ms == NEVER
    }

    /// A slot that control reaped, because no dataplane came back: ended at its last sign of media.
    /// `stored`: as for [`Self::handle_ended`].
    pub fn handle_lost(
        &mut self,
        time: Time,
        worker: usize,
        call: CallKey,
        record: &CallRecord,
        media_us: u64,
        stored: bool,
    ) {
        let mut record = *record;
        let since = |us: u64| {
            let ms = us.saturating_sub(record.started_monotonic_us) / 1000;
            u32::try_from(ms).unwrap_or(NEVER - 1)
        };
        let media_ms = if media_us == 0 { NEVER } else { since(media_us) };
        let last_sign = if media_ms == NEVER { record.answered_ms } else { media_ms };
        record.media_ms = media_ms;
        record.ended_ms = if last_sign == NEVER {
            since(u64::try_from(time.now.as_micros()).unwrap_or(u64::MAX))
        } else {
            last_sign
        };
        record.reason = EndReason::DataplaneLost as u8;
        record.ended_by = EndedBy::Server as u8;
        record.end_attempts();
        self.handle_ended(time, worker, call, &record, stored);
    }
}
