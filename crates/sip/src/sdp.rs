//! Session descriptions (RFC 8866): read without copying, rewritten line by line.
//!
//! [`Sdp::parse`] reads what a relay must know; [`Sdp::rewrite`] puts our addresses and ports in their
//! places, drops what a relay cannot keep true (ICE, rtcp-mux, BUNDLE, DTLS), what names the describer
//! (user, session, title, links) and every other line in which an address stands, and leaves every other
//! byte as it was, so that what we do not understand passes unharmed.

mod change;
mod codec;
mod crypto;
mod rewrite;
mod sounding;

use std::net::IpAddr;

use crate::lines::Lines;
use crate::room::Room;
use crate::scan;

pub use change::{ADDED_MAX, Change, NAMES_MAX, PAYLOADS_MAX};
pub use codec::{Codec, Codecs};
pub use crypto::{Crypto, KEY_BYTES_MAX};
pub use rewrite::{Edit, Rewrite};
pub use sounding::Sounding;

/// How many media a description may have.
pub const MEDIA_MAX: usize = 8;

/// Why a body is no session description. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SdpFault {
    /// It does not begin with `v=0`.
    VersionMissing,
    /// A line that is not a letter, an equals sign and text, or that holds a lone CR or a NUL.
    LineMalformed,
    /// No `o=` line.
    OriginMissing,
    /// `o=` without its six parts, a second one, or one of a medium.
    OriginMalformed,
    /// `c=` that is not `IN IP4` or `IN IP6` and an address.
    ConnectionMalformed,
    /// A medium in use has no `c=` of its own nor one of the session.
    ConnectionMissing,
    /// `m=` without its parts, or with a port that is none.
    MediaMalformed,
    /// More media than [`MEDIA_MAX`].
    MediaTooMany,
    /// `a=rtcp` without a port.
    RtcpMalformed,
}

impl SdpFault {
    /// Every fault, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::VersionMissing,
        Self::LineMalformed,
        Self::OriginMissing,
        Self::OriginMalformed,
        Self::ConnectionMalformed,
        Self::ConnectionMissing,
        Self::MediaMalformed,
        Self::MediaTooMany,
        Self::RtcpMalformed,
    ];

    /// The name of its counter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VersionMissing => "sdp_version_missing",
            Self::LineMalformed => "sdp_line_malformed",
            Self::OriginMissing => "sdp_origin_missing",
            Self::OriginMalformed => "sdp_origin_malformed",
            Self::ConnectionMalformed => "sdp_connection_malformed",
            Self::ConnectionMissing => "sdp_connection_missing",
            Self::MediaMalformed => "sdp_media_malformed",
            Self::MediaTooMany => "sdp_media_too_many",
            Self::RtcpMalformed => "sdp_rtcp_malformed",
        }
    }
}

/// Who sends (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both; what is meant when nothing is said.
    #[default]
    SendRecv,
    /// Only the describer sends.
    SendOnly,
    /// Only the describer receives.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    fn of_attribute(attribute: &[u8]) -> Option<Self> {
        match attribute {
            b"sendrecv" => Some(Self::SendRecv),
            b"sendonly" => Some(Self::SendOnly),
            b"recvonly" => Some(Self::RecvOnly),
            b"inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// Who made a description: the first parts of `o=` (RFC 8866 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// A login, or `-`.
    pub user: &'a [u8],
    /// Unique together with the user and the address.
    pub session: &'a [u8],
    /// Grows with each change of the description.
    pub version: &'a [u8],
}

impl<'a> Origin<'a> {
    /// `alice 2890844526 2890842807 IN IP4 192.0.2.1`; what stands for numbers need not be any.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = Words { rest: value };
        let (user, session, version) = (words.next()?, words.next()?, words.next()?);
        let network = words.next()?;
        let (_family, _address) = (words.next()?, words.next()?);
        let is_whole = network == b"IN" && words.next().is_none();
        is_whole.then_some(Self { user, session, version })
    }
}

/// The address of a `c=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// As it stands: an address, or a host name; `/ttl` of multicast left out.
    pub host: &'a [u8],
    /// The address; `None` for a host name, which a relay does not look up.
    pub ip: Option<IpAddr>,
}

impl<'a> Connection<'a> {
    /// `IN IP4 192.0.2.1`.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = Words { rest: value };
        let (network, family, address) = (words.next()?, words.next()?, words.next()?);
        let host = scan::before(address, scan::tail_from_byte(address, b'/'));
        if network != b"IN" || words.next().is_some() || host.is_empty() {
            return None;
        }
        let ip = match family {
            b"IP4" => scan::ipv4(host).map(IpAddr::V4),
            b"IP6" => scan::ipv6(host).map(IpAddr::V6),
            _ => return None,
        };
        let readable = ip.is_some() || std::str::from_utf8(host).is_ok();
        readable.then_some(Self { host, ip })
    }

    /// Whether it is 0.0.0.0 or `::`: the hold of RFC 2543.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.ip.is_some_and(|ip| ip.is_unspecified())
    }
}

/// What an `m=` line and the lines below it say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video`, `image`, …
    pub kind: &'a [u8],
    /// 0: the stream is refused or removed.
    pub port: u16,
    /// `RTP/AVP`, `udptl`, …
    pub proto: &'a [u8],
    /// Of this medium, or else of the session. `None` only when the port is 0.
    pub connection: Option<Connection<'a>>,
    /// Of this medium, or else of the session.
    pub direction: Direction,
    /// The port of `a=rtcp` (RFC 3605).
    pub rtcp_port: Option<u16>,
    /// The address of `a=rtcp`, if it names one.
    pub rtcp_ip: Option<IpAddr>,
    /// The payload type of `telephone-event` (RFC 4733).
    pub telephone_event: Option<u8>,
    formats: &'a [u8],
    lines: &'a [u8],
}

impl<'a> Media<'a> {
    /// Whether it is carried in RTP over UDP, which a relay can carry on.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        self.proto.starts_with(b"RTP/") || self.proto.starts_with(b"UDP/TLS/RTP/")
    }

    /// Whether it is a fax in UDP (T.38 Annex D, RFC 7345 names it beside DTLS).
    #[must_use]
    pub fn is_udptl(&self) -> bool {
        self.proto.eq_ignore_ascii_case(b"udptl")
    }

    /// Whether nothing is wanted from the far end: by direction, or as RFC 2543 did it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.direction, Direction::SendOnly | Direction::Inactive)
            || self.connection.is_some_and(|connection| connection.is_unspecified())
    }

    /// The formats as they stand, in the order of preference; payload types for RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.formats.split(|&byte| byte == b' ').filter(|format| !format.is_empty())
    }

    /// The payload types, in the order of preference.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.formats().filter_map(payload_type)
    }

    /// The attributes of this medium, without `a=`.
    pub fn attributes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Lines::of(self.lines).filter_map(|line| line.text.strip_prefix(b"a="))
    }

    /// What `a=rtpmap` says of a payload type, such as `PCMU/8000`.
    #[must_use]
    pub fn rtpmap(&self, payload: u8) -> Option<&'a [u8]> {
        self.attributes().find_map(|attribute| {
            let (number, encoding) = split_word(attribute.strip_prefix(b"rtpmap:")?)?;
            (payload_type(number) == Some(payload)).then_some(encoding)
        })
    }

    /// What `a=fmtp` says of a payload type, such as `annexb=no`.
    #[must_use]
    pub fn fmtp(&self, payload: u8) -> Option<&'a [u8]> {
        self.attributes().find_map(|attribute| {
            let (number, said) = split_word(attribute.strip_prefix(b"fmtp:")?)?;
            (payload_type(number) == Some(payload)).then_some(said)
        })
    }

    /// How long a packet's audio is, in milliseconds (`a=ptime`).
    #[must_use]
    pub fn packet_ms(&self) -> Option<u32> {
        self.attributes().find_map(|attribute| {
            scan::number(scan::trim(attribute.strip_prefix(b"ptime:")?), 1000)
        })
    }
}

fn payload_type(format: &[u8]) -> Option<u8> {
    scan::number(format, 127).and_then(|number| u8::try_from(number).ok())
}

/// A word, and what follows the blanks behind it.
fn split_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = scan::split_once(text, b' ')?;
    Some((word, rest.trim_ascii_start()))
}

/// Words between spaces.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.skip_spaces();
        self.rest = scan::tail_from_byte(start, b' ');
        Some(scan::before(start, self.rest)).filter(|word| !word.is_empty())
    }
}

impl<'a> Words<'a> {
    /// What begins with the next word.
    fn skip_spaces(&mut self) -> &'a [u8] {
        while let [b' ', after @ ..] = self.rest {
            self.rest = after;
        }
        self.rest
    }
}

/// A checked description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdp<'a> {
    bytes: &'a [u8],
    origin: Origin<'a>,
    connection: Option<Connection<'a>>,
    media: [Media<'a>; MEDIA_MAX],
    media_count: usize,
}

const NO_MEDIA: Media<'static> = Media {
    kind: b"",
    port: 0,
    proto: b"",
    connection: None,
    direction: Direction::SendRecv,
    rtcp_port: None,
    rtcp_ip: None,
    telephone_event: None,
    formats: b"",
    lines: b"",
};

/// A static is copied at once, and not medium by medium.
static EMPTY: Sdp<'static> = Sdp {
    bytes: b"",
    origin: Origin { user: b"", session: b"", version: b"" },
    connection: None,
    media: [NO_MEDIA; MEDIA_MAX],
    media_count: 0,
};

impl<'a> Sdp<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// The first fault met.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SdpFault> {
        let mut sdp = Self { bytes, ..EMPTY };
        let mut session_direction = Direction::SendRecv;
        let mut origin = None;
        let mut lines = Lines::of(bytes);
        if lines.next().is_none_or(|line| line.text != b"v=0") {
            return Err(SdpFault::VersionMissing);
        }
        loop {
            let from = lines.rest();
            let Some(line) = lines.next() else { break };
            let (letter, value) = match line.text {
                // Peers leave blank lines at the end.
                [] => continue,
                [letter, b'=', value @ ..] if letter.is_ascii_alphabetic() => (*letter, value),
                _ => return Err(SdpFault::LineMalformed),
            };
            if line.suspect {
                return Err(SdpFault::LineMalformed);
            }
            let current = sdp.media.get_mut(..sdp.media_count).and_then(<[_]>::last_mut);
            match (letter, current) {
                (b'o', None) if origin.is_none() => {
                    origin = Some(Origin::parse(value).ok_or(SdpFault::OriginMalformed)?);
                }
                (b'o', _) => return Err(SdpFault::OriginMalformed),
                (b'c', current) => {
                    let connection =
                        Connection::parse(value).ok_or(SdpFault::ConnectionMalformed)?;
                    // A second `c=` is one more layer of multicast; the first is the one that counts.
                    let place = current.map_or(&mut sdp.connection, |media| &mut media.connection);
                    *place = place.or(Some(connection));
                }
                (b'm', current) => {
                    if let Some(before) = current {
                        before.lines = scan::before(before.lines, from);
                    }
                    let media = Media { lines: lines.rest(), ..parse_media(value)? };
                    let media = Media { direction: session_direction, ..media };
                    *sdp.media.get_mut(sdp.media_count).ok_or(SdpFault::MediaTooMany)? = media;
                    sdp.media_count = sdp.media_count.saturating_add(1);
                }
                (b'a', Some(media)) => media.read_attribute(value)?,
                (b'a', None) => {
                    session_direction = Direction::of_attribute(value).unwrap_or(session_direction);
                }
                _ => (),
            }
        }
        sdp.origin = origin.ok_or(SdpFault::OriginMissing)?;
        sdp.finish_media()?;
        Ok(sdp)
    }

    /// Gives each medium that has no connection the session's.
    fn finish_media(&mut self) -> Result<(), SdpFault> {
        let session = self.connection;
        for media in self.media.iter_mut().take(self.media_count) {
            media.connection = media.connection.or(session);
            if media.connection.is_none() && media.port != 0 {
                return Err(SdpFault::ConnectionMissing);
            }
        }
        Ok(())
    }

    /// The description as it stands.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Who made it, and in which session.
    #[must_use]
    pub const fn origin(&self) -> &Origin<'a> {
        &self.origin
    }

    /// The connection of the session.
    #[must_use]
    pub const fn connection(&self) -> Option<&Connection<'a>> {
        self.connection.as_ref()
    }

    /// The media in their order.
    #[must_use]
    pub fn media(&self) -> &[Media<'a>] {
        self.media.get(..self.media_count).unwrap_or_default()
    }
}

/// `IP4 192.0.2.1`
fn push_address(room: &mut Room<'_>, address: IpAddr) {
    room.push(if address.is_ipv4() { b"IP4 " } else { b"IP6 " });
    room.ip(address);
}

impl Media<'_> {
    fn read_attribute(&mut self, attribute: &[u8]) -> Result<(), SdpFault> {
        if let Some(direction) = Direction::of_attribute(attribute) {
            self.direction = direction;
        } else if let Some(rtcp) = attribute.strip_prefix(b"rtcp:") {
            let (port, address) = split_word(rtcp).unwrap_or((rtcp, b""));
            self.rtcp_port = Some(scan::port(port).ok_or(SdpFault::RtcpMalformed)?);
            self.rtcp_ip = Connection::parse(address).and_then(|connection| connection.ip);
        } else if let Some(map) = attribute.strip_prefix(b"rtpmap:")
            && let Some((number, encoding)) = split_word(map)
            && encoding.get(..16).is_some_and(|name| name.eq_ignore_ascii_case(b"telephone-event/"))
            && self.telephone_event.is_none()
        {
            self.telephone_event = payload_type(number);
        }
        Ok(())
    }
}

/// The parts of an `m=` line.
struct MediaLine<'a> {
    kind: &'a [u8],
    port: &'a [u8],
    /// From the space behind the port (and its count) to the end of the line.
    behind_port: &'a [u8],
}

fn split_media(value: &[u8]) -> Option<MediaLine<'_>> {
    let (kind, rest) = split_word(value)?;
    let behind_port = scan::tail_from_byte(rest, b' ');
    let ports = scan::before(rest, behind_port);
    // `49170/2` asks for two pairs of ports; we relay one.
    let port = scan::before(ports, scan::tail_from_byte(ports, b'/'));
    (!behind_port.is_empty()).then_some(MediaLine { kind, port, behind_port })
}

fn parse_media(value: &[u8]) -> Result<Media<'_>, SdpFault> {
    let line = split_media(value).ok_or(SdpFault::MediaMalformed)?;
    let port = scan::number(line.port, 65_535).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(SdpFault::MediaMalformed)?;
    let behind = line.behind_port.trim_ascii();
    let (proto, formats) = split_word(behind).unwrap_or((behind, b""));
    // A refused medium needs no formats, and some peers write none.
    if line.kind.is_empty() || proto.is_empty() || (formats.is_empty() && port != 0) {
        return Err(SdpFault::MediaMalformed);
    }
    Ok(Media { kind: line.kind, port, proto, formats, ..NO_MEDIA })
}

#[cfg(test)]
mod tests;
