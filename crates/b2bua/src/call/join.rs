//! Who stays and the target are brought together: the second half of a transfer (`transfer.rs`).
//!
//! The target's offer goes to whoever stays in a re-INVITE, and the answer to that travels back in the ACK
//! (RFC 3725 §4.1), unless the target had only to answer. Then the transferor gets its BYE. On any failure
//! the two who talked talk on, unless the transferor has left.

use link::record::EndReason;
use sip::{Message, Method};

use super::Deadline;
use super::exchange::{PATIENCE, Within};
use super::hangup::by_side;
use super::invite::description;
use crate::Instant;
use crate::arena::TooLong;
use crate::compose::{SDP, Says};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::media::MediaFault;
use crate::switch::Switch;
use crate::transaction::{Role, TransactionKey};
use crate::transfers::{Plan, Stage};

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
        let stage = self.transfer_stage(slot);
        let Some(Stage::Joining { invite, is_acked }) = stage else { return };
        let Some(side) = self.side_of_transfer(slot) else { return };
        self.set_deadline(slot, Deadline::Exchange, None);
        let is_agreed = if is_acked {
            description(message).is_some()
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
        let carried = description(message)
            .and_then(|answer| self.carry(now, slot, side.other(), answer, &mut room).ok());
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
            return self.hang_up(now, slot, EndReason::BadMedia, by_side(side.other()), None);
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
            return self.hang_up(now, slot, EndReason::DialogLost, by_side(side), None);
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
