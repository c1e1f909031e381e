//! Messages of ours, written from values.
//!
//! Nothing of the other leg gets into a message unless it is named in [`PASSED`] or is the body:
//! that is the whole policy on unknown headers, and what hides one network from the other.

use std::net::SocketAddr;

use link::endpoint::Transport;
use sip::refuse::{Capabilities, Refusal};
use sip::{Message, Method, Name, NameAddr, Part, Refusable, Writer};

use crate::keys::Token;
use crate::limits::Local;

/// Header fields that go from one leg to the other, in BYE, CANCEL, INFO and failures.
///
/// Reason (RFC 3326) tells the far side why, and holds neither numbers nor addresses.
const PASSED: &[Name] = &[Name::Reason];

/// The session description's media type.
pub(crate) const SDP: &[u8] = b"application/sdp";

/// What we can do, as Allow, Supported and Accept say it.
pub(crate) const CAPABILITIES: Capabilities<'static> = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Cancel,
        Method::Bye,
        Method::Options,
        Method::Info,
        Method::Update,
    ],
    extensions: &[],
    content_types: &[SDP],
    telephone_uris: true,
};

/// Who speaks.
#[derive(Clone, Copy)]
pub(crate) struct Us<'a> {
    pub(crate) local: &'a Local,
    pub(crate) transport: Transport,
    /// Empty: not said.
    pub(crate) user_agent: &'a [u8],
}

impl Us<'_> {
    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.local.advertised(), self.local.port(self.transport))
    }

    fn write_contact(&self, writer: &mut Writer<'_>) {
        let parameter = match self.transport {
            Transport::Udp => ">",
            Transport::Tcp => ";transport=tcp>",
            Transport::Tls => ";transport=tls>",
            // RFC 7118 §5.5 knows one word for both; whether it is secured, the port says.
            Transport::Ws | Transport::Wss => ";transport=ws>",
        };
        let parts = ["<sip:".into(), self.address().into(), parameter.into()];
        writer.header(Name::Contact, &parts);
    }

    fn write_name(&self, writer: &mut Writer<'_>, name: Name) {
        if !self.user_agent.is_empty() {
            writer.header(name, &[self.user_agent.into()]);
        }
    }
}

/// A media type and a body.
pub(crate) type Content<'a> = Option<(&'a [u8], &'a [u8])>;

fn write_content(writer: &mut Writer<'_>, content: Content<'_>) -> Option<usize> {
    match content {
        Some((media_type, body)) => writer.body(media_type, body),
        None => writer.no_body(),
    };
    writer.finish()
}

fn write_passed(writer: &mut Writer<'_>, from: Option<&Message<'_>>) {
    let headers = from.into_iter().flat_map(Message::headers);
    for header in headers.filter(|header| PASSED.contains(&header.name)) {
        writer.copy(&header);
    }
}

/// One side of a dialog as From and To name it.
#[derive(Clone, Copy)]
pub(crate) struct Party<'a> {
    pub(crate) uri: &'a [u8],
    /// Empty: none yet.
    pub(crate) tag: &'a [u8],
}

impl<'a> Party<'a> {
    /// As From or To of a message has it.
    pub(crate) fn of(address: &NameAddr<'a>) -> Self {
        Self { uri: address.uri().as_bytes(), tag: address.tag().unwrap_or_default() }
    }

    fn write(&self, writer: &mut Writer<'_>, name: Name) {
        let uri = ["<".into(), self.uri.into(), ">".into()];
        let [open, text, close] = uri;
        match self.tag {
            [] => writer.header(name, &uri),
            tag => writer.header(name, &[open, text, close, ";tag=".into(), tag.into()]),
        };
    }
}

/// A request of ours.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method<'a>,
    pub(crate) uri: &'a [u8],
    pub(crate) branch: Token,
    /// Route values joined by commas; empty: none.
    pub(crate) routes: &'a [u8],
    pub(crate) from: Party<'a>,
    pub(crate) to: Party<'a>,
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: u32,
    pub(crate) hops: u8,
    /// The other leg's message, of which the `PASSED` headers are taken.
    pub(crate) passed: Option<&'a Message<'a>>,
    pub(crate) content: Content<'a>,
}

/// What begins our branches (RFC 3261 §8.1.1.7).
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// Hops of a request that we begin (§8.1.1.6).
pub(crate) const HOPS: u8 = 70;

/// Writes a request; `None`: it does not fit, or a text of it would break a line.
pub(crate) fn request(out: &mut [u8], us: &Us<'_>, request: &Outgoing<'_>) -> Option<usize> {
    let mut writer = Writer::new(out);
    let method = request.method;
    let transport = match us.transport {
        Transport::Udp => "SIP/2.0/UDP ",
        Transport::Tcp => "SIP/2.0/TCP ",
        Transport::Tls => "SIP/2.0/TLS ",
        Transport::Ws => "SIP/2.0/WS ",
        Transport::Wss => "SIP/2.0/WSS ",
    };
    let branch = request.branch.text();
    writer.request(method, &[request.uri.into()]);
    writer.header(
        Name::Via,
        &[
            transport.into(),
            us.address().into(),
            ";rport;branch=".into(),
            COOKIE.into(),
            Part::Text(&branch),
        ],
    );
    writer.header(Name::MaxForwards, &[u16::from(request.hops).into()]);
    if !request.routes.is_empty() {
        writer.header(Name::Route, &[request.routes.into()]);
    }
    request.from.write(&mut writer, Name::From);
    request.to.write(&mut writer, Name::To);
    writer.header(Name::CallId, &[request.call_id.into()]);
    let cseq = [request.cseq.into(), " ".into(), method.as_bytes().into()];
    writer.header(Name::Cseq, &cseq);
    if matches!(method, Method::Invite | Method::Update) {
        us.write_contact(&mut writer);
        CAPABILITIES.write_allow(&mut writer);
    }
    if matches!(method, Method::Bye | Method::Cancel | Method::Info) {
        write_passed(&mut writer, request.passed);
    }
    us.write_name(&mut writer, Name::UserAgent);
    write_content(&mut writer, request.content)
}

/// A request that goes beside an INVITE of ours, or after it: CANCEL, ACK, BYE. `None`: it is none
/// of ours.
pub(crate) fn beside<'a>(
    invite: &'a Message<'a>,
    method: Method<'a>,
    branch: Token,
) -> Option<Outgoing<'a>> {
    Some(Outgoing {
        method,
        uri: invite.request()?.uri.as_bytes(),
        branch,
        routes: invite.value(Name::Route).unwrap_or_default(),
        from: Party::of(invite.from()),
        to: Party::of(invite.to()),
        call_id: invite.call_id(),
        cseq: invite.cseq().number,
        hops: HOPS,
        passed: None,
        content: None,
    })
}

/// A response of ours.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    /// Added to To if it has none; empty for a 100.
    pub(crate) to_tag: &'a [u8],
    /// In seconds.
    pub(crate) retry_after: Option<u32>,
    pub(crate) refusal: Option<Refusal>,
    /// The other leg's message, of which the `PASSED` headers are taken.
    pub(crate) passed: Option<&'a Message<'a>>,
    pub(crate) content: Content<'a>,
}

impl Reply<'_> {
    /// A status with nothing to add.
    pub(crate) const fn plain(status: u16) -> Reply<'static> {
        Reply { status, to_tag: &[], retry_after: None, refusal: None, passed: None, content: None }
    }
}

/// Writes the answer to a request that came from `source`; `None`: it does not fit.
pub(crate) fn reply(
    out: &mut [u8],
    us: &Us<'_>,
    request: &Message<'_>,
    source: SocketAddr,
    reply: &Reply<'_>,
) -> Option<usize> {
    let mut writer = Writer::new(out);
    let status = reply.status;
    writer.respond(request, status, b"", source, reply.to_tag);
    let method = request.method();
    let may_open_dialog = method == Method::Invite && (101..300).contains(&status);
    if may_open_dialog {
        writer.copy_all(request, Name::RecordRoute);
    }
    if may_open_dialog || (method == Method::Update && status < 300) {
        us.write_contact(&mut writer);
    }
    if let Some(refusal) = reply.refusal {
        refusal.write_header(request, &CAPABILITIES, &mut writer);
    } else if status == 405 || matches!((method, status), (Method::Invite | Method::Options, 200)) {
        CAPABILITIES.write_allow(&mut writer);
    }
    if method == Method::Options && status == 200 {
        writer.header(Name::Accept, &[SDP.into()]);
    }
    if let Some(seconds) = reply.retry_after {
        writer.header(Name::RetryAfter, &[seconds.into()]);
    }
    if status >= 300 {
        write_passed(&mut writer, reply.passed);
    }
    us.write_name(&mut writer, Name::Server);
    write_content(&mut writer, reply.content)
}

/// Writes the answer to a request that is broken; `None`: it cannot be answered.
pub(crate) fn refuse(
    out: &mut [u8],
    us: &Us<'_>,
    request: &Refusable<'_>,
    source: SocketAddr,
    status: u16,
    to_tag: &[u8],
) -> Option<usize> {
    let mut writer = Writer::new(out);
    writer.refuse(request, status, b"", source, to_tag);
    us.write_name(&mut writer, Name::Server);
    write_content(&mut writer, None)
}

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
    fn via_and_contact_name_the_transport_and_its_port() {
        let local = Local {
            address: "192.0.2.1".parse().unwrap(),
            sip_port: 5070,
            prefix_bits: 24,
            advertise: None,
            stream_ports: crate::limits::StreamPorts { tls: 5071, ws: 8080, wss: 8443 },
        };
        let party = Party { uri: b"sip:a@b", tag: b"" };
        for (transport, word, contact) in [
            (Transport::Udp, "UDP 192.0.2.1:5070", "<sip:192.0.2.1:5070>"),
            (Transport::Tcp, "TCP 192.0.2.1:5070", "<sip:192.0.2.1:5070;transport=tcp>"),
            (Transport::Tls, "TLS 192.0.2.1:5071", "<sip:192.0.2.1:5071;transport=tls>"),
            (Transport::Ws, "WS 192.0.2.1:8080", "<sip:192.0.2.1:8080;transport=ws>"),
            (Transport::Wss, "WSS 192.0.2.1:8443", "<sip:192.0.2.1:8443;transport=ws>"),
        ] {
            let mut out = [0; 1_000];
            let invite = Outgoing {
                method: Method::Invite,
                uri: b"sip:a@b",
                branch: Token::read(&[b'0'; 32]).unwrap(),
                routes: b"",
                from: party,
                to: party,
                call_id: b"c",
                cseq: 1,
                hops: HOPS,
                passed: None,
                content: None,
            };
            let us = Us { local: &local, transport, user_agent: b"" };
            let length = request(&mut out, &us, &invite).unwrap();
            let text = String::from_utf8_lossy(&out[..length]).into_owned();
            assert!(text.contains(&format!("\r\nVia: SIP/2.0/{word};")), "{text}");
            assert!(text.contains(&format!("\r\nContact: {contact}\r\n")), "{text}");
            // A stream cannot be framed without it (§20.14).
            assert!(text.contains("\r\nContent-Length: 0\r\n"), "{text}");
        }
    }

    #[test]
    fn a_line_that_lost_a_part_has_no_text() {
        let mut line = Line::<4>::new();
        assert_eq!(line.push(b"abcd").text(), Some(&b"abcd"[..]));
        assert_eq!(line.push(b"e").text(), None);
    }
}
