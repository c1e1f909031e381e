//! The brain's surface: what goes in, what comes out, and nothing else moves it.
//!
//! Here messages are sorted and timeouts are dealt out; what they mean stands in `transact.rs`,
//! `responses.rs`, `stateless.rs` and `call/`.

use core::time::Duration;
use std::collections::VecDeque;

use link::figures::Apart;
use link::order::Parameters;
use link::record::{CallKey, EndReason, EndedBy, MediaFigures};
use link::{Answer, CallRecord, Instant, Order};
use sip::{Message, Method};

use crate::action::{Action, Adopted, Transmit};
use crate::call::fence::Pace;
use crate::call::{self, Call, State};
use crate::checkpoint::{self, Phase, WrittenLeg};
use crate::counter::{Counter, Counters};
use crate::errand::Errands;
use crate::fences::Fences;
use crate::kept::Pool;
use crate::keys::Random;
use crate::limits::Setup;
use crate::media::{MediaPlane, Pools, call_of};
use crate::outbox::Outbox;
use crate::path::Path;
use crate::ports::{AddressPorts, PortCount};
use crate::profiles::{Profiles, Put};
use crate::shut_out::ShutOut;
use crate::timers::Timers;
use crate::transaction::Transactions;
use crate::transfers::Transfers;
use crate::turned_away::TurnedAway;

/// A running call as `call list` shows it.
#[derive(Clone, Copy, Debug)]
pub struct LiveCall<'a> {
    /// Its key.
    pub key: CallKey,
    /// Its story so far.
    pub record: &'a CallRecord,
}

/// Actions that may wait for their poll; one step asks for at most a few.
pub(crate) const ACTIONS_MAX: usize = 64;

/// Owners of deadlines served in one [`Switch::handle_timeout`].
const TIMEOUTS_MAX: usize = 256;

/// Messages that one step may hold in its hands at once, each in a buffer of its own.
const SCRATCHES: usize = 6;

/// How often a part of the media ports is looked at for silence, and how many parts there are.
const SWEEP: Duration = Duration::from_millis(100);
const SWEEP_PARTS: usize = 10;
/// Silent calls ended in one sweep.
const SWEEP_CALLS_MAX: usize = 16;

/// Blocks of kept messages that a new call needs: two INVITEs, the route, the answer.
const CALL_BLOCKS: u32 = 16;

/// The back-to-back user agent of one worker.
pub struct Switch {
    pub(crate) setup: Setup,
    pub(crate) parameters: Parameters,
    pub(crate) control_alive: bool,
    /// Whether anybody writes calls to disk.
    pub(crate) records: bool,
    /// See [`Switch::set_control_busy`].
    pub(crate) control_busy: bool,
    /// See [`Switch::set_worker_busy`].
    pub(crate) worker_busy: bool,
    pub(crate) draining: bool,
    pub(crate) wall_offset: Duration,
    pub(crate) random: Random,
    /// See [`crate::challenge`].
    pub(crate) nonce_key: [u8; 16],
    pub(crate) transactions: Transactions,
    pub(crate) transactions_max: u32,
    pub(crate) calls: Box<[Call]>,
    /// Free slots, longest free first. A slot taken over at boot may still stand here: whoever
    /// takes one looks at its state.
    pub(crate) free_calls: VecDeque<u32>,
    /// Calls that began and have not ended, admitted or not.
    pub(crate) calls_open: u32,
    /// Those of them that were admitted.
    pub(crate) calls_live: u32,
    pub(crate) timers: Timers,
    pub(crate) kept: Pool,
    pub(crate) kept_reserve: u32,
    pub(crate) outbox: Outbox,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) scratches: Vec<Box<[u8]>>,
    pub(crate) media: MediaPlane,
    pub(crate) turned_away: TurnedAway,
    pub(crate) shut_out: ShutOut,
    pub(crate) fences: Fences,
    pub(crate) fence_pace: Pace,
    pub(crate) profiles: Profiles,
    pub(crate) errands: Errands,
    pub(crate) transfers: Transfers,
    pub(crate) counters: Counters,
    sweep_armed: bool,
}

impl Switch {
    /// Takes all memory there will ever be.
    ///
    /// # Panics
    ///
    /// When `setup` has no own address, or limits beyond what a tag of ours can name.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let limits = setup.limits;
        let own = setup.locals.len() + setup.media_locals.len();
        assert!(!setup.locals.is_empty() && own <= 256, "1 to 256 own addresses");
        assert!(limits.calls_max < 1 << 24 && limits.transactions_max < (1 << 24) - 1);
        let mut random = Random::new(setup.seed);
        // A key of before a restart must not name a call of after it.
        let generation = random.next() as u32;
        // Beside those: the sweep, and what control hears of refusals.
        let owners = limits.transactions_max + limits.calls_max + 2;
        let mut free_calls = VecDeque::with_capacity(limits.calls_max as usize * 2);
        free_calls.extend(0..limits.calls_max);
        let scratch = || vec![0; limits.message_bytes_max].into_boxed_slice();
        let kept = Pool::new(limits.kept_messages_max);
        Self {
            parameters: Parameters::default(),
            control_alive: false,
            records: true,
            control_busy: false,
            worker_busy: false,
            draining: false,
            wall_offset: Duration::ZERO,
            random,
            nonce_key: setup.keys.nonce(),
            transactions: Transactions::new(limits.transactions_max, generation),
            transactions_max: limits.transactions_max,
            calls: (0..limits.calls_max).map(|_| Call::empty(generation)).collect(),
            free_calls,
            calls_open: 0,
            calls_live: 0,
            timers: Timers::new(owners),
            kept_reserve: CALL_BLOCKS.min(kept.free_blocks()),
            kept,
            outbox: Outbox::new(limits.message_bytes_max),
            actions: VecDeque::with_capacity(ACTIONS_MAX),
            scratches: (0..SCRATCHES).map(|_| scratch()).collect(),
            media: MediaPlane::new(
                Pools::new(setup.media_ports, &setup.locals, &setup.media_locals),
                Parameters::default().media_port_rest_s,
                setup.limits.transcoded_max,
            ),
            turned_away: TurnedAway::new(),
            shut_out: ShutOut::new(setup.keys.tag),
            fences: Fences::new(),
            fence_pace: Pace::new(),
            profiles: Profiles::new(limits.gateways_max),
            errands: Errands::new(),
            transfers: Transfers::new(limits.calls_max),
            counters: Counters::new(),
            sweep_armed: false,
            setup,
        }
    }

    /// One SIP message that parsed.
    pub fn handle_message(&mut self, now: Instant, path: Path, message: &Message<'_>) {
        self.media.wake(now);
        // What does not fit a scratch could be kept, but never read again.
        if message.as_bytes().len() > self.setup.limits.message_bytes_max {
            return match message.method() {
                Method::Ack => self.counters.add(Counter::RefusedTooLong),
                _ if message.status().is_some() => self.counters.add(Counter::RefusedTooLong),
                _ => self.refuse(path, message, 513, Counter::RefusedTooLong),
            };
        }
        if message.status().is_some() {
            return self.handle_response(now, path, message);
        }
        let key = call::server_key(message, &self.setup.keys);
        if let Some(server) = self.transactions.find_server(key) {
            return self.match_server(now, server, path, message);
        }
        match (message.method(), message.to().tag()) {
            (Method::Ack, Some(_)) => self.dialog_ack(now, message),
            (Method::Cancel, _) => self.cancel_in_vain(path, message),
            (Method::Ack, _) => self.counters.add(Counter::AcksUnmatched),
            (Method::Invite, None) => self.open_call(now, path, message, key),
            (Method::Register, None) => self.register(now, path, message, key),
            (Method::Publish, None) => self.publish(now, path, message, key),
            (_, Some(_)) => self.dialog_request(now, path, message, key),
            (_, None) => self.answer_outside(path, message),
        }
    }

    /// One datagram that did not parse: answered without memory where RFC 3261 says so.
    pub fn handle_fault(&mut self, _now: Instant, path: Path, datagram: &[u8], fault: sip::Fault) {
        self.refuse_fault(path, datagram, fault);
    }

    /// An answer of control. One that comes too late is counted.
    pub fn handle_answer(&mut self, now: Instant, answer: &Answer) {
        self.media.wake(now);
        match answer {
            Answer::Route(route) => {
                self.handle_route(now, route);
                self.arm_sweep(now);
            }
            Answer::Refuse(refuse) => self.handle_refuse(now, refuse),
            Answer::Rerouted(rerouted) => self.handle_rerouted(now, rerouted),
            Answer::Located(located) => self.handle_located(now, located),
            Answer::Extended(extended) => self.handle_extended(now, extended),
            Answer::Committed(committed) => self.handle_committed(now, committed.call),
            Answer::Challenge(challenge) => self.handle_challenge(now, challenge),
            Answer::Registered(registered) => self.handle_registered(now, registered),
        }
    }

    /// An order of control.
    pub fn handle_order(&mut self, now: Instant, order: &Order) {
        self.media.wake(now);
        match order {
            Order::HangUp(hang_up) => self.handle_hang_up(now, hang_up),
            Order::Parameters(parameters) => {
                self.parameters = *parameters;
                self.media.table.set_settles(parameters.media_settled == 1);
                self.media.set_port_rest(parameters.media_port_rest_s);
            }
            Order::Drain(drain) => self.draining = drain.draining != 0,
            Order::Profile(profile) => {
                let recorded = if self.records { profile.recorded } else { 0 };
                if self.profiles.put(&link::Profile { recorded, ..*profile }) == Put::Full {
                    self.counters.add(Counter::ProfilesFull);
                }
            }
            Order::Errand(errand) => self.handle_errand(now, errand),
            // Whoever keeps the connections hears it.
            Order::Name(_) => {}
            Order::ShutOut(order) => self.shut_out.handle_order(order),
            Order::Ranges(part) => self.fences.handle_ranges(part),
            Order::Fences(part) => {
                if !self.fences.handle_fences(part) {
                    self.counters.add(Counter::FencesFull);
                }
            }
        }
    }

    /// Does what is due, a bounded amount of it: call again while `poll_timeout` is not after
    /// `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.media.wake(now);
        for _ in 0..TIMEOUTS_MAX {
            let Some((at, owner)) = self.timers.first() else { return };
            let has_room = self.outbox.has_room() && self.actions.len() <= ACTIONS_MAX / 2;
            if at > now || !has_room {
                return;
            }
            match owner.checked_sub(self.transactions_max) {
                None => self.fire(now, owner),
                Some(slot) if slot < self.setup.limits.calls_max => {
                    self.call_due(now, slot as usize);
                }
                Some(slot) if slot == self.setup.limits.calls_max => self.sweep(now),
                Some(_) => self.tell_refusals(now),
            }
        }
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| at)
    }

    /// Writes the next message into `out` and says where it goes. `None`: nothing is waiting.
    /// `out` is at least `message_bytes_max` long; a message that does not fit is lost.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<Transmit> {
        self.outbox.take(out)
    }

    /// The next thing for the worker to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What belongs in the call table now: the record, and a checkpoint written into `checkpoint`
    /// (at least [`CHECKPOINT_BYTES_MAX`](crate::CHECKPOINT_BYTES_MAX) long), of which the length
    /// is returned.
    #[must_use]
    pub fn image(&self, key: CallKey, checkpoint: &mut [u8]) -> Option<(&CallRecord, usize)> {
        let call = self.calls.get(key.slot as usize)?;
        if call.generation != key.generation || call.state == State::Free {
            return None;
        }
        let phase = match call.state {
            State::Answered | State::Talking | State::Closing => Phase::Confirmed,
            State::Committing => Phase::Half,
            _ => Phase::Early,
        };
        let legs = self.legs_kept(key.slot as usize).map(|leg| WrittenLeg {
            leg,
            address: self.media.address_of(&leg.media),
            ports: leg.media.ports.map(|port| self.media.snapshot(port)),
        });
        let length = checkpoint::write(checkpoint, phase, call.shard(), call.extend_at_s(), legs)?;
        Some((&call.record, length))
    }

    /// Control stored the record of an ended call: its slot may be used again.
    pub fn handle_recorded(&mut self, key: CallKey) {
        let slot = key.slot as usize;
        let waits = self.calls.get(slot).is_some_and(|call| {
            call.generation == key.generation && call.state == State::Recording
        });
        if waits {
            self.free_slot(slot);
        }
    }

    /// At boot, a slot that the call table holds for a call that is over: it is not used until
    /// [`Self::handle_recorded`].
    pub fn hold_slot(&mut self, key: CallKey) {
        self.hold(key);
    }

    /// At boot, a slot still live from before: rebuilds the call from its image, at the same slot
    /// and generation.
    ///
    /// `apart` is what of its figures no driver counts ([`Self::apart`]).
    ///
    /// A confirmed call talks again, on the same ports, its sequence numbers moved on by 1,000. Any
    /// other ends; its BYEs and its [`Action::End`] follow from the next [`Self::handle_timeout`].
    pub fn adopt(
        &mut self,
        now: Instant,
        key: CallKey,
        record: &CallRecord,
        apart: [Apart; 2],
        checkpoint: &[u8],
    ) -> Adopted {
        self.adopt_call(now, key, record, apart, checkpoint)
    }

    /// Whether anybody writes calls to disk; if not, no call says that it is. Said before any gateway is.
    pub fn set_records(&mut self, records: bool) {
        self.records = records;
    }

    /// Whether control's heart beats; new calls are refused while it does not. A new switch takes
    /// it for away.
    pub fn set_control_alive(&mut self, alive: bool) {
        self.control_alive = alive;
    }

    /// Whether as many questions wait for control as should: new calls are refused while they do, so
    /// that what is asked is answered in time, and what runs keeps its room in the ring.
    pub fn set_control_busy(&mut self, busy: bool) {
        self.control_busy = busy;
    }

    /// Whether this worker does not keep up with what comes: new calls are refused while it does not, since
    /// a refusal costs a tenth of a call, and those that are there shall be heard in time.
    pub fn set_worker_busy(&mut self, busy: bool) {
        self.worker_busy = busy;
    }

    /// Wall time minus monotonic time: what makes 1970 of boot.
    pub fn set_wall_offset(&mut self, offset: Duration) {
        self.wall_offset = offset;
    }

    /// The media flows of this worker.
    pub fn media(&mut self) -> &mut relay::Table {
        &mut self.media.table
    }

    /// When a tone or a key of ours is to go on.
    #[must_use]
    pub fn sound_due(&self) -> Option<Instant> {
        let table = &self.media.table;
        [table.sound_due(), table.dial_due()].into_iter().flatten().min()
    }

    /// Call slots in use: by a call, or by a record that control has not stored yet.
    #[must_use]
    pub fn slots_taken(&self) -> usize {
        self.calls.iter().filter(|call| call.state != State::Free).count()
    }

    /// Transactions that still repeat or absorb something.
    #[must_use]
    pub fn transactions_open(&self) -> usize {
        self.transactions_max as usize - self.transactions.free()
    }

    /// Blocks of kept messages in use: none outlives its transaction or call.
    #[must_use]
    pub fn blocks_kept(&self) -> u32 {
        Pool::new_blocks(self.setup.limits.kept_messages_max) - self.kept.free_blocks()
    }

    /// Port pairs in use: none outlives its call.
    #[must_use]
    pub fn media_pairs(&self) -> u32 {
        self.media.table.open_pairs()
    }

    /// What the flows hold: nothing outlives its call.
    #[must_use]
    pub fn media_held(&self) -> relay::Held {
        self.media.table.held()
    }

    /// How many pairs of media ports are used, resting and free.
    pub fn media_ports(&mut self, now: Instant) -> PortCount {
        self.media.wake(now);
        self.media.port_count()
    }

    /// The same for each own address: those of [`Setup::locals`], then those of [`Setup::media_locals`].
    pub fn media_ports_by_address(&self) -> impl Iterator<Item = AddressPorts> {
        self.media.port_counts()
    }

    /// How often a pair was taken.
    #[must_use]
    pub fn media_ports_taken(&self) -> u64 {
        self.media.ports_taken()
    }

    /// Totals by [`Counter`] number.
    #[must_use]
    pub fn counters(&self) -> &[u64; Counter::COUNT] {
        self.counters.all()
    }

    /// Calls admitted and not yet ended.
    #[must_use]
    pub fn calls_live(&self) -> u32 {
        self.calls_live
    }

    /// The admitted calls that have not ended.
    pub fn live_calls(&self) -> impl Iterator<Item = LiveCall<'_>> {
        self.calls.iter().enumerate().filter(|(_, call)| call.is_admitted()).map(|(slot, call)| {
            let key = CallKey { slot: slot as u32, generation: call.generation };
            LiveCall { key, record: &call.record }
        })
    }

    /// The admitted call in a slot that has not ended.
    #[must_use]
    pub fn live_call_at(&self, slot: u32) -> Option<CallKey> {
        let call = self.calls.get(slot as usize).filter(|call| call.is_admitted())?;
        Some(CallKey { slot, generation: call.generation })
    }

    /// What the media of the call in a slot are like now; `None`: nobody was admitted there.
    pub fn figures(&mut self, slot: u32) -> Option<(CallKey, link::figures::Both)> {
        let call = self.live_call_at(slot)?;
        self.note_media(slot as usize);
        let record = &self.calls[slot as usize].record;
        Some((call, [record.from_caller, record.from_callee]))
    }

    /// What of those no driver counts, for a process after this one.
    #[must_use]
    pub fn apart(&self, slot: u32) -> [Apart; 2] {
        let Some(call) = self.calls.get(slot as usize) else { return [Apart::default(); 2] };
        let [caller, callee] = self.legs_kept(slot as usize);
        let [before_caller, before_callee] = &call.heard_before;
        [(before_caller, caller), (before_callee, callee)].map(|(before, leg)| {
            let (beside, beside_bytes) = self.media.table.beside(leg.media.ports[0]);
            let MediaFigures { packets, bytes, lost, .. } = *before;
            Apart { packets, bytes, beside_bytes, beside, lost }
        })
    }

    /// A call whose record is control's already: over on both legs, and free as soon as the table says so.
    pub fn handle_disowned(&mut self, now: Instant, call: CallKey) {
        self.media.wake(now);
        if let Some(slot) = self.live_call(call) {
            self.hang_up(now, slot, EndReason::DataplaneLost, EndedBy::Server, None);
        }
    }

    /// Silence is looked for while there are calls.
    pub(crate) fn arm_sweep(&mut self, now: Instant) {
        if !self.sweep_armed && self.calls_live > 0 {
            self.sweep_armed = true;
            self.set_sweep(Some(now + SWEEP));
        }
    }

    fn set_sweep(&mut self, at: Option<Instant>) {
        self.timers.set(self.transactions_max + self.setup.limits.calls_max, at);
    }

    pub(crate) fn set_refusals(&mut self, at: Option<Instant>) {
        self.timers.set(self.transactions_max + self.setup.limits.calls_max + 1, at);
    }

    /// Ends calls in which no media flows, and asks those on hold for a sign of life. One part of the ports is
    /// looked at, the next follows.
    fn sweep(&mut self, now: Instant) {
        self.sweep_armed = self.calls_live > 0;
        self.set_sweep(self.sweep_armed.then_some(now + SWEEP));
        let timeout = Duration::from_secs(u64::from(self.parameters.rtp_timeout_s));
        if timeout.is_zero() {
            return;
        }
        let steps = self.media.pairs() / SWEEP_PARTS + 1;
        for _ in 0..SWEEP_CALLS_MAX {
            let Some(silence) = self.media.table.poll_silent(now, timeout, steps) else { return };
            let slot = self.live_call(call_of(silence.owner));
            // The relay looks at one stream; the call lives while any of them does.
            let hears = |slot: &usize| {
                let legs = &self.calls[*slot].legs;
                let heard = legs.iter().filter_map(|leg| self.media.heard_at(&leg.media)).max();
                heard.is_some_and(|at| now.saturating_sub(at) < timeout)
            };
            match slot.filter(|slot| !hears(slot)) {
                Some(slot) if silence.is_agreed => self.doubt_sides(now, slot),
                Some(slot) => {
                    self.counters.add(Counter::MediaTimeouts);
                    self.hang_up(now, slot, EndReason::MediaTimeout, EndedBy::Server, None);
                }
                None => {}
            }
        }
    }
}
