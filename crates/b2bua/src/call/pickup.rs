//! A ringing call is picked up (XFR-07): somebody else answers it, from a call of its own.
//!
//! ```text
//!   A ── call ··▷ X rings          A ── call          X rings no more
//!   P dials the code          ⇒         │ INVITE
//!                                  P ── call
//! ```
//!
//! Control knows which call rings where, and names it to the call of P as its only candidate. That calls it
//! by an INVITE that stays inside ([`Inside`]), with the offer of P; here it is taken for an answer to the
//! offer of A, and the offer of A, carried anew for the leg of P, for the answer to it. Each lists what its side
//! can do, which is what an answer may do as well (RFC 3264 §6.1), and both began as offers of the same media.
//! What rang was told by its own terms, keys among them: nothing of that is told to P.

use link::answer::Pickup;
use link::record::EndReason;
use sip::{Message, Sdp};

use super::State;
use super::invite::description;
use crate::Instant;
use crate::arena::Field;
use crate::compose::{Reply, SDP};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::media::secured::is_same_profile;
use crate::media::{LegMedia, MediaFault, Word};
use crate::path::{Inside, Path};
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, Which};

/// Whether an answer made of one of them fits the other as an offer: the same kinds of media in the same
/// order, and an encoding that both know in each that is used.
fn match_up(one: &Sdp<'_>, other: &Sdp<'_>) -> bool {
    let pairs = one.media().iter().zip(other.media());
    one.media().len() == other.media().len()
        && pairs.into_iter().all(|(one, other)| {
            let shared = one.payload_types().any(|it| other.payload_types().any(|same| same == it));
            one.kind == other.kind && is_same_profile(one, other) && (shared || one.port == 0)
        })
}

impl Switch {
    /// The path to the call that is to be picked up.
    pub(super) fn way_to_ringing(&self, slot: usize, pickup: &Pickup<'_>, local: u8) -> Path {
        let to = crate::keys::shard_of(pickup.call_id, &self.setup.keys);
        let from = self.calls[slot].shard();
        Inside { to, from }.path(self.setup.locals[usize::from(local)].sip())
    }

    /// An INVITE from inside that answers a ringing call.
    pub(super) fn pick_up(
        &mut self,
        now: Instant,
        path: Path,
        invite: &Message<'_>,
        key: Key,
        pickup: &Pickup<'_>,
    ) {
        let ringing = self.live_call(pickup.call).filter(|&slot| self.rings(slot, pickup.call_id));
        let Some(slot) = ringing else {
            return self.refuse(path, invite, 481, Counter::PickupsRefused);
        };
        let Some(offer) = description(invite) else {
            return self.refuse(path, invite, 488, Counter::PickupsRefused);
        };
        let Ok(leg) = self.new_leg(slot, path, invite) else {
            return self.refuse(path, invite, 513, Counter::RefusedTooLong);
        };
        let server = match self.open_server(now, path, invite, key, 0, Keep::Nothing) {
            Ok(server) => server,
            Err(why) => return self.refuse_overload(path, invite, why),
        };
        let mut room = self.take_scratch();
        let mut old = self.seat(slot, leg);
        match self.exchange_offers(now, slot, offer, &mut room) {
            Ok(length) => {
                if old.local != self.calls[slot].legs[Side::Callee as usize].local {
                    self.media.release_ports(&mut old.media);
                }
                self.believe(now, slot, Side::Callee, offer);
                self.take_over(now, slot);
                let tag = self.own_tag(slot, Side::Callee);
                let content = Some((SDP, &room[..length]));
                let reply = Reply { to_tag: &tag, content, ..Reply::plain(200) };
                self.answer_to(now, server, invite, &reply);
                self.commit(now, slot);
            }
            Err(status) => {
                self.unseat(slot, old);
                self.counters.add(Counter::PickupsRefused);
                self.answer_to(now, server, invite, &Reply::plain(status));
            }
        }
        self.give_scratch(room);
    }

    /// What rang rings no more.
    fn take_over(&mut self, now: Instant, slot: usize) {
        self.abandon_group(now, slot, EndReason::Cancelled, None);
        self.note_picked_up(now, slot);
        self.calls[slot].branches.clear();
        self.counters.add(Counter::Pickups);
    }

    /// Whether a call of this caller rings, and whoever called waits for its first answer.
    fn rings(&self, slot: usize, call_id: &[u8]) -> bool {
        let call = &self.calls[slot];
        let is_told = call.forks.iter().any(|fork| fork.is_told());
        matches!(call.state, State::Trying | State::Ringing)
            && call.legs[Side::Caller as usize].text(Field::CallId) == call_id
            && call.offered
            && !is_told
    }

    /// Carries the offer of whoever called to the leg that is seated, and that leg's to whoever called, if each can
    /// stand for the answer to the other. How long the first is in `room`; the error is the status of the refusal.
    fn exchange_offers(
        &mut self,
        now: Instant,
        slot: usize,
        offer: &[u8],
        room: &mut [u8],
    ) -> Result<usize, u16> {
        let server = self.calls[slot].invite.ok_or(503_u16)?;
        let carried = self.with_kept(server, Which::Request, |switch, invite| {
            let offered = description(invite).ok_or(MediaFault::Unusable)?;
            switch.carry(now, slot, Side::Caller, Word::Offer, offered, room)
        });
        let carried = carried.unwrap_or(Err(MediaFault::Unusable));
        let length = carried.map_err(|fault| match fault {
            MediaFault::PortsFull(_) => 503,
            MediaFault::Unusable
            | MediaFault::Fenced
            | MediaFault::NoCodec
            | MediaFault::Unsecured => 488_u16,
        })?;
        let matched = match (Sdp::parse(&room[..length]), Sdp::parse(offer)) {
            (Ok(offered), Ok(picking)) => match_up(&offered, &picking),
            _ => false,
        };
        if !matched {
            return Err(488);
        }
        // Whoever called knows the call by the tag that it heard it ring with.
        let tag = self.leg_tag(slot, Side::Caller, self.calls[slot].forks[0].variant);
        let caller = &mut self.calls[slot].leg(Side::Caller).arena;
        if caller.set(Field::LocalTag, &tag).is_err() || !self.keep_answer(now, slot, offer) {
            return Err(503);
        }
        self.keep_description(slot, Side::Callee, &room[..length]);
        Ok(length)
    }

    /// Whoever called pays as if what rang last had answered, and its start record must say when.
    fn note_picked_up(&mut self, now: Instant, slot: usize) {
        let call = &mut self.calls[slot];
        let (ms, used) = (call.ms(now), call.record.attempts().len());
        if let Some(attempt) = call.record.attempts[..used].last_mut() {
            attempt.answered_ms = ms;
        }
    }

    /// Puts the leg in the place of those that ring; it goes on by their ports, if it is of their own address. Gives
    /// the old one.
    fn seat(&mut self, slot: usize, mut leg: Leg) -> Leg {
        let place = self.calls[slot].leg(Side::Callee);
        let told = leg.media.told;
        leg.media = place.media;
        // It goes on hearing of its own session, and always through us.
        leg.media.told = told;
        leg.media.bypassed = false;
        // Ports of another address are of no use to it.
        if leg.local != place.local {
            leg.media.ports = LegMedia::NONE.ports;
        }
        leg.confirmed = true;
        core::mem::replace(place, leg)
    }

    /// What rang is back in its place, with its own ports.
    fn unseat(&mut self, slot: usize, old: Leg) {
        let kept = old.media.ports;
        let mut leg = core::mem::replace(self.calls[slot].leg(Side::Callee), old);
        if leg.media.ports != kept {
            self.media.release_ports(&mut leg.media);
        }
        let callee = self.calls[slot].legs[Side::Callee as usize].media;
        self.calls[slot].leg(Side::Caller).media.bypassed = callee.bypassed;
        self.rejoin_media(slot);
    }

    /// Keeps the offer, rewritten, as what the caller gets. Whether there is room.
    fn keep_answer(&mut self, now: Instant, slot: usize, offer: &[u8]) -> bool {
        let mut room = self.take_scratch();
        // No lines of anybody's.
        room[0] = b'\n';
        let word = Word::of_callee(self.calls[slot].offered);
        let carried = self.carry(now, slot, Side::Callee, word, offer, &mut room[1..]);
        let kept = carried.ok().and_then(|length| self.kept.keep(&room[..=length]));
        self.give_scratch(room);
        let Some(kept) = kept else { return false };
        let early = core::mem::replace(&mut self.calls[slot].answer, kept);
        self.kept.release(early);
        true
    }
}
