//! Fences in a call: where its descriptions want media, whence media comes, whither it is sent.
//!
//! ```text
//!  caller's offer ────────────▶ 403
//!  a vendor's 18x or 2xx ─────▶ CANCEL, or ACK and BYE; the next candidate
//!  offer or answer inside ────▶ 488, the session stays; an answer to an offer of ours ends the call
//!  media from outside ────────▶ not learned from, dropped
//! ```
//!
//! What is judged are the addresses that would be believed. One that is not, because it is of a private
//! network behind a public one, a name, or none at all (hold), is judged when packets show the real one.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use link::Report;
use link::record::{CallKey, EndReason};
use link::report::{FenceCheck, Fenced};
use sip::Message;

use super::invite::description;
use crate::Instant;
use crate::action::Action;
use crate::compose::Reply;
use crate::counter::Counter;
use crate::dialog::Side;
use crate::media::{Word, call_of, outside};
use crate::path::Path;
use crate::switch::Switch;
use crate::transact::Which;
use crate::transaction::{Class, TransactionKey};

/// Reports of fences that a worker sends in a row, and how soon it may send one more.
const REPORTS_MAX: u32 = 16;
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How many reports may be sent now.
pub(crate) struct Pace {
    left: u32,
    since: Instant,
    untold: u32,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { left: REPORTS_MAX, since: Instant::ZERO, untold: 0 }
    }

    /// Whether one more may be sent; if so, how many before it were not.
    fn take(&mut self, now: Instant) -> Option<u32> {
        let passed = now.saturating_sub(self.since).as_millis() / REPORT_EVERY.as_millis();
        if passed > 0 {
            self.since = now;
            let more = u32::try_from(passed).unwrap_or(REPORTS_MAX);
            self.left = self.left.saturating_add(more).min(REPORTS_MAX);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(core::mem::take(&mut self.untold))
            }
            None => {
                self.untold = self.untold.saturating_add(1);
                None
            }
        }
    }
}

impl Switch {
    /// Counts an address that does not pass, and tells control of it.
    pub(crate) fn note_fenced(
        &mut self,
        now: Instant,
        owner: u32,
        check: FenceCheck,
        address: SocketAddr,
        record: [u64; 2],
    ) {
        self.counters.add(match check {
            FenceCheck::Signalling => Counter::FencedSignalling,
            FenceCheck::Description => Counter::FencedDescriptions,
            FenceCheck::Media => Counter::FencedMedia,
        });
        let Some(untold) = self.fence_pace.take(now) else { return };
        self.act(Action::Report(Report::Fenced(Fenced {
            owner,
            check: check as u8,
            spare: [0; 3],
            address: address.into(),
            untold,
            record,
        })));
    }

    /// Refuses a stranger whom no fence lets in: before he is asked who he is, and whoever he says he is.
    /// Whether he was.
    pub(crate) fn refuse_fenced(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
    ) -> bool {
        if path.inside().is_some() || self.fences.lets_in(path.remote.ip()) {
            return false;
        }
        self.note_fenced(now, 0, FenceCheck::Signalling, path.remote, [0; 2]);
        match self.parameters.reply_unauthorized {
            0 => self.counters.add(Counter::Silenced),
            _ => self.reply_stateless(path, request, &Reply::plain(403)),
        }
        true
    }

    /// Whether a place may be called for a gateway or phone.
    pub(super) fn may_call(
        &mut self,
        now: Instant,
        slot: usize,
        owner: u32,
        target: SocketAddr,
    ) -> bool {
        if self.fences.passes(owner, target.ip()) {
            return true;
        }
        let record = self.calls[slot].record.id;
        self.note_fenced(now, owner, FenceCheck::Signalling, target, record);
        false
    }

    /// Whether a description of a leg wants media outside its fence.
    pub(super) fn is_fenced(&mut self, now: Instant, slot: usize, side: Side, body: &[u8]) -> bool {
        let owner = self.calls[slot].gateway(side);
        self.is_outside(now, slot, side, owner, body)
    }

    fn is_outside(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        owner: u32,
        body: &[u8],
    ) -> bool {
        let path = self.calls[slot].legs[side as usize].path;
        if path.inside().is_some() || !self.fences.binds(owner) {
            return false;
        }
        let streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        let fences = &self.fences;
        let passes = |address: IpAddr| fences.passes(owner, address);
        let found = outside(body, &streams.asking(side), passes);
        let Some(address) = found else { return false };
        let record = self.calls[slot].record.id;
        self.note_fenced(now, owner, FenceCheck::Description, address, record);
        true
    }

    /// Whether the offer of the caller's INVITE wants media outside his fence.
    pub(super) fn is_offer_fenced(&mut self, now: Instant, slot: usize) -> bool {
        let Some(server) = self.calls[slot].invite else { return false };
        // The INVITE is read again only for somebody who has a fence.
        if !self.fences.binds(self.calls[slot].gateway(Side::Caller)) {
            return false;
        }
        let judged = self.with_kept(server, Which::Request, |switch, invite| {
            description(invite)
                .is_some_and(|offer| switch.is_fenced(now, slot, Side::Caller, offer))
        });
        judged.unwrap_or(false)
    }

    /// Whether a vendor's description has no codec that the caller may be told of.
    fn shares_no_codec(&mut self, slot: usize, body: &[u8]) -> bool {
        let word = Word::of_callee(self.calls[slot].offered);
        let streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        streams.shares_no_codec(Side::Callee, word, body)
    }

    /// Whether a vendor's answer is to be made into something else, and another call has taken what makes it.
    fn lacks_transcoders(&mut self, slot: usize, body: &[u8]) -> bool {
        if !self.calls[slot].offered {
            return false;
        }
        let streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        self.media.lacks_transcoders(&streams, Side::Callee, body)
    }

    /// Whether a vendor's description has not the keys that its gateway wants.
    fn lacks_keys(&mut self, slot: usize, body: &[u8]) -> bool {
        let streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        streams.lacks_keys(Side::Callee, body)
    }

    /// Whether a 18x or 2xx of one being tried describes media outside its fence, or a 2xx none that the
    /// caller may be told of. Such a one is given up, and the next candidate is tried.
    pub(super) fn fails_terms(
        &mut self,
        now: Instant,
        slot: usize,
        index: u8,
        client: TransactionKey,
        message: &Message<'_>,
    ) -> bool {
        let Some(body) = description(message) else { return false };
        let attempt = self.calls[slot].record.attempts.get(usize::from(index));
        let owner = attempt.map_or(0, |attempt| attempt.gateway);
        let status = message.status().unwrap_or(0);
        let is_answer = Class::of(status) == Class::Success;
        let reason = if self.is_outside(now, slot, Side::Callee, owner, body) {
            EndReason::Geofence
        } else if is_answer && self.shares_no_codec(slot, body) {
            EndReason::NoCodec
        } else if is_answer && self.lacks_transcoders(slot, body) {
            self.counters.add(Counter::TranscodersFull);
            EndReason::NoCodec
        } else if is_answer && self.lacks_keys(slot, body) {
            self.counters.add(Counter::RefusedUnsecured);
            EndReason::Srtp
        } else {
            return false;
        };
        match is_answer {
            true => self.dismiss(now, client, message),
            false => self.cancel_client(now, client, None),
        }
        let call = &mut self.calls[slot];
        call.branches.close(index);
        call.note_attempt_end(now, index, reason);
        let ms = call.ms(now);
        if let Some(attempt) = call.record.attempts.get_mut(usize::from(index))
            && is_answer
        {
            // It answered, and wants its money for that.
            (attempt.status, attempt.answered_ms) = (status, ms);
        }
        if self.calls[slot].branches.is_empty() {
            self.group_failed(now, slot, None);
        }
        true
    }

    /// Judges one media datagram that arrived from a wire, as [`relay::Table::forward`] does; where its
    /// source is to be believed for the first time, by the fence of its leg.
    #[must_use]
    pub fn forward(
        &mut self,
        now: Instant,
        port: relay::Port,
        source: SocketAddr,
        payload: &[u8],
    ) -> relay::Verdict {
        let (fences, calls) = (&self.fences, &self.calls);
        let mut fenced: Option<(CallKey, u32)> = None;
        let judge = |owner: relay::Owner, towards_caller: bool, address: IpAddr| {
            let key = call_of(owner);
            let call = calls.get(key.slot as usize).filter(|it| it.generation == key.generation);
            let side = if towards_caller { Side::Caller } else { Side::Callee };
            let Some(call) = call else { return true };
            let gateway = call.gateway(side);
            let passes = fences.passes(gateway, address);
            if !passes {
                fenced = Some((key, gateway));
            }
            passes
        };
        let verdict = self.media.table.forward_judged(now, port, source, payload, judge);
        if let Some((key, gateway)) = fenced {
            let call = self.calls.get(key.slot as usize);
            let record = call.map_or([0; 2], |call| call.record.id);
            self.note_fenced(now, gateway, FenceCheck::Media, source, record);
        }
        verdict
    }
}
