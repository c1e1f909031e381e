//! One journal of events and alarms: what happened, and what a human must still act on.
//!
//! An alarm is raised once per subject, counted while it lasts, and cleared by whoever raised it. The
//! journal in memory is bounded; every entry goes to the store as well.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::Refusal;
use crate::page::Page;
use crate::shown::{self, AlarmShown, EventShown, Moment};

/// Events kept in memory.
const EVENTS_MAX: usize = 1000;
/// Events that may wait for the store; while it is away the oldest go, and their number is told.
const UNSAVED_MAX: usize = 10_000;
/// Alarms that may stand at a time; further ones are events only.
const ALARMS_MAX: usize = 1000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Someone asked for this.
    Info,
    /// Degraded, mending itself.
    Warning,
    /// A human must act.
    Critical,
}

impl Severity {
    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, µs since 1970 UTC.
    pub at_us: u64,
    /// What kind, one word.
    pub name: &'static str,
    /// About what.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// What exactly.
    pub detail: String,
}

impl Event {
    /// For API and CLI.
    #[must_use]
    pub fn describe(&self) -> Value {
        shown::json(EventShown {
            at: Moment::at(self.at_us),
            name: self.name,
            subject: self.subject.clone(),
            severity: self.severity.name(),
            detail: self.detail.clone(),
        })
    }
}

#[derive(Clone, Debug)]
struct Alarm {
    since_us: u64,
    last_us: u64,
    count: u64,
    severity: Severity,
    detail: String,
}

/// Events and standing alarms.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    events: VecDeque<Event>,
    /// How many there ever were: the number of the newest.
    noted: u64,
    alarms: BTreeMap<(&'static str, String), Alarm>,
    unsaved: VecDeque<Event>,
    unsaved_lost: u64,
}

impl Journal {
    /// Notes an event.
    pub fn note(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event.clone());
        self.noted += 1;
        if self.unsaved.len() >= UNSAVED_MAX {
            self.unsaved.pop_front();
            self.unsaved_lost += 1;
        }
        self.unsaved.push_back(event);
    }

    /// Raises an alarm, or counts it once more.
    pub fn raise(&mut self, event: Event) {
        let key = (event.name, event.subject.clone());
        if let Some(alarm) = self.alarms.get_mut(&key) {
            alarm.count += 1;
            alarm.last_us = event.at_us;
            alarm.detail.clone_from(&event.detail);
            if alarm.severity == event.severity {
                return;
            }
            // It got worse or better: that is an event of its own.
            alarm.severity = event.severity;
            self.note(event);
            return;
        }
        if self.alarms.len() < ALARMS_MAX {
            let (at_us, severity, detail) = (event.at_us, event.severity, event.detail.clone());
            let alarm = Alarm { since_us: at_us, last_us: at_us, count: 1, severity, detail };
            self.alarms.insert(key, alarm);
        }
        self.note(event);
    }

    /// Clears an alarm; an event says so.
    pub fn clear(&mut self, at_us: u64, name: &'static str, subject: &str) {
        if let Some(alarm) = self.alarms.remove(&(name, subject.to_owned())) {
            let detail = format!("cleared after {} occurrences", alarm.count);
            let severity = Severity::Info;
            self.note(Event { at_us, name, subject: subject.to_owned(), severity, detail });
        }
    }

    /// Events that the store has not seen.
    pub fn take_unsaved(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.unsaved).into()
    }

    /// Events that no store will ever see, because too many waited for it.
    #[must_use]
    pub fn unsaved_lost(&self) -> u64 {
        self.unsaved_lost
    }

    /// How many alarms stand.
    #[must_use]
    pub fn alarms_standing(&self) -> usize {
        self.alarms.len()
    }

    /// Whether this alarm stands.
    #[must_use]
    pub fn stands(&self, name: &'static str, subject: &str) -> bool {
        self.alarms.contains_key(&(name, subject.to_owned()))
    }

    /// A page of standing alarms by name and subject, for API and CLI.
    #[must_use]
    pub fn alarms(&self, page: &Page) -> Value {
        let describe = |((name, subject), alarm): (&(&'static str, String), &Alarm)| {
            shown::json(AlarmShown {
                name,
                subject: subject.clone(),
                severity: alarm.severity.name(),
                raised: Moment::at(alarm.since_us),
                last: Moment::at(alarm.last_us),
                count: alarm.count,
                detail: alarm.detail.clone(),
            })
        };
        // No name has a blank in it.
        let place = |(name, subject): &(&'static str, String)| format!("{name} {subject}");
        let behind = page.cursor.as_ref().and_then(|cursor| cursor.split_once(' '));
        let standing = self.alarms.iter().filter(|((name, subject), _)| {
            behind.is_none_or(|behind| (*name, subject.as_str()) > behind)
        });
        page.fill(standing, |(key, _)| place(key), describe)
    }

    /// Recent events, newest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().rev()
    }

    /// A page of [`Self::events`], for API and CLI.
    ///
    /// # Errors
    /// When the cursor is none of this list.
    pub fn events_page(&self, page: &Page) -> Result<Value, Refusal> {
        let behind = page.number()?.unwrap_or(u64::MAX);
        let numbered = (1..=self.noted).rev().zip(self.events());
        let older = numbered.filter(|(number, _)| *number < behind);
        Ok(page.fill(older, |(number, _)| number.to_string(), |(_, event)| event.describe()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_us: u64) -> Event {
        let (subject, detail) = ("disk".to_owned(), "full".to_owned());
        Event { at_us, name: "store_failed", subject, severity: Severity::Critical, detail }
    }

    #[test]
    fn an_alarm_that_lasts_is_one_alarm_and_one_event() {
        let mut journal = Journal::default();
        for at in 0..100 {
            journal.raise(event(at));
        }
        assert_eq!(journal.alarms_standing(), 1);
        assert_eq!(journal.take_unsaved().len(), 1);
        journal.clear(200, "store_failed", "disk");
        assert!(!journal.stands("store_failed", "disk"));
        assert_eq!(journal.events().count(), 2);
    }

    #[test]
    fn an_alarm_that_gets_worse_says_so_once() {
        let mut journal = Journal::default();
        journal.raise(Event { severity: Severity::Warning, ..event(1) });
        journal.raise(event(2));
        journal.raise(event(3));
        assert_eq!(journal.alarms(&Page::default())["items"][0]["severity"], "critical");
        assert_eq!(journal.events().count(), 2);
    }

    #[test]
    fn pages_of_events_and_alarms_neither_repeat_nor_skip() {
        let mut journal = Journal::default();
        for at in 0..25 {
            let subject = format!("disk {at:02}");
            journal.raise(Event { subject, ..event(at) });
        }
        let all = |read: &dyn Fn(&Page) -> Value, field: &str| {
            let mut page = Page { limit: 10, cursor: None };
            let mut seen = Vec::new();
            loop {
                let part = read(&page);
                let items = part["items"].as_array().unwrap();
                seen.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
                match part["next"].as_str() {
                    Some(next) => page.cursor = Some(next.to_owned()),
                    None => return seen,
                }
            }
        };
        let alarms = all(&|page| journal.alarms(page), "subject");
        let events = all(&|page| journal.events_page(page).unwrap(), "subject");
        let subjects: Vec<String> = (0..25).map(|at| format!("disk {at:02}")).collect();
        assert_eq!(alarms, subjects);
        assert_eq!(events, subjects.into_iter().rev().collect::<Vec<_>>());
        let strange = Page { limit: 1, cursor: Some("disk".into()) };
        assert!(journal.events_page(&strange).is_err());
    }

    #[test]
    fn the_journal_in_memory_is_bounded() {
        let mut journal = Journal::default();
        for at in 0..5000 {
            journal.note(event(at));
        }
        assert_eq!(journal.events().count(), EVENTS_MAX);
        for at in 5000..15_000 {
            journal.note(event(at));
        }
        assert_eq!((journal.take_unsaved().len(), journal.unsaved_lost()), (UNSAVED_MAX, 5000));
    }
}
