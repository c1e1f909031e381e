//! Days of records that are put away: the file is written beside the loop, and what follows from it is a change like any
//! other, behind all records that came before it.

use serde_json::Value;

use super::Office;
use crate::journal::{Event, Severity};
use crate::shown::DayStep;
use crate::state::entity;
use crate::store::Change;
use crate::store::sqlite::archive::day_at;
use crate::{Refusal, Time};

/// Ends of calls come later than they were: with a crash, or by the spill. After so long none does.
const SETTLED_DAYS: u64 = 2;
const DAY_US: u64 = 86_400_000_000;

/// The first day that is not old enough to be archived.
#[must_use]
pub(crate) fn unsettled(time: Time) -> u32 {
    day_at(time.wall_us.saturating_sub(SETTLED_DAYS * DAY_US))
}

impl Office {
    /// Days before this one go into files by themselves. `None`: none does.
    pub(super) fn archived_before(&self, time: Time) -> Option<u32> {
        let days = self.state.values.number("TG_CDR_LIVE_DAYS");
        let kept_us = days.max(SETTLED_DAYS) * DAY_US;
        (days > 0).then(|| day_at(time.wall_us.saturating_sub(kept_us)))
    }

    /// Whether hours of records are written as text, and for how many days they stay; 0: for ever.
    pub(super) fn hours_wanted(&self) -> (bool, u64) {
        let values = &self.state.values;
        (values.number("TG_CDR_TEXT") == 1, values.number("TG_CDR_TEXT_DAYS"))
    }

    /// Why an hour cannot be written as text; `None`: it can.
    pub(super) fn handle_hours(&mut self, time: Time, trouble: Option<String>) {
        let (name, subject, at_us) = ("cdr_text_failed", "cdr", time.wall_us);
        let Some(detail) = trouble else { return self.journal.clear(at_us, name, subject) };
        let (subject, severity) = (subject.to_owned(), Severity::Warning);
        self.journal.raise(Event { at_us, name, subject, severity, detail });
    }

    /// A day is in its file, or its file goes. Only the API says so, once it is true.
    pub(super) fn put_day_away(
        &mut self,
        time: Time,
        who: &str,
        day: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let (name, detail, change) = match entity::parse(body.clone())? {
            DayStep::Archived(archived) => {
                let detail = format!("{} records, SHA-256 {}", archived.records, archived.sha256);
                ("day_archived", detail, Change::DayArchived(Box::new(archived)))
            }
            DayStep::Purged(day) => {
                ("day_purged", String::new(), Change::DayPurged(day, time.wall_us))
            }
        };
        self.change(change);
        let by = if who.is_empty() { "by itself".to_owned() } else { format!("by {who}") };
        let detail = [by, detail].into_iter().filter(|part| !part.is_empty());
        self.note(time, name, &format!("cdr {day}"), detail.collect::<Vec<_>>().join(", "));
        Ok(Value::Null)
    }
}
