//! Messages of ours that came back (RFC 3261 §17.1.4, §18.4): no connection could be opened, it broke, or
//! ICMP says that nobody listens there.
//!
//! ICMP can be forged and quotes only the front of a datagram, so nothing of it is believed but a branch:
//! a token that we alone could write and that only the way to the peer has seen.

use sip::{Name, Via};

use crate::Instant;
use crate::counter::Counter;
use crate::switch::Switch;
use crate::transact::branch_token;
use crate::transaction::{Machine, Timer, TransactionKey, invite_client, non_invite_client};

/// What can be read of a message from its front alone.
struct Front<'a> {
    method: &'a [u8],
    branch: &'a [u8],
}

/// What became of a message that came back.
enum Found<'a> {
    Response,
    Request(Front<'a>),
    Nothing,
}

impl Switch {
    /// A message of ours that did not reach its peer, or the front of it: its transaction ends at once, as
    /// if its peer had been silent for ever, but for what is told of it (§8.1.3.1); but what was only too
    /// long for UDP goes by UDP now.
    pub fn handle_undeliverable(&mut self, now: Instant, bytes: &[u8]) {
        let front = match read_front(bytes) {
            // What a server cannot send, its client will ask for again.
            Found::Response => return self.counters.add(Counter::ResponsesUndeliverable),
            Found::Request(front) => front,
            Found::Nothing => return self.counters.add(Counter::UndeliverableUnmatched),
        };
        let Some(key) = self.sender_of(&front) else {
            return self.counters.add(Counter::UndeliverableUnmatched);
        };
        let Some(found) = self.transactions.find(key) else { return };
        let (machine, role, owner) = (found.machine, found.role, found.owner);
        // As if all patience were used up: only a transaction that has heard nothing yet gives up.
        let next = match machine {
            Machine::InviteClient(state) => {
                let (next, _) = state.step(invite_client::Input::Fired(Timer::B));
                Machine::InviteClient(next)
            }
            Machine::NonInviteClient(state) => {
                let (next, _) = state.step(non_invite_client::Input::Fired(Timer::F));
                Machine::NonInviteClient(next)
            }
            Machine::Free | Machine::InviteServer(_) | Machine::NonInviteServer(_) => return,
        };
        if next == machine {
            return self.counters.add(Counter::UndeliverableUnmatched);
        }
        if self.return_to_udp(now, key) {
            return;
        }
        self.counters.add(Counter::RequestsUndeliverable);
        self.note_unreachable(now, role, owner);
        self.client_fired(now, key, next);
    }

    /// The client transaction that sent a request.
    fn sender_of(&mut self, front: &Front<'_>) -> Option<TransactionKey> {
        let token = branch_token(front.branch)?;
        let place = token.place(&self.setup.keys);
        let key = TransactionKey { slot: place.slot, generation: place.generation };
        let transaction = self.transactions.find(key)?;
        if transaction.random != token.random {
            return None;
        }
        match front.method {
            // Both have their INVITE's branch (§9.1, §17.1.1.3), and an ACK has no transaction.
            b"CANCEL" => transaction.cancel,
            b"ACK" => None,
            _ => Some(key),
        }
    }
}

/// Reads the first line and the top Via, which we write right behind it.
fn read_front(bytes: &[u8]) -> Found<'_> {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if first.starts_with(b"SIP/2.0 ") {
        return Found::Response;
    }
    let method = first.split(|&byte| byte == b' ').next().unwrap_or_default();
    // A line that was cut may end within its branch.
    let via = lines.next().and_then(|line| line.strip_suffix(b"\r\n")).and_then(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let is_via = Name::new(&line[..colon]) == Name::Via;
        Via::parse(&line[colon + 1..]).filter(|_| is_via)
    });
    match via.and_then(|via| via.branch()) {
        Some(branch) => Found::Request(Front { method, branch }),
        None => Found::Nothing,
    }
}
