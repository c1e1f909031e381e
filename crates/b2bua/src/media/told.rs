//! What one leg is told of the other leg's description, as the gateways of both want it.
//!
//! ```text
//!  codecs       those that both lists name; an offer comes in the order of the hearer's list, else of the teller's
//!  annexb, -a   no where either says no, else yes where either says yes, else as described (RFC 4856, RFC 7261)
//!  ptime        the hearer's, else the teller's, else as described
//!  T.38, keys   unless either refuses them
//!  keys         who knows them another way is told of no events, and tells of events in whose stead we send INFO or tones
//!  speech       where either side wants it transcoded, an offer has also what we can make of it, behind the rest;
//!               an answer that names such is told as what the hearer offered and we can make
//! ```
//!
//! One pure function says so for every medium. A medium of which nothing is left is refused; where that was the
//! only sound, so is the description.

use link::profile::{Annex, Dtmf, MediaTerms};
use sip::Sdp;
use sip::sdp::{Change, Codec, Media};

use super::speech::{Spoken, lists, named};
use super::{MediaFault, STREAMS_MAX, is_relayed};

/// Which word of a negotiation a description is (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Offer,
    Answer,
}

impl Word {
    /// What the callee's description is, after an INVITE with an offer or without.
    pub(crate) fn of_callee(offered: bool) -> Self {
        if offered { Self::Answer } else { Self::Offer }
    }
}

/// What becomes of one medium.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives in place: there is no allocation here")]
pub(super) enum Medium {
    /// It is none that we relay, or one that somebody refuses.
    Refused,
    /// It is told, as it is or with a change.
    Told(Option<Change>),
}

impl Medium {
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Told(_))
    }

    /// The payload types that are told, if they are not the describer's.
    pub(super) fn payloads(&self) -> Option<&[u8]> {
        match self {
            Self::Told(Some(change)) => change.payloads(),
            Self::Told(None) | Self::Refused => None,
        }
    }
}

/// The gateways at both ends of a description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between<'a> {
    pub(super) teller: &'a MediaTerms,
    pub(super) hearer: &'a MediaTerms,
    /// What the hearer offered of speech, if this is the answer.
    pub(super) offered: [Spoken; STREAMS_MAX],
    /// Whether there is a transcoder left.
    pub(super) has_room: bool,
}

/// What is told of the first media of a description.
pub(super) fn told(
    sdp: &Sdp<'_>,
    word: Word,
    between: Between<'_>,
) -> Result<[Medium; STREAMS_MAX], MediaFault> {
    let is_plain = between.is_plain();
    let mut told = [const { Medium::Refused }; STREAMS_MAX];
    let (mut sounds, mut silenced) = (false, false);
    for ((place, media), offered) in told.iter_mut().zip(sdp.media()).zip(between.offered) {
        if media.port == 0 || !is_relayed(media) {
            continue;
        }
        *place = match is_plain {
            true => Medium::Told(None),
            false => between.medium(media, word, offered),
        };
        let is_told = place.is_told();
        sounds |= is_told && media.kind == b"audio";
        silenced |= !is_told && media.kind == b"audio";
    }
    if silenced && !sounds { Err(MediaFault::NoCodec) } else { Ok(told) }
}

/// What a description is told with of telephone events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Events {
    /// None.
    Without,
    /// What it has.
    AsDescribed,
    /// Ours, by this payload type.
    Added(u8),
}

impl Between<'_> {
    /// What the hearer is told of telephone events. Who knows keys another way is not told of them, and
    /// whom we tell of them in another's stead sends them to us.
    pub(super) fn events(&self, media: &Media<'_>, word: Word, offered: Spoken) -> Events {
        if self.is_plain() {
            return Events::AsDescribed;
        }
        let is_answer = word == Word::Answer && offered.is_said;
        let is_refused = self.teller.events_refused | self.hearer.events_refused != 0;
        if is_refused || knows_no_events(self.hearer) || is_answer && offered.events.is_none() {
            return Events::Without;
        }
        let interworks =
            knows_no_events(self.teller) || Dtmf::from(self.hearer.dtmf) == Dtmf::Rfc4733;
        if media.telephone_event.is_some() || !interworks || word == Word::Answer && !is_answer {
            return Events::AsDescribed;
        }
        let is_free = |&number: &u8| media.payload_types().all(|listed| listed != number);
        let number = match offered.events.filter(|_| is_answer) {
            Some(number) => Some(number),
            None => [101].into_iter().chain(96..=127).find(is_free),
        };
        number.map_or(Events::AsDescribed, Events::Added)
    }

    /// Whether descriptions pass as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.teller.is_plain() && self.hearer.is_plain()
    }

    fn medium(self, media: &Media<'_>, word: Word, offered: Spoken) -> Medium {
        if media.is_udptl() {
            let is_refused = self.teller.t38_refused | self.hearer.t38_refused != 0;
            return if is_refused { Medium::Refused } else { Medium::Told(None) };
        }
        if media.kind != b"audio" {
            return Medium::Told(None);
        }
        self.sound(media, word, offered)
    }

    /// Whether speech is transcoded where it must be.
    pub(super) fn transcodes(&self) -> bool {
        self.teller.transcode | self.hearer.transcode != 0
    }

    /// The codecs that an offer does not name and we can make of one that it does.
    fn made(&self, media: &Media<'_>, word: Word) -> impl Iterator<Item = relay::Codec> {
        let codecs = media.codecs();
        let ours = relay::Codec::ALL;
        let reads = |&codec: &relay::Codec| {
            lists(media, &codecs, codec) && allows(self.teller, named(codec))
        };
        let makes = self.transcodes() && self.has_room && word == Word::Offer;
        let makes = makes && ours.iter().any(reads);
        let has = |codec: relay::Codec| {
            let payload_types = || media.payload_types();
            let is_named = payload_types().any(|payload| codecs.of(payload) == named(codec));
            // Another's by an `a=rtpmap`.
            is_named && allows(self.teller, named(codec))
                || payload_types().any(|payload| payload == codec.payload_type())
        };
        let place = |codec: &relay::Codec| {
            let number = named(*codec) as u8;
            self.hearer.codecs().position(|listed| listed == number).unwrap_or(usize::MAX)
        };
        let mut made = ours.map(|codec| {
            (makes && !has(codec) && allows(self.hearer, named(codec))).then_some(codec)
        });
        made.sort_by_key(|codec| codec.as_ref().map(place));
        made.into_iter().flatten()
    }

    fn sound(self, media: &Media<'_>, word: Word, offered: Spoken) -> Medium {
        let codecs = media.codecs();
        // What we added to an offer, the one who made it has not.
        let is_ours = |codec: Codec| {
            let made = relay::Codec::ALL.into_iter().find(|&made| named(made) == codec);
            self.transcodes()
                && word == Word::Answer
                && offered.is_said
                && made.is_some_and(|made| !offered.has(made))
        };
        let is_allowed = |codec: Codec| {
            allows(self.teller, codec) && allows(self.hearer, codec) && !is_ours(codec)
        };
        let pair = (self.transcodes() && word == Word::Answer)
            .then(|| offered.pair(media, &codecs, self.hearer));
        let told_events = self.events(media, word, offered);
        let is_allowed = |codec: Codec| {
            is_allowed(codec) && (codec != Codec::TelephoneEvent || told_events != Events::Without)
        };
        if let Some([theirs, _]) = pair.flatten() {
            let mut change = Change::NONE;
            change.list(theirs.payload_type());
            let is_event = |payload: &u8| codecs.of(*payload) == Codec::TelephoneEvent;
            let events = media.payload_types().filter(is_event);
            events.filter(|_| is_allowed(Codec::TelephoneEvent)).for_each(|it| change.list(it));
            add_events(told_events, &mut change);
            self.set_packet_time(media, Some(theirs), &mut change);
            return Medium::Told(Some(change));
        }
        let mut change = Change::NONE;
        let mut is_changed = false;
        let kept = || media.payload_types().filter(|&payload| is_allowed(codecs.of(payload)));
        let (listed, left) = (media.payload_types().count(), kept().count());
        let is_sound = kept().any(|payload| codecs.of(payload).is_sound());
        let makes = self.made(media, word).next().is_some();
        if left < listed && !is_sound && !makes {
            return Medium::Refused;
        }
        let first = self.first_choices().filter(|_| word == Word::Offer);
        let adds = matches!(told_events, Events::Added(_));
        if left < listed || first.is_some() || makes || adds {
            is_changed = true;
            for choice in first.into_iter().flat_map(MediaTerms::codecs) {
                let of = |payload: &u8| codecs.of(*payload) as u8 == choice;
                kept().filter(of).for_each(|payload| change.list(payload));
            }
            // Those that no list orders; who is listed already is not listed again.
            kept().for_each(|payload| change.list(payload));
        }
        for made in self.made(media, word) {
            change.list(made.payload_type());
            // We send no description of silence.
            if made == relay::Codec::G729 {
                change.add_line(&[b"rtpmap:18 G729/8000"]);
                change.add_line(&[b"fmtp:18 annexb=no"]);
            }
            if made == relay::Codec::G723 {
                change.add_line(&[b"rtpmap:4 G723/8000"]);
                change.add_line(&[b"fmtp:4 annexa=no"]);
            }
        }
        add_events(told_events, &mut change);
        for (codec, name, said) in [
            (Codec::G729, &b"annexb"[..], [self.teller.annexb, self.hearer.annexb]),
            (Codec::G723, b"annexa", [self.teller.annexa, self.hearer.annexa]),
        ] {
            let Some(value) = annex(said.map(Annex::from)) else { continue };
            for payload in kept().filter(|&payload| codecs.of(payload) == codec) {
                is_changed = true;
                change.set_parameter(media, payload, name, value);
            }
        }
        is_changed |= self.set_packet_time(media, None, &mut change);
        Medium::Told(is_changed.then_some(change))
    }

    /// Whose list orders an offer.
    fn first_choices(&self) -> Option<&MediaTerms> {
        let orders = |terms: &&MediaTerms| terms.codecs[0] != 0 && terms.codecs_unordered == 0;
        [self.hearer, self.teller].into_iter().find(orders)
    }

    /// Whether anything is said of it; `spoken`: the codec that the hearer speaks with us, whose frames a packet holds
    /// whole.
    fn set_packet_time(
        &self,
        media: &Media<'_>,
        spoken: Option<relay::Codec>,
        change: &mut Change,
    ) -> bool {
        let (own, theirs) = (self.hearer.ptime, self.teller.ptime);
        let ms = if own != 0 { own } else { theirs };
        let said = media.packet_ms().and_then(|ms| u8::try_from(ms).ok()).unwrap_or(0);
        let ms = match spoken {
            Some(codec) if codec.packet_ms(said) != said => codec.packet_ms(ms.max(said)),
            Some(codec) => codec.packet_ms(ms),
            None => ms,
        };
        if ms == 0 {
            return false;
        }
        let digits = [ms / 100, ms / 10 % 10, ms % 10].map(|digit| b'0' + digit);
        let leading = usize::from(ms < 100) + usize::from(ms < 10);
        let digits = &digits[leading..];
        change.drop_lines(b"ptime");
        change.drop_lines(b"maxptime");
        change.add_line(&[b"ptime:", digits]);
        if media.attributes().any(|attribute| attribute.starts_with(b"maxptime:")) {
            change.add_line(&[b"maxptime:", digits]);
        }
        true
    }
}

/// Whether whose terms these are is told keys otherwise than by events.
pub(super) fn knows_no_events(terms: &MediaTerms) -> bool {
    matches!(Dtmf::from(terms.dtmf), Dtmf::Info | Dtmf::Inband)
}

fn add_events(events: Events, change: &mut Change) {
    let Events::Added(number) = events else { return };
    let digits = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
    let digits = &digits[usize::from(number < 100)..];
    change.list(number);
    change.add_line(&[b"rtpmap:", digits, b" telephone-event/8000"]);
    change.add_line(&[b"fmtp:", digits, b" 0-16"]);
}

/// Whether a gateway may be told of a codec, and tell of it.
pub(super) fn allows(terms: &MediaTerms, codec: Codec) -> bool {
    match codec {
        Codec::TelephoneEvent => terms.events_refused == 0,
        _ => terms.codecs[0] == 0 || terms.codecs().any(|allowed| allowed == codec as u8),
    }
}

/// What two gateways together say of silence suppression.
fn annex(said: [Annex; 2]) -> Option<&'static [u8]> {
    match said {
        [Annex::Off, _] | [_, Annex::Off] => Some(b"no"),
        [Annex::On, _] | [_, Annex::On] => Some(b"yes"),
        [Annex::Pass, Annex::Pass] => None,
    }
}

#[cfg(test)]
mod tests {
    use link::profile::CODECS_MAX;
    use sip::sdp::{Edit, Rewrite};

    use super::*;

    const PLAIN: MediaTerms = MediaTerms {
        codecs: [0; CODECS_MAX],
        codecs_unordered: 0,
        annexb: 0,
        annexa: 0,
        ptime: 0,
        t38_refused: 0,
        events_refused: 0,
        proxy: 0,
        address: 0,
        inband: 0,
        srtp: 0,
        transcode: 0,
        dtmf: 0,
    };

    const AUDIO: &str = "m=audio 9 RTP/AVP 0 8 18 101\r\na=rtpmap:101 telephone-event/8000\r\n";

    fn with(codecs: &[Codec]) -> MediaTerms {
        let mut listed = [0; CODECS_MAX];
        listed.iter_mut().zip(codecs).for_each(|(place, &codec)| *place = codec as u8);
        MediaTerms { codecs: listed, ..PLAIN }
    }

    /// What the hearer reads of these media.
    fn heard(
        media: &str,
        word: Word,
        teller: &MediaTerms,
        hearer: &MediaTerms,
    ) -> Result<String, MediaFault> {
        let head = "v=0\r\no=- 7 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n";
        let text = format!("{head}{media}");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let told = told(
            &sdp,
            word,
            Between { teller, hearer, offered: [Spoken::NONE; STREAMS_MAX], has_room: true },
        )?;
        let edits: Vec<_> = told
            .iter()
            .map(|medium| match medium {
                Medium::Refused => Edit::default(),
                Medium::Told(change) => Edit { port: 9, change: change.as_ref() },
            })
            .collect();
        let address = [203, 0, 113, 1].into();
        let rewrite = Rewrite {
            origin: address,
            address,
            session: 7,
            version: 1,
            edits: &edits,
            bypassed: false,
        };
        let mut out = [0; 2_000];
        let length = sdp.rewrite(&rewrite, &mut out).unwrap();
        Ok(String::from_utf8(out[head.len()..length].to_vec()).unwrap())
    }

    /// The formats of the first medium that the hearer reads; empty: refused.
    fn formats(media: &str, word: Word, teller: &MediaTerms, hearer: &MediaTerms) -> String {
        let heard = heard(media, word, teller, hearer).unwrap();
        let line = heard.lines().next().unwrap();
        let (_, formats) = line.split_once("AVP ").unwrap();
        formats.to_owned()
    }

    #[test]
    fn who_wants_nothing_is_told_all_as_it_is() {
        assert_eq!(heard(AUDIO, Word::Offer, &PLAIN, &PLAIN).as_deref(), Ok(AUDIO));
    }

    #[test]
    fn only_what_both_lists_name_is_told_and_offers_come_in_order() {
        use Codec::{G729, Opus, Pcma, Pcmu};
        let cases: [(&[Codec], &[Codec], Word, &str); 7] = [
            (&[], &[Pcma, Pcmu], Word::Offer, "8 0 101"),
            (&[], &[Pcma, Pcmu], Word::Answer, "0 8 101"),
            (&[G729, Pcmu], &[], Word::Offer, "18 0 101"),
            (&[G729, Pcmu], &[], Word::Answer, "0 18 101"),
            (&[G729, Pcmu], &[Pcmu, G729, Pcma], Word::Offer, "0 18 101"),
            (&[G729, Opus], &[Pcmu, G729], Word::Offer, "18 101"),
            (&[G729], &[G729], Word::Answer, "18 101"),
        ];
        for (teller, hearer, word, expected) in cases {
            let formats = formats(AUDIO, word, &with(teller), &with(hearer));
            assert_eq!(formats, expected, "{teller:?} {hearer:?}");
        }
        let unordered = MediaTerms { codecs_unordered: 1, ..with(&[G729, Pcmu]) };
        assert_eq!(formats(AUDIO, Word::Offer, &PLAIN, &unordered), "0 18 101");
    }

    #[test]
    fn sound_of_which_nothing_is_left_is_refused() {
        let (opus, pcmu) = (with(&[Codec::Opus]), with(&[Codec::Pcmu]));
        let none = Err(MediaFault::NoCodec);
        assert_eq!(heard(AUDIO, Word::Offer, &PLAIN, &opus), none, "keys are no sound");
        assert_eq!(heard(AUDIO, Word::Answer, &opus, &PLAIN), none);
        let both = format!("m=audio 9 RTP/AVP 18\r\n{AUDIO}");
        let heard = heard(&both, Word::Offer, &PLAIN, &pcmu).unwrap();
        assert!(
            heard.starts_with("m=audio 0 RTP/AVP 18\r\nm=audio 9 RTP/AVP 0 101\r\n"),
            "{heard}"
        );
        // Who described none that he could name chose so himself.
        let keys = "m=audio 9 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        assert_eq!(formats(keys, Word::Offer, &PLAIN, &opus), "101");
    }

    #[test]
    fn no_to_silence_suppression_wins_over_yes_and_yes_over_what_is_described() {
        let terms = |annex: Annex| MediaTerms { annexb: annex as u8, annexa: annex as u8, ..PLAIN };
        use Annex::{Off, On, Pass};
        for (teller, hearer, value) in [
            (On, On, "yes"),
            (On, Off, "no"),
            (Off, On, "no"),
            (Off, Off, "no"),
            (Pass, On, "yes"),
            (Off, Pass, "no"),
            (Pass, Pass, ""),
        ] {
            for said in ["", "annexb=yes", "annexb=no"] {
                let line =
                    if said.is_empty() { String::new() } else { format!("a=fmtp:18 {said}\r\n") };
                let media = format!("m=audio 9 RTP/AVP 18 4\r\n{line}");
                let expected = match value {
                    "" => media.clone(),
                    _ => format!(
                        "m=audio 9 RTP/AVP 18 4\r\na=fmtp:18 annexb={value}\r\na=fmtp:4 annexa={value}\r\n"
                    ),
                };
                let heard = heard(&media, Word::Answer, &terms(teller), &terms(hearer));
                assert_eq!(heard, Ok(expected), "{teller:?} {hearer:?} {said}");
            }
        }
    }

    #[test]
    fn a_packet_is_as_long_as_the_hearer_wants_and_else_the_teller() {
        let ptime = |ms| MediaTerms { ptime: ms, ..PLAIN };
        let media = "m=audio 9 RTP/AVP 0\r\na=ptime:20\r\na=maxptime:60\r\n";
        for (teller, hearer, ms) in
            [(0, 30, 30), (30, 0, 30), (30, 20, 20), (0, 120, 120), (0, 5, 5)]
        {
            let heard = heard(media, Word::Offer, &ptime(teller), &ptime(hearer));
            let told = format!("m=audio 9 RTP/AVP 0\r\na=ptime:{ms}\r\na=maxptime:{ms}\r\n");
            assert_eq!(heard, Ok(told));
        }
        let heard = heard("m=audio 9 RTP/AVP 0\r\n", Word::Offer, &PLAIN, &ptime(30));
        assert_eq!(heard.as_deref(), Ok("m=audio 9 RTP/AVP 0\r\na=ptime:30\r\n"));
    }

    #[test]
    fn keys_and_fax_pass_unless_somebody_refuses_them() {
        let fax = "m=image 9 udptl t38\r\na=T38FaxVersion:0\r\n";
        let refusing = MediaTerms { t38_refused: 1, events_refused: 1, ..PLAIN };
        assert_eq!(heard(fax, Word::Offer, &PLAIN, &PLAIN).as_deref(), Ok(fax));
        let refused = fax.replace(" 9 ", " 0 ");
        for (teller, hearer) in [(&PLAIN, &refusing), (&refusing, &PLAIN)] {
            assert_eq!(heard(fax, Word::Offer, teller, hearer).as_ref(), Ok(&refused));
            assert_eq!(formats(AUDIO, Word::Offer, teller, hearer), "0 8 18");
        }
    }
}
