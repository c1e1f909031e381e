//! A SIP message that borrows its datagram (RFC 3261 §7).
//!
//! [`Message::parse`] checks once what every message needs; from then on no accessor of it fails.
//! Headers that only some messages carry are read on demand. A request that is no message but can be
//! answered is a [`crate::Refusable`].

use crate::fault::Fault;
use crate::head::{Head, Headers};
use crate::header::cseq::Cseq;
use crate::header::list::List;
use crate::header::name::Name;
use crate::header::name_addr::{NameAddr, Others};
use crate::header::via::Via;
use crate::method::Method;
use crate::scan::{self, Cursor};
use crate::uri::Uri;

/// The request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method<'a>,
    /// Of whom.
    pub uri: Uri<'a>,
}

/// A checked message.
#[derive(Clone)]
pub struct Message<'a> {
    head: Head<'a>,
    /// Of the start line of a request.
    uri: Uri<'a>,
    /// 0 in a request.
    status: u16,
    reason: &'a [u8],
    via: Via<'a>,
    from: Option<NameAddr<'a>>,
    to: Option<NameAddr<'a>>,
    call_id: &'a [u8],
    cseq: Cseq<'a>,
    contact: Option<NameAddr<'a>>,
    max_forwards: Option<u8>,
    content_type: Option<&'a [u8]>,
    body: &'a [u8],
}

/// The version in upper case, as everybody writes it, compares faster.
fn is_behind_uri(text: &[u8]) -> bool {
    text == b" SIP/2.0" || text.eq_ignore_ascii_case(b" SIP/2.0")
}

/// The first fault of a line that is no request line.
#[cold]
fn why_no_request_line(line: &[u8]) -> Fault {
    let parts = scan::split_once(line, b' ')
        .and_then(|(method, rest)| Some((method, scan::split_once(rest, b' ')?)));
    let Some((method, (uri, version))) = parts else { return surplus_or_stranger(line) };
    match is_supported(version) {
        None => surplus_or_stranger(line),
        Some(false) => Fault::VersionUnsupported,
        Some(true) if !scan::all(method, scan::TOKEN) || uri.is_empty() => {
            Fault::RequestLineMalformed
        }
        Some(true) => Fault::RequestUriMalformed,
    }
}

/// Whether the line at least ends as a request line does.
fn surplus_or_stranger(line: &[u8]) -> Fault {
    let last = scan::trim(line).rsplit(|&byte| byte == b' ').next();
    if last.is_some_and(is_sip_version) { Fault::RequestLineMalformed } else { Fault::NotSip }
}

/// Whether the version is the one that we speak. `None`: it is none.
fn is_supported(version: &[u8]) -> Option<bool> {
    if version == b"SIP/2.0" {
        return Some(true);
    }
    is_sip_version(version).then(|| version.eq_ignore_ascii_case(b"SIP/2.0"))
}

#[cold]
pub(crate) fn is_sip_version(text: &[u8]) -> bool {
    let digits = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    let number = text
        .split_at_checked(4)
        .and_then(|(name, number)| name.eq_ignore_ascii_case(b"SIP/").then_some(number));
    number.is_some_and(|number| {
        let mut parts = number.split(|&byte| byte == b'.');
        parts.next().is_some_and(digits)
            && parts.next().is_some_and(digits)
            && parts.next().is_none()
    })
}

/// `SIP/2.0 200 OK`; the phrase may be empty (§7.2), even without the space before it.
fn read_status_line(line: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let version = parts.next().unwrap_or_default();
    let code = parts.next().unwrap_or_default();
    let reason = parts.next().unwrap_or_default();
    if !is_supported(version).ok_or(Fault::NotSip)? {
        return Err(Fault::VersionUnsupported);
    }
    let code = Some(code)
        .filter(|code| code.len() == 3)
        .and_then(|code| scan::number(code, 699))
        .and_then(|code| u16::try_from(code).ok())
        .filter(|&code| code >= 100)
        .ok_or(Fault::StatusLineMalformed)?;
    Ok((code, reason))
}

pub(crate) fn is_status_line(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
}

/// Puts what may stand only once.
fn once<T>(place: &mut Option<T>, value: Option<T>, malformed: Fault) -> Result<(), Fault> {
    if place.is_some() {
        return Err(Fault::HeaderRepeated);
    }
    *place = Some(value.ok_or(malformed)?);
    Ok(())
}

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    ///
    /// The first fault met: of the start line, of the lines' shape, then of the headers in their order.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Fault> {
        // It is large: inlined, it can be made where its caller wants it, and is filled there.
        let mut message = Self::unread(datagram);
        message.read()?;
        Ok(message)
    }

    /// One of which nothing is read yet: what every message needs is empty, which no read value is.
    #[inline(always)]
    const fn unread(datagram: &'a [u8]) -> Self {
        Self {
            head: Head::unread(datagram),
            uri: Uri::UNREAD,
            status: 0,
            reason: b"",
            via: Via::UNREAD,
            from: None,
            to: None,
            call_id: b"",
            cseq: Cseq { number: 0, method: Method::Other(b"") },
            contact: None,
            max_forwards: None,
            content_type: None,
            body: b"",
        }
    }

    /// Reads it. After a fault it is not to be used.
    fn read(&mut self) -> Result<(), Fault> {
        self.head.read();
        if let Some(fault @ (Fault::Empty | Fault::MessageTooLong)) = self.head.fault() {
            return Err(fault);
        }
        let line = self.head.start_line();
        let mut method = None;
        if is_status_line(line) {
            (self.status, self.reason) = read_status_line(line)?;
        } else {
            method = self.read_request_line(line);
            if method.is_none() {
                return Err(why_no_request_line(line));
            }
        }
        if let Some(fault) = self.head.fault() {
            return Err(fault);
        }
        let body_bytes = self.read_headers()?;
        self.check_complete()?;
        if method.is_some_and(|method| method != self.cseq.method) {
            return Err(Fault::CseqMismatch);
        }
        // §18.3: what a datagram holds behind the body is ignored; without a length the rest is body.
        let rest = self.head.rest();
        self.body = match body_bytes {
            Some(bytes) => rest.get(..bytes).ok_or(Fault::BodyShort)?,
            None => rest,
        };
        Ok(())
    }

    /// Reads what every message needs; returns what Content-Length says.
    #[inline(always)]
    fn read_headers(&mut self) -> Result<Option<usize>, Fault> {
        let mut body_bytes = None;
        for entry in self.head.entries() {
            let value = || entry.value(self.head.bytes());
            match entry.name {
                Name::Via if self.via.is_unread() => {
                    self.via.read_first(value()).ok_or(Fault::ViaMalformed)?;
                }
                Name::From if self.from.is_none() => {
                    let read = NameAddr::read(&mut self.from, value(), Others::Refused);
                    read.ok_or(Fault::FromMalformed)?;
                }
                Name::To if self.to.is_none() => {
                    let read = NameAddr::read(&mut self.to, value(), Others::Refused);
                    read.ok_or(Fault::ToMalformed)?;
                }
                Name::Contact if self.contact.is_none() && value() != b"*" => {
                    let read = NameAddr::read(&mut self.contact, value(), Others::Allowed);
                    read.ok_or(Fault::ContactMalformed)?;
                }
                Name::CallId if self.call_id.is_empty() => {
                    let call_id = Some(value()).filter(|value| scan::all_visible(value));
                    self.call_id = call_id.ok_or(Fault::CallIdMalformed)?;
                }
                Name::Cseq if self.cseq.is_unread() => {
                    self.cseq = Cseq::read(value()).ok_or(Fault::CseqMalformed)?;
                }
                Name::From | Name::To | Name::CallId | Name::Cseq => {
                    return Err(Fault::HeaderRepeated);
                }
                Name::MaxForwards => {
                    let hops = scan::number(value(), 255).and_then(|hops| u8::try_from(hops).ok());
                    once(&mut self.max_forwards, hops, Fault::MaxForwardsMalformed)?;
                }
                Name::ContentLength => {
                    let bytes = scan::number(value(), u32::MAX);
                    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
                    once(&mut body_bytes, bytes, Fault::ContentLengthMalformed)?;
                }
                Name::ContentType => {
                    once(&mut self.content_type, Some(value()), Fault::HeaderMalformed)?;
                }
                _ => (),
            }
        }
        Ok(body_bytes)
    }

    /// Reads a request line, exactly three parts, one space between each (§7.1), and returns its method.
    #[inline(always)]
    fn read_request_line(&mut self, line: &'a [u8]) -> Option<Method<'a>> {
        let (method, rest) = scan::split_once(line, b' ')?;
        let method = Method::read(method)?;
        let mut cursor = Cursor::new(rest);
        self.uri.read(&mut cursor)?;
        // §19.1.1: a Request-URI has no headers.
        let readable = is_behind_uri(cursor.rest) && self.uri.headers().is_none();
        readable.then_some(method)
    }

    /// Whether each header is there that every message needs.
    fn check_complete(&self) -> Result<(), Fault> {
        if self.via.is_unread() {
            Err(Fault::ViaMissing)
        } else if self.from.is_none() {
            Err(Fault::FromMissing)
        } else if self.to.is_none() {
            Err(Fault::ToMissing)
        } else if self.call_id.is_empty() {
            Err(Fault::CallIdMissing)
        } else if self.cseq.is_unread() {
            Err(Fault::CseqMissing)
        } else {
            Ok(())
        }
    }

    /// The request line. `None`: it is a response.
    #[must_use]
    #[inline]
    pub const fn request(&self) -> Option<Request<'a>> {
        match self.status {
            0 => Some(Request { method: self.cseq.method, uri: self.uri }),
            _ => None,
        }
    }

    /// The status code, 100 to 699. `None`: it is a request.
    #[must_use]
    #[inline]
    pub const fn status(&self) -> Option<u16> {
        match self.status {
            0 => None,
            status => Some(status),
        }
    }

    /// The phrase behind the status code; empty in a request.
    #[must_use]
    #[inline]
    pub const fn reason(&self) -> &'a [u8] {
        self.reason
    }

    /// The method of the request, or of the request that this response answers.
    #[must_use]
    #[inline]
    pub const fn method(&self) -> Method<'a> {
        self.cseq.method
    }

    /// The datagram.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.head.bytes()
    }

    /// The top Via.
    #[must_use]
    #[inline]
    pub const fn via(&self) -> &Via<'a> {
        &self.via
    }

    /// From.
    #[must_use]
    #[inline]
    pub const fn from(&self) -> &NameAddr<'a> {
        match &self.from {
            Some(from) => from,
            None => &NameAddr::UNREAD,
        }
    }

    /// To.
    #[must_use]
    #[inline]
    pub const fn to(&self) -> &NameAddr<'a> {
        match &self.to {
            Some(to) => to,
            None => &NameAddr::UNREAD,
        }
    }

    /// Call-ID: printable, never empty.
    #[must_use]
    #[inline]
    pub const fn call_id(&self) -> &'a [u8] {
        self.call_id
    }

    /// CSeq; in a request its method is that of the request line.
    #[must_use]
    #[inline]
    pub const fn cseq(&self) -> Cseq<'a> {
        self.cseq
    }

    /// Hops left; peers of RFC 2543 do not say.
    #[must_use]
    #[inline]
    pub const fn max_forwards(&self) -> Option<u8> {
        self.max_forwards
    }

    /// The first Contact that is an address and not `*`.
    #[must_use]
    #[inline]
    pub const fn contact(&self) -> Option<&NameAddr<'a>> {
        self.contact.as_ref()
    }

    /// Content-Type as it stands.
    #[must_use]
    #[inline]
    pub const fn content_type(&self) -> Option<&'a [u8]> {
        self.content_type
    }

    /// Whether the body is of the type, such as `application/sdp`; parameters are left out.
    #[must_use]
    pub fn content_is(&self, media_type: &[u8]) -> bool {
        self.content_type.is_some_and(|value| media_type_is(value, media_type))
    }

    /// The body; empty when there is none.
    #[must_use]
    #[inline]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Every header line in its order, known or not.
    #[must_use]
    #[inline]
    pub fn headers(&self) -> Headers<'_, 'a> {
        self.head.headers()
    }

    /// The value of the first header line of that name, as it stands; it may hold folds.
    #[must_use]
    pub fn value(&self, name: Name) -> Option<&'a [u8]> {
        self.headers().find(|header| header.name == name).map(|header| header.value)
    }

    /// The values of a header that may hold several, in their order, as they stand: Via, Route, Allow,
    /// Supported, Require, Accept and the like.
    #[must_use]
    pub fn list(&self, name: Name) -> List<'_, 'a> {
        List::new(self.headers(), name)
    }

    /// Whether a list of tokens (Supported, Require, Allow) holds that one, in any case.
    #[must_use]
    pub fn lists(&self, name: Name, token: &[u8]) -> bool {
        self.list(name).any(|value| value.eq_ignore_ascii_case(token))
    }

    /// The number that a header begins with: Expires, Retry-After, Min-Expires, Session-Expires, RSeq.
    ///
    /// # Errors
    ///
    /// [`Fault::NumberMalformed`] when it is none, or above 2^32 − 1.
    pub fn number(&self, name: Name) -> Result<Option<u32>, Fault> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        let digits = value.get(..end).unwrap_or_default();
        scan::number(digits, u32::MAX).map(Some).ok_or(Fault::NumberMalformed)
    }

    /// Contacts in their order, `*` left out; see [`Message::contact_is_star`].
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> {
        self.list(Name::Contact)
            .filter(|value| *value != b"*")
            .map(|value| NameAddr::parse(value).ok_or(Fault::ContactMalformed))
    }

    /// Whether a Contact is `*`: all bindings are to be removed (§10.2.2).
    #[must_use]
    #[inline]
    pub fn contact_is_star(&self) -> bool {
        self.list(Name::Contact).any(|value| value == b"*")
    }

    /// Route values, top first.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> {
        self.list(Name::Route).map(|value| NameAddr::parse(value).ok_or(Fault::RouteMalformed))
    }

    /// Record-Route values, top first.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> {
        self.list(Name::RecordRoute)
            .map(|value| NameAddr::parse(value).ok_or(Fault::RouteMalformed))
    }

    pub(crate) const fn head(&self) -> &Head<'a> {
        &self.head
    }
}

/// Method, status and length: the rest may name subscribers.
impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = self.method();
        match self.status() {
            Some(status) => write!(f, "Message({status} to {method:?})"),
            None => write!(f, "Message({method:?})"),
        }
    }
}

/// Whether a media type with parameters is that one, in any case (§20.15).
pub(crate) fn media_type_is(value: &[u8], media_type: &[u8]) -> bool {
    let type_alone = scan::before(value, scan::tail_from_byte(value, b';'));
    scan::trim(type_alone).eq_ignore_ascii_case(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "INVITE sip:bob@example.com SIP/2.0";
    const NEEDED: [&str; 5] = [
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
        "From: <sip:a@b>;tag=1",
        "To: <sip:b@c>",
        "Call-ID: x@y",
        "CSeq: 1 INVITE",
    ];

    fn datagram(start: &str, headers: &[&str], body: &str) -> Vec<u8> {
        let mut text = format!("{start}\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body);
        text.into_bytes()
    }

    fn fault(start: &str, headers: &[&str], body: &str) -> Option<Fault> {
        Message::parse(&datagram(start, headers, body)).err()
    }

    fn with(more: &[&'static str]) -> Vec<&'static str> {
        NEEDED.iter().chain(more).copied().collect()
    }

    #[test]
    fn each_needed_header_is_missed_by_name() {
        let missing = [
            Fault::ViaMissing,
            Fault::FromMissing,
            Fault::ToMissing,
            Fault::CallIdMissing,
            Fault::CseqMissing,
        ];
        for (index, expected) in missing.into_iter().enumerate() {
            let mut headers = NEEDED.to_vec();
            headers.remove(index);
            assert_eq!(fault(START, &headers, ""), Some(expected));
        }
        assert_eq!(fault(START, &NEEDED, ""), None);
    }

    #[test]
    fn what_may_stand_once_may_not_stand_twice() {
        for twice in [
            "f: <sip:a@b>;tag=1",
            "t: <sip:b@c>",
            "i: x@y",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
            "l: 0",
            "c: text/plain",
        ] {
            assert_eq!(
                fault(START, &with(&[twice, twice]), ""),
                Some(Fault::HeaderRepeated),
                "{twice}"
            );
        }
        assert_eq!(
            fault(START, &with(&["v: SIP/2.0/UDP b", "m: <sip:a@b>", "m: <sip:c@d>"]), ""),
            None
        );
    }

    #[test]
    fn each_header_that_cannot_be_read_is_a_fault_of_its_own() {
        for (header, expected) in [
            ("Max-Forwards: 256", Fault::MaxForwardsMalformed),
            ("Max-Forwards:", Fault::MaxForwardsMalformed),
            ("Content-Length: -1", Fault::ContentLengthMalformed),
            ("Content-Length: 1 2", Fault::ContentLengthMalformed),
            ("Content-Length: 99999999999999999999", Fault::ContentLengthMalformed),
            ("Content-Length: 5", Fault::BodyShort),
            ("Contact: sip:a@b?c=d", Fault::ContactMalformed),
            ("Contact:", Fault::ContactMalformed),
        ] {
            assert_eq!(fault(START, &with(&[header]), "body"), Some(expected), "{header}");
        }
        let mut headers = NEEDED;
        headers[3] = "Call-ID: a b";
        assert_eq!(fault(START, &headers, ""), Some(Fault::CallIdMalformed));
        headers[3] = "Call-ID:";
        assert_eq!(fault(START, &headers, ""), Some(Fault::CallIdMalformed));
    }

    #[test]
    fn a_first_line_is_a_request_a_status_or_a_stranger() {
        for (line, expected) in [
            ("GET / HTTP/1.1", Fault::NotSip),
            ("hello", Fault::NotSip),
            ("\u{1}\u{2}\u{3}", Fault::NotSip),
            ("INVITE sip:a@b SIP/2", Fault::NotSip),
            ("INVITE sip:a@b SIP/3.0", Fault::VersionUnsupported),
            ("INVITE  sip:a@b SIP/2.0", Fault::RequestLineMalformed),
            ("INVITE sip:a@b SIP/2.0 ", Fault::RequestLineMalformed),
            (" INVITE sip:a@b SIP/2.0", Fault::RequestLineMalformed),
            ("INV<>ITE sip:a@b SIP/2.0", Fault::RequestLineMalformed),
            ("INVITE SIP/2.0", Fault::RequestLineMalformed),
            ("INVITE sip:a@b?c=d SIP/2.0", Fault::RequestUriMalformed),
            ("INVITE bob SIP/2.0", Fault::RequestUriMalformed),
            ("SIP/2.0 99 Low", Fault::StatusLineMalformed),
            ("SIP/2.0 700 High", Fault::StatusLineMalformed),
            ("SIP/2.0 0200 OK", Fault::StatusLineMalformed),
            ("SIP/2.0", Fault::StatusLineMalformed),
            ("SIP/1.0 200 OK", Fault::VersionUnsupported),
            ("SIP/x 200 OK", Fault::NotSip),
        ] {
            assert_eq!(fault(line, &NEEDED, ""), Some(expected), "{line}");
        }
        for line in ["SIP/2.0 200 OK", "SIP/2.0 200 ", "SIP/2.0 200", "sip/2.0 200 OK"] {
            let datagram = datagram(line, &NEEDED, "");
            let message = Message::parse(&datagram).unwrap();
            assert_eq!((message.status(), message.request()), (Some(200), None));
        }
    }

    #[test]
    fn the_method_of_the_sequence_is_that_of_the_request() {
        assert_eq!(fault("BYE sip:a SIP/2.0", &NEEDED, ""), Some(Fault::CseqMismatch));
        assert_eq!(fault("invite sip:a SIP/2.0", &NEEDED, ""), Some(Fault::CseqMismatch));
    }

    #[test]
    fn a_body_ends_where_its_length_says_and_without_one_with_the_datagram() {
        let datagram_with =
            |headers: &[&'static str]| datagram(START, &with(headers), "0123456789");
        let body = |headers: &[&'static str]| {
            Message::parse(&datagram_with(headers)).unwrap().body().to_vec()
        };
        assert_eq!(body(&["l: 4"]), b"0123");
        assert_eq!(body(&["Content-Length : 0"]), b"");
        assert_eq!(body(&[]), b"0123456789");
    }

    #[test]
    fn lists_run_over_lines_and_commas_in_their_order() {
        let headers = with(&[
            "Record-Route: <sip:p1;lr>, \"P, 2\" <sip:p2;lr>",
            "Supported: timer,, 100rel ,",
            "k: replaces",
            "Record-Route: <sip:p3;lr>",
            "Expires: 3600",
            "Retry-After: 18000;duration=3600",
            "Session-Expires: 4294967296",
            "Contact: *",
        ]);
        let datagram = datagram(START, &headers, "");
        let message = Message::parse(&datagram).unwrap();
        let routes: Vec<_> = message.record_routes().map(|r| r.unwrap().uri().as_bytes()).collect();
        assert_eq!(routes, [b"sip:p1;lr", b"sip:p2;lr", b"sip:p3;lr"]);
        let supported: Vec<_> = message.list(Name::Supported).collect();
        assert_eq!(supported, [&b"timer"[..], b"100rel", b"replaces"]);
        assert!(message.lists(Name::Supported, b"100REL"));
        assert!(!message.lists(Name::Require, b"100rel"));
        assert_eq!(message.number(Name::Expires), Ok(Some(3600)));
        assert_eq!(message.number(Name::RetryAfter), Ok(Some(18_000)));
        assert_eq!(message.number(Name::SessionExpires), Err(Fault::NumberMalformed));
        assert_eq!(message.number(Name::MinExpires), Ok(None));
        assert!(message.contact_is_star());
        assert_eq!((message.contact(), message.contacts().count()), (None, 0));
    }

    #[test]
    fn a_media_type_is_compared_without_case_and_parameters() {
        let datagram = datagram(START, &with(&["c: Application/SDP ; charset=utf-8"]), "");
        let message = Message::parse(&datagram).unwrap();
        assert!(message.content_is(b"application/sdp"));
        assert!(!message.content_is(b"application/sd"));
    }

    #[test]
    fn a_stray_datagram_costs_one_fault() {
        assert_eq!(Message::parse(b"").err(), Some(Fault::Empty));
        assert_eq!(Message::parse(b"\r\n\r\n").err(), Some(Fault::Empty));
        assert_eq!(Message::parse(&[0; 20]).err(), Some(Fault::NotSip));
        assert_eq!(Message::parse(&vec![b'a'; 70_000]).err(), Some(Fault::MessageTooLong));
    }
}
