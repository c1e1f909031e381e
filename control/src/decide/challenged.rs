//! INVITEs that were asked for something and are to come again: a password, or another session (RFC 4028
//! §6) or extension. One that comes again was no call of its own. Of who does not, in 32 s, a stranger
//! was an illegal call, and a customer a refused one.
//!
//! Withstands a flood: what is held has a limit, and whoever must go to make room is recorded at once.
//! Nothing is forgotten.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use link::CallRecord;
use link::ask::Admit;
use link::record::{EndReason, Facts};

use super::Office;
use super::digest::mark;
use crate::Time;
use crate::cdr::{self, BillingMode, Cdr};
use crate::store::Change;

/// How long an answer may take: as long as an INVITE transaction (RFC 3261 §17.1.1.2, timer B).
const WAIT: Duration = Duration::from_secs(32);
/// Challenges that wait.
const CHALLENGED_MAX: usize = 16_384;
/// Those that are given up in one tick.
const GIVEN_UP_PER_TICK_MAX: usize = 1_000;

/// Who was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Stranger,
    /// By its mapping gateway.
    Customer(u32),
}

/// A question that waits.
struct Waiting {
    admit: Box<Admit>,
    asked: Asked,
    status: u16,
    due: link::Instant,
}

impl Waiting {
    fn record(&self) -> CallRecord {
        let ended_ms = u32::try_from(WAIT.as_millis()).unwrap_or(0);
        let refused = |reason| cdr::refused(&self.admit, self.status, reason, ended_ms);
        match self.asked {
            Asked::Stranger => refused(EndReason::Unauthorised),
            Asked::Customer(customer_gateway) => {
                CallRecord { customer_gateway, ..refused(EndReason::Rejected) }
            }
        }
    }
}

/// The questions that nobody answered yet, by source and Call-ID.
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
    /// A question went out. What had to make room for it.
    fn handle_question(
        &mut self,
        now: link::Instant,
        admit: Box<Admit>,
        asked: Asked,
        status: u16,
    ) -> Option<Waiting> {
        let key = key(&admit.facts);
        if self.waiting.contains_key(&key) {
            return None;
        }
        let due = now + WAIT;
        self.waiting.insert(key, Waiting { admit, asked, status, due });
        self.order.push_back((due, key));
        if self.order.len() > CHALLENGED_MAX { self.pop() } else { None }
    }

    /// Somebody answered it, rightly or not.
    fn handle_answer(&mut self, facts: &Facts) {
        self.waiting.remove(&key(facts));
    }

    /// A customer calls, perhaps again.
    fn handle_customer(&mut self, facts: &Facts) {
        if self.waiting.is_empty() {
            return;
        }
        let key = key(facts);
        if self.waiting.get(&key).is_some_and(|waiting| waiting.asked != Asked::Stranger) {
            self.waiting.remove(&key);
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        let (due, key) = self.order.pop_front()?;
        // One that was answered, and perhaps asked again since.
        self.waiting.get(&key).filter(|waiting| waiting.due == due)?;
        self.waiting.remove(&key)
    }

    fn is_due(&self, now: link::Instant) -> bool {
        self.order.front().is_some_and(|(due, _)| *due <= now)
    }
}

impl Office {
    /// An INVITE is asked for a password; an illegal call unless it answers.
    pub(super) fn await_answer(&mut self, time: Time, admit: &Admit, status: u16) {
        self.figures.challenged += 1;
        let admit = Box::new(*admit);
        let over = self.challenged.handle_question(time.now, admit, Asked::Stranger, status);
        self.record_unanswered(time, over);
    }

    /// A customer's INVITE is to come again and say something else; a refused call unless it does.
    pub(super) fn await_repeat(
        &mut self,
        time: Time,
        admit: Box<Admit>,
        customer: u32,
        status: u16,
    ) {
        let asked = Asked::Customer(customer);
        let over = self.challenged.handle_question(time.now, admit, asked, status);
        self.record_unanswered(time, over);
    }

    fn record_unanswered(&mut self, time: Time, waiting: Option<Waiting>) {
        match waiting.map(|waiting| (waiting.asked, waiting.record())) {
            Some((Asked::Stranger, record)) => self.record_illegal(time, record),
            Some((Asked::Customer(_), record)) => {
                let cdr = Cdr { billing_mode: BillingMode::None, ..self.cdr(record) };
                self.change(Change::CdrEnd(Box::new(cdr)));
            }
            None => {}
        }
    }

    /// An INVITE came with an answer to a challenge.
    pub(super) fn note_answer(&mut self, facts: &Facts) {
        self.challenged.handle_answer(facts);
    }

    /// A customer calls: if it was asked to come again, it has.
    pub(super) fn note_customer(&mut self, facts: &Facts) {
        self.challenged.handle_customer(facts);
    }

    /// Questions that nobody answers any more become records.
    pub(super) fn give_up_challenges(&mut self, time: Time) {
        for _ in 0..GIVEN_UP_PER_TICK_MAX {
            if !self.challenged.is_due(time.now) {
                break;
            }
            let over = self.challenged.pop();
            self.record_unanswered(time, over);
        }
    }
}
