//! Changes by chance: enough to walk away from a seed without any guide.

use rand::Rng;

/// Words that parsers look for.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"\0",
    b"@",
    b"INVITE ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"REGISTER ",
    b"OPTIONS ",
    b"PRACK ",
    b"UPDATE ",
    b"SIP/2.0 ",
    b"SIP/2.0 200 OK",
    b"Via: SIP/2.0/UDP ",
    b"v:",
    b"Content-Length: ",
    b"l: 0",
    b"Max-Forwards: 0",
    b";branch=z9hG4bK",
    b";tag=",
    b";rport",
    b";lr",
    b"sip:",
    b"sips:",
    b"tel:",
    b"[::1]",
    b"4294967296",
    b"18446744073709551616",
    b"-1",
    b"m=audio 0 RTP/AVP 0",
    b"c=IN IP4 0.0.0.0",
    b"a=sendonly",
    b"RTP/SAVP",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n",
    b"*",
];

/// Changes `bytes` in one to eight places; at most `bytes_max` of them remain.
pub fn mutate(random: &mut impl Rng, bytes: &mut Vec<u8>, other: &[u8], bytes_max: usize) {
    for _ in 0..random.random_range(1..=8) {
        let place = random.random_range(0..=bytes.len());
        match random.random_range(0..8) {
            0 => flip(random, bytes),
            1 => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = random.random();
                }
            }
            2 => bytes.insert(place, random.random()),
            3 => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                bytes.splice(place..place, word.iter().copied());
            }
            4 => {
                let end = (place + random.random_range(0..=16)).min(bytes.len());
                bytes.drain(place..end);
            }
            5 => {
                let end = (place + random.random_range(0..=64)).min(bytes.len());
                let copy = bytes[place..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
            6 => {
                let from = random.random_range(0..=other.len());
                let end = (from + random.random_range(0..=64)).min(other.len());
                bytes.splice(place..place, other[from..end].iter().copied());
            }
            _ => bytes.truncate(place),
        }
    }
    bytes.truncate(bytes_max);
}

fn flip(random: &mut impl Rng, bytes: &mut [u8]) {
    let length = bytes.len();
    if length > 0
        && let Some(byte) = bytes.get_mut(random.random_range(0..length))
    {
        *byte ^= 1 << random.random_range(0..8);
    }
}
