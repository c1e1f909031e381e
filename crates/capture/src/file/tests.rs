//! Captures as others write them, and as nobody should.

use std::time::Duration;

use pcap_file::pcap::{PcapPacket, PcapWriter};
use proptest::prelude::*;

use super::*;

fn all(bytes: &[u8]) -> Result<Vec<Packet<'_>>, FileFault> {
    Packets::open(bytes)?.collect()
}

/// By the foreign writer.
fn pcap(packets: &[(u64, &[u8], u32)]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for &(us, bytes, wire) in packets {
        let packet = PcapPacket::new(Duration::from_micros(us), wire, bytes);
        writer.write_packet(&packet).unwrap();
    }
    writer.into_writer()
}

#[test]
fn a_foreign_writers_pcap_is_read_right() {
    let file = pcap(&[(1_500_000, b"one", 3), (2_000_001, b"two!", 9)]);
    let found = all(&file).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].time_ns, found[0].bytes, found[0].link), (1_500_000_000, &b"one"[..], 1));
    assert_eq!((found[1].time_ns, found[1].wire_bytes, found[1].number), (2_000_001_000, 9, 2));
}

#[test]
fn a_foreign_reader_reads_what_is_written() {
    let mut file = head().to_vec();
    file.extend(frame_head(7_000_000_042, 5));
    file.extend(b"frame");
    let mut reader = pcap_file::pcap::PcapReader::new(&file[..]).unwrap();
    let packet = reader.next_packet().unwrap().unwrap();
    assert_eq!(
        (packet.timestamp, &*packet.data),
        (Duration::from_nanos(7_000_000_042), &b"frame"[..])
    );
    assert_eq!(all(&file).unwrap()[0].time_ns, 7_000_000_042);
}

#[test]
fn the_other_order_of_bytes_and_nanoseconds_are_read() {
    let mut file = 0xa1b2_3c4d_u32.to_be_bytes().to_vec();
    for word in [0x0002_0004_u32, 0, 0, 65_535, 101, 5, 7, 2, 2] {
        file.extend(word.to_be_bytes());
    }
    file.extend(b"ip");
    let found = all(&file).unwrap();
    assert_eq!((found[0].time_ns, found[0].link), (5_000_000_007, 101));
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, &body, &length].concat()
}

fn section() -> Vec<u8> {
    block(SECTION, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat())
}

fn interface(link: u16, options: &[u8]) -> Vec<u8> {
    block(INTERFACE, &[&link.to_le_bytes()[..], &[0; 6], options].concat())
}

fn packet(which: u32, units: u64, bytes: &[u8]) -> Vec<u8> {
    let words = [which, (units >> 32) as u32, units as u32, bytes.len() as u32, bytes.len() as u32];
    let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    block(PACKET, &[&head, bytes].concat())
}

#[test]
fn pcapng_has_interfaces_each_with_its_link_and_clock_and_blocks_that_are_passed_over() {
    let ns = [9, 0, 1, 0, 9, 0, 0, 0];
    let halves = [9, 0, 1, 0, 0x81, 0, 0, 0];
    let offset = [14, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let file = [
        section(),
        interface(1, &[]),
        interface(101, &[&ns[..], &offset].concat()),
        interface(113, &halves),
        block(0x0bad, b"nobody knows this"),
        packet(0, 1_000_001, b"us"),
        packet(1, 5, b"ns"),
        packet(2, 3, b"halves"),
        block(SIMPLE_PACKET, &[&3_u32.to_le_bytes()[..], b"abc"].concat()),
    ]
    .concat();
    let found = all(&file).unwrap();
    let seen: Vec<(u64, u32, &[u8])> =
        found.iter().map(|packet| (packet.time_ns, packet.link, packet.bytes)).collect();
    assert_eq!(
        seen,
        [
            (1_000_001_000, 1, &b"us"[..]),
            (2_000_000_005, 101, b"ns"),
            (1_500_000_000, 113, b"halves"),
            (1_500_000_000, 1, b"abc"),
        ]
    );
}

#[test]
fn a_new_section_forgets_the_interfaces_of_the_one_before() {
    let file = [section(), interface(1, &[]), section(), packet(0, 1, b"x")].concat();
    assert_eq!(all(&file), Err(FileFault::Interface(1, 0)));
}

#[test]
fn what_is_wrong_is_said_with_the_packets_number() {
    let good = pcap(&[(1, b"one", 3), (2, b"two", 3)]);
    assert_eq!(all(&good[..good.len() - 1]), Err(FileFault::Cut(2)));
    assert_eq!(all(&good[..PCAP_HEAD + 5]), Err(FileFault::Cut(1)));
    assert_eq!(all(&good[..10]), Err(FileFault::Head));
    assert_eq!(all(b"PK\x03\x04whatever it is"), Err(FileFault::Magic(0x504b_0304)));
    assert_eq!(all(b""), Err(FileFault::Head));
    let mut huge = good;
    huge[PCAP_HEAD + 8..PCAP_HEAD + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(all(&huge).is_err());
    let mut short = [section(), interface(1, &[]), packet(0, 1, b"abcd")].concat();
    let end = short.len();
    for length in [0_u32, 4, 8, 13, u32::MAX, u32::MAX - 3] {
        short[end - 36 + 4..end - 36 + 8].copy_from_slice(&length.to_le_bytes());
        assert!(
            matches!(all(&short), Err(FileFault::Length(1, _) | FileFault::Cut(1))),
            "{length}"
        );
    }
    let clock = [9, 0, 1, 0, 99, 0, 0, 0];
    assert_eq!(all(&[section(), interface(1, &clock)].concat()), Err(FileFault::Clock(1, 99)));
    let mut order = section();
    order[8] = 9;
    assert_eq!(all(&order), Err(FileFault::Order(1)));
}

proptest! {
    #[test]
    fn every_truncation_is_a_fault_or_fewer_packets(length in 0_usize..200) {
        let file = [section(), interface(1, &[]), packet(0, 1, b"abcd"), packet(0, 2, b"efgh")].concat();
        let length = length.min(file.len());
        if let Ok(found) = all(&file[..length]) {
            prop_assert!(found.len() <= 2);
        }
    }

    #[test]
    fn what_is_written_is_read_again(frames in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20)) {
        let mut file = head().to_vec();
        for (ns, bytes) in &frames {
            file.extend(frame_head((*ns).into(), bytes.len()));
            file.extend(bytes);
        }
        let found = all(&file).unwrap();
        prop_assert_eq!(found.len(), frames.len());
        for (packet, (ns, bytes)) in found.iter().zip(&frames) {
            prop_assert_eq!((packet.time_ns, packet.bytes), (u64::from(*ns), &bytes[..]));
        }
    }
}
