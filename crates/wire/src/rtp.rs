//! RTP headers (RFC 3550 §5.1), read only: the relay never changes a payload.
//!
//! Padding is not checked: with SRTP its count is encrypted, and nobody here reads payloads.

use crate::Fault;

/// Bytes of the part that every packet has.
pub const HEADER_BYTES: usize = 12;

const VERSION: u8 = 2;
const EXTENSION_BIT: u8 = 0x10;
const PADDING_BIT: u8 = 0x20;

/// A checked RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    fixed: &'a [u8; HEADER_BYTES],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// Checks version, sources and extension against the length of the datagram.
    ///
    /// RTCP types are refused here (RFC 5761 §4): on a port without multiplexing they are astray.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Fault> {
        let (fixed, rest) = datagram.split_first_chunk().ok_or(Fault::RtpShort)?;
        let view = View { fixed, payload: rest };
        if view.version() != VERSION {
            return Err(Fault::RtpVersion);
        }
        if crate::rtcp::is_type(fixed[1]) {
            return Err(Fault::RtpIsRtcp);
        }
        let sources_bytes = usize::from(fixed[0] & 0x0f) * 4;
        let mut payload = rest.get(sources_bytes..).ok_or(Fault::RtpShort)?;
        if fixed[0] & EXTENSION_BIT != 0 {
            let (extension, rest) = payload.split_first_chunk::<4>().ok_or(Fault::RtpShort)?;
            let words = u16::from_be_bytes([extension[2], extension[3]]);
            payload = rest.get(usize::from(words) * 4..).ok_or(Fault::RtpShort)?;
        }
        Ok(View { fixed, payload })
    }

    fn version(&self) -> u8 {
        self.fixed[0] >> 6
    }

    /// Payload type, 0–127.
    #[must_use]
    pub fn payload_type(&self) -> u8 {
        self.fixed[1] & 0x7f
    }

    /// The marker bit: for audio, the first packet after silence (RFC 3551 §4.1).
    #[must_use]
    pub fn marker(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// Whether the last byte counts padding bytes, itself included.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.fixed[0] & PADDING_BIT != 0
    }

    /// Sequence number; wraps.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// Sampling instant in units of the payload's clock; wraps.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The synchronisation source.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// What follows sources and extension, padding included.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 14] = [0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 1, 2];

    #[test]
    fn fields_stand_where_rfc_3550_puts_them() {
        let view = View::parse(&PACKET).unwrap();
        assert_eq!(view.payload_type(), 8);
        assert!(view.marker());
        assert!(!view.is_padded());
        assert_eq!(view.sequence(), 0x1234);
        assert_eq!(view.timestamp(), 160);
        assert_eq!(view.ssrc(), 0xdead_beef);
        assert_eq!(view.payload(), [1, 2]);
    }

    #[test]
    fn sources_and_extension_are_no_payload() {
        let mut packet = vec![0xb2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        packet.extend([0; 8]); // two contributing sources
        packet.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // one word of extension
        packet.extend([5, 6, 2]);
        let view = View::parse(&packet).unwrap();
        assert_eq!(view.payload(), [5, 6, 2]);
        assert!(view.is_padded());
        for length in 0..28 {
            assert_eq!(View::parse(&packet[..length]).unwrap_err(), Fault::RtpShort);
        }
    }

    #[test]
    fn other_versions_and_rtcp_types_are_refused() {
        let mut packet = PACKET;
        packet[0] = 0x40;
        assert_eq!(View::parse(&packet).unwrap_err(), Fault::RtpVersion);
        for rtcp in [192, 200, 204, 223] {
            packet = PACKET;
            packet[1] = rtcp;
            assert_eq!(View::parse(&packet).unwrap_err(), Fault::RtpIsRtcp);
        }
        packet[1] = 0x80 | 96;
        assert_eq!(View::parse(&packet).unwrap().payload_type(), 96);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            if let Ok(view) = View::parse(&bytes) {
                assert!(view.payload().len() + HEADER_BYTES <= bytes.len());
            }
        }
    }
}
