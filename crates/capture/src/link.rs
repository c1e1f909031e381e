//! Whatever header a capture has in front of IP, as an Ethernet header.

/// Link types as tcpdump.org numbers them.
pub const ETHERNET: u32 = 1;
const NULL: u32 = 0;
const RAW: [u32; 3] = [12, 14, 101];
const LOOP: u32 = 108;
const COOKED: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const COOKED_2: u32 = 276;

/// Types of what an Ethernet frame carries.
pub(crate) const TYPE_IPV4: u16 = 0x0800;
pub(crate) const TYPE_IPV6: u16 = 0x86dd;

/// Bytes of an Ethernet header.
pub const ETHERNET_BYTES: usize = 14;

/// The addresses of a frame that had none: of this machine's own making, sender and receiver.
pub const NOBODY: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

/// Writes the packet as an Ethernet frame behind what is in `out`. `None`: a link type that is not known, or
/// a packet that is too short for its own header, and nothing was written.
pub fn write_ethernet(link: u32, packet: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let by_version = |packet: &[u8]| match packet.first()? >> 4 {
        4 => Some(TYPE_IPV4),
        6 => Some(TYPE_IPV6),
        _ => None,
    };
    let word = |at: usize| {
        let word: &[u8; 2] = packet.get(at..)?.first_chunk()?;
        Some(u16::from_be_bytes(*word))
    };
    let (kind, content) = match link {
        ETHERNET => {
            packet.get(ETHERNET_BYTES..)?;
            out.extend_from_slice(packet);
            return Some(());
        }
        // The family in front is that of whichever system captured, so the version is asked.
        NULL | LOOP => (by_version(packet.get(4..)?)?, packet.get(4..)?),
        link if RAW.contains(&link) => (by_version(packet)?, packet),
        IPV4 => (TYPE_IPV4, packet),
        IPV6 => (TYPE_IPV6, packet),
        COOKED => (word(14)?, packet.get(16..)?),
        COOKED_2 => (word(0)?, packet.get(20..)?),
        _ => return None,
    };
    let [sender, receiver] = NOBODY;
    out.extend_from_slice(&receiver);
    out.extend_from_slice(&sender);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(content);
    Some(())
}

/// Whether packets of such a link can be sent.
#[must_use]
pub fn is_known(link: u32) -> bool {
    RAW.contains(&link) || [ETHERNET, NULL, LOOP, COOKED, IPV4, IPV6, COOKED_2].contains(&link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_link_becomes_ethernet_in_front_of_the_same_ip() {
        let (four, six) = ([0x45, 1, 2, 3], [0x60, 1, 2, 3]);
        let cooked = [&[0; 14][..], &[0x86, 0xdd], &six].concat();
        let cooked_2 = [&[0x08, 0x00][..], &[0; 18], &four].concat();
        let cases: [(u32, Vec<u8>, &[u8]); 8] = [
            (101, four.to_vec(), &four),
            (12, six.to_vec(), &six),
            (228, four.to_vec(), &four),
            (229, six.to_vec(), &six),
            (0, [&[2, 0, 0, 0][..], &four].concat(), &four),
            (108, [&[0, 0, 0, 24][..], &six].concat(), &six),
            (113, cooked, &six),
            (276, cooked_2, &four),
        ];
        for (link, packet, ip) in cases {
            let mut frame = Vec::new();
            write_ethernet(link, &packet, &mut frame).unwrap();
            let kind: [u8; 2] = if ip[0] == 0x45 { [8, 0] } else { [0x86, 0xdd] };
            assert_eq!((&frame[12..14], &frame[14..]), (&kind[..], ip), "{link}");
            assert!(is_known(link));
        }
    }

    #[test]
    fn a_link_that_is_not_known_and_a_packet_shorter_than_its_header_are_refused() {
        let mut out = vec![7];
        for (link, packet) in [(147, &[0; 64][..]), (1, &[0; 13]), (113, &[0; 15]), (0, &[0; 4])] {
            assert_eq!(write_ethernet(link, packet, &mut out), None, "{link}");
        }
        assert_eq!(write_ethernet(101, &[0x30, 0], &mut out), None, "no version of IP");
        assert_eq!(out, [7]);
    }
}
