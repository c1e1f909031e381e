//! URIs: `sip:`, `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966), and others unread.
//!
//! A second at sign, a blank, an angle bracket or a broken escape makes it no URI: nothing behind
//! us ever has to guess where the user ends and the host begins.

use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::header::via::Transport;
use crate::scan::{self, Cursor};

/// What stands before the first colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other; its URI is not read further.
    Other(&'a [u8]),
}

/// A host as it stands in a URI or Via: a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    raw: &'a [u8],
}

impl<'a> Host<'a> {
    /// What is known to be one.
    pub(crate) const fn known(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// Reads one from the cursor.
    #[inline(always)]
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        match cursor.rest {
            [b'[', ..] => {
                let (host, rest) = Self::in_brackets(cursor.rest)?;
                cursor.rest = rest;
                Some(host)
            }
            _ => cursor.take_some(scan::HOST).map(|raw| Self { raw }),
        }
    }

    /// One that begins with a bracket, and what follows it.
    #[cold]
    fn in_brackets(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (inside, rest) = scan::split_once(text, b']')?;
        let inside = inside.strip_prefix(b"[")?;
        if !inside.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
            return None;
        }
        let host = Self { raw: scan::before(text, rest) };
        host.ip().is_some().then_some((host, rest))
    }

    /// Reads a host and nothing else; an IPv6 address may come without brackets (RFC 5118 §4.5).
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let bare = Self { raw: bytes };
        if bare.ip().is_some() {
            return Some(bare);
        }
        let mut cursor = Cursor::new(bytes);
        let host = Self::read(&mut cursor)?;
        cursor.rest.is_empty().then_some(host)
    }

    /// As it stands, brackets included; empty in a `tel:` URI.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The address, if it is one and no name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.raw {
            [b'[', inside @ .., b']'] => scan::ipv6(inside).map(IpAddr::V6),
            [b'0'..=b'9', ..] if !self.raw.contains(&b':') => scan::ipv4(self.raw).map(IpAddr::V4),
            raw if raw.contains(&b':') => scan::ipv6(raw).map(IpAddr::V6),
            _ => None,
        }
    }

    /// Whether both are the same address, or the same name in any case (§19.1.4).
    #[must_use]
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        match (self.ip(), other.ip()) {
            (None, None) => self.raw.eq_ignore_ascii_case(other.raw),
            (ours, theirs) => ours == theirs,
        }
    }
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.raw.escape_ascii())
    }
}

/// A checked URI, shorter than 64 KiB.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    raw: &'a [u8],
    /// The parts that are asked for most are kept as they are given out; where the others are follows
    /// from these.
    user: &'a [u8],
    host: &'a [u8],
    params_bytes: u16,
    /// With the question mark.
    headers_bytes: u16,
    port: Option<NonZeroU16>,
    kind: Kind,
}

/// A [`Scheme`] without its text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sip,
    Sips,
    Tel,
    Other,
}

impl<'a> Uri<'a> {
    /// Reads a URI and nothing else. `None` when it is none.
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let mut uri = Self::UNREAD;
        let mut cursor = Cursor::new(raw);
        uri.read(&mut cursor)?;
        cursor.rest.is_empty().then_some(uri)
    }

    /// Reads a URI from the cursor, as far as it goes; no part of it can hold a blank, a quote or an
    /// angle bracket.
    ///
    /// It is read where it lies: to move it costs as much as to read its host.
    #[inline(always)]
    pub(crate) fn read(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        self.read_front_of(cursor.rest)?;
        cursor.rest = cursor.rest.get(self.raw.len()..).unwrap_or_default();
        Some(())
    }

    /// Reads the URI that a text begins with.
    fn read_front_of(&mut self, start: &'a [u8]) -> Option<()> {
        match start.split_first_chunk() {
            Some((scheme, rest)) if is_sip(*scheme) => self.read_sip(Kind::Sip, start, rest)?,
            _ => self.read_another_scheme(start)?,
        }
        (self.raw.len() <= usize::from(u16::MAX)).then_some(())
    }

    /// Reads what stands behind the colon of `sip:` and `sips:`.
    #[inline(always)]
    fn read_sip(&mut self, kind: Kind, start: &'a [u8], rest: &'a [u8]) -> Option<()> {
        self.kind = kind;
        let cursor = &mut Cursor::new(rest);
        if let Some(user) = read_user(cursor) {
            self.user = user;
        }
        self.host = Host::read(cursor)?.raw;
        if cursor.eat(b':') {
            self.port = Some(cursor.port()?);
        }
        let at = cursor.rest;
        skip_params(cursor)?;
        self.params_bytes = bytes_between(at, cursor.rest);
        let at = cursor.rest;
        if let [b'?', headers @ ..] = at {
            cursor.rest = behind_headers(headers)?;
            self.headers_bytes = bytes_between(at, cursor.rest);
        }
        self.raw = scan::before(start, cursor.rest);
        Some(())
    }

    /// Reads one at the front of `start` that is not `sip:`.
    #[cold]
    fn read_another_scheme(&mut self, start: &'a [u8]) -> Option<()> {
        let (scheme, rest) = scan::split_once(start, b':')?;
        if scheme.eq_ignore_ascii_case(b"sips") {
            return self.read_sip(Kind::Sips, start, rest);
        }
        let mut cursor = Cursor::new(rest);
        if scheme.eq_ignore_ascii_case(b"tel") {
            self.read_tel(&mut cursor)?;
        } else {
            read_opaque(scheme, &mut cursor)?;
        }
        self.raw = scan::before(start, cursor.rest);
        Some(())
    }

    /// What stands behind `tel:`.
    fn read_tel(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        self.kind = Kind::Tel;
        self.user = cursor.take_while(|byte| {
            // RFC 3966 §3: digits, visual separators; in local numbers hexadecimal, star and hash.
            byte.is_ascii_hexdigit()
                || matches!(byte, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#')
        });
        let at = cursor.rest;
        skip_params(cursor)?;
        self.params_bytes = bytes_between(at, cursor.rest);
        (!self.user.is_empty()).then_some(())
    }

    /// One that is not read yet.
    pub(crate) const UNREAD: Self = Self {
        raw: b"",
        user: b"",
        host: b"",
        params_bytes: 0,
        headers_bytes: 0,
        port: None,
        kind: Kind::Other,
    };

    /// As it stands.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme<'a> {
        match self.kind {
            Kind::Sip => Scheme::Sip,
            Kind::Sips => Scheme::Sips,
            Kind::Tel => Scheme::Tel,
            Kind::Other => {
                Scheme::Other(scan::before(self.raw, scan::tail_from_byte(self.raw, b':')))
            }
        }
    }

    /// The user, or the number of a `tel:` URI, still escaped. Never empty.
    #[must_use]
    #[inline]
    pub const fn user(&self) -> Option<&'a [u8]> {
        match self.user {
            [] => None,
            user => Some(user),
        }
    }

    /// The password, still escaped.
    #[must_use]
    #[inline]
    pub fn password(&self) -> Option<&'a [u8]> {
        if self.kind == Kind::Tel || self.user.is_empty() {
            return None;
        }
        let (_, behind_scheme) = scan::split_once(self.raw, b':')?;
        let behind_user = behind_scheme.get(self.user.len()..)?.strip_prefix(b":")?;
        Some(scan::split_once(behind_user, b'@')?.0)
    }

    /// The host; empty in `tel:` and unread URIs.
    #[must_use]
    #[inline]
    pub const fn host(&self) -> Host<'a> {
        Host { raw: self.host }
    }

    /// The port, never 0.
    #[must_use]
    #[inline]
    pub const fn port(&self) -> Option<u16> {
        match self.port {
            Some(port) => Some(port.get()),
            None => None,
        }
    }

    /// The parameters as they stand, from the first semicolon on.
    #[must_use]
    #[inline]
    pub const fn params(&self) -> &'a [u8] {
        last_of(self.without_headers(), self.params_bytes as usize)
    }

    /// The headers as they stand, without the question mark.
    #[must_use]
    #[inline]
    pub const fn headers(&self) -> Option<&'a [u8]> {
        match last_of(self.raw, self.headers_bytes as usize) {
            [_, headers @ ..] => Some(headers),
            [] => None,
        }
    }

    /// As it stands up to its headers: what of it a Request-URI may be (§19.1.1, table 1).
    #[must_use]
    #[inline]
    pub const fn without_headers(&self) -> &'a [u8] {
        match self.raw.split_at_checked(self.raw.len().wrapping_sub(self.headers_bytes as usize)) {
            Some((before, _)) => before,
            None => self.raw,
        }
    }

    /// The first parameter of that name: `Some(None)` when it has no value.
    #[must_use]
    #[allow(clippy::option_option, reason = "present without a value is its own case (`lr`)")]
    pub fn param(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        find_param(self.params(), name)
    }

    /// The values of all headers of that name (§19.1.1), still escaped; empty where there is no `=`.
    pub fn header_values<'n>(
        &self,
        name: &'n [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers().unwrap_or_default().split(|&byte| byte == b'&').filter_map(move |header| {
            let (found, value) = scan::split_once(header, b'=').unwrap_or((header, b""));
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Whether the user is a telephone number: `user=phone` (§19.1.1), or the URI is a `tel:`.
    #[must_use]
    #[inline]
    pub fn is_phone(&self) -> bool {
        let phone = |user: &[u8]| user.eq_ignore_ascii_case(b"phone");
        self.kind == Kind::Tel || self.param(b"user").flatten().is_some_and(phone)
    }

    /// The transport that it asks for (§19.1.1, §26.2.2).
    #[must_use]
    #[inline]
    pub fn transport(&self) -> Option<Transport<'a>> {
        self.param(b"transport").flatten().map(Transport::new)
    }

    /// Whether it is of a loose router: `lr`, with a value from some peers (§16.12.1, §19.1.1).
    #[must_use]
    #[inline]
    pub fn is_loose(&self) -> bool {
        self.param(b"lr").is_some()
    }

    /// Whether it is to be reached over the connection that it was registered by: `ob` (RFC 5626 §5.1).
    #[must_use]
    #[inline]
    pub fn is_outbound(&self) -> bool {
        self.param(b"ob").is_some()
    }
}

/// The first parameter of that name among `;name=value;name`: `Some(None)` when it has no value.
#[allow(clippy::option_option, reason = "present without a value is its own case (`lr`)")]
pub(crate) fn find_param<'a>(params: &'a [u8], name: &[u8]) -> Option<Option<&'a [u8]>> {
    params.split(|&byte| byte == b';').skip(1).find_map(|param| {
        let (found, value) = match scan::split_once(param, b'=') {
            Some((found, value)) => (found, Some(value)),
            None => (param, None),
        };
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// The last bytes of a text, so many.
const fn last_of(text: &[u8], bytes: usize) -> &[u8] {
    match text.split_at_checked(text.len().wrapping_sub(bytes)) {
        Some((_, last)) => last,
        None => b"",
    }
}

/// How much stands between two tails of a text, the longer one first. What is longer than a URI may be is
/// cut, as all of it will be refused.
const fn bytes_between(from: &[u8], to: &[u8]) -> u16 {
    from.len().wrapping_sub(to.len()) as u16
}

/// Whether it is `sip:` in any case.
fn is_sip(scheme: [u8; 4]) -> bool {
    // The bit of a blank is what a small letter has and its capital has not.
    let small = u32::from_ne_bytes(*b"   \0");
    u32::from_ne_bytes(scheme) | small == u32::from_ne_bytes(*b"sip:")
}

/// What stands behind the colon of a scheme that we do not read further.
fn read_opaque(scheme: &[u8], cursor: &mut Cursor<'_>) -> Option<()> {
    let named = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let opaque = cursor
        .take_while(|byte| scan::is(byte, scan::VISIBLE) && !matches!(byte, b'<' | b'>' | b'"'));
    (named && !opaque.is_empty()).then_some(())
}

/// The user of `user:password@`, if that stands at the cursor.
///
/// What ends before an at sign was the host. A second at sign further on is of no part behind it.
#[inline(always)]
fn read_user<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let mut ahead = *cursor;
    ahead.skip_escaped(scan::USER);
    let user = scan::before(cursor.rest, ahead.rest);
    if ahead.eat(b':') {
        ahead.skip_escaped(scan::USER);
    }
    if user.is_empty() || !ahead.eat(b'@') {
        return None;
    }
    *cursor = ahead;
    Some(user)
}

/// `;name=value;name`, perhaps none; each has a name.
#[inline(always)]
fn skip_params(cursor: &mut Cursor<'_>) -> Option<()> {
    while cursor.eat(b';') {
        let at = cursor.rest;
        cursor.skip_escaped(scan::URI_PARAM);
        if cursor.rest.len() == at.len() || at.starts_with(b"=") {
            return None;
        }
    }
    Some(())
}

/// What follows `name=value&name=value`, not nothing; a question mark may stand inside a value.
#[cold]
fn behind_headers(text: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(text);
    cursor.skip_escaped(scan::URI_PARAM);
    while cursor.eat(b'?') {
        cursor.skip_escaped(scan::URI_PARAM);
    }
    (cursor.rest.len() < text.len()).then_some(cursor.rest)
}

/// Lengths only: an address may be a subscriber's number.
impl std::fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uri({} bytes)", self.raw.len())
    }
}

/// Writes `escaped` without its `%` escapes into `out`. `None` when it does not fit.
///
/// A `%` that begins no escape is kept as it stands.
pub fn unescape_into<'o>(escaped: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    let mut rest = escaped;
    let mut length = 0usize;
    loop {
        let (byte, after) = match rest {
            [] => break,
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (nibble(*high) << 4 | nibble(*low), after)
            }
            [byte, after @ ..] => (*byte, after),
        };
        *out.get_mut(length)? = byte;
        length = length.saturating_add(1);
        rest = after;
    }
    out.get(..length)
}

/// The value of a hexadecimal digit.
pub(crate) const fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit & 0x0f } else { (digit & 0x0f).wrapping_add(9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_sip_uri_is_read() {
        let uri =
            Uri::parse(b"sips:user;par=u%40example.net:pw@[2001:db8::1]:5061;lr;x=Y?Route=%3Ca%3E")
                .unwrap();
        assert_eq!(uri.scheme(), Scheme::Sips);
        assert_eq!(uri.user(), Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(uri.password(), Some(&b"pw"[..]));
        assert_eq!(uri.host().ip(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(uri.port(), Some(5061));
        assert_eq!((uri.param(b"LR"), uri.param(b"x")), (Some(None), Some(Some(&b"Y"[..]))));
        assert_eq!(uri.param(b"y"), None);
        assert_eq!(uri.headers(), Some(&b"Route=%3Ca%3E"[..]));
    }

    #[test]
    fn what_an_address_asks_for_is_read() {
        let uri = Uri::parse(b"sip:+1@h;USER=Phone;transport=TCP;lr=on;ob").unwrap();
        assert!(uri.is_phone() && uri.is_loose() && uri.is_outbound());
        assert_eq!(uri.transport(), Some(Transport::Tcp));
        let uri = Uri::parse(b"sip:+1@h;user=ip;x=lr;transport").unwrap();
        assert!(!uri.is_phone() && !uri.is_loose() && !uri.is_outbound());
        assert_eq!(uri.transport(), None);
        assert!(Uri::parse(b"tel:+1").unwrap().is_phone());
    }

    #[test]
    fn headers_are_found_by_name() {
        let uri = Uri::parse(b"sip:a@b?Reason=SIP%3Bcause%3D302&x&REASON=Q.850").unwrap();
        let reasons: Vec<_> = uri.header_values(b"reason").collect();
        assert_eq!(reasons, [&b"SIP%3Bcause%3D302"[..], b"Q.850"]);
        assert_eq!(uri.header_values(b"x").next(), Some(&b""[..]));
        assert_eq!(Uri::parse(b"sip:a@b").unwrap().header_values(b"x").next(), None);
    }

    #[test]
    fn hosts_are_the_same_in_any_case_and_form() {
        for (one, other, same) in [
            ("Example.COM", "example.com", true),
            ("example.com", "example.com.", false),
            ("[2001:DB8:0::1]", "2001:db8::1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "a", false),
        ] {
            let host = |text: &'static str| Host::parse(text.as_bytes()).unwrap();
            assert_eq!(host(one).is_same(&host(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn a_telephone_number_is_the_user_of_a_tel_uri() {
        let uri = Uri::parse(b"tel:+1-201-555-0123;phone-context=example.com").unwrap();
        assert_eq!((uri.scheme(), uri.user()), (Scheme::Tel, Some(&b"+1-201-555-0123"[..])));
        assert_eq!(uri.param(b"phone-context"), Some(Some(&b"example.com"[..])));
    }

    #[test]
    fn other_schemes_are_not_read_further() {
        let uri = Uri::parse(b"soap.beep://192.0.2.103:3002").unwrap();
        assert_eq!(uri.scheme(), Scheme::Other(b"soap.beep"));
        assert_eq!(uri.host().as_bytes(), b"");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for bytes in [
            &b""[..],
            b"sip",
            b"sip:",
            b"sip:@b",
            b"sip:a@",
            b"sip:a@b@c",
            b"sip:a b@c",
            b"sip:a@b;",
            b"sip:a@b;;lr",
            b"sip:a@b;=x",
            b"sip:a@b?",
            b"sip:a@b:0",
            b"sip:a@b:65536",
            b"sip:a@b: ",
            b"sip:a@[::g]",
            b"sip:a@[1:2]",
            b"sip:a%4@b",
            b"<sip:a@b>",
            b"sip:a@b>",
            b"sip:a\"@b",
            b"tel:",
            b"tel:+1 2",
            b"1x:a",
            b"x:",
            b":a",
        ] {
            assert!(Uri::parse(bytes).is_none(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn headers_can_be_left_out() {
        for (uri, without) in [
            (&b"sip:a@b;lr?x=y&z=?"[..], &b"sip:a@b;lr"[..]),
            (b"sip:a@b;lr", b"sip:a@b;lr"),
            (b"tel:+1", b"tel:+1"),
        ] {
            assert_eq!(Uri::parse(uri).unwrap().without_headers(), without);
        }
    }

    #[test]
    fn an_escaped_nul_does_not_shorten_the_user() {
        let mut out = [0; 16];
        assert_eq!(unescape_into(b"a%00%41%zz%4", &mut out), Some(&b"a\0A%zz%4"[..]));
        assert_eq!(unescape_into(b"abc", &mut [0; 2]), None);
    }
}
