//! Why a call fails, said by a voice (MED-16): a customer who wants that hears a prompt before the final response.
//!
//! ```text
//!   Admitting ──refused──────────┐                ┌── finished, cut ──▶ the failure ─┐
//!                                ├─▶ Announcing ──┤                                  ├─▶ Recording, or free
//!   Trying, Ringing, … ──failed──┘                └── CANCEL, BYE ────▶ 487 ─────────┘
//! ```
//!
//! The caller gets a 183 that describes our voice, in an early dialog of its own (RFC 3261 §12.1), so nothing is
//! answered and nothing charged. The record says how the call failed, and not how its announcement ended; of one that
//! control refused it is written already. A caller who demands reliable provisional responses (RFC 3262), or agreed
//! on them, hears the plain failure: what is told reliably is agreed on for good.
//!
//! Withstands: a flood of calls that fail. Nothing is announced while new calls are refused, nor with less than a
//! quarter of slots or ports free, nor more than the relay plays at a time. An INVITE by UDP that somebody forged:
//! media go where it seems to come from, or to whom was heard.

use core::time::Duration;

use link::endpoint::Transport;
use link::record::{EndReason, EndedBy};
use relay::{Latch, PACKET_TIME, Port, PromptId, Prompts, Times};
use sip::{Message, Name, Sdp};

use super::invite::description;
use super::reliable::Progress;
use super::{Deadline, State};
use crate::Instant;
use crate::compose::{REL100, Reply};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::kept::Kept;
use crate::media::STREAMS_MAX;
use crate::switch::Switch;
use crate::transact::Which;

/// How much longer than its prompt an announcement may take: a caller behind NAT must be heard first.
const PATIENCE: Duration = Duration::from_secs(5);

/// Room for the name of a prompt.
const NAME_BYTES: usize = 3;

/// What the caller hears when the prompt is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    pub(super) status: u16,
    pub(super) retry_after: Option<u32>,
    /// Why the call fails, for the record.
    pub(super) why: EndReason,
    /// The same as the response says it; `None` of [`EndReason`]: not at all.
    pub(super) said: EndReason,
    pub(super) by: EndedBy,
}

/// Whether a failure may be announced at all: not what is a matter between machines, nor what keeps attackers
/// out, nor what is said because there is too much to do.
fn is_for_ears(why: EndReason, status: u16) -> bool {
    use EndReason::*;
    // What a vendor cannot do, or not now, whoever sent the request tries another way.
    let is_between_machines = matches!(status, 415 | 420..=423 | 488 | 491 | 493);
    matches!(
        why,
        Busy | NoAnswer
            | Timeout
            | NoRoute
            | LinesFull
            | NoRate
            | NoBalance
            | BadNumber
            | Locked
            | DestinationLocked
            | DestinationBarred
            | SpendLimit
            | CallerBarred
            | CalleeBarred
            | ForwarderBarred
            | CallerTooLong
            | Unreachable
            | NoCodec
            | PrivacyImpossible
    ) || why == Rejected && !is_between_machines
}

/// The prompt of a failure: that of its reason, of its status, of the status's class, or that of every failure.
fn prompt_of(prompts: &Prompts, farewell: &Farewell) -> Option<PromptId> {
    let digit = |unit: u16| b'0' + (farewell.status / unit % 10) as u8;
    let status: [u8; NAME_BYTES] = [digit(100), digit(10), digit(1)];
    let class = [digit(100), b'x', b'x'];
    let text =
        |name: &[u8; NAME_BYTES]| core::str::from_utf8(name).ok().and_then(|it| prompts.find(it));
    let by_reason = prompts.find(farewell.why.name());
    by_reason.or_else(|| text(&status)).or_else(|| text(&class)).or_else(|| prompts.find("default"))
}

impl Switch {
    /// Begins to say why a call fails. `false`: the caller is not to hear it, or cannot; then the failure is
    /// sent at once. What passes of a vendor's response is kept for later.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        slot: usize,
        farewell: Farewell,
        passed: Option<&Message<'_>>,
    ) -> bool {
        let call = &self.calls[slot];
        let may = call.announces
            && call.offered
            && !call.reliable.is_on()
            && call.transfer.is_none()
            && call.legs[Side::Caller as usize].path.inside().is_none()
            && is_for_ears(farewell.why, farewell.status);
        let prompt = prompt_of(self.media.table.prompts(), &farewell).filter(|_| may);
        let Some(prompt) = prompt else { return false };
        if !self.has_room_to_announce() {
            self.counters.add(Counter::AnnouncementsFull);
            return false;
        }
        let mut room = self.take_scratch();
        let described = self.open_announcement(now, slot, prompt, &mut room);
        if let Some(length) = described {
            let kept = passed.and_then(|message| self.kept.keep(message.as_bytes()));
            self.begin_announcement(now, slot, farewell, prompt, kept.unwrap_or(Kept::NONE));
            let call = &mut self.calls[slot];
            call.variants = call.variants.wrapping_add(1);
            let (variant, body) = (call.variants, &room[..length]);
            self.tell_progress(now, slot, &Progress { status: 183, variant, body, passed: None });
        }
        self.give_scratch(room);
        described.is_some()
    }

    /// Whether new calls lose nothing by it.
    fn has_room_to_announce(&self) -> bool {
        let ports = self.media.port_count();
        let (calls_max, pairs) = (self.setup.limits.calls_max, self.media.pairs() as u32);
        self.overload().is_none()
            && self.calls_open < calls_max - calls_max / 4
            && ports.free > pairs / 4
    }

    /// Opens the caller's ear: one port of ours, on which the prompt is played. The description of it goes into
    /// `out`. `None`: it offers nothing that we can sound, or what it offers is not to be used.
    fn open_announcement(
        &mut self,
        now: Instant,
        slot: usize,
        prompt: PromptId,
        out: &mut [u8],
    ) -> Option<usize> {
        let server = self.calls[slot].invite?;
        // What its media were until now is in the record before they go.
        self.note_media(slot);
        let opened = self.with_kept(server, Which::Request, |switch, invite| {
            if invite.lists(Name::Require, REL100) {
                return None;
            }
            let body = description(invite)?;
            let offer = Sdp::parse(body).ok()?;
            let medium = offer.sounding_in().filter(|medium| medium.0 < STREAMS_MAX)?;
            if switch.is_fenced(now, slot, Side::Caller, body) {
                return None;
            }
            let mut streams =
                Self::media_parts(&mut switch.calls, &switch.setup, &switch.profiles, slot);
            let alone = switch.media.open_alone(now, &mut streams, Side::Caller, medium.0);
            let port = alone.filter(|_| !streams.lacks_keys(Side::Caller, body));
            if alone.is_none() {
                switch.counters.add(Counter::AnnouncementsFull);
            }
            let port = port?;
            switch.believe(now, slot, Side::Caller, body);
            switch.doubt_far_end(now, slot, port);
            let length = switch.describe_sounding(slot, &offer, medium, port, out)?;
            if !switch.play(now, port, prompt, Times::Once, medium.1 == 8) {
                switch.counters.add(Counter::AnnouncementsFull);
                return None;
            }
            Some(length)
        });
        opened.flatten()
    }

    /// Whoever sends an INVITE over UDP under a name not its own must not have us speak to a third: what is described
    /// elsewhere than where the INVITE came from is believed once it is heard.
    fn doubt_far_end(&mut self, now: Instant, slot: usize, port: Port) {
        let path = &self.calls[slot].legs[Side::Caller as usize].path;
        let known = self.media.snapshot(port);
        let is_elsewhere = known.remote.is_some_and(|far| {
            far.ip().to_canonical() != path.remote.ip().to_canonical() && !known.latched
        });
        if is_elsewhere && path.transport == Transport::Udp {
            let until = now + Duration::from_secs(self.parameters.latch_window_s.into());
            let latch = Latch::Learn { until };
            self.media.table.set_remote(port, None, None, latch, known.payload_types);
        }
    }

    fn begin_announcement(
        &mut self,
        now: Instant,
        slot: usize,
        farewell: Farewell,
        prompt: PromptId,
        passed: Kept,
    ) {
        self.counters.add(Counter::Announcements);
        self.abort_exchange(now, slot);
        self.drop_route(slot);
        let call = &mut self.calls[slot];
        let old = core::mem::replace(&mut call.answer, passed);
        call.farewell = Some(farewell);
        call.record.status = farewell.status;
        call.note_end(now, farewell.why, farewell.by);
        self.kept.release(old);
        self.enter_state(slot, State::Announcing);
        let length = PACKET_TIME * self.media.table.prompts().packets(prompt);
        self.set_deadline(slot, Deadline::Close, Some(now + length + PATIENCE));
        // Whoever comes after a crash records what was known already.
        self.save(slot);
    }

    /// The prompt is over: the caller hears the rest from the response.
    pub(super) fn announced(&mut self, now: Instant, slot: usize, is_whole: bool) {
        self.counters.add(match is_whole {
            true => Counter::AnnouncementsFinished,
            false => Counter::AnnouncementsCut,
        });
        let Some(farewell) = self.calls[slot].farewell.take() else { return };
        let Farewell { status, retry_after, said: reason, .. } = farewell;
        let kept = self.calls[slot].answer.take();
        let mut room = self.take_scratch();
        let passed = Message::parse(self.kept.copy(&kept, &mut room)).ok();
        let passed = passed.as_ref();
        let reply = Reply { retry_after, reason, passed, ..Reply::plain(status) };
        self.end_announcement(now, slot, &reply, farewell);
        self.give_scratch(room);
        self.kept.release(kept);
    }

    /// The caller, or an operator, does not want to hear the rest.
    pub(super) fn cut_announcement(&mut self, now: Instant, slot: usize, status: u16) {
        self.counters.add(Counter::AnnouncementsCut);
        let Some(farewell) = self.calls[slot].farewell.take() else { return };
        let kept = self.calls[slot].answer.take();
        self.kept.release(kept);
        self.end_announcement(now, slot, &Reply::plain(status), farewell);
    }

    fn end_announcement(
        &mut self,
        now: Instant,
        slot: usize,
        reply: &Reply<'_>,
        farewell: Farewell,
    ) {
        self.hush(slot, Side::Caller);
        self.fail_invite(now, slot, reply);
        self.calls[slot].record.status = farewell.status;
        if self.calls[slot].refused {
            return self.drop_call(slot);
        }
        if self.calls[slot].branches.is_empty() {
            return self.close_call(now, slot);
        }
        self.await_cancelled(now, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farewell(why: EndReason, status: u16) -> Farewell {
        Farewell { status, retry_after: None, why, said: why, by: EndedBy::Server }
    }

    #[test]
    fn the_closest_prompt_there_is_says_why() {
        let named = |names: &[&str]| {
            Prompts::new(
                names.iter().map(|name| (*name, [0_i16; 160].as_slice())).collect::<Vec<_>>(),
            )
        };
        let busy = farewell(EndReason::Busy, 486);
        for (names, expected) in [
            (&["busy", "486", "4xx", "default"][..], Some("busy")),
            (&["486", "4xx", "default"], Some("486")),
            (&["4xx", "default", "487", "rejected"], Some("4xx")),
            (&["default", "5xx"], Some("default")),
            (&["5xx", "404", "no_route"], None),
            (&[], None),
        ] {
            let prompts = named(names);
            let found = prompt_of(&prompts, &busy);
            assert_eq!(found, expected.and_then(|name| prompts.find(name)), "{names:?}");
        }
    }

    #[test]
    fn what_a_vendor_cannot_do_is_a_matter_between_machines() {
        for (status, announced) in
            [(404, true), (486, true), (503, true), (420, false), (488, false)]
        {
            assert_eq!(is_for_ears(EndReason::Rejected, status), announced, "{status}");
        }
        assert!(is_for_ears(EndReason::NoCodec, 488));
    }

    #[test]
    fn what_keeps_attackers_out_and_what_is_too_much_is_never_announced() {
        use EndReason::*;
        for why in
            [Unauthorised, Overload, RateLimit, Geofence, AccessList, DestinationAbuse, Cancelled]
        {
            assert!(!is_for_ears(why, 404), "{why:?}");
        }
    }
}
