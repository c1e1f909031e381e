//! What media of ended calls were like, by the gateway that they came from.
//!
//! Sums since the start of control, for metrics: of whom there are too many to name each, phones and gateways beyond
//! the thousandth, there is one line, which is no gateway's whatever it is called. A gateway that is deleted takes its
//! line with it; calls of it that end later count among the others.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

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

impl Side {
    fn of(name: &str) -> Option<Self> {
        [Self::Mapping, Self::Routing].into_iter().find(|side| side.name() == name)
    }
}

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Gateway(String),
    Phones,
    Others,
}

impl Who {
    fn name(&self) -> &str {
        match self {
            Self::Gateway(name) => name,
            Self::Phones => "phones",
            Self::Others => "others",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Phones | Self::Others => "crowd",
        }
    }

    fn of(kind: &str, name: &str) -> Option<Self> {
        match (kind, name) {
            ("gateway", name) => Some(Self::Gateway(name.to_owned())),
            ("crowd", "phones") => Some(Self::Phones),
            ("crowd", "others") => Some(Self::Others),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// The gateway's number; 0: it is no gateway's line.
    gateway: u32,
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
    by: BTreeMap<(Who, Side), Sums>,
}

impl Qualities {
    fn note(&mut self, who: Who, gateway: u32, side: Side, figures: &MediaFigures) {
        let is_somebody = figures.packets > 0 && !who.name().is_empty();
        let Some(mos) = figures.mos().filter(|_| is_somebody) else { return };
        let mut key = (who, side);
        if self.by.len() >= GATEWAYS_MAX && !self.by.contains_key(&key) {
            key.0 = Who::Others;
        }
        let gateway = if matches!(key.0, Who::Gateway(_)) { gateway } else { 0 };
        let sums = self.by.entry(key).or_default();
        sums.gateway = gateway;
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

    /// A gateway is deleted.
    pub(super) fn forget(&mut self, gateway: u32) {
        self.by.retain(|_, sums| sums.gateway != gateway);
    }

    fn shown(&self) -> impl Iterator<Item = QualityShown> {
        self.shown_behind(None)
    }

    /// The lines behind that one, which may be gone.
    fn shown_behind(&self, last: Option<(Who, Side)>) -> impl Iterator<Item = QualityShown> {
        let from = last.map_or(Unbounded, Excluded);
        self.by.range((from, Unbounded)).map(|((who, side), sums)| {
            let sent = sums.packets.saturating_add(sums.lost).max(1);
            QualityShown {
                gateway: who.name().to_owned(),
                kind: who.kind().to_owned(),
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
        let caller = record.customer_gateway;
        let callee = record.attempts().last().map_or(0, |attempt| attempt.gateway);
        let named = |name: &str, is_there: bool| match name {
            "" => Who::Gateway(String::new()),
            _ if is_there => Who::Gateway(name.to_owned()),
            _ => Who::Others,
        };
        let who_called = match cdr.billing_mode {
            BillingMode::Phone => Who::Phones,
            _ if is_phone(caller) => Who::Phones,
            _ => named(&cdr.gateway, self.state.customers.get(caller).is_some()),
        };
        let who_was_called = match callee {
            id if is_phone(id) => Who::Phones,
            id => named(&cdr.vendor_gateway, self.state.routings.contains_key(&id)),
        };
        self.qualities.note(who_called, caller, Side::Mapping, &record.from_caller);
        self.qualities.note(who_was_called, callee, Side::Routing, &record.from_callee);
    }

    /// All of it, for metrics.
    pub(super) fn quality(&self) -> Vec<QualityShown> {
        self.qualities.shown().collect()
    }

    /// A page of it; the cursor is a line's kind, side and name.
    pub(super) fn quality_page(&self, page: &Page) -> Result<Value, Refusal> {
        let place = |line: &QualityShown| format!("{}/{}/{}", line.kind, line.side, line.gateway);
        let read = |cursor: &str| {
            let mut parts = cursor.splitn(3, '/');
            let (kind, side, name) = (parts.next()?, parts.next()?, parts.next()?);
            Some((Who::of(kind, name)?, Side::of(side)?))
        };
        let last = page.cursor.as_deref().map(|cursor| read(cursor).ok_or_else(strange_cursor));
        let lines = self.qualities.shown_behind(last.transpose()?);
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

    fn named(name: &str) -> Who {
        Who::Gateway(name.to_owned())
    }

    #[test]
    fn a_gateway_named_like_a_crowd_has_a_line_of_its_own_and_takes_it_along() {
        let mut qualities = Qualities::default();
        let heard = figures(1, 1, 0, 0);
        for (who, id) in
            [(named("phones"), 7), (Who::Phones, 0), (named("others"), 8), (Who::Others, 0)]
        {
            qualities.note(who, id, Side::Routing, &heard);
        }
        let told = |qualities: &Qualities| -> Vec<_> {
            qualities.shown().map(|line| format!("{} {}", line.kind, line.gateway)).collect()
        };
        let crowds = ["crowd phones", "crowd others"];
        assert_eq!(told(&qualities)[..2], ["gateway others", "gateway phones"]);
        assert_eq!(told(&qualities)[2..], crowds);
        qualities.forget(7);
        assert_eq!(told(&qualities)[0], "gateway others");
        qualities.forget(8);
        assert_eq!(told(&qualities), crowds);
        // A page goes on behind a line that was forgotten since.
        let behind = qualities.shown_behind(Some((named("others"), Side::Routing)));
        assert_eq!(behind.count(), 2);
    }

    #[test]
    fn calls_of_a_gateway_add_up_and_each_has_its_class() {
        let mut qualities = Qualities::default();
        qualities.note(named("acme"), 7, Side::Mapping, &figures(970, 100, 30, 4_000));
        qualities.note(named("acme"), 7, Side::Mapping, &figures(1_000, 1_000, 0, 2_000));
        qualities.note(named("acme"), 7, Side::Routing, &figures(500, 0, 500, 0));
        // Of a clock by which nobody measured, so it has no part in the jitter.
        let untimed = MediaFigures { flags: NO_JITTER, ..figures(0, 0, 0, 0) };
        qualities.note(named("wide"), 7, Side::Mapping, &MediaFigures { packets: 9, ..untimed });
        qualities.note(named("wide"), 7, Side::Mapping, &figures(9, 0, 0, 5_000));
        // Nobody spoke, or nobody knows who did.
        qualities.note(named("acme"), 7, Side::Mapping, &figures(0, 0, 0, 0));
        qualities.note(named(""), 7, Side::Mapping, &figures(10, 0, 0, 0));
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
            qualities.note(
                named(&format!("g{number}")),
                number as u32,
                Side::Routing,
                &figures(1, 1, 0, 0),
            );
        }
        assert_eq!(qualities.by.len(), GATEWAYS_MAX + 1);
        assert_eq!(qualities.by[&(Who::Others, Side::Routing)].calls, 500);
        qualities.note(named("g3"), 7, Side::Routing, &figures(1, 1, 0, 0));
        assert_eq!(qualities.by[&(named("g3"), Side::Routing)].calls, 2);
    }
}
