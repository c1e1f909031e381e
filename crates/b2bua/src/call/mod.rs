//! A call: two legs, one record, and the story between them.
//!
//! ```text
//!            Admitting ──refused──────────────────────────────┐
//!                │ Route                                      │
//!                ▼            failover                        │
//!        ┌──── Trying ◀────────── Rerouting ◀─────┐           │
//!        │       │ 18x    Rerouted                │           │
//!        │       │                       Locating ◀──┤           │
//!        │       ▼                                │           │
//!        │    Ringing ──failure, timeout──────────┘──CANCEL──▶ Cancelling
//!        │       │ 2xx                                        │
//!        └───▶ Committing ──CANCEL, BYE──────────────────┐    │
//!                │ Committed, or commit_wait             │    │
//!                ▼                                       ▼    ▼
//!             Answered ──ACK──▶ Talking ──BYE──▶ Closing ──▶ Recording ──▶ Free
//! ```
//!
//! `Closing` waits for the ACK that must come before our BYE (RFC 3261 §15), or for a BYE that was
//! overtaken by the news that its dialog is gone, `Cancelling` for the final answer of a vendor that was
//! cancelled, `Recording` for control to store the record. A failure may be announced before it is sent:
//! `announce.rs`. Entering a state stops every deadline that it
//! does not name.

mod adopt;
mod announce;
mod answer;
mod attempt;
mod branches;
mod dtmf;
mod exchange;
mod failure;
pub(crate) mod fence;
mod hangup;
mod identities;
mod invite;
mod join;
mod keypad;
mod parties;
mod pickup;
mod prompt;
mod redirect;
mod reliable;
mod replace;
mod retry;
mod ringback;
mod session;
mod spare;
mod talk;
mod transfer;

pub(crate) use invite::server_key;
pub(crate) use session::Session;

use core::time::Duration;

use link::CallRecord;
use link::profile::Wishes;
use link::record::{CallKey, EndReason, EndedBy, MediaFigures, NEVER};
use link::report::{Ended, GatewayNews, News};
use link::{Ask, Report};
use sip::Message;

use self::announce::Farewell;
use self::branches::Branches;
use self::dtmf::Keys;
use self::keypad::Typed;
use self::reliable::{FORKS_MAX, Fork, Reliable};
use crate::Instant;
use crate::action::Action;
use crate::cause::far_cause;
use crate::compose;
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::kept::Kept;
use crate::keys::{Place, Shard, TOKEN_BYTES, Token};
use crate::media::{self, Streams};
use crate::profiles::Profiles;
use crate::switch::{ACTIONS_MAX, Switch};
use crate::timers::micros_until;
use crate::transaction::TransactionKey;

/// See the diagram at the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody's slot.
    Free,
    /// Control was asked.
    Admitting,
    /// An INVITE is out, nobody rang on it.
    Trying,
    /// A vendor rings.
    Ringing,
    /// A vendor failed; control was asked for a line of the next.
    Rerouting,
    /// A vendor's 3xx named a host; control was asked where it is.
    Locating,
    /// A vendor answered; the caller's 200 waits for the start record.
    Committing,
    /// The caller's 200 is out.
    Answered,
    /// The caller acknowledged.
    Talking,
    /// Over, but for an ACK that must come before our BYE, or a BYE that says why.
    Closing,
    /// It has failed, and the caller hears why.
    Announcing,
    /// Over for the caller; a cancelled vendor has not yet said its last.
    Cancelling,
    /// Over; control stores the record.
    Recording,
}

impl State {
    /// Whether the call still acts: its transactions may speak to it.
    fn is_live(self) -> bool {
        !matches!(self, Self::Free | Self::Recording)
    }

    /// Whether somebody is looked for who takes the call.
    fn is_searching(self) -> bool {
        matches!(self, Self::Trying | Self::Ringing | Self::Rerouting | Self::Locating)
    }

    /// Whether both sides were put through.
    pub(crate) fn is_confirmed(self) -> bool {
        matches!(self, Self::Answered | Self::Talking)
    }

    /// The deadlines that go on in a state.
    fn keeps(self, deadline: Deadline) -> bool {
        use Deadline::*;
        match self {
            Self::Free | Self::Recording => false,
            Self::Admitting => matches!(deadline, Admit | Expires),
            Self::Rerouting | Self::Locating => {
                matches!(deadline, Admit | Search | Ring | Repeat | Prack | Expires)
            }
            // Ring runs on from the first 18x through every failover after it.
            Self::Trying => {
                matches!(
                    deadline,
                    FirstResponse | Invite | Search | Ring | Repeat | Prack | Expires
                )
            }
            Self::Ringing => matches!(deadline, Ring | Repeat | Prack | Expires | Tone),
            Self::Committing => matches!(deadline, Commit | Prack),
            Self::Answered | Self::Talking => {
                matches!(deadline, Repeat | NoAck | Talk | Extend | Exchange | Session | Keys)
            }
            Self::Closing => matches!(deadline, Repeat | NoAck | Close),
            Self::Cancelling => matches!(deadline, Close),
            Self::Announcing => matches!(deadline, Repeat | Close | Expires),
        }
    }
}

/// What a call waits for. One of each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Deadline {
    /// Control's answer, to an admission, a change of vendor or the name of a host.
    Admit,
    /// Any 1xx of those being tried.
    FirstResponse,
    /// An 18x of those being tried.
    Invite,
    /// The first 18x of all attempts.
    Search,
    /// The answer, after the first 18x.
    Ring,
    /// The start record.
    Commit,
    /// Our 2xx again, or before it our last 1xx.
    Repeat,
    /// The ACK of our 2xx.
    NoAck,
    /// The end of the talk that was granted.
    Talk,
    /// The moment to ask for more.
    Extend,
    /// The far side's answer to an offer inside the call.
    Exchange,
    /// The end of patience in a state that only waits.
    Close,
    /// Our reliable 1xx again.
    Prack,
    /// A refresh of ours, or the end of a leg that nobody refreshed.
    Session,
    /// The next digit of somebody who transfers by keys, or the moment to ask somebody again in a transfer.
    Keys,
    /// Ringback of our own.
    Tone,
    /// The end of the caller's own patience, as it said in its INVITE (RFC 3261 §13.3.1).
    Expires,
}

impl Deadline {
    const ALL: [Self; 17] = {
        use Deadline::*;
        [
            Admit,
            FirstResponse,
            Invite,
            Search,
            Ring,
            Commit,
            Repeat,
            NoAck,
            Talk,
            Extend,
            Exchange,
            Close,
            Prack,
            Session,
            Keys,
            Tone,
            Expires,
        ]
    };
}

/// What is due when, in µs: half the size of as many `Option<Instant>`.
#[derive(Clone, Copy)]
struct Deadlines([u64; Deadline::ALL.len()]);

impl Deadlines {
    const NONE: Self = Self([u64::MAX; Deadline::ALL.len()]);

    fn get(&self, deadline: Deadline) -> Option<Instant> {
        let at = self.0[deadline as usize];
        (at != u64::MAX).then_some(Duration::from_micros(at))
    }

    /// Never earlier than asked: a part of a µs counts as one.
    fn set(&mut self, deadline: Deadline, at: Option<Instant>) {
        self.0[deadline as usize] = at.map_or(u64::MAX, micros_until);
    }

    fn earliest(&self) -> Option<Instant> {
        let at = self.0.into_iter().min().filter(|&at| at != u64::MAX);
        at.map(Duration::from_micros)
    }
}

/// A 2xx of ours that waits for its ACK.
pub(crate) struct Unacked {
    side: Side,
    /// The server transaction that keeps the 2xx.
    server: TransactionKey,
    cseq: u32,
    interval: Duration,
    /// The client transaction of the other leg whose ACK waits for the description in this one,
    /// because our 2xx held an offer.
    carries: Option<TransactionKey>,
}

/// An offer on its way from one leg to the other.
#[derive(Clone, Copy)]
pub(crate) struct Exchange {
    from: Side,
    server: TransactionKey,
    client: TransactionKey,
}

// A live call takes 16 KiB at most, half of which are its two images in the call table.
const _: () = assert!(size_of::<Call>() <= 4_608);

/// One call.
pub(crate) struct Call {
    pub(crate) state: State,
    pub(crate) generation: u32,
    shard: Shard,
    started: Instant,
    pub(crate) record: CallRecord,
    pub(crate) legs: [Leg; 2],
    deadlines: Deadlines,
    /// The caller's INVITE, until its final answer.
    invite: Option<TransactionKey>,
    /// The INVITEs to those who are being tried; to the one who answered, from then on.
    branches: Branches,
    /// Control's [`link::answer::Route`], until the call is answered.
    route: Kept,
    /// The vendor's last description, rewritten, until the caller gets it in the 2xx.
    answer: Kept,
    /// What the vendors' 3xx named, until the call is answered.
    targets: Kept,
    next_candidate: u8,
    switches_left: u32,
    /// The last failure of a vendor that may be told to the caller; 0: none.
    failure: u16,
    /// Hops left for the vendor's INVITE.
    hops: u8,
    /// Whether the caller's INVITE had an offer.
    offered: bool,
    /// The attempt that described its media last.
    described: Option<u8>,
    /// Whether the vendor who answered had its offer answered in a PRACK.
    settled: bool,
    forks: [Fork; FORKS_MAX],
    variants: u8,
    /// When to ask for more talk, as [`link::answer::Extended`] says it.
    extend_at_s: u32,
    unacked: Option<Unacked>,
    exchange: Option<Exchange>,
    /// Our own request that keeps a leg's session alive.
    refresh: Option<(Side, TransactionKey)>,
    /// Its place among the transfers under way.
    transfer: Option<u16>,
    /// Sides at whose far end, in another call of ours, nobody is left until somebody answers.
    deserted: [bool; 2],
    /// The keys that somebody pressed last.
    typed: Typed,
    /// Those that go from one side to the other.
    keys: Keys,
    /// Media of ports that are closed, and of processes before this one, by the side they faced.
    pub(crate) heard_before: [MediaFigures; 2],
    /// What the caller is told before the answer.
    reliable: Reliable,
    /// Whether the caller is to hear why its call fails.
    announces: bool,
    /// Whether control has refused it, and has its record.
    refused: bool,
    /// What it is told once it has heard that.
    farewell: Option<Farewell>,
    /// Legs that must still get a BYE, in `Closing`.
    byes: [bool; 2],
}

impl Call {
    pub(crate) fn empty(generation: u32) -> Self {
        Self {
            state: State::Free,
            generation,
            shard: Shard(0),
            started: Instant::ZERO,
            record: CallRecord::empty(),
            legs: [Leg::new(), Leg::new()],
            deadlines: Deadlines::NONE,
            invite: None,
            branches: Branches::NONE,
            route: Kept::NONE,
            answer: Kept::NONE,
            targets: Kept::NONE,
            next_candidate: 0,
            switches_left: 0,
            failure: 0,
            hops: 0,
            offered: false,
            described: None,
            settled: false,
            forks: [Fork::default(); FORKS_MAX],
            variants: 0,
            extend_at_s: 0,
            unacked: None,
            exchange: None,
            refresh: None,
            transfer: None,
            deserted: [false; 2],
            typed: Typed::NOTHING,
            keys: Keys::NONE,
            heard_before: [MediaFigures::default(); 2],
            reliable: Reliable::NONE,
            announces: false,
            refused: false,
            farewell: None,
            byes: [false; 2],
        }
    }

    pub(crate) fn shard(&self) -> Shard {
        self.shard
    }

    pub(crate) fn leg(&mut self, side: Side) -> &mut Leg {
        &mut self.legs[side as usize]
    }

    /// What the phone at the far end of a leg wants of SIP. For gateways their profile says it.
    fn wishes(&self, side: Side) -> Wishes {
        let is_inside = self.legs[side as usize].path.inside().is_some();
        if is_inside {
            return Wishes::default();
        }
        Wishes::from_bits(self.record.wishes[side as usize])
    }

    /// The gateway or phone at the far end of a leg, and what [`Self::wishes`] says of it.
    pub(crate) fn party(&self, side: Side) -> (u32, Wishes) {
        (self.gateway(side), self.wishes(side))
    }

    /// The gateway at the far end of a leg; 0: none that we know.
    pub(crate) fn gateway(&self, side: Side) -> u32 {
        if self.legs[side as usize].path.inside().is_some() {
            return 0;
        }
        match side {
            Side::Caller => self.record.customer_gateway,
            Side::Callee => {
                let attempt = self.record.attempts().get(self.branches.current());
                attempt.map_or(0, |attempt| attempt.gateway)
            }
        }
    }

    /// Milliseconds since the INVITE.
    pub(crate) fn ms(&self, now: Instant) -> u32 {
        let ms = now.saturating_sub(self.started).as_millis();
        u32::try_from(ms).map_or(NEVER - 1, |ms| ms.min(NEVER - 1))
    }

    /// Whether control counts it: admitted and not ended.
    pub(crate) fn is_admitted(&self) -> bool {
        self.state.is_live() && self.state != State::Admitting && !self.refused
    }

    /// Whether a 2xx of the vendor is acknowledged at once: no answer of the caller is awaited.
    fn acks_at_once(&self) -> bool {
        self.offered || self.settled
    }

    /// Notes which candidate is being tried, or has answered.
    fn note_candidate(&mut self, index: u8, candidate: &link::answer::Candidate) {
        self.record.attempt_index = u32::from(index);
        self.record.caller_sent = candidate.caller;
        self.record.callee_sent = candidate.callee;
        self.record.vendor_terms = candidate.terms;
        self.record.customer_terms = candidate.customer_terms;
        self.record.billing_prefix = candidate.billing_prefix;
    }

    /// Notes the end once; whoever ended it first did.
    fn note_end(&mut self, now: Instant, reason: EndReason, by: EndedBy) {
        if self.record.ended_ms == NEVER {
            self.record.ended_ms = self.ms(now);
            self.record.reason = reason as u8;
            self.record.ended_by = by as u8;
        }
    }

    /// Notes why whoever is about to end it does so, in their own words.
    fn note_cause(&mut self, request: &Message<'_>) {
        if self.record.ended_ms == NEVER {
            self.record.cause = far_cause(request);
        }
    }

    /// Notes the end of the attempts that go on.
    fn note_attempts_end(&mut self, now: Instant, reason: EndReason) {
        for attempt in 0..self.record.attempts().len() as u8 {
            self.note_attempt_end(now, attempt, reason);
        }
    }

    /// Notes the end of an attempt, if it goes on.
    fn note_attempt_end(&mut self, now: Instant, attempt: u8, reason: EndReason) {
        let ms = self.ms(now);
        let attempt = self.record.attempts.get_mut(usize::from(attempt));
        if let Some(attempt) = attempt.filter(|attempt| attempt.ended_ms == NEVER) {
            attempt.ended_ms = ms;
            attempt.reason = reason as u8;
        }
    }
}

impl Switch {
    /// The slot of a call that still acts.
    pub(crate) fn live_call(&self, key: CallKey) -> Option<usize> {
        let slot = key.slot as usize;
        let call = self.calls.get(slot)?;
        (call.generation == key.generation && call.state.is_live()).then_some(slot)
    }

    pub(crate) fn key_of(&self, slot: usize) -> CallKey {
        CallKey { slot: slot as u32, generation: self.calls[slot].generation }
    }

    pub(crate) fn act(&mut self, action: Action) {
        // The worker empties the queue after each step (the contract of `lib.rs`), and no step
        // asks for more than the queue holds.
        assert!(self.actions.len() < self.actions.capacity(), "actions were not polled");
        self.actions.push_back(action);
    }

    fn enter_state(&mut self, slot: usize, state: State) {
        let call = &mut self.calls[slot];
        call.state = state;
        for deadline in Deadline::ALL {
            if !state.keeps(deadline) {
                call.deadlines.set(deadline, None);
            }
        }
        self.rearm_call(slot);
    }

    fn set_deadline(&mut self, slot: usize, deadline: Deadline, at: Option<Instant>) {
        self.calls[slot].deadlines.set(deadline, at);
        self.rearm_call(slot);
    }

    fn rearm_call(&mut self, slot: usize) {
        let earliest = self.calls[slot].deadlines.earliest();
        self.timers.set(self.transactions_max + slot as u32, earliest);
    }

    /// What is due for one call. Each deadline leaves a state or is set again, so this ends.
    pub(crate) fn call_due(&mut self, now: Instant, slot: usize) {
        let due = |call: &Call| {
            Deadline::ALL
                .into_iter()
                .find(|&deadline| call.deadlines.get(deadline).is_some_and(|at| at <= now))
        };
        let Some(deadline) = due(&self.calls[slot]) else { return };
        let at = self.calls[slot].deadlines.get(deadline).unwrap_or(now);
        self.set_deadline(slot, deadline, None);
        self.count_late(deadline);
        match deadline {
            Deadline::Admit if self.calls[slot].state == State::Rerouting => {
                self.reroute_late(now, slot);
            }
            Deadline::Admit if self.calls[slot].state == State::Locating => {
                self.locate_late(now, slot);
            }
            Deadline::Admit => self.admit_late(now, slot),
            Deadline::FirstResponse | Deadline::Invite => self.group_late(now, slot),
            Deadline::Search => self.search_over(now, slot),
            Deadline::Ring => self.rang_out(now, slot),
            Deadline::Commit => self.answer_caller(now, slot, Commitment::Missing),
            Deadline::Repeat
                if self.calls[slot].state.is_searching()
                    || self.calls[slot].state == State::Announcing =>
            {
                self.repeat_progress(now, slot);
            }
            Deadline::Repeat => self.repeat_answer(now, slot),
            Deadline::NoAck => self.ack_missing(now, slot),
            Deadline::Talk => self.talk_over(now, at, slot),
            Deadline::Extend => self.ask_on(now, slot),
            Deadline::Exchange => self.exchange_late(now, slot),
            Deadline::Close if self.calls[slot].state == State::Announcing => {
                self.announced(now, slot, false);
            }
            Deadline::Close => self.finish_closing(now, slot),
            Deadline::Prack => self.prack_late(now, slot),
            Deadline::Session => self.session_due(now, slot),
            Deadline::Keys => self.keys_late(now, slot),
            Deadline::Tone => self.sound_ringback(now, slot),
            Deadline::Expires => self.caller_cancels(now, slot, None),
        }
    }

    /// Tells the causes of a 408 apart.
    fn count_late(&mut self, deadline: Deadline) {
        match deadline {
            Deadline::FirstResponse => self.counters.add(Counter::VendorsSilent),
            Deadline::Invite => self.counters.add(Counter::VendorsSlow),
            Deadline::Search => self.counters.add(Counter::SearchesExpired),
            _ => {}
        }
    }

    /// Publishes the call's image. That of a call which ended in this very step is out already, and its last.
    fn save(&mut self, slot: usize) {
        if !self.calls[slot].state.is_live() || self.calls[slot].refused {
            return;
        }
        self.note_media(slot);
        let key = self.key_of(slot);
        self.act(Action::Save(key));
    }

    /// Has the checkpoints of calls written anew whose keys have come another half turn of sequence numbers
    /// further: the process after this one finds its place by them. Of so many that they would not find room among
    /// the actions the rest waits for the next turn.
    pub fn heed_turns(&mut self) {
        while self.actions.len() < ACTIONS_MAX / 2 {
            let Some(owner) = self.media.table.poll_turned() else { return };
            if let Some(slot) = self.live_call(media::call_of(owner)) {
                self.save(slot);
            }
        }
    }

    /// The media plane's view of a call.
    fn media_parts<'a>(
        calls: &'a mut [Call],
        setup: &'a crate::limits::Setup,
        profiles: &'a Profiles,
        slot: usize,
    ) -> Streams<'a> {
        let call = &mut calls[slot];
        let peers = Side::BOTH.map(|side| {
            let (gateway, wishes) = call.party(side);
            profiles.of_party(gateway, wishes)
        });
        // Keys are for us where they may begin a transfer, which joins what goes through us.
        let transfers = peers.iter().any(|peer| compose::serves(sip::Method::Refer, Some(peer)));
        let is_recorded = call.record.recorded != 0 || peers.iter().any(|peer| peer.recorded != 0);
        let reads = transfers || is_recorded;
        let signalling = call.legs.each_ref().map(|leg| leg.path.remote.ip());
        let key = CallKey { slot: slot as u32, generation: call.generation };
        let answered = call.state.is_confirmed();
        let ends = call.media_ends();
        let tapped = call.record.recorded != 0;
        let inside = call.legs.each_ref().map(|leg| leg.path.inside().is_some());
        let secret = &setup.keys.tag;
        let sessions = call.legs.each_ref().map(|leg| media::session_of(leg.random, secret));
        let randoms = call.legs.each_ref().map(|leg| leg.random);
        let [caller, callee] = &mut call.legs;
        let local = |index: u8| &setup.locals[usize::from(index)];
        Streams {
            key,
            locals: [local(caller.local), local(callee.local)],
            media_locals: &setup.media_locals,
            inside,
            legs: [&mut caller.media, &mut callee.media],
            answered,
            tapped,
            ends,
            sessions,
            randoms,
            terms: peers.map(|peer| &peer.media),
            reads,
            is_ours: false,
            signalling,
            secret,
        }
    }

    /// Our tag of a leg.
    fn leg_tag(&self, slot: usize, side: Side, variant: u8) -> [u8; TOKEN_BYTES] {
        let call = &self.calls[slot];
        let place = Place { slot: slot as u32, variant, generation: call.generation };
        Token::of(place, call.legs[side as usize].random, &self.setup.keys).text()
    }

    /// The leg that a request inside a dialog belongs to, by the tag that we gave it.
    pub(crate) fn find_leg(&self, message: &Message<'_>) -> Option<(usize, Side)> {
        let (slot, side) = self.leg_of(Token::read(message.to().tag()?)?)?;
        self.calls[slot].legs[side as usize].owns(message).then_some((slot, side))
    }

    /// The leg with this tag of ours.
    fn leg_of(&self, tag: Token) -> Option<(usize, Side)> {
        let place = tag.place(&self.setup.keys);
        let slot = place.slot as usize;
        let call = self.calls.get(slot)?;
        if call.generation != place.generation || call.state == State::Free {
            return None;
        }
        let side =
            Side::BOTH.into_iter().find(|&side| call.legs[side as usize].random == tag.random)?;
        Some((slot, side))
    }

    /// Ends a call for good: closes its media, completes its record, hands it to control.
    pub(crate) fn close_call(&mut self, now: Instant, slot: usize) {
        self.abort_exchange(now, slot);
        self.abandon_transfer(now, slot);
        self.abort_refresh(now, slot);
        let key = self.key_of(slot);
        self.close_media(slot);
        let call = &mut self.calls[slot];
        assert!(call.is_admitted(), "only an admitted call has a record");
        call.note_end(now, EndReason::DialogLost, EndedBy::Server);
        let reason = call.record.end_reason();
        call.note_attempts_end(now, reason);
        self.forget(slot);
        self.calls_open -= 1;
        self.calls_live -= 1;
        self.enter_state(slot, State::Recording);
        self.counters.add(Counter::CallsEnded);
        self.act(Action::End(key));
        self.act(Action::Report(Report::Ended(Ended { call: key })));
    }

    /// Gives the slot of a call back that control never admitted.
    fn drop_call(&mut self, slot: usize) {
        self.close_media(slot);
        self.forget(slot);
        self.calls_open -= 1;
        self.free_slot(slot);
    }

    /// The record's media figures, taken before the flows go.
    fn close_media(&mut self, slot: usize) {
        self.note_media(slot);
        let [caller, callee] = &mut self.calls[slot].legs;
        self.media.release(&mut caller.media);
        self.media.release(&mut callee.media);
    }

    /// Brings the record's media figures up to now.
    pub(crate) fn note_media(&mut self, slot: usize) {
        // As in its checkpoint: in the middle of a transfer they are those of the legs from before it.
        let [caller, callee] = self.legs_kept(slot);
        let is_open = |leg: &Leg| leg.media.bypassed || leg.media.open_ports().next().is_some();
        if !is_open(caller) || !is_open(callee) {
            return;
        }
        let figures = [caller, callee].map(|leg| self.media.figures(&leg.media));
        let heard = self.calls[slot].legs.each_ref().map(|leg| self.media.heard_at(&leg.media));
        let call = &mut self.calls[slot];
        let [before_caller, before_callee] = call.heard_before;
        call.record.from_caller = before_caller.followed_by(figures[0]);
        call.record.from_callee = before_callee.followed_by(figures[1]);
        if let Some(at) = heard.into_iter().flatten().max() {
            call.record.media_ms = call.ms(at);
        }
    }

    /// Lets go of everything but the record.
    fn forget(&mut self, slot: usize) {
        let call = &mut self.calls[slot];
        let kept =
            [call.route.take(), call.answer.take(), call.targets.take(), call.reliable.take_next()];
        call.invite = None;
        call.branches.clear();
        call.unacked = None;
        call.exchange = None;
        call.refresh = None;
        call.byes = [false; 2];
        for kept in kept {
            self.kept.release(kept);
        }
    }

    pub(crate) fn free_slot(&mut self, slot: usize) {
        self.enter_state(slot, State::Free);
        self.free_calls.push_back(slot as u32);
    }

    /// Tells control what a gateway's answers say of it, `seconds` long; 0: nothing said.
    pub(crate) fn report_news(&mut self, gateway: u32, news: News, seconds: u32, status: u16) {
        let kind = news as u8;
        let news = GatewayNews { gateway, seconds, kind, spare: 0, status };
        self.act(Action::Report(Report::Gateway(news)));
    }

    /// Asks control something.
    fn ask(&mut self, ask: Ask) {
        self.act(Action::Ask(ask));
    }
}

/// Whether the start record is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commitment {
    /// Control said so.
    Durable,
    /// It did not in time.
    Missing,
}
