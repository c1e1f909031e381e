//! Short texts that stand in a message: URIs of ours.

use std::net::SocketAddr;

/// Writes the user part of a URI: what has a meaning there is escaped (§25.1 `user`).
pub(crate) fn push_user<const N: usize>(out: &mut Line<N>, user: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in user {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
        if is_plain {
            out.push(&[byte]);
        } else {
            out.push(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// A short text under construction; what does not fit is lost, and seen at [`Line::text`].
pub(crate) struct Line<const N: usize> {
    bytes: [u8; N],
    length: usize,
    whole: bool,
}

impl<const N: usize> Line<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], length: 0, whole: true }
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> &mut Self {
        match self.bytes.get_mut(self.length..self.length + text.len()) {
            Some(place) => {
                place.copy_from_slice(text);
                self.length += text.len();
            }
            None => self.whole = false,
        }
        self
    }

    /// The text, if all of it fitted.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        self.whole.then(|| &self.bytes[..self.length])
    }
}

impl<const N: usize> core::fmt::Write for Line<N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Whose address a URI of ours is.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Address(SocketAddr),
    Domain(&'a [u8]),
}

impl From<SocketAddr> for At<'_> {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

/// `sip:user@host`, or `sip:user@host:port` where the port is not the usual one.
pub(crate) fn uri<'a>(user: &[u8], at: impl Into<At<'a>>) -> Line<200> {
    use core::fmt::Write;
    let mut line = Line::new();
    line.push(b"sip:");
    push_user(&mut line, if user.is_empty() { b"anonymous" } else { user });
    line.push(b"@");
    let host = match at.into() {
        At::Domain(name) => {
            line.push(name);
            return line;
        }
        At::Address(host) => host,
    };
    let written = match (host.port(), host) {
        (5060, SocketAddr::V4(host)) => write!(line, "{}", host.ip()),
        (5060, SocketAddr::V6(host)) => write!(line, "[{}]", host.ip()),
        (port, SocketAddr::V6(host)) => write!(line, "[{}]:{port}", host.ip()),
        (_, SocketAddr::V4(host)) => write!(line, "{host}"),
    };
    // Writing into a line never fails; what does not fit shows in its text.
    let _ = written;
    line
}

/// The same with `;user=phone` where the user is a number (RFC 3261 §19.1.1).
pub(crate) fn number_uri<'a>(user: &[u8], at: impl Into<At<'a>>) -> Line<200> {
    let mut line = uri(user, at);
    if is_number(user) {
        line.push(b";user=phone");
    }
    line
}

/// Whether a user is a telephone number: digits, perhaps behind a plus sign, with `*` and `#`.
pub(crate) fn is_number(user: &[u8]) -> bool {
    let digits = user.strip_prefix(b"+").unwrap_or(user);
    digits.iter().any(u8::is_ascii_digit)
        && digits.iter().all(|byte| byte.is_ascii_digit() || b"*#".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_escapes_what_would_change_its_meaning() {
        for (user, host, expected) in [
            (&b"12345"[..], "10.0.0.1:5060", "sip:12345@10.0.0.1"),
            (b"+1#2@3\r\n", "10.0.0.1:5070", "sip:+1%232%403%0D%0A@10.0.0.1:5070"),
            (b"", "[fd10::1]:5060", "sip:anonymous@[fd10::1]"),
            (b"7", "[fd10::1]:5061", "sip:7@[fd10::1]:5061"),
        ] {
            let line = uri(user, host.parse::<SocketAddr>().unwrap());
            assert_eq!(line.text().unwrap(), expected.as_bytes());
            assert!(sip::Uri::parse(line.text().unwrap()).is_some());
        }
    }

    #[test]
    fn a_number_says_that_it_is_one_and_a_name_does_not() {
        for (user, expected) in [
            (&b"12345"[..], "sip:12345@a.example;user=phone"),
            (b"+12345", "sip:+12345@a.example;user=phone"),
            (b"*21#", "sip:*21%23@a.example;user=phone"),
            (b"alice", "sip:alice@a.example"),
            (b"1-2", "sip:1-2@a.example"),
            (b"+", "sip:+@a.example"),
            (b"", "sip:anonymous@a.example"),
        ] {
            let line = number_uri(user, At::Domain(b"a.example"));
            assert_eq!(line.text().unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn a_line_that_lost_a_part_has_no_text() {
        let mut line = Line::<4>::new();
        assert_eq!(line.push(b"abcd").text(), Some(&b"abcd"[..]));
        assert_eq!(line.push(b"e").text(), None);
    }
}
