//! What hostile or broken bytes can get wrong, one counter each.

/// Why a frame is no UDP datagram of ours, or a payload no RTP or RTCP. Never a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// The frame ends inside its Ethernet header or VLAN tags.
    EthernetShort,
    /// Neither IPv4 nor IPv6 behind at most two VLAN tags.
    NotIp,
    /// The frame ends inside its IP header.
    IpShort,
    /// IP version or header length cannot be (RFC 791 §3.1).
    IpHeader,
    /// The IP length is beyond the frame, or too small for its own headers.
    IpLength,
    /// The IPv4 header checksum is wrong (RFC 1122 §3.2.1.2).
    IpChecksum,
    /// More extension headers than we walk, or one that is cut short.
    IpExtensions,
    /// A fragment: the kernel reassembles those, they never come here.
    Fragment,
    /// Something else than UDP behind IP.
    NotUdp,
    /// The packet ends inside its UDP header.
    UdpShort,
    /// The UDP length is beyond the packet, or below its header (RFC 768).
    UdpLength,
    /// The UDP checksum is wrong, or absent in IPv6 (RFC 8200 §8.1).
    UdpChecksum,
    /// The source can be nobody's: multicast, broadcast, unspecified, or port 0.
    BadSource,
    /// An RTP datagram that ends inside its header (RFC 3550 §5.1).
    RtpShort,
    /// Not RTP version 2.
    RtpVersion,
    /// RTCP where RTP belongs (RFC 5761 §4).
    RtpIsRtcp,
    /// An RTCP datagram that ends inside a header (RFC 3550 §6).
    RtcpShort,
    /// Not RTCP version 2.
    RtcpVersion,
    /// No RTCP packet type.
    RtcpType,
    /// RTCP lengths that do not add up to the datagram.
    RtcpLength,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every fault, in the order of its number.
    pub const ALL: [Self; 20] = [
        Self::EthernetShort,
        Self::NotIp,
        Self::IpShort,
        Self::IpHeader,
        Self::IpLength,
        Self::IpChecksum,
        Self::IpExtensions,
        Self::Fragment,
        Self::NotUdp,
        Self::UdpShort,
        Self::UdpLength,
        Self::UdpChecksum,
        Self::BadSource,
        Self::RtpShort,
        Self::RtpVersion,
        Self::RtpIsRtcp,
        Self::RtcpShort,
        Self::RtcpVersion,
        Self::RtcpType,
        Self::RtcpLength,
    ];

    /// The counter's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EthernetShort => "ethernet_short",
            Self::NotIp => "not_ip",
            Self::IpShort => "ip_short",
            Self::IpHeader => "ip_header",
            Self::IpLength => "ip_length",
            Self::IpChecksum => "ip_checksum",
            Self::IpExtensions => "ip_extensions",
            Self::Fragment => "fragment",
            Self::NotUdp => "not_udp",
            Self::UdpShort => "udp_short",
            Self::UdpLength => "udp_length",
            Self::UdpChecksum => "udp_checksum",
            Self::BadSource => "bad_source",
            Self::RtpShort => "rtp_short",
            Self::RtpVersion => "rtp_version",
            Self::RtpIsRtcp => "rtp_is_rtcp",
            Self::RtcpShort => "rtcp_short",
            Self::RtcpVersion => "rtcp_version",
            Self::RtcpType => "rtcp_type",
            Self::RtcpLength => "rtcp_length",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_its_numbers_and_names_are_unique() {
        for (number, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, number);
            assert_eq!(Fault::ALL.iter().filter(|other| other.name() == fault.name()).count(), 1);
        }
    }
}
