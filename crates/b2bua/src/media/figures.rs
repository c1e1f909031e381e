//! What the media of a leg are like, as its call's record says it.

use link::figures::{BYPASSED, NO_JITTER, REPORTED, SECURED, SETTLED, TRANSCODED};
use link::record::MediaFigures;
use relay::Reported;
use sip::Sdp;
use sip::sdp::Codec;

use super::{LegMedia, MediaPlane, Streams};
use crate::dialog::Side;

/// The clock that jitter is measured by (`crates/relay/src/quality.rs`).
const CLOCK_HZ: u32 = 8_000;

impl Streams<'_> {
    /// An answer says what both sides speak from now on: of what it lists and the other is `told`, the first.
    pub(super) fn note_codecs(&mut self, from: Side, sdp: &Sdp<'_>, told: Option<&[u8]>) {
        let Some(media) = sdp.media().first().filter(|media| media.port != 0) else { return };
        let codecs = media.codecs();
        let is_sound = |payload: &u8| media.is_rtp() && codecs.of(*payload).is_sound();
        let listed = || media.payload_types().filter(is_sound);
        let is_told = |payload: &u8| told.is_some_and(|told| told.contains(payload));
        let first = listed().find(is_told).or_else(|| listed().next());
        let codec = first.map_or(Codec::Other, |payload| codecs.of(payload));
        // Where one is made of the other they speak two: that is settled behind this.
        for side in [from, from.other()] {
            self.legs[side as usize].codec = codec;
        }
    }
}

impl MediaPlane {
    /// Figures of the leg's first stream.
    pub(crate) fn figures(&self, leg: &LegMedia) -> MediaFigures {
        let codec = leg.codec;
        let passed = if leg.bypassed { BYPASSED } else { 0 };
        let described =
            MediaFigures { codec: codec as u8, flags: passed, ..MediaFigures::default() };
        let port = leg.ports[0];
        if port.is_none() {
            return described;
        }
        let figures = self.table.figures(port);
        let clock_hz = codec.clock_hz().unwrap_or(CLOCK_HZ);
        // What nobody has a name for is taken for one of the clock that most have.
        let has_jitter = clock_hz == CLOCK_HZ;
        let is_secured = self.table.keys(port).iter().any(Option::is_some);
        let flags = [
            (figures.settled, SETTLED),
            (figures.reported.is_some(), REPORTED),
            (is_secured, SECURED),
            (self.table.transcoding(port).is_some(), TRANSCODED),
            (!has_jitter, NO_JITTER),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
        let Reported { fraction_lost, lost, jitter } = figures.reported.unwrap_or_default();
        let far_jitter_us = u64::from(jitter) * 1_000_000 / u64::from(clock_hz);
        MediaFigures {
            packets: figures.packets,
            bytes: figures.bytes,
            careful: figures.judged,
            lost: figures.lost,
            jitter_us: if has_jitter { figures.jitter_us } else { 0 },
            round_trip_us: figures.round_trip_us,
            far_lost: lost,
            far_jitter_us: u32::try_from(far_jitter_us).unwrap_or(u32::MAX),
            far_fraction: fraction_lost,
            flags: flags.fold(passed, |all, (_, flag)| all | flag),
            ..described
        }
    }
}
