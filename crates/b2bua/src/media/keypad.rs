//! How keys go from one leg of a stream to the other: as events from end to end, or another way.
//!
//! ```text
//!  the hearer's dtmf   auto                          rfc4733              info    inband
//!  is told of events   if the teller describes them  always               never   never
//!  a key as INFO       an event if agreed, else INFO the same             INFO    tones
//!  a key as an event   an event if agreed            an event             INFO    tones
//!  a key as a tone     an event if agreed            an event             INFO    as it is
//! ```
//!
//! Agreed is what the hearer described and was told of. Where an event cannot go on, the one who sends it was told of
//! events in the hearer's stead, and its events are kept.

use link::profile::Dtmf;
use relay::{Codec, Form, Keypad};
use sip::Sdp;

use super::speech::events;
use super::told::{Between, Events, Word, knows_no_events};
use super::{LegMedia, MediaPlane, STREAMS_MAX, Streams, start_of};
use crate::Instant;
use crate::dialog::Side;

/// The payload types of events that the hearer of a description is told of.
pub(super) fn told_events(
    sdp: &Sdp<'_>,
    word: Word,
    between: Between<'_>,
) -> [Option<u8>; STREAMS_MAX] {
    let mut told = [None; STREAMS_MAX];
    for ((place, media), offered) in told.iter_mut().zip(sdp.media()).zip(between.offered) {
        let is_speech = media.kind == b"audio" && media.port != 0;
        *place = match between.events(media, word, offered) {
            _ if !is_speech => None,
            Events::Without => None,
            Events::AsDescribed => events(media).map(|(number, _)| number),
            Events::Added(number) => Some(number),
        };
    }
    told
}

impl Streams<'_> {
    /// Whether a leg reads events, once it has said what it reads.
    fn reads_events(&self, side: Side, stream: usize) -> bool {
        let spoken = self.legs[side as usize].spoken[stream];
        !knows_no_events(self.terms[side as usize]) && (!spoken.is_said || spoken.events.is_some())
    }

    /// How a leg is told keys that do not come to it as they are.
    fn form(&self, side: Side, stream: usize) -> Form {
        let leg = &self.legs[side as usize];
        let spoken = leg.spoken[stream];
        let agreed = spoken.events.filter(|_| leg.told_events[stream].is_some());
        let has_g711 = spoken.has(Codec::Pcma) || spoken.has(Codec::Pcmu);
        match (Dtmf::from(self.terms[side as usize].dtmf), agreed) {
            (Dtmf::Auto | Dtmf::Rfc4733, Some(payload_type)) => {
                Form::Events { payload_type, khz: spoken.events_khz }
            }
            (Dtmf::Inband, _) if has_g711 => Form::Tones { is_a_law: spoken.has(Codec::Pcma) },
            _ => Form::None,
        }
    }
}

impl MediaPlane {
    /// What is done with keys at both legs of a stream, as far as they have said.
    pub(super) fn settle_keypads(&mut self, streams: &Streams<'_>, stream: usize) {
        let is_plain = streams.between(Side::Caller).is_plain();
        for side in Side::BOTH {
            let leg = &streams.legs[side as usize];
            let (port, told) = (leg.ports[stream], leg.told_events[stream]);
            if port.is_none() {
                continue;
            }
            let keeps = !is_plain && !streams.reads_events(side.other(), stream) && told.is_some();
            self.table.set_keypad(port, Keypad { form: streams.form(side, stream), keeps });
            let is_inside = streams.inside[side as usize];
            if is_plain {
                continue;
            }
            let read = told.filter(|_| keeps || !is_inside);
            self.table.set_events(port, read.unwrap_or(relay::NO_EVENTS));
            if let Some(read) = read {
                self.table.allow(port, read);
            }
        }
    }

    /// Tells a leg a key by its streams. `false`: it is to be told another way, or cannot be.
    pub(crate) fn press(
        &mut self,
        now: Instant,
        leg: &LegMedia,
        key: u8,
        ms: u32,
        chance: (u64, &[u8; 16]),
    ) -> bool {
        let start = start_of(now, chance.0, STREAMS_MAX, chance.1);
        let ports = leg.open_ports();
        ports.into_iter().any(|port| self.table.press(now, port, key, ms, start))
    }

    /// Whether a leg is told keys by its streams.
    pub(crate) fn is_told_keys(&self, leg: &LegMedia) -> bool {
        leg.open_ports().any(|port| self.table.keypad(port).form != Form::None)
    }
}
