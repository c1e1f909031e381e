//! What a frame is, as far as a replay has to know: where its addresses lie, and whether it is of a call.

use std::net::{IpAddr, SocketAddr};

use crate::link::{ETHERNET_BYTES, TYPE_IPV4, TYPE_IPV6};

const TYPES_VLAN: [u16; 2] = [0x8100, 0x88a8];
const VLAN_BYTES: usize = 4;
const TAGS_MAX: usize = 2;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
/// Next headers of IPv6 that are not the last (RFC 8200 §4.1), without the fragment's.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const EXTENSIONS_MAX: usize = 8;
const FRAGMENT: u8 = 44;

/// Protocols whose checksum covers the addresses.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// Where the parts of an IP frame lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The IP header.
    pub ip: usize,
    /// Its family.
    pub is_v6: bool,
    /// What it carries.
    pub protocol: u8,
    /// The header behind it; none in a fragment that is not the first.
    pub transport: Option<usize>,
    /// Whether it is all of a packet, not a part.
    pub is_whole: bool,
    /// Where the IP packet ends.
    pub end: usize,
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    let word: &[u8; 2] = frame.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

impl Layout {
    /// Of an Ethernet frame. `None`: it is not IP, or not a whole one.
    #[must_use]
    pub fn of(frame: &[u8]) -> Option<Self> {
        let mut ip = ETHERNET_BYTES;
        let mut kind = word(frame, ip - 2)?;
        for _ in 0..TAGS_MAX {
            if TYPES_VLAN.contains(&kind) {
                ip += VLAN_BYTES;
                kind = word(frame, ip - 2)?;
            }
        }
        match kind {
            TYPE_IPV4 => Self::of_v4(frame, ip),
            TYPE_IPV6 => Self::of_v6(frame, ip),
            _ => None,
        }
    }

    fn of_v4(frame: &[u8], ip: usize) -> Option<Self> {
        let head: &[u8; 20] = frame.get(ip..)?.first_chunk()?;
        let header = usize::from(head[0] & 15) * 4;
        let end = ip + usize::from(u16::from_be_bytes([head[2], head[3]]));
        let fragment = u16::from_be_bytes([head[6], head[7]]);
        if head[0] >> 4 != 4 || header < 20 || end > frame.len() || ip + header > end {
            return None;
        }
        let layout = Self {
            ip,
            is_v6: false,
            protocol: head[9],
            transport: (fragment & 0x1fff == 0).then_some(ip + header),
            is_whole: fragment & 0x3fff == 0,
            end,
        };
        Some(layout)
    }

    fn of_v6(frame: &[u8], ip: usize) -> Option<Self> {
        let head: &[u8; IPV6_BYTES] = frame.get(ip..)?.first_chunk()?;
        let end = ip + IPV6_BYTES + usize::from(u16::from_be_bytes([head[4], head[5]]));
        if head[0] >> 4 != 6 || end > frame.len() {
            return None;
        }
        let (mut protocol, mut at) = (head[6], ip + IPV6_BYTES);
        let (mut is_whole, mut is_first) = (true, true);
        for _ in 0..EXTENSIONS_MAX {
            if protocol == FRAGMENT {
                let offset = word(frame, at + 2)?;
                is_whole = false;
                is_first = offset >> 3 == 0;
                protocol = *frame.get(at)?;
                at += 8;
            } else if EXTENSIONS.contains(&protocol) && is_first {
                let more = usize::from(*frame.get(at + 1)?);
                protocol = *frame.get(at)?;
                at += 8 + 8 * more;
            }
        }
        let transport = (is_first && at <= end).then_some(at);
        Some(Self { ip, is_v6: true, protocol, transport, is_whole, end })
    }

    /// Where the addresses lie: both offsets, and the bytes of each.
    pub(crate) fn addresses(&self) -> ([usize; 2], usize) {
        if self.is_v6 {
            ([self.ip + 8, self.ip + 24], 16)
        } else {
            ([self.ip + 12, self.ip + 16], 4)
        }
    }

    /// The two addresses: source, destination.
    #[must_use]
    pub fn hosts(&self, frame: &[u8]) -> Option<[IpAddr; 2]> {
        let ([source, destination], _) = self.addresses();
        let host = |at: usize| -> Option<IpAddr> {
            let bytes = frame.get(at..)?;
            Some(if self.is_v6 {
                <[u8; 16]>::into(*bytes.first_chunk()?)
            } else {
                <[u8; 4]>::into(*bytes.first_chunk()?)
            })
        };
        Some([host(source)?, host(destination)?])
    }

    /// The two ends, if the frame has ports.
    #[must_use]
    pub fn ends(&self, frame: &[u8]) -> Option<[SocketAddr; 2]> {
        let ports = self.transport.filter(|_| matches!(self.protocol, TCP | UDP))?;
        if ports + 4 > self.end {
            return None;
        }
        let [source, destination] = self.hosts(frame)?;
        Some([
            SocketAddr::new(source, word(frame, ports)?),
            SocketAddr::new(destination, word(frame, ports + 2)?),
        ])
    }

    /// The payload of a whole UDP datagram: where it begins.
    #[must_use]
    pub fn payload(&self, frame: &[u8]) -> Option<usize> {
        let udp = self.transport.filter(|_| self.protocol == UDP && self.is_whole)?;
        let length = usize::from(word(frame, udp + 4)?);
        let begin = udp + UDP_BYTES;
        (length >= UDP_BYTES && udp + length <= self.end && begin <= frame.len()).then_some(begin)
    }

    /// The checksum that covers the addresses: where it lies.
    pub(crate) fn checksum(&self) -> Option<usize> {
        let offset = match self.protocol {
            TCP => 16,
            UDP => 6,
            ICMPV6 if self.is_v6 => 2,
            _ => return None,
        };
        self.transport.map(|at| at + offset).filter(|at| at + 2 <= self.end)
    }

    /// Whether a patch of the driver's finds everything at its place: no tag, no option, no extension.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let header = if self.is_v6 { IPV6_BYTES } else { 20 };
        self.ip == ETHERNET_BYTES && self.transport == Some(self.ip + header) && self.is_whole
    }
}

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SIP message.
    Sip,
    /// A packet of this source, with this sequence number.
    Rtp {
        /// Who sends (SSRC).
        source: u32,
        /// Its number.
        sequence: u16,
    },
    /// A report about RTP.
    Rtcp,
    /// Anything else.
    Other,
}

impl Kind {
    /// Of a UDP payload between these ports. Ports below 1024 carry no media.
    #[must_use]
    pub fn of(payload: &[u8], ports: [u16; 2]) -> Self {
        if is_sip(payload) {
            return Self::Sip;
        }
        if ports.iter().any(|&port| port < 1024) {
            return Self::Other;
        }
        if wire::rtp::is_rtcp(payload) {
            return Self::Rtcp;
        }
        match wire::rtp::parse(payload) {
            Some(rtp) => Self::Rtp { source: rtp.ssrc, sequence: rtp.sequence },
            None => Self::Other,
        }
    }
}

/// Its first line is that of a request or of a response (RFC 3261 §7).
fn is_sip(payload: &[u8]) -> bool {
    let line = payload.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.starts_with(b"SIP/2.0 ")
        || line.ends_with(b" SIP/2.0") && line.first().is_some_and(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_what_is_said() {
        let rtp = [0x80, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 1];
        let ports = [4000, 4002];
        assert_eq!(Kind::of(&rtp, ports), Kind::Rtp { source: 9, sequence: 7 });
        assert_eq!(Kind::of(&rtp, [53, 4002]), Kind::Other);
        assert_eq!(Kind::of(&[0x80, 200, 0, 1, 0, 0, 0, 1], ports), Kind::Rtcp);
        assert_eq!(Kind::of(b"BYE sip:a@b SIP/2.0\r\n\r\n", [5060, 5060]), Kind::Sip);
        assert_eq!(Kind::of(b"SIP/2.0 200 OK\r\n", [5060, 99]), Kind::Sip);
        assert_eq!(Kind::of(b"\r\n\r\n", [5060, 5060]), Kind::Other);
    }

    #[test]
    fn no_frame_is_too_strange_to_be_looked_at() {
        let mut frame = vec![0; 60];
        for kind in [[8, 0], [0x86, 0xdd], [0x81, 0]] {
            frame[12..14].copy_from_slice(&kind);
            for first in 0..=255 {
                frame[14] = first;
                frame[17] = first;
                frame[20] = 44;
                let layout = Layout::of(&frame);
                if let Some(layout) = layout {
                    let _ = (layout.ends(&frame), layout.payload(&frame), layout.checksum());
                }
            }
        }
        for length in 0..60 {
            let _ = Layout::of(&frame[..length]);
        }
    }
}
