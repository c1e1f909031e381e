//! Media ports that are nearly or wholly used up: an alarm for each worker, until they are free again by far enough.

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};
use crate::shown::PortFigures;

/// So much less than what raised the alarm clears it, in percent.
const EASE: u64 = 5;

/// For want of ports calls are refused (503).
const EXHAUSTED: &str = "media_ports_exhausted";
/// `TG_ALARM_MEDIA_PORTS` of them are used.
const SCARCE: &str = "media_ports_scarce";

impl Office {
    /// A worker's media ports were looked at: what they are, and how many calls it ever refused for want of them.
    pub fn handle_ports(&mut self, time: Time, worker: usize, ports: PortFigures, refused: u64) {
        if self.ports_refused.len() <= worker {
            self.ports_refused.resize(worker + 1, refused);
        }
        let Some(known) = self.ports_refused.get_mut(worker) else { return };
        // A worker that begins counts from zero.
        let is_refusing = refused > std::mem::replace(known, refused);
        let PortFigures { used, resting, free } = ports;
        let all = used + resting + free;
        if all == 0 {
            return;
        }
        let subject = format!("worker {worker}");
        let percent = (used + resting) * 100 / all;
        let detail = format!(
            "{used} of {all} pairs of media ports in use, {resting} rest, {refused} calls refused; widen \
             media.first_port to media.last_port"
        );
        let limit = self.state.values.number("TG_ALARM_MEDIA_PORTS");
        let at_us = time.wall_us;
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
}
