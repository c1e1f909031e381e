//! The search for a vendor that answers: attempts, early answers, failover, giving up.
//!
//! An attempt that is given up lives on in its transaction until its final answer: a late 1xx gets
//! the CANCEL, a late 2xx ACK and BYE. While the call lives, its record learns of that.

use core::time::Duration;

use link::answer::{Candidate, Rerouted};
use link::ask::{Ask, Reroute};
use link::record::{Attempt, CallKey, EndReason, EndedBy, NEVER};
use sip::{Message, Method};

use super::invite::description;
use super::reliable::{FORKS_MAX, Fork, is_reliable};
use super::{Deadline, State};
use crate::Instant;
use crate::arena::Field;
use crate::compose::{self, Reply, SDP};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::kept::Kept;
use crate::keys::{Place, Token, mint_call_id};
use crate::limits::local_for;
use crate::media::{MediaFault, refused_streams};
use crate::path::Path;
use crate::switch::Switch;
use crate::transact::{Which, write_request};
use crate::transaction::{Birth, Class, Machine, Role, TransactionKey, invite_client};

/// Patience with a vendor that was cancelled, before the record is closed without its last word.
/// Its transaction goes on waiting for 32 s.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// Why an INVITE could not be sent to a candidate.
pub(super) enum Unsent {
    /// No way thither: try the next one.
    Unreachable,
    /// Something of ours is full: no other candidate would fare better.
    Full,
    /// The caller's description cannot be carried.
    Media,
}

impl Switch {
    /// Sends an INVITE to the next candidate, where control holds a line for the call.
    pub(super) fn try_next(&mut self, now: Instant, slot: usize) {
        let index = usize::from(self.calls[slot].next_candidate);
        let Some(candidate) = self.candidate(slot, index) else {
            return self.give_up(now, slot);
        };
        self.calls[slot].next_candidate += 1;
        self.begin_attempt(now, slot, index, &candidate);
        let retry_after = Some(self.parameters.retry_after_s);
        match self.send_attempt(now, slot, &candidate) {
            Ok(()) => self.save(slot),
            Err(Unsent::Unreachable) => {
                self.calls[slot].note_attempt_end(now, EndReason::Timeout);
                self.fail_over(now, slot, None);
            }
            Err(Unsent::Full) => {
                let reply = Reply { retry_after, ..Reply::plain(503) };
                let (reason, by) = (EndReason::Overload, EndedBy::Server);
                self.fail_call(now, slot, &reply, reason, by);
            }
            Err(Unsent::Media) => {
                self.counters.add(Counter::RefusedMedia);
                let (reason, by) = (EndReason::BadMedia, EndedBy::Server);
                self.fail_call(now, slot, &Reply::plain(488), reason, by);
            }
        }
    }

    fn candidate(&self, slot: usize, index: usize) -> Option<Candidate> {
        self.route_of(slot)?.candidates().get(index).copied()
    }

    /// Asks control for a line of the next candidate. Without control the call goes on: it was admitted,
    /// and no limit is worth losing it.
    fn ask_next(&mut self, now: Instant, slot: usize) {
        let index = usize::from(self.calls[slot].next_candidate);
        let Some(candidate) = self.candidate(slot, index) else {
            return self.give_up(now, slot);
        };
        if !self.control_alive {
            return self.try_next(now, slot);
        }
        self.enter_state(slot, State::Rerouting);
        let wait = Duration::from_millis(u64::from(self.parameters.admit_wait_ms));
        self.set_deadline(slot, Deadline::Admit, Some(now + wait));
        let call = self.key_of(slot);
        self.ask(Ask::Reroute(Reroute { call, gateway: candidate.gateway, spare: 0 }));
        self.save(slot);
    }

    /// Control has a line of the next candidate for the call, or has none.
    pub(crate) fn handle_rerouted(&mut self, now: Instant, rerouted: &Rerouted) {
        let asked = |switch: &Self, slot: &usize| {
            let call = &switch.calls[*slot];
            let next = switch.candidate(*slot, usize::from(call.next_candidate));
            let gateway = next.map(|candidate| candidate.gateway);
            call.state == State::Rerouting && gateway == Some(rerouted.gateway)
        };
        let Some(slot) = self.live_call(rerouted.call).filter(|slot| asked(self, slot)) else {
            return self.counters.add(Counter::AnswersLate);
        };
        if rerouted.granted != 0 {
            return self.try_next(now, slot);
        }
        self.counters.add(Counter::CandidatesFull);
        self.calls[slot].next_candidate += 1;
        self.ask_next(now, slot);
    }

    /// Control did not say in time whether the next candidate has a line.
    pub(super) fn reroute_late(&mut self, now: Instant, slot: usize) {
        self.try_next(now, slot);
    }

    /// A new line in the record, and a new leg for it.
    fn begin_attempt(&mut self, now: Instant, slot: usize, index: usize, candidate: &Candidate) {
        self.abort_exchange(now, slot);
        // The old vendor's ports are not used again: its late media must not reach the new one.
        let [caller, callee] = &mut self.calls[slot].legs;
        for port in caller.media.open_ports() {
            self.media.table.close(port);
        }
        self.media.release(&mut callee.media);
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        call.legs[Side::Callee as usize] = Leg::new();
        call.attempt = None;
        call.described = false;
        call.forks = [Fork::default(); FORKS_MAX];
        // What the old vendor's side said is of no interest any more.
        let stale = [call.answer.take(), call.reliable.take_next()];
        for kept in stale {
            self.kept.release(kept);
        }
        let record = &mut call.record;
        record.attempt_index = index as u32;
        record.caller_sent = candidate.caller;
        record.callee_sent = candidate.callee;
        record.vendor_terms = candidate.terms;
        if let Some(place) = record.attempts.get_mut(record.attempts_used as usize) {
            *place = Attempt {
                gateway: candidate.gateway,
                sent_ms: ms,
                ringing_ms: NEVER,
                answered_ms: NEVER,
                ended_ms: NEVER,
                ..Attempt::default()
            };
            record.attempts_used += 1;
        }
    }

    fn send_attempt(
        &mut self,
        now: Instant,
        slot: usize,
        candidate: &Candidate,
    ) -> Result<(), Unsent> {
        let target = candidate.target.socket_address().ok_or(Unsent::Unreachable)?;
        let locals = &self.setup.locals;
        let local = local_for(locals, target.ip()).ok_or(Unsent::Unreachable)?;
        let index = locals.iter().position(|own| own == local).unwrap_or(0) as u8;
        let path = Path {
            transport: candidate.target.transport(),
            local: local.sip(),
            remote: target,
            connection: 0,
        };
        let host = std::net::SocketAddr::new(local.advertised(), local.sip_port);
        let from = compose::uri(candidate.caller.as_bytes(), host);
        let to = compose::uri(candidate.callee.as_bytes(), target);
        let (Some(from), Some(to)) = (from.text(), to.text()) else {
            return Err(Unsent::Unreachable);
        };
        let random = self.random();
        let call_id = mint_call_id(self.calls[slot].shard, self.random(), &self.setup.keys);
        let call = &mut self.calls[slot];
        let place = Place { slot: slot as u32, variant: 0, generation: call.generation };
        let tag = Token::of(place, random, &self.setup.keys).text();
        let leg = call.leg(Side::Callee);
        leg.path = path;
        leg.local = index;
        leg.random = random;
        leg.cseq_local = 1;
        let texts = [
            (Field::CallId, &call_id.text()[..]),
            (Field::LocalTag, &tag),
            (Field::LocalUri, from),
            (Field::RemoteUri, to),
            (Field::Target, to),
        ];
        for (field, text) in texts {
            leg.arena.set(field, text).map_err(|_| Unsent::Unreachable)?;
        }
        self.send_invite(now, slot, path)
    }

    /// Writes the INVITE with the caller's offer, if it made one, and opens its transaction.
    pub(super) fn send_invite(
        &mut self,
        now: Instant,
        slot: usize,
        path: Path,
    ) -> Result<(), Unsent> {
        let server = self.calls[slot].invite.ok_or(Unsent::Full)?;
        let branch = self.next_branch().ok_or(Unsent::Full)?;
        let mut rewritten = self.take_scratch();
        let written = self.with_kept(server, Which::Request, |switch, invite| {
            let length = match description(invite) {
                Some(offer) => switch.carry_offer(now, slot, offer, &mut rewritten)?,
                None => 0,
            };
            let content = (length > 0).then_some((SDP, &rewritten[..length]));
            let call = &switch.calls[slot];
            let leg = &call.legs[Side::Callee as usize];
            let request = leg.request(Method::Invite, leg.cseq_local, branch, content);
            let extensions = switch.attempt_extensions(slot);
            let request = compose::Outgoing { hops: call.hops, extensions, ..request };
            let written =
                write_request(&mut switch.outbox, &switch.setup, leg.local, path, &request);
            if switch.count_unsent(written) { Ok(()) } else { Err(Unsent::Full) }
        });
        self.give_scratch(rewritten);
        written.unwrap_or(Err(Unsent::Full))?;
        let key = self.key_of(slot);
        let index = self.calls[slot].record.attempts_used.saturating_sub(1) as u8;
        let birth = Birth {
            owner: Some(key),
            role: Role::Attempt(index),
            random: branch.random,
            cseq: self.calls[slot].legs[Side::Callee as usize].cseq_local,
            ..Birth::of(Machine::InviteClient(invite_client::State::Calling), path)
        };
        let client = self.open_client(now, birth).map_err(|_| Unsent::Full)?;
        self.calls[slot].attempt = Some(client);
        self.counters.add(Counter::Attempts);
        self.enter_state(slot, State::Trying);
        let after = |ms: u32| Some(now + Duration::from_millis(u64::from(ms)));
        let parameters = self.parameters;
        self.set_deadline(
            slot,
            Deadline::FirstResponse,
            after(parameters.first_response_timeout_ms),
        );
        self.set_deadline(slot, Deadline::Invite, after(parameters.invite_timeout_ms));
        Ok(())
    }

    fn carry_offer(
        &mut self,
        now: Instant,
        slot: usize,
        offer: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Unsent> {
        let carried = self.carry(now, slot, Side::Caller, offer, out);
        let length = carried.map_err(|fault| match fault {
            MediaFault::Unusable => Unsent::Media,
            MediaFault::PortsFull => Unsent::Full,
        })?;
        self.believe(now, slot, Side::Caller, offer);
        self.keep_description(slot, Side::Callee, out.get(..length).unwrap_or_default());
        Ok(length)
    }

    /// Rewrites a description of one leg for the other.
    pub(super) fn carry(
        &mut self,
        now: Instant,
        slot: usize,
        from: Side,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, MediaFault> {
        for _ in 0..refused_streams(body) {
            self.counters.add(Counter::StreamsRefused);
        }
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, slot);
        let carried = self.media.carry(now, &mut streams, from, body, out);
        if carried == Err(MediaFault::PortsFull) {
            self.counters.add(Counter::RefusedPortsFull);
        }
        carried
    }

    /// Takes a description of a leg for true.
    pub(super) fn believe(&mut self, now: Instant, slot: usize, from: Side, body: &[u8]) {
        let until = now + Duration::from_secs(u64::from(self.parameters.latch_window_s));
        let signalling = self.calls[slot].legs[from as usize].path.remote.ip();
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, slot);
        self.media.believe(&mut streams, from, body, signalling, until);
    }

    /// A response to one of a call's vendor INVITEs.
    pub(crate) fn attempt_response(
        &mut self,
        now: Instant,
        owner: CallKey,
        index: u8,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        let status = message.status().unwrap_or(0);
        let is_current = self.calls[slot].attempt == Some(client);
        let state = self.calls[slot].state;
        match (Class::of(status), state) {
            (Class::Provisional, State::Trying | State::Ringing) if is_current => {
                self.attempt_progress(now, slot, client, message);
            }
            (Class::Provisional, _) => {}
            (Class::Success, State::Trying | State::Ringing) if is_current => {
                self.vendor_answers(now, slot, client, message);
            }
            (Class::Success, _) => self.late_answer(now, slot, index, client, message),
            (Class::Failure, State::Trying | State::Ringing) if is_current => {
                self.attempt_failed(now, slot, status, message);
            }
            (Class::Failure, _) => {
                self.note_final(now, slot, index, status);
                if state == State::Cancelling && is_current {
                    self.close_call(now, slot);
                }
            }
        }
    }

    /// The last word of an attempt that was given up.
    fn note_final(&mut self, now: Instant, slot: usize, index: u8, status: u16) {
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        let Some(attempt) = call.record.attempts.get_mut(usize::from(index)) else { return };
        if attempt.status == 0 {
            attempt.status = status;
        }
        if attempt.ended_ms == NEVER {
            attempt.ended_ms = ms;
        }
    }

    /// A 2xx that comes after the attempt was given up, or a second one.
    fn late_answer(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let tag = self.tag_hash(message);
        let Some(transaction) = self.transactions.find(client) else { return };
        if transaction.winner == tag {
            // The vendor has not seen our ACK. While the caller's is awaited there is none to send.
            if !self.holds_ack(slot, client) {
                self.resend(client);
            }
            return;
        }
        let is_first = transaction.winner == 0 && transaction.dismissed == 0;
        self.dismiss(now, client, message);
        if is_first {
            let call = &mut self.calls[slot];
            let ms = call.ms(now);
            if let Some(attempt) = call.record.attempts.get_mut(usize::from(index)) {
                attempt.status = message.status().unwrap_or(200);
                attempt.answered_ms = ms;
                attempt.ended_ms = ms;
            }
        }
        let call = &self.calls[slot];
        if call.state == State::Cancelling && call.attempt == Some(client) {
            self.close_call(now, slot);
        }
    }

    /// A 1xx: passed on under the To-tag of its fork; the first 18x starts the ringing.
    fn attempt_progress(
        &mut self,
        now: Instant,
        slot: usize,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        self.set_deadline(slot, Deadline::FirstResponse, None);
        let status = message.status().unwrap_or(0);
        if status == 100 || !self.take_progress(now, slot, client, message) {
            return;
        }
        // 199 tells of a fork that ended (RFC 6228); the caller was not asked whether it reads that.
        if status == 199 {
            return;
        }
        if (180..190).contains(&status) {
            self.note_ringing(now, slot);
        }
        let fork = self.fork_of(slot, message);
        let mut rewritten = self.take_scratch();
        let mut length = 0;
        if let Some(body) = description(message).filter(|_| self.heeds_preview(slot, fork, message))
        {
            // A preview that cannot be carried is left out; the answer decides.
            length = self.carry(now, slot, Side::Callee, body, &mut rewritten).unwrap_or(0);
            if length > 0 {
                self.believe(now, slot, Side::Callee, body);
                self.keep_preview(slot, &rewritten[..length]);
            }
        }
        self.tell_progress(now, slot, status, fork, &rewritten[..length]);
        self.give_scratch(rewritten);
    }

    /// Whether a description in a 1xx means something: an answer always does, but to an INVITE without
    /// an offer only a reliable response may make one, and once agreed it holds.
    fn heeds_preview(&self, slot: usize, fork: usize, message: &Message<'_>) -> bool {
        let call = &self.calls[slot];
        call.offered || (is_reliable(message) && call.forks[fork].awaits_answer())
    }

    /// The caller gets it in the 2xx, should that have none of its own.
    fn keep_preview(&mut self, slot: usize, body: &[u8]) {
        let kept = self.kept.keep(body);
        if kept.is_none() {
            self.counters.add(Counter::KeptFull);
        }
        let call = &mut self.calls[slot];
        call.described = true;
        let old = core::mem::replace(&mut call.answer, kept.unwrap_or(Kept::NONE));
        self.kept.release(old);
    }

    fn note_ringing(&mut self, now: Instant, slot: usize) {
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        if let Some(attempt) = call.current_attempt()
            && attempt.ringing_ms == NEVER
        {
            attempt.ringing_ms = ms;
        }
        let is_first = call.record.ringing_ms == NEVER;
        if is_first {
            call.record.ringing_ms = ms;
        }
        if call.state == State::Trying {
            self.enter_state(slot, State::Ringing);
        }
        if is_first {
            let ring = Duration::from_millis(u64::from(self.parameters.ring_timeout_ms));
            self.set_deadline(slot, Deadline::Ring, Some(now + ring));
        }
    }

    /// Our To-tag for the vendor's fork that a response belongs to.
    pub(super) fn fork_tag(&mut self, slot: usize, message: &Message<'_>) -> [u8; 32] {
        let fork = self.fork_of(slot, message);
        let variant = self.calls[slot].forks[fork].variant;
        self.leg_tag(slot, Side::Caller, variant)
    }

    /// A final failure of the vendor being tried.
    fn attempt_failed(&mut self, now: Instant, slot: usize, status: u16, message: &Message<'_>) {
        if status == 422 && self.ask_longer(now, slot, message) {
            return;
        }
        let stops = self.stops_search(slot, status);
        let call = &mut self.calls[slot];
        call.attempt = None;
        let reason = if stops { EndReason::Busy } else { EndReason::Rejected };
        if let Some(attempt) = call.current_attempt() {
            attempt.status = status;
        }
        call.note_attempt_end(now, reason);
        // What is between us and the vendor is not the customer's business: authentication,
        // payment, redirection, and when to try again.
        let told = match status {
            300..=399 | 401 | 402 | 403 | 407 => 503,
            status => status,
        };
        let told = self.replaced(slot, told);
        self.calls[slot].failure = told;
        if stops {
            let reply = Reply { passed: Some(message), ..Reply::plain(told) };
            return self.fail_call(now, slot, &reply, reason, EndedBy::Callee);
        }
        self.fail_over(now, slot, Some(message));
    }

    /// A vendor's failure as its own table and then the customer's say it (SIP-23).
    fn replaced(&self, slot: usize, status: u16) -> u16 {
        let record = &self.calls[slot].record;
        let vendor = record.attempts().last().map_or(0, |attempt| attempt.gateway);
        let said = self.profiles.of(vendor).status_of(status);
        self.profiles.of(record.customer_gateway).status_of(said)
    }

    /// Whether a vendor's failure ends the search (`stop_codes`, and any 6xx).
    fn stops_search(&self, slot: usize, status: u16) -> bool {
        let candidate = self.candidate(slot, self.calls[slot].record.attempt_index as usize);
        status >= 600 || candidate.is_some_and(|candidate| candidate.stop_codes.contains(&status))
    }

    /// The next candidate, if one may still be tried.
    fn fail_over(&mut self, now: Instant, slot: usize, last: Option<&Message<'_>>) {
        let heard = self.media.has_heard(&self.calls[slot].legs[Side::Callee as usize].media);
        let call = &self.calls[slot];
        let is_last = self.candidate(slot, usize::from(call.next_candidate)).is_none();
        let media_stops = heard && self.parameters.stop_after_rtp != 0;
        if call.switches_left == 0 || is_last || media_stops {
            return self.give_up_with(now, slot, last);
        }
        self.calls[slot].switches_left -= 1;
        self.counters.add(Counter::Failovers);
        self.ask_next(now, slot);
    }

    /// No candidate is left: the caller gets the last vendor's answer, or 408.
    fn give_up(&mut self, now: Instant, slot: usize) {
        self.give_up_with(now, slot, None);
    }

    fn give_up_with(&mut self, now: Instant, slot: usize, last: Option<&Message<'_>>) {
        let (status, reason, by) = match self.calls[slot].failure {
            0 => (408, EndReason::Timeout, EndedBy::Server),
            status => (status, EndReason::Rejected, EndedBy::Callee),
        };
        let passed = last.filter(|_| status != 503);
        self.fail_call(now, slot, &Reply { passed, ..Reply::plain(status) }, reason, by);
    }

    /// Neither 1xx nor 18x came in time.
    pub(super) fn attempt_late(&mut self, now: Instant, slot: usize) {
        self.abandon_attempt(now, slot, EndReason::Timeout, None);
        self.calls[slot].attempt = None;
        self.fail_over(now, slot, None);
    }

    /// The transaction itself gave up, timer B or the wait after a CANCEL.
    pub(crate) fn attempt_unanswered(
        &mut self,
        now: Instant,
        owner: CallKey,
        client: TransactionKey,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        if self.calls[slot].attempt != Some(client) {
            return;
        }
        match self.calls[slot].state {
            State::Trying | State::Ringing => self.attempt_late(now, slot),
            State::Cancelling => self.close_call(now, slot),
            _ => {}
        }
    }

    /// The search has used up its time.
    pub(super) fn search_over(&mut self, now: Instant, slot: usize) {
        self.abandon_attempt(now, slot, EndReason::Timeout, None);
        self.calls[slot].attempt = None;
        self.give_up(now, slot);
    }

    /// Nobody took the phone. The vendor gets its CANCEL, the caller 480; no other vendor is asked.
    pub(super) fn rang_out(&mut self, now: Instant, slot: usize) {
        self.stop_search(now, slot, 480, EndReason::NoAnswer, EndedBy::Server, None);
    }

    /// Cancels the attempt that goes on.
    fn abandon_attempt(
        &mut self,
        now: Instant,
        slot: usize,
        reason: EndReason,
        passed: Option<&Message<'_>>,
    ) {
        self.calls[slot].note_attempt_end(now, reason);
        if let Some(client) = self.calls[slot].attempt {
            self.cancel_client(now, client, passed);
        }
    }

    /// Ends the search from our side: the caller gets `status`, the vendor a CANCEL, and the record
    /// waits a little for what the vendor says to that.
    pub(super) fn stop_search(
        &mut self,
        now: Instant,
        slot: usize,
        status: u16,
        reason: EndReason,
        by: EndedBy,
        passed: Option<&Message<'_>>,
    ) {
        self.fail_invite(now, slot, &Reply::plain(status));
        self.calls[slot].note_end(now, reason, by);
        self.abandon_attempt(now, slot, reason, passed);
        self.drop_route(slot);
        if self.calls[slot].attempt.is_none() {
            return self.close_call(now, slot);
        }
        self.enter_state(slot, State::Cancelling);
        self.set_deadline(slot, Deadline::Close, Some(now + CANCEL_PATIENCE));
    }

    /// The caller cancels its INVITE (§9.2).
    pub(super) fn caller_cancels(
        &mut self,
        now: Instant,
        slot: usize,
        passed: Option<&Message<'_>>,
    ) {
        let (reason, by) = (EndReason::Cancelled, EndedBy::Caller);
        match self.calls[slot].state {
            State::Admitting => self.abandon_admission(now, slot, 487, reason),
            State::Trying | State::Ringing | State::Rerouting => {
                self.stop_search(now, slot, 487, reason, by, passed);
            }
            State::Committing => self.drop_answered(now, slot, 487, reason, by),
            _ => {}
        }
    }
}
