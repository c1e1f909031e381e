//! Short texts that stand in a message: URIs of ours.

use std::net::SocketAddr;

/// Writes the user part of a URI: what has a meaning there is escaped (§25.1 `user`).
fn push_user<const N: usize>(out: &mut Line<N>, user: &[u8]) {
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

/// `sip:user@host`, or `sip:user@host:port` where the port is not the usual one.
pub(crate) fn uri(user: &[u8], host: SocketAddr) -> Line<200> {
    use core::fmt::Write;
    let mut line = Line::new();
    line.push(b"sip:");
    push_user(&mut line, if user.is_empty() { b"anonymous" } else { user });
    line.push(b"@");
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
            let line = uri(user, host.parse().unwrap());
            assert_eq!(line.text().unwrap(), expected.as_bytes());
            assert!(sip::Uri::parse(line.text().unwrap()).is_some());
        }
    }

    #[test]
    fn a_line_that_lost_a_part_has_no_text() {
        let mut line = Line::<4>::new();
        assert_eq!(line.push(b"abcd").text(), Some(&b"abcd"[..]));
        assert_eq!(line.push(b"e").text(), None);
    }
}
