//! Keys pressed during a call, as bodies of INFO: `application/dtmf-relay` and `application/dtmf`.
//!
//! Neither was ever standardised; these are the forms that gateways and phones send. A key is its
//! ASCII letter; numbers from 10 on are the events of RFC 4733 §3.2.

use crate::message::Message;
use crate::room::Room;
use crate::scan;

/// Content-Type of `Signal=5` and `Duration=160` on lines of their own.
pub const RELAY: &[u8] = b"application/dtmf-relay";
/// Content-Type of the key alone.
pub const BARE: &[u8] = b"application/dtmf";

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// `0` to `9`, `*`, `#`, `A` to `D`; `!` is a hook flash.
    pub key: u8,
    /// How long it was pressed; not every peer says.
    pub duration_ms: Option<u32>,
}

impl Tone {
    /// The key of an INFO. `None`: its body is of another type, or holds no key.
    #[must_use]
    pub fn read(info: &Message<'_>) -> Option<Self> {
        if info.content_is(RELAY) {
            Self::parse_relay(info.body())
        } else if info.content_is(BARE) {
            Self::parse_bare(info.body())
        } else {
            None
        }
    }

    /// Reads `application/dtmf-relay`: lines in any order, unknown ones passed over.
    #[must_use]
    pub fn parse_relay(body: &[u8]) -> Option<Self> {
        let (mut key, mut duration_ms) = (None, None);
        for line in body.split(|byte| matches!(byte, b'\r' | b'\n')) {
            let pair = scan::split_once(line, b'=').or_else(|| scan::split_once(line, b':'));
            let Some((name, value)) = pair else { continue };
            let (name, value) = (scan::trim(name), scan::trim(value));
            if name.eq_ignore_ascii_case(b"Signal") {
                key = Some(read_key(value)?);
            } else if name.eq_ignore_ascii_case(b"Duration") {
                duration_ms = scan::number(value, u32::MAX);
            }
        }
        Some(Self { key: key?, duration_ms })
    }

    /// Reads `application/dtmf`: a key, or what the other type would hold.
    #[must_use]
    pub fn parse_bare(body: &[u8]) -> Option<Self> {
        let bare = read_key(scan::trim(body)).map(|key| Self { key, duration_ms: None });
        bare.or_else(|| Self::parse_relay(body))
    }

    /// Writes `application/dtmf-relay` for [`crate::Writer::body_with`]; `None` when it does not fit.
    #[must_use]
    pub fn write_relay(&self, out: &mut [u8]) -> Option<usize> {
        let mut room = Room::new(out);
        room.push(b"Signal=");
        room.push(&[self.key]);
        if let Some(duration_ms) = self.duration_ms {
            room.push(b"\r\nDuration=");
            room.decimal(duration_ms.into());
        }
        room.push(b"\r\n");
        room.written()
    }

    /// Writes `application/dtmf` for [`crate::Writer::body_with`]; `None` when it does not fit.
    #[must_use]
    pub fn write_bare(&self, out: &mut [u8]) -> Option<usize> {
        let mut room = Room::new(out);
        room.push(&[self.key]);
        room.written()
    }
}

/// A key by its letter, its number or its name.
fn read_key(text: &[u8]) -> Option<u8> {
    match text {
        [key @ (b'0'..=b'9' | b'*' | b'#' | b'!')] => Some(*key),
        [key @ (b'A'..=b'D' | b'a'..=b'd')] => Some(key.to_ascii_uppercase()),
        b"10" | b"star" => Some(b'*'),
        b"11" | b"pound" => Some(b'#'),
        b"12" => Some(b'A'),
        b"13" => Some(b'B'),
        b"14" => Some(b'C'),
        b"15" => Some(b'D'),
        b"16" | b"hf" => Some(b'!'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_peers_send_are_read() {
        let tone = |key, duration_ms| Some(Tone { key, duration_ms });
        for (body, expected) in [
            ("Signal=5\r\nDuration=160\r\n", tone(b'5', Some(160))),
            ("Signal= *\r\nDuration= 250", tone(b'*', Some(250))),
            ("duration=100\nsignal=11\n", tone(b'#', Some(100))),
            ("Signal: d\nX: y\n", tone(b'D', None)),
            ("Signal=16\r\nDuration=never\r\n", tone(b'!', None)),
            ("Duration=160", None),
            ("Signal=55\r\n", None),
            ("Signal=5\r\nSignal=\r\n", None),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(Tone::parse_relay(body.as_bytes()), expected, "{body:?}");
        }
        for (body, expected) in [
            ("7", tone(b'7', None)),
            (" 10\r\n", tone(b'*', None)),
            ("Signal=1\r\nDuration=9", tone(b'1', Some(9))),
            ("e", None),
            ("", None),
        ] {
            assert_eq!(Tone::parse_bare(body.as_bytes()), expected, "{body:?}");
        }
    }

    #[test]
    fn a_key_is_written_and_read_back() {
        for key in *b"0123456789*#ABCD!" {
            for duration_ms in [None, Some(u32::MAX)] {
                let tone = Tone { key, duration_ms };
                let mut out = [0; 64];
                let length = tone.write_relay(&mut out).unwrap();
                assert_eq!(Tone::parse_relay(&out[..length]), Some(tone));
                assert_eq!(tone.write_relay(&mut out[..length - 1]), None);
                let length = tone.write_bare(&mut out).unwrap();
                assert_eq!(Tone::parse_bare(&out[..length]).unwrap().key, key);
            }
        }
        assert_eq!(Tone { key: b'1', duration_ms: None }.write_bare(&mut []), None);
    }

    #[test]
    fn the_type_says_how_to_read() {
        let read = |content_type: &str, body: &str| {
            let text = format!(
                "INFO sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: sip:b;tag=1\r\nTo: sip:c\r\n\
                Call-ID: x\r\nCSeq: 1 INFO\r\nContent-Type: {content_type}\r\n\r\n{body}"
            );
            Tone::read(&Message::parse(text.as_bytes()).unwrap()).map(|tone| tone.key)
        };
        assert_eq!(read("application/dtmf-relay", "Signal=3"), Some(b'3'));
        assert_eq!(read("Application/DTMF;x=y", "3"), Some(b'3'));
        assert_eq!(read("text/plain", "3"), None);
    }
}
