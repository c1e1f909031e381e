//! When a vendor wants a request once more: what challenges mean to a call.
//!
//! The record knows nothing of them: one is no failure, and its answer no further seizure.

use link::record::CallKey;
use sip::Message;

use super::State;
use crate::Instant;
use crate::arena::Field;
use crate::switch::Switch;
use crate::transaction::{Role, TransactionKey};

impl Switch {
    /// Whether somebody still waits for what a request of ours brings.
    pub(crate) fn is_awaited(
        &self,
        key: TransactionKey,
        role: Role,
        owner: Option<CallKey>,
    ) -> bool {
        let call = owner.and_then(|owner| self.live_call(owner)).map(|slot| &self.calls[slot]);
        match (role, call) {
            (Role::Attempt(index), Some(call)) => {
                let is_sought = matches!(call.state, State::Trying | State::Ringing);
                is_sought && call.branches.has(index, key)
            }
            (Role::Exchange, Some(call)) => call.state.is_confirmed(),
            (Role::Attempt(_) | Role::Exchange | Role::Caller | Role::Register, _) => false,
            // A BYE must arrive, whatever became of its call.
            (Role::None | Role::Errand(_), _) => true,
        }
    }

    /// The number for a request that goes out once more: no other of its dialog may have it.
    pub(crate) fn next_number(&mut self, owner: Option<CallKey>, request: &Message<'_>) -> u32 {
        let number = request.cseq().number.saturating_add(1);
        let slot = owner.and_then(|owner| self.live_call(owner));
        let legs = slot.map(|slot| &mut self.calls[slot].legs);
        let leg = legs.and_then(|legs| {
            legs.iter_mut().find(|leg| leg.text(Field::CallId) == request.call_id())
        });
        let Some(leg) = leg else { return number };
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
        let call = &mut self.calls[slot];
        if let Some(exchange) = call.exchange.as_mut().filter(|exchange| exchange.client == old) {
            exchange.client = new;
        }
        if let Role::Attempt(index) = role {
            call.branches.open(index, new);
            // Of several that are called at once, the others' patience is not this one's.
            if call.branches.iter().count() == 1 {
                self.await_group(now, slot);
            }
        }
    }
}
