//! Calls that a dead dataplane left behind, rebuilt from the call table.
//!
//! Nothing is sent and no action is asked for while slots are read, however many there are: what
//! must happen at once is due at once, and happens in the next `handle_timeout`.

use core::time::Duration;

use link::CallRecord;
use link::figures::Apart;
use link::record::{CallKey, EndReason, EndedBy, MediaFigures, NEVER};

use super::{Call, Deadline, State};
use crate::Instant;
use crate::action::Adopted;
use crate::checkpoint::{self, Checkpoint, Phase};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::switch::Switch;

/// How far our sequence numbers are moved on: further than the dead process can have come since it
/// wrote the checkpoint.
const CSEQ_STEP: u32 = 1_000;

impl Switch {
    /// A slot that the call table still holds but whose call is over.
    pub(crate) fn hold(&mut self, key: CallKey) {
        if let Some(call) = self.calls.get_mut(key.slot as usize) {
            *call = Call { state: State::Recording, ..Call::empty(key.generation) };
        }
    }

    /// See [`Switch::adopt`].
    pub(crate) fn adopt_call(
        &mut self,
        now: Instant,
        key: CallKey,
        record: &CallRecord,
        apart: [Apart; 2],
        checkpoint: &[u8],
    ) -> Adopted {
        let slot = key.slot as usize;
        if slot >= self.calls.len() {
            self.counters.add(Counter::CallsNotAdopted);
            return Adopted::Ended;
        }
        let started = Duration::from_micros(record.started_monotonic_us);
        let heard_before = [record.from_caller, record.from_callee];
        self.calls[slot] =
            Call { record: *record, started, heard_before, ..Call::empty(key.generation) };
        let won = record.attempts().iter().rposition(|attempt| attempt.answered_ms != NEVER);
        let resumed = &mut self.calls[slot].record.resumed;
        *resumed = resumed.saturating_add(1);
        self.calls[slot].branches.turn_to(won.unwrap_or(0) as u8);
        self.calls_open += 1;
        self.calls_live += 1;
        self.arm_sweep(now);
        let checkpoint = checkpoint::read(checkpoint).filter(|it| it.phase != Phase::Early);
        let talks = match checkpoint {
            Some(checkpoint) => self.adopt_legs(now, slot, apart, checkpoint),
            None => false,
        };
        if talks {
            self.adopt_talk(slot);
            self.counters.add(Counter::CallsAdopted);
            return Adopted::Confirmed;
        }
        self.counters.add(Counter::CallsNotAdopted);
        let call = &mut self.calls[slot];
        call.note_end(now, EndReason::DataplaneRestart, EndedBy::Server);
        call.note_attempts_end(now, EndReason::DataplaneRestart);
        for side in Side::BOTH {
            call.byes[side as usize] = call.legs[side as usize].confirmed;
        }
        self.enter_state(slot, State::Closing);
        self.set_deadline(slot, Deadline::Close, Some(now));
        Adopted::Ended
    }

    /// Takes legs and media over. Whether the call can go on.
    fn adopt_legs(
        &mut self,
        now: Instant,
        slot: usize,
        apart: [Apart; 2],
        checkpoint: Checkpoint,
    ) -> bool {
        let Checkpoint { phase, shard, extend_at_s, mut legs, addresses, ports } = checkpoint;
        let locals: [_; 2] = core::array::from_fn(|side| self.local_of(&legs[side].path));
        // An address that is no more has none of the ports that the call had.
        let mut has_ports = true;
        for (leg, address) in legs.iter_mut().zip(addresses) {
            has_ports &= self.media.place_ports(&mut leg.media, address);
        }
        let call = &mut self.calls[slot];
        call.shard = shard;
        call.extend_at_s = extend_at_s;
        call.legs = legs;
        for (leg, local) in call.legs.iter_mut().zip(locals) {
            leg.local = local;
            leg.cseq_local = leg.cseq_local.saturating_add(CSEQ_STEP);
        }
        let talks = phase == Phase::Confirmed
            && has_ports
            && call.record.answered_ms != NEVER
            && call.record.ended_ms == NEVER
            && call.legs.iter().all(|leg| leg.confirmed);
        if talks {
            call.state = State::Talking;
        }
        let window = Duration::from_secs(u64::from(self.parameters.latch_window_s));
        let mut streams = Self::media_parts(&mut self.calls, &self.setup, &self.profiles, slot);
        if talks {
            let is_open = self.media.reopen(now, &mut streams, &ports, window);
            let call = &mut self.calls[slot];
            let befores = call.heard_before.iter_mut().zip(apart);
            for (leg, (before, apart)) in call.legs.iter_mut().zip(befores) {
                leg.media.codec = before.codec.into();
                // Who went on counting has counted all of this port; which part was ours it does not know.
                if self.media.go_on(&leg.media, (apart.beside, apart.beside_bytes)) {
                    let Apart { packets, bytes, lost, .. } = apart;
                    *before = MediaFigures { packets, bytes, lost, ..*before };
                }
            }
            return is_open;
        }
        for leg in &mut streams.legs {
            **leg = crate::media::LegMedia::NONE;
        }
        false
    }

    fn adopt_talk(&mut self, slot: usize) {
        self.enter_state(slot, State::Talking);
        self.adopt_sessions(slot);
        self.arm_talk(slot);
        // Counts under keys leapt: another process must not begin where this one did.
        if self.calls[slot].legs.iter().any(|leg| self.media.has_keys(&leg.media)) {
            self.save(slot);
        }
    }
}
