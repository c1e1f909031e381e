//! Which two codecs a call is transcoded between, if any.
//!
//! Only payload types that need no `a=rtpmap` are transcoded: whoever speaks one of these codecs speaks it so.
//! What an answer names first is what is spoken; if the offer had it, nothing is to be made of it.

use link::profile::MediaTerms;
use relay::{Codec, Speaker, Transcoding};
use sip::Sdp;
use sip::sdp::{Codecs, Media};

use super::told::allows;
use super::{MediaPlane, STREAMS_MAX, Streams};
use crate::dialog::Side;

/// The order in which the one who offered is answered: what costs least first, which is also what sounds best
/// beside any other.
const CHEAPEST: [Codec; 5] = [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::G729, Codec::G723];
/// A packet of whoever says nothing of it, ms (RFC 3551 §4.2).
const PACKET_MS: u8 = 20;

/// What a leg said of the speech of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    /// The codecs of ours that it listed, a bit each.
    codecs: u8,
    /// The payload type of telephone events.
    pub(super) events: Option<u8>,
    /// Ticks of their clock in a millisecond.
    pub(super) events_khz: u8,
    /// Whether it said anything.
    pub(super) is_said: bool,
    /// Milliseconds of a packet that it wants.
    packet_ms: Option<u8>,
}

/// The name that SDP has for a codec of ours.
pub(super) fn named(codec: Codec) -> sip::sdp::Codec {
    match codec {
        Codec::Pcmu => sip::sdp::Codec::Pcmu,
        Codec::Pcma => sip::sdp::Codec::Pcma,
        Codec::G722 => sip::sdp::Codec::G722,
        Codec::G729 => sip::sdp::Codec::G729,
        Codec::G723 => sip::sdp::Codec::G723,
    }
}

impl Spoken {
    pub(super) const NONE: Self =
        Self { codecs: 0, events: None, events_khz: 8, is_said: false, packet_ms: None };

    /// What a description says.
    pub(super) fn of(media: &Media<'_>) -> Self {
        let codecs = media.codecs();
        let listed = Codec::ALL.into_iter().filter(|&codec| lists(media, &codecs, codec));
        Self {
            codecs: listed.fold(0, |all, codec| all | 1 << codec as u8),
            events: events(media).map(|(number, _)| number),
            events_khz: events(media).map_or(8, |(_, khz)| khz),
            is_said: true,
            packet_ms: media.packet_ms().and_then(|ms| u8::try_from(ms).ok()),
        }
    }

    pub(super) fn has(self, codec: Codec) -> bool {
        self.codecs & 1 << codec as u8 != 0
    }

    /// What the one who offered this speaks, and what the one who answered does, where these are not one.
    pub(super) fn pair(
        self,
        answer: &Media<'_>,
        codecs: &Codecs,
        terms: &MediaTerms,
    ) -> Option<[Codec; 2]> {
        let first = answer.payload_types().find(|&payload| codecs.of(payload).is_sound())?;
        let answered = Codec::ALL.into_iter().find(|codec| codec.payload_type() == first)?;
        if codecs.of(first) != named(answered) || self.has(answered) {
            return None;
        }
        let may = |codec: &Codec| self.has(*codec) && allows(terms, named(*codec));
        Some([CHEAPEST.into_iter().find(may)?, answered])
    }
}

impl MediaPlane {
    /// Whether an answer of `from` needs transcoders that others have taken since they were offered.
    pub(crate) fn lacks_transcoders(
        &self,
        streams: &Streams<'_>,
        from: Side,
        answer: &[u8],
    ) -> bool {
        let Ok(sdp) = Sdp::parse(answer) else { return false };
        let other = from.other() as usize;
        let is_made = |(index, media): &(usize, &Media<'_>)| {
            let is_speech = media.kind == b"audio" && media.port != 0;
            let offered = streams.legs[other].spoken[*index];
            is_speech && offered.pair(media, &media.codecs(), streams.terms[other]).is_some()
        };
        let made = sdp.media().iter().enumerate().take(STREAMS_MAX).filter(is_made);
        let ports = made.flat_map(|(index, _)| streams.legs.each_ref().map(|leg| leg.ports[index]));
        let wanted = ports.filter(|&port| self.table.transcoding(port).is_none()).count();
        streams.between(from).transcodes() && wanted > self.table.free_transcoders()
    }
}

/// The payload type of telephone events, and the ticks of their clock in a millisecond: those on the clock of nearly
/// all speech, if there are such; else the first.
pub(super) fn events(media: &Media<'_>) -> Option<(u8, u8)> {
    let first = media.telephone_event?;
    let described = media.attributes().filter_map(|attribute| {
        let map = core::str::from_utf8(attribute.strip_prefix(b"rtpmap:")?).ok()?;
        let (number, encoding) = map.split_once(' ')?;
        let mut parts = encoding.trim().split('/');
        let is_event = parts.next()?.eq_ignore_ascii_case("telephone-event");
        let (number, khz) = (number.parse().ok()?, parts.next()?.parse::<u32>().ok()? / 1_000);
        let is_listed = media.payload_types().any(|listed| listed == number);
        (is_event && is_listed).then(|| Some((number, u8::try_from(khz).ok()?)))?
    });
    let mut chosen = (first, 8);
    for (number, khz) in described {
        match khz {
            8 => return Some((number, 8)),
            0 => {}
            _ if number == first => chosen = (number, khz),
            _ => {}
        }
    }
    Some(chosen)
}

/// Whether a medium has a codec under its own payload type.
pub(super) fn lists(media: &Media<'_>, codecs: &Codecs, codec: Codec) -> bool {
    let payload_type = codec.payload_type();
    let is_there = media.payload_types().any(|payload| payload == payload_type);
    is_there && codecs.of(payload_type) == named(codec)
}

/// What becomes of the speech of one side for the other, who said `hears`.
pub(super) fn transcoding(
    from: Codec,
    to: Codec,
    hears: Spoken,
    terms: &MediaTerms,
) -> Transcoding {
    // Who sends events sends them as the one who hears them has said.
    let side = |codec: Codec| Speaker {
        codec,
        payload_type: codec.payload_type(),
        events: hears.events,
        noise: None,
    };
    let wanted = hears.packet_ms.filter(|ms| (10..=120).contains(ms));
    let packet_ms = match terms.ptime {
        0 => wanted.unwrap_or(PACKET_MS),
        ms => ms,
    };
    Transcoding { from: side(from), to: side(to), packet_ms: to.packet_ms(packet_ms) }
}
