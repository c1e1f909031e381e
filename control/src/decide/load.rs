//! A machine that is too busy, a disk that is nearly full, and tables that are, are alarms: once each, until it is better by far
//! enough that they do not come and go.

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};
use crate::machine::Load;

/// So much less than what raised an alarm clears it, in percent.
const EASE: u64 = 5;

impl Office {
    /// The machine was looked at.
    pub fn handle_load(&mut self, time: Time, load: Load) {
        let cpu = format!("{} % of all processors' time in the last minute", load.cpu);
        self.judge_load(time, "cpu_busy", "TG_ALARM_CPU", load.cpu, cpu);
        let disk = format!("{} % of the state's disk is used", load.disk);
        self.judge_load(time, "disk_full", "TG_ALARM_DISK", load.disk, disk);
    }

    /// So many denials found no room in the driver.
    pub fn handle_left_out(&mut self, time: Time, count: usize) {
        let (name, subject) = ("deny_full", "driver".to_owned());
        if count == 0 {
            return self.journal.clear(time.wall_us, name, &subject);
        }
        let detail = format!(
            "{count} entries of lists do not fit into limits.deny_addresses, deny_prefixes or regulars"
        );
        let severity = Severity::Warning;
        self.journal.raise(Event { at_us: time.wall_us, name, subject, severity, detail });
    }

    fn judge_load(
        &mut self,
        time: Time,
        name: &'static str,
        limit: &str,
        found: u8,
        detail: String,
    ) {
        let (limit, found) = (self.state.values.number(limit), u64::from(found));
        if limit > 0 && found >= limit {
            let (subject, severity) = ("machine".to_owned(), Severity::Warning);
            self.journal.raise(Event { at_us: time.wall_us, name, subject, severity, detail });
        } else if limit == 0 || found + EASE <= limit {
            self.journal.clear(time.wall_us, name, "machine");
        }
    }
}
