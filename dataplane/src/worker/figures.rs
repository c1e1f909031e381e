//! What the media of running calls are like, for everybody who looks and for the process after this one.
//!
//! Written beside each call's slot by and by, so that neither a question nor a packet waits for it; a process that is
//! killed takes no more with it than came since its calls' turn.

use link::record::CallKey;

use super::Worker;
use crate::nic::Nic;

/// All calls have their turn once in so many turns of the housekeeping: each two seconds.
const ROUND: u32 = 20;

impl<N: Nic> Worker<N> {
    /// One part of the calls.
    pub(super) fn show_figures(&mut self) {
        let slots = self.side.calls.len();
        for _ in 0..slots.div_ceil(ROUND) {
            let slot = self.figured;
            self.figured = if slot + 1 >= slots { 0 } else { slot + 1 };
            let Some((call, figures)) = self.switch.figures(slot) else { continue };
            self.side.calls.set_figures(call, &figures, &self.switch.apart(call.slot));
        }
    }

    /// Those of a call whose image is written now.
    pub(super) fn show_figures_of(&mut self, call: CallKey) {
        if let Some((key, figures)) = self.switch.figures(call.slot)
            && key == call
        {
            self.side.calls.set_figures(call, &figures, &self.switch.apart(call.slot));
        }
    }
}
