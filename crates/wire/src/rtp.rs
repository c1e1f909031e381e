//! RTP and RTCP as a relay reads them (RFC 3550 §5.1, RFC 5761 §4).

/// The fixed part of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtp {
    /// 0–127.
    pub payload_type: u8,
    /// Wraps at 2^16.
    pub sequence: u16,
    /// In units of the payload's clock.
    pub timestamp: u32,
    /// Names the sender.
    pub ssrc: u32,
}

/// Bytes of the fixed part.
pub const RTP_BYTES: usize = 12;

/// Reads an RTP header. `None`: not version 2, too short, or an RTCP packet on an RTP port.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Rtp> {
    let head: &[u8; RTP_BYTES] = payload.first_chunk()?;
    let [first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *head;
    let contributors = usize::from(first & 0x0f) * 4;
    if first >> 6 != 2 || payload.len() < RTP_BYTES + contributors || is_rtcp_type(second) {
        return None;
    }
    Some(Rtp {
        payload_type: second & 0x7f,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
    })
}

/// What an RTP packet carries, without its padding (§5.1). `None`: its header promises more than there is.
#[must_use]
pub fn body(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let mut begin = RTP_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        // An extension: two bytes of its own, two that count its words (§5.3.1).
        let words: &[u8; 2] = packet.get(begin + 2..)?.first_chunk()?;
        begin += 4 + usize::from(u16::from_be_bytes(*words)) * 4;
    }
    let body = packet.get(begin..)?;
    let padding = if first & 0x20 != 0 { usize::from(*body.last()?) } else { 0 };
    body.get(..body.len().checked_sub(padding)?)
}

/// The key of a named telephone event (RFC 4733 §2.3), as a character: `0` to `9`, `*`, `#`, `A` to `D`,
/// `!` for a hook flash. `None`: another event, or no whole one.
#[must_use]
pub fn key(packet: &[u8]) -> Option<u8> {
    const KEYS: &[u8; 17] = b"0123456789*#ABCD!";
    let event: &[u8; 4] = body(packet)?.first_chunk()?;
    KEYS.get(usize::from(event[0])).copied()
}

/// Whether this is RTCP: version 2, a packet type of RFC 3550 §12.1, a length that fits.
#[must_use]
pub fn is_rtcp(payload: &[u8]) -> bool {
    let Some(&[first, second, l0, l1, ..]) = payload.first_chunk::<8>() else { return false };
    let words = usize::from(u16::from_be_bytes([l0, l1])) + 1;
    first >> 6 == 2 && is_rtcp_type(second) && words * 4 <= payload.len()
}

/// RFC 5761 §4: payload types 64–95 with the marker bit are RTCP's 192–223.
fn is_rtcp_type(second: u8) -> bool {
    (192..=223).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_field_by_field() {
        let packet = [0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 1, 2];
        let rtp = parse(&packet).unwrap();
        assert_eq!(
            rtp,
            Rtp { payload_type: 8, sequence: 0x1234, timestamp: 160, ssrc: 0xdead_beef }
        );
    }

    #[test]
    fn an_event_is_a_key_behind_whatever_the_header_carries() {
        let event = [10, 0x8a, 0, 160];
        let packet = |first: u8, between: &[u8]| {
            let mut packet = vec![first, 101, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
            packet.extend(between);
            packet.extend(event);
            packet
        };
        assert_eq!(key(&packet(0x80, &[])), Some(b'*'));
        assert_eq!(key(&packet(0x81, &[0; 4])), Some(b'*'));
        assert_eq!(key(&packet(0x90, &[0xbe, 0xde, 0, 1, 7, 7, 7, 7])), Some(b'*'));
        assert_eq!(key(&packet(0x80, &[])[..15]), None);
        assert_eq!(key(&packet(0x90, &[0xbe, 0xde, 0xff, 0xff])), None);
        assert_eq!(key(&packet(0x80, &[17, 0, 0, 0])), None, "no key is beyond a hook flash");
        assert_eq!(key(&[]), None);
    }

    #[test]
    fn a_body_ends_before_its_padding() {
        let mut packet = vec![0xa0, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9, 1, 2, 3, 0, 0, 3];
        assert_eq!(body(&packet), Some(&[1, 2, 3][..]));
        *packet.last_mut().unwrap() = 7;
        assert_eq!(body(&packet), None, "more padding than there is behind the header");
        packet[0] = 0x80;
        assert_eq!(body(&packet), Some(&packet[12..]));
        assert_eq!((body(&packet[..12]), body(&packet[..11])), (Some(&[][..]), None));
    }

    #[test]
    fn another_version_a_short_packet_and_rtcp_are_not_rtp() {
        assert_eq!(parse(&[0x40; 12]), None);
        assert_eq!(parse(&[0x80; 11]), None);
        // Two contributing sources are promised and missing.
        assert_eq!(parse(&[0x82, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        assert!(is_rtcp(&report));
        assert_eq!(parse(&[0x80, 201, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]), None);
        assert!(!is_rtcp(&[0x80, 201, 0, 9, 0, 0, 0, 1]));
    }
}
