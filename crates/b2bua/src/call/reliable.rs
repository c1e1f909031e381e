//! Provisional responses: each minute one (RFC 3261 §13.3.1.1), and those that arrive for certain
//! (RFC 3262), on each leg by itself.
//!
//! **The caller's leg.** A caller that knows 100rel gets every 18x reliably: numbered, and repeated at
//! doubling intervals until its PRACK. One is out at a time (§3). Of those that come meanwhile one waits
//! its turn: a later one takes the place of an earlier, and of two forks the one with a description
//! stays. What was described reliably is not said again: the 2xx of that fork has no description. A 2xx
//! waits until a description before it was acknowledged. 64·T1 without PRACK end the call with 504.
//!
//! **The vendor's leg.** A reliable 1xx gets its PRACK, in the order of the numbers of its fork; what
//! comes again or out of order is ignored. Our PRACK may fail as it likes: then the vendor ends the call.
//!
//! **Both.** With an offer in the INVITE, the answer in a reliable 1xx completes it; in the 2xx it is
//! still told to a caller that knows no 100rel. Without one, the offer in a reliable 1xx is told to the
//! caller reliably, and the answer goes from the caller's PRACK into ours to the vendor, which waits for
//! it. Once both dialogs of a fork have agreed, offers pass by UPDATE before the answer (RFC 3311). One in
//! the caller's PRACK becomes an UPDATE too (§5), and its answer stands in the 200; where nobody takes it,
//! it gets 488. The PRACK acknowledges either way.

use core::time::Duration;

use link::Profile;
use link::profile::Rel100;
use link::record::{EndReason, EndedBy};
use sip::header::{Rack, reliable};
use sip::{Message, Method, Name};

use super::exchange::Within;
use super::invite::description;
use super::{Commitment, Deadline, State};
use crate::Instant;
use crate::arena::Field;
use crate::compose::{Acked, Extensions, REL100, Reply, SDP, Says, Tags};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::kept::Kept;
use crate::keys::{self, Token};
use crate::media::Word;
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::Which;
use crate::transaction::{Role, T1, TransactionKey};

/// Forks of one attempt that are told apart; further ones share the last To-tag.
pub(super) const FORKS_MAX: usize = 4;

/// Repetitions of a reliable response: the last leaves 31.5 s after the first.
const REPETITIONS: u8 = 6;

/// How soon a caller that waits hears again that it rings, so that no proxy on the way gives it up.
const REMINDER: Duration = Duration::from_secs(60);

const TAGS: Tags = Tags { rel100: true, ..Tags::NONE };

/// What the caller knows of a fork's description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing for certain.
    #[default]
    Not,
    /// It was sent reliably, or waits for that.
    Sent,
    /// It acknowledged it.
    Known,
}

/// One dialog that a vendor's side opened, told to the caller under an own To-tag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fork {
    /// Hash of the vendor's To-tag; 0: none.
    pub(super) tag: u64,
    /// What tells our To-tag from the others of this call.
    pub(super) variant: u8,
    pub(super) shown: Shown,
    /// Whether offer and answer were exchanged reliably with the vendor.
    pub(super) agreed: bool,
    /// The number of the vendor's last reliable response; 0: none.
    rseq: u32,
    /// The number of the INVITE that it answers.
    invite: u32,
    /// The number of the caller's last request in this dialog: each fork's are counted apart.
    cseq: u32,
}

impl Fork {
    /// Whether its description is agreed on: another one cannot take its place.
    pub(super) fn is_told(&self) -> bool {
        self.agreed || self.shown != Shown::Not
    }

    /// Whether an offer of its would be news to the caller.
    pub(super) fn awaits_answer(&self) -> bool {
        !self.agreed && self.shown == Shown::Not
    }
}

/// What the caller is told before the answer.
pub(super) struct Progress<'a> {
    pub(super) status: u16,
    /// Of which fork.
    pub(super) variant: u8,
    /// The description, rewritten; empty: none.
    pub(super) body: &'a [u8],
    /// The vendor's response, of which some header fields may pass.
    pub(super) passed: Option<&'a Message<'a>>,
}

/// What waits for the PRACK of the response before it.
struct Next {
    status: u16,
    variant: u8,
    body: Kept,
}

/// The reliable provisional responses of a caller's INVITE.
pub(super) struct Reliable {
    /// Whether the caller is told reliably.
    is_on: bool,
    /// Whether the last one waits for its PRACK.
    waits: bool,
    /// Whether it described the media.
    described: bool,
    /// Whose it was.
    variant: u8,
    repetitions: u8,
    /// The 2xx waits for the PRACK.
    held: Option<Commitment>,
    /// The number of the last one; 0: none yet.
    rseq: u32,
    /// The number of the INVITE.
    cseq: u32,
    next: Option<Next>,
}

impl Reliable {
    pub(super) const NONE: Self = Self {
        is_on: false,
        waits: false,
        described: false,
        variant: 0,
        repetitions: 0,
        held: None,
        rseq: 0,
        cseq: 0,
        next: None,
    };

    /// Whether the caller is told reliably.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Takes out what waits.
    pub(super) fn take_next(&mut self) -> Kept {
        self.next.take().map_or(Kept::NONE, |next| next.body)
    }
}

/// Whether the sender of an INVITE takes reliable responses.
fn knows_rel100(invite: &Message<'_>) -> bool {
    [Name::Supported, Name::Require].into_iter().any(|name| invite.lists(name, REL100))
}

/// The number of a reliable response.
fn reliable_number(response: &Message<'_>) -> Option<u32> {
    let is_reliable = response.lists(Name::Require, REL100);
    response.value(Name::RSeq).filter(|_| is_reliable).and_then(reliable::rseq)
}

/// Whether a 1xx is to be acknowledged.
pub(super) fn is_reliable(response: &Message<'_>) -> bool {
    reliable_number(response).is_some()
}

impl Switch {
    /// What the customer's profile and the caller's INVITE make of each other. `Some`: the refusal.
    pub(super) fn settle_extensions(&mut self, slot: usize) -> Option<Reply<'static>> {
        let server = self.calls[slot].invite?;
        self.with_kept(server, Which::Request, |switch, invite| {
            let wish = Rel100::from(switch.profile_of(slot, Side::Caller).rel100);
            let knows = knows_rel100(invite);
            let refused = |extensions, status| Some(Reply { extensions, ..Reply::plain(status) });
            let unsupported = Extensions { unsupported: TAGS, ..Extensions::NONE };
            let required = Extensions { required: TAGS, ..Extensions::NONE };
            let reliable = &mut switch.calls[slot].reliable;
            reliable.is_on = knows && wish != Rel100::Off;
            reliable.cseq = invite.cseq().number;
            let refusal = match wish {
                Rel100::Off if invite.lists(Name::Require, REL100) => refused(unsupported, 420),
                Rel100::Required if !knows => refused(required, 421),
                _ => switch.unfit_session(invite),
            };
            if let Some(reply) = &refusal {
                switch.count_unfit(reply.status);
            }
            refusal
        })?
    }

    pub(super) fn count_unfit(&mut self, status: u16) {
        self.counters.add(match status {
            422 => Counter::RefusedSessionShort,
            _ => Counter::RefusedUnsupported,
        });
    }

    /// What our INVITE to a vendor says of extensions.
    pub(super) fn attempt_extensions(&self, slot: usize, peer: Option<&Profile>) -> Extensions {
        let Some(peer) = peer else { return Extensions::NONE };
        let call = &self.calls[slot];
        let wish = Rel100::from(peer.rel100);
        // An offer in an 18x would have nobody to answer it, where the caller cannot.
        let is_useful = call.offered || call.reliable.is_on;
        let required = wish == Rel100::Required;
        let mut extensions = self.session_offer_to(slot, Side::Callee, peer);
        extensions.supported.rel100 = required || (wish == Rel100::Supported && is_useful);
        extensions.required.rel100 = required;
        extensions
    }

    /// Whether a request was sent in another of the caller's dialogs than the one that was answered.
    pub(super) fn is_in_lost_fork(&self, slot: usize, side: Side, request: &Message<'_>) -> bool {
        let leg = &self.calls[slot].legs[side as usize];
        let is_its = request.to().tag() == Some(leg.text(Field::LocalTag));
        side == Side::Caller && leg.confirmed && !is_its
    }

    /// The fork of the caller's early dialog that a request was sent in.
    fn early_fork(&mut self, slot: usize, side: Side, request: &Message<'_>) -> Option<&mut Fork> {
        let tag = Token::read(request.to().tag()?)?;
        let variant = tag.place(&self.setup.keys).variant;
        let is_lost = self.is_in_lost_fork(slot, side, request);
        let call = &mut self.calls[slot];
        let is_early = side == Side::Caller && (!call.legs[side as usize].confirmed || is_lost);
        let mut forks = call.forks.iter_mut().filter(|fork| is_early && fork.tag != 0);
        forks.find(|fork| fork.variant == variant)
    }

    /// Takes the number of a request of the far end. Whether it is higher than those before (RFC 3261
    /// §12.2.2). The early dialogs of a caller are counted apart.
    pub(super) fn take_number(&mut self, slot: usize, side: Side, request: &Message<'_>) -> bool {
        let number = request.cseq().number;
        let invite = self.calls[slot].reliable.cseq;
        let last = match self.early_fork(slot, side, request) {
            Some(fork) => {
                let last = fork.cseq.max(invite);
                fork.cseq = last.max(number);
                Some(last)
            }
            None => {
                let place = &mut self.calls[slot].leg(side).cseq_remote;
                let last = *place;
                *place = last.max(Some(number));
                last
            }
        };
        last.is_none_or(|last| number > last)
    }

    /// The caller's dialog goes on from the numbers of the fork that answered. Gives that of the INVITE.
    pub(super) fn confirm_numbers(&mut self, slot: usize) -> u32 {
        let call = &mut self.calls[slot];
        let tag = call.legs[Side::Caller as usize].text(Field::LocalTag);
        let variant = Token::read(tag).map(|tag| tag.place(&self.setup.keys).variant);
        let fork = call.forks.iter().find(|fork| fork.tag != 0 && Some(fork.variant) == variant);
        let invite = call.reliable.cseq;
        let last = fork.map_or(0, |fork| fork.cseq).max(invite);
        call.leg(Side::Caller).cseq_remote = Some(last);
        invite
    }

    /// The vendor's fork that a response belongs to, by index. One not heard before gets an own To-tag.
    pub(super) fn fork_of(&mut self, slot: usize, message: &Message<'_>) -> usize {
        let tag = self.tag_hash(message);
        let call = &mut self.calls[slot];
        let known = call.forks.iter().position(|fork| fork.tag == tag);
        known.unwrap_or_else(|| {
            let index = call.forks.iter().position(|fork| fork.tag == 0).unwrap_or(FORKS_MAX - 1);
            call.variants = call.variants.wrapping_add(1);
            call.forks[index] = Fork { tag, variant: call.variants, ..Fork::default() };
            index
        })
    }

    /// Takes a 1xx of a vendor. `false`: it is not to be heeded.
    pub(super) fn take_progress(
        &mut self,
        now: Instant,
        slot: usize,
        client: TransactionKey,
        message: &Message<'_>,
    ) -> bool {
        let Some(rseq) = reliable_number(message) else { return true };
        let index = self.fork_of(slot, message);
        let call = &mut self.calls[slot];
        let fork = &mut call.forks[index];
        let before = fork.rseq;
        if fork.rseq != 0 && Some(rseq) != fork.rseq.checked_add(1) {
            self.counters.add(Counter::ProvisionalsRepeated);
            return false;
        }
        let mut early = call.legs[Side::Callee as usize].clone();
        let learned = early.path;
        if early.open_early(&self.setup.locals, message).is_err() {
            self.counters.add(Counter::RefusedTooLong);
            return false;
        }
        call.legs[Side::Callee as usize] = early;
        fork.rseq = rseq;
        fork.invite = self.transactions.find(client).map_or(0, |transaction| transaction.cseq);
        let describes = description(message).is_some() && !fork.agreed;
        self.steer(slot, Side::Callee, learned);
        let call = &self.calls[slot];
        if call.offered || !describes {
            let sent = self.send_prack(now, slot, index, b"");
            let fork = &mut self.calls[slot].forks[index];
            // What could not be acknowledged comes again, and is as new then.
            fork.rseq = if sent { rseq } else { before };
            fork.agreed |= describes && sent;
            return sent;
        }
        if !call.reliable.is_on {
            // The answer would be the caller's to give, in its PRACK.
            self.counters.add(Counter::RefusedMedia);
            let (reason, by) = (EndReason::BadMedia, EndedBy::Server);
            self.stop_search(now, slot, 488, reason, by, None);
            return false;
        }
        true
    }

    /// Acknowledges the last reliable response of a fork, in the early dialog that it opened. Whether
    /// it went out.
    fn send_prack(&mut self, now: Instant, slot: usize, fork: usize, body: &[u8]) -> bool {
        let Fork { rseq, invite: cseq, .. } = self.calls[slot].forks[fork];
        let extensions = Extensions { acked: Some(Acked { rseq, cseq }), ..Extensions::NONE };
        let prack = Within {
            method: Method::Prack,
            content: (!body.is_empty()).then_some((SDP, body)),
            passed: None,
            says: Says::Nothing,
            extensions,
            // Where it fails, the vendor gives the call up.
            role: Role::None,
            peer: None,
        };
        self.send_within(now, slot, Side::Callee, &prack).is_ok()
    }

    /// Tells the caller what a vendor's fork says, reliably if it wants it so.
    pub(super) fn tell_progress(&mut self, now: Instant, slot: usize, progress: &Progress<'_>) {
        let call = &self.calls[slot];
        if !call.reliable.is_on {
            return self.send_progress(now, slot, progress, None);
        }
        let fork = call.forks.iter().find(|fork| fork.variant == progress.variant);
        let is_news = fork.is_none_or(|fork| fork.shown == Shown::Not);
        let body = if is_news { progress.body } else { b"" };
        let progress = Progress { body, ..*progress };
        if call.reliable.waits {
            self.queue_progress(slot, &progress);
        } else {
            self.send_reliably(now, slot, &progress);
        }
    }

    fn send_progress(
        &mut self,
        now: Instant,
        slot: usize,
        progress: &Progress<'_>,
        rseq: Option<u32>,
    ) {
        let Some(server) = self.calls[slot].invite else { return };
        let &Progress { status, variant, body, passed } = progress;
        let to_tag = &self.leg_tag(slot, Side::Caller, variant);
        let content = (!body.is_empty()).then_some((SDP, body));
        let required = Tags { rel100: rseq.is_some(), ..Tags::NONE };
        let extensions = Extensions { required, rseq, ..Extensions::NONE };
        let reply = Reply { to_tag, passed, extensions, content, ..Reply::plain(status) };
        self.answer(now, server, &reply);
        self.set_deadline(slot, Deadline::Repeat, Some(now + REMINDER));
    }

    /// A minute has passed since the caller was told something: the same again. What it is told reliably
    /// has a number of its own each time, and needs no reminder while it waits for a PRACK.
    pub(super) fn repeat_progress(&mut self, now: Instant, slot: usize) {
        let call = &self.calls[slot];
        let Some(server) = call.invite else { return };
        let Reliable { is_on, waits, variant, .. } = call.reliable;
        self.set_deadline(slot, Deadline::Repeat, Some(now + REMINDER));
        if !is_on {
            return self.resend(server);
        }
        let status = self.with_kept(server, Which::Sent, |_, told| told.status()).flatten();
        let Some(status) = status.filter(|_| !waits) else { return };
        self.send_reliably(now, slot, &Progress { status, variant, body: b"", passed: None });
    }

    fn send_reliably(&mut self, now: Instant, slot: usize, progress: &Progress<'_>) {
        // §3: the first number is drawn from the lower half of those there are.
        let first = self.random() as u32 & 0x7fff_ffff;
        let call = &mut self.calls[slot];
        let &Progress { variant, body, .. } = progress;
        let described = !body.is_empty();
        let reliable = &mut call.reliable;
        let rseq = if reliable.rseq == 0 { first } else { reliable.rseq + 1 };
        (reliable.waits, reliable.described, reliable.variant) = (true, described, variant);
        (reliable.rseq, reliable.repetitions) = (rseq, 0);
        if described {
            if let Some(fork) = call.forks.iter_mut().find(|fork| fork.variant == variant) {
                fork.shown = Shown::Sent;
            }
            self.keep_description(slot, Side::Caller, body);
        }
        self.send_progress(now, slot, progress, Some(rseq));
        self.set_deadline(slot, Deadline::Prack, Some(now + T1));
    }

    /// One waits for the PRACK of the one before.
    fn queue_progress(&mut self, slot: usize, progress: &Progress<'_>) {
        let &Progress { status, variant, body, .. } = progress;
        let old = self.calls[slot].reliable.next.take();
        if old.is_some() {
            self.counters.add(Counter::ProvisionalsSkipped);
        }
        let next = match old {
            // A bare word of another fork is no reason to hold a description back.
            Some(old) if old.variant != variant && body.is_empty() && !old.body.is_none() => old,
            Some(old) if old.variant == variant && body.is_empty() => Next { status, ..old },
            old => {
                self.kept.release(old.map_or(Kept::NONE, |old| old.body));
                let kept = if body.is_empty() { None } else { self.kept.keep(body) };
                if kept.is_none() && !body.is_empty() {
                    self.counters.add(Counter::KeptFull);
                }
                Next { status, variant, body: kept.unwrap_or(Kept::NONE) }
            }
        };
        self.calls[slot].reliable.next = Some(next);
    }

    /// Our reliable response again, or never more (§3).
    pub(super) fn prack_late(&mut self, now: Instant, slot: usize) {
        let reliable = &mut self.calls[slot].reliable;
        if reliable.repetitions == REPETITIONS {
            self.counters.add(Counter::PracksMissing);
            let (reason, by) = (EndReason::NoAck, EndedBy::Server);
            return match self.calls[slot].state {
                State::Committing => self.drop_answered(now, slot, 504, reason, by),
                _ => self.stop_search(now, slot, 504, reason, by, None),
            };
        }
        reliable.repetitions += 1;
        let is_last = reliable.repetitions == REPETITIONS;
        // 64·T1 after the first it ends.
        let wait = if is_last { T1 } else { T1 * (1 << reliable.repetitions) };
        if let Some(server) = self.calls[slot].invite {
            self.resend(server);
        }
        self.set_deadline(slot, Deadline::Prack, Some(now + wait));
    }

    /// Whether the 2xx must wait, because a description before it was not acknowledged (§3).
    pub(super) fn holds_answer(&mut self, slot: usize, commitment: Commitment) -> bool {
        let reliable = &mut self.calls[slot].reliable;
        let holds = reliable.waits && reliable.described;
        if holds {
            reliable.held = Some(commitment);
            self.set_deadline(slot, Deadline::Commit, None);
        }
        holds
    }

    /// The final answer is given: nothing provisional follows it. A PRACK may still come.
    pub(super) fn end_progress(&mut self, slot: usize) {
        let reliable = &mut self.calls[slot].reliable;
        reliable.held = None;
        let kept = reliable.take_next();
        self.kept.release(kept);
        self.set_deadline(slot, Deadline::Prack, None);
    }

    /// PRACK.
    pub(super) fn prack(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        if let Some(reply) = self.unfit_request(request) {
            return self.answer_once(now, path, request, key, &reply);
        }
        let Some(acked) = request.value(Name::RAck).and_then(Rack::parse) else {
            self.counters.add(Counter::PracksUnmatched);
            return self.answer_once(now, path, request, key, &Reply::plain(400));
        };
        let variant = request.to().tag().and_then(Token::read);
        let variant = variant.map(|tag| tag.place(&self.setup.keys).variant);
        let reliable = &self.calls[slot].reliable;
        let is_awaited = side == Side::Caller
            && reliable.waits
            && acked.rseq == reliable.rseq
            && acked.cseq.number == reliable.cseq
            && acked.cseq.method == Method::Invite
            && variant == Some(reliable.variant);
        if !is_awaited {
            self.counters.add(Counter::PracksUnmatched);
            return self.answer_once(now, path, request, key, &Reply::plain(481));
        }
        if !self.take_number(slot, side, request) {
            self.counters.add(Counter::SequenceOld);
            return self.answer_once(now, path, request, key, &Reply::plain(500));
        }
        self.calls[slot].reliable.waits = false;
        self.set_deadline(slot, Deadline::Prack, None);
        match self.answered_fork(slot) {
            Some(fork) => {
                self.answer_once(now, path, request, key, &Reply::plain(200));
                self.carry_in_prack(now, slot, fork, description(request));
            }
            // What answers an offer of a vendor who is sought no more comes to nothing.
            None if description(request).is_none()
                || self.calls[slot].state == State::Cancelling =>
            {
                self.answer_once(now, path, request, key, &Reply::plain(200));
            }
            // A new offer (§5). It acknowledges whether it can be passed on or not.
            None if self.calls[slot].exchange.is_none()
                && self.enter_early(slot, side, request) =>
            {
                self.begin_exchange(now, slot, side, path, request, key);
            }
            None => {
                self.counters.add(Counter::RefusedMedia);
                self.answer_once(now, path, request, key, &Reply::plain(488));
            }
        }
        self.go_on(now, slot);
    }

    /// The caller knows for certain now what it was told last. The fork whose offer that was, if it was
    /// one: the PRACK must answer it.
    fn answered_fork(&mut self, slot: usize) -> Option<usize> {
        let call = &mut self.calls[slot];
        let is_sought = matches!(call.state, State::Trying | State::Ringing);
        let variant = call.reliable.variant;
        let index = call.forks.iter().position(|fork| fork.variant == variant && fork.tag != 0);
        let index = index.filter(|_| is_sought && call.reliable.described)?;
        let fork = &mut call.forks[index];
        fork.shown = Shown::Known;
        (!call.offered && !fork.agreed).then_some(index)
    }

    /// The answer to the vendor's offer travels in PRACKs. Without one there is nothing to talk by.
    fn carry_in_prack(&mut self, now: Instant, slot: usize, fork: usize, body: Option<&[u8]>) {
        if !self.try_carry_in_prack(now, slot, fork, body) {
            self.counters.add(Counter::RefusedMedia);
            let (reason, by) = (EndReason::BadMedia, EndedBy::Server);
            self.stop_search(now, slot, 488, reason, by, None);
        }
    }

    /// Whether there was an answer that went out.
    fn try_carry_in_prack(
        &mut self,
        now: Instant,
        slot: usize,
        fork: usize,
        body: Option<&[u8]>,
    ) -> bool {
        let Some(body) = body.filter(|_| self.leg_fork(slot) == Some(fork)) else { return false };
        let mut rewritten = self.take_scratch();
        let carried = self.carry(now, slot, Side::Caller, Word::Answer, body, &mut rewritten).ok();
        let sent = carried.is_some_and(|length| {
            self.believe(now, slot, Side::Caller, body);
            self.keep_description(slot, Side::Callee, &rewritten[..length]);
            self.send_prack(now, slot, fork, &rewritten[..length])
        });
        self.give_scratch(rewritten);
        self.calls[slot].forks[fork].agreed = sent;
        sent
    }

    /// What waited for a PRACK.
    fn go_on(&mut self, now: Instant, slot: usize) {
        let reliable = &mut self.calls[slot].reliable;
        if let Some(commitment) = reliable.held.take() {
            return self.answer_caller(now, slot, commitment);
        }
        let Some(Next { status, variant, body }) = reliable.next.take() else { return };
        let mut room = self.take_scratch();
        let text = self.kept.copy(&body, &mut room);
        let progress = Progress { status, variant, body: text, passed: None };
        self.send_reliably(now, slot, &progress);
        self.give_scratch(room);
        self.kept.release(body);
    }

    /// The fork that the vendor's leg speaks with.
    fn leg_fork(&self, slot: usize) -> Option<usize> {
        let call = &self.calls[slot];
        let tag = call.legs[Side::Callee as usize].text(Field::RemoteTag);
        let tag = keys::hash(&self.setup.keys.tag, tag) | 1;
        call.forks.iter().position(|fork| fork.tag == tag)
    }

    /// Turns both legs to the early dialogs that a request was sent in, if offer and answer were
    /// exchanged reliably in both: then another offer may pass (RFC 3311 §5.1).
    pub(super) fn enter_early(&mut self, slot: usize, side: Side, request: &Message<'_>) -> bool {
        if !matches!(self.calls[slot].state, State::Trying | State::Ringing) {
            return false;
        }
        let asked = self.early_fork(slot, side, request).map(|fork| fork.variant);
        let Some(fork) = self.leg_fork(slot).map(|index| self.calls[slot].forks[index]) else {
            return false;
        };
        let is_same = side == Side::Callee || asked == Some(fork.variant);
        if !is_same || fork.shown != Shown::Known || !fork.agreed {
            return false;
        }
        // A response to the INVITE may have turned the leg back to where that went.
        let learned = self.calls[slot].leg(Side::Callee).path;
        self.calls[slot].leg(Side::Callee).follow(&self.setup.locals);
        self.steer(slot, Side::Callee, learned);
        let tag = self.leg_tag(slot, Side::Caller, fork.variant);
        self.calls[slot].leg(Side::Caller).arena.set(Field::LocalTag, &tag).is_ok()
    }
}
