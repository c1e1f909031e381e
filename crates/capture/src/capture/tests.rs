//! A small call, as it is and as others, judged by a foreign reader.

use std::net::IpAddr;

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;
use crate::ear::{Ear, Heard};
use crate::file;

const PHONE: [u8; 4] = [10, 0, 0, 1];
const SWITCH: [u8; 4] = [10, 0, 0, 2];

fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(source.0, destination.0, 64)
        .udp(source.1, destination.1);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

fn rtp(source: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend([sequence as u8; 160]);
    packet
}

fn message(line: &str, media: Option<(&str, u16)>) -> Vec<u8> {
    let body = media.map_or(String::new(), |(host, port)| {
        format!("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n")
    });
    format!(
        "{line}\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@10.0.0.1>;tag=f\r\n\
         To: <sip:b@10.0.0.2>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// INVITE, 200, ten packets each way, a report.
fn call() -> Vec<u8> {
    let mut frames = vec![
        udp(
            (PHONE, 5060),
            (SWITCH, 5060),
            &message("INVITE sip:b@10.0.0.2 SIP/2.0", Some(("10.0.0.1", 4000))),
        ),
        udp((SWITCH, 5060), (PHONE, 5060), &message("SIP/2.0 200 OK", Some(("10.0.0.2", 6000)))),
    ];
    for sequence in 0..10 {
        frames.push(udp((PHONE, 4000), (SWITCH, 6000), &rtp(1, sequence)));
        frames.push(udp((SWITCH, 6000), (PHONE, 4000), &rtp(2, 65_530_u16.wrapping_add(sequence))));
    }
    let mut report = vec![0x81, 200, 0, 12];
    report.extend(1_u32.to_be_bytes());
    report.extend([7; 20]);
    report.extend(2_u32.to_be_bytes());
    report.extend([9; 20]);
    frames.push(udp((PHONE, 4001), (SWITCH, 6001), &report));
    let mut file = file::head().to_vec();
    for (place, frame) in frames.iter().enumerate() {
        file.extend(file::frame_head(place as u64 * 10_000_000, frame.len()));
        file.extend(frame);
    }
    file
}

fn read(options: &Options) -> Capture {
    Capture::read(&call(), options).unwrap()
}

fn clones(capture: &Capture, calls: u32, keep: &[IpAddr]) -> Clones {
    let streams = capture.streams().len() as u32;
    Clones::new(calls, streams, capture.hosts(), keep, capture.media(), false).unwrap()
}

fn written(capture: &Capture, clones: &Clones, call: u64, frame: u32) -> Vec<u8> {
    let mut room = [0; 2_048];
    let length = capture.write(clones, call, frame, &mut room).unwrap();
    room[..length].to_vec()
}

/// Both checksums, by the foreign reader's arithmetic; its payload.
fn judged(frame: &[u8]) -> (SocketAddr, SocketAddr, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
    let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("no UDP") };
    let header = ip.header().to_header();
    assert_eq!(header.calc_header_checksum(), header.header_checksum);
    let sum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
    assert_eq!(sum, udp.checksum());
    let end = |host: [u8; 4], port| SocketAddr::new(host.into(), port);
    (
        end(header.source, udp.source_port()),
        end(header.destination, udp.destination_port()),
        udp.payload().to_vec(),
    )
}

#[test]
fn as_it_is_every_byte_stays() {
    let capture = read(&Options::default());
    assert_eq!((capture.frames().len(), capture.streams().len(), capture.counts().sip), (23, 2, 2));
    for (place, frame) in capture.frames().iter().enumerate() {
        let found = written(&capture, &Clones::verbatim(), 5, place as u32);
        assert_eq!(found, capture.bytes(frame));
        judged(&found);
    }
}

#[test]
fn each_of_a_thousand_calls_agrees_with_itself() {
    let capture = read(&Options::default());
    for keep in [&[][..], &[IpAddr::from(SWITCH)]] {
        let clones = clones(&capture, 1_000, keep);
        let mut identities = std::collections::HashSet::new();
        for call in [0, 1, 999, 1_000, 1_999] {
            let all: Vec<_> =
                (0..23).map(|frame| judged(&written(&capture, &clones, call, frame))).collect();
            let described = |place: usize| {
                let message = sip::Message::parse(&all[place].2).unwrap();
                assert!(identities.contains(message.call_id()) || place == 0);
                identities.insert(message.call_id().to_vec());
                let sdp = sip::Sdp::parse(message.body()).unwrap();
                let port = sdp.media().iter().next().unwrap().port;
                let text = String::from_utf8_lossy(message.body()).into_owned();
                let host = text.split("c=IN IP4 ").nth(1).unwrap().lines().next().unwrap();
                SocketAddr::new(host.parse().unwrap(), port)
            };
            let mut described = described;
            let (offer, answer) = (described(0), described(1));
            assert_eq!((all[2].0, all[2].1), (offer, answer), "call {call}");
            assert_eq!((all[3].0, all[3].1), (answer, offer), "call {call}");
            // The report names the sources that the call's packets have.
            let source = |payload: &[u8], at: usize| payload[at..at + 4].to_vec();
            let report = &all[22].2;
            assert_eq!(source(report, 4), source(&all[2].2, 8));
            assert_eq!(source(report, 28), source(&all[3].2, 8));
            assert_eq!(all[22].0.port(), offer.port() + 1);
        }
        assert_eq!(identities.len(), 5);
    }
}

#[test]
fn a_patch_of_the_kernels_comes_to_the_same_frame() {
    let capture = read(&Options::default());
    let clones = clones(&capture, 1_000, &[SWITCH.into()]);
    for call in [0, 1, 700, 70_000] {
        for stream in 0..2 {
            let patch = capture.patch(&clones, call, stream).unwrap();
            let place = capture.frames().iter().position(|frame| frame.stream() == Some(stream));
            let place = place.unwrap() as u32;
            let mut frame = capture.bytes(&capture.frames()[place as usize]).to_vec();
            frame[26..34].copy_from_slice(&patch.addresses[..8]);
            frame[34..38].copy_from_slice(&patch.ports);
            frame[50..54].copy_from_slice(&patch.source);
            for (at, change) in [(24, patch.address_sum), (40, patch.address_sum + patch.rest_sum)]
            {
                let old = u16::from_ne_bytes([frame[at], frame[at + 1]]);
                let mut sum = u32::from(!old) + change;
                sum = (sum & 0xffff) + (sum >> 16);
                sum = (sum & 0xffff) + (sum >> 16);
                frame[at..at + 2].copy_from_slice(&(!(sum as u16)).to_ne_bytes());
            }
            assert_eq!(frame, written(&capture, &clones, call, place), "call {call}");
        }
    }
}

#[test]
fn rules_change_headers_text_and_checksums_together() {
    let rules = ["10.0.0.1:4000=192.0.2.77:50000", "10.0.0.1=192.0.2.77"];
    let rules: Vec<crate::Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let options = Options {
        rules: rules.into(),
        source_mac: Some([6; 6]),
        destination_mac: Some([8; 6]),
        ..Options::default()
    };
    let capture = read(&options);
    let found = written(&capture, &Clones::verbatim(), 0, 0);
    assert_eq!((&found[..6], &found[6..12]), (&[8; 6][..], &[6; 6][..]));
    let (source, _, payload) = judged(&found);
    assert_eq!(source, "192.0.2.77:5060".parse().unwrap());
    let text = String::from_utf8(payload).unwrap();
    assert!(text.contains("c=IN IP4 192.0.2.77\r\n") && text.contains("m=audio 50000 "), "{text}");
    let (source, ..) = judged(&written(&capture, &Clones::verbatim(), 0, 2));
    assert_eq!(source, "192.0.2.77:50000".parse().unwrap());
}

#[test]
fn what_cannot_be_sent_is_counted_and_time_never_goes_back() {
    let frame = udp((PHONE, 4000), (SWITCH, 6000), &rtp(1, 1));
    let mut file = file::head().to_vec();
    for ns in [50, 90, 10] {
        file.extend(file::frame_head(ns, frame.len()));
        file.extend(&frame);
    }
    let mut cut = file::frame_head(99, 20);
    cut[12] = 60;
    file.extend(cut);
    file.extend(&frame[..20]);
    file.extend(file::frame_head(100, 5));
    file.extend(&frame[..5]);
    file.extend(file::frame_head(101, 0));
    let capture = Capture::read(&file, &Options::default()).unwrap();
    let counts = capture.counts();
    assert_eq!((counts.packets, counts.cut, counts.short, counts.back_in_time), (6, 1, 2, 1));
    assert_eq!(capture.times(), [0, 40, 40]);
    file.extend([1, 2, 3]);
    assert_eq!(
        Capture::read(&file, &Options::default()).unwrap_err(),
        ReadError::File(FileFault::Cut(7))
    );
    let options = Options { until_fault: true, ..Options::default() };
    let capture = Capture::read(&file, &options).unwrap();
    assert_eq!((capture.frames().len(), capture.counts().fault), (3, Some(FileFault::Cut(7))));
    let empty = Capture::read(&file::head(), &Options::default());
    assert!(matches!(empty, Err(ReadError::Nothing(_))));
}

#[test]
fn wrong_checksums_are_counted_and_mended_if_wished() {
    let mut frame = udp((PHONE, 4000), (SWITCH, 6000), &rtp(1, 1));
    frame[40] ^= 0x55;
    let mut file = file::head().to_vec();
    file.extend(file::frame_head(0, frame.len()));
    file.extend(&frame);
    let capture = Capture::read(&file, &Options::default()).unwrap();
    assert_eq!(capture.counts().bad_checksum, 1);
    assert_eq!(written(&capture, &Clones::verbatim(), 0, 0), frame);
    let options = Options { mend_checksums: true, ..Options::default() };
    judged(&written(&Capture::read(&file, &options).unwrap(), &Clones::verbatim(), 0, 0));
}

#[test]
fn tags_are_taken_off_and_what_is_tagged_is_no_plain_stream() {
    let mut frame = udp((PHONE, 4000), (SWITCH, 6000), &rtp(1, 1));
    frame.splice(12..12, [0x81, 0, 0, 7]);
    let mut file = file::head().to_vec();
    file.extend(file::frame_head(0, frame.len()));
    file.extend(&frame);
    let tagged = Capture::read(&file, &Options::default()).unwrap();
    assert!(!tagged.streams()[0].is_plain);
    let options = Options { untag: true, ..Options::default() };
    let capture = Capture::read(&file, &options).unwrap();
    assert!(capture.streams()[0].is_plain);
    judged(&written(&capture, &Clones::verbatim(), 0, 0));
}

#[test]
fn what_comes_back_is_recognised_behind_other_addresses() {
    let capture = read(&Options::default());
    let clones = clones(&capture, 10, &[]);
    let mut ear = Ear::new(&capture, &clones);
    let other: Vec<crate::Rule> = vec!["10.0.0.2=203.0.113.9".parse().unwrap()];
    let other: Rules = other.into();
    for call in 0..10 {
        for frame in [2, 3, 4, 4, 8, 6] {
            let mut bytes = written(&capture, &clones, call, frame);
            let layout = Layout::of(&bytes).unwrap();
            readdress(&mut bytes, &layout, &other);
            let Heard::Rtp(found) = ear.hear(&capture, &bytes) else { panic!("not heard") };
            assert_eq!(found.call, call);
        }
        let mut broken = written(&capture, &clones, call, 10);
        broken[60] ^= 1;
        assert_eq!(ear.hear(&capture, &broken), Heard::Broken);
        let layout = Layout::of(&broken).unwrap();
        sum_anew(&mut broken, &layout);
        assert!(matches!(ear.hear(&capture, &broken), Heard::Rtp(_)));
        assert_eq!(ear.hear(&capture, &written(&capture, &clones, call, 0)), Heard::Other);
    }
    let totals = ear.totals()[0];
    assert_eq!(
        (totals.received, totals.duplicates, totals.reordered, totals.changed),
        (50, 10, 10, 10)
    );
    assert_eq!((ear.broken(), ear.others()), (10, 10));
}

proptest! {
    #[test]
    fn a_capture_with_any_bytes_changed_is_read_or_refused_and_written_within_its_room(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = call();
        for (at, to) in changes {
            let at = at.index(file.len());
            file[at] = to;
        }
        let options = Options { until_fault: true, mend_checksums: true, ..Options::default() };
        if let Ok(capture) = Capture::read(&file, &options) {
            let streams = capture.streams().len() as u32;
            let clones = Clones::new(3, streams, capture.hosts(), &[], capture.media(), false);
            let clones = clones.unwrap_or_else(|_| Clones::verbatim());
            let mut room = [0; 2_048];
            for frame in 0..capture.frames().len() as u32 {
                if let Ok(length) = capture.write(&clones, 2, frame, &mut room) {
                    prop_assert!(length <= room.len());
                }
            }
        }
    }
}
