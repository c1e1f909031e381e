//! Media ports that are nearly or wholly used up: an alarm for each own address of a worker, until they are free again
//! by far enough. An address that is full helps no call of its network, however many ports another network has left.

use std::net::IpAddr;

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};
use crate::shown::{AddressPorts, PortFigures};

/// So much less than what raised the alarm clears it, in percent.
const EASE: u64 = 5;

/// For want of ports calls are refused (503), or vendors passed over.
const EXHAUSTED: &str = "media_ports_exhausted";
/// `TG_ALARM_MEDIA_PORTS` of them are used.
const SCARCE: &str = "media_ports_scarce";

impl Office {
    /// The media ports of all own addresses of a worker were looked at; none: it has told of none yet.
    pub fn handle_ports(&mut self, time: Time, worker: usize, told: &[AddressPorts]) {
        for ports in told {
            self.look_at_ports(time.wall_us, worker, *ports);
        }
        if !told.is_empty() {
            self.forget_ports(time.wall_us, worker, told);
        }
    }

    fn look_at_ports(&mut self, at_us: u64, worker: usize, told: AddressPorts) {
        let AddressPorts { address, ports: PortFigures { used, resting, free }, missed } = told;
        let before = self.ports_missed.insert((worker, address), missed);
        // A worker that begins counts from zero.
        let is_refusing = before.is_some_and(|before| missed > before);
        let all = used + resting + free;
        if all == 0 {
            return;
        }
        let subject = subject_of(worker, address);
        let percent = (used + resting) * 100 / all;
        let detail = format!(
            "{used} of {all} pairs of media ports at {address} in use, {resting} rest, {missed} times one was wanted in \
             vain; widen media.first_port to media.last_port, or add a [[media_address]] beside it"
        );
        let limit = self.state.values.number("TG_ALARM_MEDIA_PORTS");
        let eased = percent <= if limit == 0 { 100 } else { limit }.saturating_sub(EASE);
        if is_refusing || free < 2 {
            let (subject, detail) = (subject.clone(), detail.clone());
            let severity = Severity::Critical;
            self.journal.raise(Event { at_us, name: EXHAUSTED, subject, severity, detail });
        } else if eased {
            self.journal.clear(at_us, EXHAUSTED, &subject);
        }
        if limit > 0 && percent >= limit {
            let severity = Severity::Warning;
            self.journal.raise(Event { at_us, name: SCARCE, subject, severity, detail });
        } else if eased {
            self.journal.clear(at_us, SCARCE, &subject);
        }
    }

    /// Addresses that a restarted dataplane has no more warn of nothing.
    fn forget_ports(&mut self, at_us: u64, worker: usize, told: &[AddressPorts]) {
        let journal = &mut self.journal;
        self.ports_missed.retain(|&(of, address), _| {
            let is_there = of != worker || told.iter().any(|ports| ports.address == address);
            if !is_there {
                let subject = subject_of(worker, address);
                journal.clear(at_us, EXHAUSTED, &subject);
                journal.clear(at_us, SCARCE, &subject);
            }
            is_there
        });
    }
}

fn subject_of(worker: usize, address: IpAddr) -> String {
    format!("worker {worker}, {address}")
}
