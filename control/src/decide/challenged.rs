//! INVITEs that were asked for a password: who does not answer in 32 s was an illegal call.
//!
//! Withstands a flood: what is held has a limit, and whoever must go to make room is counted as illegal
//! at once. Nothing is forgotten uncounted.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use link::CallRecord;
use link::ask::Admit;
use link::record::{EndReason, Facts};

use super::Office;
use super::digest::mark;
use crate::Time;
use crate::cdr;

/// How long an answer may take: as long as an INVITE transaction (RFC 3261 §17.1.1.2, timer B).
const WAIT: Duration = Duration::from_secs(32);
/// Challenges that wait.
const CHALLENGED_MAX: usize = 16_384;
/// Those that are given up in one tick.
const GIVEN_UP_PER_TICK_MAX: usize = 1_000;

/// A challenge that waits.
struct Waiting {
    admit: Box<Admit>,
    status: u16,
    due: link::Instant,
}

impl Waiting {
    fn record(&self) -> CallRecord {
        let ended_ms = u32::try_from(WAIT.as_millis()).unwrap_or(0);
        cdr::refused(&self.admit, self.status, EndReason::Unauthorised, ended_ms)
    }
}

/// The challenges that nobody answered yet, by source and Call-ID.
#[derive(Default)]
pub(super) struct Challenged {
    waiting: HashMap<u64, Waiting>,
    /// In the order of their time; those that were answered meanwhile too.
    order: VecDeque<(link::Instant, u64)>,
}

fn key(facts: &Facts) -> u64 {
    mark((facts.source, facts.call_id.as_bytes()))
}

impl Challenged {
    /// A challenge went out. What had to make room for it.
    fn handle_challenge(
        &mut self,
        now: link::Instant,
        admit: &Admit,
        status: u16,
    ) -> Option<CallRecord> {
        let key = key(&admit.facts);
        if self.waiting.contains_key(&key) {
            return None;
        }
        let due = now + WAIT;
        self.waiting.insert(key, Waiting { admit: Box::new(*admit), status, due });
        self.order.push_back((due, key));
        if self.order.len() > CHALLENGED_MAX { self.pop() } else { None }
    }

    /// Somebody answered it, rightly or not.
    fn handle_answer(&mut self, facts: &Facts) {
        self.waiting.remove(&key(facts));
    }

    fn pop(&mut self) -> Option<CallRecord> {
        let (due, key) = self.order.pop_front()?;
        // One that was answered, and perhaps challenged again since.
        self.waiting.get(&key).filter(|waiting| waiting.due == due)?;
        self.waiting.remove(&key).map(|waiting| waiting.record())
    }

    fn is_due(&self, now: link::Instant) -> bool {
        self.order.front().is_some_and(|(due, _)| *due <= now)
    }
}

impl Office {
    /// An INVITE is asked for a password; an illegal call unless it answers.
    pub(super) fn await_answer(&mut self, time: Time, admit: &Admit, status: u16) {
        self.figures.challenged += 1;
        if let Some(record) = self.challenged.handle_challenge(time.now, admit, status) {
            self.record_illegal(time, record);
        }
    }

    /// An INVITE came with an answer to a challenge.
    pub(super) fn note_answer(&mut self, facts: &Facts) {
        self.challenged.handle_answer(facts);
    }

    /// Challenges that nobody answers any more become illegal calls.
    pub(super) fn give_up_challenges(&mut self, time: Time) {
        for _ in 0..GIVEN_UP_PER_TICK_MAX {
            if !self.challenged.is_due(time.now) {
                break;
            }
            if let Some(record) = self.challenged.pop() {
                self.record_illegal(time, record);
            }
        }
    }
}
