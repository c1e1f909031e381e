//! Transfers (RFC 3515, RFC 5589): a side of a call names somebody who is to take its place.
//!
//! The call goes on with one leg turned round. The target is called by an INVITE of ours to ourselves,
//! which becomes a call of its own, admitted, charged to the transferor and recorded like any other: so
//! each leg has its account. Only the path between the two is special, for it stays inside
//! ([`Inside`]). Of an attended transfer the same INVITE says which call it takes the place in
//! (`replace.rs`), wherever in the box that call lives.
//!
//! ```text
//!   A ── call ── B          A ── call ── B          A ── call      B is free
//!         B: REFER to C  ⇒         │ INVITE     ⇒         │
//!                                  call ── C              call ── C
//! ```
//!
//! The INVITE has no offer: the target's comes with its answer, goes to whoever stays in a re-INVITE, and
//! the answer to that travels back in the ACK (RFC 3725 §4.1). Until then nothing is lost: on any failure
//! the two who talked talk on, unless the transferor has left.

use link::record::{CallKey, EndReason};
use sip::header::{ReferTo, Replaces};
use sip::uri::Scheme;
use sip::{Message, Method, Name};

use super::exchange::{PATIENCE, Within};
use super::hangup::by_side;
use super::invite::description;
use super::{Call, Deadline, Session};
use crate::Instant;
use crate::arena::{Field, TooLong};
use crate::compose::{self, Extensions, Outgoing, Reply, SDP, Says};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::keys::{Place, Token, mint_call_id, shard_of};
use crate::media::MediaFault;
use crate::path::{Inside, Path};
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, write_request};
use crate::transaction::{Birth, Class, Machine, Role, TransactionKey, invite_client};
use crate::transfers::{Stage, Transfer};

/// The longest Call-ID with tags that an attended transfer may name.
const REPLACES_BYTES: usize = 512;

/// What a REFER asks for.
struct Wish<'a> {
    /// The target, as it would be dialled.
    number: &'a [u8],
    replaces: Option<Replaces<'a>>,
}

impl<'a> Wish<'a> {
    /// The error is the status of the refusal.
    fn read(request: &Message<'a>, room: &'a mut [u8]) -> Result<Self, u16> {
        let mut targets = request.list(Name::ReferTo);
        let (Some(target), None) = (targets.next(), targets.next()) else { return Err(400) };
        let target = ReferTo::parse(target).ok_or(400_u16)?;
        if target.method() != Method::Invite {
            return Err(501);
        }
        let uri = target.address.uri();
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel) {
            return Err(416);
        }
        let number = uri.user().ok_or(484_u16)?;
        let replaces = target.replaces(room).map_err(|_| 400_u16)?;
        Ok(Self { number, replaces })
    }
}

/// Whether the sender of a REFER wants to hear what becomes of it (RFC 4488).
fn wants_news(request: &Message<'_>) -> bool {
    let wish = request.value(Name::ReferSub).unwrap_or(b"true");
    !wish.get(..5).is_some_and(|wish| wish.eq_ignore_ascii_case(b"false"))
}

/// The transferor's number: whose account pays is who calls.
fn number_of(call: &Call, side: Side) -> &[u8] {
    match side {
        Side::Caller => call.record.facts.caller.as_bytes(),
        Side::Callee => call.record.facts.callee.as_bytes(),
    }
}

impl Switch {
    /// REFER inside a call.
    pub(super) fn refer(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) {
        if !compose::serves(Method::Refer, Some(self.profile_of(slot, side))) {
            self.counters.add(Counter::RefusedMethod);
            return self.answer_once(now, path, request, key, &Reply::plain(405));
        }
        if let Some(reply) = self.unfit_request(request) {
            return self.answer_once(now, path, request, key, &reply);
        }
        let mut room = [0; REPLACES_BYTES];
        let wish = match Wish::read(request, &mut room) {
            Ok(_) if !self.may_transfer(slot) => Err(491),
            wish => wish,
        };
        let wish = match wish {
            Ok(wish) => wish,
            Err(status) => {
                self.counters.add(Counter::TransfersRefused);
                return self.answer_once(now, path, request, key, &Reply::plain(status));
            }
        };
        if !self.transfers.has_room() {
            return self.refuse_overload(path, request, Counter::TransfersFull);
        }
        match self.open_server(now, path, request, key, 0, Keep::Nothing) {
            Ok(server) => self.answer_to(now, server, request, &Reply::plain(202)),
            Err(why) => return self.refuse_overload(path, request, why),
        }
        self.counters.add(Counter::Transfers);
        self.refresh_leg(slot, side, request);
        self.call_target(now, slot, side, request, &wish);
    }

    /// One thing at a time: a call that is being changed is not transferred.
    pub(super) fn may_transfer(&self, slot: usize) -> bool {
        let call = &self.calls[slot];
        let is_busy = call.transfer.is_some() || call.exchange.is_some() || call.refresh.is_some();
        call.state.is_confirmed() && !is_busy && call.legs.iter().all(|leg| leg.confirmed)
    }

    /// Calls the target, on behalf of the transferor.
    fn call_target(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        request: &Message<'_>,
        wish: &Wish<'_>,
    ) {
        let place = self.transfers.open(Transfer {
            side,
            stage: Stage::Calling { invite: TransactionKey::NONE },
            spare: Leg::new(),
            refer: request.cseq().number,
            told: if wants_news(request) { 100 } else { 0 },
        });
        self.calls[slot].transfer = place;
        self.tell_transferor(now, slot, 100);
        let sent = self.target_leg(slot, side, wish).map_err(|_| 414_u16);
        let sent = sent.and_then(|leg| self.invite_target(now, slot, leg, wish.replaces));
        if let Err(status) = sent {
            self.transfer_failed(now, slot, status);
        }
    }

    /// A leg from this call to the one that the target is called by, or that it talks in.
    fn target_leg(&mut self, slot: usize, side: Side, wish: &Wish<'_>) -> Result<Leg, TooLong> {
        let random = self.random();
        let from = self.calls[slot].shard();
        let call_id = mint_call_id(from, self.random(), &self.setup.keys);
        let call = &self.calls[slot];
        let to = wish.replaces.map_or(from, |it| shard_of(it.call_id, &self.setup.keys));
        let place = Place { slot: slot as u32, variant: 0, generation: call.generation };
        let local = call.legs[side as usize].local;
        let host = self.host_of(local);
        let target = compose::uri(wish.number, host);
        let transferor = compose::uri(number_of(call, side), host);
        let target = target.text().ok_or(TooLong)?;
        let texts = [
            (Field::CallId, &call_id.text()[..]),
            (Field::LocalTag, &Token::of(place, random, &self.setup.keys).text()),
            (Field::LocalUri, transferor.text().ok_or(TooLong)?),
            (Field::RemoteUri, target),
            (Field::Target, target),
        ];
        let path = Inside { to, from }.path(self.setup.locals[usize::from(local)].sip());
        let mut leg = Leg { path, local, random, cseq_local: 1, ..Leg::new() };
        for (field, text) in texts {
            leg.arena.set(field, text)?;
        }
        Ok(leg)
    }

    /// The error is what the transferor is told.
    fn invite_target(
        &mut self,
        now: Instant,
        slot: usize,
        leg: Leg,
        replaces: Option<Replaces<'_>>,
    ) -> Result<(), u16> {
        let branch = self.next_branch().ok_or(503_u16)?;
        let request = leg.request(Method::Invite, leg.cseq_local, branch, None);
        let says = replaces.map_or(Says::Nothing, Says::Replaces);
        let request = Outgoing { says, ..request };
        let written = write_request(&mut self.outbox, &self.setup, leg.local, leg.path, &request);
        if !self.count_unsent(written) {
            return Err(503);
        }
        let birth = Birth {
            owner: Some(self.key_of(slot)),
            role: Role::Transfer,
            random: branch.random,
            cseq: leg.cseq_local,
            ..Birth::of(Machine::InviteClient(invite_client::State::Calling), leg.path)
        };
        let invite = self.open_client(now, birth).map_err(|_| 503_u16)?;
        if let Some(transfer) = self.calls[slot].transfer.and_then(|it| self.transfers.at(it)) {
            transfer.spare = leg;
            transfer.stage = Stage::Calling { invite };
        }
        Ok(())
    }

    /// How far the transfer of a call has come.
    pub(super) fn transfer_stage(&self, slot: usize) -> Option<Stage> {
        let transfer = self.transfers.peek(self.calls[slot].transfer?)?;
        Some(transfer.stage)
    }

    /// Whether a side of a call is in the middle of changing hands, so that nothing can be asked of it.
    pub(super) fn is_changing(&self, slot: usize) -> bool {
        let call = &self.calls[slot];
        let has_left = call.state.is_confirmed() && call.legs.iter().any(|leg| !leg.confirmed);
        has_left || !matches!(self.transfer_stage(slot), None | Some(Stage::Calling { .. }))
    }

    /// Who asked for the call that an INVITE from inside opens.
    pub(super) fn transferor_of(&self, invite: &Message<'_>) -> Option<u32> {
        let token = Token::read(invite.from().tag()?)?;
        let place = token.place(&self.setup.keys);
        let call = self.calls.get(place.slot as usize)?;
        let transfer = self.transfers.peek(call.transfer?)?;
        let is_same = call.generation == place.generation && transfer.spare.random == token.random;
        Some(call.gateway(transfer.side)).filter(|_| is_same)
    }

    /// NOTIFY: how it goes (RFC 3515 §2.4.4). Who has left hears nothing.
    fn tell_transferor(&mut self, now: Instant, slot: usize, status: u16) {
        let place = self.calls[slot].transfer;
        let Some(transfer) = place.and_then(|place| self.transfers.at(place)) else { return };
        let side = transfer.side;
        let wants_this = transfer.told != 0 && (status == 100 || transfer.told != status);
        if !wants_this || !self.calls[slot].legs[side as usize].confirmed {
            return;
        }
        transfer.told = status;
        let says = Says::Progress { refer: transfer.refer, is_last: status >= 200 };
        let mut line = [0; 64];
        let Some(length) = sip::sipfrag::write_status(status, b"", &mut line) else { return };
        let notify = Within {
            method: Method::Notify,
            content: Some((sip::sipfrag::CONTENT_TYPE, &line[..length])),
            passed: None,
            says,
            extensions: Extensions::NONE,
            role: Role::None,
            peer: None,
        };
        // What is full was counted; the transferor sees the end of the call.
        let _ = self.send_within(now, slot, side, &notify);
    }

    /// A response to the INVITE to a target.
    pub(crate) fn transfer_response(
        &mut self,
        now: Instant,
        owner: CallKey,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        let status = message.status().unwrap_or(0);
        let stage = self.transfer_stage(slot);
        let is_calling = stage == Some(Stage::Calling { invite: client });
        match Class::of(status) {
            Class::Provisional if is_calling && status > 100 => {
                self.tell_transferor(now, slot, status);
            }
            Class::Provisional => {}
            Class::Success if is_calling => self.target_answers(now, slot, client, message),
            Class::Success => self.target_repeats(now, slot, client, message),
            Class::Failure if is_calling => self.transfer_failed(now, slot, status),
            Class::Failure => {}
        }
    }

    /// The INVITE to a target ended without an answer.
    pub(crate) fn transfer_unanswered(
        &mut self,
        now: Instant,
        owner: CallKey,
        client: TransactionKey,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        if self.transfer_stage(slot) == Some(Stage::Calling { invite: client }) {
            self.transfer_failed(now, slot, 408);
        }
    }

    /// A 2xx that comes again, until its ACK is written, or one that comes too late.
    fn target_repeats(
        &mut self,
        now: Instant,
        slot: usize,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let tag = self.tag_hash(message);
        let is_known = self.transactions.find(client).is_some_and(|it| it.winner == tag);
        if !is_known {
            self.dismiss(now, client, message);
        } else if self.transfer_stage(slot) != Some(Stage::Joining { invite: client }) {
            self.resend(client);
        }
    }

    /// The target answered: whoever stays is asked what it says to that.
    fn target_answers(
        &mut self,
        now: Instant,
        slot: usize,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(side) = self.swap_spare(slot) else { return };
        let winner = self.tag_hash(message);
        if let Some(transaction) = self.transactions.find(client) {
            transaction.winner = winner;
        }
        let leg = self.calls[slot].leg(side);
        leg.confirmed = true;
        let offered = match leg.accept(&self.setup.locals, message) {
            Ok(()) => self.offer_stayer(now, slot, side, message),
            Err(TooLong) => Err(500),
        };
        if let Some(transfer) = self.calls[slot].transfer.and_then(|it| self.transfers.at(it)) {
            transfer.stage = Stage::Joining { invite: client };
        }
        if let Err(status) = offered {
            self.join_failed(now, slot, status);
        }
    }

    /// The target's offer, to whoever stays.
    fn offer_stayer(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        message: &Message<'_>,
    ) -> Result<(), u16> {
        let offer = description(message).ok_or(488_u16)?;
        let call = &self.calls[slot];
        if call.exchange.is_some() || call.refresh.is_some() || call.unacked.is_some() {
            return Err(491);
        }
        let stayer = side.other();
        let mut room = self.take_scratch();
        let carried = self.carry(now, slot, side, offer, &mut room);
        let sent = carried.map_err(|fault| match fault {
            MediaFault::Unusable => 488_u16,
            MediaFault::PortsFull => 503,
        });
        let sent = sent.and_then(|length| {
            self.believe(now, slot, side, offer);
            let invite = Within {
                method: Method::Invite,
                content: Some((SDP, &room[..length])),
                passed: None,
                says: Says::Nothing,
                extensions: self.session_offer(slot, stayer),
                role: Role::Refresh(stayer),
                peer: None,
            };
            let client = self.send_within(now, slot, stayer, &invite)?;
            self.calls[slot].refresh = Some((stayer, client));
            self.set_deadline(slot, Deadline::Exchange, Some(now + PATIENCE));
            self.keep_description(slot, stayer, &room[..length]);
            Ok(())
        });
        self.give_scratch(room);
        sent
    }

    /// Whoever stays accepted the target's offer: the answer goes to the target, and the transferor may go.
    pub(super) fn join(&mut self, now: Instant, slot: usize, message: &Message<'_>) {
        let Some(Stage::Joining { invite }) = self.transfer_stage(slot) else { return };
        let Some(side) = self.side_of_transfer(slot) else { return };
        self.set_deadline(slot, Deadline::Exchange, None);
        let mut room = self.take_scratch();
        let answer = description(message);
        let carried =
            answer.and_then(|answer| self.carry(now, slot, side.other(), answer, &mut room).ok());
        let content = carried.map(|length| (SDP, &room[..length]));
        self.send_ack(slot, side, invite, content);
        self.give_scratch(room);
        self.swap_spare(slot);
        self.tell_transferor(now, slot, 200);
        self.dismiss_spare(now, slot, side);
        if carried.is_none() {
            let by = by_side(side.other());
            return self.hang_up(now, slot, EndReason::BadMedia, by, None);
        }
        self.counters.add(Counter::TransfersDone);
    }

    /// Whoever stays does not want the target: back to the transferor.
    pub(super) fn join_failed(&mut self, now: Instant, slot: usize, status: u16) {
        let Some(Stage::Joining { invite }) = self.transfer_stage(slot) else { return };
        let Some(side) = self.side_of_transfer(slot) else { return };
        self.send_ack(slot, side, invite, None);
        self.send_bye(now, slot, side, None);
        self.swap_spare(slot);
        self.rejoin_media(slot);
        self.transfer_failed(now, slot, status);
    }

    /// The target was not to be had. Without the transferor there is nobody left to talk to.
    fn transfer_failed(&mut self, now: Instant, slot: usize, status: u16) {
        self.counters.add(Counter::TransfersFailed);
        self.tell_transferor(now, slot, status);
        let Some(side) = self.side_of_transfer(slot) else { return };
        self.close_transfer(slot);
        if !self.calls[slot].legs[side as usize].confirmed {
            self.hang_up(now, slot, EndReason::Normal, by_side(side), Some(side));
        }
    }

    /// The transferor hangs up while its target is called: the call waits for that one. Whether it is so.
    pub(super) fn transferor_leaves(&mut self, slot: usize, side: Side) -> bool {
        let is_calling = matches!(self.transfer_stage(slot), Some(Stage::Calling { .. }));
        if !is_calling || self.side_of_transfer(slot) != Some(side) {
            return false;
        }
        let leg = self.calls[slot].leg(side);
        leg.confirmed = false;
        leg.session = Session::NONE;
        self.arm_session(slot);
        // A process after this one has nobody to call the target again: it ends the call.
        self.save(slot);
        true
    }

    /// A request of somebody whose leg is being taken over: a BYE is right, anything else too late.
    pub(super) fn leaver_request(&mut self, path: Path, request: &Message<'_>) -> bool {
        let Some(slot) = self.find_spare(request) else { return false };
        let place = self.calls[slot].transfer;
        if request.method() == Method::Bye
            && let Some(transfer) = place.and_then(|place| self.transfers.at(place))
        {
            transfer.spare.confirmed = false;
            self.reply_stateless(path, request, &Reply::plain(200));
            return true;
        }
        false
    }

    /// The call whose spare leg a request belongs to.
    fn find_spare(&self, request: &Message<'_>) -> Option<usize> {
        let token = Token::read(request.to().tag()?)?;
        let place = token.place(&self.setup.keys);
        let call = self.calls.get(place.slot as usize)?;
        let transfer = self.transfers.peek(call.transfer?)?;
        let is_its = call.generation == place.generation
            && transfer.spare.random == token.random
            && transfer.spare.owns(request);
        is_its.then_some(place.slot as usize)
    }

    pub(super) fn side_of_transfer(&self, slot: usize) -> Option<Side> {
        Some(self.transfers.peek(self.calls[slot].transfer?)?.side)
    }

    /// Puts the spare leg in the place of the one that changes hands, and that one aside. Which side it is.
    pub(super) fn swap_spare(&mut self, slot: usize) -> Option<Side> {
        let transfer = self.transfers.at(self.calls[slot].transfer?)?;
        let side = transfer.side;
        core::mem::swap(self.calls[slot].leg(side), &mut transfer.spare);
        Some(side)
    }

    /// Ends the dialog of the leg that is in its place for this moment only, and the transfer with it: the
    /// spare one comes back.
    pub(super) fn dismiss_spare(&mut self, now: Instant, slot: usize, side: Side) {
        if self.calls[slot].legs[side as usize].confirmed {
            self.send_bye(now, slot, side, None);
        }
        let call = &mut self.calls[slot];
        let heard = self.media.figures(&call.legs[side as usize].media);
        let before = &mut call.heard_before[side as usize];
        *before = before.followed_by(heard);
        self.swap_spare(slot);
        self.close_transfer(slot);
    }

    /// The two legs of a call hear each other again.
    pub(super) fn rejoin_media(&mut self, slot: usize) {
        let [caller, callee] = &self.calls[slot].legs;
        self.media.rejoin([&caller.media, &callee.media]);
    }

    /// Forgets a transfer; its spare leg hears nothing any more.
    pub(super) fn close_transfer(&mut self, slot: usize) {
        let Some(place) = self.calls[slot].transfer.take() else { return };
        if let Some(mut transfer) = self.transfers.close(place) {
            self.media.release(&mut transfer.spare.media);
        }
    }

    /// The call ends in the middle of a transfer.
    pub(super) fn abandon_transfer(&mut self, now: Instant, slot: usize) {
        let Some(side) = self.side_of_transfer(slot) else { return };
        match self.transfer_stage(slot) {
            None => {}
            Some(Stage::Calling { invite }) => {
                self.cancel_client(now, invite, None);
                self.close_transfer(slot);
            }
            Some(Stage::Joining { invite }) => {
                // A dialog must be acknowledged before it may be ended.
                self.send_ack(slot, side, invite, None);
                self.swap_spare(slot);
                self.dismiss_spare(now, slot, side);
            }
            Some(Stage::Replacing { .. }) => {
                self.swap_spare(slot);
                self.dismiss_spare(now, slot, side);
            }
        }
    }
}
