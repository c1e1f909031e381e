//! What `sip.h` and `signature.h` read of a datagram, in Rust, with the same bounds: for the twin.

use crate::Meter;
use crate::abi::AGENT_BYTES;

const LEADING_LINE_ENDS_MAX: usize = 8;
const METHOD_BYTES_MAX: usize = 32;
const HEAD_WORDS_MAX: usize = 256;
const BLANKS_MAX: usize = 16;
const TAG_WITHIN: usize = 256;
/// `;tag=`, the last byte lowest.
const TAG_NAME: u64 = 0x3b_7461_673d;
const TAG_NAME_MASK: u64 = 0xff_ffff_ffff;
/// Above the bytes: in a display name between quotes, behind its backslash, in the address between brackets.
const TAG_QUOTED: u64 = 1 << 56;
const TAG_ESCAPED: u64 = 1 << 57;
const TAG_INSIDE: u64 = 1 << 58;

fn is_blank(byte: u8) -> bool {
    b" \t\r\n".contains(&byte)
}

/// `sip_tag_name`.
fn tag_name(read: u64, byte: u8) -> u64 {
    match byte {
        _ if read & TAG_ESCAPED != 0 => TAG_QUOTED,
        b'\\' if read & TAG_QUOTED != 0 => TAG_QUOTED | TAG_ESCAPED,
        b'"' if read & TAG_QUOTED != 0 => 0,
        _ if read & TAG_QUOTED != 0 => TAG_QUOTED,
        b'>' if read & TAG_INSIDE != 0 => 0,
        _ if read & TAG_INSIDE != 0 => TAG_INSIDE,
        b'"' => TAG_QUOTED,
        b'<' => TAG_INSIDE,
        _ if is_blank(byte) && b";g=".contains(&(read as u8)) => read,
        _ => (read << 8 | u64::from(byte.to_ascii_lowercase())) & TAG_NAME_MASK,
    }
}

const TAG_BYTES: usize = 32;
const WORD: usize = 8;

/// A datagram behind the line ends before its start line.
pub(crate) struct Read<'m> {
    message: &'m [u8],
}

impl<'m> Read<'m> {
    /// And what it asks for: `None` if it is no SIP at all. Up to four bytes are a keep-alive.
    pub(crate) fn new(payload: &'m [u8]) -> Option<(Self, Meter)> {
        let mut message = payload;
        for _ in 0..LEADING_LINE_ENDS_MAX {
            let Some(rest) = message.strip_prefix(b"\r\n") else { break };
            message = rest;
        }
        let meter = if message.len() <= 4 {
            Meter::Other
        } else if message.starts_with(b"OPTIONS ") {
            Meter::Options
        } else if message.starts_with(b"INVITE ") && message.len() >= WORD {
            Meter::Invite
        } else if message.starts_with(b"REGISTER ") {
            Meter::Register
        } else if is_start_line(message) {
            Meter::Other
        } else {
            return None;
        };
        // Nothing is looked for in less than a word.
        Some((Self { message: if message.len() < WORD { b"" } else { message } }, meter))
    }

    /// The first word of User-Agent or Server, as the driver compares it.
    pub(crate) fn agent(&self) -> Option<[u8; AGENT_BYTES]> {
        let value = self.find(|line| {
            if line[..WORD].eq_ignore_ascii_case(b"user-age") {
                let rest = line.get(WORD..WORD + 2)?;
                rest.eq_ignore_ascii_case(b"nt").then_some(WORD + 2)
            } else {
                line[..6].eq_ignore_ascii_case(b"server").then_some(6)
            }
        })?;
        let ends = |byte: &u8| *byte <= b' ' || *byte >= 127 || b"/(,;".contains(byte);
        let mut agent = [0; AGENT_BYTES];
        for (place, byte) in agent.iter_mut().zip(value.iter().take_while(|byte| !ends(byte))) {
            *place = byte.to_ascii_lowercase();
        }
        Some(agent)
    }

    /// Whether To has a tag.
    pub(crate) fn has_tag(&self) -> bool {
        self.tag(b"to", b't').is_some()
    }

    /// The halves of a tag that we may have given: in To of a request, in From of an answer.
    pub(crate) fn token(&self) -> Option<[u64; 2]> {
        let tag = if self.message.starts_with(b"SIP/2.0 ") {
            self.tag(b"from", b'f')?
        } else {
            self.tag(b"to", b't')?
        };
        let (digits, behind) = tag.split_at_checked(TAG_BYTES)?;
        if is_token(behind.first()?) {
            return None;
        }
        let mut halves = [0; 2];
        for (half, digits) in halves.iter_mut().zip(digits.chunks_exact(TAG_BYTES / 2)) {
            for &digit in digits {
                // Lower case alone, as we write it.
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *half = *half << 4 | u64::from(value);
            }
        }
        Some(halves)
    }

    /// The message from the tag of that header on.
    fn tag(&self, name: &[u8], compact: u8) -> Option<&'m [u8]> {
        let value = self.find(|line| {
            if line[..name.len()].eq_ignore_ascii_case(name) {
                return Some(name.len());
            }
            (line[0] | 0x20 == compact && b": \t".contains(&line[1])).then_some(1)
        })?;
        let mut read = 0_u64;
        for at in 0..TAG_WITHIN {
            let near = value.get(at..at + 2)?;
            if near[0] == b'\n' && !b" \t".contains(&near[1]) {
                return None;
            }
            if read == TAG_NAME && !is_blank(near[0]) {
                return Some(&value[at..]);
            }
            read = tag_name(read, near[0]);
        }
        None
    }

    /// The rest of the message from the value on of the first header whose line, a word or more of it, begins
    /// with a name that is `wanted`: so many bytes.
    fn find(&self, wanted: impl Fn(&[u8]) -> Option<usize>) -> Option<&'m [u8]> {
        let mut at = 0;
        for _ in 0..HEAD_WORDS_MAX {
            let word = self.message.get(at..at + WORD)?;
            let Some(feed) = word.iter().position(|&byte| byte == b'\n') else {
                at += WORD;
                continue;
            };
            at += feed + 1;
            let line = self.message.get(at..).filter(|line| line.len() >= WORD)?;
            if line[0] == b'\r' {
                return None;
            }
            if let Some(value) = wanted(line).and_then(|name| value(&line[name..])) {
                return Some(value);
            }
        }
        None
    }
}

/// What follows the colon and the blanks and folds around it.
fn value(behind: &[u8]) -> Option<&[u8]> {
    let mut colon = false;
    for (at, byte) in behind.iter().take(BLANKS_MAX).enumerate() {
        match byte {
            b':' if !colon => colon = true,
            b' ' | b'\t' => {}
            b'\r' | b'\n' if colon => {}
            _ => return colon.then(|| &behind[at..]),
        }
    }
    None
}

/// A token and a space; the slash of an answer's version is taken for a letter.
fn is_start_line(message: &[u8]) -> bool {
    let is_part = |byte: &u8| is_token(byte) || *byte == b'/';
    let token = message.iter().take(METHOD_BYTES_MAX).take_while(|byte| is_part(byte)).count();
    token > 0 && token < METHOD_BYTES_MAX && message.get(token) == Some(&b' ')
}

/// A character of a token (RFC 3261 §25.1).
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte)
}
