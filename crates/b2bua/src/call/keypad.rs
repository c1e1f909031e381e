//! Transfers by keys (`TG_TRANSFER_*`): whoever may transfer presses a code in the call, then the number of
//! the target and `#`. The keys come as RFC 4733 events, which the relay reads, or as INFO.
//!
//! ```text
//!              blind code                     number, #                     C answers
//!   A ── B  ───────────────▶  A   B dials  ───────────────▶  A …▶ C     ────────────▶  A ── C   B is free
//!              attended code                  number, #                     C answers
//!   A ── B  ───────────────▶  A   B dials  ───────────────▶  A   B …▶ C ────────────▶  A   B ── C
//!
//!   A   B ── C   ── B hangs up, or presses the end code ──▶     A ── C   B is free
//!                ── C hangs up, or B presses the cancel code ──▶ A ── B
//! ```
//!
//! From the code on A and B are parked: nobody hears them, and what they hear is silence. A knows nothing of
//! all this until somebody else is at the other end: only then it gets a re-INVITE.

use core::time::Duration;

use relay::Way;
use sip::{Message, Method};

use super::dtmf::By;
use super::exchange::Within;
use super::session::SOON;
use super::transfer::Wish;
use super::{Call, Deadline};
use crate::Instant;
use crate::compose::{self, Says};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::media::call_of;
use crate::switch::Switch;
use crate::transaction::{Role, TransactionKey};
use crate::transfers::{Asked, Dialled, Plan, Stage, Transfer};

use link::order::KEYS_MAX;

/// Keys with a longer pause between them are no code.
const CODE_PAUSE_MS: u32 = 3_000;

/// The keys that one side pressed last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    side: Side,
    length: u8,
    keys: [u8; KEYS_MAX],
    /// When the last one came, ms of the call.
    ms: u32,
}

impl Typed {
    pub(super) const NOTHING: Self =
        Self { side: Side::Caller, length: 0, keys: [0; KEYS_MAX], ms: 0 };

    fn press(&mut self, ms: u32, side: Side, key: u8) {
        if side != self.side || ms.saturating_sub(self.ms) > CODE_PAUSE_MS {
            *self = Self { side, ..Self::NOTHING };
        }
        if usize::from(self.length) == KEYS_MAX {
            self.keys.rotate_left(1);
            self.length -= 1;
        }
        self.keys[usize::from(self.length)] = key;
        self.length += 1;
        self.ms = ms;
    }

    /// Whether the keys end with this code. An empty one is none.
    fn is(&self, code: &[u8]) -> bool {
        !code.is_empty() && self.keys[..usize::from(self.length)].ends_with(code)
    }
}

impl Switch {
    /// Heeds the next key that the relay read. Whether there was one; what it asks for is to be done
    /// before the one after it.
    pub fn heed_key(&mut self, now: Instant) -> bool {
        for _ in 0..self.media.table.take_lost_keys() {
            self.counters.add(Counter::KeysLost);
        }
        let Some(pressed) = self.media.table.poll_key() else { return false };
        self.media.wake(now);
        let Some(slot) = self.live_call(call_of(pressed.owner)) else { return true };
        let hears = |call: &Call, side: Side| {
            call.legs[side as usize].media.open_ports().any(|port| port == pressed.port)
        };
        let side = Side::BOTH.into_iter().find(|&side| hears(&self.calls[slot], side));
        let (key, way) = (pressed.key, pressed.way);
        let by = if way == Way::Tone { By::Tone } else { By::Event };
        if let Some(side) = side
            && !self.is_key_again(now, slot, side, key, by)
            && !self.key_pressed(now, slot, side, key)
        {
            self.turn_key(now, slot, side, key, way);
        }
        true
    }

    /// Whether an INFO is a key that was for us, or goes on another way.
    pub(super) fn takes_key(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        request: &Message<'_>,
    ) -> bool {
        let tone = Some(request).filter(|request| request.method() == Method::Info);
        let tone = tone.and_then(sip::dtmf::Tone::read);
        tone.is_some_and(|tone| {
            self.is_key_again(now, slot, side, tone.key, By::Info)
                || self.key_pressed(now, slot, side, tone.key)
                || self.turns_info(now, slot, side, tone)
        })
    }

    /// Whether the key was for us: then the far side does not hear of it.
    fn key_pressed(&mut self, now: Instant, slot: usize, side: Side, key: u8) -> bool {
        let call = &self.calls[slot];
        let may = compose::serves(Method::Refer, Some(self.profile_of(slot, side)));
        // Keys from inside were pressed in the call that they come from.
        if !may || call.legs[side as usize].path.inside().is_some() {
            return false;
        }
        let ms = call.ms(now);
        self.calls[slot].typed.press(ms, side, key);
        let Some(transfer) = self.transfer(slot) else {
            return self.begin_dialling(now, slot, side);
        };
        let Asked::Keys { plan, .. } = transfer.asked else { return false };
        transfer.asker == side && self.steer_transfer(now, slot, key, transfer.stage, plan)
    }

    /// Whether the keys are a code that begins a transfer, and it may begin.
    fn begin_dialling(&mut self, now: Instant, slot: usize, asker: Side) -> bool {
        let keys = self.parameters.transfer;
        let typed = self.calls[slot].typed;
        let (side, plan) = if typed.is(keys.attended.as_bytes()) {
            (asker.other(), Plan::Consult)
        } else if typed.is(keys.blind.as_bytes()) {
            (asker, Plan::HandOver)
        } else {
            return false;
        };
        if !self.may_transfer(slot) {
            return false;
        }
        if !self.transfers.has_room() {
            self.counters.add(Counter::TransfersFull);
            return false;
        }
        self.begin_transfer(slot, side, asker, Asked::Keys { plan, dialled: Dialled::NOTHING });
        self.calls[slot].typed = Typed::NOTHING;
        self.park_legs(slot, true);
        let wait = Duration::from_secs(keys.wait_s.into());
        self.set_deadline(slot, Deadline::Keys, Some(now + wait));
        true
    }

    /// A key of somebody who transfers by keys. Whether it was for us.
    fn steer_transfer(
        &mut self,
        now: Instant,
        slot: usize,
        key: u8,
        stage: Stage,
        plan: Plan,
    ) -> bool {
        let keys = self.parameters.transfer;
        let typed = self.calls[slot].typed;
        let (cancels, ends) = (typed.is(keys.cancel.as_bytes()), typed.is(keys.end.as_bytes()));
        match stage {
            Stage::Begun if cancels => self.take_back(slot),
            Stage::Calling { invite } if cancels => {
                self.cancel_client(now, invite, None);
                self.take_back(slot);
            }
            Stage::Consulting if cancels => self.give_back(now, slot),
            Stage::Consulting if ends => self.finish(now, slot),
            Stage::Calling { .. } if ends && plan == Plan::Consult => {
                self.hands_over(slot);
            }
            Stage::Begun => {
                self.dial_key(now, slot, key);
                return true;
            }
            _ => return false,
        }
        self.calls[slot].typed = Typed::NOTHING;
        true
    }

    fn dial_key(&mut self, now: Instant, slot: usize, key: u8) {
        if key == b'#' {
            return self.dial(now, slot);
        }
        let pause = Duration::from_secs(self.parameters.transfer.pause_s.into());
        if let Some(transfer) = self.transfer_mut(slot)
            && let Asked::Keys { dialled, .. } = &mut transfer.asked
            && key.is_ascii_digit()
        {
            dialled.press(key);
            self.set_deadline(slot, Deadline::Keys, Some(now + pause));
        }
    }

    /// No further digit came: what there is, is the number. Or somebody is to be asked again.
    pub(super) fn keys_late(&mut self, now: Instant, slot: usize) {
        self.set_deadline(slot, Deadline::Keys, None);
        match self.transfer_stage(slot) {
            Some(Stage::Begun) => self.dial(now, slot),
            Some(Stage::Recalling { .. }) => self.recall(now, slot),
            Some(Stage::Joining { .. }) => self.ask_stayer_again(now, slot),
            _ => {}
        }
    }

    fn dial(&mut self, now: Instant, slot: usize) {
        self.set_deadline(slot, Deadline::Keys, None);
        let Some(transfer) = self.transfer(slot) else { return };
        let Asked::Keys { dialled, .. } = transfer.asked else { return };
        if dialled.digits().is_empty() {
            return self.take_back(slot);
        }
        let wish = Wish { number: dialled.digits(), replaces: None };
        self.call_target(now, slot, &wish, self.passes_ringback(slot));
    }

    /// Whether somebody is to hear the target before it answers: who wants to speak to it, and who waits
    /// for it if `TG_TRANSFER_RINGBACK` says so.
    fn passes_ringback(&self, slot: usize) -> bool {
        match self.plan(slot) {
            Some(Plan::Consult) => true,
            Some(Plan::HandOver) => self.parameters.transfer.ringback != 0,
            Some(Plan::Finish | Plan::Return) | None => false,
        }
    }

    /// The target can do nothing with what it was offered: it shall offer something itself.
    pub(super) fn let_target_offer(&mut self, now: Instant, slot: usize, status: u16) {
        let Some(transfer) = self.transfer_mut(slot) else { return };
        let Asked::Keys { dialled, .. } = transfer.asked else {
            return self.transfer_failed(now, slot, status);
        };
        if !core::mem::take(&mut transfer.offered) {
            return self.transfer_failed(now, slot, status);
        }
        let mut refused = core::mem::replace(&mut transfer.spare, Leg::new());
        self.media.release(&mut refused.media);
        self.rejoin_media(slot);
        self.park_legs(slot, true);
        self.call_target(now, slot, &Wish { number: dialled.digits(), replaces: None }, false);
    }

    pub(super) fn plan(&self, slot: usize) -> Option<Plan> {
        match self.transfer(slot)?.asked {
            Asked::Keys { plan, .. } => Some(plan),
            Asked::Inside | Asked::Refer { .. } => None,
        }
    }

    fn set_plan(&mut self, slot: usize, to: Plan) {
        if let Some(transfer) = self.transfer_mut(slot)
            && let Asked::Keys { plan, .. } = &mut transfer.asked
        {
            *plan = to;
        }
    }

    /// Whoever wanted to speak to the target first does not wait for its answer. Whether it is so.
    pub(super) fn hands_over(&mut self, slot: usize) -> bool {
        let consults = self.plan(slot) == Some(Plan::Consult);
        if consults && let Some(transfer) = self.transfer_mut(slot) {
            transfer.side = transfer.asker;
            self.set_plan(slot, Plan::HandOver);
        }
        consults
    }

    /// The target is not called, or no more: the two talk on.
    fn take_back(&mut self, slot: usize) {
        self.counters.add(Counter::TransfersTakenBack);
        self.drop_transfer(slot);
    }

    /// The target answered, and whoever wants to transfer talks to it.
    pub(super) fn begin_consulting(&mut self, slot: usize) {
        self.set_stage(slot, Stage::Consulting);
        self.park_legs(slot, false);
    }

    /// One of the two who talk hangs up.
    pub(super) fn end_consulting(&mut self, now: Instant, slot: usize, left: Side) {
        let asker = self.transfer(slot).map(|transfer| transfer.asker);
        if asker == Some(left) {
            self.finish(now, slot);
        } else {
            self.give_back(now, slot);
        }
    }

    /// Who waited comes back, and gets the target. What the target asked of whoever asked for it would be
    /// agreed on with who waited, and what it was told would never be acknowledged to it.
    fn finish(&mut self, now: Instant, slot: usize) {
        if let Some(&Transfer { side, asker, .. }) = self.transfer(slot) {
            self.expect_nothing(now, slot, asker);
            self.forgive_ack(slot, side);
        }
        self.set_plan(slot, Plan::Finish);
        self.swap_spare(slot);
        if let Some(transfer) = self.transfer_mut(slot) {
            transfer.side = transfer.asker;
        }
        self.recall(now, slot);
    }

    /// Who waited comes back, and the target is let go.
    fn give_back(&mut self, now: Instant, slot: usize) {
        self.counters.add(Counter::TransfersTakenBack);
        self.set_plan(slot, Plan::Return);
        let Some(side) = self.side_of_transfer(slot) else { return };
        if self.calls[slot].legs[side as usize].confirmed {
            self.send_bye(now, slot, side, None);
        }
        self.recall(now, slot);
    }

    /// Asks the far end of the spare leg what it offers, to bring it together with another.
    fn recall(&mut self, now: Instant, slot: usize) {
        if let Some(transfer) = self.transfer_mut(slot) {
            transfer.offered = false;
        }
        // One offer at a time (RFC 3261 §14.1): whoever waits may be in the middle of our refresh.
        if self.refresh_offers(slot) {
            self.set_stage(slot, Stage::Recalling { invite: TransactionKey::NONE });
            return self.set_deadline(slot, Deadline::Keys, Some(now + SOON));
        }
        let Some(side) = self.swap_spare(slot) else { return };
        let invite = Within {
            method: Method::Invite,
            content: None,
            passed: None,
            says: Says::Nothing,
            extensions: self.session_offer(slot, side),
            role: Role::Transfer,
            peer: None,
        };
        let sent = self.send_within(now, slot, side, &invite);
        self.swap_spare(slot);
        match sent {
            Ok(invite) => self.set_stage(slot, Stage::Recalling { invite }),
            Err(status) => self.transfer_failed(now, slot, status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_last_keys_of_one_side_without_a_long_pause() {
        let mut typed = Typed::NOTHING;
        for (at, key) in (0..).zip(*b"123456*2") {
            typed.press(at * 1_000, Side::Callee, key);
        }
        assert!(typed.is(b"*2") && typed.is(b"3456*2") && !typed.is(b"*") && !typed.is(b""));
        typed.press(8_000, Side::Caller, b'*');
        typed.press(11_001, Side::Caller, b'2');
        assert!(typed.is(b"2") && !typed.is(b"*2"));
    }
}
