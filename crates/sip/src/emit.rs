//! Writes messages into a buffer of the caller's.
//!
//! The writer never panics and never writes past the buffer: what does not fit poisons it, and
//! [`Writer::finish`] says so once at the end. Header injection cannot happen: a fold in a value
//! becomes a space, and any other CR, LF or bare NUL poisons the writer too. A message begins with
//! [`Writer::request`], [`Writer::status`], [`Writer::respond`] or [`Writer::refuse`], goes on with
//! headers and ends with a body or [`Writer::no_body`]; any other order poisons.

use std::net::{IpAddr, SocketAddr};

use crate::head::Head;
use crate::header::name_addr::NameAddr;
use crate::header::via::{Rport, Via};
use crate::header::{Header, Name};
use crate::message::Message;
use crate::method::Method;
use crate::refusable::Refusable;
use crate::room::{Room, decimal};
use crate::scan;
use crate::status::reason_phrase;

/// A piece of a header value.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Text as it stands, perhaps from a peer's message.
    Text(&'a [u8]),
    /// Text of any kind in quotes, with escapes where it needs them (§25.1 `quoted-string`).
    Quoted(&'a [u8]),
    /// Text as the value of a URI header: whatever is not unreserved becomes a `%` escape (§19.1.1).
    Escaped(&'a [u8]),
    /// Parts one behind the other: for what stands there only sometimes.
    Parts(&'a [Self]),
    /// In decimal.
    Number(u64),
    /// Sixteen hexadecimal digits.
    Hex(u64),
    /// A host: IPv6 in brackets.
    Ip(IpAddr),
    /// Host and port: IPv6 in brackets.
    Address(SocketAddr),
}

impl<'a> From<&'a [u8]> for Part<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::Text(text)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Part<'a> {
    fn from(text: &'a [u8; N]) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.as_bytes())
    }
}

impl From<u64> for Part<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Part<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Part<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<IpAddr> for Part<'_> {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<SocketAddr> for Part<'_> {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    Headers,
    Done,
    Poisoned,
}

/// Writes one message.
pub struct Writer<'o> {
    room: Room<'o>,
    state: State,
}

impl<'o> Writer<'o> {
    /// An empty message at the front of `out`.
    #[must_use]
    pub const fn new(out: &'o mut [u8]) -> Self {
        Self { room: Room::new(out), state: State::Empty }
    }

    /// The request line. The URI is written as it stands.
    pub fn request(&mut self, method: Method<'_>, uri: &[Part<'_>]) -> &mut Self {
        self.go(State::Empty, State::Headers);
        self.text(method.as_bytes());
        self.room.push(b" ");
        self.parts(uri);
        self.room.push(b" SIP/2.0\r\n");
        self
    }

    /// The status line. An empty `reason` stands for the phrase of the code.
    pub fn status(&mut self, code: u16, reason: &[u8]) -> &mut Self {
        self.go(State::Empty, State::Headers);
        self.room.push(b"SIP/2.0 ");
        self.room.decimal(code.into());
        self.room.push(b" ");
        match reason {
            [] => self.room.push(reason_phrase(code).as_bytes()),
            reason => self.text(reason),
        }
        self.room.push(b"\r\n");
        self
    }

    /// A header line of a known name.
    pub fn header(&mut self, name: Name, value: &[Part<'_>]) -> &mut Self {
        self.line(name.as_bytes(), value)
    }

    /// A header line of any name.
    pub fn named(&mut self, name: &[u8], value: &[Part<'_>]) -> &mut Self {
        if scan::first_control(name) < name.len() {
            self.state = State::Poisoned;
        }
        self.line(name, value)
    }

    /// A header line of a name that can end no line.
    fn line(&mut self, name: &[u8], value: &[Part<'_>]) -> &mut Self {
        self.go(State::Headers, State::Headers);
        if name.is_empty() {
            self.state = State::Poisoned;
        }
        self.room.push(name);
        self.room.push(b": ");
        self.parts(value);
        self.room.push(b"\r\n");
        self
    }

    /// One header line that holds all the values between commas; none when there are none.
    pub fn list<'v>(
        &mut self,
        name: Name,
        values: impl IntoIterator<Item = &'v [u8]>,
    ) -> &mut Self {
        self.go(State::Headers, State::Headers);
        let mut before: &[u8] = name.as_bytes();
        let mut between: &[u8] = b": ";
        for value in values {
            self.room.push(before);
            self.room.push(between);
            self.text(value);
            (before, between) = (b"", b", ");
        }
        if before.is_empty() {
            self.room.push(b"\r\n");
        }
        self
    }

    /// A peer's header line, unfolded, under its canonical name if we know it.
    pub fn copy(&mut self, header: &Header<'_>) -> &mut Self {
        self.named(header.name_bytes(), &[Part::Text(header.value)])
    }

    /// Every header line of that name in a peer's message.
    pub fn copy_all(&mut self, message: &Message<'_>, name: Name) -> &mut Self {
        for header in message.headers().filter(|header| header.name == name) {
            self.copy(&header);
        }
        self
    }

    /// The status line and what every response copies from its request (§8.2.6): Vias with the
    /// observed `source` filled in (§18.2.1, RFC 3581 §4), From, To, Call-ID, CSeq.
    ///
    /// `to_tag` is added to To unless it has a tag already; empty for a 100.
    pub fn respond(
        &mut self,
        request: &Message<'_>,
        code: u16,
        reason: &[u8],
        source: SocketAddr,
        to_tag: &[u8],
    ) -> &mut Self {
        let (via, to) = (Some(request.via()), Some(request.to()));
        self.status(code, reason);
        self.reply_headers(request.head(), via, to, source, to_tag)
    }

    /// The same for a request that is broken: what it lacks is left out, what cannot be read is copied
    /// as it stands.
    pub fn refuse(
        &mut self,
        request: &Refusable<'_>,
        code: u16,
        reason: &[u8],
        source: SocketAddr,
        to_tag: &[u8],
    ) -> &mut Self {
        self.status(code, reason);
        self.reply_headers(request.head(), request.via(), request.to(), source, to_tag)
    }

    fn reply_headers(
        &mut self,
        head: &Head<'_>,
        via: Option<&Via<'_>>,
        to: Option<&NameAddr<'_>>,
        source: SocketAddr,
        to_tag: &[u8],
    ) -> &mut Self {
        let mut top = via;
        for header in head.headers().filter(|header| header.name == Name::Via) {
            match top.take() {
                Some(via) => {
                    self.room.push(b"Via: ");
                    self.top_via(via, source);
                    // The values behind the top one, if the line holds several.
                    let begin = header.value.len().min(via.as_bytes().len());
                    self.text(header.value.get(begin..).unwrap_or_default());
                    self.room.push(b"\r\n");
                }
                None => _ = self.copy(&header),
            }
        }
        for wanted in [Name::From, Name::To, Name::CallId, Name::Cseq] {
            // One of each, even when the request has more: two would make the response as broken.
            let Some(header) = head.headers().find(|header| header.name == wanted) else {
                continue;
            };
            if let (Name::To, Some(to)) = (wanted, to)
                && to.tag().is_none()
                && !to_tag.is_empty()
            {
                self.header(Name::To, &[header.value.into(), b";tag=".into(), to_tag.into()]);
            } else {
                self.copy(&header);
            }
        }
        self
    }

    /// The top Via as the server that received it must leave it.
    fn top_via(&mut self, via: &Via<'_>, source: SocketAddr) {
        self.room.push(b"SIP/2.0/");
        self.text(via.transport().as_bytes());
        self.room.push(b" ");
        self.text(via.host().as_bytes());
        if let Some(port) = via.port() {
            self.room.push(b":");
            self.room.decimal(port.into());
        }
        for param in via.params().iter() {
            // A sender cannot say what we see.
            if param.is(b"received") || param.is(b"rport") {
                continue;
            }
            self.room.push(b";");
            self.text(param.name);
            if let Some(value) = param.value {
                self.room.push(b"=");
                self.text(value);
            }
        }
        let wants_port = via.rport() != Rport::Absent;
        if wants_port || via.host().ip() != Some(source.ip()) {
            self.room.push(b";received=");
            // RFC 5118 §4.5: without brackets, for the grammar of RFC 3261.
            self.room.ip(source.ip());
        }
        if wants_port {
            self.room.push(b";rport=");
            self.room.decimal(source.port().into());
        }
    }

    /// Ends the message without a body.
    pub fn no_body(&mut self) -> &mut Self {
        self.go(State::Headers, State::Done);
        self.room.push(b"Content-Length: 0\r\n\r\n");
        self
    }

    /// Ends the message with a body.
    pub fn body(&mut self, content_type: &[u8], body: &[u8]) -> &mut Self {
        self.header(Name::ContentType, &[content_type.into()]);
        self.go(State::Headers, State::Done);
        self.room.push(b"Content-Length: ");
        self.room.decimal(u64::try_from(body.len()).unwrap_or(u64::MAX));
        self.room.push(b"\r\n\r\n");
        self.room.push(body);
        self
    }

    /// Ends the message with a body that `write` puts in its place and whose length it returns;
    /// `None` poisons.
    pub fn body_with(
        &mut self,
        content_type: &[u8],
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> &mut Self {
        // Room is kept for the length of a body that is not there yet; blanks before a value mean
        // nothing (§7.3.1).
        const END: &[u8] = b"\r\n\r\n";
        self.header(Name::ContentType, &[content_type.into()]);
        self.go(State::Headers, State::Done);
        self.room.push(b"Content-Length:      ");
        self.room.push(END);
        let mut digits = [0; 20];
        let patched = self.room.fill(write).and_then(|bytes| {
            let length = decimal(u64::try_from(bytes).ok()?, &mut digits);
            let from_end = bytes.checked_add(END.len())?.checked_add(length.len())?;
            (length.len() <= 5).then(|| self.room.patch(from_end, length)).flatten()
        });
        if patched.is_none() {
            self.state = State::Poisoned;
        }
        self
    }

    /// The length of the message. `None`: it did not fit, is not ended, or would have carried an
    /// injected line.
    #[must_use]
    pub fn finish(&self) -> Option<usize> {
        self.room.written().filter(|_| self.state == State::Done)
    }

    /// From one state to the next; poisoned from any other.
    fn go(&mut self, from: State, to: State) {
        self.state = if self.state == from { to } else { State::Poisoned };
    }

    fn parts(&mut self, parts: &[Part<'_>]) {
        for part in parts {
            match *part {
                Part::Text(text) => self.text(text),
                Part::Quoted(text) => self.quoted(text),
                Part::Parts(parts) => self.parts(parts),
                Part::Escaped(text) => self.escaped(text),
                Part::Number(number) => self.room.decimal(number),
                Part::Hex(number) => self.room.display(format_args!("{number:016x}")),
                Part::Ip(ip) => self.host(ip),
                Part::Address(address) => {
                    self.host(address.ip());
                    self.room.push(b":");
                    self.room.decimal(address.port().into());
                }
            }
        }
    }

    fn quoted(&mut self, text: &[u8]) {
        self.room.push(b"\"");
        let mut rest = text;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest)
            && let Some((before, [special, after @ ..])) = rest.split_at_checked(at)
        {
            self.text(before);
            self.room.push(&[b'\\', *special]);
            rest = after;
        }
        self.text(rest);
        self.room.push(b"\"");
    }

    fn escaped(&mut self, text: &[u8]) {
        for &byte in text {
            let mark =
                matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
            if byte.is_ascii_alphanumeric() || mark {
                self.room.push(&[byte]);
            } else {
                self.room.display(format_args!("%{byte:02X}"));
            }
        }
    }

    fn host(&mut self, ip: IpAddr) {
        if ip.is_ipv4() {
            return self.room.ip(ip);
        }
        self.room.push(b"[");
        self.room.ip(ip);
        self.room.push(b"]");
    }

    /// Text that may come from a peer.
    fn text(&mut self, text: &[u8]) {
        if scan::first_control(text) == text.len() {
            self.room.push(text);
        } else {
            self.folded(text);
        }
    }

    /// Text with a fold, or with what must not stand in a header.
    #[cold]
    fn folded(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = memchr::memchr3(b'\r', b'\n', 0, rest) {
            let Some((before, from)) = rest.split_at_checked(at) else { break };
            self.room.push(before);
            rest = match from {
                [b'\r', b'\n', b' ' | b'\t', after @ ..] | [b'\n', b' ' | b'\t', after @ ..] => {
                    self.room.push(b" ");
                    after
                }
                [0, after @ ..] if before.last() == Some(&b'\\') => {
                    self.room.push(&[0]);
                    after
                }
                _ => {
                    self.state = State::Poisoned;
                    return;
                }
            };
        }
        self.room.push(rest);
    }
}

/// The first header line that `write` writes. `None`: the writer was poisoned.
#[cfg(test)]
pub(crate) fn header_line(write: impl FnOnce(&mut Writer<'_>)) -> Option<String> {
    let mut out = [0; 2048];
    let mut writer = Writer::new(&mut out);
    write(writer.status(200, b""));
    let length = writer.no_body().finish()?;
    let text = String::from_utf8(out[..length].to_vec()).unwrap();
    text.lines().nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Option<String> {
        let mut out = [0; 1024];
        let mut writer = Writer::new(&mut out);
        write(&mut writer);
        let length = writer.finish()?;
        Some(String::from_utf8_lossy(&out[..length]).into_owned())
    }

    const INVITE: &[u8] = b"INVITE sip:bob@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;rport , SIP/2.0/TCP\r\n b;branch=z9hG4bKb\r\n\
        v: SIP/2.0/UDP c\r\n\
        Max-Forwards: 70\r\nf: <sip:a@b>;tag=1\r\nt: \"B\r\n o\" <sip:b@c>\r\ni: x@y\r\n\
        CSeq: 1 INVITE\r\nl: 0\r\n\r\n";

    #[test]
    fn a_response_copies_what_it_must_and_says_what_we_saw() {
        let request = Message::parse(INVITE).unwrap();
        let text = written(|writer| {
            writer.respond(&request, 180, b"", "192.0.2.7:1024".parse().unwrap(), b"77");
            writer.no_body();
        });
        assert_eq!(
            text.unwrap(),
            "SIP/2.0 180 Ringing\r\n\
             Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;received=192.0.2.7;rport=1024 , SIP/2.0/TCP \
             b;branch=z9hG4bKb\r\n\
             Via: SIP/2.0/UDP c\r\n\
             From: <sip:a@b>;tag=1\r\nTo: \"B o\" <sip:b@c>;tag=77\r\nCall-ID: x@y\r\n\
             CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_sender_cannot_say_where_it_was_seen() {
        let request =
            b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::1];received=6.6.6.6;rport=6\r\n\
            From: sip:a@b;tag=1\r\nTo: sip:b@c;tag=2\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n";
        let request = Message::parse(request).unwrap();
        let text = written(|writer| {
            let source = "[2001:db8::9]:5060".parse().unwrap();
            writer.respond(&request, 200, b"Fine", source, b"77").no_body();
        })
        .unwrap();
        assert!(
            text.contains("Via: SIP/2.0/UDP [2001:db8::1];received=2001:db8::9;rport=5060\r\n")
        );
        assert!(text.contains("To: sip:b@c;tag=2\r\n"));
    }

    #[test]
    fn a_list_without_values_is_no_line() {
        let text = written(|writer| {
            writer.status(200, b"").list(Name::Allow, [&b"A"[..], b"B"]).list(Name::Supported, []);
            writer.no_body();
        });
        assert_eq!(text.unwrap(), "SIP/2.0 200 OK\r\nAllow: A, B\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn a_line_cannot_be_injected() {
        for value in ["a\r\nVia: x", "a\rb", "a\nb", "a\r\n", "a\0b", "\r\n\r\nbody"] {
            let text = written(|writer| {
                writer.request(Method::Bye, &["sip:a".into()]);
                writer.header(Name::Subject, &[value.into()]).no_body();
            });
            assert_eq!(text, None, "{value:?}");
            let uri = written(|writer| _ = writer.request(Method::Bye, &[value.into()]).no_body());
            assert_eq!(uri, None, "{value:?}");
        }
    }

    #[test]
    fn any_text_can_be_quoted_and_escaped_but_for_line_ends() {
        let subject = |part| {
            let text =
                written(|w| _ = w.status(200, b"").header(Name::Subject, &[part]).no_body())?;
            Some(text.lines().nth(1)?.strip_prefix("Subject: ")?.to_owned())
        };
        for (text, quoted) in
            [("", r#""""#), ("a b", r#""a b""#), (r#"a"b\"#, r#""a\"b\\""#), ("\r\n\tx", "\" x\"")]
        {
            assert_eq!(subject(Part::Quoted(text.as_bytes())).as_deref(), Some(quoted));
        }
        for text in ["a\rb", "a\nb", "\0", "\\\0", "\"\n"] {
            assert_eq!(subject(Part::Quoted(text.as_bytes())), None, "{text:?}");
        }
        let escaped = subject(Part::Escaped(b"7@h;to-tag=\r\n\xff&b"));
        assert_eq!(escaped.as_deref(), Some("7%40h%3Bto-tag%3D%0D%0A%FF%26b"));
    }

    #[test]
    fn what_does_not_fit_or_is_out_of_order_poisons() {
        let mut out = [0; 40];
        for length in 0..out.len() {
            let mut writer = Writer::new(&mut out[..length]);
            writer.status(200, b"").no_body();
            assert_eq!(writer.finish(), (length >= 37).then_some(37));
        }
        assert_eq!(written(|writer| _ = writer.no_body()), None);
        assert_eq!(written(|writer| _ = writer.status(200, b"")), None);
        assert_eq!(written(|writer| _ = writer.status(200, b"").no_body().no_body()), None);
        assert_eq!(written(|writer| _ = writer.status(200, b"").status(200, b"").no_body()), None);
        assert_eq!(written(|writer| _ = writer.status(200, b"").named(b"", &[]).no_body()), None);
    }

    #[test]
    fn a_body_written_in_place_has_its_length_before_it() {
        let text = written(|writer| {
            writer.status(200, b"").body_with(b"text/plain", |room| {
                room[..12].copy_from_slice(b"twelve bytes");
                Some(12)
            });
        })
        .unwrap();
        assert!(
            text.ends_with("Content-Type: text/plain\r\nContent-Length:    12\r\n\r\ntwelve bytes")
        );
        let liar = |length| written(|w| _ = w.status(200, b"").body_with(b"x/y", |_| Some(length)));
        assert_eq!((liar(100_000), liar(2000)), (None, None));
        assert_eq!(written(|w| _ = w.status(200, b"").body_with(b"x/y", |_| None)), None);
    }

    #[test]
    fn numbers_and_addresses_are_written_as_sip_wants_them() {
        let text = written(|writer| {
            let v6: SocketAddr = "[2001:db8::1%3]:5061".parse().unwrap();
            let v4: SocketAddr = "192.0.2.1:5060".parse().unwrap();
            let parts = [v6.into(), " ".into(), v4.into(), " ".into(), v6.ip().into(), " ".into()];
            writer.status(200, b"").header(Name::Subject, &parts);
            writer.header(Name::Server, &[u64::MAX.into(), " ".into(), 0u16.into(), Part::Hex(10)]);
            writer.no_body();
        })
        .unwrap();
        assert!(text.contains("Subject: [2001:db8::1]:5061 192.0.2.1:5060 [2001:db8::1] \r\n"));
        assert!(text.contains("Server: 18446744073709551615 0000000000000000a\r\n"));
    }
}
