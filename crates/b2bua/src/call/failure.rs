//! When those who are called fail: the best of what they said, the next candidate, giving up.
//!
//! Of several that are called at once a 6xx speaks for all, and of other failures the best decides when
//! all are in (RFC 3261 §16.7). What is between us and the vendor is not told the caller.

use core::time::Duration;

use link::record::{Attempt, CallKey, EndReason, EndedBy};
use sip::Message;

use super::announce::Farewell;
use super::{Deadline, State};
use crate::Instant;
use crate::compose::Reply;
use crate::counter::Counter;
use crate::dialog::Side;
use crate::switch::Switch;
use crate::transaction::{Machine, TransactionKey, invite_client};

/// Patience with a vendor that was cancelled, before the record is closed without its last word.
/// Its transaction goes on waiting for 32 s.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

impl Switch {
    /// A final failure of one being tried. Others may still answer, unless it speaks for all of them.
    pub(super) fn attempt_failed(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        status: u16,
        message: &Message<'_>,
    ) {
        if status == 422 && self.ask_longer(now, slot, index, message) {
            return;
        }
        let stops = self.stops_search(slot, index, status);
        let reason = refusal(stops, status);
        let call = &mut self.calls[slot];
        call.branches.close(index);
        if let Some(attempt) = call.record.attempts.get_mut(usize::from(index)) {
            attempt.status = status;
        }
        call.note_attempt_end(now, index, reason);
        if !stops {
            self.note_redirect(slot, index, status, message);
        }
        if status >= 600 {
            self.cancel_others(now, slot);
        }
        if self.calls[slot].branches.is_empty() {
            return self.group_failed(now, slot, Some(message));
        }
        self.doubt_silent(slot);
    }

    /// One of several has failed. Those who are left and never said a word get the patience that they
    /// would have had alone, though another rang.
    fn doubt_silent(&mut self, slot: usize) {
        let mut silent = None;
        for (attempt, client) in self.calls[slot].branches.iter() {
            let machine = self.transactions.find(client).map(|transaction| transaction.machine);
            if machine != Some(Machine::InviteClient(invite_client::State::Calling)) {
                return;
            }
            silent = self.calls[slot].record.attempts.get(usize::from(attempt));
        }
        let Some(silent) = silent else { return };
        let sent = self.calls[slot].started + Duration::from_millis(silent.sent_ms.into());
        let patience = Duration::from_millis(self.parameters.first_response_timeout_ms.into());
        self.enter_state(slot, State::Trying);
        self.set_deadline(slot, Deadline::FirstResponse, Some(sent + patience));
    }

    /// Somebody refused for all (§16.7 step 5): the others are cancelled, and heard to their end, since
    /// a 2xx that crosses the CANCEL still counts. Who has not said a word is not waited for.
    fn cancel_others(&mut self, now: Instant, slot: usize) {
        for (attempt, client) in self.calls[slot].branches.iter() {
            self.calls[slot].note_attempt_end(now, attempt, EndReason::Cancelled);
            self.cancel_client(now, client, None);
            if !self.is_cancelled(client) {
                self.calls[slot].branches.close(attempt);
            }
        }
        if !self.calls[slot].branches.is_empty() {
            self.enter_state(slot, State::Trying);
            self.set_deadline(slot, Deadline::Invite, Some(now + CANCEL_PATIENCE));
        }
    }

    /// Whether a CANCEL went out whose INVITE has no final answer yet.
    fn is_cancelled(&mut self, client: TransactionKey) -> bool {
        let machine = self.transactions.find(client).map(|transaction| transaction.machine);
        machine == Some(Machine::InviteClient(invite_client::State::Cancelling))
    }

    /// All that were called at once have failed: the best of what they said decides what comes next.
    pub(super) fn group_failed(&mut self, now: Instant, slot: usize, last: Option<&Message<'_>>) {
        let Some((index, status)) = self.note_best(slot) else {
            return self.fail_over(now, slot, None);
        };
        let passed = last.filter(|message| message.status() == Some(status));
        if !self.stops_search(slot, index, status) {
            return self.fail_over(now, slot, passed);
        }
        let reply = Reply { passed, ..Reply::plain(self.calls[slot].failure) };
        self.fail_call(now, slot, &reply, refusal(true, status), EndedBy::Callee);
    }

    /// Notes for the caller the best failure of the group, and gives its attempt and its status. `None`:
    /// nobody said anything.
    fn note_best(&mut self, slot: usize) -> Option<(u8, u16)> {
        let call = &self.calls[slot];
        let attempts =
            call.record.attempts().iter().zip(0_u8..).skip(call.branches.first_attempt());
        let failed = attempts.filter(|(attempt, _)| attempt.status >= 300);
        let (attempt, index) = failed.min_by_key(|(attempt, index)| {
            let stops = self.stops_search(slot, *index, attempt.status);
            (rank(attempt.status), !stops)
        })?;
        let (gateway, status) = (attempt.gateway, attempt.status);
        self.calls[slot].failure = self.replaced(slot, gateway, told(status));
        Some((index, status))
    }

    /// A vendor's failure as its own table and then the customer's say it (SIP-23).
    fn replaced(&self, slot: usize, vendor: u32, status: u16) -> u16 {
        let said = self.profiles.of(vendor).status_of(status);
        self.profiles.of(self.calls[slot].record.customer_gateway).status_of(said)
    }

    /// Whether the failure of an attempt ends the search (`stop_codes`, and any 6xx).
    fn stops_search(&self, slot: usize, index: u8, status: u16) -> bool {
        let candidate = self.candidate(slot, self.calls[slot].branches.candidate_of(index));
        status >= 600 || candidate.is_some_and(|candidate| candidate.stop_codes.contains(&status))
    }

    /// The next candidate, if one may still be tried.
    pub(super) fn fail_over(&mut self, now: Instant, slot: usize, last: Option<&Message<'_>>) {
        let heard = self.media.has_heard(&self.calls[slot].legs[Side::Callee as usize].media);
        let call = &self.calls[slot];
        let is_last = self.candidate(slot, usize::from(call.next_candidate)).is_none();
        let media_stops = heard && self.parameters.stop_after_rtp != 0;
        if !media_stops && self.try_redirect(now, slot) {
            return;
        }
        let call = &self.calls[slot];
        if call.switches_left == 0 || is_last || media_stops {
            return self.give_up_with(now, slot, last);
        }
        self.calls[slot].switches_left -= 1;
        self.counters.add(Counter::Failovers);
        self.ask_next(now, slot);
    }

    /// No candidate is left: the caller gets the last vendor's answer.
    pub(super) fn give_up(&mut self, now: Instant, slot: usize) {
        self.give_up_with(now, slot, None);
    }

    pub(super) fn give_up_with(&mut self, now: Instant, slot: usize, last: Option<&Message<'_>>) {
        let (status, reason, by) = match self.calls[slot].failure {
            0 => self.unanswered(slot),
            status => (status, EndReason::Rejected, EndedBy::Callee),
        };
        let passed = last.filter(|_| status != 503);
        let is_full = reason == EndReason::Overload;
        let retry_after = is_full.then_some(self.parameters.retry_after_s);
        let reply = Reply { passed, retry_after, ..Reply::plain(status) };
        self.fail_call(now, slot, &reply, reason, by);
    }

    /// What the caller hears when nobody has said anything: a vendor that is silent has as good as said
    /// 408, one that is not to be reached 503 (§8.1.3.1). Of both it is the first (§16.7 step 6). If none
    /// may be called without showing what must not be shown, 500 (RFC 3323 §5). One that is outside its
    /// fence is not to be reached either, nor one for whose media no port is free. If none allows a codec of the caller's, or none
    /// has the keys that it must have, 488.
    fn unanswered(&self, slot: usize) -> (u16, EndReason, EndedBy) {
        use EndReason::{
            Geofence, NoCodec, Overload, PrivacyImpossible, Srtp, Timeout, Unreachable,
        };
        let attempts = self.calls[slot].record.attempts();
        let last_of = |reason: EndReason| {
            attempts.iter().rfind(|attempt: &&Attempt| attempt.reason == reason as u8)
        };
        let is_silent = |attempt: &&Attempt| {
            [Unreachable, PrivacyImpossible, Geofence, NoCodec, Srtp, Overload]
                .iter()
                .all(|why| attempt.reason != *why as u8)
        };
        let (vendor, status, reason) =
            match (attempts.iter().rfind(is_silent), last_of(Unreachable)) {
                (Some(silent), _) => (Some(silent), 408, Timeout),
                (None, Some(unreachable)) => (Some(unreachable), 503, Unreachable),
                (None, None) => match [Overload, Geofence, NoCodec, Srtp]
                    .into_iter()
                    .find_map(last_of)
                    .or(attempts.last())
                {
                    Some(full) if full.reason == Overload as u8 => (Some(full), 503, Overload),
                    Some(outside) if outside.reason == Geofence as u8 => {
                        (Some(outside), 503, Geofence)
                    }
                    Some(deaf) if deaf.reason == NoCodec as u8 => (Some(deaf), 488, NoCodec),
                    Some(bare) if bare.reason == Srtp as u8 => (Some(bare), 488, Srtp),
                    Some(open) => (Some(open), 500, PrivacyImpossible),
                    None => (None, 503, Unreachable),
                },
            };
        let gateway = vendor.map_or(0, |attempt| attempt.gateway);
        (self.replaced(slot, gateway, status), reason, EndedBy::Server)
    }

    /// Neither 1xx nor 18x came in time of any.
    pub(super) fn group_late(&mut self, now: Instant, slot: usize) {
        self.abandon_group(now, slot, EndReason::Timeout, None);
        self.calls[slot].branches.clear();
        self.group_failed(now, slot, None);
    }

    /// The transaction itself gave up, timer B or the wait after a CANCEL.
    pub(crate) fn attempt_unanswered(
        &mut self,
        now: Instant,
        owner: CallKey,
        index: u8,
        client: TransactionKey,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        let call = &mut self.calls[slot];
        match call.state {
            State::Trying | State::Ringing if call.branches.has(index, client) => {
                call.note_attempt_end(now, index, EndReason::Timeout);
                call.branches.close(index);
                if call.branches.is_empty() {
                    self.group_failed(now, slot, None);
                }
            }
            _ => self.close_branch(now, slot, index, client),
        }
    }

    /// The search has used up its time.
    pub(super) fn search_over(&mut self, now: Instant, slot: usize) {
        self.abandon_group(now, slot, EndReason::Timeout, None);
        self.calls[slot].branches.clear();
        self.note_best(slot);
        self.give_up(now, slot);
    }

    /// Nobody took the phone. The vendor gets its CANCEL, the caller 480; no other vendor is asked.
    pub(super) fn rang_out(&mut self, now: Instant, slot: usize) {
        let (why, by) = (EndReason::NoAnswer, EndedBy::Server);
        let farewell = Farewell { status: 480, retry_after: None, why, said: why, by };
        if self.announce(now, slot, farewell, None) {
            return self.abandon_group(now, slot, why, None);
        }
        self.stop_search(now, slot, 480, EndReason::NoAnswer, EndedBy::Server, None);
    }

    /// Cancels the attempts that go on.
    pub(super) fn abandon_group(
        &mut self,
        now: Instant,
        slot: usize,
        reason: EndReason,
        passed: Option<&Message<'_>>,
    ) {
        self.calls[slot].note_attempts_end(now, reason);
        for (_, client) in self.calls[slot].branches.iter() {
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
        self.fail_invite(now, slot, &Reply { reason, ..Reply::plain(status) });
        self.calls[slot].note_end(now, reason, by);
        self.abandon_group(now, slot, reason, passed);
        self.drop_route(slot);
        if self.calls[slot].branches.is_empty() {
            return self.close_call(now, slot);
        }
        self.await_cancelled(now, slot);
    }

    /// The caller has heard all: what those say who were cancelled is still for the record.
    pub(super) fn await_cancelled(&mut self, now: Instant, slot: usize) {
        self.enter_state(slot, State::Cancelling);
        self.set_deadline(slot, Deadline::Close, Some(now + CANCEL_PATIENCE));
    }

    /// The caller cancels its INVITE (§9.2), or said in it that it would wait no longer (§13.3.1).
    pub(super) fn caller_cancels(
        &mut self,
        now: Instant,
        slot: usize,
        passed: Option<&Message<'_>>,
    ) {
        let (reason, by) = (EndReason::Cancelled, EndedBy::Caller);
        match self.calls[slot].state {
            State::Admitting => self.abandon_admission(now, slot, 487, reason),
            State::Trying | State::Ringing | State::Rerouting | State::Locating => {
                self.stop_search(now, slot, 487, reason, by, passed);
            }
            State::Announcing => self.cut_announcement(now, slot, 487),
            State::Committing => self.drop_answered(now, slot, 487, reason, by),
            _ => {}
        }
    }
}

/// What a failure is, which `stops` the search or not: only some say that whoever was called has no time.
fn refusal(stops: bool, status: u16) -> EndReason {
    match status {
        486 | 600.. if stops => EndReason::Busy,
        _ => EndReason::Rejected,
    }
}

/// What the caller hears of a failure. What is between us and the vendor is not the customer's business:
/// authentication, payment, redirection, and when to try again.
fn told(status: u16) -> u16 {
    match status {
        300..=399 | 401 | 402 | 403 | 407 => 503,
        status => status,
    }
}

/// Which of several failures the caller hears: the lowest (§16.7 step 6). A 503 says least, for it is
/// about the way and not about whom it leads to.
fn rank(status: u16) -> u8 {
    match told(status) {
        600.. => 0,
        503 => 3,
        500.. => 2,
        _ => 1,
    }
}
