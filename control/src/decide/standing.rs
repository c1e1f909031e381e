//! The database as the storage thread finds it: alarms stand while it takes nothing, and what waits for it is told.

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};
use crate::shown::SpillFigures;
use crate::store::writer::Standing;

impl Office {
    /// How the database is now.
    pub fn handle_standing(&mut self, time: Time, standing: Standing) {
        let Standing { trouble, stuck, waiting } = standing;
        self.store_alarm(time, "store_failed", trouble);
        let stuck = stuck.map(|why| {
            format!(
                "what the database does not take cannot be spilled either: {why}. Calls go on, their records wait in \
                 the call table; beyond 100,000 changes new calls are refused. Free space, or mend the disk"
            )
        });
        self.store_alarm(time, "store_spill_failed", stuck);
        if self.spill.groups > 0 || waiting.groups > 0 {
            self.corrected.mistrust_looks_before(time.now);
        }
        self.spill = SpillFigures { groups: waiting.groups, bytes: waiting.bytes };
    }

    fn store_alarm(&mut self, time: Time, name: &'static str, detail: Option<String>) {
        let Some(detail) = detail else { return self.journal.clear(time.wall_us, name, "store") };
        let (at_us, subject) = (time.wall_us, "store".into());
        self.journal.raise(Event { at_us, name, subject, severity: Severity::Critical, detail });
    }
}
