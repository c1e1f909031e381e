//! The search for somebody who answers: attempts and early answers. What fails is judged in `failure.rs`.
//!
//! Candidates are tried group by group. Most groups are one vendor; the phones of one user are called
//! all at once (RFC 3261 §16.7), and the first 2xx wins.
//!
//! An attempt that is given up lives on in its transaction until its final answer: a late 1xx gets
//! the CANCEL, a late 2xx ACK and BYE. While the call lives, its record learns of that.

use core::time::Duration;
use std::net::SocketAddr;

use link::answer::{Candidate, Pickup, Rerouted, Route};
use link::ask::{Ask, Reroute};
use link::profile::Ringback;
use link::record::{Attempt, CallKey, EndReason, EndedBy, NEVER};
use sip::{Message, Method};

use super::branches::Branches;
use super::invite::description;
use super::reliable::{FORKS_MAX, Fork, Progress, is_reliable};
use super::{Deadline, State};
use crate::Instant;
use crate::arena::{Field, TooLong};
use crate::cause::far_cause;
use crate::compose::{Caller, Outgoing, Reply, SDP, Says, Told};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::keys::{Place, Token, mint_call_id};
use crate::limits::own_towards;
use crate::media::{MediaFault, Word, refused_streams};
use crate::path::Path;
use crate::switch::Switch;
use crate::transact::{Which, write_request};
use crate::transaction::{Birth, Class, Machine, Role, TransactionKey, invite_client};

/// Candidates that are called at once.
pub(super) struct Group<'r> {
    pub(super) route: &'r Route,
    /// Which candidate of the route the first one is.
    pub(super) at: u8,
    pub(super) candidates: &'r [Candidate],
    /// Where To says that the callee is at home; `None`: at ours.
    pub(super) home: Option<SocketAddr>,
}

/// Why an INVITE could not be sent to a candidate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsent {
    /// No way thither: try the next one.
    Unreachable,
    /// Something of ours is full: no other candidate would fare better.
    Full,
    /// No media port is free where it would be called from: another may be called from elsewhere.
    PortsFull,
    /// The caller's description cannot be carried.
    Media,
    /// The caller wants no call that shows so much of it: another one may see less.
    Privacy,
    /// It is outside its fence: try the next one.
    Outside,
    /// The caller's description wants media outside its fence.
    Fenced,
    /// It allows no codec of the caller's description: another one may.
    NoCodec,
    /// The caller's description has not the keys that its gateway wants.
    Unsecured,
}

impl Unsent {
    /// What the record says of it.
    fn reason(self) -> EndReason {
        match self {
            Self::Unreachable => EndReason::Unreachable,
            Self::Full | Self::PortsFull => EndReason::Overload,
            Self::Media => EndReason::BadMedia,
            Self::Privacy => EndReason::PrivacyImpossible,
            Self::Outside | Self::Fenced => EndReason::Geofence,
            Self::NoCodec => EndReason::NoCodec,
            Self::Unsecured => EndReason::Srtp,
        }
    }
}

impl Switch {
    /// Sends INVITEs to the candidates that come next, where control holds a line for the call.
    pub(super) fn try_next(&mut self, now: Instant, slot: usize) {
        let Some(route) = self.route_of(slot) else { return self.give_up(now, slot) };
        let group = self.next_group(slot, &route);
        let Some(first) = group.first() else { return self.give_up(now, slot) };
        let group = Group {
            route: &route,
            at: self.calls[slot].next_candidate,
            candidates: group,
            // A phone is called by its name at our house, wherever it stands.
            home: first.target.socket_address().filter(|_| first.uri.length == 0),
        };
        self.calls[slot].next_candidate += group.candidates.len() as u8;
        self.leave_redirects(slot);
        self.try_group(now, slot, &group);
    }

    /// Sends INVITEs to all of a group.
    pub(super) fn try_group(&mut self, now: Instant, slot: usize, group: &Group<'_>) {
        self.abort_exchange(now, slot);
        let opened = self.begin_group(slot, group);
        let mut outcome = opened;
        for candidate in group.candidates {
            let index = self.begin_attempt(now, slot, candidate);
            outcome =
                opened.and_then(|()| self.send_attempt(now, slot, index, group.route, candidate));
            let Err(why) = outcome else { continue };
            self.calls[slot].note_attempt_end(now, index, why.reason());
            // Somebody who cannot be called keeps nobody else from being called.
            match why {
                Unsent::Unreachable => self.counters.add(Counter::VendorsUnreachable),
                Unsent::Privacy | Unsent::Outside | Unsent::NoCodec => {}
                // All of a group are called from one address, so its ports are full for each of them.
                Unsent::Full
                | Unsent::PortsFull
                | Unsent::Media
                | Unsent::Fenced
                | Unsent::Unsecured => break,
            }
        }
        if !self.calls[slot].branches.is_empty() {
            return self.await_group(now, slot);
        }
        let retry_after = Some(self.parameters.retry_after_s);
        match outcome {
            Ok(())
            | Err(
                Unsent::Unreachable
                | Unsent::Privacy
                | Unsent::Outside
                | Unsent::NoCodec
                | Unsent::PortsFull,
            ) => {
                self.fail_over(now, slot, None);
            }
            Err(why @ Unsent::Fenced) => {
                self.fail_call(now, slot, &Reply::plain(403), why.reason(), EndedBy::Server);
            }
            Err(why @ Unsent::Full) => {
                let reply = Reply { retry_after, ..Reply::plain(503) };
                self.fail_call(now, slot, &reply, why.reason(), EndedBy::Server);
            }
            Err(why @ Unsent::Unsecured) => {
                self.fail_call(now, slot, &Reply::plain(488), why.reason(), EndedBy::Server);
            }
            Err(why @ Unsent::Media) => {
                self.counters.add(Counter::RefusedMedia);
                self.fail_call(now, slot, &Reply::plain(488), why.reason(), EndedBy::Server);
            }
        }
    }

    /// The candidates that come next and are called at once: those in a row of one group, as far as one
    /// leg can speak to them, which takes one own address.
    fn next_group<'r>(&self, slot: usize, route: &'r Route) -> &'r [Candidate] {
        let next = usize::from(self.calls[slot].next_candidate);
        let rest = route.candidates().get(next..).unwrap_or_default();
        let Some(first) = rest.first() else { return &[] };
        let local = self.local_towards(first);
        let is_beside = |candidate: &&Candidate| {
            candidate.group == first.group && self.local_towards(candidate) == local
        };
        let length = match first.group {
            0 => 1,
            _ => rest.iter().take_while(is_beside).count(),
        };
        rest.get(..length).unwrap_or_default()
    }

    /// The own address, as an index, from which a candidate is called.
    fn local_towards(&self, candidate: &Candidate) -> Option<u8> {
        let target = candidate.target.socket_address()?;
        own_towards(&self.setup.locals, candidate.local, target.ip())
    }

    pub(super) fn candidate(&self, slot: usize, index: usize) -> Option<Candidate> {
        self.route_of(slot)?.candidates().get(index).copied()
    }

    /// Asks control for a line of the next candidates. Without control the call goes on: it was admitted,
    /// and no limit is worth losing it.
    pub(super) fn ask_next(&mut self, now: Instant, slot: usize) {
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

    /// Control has a line of the next candidates for the call, or has none.
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
        let passed_over =
            self.route_of(slot).map_or(1, |route| self.next_group(slot, &route).len());
        self.calls[slot].next_candidate += passed_over as u8;
        self.ask_next(now, slot);
    }

    /// Control did not say in time whether the next candidate has a line.
    pub(super) fn reroute_late(&mut self, now: Instant, slot: usize) {
        self.try_next(now, slot);
    }

    /// A new leg, with which all of a group are called: one Call-ID, one tag of ours.
    fn begin_group(&mut self, slot: usize, group: &Group<'_>) -> Result<(), Unsent> {
        let first = group.candidates.first().ok_or(Unsent::Unreachable)?;
        // The old vendor's ports are not used again: its late media must not reach the new one.
        let [caller, callee] = &mut self.calls[slot].legs;
        for port in caller.media.open_ports() {
            self.media.table.close(port);
        }
        self.media.release(&mut callee.media);
        let call = &mut self.calls[slot];
        call.legs[Side::Callee as usize] = Leg::new();
        call.branches = Branches::begin(call.record.attempts_used as u8, group.at);
        call.described = None;
        // What the old vendor's side said is of no interest any more.
        self.kept.release(call.answer.take());
        self.kept.release(call.reliable.take_next());
        call.forks = [Fork::default(); FORKS_MAX];
        call.note_candidate(group.at, first);
        self.open_leg(slot, group, first)
    }

    /// What the INVITEs of a group have in common.
    fn open_leg(
        &mut self,
        slot: usize,
        group: &Group<'_>,
        first: &Candidate,
    ) -> Result<(), Unsent> {
        let index = self.local_towards(first).ok_or(Unsent::Unreachable)?;
        let host = self.host_of(index);
        let home = group.home.unwrap_or(host);
        let caller = self.introduce(slot, group.route, first, host).ok_or(Unsent::Full)?;
        if caller.is_too_open() {
            return Err(Unsent::Privacy);
        }
        let to = self.callee_uri(first, home);
        let (Some(from), Some(to)) = (caller.shown_uri(), to.text()) else {
            return Err(Unsent::Unreachable);
        };
        let random = self.random();
        let call_id = mint_call_id(self.calls[slot].shard, self.random(), &self.setup.keys);
        let call = &mut self.calls[slot];
        let place = Place { slot: slot as u32, variant: 0, generation: call.generation };
        let tag = Token::of(place, random, &self.setup.keys).text();
        let leg = call.leg(Side::Callee);
        leg.local = index;
        leg.random = random;
        leg.cseq_local = 1;
        let texts = [
            (Field::CallId, &call_id.text()[..]),
            (Field::LocalTag, &tag),
            (Field::LocalUri, from),
            (Field::RemoteUri, to),
        ];
        for (field, text) in texts {
            leg.arena.set(field, text).map_err(|_| Unsent::Unreachable)?;
        }
        Ok(())
    }

    /// A new line in the record; its number.
    fn begin_attempt(&mut self, now: Instant, slot: usize, candidate: &Candidate) -> u8 {
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        let record = &mut call.record;
        let index = record.attempts_used;
        if let Some(place) = record.attempts.get_mut(index as usize) {
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
        index as u8
    }

    /// Aims the leg at one of the group and sends the INVITE.
    fn send_attempt(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        route: &Route,
        candidate: &Candidate,
    ) -> Result<(), Unsent> {
        let target = candidate.target.socket_address().ok_or(Unsent::Unreachable)?;
        let leg_local = self.calls[slot].leg(Side::Callee).local;
        if candidate.pickup.length == 0 && !self.may_call(now, slot, candidate.gateway, target) {
            return Err(Unsent::Outside);
        }
        let pickup = Pickup::read(route.text(candidate.pickup));
        let direct = Path {
            transport: candidate.target.transport(),
            local: self.setup.locals[usize::from(leg_local)].sip(),
            remote: target,
            connection: candidate.connection,
        };
        let path = pickup.map_or(direct, |it| self.way_to_ringing(slot, &it, leg_local));
        let host = self.host_of(leg_local);
        let caller = self.introduce(slot, route, candidate, host).ok_or(Unsent::Full)?;
        if caller.is_too_open() {
            return Err(Unsent::Privacy);
        }
        let line = self.callee_uri(candidate, target);
        let uri = match route.text(candidate.uri) {
            [] => line.text().ok_or(Unsent::Unreachable)?,
            uri => uri,
        };
        let leg = self.calls[slot].leg(Side::Callee);
        let aimed = leg.aim(uri, route.text(candidate.path), path, &self.setup.locals);
        let path = aimed.map_err(|TooLong| Unsent::Unreachable)?;
        let says = match route.text(candidate.pickup) {
            [] => Says::Nothing,
            text => Says::Pickup(text),
        };
        self.send_invite(now, slot, index, path, &caller, says)
    }

    /// Writes the INVITE with the caller's offer, if it made one, and opens its transaction.
    fn send_invite(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        path: Path,
        caller: &Caller,
        says: Says<'_>,
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
            let vendor = call.record.attempts().get(usize::from(index));
            let wishes = call.wishes(Side::Callee);
            let peer = vendor.map(|attempt| switch.profiles.of_party(attempt.gateway, wishes));
            let told = Told { peer, caller: Some(caller), ..Told::default() };
            let extensions = switch.attempt_extensions(slot, peer);
            let passed = Some(invite);
            let request = Outgoing { hops: call.hops, passed, told, extensions, says, ..request };
            let written =
                write_request(&mut switch.outbox, &switch.setup, leg.local, path, &request);
            if switch.count_unsent(written) { Ok(()) } else { Err(Unsent::Full) }
        });
        self.give_scratch(rewritten);
        written.unwrap_or(Err(Unsent::Full))?;
        let attempt = self.calls[slot].record.attempts.get(usize::from(index));
        let birth = Birth {
            gateway: attempt.map_or(0, |attempt| attempt.gateway),
            owner: Some(self.key_of(slot)),
            role: Role::Attempt(index),
            random: branch.random,
            cseq: self.calls[slot].legs[Side::Callee as usize].cseq_local,
            ..Birth::of(Machine::InviteClient(invite_client::State::Calling), path)
        };
        let client = self.open_client(now, birth).map_err(|_| Unsent::Full)?;
        self.calls[slot].branches.open(index, client);
        self.counters.add(Counter::Attempts);
        if caller.is_hidden() {
            self.counters.add(Counter::NumbersWithheld);
        }
        Ok(())
    }

    /// INVITEs are out: the patience with all of them begins.
    pub(super) fn await_group(&mut self, now: Instant, slot: usize) {
        self.enter_state(slot, State::Trying);
        let after = |ms: u32| Some(now + Duration::from_millis(u64::from(ms)));
        let parameters = self.parameters;
        let first_response = after(parameters.first_response_timeout_ms);
        self.set_deadline(slot, Deadline::FirstResponse, first_response);
        self.set_deadline(slot, Deadline::Invite, after(parameters.invite_timeout_ms));
        self.save(slot);
    }

    fn carry_offer(
        &mut self,
        now: Instant,
        slot: usize,
        offer: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Unsent> {
        let carried = self.carry(now, slot, Side::Caller, Word::Offer, offer, out);
        let length = carried.map_err(|fault| match fault {
            MediaFault::Unusable => Unsent::Media,
            MediaFault::PortsFull(Side::Caller) => Unsent::Full,
            MediaFault::PortsFull(Side::Callee) => Unsent::PortsFull,
            MediaFault::Fenced => Unsent::Fenced,
            MediaFault::NoCodec => Unsent::NoCodec,
            MediaFault::Unsecured => Unsent::Unsecured,
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
        word: Word,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, MediaFault> {
        if self.is_fenced(now, slot, from, body) {
            return Err(MediaFault::Fenced);
        }
        for _ in 0..refused_streams(body) {
            self.counters.add(Counter::StreamsRefused);
        }
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        let carried = self.media.carry(now, &mut streams, from, word, body, out);
        let bypassed = streams.legs[Side::Callee as usize].bypassed;
        self.calls[slot].record.bypassed = bypassed.into();
        match carried {
            Err(MediaFault::PortsFull(_)) => self.counters.add(Counter::RefusedPortsFull),
            Err(MediaFault::Unsecured) => self.counters.add(Counter::RefusedUnsecured),
            _ => {}
        }
        self.count_transcoded();
        carried
    }

    /// Offers the other leg what was told in the name of `from` before, with the keys that the other leg wants.
    /// `None`: it cannot be.
    pub(super) fn carry_ours(
        &mut self,
        now: Instant,
        slot: usize,
        from: Side,
        body: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        streams.is_ours = true;
        let carried = self.media.carry(now, &mut streams, from, Word::Offer, body, out);
        self.count_transcoded();
        carried.ok()
    }

    pub(super) fn count_transcoded(&mut self) {
        let [made, unmade] = self.media.take_transcoded();
        (0..made).for_each(|_| self.counters.add(Counter::CallsTranscoded));
        (0..unmade).for_each(|_| self.counters.add(Counter::TranscodersFull));
    }

    /// Takes a description of a leg for true.
    pub(super) fn believe(&mut self, now: Instant, slot: usize, from: Side, body: &[u8]) {
        let until = now + Duration::from_secs(u64::from(self.parameters.latch_window_s));
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        self.media.believe(&mut streams, from, body, until);
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
        self.heed_retry_after(slot, index, status, message);
        let call = &mut self.calls[slot];
        let is_open = call.branches.has(index, client);
        let is_sought = is_open && matches!(call.state, State::Trying | State::Ringing);
        if is_sought && let Some(transaction) = self.transactions.find(client) {
            // Of several that are called at once, the leg is with the one who speaks.
            call.leg(Side::Callee).path = transaction.way();
        }
        let is_failure = Class::of(status) == Class::Failure;
        if is_failure
            && let Some(attempt) = self.calls[slot].record.attempts.get_mut(usize::from(index))
        {
            attempt.cause = far_cause(message);
        }
        if is_sought && !is_failure && self.fails_terms(now, slot, index, client, message) {
            return;
        }
        match Class::of(status) {
            Class::Provisional if is_sought => {
                self.attempt_progress(now, slot, index, client, message);
            }
            Class::Provisional => {}
            Class::Success if is_sought => {
                self.vendor_answers(now, slot, index, client, message);
            }
            Class::Success => self.late_answer(now, slot, index, client, message),
            Class::Failure if is_sought => self.attempt_failed(now, slot, index, status, message),
            Class::Failure => {
                self.note_final(now, slot, index, status);
                self.close_branch(now, slot, index, client);
            }
        }
    }

    /// A cancelled branch said its last. The record waits for all of them.
    pub(super) fn close_branch(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        client: TransactionKey,
    ) {
        let call = &mut self.calls[slot];
        let is_over = matches!(call.state, State::Cancelling | State::Announcing);
        if !is_over || !call.branches.has(index, client) {
            return;
        }
        call.branches.close(index);
        if call.state == State::Cancelling && call.branches.is_empty() {
            self.close_call(now, slot);
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
        let is_first = transaction.winner == 0 && transaction.dismissed.is_empty();
        self.dismiss(now, client, message);
        if is_first {
            let call = &mut self.calls[slot];
            let ms = call.ms(now);
            let is_unanswered = call.state.is_searching()
                || matches!(call.state, State::Cancelling | State::Announcing);
            if let Some(attempt) = call.record.attempts.get_mut(usize::from(index)) {
                attempt.status = message.status().unwrap_or(200);
                attempt.ended_ms = ms;
                // Of a call that another has answered, who comes second has answered nothing.
                attempt.answered_ms = if is_unanswered { ms } else { NEVER };
            }
        }
        self.close_branch(now, slot, index, client);
    }

    /// Who answered first: its numbers and price stand in the record, and everybody else is cancelled.
    pub(super) fn note_winner(
        &mut self,
        now: Instant,
        slot: usize,
        winner: u8,
        message: &Message<'_>,
    ) {
        let index = self.calls[slot].branches.candidate_of(winner);
        if index != self.calls[slot].record.attempt_index as usize
            && let Some(candidate) = self.candidate(slot, index)
        {
            self.calls[slot].note_candidate(index as u8, &candidate);
        }
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        if let Some(attempt) = call.record.attempts.get_mut(usize::from(winner)) {
            attempt.status = message.status().unwrap_or(200);
            attempt.answered_ms = ms;
            // Its 2xx may have crossed a CANCEL of ours.
            attempt.ended_ms = NEVER;
            attempt.reason = EndReason::None as u8;
        }
        call.branches.turn_to(winner);
        let others = call.branches.iter().filter(|&(attempt, _)| attempt != winner);
        for (attempt, client) in others {
            self.calls[slot].note_attempt_end(now, attempt, EndReason::Cancelled);
            self.calls[slot].branches.close(attempt);
            self.cancel_client(now, client, None);
        }
    }

    /// A 1xx: passed on under the To-tag of its fork; the first 18x starts the ringing.
    fn attempt_progress(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        self.set_deadline(slot, Deadline::FirstResponse, None);
        let attempt = self.calls[slot].record.attempts.get(usize::from(index));
        if attempt.is_some_and(|attempt| attempt.ended_ms != NEVER) {
            return;
        }
        let status = message.status().unwrap_or(0);
        if status == 100 || !self.take_progress(now, slot, client, message) {
            return;
        }
        // 199 tells of a fork that ended (RFC 6228); the caller was not asked whether it reads that.
        if status == 199 {
            return;
        }
        if (180..190).contains(&status) {
            self.note_ringing(now, slot, index);
        }
        let fork = self.fork_of(slot, message);
        let customer = self.profiles.of(self.calls[slot].gateway(Side::Caller));
        let rings = (180..190).contains(&status);
        let (status, is_shown) = match Ringback::from(customer.ringback) {
            Ringback::Ringing if rings => (180, false),
            Ringback::Progress if rings => (183, true),
            Ringback::Pass | Ringback::Ringing | Ringback::Progress => (status, true),
        };
        let mut rewritten = self.take_scratch();
        rewritten[0] = b'\n';
        let mut length = 0;
        if let Some(body) = description(message).filter(|_| self.heeds_preview(slot, fork, message))
        {
            // A preview that cannot be carried is left out; the answer decides.
            let word = Word::of_callee(self.calls[slot].offered);
            let out = &mut rewritten[1..];
            length = self.carry(now, slot, Side::Callee, word, body, out).unwrap_or(0);
            if length > 0 {
                self.calls[slot].described = Some(index);
                self.believe(now, slot, Side::Callee, body);
            }
        }
        if length > 0 {
            self.keep_early(slot, &rewritten[..=length]);
        } else if rings {
            self.await_ringback(now, slot);
        }
        // An offer is the caller's to answer, whatever it is to hear.
        let is_shown = is_shown || !self.calls[slot].offered;
        let body = if is_shown { &rewritten[1..=length] } else { &[] };
        let variant = self.calls[slot].forks[fork].variant;
        self.tell_progress(now, slot, &Progress { status, variant, body, passed: Some(message) });
        self.give_scratch(rewritten);
    }

    /// Whether a description in a 1xx means something: an answer always does, but to an INVITE without
    /// an offer only a reliable response may make one, and once agreed it holds.
    fn heeds_preview(&self, slot: usize, fork: usize, message: &Message<'_>) -> bool {
        let call = &self.calls[slot];
        call.offered || (is_reliable(message) && call.forks[fork].awaits_answer())
    }

    /// An 18x may be all that the vendor ever describes: the caller gets it in the 2xx, if it was not
    /// told so for certain.
    fn keep_early(&mut self, slot: usize, answer: &[u8]) {
        let old = self.calls[slot].answer.take();
        self.kept.release(old);
        match self.kept.keep(answer) {
            Some(kept) => self.calls[slot].answer = kept,
            None => self.counters.add(Counter::KeptFull),
        }
    }

    fn note_ringing(&mut self, now: Instant, slot: usize, index: u8) {
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        let attempt = call.record.attempts.get_mut(usize::from(index));
        if let Some(attempt) = attempt.filter(|attempt| attempt.ringing_ms == NEVER) {
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

    /// The INVITE of an attempt once more, with the next number. Whether it went out.
    pub(super) fn attempt_again(&mut self, now: Instant, slot: usize, index: u8) -> bool {
        let Some(route) = self.route_of(slot) else { return false };
        let candidate = self.calls[slot].branches.candidate_of(index);
        let Some(candidate) = route.candidates().get(candidate) else { return false };
        self.calls[slot].leg(Side::Callee).cseq_local += 1;
        let sent = self.send_attempt(now, slot, index, &route, candidate).is_ok();
        if sent {
            self.await_group(now, slot);
        }
        sent
    }
}
