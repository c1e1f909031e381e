//! What far ends report (RFC 3550 §6.4), read as it goes by.
//!
//! Each says what it hears of the other, and how long ago it heard the other's last report: we saw both pass, so what
//! is left of the time between is the way from us to it and back. A far end may say anything; what it says is kept
//! as its word, and changes nothing but figures.

use wire::rtcp::{self, Block};

use crate::port::Port;
use crate::quality::Figures;
use crate::{Instant, Table};

/// A longer way is none: a report that lies about its times, or names another one by chance.
const ROUND_TRIP_MAX_US: u64 = 10_000_000;

/// What a far end said last of what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Of what was sent since its report before, how much never came, in 1/256.
    pub fraction_lost: u8,
    /// Packets that never came in all.
    pub lost: u32,
    /// Interarrival jitter, in units of the stream's clock.
    pub jitter: u32,
}

/// What one far end told by RTCP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reports {
    /// By which name its last sender report is known that went on; 0: by none, or there was none.
    name: u32,
    /// When that was, µs. They go round in 71 minutes.
    sent_us: u32,
    /// From us to it and back, smoothed, µs; 0: not known.
    round_trip_us: u32,
    /// What it said of what it hears, as in [`Reported`]: one for each flow, so they are kept flat.
    lost: u32,
    jitter: u32,
    fraction_lost: u8,
    has_said: bool,
}

impl Reports {
    /// It says this of the other's stream, whose last sender report was `named` and went on at `sent_us`.
    fn note(&mut self, now_us: u32, block: &Block, [named, sent_us]: [u32; 2]) {
        self.has_said = true;
        self.fraction_lost = block.fraction_lost;
        self.lost = block.lost.max(0).cast_unsigned();
        self.jitter = block.jitter;
        if !names(block, named) {
            return;
        }
        let between = u64::from(now_us.wrapping_sub(sent_us));
        let waited = (u64::from(block.delay) * 1_000_000) >> 16;
        let Some(took) = between.checked_sub(waited).filter(|took| *took <= ROUND_TRIP_MAX_US)
        else {
            return;
        };
        let took = took.max(1) as u32;
        self.round_trip_us = match self.round_trip_us {
            0 => took,
            // An eighth of the difference, as RFC 6298 smooths.
            before => before - before / 8 + took / 8,
        };
    }

    fn reported(&self) -> Option<Reported> {
        let &Self { fraction_lost, lost, jitter, .. } = self;
        self.has_said.then_some(Reported { fraction_lost, lost, jitter })
    }
}

/// Whether a block answers the sender report of that name.
fn names(block: &Block, named: u32) -> bool {
    block.last_report != 0 && block.last_report == named
}

impl Table {
    /// Reads a packet of RTCP that arrived at `port` and goes on by `peer`.
    pub(crate) fn read_reports(&mut self, now: Instant, port: Port, peer: Port, packet: &[u8]) {
        let now_us = now.as_micros() as u32;
        let sent = self.open_at(peer.rtcp()).map(|flow| [flow.reports.name, flow.reports.sent_us]);
        let sent = sent.unwrap_or_default();
        let mut told: Option<Block> = None;
        let Some(flow) = self.open_flow(port) else { return };
        for report in rtcp::reports(packet) {
            if let Some(name) = report.sent {
                (flow.reports.name, flow.reports.sent_us) = (name, now_us);
            }
            // Of several streams it is the one whose report it has heard; else the first.
            for block in report.blocks() {
                if told.is_none_or(|told| !names(&told, sent[0]) && names(&block, sent[0])) {
                    told = Some(block);
                }
            }
        }
        if let Some(block) = told {
            flow.reports.note(now_us, &block, sent);
        }
    }

    /// Those figures of what arrives at a pair, with what RTCP told of it.
    pub(crate) fn with_reports(&self, port: Port, figures: Figures) -> Figures {
        let Some(own) = self.open_at(port.rtcp()) else { return figures };
        let hearer = self.open_at(own.peer.rtcp()).filter(|hearer| hearer.owner == own.owner);
        Figures {
            round_trip_us: own.reports.round_trip_us,
            reported: hearer.and_then(|hearer| hearer.reports.reported()),
            ..figures
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
