//! What was bought of a vendor: every call that his side answered, whatever became of ours.

use std::time::{Duration, Instant};

use rating::Money;
use rusqlite::params;
use serde::Deserialize;

use super::records::{day_of, days};
use super::{Reader, archive, history};
use crate::Refusal;
use crate::cdr::id_from_text;
use crate::foreign::CALLS_MAX;
use crate::foreign::dispute::Bought;
use crate::state::entity::StartIs;
use crate::store::BoughtFilter;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Records between two looks at the clock.
const STEP: usize = 1_024;
/// Longest call that is looked for, µs: a record lies in the day of its end.
const LONGEST_US: i64 = 7 * 86_400_000_000;

/// Of a record what tells a vendor's side of it.
#[derive(Deserialize)]
struct Body<'b> {
    #[serde(borrow, default)]
    callee_sent: std::borrow::Cow<'b, str>,
    #[serde(borrow, default)]
    callee_billed: std::borrow::Cow<'b, str>,
    #[serde(default)]
    vendor_hold_ms: u64,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Attempt {
    #[serde(default)]
    sent_ms: u64,
    answered_ms: Option<u64>,
}

impl Body<'_> {
    /// When the vendor's side began, ms from the start of the call; `None`: it never answered.
    fn start_ms(&self, start_is: StartIs) -> Option<u64> {
        let attempt = self.attempts.iter().rev().find(|it| it.answered_ms.is_some())?;
        match start_is {
            StartIs::Answer => attempt.answered_ms,
            StartIs::Setup => Some(attempt.sent_ms),
        }
    }
}

impl Reader {
    /// Calls of a vendor's account that began within a time, in no order.
    pub(super) fn bought_of(&self, filter: &BoughtFilter) -> Result<Vec<Bought>, Refusal> {
        let until = Instant::now() + PATIENCE;
        let too_long = || {
            let hint = "what is asked for lies in too many records; ask for less time";
            Refusal::new(503, "too much to read", hint)
        };
        // One look at all tables.
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        let (first, last) =
            (day_of(filter.from_us), day_of(filter.to_us.saturating_add(LONGEST_US)));
        let gone = archive::within(&seen, first, last).map_err(history)?;
        if !gone.is_empty() {
            return Err(archive::refusal(&gone));
        }
        let mut calls = Vec::new();
        let mut rows_read: usize = 0;
        for day in days(&seen).map_err(history)? {
            if !(first..=last).contains(&day) {
                continue;
            }
            // What was set right last is what it costs.
            let sql = format!(
                "SELECT r.id, r.started_us, coalesce((SELECT vendor_charge FROM correction WHERE cdr = r.id
                        ORDER BY id DESC LIMIT 1), r.vendor_charge), r.body
                 FROM cdr_{day} AS r
                 WHERE r.ended_us >= ?1 AND r.vendor = ?2 AND r.started_us < ?3"
            );
            let mut statement = seen.prepare(&sql).map_err(history)?;
            let given = params![filter.from_us, filter.vendor, filter.to_us];
            let mut rows = statement.query(given).map_err(history)?;
            while let Some(row) = rows.next().map_err(history)? {
                rows_read += 1;
                if rows_read.is_multiple_of(STEP) && Instant::now() > until {
                    return Err(too_long());
                }
                let text = row.get_ref(3).and_then(|it| Ok(it.as_str()?)).map_err(history)?;
                let body: Body<'_> = serde_json::from_str(text)
                    .map_err(|error| Refusal::new(500, "history unreadable", error.to_string()))?;
                let Some(start_ms) = body.start_ms(filter.start_is) else { continue };
                let started_us: i64 = row.get(1).map_err(history)?;
                let start_us = started_us.saturating_add_unsigned(start_ms.saturating_mul(1_000));
                if !(filter.from_us..filter.to_us).contains(&start_us) {
                    continue;
                }
                if calls.len() == CALLS_MAX {
                    let what = format!("there are more than {CALLS_MAX} calls; ask for less time");
                    return Err(Refusal::new(413, "too many calls", what));
                }
                let id: String = row.get(0).map_err(history)?;
                // What was stored before the number sent was has the one billed.
                let sent = [&body.callee_sent, &body.callee_billed];
                let callee = sent.into_iter().find(|it| !it.is_empty()).map_or("", |it| it);
                calls.push(Bought {
                    id: id_from_text(&id).ok_or_else(|| Refusal::missing("CDR", &id))?,
                    callee: callee.into(),
                    start_us,
                    duration_ms: body.vendor_hold_ms,
                    amount: Money::from_billionths(row.get(2).map_err(history)?),
                });
            }
            if Instant::now() > until {
                return Err(too_long());
            }
        }
        Ok(calls)
    }
}
