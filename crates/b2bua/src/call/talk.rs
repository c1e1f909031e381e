//! For how long a call may talk: what was granted, and more of it by and by.
//!
//! ```text
//!  answered          extend_at_s      granted_s              + grace_s
//!     ├───────────────────┼───────────────┤╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤
//!                     asks, and       over, unless       over, where control
//!                     again each s    control is away    is away all the time
//! ```
//!
//! A call on an account that can run dry holds slices of its balance. It asks for the next one while it talks, and ends
//! to the second where what it holds ends, however late we are.

use core::time::Duration;

use link::answer::Extended;
use link::ask::{Ask, Extend};
use link::record::{EndReason, EndedBy, NEVER};

use super::{Call, Deadline};
use crate::Instant;
use crate::counter::Counter;
use crate::switch::Switch;

/// How soon control is asked again that did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Call {
    pub(crate) fn extend_at_s(&self) -> u32 {
        self.extend_at_s
    }

    /// When it will have talked for so long; `None`: it does not talk yet.
    fn talks_until(&self, seconds: u32) -> Option<Instant> {
        let answered_ms = Some(self.record.answered_ms).filter(|&at| at != NEVER)?;
        let answered = self.started + Duration::from_millis(answered_ms.into());
        Some(answered + Duration::from_secs(seconds.into()))
    }

    /// When it has talked for as long as was granted; `None`: never, or it does not talk yet.
    fn talk_ends(&self) -> Option<Instant> {
        self.talks_until(self.record.granted_s).filter(|_| self.record.granted_s > 0)
    }

    /// Whether control may grant more, as far as it has said.
    fn may_talk_on(&self) -> bool {
        (1..self.record.granted_s).contains(&self.extend_at_s)
    }

    /// Until when it may talk if control is not heard of any more.
    pub(crate) fn media_ends(&self) -> Option<Instant> {
        let grace_s = if self.may_talk_on() { self.record.grace_s } else { 0 };
        Some(self.talk_ends()? + Duration::from_secs(grace_s.into()))
    }
}

impl Switch {
    /// It talks from now on, or for longer than was said before.
    pub(super) fn arm_talk(&mut self, slot: usize) {
        let call = &self.calls[slot];
        let ends = call.talk_ends();
        let asks = call.talks_until(call.extend_at_s).filter(|_| call.may_talk_on());
        self.set_deadline(slot, Deadline::Talk, ends);
        self.set_deadline(slot, Deadline::Extend, asks);
    }

    /// Half of what was granted last is over.
    pub(super) fn ask_on(&mut self, now: Instant, slot: usize) {
        let call = &self.calls[slot];
        if !call.may_talk_on() || call.record.ended_ms != NEVER {
            return;
        }
        let Some(answered) = call.talks_until(0) else { return };
        let talked_s = now.saturating_sub(answered).as_secs();
        let granted_s = call.record.granted_s;
        self.set_deadline(slot, Deadline::Extend, Some(now + ASK_AGAIN));
        if self.control_alive {
            let talked_s = u32::try_from(talked_s).unwrap_or(u32::MAX);
            let call = self.key_of(slot);
            self.ask(Ask::Extend(Extend { call, granted_s, talked_s }));
        }
    }

    /// Control says for how long.
    pub(crate) fn handle_extended(&mut self, now: Instant, extended: &Extended) {
        let Extended { call, granted_s, extend_at_s } = *extended;
        let talks = |record: &link::CallRecord| {
            // What was granted is not taken back.
            record.answered_ms != NEVER
                && record.ended_ms == NEVER
                && (granted_s == 0 || granted_s >= record.granted_s)
        };
        let slot = self.live_call(call).filter(|&slot| talks(&self.calls[slot].record));
        let Some(slot) = slot else { return self.counters.add(Counter::AnswersLate) };
        let call = &mut self.calls[slot];
        (call.record.granted_s, call.extend_at_s) = (granted_s, extend_at_s);
        self.arm_talk(slot);
        let call = &self.calls[slot];
        let [caller, callee] = &call.legs;
        self.media.set_ends([&caller.media, &callee.media], call.media_ends());
        self.save(slot);
        self.call_due(now, slot);
    }

    /// What was granted is over, at that moment.
    pub(super) fn talk_over(&mut self, now: Instant, at: Instant, slot: usize) {
        let call = &self.calls[slot];
        if let Some(ends) = call.media_ends().filter(|&ends| at < ends) {
            return self.set_deadline(slot, Deadline::Talk, Some(ends));
        }
        let is_dry = call.extend_at_s >= call.record.granted_s;
        let reason = if is_dry { EndReason::NoBalance } else { EndReason::DurationLimit };
        // However late we are: nobody pays for more than was granted.
        self.calls[slot].note_end(at, reason, EndedBy::Server);
        self.hang_up(now, slot, reason, EndedBy::Server, None);
    }
}
