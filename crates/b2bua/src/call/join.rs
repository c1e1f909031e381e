//! Who stays and the target are brought together: the second half of a transfer (`transfer.rs`).
//!
//! The target's offer goes to whoever stays in a re-INVITE, and the answer to that travels back in the ACK
//! (RFC 3725 §4.1), unless the target had only to answer. Then the transferor gets its BYE. On any failure
//! the two who talked talk on, unless the transferor has left.

use core::time::Duration;

use link::record::EndReason;
use sip::{Message, Method, Name, header};

use super::Deadline;
use super::exchange::{PATIENCE, Within};
use super::hangup::by_side;
use super::invite::description;
use crate::Instant;
use crate::arena::{Field, TooLong};
use crate::compose::{SDP, Says};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::media::{MediaFault, Word};
use crate::switch::Switch;
use crate::transaction::{Role, TransactionKey};
use crate::transfers::{Plan, Stage};

/// How often somebody is asked again who could not say anything the time before.
const TRIES_MAX: u8 = 4;

/// Why a call ends when somebody refuses to be brought together with another. Of a 487 nothing was cancelled:
/// whoever was asked hung up instead of an answer.
fn why_ended(status: u16, otherwise: EndReason) -> EndReason {
    if status == 487 { EndReason::Normal } else { otherwise }
}

impl Switch {
    /// The target answered: whoever stays is asked what it says to that.
    pub(super) fn target_answers(
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
        self.rejoin_media(slot);
        let accepted = if self.has_consulted(slot) {
            self.refresh_leg(slot, side, message);
            self.heed_session(now, slot, side, message);
            Ok(())
        } else {
            self.calls[slot].leg(side).accept(&self.setup.locals, message)
        };
        self.calls[slot].leg(side).confirmed = true;
        let is_acked = self.transfer(slot).is_some_and(|transfer| transfer.offered);
        if is_acked {
            self.send_ack(slot, side, client, None);
        }
        let offered = match accepted {
            Ok(()) => self.offer_stayer(now, slot, side, message),
            Err(TooLong) => Err(500),
        };
        self.set_stage(slot, Stage::Joining { invite: client, is_acked });
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
        let stayer = side.other();
        let mut room = self.take_scratch();
        let carried = self.carry(now, slot, side, Word::Offer, offer, &mut room);
        let sent = carried.map_err(|fault| match fault {
            MediaFault::PortsFull(_) => 503_u16,
            MediaFault::Unusable
            | MediaFault::Fenced
            | MediaFault::NoCodec
            | MediaFault::Unsecured => 488,
        });
        let sent = sent.and_then(|length| {
            self.believe(now, slot, side, offer);
            self.ask_stayer(now, slot, stayer, &room[..length])?;
            self.keep_description(slot, stayer, &room[..length]);
            Ok(())
        });
        self.give_scratch(room);
        sent
    }

    fn ask_stayer(
        &mut self,
        now: Instant,
        slot: usize,
        stayer: Side,
        offer: &[u8],
    ) -> Result<(), u16> {
        let invite = Within {
            method: Method::Invite,
            content: Some((SDP, offer)),
            passed: None,
            says: Says::Nothing,
            extensions: self.session_offer(slot, stayer),
            role: Role::Refresh(stayer),
            peer: None,
        };
        let client = self.send_within(now, slot, stayer, &invite)?;
        self.calls[slot].refresh = Some((stayer, client));
        self.set_deadline(slot, Deadline::Exchange, Some(now + PATIENCE));
        Ok(())
    }

    /// Who talks already and is in the middle of something else (491, or 500 with a time) is asked again a
    /// little later (RFC 3261 §14.1), who wants a longer session at once. Whether it is so.
    pub(super) fn asks_again(
        &mut self,
        now: Instant,
        slot: usize,
        status: u16,
        message: &Message<'_>,
    ) -> bool {
        let random = self.random();
        let Some(transfer) = self.transfer_mut(slot) else { return false };
        let asked = match transfer.stage {
            Stage::Recalling { .. } => transfer.side,
            Stage::Joining { .. } => transfer.side.other(),
            Stage::Begun | Stage::Calling { .. } | Stage::Consulting | Stage::Replacing { .. } => {
                return false;
            }
        };
        let after_s = message.value(Name::RetryAfter).and_then(header::retry_after);
        let is_spare = matches!(transfer.stage, Stage::Recalling { .. });
        // A target that is in a transfer of its own says so until that is over, however long its people talk.
        let is_patient = is_spare && transfer.spare.path.inside().is_some();
        let session = match is_spare {
            true => &mut transfer.spare.session,
            false => &mut self.calls[slot].leg(asked).session,
        };
        let wait = match (status, after_s, asked) {
            (422, ..) if session.lengthen(message) => Duration::ZERO,
            (491, _, Side::Callee) => Duration::from_millis(2_100 + random % 1_900),
            (491, _, Side::Caller) => Duration::from_millis(random % 2_000),
            (500, Some(seconds), _) => Duration::from_secs(seconds.min(10).into()),
            _ => return false,
        };
        let transfer = self.transfer_mut(slot);
        let transfer = transfer.filter(|transfer| transfer.tries < TRIES_MAX || is_patient);
        let Some(transfer) = transfer else { return false };
        transfer.tries = transfer.tries.saturating_add(1);
        self.set_deadline(slot, Deadline::Keys, Some(now + wait));
        true
    }

    /// Whoever stays is asked once more what it says to the target's offer.
    pub(super) fn ask_stayer_again(&mut self, now: Instant, slot: usize) {
        let Some(stayer) = self.side_of_transfer(slot).map(Side::other) else { return };
        let mut room = self.take_scratch();
        let text = self.calls[slot].legs[stayer as usize].text(Field::Description);
        let length = text.len();
        room[..length].copy_from_slice(text);
        let asked = match length {
            0 => Err(500),
            _ => self.ask_stayer(now, slot, stayer, &room[..length]),
        };
        self.give_scratch(room);
        if let Err(status) = asked {
            self.join_failed(now, slot, status);
        }
    }

    /// Whoever stays accepted the target's offer: the answer goes to the target, and the transferor may go.
    pub(super) fn join(&mut self, now: Instant, slot: usize, message: &Message<'_>) {
        let stage = self.transfer_stage(slot);
        let Some(Stage::Joining { invite, is_acked }) = stage else { return };
        let Some(side) = self.side_of_transfer(slot) else { return };
        self.set_deadline(slot, Deadline::Exchange, None);
        let is_agreed = if is_acked {
            // The target has said what it speaks and hears of nothing more.
            let answer = description(message);
            answer.is_some_and(|answer| self.agree_speech(now, slot, side.other(), answer))
        } else {
            self.answer_target(now, slot, side, invite, message)
        };
        let plan = self.plan(slot);
        if plan == Some(Plan::Consult) {
            self.begin_consulting(slot);
        } else {
            self.swap_spare(slot);
            self.tell_transferor(now, slot, 200);
            self.dismiss_spare(now, slot, side);
            self.park_legs(slot, false);
        }
        if !is_agreed {
            let by = by_side(side.other());
            return self.hang_up(now, slot, EndReason::BadMedia, by, None);
        }
        if !matches!(plan, Some(Plan::Consult | Plan::Return)) {
            self.counters.add(Counter::TransfersDone);
        }
    }

    /// What is made of the speech of two of whom the second has answered. `false`: they have no common codec and
    /// there is no room to make one.
    fn agree_speech(&mut self, now: Instant, slot: usize, from: Side, answer: &[u8]) -> bool {
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        let is_agreed = self.media.agree_speech(now, &mut streams, from, answer);
        self.count_transcoded();
        is_agreed
    }

    /// The answer of whoever stays, in the ACK. Whether there is one.
    fn answer_target(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        invite: TransactionKey,
        message: &Message<'_>,
    ) -> bool {
        let mut room = self.take_scratch();
        let carried = description(message).and_then(|answer| {
            self.carry(now, slot, side.other(), Word::Answer, answer, &mut room).ok()
        });
        if let Some(length) = carried {
            self.keep_description(slot, side, &room[..length]);
        }
        let content = carried.map(|length| (SDP, &room[..length]));
        self.send_ack(slot, side, invite, content);
        self.give_scratch(room);
        carried.is_some()
    }

    /// Whoever stays does not want the target: back to the transferor.
    pub(super) fn join_failed(&mut self, now: Instant, slot: usize, status: u16) {
        let stage = self.transfer_stage(slot);
        let Some(Stage::Joining { invite, is_acked }) = stage else { return };
        let Some(side) = self.side_of_transfer(slot) else { return };
        if self.has_consulted(slot) {
            let reason = why_ended(status, EndReason::BadMedia);
            return self.hang_up(now, slot, reason, by_side(side.other()), None);
        }
        if !is_acked {
            self.send_ack(slot, side, invite, None);
        }
        self.send_bye(now, slot, side, None);
        self.swap_spare(slot);
        self.transfer_failed(now, slot, status);
    }

    /// The target was not to be had. Without the transferor there is nobody left to talk to, and no way
    /// back after a talk with the target.
    pub(super) fn transfer_failed(&mut self, now: Instant, slot: usize, status: u16) {
        self.counters.add(Counter::TransfersFailed);
        self.tell_transferor(now, slot, status);
        let Some(side) = self.side_of_transfer(slot) else { return };
        if self.has_consulted(slot) {
            let reason = why_ended(status, EndReason::DialogLost);
            return self.hang_up(now, slot, reason, by_side(side), None);
        }
        self.drop_transfer(slot);
        if !self.calls[slot].legs[side as usize].confirmed {
            self.hang_up(now, slot, EndReason::Normal, by_side(side), Some(side));
        }
    }

    /// Whether somebody spoke to the target and now one of them is to speak to whoever waited.
    fn has_consulted(&self, slot: usize) -> bool {
        matches!(self.plan(slot), Some(Plan::Finish | Plan::Return))
    }

    /// All is as it was before somebody wanted to transfer.
    pub(super) fn drop_transfer(&mut self, slot: usize) {
        self.close_transfer(slot);
        self.set_deadline(slot, Deadline::Keys, None);
        self.rejoin_media(slot);
        self.park_legs(slot, false);
    }
}
