//! The four transaction machines and the store they live in (RFC 3261 §17, RFC 6026).
//!
//! A machine is a pure function in a file of its own. The store keeps, per transaction, its state,
//! what it would send again, and its two running timers: one that repeats, one that ends it. A
//! client transaction is found by reading its branch, which we minted; a server transaction by a
//! keyed hash of what RFC 3261 §17.2.3 compares.

pub(crate) mod invite_client;
pub(crate) mod invite_server;
pub(crate) mod non_invite_client;
pub(crate) mod non_invite_server;

use core::time::Duration;

use link::endpoint::Transport;
use link::record::CallKey;

use crate::Instant;
use crate::dialog::Side;
use crate::kept::Kept;
use crate::path::Path;
use crate::table::{Key, Table};
use crate::timers::micros_until;

/// The estimate of a round trip (§17.1.1.1).
pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest pause between repetitions.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// How long a message may wander in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// When a transaction gives up.
pub(crate) const SIXTY_FOUR_T1: Duration = Duration::from_secs(32);
/// Timer D.
pub(crate) const THIRTY_TWO_SECONDS: Duration = Duration::from_secs(32);

/// Responses by what a machine does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 3xx–6xx.
    Failure,
}

impl Class {
    pub(crate) fn of(status: u16) -> Self {
        match status {
            ..=199 => Self::Provisional,
            200..=299 => Self::Success,
            300.. => Self::Failure,
        }
    }
}

/// Who repeats what is lost: we, or the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// UDP.
    Unreliable,
    /// TCP, TLS.
    Reliable,
}

/// The timers of RFC 3261, table 4, and L and M of RFC 6026. C is the wait after a CANCEL (§9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// INVITE again.
    A,
    /// INVITE given up.
    B,
    /// Final response after CANCEL given up.
    C,
    /// Repeated failures no longer expected.
    D,
    /// Request again.
    E,
    /// Request given up.
    F,
    /// Failure again.
    G,
    /// ACK given up.
    H,
    /// Repeated ACKs no longer expected.
    I,
    /// Repeated requests no longer expected.
    J,
    /// Repeated responses no longer expected.
    K,
    /// Repeated INVITEs no longer expected.
    L,
    /// Repeated 2xx no longer expected.
    M,
    /// Control's answer given up: ours, and of no machine.
    W,
}

impl Timer {
    /// Whether it repeats a message; the others end the transaction.
    fn repeats(self) -> bool {
        matches!(self, Self::A | Self::E | Self::G)
    }
}

/// A transaction's machine and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// No transaction.
    Free,
    /// See [`invite_server`].
    InviteServer(invite_server::State),
    /// See [`invite_client`].
    InviteClient(invite_client::State),
    /// See [`non_invite_server`].
    NonInviteServer(non_invite_server::State),
    /// See [`non_invite_client`].
    NonInviteClient(non_invite_client::State),
}

impl Machine {
    fn timers(self, carrier: Carrier) -> &'static [(Timer, Duration)] {
        match self {
            Self::Free => &[],
            Self::InviteServer(state) => state.timers(carrier),
            Self::InviteClient(state) => state.timers(carrier),
            Self::NonInviteServer(state) => state.timers(carrier),
            Self::NonInviteClient(state) => state.timers(carrier),
        }
    }

    fn has_ended(self) -> bool {
        matches!(
            self,
            Self::InviteServer(invite_server::State::Ended(_))
                | Self::InviteClient(invite_client::State::Ended(_))
                | Self::NonInviteServer(non_invite_server::State::Ended)
                | Self::NonInviteClient(non_invite_client::State::Ended(_))
        )
    }

    /// The pause after a repetition that came `interval` after the one before.
    fn next_interval(self, interval: Duration) -> Duration {
        match self {
            // Timer A doubles without bound; timer B ends it (§17.1.1.2).
            Self::InviteClient(_) => interval * 2,
            // §17.1.2.2: once they have it, there is no hurry.
            Self::NonInviteClient(non_invite_client::State::Proceeding) => T2,
            _ => (interval * 2).min(T2),
        }
    }
}

/// A transaction's place; the generation makes a key that outlived it miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl TransactionKey {
    /// Of no transaction.
    pub(crate) const NONE: Self = Self { slot: u32::MAX, generation: 0 };
}

/// What a transaction is to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing: it only repeats and absorbs.
    None,
    /// The INVITE that opened the call.
    Caller,
    /// Our INVITE to a vendor, by index in the record's attempts.
    Attempt(u8),
    /// One half of a request passed from one leg to the other.
    Exchange,
    /// A request of ours outside of any call, by its place among those that run.
    Errand(u16),
    /// A REGISTER that control answers.
    Register,
    /// Our own request that keeps the session of this leg alive.
    Refresh(Side),
    /// Our INVITE to the target of a transfer.
    Transfer,
    /// A key that this leg is told.
    Inform(Side),
}

/// A timer that runs: small, since each call has six transactions, and each of them two of these.
#[derive(Clone, Copy, Debug)]
struct Running {
    at_us: u64,
    interval_ms: u32,
    timer: Timer,
}

const _: () = assert!(size_of::<Option<Running>>() == 16);

impl Running {
    /// Never due earlier than asked: a part of a µs counts as one.
    fn new(timer: Timer, at: Instant, interval: Duration) -> Self {
        Self { at_us: micros_until(at), interval_ms: interval.as_millis() as u32, timer }
    }

    fn at(&self) -> Instant {
        Duration::from_micros(self.at_us)
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.into())
    }
}

/// Forks whose 2xx nobody wants, newest first, by hashes of their To-tags; zeros where there are fewer. Each
/// of them repeats its own until our ACK reaches it, and hears one BYE.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dismissed([u64; 4]);

impl Dismissed {
    /// Whether none was.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    /// One more, or one again. Whether it was known.
    pub(crate) fn note(&mut self, tag: u64) -> bool {
        let known = self.0.contains(&tag);
        if !known {
            self.0.rotate_right(1);
            self.0[0] = tag;
        }
        known
    }
}

/// One transaction.
pub(crate) struct Transaction {
    pub(crate) machine: Machine,
    generation: u32,
    /// The call it serves. A call that ended misses by its generation.
    pub(crate) owner: Option<CallKey>,
    pub(crate) role: Role,
    /// Of a client: whither its messages go, and whence the responses to them come. Of a server: whence
    /// its request came.
    pub(crate) path: Path,
    /// Whither what it sends again goes: `path`, but for the ACK of a 2xx, which follows Contact, and for
    /// responses to who wants them elsewhere.
    pub(crate) sent_along: Path,
    /// What it sends again: the request of a client, the last response of a server. An INVITE
    /// client that was accepted keeps its ACK here.
    pub(crate) sent: Kept,
    /// The INVITE that a server transaction answers, from which each response is made.
    pub(crate) request: Kept,
    /// Client: our random part of the branch. Server: that of the To-tag that went out.
    pub(crate) random: u64,
    /// Sequence number of its request.
    pub(crate) cseq: u32,
    /// INVITE client: its CANCEL.
    pub(crate) cancel: Option<TransactionKey>,
    /// INVITE client: to be cancelled as soon as a 1xx allows it (§9.1).
    pub(crate) cancel_wanted: bool,
    /// INVITE client: nobody wants it any more, whatever it meets.
    pub(crate) cancelled: bool,
    /// Client: the gateway whose password may answer a challenge of it; 0: nobody's.
    pub(crate) gateway: u32,
    /// Client: challenges that were answered on the way to it.
    pub(crate) challenges: u8,
    /// Client: by TCP only because its request is long (RFC 3261 §18.1.1).
    pub(crate) detours: bool,
    /// INVITE client: hash of the To-tag whose 2xx was taken; 0: none yet.
    pub(crate) winner: u64,
    /// INVITE client: the forks whose 2xx was dismissed.
    pub(crate) dismissed: Dismissed,
    /// INVITE client: how far the numbers of our requests in its early dialogs have gone beyond its own.
    pub(crate) cseq_ahead: u8,
    /// The server transaction that this client transaction finds the answer for.
    pub(crate) peer: Option<TransactionKey>,
    /// Server: where it stands in the tables.
    pub(crate) key: Key,
    merge: Key,
    repeat: Option<Running>,
    lifetime: Option<Running>,
}

/// The store. Slots are its index; the timers of a slot are the switch's business, which asks
/// [`Transactions::deadline`] after each change.
pub(crate) struct Transactions {
    slots: Box<[Transaction]>,
    free: Vec<u32>,
    by_key: Table,
    by_merge: Table,
}

/// What a new transaction is born with.
pub(crate) struct Birth {
    pub(crate) machine: Machine,
    pub(crate) owner: Option<CallKey>,
    pub(crate) role: Role,
    pub(crate) path: Path,
    pub(crate) random: u64,
    pub(crate) cseq: u32,
    /// Server only; 0 else.
    pub(crate) key: Key,
    /// INVITE server without To-tag only; 0 else.
    pub(crate) merge: Key,
    /// See [`Transaction::peer`].
    pub(crate) peer: Option<TransactionKey>,
    /// See [`Transaction::gateway`].
    pub(crate) gateway: u32,
    /// See [`Transaction::challenges`].
    pub(crate) challenges: u8,
    /// See [`Transaction::detours`].
    pub(crate) detours: bool,
}

impl Birth {
    /// Of a transaction that serves nobody.
    pub(crate) fn of(machine: Machine, path: Path) -> Self {
        Self {
            machine,
            owner: None,
            role: Role::None,
            path,
            random: 0,
            cseq: 0,
            key: 0,
            merge: 0,
            peer: None,
            gateway: 0,
            challenges: 0,
            detours: false,
        }
    }
}

impl Transactions {
    pub(crate) fn new(capacity: u32, generation: u32) -> Self {
        let nowhere = core::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let transport = Transport::Udp;
        let path = Path { transport, local: nowhere, remote: nowhere, connection: 0 };
        let empty = || Transaction {
            machine: Machine::Free,
            generation,
            owner: None,
            role: Role::None,
            path,
            sent_along: path,
            sent: Kept::NONE,
            request: Kept::NONE,
            random: 0,
            cseq: 0,
            cancel: None,
            cancel_wanted: false,
            cancelled: false,
            gateway: 0,
            challenges: 0,
            detours: false,
            winner: 0,
            dismissed: Dismissed::default(),
            cseq_ahead: 0,
            peer: None,
            key: 0,
            merge: 0,
            repeat: None,
            lifetime: None,
        };
        Self {
            slots: (0..capacity).map(|_| empty()).collect(),
            free: (0..capacity).rev().collect(),
            by_key: Table::new(capacity),
            by_merge: Table::new(capacity),
        }
    }

    /// How many more fit.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Slot and generation that [`Transactions::open`] will use next. `None`: full.
    pub(crate) fn next(&self) -> Option<TransactionKey> {
        let slot = *self.free.last()?;
        let generation = self.slots[slot as usize].generation.wrapping_add(1);
        Some(TransactionKey { slot, generation })
    }

    /// Opens a transaction and starts its timers. `None`: full.
    pub(crate) fn open(&mut self, now: Instant, birth: Birth) -> Option<TransactionKey> {
        let slot = self.free.pop()?;
        let transaction = &mut self.slots[slot as usize];
        transaction.generation = transaction.generation.wrapping_add(1);
        transaction.machine = Machine::Free;
        transaction.owner = birth.owner;
        transaction.role = birth.role;
        transaction.path = birth.path;
        transaction.sent_along = birth.path;
        transaction.random = birth.random;
        transaction.cseq = birth.cseq;
        transaction.cancel = None;
        transaction.cancel_wanted = false;
        transaction.cancelled = false;
        transaction.gateway = birth.gateway;
        transaction.challenges = birth.challenges;
        transaction.detours = birth.detours;
        transaction.winner = 0;
        transaction.dismissed = Dismissed::default();
        transaction.cseq_ahead = 0;
        transaction.peer = birth.peer;
        transaction.key = birth.key;
        transaction.merge = birth.merge;
        transaction.enter(now, birth.machine);
        if birth.key != 0 {
            self.by_key.insert(birth.key, slot);
        }
        if birth.merge != 0 {
            self.by_merge.insert(birth.merge, slot);
        }
        Some(TransactionKey { slot, generation: self.slots[slot as usize].generation })
    }

    pub(crate) fn find(&mut self, key: TransactionKey) -> Option<&mut Transaction> {
        let transaction = self.slots.get_mut(key.slot as usize)?;
        let is_alive =
            transaction.generation == key.generation && transaction.machine != Machine::Free;
        is_alive.then_some(transaction)
    }

    /// The transaction in a slot, and its key.
    pub(crate) fn at(&self, slot: u32) -> (TransactionKey, &Transaction) {
        let transaction = &self.slots[slot as usize];
        (TransactionKey { slot, generation: transaction.generation }, transaction)
    }

    /// The server transaction that a request matches (§17.2.3).
    pub(crate) fn find_server(&self, key: Key) -> Option<TransactionKey> {
        self.by_key.find(key).map(|slot| self.at(slot).0)
    }

    /// Whether the same request is being answered by another road (§8.2.2.2).
    pub(crate) fn is_merged(&self, merge: Key) -> bool {
        self.by_merge.find(merge).is_some()
    }

    /// Moves a transaction on; one that ended waits for [`Transactions::close`].
    pub(crate) fn enter(&mut self, now: Instant, key: TransactionKey, machine: Machine) {
        if let Some(transaction) = self.find(key) {
            transaction.enter(now, machine);
        }
    }

    /// Begins a client transaction anew by another path, with the timers of that.
    pub(crate) fn begin_again(&mut self, now: Instant, key: TransactionKey, path: Path) {
        if let Some(transaction) = self.find(key) {
            let machine = core::mem::replace(&mut transaction.machine, Machine::Free);
            transaction.path = path;
            transaction.detours = false;
            (transaction.repeat, transaction.lifetime) = (None, None);
            transaction.enter(now, machine);
        }
    }

    /// Until when control may answer what a server transaction was asked; its next state ends the wait.
    pub(crate) fn wait(&mut self, key: TransactionKey, until: Instant) {
        if let Some(transaction) = self.find(key) {
            transaction.lifetime = Some(Running::new(Timer::W, until, Duration::ZERO));
        }
    }

    /// The earliest deadline of a slot.
    pub(crate) fn deadline(&self, slot: u32) -> Option<Instant> {
        let transaction = &self.slots[slot as usize];
        let at = |running: &Option<Running>| running.as_ref().map(Running::at);
        match (at(&transaction.repeat), at(&transaction.lifetime)) {
            (Some(repeat), Some(lifetime)) => Some(repeat.min(lifetime)),
            (repeat, lifetime) => repeat.or(lifetime),
        }
    }

    /// Frees a transaction and hands out what it kept, for the pool.
    #[must_use]
    pub(crate) fn close(&mut self, key: TransactionKey) -> [Kept; 2] {
        let Some(transaction) = self.find(key) else { return [Kept::NONE, Kept::NONE] };
        let kept = [transaction.sent.take(), transaction.request.take()];
        transaction.machine = Machine::Free;
        transaction.owner = None;
        transaction.repeat = None;
        transaction.lifetime = None;
        let (by_key, by_merge) = (transaction.key, transaction.merge);
        self.by_key.remove(by_key, key.slot);
        self.by_merge.remove(by_merge, key.slot);
        self.free.push(key.slot);
        kept
    }
}

impl Transaction {
    fn carrier(&self) -> Carrier {
        if self.path.is_reliable() { Carrier::Reliable } else { Carrier::Unreliable }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.machine.has_ended()
    }

    /// Whither other requests to the same peer go: a detour is for one request alone.
    pub(crate) fn way(&self) -> Path {
        let transport = if self.detours { Transport::Udp } else { self.path.transport };
        Path { transport, ..self.path }
    }

    /// Takes a new state. Timers that the old state had and the new one has too run on.
    fn enter(&mut self, now: Instant, machine: Machine) {
        if machine == self.machine {
            return;
        }
        self.machine = machine;
        let (mut repeat, mut lifetime) = (None, None);
        for &(timer, interval) in machine.timers(self.carrier()) {
            let place = if timer.repeats() { &self.repeat } else { &self.lifetime };
            let running = place.filter(|running| running.timer == timer);
            let running = running.unwrap_or(Running::new(timer, now + interval, interval));
            *(if timer.repeats() { &mut repeat } else { &mut lifetime }) = Some(running);
        }
        self.repeat = repeat;
        self.lifetime = lifetime;
    }

    /// The timer that is due. One that repeats is wound up again.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        if let Some(running) = self.lifetime.filter(|running| running.at() <= now) {
            self.lifetime = None;
            return Some(running.timer);
        }
        let running = self.repeat.filter(|running| running.at() <= now)?;
        let interval = self.machine.next_interval(running.interval());
        // From the deadline and not from now, so that lateness does not add up; but one that lies
        // in the past already would make a burst of what a stall held up.
        let at = (running.at() + interval).max(now);
        self.repeat = Some(Running::new(running.timer, at, interval));
        Some(running.timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every timer there is, for the tables of the machines.
    pub(super) const TIMERS: [Timer; 14] = {
        use Timer::*;
        [A, B, C, D, E, F, G, H, I, J, K, L, M, W]
    };

    fn birth(machine: Machine, key: Key, merge: Key) -> Birth {
        let path = Transactions::new(1, 0).slots[0].path;
        Birth { key, merge, ..Birth::of(machine, path) }
    }

    /// When a lone transaction repeats, and when it ends, in ms.
    fn history(transactions: &mut Transactions, key: TransactionKey) -> (Vec<u128>, u128) {
        let mut repeats = Vec::new();
        while let Some(at) = transactions.deadline(key.slot) {
            let timer = transactions.find(key).unwrap().take_due(at).unwrap();
            if !timer.repeats() {
                return (repeats, at.as_millis());
            }
            repeats.push(at.as_millis());
        }
        (repeats, 0)
    }

    #[test]
    fn an_invite_is_repeated_at_doubling_intervals_for_32_seconds() {
        let mut transactions = Transactions::new(1, 0);
        let machine = Machine::InviteClient(invite_client::State::Calling);
        let key = transactions.open(Duration::ZERO, birth(machine, 0, 0)).unwrap();
        let (repeats, end) = history(&mut transactions, key);
        assert_eq!(repeats, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(end, 32_000);
    }

    #[test]
    fn a_request_is_repeated_at_intervals_of_at_most_t2() {
        let mut transactions = Transactions::new(1, 0);
        let machine = Machine::NonInviteClient(non_invite_client::State::Trying);
        let key = transactions.open(Duration::ZERO, birth(machine, 0, 0)).unwrap();
        let (repeats, end) = history(&mut transactions, key);
        assert_eq!(
            repeats,
            [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
        );
        assert_eq!(end, 32_000);
    }

    #[test]
    fn a_provisional_slows_the_repetition_down_but_does_not_prolong_it() {
        let mut transactions = Transactions::new(1, 0);
        let state = non_invite_client::State::Trying;
        let key = transactions
            .open(Duration::ZERO, birth(Machine::NonInviteClient(state), 0, 0))
            .unwrap();
        let (state, _) = state.step(non_invite_client::Input::Response(Class::Provisional));
        transactions.enter(Duration::from_millis(100), key, Machine::NonInviteClient(state));
        let (repeats, end) = history(&mut transactions, key);
        assert_eq!(repeats, [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500]);
        assert_eq!(end, 32_000);
    }

    #[test]
    fn a_failure_is_repeated_until_its_ack_and_then_the_transaction_waits_t4() {
        let mut transactions = Transactions::new(1, 0);
        let state = invite_server::State::Proceeding;
        let key =
            transactions.open(Duration::ZERO, birth(Machine::InviteServer(state), 7, 8)).unwrap();
        assert_eq!(transactions.deadline(key.slot), None);
        let (state, _) = state.step(invite_server::Input::Answer(Class::Failure));
        transactions.enter(Duration::ZERO, key, Machine::InviteServer(state));
        assert_eq!(transactions.deadline(key.slot), Some(T1));
        let (state, _) = state.step(invite_server::Input::Ack);
        transactions.enter(T1, key, Machine::InviteServer(state));
        assert_eq!(transactions.deadline(key.slot), Some(T1 + T4));
    }

    #[test]
    fn a_closed_transaction_is_found_by_no_key() {
        let mut transactions = Transactions::new(1, 0);
        let machine = Machine::InviteServer(invite_server::State::Proceeding);
        let key = transactions.open(Duration::ZERO, birth(machine, 7, 8)).unwrap();
        assert_eq!(transactions.find_server(7), Some(key));
        assert!(transactions.is_merged(8));
        assert!(transactions.open(Duration::ZERO, birth(machine, 9, 9)).is_none());
        let _ = transactions.close(key);
        assert!(transactions.find(key).is_none());
        assert_eq!(transactions.find_server(7), None);
        assert!(!transactions.is_merged(8));
        let next = transactions.open(Duration::ZERO, birth(machine, 7, 8)).unwrap();
        assert_ne!(next, key);
        assert!(transactions.find(key).is_none());
    }
}
