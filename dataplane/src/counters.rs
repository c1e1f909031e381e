//! Everything a worker counts, in one table: its own counters, the faults of `sip` and `wire`, the drop
//! reasons of `relay`, the refusals of `b2bua`.
//!
//! Plain words of this thread while packets flow; ten times a second they are copied into the shared
//! memory, with their names, where control reads them.

use b2bua::{Counter, PortCount, Switch};
use relay::DropReason;

use crate::nic::{Nic, NicStatistics};
use crate::recorder::RecorderCounter;
use crate::rim::{Given, StreamCounter};
use crate::worker::Handed;

/// What the worker itself counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WorkerCounter {
    /// Frames received from the NIC.
    FramesReceived,
    /// Frames given to the NIC.
    FramesSent,
    /// No free frame, or no room for its headers.
    NoFrame,
    /// SIP messages received, whatever way they came.
    SipReceived,
    /// SIP messages sent.
    SipSent,
    /// Keep-alives: datagrams of line ends or zeros, too short to be a message, or STUN (RFC 5626 §3.5).
    SipKeepAlive,
    /// SIP datagrams longer than the limit.
    SipTooLong,
    /// Media datagrams relayed by workers; the driver counts those that it sends on itself.
    MediaRelayed,
    /// Times that the driver was told to send the media of a port on by itself.
    MediaSettled,
    /// Times that it was told no more to.
    MediaTakenBack,
    /// Pairs of media ports that it has.
    MediaPorts,
    /// Pairs of media ports that a call took.
    MediaPortsTaken,
    /// Pairs that were given back: the others are in use.
    MediaPortsReturned,
    /// Pairs that have rested since (`TG_MEDIA_PORT_QUARANTINE`) and may be taken again: the others rest.
    MediaPortsRested,
    /// Directions of calls whose speech is transcoded.
    TranscodersTaken,
    /// Those that are transcoded no more.
    TranscodersReturned,
    /// SIP messages from one call of ours to another, which a transfer joined.
    SipInside,
    /// Datagrams given to the worker that owns them.
    HandedOut,
    /// Datagrams other workers gave us.
    HandedIn,
    /// The other worker's ring was full, or the datagram too long for it.
    HandedLost,
    /// Datagrams the kernel received for us (reassembled).
    RimIn,
    /// Datagrams given to the kernel: next hop unknown, or over the path MTU.
    RimOut,
    /// Lost in the rim: a ring was full, or the kernel refused the datagram.
    RimLost,
    /// Datagrams the kernel received that the driver would have dropped: denied, or out of budget.
    RimRefused,
    /// Times that the driver could not be told how to answer OPTIONS: they come to us.
    GreetingsLost,
    /// Times that the driver could not be told of a call that began or ended.
    CallsUntold,
    /// Messages that came by a connection.
    StreamIn,
    /// Messages given to the rim for a connection.
    StreamOut,
    /// Messages for a connection that the rim's full ring did not take.
    StreamLost,
    /// Answers that strangers would have got (`SS_REPLY_UNAUTHORIZED`).
    StrangersUnanswered,
    /// Messages to control that its full ring did not take.
    RingFull,
    /// Messages of control that could not be read.
    DownUnreadable,
    /// Confirmed calls taken over from the process before this one.
    CallsAdopted,
    /// Calls that the restart ended.
    CallsLostAtRestart,
    /// Images that the call table refused: control ended the call while this worker stood still.
    SlotsLost,
    /// Times the worker slept.
    Sleeps,
}

impl WorkerCounter {
    /// Every counter, in the order of its number.
    pub const ALL: [Self; 36] = [
        Self::FramesReceived,
        Self::FramesSent,
        Self::NoFrame,
        Self::SipReceived,
        Self::SipSent,
        Self::SipKeepAlive,
        Self::SipTooLong,
        Self::MediaRelayed,
        Self::MediaSettled,
        Self::MediaTakenBack,
        Self::MediaPorts,
        Self::MediaPortsTaken,
        Self::MediaPortsReturned,
        Self::MediaPortsRested,
        Self::TranscodersTaken,
        Self::TranscodersReturned,
        Self::SipInside,
        Self::HandedOut,
        Self::HandedIn,
        Self::HandedLost,
        Self::RimIn,
        Self::RimOut,
        Self::RimLost,
        Self::RimRefused,
        Self::GreetingsLost,
        Self::CallsUntold,
        Self::StreamIn,
        Self::StreamOut,
        Self::StreamLost,
        Self::StrangersUnanswered,
        Self::RingFull,
        Self::DownUnreadable,
        Self::CallsAdopted,
        Self::CallsLostAtRestart,
        Self::SlotsLost,
        Self::Sleeps,
    ];

    /// The name in `status` and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FramesReceived => "frames_received",
            Self::FramesSent => "frames_sent",
            Self::NoFrame => "no_frame",
            Self::SipReceived => "sip_received",
            Self::SipSent => "sip_sent",
            Self::SipKeepAlive => "sip_keep_alive",
            Self::SipTooLong => "sip_too_long",
            Self::MediaRelayed => "media_relayed",
            Self::MediaSettled => "media_settled",
            Self::MediaTakenBack => "media_taken_back",
            Self::MediaPorts => "media_ports",
            Self::MediaPortsTaken => "media_ports_taken",
            Self::MediaPortsReturned => "media_ports_returned",
            Self::MediaPortsRested => "media_ports_rested",
            Self::TranscodersTaken => "transcoders_taken",
            Self::TranscodersReturned => "transcoders_returned",
            Self::SipInside => "sip_inside",
            Self::HandedOut => "handed_out",
            Self::HandedIn => "handed_in",
            Self::HandedLost => "handed_lost",
            Self::RimIn => "rim_in",
            Self::RimOut => "rim_out",
            Self::RimLost => "rim_lost",
            Self::RimRefused => "rim_refused",
            Self::GreetingsLost => "greetings_lost",
            Self::CallsUntold => "calls_untold",
            Self::StreamIn => "stream_in",
            Self::StreamOut => "stream_out",
            Self::StreamLost => "stream_lost",
            Self::StrangersUnanswered => "strangers_unanswered",
            Self::RingFull => "ring_full",
            Self::DownUnreadable => "down_unreadable",
            Self::CallsAdopted => "slots_adopted",
            Self::CallsLostAtRestart => "slots_lost_at_restart",
            Self::SlotsLost => "slots_lost",
            Self::Sleeps => "sleeps",
        }
    }
}

/// Where each group begins in the flat list.
const FAULTS_AT: usize = WorkerCounter::ALL.len();
const STREAMS_AT: usize = FAULTS_AT + sip::Fault::ALL.len();
const RECORDER_AT: usize = STREAMS_AT + StreamCounter::ALL.len();
const WIRE_AT: usize = RECORDER_AT + RecorderCounter::ALL.len();
const DROPS_AT: usize = WIRE_AT + wire::Fault::ALL.len();
const SWITCH_AT: usize = DROPS_AT + DropReason::ALL.len();
const NIC_AT: usize = SWITCH_AT + Counter::COUNT;
const NIC_NAMES: [&str; 5] =
    ["nic_received", "nic_sent", "nic_transmit_full", "nic_receive_full", "nic_invalid"];
const TOTAL: usize = NIC_AT + NIC_NAMES.len();

/// A worker's totals.
pub struct Counters {
    values: Box<[u64; TOTAL]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self { values: Box::new([0; TOTAL]) }
    }

    /// Every name, in the order of the values.
    #[must_use]
    pub fn names() -> Vec<String> {
        let own = WorkerCounter::ALL.iter().map(|counter| counter.name().to_owned());
        let faults = sip::Fault::ALL.iter().map(|fault| format!("sip_{}", fault.name()));
        let streams = StreamCounter::ALL.iter().map(|counter| counter.name().to_owned());
        let recorder = RecorderCounter::ALL.iter().map(|counter| counter.name().to_owned());
        let wire = wire::Fault::ALL.iter().map(|fault| fault.name().to_owned());
        let drops = DropReason::ALL.iter().map(|reason| reason.name().to_owned());
        let switch = Counter::ALL.iter().map(|counter| counter.name().to_owned());
        let nic = NIC_NAMES.iter().map(|name| (*name).to_owned());
        let dataplane = own.chain(faults).chain(streams).chain(recorder).chain(wire);
        dataplane.chain(drops).chain(switch).chain(nic).collect()
    }

    fn add_at(&mut self, place: usize, count: u64) {
        if let Some(value) = self.values.get_mut(place) {
            *value += count;
        }
    }

    /// Counts.
    pub fn add(&mut self, counter: WorkerCounter, count: u64) {
        self.add_at(counter as usize, count);
    }

    /// Counts a datagram that is no message.
    pub fn sip_fault(&mut self, fault: sip::Fault) {
        self.add_at(FAULTS_AT + fault as usize, 1);
    }

    /// Counts what became of connections.
    pub fn stream(&mut self, counter: StreamCounter, count: u64) {
        self.add_at(STREAMS_AT + counter as usize, count);
    }

    /// Counts what became of recordings.
    pub fn recorder(&mut self, counter: RecorderCounter, count: u64) {
        self.add_at(RECORDER_AT + counter as usize, count);
    }

    /// Counts a frame that is no datagram.
    pub fn wire_fault(&mut self, fault: wire::Fault) {
        self.add_at(WIRE_AT + fault as usize, 1);
    }

    /// Counts a media datagram that goes nowhere.
    pub fn media_drop(&mut self, reason: DropReason) {
        self.add_at(DROPS_AT + reason as usize, 1);
    }

    /// So many ports are settled now: of the others it was taken back.
    pub fn media_settled(&mut self, ports: u32) {
        let [settled, taken_back] =
            [WorkerCounter::MediaSettled, WorkerCounter::MediaTakenBack].map(|it| it as usize);
        let settled = self.values.get(settled).copied().unwrap_or_default();
        if let Some(value) = self.values.get_mut(taken_back) {
            *value = settled.saturating_sub(ports.into());
        }
    }

    /// So many pairs of media ports are what now, and were taken so often.
    pub fn media_ports(&mut self, count: PortCount, taken: u64) {
        let PortCount { used, resting, free } = count;
        let returned = taken.saturating_sub(used.into());
        for (counter, value) in [
            (WorkerCounter::MediaPorts, u64::from(used) + u64::from(resting) + u64::from(free)),
            (WorkerCounter::MediaPortsTaken, taken),
            (WorkerCounter::MediaPortsReturned, returned),
            (WorkerCounter::MediaPortsRested, returned.saturating_sub(resting.into())),
        ] {
            if let Some(place) = self.values.get_mut(counter as usize) {
                *place = value;
            }
        }
    }

    /// So many transcoders were ever taken, and so many of them given back.
    pub fn transcoders(&mut self, totals: [u64; 2]) {
        let counters = [WorkerCounter::TranscodersTaken, WorkerCounter::TranscodersReturned];
        for (counter, total) in counters.into_iter().zip(totals) {
            if let Some(value) = self.values.get_mut(counter as usize) {
                *value = total;
            }
        }
    }

    /// Counts a datagram given to another worker.
    pub fn handed(&mut self, handed: Handed) {
        self.add(
            match handed {
                Handed::Over => WorkerCounter::HandedOut,
                Handed::Full | Handed::TooLong => WorkerCounter::HandedLost,
            },
            1,
        );
    }

    /// Counts a datagram given to the rim.
    pub fn rim(&mut self, given: Given) {
        self.add(
            match given {
                Given::Over => WorkerCounter::RimOut,
                Given::Lost => WorkerCounter::RimLost,
            },
            1,
        );
    }

    /// Copies everything to where control reads it.
    pub fn publish(&mut self, shared: &link::counter::Counters, switch: &Switch, nic: &impl Nic) {
        for (place, value) in switch.counters().iter().enumerate() {
            if let Some(own) = self.values.get_mut(SWITCH_AT + place) {
                *own = *value;
            }
        }
        let NicStatistics { received, sent, transmit_full, receive_full, invalid } =
            nic.statistics();
        let figures = [received, sent, transmit_full, receive_full, invalid];
        for (place, value) in figures.into_iter().enumerate() {
            if let Some(own) = self.values.get_mut(NIC_AT + place) {
                *own = value;
            }
        }
        for (place, value) in self.values.iter().enumerate() {
            shared.set(place, *value);
        }
    }
}

const _: () = assert!(TOTAL <= link::counter::COUNTERS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_an_own_name_at_its_own_place() {
        let names = Counters::names();
        assert_eq!(names.len(), TOTAL);
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), TOTAL);
        assert_eq!(names[DROPS_AT], DropReason::ALL[0].name());
        assert_eq!(names[SWITCH_AT], Counter::ALL[0].name());
    }
}
