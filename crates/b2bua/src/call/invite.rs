//! A new INVITE: from the caller's first packet to control's answer.

use core::hash::Hasher;
use core::time::Duration;

use link::answer::{Challenge, Pickup, Refuse, Route};
use link::ask::{Abandon, Admit, Ask, Credentials, Identities};
use link::record::{CallKey, CallRecord, EndReason, EndedBy, Facts};
use link::{Endpoint, Text};
use sip::{Message, Method, Name, Sdp, header};
use siphasher::sip128::{Hasher128, SipHasher24};
use zerocopy::IntoBytes;

use super::announce::Farewell;
use super::identities::identities;
use super::{Call, Deadline, State};
use crate::Instant;
use crate::challenge::Nonces;
use crate::compose::{Reply, SDP};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::kept::Kept;
use crate::keys::{Keys, shard_of};
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, Which};
use crate::transaction::{Machine, Role, TransactionKey, invite_server};
use crate::turned_away::Answered;

/// The hash by which a request finds its server transaction (RFC 3261 §17.2.3). ACK and CANCEL
/// find their INVITE's.
pub(crate) fn server_key(message: &Message<'_>, keys: &Keys) -> Key {
    match message.method() {
        Method::Ack | Method::Cancel => key_among(Method::Invite, message, keys),
        method => key_among(method, message, keys),
    }
}

/// The same hash, of the transaction of this method that a request belongs to.
fn key_among(method: Method<'_>, message: &Message<'_>, keys: &Keys) -> Key {
    let via = message.via();
    let port = via.port().unwrap_or(5060).to_le_bytes();
    match via.unique_branch() {
        Some(branch) => hash(keys, &[branch, via.host().as_bytes(), &port, method.as_bytes()]),
        // RFC 2543 peers make no unique branches. Neither Request-URI nor To-tag are compared: so
        // the ACK of a failure, which adds a tag, finds its INVITE too.
        None => {
            let cseq = message.cseq().number.to_le_bytes();
            let from = message.from().tag().unwrap_or_default();
            let call_id = message.call_id();
            let host = via.host().as_bytes();
            hash(keys, &[b"2543", call_id, from, &cseq, host, &port, method.as_bytes()])
        }
    }
}

/// What a CANCEL without an INVITE may be meant for: the methods that open server transactions.
const CANCELLED_IN_VAIN: [Method<'static>; 8] = {
    use Method::*;
    [Bye, Update, Info, Message, Prack, Refer, Register, Publish]
};

/// The hash by which the same request is known when it came by two roads (§8.2.2.2).
fn merge_key(message: &Message<'_>, keys: &Keys) -> Key {
    let cseq = message.cseq().number.to_le_bytes();
    hash(keys, &[b"merge", message.call_id(), message.from().tag().unwrap_or_default(), &cseq])
}

fn hash(keys: &Keys, parts: &[&[u8]]) -> Key {
    let mut hasher = SipHasher24::new_with_key(&keys.tag);
    for part in parts {
        hasher.write(part);
        hasher.write_usize(part.len());
    }
    // 0 means none.
    hasher.finish128().as_u128().max(1)
}

/// The description in a message. A body without a type is taken for one (RFC 3261 §20.15).
pub(super) fn description<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    let is_sdp = message.content_type().is_none() || message.content_is(SDP);
    Some(message.body()).filter(|body| is_sdp && !body.is_empty())
}

/// How long the sender of an INVITE waits for the final answer, if it says so (RFC 3261 §13.3.1).
pub(super) fn patience_of(invite: &Message<'_>) -> Option<Duration> {
    let seconds = invite.value(Name::Expires).and_then(header::seconds)?;
    Some(Duration::from_secs(seconds.into()))
}

/// How long a 100 may wait for something better (RFC 3261 §17.2.1). Who has heard it repeats its INVITE
/// no more, and would wait for ever for a challenge that was sent without memory and got lost.
const TRYING_WAIT: Duration = Duration::from_millis(200);

/// All that control hears of an INVITE.
struct Said {
    facts: Facts,
    identities: Identities,
    credentials: Credentials,
    transferor: u32,
}

/// Why an INVITE does not become a call.
enum Unfit {
    /// With this status.
    Status(u16, Counter),
    /// With 503 and a time to try again.
    Overload(Counter),
}

impl Switch {
    /// An INVITE outside of any dialog that matches no transaction.
    pub(crate) fn open_call(&mut self, now: Instant, path: Path, invite: &Message<'_>, key: Key) {
        if path.inside().is_some()
            && let Some(replaces) = invite.value(Name::Replaces)
        {
            if let Some(pickup) = Pickup::read(replaces) {
                return self.pick_up(now, path, invite, key, &pickup);
            }
            return self.replace_leg(now, path, invite, key, replaces);
        }
        match self.turned_away.answered(now, key) {
            Some(Answered::Nothing) => return self.counters.add(Counter::Silenced),
            Some(Answered::Status(503)) => {
                return self.refuse_overload(path, invite, Counter::RefusedAgain);
            }
            Some(Answered::Status(status)) => {
                return self.refuse_again(path, invite, status, Counter::RefusedAgain);
            }
            Some(Answered::Unjudged(status)) => {
                return self.refuse(path, invite, status, Counter::RefusedAgain);
            }
            Some(Answered::Challenge { status, nonces }) => {
                return self.challenge(now, path, invite, status, nonces);
            }
            None => {}
        }
        if let Some(why) = self.overload_of(path, invite) {
            if why == Counter::RefusedPortsFull {
                let local = self.setup.locals[usize::from(self.local_of(&path))].address;
                self.media.note_missed_at(local);
            }
            return self.turn_away(now, path, invite, key, why);
        }
        if !self.admit_request(path, invite) {
            return;
        }
        match self.try_open_call(now, path, invite, key) {
            Ok(()) => {}
            Err(Unfit::Status(status, why)) => self.refuse(path, invite, status, why),
            Err(Unfit::Overload(why)) => self.turn_away(now, path, invite, key, why),
        }
    }

    /// 503, also to the repetitions of this INVITE.
    fn turn_away(
        &mut self,
        now: Instant,
        path: Path,
        invite: &Message<'_>,
        key: Key,
        why: Counter,
    ) {
        self.turned_away.remember(now, key, Answered::Status(503));
        self.refuse_overload(path, invite, why);
    }

    fn try_open_call(
        &mut self,
        now: Instant,
        path: Path,
        invite: &Message<'_>,
        key: Key,
    ) -> Result<(), Unfit> {
        let merge = merge_key(invite, &self.setup.keys);
        if self.transactions.is_merged(merge) {
            return Err(Unfit::Status(482, Counter::RefusedMerged));
        }
        if invite.max_forwards() == Some(0) {
            return Err(Unfit::Status(483, Counter::RefusedHops));
        }
        // §8.1.1.8: without a Contact there is nobody to talk to later. RFC 2543 knew another way.
        if invite.contact().is_none() && invite.via().unique_branch().is_some() {
            return Err(Unfit::Status(400, Counter::RefusedUnsupported));
        }
        if description(invite).is_some_and(|body| Sdp::parse(body).is_err()) {
            return Err(Unfit::Status(488, Counter::RefusedMedia));
        }
        let too_long = Unfit::Status(513, Counter::RefusedTooLong);
        if invite.as_bytes().len() > self.setup.limits.message_bytes_max {
            return Err(too_long);
        }
        let Some(facts) = self.facts(path, invite)? else { return Err(too_long) };
        let identities = identities(invite);
        let credentials = self.credentials(now, path.remote.ip(), invite);
        if self.refuse_shut_out(now, path, invite, &credentials, b"") {
            return Ok(());
        }
        let transferor = match path.inside() {
            None => 0,
            Some(_) => {
                let gone = Unfit::Status(481, Counter::TransfersRefused);
                self.transferor_of(invite).ok_or(gone)?
            }
        };
        let said = Said { facts, identities, credentials, transferor };
        let slot = self.next_free().ok_or(Unfit::Overload(Counter::RefusedCallsFull))?;
        let random = self.random();
        let local = self.local_of(&path);
        let leg = self.calls[slot].leg(Side::Caller);
        leg.random = random;
        leg.local = local;
        leg.open_server(path, &self.setup.locals, invite)
            .map_err(|_| Unfit::Status(513, Counter::RefusedTooLong))?;
        let server = self
            .open_server(now, path, invite, key, merge, Keep::Request)
            .map_err(Unfit::Overload)?;
        self.free_calls.pop_front();
        self.begin_call(now, slot, server, invite, &said);
        Ok(())
    }

    /// The slot that is free longest. It stays in the queue until the call begins.
    fn next_free(&mut self) -> Option<usize> {
        while let Some(&slot) = self.free_calls.front() {
            if self.calls[slot as usize].state == State::Free {
                return Some(slot as usize);
            }
            self.free_calls.pop_front();
        }
        None
    }

    /// What control must know of an INVITE. `None`: a field of it is longer than we can tell.
    fn facts(&self, path: Path, invite: &Message<'_>) -> Result<Option<Facts>, Unfit> {
        let caller = invite.from().uri().user().unwrap_or_default();
        let callee = invite.request().and_then(|request| request.uri.user()).unwrap_or_default();
        let (Some(caller), Some(callee)) = (Text::new(caller), Text::new(callee)) else {
            // No number is so long (§21.4.22).
            return Err(Unfit::Status(484, Counter::RefusedTooLong));
        };
        let Some(call_id) = Text::new(invite.call_id()) else { return Ok(None) };
        Ok(Some(Facts {
            source: Endpoint::from(path.remote).by(path.transport),
            local: Endpoint::from(path.local).by(path.transport),
            caller,
            callee,
            call_id,
            user_agent: Text::cut(invite.value(Name::UserAgent).unwrap_or_default()),
            cseq: invite.cseq().number,
            withheld: 0,
        }))
    }

    fn begin_call(
        &mut self,
        now: Instant,
        slot: usize,
        server: TransactionKey,
        invite: &Message<'_>,
        said: &Said,
    ) {
        let started = now + self.wall_offset;
        let record_id = self.record_id(started);
        let shard = shard_of(invite.call_id(), &self.setup.keys);
        let call = &mut self.calls[slot];
        let generation = call.generation.wrapping_add(1);
        let legs = core::mem::replace(&mut call.legs, Call::empty(0).legs);
        *call = Call {
            shard,
            started: now,
            invite: Some(server),
            legs,
            offered: description(invite).is_some(),
            // Peers of RFC 2543 do not count hops.
            hops: invite.max_forwards().map_or(crate::compose::HOPS, |hops| hops - 1),
            record: CallRecord {
                id: record_id,
                started_us: started.as_micros() as u64,
                started_monotonic_us: now.as_micros() as u64,
                facts: said.facts,
                ..CallRecord::empty()
            },
            ..Call::empty(generation)
        };
        let key = self.key_of(slot);
        if let Some(transaction) = self.transactions.find(server) {
            transaction.owner = Some(key);
            transaction.role = Role::Caller;
        }
        self.counters.add(Counter::CallsOffered);
        self.calls_open += 1;
        self.enter_state(slot, State::Admitting);
        let wait = self.admit_wait();
        // Strangers who shall hear nothing must not hear 100 either; who is one, control knows.
        let silence = if self.parameters.reply_unauthorized == 0 { wait } else { TRYING_WAIT };
        self.set_deadline(slot, Deadline::Admit, Some(now + silence.min(wait)));
        self.set_deadline(slot, Deadline::Expires, patience_of(invite).map(|wait| now + wait));
        self.ask(Ask::Admit(Admit {
            call: key,
            record: record_id,
            asked_us: now.as_micros() as u64,
            deadline_us: (now + wait).as_micros() as u64,
            started_us: started.as_micros() as u64,
            facts: said.facts,
            identities: said.identities,
            credentials: said.credentials,
            transferor: said.transferor,
            spare: 0,
        }));
    }

    /// Unique for ever: time and node in the first word, chance in the second.
    fn record_id(&mut self, started: Duration) -> [u64; 2] {
        let node = u64::from(self.setup.node & 0x3ff);
        [(started.as_micros() as u64) << 10 | node, self.random()]
    }

    /// The call that control answers, if it still waits for it.
    fn admitting(&mut self, key: CallKey) -> Option<usize> {
        let slot = self.live_call(key).filter(|&slot| self.calls[slot].state == State::Admitting);
        if slot.is_none() {
            self.counters.add(Counter::AnswersLate);
        }
        slot
    }

    pub(crate) fn handle_refuse(&mut self, now: Instant, refuse: &Refuse) {
        let Some(slot) = self.admitting(refuse.call) else { return };
        let Some(server) = self.calls[slot].invite else { return };
        let retry_after = Some(refuse.retry_after_s).filter(|&seconds| seconds > 0);
        let reply = |status| Reply { retry_after, ..Reply::plain(status) };
        if refuse.announced != 0
            && refuse.stateless == 0
            && self.announce_refusal(now, slot, refuse)
        {
            return;
        }
        match (refuse.status, refuse.stateless) {
            (0, _) => {
                self.counters.add(Counter::Silenced);
                self.stay_refused(now, server, Answered::Nothing);
            }
            (status @ 300..=699, 0) => self.fail_invite(now, slot, &reply(status)),
            (status @ 300..=699, _) => {
                self.forget_with_reply(now, server, &reply(status));
            }
            (_, _) => {
                self.counters.add(Counter::AnswersInvalid);
                self.fail_invite(now, slot, &reply(503));
            }
        }
        self.drop_call(slot);
    }

    /// Says why control refuses a customer whom it knows. Whether it does.
    fn announce_refusal(&mut self, now: Instant, slot: usize, refuse: &Refuse) -> bool {
        if !(300..=699).contains(&refuse.status) {
            return false;
        }
        let call = &mut self.calls[slot];
        (call.announces, call.refused) = (true, true);
        // By its profile its media are judged.
        call.record.customer_gateway = refuse.announced;
        let farewell = Farewell {
            status: refuse.status,
            retry_after: Some(refuse.retry_after_s).filter(|&seconds| seconds > 0),
            why: EndReason::from_number(refuse.reason),
            said: EndReason::None,
            by: EndedBy::Server,
        };
        self.announce(now, slot, farewell, None)
    }

    /// Answers without a transaction: the source is nobody, and gets no memory of ours.
    fn forget_with_reply(&mut self, now: Instant, server: TransactionKey, reply: &Reply<'_>) {
        let Some(path) = self.transactions.find(server).map(|transaction| transaction.path) else {
            return;
        };
        self.with_kept(server, Which::Request, |switch, invite| {
            switch.reply_stateless(path, invite, reply);
        });
        self.stay_refused(now, server, Answered::Status(reply.status));
    }

    /// All that stays of a transaction is how its request was refused.
    pub(crate) fn stay_refused(
        &mut self,
        now: Instant,
        server: TransactionKey,
        answered: Answered,
    ) {
        if let Some(transaction) = self.transactions.find(server) {
            self.turned_away.remember(now, transaction.key, answered);
        }
        self.close_transaction(server);
    }

    /// The caller must say who it is, in an INVITE of its own: this one leaves nothing behind.
    pub(crate) fn handle_challenge(&mut self, now: Instant, challenge: &Challenge) {
        let Some(slot) = self.admitting(challenge.call) else { return };
        let Some(server) = self.calls[slot].invite else { return };
        let nonces = Nonces::of(challenge.stale);
        let status = match challenge.status {
            status @ (401 | 407) => status,
            _ => self.challenge_status(Method::Invite),
        };
        if let Some(path) = self.transactions.find(server).map(|transaction| transaction.path) {
            self.with_kept(server, Which::Request, |switch, invite| {
                switch.challenge(now, path, invite, status, nonces);
            });
        }
        self.stay_refused(now, server, Answered::Challenge { status, nonces });
        self.drop_call(slot);
    }

    pub(crate) fn handle_route(&mut self, now: Instant, route: &Route) {
        let Some(slot) = self.admitting(route.call) else { return };
        let record = &mut self.calls[slot].record;
        record.customer_gateway = route.customer_gateway;
        record.wishes = route.wishes();
        self.calls[slot].announces = route.announces();
        let record = &mut self.calls[slot].record;
        record.recorded = if self.records { route.recorded() } else { 0 };
        let Some(kept) = self.kept.keep(route.said()) else {
            self.counters.add(Counter::RefusedKeptFull);
            let reply = self.plain_failure(503);
            return self.turn_down(now, slot, &reply, EndReason::Overload);
        };
        if route.candidates().is_empty() {
            self.kept.release(kept);
            self.counters.add(Counter::AnswersInvalid);
            let reply = self.plain_failure(503);
            return self.turn_down(now, slot, &reply, EndReason::NoRoute);
        }
        let call = &mut self.calls[slot];
        call.route = kept;
        call.switches_left = route.switches_max;
        call.extend_at_s = route.extend_at_s;
        (call.record.granted_s, call.record.grace_s) = (route.granted_s, route.grace_s);
        call.record.held = route.held;
        call.record.caller_billed = route.caller_billed;
        call.record.callee_billed = route.callee_billed;
        if let Some(reply) = self.settle_extensions(slot) {
            return self.turn_down(now, slot, &reply, EndReason::Rejected);
        }
        if self.is_offer_fenced(now, slot) {
            return self.turn_down(now, slot, &Reply::plain(403), EndReason::Geofence);
        }
        let server = self.calls[slot].invite;
        let invite = server.and_then(|server| self.transactions.find(server));
        if let Some(learned) = invite.map(|transaction| transaction.path) {
            self.steer(slot, Side::Caller, learned);
        }
        self.calls_live += 1;
        self.counters.add(Counter::CallsAdmitted);
        self.enter_state(slot, State::Trying);
        let budget = Duration::from_millis(u64::from(self.parameters.search_budget_ms));
        self.set_deadline(slot, Deadline::Search, Some(now + budget));
        self.say_trying(now, slot);
        self.try_next(now, slot);
    }

    /// 100, once: from now on the caller waits without repeating its INVITE.
    fn say_trying(&mut self, now: Instant, slot: usize) {
        let Some(server) = self.calls[slot].invite else { return };
        if self.transactions.find(server).is_some_and(|transaction| transaction.sent.is_none()) {
            self.answer(now, server, &Reply::plain(100));
        }
    }

    fn admit_wait(&self) -> Duration {
        Duration::from_millis(u64::from(self.parameters.admit_wait_ms))
    }

    /// Control did not answer: the caller hears first that we are trying, then that we gave up.
    pub(super) fn admit_late(&mut self, now: Instant, slot: usize) {
        let end = self.calls[slot].started + self.admit_wait();
        if now < end {
            self.say_trying(now, slot);
            return self.set_deadline(slot, Deadline::Admit, Some(end));
        }
        self.counters.add(Counter::RefusedAdmitLate);
        self.abandon_admission(now, slot, 503, EndReason::Overload);
    }

    /// Ends a call that control has not admitted, and tells control to forget it.
    pub(super) fn abandon_admission(
        &mut self,
        now: Instant,
        slot: usize,
        status: u16,
        reason: EndReason,
    ) {
        let reply = self.plain_failure(status);
        match self.parameters.reply_unauthorized {
            0 => self.fail_unjudged(now, slot, &reply),
            _ => self.fail_invite(now, slot, &reply),
        }
        self.withdraw(slot, status, reason);
    }

    /// Ends a call that control has admitted and that cannot be begun.
    fn turn_down(&mut self, now: Instant, slot: usize, reply: &Reply<'_>, reason: EndReason) {
        self.fail_invite(now, slot, reply);
        self.withdraw(slot, reply.status, reason);
    }

    fn plain_failure(&self, status: u16) -> Reply<'static> {
        let retry_after = (status == 503).then_some(self.parameters.retry_after_s);
        Reply { retry_after, ..Reply::plain(status) }
    }

    /// Control forgets the call.
    fn withdraw(&mut self, slot: usize, status: u16, reason: EndReason) {
        let call = self.key_of(slot);
        self.ask(Ask::Abandon(Abandon {
            call,
            reason: u32::from(reason as u8),
            status: u32::from(status),
        }));
        self.drop_call(slot);
    }

    /// The final failure of the caller's INVITE, under the call's first To-tag.
    pub(super) fn fail_invite(&mut self, now: Instant, slot: usize, reply: &Reply<'_>) {
        self.end_progress(slot);
        let Some(server) = self.calls[slot].invite.take() else { return };
        self.calls[slot].record.status = reply.status;
        let tag = self.leg_tag(slot, Side::Caller, 0);
        self.answer(now, server, &Reply { to_tag: &tag, ..*reply });
    }

    /// The caller's story ends with a failure: an admitted call goes on to its record, or waits for
    /// the vendor that was cancelled.
    pub(super) fn fail_call(
        &mut self,
        now: Instant,
        slot: usize,
        reply: &Reply<'_>,
        reason: EndReason,
        by: EndedBy,
    ) {
        let (status, retry_after) = (reply.status, reply.retry_after);
        let farewell = Farewell { status, retry_after, why: reason, said: reason, by };
        let is_sought = self.calls[slot].state.is_searching();
        if is_sought && self.announce(now, slot, farewell, reply.passed) {
            return;
        }
        self.fail_invite(now, slot, &Reply { reason, ..*reply });
        self.calls[slot].note_end(now, reason, by);
        self.close_call(now, slot);
    }

    /// The same as [`Self::fail_invite`] where the caller may be a stranger who shall hear nothing: repeated only
    /// when the INVITE is.
    fn fail_unjudged(&mut self, now: Instant, slot: usize, reply: &Reply<'_>) {
        let Some(server) = self.calls[slot].invite.take() else { return };
        self.calls[slot].record.status = reply.status;
        let Some(path) = self.transactions.find(server).map(|transaction| transaction.path) else {
            return;
        };
        self.with_kept(server, Which::Request, |switch, invite| {
            switch.discreetly(|switch| switch.reply_stateless(path, invite, reply));
        });
        self.stay_refused(now, server, Answered::Unjudged(reply.status));
    }

    /// CANCEL of something that we answer (§9.2).
    pub(crate) fn cancel(
        &mut self,
        now: Instant,
        server: TransactionKey,
        path: Path,
        cancel: &Message<'_>,
    ) {
        let Some(transaction) = self.transactions.find(server) else { return };
        let (owner, role) = (transaction.owner, transaction.role);
        let undecided =
            transaction.machine == Machine::InviteServer(invite_server::State::Proceeding);
        // §9.2: the To-tag is that of the INVITE's answers. A failure before this may have had none.
        let slot = owner.and_then(|owner| self.live_call(owner));
        let is_unjudged = self.parameters.reply_unauthorized == 0
            && slot.is_some_and(|slot| self.calls[slot].state == State::Admitting);
        let tag = slot.map(|slot| self.leg_tag(slot, Side::Caller, 0));
        match &tag {
            Some(to_tag) if !is_unjudged => {
                let reply = Reply { to_tag, ..Reply::plain(200) };
                self.send_reply(path, owner, cancel, &reply);
            }
            _ => {
                self.discreetly(|switch| switch.reply_stateless(path, cancel, &Reply::plain(200)));
            }
        }
        let Some(slot) = slot.filter(|_| undecided) else { return };
        match role {
            Role::Caller => {
                self.calls[slot].note_cause(cancel);
                self.caller_cancels(now, slot, Some(cancel));
            }
            Role::Exchange => self.cancel_exchange(now, slot, server, cancel),
            Role::None
            | Role::Attempt(_)
            | Role::Register
            | Role::Errand(_)
            | Role::Refresh(_)
            | Role::Inform(_)
            | Role::Transfer => {}
        }
    }

    /// CANCEL that matches no INVITE. Of another request it is taken, and changes nothing (§9.2).
    pub(crate) fn cancel_in_vain(&mut self, path: Path, cancel: &Message<'_>) {
        let is_known = CANCELLED_IN_VAIN.into_iter().any(|method| {
            let key = key_among(method, cancel, &self.setup.keys);
            self.transactions.find_server(key).is_some()
        });
        match is_known {
            true => {
                self.discreetly(|switch| switch.reply_stateless(path, cancel, &Reply::plain(200)));
            }
            false => self.refuse(path, cancel, 481, Counter::CancelsUnmatched),
        }
    }

    /// What a kept route says.
    pub(super) fn route_of(&self, slot: usize) -> Option<Route> {
        use zerocopy::FromZeros;
        let mut route = Route::new_zeroed();
        let said = self.kept.copy(&self.calls[slot].route, route.as_mut_bytes());
        (!said.is_empty()).then_some(route)
    }

    /// Lets go of the candidates: the search is over.
    pub(super) fn drop_route(&mut self, slot: usize) {
        let call = &mut self.calls[slot];
        let kept: [Kept; 2] = [call.route.take(), call.targets.take()];
        for kept in kept {
            self.kept.release(kept);
        }
    }
}
