//! Session timers (RFC 4028): a call lives on a leg only as long as somebody says so.
//!
//! Each leg has a timer of its own, agreed in the 2xx of its INVITE and anew in that of each re-INVITE
//! and UPDATE. Where we are the refresher a sign of life goes out at half the interval: an UPDATE
//! without a description where the far end takes UPDATE, else a re-INVITE with what we described last,
//! to the bit. Where the far end is, and nothing comes until a little before the end (§10), or where
//! ours is not answered, both legs get their BYE.
//!
//! A leg without a timer of whose far end nothing is heard, since the call is on hold, is asked by OPTIONS
//! whether it is there still: a BYE that was lost would keep such a call for ever.
//!
//! Withstands: intervals that would make us refresh all the time (raised, or refused with 422), a far
//! end that keeps a refresh pending for ever (the session ends all the same).

use core::time::Duration;

use link::Profile;
use link::record::{CallKey, EndReason, EndedBy, NEVER};
use sip::header::SessionExpires;
use sip::header::session_timer::{Refresher, min_se};
use sip::{Message, Method, Name, header};

use super::exchange::{Within, ends_dialog};
use super::hangup::by_side;
use super::invite::description;
use super::{Deadline, State};
use crate::Instant;
use crate::arena::Field;
use crate::compose::{Extensions, Reply, SDP, Says, TIMER, Tags};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::switch::Switch;
use crate::transaction::{Class, Machine, Role, TransactionKey};
use crate::transfers::Stage;

/// No session is shorter (§5), whatever a peer says.
const SHORTEST_S: u32 = 90;

/// A Min-SE beyond this is not meant.
const LONGEST_S: u32 = 86_400;

/// Patience before a refresh is tried again that the far end could not take now.
const AGAIN: Duration = Duration::from_secs(10);

/// How soon a refresh is tried again that an exchange of the call stood in the way of.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// The session timer of a leg. Times are ms since the INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// After how many seconds without a refresh the session ends; 0: never.
    pub(crate) interval_s: u32,
    /// The shortest interval that the far end has said it takes; 0: it has not.
    pub(crate) min_se_s: u32,
    /// When it was refreshed last.
    pub(crate) refreshed_ms: u32,
    /// When a refresh of ours is due.
    pub(crate) next_ms: u32,
    /// Whether we refresh it, and not the far end.
    pub(crate) ours: bool,
    /// Whether the far end takes UPDATE.
    pub(crate) updates: bool,
    /// When the far end, which may be gone, is to be asked; [`NEVER`]: it is not.
    pub(crate) doubt_ms: u32,
}

impl Session {
    pub(crate) const NONE: Self = Self {
        interval_s: 0,
        min_se_s: 0,
        refreshed_ms: 0,
        next_ms: 0,
        ours: false,
        updates: false,
        doubt_ms: NEVER,
    };

    /// Bytes in a checkpoint. A refresh that failed before a restart is tried at its usual time after it.
    pub(crate) const BYTES: usize = 13;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.interval_s.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.min_se_s.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.refreshed_ms.to_le_bytes());
        bytes[12] = u8::from(self.ours) | u8::from(self.updates) << 1;
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, flags] = bytes;
        let mut session = Self {
            interval_s: u32::from_le_bytes([a, b, c, d]),
            min_se_s: u32::from_le_bytes([e, f, g, h]),
            refreshed_ms: u32::from_le_bytes([i, j, k, l]),
            next_ms: 0,
            ours: flags & 1 != 0,
            updates: flags & 2 != 0,
            doubt_ms: NEVER,
        };
        session.plan();
        session
    }

    /// A refresh of ours comes at half the interval (§7.2).
    fn plan(&mut self) {
        self.next_ms = self.refreshed_ms.saturating_add(self.interval_s.saturating_mul(500));
    }

    /// When the call is ended for want of a refresh: earlier than the session expires, so that the BYE
    /// is there before (§10).
    fn expires_ms(&self) -> u32 {
        let interval_ms = self.interval_s.saturating_mul(1_000);
        let margin_ms = (interval_ms / 3).min(32_000);
        self.refreshed_ms.saturating_add(interval_ms - margin_ms)
    }

    /// When something is to be done about it; [`NEVER`]: nothing.
    fn due_ms(&self) -> u32 {
        self.doubt_ms.min(self.timer_ms())
    }

    /// When it is to be refreshed, or has expired; [`NEVER`]: there is no timer.
    fn timer_ms(&self) -> u32 {
        let expires = self.expires_ms();
        match (self.interval_s, self.ours) {
            (0, _) => NEVER,
            (_, true) => self.next_ms.min(expires),
            (_, false) => expires,
        }
    }

    /// It was refreshed now, so long and by so whom.
    fn renew(&mut self, ms: u32, interval_s: u32, ours: bool) {
        *self = Self { interval_s, ours, refreshed_ms: ms, ..*self };
        self.plan();
    }

    /// Takes what a 422 says: so long at least, then (§7.3). Whether it is longer than before.
    pub(super) fn lengthen(&mut self, refusal: &Message<'_>) -> bool {
        let least = shortest(refusal).filter(|&least| least <= LONGEST_S);
        let longer = least.filter(|&least| least > self.min_se_s);
        self.min_se_s = longer.unwrap_or(self.min_se_s);
        longer.is_some()
    }

    fn learn(&mut self, message: &Message<'_>) {
        if message.value(Name::Allow).is_some() {
            self.updates = message.lists(Name::Allow, b"UPDATE");
        }
    }
}

/// Whether the sender of a message knows session timers.
fn knows_timers(message: &Message<'_>) -> bool {
    [Name::Supported, Name::Require].into_iter().any(|name| message.lists(name, TIMER))
}

fn asked(message: &Message<'_>) -> Option<SessionExpires> {
    message.value(Name::SessionExpires).and_then(SessionExpires::parse)
}

fn shortest(message: &Message<'_>) -> Option<u32> {
    message.value(Name::MinSe).and_then(min_se)
}

impl Switch {
    /// How the gateway behind a leg wants its SIP.
    pub(crate) fn profile_of(&self, slot: usize, side: Side) -> &Profile {
        let (gateway, wishes) = self.calls[slot].party(side);
        self.profiles.of_party(gateway, wishes)
    }

    /// Whether there are session timers at all.
    fn has_timers(&self) -> bool {
        self.parameters.session_timer_s > 0
    }

    /// Whether a leg has a timer because we want one. Else it has one where the far end asks for it.
    fn wants_timer(&self, slot: usize, side: Side) -> bool {
        self.wants_timers(self.profile_of(slot, side))
    }

    fn wants_timers(&self, peer: &Profile) -> bool {
        self.has_timers() && peer.session_timer != 0
    }

    /// What an OPTIONS hears of them.
    pub(crate) fn timers_known(&self) -> Extensions {
        let supported = Tags { timer: self.has_timers(), ..Tags::NONE };
        Extensions { supported, ..Extensions::NONE }
    }

    /// Why a request cannot be taken: it demands timers where there are none, or a session shorter than
    /// we take, and could understand 422 (§6).
    pub(super) fn unfit_session(&self, request: &Message<'_>) -> Option<Reply<'static>> {
        if !self.has_timers() {
            let unsupported = Tags { timer: true, ..Tags::NONE };
            let extensions = Extensions { unsupported, ..Extensions::NONE };
            let demanded = request.lists(Name::Require, TIMER);
            return demanded.then_some(Reply { extensions, ..Reply::plain(420) });
        }
        let least = self.parameters.session_timer_min_s;
        let is_short = asked(request).is_some_and(|session| session.interval_s < least);
        let extensions = Extensions { min_se: Some(least), ..Extensions::NONE };
        let refused = is_short && knows_timers(request);
        refused.then_some(Reply { extensions, ..Reply::plain(422) })
    }

    /// What an INVITE or UPDATE of ours says of the session (§7.1, §7.4).
    pub(super) fn session_offer(&self, slot: usize, side: Side) -> Extensions {
        self.session_offer_to(slot, side, self.profile_of(slot, side))
    }

    /// The same to one of several that are called at once.
    pub(super) fn session_offer_to(&self, slot: usize, side: Side, peer: &Profile) -> Extensions {
        let session = &self.calls[slot].legs[side as usize].session;
        if session.interval_s == 0 && !self.wants_timers(peer) {
            return Extensions::NONE;
        }
        let least = self.parameters.session_timer_min_s.max(session.min_se_s);
        let (interval_s, refresher) = match (session.interval_s, session.ours) {
            (0, _) => (self.parameters.session_timer_s, None),
            (running, true) => (running, Some(Refresher::Uac)),
            (running, false) => (running, Some(Refresher::Uas)),
        };
        Extensions {
            supported: Tags { timer: true, ..Tags::NONE },
            session: Some(SessionExpires { interval_s: interval_s.max(least), refresher }),
            min_se: Some(least),
            ..Extensions::NONE
        }
    }

    /// Settles the session of a leg whose request we accept now, and says so in the 2xx (§9).
    pub(super) fn settle_session(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        request: &Message<'_>,
    ) -> Extensions {
        let asked = asked(request).filter(|_| self.has_timers());
        let is_wanted = asked.is_some() || self.wants_timer(slot, side);
        let ours = self.parameters.session_timer_s;
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        let session = &mut call.leg(side).session;
        session.learn(request);
        if !is_wanted {
            session.interval_s = 0;
            return Extensions::NONE;
        }
        let least = shortest(request).filter(|&least| least <= LONGEST_S).unwrap_or(0);
        let interval_s = asked.map_or(ours, |asked| asked.interval_s.min(ours));
        let interval_s = interval_s.max(least).max(SHORTEST_S);
        let knows = knows_timers(request);
        let refresher = match asked.and_then(|asked| asked.refresher) {
            Some(Refresher::Uas) => Refresher::Uas,
            Some(Refresher::Uac) | None if knows => Refresher::Uac,
            // Who does not know timers is kept alive by us.
            Some(Refresher::Uac) | None => Refresher::Uas,
        };
        session.renew(ms, interval_s, refresher == Refresher::Uas);
        self.arm_session(slot);
        let timer = Tags { timer: true, ..Tags::NONE };
        Extensions {
            supported: timer,
            required: if refresher == Refresher::Uac { timer } else { Tags::NONE },
            session: Some(SessionExpires { interval_s, refresher: Some(refresher) }),
            ..Extensions::NONE
        }
    }

    /// Takes what a 2xx to a request of ours settles (§7.2). Without a word there is no timer.
    pub(super) fn heed_session(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        response: &Message<'_>,
    ) {
        let is_wanted = self.wants_timer(slot, side);
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        let session = &mut call.leg(side).session;
        session.learn(response);
        let was_offered = is_wanted || session.interval_s > 0;
        match asked(response).filter(|_| was_offered) {
            Some(settled) => {
                let ours = settled.refresher != Some(Refresher::Uas);
                session.renew(ms, settled.interval_s.max(SHORTEST_S), ours);
            }
            None => session.interval_s = 0,
        }
        self.arm_session(slot);
    }

    /// Keeps what a leg was described last, for a refresh by re-INVITE, or to describe it to the target of
    /// a transfer. What does not fit is not kept.
    pub(super) fn keep_description(&mut self, slot: usize, side: Side, body: &[u8]) {
        let arena = &mut self.calls[slot].leg(side).arena;
        if arena.set(Field::Description, body).is_err() {
            // An old one would take back what was agreed since.
            let _ = arena.set(Field::Description, b"");
        }
    }

    /// Minds the sessions of a call that was put through, also that of who waits while others talk.
    pub(super) fn arm_session(&mut self, slot: usize) {
        let call = &self.calls[slot];
        let legs = call.legs.iter().chain(self.parked_leg(slot));
        let due = legs.map(|leg| leg.session.due_ms()).min().filter(|&due| due != NEVER);
        let at = due.map(|ms| call.started + Duration::from_millis(ms.into()));
        if call.state.is_confirmed() {
            self.set_deadline(slot, Deadline::Session, at);
        }
    }

    pub(super) fn session_due(&mut self, now: Instant, slot: usize) {
        let mut has_expired = Side::BOTH.into_iter().any(|side| self.mind_session(now, slot, side));
        if !has_expired
            && self.parked_leg(slot).is_some()
            && let Some(side) = self.swap_spare(slot)
        {
            has_expired = self.mind_session(now, slot, side);
            self.swap_spare(slot);
        }
        if has_expired {
            self.counters.add(Counter::SessionsExpired);
            return self.hang_up(now, slot, EndReason::SessionExpired, EndedBy::Server, None);
        }
        self.arm_session(slot);
    }

    /// Does what is due for the session of a leg. Whether that has expired.
    fn mind_session(&mut self, now: Instant, slot: usize, side: Side) -> bool {
        let call = &self.calls[slot];
        let ms = call.ms(now);
        let session = call.legs[side as usize].session;
        if session.doubt_ms <= ms {
            self.ask_for_life(now, slot, side);
            return false;
        }
        if session.timer_ms() > ms {
            return false;
        }
        if session.expires_ms() <= ms {
            return true;
        }
        self.refresh_session(now, slot, side);
        false
    }

    /// A refresh is tried (again) after so long. The end of the session may come before.
    fn refresh_later(&mut self, now: Instant, slot: usize, side: Side, wait: Duration) {
        let call = &mut self.calls[slot];
        let ms = call.ms(now + wait);
        call.leg(side).session.next_ms = ms;
        self.arm_session(slot);
    }

    fn refresh_session(&mut self, now: Instant, slot: usize, side: Side) {
        if self.is_exchanging(slot) {
            return self.refresh_later(now, slot, side, SOON);
        }
        let mut room = self.take_scratch();
        let leg = &self.calls[slot].legs[side as usize];
        let text = leg.text(Field::Description);
        // Who takes no UPDATE, and whose description we could not keep, refuses it, and so shows at
        // least that it lives.
        let by_update = leg.session.updates || text.is_empty();
        let length = if by_update { 0 } else { text.len() };
        room[..length].copy_from_slice(&text[..length]);
        let refresh = Within {
            method: if by_update { Method::Update } else { Method::Invite },
            content: (length > 0).then_some((SDP, &room[..length])),
            passed: None,
            says: Says::Nothing,
            extensions: self.session_offer(slot, side),
            role: Role::Refresh(side),
            peer: None,
        };
        let sent = self.send_within(now, slot, side, &refresh);
        self.give_scratch(room);
        match sent {
            Ok(client) => {
                self.counters.add(Counter::SessionsRefreshed);
                self.calls[slot].refresh = Some((side, client));
                // Until it is answered, or the session ends.
                self.calls[slot].leg(side).session.next_ms = NEVER;
            }
            Err(_) => self.refresh_later(now, slot, side, SOON),
        }
    }

    /// Nothing is heard of either side, and that is agreed: those whom no timer asks are asked now.
    pub(crate) fn doubt_sides(&mut self, now: Instant, slot: usize) {
        let call = &mut self.calls[slot];
        let ms = call.ms(now);
        for leg in call.legs.iter_mut().filter(|leg| leg.confirmed && leg.session.interval_s == 0) {
            leg.session.doubt_ms = ms;
        }
        self.arm_session(slot);
    }

    /// Asks the far end of a leg whether it has the dialog still. Any answer but 481 and 408 says so
    /// (RFC 3261 §12.2.1.2).
    fn ask_for_life(&mut self, now: Instant, slot: usize, side: Side) {
        let ask = Within {
            method: Method::Options,
            content: None,
            passed: None,
            says: Says::Nothing,
            extensions: Extensions::NONE,
            role: Role::Refresh(side),
            peer: None,
        };
        let asked = match self.is_exchanging(slot) {
            true => None,
            false => self.send_within(now, slot, side, &ask).ok(),
        };
        let call = &mut self.calls[slot];
        let soon = call.ms(now + SOON);
        call.leg(side).session.doubt_ms = if asked.is_some() { NEVER } else { soon };
        if let Some(client) = asked {
            call.refresh = Some((side, client));
        }
    }

    /// Whether a refresh of ours with a description is on its way: no other offer may meet it.
    pub(super) fn refresh_offers(&self, slot: usize) -> bool {
        self.calls[slot].refresh.is_some_and(|(_, client)| {
            let machine = self.transactions.at(client.slot).1.machine;
            matches!(machine, Machine::InviteClient(_))
        })
    }

    /// The answer to a refresh of ours, by one of the two sides or by who waits.
    pub(crate) fn refresh_response(
        &mut self,
        now: Instant,
        owner: CallKey,
        side: Side,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        let status = message.status().unwrap_or(0);
        let is_its = |leg: &Leg| leg.text(Field::CallId) == message.call_id();
        let waits = self.waiting_leg(slot).is_some_and(is_its);
        let is_there = waits || is_its(&self.calls[slot].legs[side as usize]);
        match Class::of(status) {
            Class::Provisional => {}
            // Another is in its place.
            _ if !is_there => {
                self.calls[slot].refresh.take_if(|refresh| refresh.1 == client);
                if Class::of(status) == Class::Success && message.method() == Method::Invite {
                    self.dismiss(now, client, message);
                }
            }
            Class::Success | Class::Failure
                if message.method() == Method::Options && !ends_dialog(status) =>
            {
                self.calls[slot].refresh.take_if(|refresh| refresh.1 == client);
            }
            Class::Success if waits => self.waiter_refreshed(now, slot, side, client, message),
            Class::Success => self.refreshed(now, slot, side, client, message),
            Class::Failure => {
                self.calls[slot].refresh.take_if(|refresh| refresh.1 == client);
                if waits && !ends_dialog(status) {
                    self.swap_spare(slot);
                    self.refresh_again(now, slot, side, status, message);
                    self.swap_spare(slot);
                } else {
                    self.refresh_refused(now, slot, side, status, message);
                }
            }
        }
    }

    /// Takes the answer to a refresh: whether that was a re-INVITE. `None`: it was answered before, and is ACKed
    /// again where it needs that.
    fn take_refresh(&mut self, slot: usize, client: TransactionKey) -> Option<bool> {
        let is_first = self.calls[slot].refresh.take_if(|refresh| refresh.1 == client).is_some();
        let transaction = self.transactions.find(client)?;
        let is_invite = matches!(transaction.machine, Machine::InviteClient(_));
        if is_invite && !is_first {
            self.resend(client);
            return None;
        }
        Some(is_invite)
    }

    /// Who waits lives. What it described holds: the offer was the one before.
    fn waiter_refreshed(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(is_invite) = self.take_refresh(slot, client) else { return };
        self.swap_spare(slot);
        self.refresh_leg(slot, side, message);
        if is_invite {
            self.send_ack(slot, side, client, None);
        }
        self.heed_session(now, slot, side, message);
        self.swap_spare(slot);
        self.save(slot);
    }

    fn refreshed(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        client: TransactionKey,
        message: &Message<'_>,
    ) {
        let Some(is_invite) = self.take_refresh(slot, client) else { return };
        self.refresh_leg(slot, side, message);
        if is_invite {
            if let Some(body) = description(message) {
                self.believe(now, slot, side, body);
            }
            self.send_ack(slot, side, client, None);
        }
        self.heed_session(now, slot, side, message);
        self.join(now, slot, message);
        self.save(slot);
    }

    fn refresh_refused(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        status: u16,
        message: &Message<'_>,
    ) {
        if let Some(Stage::Joining { .. }) = self.transfer_stage(slot)
            && !ends_dialog(status)
        {
            if !self.asks_again(now, slot, status, message) {
                self.join_failed(now, slot, status);
            }
            return;
        }
        match status {
            408 => self.refresh_unanswered(now, slot, side),
            481 => self.hang_up(now, slot, EndReason::DialogLost, by_side(side), None),
            _ => self.refresh_again(now, slot, side, status, message),
        }
    }

    /// A refresh that the far end could not take now is sent again.
    fn refresh_again(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        status: u16,
        message: &Message<'_>,
    ) {
        let session = &mut self.calls[slot].leg(side).session;
        let wait = match status {
            422 if session.lengthen(message) => Duration::ZERO,
            // RFC 3261 §14.1: who made the Call-ID waits longer, so that the two do not meet again.
            491 => {
                let ms = match side {
                    Side::Callee => 2_100 + self.random() % 1_900,
                    Side::Caller => self.random() % 2_000,
                };
                Duration::from_millis(ms)
            }
            405 | 501 if session.updates => {
                session.updates = false;
                Duration::ZERO
            }
            _ => {
                let asked = message.value(Name::RetryAfter).and_then(header::retry_after);
                asked.map_or(AGAIN, |seconds| Duration::from_secs(seconds.min(LONGEST_S).into()))
            }
        };
        self.refresh_later(now, slot, side, wait);
    }

    /// A refresh that nobody answered: nobody is there (§10).
    fn refresh_unanswered(&mut self, now: Instant, slot: usize, side: Side) {
        if self.calls[slot].legs[side as usize].session.interval_s == 0 {
            return self.hang_up(now, slot, EndReason::DialogLost, by_side(side), None);
        }
        self.counters.add(Counter::SessionsExpired);
        self.hang_up(now, slot, EndReason::SessionExpired, EndedBy::Server, None);
    }

    /// The transaction of a refresh gave up.
    pub(crate) fn refresh_late(&mut self, now: Instant, owner: CallKey, client: TransactionKey) {
        let Some(slot) = self.live_call(owner) else { return };
        let late = self.calls[slot].refresh.take_if(|refresh| refresh.1 == client);
        if let Some((side, _)) = late {
            self.refresh_unanswered(now, slot, side);
        }
    }

    /// The call ends while a refresh is on its way.
    pub(super) fn abort_refresh(&mut self, now: Instant, slot: usize) {
        if let Some((_, client)) = self.calls[slot].refresh.take() {
            self.cancel_client(now, client, None);
        }
    }

    /// After a 422 to the INVITE of an attempt: once more, for so long as the vendor wants (§7.3).
    /// Whether it went out.
    pub(super) fn ask_longer(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        message: &Message<'_>,
    ) -> bool {
        let least = shortest(message).filter(|&least| least <= LONGEST_S).unwrap_or(0);
        let attempt = self.calls[slot].record.attempts().get(usize::from(index));
        let gateway = attempt.map_or(0, |attempt| attempt.gateway);
        let is_wanted =
            self.wants_timers(self.profiles.of(gateway)) && self.calls[slot].state == State::Trying;
        let leg = self.calls[slot].leg(Side::Callee);
        if !is_wanted || leg.session.min_se_s != 0 || least == 0 {
            return false;
        }
        leg.session.min_se_s = least;
        // A new INVITE belongs to no dialog, though another who is called has opened one.
        let _ = leg.arena.set(Field::RemoteTag, b"");
        self.attempt_again(now, slot, index)
    }

    /// The sessions of a call that was taken over run on. Another call of ours, to which a leg leads, may
    /// not have been taken over, or as it was before it was joined to this one.
    pub(super) fn adopt_sessions(&mut self, slot: usize) {
        let call = &mut self.calls[slot];
        assert!(call.state == State::Talking, "only a call that talks has sessions");
        for leg in &mut call.legs {
            leg.session.doubt_ms = if leg.path.inside().is_some() { 0 } else { NEVER };
        }
        self.arm_session(slot);
    }
}
