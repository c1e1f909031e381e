//! Requests passed from one leg to the other inside a call: re-INVITE (hold, resume, new media),
//! UPDATE, INFO, MESSAGE.
//!
//! An offer is a matter of the whole call: one at a time, from either side (RFC 3261 §14). What it
//! describes is believed only once the far side has accepted it; until then the old media goes on.
//!
//! An offer in an UPDATE goes on as one, or as a re-INVITE to a confirmed leg that has not said that it
//! takes UPDATE (RFC 3311 §4).

use core::time::Duration;

use link::record::{CallKey, EndReason};
use sip::refuse::Refusal;
use sip::{Message, Method, Name, header};

use super::hangup::by_side;
use super::invite::{description, patience_of};
use super::{Deadline, Exchange, State, Unacked};
use crate::Instant;
use crate::arena::Field;
use crate::compose::{self, Content, Extensions, Outgoing, Reply, SDP, Says, Told};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::media::{MediaFault, Word};
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, Which, write_request};
use crate::transaction::{
    Birth, Class, Machine, Role, T1, TransactionKey, invite_client, non_invite_client,
};

/// How long the far side may think about an offer, like timer C (§16.6): someone may have to press
/// a button.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// Whoever sent an UPDATE gives up after 32 s, and who is asked by re-INVITE may think as long as it likes.
const UPDATE_PATIENCE: Duration = Duration::from_secs(25);

/// What a failure of one leg becomes on the other.
fn told(status: u16) -> u16 {
    match status {
        // The peer was asked for nothing and cannot authenticate: the change was not possible.
        300..=399 | 401 | 402 | 403 | 407 => 488,
        status => status,
    }
}

/// Whether a request's body is passed on unread.
fn is_opaque(method: Method<'_>) -> bool {
    matches!(method, Method::Info | Method::Message)
}

/// Whether a request inside a call offers something, or asks for an offer.
fn offers(request: &Message<'_>) -> bool {
    let method = request.method();
    method == Method::Invite || (description(request).is_some() && !is_opaque(method))
}

/// Whether a failure means that the far side has no such dialog any more (§12.2.1.2).
pub(super) fn ends_dialog(status: u16) -> bool {
    matches!(status, 408 | 481)
}

/// A request of ours inside a dialog.
pub(super) struct Within<'a> {
    pub(super) method: Method<'a>,
    pub(super) content: Content<'a>,
    /// The other leg's message, of which some header fields go with it.
    pub(super) passed: Option<&'a Message<'a>>,
    pub(super) says: Says<'a>,
    pub(super) extensions: Extensions,
    /// What its transaction is to the call.
    pub(super) role: Role,
    pub(super) peer: Option<TransactionKey>,
}

/// Whether a body of this type can hold addresses of the other leg.
fn tells_of_its_network(content_type: &[u8]) -> bool {
    let begins = |with: &[u8]| {
        content_type.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    begins(SDP) || begins(b"message/") || begins(b"multipart/")
}

/// Who was asked has left meanwhile, and another is in that place: what the two agreed on holds with nobody.
const CHANGED_HANDS: Reply<'_> = Reply::plain(491);

impl Switch {
    /// A re-INVITE, UPDATE, INFO or MESSAGE that matches no transaction.
    pub(super) fn open_exchange(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        let method = request.method();
        if method == Method::Invite {
            // Whoever asks now is there.
            self.calls[slot].deserted[side as usize] = false;
        }
        if self.takes_key(now, slot, side, request) {
            return self.answer_once(now, path, request, key, &Reply::plain(200));
        }
        let served = |side| compose::serves(method, Some(self.profile_of(slot, side)));
        if !Side::BOTH.into_iter().all(served) {
            self.counters.add(Counter::RefusedMethod);
            return self.answer_once(now, path, request, key, &Reply::plain(405));
        }
        if let Some(reply) = self.unfit_exchange(request) {
            return self.answer_once(now, path, request, key, &reply);
        }
        let unfit = self.unfit_session(request);
        if let Some(reply) = unfit.filter(|_| !is_opaque(method)) {
            self.count_unfit(reply.status);
            return self.answer_once(now, path, request, key, &reply);
        }
        if method == Method::Update && description(request).is_none() {
            return self.take_update(now, slot, side, path, request, key);
        }
        if let Some(status) = self.glare(slot, side, request) {
            self.counters.add(Counter::Glare);
            // §14.1: some time up to 10 s for the peer that must wait for itself.
            let retry_after = (status == 500).then(|| (self.random() % 10) as u32 + 1);
            let reply = Reply { retry_after, ..Reply::plain(status) };
            return self.answer_once(now, path, request, key, &reply);
        }
        self.begin_exchange(now, slot, side, path, request, key);
    }

    /// Takes a request on one leg and passes it on.
    pub(super) fn begin_exchange(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        let server = match self.open_server(now, path, request, key, 0, Keep::Request) {
            Ok(server) => server,
            Err(why) => return self.refuse_overload(path, request, why),
        };
        let owner = self.key_of(slot);
        if let Some(transaction) = self.transactions.find(server) {
            transaction.owner = Some(owner);
            transaction.role = Role::Exchange;
        }
        let is_invite = request.method() == Method::Invite;
        if is_invite {
            self.answer(now, server, &Reply::plain(100));
        }
        match self.pass_on(now, slot, side, server, request) {
            Ok(client) if offers(request) => {
                self.calls[slot].exchange = Some(Exchange { from: side, server, client });
                let in_time = is_invite || self.takes_update(slot, side.other());
                let longest = if in_time { PATIENCE } else { UPDATE_PATIENCE };
                let patience = patience_of(request).filter(|_| is_invite);
                let patience = patience.map_or(longest, |patience| patience.min(longest));
                self.set_deadline(slot, Deadline::Exchange, Some(now + patience));
            }
            Ok(_) => {}
            Err(status) => self.answer_exchange(now, server, &Reply::plain(status)),
        }
    }

    /// The checks of §8.2. A body that is not ours to read may be any, but those that are known to tell
    /// of the network they come from: descriptions, and messages in messages.
    pub(super) fn unfit_exchange(&mut self, request: &Message<'_>) -> Option<Reply<'static>> {
        if !is_opaque(request.method()) {
            return self.unfit_request(request);
        }
        if request.list(Name::Require).next().is_some() {
            return Some(self.refusal(Refusal::ExtensionUnsupported));
        }
        let is_foreign = tells_of_its_network(request.content_type().unwrap_or_default());
        is_foreign.then(|| self.refusal(Refusal::ContentTypeUnsupported))
    }

    /// Why an exchange cannot begin now: with 491 the peer waits for the other side, with 500 for
    /// itself (§14.2).
    fn glare(&mut self, slot: usize, side: Side, request: &Message<'_>) -> Option<u16> {
        let offers = offers(request);
        let is_confirmed = self.calls[slot].state.is_confirmed();
        if !is_confirmed && request.method() != Method::Update {
            return Some(500);
        }
        if !is_confirmed && !self.enter_early(slot, side, request) {
            // RFC 3311 §5.2: the first offer, theirs or ours, has no answer yet.
            let is_theirs = self.calls[slot].offered == (side == Side::Caller);
            return Some(if is_theirs { 500 } else { 491 });
        }
        if offers && self.refresh_offers(slot) {
            return Some(491);
        }
        let call = &self.calls[slot];
        let busy = call.exchange.map(|exchange| exchange.from);
        let busy = busy.or(call.unacked.as_ref().map(|unacked| unacked.side));
        let status = |from| if from == side { 500 } else { 491 };
        busy.filter(|_| offers).map(status)
    }

    /// Sends the request on the other leg. The error is the status for the one who sent it.
    fn pass_on(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        server: TransactionKey,
        request: &Message<'_>,
    ) -> Result<TransactionKey, u16> {
        let method = match request.method() {
            Method::Invite => Method::Invite,
            Method::Update if !self.takes_update(slot, side.other()) => Method::Invite,
            // Our own PRACK of what the vendor said went out when it said it.
            Method::Update | Method::Prack => Method::Update,
            Method::Message => Method::Message,
            _ => Method::Info,
        };
        let mut rewritten = self.take_scratch();
        let content = self.content_for(now, slot, side, Word::Offer, request, &mut rewritten);
        let sent = content.and_then(|content| {
            let confirmed = self.calls[slot].state.is_confirmed();
            let extensions = match confirmed && !is_opaque(method) {
                true => self.session_offer(slot, side.other()),
                false => Extensions::NONE,
            };
            let (role, peer) = (Role::Exchange, Some(server));
            let (passed, says) = (Some(request), Says::Nothing);
            let within = Within { method, content, passed, says, extensions, role, peer };
            self.send_within(now, slot, side.other(), &within)
        });
        self.give_scratch(rewritten);
        sent
    }

    /// Whether an offer may go to a leg in an UPDATE. Before the answer nothing else may.
    fn takes_update(&self, slot: usize, side: Side) -> bool {
        let leg = &self.calls[slot].legs[side as usize];
        !leg.confirmed || leg.session.updates
    }

    /// Sends a request on a leg and opens its transaction. The error is the status for whoever waits.
    pub(super) fn send_within(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        within: &Within<'_>,
    ) -> Result<TransactionKey, u16> {
        let branch = self.next_branch().ok_or(503_u16)?;
        let &Within { method, content, passed, says, extensions, role, peer } = within;
        let owner = Some(self.key_of(slot));
        let call = &mut self.calls[slot];
        let (gateway, wishes) = call.party(side);
        let told = Told { peer: Some(self.profiles.of_party(gateway, wishes)), ..Told::default() };
        let invites = call.branches;
        let leg = call.leg(side);
        leg.cseq_local += 1;
        let (path, cseq, is_early) = (leg.path, leg.cseq_local, !leg.confirmed);
        let request = leg.request(method, cseq, branch, content);
        let request = Outgoing { passed, told, says, extensions, ..request };
        let written = write_request(&mut self.outbox, &self.setup, leg.local, path, &request);
        if !self.count_unsent(written) {
            return Err(503);
        }
        let machine = match method {
            Method::Invite => Machine::InviteClient(invite_client::State::Calling),
            _ => Machine::NonInviteClient(non_invite_client::State::Trying),
        };
        let random = branch.random;
        let gateway = self.calls[slot].gateway(side);
        let birth = Birth { owner, role, random, cseq, peer, gateway, ..Birth::of(machine, path) };
        let client = self.open_client(now, birth).map_err(|_| 503_u16)?;
        let invites = invites.iter().filter(|_| is_early && side == Side::Callee);
        for (_, invite) in invites {
            if let Some(invite) = self.transactions.find(invite) {
                let ahead = cseq.saturating_sub(invite.cseq);
                invite.cseq_ahead = u8::try_from(ahead).unwrap_or(u8::MAX);
            }
        }
        Ok(client)
    }

    /// An UPDATE without an offer concerns its own leg alone: a new target, a sign of life.
    fn take_update(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        let server = match self.open_server(now, path, request, key, 0, Keep::Nothing) {
            Ok(server) => server,
            Err(why) => return self.refuse_overload(path, request, why),
        };
        self.refresh_leg(slot, side, request);
        // A vendor may refresh its session while the caller's answer waits for the record.
        let is_confirmed = self.calls[slot].leg(side).confirmed;
        let extensions = match is_confirmed {
            true => self.settle_session(now, slot, side, request),
            false => Extensions::NONE,
        };
        self.answer_to(now, server, request, &Reply { extensions, ..Reply::plain(200) });
        if is_confirmed {
            self.save(slot);
        }
    }

    /// The body for the other leg: a description with our addresses in it, or one that is not ours to
    /// read, as it is.
    fn content_for<'a>(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        word: Word,
        message: &Message<'a>,
        out: &'a mut [u8],
    ) -> Result<Content<'a>, u16> {
        if is_opaque(message.method()) {
            let content_type = message.content_type();
            let body = message.body();
            return Ok(content_type.filter(|_| !body.is_empty()).map(|kind| (kind, body)));
        }
        let Some(body) = description(message) else { return Ok(None) };
        match self.carry(now, slot, side, word, body, out) {
            Ok(length) => Ok(Some((SDP, &out[..length]))),
            Err(MediaFault::Unusable) => {
                self.counters.add(Counter::RefusedMedia);
                Err(488)
            }
            // What is refused is the description, not the request: the session goes on as it was, which is
            // what a 488 tells (RFC 3261 §14.2), and some take a 403 for the end of the dialog.
            Err(MediaFault::Fenced | MediaFault::NoCodec | MediaFault::Unsecured) => Err(488),
            Err(MediaFault::PortsFull(_)) => Err(503),
        }
    }

    fn answer_exchange(&mut self, now: Instant, server: TransactionKey, reply: &Reply<'_>) {
        // The request's To has our tag already, but where a leg is new.
        let owner = self.transactions.find(server).and_then(|transaction| transaction.owner);
        let slot = owner.and_then(|owner| self.live_call(owner));
        let new = slot.and_then(|slot| Some((slot, self.side_of_transfer(slot)?)));
        match new.map(|(slot, side)| self.own_tag(slot, side)) {
            Some(to_tag) => self.answer(now, server, &Reply { to_tag: &to_tag, ..*reply }),
            None => self.answer(now, server, reply),
        }
    }

    /// A response to a passed-on INVITE, whose call lives.
    pub(crate) fn exchange_invite_response(
        &mut self,
        now: Instant,
        owner: CallKey,
        server: TransactionKey,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        let status = message.status().unwrap_or(0);
        let winner = self.tag_hash(message);
        match Class::of(status) {
            Class::Provisional => {}
            Class::Success => {
                let Some(transaction) = self.transactions.find(client) else { return };
                if transaction.winner != 0 {
                    if !self.holds_ack(slot, client) {
                        self.resend(client);
                    }
                    return;
                }
                transaction.winner = winner;
                self.exchange_accepted(now, slot, server, client, message);
            }
            Class::Failure if self.passes_longer(now, slot, server, status, message) => {}
            Class::Failure => self.exchange_failed(now, owner, server, status, message),
        }
    }

    /// After a 422 to what was passed on: once more, for so long as the far side wants (RFC 4028 §7.3). Its
    /// session is ours to agree on, and no business of the one who asked. Whether it went out.
    fn passes_longer(
        &mut self,
        now: Instant,
        slot: usize,
        server: TransactionKey,
        status: u16,
        message: &Message<'_>,
    ) -> bool {
        let exchange = self.calls[slot].exchange.filter(|exchange| exchange.server == server);
        let Some(Exchange { from, client, .. }) = exchange.filter(|_| status == 422) else {
            return false;
        };
        let is_wanted = self.transactions.find(client).is_some_and(|client| !client.cancelled);
        let is_there = self.side_of(slot, message) == Some(from.other());
        let session = &mut self.calls[slot].leg(from.other()).session;
        if !is_wanted || !is_there || !session.lengthen(message) {
            return false;
        }
        let sent = self.with_kept(server, Which::Request, |switch, request| {
            switch.pass_on(now, slot, from, server, request)
        });
        let Some(Ok(client)) = sent else { return false };
        if let Some(exchange) = &mut self.calls[slot].exchange {
            exchange.client = client;
        }
        true
    }

    /// The final response to a passed-on UPDATE, INFO or MESSAGE.
    pub(crate) fn exchange_response(
        &mut self,
        now: Instant,
        owner: CallKey,
        server: TransactionKey,
        message: &Message<'_>,
    ) {
        let status = message.status().unwrap_or(0);
        if Class::of(status) == Class::Failure {
            let slot = self.live_call(owner);
            let is_passed =
                slot.is_some_and(|slot| self.passes_longer(now, slot, server, status, message));
            if !is_passed {
                self.exchange_failed(now, owner, server, status, message);
            }
            return;
        }
        let exchange = self.take_exchange(owner, server);
        let Some((slot, exchange)) = exchange else {
            return self.answer_exchange(now, server, &Reply::plain(status));
        };
        let side = exchange.from.other();
        if self.side_of(slot, message) != Some(side) {
            return self.answer_exchange(now, server, &CHANGED_HANDS);
        }
        let mut rewritten = self.take_scratch();
        let content = self.agree(now, slot, &exchange, message, &mut rewritten);
        match content {
            Ok((content, extensions)) => {
                let reply = Reply { content, extensions, ..Reply::plain(status) };
                self.answer_exchange(now, server, &reply);
                self.save(slot);
            }
            Err(status) => {
                self.answer_exchange(now, server, &Reply::plain(status));
                self.hang_up(now, slot, EndReason::BadMedia, by_side(side), None);
            }
        }
        self.give_scratch(rewritten);
    }

    fn take_exchange(
        &mut self,
        owner: CallKey,
        server: TransactionKey,
    ) -> Option<(usize, Exchange)> {
        let slot = self.live_call(owner)?;
        let call = &mut self.calls[slot];
        let exchange = call.exchange.take_if(|exchange| exchange.server == server)?;
        self.set_deadline(slot, Deadline::Exchange, None);
        Some((slot, exchange))
    }

    /// Both sides have agreed: targets, media and sessions are as they said. Gives the body for the one
    /// who asked, and what to say of its session; the error is the status when there can be none.
    fn agree<'a>(
        &mut self,
        now: Instant,
        slot: usize,
        exchange: &Exchange,
        message: &Message<'a>,
        out: &'a mut [u8],
    ) -> Result<(Content<'a>, Extensions), u16> {
        let (from, to) = (exchange.from, exchange.from.other());
        let is_confirmed = self.calls[slot].state.is_confirmed();
        let asked = self.with_kept(exchange.server, Which::Request, |switch, request| {
            // A PRACK is no target refresh.
            if request.method() != Method::Prack {
                switch.refresh_leg(slot, from, request);
            }
            if let Some(offer) = description(request) {
                switch.believe(now, slot, from, offer);
            }
            let extensions = match is_confirmed {
                true => switch.settle_session(now, slot, from, request),
                false => Extensions::NONE,
            };
            (extensions, description(request).is_some())
        });
        // Who was asked without an offer makes one, and its answer comes in the ACK (RFC 3261 §14.1).
        let (extensions, offered) = asked.unwrap_or((Extensions::NONE, true));
        let word = if offered { Word::Answer } else { Word::Offer };
        self.refresh_leg(slot, to, message);
        if is_confirmed {
            self.heed_session(now, slot, to, message);
        }
        let content = self.content_for(now, slot, to, word, message, out)?;
        if let Some(body) = description(message) {
            self.believe(now, slot, to, body);
        }
        self.with_kept(exchange.client, Which::Sent, |switch, sent| {
            if let Some(offer) = description(sent) {
                switch.keep_description(slot, to, offer);
            }
        });
        if let Some((_, body)) = content {
            self.keep_description(slot, from, body);
        }
        Ok((content, extensions))
    }

    /// A target refresh. A Contact that does not fit leaves the old one in force.
    pub(super) fn refresh_leg(&mut self, slot: usize, side: Side, message: &Message<'_>) {
        let leg = self.calls[slot].leg(side);
        let learned = leg.path;
        let _ = leg.refresh(&self.setup.locals, message);
        self.steer(slot, side, learned);
    }

    /// The far side took the re-INVITE.
    fn exchange_accepted(
        &mut self,
        now: Instant,
        slot: usize,
        server: TransactionKey,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let owner = self.key_of(slot);
        let Some((_, exchange)) = self.take_exchange(owner, server) else {
            // The one who asked is gone from this exchange; the dialog stands and must be acknowledged.
            return;
        };
        let (from, to) = (exchange.from, exchange.from.other());
        if self.side_of(slot, message) != Some(to) {
            self.dismiss(now, client, message);
            self.answer_exchange(now, server, &CHANGED_HANDS);
            return self.leg_not_replaced(now, slot, server);
        }
        let asked = self.with_kept(server, Which::Request, |_, request| {
            let is_invite = request.method() == Method::Invite;
            (description(request).is_some(), is_invite, request.cseq().number)
        });
        let Some((offered, is_invite, cseq)) = asked else { return };
        let mut rewritten = self.take_scratch();
        let agreed = self.agree(now, slot, &exchange, message, &mut rewritten);
        let unusable = agreed.is_err() || (!offered && matches!(agreed, Ok((None, _))));
        if offered || unusable {
            self.send_ack(slot, to, client, None);
        }
        if unusable {
            self.give_scratch(rewritten);
            self.answer_exchange(now, server, &Reply::plain(488));
            return self.hang_up(now, slot, EndReason::BadMedia, by_side(to), None);
        }
        let (content, extensions) = agreed.unwrap_or((None, Extensions::NONE));
        self.answer_exchange(now, server, &Reply { content, extensions, ..Reply::plain(200) });
        self.give_scratch(rewritten);
        if is_invite {
            let carries = (!offered).then_some(client);
            self.await_ack(now, slot, Unacked { side: from, server, cseq, interval: T1, carries });
        }
        self.leg_replaced(now, slot, server);
        self.save(slot);
    }

    /// The far side refused: so is the one who asked. A lost dialog ends the call.
    fn exchange_failed(
        &mut self,
        now: Instant,
        owner: CallKey,
        server: TransactionKey,
        status: u16,
        message: &Message<'_>,
    ) {
        self.take_exchange(owner, server);
        let slot = self.live_call(owner);
        let lost = slot.filter(|_| ends_dialog(status)).map(|slot| {
            self.side_of(slot, message).filter(|&side| !self.may_be_overtaken(slot, side))
        });
        let is = |switch: &mut Self, method: Method<'_>| {
            let is_it = |_: &mut Self, request: &Message<'_>| request.method() == method;
            switch.with_kept(server, Which::Request, is_it) == Some(true)
        };
        let told = match (lost, told(status)) {
            // The PRACK itself was heard: only its offer failed.
            _ if is(self, Method::Prack) => 488,
            // Whoever asked is in its dialog still.
            (Some(None), _) => 480,
            // It was asked by re-INVITE and thought too long about it (RFC 3311 §5.2).
            (_, 487) if is(self, Method::Update) => 504,
            (_, status) => status,
        };
        // Who is in the middle of something says when to come again (§14.2).
        let retry_after = message.value(Name::RetryAfter).and_then(header::retry_after);
        let retry_after = retry_after.filter(|_| told == 500);
        let reply = Reply { passed: Some(message), retry_after, ..Reply::plain(told) };
        self.answer_exchange(now, server, &reply);
        let Some(slot) = slot else { return };
        self.leg_not_replaced(now, slot, server);
        if let Some(Some(lost)) = lost {
            self.hang_up(now, slot, EndReason::DialogLost, by_side(lost), None);
        }
    }

    /// The side that a message of ours went to, or one like it came from. `None`: it has left, or another is
    /// in its place, and what became of its dialog is nobody's business.
    pub(crate) fn side_of(&self, slot: usize, message: &Message<'_>) -> Option<Side> {
        let call = &self.calls[slot];
        Side::BOTH.into_iter().find(|&side| {
            let leg = &call.legs[side as usize];
            let goes_on = leg.confirmed || !call.state.is_confirmed();
            goes_on && leg.text(Field::CallId) == message.call_id()
        })
    }

    /// Whether what a side was asked may have overtaken our 2xx, by which it has its dialog: until the ACK comes
    /// that side may know nothing of it yet, and if there is nobody the ACK will be missed.
    fn may_be_overtaken(&self, slot: usize, side: Side) -> bool {
        side == Side::Caller && self.calls[slot].state == State::Answered
    }

    /// The far side, if it is still there, said nothing at all.
    pub(crate) fn exchange_unanswered(
        &mut self,
        now: Instant,
        owner: CallKey,
        server: TransactionKey,
        lost: Option<Side>,
    ) {
        self.take_exchange(owner, server);
        let told = if lost.is_some() { 408 } else { 480 };
        self.answer_exchange(now, server, &Reply::plain(told));
        if let Some(slot) = self.live_call(owner) {
            self.leg_not_replaced(now, slot, server);
            if let Some(lost) = lost {
                self.hang_up(now, slot, EndReason::DialogLost, by_side(lost), None);
            }
        }
    }

    /// CANCEL of a re-INVITE: passed on; the answer to it ends the exchange (§9.2).
    pub(super) fn cancel_exchange(
        &mut self,
        now: Instant,
        slot: usize,
        server: TransactionKey,
        cancel: &Message<'_>,
    ) {
        let exchange = self.calls[slot].exchange.filter(|exchange| exchange.server == server);
        if let Some(exchange) = exchange {
            self.cancel_client(now, exchange.client, Some(cancel));
        }
    }

    /// The far side says that it works on it, and no more, or whoever asked waits no longer. Cancelled, it
    /// must end it (§9.1).
    pub(super) fn exchange_late(&mut self, now: Instant, slot: usize) {
        let call = &self.calls[slot];
        let offer = call.exchange.map(|exchange| exchange.client);
        let offer = offer.or(call.refresh.map(|(_, client)| client));
        if let Some(client) = offer {
            self.cancel_client(now, client, None);
        }
    }

    /// The call ends in the middle of an exchange.
    pub(super) fn abort_exchange(&mut self, now: Instant, slot: usize) {
        if let Some(exchange) = self.calls[slot].exchange.take() {
            self.answer_exchange(now, exchange.server, &Reply::plain(487));
            self.cancel_client(now, exchange.client, None);
        }
    }
}
