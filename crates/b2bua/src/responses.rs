//! Responses to requests of ours: which transaction one is for, and to whom it is passed up.

use link::endpoint::Transport;
use sip::digest::Asker;
use sip::{Message, Method, Name};

use crate::Instant;
use crate::compose::{self, Outgoing, Party};
use crate::counter::Counter;
use crate::dialog::can_be_meant;
use crate::path::Path;
use crate::switch::Switch;
use crate::transact::{Which, branch_token};
use crate::transaction::{Class, Machine, Role, TransactionKey, invite_client, non_invite_client};

impl Switch {
    /// The client transaction that a response names by its branch.
    fn client_of(&mut self, message: &Message<'_>) -> Option<TransactionKey> {
        // More than one Via: it went astray, we are no proxy (§8.1.3.3).
        if message.list(Name::Via).nth(1).is_some() {
            return None;
        }
        let token = branch_token(message.via().branch()?)?;
        let place = token.place(&self.setup.keys);
        let key = TransactionKey { slot: place.slot, generation: place.generation };
        let transaction = self.transactions.find(key)?;
        if transaction.random != token.random || transaction.cseq != message.cseq().number {
            return None;
        }
        match (transaction.machine, message.method()) {
            (Machine::InviteClient(_), Method::Invite) => Some(key),
            // A CANCEL has its INVITE's branch (§9.1).
            (Machine::InviteClient(_), Method::Cancel) => transaction.cancel,
            (Machine::NonInviteClient(_), Method::Invite | Method::Cancel) => None,
            (Machine::NonInviteClient(_), _) => Some(key),
            _ => None,
        }
    }

    /// A response.
    pub(crate) fn handle_response(&mut self, now: Instant, path: Path, message: &Message<'_>) {
        let Some(key) = self.client_of(message) else {
            return self.counters.add(Counter::ResponsesUnmatched);
        };
        let Some(transaction) = self.transactions.find(key) else { return };
        if transaction.path.remote.ip() != path.remote.ip() {
            self.counters.add(Counter::ResponsesMisplaced);
            // A server matches by branch and method alone (§17.1.3), and the branch is one that nobody can
            // have who has not read the request. Nothing is learned of the address: ACK and CANCEL go
            // where the request went. A connection leads to one peer, who needs no other.
            let is_datagram = |path: Path| path.transport == Transport::Udp;
            let may_be_its = is_datagram(transaction.path)
                && is_datagram(path)
                && can_be_meant(path.remote, transaction.path.remote, &self.setup.locals);
            if !may_be_its {
                return;
            }
        }
        let class = Class::of(message.status().unwrap_or(0));
        match transaction.machine {
            Machine::InviteClient(state) => {
                let (next, effect) = state.step(invite_client::Input::Response(class));
                let cancel = match class {
                    Class::Provisional => None,
                    Class::Success | Class::Failure => transaction.cancel.take(),
                };
                self.enter(now, key, Machine::InviteClient(next));
                // Its purpose is served: whatever it still has to say is of no interest.
                if let Some(cancel) = cancel {
                    self.close_transaction(cancel);
                }
                self.invite_effect(now, key, effect, message);
            }
            Machine::NonInviteClient(state) => {
                let (next, effect) = state.step(non_invite_client::Input::Response(class));
                self.enter(now, key, Machine::NonInviteClient(next));
                if effect == non_invite_client::Effect::PassUp && class != Class::Provisional {
                    self.non_invite_final(now, key, message);
                }
            }
            Machine::Free | Machine::InviteServer(_) | Machine::NonInviteServer(_) => {}
        }
    }

    fn invite_effect(
        &mut self,
        now: Instant,
        key: TransactionKey,
        effect: invite_client::Effect,
        message: &Message<'_>,
    ) {
        match effect {
            invite_client::Effect::PassUp => self.invite_response(now, key, message),
            invite_client::Effect::AckAndPassUp => {
                let successor = self.with_kept(key, Which::Sent, |switch, invite| {
                    switch.ack_failure(key, invite, message);
                    switch.log_in(now, key, invite, message)
                });
                if successor.flatten().is_none() {
                    self.invite_response(now, key, message);
                }
            }
            // The ACK stands where the INVITE stood.
            invite_client::Effect::Ack | invite_client::Effect::Resend => self.resend(key),
            invite_client::Effect::Nothing => {}
        }
    }

    /// The final response to any other request of ours. The request is still kept, since its
    /// repetitions are awaited.
    fn non_invite_final(&mut self, now: Instant, key: TransactionKey, message: &Message<'_>) {
        let asker = Asker::of_status(message.status().unwrap_or(0));
        let successor = asker.and_then(|_| {
            self.with_kept(key, Which::Sent, |switch, request| {
                switch.log_in(now, key, request, message)
            })
        });
        let Some(transaction) = self.transactions.find(key) else { return };
        match (transaction.role, transaction.owner, transaction.peer) {
            _ if successor.flatten().is_some() => {}
            (Role::Exchange, Some(owner), Some(peer)) => {
                self.exchange_response(now, owner, peer, message);
            }
            (Role::Refresh(side), Some(owner), _) => {
                self.refresh_response(now, owner, side, key, message);
            }
            (Role::Errand(place), ..) => self.errand_answered(now, place, key, message),
            (Role::Inform(side), Some(owner), _) => self.informed(now, owner, side, key),
            _ => {}
        }
    }

    /// Whose the response to an INVITE is.
    fn invite_response(&mut self, now: Instant, key: TransactionKey, message: &Message<'_>) {
        let Some(transaction) = self.transactions.find(key) else { return };
        let is_success = Class::of(message.status().unwrap_or(0)) == Class::Success;
        let (role, owner, peer) = (transaction.role, transaction.owner, transaction.peer);
        let wants_cancel = transaction.cancel_wanted;
        let owner = owner.filter(|&owner| self.live_call(owner).is_some());
        if wants_cancel {
            self.cancel_client(now, key, None);
        }
        match (role, owner, peer) {
            (Role::Attempt(index), Some(owner), _) => {
                self.attempt_response(now, owner, index, key, message);
            }
            (Role::Exchange, Some(owner), Some(peer)) => {
                self.exchange_invite_response(now, owner, peer, key, message);
            }
            (Role::Refresh(side), Some(owner), _) => {
                self.refresh_response(now, owner, side, key, message);
            }
            (Role::Transfer, Some(owner), _) => {
                self.transfer_response(now, owner, key, message);
            }
            _ if is_success => self.dismiss(now, key, message),
            _ => {}
        }
    }

    /// The ACK of a failure belongs to its INVITE's transaction (§17.1.1.3), and is kept where the
    /// INVITE was.
    fn ack_failure(&mut self, key: TransactionKey, invite: &Message<'_>, response: &Message<'_>) {
        let Some(path) = self.transactions.find(key).map(|transaction| transaction.path) else {
            return;
        };
        let branch = invite.via().branch().and_then(branch_token);
        let ack = branch.and_then(|branch| compose::beside(invite, Method::Ack, branch));
        let to = Party::of(response.to());
        if ack.is_some_and(|ack| self.send_request(path, &Outgoing { to, ..ack })) {
            self.keep_instead(key, path);
        }
    }
}
