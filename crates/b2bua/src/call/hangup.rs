//! Requests inside a dialog, and how a call that talks ends.

use core::time::Duration;

use link::order::HangUp;
use link::record::{EndReason, EndedBy};
use sip::{Message, Method};

use super::spare::says_left;
use super::{Deadline, State};
use crate::Instant;
use crate::compose::{Outgoing, Reply, Told};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, write_request};
use crate::transaction::{Birth, Machine, SIXTY_FOUR_T1, non_invite_client};

/// How long the record of a call whose dialog is gone waits for the BYE that ended it: one that was lost
/// is repeated within.
const BYE_WAIT: Duration = Duration::from_secs(1);

/// Whose deed it is, when a side of the call does it.
pub(super) fn by_side(side: Side) -> EndedBy {
    match side {
        Side::Caller => EndedBy::Caller,
        Side::Callee => EndedBy::Callee,
    }
}

impl Switch {
    /// A request with a To-tag that matches no transaction.
    pub(crate) fn dialog_request(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        self.heed_target(now, request);
        let Some((slot, side)) = self.find_leg(request) else {
            if self.leaver_request(now, path, request, key) {
                return;
            }
            return self.refuse(path, request, 481, Counter::DialogUnknown);
        };
        let method = request.method();
        if method == Method::Prack {
            return self.prack(now, slot, side, path, request, key);
        }
        if self.is_in_lost_fork(slot, side, request) {
            return self.refuse(path, request, 481, Counter::DialogUnknown);
        }
        match self.calls[slot].state {
            State::Free | State::Recording | State::Closing | State::Cancelling
                if method == Method::Bye =>
            {
                // Two BYEs crossed; both are right.
                self.find_cause(slot, side);
                return self.answer_once(now, path, request, key, &Reply::plain(200));
            }
            State::Free | State::Recording | State::Closing | State::Cancelling => {
                return self.refuse(path, request, 481, Counter::DialogUnknown);
            }
            _ => {}
        }
        if !self.take_number(slot, side, request) {
            self.counters.add(Counter::SequenceOld);
            return self.answer_once(now, path, request, key, &Reply::plain(500));
        }
        match method {
            Method::Bye => self.bye(now, slot, side, path, request, key),
            Method::Refer => self.refer(now, slot, side, path, request, key),
            Method::Notify if says_left(&path, request) => {
                self.answer_once(now, path, request, key, &Reply::plain(200));
                self.heed_leaver(now, slot, side);
            }
            // Nobody is left whom a key could mean, and a caller who pressed one did no wrong.
            Method::Info if self.calls[slot].state == State::Announcing => {
                let reply = self.unfit_exchange(request).unwrap_or(Reply::plain(200));
                self.answer_once(now, path, request, key, &reply);
            }
            Method::Invite | Method::Update | Method::Info | Method::Message
                if self.is_changing(slot)
                    || self.calls[slot].state == State::Announcing
                    || self.may_come_round(slot, &path, request) =>
            {
                self.counters.add(Counter::Glare);
                self.answer_once(now, path, request, key, &Reply::plain(491));
            }
            Method::Invite | Method::Update | Method::Info | Method::Message => {
                self.open_exchange(now, slot, side, path, request, key);
            }
            // 200 to OPTIONS, and what we do not do.
            _ => {
                let extensions = self.timers_known();
                let reply = self.unfit_request(request);
                let reply = reply.unwrap_or(Reply { extensions, ..Reply::plain(200) });
                self.answer_once(now, path, request, key, &reply);
            }
        }
    }

    /// BYE: answered at once, then passed on (§15.1.2).
    fn bye(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        match self.open_server(now, path, request, key, 0, Keep::Nothing) {
            Ok(server) => self.answer_to(now, server, request, &Reply::plain(200)),
            // A BYE is obeyed even when there is no memory left to repeat its answer from.
            Err(why) => {
                self.counters.add(why);
                self.reply_stateless(path, request, &Reply::plain(200));
            }
        }
        let by = by_side(side);
        self.calls[slot].note_cause(request);
        match (self.calls[slot].state, side) {
            (State::Admitting, _) => self.abandon_admission(now, slot, 487, EndReason::Cancelled),
            // A caller may end an early dialog so (§15), a vendor may not; either way it is over.
            (state, _) if state.is_searching() => {
                self.stop_search(now, slot, 487, EndReason::Cancelled, by, Some(request));
            }
            (State::Announcing, Side::Caller) => self.cut_announcement(now, slot, 487),
            // A vendor that is cancelled; the caller hears why all the same.
            (State::Announcing, Side::Callee) => {}
            (State::Committing, Side::Callee) => {
                // It was put through and gone again before the caller heard of it.
                self.calls[slot].leg(Side::Callee).confirmed = false;
                self.drop_answered(now, slot, 480, EndReason::Normal, by);
            }
            (State::Committing, Side::Caller) => {
                self.drop_answered(now, slot, 487, EndReason::Cancelled, by);
            }
            _ if self.transferor_leaves(now, slot, side) => {}
            _ => self.end_talk(now, slot, EndReason::Normal, by, Some(side), Some(request)),
        }
    }

    /// Ends a call from our side, as its state demands. `left` is the side that already went.
    pub(crate) fn hang_up(
        &mut self,
        now: Instant,
        slot: usize,
        reason: EndReason,
        by: EndedBy,
        left: Option<Side>,
    ) {
        match self.calls[slot].state {
            State::Admitting => self.abandon_admission(now, slot, 480, reason),
            State::Trying | State::Ringing | State::Rerouting | State::Locating => {
                self.stop_search(now, slot, 480, reason, by, None);
            }
            State::Announcing => self.announced(now, slot, false),
            State::Committing => self.drop_answered(now, slot, 480, reason, by),
            State::Answered | State::Talking => {
                self.end_talk(now, slot, reason, by, left, None);
            }
            State::Free | State::Closing | State::Cancelling | State::Recording => {}
        }
    }

    pub(crate) fn handle_hang_up(&mut self, now: Instant, order: &HangUp) {
        match self.live_call(order.call) {
            Some(slot) => {
                let reason =
                    u8::try_from(order.reason).map_or(EndReason::Operator, EndReason::from_number);
                let reason = if reason == EndReason::None { EndReason::Operator } else { reason };
                self.hang_up(now, slot, reason, EndedBy::Server, None);
            }
            None => self.counters.add(Counter::OrdersUnmatched),
        }
    }

    /// Ends a call that was put through.
    fn end_talk(
        &mut self,
        now: Instant,
        slot: usize,
        reason: EndReason,
        by: EndedBy,
        left: Option<Side>,
        passed: Option<&Message<'_>>,
    ) {
        self.calls[slot].note_end(now, reason, by);
        self.calls[slot].note_attempts_end(now, reason);
        self.close_media(slot);
        self.abort_exchange(now, slot);
        self.abandon_transfer(now, slot);
        self.release_held_ack(slot);
        // §15: no BYE to a side that still owes the ACK of our 2xx, until it comes or is given up.
        let unacked = &mut self.calls[slot].unacked;
        let waits = unacked.take_if(|unacked| Some(unacked.side) == left).is_none();
        let waited_for = unacked.as_ref().filter(|_| waits).map(|unacked| unacked.side);
        for side in Side::BOTH {
            let is_owed = Some(side) != left && self.calls[slot].legs[side as usize].confirmed;
            if is_owed && Some(side) == waited_for {
                self.calls[slot].byes[side as usize] = true;
            } else if is_owed {
                self.send_bye(now, slot, side, passed);
            }
        }
        let owes_bye = self.calls[slot].byes != [false; 2];
        let is_lost = self.calls[slot].record.end_reason() == EndReason::DialogLost;
        if !owes_bye && !is_lost {
            return self.close_call(now, slot);
        }
        self.enter_state(slot, State::Closing);
        self.save(slot);
        // The wait for the ACK ends earlier; its deadline is for a bug in that.
        let wait = if owes_bye { SIXTY_FOUR_T1 * 2 } else { BYE_WAIT };
        self.set_deadline(slot, Deadline::Close, Some(now + wait));
    }

    /// A BYE comes when its dialog was found gone already: a 481 has overtaken it, and the call ended by
    /// nothing but this BYE.
    fn find_cause(&mut self, slot: usize, side: Side) {
        let lost = EndReason::DialogLost as u8;
        let call = &mut self.calls[slot];
        if call.state != State::Closing || call.record.reason != lost {
            return;
        }
        call.record.reason = EndReason::Normal as u8;
        call.record.ended_by = by_side(side) as u8;
        let attempts = call.record.attempts.iter_mut().filter(|attempt| attempt.reason == lost);
        attempts.for_each(|attempt| attempt.reason = EndReason::Normal as u8);
    }

    /// A 2xx whose ACK waits for the other leg's is acknowledged without an answer, since a dialog
    /// must be acknowledged before it may be ended.
    fn release_held_ack(&mut self, slot: usize) {
        let Some(unacked) = &mut self.calls[slot].unacked else { return };
        let side = unacked.side.other();
        if let Some(client) = unacked.carries.take() {
            self.send_ack(slot, side, client, None);
        }
    }

    /// The ACK came, or never will: now the BYE may go.
    pub(super) fn finish_closing(&mut self, now: Instant, slot: usize) {
        for side in Side::BOTH {
            if core::mem::take(&mut self.calls[slot].byes[side as usize]) {
                self.send_bye(now, slot, side, None);
            }
        }
        self.close_call(now, slot);
    }

    /// Sends BYE on a leg. Its transaction repeats it, whatever becomes of the call; without room for one it
    /// goes once.
    pub(super) fn send_bye(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        passed: Option<&Message<'_>>,
    ) {
        self.calls[slot].leg(side).confirmed = false;
        let branch = self.branch_of_bye();
        let call = &mut self.calls[slot];
        let reason = call.record.end_reason();
        let peer = Some(self.profiles.of(call.gateway(side)));
        let leg = call.leg(side);
        leg.cseq_local += 1;
        let (path, cseq) = (leg.path, leg.cseq_local);
        let request = leg.request(Method::Bye, cseq, branch, None);
        let request =
            Outgoing { passed, told: Told { peer, reason, ..Told::default() }, ..request };
        let written = write_request(&mut self.outbox, &self.setup, leg.local, path, &request);
        if self.count_unsent(written) {
            let machine = Machine::NonInviteClient(non_invite_client::State::Trying);
            let (random, gateway) = (branch.random, self.calls[slot].gateway(side));
            let birth = Birth { random, cseq, gateway, ..Birth::of(machine, path) };
            // What is full was counted.
            let _ = self.repeat_client(now, birth);
        }
    }
}
