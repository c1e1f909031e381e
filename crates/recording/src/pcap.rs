//! The classic capture format with nanoseconds, little-endian, of Ethernet frames (draft-ietf-opsawg-pcap).

use core::time::Duration;
use std::net::SocketAddr;

use wire::datagram::{self, Headers};

/// Bytes before the first packet.
pub const HEAD_BYTES: usize = 24;
/// Bytes before each frame.
pub const PACKET_HEAD_BYTES: usize = 16;

/// How a file begins.
#[must_use]
pub fn head() -> [u8; HEAD_BYTES] {
    const SNAP_BYTES: u32 = 65_535;
    const ETHERNET: u32 = 1;
    let words = [0xa1b2_3c4d, 2 | 4 << 16, 0, 0, SNAP_BYTES, ETHERNET];
    let mut head = [0; HEAD_BYTES];
    for (place, word) in head.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

/// Writes a packet as it came, under a frame without MACs. `None`: it does not fit, or its ends are of two families.
#[must_use]
pub fn packet(
    room: &mut [u8],
    since_1970: Duration,
    (source, destination): (SocketAddr, SocketAddr),
    payload: &[u8],
) -> Option<usize> {
    let (head, frame) = room.split_first_chunk_mut::<PACKET_HEAD_BYTES>()?;
    let headers = Headers {
        destination_mac: [0; 6],
        source_mac: [0; 6],
        vlan: None,
        source,
        destination,
        dscp: 0,
        ttl: 64,
    };
    if source.is_ipv4() != destination.is_ipv4() {
        return None;
    }
    let length = datagram::write(frame, &headers, payload)?;
    let seconds = since_1970.as_secs() as u32;
    let words = [seconds, since_1970.subsec_nanos(), length as u32, length as u32];
    for (place, word) in head.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    Some(PACKET_HEAD_BYTES + length)
}

#[cfg(test)]
mod tests {
    use pcap_file::pcap::PcapReader;

    use super::*;

    #[test]
    fn a_foreign_reader_finds_the_packets_and_their_times() {
        let at = Duration::new(1_700_000_000, 123_456_789);
        let ends = |a: &str, b: &str| (a.parse().unwrap(), b.parse().unwrap());
        let mut file = head().to_vec();
        for ends in [
            ends("192.0.2.1:4000", "198.51.100.1:10000"),
            ends("[2001:db8::1]:4", "[2001:db8::2]:6"),
        ] {
            let mut room = [0; 300];
            let length = packet(&mut room, at, ends, b"as it came").unwrap();
            file.extend(&room[..length]);
        }
        let mut reader = PcapReader::new(&file[..]).unwrap();
        let mut count = 0;
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            assert_eq!(packet.timestamp, at);
            let datagram = datagram::parse(&packet.data).unwrap();
            assert_eq!(datagram.payload(&packet.data), b"as it came");
            count += 1;
        }
        assert_eq!(count, 2);
        let (v4, v6) = ends("192.0.2.1:4000", "[2001:db8::2]:6");
        assert_eq!(packet(&mut [0; 300], at, (v4, v6), b""), None);
        assert_eq!(packet(&mut [0; 30], at, (v4, v4), b""), None);
    }
}
