//! Where a response goes: one Via value (RFC 3261 §20.42, §18.2; RFC 3581 for `rport`).

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::params::{Param, Params};
use crate::scan::{self, Cursor};
use crate::uri::Host;

/// What begins a branch that is unique by itself (RFC 3261 §8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// The transport that a Via names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport<'a> {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A secured stream.
    Tls,
    /// RFC 4168.
    Sctp,
    /// RFC 7118.
    Ws,
    /// RFC 7118 over TLS.
    Wss,
    /// Any other token.
    Other(&'a [u8]),
}

impl<'a> Transport<'a> {
    /// The transport of that name, in any case.
    #[must_use]
    pub const fn new(name: &'a [u8]) -> Self {
        if name.eq_ignore_ascii_case(b"UDP") {
            Self::Udp
        } else if name.eq_ignore_ascii_case(b"TCP") {
            Self::Tcp
        } else if name.eq_ignore_ascii_case(b"TLS") {
            Self::Tls
        } else if name.eq_ignore_ascii_case(b"SCTP") {
            Self::Sctp
        } else if name.eq_ignore_ascii_case(b"WS") {
            Self::Ws
        } else if name.eq_ignore_ascii_case(b"WSS") {
            Self::Wss
        } else {
            Self::Other(name)
        }
    }

    /// Its name as it is written.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Udp => b"UDP",
            Self::Tcp => b"TCP",
            Self::Tls => b"TLS",
            Self::Sctp => b"SCTP",
            Self::Ws => b"WS",
            Self::Wss => b"WSS",
            Self::Other(name) => name,
        }
    }
}

/// Whether a peer wants its answer at the port it sent from (RFC 3581).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rport {
    /// No `rport` at all.
    #[default]
    Absent,
    /// `rport` without a value: the server fills it in.
    Wanted,
    /// As a server has filled it in.
    Filled(u16),
}

/// A checked Via value, shorter than 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    raw: &'a [u8],
    transport: &'a [u8],
    host: Host<'a>,
    params: Params<'a>,
    port: Option<NonZeroU16>,
    given: Given<'a>,
}

/// What the parameters of a Via say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Given<'a> {
    branch: Option<&'a [u8]>,
    maddr: Option<&'a [u8]>,
    received: Option<IpAddr>,
    rport: Rport,
    ttl: Option<u8>,
}

impl<'a> Given<'a> {
    /// `None`: it has no meaning.
    #[inline(always)]
    fn take(&mut self, param: Param<'a>) -> Option<()> {
        match (param.name.len(), param.value) {
            (6, Some(value)) if param.is(b"branch") => self.branch = Some(value),
            (8, Some(value)) if param.is(b"received") => {
                self.received = Some(Host::parse(value)?.ip()?);
            }
            (5, None) if param.is(b"rport") => self.rport = Rport::Wanted,
            (5, Some(value)) if param.is(b"rport") => {
                self.rport = Rport::Filled(scan::port(value)?);
            }
            (5, Some(value)) if param.is(b"maddr") => self.maddr = Some(value),
            (3, Some(value)) if param.is(b"ttl") => {
                self.ttl = Some(u8::try_from(scan::number(value, 255)?).ok()?);
            }
            _ => (),
        }
        Some(())
    }
}

impl<'a> Via<'a> {
    /// One that is not read yet.
    pub(crate) const UNREAD: Self = Self {
        raw: b"",
        transport: b"",
        host: Host::known(b""),
        params: Params::NONE,
        port: None,
        given: Given { branch: None, maddr: None, received: None, rport: Rport::Absent, ttl: None },
    };

    /// Whether it is [`Via::UNREAD`].
    pub(crate) const fn is_unread(&self) -> bool {
        self.raw.is_empty()
    }

    /// Reads one value, without the commas of a list. `None` when it cannot be read.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut via = Self::UNREAD;
        via.read(value)?.is_empty().then_some(via)
    }

    /// Reads the first value of a list and the blanks around it, where it lies.
    #[inline(always)]
    pub(crate) fn read_first(&mut self, list: &'a [u8]) -> Option<()> {
        matches!(self.read(list)?, [] | [b',', ..]).then_some(())
    }

    /// The same; returns what follows them.
    fn read(&mut self, list: &'a [u8]) -> Option<&'a [u8]> {
        let cursor = &mut Cursor::new(list);
        cursor.skip_blanks();
        let start = cursor.rest;
        self.transport = read_protocol(cursor)?;
        let before = cursor.rest.len();
        cursor.skip_blanks();
        if cursor.rest.len() == before {
            return None;
        }
        self.host = Host::read(cursor)?;
        cursor.skip_blanks();
        if cursor.eat(b':') {
            cursor.skip_blanks();
            self.port = Some(cursor.port()?);
        }
        let given = &mut self.given;
        self.params = Params::read(cursor, |param| given.take(param))?;
        self.raw = scan::trim_end(scan::before(start, cursor.rest));
        (self.raw.len() <= usize::from(u16::MAX)).then_some(cursor.rest)
    }

    /// The whole value as it stands; it may hold folds.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The transport it names.
    #[must_use]
    #[inline]
    pub const fn transport(&self) -> Transport<'a> {
        Transport::new(self.transport)
    }

    /// The host of sent-by.
    #[must_use]
    #[inline]
    pub const fn host(&self) -> Host<'a> {
        self.host
    }

    /// The port of sent-by; 5060 is meant when it is absent.
    #[must_use]
    #[inline]
    pub const fn port(&self) -> Option<u16> {
        match self.port {
            Some(port) => Some(port.get()),
            None => None,
        }
    }

    /// All parameters.
    #[must_use]
    #[inline]
    pub const fn params(&self) -> &Params<'a> {
        &self.params
    }

    /// The branch, whether with or without the magic cookie.
    #[must_use]
    #[inline]
    pub const fn branch(&self) -> Option<&'a [u8]> {
        self.given.branch
    }

    /// The branch if it names its transaction by itself. `None`: match as RFC 2543 did (§17.2.3);
    /// a bare magic cookie names nothing.
    #[must_use]
    pub fn unique_branch(&self) -> Option<&'a [u8]> {
        self.given.branch.filter(|branch| {
            // The cookie is compared without case: some peers fold it.
            branch
                .get(..MAGIC_COOKIE.len())
                .is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
                && branch.len() > MAGIC_COOKIE.len()
        })
    }

    /// The address that the next server saw.
    #[must_use]
    #[inline]
    pub const fn received(&self) -> Option<IpAddr> {
        self.given.received
    }

    /// Whether the answer goes to the port that the request came from.
    #[must_use]
    #[inline]
    pub const fn rport(&self) -> Rport {
        self.given.rport
    }

    /// Where the answer goes instead, by a sender's wish. We never follow it; it is shown only.
    #[must_use]
    #[inline]
    pub const fn maddr(&self) -> Option<&'a [u8]> {
        self.given.maddr
    }

    /// Hops of a multicast answer.
    #[must_use]
    #[inline]
    pub const fn ttl(&self) -> Option<u8> {
        self.given.ttl
    }
}

/// `SIP/2.0/UDP`; returns the transport.
#[inline(always)]
fn read_protocol<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    match cursor.rest.strip_prefix(b"SIP/2.0/") {
        Some(rest) => cursor.rest = rest,
        None => cursor.rest = behind_spaced_version(cursor.rest)?,
    }
    cursor.skip_blanks();
    cursor.take_some(scan::TOKEN)
}

/// What follows the same up to the transport, with blanks between the parts, or in lower case.
#[cold]
fn behind_spaced_version(text: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(text);
    let name = cursor.take_some(scan::TOKEN)?;
    cursor.skip_blanks();
    let slash = cursor.eat(b'/');
    cursor.skip_blanks();
    let version = cursor.take_some(scan::TOKEN)?;
    cursor.skip_blanks();
    let slashes = slash && cursor.eat(b'/');
    (slashes && name.eq_ignore_ascii_case(b"SIP") && version == b"2.0").then_some(cursor.rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_folds_may_stand_almost_anywhere() {
        let via =
            Via::parse(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ;branch=390skdjuw").unwrap();
        assert_eq!(via.transport(), Transport::Udp);
        assert_eq!(via.host().as_bytes(), b"192.0.2.2");
        assert_eq!(via.port(), Some(5070));
        assert_eq!(via.branch(), Some(&b"390skdjuw"[..]));
        assert_eq!(via.unique_branch(), None);
    }

    #[test]
    fn every_parameter_is_read() {
        let via = Via::parse(
            b"SIP/2.0/udp [2001:db8::1]:5061;received=[2001:db8::9];rport=5;maddr=a;ttl=16;branch=z9hG4bKx",
        )
        .unwrap();
        assert_eq!(via.host().ip(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(via.received(), Some("2001:db8::9".parse().unwrap()));
        assert_eq!(via.rport(), Rport::Filled(5));
        assert_eq!((via.maddr(), via.ttl()), (Some(&b"a"[..]), Some(16)));
        assert_eq!(via.unique_branch(), Some(&b"z9hG4bKx"[..]));
        assert_eq!(Via::parse(b"SIP/2.0/TLS a;rport").unwrap().rport(), Rport::Wanted);
        let bare = Via::parse(b"SIP/2.0/UDP a;received=2001:db8::9").unwrap();
        assert_eq!(bare.received(), Some("2001:db8::9".parse().unwrap()));
    }

    #[test]
    fn a_bare_cookie_is_no_unique_branch() {
        assert_eq!(Via::parse(b"SIP/2.0/UDP a;branch=z9hG4bK").unwrap().unique_branch(), None);
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for value in [
            &b""[..],
            b"SIP/2.0/UDP",
            b"SIP/2.0/UDP ",
            b"SIP/2.0 UDP a",
            b"SIP/1.0/UDP a",
            b"HTTP/2.0/UDP a",
            b"SIP/2.0/UDP 192.0.2.15;;,;,,",
            b"SIP/2.0/UDP a:0",
            b"SIP/2.0/UDP a:99999",
            b"SIP/2.0/UDP a:",
            b"SIP/2.0/UDP a b",
            b"SIP/2.0/UDP [::1",
            b"SIP/2.0/UDP a;ttl=256",
            b"SIP/2.0/UDP a;rport=x",
            b"SIP/2.0/UDP a;received=b",
        ] {
            assert!(Via::parse(value).is_none(), "{}", value.escape_ascii());
        }
    }
}
