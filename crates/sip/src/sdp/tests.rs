//! Rules of reading and rewriting descriptions.

use super::*;

const OFFER: &str = "v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 192.0.2.9\r\n\
    s=Alice at home\r\n\
    i=Desk 7\r\n\
    u=http://192.0.2.9/\r\n\
    e=alice@example.com\r\n\
    p=+1 617 555 6011\r\n\
    c=IN IP4 192.0.2.1\r\n\
    t=0 0\r\n\
    a=tool:pbx-7\r\n\
    a=group:BUNDLE a v\r\n\
    a=group:LS a v\r\n\
    a=ice-options:trickle\r\n\
    m=audio 49170/2 RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=ptime:20\r\n\
    a=rtcp:53020 IN IP4 192.0.2.2\r\n\
    a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host\r\n\
    a=rtcp-mux\r\n\
    a=ssrc:314 cname:alice@192.0.2.9\r\n\
    a=rtcp-rsize\r\n\
    a=sendonly\r\n\
    m=video 0 RTP/AVP 31\r\n\
    c=IN IP6 2001:db8::7\r\n\
    a=rtcp:9 IN IP6 2001:db8::7\r\n\
    a=fingerprint:sha-1 4A\r\n\
    m=image 40000 udptl t38\r\n\
    a=T38FaxVersion:0\r\n\
    a=rtcp:41001\r\n";

fn rewritten(sdp: &str, address: &str, ports: &[u16]) -> String {
    let sdp = Sdp::parse(sdp.as_bytes()).unwrap();
    let mut out = [0; 4096];
    let edits: Vec<_> = ports.iter().copied().map(Edit::port).collect();
    let address = address.parse().unwrap();
    let rewrite = Rewrite {
        origin: address,
        address,
        session: 77,
        version: 5,
        edits: &edits,
        bypassed: false,
    };
    let length = sdp.rewrite(&rewrite, &mut out).unwrap();
    Sdp::parse(&out[..length]).unwrap();
    String::from_utf8(out[..length].to_vec()).unwrap()
}

#[test]
fn a_description_is_read() {
    let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
    let [audio, video, image] = sdp.media() else { panic!("three media") };
    assert_eq!((audio.kind, audio.port, audio.proto), (&b"audio"[..], 49170, &b"RTP/AVP"[..]));
    assert_eq!(audio.payload_types().collect::<Vec<_>>(), [0, 8, 101]);
    assert_eq!(audio.connection.unwrap().ip, Some("192.0.2.1".parse().unwrap()));
    assert_eq!((audio.direction, audio.is_held()), (Direction::SendOnly, true));
    assert_eq!((audio.rtcp_port, audio.rtcp_ip), (Some(53020), Some("192.0.2.2".parse().unwrap())));
    assert_eq!((audio.telephone_event, audio.packet_ms()), (Some(101), Some(20)));
    assert_eq!(audio.rtpmap(0), Some(&b"PCMU/8000"[..]));
    assert_eq!(audio.rtpmap(31), None);
    assert_eq!(video.port, 0);
    assert_eq!(video.connection.unwrap().host, b"2001:db8::7");
    assert_eq!(video.attributes().count(), 2);
    assert_eq!((image.is_rtp(), audio.is_rtp()), (false, true));
    assert_eq!(image.formats().collect::<Vec<_>>(), [b"t38"]);
    assert_eq!(image.connection, sdp.connection().copied());
    assert_eq!(image.direction, Direction::SendRecv);
}

#[test]
fn a_relay_puts_itself_in_the_middle_and_keeps_the_rest() {
    assert_eq!(
        rewritten(OFFER, "203.0.113.1", &[30_000, 30_002]),
        "v=0\r\n\
         o=- 77 5 IN IP4 203.0.113.1\r\n\
         s=-\r\n\
         c=IN IP4 203.0.113.1\r\n\
         t=0 0\r\n\
         a=group:LS a v\r\n\
         m=audio 30000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\n\
         a=ptime:20\r\n\
         a=rtcp:30001 IN IP4 203.0.113.1\r\n\
         a=rtcp-rsize\r\n\
         a=sendonly\r\n\
         m=video 0 RTP/AVP 31\r\n\
         c=IN IP4 203.0.113.1\r\n\
         m=image 0 udptl t38\r\n\
         a=T38FaxVersion:0\r\n"
    );
}

#[test]
fn an_address_of_ours_may_be_of_the_other_family() {
    let sdp = rewritten(OFFER, "2001:db8::1", &[30_000, 30_002, 30_004]);
    assert!(sdp.contains("o=- 77 5 IN IP6 2001:db8::1\r\n"));
    assert_eq!(sdp.matches("c=IN IP6 2001:db8::1\r\n").count(), 2);
    assert!(sdp.contains("a=rtcp:30001 IN IP6 2001:db8::1\r\n"));
    assert!(sdp.contains("m=image 30004 udptl t38\r\n") && sdp.contains("a=rtcp:30005\r\n"));
    assert!(!sdp.contains("192.0.2."));
}

#[test]
fn a_hold_by_zeros_stays_a_hold() {
    let held =
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 4000 RTP/AVP 0\n";
    assert!(Sdp::parse(held.as_bytes()).unwrap().media()[0].is_held());
    assert!(rewritten(held, "203.0.113.1", &[2]).contains("c=IN IP4 0.0.0.0\n"));
    assert!(rewritten(held, "2001:db8::1", &[2]).contains("c=IN IP6 ::\n"));
}

#[test]
fn a_session_direction_is_that_of_every_medium_that_says_none() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 a\r\nc=IN IP4 host.example\r\na=inactive\r\n\
        m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\na=sendrecv\r\n\r\n";
    let read = Sdp::parse(sdp.as_bytes()).unwrap();
    let directions: Vec<_> = read.media().iter().map(|media| media.direction).collect();
    assert_eq!(directions, [Direction::Inactive, Direction::SendRecv]);
    assert_eq!(read.media()[0].connection.unwrap().ip, None);
    assert!(rewritten(sdp, "203.0.113.1", &[2, 4]).contains("c=IN IP4 203.0.113.1\r\n"));
}

#[test]
fn what_is_no_description_is_refused_by_kind() {
    let good = "v=0\r\no=- 1 1 IN IP4 a\r\nc=IN IP4 a\r\n";
    let nine = "m=audio 4000 RTP/AVP 0\r\n".repeat(MEDIA_MAX + 1);
    for (text, fault) in [
        (String::new(), SdpFault::VersionMissing),
        ("o=- 1 1 IN IP4 a\r\n".into(), SdpFault::VersionMissing),
        ("v=0\r\nc=IN IP4 a\r\n".into(), SdpFault::OriginMissing),
        ("v=0\r\no=- 1 1 IN IP4\r\n".into(), SdpFault::OriginMalformed),
        (format!("{good}o=- 1 1 IN IP4 a\r\n"), SdpFault::OriginMalformed),
        (
            format!("{good}m=audio 4000 RTP/AVP 0\r\no=- 1 1 IN IP4 a\r\n"),
            SdpFault::OriginMalformed,
        ),
        (format!("{good}garbage\r\n"), SdpFault::LineMalformed),
        (format!("{good}\0\0\0"), SdpFault::LineMalformed),
        (format!("{good}a=x\rc=IN IP4 b\r\n"), SdpFault::LineMalformed),
        (format!("{good}c=IN IP5 a\r\n"), SdpFault::ConnectionMalformed),
        (format!("{good}c=IN IP4 \r\n"), SdpFault::ConnectionMalformed),
        (format!("{good}m=audio\r\n"), SdpFault::MediaMalformed),
        (format!("{good}m=audio x RTP/AVP 0\r\n"), SdpFault::MediaMalformed),
        (format!("{good}m=audio 65536 RTP/AVP 0\r\n"), SdpFault::MediaMalformed),
        (format!("{good}m=audio 4000 RTP/AVP\r\n"), SdpFault::MediaMalformed),
        (format!("{good}{nine}"), SdpFault::MediaTooMany),
        (format!("{good}m=audio 4 RTP/AVP 0\r\na=rtcp:x\r\n"), SdpFault::RtcpMalformed),
        (
            "v=0\r\no=- 1 1 IN IP4 a\r\nm=audio 4000 RTP/AVP 0\r\n".into(),
            SdpFault::ConnectionMissing,
        ),
    ] {
        assert_eq!(Sdp::parse(text.as_bytes()), Err(fault), "{text}");
    }
}

#[test]
fn a_host_that_is_no_text_is_no_connection() {
    let sdp = b"v=0\r\no=- 1 1 IN IP4 a\r\nc=IN IP4 192.0.\xd2.1\r\n";
    assert_eq!(Sdp::parse(sdp), Err(SdpFault::ConnectionMalformed));
}

#[test]
fn no_line_of_any_kind_carries_an_address_over() {
    let told = "a=extmap:1 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
        a=fmtp:101 0-15\r\na=fmtp:96 vendor.mode=2\r\na=framerate:29.97\r\na=X-cap: 1 image udptl t38\r\n";
    let kept = format!(
        "v=0\r\no=- 77 5 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
         m=audio 30000 RTP/AVP 0\r\na=rtcp:30001 IN IP4 203.0.113.1\r\n{told}"
    );
    for leak in [
        "a=rtcp:4001 IN IP4 10.1.1.9",
        "a=rtcp:4001 IN IP4 inside.example",
        "a=altc:1 IP6 2001:db8::9 4000",
        "a=altc:2 IP4 inside.example 4000",
        "a=ccap:1 IN IP4 inside.example",
        "a=icap:1 of inside.example",
        "a=acap:2 candidate:1 1 UDP 1 inside.example 4000 typ host",
        "a=X-nat:10.1.1.9",
        "a=X-nat-fd00:1:2:3:4:5:6:7",
        "a=X-nat:host inside.example",
        "a=mid:sbc-7.inside.example.",
        "a=control:rtsp://inside.example/1",
        "a=identity:eyJpZHAi",
        "k=uri:https://inside.example/key",
        "k=clear:open",
        "x=10.1.1.9",
    ] {
        let head = "v=0\r\no=- 1 1000001 IN IP4 10.1.1.9\r\ns=-\r\nc=IN IP4 10.1.1.9\r\nt=0 0\r\n";
        let medium = "m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4 10.1.1.9\r\n";
        // Lines of a medium may be its second ones, but for RTCP, which it has.
        let again = if leak.starts_with("a=rtcp") { String::new() } else { format!("{leak}\r\n") };
        let sdp = format!("{head}{leak}\r\n{medium}{again}{told}");
        assert_eq!(rewritten(&sdp, "203.0.113.1", &[30_000]), kept, "{leak}");
    }
}

#[test]
fn what_goes_from_end_to_end_keeps_its_addresses_and_loses_its_describer() {
    let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
    let edits = [Edit::port(1), Edit::port(1), Edit::default()];
    let address = "203.0.113.1".parse().unwrap();
    let rewrite = Rewrite {
        origin: address,
        address,
        session: 77,
        version: 5,
        edits: &edits,
        bypassed: true,
    };
    let mut out = [0; 4096];
    let length = sdp.rewrite(&rewrite, &mut out).unwrap();
    let hidden = ["o=", "s=", "i=", "u=", "e=", "p=", "a=tool"];
    let is_kept = |line: &&str| !hidden.iter().any(|start| line.starts_with(start));
    // One pair of ports, as we read it; and what is refused has no RTCP.
    let offer = OFFER.replace("49170/2", "49170").replace("a=rtcp:9 IN IP6 2001:db8::7\r\n", "");
    let (head, tail) = offer.split_once("m=image").unwrap();
    let expected: Vec<_> = head.lines().filter(is_kept).collect();
    let told = String::from_utf8(out[..length].to_vec()).unwrap();
    let (head, image) = told.split_once("m=image").unwrap();
    assert_eq!(head.lines().filter(is_kept).collect::<Vec<_>>(), expected);
    assert!(told.contains("o=- 77 5 IN IP4 203.0.113.1\r\ns=-\r\n"));
    assert!(
        tail.contains("a=rtcp:") && image.starts_with(" 0 udptl") && !image.contains("a=rtcp:")
    );
}

#[test]
fn what_does_not_fit_is_not_written() {
    let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
    let rewrite = Rewrite {
        origin: "203.0.113.1".parse().unwrap(),
        address: "203.0.113.1".parse().unwrap(),
        session: 1,
        version: 1,
        edits: &[Edit::port(30_000)],
        bypassed: false,
    };
    let mut out = [0; 4096];
    let length = sdp.rewrite(&rewrite, &mut out).unwrap();
    for short in 0..length {
        assert_eq!(sdp.rewrite(&rewrite, &mut out[..short]), None);
    }
    assert_eq!(sdp.rewrite(&rewrite, &mut out[..length]), Some(length));
}

#[test]
fn all_lists_every_fault_in_the_order_of_its_number() {
    for (number, fault) in SdpFault::ALL.iter().enumerate() {
        assert_eq!(*fault as usize, number);
        assert!(fault.name().starts_with("sdp_"));
    }
}
