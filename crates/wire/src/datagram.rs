//! A UDP datagram in its Ethernet frame: found, written, readdressed.
//!
//! [`parse`] is the only door for bytes of strangers: 0–2 VLAN tags, IPv4 with options, IPv6 with the
//! extension headers a datagram may carry, UDP whose length agrees with IP's, both checksums right: no
//! kernel has looked at them before us. Fragments are not ours: the kernel reassembles them. [`write`] and [`readdress`] produce what `parse` accepts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::checksum;

/// A MAC address.
pub type Mac = [u8; 6];

const ETHERNET_BYTES: usize = 14;
const VLAN_BYTES: usize = 4;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;

/// The most that [`write`] puts in front of a payload: Ethernet, one tag, IPv6, UDP.
pub const HEADERS_BYTES_MAX: usize = ETHERNET_BYTES + VLAN_BYTES + IPV6_BYTES + UDP_BYTES;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
const PROTOCOL_UDP: u8 = 17;

/// IPv6 headers with a length that may stand before UDP, as the driver walks them: hop-by-hop options,
/// routing and destination options (RFC 8200 §4), mobility (RFC 6275), HIP (RFC 7401), Shim6 (RFC 5533).
const EXTENSIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];
/// One more, whose length counts otherwise (RFC 4302 §2.2).
const AUTHENTICATION: u8 = 51;
/// RFC 8200 §4.5.
const FRAGMENT: u8 = 44;
/// Nobody honest sends more.
const EXTENSIONS_MAX: usize = 5;

/// Why a frame is no datagram for us. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// The frame ends inside a header.
    Truncated,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// A version, header length or total length that cannot be.
    BadIp,
    /// An IPv4 header whose checksum is wrong.
    BadIpChecksum,
    /// A fragment, which only the kernel can put together.
    Fragment,
    /// Another transport than UDP.
    NotUdp,
    /// A UDP length that disagrees with IP's.
    BadUdp,
    /// A UDP checksum that is wrong, or absent where IPv6 demands one.
    BadUdpChecksum,
}

impl Fault {
    /// Every fault, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Truncated,
        Self::NotIp,
        Self::BadIp,
        Self::BadIpChecksum,
        Self::Fragment,
        Self::NotUdp,
        Self::BadUdp,
        Self::BadUdpChecksum,
    ];

    /// The name of its counter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "frame_truncated",
            Self::NotIp => "frame_not_ip",
            Self::BadIp => "frame_bad_ip",
            Self::BadIpChecksum => "frame_bad_ip_checksum",
            Self::Fragment => "frame_fragment",
            Self::NotUdp => "frame_not_udp",
            Self::BadUdp => "frame_bad_udp",
            Self::BadUdpChecksum => "frame_bad_udp_checksum",
        }
    }
}

/// Where a datagram lies in its frame, and whose it is. Made by [`parse`] only, so its ranges fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    ip: usize,
    udp: usize,
    payload: Range<usize>,
    plain: bool,
}

impl Datagram {
    /// Where the payload lies.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        self.payload.clone()
    }

    /// The payload. `frame` is the one that was parsed.
    #[must_use]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.payload.clone()).unwrap_or_default()
    }

    /// Bytes of payload.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Whether the UDP checksum is right, or absent where IPv4 allows that (RFC 768, RFC 8200 §8.1).
    fn checksum_holds(&self, frame: &[u8]) -> bool {
        let bytes = frame.get(self.udp..self.payload.end).unwrap_or_default();
        if bytes.get(6..8) == Some(&[0, 0]) {
            return self.source.is_ipv4();
        }
        let length = u16::try_from(bytes.len()).unwrap_or(0);
        let sum = checksum::pseudo(self.source.ip(), self.destination.ip(), length);
        checksum::finish(checksum::add(sum, bytes)) == 0
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(pair))
}

/// What the IP header of either family says.
struct Ip {
    source: IpAddr,
    destination: IpAddr,
    dscp: u8,
    ttl: u8,
    udp: usize,
    end: usize,
    plain: bool,
}

/// Finds the datagram in a frame.
///
/// # Errors
/// What it is instead.
pub fn parse(frame: &[u8]) -> Result<Datagram, Fault> {
    let mut ip = ETHERNET_BYTES;
    let mut ethertype = u16_at(frame, 12).ok_or(Fault::Truncated)?;
    for _ in 0..2 {
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ {
            break;
        }
        ethertype = u16_at(frame, ip + 2).ok_or(Fault::Truncated)?;
        ip += VLAN_BYTES;
    }
    let found = match ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(frame, ip)?,
        ETHERTYPE_IPV6 => parse_ipv6(frame, ip)?,
        _ => return Err(Fault::NotIp),
    };
    let header: &[u8; UDP_BYTES] =
        frame.get(found.udp..).and_then(<[u8]>::first_chunk).ok_or(Fault::Truncated)?;
    let [s0, s1, d0, d1, l0, l1, ..] = *header;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < UDP_BYTES || found.udp + length > found.end {
        return Err(Fault::BadUdp);
    }
    let datagram = Datagram {
        source: SocketAddr::new(found.source, u16::from_be_bytes([s0, s1])),
        destination: SocketAddr::new(found.destination, u16::from_be_bytes([d0, d1])),
        dscp: found.dscp,
        ttl: found.ttl,
        ip,
        udp: found.udp,
        payload: found.udp + UDP_BYTES..found.udp + length,
        plain: found.plain,
    };
    if !datagram.checksum_holds(frame) {
        return Err(Fault::BadUdpChecksum);
    }
    Ok(datagram)
}

fn parse_ipv4(frame: &[u8], at: usize) -> Result<Ip, Fault> {
    let head: &[u8; IPV4_BYTES] =
        frame.get(at..).and_then(<[u8]>::first_chunk).ok_or(Fault::Truncated)?;
    let [version, tos, t0, t1, _, _, f0, f1, ttl, protocol, _, _, a, b, c, d, e, f, g, h] = *head;
    let header_bytes = usize::from(version & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([t0, t1]));
    if version >> 4 != 4 || header_bytes < IPV4_BYTES || total < header_bytes {
        return Err(Fault::BadIp);
    }
    if at + total > frame.len() {
        return Err(Fault::Truncated);
    }
    let header = frame.get(at..at + header_bytes).unwrap_or_default();
    if checksum::finish(checksum::add(0, header)) != 0 {
        return Err(Fault::BadIpChecksum);
    }
    // More fragments, or an offset.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return Err(Fault::Fragment);
    }
    if protocol != PROTOCOL_UDP {
        return Err(Fault::NotUdp);
    }
    Ok(Ip {
        source: Ipv4Addr::new(a, b, c, d).into(),
        destination: Ipv4Addr::new(e, f, g, h).into(),
        dscp: tos >> 2,
        ttl,
        udp: at + header_bytes,
        end: at + total,
        plain: header_bytes == IPV4_BYTES,
    })
}

fn parse_ipv6(frame: &[u8], at: usize) -> Result<Ip, Fault> {
    let head: &[u8; IPV6_BYTES] =
        frame.get(at..).and_then(<[u8]>::first_chunk).ok_or(Fault::Truncated)?;
    let [v0, v1, _, _, l0, l1, first, ttl, ..] = *head;
    let octets = |from: usize| -> [u8; 16] {
        head.get(from..from + 16).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    };
    if v0 >> 4 != 6 {
        return Err(Fault::BadIp);
    }
    let end = at + IPV6_BYTES + usize::from(u16::from_be_bytes([l0, l1]));
    if end > frame.len() {
        return Err(Fault::Truncated);
    }
    let mut next = first;
    let mut udp = at + IPV6_BYTES;
    // The driver walks the same headers and drops what hides behind more: a test holds the two against
    // each other (`xdp-prog/tests/verdicts.rs`).
    for _ in 0..EXTENSIONS_MAX {
        if next == FRAGMENT {
            return Err(Fault::Fragment);
        }
        if next != AUTHENTICATION && !EXTENSIONS.contains(&next) {
            break;
        }
        let &[following, length, ..] =
            frame.get(udp..end).and_then(<[u8]>::first_chunk::<8>).ok_or(Fault::Truncated)?;
        let length = usize::from(length);
        udp += if next == AUTHENTICATION { (length + 2) * 4 } else { (length + 1) * 8 };
        next = following;
    }
    if next != PROTOCOL_UDP {
        return Err(Fault::NotUdp);
    }
    Ok(Ip {
        source: Ipv6Addr::from(octets(8)).into(),
        destination: Ipv6Addr::from(octets(24)).into(),
        dscp: (v0 << 4 | v1 >> 4) >> 2,
        ttl,
        udp,
        end,
        plain: udp == at + IPV6_BYTES,
    })
}

/// What [`write`] puts in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Next hop.
    pub destination_mac: Mac,
    /// Our interface.
    pub source_mac: Mac,
    /// VLAN identifier, if the next hop is behind one.
    pub vlan: Option<u16>,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver, of the same family.
    pub destination: SocketAddr,
    /// Differentiated services code point, 0–63.
    pub dscp: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
}

impl Headers {
    /// How long they are in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let ip = if self.source.is_ipv4() { IPV4_BYTES } else { IPV6_BYTES };
        ETHERNET_BYTES + self.vlan.map_or(0, |_| VLAN_BYTES) + ip + UDP_BYTES
    }
}

/// Writes headers and payload to the front of `room`; the frame's length, or `None` when it does not
/// fit or the families differ.
pub fn write(room: &mut [u8], headers: &Headers, payload: &[u8]) -> Option<usize> {
    let length = headers.bytes() + payload.len();
    let frame = room.get_mut(..length)?;
    frame.get_mut(headers.bytes()..)?.copy_from_slice(payload);
    write_headers(frame, headers)?;
    Some(length)
}

/// Writes headers in front of a payload that lies at the end of `frame` already. `None`: the frame
/// is shorter than its headers, too long for IP, or the families differ.
pub fn write_headers(frame: &mut [u8], headers: &Headers) -> Option<()> {
    let payload_bytes = frame.len().checked_sub(headers.bytes())?;
    let udp_bytes = u16::try_from(UDP_BYTES + payload_bytes).ok()?;
    let (ethernet, rest) = frame.split_at_mut_checked(ETHERNET_BYTES)?;
    ethernet.get_mut(..6)?.copy_from_slice(&headers.destination_mac);
    ethernet.get_mut(6..12)?.copy_from_slice(&headers.source_mac);
    let ethertype = if headers.source.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    let rest = match headers.vlan {
        None => {
            ethernet.get_mut(12..)?.copy_from_slice(&ethertype.to_be_bytes());
            rest
        }
        Some(vlan) => {
            ethernet.get_mut(12..)?.copy_from_slice(&ETHERTYPE_VLAN.to_be_bytes());
            let (tag, rest) = rest.split_at_mut_checked(VLAN_BYTES)?;
            tag.get_mut(..2)?.copy_from_slice(&(vlan & 0x0fff).to_be_bytes());
            tag.get_mut(2..)?.copy_from_slice(&ethertype.to_be_bytes());
            rest
        }
    };
    let udp = match (headers.source.ip(), headers.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let (ip, udp) = rest.split_at_mut_checked(IPV4_BYTES)?;
            let total = u16::try_from(IPV4_BYTES).ok()?.checked_add(udp_bytes)?;
            let [t0, t1] = total.to_be_bytes();
            let [a, b, c, d] = source.octets();
            let [e, f, g, h] = destination.octets();
            // Don't fragment: what is over the path MTU leaves through the kernel instead.
            let header = [
                0x45,
                headers.dscp << 2,
                t0,
                t1,
                0,
                0,
                0x40,
                0,
                headers.ttl,
                PROTOCOL_UDP,
                0,
                0,
                a,
                b,
                c,
                d,
                e,
                f,
                g,
                h,
            ];
            ip.copy_from_slice(&header);
            let sum = checksum::finish(checksum::add(0, &header));
            ip.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
            udp
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let (ip, udp) = rest.split_at_mut_checked(IPV6_BYTES)?;
            let [l0, l1] = udp_bytes.to_be_bytes();
            let class = headers.dscp << 2;
            let front = [0x60 | class >> 4, class << 4, 0, 0, l0, l1, PROTOCOL_UDP, headers.ttl];
            ip.get_mut(..8)?.copy_from_slice(&front);
            ip.get_mut(8..24)?.copy_from_slice(&source.octets());
            ip.get_mut(24..)?.copy_from_slice(&destination.octets());
            udp
        }
        _ => return None,
    };
    let [s0, s1] = headers.source.port().to_be_bytes();
    let [d0, d1] = headers.destination.port().to_be_bytes();
    let [l0, l1] = udp_bytes.to_be_bytes();
    udp.get_mut(..UDP_BYTES)?.copy_from_slice(&[s0, s1, d0, d1, l0, l1, 0, 0]);
    let sum = checksum::udp(headers.source.ip(), headers.destination.ip(), udp);
    udp.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// Rewrites the addresses of a received frame in place, the payload untouched: MACs, IP, ports,
/// marking and TTL, checksums by difference. `false`: the frame has another shape than the new headers
/// (family, tags, options), so it must be written anew.
#[must_use]
pub fn readdress(frame: &mut [u8], datagram: &Datagram, headers: &Headers) -> bool {
    let same_shape = datagram.plain
        && datagram.payload.start == headers.bytes()
        && headers.vlan.is_none()
        && datagram.ip == ETHERNET_BYTES
        && headers.source.is_ipv4() == headers.destination.is_ipv4();
    same_shape && readdress_plain(frame, datagram, headers).is_some()
}

fn readdress_plain(frame: &mut [u8], datagram: &Datagram, headers: &Headers) -> Option<()> {
    frame.get_mut(..6)?.copy_from_slice(&headers.destination_mac);
    frame.get_mut(6..12)?.copy_from_slice(&headers.source_mac);
    let (ip, rest) =
        frame.get_mut(datagram.ip..)?.split_at_mut_checked(datagram.udp - datagram.ip)?;
    let udp = rest.first_chunk_mut::<UDP_BYTES>()?;
    let mut ports = [0; 4];
    ports.get_mut(..2)?.copy_from_slice(&headers.source.port().to_be_bytes());
    ports.get_mut(2..)?.copy_from_slice(&headers.destination.port().to_be_bytes());
    let old_sum = u16::from_be_bytes([udp[6], udp[7]]);
    let mut sum = checksum::update(old_sum, udp.get(..4)?, &ports);
    udp.get_mut(..4)?.copy_from_slice(&ports);
    match (headers.source.ip(), headers.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut addresses = [0; 8];
            addresses.get_mut(..4)?.copy_from_slice(&source.octets());
            addresses.get_mut(4..)?.copy_from_slice(&destination.octets());
            sum = checksum::update(sum, ip.get(12..20)?, &addresses);
            ip.get_mut(12..20)?.copy_from_slice(&addresses);
            *ip.get_mut(1)? = headers.dscp << 2 | *ip.get(1)? & 3;
            *ip.get_mut(8)? = headers.ttl;
            // Twenty bytes are summed faster than they are compared.
            ip.get_mut(10..12)?.copy_from_slice(&[0, 0]);
            let header_sum = checksum::finish(checksum::add(0, ip));
            ip.get_mut(10..12)?.copy_from_slice(&header_sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut addresses = [0; 32];
            addresses.get_mut(..16)?.copy_from_slice(&source.octets());
            addresses.get_mut(16..)?.copy_from_slice(&destination.octets());
            sum = checksum::update(sum, ip.get(8..40)?, &addresses);
            ip.get_mut(8..40)?.copy_from_slice(&addresses);
            let class = headers.dscp << 2 | *ip.get(1)? >> 4 & 3;
            *ip.get_mut(0)? = 0x60 | class >> 4;
            *ip.get_mut(1)? = class << 4 | *ip.get(1)? & 0x0f;
            *ip.get_mut(7)? = headers.ttl;
        }
        _ => return None,
    }
    // No checksum (0) stays none in IPv4; a computed 0 goes out as 0xFFFF (RFC 768).
    let sum = match (old_sum, sum) {
        (0, _) => 0,
        (_, 0) => 0xffff,
        (_, sum) => sum,
    };
    udp.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{PacketBuilder, SlicedPacket};
    use proptest::prelude::*;

    const NEAR: Mac = [2, 0, 0, 0, 0, 1];
    const FAR: Mac = [2, 0, 0, 0, 0, 2];

    fn foreign(v6: bool, vlan: bool, payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(NEAR, FAR);
        let mut out = Vec::new();
        macro_rules! with_ip {
            ($builder:expr) => {
                if v6 {
                    let (from, to) = ([0xfd; 16], [0xfe; 16]);
                    $builder.ipv6(from, to, 9).udp(5060, 5080).write(&mut out, payload)
                } else {
                    let (from, to) = ([10, 0, 0, 1], [10, 0, 0, 2]);
                    $builder.ipv4(from, to, 9).udp(5060, 5080).write(&mut out, payload)
                }
            };
        }
        if vlan { with_ip!(builder.single_vlan(7.try_into().unwrap())) } else { with_ip!(builder) }
            .unwrap();
        out
    }

    /// The same frame with checksums of what it now says, where it still has a header at the usual place.
    fn resummed(mut frame: Vec<u8>) -> Vec<u8> {
        let tagged = frame[12..14] == ETHERTYPE_VLAN.to_be_bytes();
        let ip = ETHERNET_BYTES + if tagged { VLAN_BYTES } else { 0 };
        let v4 = frame[ip] >> 4 == 4;
        let header_bytes = if v4 { usize::from(frame[ip] & 0x0f) * 4 } else { IPV6_BYTES };
        let Some((head, udp)) = frame.split_at_mut_checked(ip + header_bytes) else { return frame };
        let Some(length) = u16_at(udp, 4).filter(|&length| length >= 8) else { return frame };
        let header = &mut head[ip..];
        if v4 && header_bytes >= IPV4_BYTES {
            header[10..12].copy_from_slice(&[0, 0]);
            let sum = checksum::finish(checksum::add(0, header));
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        // An absent one is fine for IPv4.
        udp[6..8].copy_from_slice(&[0, 0]);
        if let (false, Some(datagram)) = (v4, udp.get(..length.into())) {
            let address = |at| <[u8; 16]>::try_from(&header[at..at + 16]).unwrap().into();
            let sum = checksum::udp(address(8), address(24), datagram);
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        frame
    }

    fn headers(v6: bool, vlan: Option<u16>) -> Headers {
        let [source, destination] = if v6 {
            ["[fd10::1]:4000", "[fd10::2]:4002"]
        } else {
            ["10.1.1.1:4000", "10.1.1.2:4002"]
        };
        Headers {
            destination_mac: FAR,
            source_mac: NEAR,
            vlan,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            dscp: 46,
            ttl: 64,
        }
    }

    #[test]
    fn a_foreign_builders_frames_are_read_right() {
        for (v6, vlan) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut frame = foreign(v6, vlan, b"hello");
            // Ethernet pads short frames.
            frame.extend([0; 20]);
            let datagram = parse(&frame).unwrap();
            assert_eq!(datagram.payload(&frame), b"hello");
            assert_eq!((datagram.source.port(), datagram.destination.port()), (5060, 5080));
            assert!(datagram.checksum_holds(&frame));
            assert_eq!(datagram.ttl, 9);
        }
    }

    #[test]
    fn a_foreign_reader_accepts_what_we_write() {
        for (v6, vlan) in [(false, None), (false, Some(7)), (true, None), (true, Some(7))] {
            let mut room = [0; 256];
            let headers = headers(v6, vlan);
            let length = write(&mut room, &headers, b"payload").unwrap();
            let frame = &room[..length];
            let sliced = SlicedPacket::from_ethernet(frame).unwrap();
            let Some(etherparse::TransportSlice::Udp(udp)) = sliced.transport else { panic!() };
            assert_eq!((udp.source_port(), udp.destination_port()), (4000, 4002));
            assert_eq!(udp.payload(), b"payload");
            let datagram = parse(frame).unwrap();
            assert!(datagram.checksum_holds(frame));
            assert_eq!((datagram.source, datagram.dscp), (headers.source, 46));
        }
    }

    #[test]
    fn every_truncation_of_a_frame_is_refused() {
        for (v6, vlan) in [(false, true), (true, false)] {
            let frame = foreign(v6, vlan, b"hello");
            for length in 0..frame.len() {
                assert_eq!(parse(&frame[..length]), Err(Fault::Truncated), "{length}");
            }
        }
    }

    #[test]
    fn a_fragment_is_left_to_the_kernel() {
        let mut frame = foreign(false, false, b"hello");
        frame[20] = 0x20;
        assert_eq!(parse(&resummed(frame)), Err(Fault::Fragment));
        let mut frame = foreign(true, false, b"hello-hello");
        frame[20] = 44;
        assert_eq!(parse(&frame), Err(Fault::Fragment));
    }

    /// The same IPv6 frame with headers of these types behind its own, each followed by its bytes.
    fn extended(frame: &[u8], headers: &[(u8, &[u8])]) -> Vec<u8> {
        let (head, datagram) = frame.split_at(ETHERNET_BYTES + IPV6_BYTES);
        let mut frame = head.to_vec();
        let mut next = ETHERNET_BYTES + 6;
        for (kind, body) in headers {
            frame.push(frame[next]);
            frame[next] = *kind;
            next = frame.len() - 1;
            frame.extend(*body);
        }
        frame.extend(datagram);
        let payload = (frame.len() - ETHERNET_BYTES - IPV6_BYTES) as u16;
        frame[18..20].copy_from_slice(&payload.to_be_bytes());
        frame
    }

    #[test]
    fn a_datagram_is_found_behind_every_extension_header_that_the_driver_walks() {
        let plain = foreign(true, false, b"hello");
        for kind in EXTENSIONS {
            for words in [0, 3] {
                let body = [vec![words], vec![0; 6 + 8 * usize::from(words)]].concat();
                let frame = extended(&plain, &[(kind, &body)]);
                assert_eq!(parse(&frame).unwrap().payload(&frame), b"hello", "{kind} {words}");
            }
        }
        // An integrity check value of 96 bits, and none (RFC 4302 §2.2).
        for words in [4, 0] {
            let body = [vec![words], vec![0; 6 + 4 * usize::from(words)]].concat();
            let frame = extended(&plain, &[(AUTHENTICATION, &body), (60, &[0; 7])]);
            assert_eq!(parse(&frame).unwrap().payload(&frame), b"hello", "AH {words}");
        }
    }

    #[test]
    fn a_chain_of_extension_headers_has_an_end() {
        let plain = foreign(true, false, b"hello");
        let options: (u8, &[u8]) = (60, &[0; 7]);
        assert!(parse(&extended(&plain, &[options; EXTENSIONS_MAX])).is_ok());
        assert_eq!(parse(&extended(&plain, &[options; EXTENSIONS_MAX + 1])), Err(Fault::NotUdp));
        // Longer than the packet, by a little and by all it can.
        for words in [3, 255] {
            let frame = extended(&plain, &[(43, &[words, 0, 0, 0, 0, 0, 0])]);
            assert!(parse(&frame).is_err(), "{words}");
        }
        // Encrypted, or nothing at all.
        for kind in [50, 59] {
            assert_eq!(parse(&extended(&plain, &[(kind, &[0; 7])])), Err(Fault::NotUdp));
        }
        let fragment = extended(&plain, &[options, (FRAGMENT, &[0; 7])]);
        assert_eq!(parse(&fragment), Err(Fault::Fragment));
    }

    #[test]
    fn readdressing_keeps_the_payload_and_both_checksums() {
        for v6 in [false, true] {
            for length in [0, 1, 7, 172] {
                let payload: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
                let mut frame = foreign(v6, false, &payload);
                let datagram = parse(&frame).unwrap();
                let headers = headers(v6, None);
                assert!(readdress(&mut frame, &datagram, &headers));
                let moved = parse(&frame).unwrap();
                assert_eq!(
                    (moved.source, moved.destination),
                    (headers.source, headers.destination)
                );
                assert_eq!(moved.payload(&frame), payload);
                assert!(moved.checksum_holds(&frame));
                assert_eq!((moved.ttl, moved.dscp), (64, 46));
                assert_eq!((&frame[..6], &frame[6..12]), (&FAR[..], &NEAR[..]));
                SlicedPacket::from_ethernet(&frame).unwrap();
            }
        }
    }

    #[test]
    fn no_checksum_stays_none_in_ipv4() {
        let mut frame = foreign(false, false, b"hello");
        frame[40..42].copy_from_slice(&[0, 0]);
        let datagram = parse(&frame).unwrap();
        assert!(readdress(&mut frame, &datagram, &headers(false, None)));
        assert_eq!(&frame[40..42], &[0, 0]);
    }

    #[test]
    fn another_family_or_tag_must_be_written_anew() {
        let mut frame = foreign(false, false, b"hello");
        let datagram = parse(&frame).unwrap();
        assert!(!readdress(&mut frame, &datagram, &headers(true, None)));
        assert!(!readdress(&mut frame, &datagram, &headers(false, Some(7))));
        let mut frame = foreign(false, true, b"hello");
        let datagram = parse(&frame).unwrap();
        assert!(!readdress(&mut frame, &datagram, &headers(false, None)));
    }

    #[test]
    fn a_frame_with_any_bit_flipped_under_a_checksum_is_refused_by_its_own_reason() {
        for v6 in [false, true] {
            let frame = foreign(v6, false, b"hello");
            let udp = ETHERNET_BYTES + if v6 { IPV6_BYTES } else { IPV4_BYTES };
            for bit in 8 * (udp + UDP_BYTES)..8 * frame.len() {
                let mut frame = frame.clone();
                frame[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(parse(&frame), Err(Fault::BadUdpChecksum), "bit {bit}");
            }
            for address in udp - 8..udp {
                let mut frame = frame.clone();
                frame[address] ^= 1;
                let wanted = if v6 { Fault::BadUdpChecksum } else { Fault::BadIpChecksum };
                assert_eq!(parse(&frame), Err(wanted), "byte {address}");
            }
        }
        // Options are under the header's sum as well.
        let mut frame = foreign(false, false, b"hello");
        frame.splice(34..34, [1, 1, 1, 0]);
        frame[14] = 0x46;
        frame[17] += 4;
        assert_eq!(parse(&frame), Err(Fault::BadIpChecksum));
        assert_eq!(parse(&resummed(frame)).map(|datagram| datagram.payload_bytes()), Ok(5));
    }

    #[test]
    fn a_datagram_may_come_without_a_checksum_over_ipv4_alone() {
        for (v6, at, wanted) in [(false, 40, Ok(5)), (true, 60, Err(Fault::BadUdpChecksum))] {
            let mut frame = foreign(v6, false, b"hello");
            frame[at..at + 2].copy_from_slice(&[0, 0]);
            assert_eq!(parse(&frame).map(|datagram| datagram.payload_bytes()), wanted);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_datagram_or_a_fault(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(datagram) = parse(&frame) {
                prop_assert_eq!(datagram.payload(&frame).len(), datagram.payload_bytes());
            }
        }

        #[test]
        fn a_frame_with_any_bytes_changed_never_reads_past_its_end(
            v6: bool, vlan: bool, at in 0usize..80, to: u8,
        ) {
            let mut frame = foreign(v6, vlan, b"some payload");
            if let Some(byte) = frame.get_mut(at) {
                *byte = to;
            }
            let frame = resummed(frame);
            if let Ok(datagram) = parse(&frame) {
                prop_assert!(datagram.payload_range().end <= frame.len());
                let mut changed = frame.clone();
                let _ = readdress(&mut changed, &datagram, &headers(v6, None));
                prop_assert_eq!(datagram.payload(&changed), datagram.payload(&frame));
            }
        }
    }
}
