//! What the API shows of media: both directions of a call, and what those of ended calls came to by gateway.

use link::figures::{
    BYPASSED, Both, MediaFigures, NO_JITTER, REPORTED, SECURED, SETTLED, TRANSCODED,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::hundredths;

/// What the media of a call were like.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MediaShown {
    /// `relay`: through us; `bypass`: from end to end, and so nothing is counted.
    pub path: &'static str,
    /// Of all packets those that the driver sent on, to a hundredth; null without any packet.
    pub settled_percent: Option<f64>,
    /// How many dataplanes took it over from one that had died: of each of those what it had counted within its last
    /// two seconds may be missing, but for what the driver sent on.
    pub resumed: u8,
    /// From the caller.
    pub from_caller: FiguresShown,
    /// From the callee.
    pub from_callee: FiguresShown,
}

/// One direction of the media.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FiguresShown {
    /// Heard by us, from its sender.
    pub packets: u64,
    /// Their bytes, RTP headers included.
    pub bytes: u64,
    /// Missing by their sequence numbers.
    pub lost: u64,
    /// Jitter (RFC 3550 §6.4.1); 0 also where `codec` has not the clock of 8 kHz by which it is measured.
    pub jitter_us: u64,
    /// Of all packets those that are missing, to a hundredth; null without any packet.
    pub loss_percent: Option<f64>,
    /// Mean opinion score, 1 to 4.5, of `rating` (ITU-T G.107 annex B); null without any packet.
    pub mos: Option<f64>,
    /// R, 0 to 100, by loss, jitter and half the `round_trip_ms` (ITU-T G.107 and G.113, as G.711); null without any
    /// packet.
    pub rating: Option<f64>,
    /// Packets that the driver sent on by itself.
    pub settled: u64,
    /// By which way they went last: `settled`, `careful` or `bypass`; null without any packet.
    pub path: Option<&'static str>,
    /// What is spoken, by the answer of last; null: it has no name here.
    pub codec: Option<&'static str>,
    /// Whether their sender's leg is under keys (SRTP).
    pub srtp: bool,
    /// Whether they go on in another codec.
    pub transcoded: bool,
    /// From us to their sender and back, by its RTCP, smoothed; null: it sent no report that tells.
    pub round_trip_ms: Option<f64>,
    /// Of the packets between the last two reports of whoever hears them, those that it says never came; null: it
    /// reported nothing.
    pub far_loss_percent: Option<f64>,
    /// Packets that it says never came in all.
    pub far_lost: Option<u64>,
    /// The jitter that it reports.
    pub far_jitter_us: Option<u64>,
}

impl MediaShown {
    /// Of a record, or of a running call.
    #[must_use]
    pub fn of(figures: &Both, bypassed: bool, resumed: u8) -> Self {
        let [from_caller, from_callee] = figures;
        let packets: u64 = figures.iter().map(|one| one.packets).sum();
        let settled: u64 = figures.iter().map(MediaFigures::settled).sum();
        Self {
            path: if bypassed { "bypass" } else { "relay" },
            settled_percent: (packets > 0)
                .then(|| hundredths(settled as f64 * 100.0 / packets as f64)),
            resumed,
            from_caller: FiguresShown::of(from_caller),
            from_callee: FiguresShown::of(from_callee),
        }
    }
}

impl FiguresShown {
    fn of(figures: &MediaFigures) -> Self {
        let codec = sip::sdp::Codec::from(figures.codec).name();
        let is_reported = figures.is(REPORTED);
        let jitter_us = if figures.is(NO_JITTER) { 0 } else { figures.jitter_us };
        let round_trip_ms = f64::from(figures.round_trip_us) / 1e3;
        Self {
            packets: figures.packets,
            bytes: figures.bytes,
            lost: figures.lost.into(),
            jitter_us: jitter_us.into(),
            loss_percent: figures.loss_percent().map(hundredths),
            mos: figures.mos().map(hundredths),
            rating: figures.rating().map(hundredths),
            settled: figures.settled(),
            path: path_of(figures),
            codec: (!codec.is_empty()).then_some(codec),
            srtp: figures.is(SECURED),
            transcoded: figures.is(TRANSCODED),
            round_trip_ms: (figures.round_trip_us > 0).then(|| hundredths(round_trip_ms)),
            far_loss_percent: is_reported
                .then(|| hundredths(f64::from(figures.far_fraction) * 100.0 / 256.0)),
            far_lost: is_reported.then_some(figures.far_lost.into()),
            far_jitter_us: is_reported.then_some(figures.far_jitter_us.into()),
        }
    }
}

fn path_of(figures: &MediaFigures) -> Option<&'static str> {
    match figures.flags {
        flags if flags & BYPASSED != 0 => Some("bypass"),
        _ if figures.packets == 0 => None,
        flags if flags & SETTLED != 0 => Some("settled"),
        _ => Some("careful"),
    }
}

/// By which way the media of a call go: that of both directions, and the careful one where they differ.
#[must_use]
pub fn call_path(figures: &Both) -> &'static str {
    let [one, other] = figures.each_ref().map(path_of);
    match (one, other) {
        (None, None) => "none",
        (Some(path), None) | (None, Some(path)) => path,
        (Some(one), Some(other)) if one == other => one,
        _ => "careful",
    }
}

/// Running calls by the way of their media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CallPaths {
    /// By the driver, both ways.
    pub settled: u64,
    /// Through a worker, one way at least.
    pub careful: u64,
    /// From end to end.
    pub bypass: u64,
    /// Nothing was heard yet.
    pub none: u64,
}

impl CallPaths {
    /// One call more.
    pub fn add(&mut self, figures: &Both) {
        match call_path(figures) {
            "settled" => self.settled += 1,
            "careful" => self.careful += 1,
            "bypass" => self.bypass += 1,
            _ => self.none += 1,
        }
    }

    /// Each with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        let &Self { settled, careful, bypass, none } = self;
        [("settled", settled), ("careful", careful), ("bypass", bypass), ("none", none)]
    }
}

/// The upper ends of the classes of `opinions`: G.107 annex B calls callers above 4.34 very satisfied, above 4.03
/// satisfied, above 3.60 some dissatisfied, above 3.10 many, above 2.58 nearly all.
pub const OPINIONS: [f64; 6] = [2.58, 3.1, 3.6, 4.03, 4.34, 5.0];

/// What media of ended calls were like that came from one gateway, since the start of control.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
pub struct QualityShown {
    /// Its name; of a `crowd`, `phones`: all phones; `others`: what is beyond the 1,000th name, or was deleted while
    /// its call ran.
    pub gateway: String,
    /// `gateway`: one of them; `crowd`: many together.
    pub kind: String,
    /// `mapping`: it called; `routing`: it was called.
    pub side: String,
    /// Calls in which it was heard.
    pub calls: u64,
    /// Its packets that came.
    pub packets: u64,
    /// Of those what the driver sent on.
    pub settled: u64,
    /// Its packets that did not come.
    pub lost: u64,
    /// Of all of them, percent.
    pub loss_percent: f64,
    /// Jitter of the average call, of those whose jitter was measured.
    pub jitter_us: u64,
    /// Mean opinion score of the average call.
    pub mos: f64,
    /// Those of all calls added up; with `calls` it gives the mean of any time.
    pub mos_sum: f64,
    /// Calls with a mean opinion score up to 2.58, 3.1, 3.6, 4.03, 4.34, and above.
    pub opinions: [u64; OPINIONS.len()],
}
