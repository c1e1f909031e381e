//! Ports, flows and descriptions of one call, without the call.

use super::*;
use crate::limits::StreamPorts;

const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\n\
    t=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\nm=image 4002 udptl t38\r\n\
    m=video 4004 RTP/AVP 96\r\n";

fn locals() -> [Local; 2] {
    ["192.0.2.1", "203.0.113.1"].map(|address| Local {
        address: address.parse().unwrap(),
        sip_port: 5060,
        prefix_bits: 24,
        advertise: None,
        stream_ports: StreamPorts::default(),
    })
}

#[test]
fn an_offer_gets_our_address_and_ports_and_what_we_do_not_relay_gets_none() {
    let locals = locals();
    let mut plane = MediaPlane::new(Pools::new((10_000, 10_019), &locals, &[]), 0, 0);
    let (mut caller, mut callee) = (LegMedia::NONE, LegMedia::NONE);
    let terms = MediaTerms::default();
    let mut streams = Streams {
        terms: [&terms; 2],
        reads: false,
        is_ours: false,
        signalling: ["198.51.100.7", "203.0.113.7"].map(|it| it.parse().unwrap()),
        key: CallKey { slot: 3, generation: 4 },
        legs: [&mut caller, &mut callee],
        locals: [&locals[0], &locals[1]],
        media_locals: &[],
        inside: [false; 2],
        answered: false,
        tapped: false,
        ends: None,
        sessions: [1, 2],
        randoms: [1, 2],
        secret: &[7; 16],
    };
    let mut out = [0; 1_000];
    let now = Duration::ZERO;
    let length =
        plane.carry(now, &mut streams, Side::Caller, Word::Offer, OFFER, &mut out).unwrap();
    let sdp = Sdp::parse(&out[..length]).unwrap();
    let ports: Vec<u16> = sdp.media().iter().map(|media| media.port).collect();
    assert_eq!(ports, [10_000, 10_002, 0]);
    assert_eq!(sdp.connection().unwrap().host, b"203.0.113.1");
    assert_eq!(refused_streams(OFFER), 1);
    plane.believe(&mut streams, Side::Caller, OFFER, now);
    let [sound, fax] = [10_000, 10_002].map(|number| Port::new(0, number));
    assert_eq!(plane.snapshot(sound).remote, Some("198.51.100.7:4000".parse().unwrap()));
    assert!(!plane.snapshot(sound).fax && plane.snapshot(fax).fax);
    assert_eq!(plane.table.open_pairs(), 4);
    plane.release(&mut caller);
    plane.release(&mut callee);
    assert_eq!(plane.table.open_pairs(), 0);
    assert_eq!(plane.port_count().free, 20);
}

#[test]
fn an_owner_says_which_call_it_is() {
    let key = CallKey { slot: 70_000, generation: u32::MAX };
    assert_eq!(call_of(owner_of(key)), key);
}
