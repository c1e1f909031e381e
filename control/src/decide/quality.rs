//! What media of ended calls were like, by the gateway that they came from.
//!
//! Sums since the start of control, for metrics: of whom there are too many to name each, phones and gateways beyond
//! the thousandth, there is one line.

use std::collections::BTreeMap;

use link::figures::NO_JITTER;
use link::record::MediaFigures;
use serde_json::Value;

use super::Office;
use crate::Refusal;
use crate::cdr::{BillingMode, Cdr};
use crate::page::{Page, strange_cursor};
use crate::shown::{self, OPINIONS, QualityShown, hundredths};

/// Gateways that have a line of their own.
const GATEWAYS_MAX: usize = 1_000;

/// On which side of its call a gateway was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Mapping,
    Routing,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Mapping => "mapping",
            Self::Routing => "routing",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    calls: u64,
    packets: u64,
    settled: u64,
    lost: u64,
    jitter_us: u64,
    /// Calls whose jitter was measured.
    timed: u64,
    mos: f64,
    opinions: [u64; OPINIONS.len()],
}

/// The sums of everybody who was heard.
#[derive(Debug, Default)]
pub(super) struct Qualities {
    by: BTreeMap<(String, Side), Sums>,
}

impl Qualities {
    fn note(&mut self, name: &str, side: Side, figures: &MediaFigures) {
        let Some(mos) = figures.mos().filter(|_| figures.packets > 0 && !name.is_empty()) else {
            return;
        };
        let mut key = (name.to_owned(), side);
        if self.by.len() >= GATEWAYS_MAX && !self.by.contains_key(&key) {
            key.0 = "others".to_owned();
        }
        let sums = self.by.entry(key).or_default();
        sums.calls += 1;
        sums.packets = sums.packets.saturating_add(figures.packets);
        sums.settled = sums.settled.saturating_add(figures.settled());
        sums.lost = sums.lost.saturating_add(figures.lost.into());
        if !figures.is(NO_JITTER) {
            sums.timed += 1;
            sums.jitter_us = sums.jitter_us.saturating_add(figures.jitter_us.into());
        }
        sums.mos += mos;
        let class = OPINIONS.iter().position(|end| mos <= *end).unwrap_or(OPINIONS.len() - 1);
        sums.opinions[class] += 1;
    }

    fn shown(&self) -> impl Iterator<Item = QualityShown> {
        self.by.iter().map(|((gateway, side), sums)| {
            let sent = sums.packets.saturating_add(sums.lost).max(1);
            QualityShown {
                gateway: gateway.clone(),
                side: side.name().to_owned(),
                calls: sums.calls,
                packets: sums.packets,
                settled: sums.settled,
                lost: sums.lost,
                loss_percent: hundredths(sums.lost as f64 * 100.0 / sent as f64),
                jitter_us: sums.jitter_us / sums.timed.max(1),
                mos: hundredths(sums.mos / sums.calls.max(1) as f64),
                mos_sum: sums.mos,
                opinions: sums.opinions,
            }
        })
    }
}

impl Office {
    /// A call ended: what both sides sent counts for their gateways.
    pub(super) fn note_quality(&mut self, cdr: &Cdr) {
        let record = &cdr.record;
        let is_phone = |id| self.state.customers.get(id).is_some_and(|one| one.ringing.is_some());
        let caller = match cdr.billing_mode {
            BillingMode::Phone => "phones",
            _ if is_phone(record.customer_gateway) => "phones",
            _ => &cdr.gateway,
        };
        let callee = record.attempts().last().map_or(0, |attempt| attempt.gateway);
        let callee = if is_phone(callee) { "phones" } else { &cdr.vendor_gateway };
        self.qualities.note(caller, Side::Mapping, &record.from_caller);
        self.qualities.note(callee, Side::Routing, &record.from_callee);
    }

    /// All of it, for metrics.
    pub(super) fn quality(&self) -> Vec<QualityShown> {
        self.qualities.shown().collect()
    }

    /// A page of it; the cursor is a gateway's name behind its side.
    pub(super) fn quality_page(&self, page: &Page) -> Result<Value, Refusal> {
        let place = |line: &QualityShown| format!("{}/{}", line.gateway, line.side);
        let mut lines = self.qualities.shown();
        if let Some(cursor) = page.cursor.as_deref() {
            // No line is ever gone.
            lines.find(|line| place(line) == cursor).ok_or_else(strange_cursor)?;
        }
        Ok(page.fill(lines, place, shown::json))
    }

    /// What an API asks of it.
    pub(super) fn look_at_quality(
        &self,
        query: &BTreeMap<String, String>,
    ) -> Result<Value, Refusal> {
        self.quality_page(&Page::read(query)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(packets: u64, careful: u32, lost: u32, jitter_us: u32) -> MediaFigures {
        MediaFigures { packets, careful, lost, jitter_us, ..MediaFigures::default() }
    }

    #[test]
    fn calls_of_a_gateway_add_up_and_each_has_its_class() {
        let mut qualities = Qualities::default();
        qualities.note("acme", Side::Mapping, &figures(970, 100, 30, 4_000));
        qualities.note("acme", Side::Mapping, &figures(1_000, 1_000, 0, 2_000));
        qualities.note("acme", Side::Routing, &figures(500, 0, 500, 0));
        // Of a clock by which nobody measured, so it has no part in the jitter.
        let untimed = MediaFigures { flags: NO_JITTER, ..figures(0, 0, 0, 0) };
        qualities.note("wide", Side::Mapping, &MediaFigures { packets: 9, ..untimed });
        qualities.note("wide", Side::Mapping, &figures(9, 0, 0, 5_000));
        // Nobody spoke, or nobody knows who did.
        qualities.note("acme", Side::Mapping, &figures(0, 0, 0, 0));
        qualities.note("", Side::Mapping, &figures(10, 0, 0, 0));
        let lines: Vec<_> = qualities.shown().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!((lines[2].calls, lines[2].jitter_us), (2, 5_000));
        assert!((lines[0].mos_sum / 2.0 - lines[0].mos).abs() < 0.005);
        let QualityShown { calls, packets, settled, lost, jitter_us, opinions, .. } = &lines[0];
        assert_eq!((*calls, *packets, *settled, *lost, *jitter_us), (2, 1_970, 870, 30, 3_000));
        assert_eq!(*opinions, [0, 0, 0, 0, 1, 1], "4.12 and 4.39");
        assert!((lines[0].loss_percent - 1.5).abs() < 1e-9, "{:?}", lines[0]);
        assert_eq!((lines[1].side.as_str(), lines[1].opinions[0]), ("routing", 1));
    }

    #[test]
    fn beyond_a_thousand_names_there_is_one_more_line() {
        let mut qualities = Qualities::default();
        for number in 0..GATEWAYS_MAX + 500 {
            qualities.note(&format!("g{number}"), Side::Routing, &figures(1, 1, 0, 0));
        }
        assert_eq!(qualities.by.len(), GATEWAYS_MAX + 1);
        assert_eq!(qualities.by[&("others".to_owned(), Side::Routing)].calls, 500);
        qualities.note("g3", Side::Routing, &figures(1, 1, 0, 0));
        assert_eq!(qualities.by[&("g3".to_owned(), Side::Routing)].calls, 2);
    }
}
