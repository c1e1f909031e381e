//! What the brain decided, carried out: messages to the wire, asks to control, images to the table.

use b2bua::{Action, Adopted, Inside, Path};
use link::message::Up;
use link::record::CallKey;
use link::ring::{Full, Wake};
use link::table::{CallWriter, Miss, SlotState};
use link::{Ask, CallRecord, Instant};
use sip::Message;

use super::Worker;
use super::letter::Kind;
use crate::counters::WorkerCounter;
use crate::nic::Nic;
use crate::rim;

/// Where a message from one call to another went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Here,
    Away,
}

impl<N: Nic> Worker<N> {
    /// Until the brain has nothing more to say. Whether it said anything.
    pub(super) fn apply(&mut self, now: Instant) -> bool {
        let mut any = false;
        loop {
            self.settle();
            let acted = self.apply_actions(now);
            let spoke = self.apply_transmits(now);
            if !(acted || spoke) {
                return any;
            }
            any = true;
        }
    }

    fn apply_transmits(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut room = std::mem::take(&mut self.outgoing);
        while let Some(transmit) = self.switch.poll_transmit(&mut room) {
            any = true;
            let message = room.get(..transmit.length).unwrap_or_default();
            let has_effect = match transmit.path.inside() {
                Some(inside) => {
                    self.send_inside(now, inside, transmit.path, message) == Given::Here
                }
                None if transmit.discreet && !(self.knows)(transmit.path.remote.ip()) => {
                    self.counters.add(WorkerCounter::StrangersUnanswered, 1);
                    false
                }
                None => self.send_outside(now, &transmit.path, message) == rim::Given::Lost,
            };
            if has_effect {
                // What it did comes before whatever else is to be sent.
                break;
            }
        }
        self.outgoing = room;
        any
    }

    /// A message to a peer. What no stream takes has come back already (RFC 3261 §18.4).
    fn send_outside(&mut self, now: Instant, path: &Path, message: &[u8]) -> rim::Given {
        let given = self.send_sip(path, message);
        if given == rim::Given::Lost {
            self.switch.handle_undeliverable(now, message);
        }
        given
    }

    /// A message from one call of ours to another, on this worker or on that one.
    fn send_inside(&mut self, now: Instant, inside: Inside, path: Path, message: &[u8]) -> Given {
        self.counters.add(WorkerCounter::SipInside, 1);
        let owner = self.handoff.worker_of(inside.to);
        if owner != self.index {
            let handed = self.handoff.give(owner, Kind::Sip, &path.turned(), message);
            self.counters.handed(handed);
            return Given::Away;
        }
        self.sip_inside(now, path.turned(), message);
        Given::Here
    }

    /// Such a message arrives.
    pub(super) fn sip_inside(&mut self, now: Instant, path: Path, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(message) => self.switch.handle_message(now, path, &message),
            Err(fault) => self.counters.sip_fault(fault),
        }
    }

    fn apply_actions(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(action) = self.switch.poll_action() {
            any = true;
            match action {
                Action::Ask(ask) => {
                    self.note_asked(now, &ask);
                    self.tell(&Up::Ask(ask));
                }
                Action::Report(report) => self.tell(&Up::Report(report)),
                Action::Save(call) => {
                    self.enter(call);
                    self.save(call, CallWriter::publish);
                    self.show_figures_of(call);
                }
                Action::End(call) => {
                    self.leave(call);
                    self.save(call, CallWriter::end);
                    self.recording.push(call);
                }
            }
        }
        any
    }

    /// The driver lets this call's messages in, whoever floods in its gateway's name.
    fn enter(&mut self, call: CallKey) {
        let Some(roster) = &mut self.roster else { return };
        let said = roster.enter(call.slot, call.generation);
        self.counters.add(WorkerCounter::CallsUntold, said.is_err().into());
    }

    fn leave(&mut self, call: CallKey) {
        let Some(roster) = &mut self.roster else { return };
        let said = roster.leave(call.slot);
        self.counters.add(WorkerCounter::CallsUntold, said.is_err().into());
    }

    fn note_asked(&mut self, now: Instant, ask: &Ask) {
        if let Ask::Admit(admit) = ask
            && let Some(asked) = self.asked.get_mut(admit.call.slot as usize)
        {
            *asked = now;
        }
    }

    /// A full ring loses no truth: an unanswered ask ends by its deadline, and reports repeat what
    /// the call table says. What is only counted (refusals of who is shut out) may be lost.
    pub(super) fn tell(&mut self, up: &Up) {
        match self.side.up.send(up) {
            Ok(wake) => self.ring_control |= wake == Wake::Needed,
            Err(Full) => self.counters.add(WorkerCounter::RingFull, 1),
        }
    }

    fn save(
        &mut self,
        call: CallKey,
        write: impl Fn(&mut CallWriter, CallKey, &CallRecord, &[u8]) -> Result<(), Miss>,
    ) {
        let Some((record, length)) = self.switch.image(call, &mut self.outgoing) else { return };
        let checkpoint = self.outgoing.get(..length).unwrap_or_default();
        if write(&mut self.side.calls, call, record, checkpoint).is_err() {
            self.counters.add(WorkerCounter::SlotsLost, 1);
        }
    }

    /// One slot of the process before this one: its call goes on, ends now, or waits for control.
    pub(super) fn adopt_slot(&mut self, now: Instant, slot: u32) {
        let Some(seen) = self.side.calls.read(slot, &mut self.image) else { return };
        let call = CallKey { slot, generation: seen.generation() };
        if seen.state() != SlotState::Live || self.side.calls.adopt(slot, seen).is_err() {
            // It ended, or control reaped it this moment: its record is on its way to the store.
            self.switch.hold_slot(call);
            return self.recording.push(call);
        }
        self.enter(call);
        // What it had counted when it was looked at last is later than its image.
        self.side.calls.note_figures(call, &mut self.image.record);
        let apart = self.side.calls.apart(call);
        match self.switch.adopt(now, call, &self.image.record, apart, self.image.checkpoint()) {
            Adopted::Confirmed => self.counters.add(WorkerCounter::CallsAdopted, 1),
            Adopted::Ended => self.counters.add(WorkerCounter::CallsLostAtRestart, 1),
        }
    }
}
