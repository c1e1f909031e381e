//! Prompts for a side of a call: played, stopped, and told of when they end. Whoever speaks to a caller sits on
//! this; `announce.rs` is the first.

use relay::{Play, PlayEnd, Port, PromptId, Times};
use sip::Sdp;
use sip::sdp::Sounding;

use super::State;
use crate::Instant;
use crate::dialog::Side;
use crate::media::call_of;
use crate::switch::Switch;

impl Switch {
    /// Plays a prompt to a side by one of its ports, in place of what it hears of us there. Whether it does.
    pub(super) fn play(
        &mut self,
        now: Instant,
        port: Port,
        prompt: PromptId,
        times: Times,
        is_a_law: bool,
    ) -> bool {
        let ssrc = self.random() as u32;
        self.media.table.play(now, port, &Play { prompt, times, is_a_law, ssrc })
    }

    /// Stops what is played to a side.
    pub(super) fn hush(&mut self, slot: usize, side: Side) {
        for port in self.calls[slot].legs[side as usize].media.open_ports() {
            self.media.table.stop(port);
        }
    }

    /// Heeds the next prompt that has ended by itself. Whether there was one; what follows from it is to be
    /// done before the one after it.
    pub fn heed_played(&mut self, now: Instant) -> bool {
        let Some(played) = self.media.table.poll_played() else { return false };
        self.media.wake(now);
        let slot = self.live_call(call_of(played.owner));
        if let Some(slot) = slot.filter(|&slot| self.calls[slot].state == State::Announcing) {
            self.announced(now, slot, played.end == PlayEnd::Finished);
        }
        true
    }

    /// Writes the description by which the caller hears us from `port`, in an early dialog of its own. `None`:
    /// it does not fit.
    pub(super) fn describe_sounding(
        &mut self,
        slot: usize,
        offer: &Sdp<'_>,
        medium: (usize, u8),
        port: Port,
        out: &mut [u8],
    ) -> Option<usize> {
        // 31 bits: some peers read no more.
        let session = self.random() as u32 >> 1;
        let leg = &self.calls[slot].legs[Side::Caller as usize];
        let local = &self.setup.locals[usize::from(leg.local)];
        let address = self.media.advertised(&leg.media, local);
        let streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        let change = streams.keys_told(Side::Caller, medium.0, offer);
        let sounding = Sounding { address, port: port.number(), session, change: change.as_ref() };
        offer.answer_sounding(medium, &sounding, out)
    }
}
