//! What the switch does with transactions: opens, answers, repeats, matches and ends them.
//!
//! The machines decide; here their effects become messages and calls upward. What a transaction
//! cannot keep, because the pool is full, it does not repeat; a request of ours that cannot be kept
//! is not sent at all.

use std::net::SocketAddr;

use link::Profile;
use link::endpoint::Transport;
use link::profile::{ReplyAddress, Wishes};
use link::record::{CallKey, EndReason, NEVER};
use sip::{Message, Method, Name};

use crate::Instant;
use crate::compose::{self, COOKIE, Outgoing, Party, Reply, Told, Us};
use crate::counter::Counter;
use crate::dialog::{Order, Side, join_routes, way_of};
use crate::kept::Kept;
use crate::keys::{self, Place, Token};
use crate::limits::Setup;
use crate::outbox::Outbox;
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transaction::{
    Birth, Class, Machine, Role, Timer, TransactionKey, invite_client, invite_server,
    non_invite_client, non_invite_server,
};

/// Which message of a transaction is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one it would send again.
    Sent,
    /// The request that a server transaction answers.
    Request,
}

/// Whether a new server transaction keeps its request, to answer it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It will be answered later.
    Request,
    /// It is answered now.
    Nothing,
}

/// How an attempt of a call ended.
#[derive(Clone, Copy, Default)]
struct AttemptEnd {
    /// Whose it was; 0: nobody's that we know.
    gateway: u32,
    reason: EndReason,
    /// Whether another attempt of the call was answered instead.
    elsewhere: bool,
}

/// Whither the response to a request goes that came along `path` (RFC 3261 §18.2.2), if its sender wants
/// nothing else: to the port of its Via, or to the one it came from if it asks for that (RFC 3581 §4).
/// `maddr` is not followed: it would send our responses wherever a stranger points.
fn reply_path(path: Path, request: &Message<'_>, peer: &Profile) -> Path {
    let via = request.via();
    let to = |remote| Path { remote, ..path };
    let asks = via.rport() != sip::header::via::Rport::Absent;
    match ReplyAddress::from(peer.reply_address) {
        _ if path.is_reliable() || path.inside().is_some() => path,
        ReplyAddress::Fixed => fixed_address(peer, path).map_or(path, to),
        ReplyAddress::Source if asks => path,
        ReplyAddress::Source | ReplyAddress::Via => {
            let port = via.port().filter(|&port| port != 0).unwrap_or(5060);
            to(SocketAddr::new(path.remote.ip(), port))
        }
    }
}

/// A peer's own address, if our end of a path can speak to it.
pub(crate) fn fixed_address(peer: &Profile, path: Path) -> Option<SocketAddr> {
    let address = peer.address.socket_address()?;
    (address.is_ipv4() == path.local.is_ipv4() && address.port() != 0).then_some(address)
}

impl Switch {
    /// Never 0, which means none.
    pub(crate) fn random(&mut self) -> u64 {
        self.random.next() | 1
    }

    /// The own address that a path uses.
    pub(crate) fn local_of(&self, path: &Path) -> u8 {
        let locals = &self.setup.locals;
        let exact = locals.iter().position(|local| local.sip() == path.local);
        let by_ip = || locals.iter().position(|local| local.address == path.local.ip());
        exact.or_else(by_ip).unwrap_or(0) as u8
    }

    fn rearm(&mut self, slot: u32) {
        self.timers.set(slot, self.transactions.deadline(slot));
    }

    pub(crate) fn enter(&mut self, now: Instant, key: TransactionKey, machine: Machine) {
        self.transactions.enter(now, key, machine);
        self.rearm(key.slot);
        if self.transactions.find(key).is_some_and(|transaction| transaction.has_ended()) {
            self.close_transaction(key);
        }
    }

    pub(crate) fn close_transaction(&mut self, key: TransactionKey) {
        if self.transactions.find(key).is_none() {
            return;
        }
        for kept in self.transactions.close(key) {
            self.kept.release(kept);
        }
        self.timers.set(key.slot, None);
    }

    /// Reads a kept message again. `None`: it is not there.
    pub(crate) fn with_kept<R>(
        &mut self,
        key: TransactionKey,
        which: Which,
        act: impl FnOnce(&mut Self, &Message<'_>) -> R,
    ) -> Option<R> {
        let mut scratch = self.take_scratch();
        let bytes = match (self.transactions.find(key), which) {
            (Some(transaction), Which::Sent) => self.kept.copy(&transaction.sent, &mut scratch),
            (Some(transaction), Which::Request) => {
                self.kept.copy(&transaction.request, &mut scratch)
            }
            (None, _) => &[],
        };
        let result = Message::parse(bytes).ok().map(|message| act(self, &message));
        self.give_scratch(scratch);
        result
    }

    /// Opens a server transaction. The error is the counter of what is full.
    pub(crate) fn open_server(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        key: Key,
        merge: Key,
        keep: Keep,
    ) -> Result<TransactionKey, Counter> {
        let request = match keep {
            Keep::Request => self.kept.keep(message.as_bytes()).ok_or(Counter::RefusedKeptFull)?,
            Keep::Nothing => Kept::NONE,
        };
        let machine = match message.method() {
            Method::Invite => Machine::InviteServer(invite_server::State::Proceeding),
            _ => Machine::NonInviteServer(non_invite_server::State::Trying),
        };
        let cseq = message.cseq().number;
        let birth = Birth { cseq, key, merge, ..Birth::of(machine, path) };
        let Some(opened) = self.transactions.open(now, birth) else {
            self.kept.release(request);
            return Err(Counter::RefusedTransactionsFull);
        };
        if let Some(transaction) = self.transactions.find(opened) {
            transaction.request = request;
        }
        Ok(opened)
    }

    /// A server transaction waits for control, so long.
    pub(crate) fn await_control(&mut self, key: TransactionKey, until: Instant) {
        self.transactions.wait(key, until);
        self.rearm(key.slot);
    }

    /// Answers from the request that was kept.
    pub(crate) fn answer(&mut self, now: Instant, key: TransactionKey, reply: &Reply<'_>) {
        self.with_kept(key, Which::Request, |switch, request| {
            switch.answer_to(now, key, request, reply);
        });
    }

    /// Answers a request inside a dialog for good: what comes again, from its number on, cannot be judged
    /// anew. Without room for its transaction it is answered all the same.
    pub(crate) fn answer_once(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
        key: Key,
        reply: &Reply<'_>,
    ) {
        match self.open_server(now, path, request, key, 0, Keep::Nothing) {
            Ok(server) => self.answer_to(now, server, request, reply),
            Err(why) => {
                self.counters.add(why);
                self.reply_stateless(path, request, reply);
            }
        }
    }

    /// Answers a request.
    pub(crate) fn answer_to(
        &mut self,
        now: Instant,
        key: TransactionKey,
        request: &Message<'_>,
        reply: &Reply<'_>,
    ) {
        let Some(transaction) = self.transactions.find(key) else { return };
        let class = Class::of(reply.status);
        let (machine, sends) = match transaction.machine {
            Machine::InviteServer(state) => {
                let (state, effect) = state.step(invite_server::Input::Answer(class));
                (Machine::InviteServer(state), effect == invite_server::Effect::Send)
            }
            Machine::NonInviteServer(state) => {
                let (state, effect) = state.step(non_invite_server::Input::Answer(class));
                (Machine::NonInviteServer(state), effect == non_invite_server::Effect::Send)
            }
            Machine::Free | Machine::InviteClient(_) | Machine::NonInviteClient(_) => return,
        };
        if !sends {
            return;
        }
        let path = transaction.path;
        let owner = transaction.owner.filter(|_| transaction.role == Role::Caller);
        let old = transaction.sent.take();
        let request_kept = match class {
            Class::Provisional => Kept::NONE,
            Class::Success | Class::Failure => transaction.request.take(),
        };
        self.kept.release(old);
        self.kept.release(request_kept);
        let sent = self.send_reply(path, owner, request, reply);
        let kept = sent.and_then(|_| self.kept.keep(self.outbox.last()));
        if kept.is_none() {
            self.counters.add(Counter::KeptFull);
        }
        if let Some(transaction) = self.transactions.find(key) {
            transaction.sent = kept.unwrap_or(Kept::NONE);
            transaction.sent_along = sent.unwrap_or(path);
        }
        self.enter(now, key, machine);
    }

    /// Who sent a request, as [`Profiles::of_party`](crate::profiles::Profiles::of_party) asks: of the leg
    /// that it belongs to, or of the call that it opened. 0: nobody whose wishes we know, yet.
    fn party_behind(&self, opened: Option<CallKey>, request: &Message<'_>) -> (u32, Wishes) {
        let caller = || Some((opened.and_then(|call| self.live_call(call))?, Side::Caller));
        self.find_leg(request)
            .or_else(caller)
            .map_or((0, Wishes::default()), |(slot, side)| self.calls[slot].party(side))
    }

    /// Writes a response to a request that came along `path` and opened a call, or none. Gives the way
    /// that it goes, if it goes.
    pub(crate) fn send_reply(
        &mut self,
        path: Path,
        opened: Option<CallKey>,
        request: &Message<'_>,
        reply: &Reply<'_>,
    ) -> Option<Path> {
        let (gateway, wishes) = self.party_behind(opened, request);
        let peer = self.profiles.of_party(gateway, wishes);
        let local = self.local_of(&path);
        let us = Us {
            local: &self.setup.locals[usize::from(local)],
            transport: path.transport,
            user_agent: self.setup.user_agent.as_bytes(),
        };
        let along = reply_path(path, request, peer);
        let written = self
            .outbox
            .write(along, |out| compose::reply(out, &us, request, (path.remote, peer), reply));
        self.count_unsent(written).then_some(along)
    }

    /// A buffer of one message; goes back by [`Switch::give_scratch`].
    pub(crate) fn take_scratch(&mut self) -> Box<[u8]> {
        self.scratches.pop().expect("messages nest at most so deep")
    }

    pub(crate) fn give_scratch(&mut self, scratch: Box<[u8]>) {
        self.scratches.push(scratch);
    }

    /// Counts what could not be sent. Whether it was.
    pub(crate) fn count_unsent(&mut self, written: Result<(), Counter>) -> bool {
        if let Err(reason) = written {
            self.counters.add(reason);
        }
        written.is_ok()
    }

    /// Sends again what a transaction keeps.
    pub(crate) fn resend(&mut self, key: TransactionKey) {
        let Some(transaction) = self.transactions.find(key) else { return };
        if transaction.sent.is_none() {
            return;
        }
        let (kept, sent) = (&self.kept, &transaction.sent);
        let written = self.outbox.write(transaction.sent_along, |out| {
            Some(kept.copy(sent, out).len()).filter(|&n| n > 0)
        });
        self.count_unsent(written);
    }

    /// The branch of the client transaction that the next [`Switch::open_client`] opens.
    pub(crate) fn next_branch(&mut self) -> Option<Token> {
        let random = self.random();
        let TransactionKey { slot, generation } = self.transactions.next()?;
        Some(Token::of(Place { slot, variant: 0, generation }, random, &self.setup.keys))
    }

    /// A branch of no transaction: an ACK to a 2xx has none (§17.1.1.1), and its answer misses.
    pub(crate) fn lone_branch(&mut self) -> Token {
        let random = self.random();
        let place = Place { slot: 0xff_ffff, variant: 0, generation: 0 };
        Token::of(place, random, &self.setup.keys)
    }

    /// Opens the client transaction of the request just written into the outbox. On failure the
    /// request is taken back: what cannot be repeated is not sent.
    pub(crate) fn open_client(
        &mut self,
        now: Instant,
        birth: Birth,
    ) -> Result<TransactionKey, Counter> {
        let opened = self.repeat_client(now, birth);
        opened.inspect_err(|_| self.outbox.unsend())
    }

    /// The branch of a BYE, which goes out even where no transaction can repeat it: a far end that never hears
    /// of the end talks on, and somebody pays.
    pub(crate) fn branch_of_bye(&mut self) -> Token {
        self.next_branch().unwrap_or_else(|| self.lone_branch())
    }

    /// Opens the client transaction of the request just written into the outbox. On failure it is sent once.
    pub(crate) fn repeat_client(
        &mut self,
        now: Instant,
        birth: Birth,
    ) -> Result<TransactionKey, Counter> {
        let birth = self.detour(birth);
        let Some(kept) = self.kept.keep(self.outbox.last()) else {
            self.counters.add(Counter::KeptFull);
            return Err(Counter::KeptFull);
        };
        let Some(key) = self.transactions.open(now, birth) else {
            self.kept.release(kept);
            self.counters.add(Counter::TransactionsFull);
            return Err(Counter::TransactionsFull);
        };
        if let Some(transaction) = self.transactions.find(key) {
            transaction.sent = kept;
        }
        self.rearm(key.slot);
        Ok(key)
    }

    /// A request to a vendor over UDP that is longer than the operator wants datagrams goes by TCP: the
    /// one just written, whose Via then says so (§18.1.1). Behind NAT nobody can be connected to, so those
    /// who come to us are spared that.
    fn detour(&mut self, birth: Birth) -> Birth {
        let limit = self.parameters.tcp_above_bytes as usize;
        let is_long = limit > 0 && self.outbox.last().len() > limit;
        let vendor = self.profiles.of(birth.gateway).address.socket_address();
        if !is_long || birth.path.is_reliable() || vendor.is_none() {
            return birth;
        }
        let path = Path { transport: Transport::Tcp, ..birth.path };
        compose::turn_via(self.outbox.redirect(path), Transport::Tcp);
        self.counters.add(Counter::RequestsByTcp);
        Birth { path, detours: true, ..birth }
    }

    /// Sends what went by TCP for its length once more, by UDP, since by TCP nobody is there (§18.1.1).
    /// Whether it did.
    pub(crate) fn return_to_udp(&mut self, now: Instant, key: TransactionKey) -> bool {
        let found = self.transactions.find(key);
        let Some(transaction) = found.filter(|found| found.detours && !found.cancelled) else {
            return false;
        };
        let path = Path { transport: Transport::Udp, ..transaction.path };
        let (kept, sent) = (&self.kept, &transaction.sent);
        let written = self.outbox.write(path, |out| {
            let length = kept.copy(sent, out).len();
            compose::turn_via(&mut out[..length], Transport::Udp);
            Some(length).filter(|&length| length > 0)
        });
        if !self.count_unsent(written) {
            return false;
        }
        self.keep_instead(key, path);
        self.transactions.begin_again(now, key, path);
        self.rearm(key.slot);
        self.counters.add(Counter::RequestsBackToUdp);
        true
    }

    /// Replaces what a transaction would send again by the message just written.
    pub(crate) fn keep_instead(&mut self, key: TransactionKey, path: Path) {
        let Some(transaction) = self.transactions.find(key) else { return };
        transaction.sent_along = path;
        let old = transaction.sent.take();
        self.kept.release(old);
        match self.kept.keep(self.outbox.last()) {
            Some(kept) => {
                if let Some(transaction) = self.transactions.find(key) {
                    transaction.sent = kept;
                }
            }
            None => self.counters.add(Counter::KeptFull),
        }
    }

    /// A request that matches a server transaction: a repetition, an ACK or a CANCEL.
    pub(crate) fn match_server(
        &mut self,
        now: Instant,
        key: TransactionKey,
        path: Path,
        message: &Message<'_>,
    ) {
        let Some(transaction) = self.transactions.find(key) else { return };
        match (transaction.machine, message.method()) {
            (Machine::InviteServer(_), Method::Cancel) => self.cancel(now, key, path, message),
            (Machine::InviteServer(state), Method::Ack) => {
                let (next, effect) = state.step(invite_server::Input::Ack);
                self.enter(now, key, Machine::InviteServer(next));
                if effect == invite_server::Effect::PassUp {
                    self.dialog_ack(now, message);
                }
            }
            (Machine::InviteServer(state), _) => {
                self.counters.add(Counter::RequestsRepeated);
                if state.step(invite_server::Input::Invite).1 == invite_server::Effect::Resend {
                    self.resend(key);
                }
            }
            (Machine::NonInviteServer(state), _) => {
                self.counters.add(Counter::RequestsRepeated);
                let (_, effect) = state.step(non_invite_server::Input::Request);
                if effect == non_invite_server::Effect::Resend {
                    self.resend(key);
                }
            }
            (Machine::Free | Machine::InviteClient(_) | Machine::NonInviteClient(_), _) => {}
        }
    }

    /// Writes a request that borrows nothing of the switch. Whether it could be sent.
    pub(crate) fn send_request(&mut self, path: Path, request: &Outgoing<'_>) -> bool {
        let local = self.local_of(&path);
        let written = write_request(&mut self.outbox, &self.setup, local, path, request);
        self.count_unsent(written)
    }

    /// Whose attempt an INVITE of ours is, and why it ended, as far as the call still knows.
    fn attempt_end(&self, role: Role, owner: Option<CallKey>) -> AttemptEnd {
        let slot = owner.and_then(|owner| self.live_call(owner));
        let (Role::Attempt(index), Some(slot)) = (role, slot) else { return AttemptEnd::default() };
        let attempts = self.calls[slot].record.attempts();
        attempts.get(usize::from(index)).map_or_else(AttemptEnd::default, |attempt| {
            let reason = EndReason::from_number(attempt.reason);
            let is_answered = attempts.iter().any(|attempt| attempt.answered_ms != NEVER);
            let elsewhere = is_answered && reason == EndReason::Cancelled;
            AttemptEnd { gateway: attempt.gateway, reason, elsewhere }
        })
    }

    /// Cancels an INVITE of ours: now if a 1xx came, else as soon as one comes (§9.1).
    pub(crate) fn cancel_client(
        &mut self,
        now: Instant,
        key: TransactionKey,
        passed: Option<&Message<'_>>,
    ) {
        let Some(transaction) = self.transactions.find(key) else { return };
        let Machine::InviteClient(state) = transaction.machine else { return };
        transaction.cancel_wanted = true;
        transaction.cancelled = true;
        let (next, _) = state.step(invite_client::Input::Cancelled);
        if next == state {
            return;
        }
        transaction.cancel_wanted = false;
        let (path, random, cseq) = (transaction.path, transaction.random, transaction.cseq);
        let (role, owner) = (transaction.role, transaction.owner);
        self.enter(now, key, Machine::InviteClient(next));
        let AttemptEnd { gateway, reason, elsewhere } = self.attempt_end(role, owner);
        let sent = self.with_kept(key, Which::Sent, |switch, invite| {
            let branch = invite.via().branch().and_then(branch_token)?;
            let peer = Some(switch.profiles.of(gateway));
            let told = Told { peer, reason, elsewhere, caller: None };
            let cancel =
                Outgoing { passed, told, ..compose::beside(invite, Method::Cancel, branch)? };
            let local = switch.local_of(&path);
            let written = write_request(&mut switch.outbox, &switch.setup, local, path, &cancel);
            switch.count_unsent(written).then_some(())
        });
        if sent.flatten().is_none() {
            return;
        }
        let machine = Machine::NonInviteClient(non_invite_client::State::Trying);
        let birth = Birth { random, cseq, ..Birth::of(machine, path) };
        let cancel = self.open_client(now, birth).ok();
        if let Some(transaction) = self.transactions.find(key) {
            transaction.cancel = cancel;
        }
    }

    /// A 2xx that nobody wants: of a branch given up, or of a fork that lost. ACK, and BYE once. Where a
    /// call had that dialog its BYE is out already: ACK alone.
    pub(crate) fn dismiss(&mut self, now: Instant, key: TransactionKey, answer: &Message<'_>) {
        let tag = self.tag_hash(answer);
        let Some(transaction) = self.transactions.find(key) else { return };
        let repeated = transaction.dismissed.note(tag);
        let in_dialog = match transaction.role {
            Role::Exchange | Role::Refresh(_) => true,
            // The target is called from inside; who is asked outside comes back, and has a dialog.
            Role::Transfer => transaction.path.inside().is_none(),
            _ => false,
        };
        let was_ours = in_dialog || transaction.winner == tag;
        let ahead = u32::from(transaction.cseq_ahead);
        let gateway = transaction.gateway;
        let mut path = transaction.way();
        if let Some(contact) = answer.contact() {
            path = way_of(contact.uri(), path, &self.setup.locals);
        }
        let Ok((routes, length)) = join_routes(answer.list(Name::RecordRoute), Order::Reversed)
        else {
            return;
        };
        let (ack, bye) = (self.lone_branch(), self.branch_of_bye());
        self.with_kept(key, Which::Sent, |switch, invite| {
            let request = |method, branch| {
                Some(Outgoing {
                    uri: answer.contact().map_or(invite.request()?.uri.as_bytes(), |contact| {
                        contact.uri().as_bytes()
                    }),
                    routes: &routes[..length],
                    to: Party::of(answer.to()),
                    ..compose::beside(invite, method, branch)?
                })
            };
            let Some(ack) = request(Method::Ack, ack) else { return };
            switch.send_request(path, &ack);
            let wanted = !was_ours && !repeated;
            let Some(request) = request(Method::Bye, bye).filter(|_| wanted) else { return };
            switch.counters.add(Counter::AnswersUnwanted);
            let cseq = ack.cseq + ahead + 1;
            if switch.send_request(path, &Outgoing { cseq, ..request }) {
                let machine = Machine::NonInviteClient(non_invite_client::State::Trying);
                let random = bye.random;
                let birth = Birth { random, cseq, gateway, ..Birth::of(machine, path) };
                // What is full was counted.
                let _ = switch.repeat_client(now, birth);
            }
        });
    }

    /// A short name of a response's To-tag.
    pub(crate) fn tag_hash(&self, message: &Message<'_>) -> u64 {
        keys::hash(&self.setup.keys.tag, message.to().tag().unwrap_or_default()) | 1
    }

    /// What is due for one transaction.
    pub(crate) fn fire(&mut self, now: Instant, slot: u32) {
        let (key, _) = self.transactions.at(slot);
        loop {
            let Some(transaction) = self.transactions.find(key) else { return };
            let Some(timer) = transaction.take_due(now) else { return self.rearm(slot) };
            match transaction.machine {
                Machine::InviteServer(state) => {
                    let (next, effect) = state.step(invite_server::Input::Fired(timer));
                    if effect == invite_server::Effect::Resend {
                        self.resend(key);
                    }
                    self.enter(now, key, Machine::InviteServer(next));
                }
                Machine::NonInviteServer(_) if timer == Timer::W => self.register_late(now, key),
                Machine::NonInviteServer(state) => {
                    let (next, _) = state.step(non_invite_server::Input::Fired(timer));
                    self.enter(now, key, Machine::NonInviteServer(next));
                }
                Machine::InviteClient(state) => {
                    let (next, effect) = state.step(invite_client::Input::Fired(timer));
                    // Also one that is to be cancelled: who rings with a 180 that was lost on its way would
                    // never hear the CANCEL, which has to wait for a 1xx (§9.1).
                    if effect == invite_client::Effect::Resend {
                        self.resend(key);
                    }
                    self.client_fired(now, key, Machine::InviteClient(next));
                }
                Machine::NonInviteClient(state) => {
                    let (next, effect) = state.step(non_invite_client::Input::Fired(timer));
                    if effect == non_invite_client::Effect::Resend {
                        self.resend(key);
                    }
                    self.client_fired(now, key, Machine::NonInviteClient(next));
                }
                Machine::Free => return,
            }
        }
    }

    /// A client transaction that ends without a final response tells its call.
    pub(crate) fn client_fired(&mut self, now: Instant, key: TransactionKey, machine: Machine) {
        let unanswered = matches!(
            machine,
            Machine::InviteClient(invite_client::State::Ended(invite_client::Why::NoAnswer))
                | Machine::NonInviteClient(non_invite_client::State::Ended(
                    non_invite_client::Why::NoAnswer
                ))
        );
        let Some(transaction) = self.transactions.find(key) else { return };
        let (role, owner, peer) = (transaction.role, transaction.owner, transaction.peer);
        let slot = owner.and_then(|owner| self.live_call(owner));
        let lost = slot.filter(|_| unanswered && role == Role::Exchange).and_then(|slot| {
            self.with_kept(key, Which::Sent, |switch, sent| switch.side_of(slot, sent)).flatten()
        });
        self.enter(now, key, machine);
        if !unanswered {
            return;
        }
        self.counters.add(Counter::TransactionsTimedOut);
        match (role, owner, peer) {
            (Role::Attempt(index), Some(owner), _) => {
                self.attempt_unanswered(now, owner, index, key);
            }
            (Role::Exchange, Some(owner), Some(peer)) => {
                self.exchange_unanswered(now, owner, peer, lost);
            }
            (Role::Refresh(_), Some(owner), _) => self.refresh_late(now, owner, key),
            (Role::Transfer, Some(owner), _) => self.transfer_unanswered(now, owner, key),
            (Role::Errand(place), ..) => self.errand_unanswered(place, key),
            (Role::Inform(side), Some(owner), _) => self.informed(now, owner, side, key),
            _ => {}
        }
    }
}

/// Writes a request; the parts of the switch apart, since a leg may be borrowed by `request`.
pub(crate) fn write_request(
    outbox: &mut Outbox,
    setup: &Setup,
    local: u8,
    path: Path,
    request: &Outgoing<'_>,
) -> Result<(), Counter> {
    let us = Us {
        local: &setup.locals[usize::from(local)],
        transport: path.transport,
        user_agent: setup.user_agent.as_bytes(),
    };
    outbox.write(path, |out| compose::request(out, &us, request))
}

/// The token in a branch of ours.
pub(crate) fn branch_token(branch: &[u8]) -> Option<Token> {
    Token::read(branch.strip_prefix(COOKIE)?)
}
