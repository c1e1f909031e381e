//! From the vendor's 2xx to the caller's ACK.
//!
//! The vendor's 2xx is acknowledged at once. The caller's 200 waits until the start record is
//! durable, `commit_wait_ms` at most, and is then repeated until its ACK comes (RFC 3261
//! §13.3.1.4). Of an INVITE without an offer the vendor's 2xx *is* the offer: then our ACK to the
//! vendor waits for the answer in the caller's ACK, while the vendor repeats its 2xx; both waits
//! together end after 32 s, as either would alone.

use core::time::Duration;

use link::ask::{Answered, Ask};
use link::record::{CallKey, EndReason, EndedBy};
use sip::{Message, Method};

use super::invite::description;
use super::reliable::Shown;
use super::{Commitment, Deadline, State, Unacked};
use crate::Instant;
use crate::arena::Field;
use crate::compose::{self, Content, Extensions, Reply, SDP};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::kept::Kept;
use crate::media::Word;
use crate::switch::Switch;
use crate::transact::{Which, write_request};
use crate::transaction::{SIXTY_FOUR_T1, T1, T2, TransactionKey};

impl Switch {
    /// The first 2xx of those being tried.
    pub(super) fn vendor_answers(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        self.note_winner(now, slot, index, message);
        let tag = self.fork_tag(slot, message);
        let [caller, callee] = &mut self.calls[slot].legs;
        let learned = callee.path;
        let fits = callee.accept(&self.setup.locals, message).is_ok()
            && caller.arena.set(Field::LocalTag, &tag).is_ok();
        self.steer(slot, Side::Callee, learned);
        if !fits {
            self.counters.add(Counter::RefusedTooLong);
            return self.refuse_answer(now, slot, client, message, 502, EndReason::Rejected);
        }
        let Ok(answer) = self.carry_answer(now, slot, index, message) else {
            self.counters.add(Counter::RefusedMedia);
            return self.refuse_answer(now, slot, client, message, 488, EndReason::BadMedia);
        };
        let Some(answer) = answer else {
            self.counters.add(Counter::RefusedKeptFull);
            return self.refuse_answer(now, slot, client, message, 503, EndReason::Overload);
        };
        let fork = self.fork_of(slot, message);
        self.calls[slot].answer = answer;
        self.calls[slot].settled = self.calls[slot].forks[fork].agreed;
        self.heed_session(now, slot, Side::Callee, message);
        let winner = self.tag_hash(message);
        if let Some(transaction) = self.transactions.find(client) {
            transaction.winner = winner;
        }
        if self.calls[slot].acks_at_once() {
            self.send_ack(slot, Side::Callee, client, None);
        }
        self.commit(now, slot);
    }

    /// Somebody answered: the caller hears of it once the start record is durable.
    pub(super) fn commit(&mut self, now: Instant, slot: usize) {
        self.drop_route(slot);
        self.enter_state(slot, State::Committing);
        if !self.control_alive {
            return self.answer_caller(now, slot, Commitment::Missing);
        }
        let wait = Duration::from_millis(u64::from(self.parameters.commit_wait_ms));
        self.set_deadline(slot, Deadline::Commit, Some(now + wait));
        self.save(slot);
        let call = self.key_of(slot);
        self.ask(Ask::Answered(Answered { call, asked_us: now.as_micros() as u64 }));
    }

    /// What the caller gets of a 2xx, the description rewritten, kept. `Ok(None)`: no room to keep it.
    fn carry_answer(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        message: &Message<'_>,
    ) -> Result<Option<Kept>, ()> {
        let fork = self.fork_of(slot, message);
        let call = &mut self.calls[slot];
        let fork = call.forks[fork];
        // What was told reliably is not said again, and what was agreed by PRACK holds.
        let is_told = fork.shown != Shown::Not;
        let body = description(message).filter(|_| call.offered || !fork.agreed);
        // Those who described their media in an 18x sometimes do not say it again; the caller knows it,
        // or gets what was kept for it. Without any there is nothing to talk by.
        if body.is_none() && call.described != Some(index) {
            return Err(());
        }
        let early = call.answer.take();
        if body.is_none() && !early.is_none() && !is_told {
            return Ok(Some(early));
        }
        self.kept.release(early);
        let mut rewritten = self.take_scratch();
        let customer = self.profiles.of(self.calls[slot].gateway(Side::Caller));
        let begin = compose::write_kept(message, customer, &mut rewritten);
        let word = Word::of_callee(self.calls[slot].offered);
        let carried = match body {
            Some(body) => self.carry(now, slot, Side::Callee, word, body, &mut rewritten[begin..]),
            None => Ok(0),
        };
        let told = |length| if is_told { begin } else { begin + length };
        let kept = carried.map(|length| self.kept.keep(&rewritten[..told(length)]));
        self.give_scratch(rewritten);
        if let Some(body) = body {
            self.believe(now, slot, Side::Callee, body);
        }
        kept.map_err(drop)
    }

    /// The vendor answered, but the answer is of no use: ACK, BYE, and the search ends.
    fn refuse_answer(
        &mut self,
        now: Instant,
        slot: usize,
        client: TransactionKey,
        message: &Message<'_>,
        status: u16,
        reason: EndReason,
    ) {
        self.dismiss(now, client, message);
        self.fail_call(now, slot, &Reply::plain(status), reason, EndedBy::Server);
    }

    /// Whether the ACK of a 2xx waits for the other leg's.
    pub(super) fn holds_ack(&self, slot: usize, client: TransactionKey) -> bool {
        let call = &self.calls[slot];
        let carries = call.unacked.as_ref().and_then(|unacked| unacked.carries);
        carries == Some(client) || (call.state == State::Committing && !call.acks_at_once())
    }

    /// Acknowledges a 2xx of a leg's far end; the ACK is kept for its repetitions.
    pub(super) fn send_ack(
        &mut self,
        slot: usize,
        side: Side,
        client: TransactionKey,
        content: Content<'_>,
    ) {
        let Some(cseq) = self.transactions.find(client).map(|transaction| transaction.cseq) else {
            return;
        };
        let branch = self.lone_branch();
        let leg = &self.calls[slot].legs[side as usize];
        let path = leg.path;
        let request = leg.request(Method::Ack, cseq, branch, content);
        let written = write_request(&mut self.outbox, &self.setup, leg.local, path, &request);
        if self.count_unsent(written) {
            self.keep_instead(client, path);
        }
    }

    /// The start record is durable.
    pub(crate) fn handle_committed(&mut self, now: Instant, key: CallKey) {
        let slot = self.live_call(key).filter(|&slot| self.calls[slot].state == State::Committing);
        match slot {
            Some(slot) => self.answer_caller(now, slot, Commitment::Durable),
            None => self.counters.add(Counter::AnswersLate),
        }
    }

    /// The caller hears the answer.
    pub(super) fn answer_caller(&mut self, now: Instant, slot: usize, commitment: Commitment) {
        if self.holds_answer(slot, commitment) {
            return;
        }
        self.end_progress(slot);
        let cseq = self.confirm_numbers(slot);
        let call = &mut self.calls[slot];
        let Some(server) = call.invite.take() else { return };
        let answer = call.answer.take();
        let client = call.branches.first();
        call.record.answered_ms = call.ms(now);
        call.record.status = 200;
        if commitment == Commitment::Missing {
            call.record.uncommitted = 1;
            self.counters.add(Counter::Uncommitted);
        }
        let [caller, _] = &mut call.legs;
        caller.confirmed = true;
        let tag = self.own_tag(slot, Side::Caller);
        let extensions = self.with_kept(server, Which::Request, |switch, invite| {
            switch.settle_session(now, slot, Side::Caller, invite)
        });
        let extensions = extensions.unwrap_or(Extensions::NONE);
        let mut room = self.take_scratch();
        let (lines, body) = compose::read_kept(self.kept.copy(&answer, &mut room));
        let content = (!body.is_empty()).then_some((SDP, body));
        if content.is_some() {
            self.keep_description(slot, Side::Caller, body);
        }
        let reply = Reply { to_tag: &tag, lines, extensions, content, ..Reply::plain(200) };
        self.answer(now, server, &reply);
        self.give_scratch(room);
        self.kept.release(answer);
        self.enter_state(slot, State::Answered);
        self.arm_session(slot);
        let carries = client.filter(|_| !self.calls[slot].acks_at_once());
        self.await_ack(
            now,
            slot,
            Unacked { side: Side::Caller, server, cseq, interval: T1, carries },
        );
        self.arm_talk(slot);
        self.decide_recording(slot);
        let call = &self.calls[slot];
        let ([caller, callee], tapped) = (&call.legs, call.record.recorded != 0);
        let ends = call.media_ends();
        self.media.set_answered(now, [&caller.media, &callee.media], ends, tapped);
        self.counters.add(Counter::CallsAnswered);
        self.save(slot);
    }

    /// Both gateways have a say now, besides whoever admitted the call.
    fn decide_recording(&mut self, slot: usize) {
        let call = &mut self.calls[slot];
        for side in Side::BOTH {
            let (gateway, wishes) = call.party(side);
            call.record.recorded |= self.profiles.of_party(gateway, wishes).recorded;
        }
    }

    /// The tag that a leg has once it is confirmed.
    pub(super) fn own_tag(&self, slot: usize, side: Side) -> [u8; 32] {
        let text = self.calls[slot].legs[side as usize].text(Field::LocalTag);
        text.try_into().expect("every tag of ours is one token")
    }

    /// Repeats a 2xx until its ACK comes.
    pub(super) fn await_ack(&mut self, now: Instant, slot: usize, unacked: Unacked) {
        self.calls[slot].unacked = Some(unacked);
        self.set_deadline(slot, Deadline::Repeat, Some(now + T1));
        self.set_deadline(slot, Deadline::NoAck, Some(now + SIXTY_FOUR_T1));
    }

    pub(super) fn repeat_answer(&mut self, now: Instant, slot: usize) {
        let Some(unacked) = &mut self.calls[slot].unacked else { return };
        unacked.interval = (unacked.interval * 2).min(T2);
        let (server, next) = (unacked.server, now + unacked.interval);
        self.resend(server);
        self.set_deadline(slot, Deadline::Repeat, Some(next));
    }

    /// An ACK inside a dialog: of a 2xx of ours, or a repetition of one.
    pub(crate) fn dialog_ack(&mut self, now: Instant, message: &Message<'_>) {
        let found = self.find_leg(message).filter(|&(slot, _)| self.calls[slot].state.is_live());
        let Some((slot, side)) = found else {
            return self.counters.add(Counter::AcksUnmatched);
        };
        let cseq = message.cseq().number;
        let unacked = self.calls[slot]
            .unacked
            .take_if(|unacked| unacked.side == side && unacked.cseq == cseq);
        let Some(unacked) = unacked else { return };
        self.end_wait(slot, unacked.server);
        if let Some(client) = unacked.carries
            && !self.carry_in_ack(now, slot, side, client, message)
        {
            self.counters.add(Counter::RefusedMedia);
            return self.hang_up(now, slot, EndReason::BadMedia, EndedBy::Server, None);
        }
        self.acknowledged(now, slot);
    }

    /// The 2xx needs no more repetition.
    fn end_wait(&mut self, slot: usize, server: TransactionKey) {
        self.set_deadline(slot, Deadline::Repeat, None);
        self.set_deadline(slot, Deadline::NoAck, None);
        if let Some(transaction) = self.transactions.find(server) {
            let kept = transaction.sent.take();
            self.kept.release(kept);
        }
    }

    /// The answer to an offer of ours travels in ACKs. Whether there was one that could be carried;
    /// the other leg is acknowledged in any case.
    fn carry_in_ack(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        client: TransactionKey,
        message: &Message<'_>,
    ) -> bool {
        let mut rewritten = self.take_scratch();
        let carried = description(message).and_then(|body| {
            let length = self.carry(now, slot, side, Word::Answer, body, &mut rewritten).ok()?;
            self.believe(now, slot, side, body);
            Some(length)
        });
        if let Some(length) = carried {
            self.keep_description(slot, side.other(), &rewritten[..length]);
        }
        let content = carried.map(|length| (SDP, &rewritten[..length]));
        self.send_ack(slot, side.other(), client, content);
        self.give_scratch(rewritten);
        // Who confirmed before goes on by what was said now, also after a kill.
        if carried.is_some() && self.calls[slot].state == State::Talking {
            self.save(slot);
        }
        carried.is_some()
    }

    fn acknowledged(&mut self, now: Instant, slot: usize) {
        match self.calls[slot].state {
            State::Answered => {
                self.enter_state(slot, State::Talking);
                self.save(slot);
            }
            State::Closing => self.finish_closing(now, slot),
            _ => {}
        }
    }

    /// A side that owes an ACK is waited for no more. Whether it was.
    pub(super) fn forgive_ack(&mut self, slot: usize, side: Side) -> bool {
        let unacked = self.calls[slot].unacked.take_if(|unacked| unacked.side == side);
        let Some(unacked) = unacked else { return false };
        self.end_wait(slot, unacked.server);
        if let Some(client) = unacked.carries {
            // A dialog must be acknowledged before it may be ended, or go on.
            self.send_ack(slot, side.other(), client, None);
        }
        true
    }

    /// The ACK never came.
    pub(super) fn ack_missing(&mut self, now: Instant, slot: usize) {
        if !Side::BOTH.into_iter().any(|side| self.forgive_ack(slot, side)) {
            return;
        }
        self.counters.add(Counter::AcksMissing);
        match self.calls[slot].state {
            State::Closing => self.finish_closing(now, slot),
            _ => self.hang_up(now, slot, EndReason::NoAck, EndedBy::Server, None),
        }
    }

    /// The vendor's answer is given back before the caller heard it.
    pub(super) fn drop_answered(
        &mut self,
        now: Instant,
        slot: usize,
        status: u16,
        reason: EndReason,
        by: EndedBy,
    ) {
        if !self.calls[slot].acks_at_once()
            && let Some(client) = self.calls[slot].branches.first()
        {
            self.send_ack(slot, Side::Callee, client, None);
        }
        if self.calls[slot].legs[Side::Callee as usize].confirmed {
            self.send_bye(now, slot, Side::Callee, None);
        }
        self.calls[slot].note_attempts_end(now, reason);
        self.fail_call(now, slot, &Reply::plain(status), reason, by);
    }
}
