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
//! the answer to that travels back in the ACK (RFC 3725 §4.1). Where somebody is to hear the target's
//! ringback, it offers what whoever stays described last; the target's answer is then acknowledged at
//! once, and goes to whoever stays all the same. Until then nothing is lost: on any failure the two who
//! talked talk on, unless the transferor has left.
//!
//! `join.rs` brings the two together, `spare.rs` minds the leg that changes hands. How a transfer is asked for
//! by keys, and what becomes of one that begins with a talk, is in `keypad.rs`.

use link::record::CallKey;
use sip::header::{ReferTo, Replaces};
use sip::uri::Scheme;
use sip::{Message, Method, Name};

use super::Call;
use super::exchange::Within;
use super::invite::description;
use crate::Instant;
use crate::arena::{Field, TooLong};
use crate::compose::{self, Extensions, Outgoing, Reply, SDP, Says};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::keys::{Place, Token, mint_call_id, shard_of};
use crate::path::{Inside, Path};
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, write_request};
use crate::transaction::{Birth, Class, Machine, Role, TransactionKey, invite_client};
use crate::transfers::{Asked, Stage, Transfer};

/// The longest Call-ID with tags that an attended transfer may name.
const REPLACES_BYTES: usize = 512;

/// Whom a transfer is to.
pub(super) struct Wish<'a> {
    /// The target, as it would be dialled.
    pub(super) number: &'a [u8],
    pub(super) replaces: Option<Replaces<'a>>,
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

/// The number of a side.
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
            self.counters.add(Counter::TransfersFull);
            let retry_after = Some(self.parameters.retry_after_s);
            let reply = Reply { retry_after, ..Reply::plain(503) };
            return self.answer_once(now, path, request, key, &reply);
        }
        match self.open_server(now, path, request, key, 0, Keep::Nothing) {
            Ok(server) => self.answer_to(now, server, request, &Reply::plain(202)),
            Err(why) => return self.refuse_overload(path, request, why),
        }
        self.refresh_leg(slot, side, request);
        let told = if wants_news(request) { 100 } else { 0 };
        let is_attended = wish.replaces.is_some();
        let asked = Asked::Refer { number: request.cseq().number, told, is_attended };
        self.begin_transfer(slot, side, side, asked);
        self.tell_transferor(now, slot, 100);
        self.call_target(now, slot, &wish, false);
    }

    /// One thing at a time: a call that is being changed is not transferred.
    pub(super) fn may_transfer(&self, slot: usize) -> bool {
        let call = &self.calls[slot];
        let is_free = call.transfer.is_none() && !self.is_exchanging(slot);
        call.state.is_confirmed() && is_free && call.legs.iter().all(|leg| leg.confirmed)
    }

    /// Whether an offer is on its way between the two sides, or a request of ours to one of them.
    pub(super) fn is_exchanging(&self, slot: usize) -> bool {
        let call = &self.calls[slot];
        call.exchange.is_some() || call.refresh.is_some() || call.unacked.is_some()
    }

    /// Takes one of the places that [`Transfers::has_room`](crate::transfers::Transfers::has_room) spoke of.
    pub(super) fn begin_transfer(&mut self, slot: usize, side: Side, asker: Side, asked: Asked) {
        let transfer = Transfer {
            side,
            asker,
            stage: Stage::Begun,
            spare: Leg::new(),
            asked,
            is_displaced: false,
            tries: 0,
            offered: false,
        };
        self.calls[slot].transfer = self.transfers.open(transfer);
        self.counters.add(Counter::Transfers);
    }

    /// Calls the target, on behalf of the transferor; `offers`: with what whoever stays described last.
    pub(super) fn call_target(&mut self, now: Instant, slot: usize, wish: &Wish<'_>, offers: bool) {
        let leg = self.target_leg(slot, wish).map_err(|_| 414_u16);
        let sent = leg.and_then(|leg| self.invite_target(now, slot, leg, wish.replaces, offers));
        if let Err(status) = sent {
            self.transfer_failed(now, slot, status);
        }
    }

    /// A leg from this call to the one that the target is called by, or that it talks in.
    fn target_leg(&mut self, slot: usize, wish: &Wish<'_>) -> Result<Leg, TooLong> {
        let asker = self.transfer(slot).ok_or(TooLong)?.asker;
        let random = self.random();
        let from = self.calls[slot].shard();
        let call_id = mint_call_id(from, self.random(), &self.setup.keys);
        let call = &self.calls[slot];
        let to = wish.replaces.map_or(from, |it| shard_of(it.call_id, &self.setup.keys));
        let place = Place { slot: slot as u32, variant: 0, generation: call.generation };
        let local = call.legs[asker as usize].local;
        let host = self.host_of(local);
        let target = compose::uri(wish.number, host);
        let transferor = compose::uri(self.number_shown(call, asker), host);
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

    /// The number that the target of a transfer sees (`TG_TRANSFER_DISPLAY`).
    fn number_shown<'a>(&'a self, call: &'a Call, asker: Side) -> &'a [u8] {
        let transfer = &self.parameters.transfer;
        match transfer.display {
            1 => number_of(call, asker.other()),
            2 if !transfer.display_text.is_empty() => transfer.display_text.as_bytes(),
            _ => number_of(call, asker),
        }
    }

    /// Whether the number that the target sees is that of a caller who does not want it to be told.
    fn hides_number(&self, slot: usize) -> bool {
        let Some(asker) = self.transfer(slot).map(|transfer| transfer.asker) else { return false };
        let keys = &self.parameters.transfer;
        let shown = match keys.display {
            1 => asker.other(),
            2 if !keys.display_text.is_empty() => return false,
            _ => asker,
        };
        shown == Side::Caller && self.calls[slot].record.facts.withheld != 0
    }

    /// Writes, as an offer of a leg that is still nobody's, what whoever stays described last. The two hear
    /// each other from now on. `None`: nothing was kept, or there is no port.
    fn offer_of_stayer(
        &mut self,
        now: Instant,
        slot: usize,
        leg: &mut Leg,
        out: &mut [u8],
    ) -> Option<usize> {
        let side = self.side_of_transfer(slot)?;
        let mut kept = self.take_scratch();
        let text = self.calls[slot].legs[side as usize].text(Field::Description);
        let length = text.len();
        kept[..length].copy_from_slice(text);
        core::mem::swap(self.calls[slot].leg(side), leg);
        let carried = match length {
            0 => None,
            _ => self.carry_ours(now, slot, side.other(), &kept[..length], out),
        };
        core::mem::swap(self.calls[slot].leg(side), leg);
        self.give_scratch(kept);
        if carried.is_some() {
            self.media.park(&self.calls[slot].legs[side.other() as usize].media, false);
        }
        carried
    }

    /// The error is what the transferor is told.
    fn invite_target(
        &mut self,
        now: Instant,
        slot: usize,
        mut leg: Leg,
        replaces: Option<Replaces<'_>>,
        offers: bool,
    ) -> Result<(), u16> {
        let branch = self.next_branch().ok_or(503_u16)?;
        let mut room = self.take_scratch();
        let offer = match offers {
            true => self.offer_of_stayer(now, slot, &mut leg, &mut room),
            false => None,
        };
        let content = offer.map(|length| (SDP, &room[..length]));
        let request = leg.request(Method::Invite, leg.cseq_local, branch, content);
        let says = match replaces {
            Some(replaces) => Says::Replaces(replaces),
            None if self.hides_number(slot) => Says::Withheld,
            None => Says::Nothing,
        };
        let request = Outgoing { says, ..request };
        let written = write_request(&mut self.outbox, &self.setup, leg.local, leg.path, &request);
        self.give_scratch(room);
        let birth = Birth {
            owner: Some(self.key_of(slot)),
            role: Role::Transfer,
            random: branch.random,
            cseq: leg.cseq_local,
            ..Birth::of(Machine::InviteClient(invite_client::State::Calling), leg.path)
        };
        if let Some(transfer) = self.transfer_mut(slot) {
            transfer.spare = leg;
            transfer.offered = offer.is_some();
        }
        if !self.count_unsent(written) {
            return Err(503);
        }
        let invite = self.open_client(now, birth).map_err(|_| 503_u16)?;
        self.set_stage(slot, Stage::Calling { invite });
        Ok(())
    }

    /// Whether a side of a call is in the middle of changing hands, so that nothing can be asked of it.
    pub(super) fn is_changing(&self, slot: usize) -> bool {
        let call = &self.calls[slot];
        let has_left = call.state.is_confirmed() && call.legs.iter().any(|leg| !leg.confirmed);
        let is_calm = match self.transfer_stage(slot) {
            None | Some(Stage::Begun | Stage::Calling { .. } | Stage::Consulting) => true,
            Some(Stage::Recalling { .. } | Stage::Joining { .. } | Stage::Replacing { .. }) => {
                false
            }
        };
        has_left || !is_calm
    }

    /// Whether an offer may be what the target of an attended transfer is asked to agree to, come round by
    /// inside: whoever has both ends of a chain of calls joins it to itself, and the last waits for the first.
    pub(super) fn may_come_round(&self, slot: usize, path: &Path, request: &Message<'_>) -> bool {
        let waits = self.transfer(slot).is_some_and(|transfer| {
            let is_attended = matches!(transfer.asked, Asked::Refer { is_attended: true, .. });
            is_attended && matches!(transfer.stage, Stage::Calling { .. })
        });
        waits && path.inside().is_some() && request.method() == Method::Invite
    }

    /// Who asked for the call that an INVITE from inside opens.
    pub(super) fn transferor_of(&self, invite: &Message<'_>) -> Option<u32> {
        let token = Token::read(invite.from().tag()?)?;
        let place = token.place(&self.setup.keys);
        let call = self.calls.get(place.slot as usize)?;
        let transfer = self.transfers.peek(call.transfer?)?;
        let is_same = call.generation == place.generation && transfer.spare.random == token.random;
        Some(call.gateway(transfer.asker)).filter(|_| is_same)
    }

    /// NOTIFY: how it goes (RFC 3515 §2.4.4). Who has left hears nothing.
    pub(super) fn tell_transferor(&mut self, now: Instant, slot: usize, status: u16) {
        let Some(transfer) = self.transfer_mut(slot) else { return };
        let side = transfer.side;
        let Asked::Refer { number, told, .. } = &mut transfer.asked else { return };
        let wants_this = *told != 0 && (status == 100 || *told != status);
        let refer = *number;
        if !wants_this {
            return;
        }
        *told = status;
        if !self.calls[slot].legs[side as usize].confirmed {
            return;
        }
        let says = Says::Progress { refer, is_last: status >= 200 };
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
        let is_calling = self.is_calling(slot, client);
        match Class::of(status) {
            Class::Provisional if is_calling && status > 100 => {
                self.target_rings(now, slot, message);
                self.tell_transferor(now, slot, status);
            }
            Class::Provisional => {}
            // It repeats its answer until there is an ACK, and may then be told what else goes on.
            Class::Success if is_calling && self.is_exchanging(slot) => {}
            Class::Success if is_calling => self.target_answers(now, slot, client, message),
            Class::Success => self.target_repeats(now, slot, client, message),
            Class::Failure if is_calling && matches!(status, 415 | 488 | 606) => {
                self.let_target_offer(now, slot, status);
            }
            Class::Failure if is_calling && self.asks_again(now, slot, status, message) => {}
            Class::Failure if is_calling => self.transfer_failed(now, slot, status),
            Class::Failure => {}
        }
    }

    /// Whether this is the INVITE by which somebody is called to take a side's place.
    pub(super) fn is_calling(&self, slot: usize, client: TransactionKey) -> bool {
        match self.transfer_stage(slot) {
            Some(Stage::Calling { invite } | Stage::Recalling { invite }) => invite == client,
            _ => false,
        }
    }

    /// Early media: who is to hear it does.
    fn target_rings(&mut self, now: Instant, slot: usize, message: &Message<'_>) {
        let offered = self.transfer(slot).is_some_and(|transfer| transfer.offered);
        if let Some(answer) = description(message).filter(|_| offered)
            && let Some(side) = self.swap_spare(slot)
        {
            self.believe(now, slot, side, answer);
            self.swap_spare(slot);
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
        if self.is_calling(slot, client) {
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
        } else if self.transfer_stage(slot)
            != Some(Stage::Joining { invite: client, is_acked: false })
        {
            self.resend(client);
        }
    }
}
