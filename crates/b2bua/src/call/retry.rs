//! When a vendor wants a request once more, or none for a while, or is not there: what challenges,
//! Retry-After and messages that come back mean to a call.
//!
//! The record knows nothing of challenges: one is no failure, and its answer no further seizure.

use link::record::{CallKey, EndReason};
use link::report::News;
use sip::header::retry_after;
use sip::{Message, Name};

use super::State;
use crate::Instant;
use crate::arena::Field;
use crate::dialog::Leg;
use crate::switch::Switch;
use crate::transaction::{Role, TransactionKey};
use crate::transfers::{Asked, Stage};

/// The number of the REFER that a NOTIFY of ours tells of.
fn refer_told_of(notify: &Message<'_>) -> Option<u32> {
    let number = notify.value(Name::Event)?.strip_prefix(b"refer;id=")?;
    str::from_utf8(number).ok()?.parse().ok()
}

impl Switch {
    /// Whether somebody still waits for what a request of ours brings.
    pub(crate) fn is_awaited(
        &self,
        key: TransactionKey,
        role: Role,
        owner: Option<CallKey>,
    ) -> bool {
        let slot = owner.and_then(|owner| self.live_call(owner));
        let call = slot.map(|slot| &self.calls[slot]);
        match (role, call) {
            (Role::Attempt(index), Some(call)) => {
                let is_sought = matches!(call.state, State::Trying | State::Ringing);
                is_sought && call.branches.has(index, key)
            }
            (Role::Exchange | Role::Refresh(_) | Role::Inform(_), Some(call)) => {
                call.state.is_confirmed()
            }
            (Role::Transfer, Some(_)) => slot.is_some_and(|slot| self.is_calling(slot, key)),
            (
                Role::Attempt(_)
                | Role::Exchange
                | Role::Refresh(_)
                | Role::Inform(_)
                | Role::Transfer
                | Role::Caller
                | Role::Register,
                _,
            ) => false,
            // A BYE must arrive, whatever became of its call.
            (Role::None | Role::Errand(_), _) => true,
        }
    }

    /// The leg whose dialog a request of ours belongs to, also one that is being taken over.
    pub(crate) fn leg_asking(
        &mut self,
        owner: Option<CallKey>,
        request: &Message<'_>,
    ) -> Option<&mut Leg> {
        let slot = self.live_call(owner?)?;
        let call = &mut self.calls[slot];
        let spare = call.transfer.and_then(|place| self.transfers.at(place));
        let spare = spare.map(|transfer| &mut transfer.spare);
        let mut legs = call.legs.iter_mut().chain(spare);
        legs.find(|leg| leg.text(Field::CallId) == request.call_id())
    }

    /// Whether a NOTIFY is to be sent once more: its dialog goes on, and no later one has said more. How a
    /// transfer ended is always news.
    pub(crate) fn is_news(&mut self, owner: Option<CallKey>, notify: &Message<'_>) -> bool {
        let says = sip::sipfrag::status(notify.body()).unwrap_or(0);
        let is_latest = owner
            .and_then(|owner| self.live_call(owner))
            .and_then(|slot| self.transfer(slot).map(|transfer| (slot, transfer)))
            .is_some_and(|(slot, transfer)| {
                let place = &self.calls[slot].legs[transfer.side as usize];
                let is_its = [place, &transfer.spare]
                    .into_iter()
                    .any(|leg| leg.text(Field::CallId) == notify.call_id());
                let of = (refer_told_of(notify), says);
                is_its
                    && matches!(transfer.asked, Asked::Refer { number, told, .. } if of == (Some(number), told))
            });
        (is_latest || says >= 200)
            && self.leg_asking(owner, notify).is_some_and(|leg| leg.confirmed)
    }

    /// The number for a request that goes out once more: no other of its dialog may have it.
    pub(crate) fn next_number(&mut self, owner: Option<CallKey>, request: &Message<'_>) -> u32 {
        let number = request.cseq().number.saturating_add(1);
        let Some(leg) = self.leg_asking(owner, request) else { return number };
        leg.cseq_local = leg.cseq_local.saturating_add(1).max(number);
        leg.cseq_local
    }

    /// A request of the call goes on in another transaction.
    pub(crate) fn replace_client(
        &mut self,
        now: Instant,
        (role, owner): (Role, CallKey),
        old: TransactionKey,
        new: TransactionKey,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        if self.is_calling(slot, old) {
            self.set_stage(slot, Stage::Recalling { invite: new });
        }
        let call = &mut self.calls[slot];
        if let Some(exchange) = call.exchange.as_mut().filter(|exchange| exchange.client == old) {
            exchange.client = new;
        }
        if let Some((_, client)) = call.refresh.as_mut().filter(|(_, client)| *client == old) {
            *client = new;
        }
        call.keys.replace_client(old, new);
        if let Role::Attempt(index) = role {
            call.branches.open(index, new);
            // Of several that are called at once, the others' patience is not this one's.
            if call.branches.iter().count() == 1 {
                self.await_group(now, slot);
            }
        }
    }

    /// The gateway that an attempt tells something of. `None`: none, or a host that the gateway's 3xx
    /// named, which speaks for itself.
    fn gateway_shown(&self, slot: usize, index: u8) -> Option<u32> {
        let attempts = self.calls[slot].record.attempts();
        let (attempt, before) = attempts.get(..=usize::from(index))?.split_last()?;
        let is_own = before.iter().all(|earlier| earlier.gateway != attempt.gateway);
        Some(attempt.gateway).filter(|&gateway| is_own && gateway != 0)
    }

    /// A vendor that wants to be left alone for a while (SIP-15). Whether it is, control says.
    pub(super) fn heed_retry_after(
        &mut self,
        slot: usize,
        index: u8,
        status: u16,
        message: &Message<'_>,
    ) {
        if status != 503 {
            return;
        }
        let seconds = message.value(Name::RetryAfter).and_then(retry_after);
        let gateway = self.gateway_shown(slot, index);
        let heeded = gateway.filter(|&gateway| self.profiles.of(gateway).retry_after != 0);
        if let (Some(gateway), Some(seconds @ 1..)) = (heeded, seconds) {
            self.report_news(gateway, News::RetryAfter, seconds, status);
        }
    }

    /// An INVITE to a vendor came back: nobody listens there.
    pub(crate) fn note_unreachable(&mut self, now: Instant, role: Role, owner: Option<CallKey>) {
        let slot = owner.and_then(|owner| self.live_call(owner));
        let (Role::Attempt(index), Some(slot)) = (role, slot) else { return };
        self.calls[slot].note_attempt_end(now, index, EndReason::Unreachable);
        if let Some(gateway) = self.gateway_shown(slot, index) {
            self.report_news(gateway, News::Unreachable, 0, 0);
        }
    }
}
