//! A SIP message as pieces: what is copied, and what differs from call to call.
//!
//! Addresses are found wherever they are written, ports beside them, identities where the grammar has them:
//! Call-ID, the tags, branches and the call named by Replaces (RFC 3261 §7.3, RFC 3891). In a description the
//! port of a medium belongs to the address of its `c=` line (RFC 8866 §5.14), and so do those of `a=rtcp`
//! (RFC 3605) and of candidates (RFC 8839).

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::address::Readdress;

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Copied.
    Kept(Range<usize>),
    /// An address without a port.
    Host(IpAddr),
    /// An address and its port, as `1.2.3.4:5` or `[::1]:5`.
    End(SocketAddr),
    /// A port, whose address is written elsewhere.
    Port(SocketAddr),
    /// An identity, copied with the call's mark behind it.
    Identity(Range<usize>),
    /// How long the body is.
    Length,
}

/// A message in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    head: Vec<Piece>,
    body: Vec<Piece>,
    /// Addresses with ports for media, as its description says.
    media: Vec<SocketAddr>,
}

/// Bytes that are written, or only counted.
pub(crate) struct Room<'b> {
    bytes: &'b mut [u8],
    at: usize,
}

impl<'b> Room<'b> {
    pub(crate) fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How much was written; `None`: more than there is room for.
    pub(crate) fn written(&self) -> Option<usize> {
        (self.at <= self.bytes.len()).then_some(self.at)
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(bytes);
        }
        self.at = end;
    }
}

impl fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

impl Text {
    /// Takes a message to pieces.
    pub(crate) fn parse(message: &[u8]) -> Self {
        let blank = |end: &[u8]| {
            let at = message.windows(end.len()).position(|window| window == end)?;
            Some(at + end.len())
        };
        let body_at = blank(b"\r\n\r\n").or_else(|| blank(b"\n\n")).unwrap_or(message.len());
        let mut head = Scan::new(message, 0);
        for line in lines(message, 0..body_at) {
            head.header(line);
        }
        let mut body = Scan::new(message, body_at);
        body.description(&lines(message, body_at..message.len()).collect::<Vec<_>>());
        let (head, _) = head.finish(body_at);
        let (body, media) = body.finish(message.len());
        Self { head, body, media }
    }

    /// Where its description wants media.
    pub(crate) fn media(&self) -> &[SocketAddr] {
        &self.media
    }

    /// Writes it for other addresses, each identity with `mark` behind it.
    pub(crate) fn write(
        &self,
        message: &[u8],
        to: &impl Readdress,
        mark: &[u8],
        room: &mut Room<'_>,
    ) {
        let mut counted = Room::new(&mut []);
        put(&self.body, message, to, mark, 0, &mut counted);
        put(&self.head, message, to, mark, counted.at, room);
        put(&self.body, message, to, mark, 0, room);
    }
}

fn put(
    pieces: &[Piece],
    message: &[u8],
    to: &impl Readdress,
    mark: &[u8],
    body_bytes: usize,
    room: &mut Room<'_>,
) {
    for piece in pieces {
        // A room takes whatever is written.
        let _ = match piece {
            Piece::Kept(range) => {
                room.put(message.get(range.clone()).unwrap_or_default());
                Ok(())
            }
            Piece::Identity(range) => {
                room.put(message.get(range.clone()).unwrap_or_default());
                room.put(mark);
                Ok(())
            }
            Piece::Host(host) => write!(room, "{}", to.host(*host)),
            Piece::End(end) => write!(room, "{}", to.end(*end)),
            Piece::Port(end) => write!(room, "{}", to.end(*end).port()),
            Piece::Length => write!(room, "{body_bytes}"),
        };
    }
}

/// Lines with their ends.
fn lines(message: &[u8], within: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        let rest = message.get(at..within.end).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        let line = at..at + length;
        at = line.end;
        Some(line)
    })
}

/// Pieces of one part of a message, as they are found.
struct Scan<'m> {
    message: &'m [u8],
    pieces: Vec<Piece>,
    /// What is before this is in pieces.
    done: usize,
    media: Vec<SocketAddr>,
}

impl<'m> Scan<'m> {
    fn new(message: &'m [u8], from: usize) -> Self {
        Self { message, pieces: Vec::new(), done: from, media: Vec::new() }
    }

    fn finish(mut self, end: usize) -> (Vec<Piece>, Vec<SocketAddr>) {
        if self.done < end {
            self.pieces.push(Piece::Kept(self.done..end));
        }
        (self.pieces, self.media)
    }

    /// What lies at `range` becomes this piece.
    fn found(&mut self, range: Range<usize>, piece: Piece) {
        if range.start > self.done {
            self.pieces.push(Piece::Kept(self.done..range.start));
        }
        self.done = range.end;
        self.pieces.push(piece);
    }

    fn bytes(&self, range: &Range<usize>) -> &'m [u8] {
        self.message.get(range.clone()).unwrap_or_default()
    }

    /// The range without blanks at its ends.
    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let bytes = self.bytes(&range);
        let front = bytes.len() - bytes.trim_ascii_start().len();
        range.start + front..range.start + front + bytes.trim_ascii().len()
    }

    fn header(&mut self, line: Range<usize>) {
        let text = self.bytes(&line);
        let colon = text.iter().position(|&byte| byte == b':');
        let name = colon.map_or(&[][..], |at| text.get(..at).unwrap_or_default()).trim_ascii_end();
        let value = line.start + colon.map_or(0, |at| at + 1)..line.end;
        let is = |names: [&str; 2]| {
            names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
        };
        if is(["Content-Length", "l"]) {
            let value = self.trimmed(value);
            if !value.is_empty() {
                self.found(value, Piece::Length);
            }
        } else if is(["Call-ID", "i"]) {
            let value = self.trimmed(value);
            if !value.is_empty() {
                self.found(value.clone(), Piece::Identity(value));
            }
        } else if is(["Replaces", "Join"]) {
            let value = self.trimmed(value);
            let text = self.bytes(&value);
            let length = text.iter().position(|&byte| byte == b';').unwrap_or(text.len());
            let named = value.start..value.start + length;
            self.found(named.clone(), Piece::Identity(named));
            self.words(value.start + length..line.end);
        } else {
            self.words(line);
        }
    }

    /// Addresses and identities anywhere in a line.
    fn words(&mut self, line: Range<usize>) {
        let mut at = line.start;
        while at < line.end {
            let rest = at..line.end;
            let begins = at == line.start
                || !self.message.get(at - 1).is_some_and(|&byte| is_word(byte) || byte == b'.');
            if !begins {
                at += 1;
            } else if let Some(value) = self.identity(rest.clone()) {
                at = value.end;
                self.found(value.clone(), Piece::Identity(value));
            } else if let Some((range, piece)) = self.address(rest) {
                at = range.end;
                self.found(range, piece);
            } else {
                at += 1;
            }
        }
    }

    /// The value of a parameter that names a dialog or transaction, if one begins here.
    fn identity(&self, rest: Range<usize>) -> Option<Range<usize>> {
        const NAMES: [&[u8]; 4] = [b"tag=", b"branch=", b"to-tag=", b"from-tag="];
        // A parameter has something in front of it.
        if !matches!(self.message.get(rest.start.checked_sub(1)?)?, b';' | b' ' | b'\t' | b'&') {
            return None;
        }
        let text = self.bytes(&rest);
        let fits = |name: &&&[u8]| {
            text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        let value = rest.start + NAMES.iter().find(fits)?.len();
        let length =
            self.bytes(&(value..rest.end)).iter().position(|byte| b";,>\"&? \t\r\n".contains(byte));
        let length = length.unwrap_or(rest.end - value);
        (length > 0).then_some(value..value + length)
    }

    /// An address that begins here, with its port if one is beside it.
    fn address(&self, rest: Range<usize>) -> Option<(Range<usize>, Piece)> {
        let text = self.bytes(&rest);
        let bracket = usize::from(text.first() == Some(&b'['));
        let inside = text.get(bracket..)?;
        let is_part = |byte: &u8| {
            byte.is_ascii_digit()
                || *byte == b'.'
                || (bracket == 1 && (byte.is_ascii_hexdigit() || *byte == b':'))
        };
        let length = inside.iter().position(|byte| !is_part(byte)).unwrap_or(inside.len());
        let mut host = parse(inside.get(..length)?);
        let mut end = bracket + length;
        if bracket == 1 {
            (text.get(end) == Some(&b']')).then_some(())?;
            end += 1;
        } else if host.is_none() {
            // IPv6 without brackets, as descriptions and `received` have it.
            let is_part = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':' || *byte == b'.';
            end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
            host = parse(text.get(..end)?).filter(IpAddr::is_ipv6);
        }
        let host = host?;
        if text.get(end).is_some_and(|&byte| is_word(byte)) {
            return None;
        }
        if text.get(end) == Some(&b':') && (host.is_ipv4() || bracket == 1) {
            let digits = text.get(end + 1..)?;
            let length =
                digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
            if let Some(port) = parse(digits.get(..length)?) {
                let range = rest.start..rest.start + end + 1 + length;
                return Some((range, Piece::End(SocketAddr::new(host, port))));
            }
        }
        // What brackets there are stay.
        let begin = rest.start + bracket;
        Some((begin..rest.start + end - bracket, Piece::Host(host)))
    }

    /// A description's lines; a body of another kind has none that look like these.
    fn description(&mut self, lines: &[Range<usize>]) {
        let starts = |line: &Range<usize>, with: &[u8]| self.bytes(line).starts_with(with);
        let connection = |lines: &[Range<usize>]| {
            let own = lines.iter().take_while(|line| !starts(line, b"m="));
            own.filter(|line| starts(line, b"c=")).find_map(|line| self.last_word(line))
        };
        let session = connection(lines);
        // The address of each line's medium.
        let mut host = session;
        let hosts: Vec<Option<IpAddr>> = (0..lines.len())
            .map(|place| {
                if lines.get(place).is_some_and(|line| starts(line, b"m=")) {
                    host = connection(lines.get(place + 1..).unwrap_or_default()).or(session);
                }
                host
            })
            .collect();
        for (line, host) in lines.iter().zip(hosts) {
            self.line(line.clone(), host);
        }
    }

    /// The address at the end of `c=IN IP4 1.2.3.4/127`.
    fn last_word(&self, line: &Range<usize>) -> Option<IpAddr> {
        let word = self.bytes(line).trim_ascii_end().rsplit(|&byte| byte == b' ').next()?;
        parse(word.split(|&byte| byte == b'/').next()?)
    }

    fn line(&mut self, line: Range<usize>, host: Option<IpAddr>) {
        let text = self.bytes(&line);
        if text.starts_with(b"m=") {
            let port = self.word(&line, 1);
            self.port(port, host);
        } else if text.starts_with(b"a=rtcp:") {
            let port = line.start + 7..self.word(&line, 0).end;
            let own = self.word(&line, 3);
            let host = parse(self.bytes(&own)).or(host);
            self.port(port, host);
            self.words(self.done.max(line.start)..line.end);
        } else if text.starts_with(b"a=candidate:") {
            let (at, port) = (self.word(&line, 4), self.word(&line, 5));
            let host: Option<IpAddr> = parse(self.bytes(&at));
            if let Some(host) = host {
                self.found(at, Piece::Host(host));
                self.port(port, Some(host));
            }
            self.words(self.done.max(line.start)..line.end);
        } else if text.starts_with(b"c=") || text.starts_with(b"o=") || text.starts_with(b"a=") {
            self.words(line);
        }
    }

    /// The word of a line with this number.
    fn word(&self, line: &Range<usize>, number: usize) -> Range<usize> {
        let text = self.bytes(line).trim_ascii_end();
        let mut at = line.start;
        for (place, word) in text.split(|&byte| byte == b' ').enumerate() {
            if place == number {
                return at..at + word.len();
            }
            at += word.len() + 1;
        }
        line.start..line.start
    }

    /// A port of a description, without a count behind it (`4000/2`). 0 is none.
    fn port(&mut self, range: Range<usize>, host: Option<IpAddr>) {
        let text = self.bytes(&range);
        let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let port: Option<u16> = text.get(..digits).and_then(parse);
        if let (Some(host), Some(port)) = (host, port.filter(|&port| port != 0)) {
            let end = SocketAddr::new(host, port);
            self.found(range.start..range.start + digits, Piece::Port(end));
            self.media.push(end);
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn parse<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
