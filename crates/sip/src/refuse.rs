//! What a user agent that understands a request must still refuse, in the order of RFC 3261 §8.2.

use crate::emit::Writer;
use crate::header::Name;
use crate::message::{Message, media_type_is};
use crate::method::Method;
use crate::uri::Scheme;

/// What a user agent can do. Lists are as the headers of the same names hold them.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities<'a> {
    /// Methods it serves: Allow.
    pub methods: &'a [Method<'static>],
    /// Extensions it knows: Supported.
    pub extensions: &'a [&'a [u8]],
    /// Media types it reads: Accept.
    pub content_types: &'a [&'a [u8]],
    /// Whether it serves `tel:` besides `sip:` and `sips:`.
    pub telephone_uris: bool,
}

/// Why the request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 501: no such method (§21.5.2).
    MethodUnknown,
    /// 405: a method of the standard that is not served (§8.2.1).
    MethodNotAllowed,
    /// 416: the scheme of the Request-URI (§8.2.2.1).
    SchemeUnsupported,
    /// 420: an extension of Require (§8.2.2.3).
    ExtensionUnsupported,
    /// 415: the type of the body (§8.2.3).
    ContentTypeUnsupported,
    /// 415: the encoding of the body (§8.2.3).
    ContentEncodingUnsupported,
    /// 406: the answer could not be SDP, which is all that we answer an INVITE with (§20.1).
    AnswerUnacceptable,
}

impl Refusal {
    /// The status that it ends in.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MethodUnknown => 501,
            Self::MethodNotAllowed => 405,
            Self::SchemeUnsupported => 416,
            Self::ExtensionUnsupported => 420,
            Self::ContentTypeUnsupported | Self::ContentEncodingUnsupported => 415,
            Self::AnswerUnacceptable => 406,
        }
    }

    /// Writes the header that says what would have been accepted, or what was not.
    pub fn write_header(
        self,
        request: &Message<'_>,
        capabilities: &Capabilities<'_>,
        writer: &mut Writer<'_>,
    ) {
        match self {
            Self::MethodUnknown | Self::MethodNotAllowed => capabilities.write_allow(writer),
            Self::ExtensionUnsupported => {
                let unknown = request.list(Name::Require).filter(|tag| !capabilities.knows(tag));
                writer.list(Name::Unsupported, unknown);
            }
            Self::ContentTypeUnsupported => {
                writer.list(Name::Accept, capabilities.content_types.iter().copied());
            }
            Self::ContentEncodingUnsupported => {
                writer.header(Name::AcceptEncoding, &["identity".into()]);
            }
            Self::SchemeUnsupported | Self::AnswerUnacceptable => (),
        }
    }
}

impl Capabilities<'_> {
    /// Writes Allow.
    pub fn write_allow(&self, writer: &mut Writer<'_>) {
        writer.list(Name::Allow, self.methods.iter().map(Method::as_bytes));
    }

    fn knows(&self, tag: &[u8]) -> bool {
        self.extensions.iter().any(|known| known.eq_ignore_ascii_case(tag))
    }
}

/// Whether a user agent with these capabilities may go on with a request.
///
/// A response passes. ACK and CANCEL are not judged by their extensions (§8.2.2.3).
///
/// # Errors
///
/// The first reason to refuse, in the order of §8.2. An ACK that is refused is dropped, not answered.
pub fn admit(message: &Message<'_>, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    let Some(request) = message.request() else { return Ok(()) };
    if !capabilities.methods.contains(&request.method) {
        return Err(match request.method {
            Method::Other(_) => Refusal::MethodUnknown,
            _ => Refusal::MethodNotAllowed,
        });
    }
    match request.uri.scheme() {
        Scheme::Sip | Scheme::Sips => (),
        Scheme::Tel if capabilities.telephone_uris => (),
        Scheme::Tel | Scheme::Other(_) => return Err(Refusal::SchemeUnsupported),
    }
    if matches!(request.method, Method::Ack | Method::Cancel) {
        return Ok(());
    }
    if message.list(Name::Require).any(|tag| !capabilities.knows(tag)) {
        return Err(Refusal::ExtensionUnsupported);
    }
    if !message.body().is_empty() {
        admit_body(message, capabilities)?;
    }
    if request.method == Method::Invite && !may_answer_in_sdp(message) {
        return Err(Refusal::AnswerUnacceptable);
    }
    Ok(())
}

fn admit_body(message: &Message<'_>, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    // §20.11: a body whose handling is optional may be ignored.
    let disposition = message.value(Name::ContentDisposition).unwrap_or_default();
    let optional = disposition
        .split(|&byte| byte == b';')
        .any(|param| param.trim_ascii().eq_ignore_ascii_case(b"handling=optional"));
    if optional {
        return Ok(());
    }
    if message.list(Name::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::ContentEncodingUnsupported);
    }
    // A body without a type is taken for SDP by those peers that send it so.
    let Some(content_type) = message.content_type() else { return Ok(()) };
    let known = capabilities.content_types.iter().any(|known| media_type_is(content_type, known));
    if known { Ok(()) } else { Err(Refusal::ContentTypeUnsupported) }
}

/// §20.1: without Accept, SDP is meant.
fn may_answer_in_sdp(message: &Message<'_>) -> bool {
    message.value(Name::Accept).is_none()
        || message.list(Name::Accept).any(|range| {
            [&b"application/sdp"[..], b"application/*", b"*/*"]
                .iter()
                .any(|wanted| media_type_is(range, wanted))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPABILITIES: Capabilities<'_> = Capabilities {
        methods: &[Method::Invite, Method::Ack, Method::Cancel, Method::Options],
        extensions: &[b"timer"],
        content_types: &[b"application/sdp", b"text/plain"],
        telephone_uris: false,
    };

    fn judged(method: &str, uri: &str, more: &str, body: &str) -> Result<(), (u16, String)> {
        let datagram = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n{more}\r\n{body}"
        );
        let message = Message::parse(datagram.as_bytes()).unwrap();
        admit(&message, &CAPABILITIES).map_err(|refusal| {
            let mut out = [0; 1024];
            let mut writer = Writer::new(&mut out);
            writer.status(refusal.status(), b"x");
            refusal.write_header(&message, &CAPABILITIES, &mut writer);
            let length = writer.no_body().finish().unwrap();
            let text = String::from_utf8_lossy(&out[..length]).into_owned();
            let extra = text.split("\r\n").skip(1).take_while(|line| !line.starts_with("Content-"));
            (refusal.status(), extra.collect::<Vec<_>>().join("|"))
        })
    }

    #[test]
    fn each_refusal_says_what_would_do() {
        let allow = "Allow: INVITE, ACK, CANCEL, OPTIONS";
        let accept = "Accept: application/sdp, text/plain";
        for (method, uri, more, body, status, extra) in [
            ("NONE", "sip:a", "", "", 501, allow),
            ("BYE", "sip:a", "", "", 405, allow),
            ("INVITE", "tel:1", "", "", 416, ""),
            ("INVITE", "http://a", "", "", 416, ""),
            ("INVITE", "sip:a", "Require: timer, x, y\r\n", "", 420, "Unsupported: x, y"),
            ("INVITE", "sip:a", "c: a/b\r\n", "x", 415, accept),
            (
                "INVITE",
                "sip:a",
                "c: text/plain\r\ne: gzip\r\n",
                "x",
                415,
                "Accept-Encoding: identity",
            ),
            ("INVITE", "sip:a", "Accept: text/plain\r\n", "", 406, ""),
        ] {
            let expected = Err((status, extra.to_owned()));
            assert_eq!(judged(method, uri, more, body), expected, "{method} {uri} {more}");
        }
    }

    #[test]
    fn what_may_be_ignored_is_ignored() {
        for (method, uri, more, body) in [
            ("INVITE", "sip:a", "", "v=0"),
            ("INVITE", "sips:a", "c: a/b\r\n", ""),
            (
                "INVITE",
                "sip:a",
                "c: a/b\r\nContent-Disposition: render; handling=optional\r\n",
                "x",
            ),
            ("INVITE", "sip:a", "Accept: text/x, */*;q=0.1\r\n", ""),
            ("OPTIONS", "sip:a", "Accept: text/x\r\ne: identity\r\n", ""),
            ("CANCEL", "sip:a", "Require: x\r\n", ""),
            ("ACK", "sip:a", "Require: x\r\nc: a/b\r\n", "x"),
        ] {
            assert_eq!(judged(method, uri, more, body), Ok(()), "{method} {uri} {more}");
        }
    }
}
