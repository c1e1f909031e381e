//! Illegal calls: a record each while they are few, one per source and minute while they are a flood.
//!
//! ```text
//!          more than 50 in a second
//!  single ──────────────────────────▶ flood
//!         ◀──────────────────────────
//!          60 s with fewer than 10 each
//! ```
//!
//! Withstands a flood from a million forged sources. What is held has a limit: a source that comes too
//! late shares the row of its network, a network that comes too late shares the last row. Rows leave
//! one by one, and only while little waits for the store: no paid call ever waits behind them. While
//! they may not leave, their counts grow and their time gets longer; none is forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;

use link::CallRecord;
use link::record::{EndReason, EndedBy, NEVER};
use routing::Prefix;

use super::{BACKLOG_MAX, Office};
use crate::Time;
use crate::cdr::{Aggregate, BillingMode, Cdr};
use crate::journal::{Event, Severity};
use crate::store::Change;

/// Sources with a row of their own, in one minute.
const SOURCES_MAX: usize = 10_000;
/// Networks that share out the sources beyond.
const NETWORKS_MAX: usize = 10_000;
/// With more changes than this waiting for the store, nothing of strangers joins them.
const BACKLOG_OF_STRANGERS_MAX: u64 = BACKLOG_MAX / 10;
/// Rows that leave in one tick.
const ROWS_PER_TICK_MAX: usize = 500;

/// When a flood begins and when it is over (`TG_ILLEGAL_…`).
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// More in one second are a flood.
    flood: u32,
    /// A second with fewer is calm.
    calm: u32,
    /// So many calm seconds in a row end a flood.
    calm_s: u64,
}

/// The calls of one source, of one network, or of all that have no row of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    calls: u64,
    first_us: u64,
    last_us: u64,
}

impl Tally {
    fn count(&mut self, wall_us: u64) {
        if self.calls == 0 {
            self.first_us = wall_us;
        }
        self.calls += 1;
        // The wall clock may be set back meanwhile.
        self.last_us = wall_us.max(self.first_us);
    }
}

/// What came in one minute.
#[derive(Default)]
struct Sheet {
    /// Minutes since 1970 UTC.
    minute: u64,
    sources: BTreeMap<Prefix, Tally>,
    networks: BTreeMap<Prefix, Tally>,
    rest: Tally,
    /// Rows that left already.
    left: u64,
}

impl Sheet {
    fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.networks.is_empty() && self.rest.calls == 0
    }

    fn count(&mut self, source: IpAddr, wall_us: u64) {
        let (whole, part) = if source.is_ipv4() { (32, 24) } else { (128, 48) };
        let prefix = |bits| Prefix::new(source, bits).expect("its family has so many bits");
        let (address, network) = (prefix(whole), prefix(part));
        let fits = |rows: &BTreeMap<_, _>, row, most| rows.len() < most || rows.contains_key(row);
        let tally = if fits(&self.sources, &address, SOURCES_MAX) {
            self.sources.entry(address).or_default()
        } else if fits(&self.networks, &network, NETWORKS_MAX) {
            self.networks.entry(network).or_default()
        } else {
            &mut self.rest
        };
        tally.count(wall_us);
    }

    fn pop(&mut self) -> Option<Row> {
        let (source, tally) = match self.sources.pop_first().or_else(|| self.networks.pop_first()) {
            Some((prefix, tally)) => (prefix.to_string(), tally),
            None if self.rest.calls > 0 => ("others".to_owned(), std::mem::take(&mut self.rest)),
            None => return None,
        };
        self.left += 1;
        // Time first, as in every record's id; where those have 64 bits of chance this has a small
        // number.
        Some(Row { id: [tally.first_us << 10, self.left], source, tally })
    }
}

struct Row {
    id: [u64; 2],
    source: String,
    tally: Tally,
}

/// What becomes of an illegal call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Single,
    Counted,
}

/// What changes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Began,
    Ended,
}

/// How fast illegal calls come, and what has no record yet.
#[derive(Default)]
pub(super) struct Illegal {
    /// The second that is counted, since the machine booted.
    second: u64,
    calls: u32,
    /// Calm seconds in a row, while there is a flood.
    flood: Option<u64>,
    open: Sheet,
    /// An earlier minute, on its way to the store.
    closed: Sheet,
}

impl Illegal {
    /// One more call. `room`: a record of its own may wait for the store.
    fn handle_call(
        &mut self,
        time: Time,
        pace: Pace,
        source: IpAddr,
        room: bool,
    ) -> (Written, Option<Turn>) {
        let mut turn = self.handle_time(time, pace);
        self.calls = self.calls.saturating_add(1);
        if self.flood.is_none() && self.calls > pace.flood {
            self.flood = Some(0);
            turn = Some(Turn::Began);
        }
        if self.flood.is_none() && room {
            return (Written::Single, turn);
        }
        if self.open.is_empty() {
            self.open.minute = minute(time);
        }
        self.open.count(source.to_canonical(), time.wall_us);
        (Written::Counted, turn)
    }

    /// Time passes: a flood may be over, a minute may be complete.
    fn handle_time(&mut self, time: Time, pace: Pace) -> Option<Turn> {
        if !self.open.is_empty() && self.open.minute != minute(time) && self.closed.is_empty() {
            self.closed = std::mem::take(&mut self.open);
        }
        let second = time.now.as_secs();
        let passed = second.saturating_sub(self.second);
        if passed == 0 {
            return None;
        }
        let was_calm = std::mem::take(&mut self.calls) < pace.calm;
        self.second = second;
        let calm = self.flood.as_mut()?;
        // The one that was counted, and those in which nothing happened at all.
        *calm = if was_calm { *calm + passed } else { passed - 1 };
        (*calm >= pace.calm_s).then(|| {
            self.flood = None;
            Turn::Ended
        })
    }

    fn poll_row(&mut self) -> Option<Row> {
        self.closed.pop()
    }
}

fn minute(time: Time) -> u64 {
    time.wall_us / 60_000_000
}

impl Office {
    /// The record of a call of nobody we know, or one more in the count of its source.
    pub(super) fn record_illegal(&mut self, time: Time, record: CallRecord) {
        if self.state.values.number("SERVER_BILLING_RECORD_ILLEGAL_CALL") == 0 {
            return;
        }
        // What is no address is nobody's as well.
        let source = record.facts.source.socket_address().map(|source| source.ip());
        let source = source.unwrap_or(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED));
        let room = self.has_room_for_strangers();
        let (written, turn) = self.illegal.handle_call(time, self.pace(), source, room);
        self.note_turn(time, turn);
        if written == Written::Single {
            let cdr = Cdr { billing_mode: BillingMode::Illegal, record, ..Cdr::default() };
            self.change(Change::CdrEnd(Box::new(cdr)));
        }
    }

    /// Complete minutes leave, a few rows at a time.
    pub(super) fn handle_illegal_time(&mut self, time: Time) {
        let turn = self.illegal.handle_time(time, self.pace());
        self.note_turn(time, turn);
        for _ in 0..ROWS_PER_TICK_MAX {
            if !self.has_room_for_strangers() {
                break;
            }
            let Some(Row { id, source, tally }) = self.illegal.poll_row() else { break };
            let Tally { calls, first_us, last_us } = tally;
            let record = CallRecord {
                id,
                started_us: first_us,
                ended_ms: u32::try_from((last_us - first_us) / 1000).unwrap_or(NEVER - 1),
                status: self.status_of_strangers(),
                reason: EndReason::Unauthorised as u8,
                ended_by: EndedBy::Server as u8,
                ..CallRecord::empty()
            };
            let aggregate = Some(Aggregate { source, calls });
            let billing_mode = BillingMode::Illegal;
            let cdr = Cdr { billing_mode, record, aggregate, ..Cdr::default() };
            self.change(Change::CdrEnd(Box::new(cdr)));
        }
    }

    fn pace(&self) -> Pace {
        let values = &self.state.values;
        Pace {
            flood: values.small("TG_ILLEGAL_FLOOD"),
            calm: values.small("TG_ILLEGAL_CALM"),
            calm_s: values.number("TG_ILLEGAL_CALM_TIME"),
        }
    }

    /// What a stranger hears; 0: nothing.
    pub(super) fn status_of_strangers(&self) -> u16 {
        if self.state.values.number("SS_REPLY_UNAUTHORIZED") == 0 { 0 } else { 403 }
    }

    fn has_room_for_strangers(&self) -> bool {
        self.backlog() < BACKLOG_OF_STRANGERS_MAX
    }

    fn note_turn(&mut self, time: Time, turn: Option<Turn>) {
        let Some(turn) = turn else { return };
        let Pace { flood, calm, calm_s } = self.pace();
        let (name, severity, detail) = match turn {
            Turn::Began => (
                "illegal_calls_aggregated",
                Severity::Warning,
                format!(
                    "over {flood} a second: from now on one record per source and \
                     minute; `tollgate cdr list --billing-mode illegal` shows who, `tollgate \
                     firewall deny add` ends it"
                ),
            ),
            Turn::Ended => (
                "illegal_calls_single",
                Severity::Info,
                format!("under {calm} a second for {calm_s} s: a record each again"),
            ),
        };
        let subject = "illegal calls".to_owned();
        self.journal.note(Event { at_us: time.wall_us, name, subject, severity, detail });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;

    const PACE: Pace = Pace { flood: 50, calm: 10, calm_s: 60 };
    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    /// `s` seconds after a full minute.
    fn at(s: u64) -> Time {
        let wall_us = (28_000_000 * 60 + s) * 1_000_000;
        Time { now: Duration::from_secs(5000 + s), wall_us }
    }

    fn flooded(sources: impl IntoIterator<Item = IpAddr>) -> Illegal {
        let mut illegal = Illegal { flood: Some(0), second: 5000, ..Illegal::default() };
        for source in sources {
            illegal.handle_call(at(0), PACE, source, true);
        }
        illegal
    }

    fn rows(illegal: &mut Illegal) -> Vec<(String, u64)> {
        std::iter::from_fn(|| illegal.poll_row()).map(|row| (row.source, row.tally.calls)).collect()
    }

    #[test]
    fn fifty_in_a_second_are_single_and_the_next_begins_a_flood() {
        let mut illegal = Illegal::default();
        for second in 0..3 {
            for _ in 0..PACE.flood {
                assert_eq!(
                    illegal.handle_call(at(second), PACE, SOURCE, true),
                    (Written::Single, None)
                );
            }
        }
        let began = (Written::Counted, Some(Turn::Began));
        assert_eq!(illegal.handle_call(at(2), PACE, SOURCE, true), began);
        assert_eq!(illegal.handle_call(at(3), PACE, SOURCE, true), (Written::Counted, None));
    }

    #[test]
    fn a_flood_ends_after_sixty_calm_seconds_and_a_busy_one_begins_the_count_again() {
        let mut illegal = flooded([SOURCE; 20]);
        for second in 1..60 {
            for _ in 0..PACE.calm - 1 {
                assert_eq!(illegal.handle_call(at(second), PACE, SOURCE, true).1, None);
            }
        }
        for _ in 0..PACE.calm {
            assert_eq!(illegal.handle_call(at(60), PACE, SOURCE, true).1, None);
        }
        assert_eq!(illegal.handle_time(at(61), PACE), None);
        assert_eq!(illegal.handle_time(at(120), PACE), None);
        assert_eq!(illegal.handle_time(at(121), PACE), Some(Turn::Ended));
        assert_eq!(illegal.handle_call(at(121), PACE, SOURCE, true).0, Written::Single);
    }

    #[test]
    fn a_minute_of_a_source_is_one_row_that_says_how_many_and_from_when_to_when() {
        let mut illegal = flooded([SOURCE; 3]);
        illegal.handle_call(at(59), PACE, SOURCE, true);
        illegal.handle_time(at(59), PACE);
        assert!(illegal.poll_row().is_none(), "the minute is not over");
        illegal.handle_call(at(60), PACE, SOURCE, false);
        let row = illegal.poll_row().unwrap();
        assert_eq!((row.source.as_str(), row.tally.calls), ("192.0.2.7", 4));
        assert_eq!(row.tally.last_us - row.tally.first_us, 59_000_000);
        illegal.handle_time(at(120), PACE);
        assert_eq!(rows(&mut illegal), [("192.0.2.7".into(), 1)]);
    }

    #[test]
    fn a_million_sources_are_all_counted_in_rows_that_have_a_limit() {
        let single = (0..SOURCES_MAX as u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into());
        let late = [Ipv4Addr::new(198, 51, 100, 1).into(), Ipv4Addr::new(198, 51, 100, 2).into()];
        let late_six = ["2001:db8:1:2::1", "2001:db8:1:3::1"].map(|it| it.parse().unwrap());
        let many = (0..1_000_000_u128).map(|n| Ipv6Addr::from(0xfd00 << 112 | n << 80).into());
        let mut illegal = flooded(single.chain(late).chain(late_six).chain(many));
        illegal.handle_time(at(60), PACE);
        let rows = rows(&mut illegal);
        assert_eq!(rows.len(), SOURCES_MAX + NETWORKS_MAX + 1);
        assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), SOURCES_MAX as u64 + 1_000_004);
        assert!(rows.contains(&("198.51.100.0/24".into(), 2)));
        assert!(rows.contains(&("2001:db8:1::/48".into(), 2)));
        assert_eq!(rows.last().unwrap().0, "others");
    }

    #[test]
    fn rows_that_may_not_leave_grow_instead_of_getting_more() {
        let mut illegal = flooded([SOURCE]);
        for minute in 1..100 {
            illegal.handle_call(at(minute * 60), PACE, SOURCE, false);
        }
        assert_eq!(rows(&mut illegal), [("192.0.2.7".into(), 1)]);
        illegal.handle_time(at(100 * 60), PACE);
        assert_eq!(rows(&mut illegal), [("192.0.2.7".into(), 99)]);
    }

    #[test]
    fn no_two_rows_share_an_id() {
        let sources = (0..500_u32).map(|n| Ipv4Addr::from(n).into());
        let mut illegal = flooded(sources);
        illegal.handle_time(at(60), PACE);
        let ids: std::collections::HashSet<_> =
            std::iter::from_fn(|| illegal.poll_row()).map(|row| row.id).collect();
        assert_eq!(ids.len(), 500);
    }
}
