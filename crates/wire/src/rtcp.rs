//! RTCP headers (RFC 3550 §6), as much as it takes to know one and to walk a compound packet.
//!
//! With SRTCP all but the first eight bytes is encrypted, so [`View`] vouches for the first header
//! only; [`View::compound`] walks the rest where it is clear.

use crate::Fault;

/// Bytes of the header that every packet of a compound has, the sender's source included.
pub const HEADER_BYTES: usize = 8;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;

/// Whether a second byte tells RTCP from RTP on one port (RFC 5761 §4).
#[must_use]
pub const fn is_type(second_byte: u8) -> bool {
    matches!(second_byte, 192..=223)
}

/// A datagram that begins with a sound RTCP header.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    fixed: &'a [u8; HEADER_BYTES],
    datagram: &'a [u8],
}

impl<'a> View<'a> {
    /// Checks version, type and length of the first packet; reduced-size RTCP (RFC 5506) passes too.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Fault> {
        let fixed = datagram.first_chunk().ok_or(Fault::RtcpShort)?;
        if fixed[0] >> 6 != VERSION {
            return Err(Fault::RtcpVersion);
        }
        if !is_type(fixed[1]) {
            return Err(Fault::RtcpType);
        }
        let view = View { fixed, datagram };
        if view.first_bytes() < HEADER_BYTES || view.first_bytes() > datagram.len() {
            return Err(Fault::RtcpLength);
        }
        Ok(view)
    }

    /// Type of the first packet: 200 is a sender report, 201 a receiver report.
    #[must_use]
    pub fn packet_type(&self) -> u8 {
        self.fixed[1]
    }

    /// Source of the first packet's sender.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    fn first_bytes(&self) -> usize {
        length_bytes(self.fixed[2], self.fixed[3])
    }

    /// The packets of a clear compound, or the fault that makes it none (RFC 3550 §A.2): each of
    /// version 2, lengths adding up to the datagram, padding in the last one only.
    pub fn compound(&self) -> Result<Compound<'a>, Fault> {
        let mut rest = self.datagram;
        while !rest.is_empty() {
            let (packet, behind) = split(rest)?;
            if packet.padded && !behind.is_empty() {
                return Err(Fault::RtcpLength);
            }
            rest = behind;
        }
        Ok(Compound { rest: self.datagram })
    }
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its type.
    pub packet_type: u8,
    /// The five bits beside the version: a count or a subtype.
    pub count: u8,
    /// Everything after the first four bytes, padding included.
    pub body: &'a [u8],
    padded: bool,
}

/// The packets of a checked compound, in order.
#[derive(Clone, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Compound<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (packet, rest) = split(self.rest).ok()?;
        self.rest = rest;
        Some(packet)
    }
}

fn split(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), Fault> {
    let head: &[u8; 4] = bytes.first_chunk().ok_or(Fault::RtcpShort)?;
    if head[0] >> 6 != VERSION {
        return Err(Fault::RtcpVersion);
    }
    let length = length_bytes(head[2], head[3]);
    let (packet, rest) = bytes.split_at_checked(length).ok_or(Fault::RtcpLength)?;
    let packet = Packet {
        packet_type: head[1],
        count: head[0] & 0x1f,
        body: packet.get(4..).unwrap_or_default(),
        padded: head[0] & PADDING_BIT != 0,
    };
    Ok((packet, rest))
}

/// A length field counts 32-bit words minus one (§6.4.1).
fn length_bytes(high: u8, low: u8) -> usize {
    (usize::from(u16::from_be_bytes([high, low])) + 1) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver report without blocks and an SDES with an empty chunk.
    const COMPOUND: [u8; 20] =
        [0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 202, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0];

    #[test]
    fn a_compound_is_walked_packet_by_packet() {
        let view = View::parse(&COMPOUND).unwrap();
        assert_eq!((view.packet_type(), view.ssrc()), (201, 7));
        let types: Vec<_> =
            view.compound().unwrap().map(|packet| (packet.packet_type, packet.count)).collect();
        assert_eq!(types, [(201, 0), (202, 1)]);
    }

    #[test]
    fn lengths_must_add_up_to_the_datagram() {
        for length in 8..20 {
            let view = View::parse(&COMPOUND[..length]).unwrap();
            assert_eq!(view.compound().is_ok(), length == 8, "at {length}");
        }
        assert_eq!(View::parse(&COMPOUND[..7]).unwrap_err(), Fault::RtcpShort);
        let mut long = COMPOUND;
        long[3] = 5;
        assert_eq!(View::parse(&long).unwrap_err(), Fault::RtcpLength);
        long[3] = 0;
        assert_eq!(View::parse(&long).unwrap_err(), Fault::RtcpLength);
    }

    #[test]
    fn padding_belongs_into_the_last_packet() {
        let mut padded = COMPOUND;
        padded[8] |= PADDING_BIT;
        assert!(View::parse(&padded).unwrap().compound().is_ok());
        padded[0] |= PADDING_BIT;
        assert_eq!(View::parse(&padded).unwrap().compound().unwrap_err(), Fault::RtcpLength);
    }

    #[test]
    fn rtp_is_not_taken_for_rtcp() {
        let mut bytes = COMPOUND;
        bytes[1] = 0x80 | 8;
        assert_eq!(View::parse(&bytes).unwrap_err(), Fault::RtcpType);
        bytes[1] = 200;
        bytes[0] = 0;
        assert_eq!(View::parse(&bytes).unwrap_err(), Fault::RtcpVersion);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(mut bytes: Vec<u8>, likely: bool) {
            if likely && bytes.len() > 4 {
                bytes[0] = 0x80;
                bytes[1] = 200;
                bytes[2] = 0;
                bytes[3] %= 8;
            }
            if let Ok(compound) = View::parse(&bytes).and_then(|view| view.compound()) {
                let total: usize = compound.map(|packet| packet.body.len() + 4).sum();
                assert_eq!(total, bytes.len());
            }
        }
    }
}
