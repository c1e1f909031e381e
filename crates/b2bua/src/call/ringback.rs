//! Ringback of our own (MED-12, `SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY`): a vendor rings and sends nothing to
//! be heard, so the caller hears us after a while.
//!
//! The caller gets a 183 that describes our tone, in an early dialog of its own (RFC 3261 §12.1), so that no
//! answer of any vendor is bound to what it says. The relay sounds the tone, and ends it by itself.

use core::time::Duration;

use sip::Sdp;

use super::invite::description;
use super::reliable::Progress;
use super::{Deadline, State};
use crate::Instant;
use crate::counter::Counter;
use crate::dialog::Side;
use crate::switch::Switch;
use crate::transact::Which;

impl Switch {
    /// A vendor rings without a sound.
    pub(super) fn await_ringback(&mut self, now: Instant, slot: usize) {
        let delay = self.parameters.ring_tone_delay_ms;
        let call = &self.calls[slot];
        let is_set = call.deadlines.get(Deadline::Tone).is_some();
        // What is told reliably would be agreed on. Who has to offer something has not been heard either.
        let may = call.offered && !call.reliable.is_on() && call.described.is_none();
        if delay > 0 && may && !is_set && call.state == State::Ringing {
            let delay = Duration::from_millis(delay.into());
            self.set_deadline(slot, Deadline::Tone, Some(now + delay));
        }
    }

    /// Nothing was heard so far: the caller hears us.
    pub(super) fn sound_ringback(&mut self, now: Instant, slot: usize) {
        let call = &self.calls[slot];
        let is_heard = self.media.has_heard(&call.legs[Side::Callee as usize].media);
        let Some(server) = call.invite.filter(|_| call.described.is_none() && !is_heard) else {
            return;
        };
        let ssrc = self.random() as u32;
        let mut room = self.take_scratch();
        let sounding = self.with_kept(server, Which::Request, |switch, invite| {
            let offer = Sdp::parse(description(invite)?).ok()?;
            let medium = offer.sounding_in()?;
            let leg = &switch.calls[slot].legs[Side::Caller as usize];
            let port = leg.media.ports.get(medium.0).copied().filter(|port| !port.is_none())?;
            let length = switch.describe_sounding(slot, &offer, medium, port, &mut room)?;
            switch.media.table.ring(now, port, medium.1 == 8, ssrc).then_some(length)
        });
        if let Some(length) = sounding.flatten() {
            let call = &mut self.calls[slot];
            call.variants = call.variants.wrapping_add(1);
            let (status, variant, body) = (183, call.variants, &room[..length]);
            self.counters.add(Counter::RingTones);
            self.tell_progress(now, slot, &Progress { status, variant, body, passed: None });
        }
        self.give_scratch(room);
    }
}
