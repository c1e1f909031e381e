//! What of a packet stays in clear.

/// The parts of an RTP header that name the packet, and where the header ends (RFC 3550 §5.1).
#[derive(Clone, Copy)]
pub(crate) struct Rtp {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) header: usize,
}

impl Rtp {
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let head: &[u8; 12] = packet.first_chunk()?;
        let [first, _, s0, s1, _, _, _, _, r0, r1, r2, r3] = *head;
        if first >> 6 != 2 {
            return None;
        }
        let mut header = 12 + usize::from(first & 0x0f) * 4;
        if first & 0x10 != 0 {
            // An extension: two bytes of its own, two that count its words (§5.3.1).
            let words: &[u8; 2] = packet.get(header + 2..)?.first_chunk()?;
            header += 4 + usize::from(u16::from_be_bytes(*words)) * 4;
        }
        let (ssrc, sequence) = (u32::from_be_bytes([r0, r1, r2, r3]), u16::from_be_bytes([s0, s1]));
        (header <= packet.len()).then_some(Self { ssrc, sequence, header })
    }
}

/// Bytes of an RTCP packet that stay in clear: the first header and its sender (RFC 3711 §3.4).
pub(crate) const RTCP_HEADER: usize = 8;

/// The sender of an RTCP packet.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let &[first, _, _, _, r0, r1, r2, r3] = packet.first_chunk::<RTCP_HEADER>()?;
    (first >> 6 == 2).then_some(u32::from_be_bytes([r0, r1, r2, r3]))
}
