//! The leg beside the two of a call that is transferred: its own requests, its place, its end.
//!
//! While the target is called it is the target's; once that answered, or another call of ours takes a place in
//! this one, it is the transferor's, who may talk to the target meanwhile, leave, or come back.

use link::record::EndReason;
use sip::{Message, Method, Name};

use super::exchange::Within;
use super::hangup::by_side;
use super::invite::description;
use super::{Deadline, Session};
use crate::Instant;
use crate::arena::Field;
use crate::compose::{Extensions, LEFT, Reply, Says};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::keys::Token;
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transaction::Role;
use crate::transfers::{Plan, Stage, Transfer};

/// Whether another call of ours says that at its end whoever talked has left.
pub(super) fn says_left(path: &Path, request: &Message<'_>) -> bool {
    path.inside().is_some() && request.value(Name::Event) == Some(LEFT)
}

impl Switch {
    /// How far the transfer of a call has come.
    pub(super) fn transfer_stage(&self, slot: usize) -> Option<Stage> {
        Some(self.transfer(slot)?.stage)
    }

    pub(super) fn transfer(&self, slot: usize) -> Option<&Transfer> {
        self.transfers.peek(self.calls[slot].transfer?)
    }

    pub(super) fn transfer_mut(&mut self, slot: usize) -> Option<&mut Transfer> {
        self.transfers.at(self.calls[slot].transfer?)
    }

    pub(super) fn set_stage(&mut self, slot: usize, stage: Stage) {
        if let Some(transfer) = self.transfer_mut(slot) {
            transfer.stage = stage;
        }
    }

    /// A side hangs up in the middle of a transfer, and the call goes on all the same. Whether it is so.
    pub(super) fn transferor_leaves(&mut self, now: Instant, slot: usize, side: Side) -> bool {
        let is_deserted = self.calls[slot].deserted[side.other() as usize];
        let Some(transfer) = self.transfer_mut(slot) else { return false };
        let is_asker = transfer.asker == side;
        match transfer.stage {
            // The call waits for the target.
            Stage::Calling { .. } | Stage::Recalling { .. } if is_asker => {}
            Stage::Consulting => {}
            _ => return false,
        }
        let is_waiting = transfer.stage != Stage::Consulting;
        if is_waiting && is_deserted {
            return false;
        }
        if is_waiting && transfer.side != side && !self.hands_over(slot) {
            return false;
        }
        self.expect_nothing(now, slot, side);
        let leg = self.calls[slot].leg(side);
        leg.confirmed = false;
        leg.session = Session::NONE;
        self.arm_session(slot);
        if is_waiting {
            self.tell_left(now, slot, side.other());
        } else {
            self.end_consulting(now, slot, side);
        }
        // A process after this one has nobody to call the target again: it ends the call.
        self.save(slot);
        true
    }

    /// Tells whoever stays, if that is another call of ours, that at this end nobody is left who talks.
    fn tell_left(&mut self, now: Instant, slot: usize, stayer: Side) {
        if self.calls[slot].legs[stayer as usize].path.inside().is_none() {
            return;
        }
        let notify = Within {
            method: Method::Notify,
            content: None,
            passed: None,
            says: Says::Left,
            extensions: Extensions::NONE,
            role: Role::None,
            peer: None,
        };
        // What is full was counted; without a word the silence ends the calls.
        let _ = self.send_within(now, slot, stayer, &notify);
    }

    /// At the far end of a side, in another call of ours, whoever talked has left. If the other side leaves
    /// too, or has done so, those who are called would have nobody to talk to but each other.
    pub(super) fn heed_leaver(&mut self, now: Instant, slot: usize, side: Side) {
        self.calls[slot].deserted[side as usize] = true;
        let stayer = side.other();
        if self.transfer(slot).is_none() {
            return self.tell_left(now, slot, stayer);
        }
        let is_waiting = matches!(
            self.transfer_stage(slot),
            Some(Stage::Calling { .. } | Stage::Recalling { .. })
        );
        if is_waiting && !self.calls[slot].legs[stayer as usize].confirmed {
            self.hang_up(now, slot, EndReason::Normal, by_side(stayer), Some(stayer));
        }
    }

    /// A side left: what it was asked has nobody to answer it, nor what it was told to acknowledge it, and
    /// the target's answer would wait for that.
    pub(super) fn expect_nothing(&mut self, now: Instant, slot: usize, left: Side) {
        let call = &self.calls[slot];
        let asked = call.exchange.filter(|exchange| exchange.from != left);
        let refreshed = call.refresh.filter(|&(side, _)| side == left);
        if asked.is_some() {
            self.abort_exchange(now, slot);
        }
        if refreshed.is_some() {
            self.abort_refresh(now, slot);
        }
        // Nor does it end the call that it was asked in vain, and an answer all the same is acknowledged.
        let clients = asked.map(|exchange| exchange.client).into_iter();
        for client in clients.chain(refreshed.map(|(_, client)| client)) {
            if let Some(client) = self.transactions.find(client) {
                client.owner = None;
            }
        }
        self.forgive_ack(slot, left);
    }

    /// A request of somebody whose leg waits, or is being taken over: it may come back, or be gone. Or of the
    /// target, whose answer cannot be heeded yet.
    pub(super) fn leaver_request(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) -> bool {
        let Some(slot) = self.find_spare(request) else { return false };
        if self.spare_lives(now, slot, path, request, key) {
            return true;
        }
        let is_consulted = self.plan(slot) == Some(Plan::Consult);
        let Some(transfer) = self.transfer_mut(slot) else { return false };
        let (stage, side) = (transfer.stage, transfer.side);
        let is_target = matches!(stage, Stage::Calling { .. });
        let waits = match stage {
            Stage::Consulting | Stage::Recalling { .. } => true,
            Stage::Joining { .. } => is_consulted,
            Stage::Begun | Stage::Calling { .. } | Stage::Replacing { .. } => false,
        };
        let status = match request.method() {
            Method::Bye => {
                transfer.spare.confirmed = false;
                200
            }
            Method::Invite | Method::Update | Method::Info | Method::Message | Method::Refer => 491,
            _ => 200,
        };
        // Its leg may be gone when the same request comes again.
        self.answer_once(now, path, request, key, &Reply::plain(status));
        match request.method() {
            Method::Bye if is_target => self.transfer_failed(now, slot, 480),
            // Nobody talks at the cost of one who is not there.
            Method::Bye if waits => self.hang_up(now, slot, EndReason::Normal, by_side(side), None),
            _ => {}
        }
        true
    }

    /// A sign of life of somebody whose leg waits: it concerns nobody else, and however long the others talk,
    /// its session must not end (RFC 4028 §9). Whether it was one.
    fn spare_lives(
        &mut self,
        now: Instant,
        slot: usize,
        path: Path,
        request: &Message<'_>,
        key: Key,
    ) -> bool {
        let is_sign = request.method() == Method::Update && description(request).is_none();
        if !is_sign || self.waiting_leg(slot).is_none() {
            return false;
        }
        let Some(side) = self.swap_spare(slot) else { return false };
        if self.take_number(slot, side, request) {
            self.open_exchange(now, slot, side, path, request, key);
        } else {
            self.counters.add(Counter::SequenceOld);
            self.answer_once(now, path, request, key, &Reply::plain(500));
        }
        self.swap_spare(slot);
        self.arm_session(slot);
        self.save(slot);
        true
    }

    /// A target that was in a transfer of its own when whoever waited was to get it speaks by itself: the two
    /// are together, and what it asks for is like any other re-INVITE. Else both would wait for each other.
    pub(super) fn heed_target(&mut self, now: Instant, request: &Message<'_>) {
        if request.method() != Method::Invite || self.find_leg(request).is_some() {
            return;
        }
        let Some(slot) = self.find_spare(request) else { return };
        let Some(transfer) = self.transfer(slot) else { return };
        let side = transfer.side;
        let is_recalled = matches!(transfer.stage, Stage::Recalling { .. });
        let will_be_asked = self.calls[slot].deadlines.get(Deadline::Keys).is_some();
        if !is_recalled || !will_be_asked || self.plan(slot) != Some(Plan::Finish) {
            return;
        }
        self.set_deadline(slot, Deadline::Keys, None);
        self.dismiss_spare(now, slot, side);
        self.rejoin_media(slot);
        self.park_legs(slot, false);
        self.counters.add(Counter::TransfersDone);
    }

    /// The call whose spare leg a request belongs to. A target whose answer was not heeded yet has told no tag:
    /// the Call-ID and ours are what only it was told.
    fn find_spare(&self, request: &Message<'_>) -> Option<usize> {
        let token = Token::read(request.to().tag()?)?;
        let place = token.place(&self.setup.keys);
        let call = self.calls.get(place.slot as usize)?;
        let transfer = self.transfers.peek(call.transfer?)?;
        let spare = &transfer.spare;
        let is_new = matches!(transfer.stage, Stage::Calling { .. })
            && spare.text(Field::CallId) == request.call_id();
        let is_its = call.generation == place.generation
            && spare.random == token.random
            && (is_new || spare.owns(request));
        is_its.then_some(place.slot as usize)
    }

    /// The leg beside the two, if there is a dialog on it that goes on.
    pub(super) fn waiting_leg(&self, slot: usize) -> Option<&Leg> {
        Some(&self.transfer(slot)?.spare).filter(|leg| leg.confirmed)
    }

    /// The leg of who waits until two others have talked.
    pub(super) fn parked_leg(&self, slot: usize) -> Option<&Leg> {
        self.waiting_leg(slot).filter(|_| self.transfer_stage(slot) == Some(Stage::Consulting))
    }

    pub(super) fn side_of_transfer(&self, slot: usize) -> Option<Side> {
        Some(self.transfer(slot)?.side)
    }

    /// Puts the spare leg in the place of the one that changes hands, and that one aside. Which side it is.
    pub(super) fn swap_spare(&mut self, slot: usize) -> Option<Side> {
        let transfer = self.transfers.at(self.calls[slot].transfer?)?;
        let side = transfer.side;
        core::mem::swap(self.calls[slot].leg(side), &mut transfer.spare);
        transfer.is_displaced = !transfer.is_displaced;
        for _ in 0..self.calls[slot].keys.forget(side) {
            self.counters.add(Counter::KeysLost);
        }
        Some(side)
    }

    /// The legs that a process after this one is to find. In the middle of a transfer they are those from
    /// before it: it did not happen, and whoever was called for it hears so.
    pub(crate) fn legs_kept(&self, slot: usize) -> [&Leg; 2] {
        let displaced = self.transfer(slot).filter(|transfer| transfer.is_displaced);
        Side::BOTH.map(|side| match displaced {
            Some(transfer) if transfer.side == side => &transfer.spare,
            _ => &self.calls[slot].legs[side as usize],
        })
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
        *before = before.followed_by(heard).of_one_gone();
        self.swap_spare(slot);
        self.close_transfer(slot);
    }

    /// The two legs of a call hear each other again.
    pub(super) fn rejoin_media(&mut self, slot: usize) {
        let [caller, callee] = &self.calls[slot].legs;
        self.media.rejoin([&caller.media, &callee.media]);
    }

    /// Whether the two legs of a call wait, heard by nobody.
    pub(super) fn park_legs(&mut self, slot: usize, parked: bool) {
        for leg in &self.calls[slot].legs {
            self.media.park(&leg.media, parked);
        }
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
        let Some(&Transfer { side, stage, .. }) = self.transfer(slot) else { return };
        match stage {
            Stage::Begun => return self.close_transfer(slot),
            Stage::Calling { invite } => {
                self.cancel_client(now, invite, None);
                return self.close_transfer(slot);
            }
            Stage::Recalling { invite } => self.cancel_client(now, invite, None),
            // A dialog must be acknowledged before it may be ended.
            Stage::Joining { invite, is_acked: false } => self.send_ack(slot, side, invite, None),
            Stage::Joining { is_acked: true, .. } | Stage::Consulting | Stage::Replacing { .. } => {
            }
        }
        self.swap_spare(slot);
        self.dismiss_spare(now, slot, side);
    }
}
