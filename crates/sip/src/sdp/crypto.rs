//! Keys of a medium (`a=crypto`, RFC 4568): read into fixed places, and written.
//!
//! ```text
//!  a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20
//! ```
//!
//! A line is used whole or not at all. One with a master key identifier, with more than one key, or with a
//! session parameter that changes what is protected is passed over, as one of an unknown suite is by whoever
//! asks for it. The lifetime of a key is read over: no call is as long as 2^31 packets.

use core::fmt;

use super::{Change, Media};
use crate::room::decimal;
use crate::scan;

/// Bytes of the longest key with its salt that is read: AES-256 and 112 bits (RFC 6188).
pub const KEY_BYTES_MAX: usize = 46;

/// Characters of it in base64.
const TEXT_BYTES_MAX: usize = KEY_BYTES_MAX.div_ceil(3) * 4;

/// One line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Names the line: an answer repeats it.
    pub tag: u32,
    /// As it stands, such as `AEAD_AES_128_GCM`.
    pub suite: &'a [u8],
    key: [u8; KEY_BYTES_MAX],
    key_bytes: usize,
}

impl<'a> Crypto<'a> {
    /// What stands behind `a=crypto:`. `None`: it cannot be used.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = value.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let (tag, suite, keys) = (words.next()?, words.next()?, words.next()?);
        // A tag has nine digits at most (§9.1).
        let tag = scan::number(tag, 999_999_999)?;
        // The size of a window is advice; all others say what else to protect, or how (§6.3).
        if !words.all(|word| word.starts_with(b"WSH=")) {
            return None;
        }
        let inline = keys.strip_prefix(b"inline:")?;
        let mut parts = inline.split(|&byte| byte == b'|');
        let (key, key_bytes) = decode(parts.next()?)?;
        let is_lifetime = |part: &[u8]| !part.is_empty() && !part.contains(&b':');
        let is_whole = parts.next().is_none_or(is_lifetime) && parts.next().is_none();
        // Several keys are parted by semicolons, which are no base64.
        is_whole.then_some(Self { tag, suite, key, key_bytes })
    }

    /// The key with its salt behind it.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.get(..self.key_bytes).unwrap_or_default()
    }
}

/// Never the key.
impl fmt::Debug for Crypto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {})", self.tag, self.suite.escape_ascii())
    }
}

impl<'a> Media<'a> {
    /// The keys that the describer offers or took, in their order; lines that cannot be used are left out.
    pub fn cryptos(&self) -> impl Iterator<Item = Crypto<'a>> + use<'a> {
        self.attributes().filter_map(|attribute| Crypto::parse(attribute.strip_prefix(b"crypto:")?))
    }
}

impl Change {
    /// Adds a key of ours. One that is longer than [`KEY_BYTES_MAX`] makes no description.
    pub fn add_crypto(&mut self, tag: u32, suite: &[u8], key: &[u8]) {
        let (mut digits, mut text) = ([0; 20], [0; TEXT_BYTES_MAX]);
        let text = encode(key, &mut text);
        let tag = decimal(tag.into(), &mut digits);
        self.add_line(&[b"crypto:", tag, b" ", suite, b" inline:", text]);
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648 §4), its padding there or not. `None`: it is none, or too long.
fn decode(text: &[u8]) -> Option<([u8; KEY_BYTES_MAX], usize)> {
    let (mut out, mut length) = ([0; KEY_BYTES_MAX], 0_usize);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &byte in text {
        let value = ALPHABET.iter().position(|&letter| letter == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held = held.saturating_add(6);
        if held >= 8 {
            held = held.saturating_sub(8);
            *out.get_mut(length)? = bits.checked_shr(held)?.to_le_bytes()[0];
            length = length.saturating_add(1);
        }
    }
    // A single letter behind the last whole byte says nothing.
    (held < 6).then_some((out, length))
}

fn encode<'o>(key: &[u8], out: &'o mut [u8; TEXT_BYTES_MAX]) -> &'o [u8] {
    let mut length = 0_usize;
    let mut push = |letter: u8| {
        if let Some(place) = out.get_mut(length) {
            *place = letter;
        }
        length = length.saturating_add(1);
    };
    for chunk in key.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18_u32, 12, 6, 0].into_iter().enumerate() {
            let value = usize::try_from(bits >> shift & 63).unwrap_or(0);
            let letter = ALPHABET.get(value).copied().unwrap_or(b'=');
            push(if at <= chunk.len() { letter } else { b'=' });
        }
    }
    out.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn a_line_is_read_and_written_back() {
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
        let crypto = Crypto::parse(line.as_bytes()).unwrap();
        assert_eq!((crypto.tag, crypto.suite), (1, &b"AES_CM_128_HMAC_SHA1_80"[..]));
        assert_eq!(crypto.key(), b"YS___semctl () {\t220;}\n}\nunles");
        let mut text = [0; TEXT_BYTES_MAX];
        assert_eq!(encode(crypto.key(), &mut text), KEY.as_bytes());
        assert_eq!(format!("{crypto:?}"), "Crypto(1 AES_CM_128_HMAC_SHA1_80)");
    }

    #[test]
    fn keys_of_every_length_come_back_padded_or_not() {
        for length in 0..=KEY_BYTES_MAX {
            let key: Vec<u8> = (0..length as u8).map(|at| at.wrapping_mul(151)).collect();
            let mut text = [0; TEXT_BYTES_MAX];
            let text = encode(&key, &mut text);
            assert_eq!(text.len() % 4, 0);
            for text in [text, text.trim_ascii_end().strip_suffix(b"=").unwrap_or(text)] {
                let (read, bytes) = decode(text).unwrap();
                assert_eq!(&read[..bytes], &key, "{length}");
            }
        }
        assert_eq!(decode(&[b'A'; TEXT_BYTES_MAX + 4]), None);
        assert_eq!(decode(b"A"), None);
        assert_eq!(decode(b"AA!A"), None);
    }

    #[test]
    fn lines_that_say_more_than_we_do_are_passed_over() {
        for (rest, is_used) in [
            ("", true),
            ("|2^20", true),
            ("|1000000", true),
            (" WSH=128", true),
            ("|2^20|1:4", false),
            ("|1:4", false),
            ("|", false),
            (";inline:AAAA", false),
            (" UNENCRYPTED_SRTP", false),
            (" UNENCRYPTED_SRTCP", false),
            (" KDR=1", false),
            (" FEC_ORDER=FEC_SRTP", false),
        ] {
            let line = format!("7 AEAD_AES_128_GCM inline:{KEY}{rest}");
            assert_eq!(Crypto::parse(line.as_bytes()).is_some(), is_used, "{rest}");
        }
        for line in ["", "1", "1 X", "1 X uri:a", "x X inline:AAAA", "9999999999 X inline:AAAA"] {
            assert!(Crypto::parse(line.as_bytes()).is_none(), "{line}");
        }
    }
}
