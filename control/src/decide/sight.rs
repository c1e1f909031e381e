//! What the driver saw, for people: who of strangers was dropped, once a source and minute, and alarms for those
//! who send like an attacker (FW-13, FW-15). Nothing here bans anybody: the driver's limits have done it already.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use link::Instant;

use super::Office;
use crate::Time;
use crate::journal::Severity;
use crate::reconcile::Seen;

/// Dropped sources have a line each in so long.
const MINUTE: Duration = Duration::from_secs(60);
/// Lines of one minute; the others share one.
const LINES: usize = 100;
/// Sources of one minute that are told apart.
const ROWS: usize = 10_000;
/// Alarms of one look, of those who sent most.
const SIGNS: usize = 20;
/// What looks like an attack: packets of one source in a second, and OPTIONS in a minute.
const PACKETS_PER_S: u64 = 100;
const OPTIONS_PER_MINUTE: u64 = 50;

/// What was seen in this minute.
#[derive(Default)]
pub(super) struct Sight {
    rows: HashMap<IpAddr, Row>,
    others: Row,
    begun: Instant,
    looked: Instant,
}

#[derive(Clone, Copy, Default)]
struct Row {
    packets: u64,
    dropped: u64,
    options: u64,
    reason: &'static str,
}

impl Row {
    fn add(&mut self, seen: &Seen) {
        self.packets += seen.packets;
        self.dropped += seen.dropped;
        self.options += seen.options;
        self.reason = seen.reason;
    }
}

impl Office {
    /// The driver was looked at.
    pub fn handle_seen(&mut self, time: Time, mut all: Vec<Seen>) {
        if self.sight.begun.is_zero() {
            self.sight.begun = time.now;
        }
        let since = time.now.saturating_sub(self.sight.looked).max(Duration::from_secs(1));
        self.sight.looked = time.now;
        all.sort_unstable_by_key(|seen| std::cmp::Reverse(seen.packets));
        let mut signs = 0;
        for seen in &all {
            let full = self.sight.rows.len() >= ROWS;
            let row = match self.sight.rows.get_mut(&seen.source) {
                Some(row) => row,
                None if full => &mut self.sight.others,
                None => self.sight.rows.entry(seen.source).or_default(),
            };
            row.add(seen);
            let options = row.options;
            let is_flood = seen.packets >= PACKETS_PER_S.saturating_mul(since.as_secs());
            let is_probe = options >= OPTIONS_PER_MINUTE;
            if (is_flood || is_probe) && signs < SIGNS {
                signs += 1;
                let name = if is_flood { "attack_flood" } else { "attack_probe" };
                let detail = format!(
                    "{} packets, {} dropped, {options} OPTIONS this minute; last {}",
                    seen.packets, seen.dropped, seen.reason
                );
                self.raise_sign(time, name, seen.source.to_string(), Severity::Warning, detail);
            }
        }
        if time.now.saturating_sub(self.sight.begun) >= MINUTE {
            self.tell_dropped(time);
        }
    }

    /// A minute is over: one line for each source that was dropped, most first.
    fn tell_dropped(&mut self, time: Time) {
        let Sight { rows, mut others, .. } = std::mem::take(&mut self.sight);
        (self.sight.begun, self.sight.looked) = (time.now, time.now);
        let mut dropped: Vec<(IpAddr, Row)> =
            rows.into_iter().filter(|(_, row)| row.dropped > 0).collect();
        dropped.sort_unstable_by_key(|(source, row)| (std::cmp::Reverse(row.dropped), *source));
        let say = |row: &Row| {
            format!("{} packets, {} dropped, last {}", row.packets, row.dropped, row.reason)
        };
        for (source, row) in dropped.iter().take(LINES) {
            self.note(time, "driver_dropped", &source.to_string(), say(row));
        }
        for (_, row) in dropped.iter().skip(LINES) {
            others.packets += row.packets;
            others.dropped += row.dropped;
            others.reason = row.reason;
        }
        if others.dropped > 0 {
            self.note(time, "driver_dropped", "others", say(&others));
        }
    }
}
