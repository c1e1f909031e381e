//! The codecs that an operator can name, and which payload type of a medium is which.

use super::{Media, payload_type, split_word};
use crate::scan;

/// Payload types that RTP has (RFC 3550 §5.1: 7 bits).
const PAYLOAD_TYPES: usize = 128;

macro_rules! codecs {
    ($($number:literal $variant:ident $name:literal $doc:literal),* $(,)?) => {
        /// A codec by its encoding name (RFC 4855 §3). The numbers are stable.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Codec {
            /// One that has no name here.
            #[default]
            Other = 0,
            $(#[doc = $doc] $variant = $number,)*
        }

        impl Codec {
            /// Every codec with a name, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its encoding name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl From<u8> for Codec {
            /// A number that nobody wrote reads as one without a name.
            fn from(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

codecs! {
    1 Pcmu "PCMU" "G.711 µ-law.",
    2 Pcma "PCMA" "G.711 A-law.",
    3 G729 "G729" "G.729, with its annexes A and B.",
    4 G723 "G723" "G.723.1, with its annex A.",
    5 G722 "G722" "G.722, 64 kbit/s.",
    6 Opus "opus" "Opus (RFC 7587).",
    7 Gsm "GSM" "GSM full rate.",
    8 GsmEfr "GSM-EFR" "GSM enhanced full rate.",
    9 Ilbc "iLBC" "iLBC (RFC 3952).",
    10 Amr "AMR" "AMR (RFC 4867).",
    11 AmrWb "AMR-WB" "AMR-WB (RFC 4867).",
    12 Evs "EVS" "EVS (3GPP TS 26.445).",
    13 G72616 "G726-16" "G.726, 16 kbit/s.",
    14 G72624 "G726-24" "G.726, 24 kbit/s.",
    15 G72632 "G726-32" "G.726, 32 kbit/s.",
    16 G72640 "G726-40" "G.726, 40 kbit/s.",
    17 G728 "G728" "G.728.",
    18 G7221 "G7221" "G.722.1 (RFC 5577).",
    19 Speex "speex" "Speex (RFC 5574).",
    20 Silk "SILK" "SILK.",
    21 L16 "L16" "Linear, 16 bits.",
    22 Clearmode "CLEARMODE" "64 kbit/s unrestricted (RFC 4040).",
    23 ComfortNoise "CN" "Comfort noise (RFC 3389).",
    24 Red "red" "Redundant audio (RFC 2198).",
    25 TelephoneEvent "telephone-event" "Keys (RFC 4733).",
}

impl Codec {
    /// The codec of an encoding name, in any case of letters; [`Codec::Other`]: it has no name here.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Self {
        let known =
            Self::ALL.iter().find(|codec| name.eq_ignore_ascii_case(codec.name().as_bytes()));
        match (known, name) {
            (Some(&codec), _) => codec,
            // How some peers write it.
            (None, [b'G' | b'g', b'7', b'2', b'9', b'A' | b'a' | b'B' | b'b', ..])
                if name.len() <= 6 =>
            {
                Self::G729
            }
            (None, _) => Self::Other,
        }
    }

    /// The codec that a payload type is where no `a=rtpmap` says it (RFC 3551 §6).
    #[must_use]
    pub const fn of_static(payload: u8) -> Self {
        match payload {
            0 => Self::Pcmu,
            3 => Self::Gsm,
            4 => Self::G723,
            8 => Self::Pcma,
            9 => Self::G722,
            10 | 11 => Self::L16,
            13 => Self::ComfortNoise,
            15 => Self::G728,
            18 => Self::G729,
            _ => Self::Other,
        }
    }

    /// The rate of its RTP clock (RFC 3551 §4.5, and the payload formats); `None`: each description says its own.
    #[must_use]
    pub const fn clock_hz(self) -> Option<u32> {
        match self {
            Self::Opus => Some(48_000),
            Self::AmrWb | Self::Evs => Some(16_000),
            Self::G7221 | Self::Speex | Self::Silk | Self::L16 | Self::Other => None,
            // G.722 counts 8 kHz though it samples twice as often.
            _ => Some(8_000),
        }
    }

    /// Whether it carries speech or sound; the others go beside one that does.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        !matches!(self, Self::ComfortNoise | Self::Red | Self::TelephoneEvent)
    }
}

/// What each payload type of a medium is.
#[derive(Clone, Copy, Debug)]
pub struct Codecs {
    known: [Codec; PAYLOAD_TYPES],
}

impl Codecs {
    /// The codec of a payload type.
    #[must_use]
    pub fn of(&self, payload: u8) -> Codec {
        self.known.get(usize::from(payload)).copied().unwrap_or_default()
    }
}

impl Media<'_> {
    /// What each payload type is, by `a=rtpmap` or for good.
    #[must_use]
    pub fn codecs(&self) -> Codecs {
        let mut known = [Codec::Other; PAYLOAD_TYPES];
        for (payload, place) in (0..).zip(&mut known) {
            *place = Codec::of_static(payload);
        }
        for attribute in self.attributes() {
            let map = attribute.strip_prefix(b"rtpmap:").and_then(split_word);
            let Some((number, encoding)) = map else { continue };
            let place = payload_type(number).and_then(|at| known.get_mut(usize::from(at)));
            if let Some(place) = place {
                let name = scan::before(encoding, scan::tail_from_byte(encoding, b'/'));
                *place = Codec::of_name(scan::trim(name));
            }
        }
        Codecs { known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_known_by_its_name_and_its_number() {
        for (place, &codec) in (1_u8..).zip(Codec::ALL) {
            assert_eq!((codec as u8, Codec::from(place)), (place, codec));
            assert_eq!(Codec::of_name(codec.name().to_ascii_lowercase().as_bytes()), codec);
        }
        assert_eq!((Codec::from(0), Codec::from(200)), (Codec::Other, Codec::Other));
        for name in ["G729A", "g729ab", "G729B"] {
            assert_eq!(Codec::of_name(name.as_bytes()), Codec::G729);
        }
        for name in ["", "G729E-long", "H264", "PCM"] {
            assert_eq!(Codec::of_name(name.as_bytes()), Codec::Other);
        }
    }

    #[test]
    fn a_map_says_more_than_the_number() {
        let sdp = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\n\
            m=audio 4000 RTP/AVP 18 0 96 97 101 13\r\na=rtpmap:96 opus/48000/2\r\n\
            a=rtpmap:0  PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:200 GSM/8000\r\n";
        let sdp = super::super::Sdp::parse(sdp).unwrap();
        let codecs = sdp.media()[0].codecs();
        let found = [18, 0, 96, 97, 101, 13, 255].map(|payload| codecs.of(payload).name());
        assert_eq!(found, ["G729", "PCMA", "opus", "", "telephone-event", "CN", ""]);
    }
}
