//! Keys of media (SRTP, keys from the descriptions: RFC 4568): what a gateway wants of them, what it is told, what
//! is believed of it. Each leg has keys of its own, or none.
//!
//! ```text
//!  srtp       it may offer               it is offered             it may answer
//!  off        clear                      clear                     clear
//!  optional   clear, or with a key       clear, with keys beside   clear, or with a key
//!  required   with a key                 RTP/SAVP, with keys       with a key
//! ```
//!
//! What it may not is refused (488), or the next vendor's chance. An answer of ours has the suite, the tag and the
//! transport of the offer that it answers.
//!
//! Our own keys are made of the switch's secret and what is random in the leg's tag: nobody guesses them, no two
//! legs share one, and a restart need not keep them to know them.

use link::profile::Srtp;
use sip::sdp::{Change, Media};
use srtp::{MASTER_BYTES_MAX, Master, Suite};

use crate::keys;

/// What we offer, the first choice first, and behind them what is in use; their tags count from 1.
const OFFERED: [Suite; 2] = [Suite::AesCm128HmacSha1Tag80, Suite::AeadAes128Gcm];

/// What a leg's last description said of the keys of one stream: an answer of ours repeats it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// `RTP/SAVP`, and not `RTP/AVP`.
    is_savp: bool,
    /// Tag and suite of the key that is used; `None`: in clear.
    line: Option<(u32, Suite)>,
}

impl Lock {
    pub(crate) const NONE: Self = Self { is_savp: false, line: None };

    /// As a number, for what must differ when it does.
    pub(super) fn digest(self) -> u64 {
        let (tag, suite) = self.line.map_or((0, 0), |(tag, suite)| (tag, suite as u8));
        u64::from(tag) << 16 | u64::from(suite) << 8 | u64::from(self.is_savp)
    }

    /// Its suite; `None`: in clear.
    pub(super) fn suite(self) -> Option<Suite> {
        self.line.map(|(_, suite)| suite)
    }
}

/// Where our keys for one stream of a leg come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// What no peer knows.
    pub(super) secret: &'a [u8; 16],
    /// What is random in the leg's tag.
    pub(super) random: u64,
    /// Which stream.
    pub(super) stream: usize,
    /// How often its keys were given up: none is used again from its beginning.
    pub(super) round: u8,
}

impl Source<'_> {
    /// The key of ours for a suite.
    pub(super) fn key(self, suite: Suite) -> Master {
        let mut bytes = [0; MASTER_BYTES_MAX];
        for (part, room) in bytes.chunks_mut(16).enumerate() {
            let place = [self.stream as u8, self.round, suite as u8, part as u8];
            let part = keys::wide_hash(self.secret, &[b"srtp", &place, &self.random.to_be_bytes()]);
            room.iter_mut().zip(part).for_each(|(place, byte)| *place = byte);
        }
        let bytes = &bytes[..suite.master_bytes()];
        Master::new(suite, bytes).expect("as many bytes as the suite wants")
    }
}

/// The transports that we know (RFC 3551, RFC 4585, RFC 3711, RFC 5124, RFC 5764).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Clear {
        feedback: bool,
    },
    Secured {
        feedback: bool,
    },
    /// Keys by a handshake of their own, which ends here.
    Dtls,
    Other,
}

impl Transport {
    fn of(media: &Media<'_>) -> Self {
        match media.proto {
            b"RTP/AVP" => Self::Clear { feedback: false },
            b"RTP/AVPF" => Self::Clear { feedback: true },
            b"RTP/SAVP" => Self::Secured { feedback: false },
            b"RTP/SAVPF" => Self::Secured { feedback: true },
            proto if proto.starts_with(b"UDP/TLS/RTP/") => Self::Dtls,
            _ => Self::Other,
        }
    }

    fn told(self, is_savp: bool) -> Option<&'static [u8]> {
        let (Self::Clear { feedback } | Self::Secured { feedback }) = self else { return None };
        Some(match (is_savp, feedback) {
            (false, false) => b"RTP/AVP",
            (false, true) => b"RTP/AVPF",
            (true, false) => b"RTP/SAVP",
            (true, true) => b"RTP/SAVPF",
        })
    }
}

/// Whether two media go by the same profile, under keys or not: of keys each leg has its own.
pub(crate) fn is_same_profile(one: &Media<'_>, other: &Media<'_>) -> bool {
    let [clear, other_clear] = [one, other].map(|media| Transport::of(media).told(false));
    match (clear, other_clear) {
        (None, None) => one.proto == other.proto,
        (clear, other_clear) => clear == other_clear,
    }
}

/// In which state a leg says something of its keys.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    /// It answers what we offered.
    pub(super) is_answer: bool,
    /// The suite that it agreed on before, which we offer as well.
    pub(super) in_use: Option<Suite>,
}

/// The first key of a medium that can be used; of an answer, under a suite that we offered.
fn key_of(media: &Media<'_>, heard: Heard) -> Option<(u32, Master)> {
    media.cryptos().find_map(|crypto| {
        let suite = Suite::from_name(crypto.suite)?;
        let is_offered = OFFERED.contains(&suite) || heard.in_use == Some(suite);
        let is_known = !heard.is_answer || is_offered;
        let master = Master::new(suite, crypto.key()).filter(|_| is_known)?;
        Some((crypto.tag, master))
    })
}

/// Whether a medium is described as its gateway wants it.
pub(super) fn is_met(media: &Media<'_>, wanted: Srtp, heard: Heard) -> bool {
    let has_key = || key_of(media, heard).is_some();
    if media.port == 0 || media.is_udptl() {
        return true;
    }
    match (Transport::of(media), wanted) {
        (Transport::Dtls, _) | (Transport::Secured { .. }, Srtp::Off) => false,
        (Transport::Secured { .. }, _) | (_, Srtp::Required) => has_key(),
        (_, Srtp::Off | Srtp::Optional) => true,
    }
}

/// What a believed medium says of its keys: for our answers, and the key by which its describer sends.
pub(super) fn read(media: &Media<'_>, wanted: Srtp, heard: Heard) -> (Lock, Option<Master>) {
    let is_savp = matches!(Transport::of(media), Transport::Secured { .. });
    let key = key_of(media, heard).filter(|_| wanted != Srtp::Off && media.port != 0);
    let line = key.map(|(tag, master)| (tag, master.suite()));
    (Lock { is_savp, line }, key.map(|(_, master)| master))
}

/// An offer of `media` to whoever wants it so.
pub(super) fn offer(
    media: &Media<'_>,
    wanted: Srtp,
    lock: Lock,
    source: Source<'_>,
    change: &mut Option<Change>,
) {
    tell_transport(media, wanted == Srtp::Required, change);
    if wanted == Srtp::Off || media.is_udptl() {
        return;
    }
    let change = change.get_or_insert_default();
    let in_use = lock.suite().filter(|suite| !OFFERED.contains(suite));
    for (tag, suite) in (1..).zip(OFFERED.into_iter().chain(in_use)) {
        change.add_crypto(tag, suite.name().as_bytes(), source.key(suite).expose());
    }
}

/// An answer to an offer that said so.
pub(super) fn answer(
    media: &Media<'_>,
    lock: Lock,
    source: Source<'_>,
    change: &mut Option<Change>,
) {
    tell_transport(media, lock.is_savp, change);
    if let Some((tag, suite)) = lock.line.filter(|_| !media.is_udptl()) {
        let change = change.get_or_insert_default();
        change.add_crypto(tag, suite.name().as_bytes(), source.key(suite).expose());
    }
}

fn tell_transport(media: &Media<'_>, is_savp: bool, change: &mut Option<Change>) {
    if let Some(proto) = Transport::of(media).told(is_savp).filter(|told| *told != media.proto) {
        change.get_or_insert_default().proto = Some(proto);
    }
}

#[cfg(test)]
mod tests {
    use sip::Sdp;

    use super::*;

    const OFFER: Heard = Heard { is_answer: false, in_use: None };
    const ANSWER: Heard = Heard { is_answer: true, in_use: None };
    const KEY_30: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const KEY_28: &str = "inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA==";

    fn described(proto: &str, keys: &str) -> String {
        format!(
            "v=0\r\no=- 7 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
             m=audio 9 {proto} 0\r\n{keys}"
        )
    }

    #[test]
    fn what_a_gateway_may_say_is_what_the_table_says() {
        use Srtp::{Off, Optional, Required};
        let good = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY_30}\r\n");
        let odd = format!("a=crypto:1 F8_128_HMAC_SHA1_80 {KEY_30}\r\n");
        let short = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY_28}\r\n");
        for (proto, keys, met) in [
            ("RTP/AVP", "", [true, true, false]),
            ("RTP/AVP", &good, [true, true, true]),
            ("RTP/AVPF", &odd, [true, true, false]),
            ("RTP/SAVP", &good, [false, true, true]),
            ("RTP/SAVPF", &good, [false, true, true]),
            ("RTP/SAVP", "", [false, false, false]),
            ("RTP/SAVP", &odd, [false, false, false]),
            ("RTP/SAVP", &short, [false, false, false]),
            ("UDP/TLS/RTP/SAVPF", "", [false, false, false]),
        ] {
            let text = described(proto, keys);
            let sdp = Sdp::parse(text.as_bytes()).unwrap();
            let found = [Off, Optional, Required].map(|want| is_met(&sdp.media()[0], want, OFFER));
            assert_eq!(found, met, "{proto} {keys}");
        }
    }

    #[test]
    fn of_several_keys_the_first_known_is_taken_and_of_an_answer_only_what_was_offered() {
        let keys = format!(
            "a=crypto:4 X {KEY_30}\r\na=crypto:5 AES_CM_128_HMAC_SHA1_32 {KEY_30}\r\n\
             a=crypto:6 AEAD_AES_128_GCM {KEY_28}\r\n"
        );
        let text = described("RTP/SAVP", &keys);
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let media = &sdp.media()[0];
        let (lock, key) = read(media, Srtp::Optional, OFFER);
        assert_eq!(lock.line, Some((5, Suite::AesCm128HmacSha1Tag32)));
        assert_eq!(key.unwrap().expose().len(), 30);
        let (lock, key) = read(media, Srtp::Required, ANSWER);
        assert_eq!(lock.line, Some((6, Suite::AeadAes128Gcm)));
        assert_eq!(key.unwrap().expose().len(), 28);
        assert!(read(media, Srtp::Off, OFFER).1.is_none());
    }

    #[test]
    fn no_two_keys_of_ours_are_alike() {
        let mut seen = std::collections::HashSet::new();
        let secret = &[7; 16];
        for random in [1, 2] {
            for stream in 0..2 {
                for round in 0..3 {
                    let source = Source { secret, random, stream, round };
                    for suite in Suite::ALL {
                        let key = source.key(suite);
                        assert_eq!(key, source.key(suite));
                        assert!(seen.insert(key.expose()[..16].to_vec()), "a key is there twice");
                    }
                }
            }
        }
    }
}
