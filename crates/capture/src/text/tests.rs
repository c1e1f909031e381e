//! Messages and descriptions for other addresses.

use proptest::prelude::*;

use super::*;
use crate::address::{Rule, Rules};

fn rules(texts: &[&str]) -> Rules {
    texts.iter().map(|text| text.parse::<Rule>().unwrap()).collect::<Vec<_>>().into()
}

fn rewritten(message: &str, to: &Rules, mark: &str) -> String {
    let text = Text::parse(message.as_bytes());
    let mut bytes = vec![0; message.len() * 2 + 512];
    let mut room = Room::new(&mut bytes);
    text.write(message.as_bytes(), to, mark.as_bytes(), &mut room);
    let length = room.written().unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

const INVITE: &str = "INVITE sip:100@10.0.0.2:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKabc;received=10.0.0.1\r\n\
    From: \"A\" <sip:a@10.0.0.1>;tag=one\r\nTo: <sip:100@10.0.0.2>\r\nCall-ID: call@10.0.0.1\r\n\
    CSeq: 1 INVITE\r\nContact: <sip:a@[fd00::1]:5060>\r\nReplaces: other@x;to-tag=t;from-tag=f\r\n\
    User-Agent: phone/1.2.3.4\r\nContent-Type: application/sdp\r\nContent-Length: 999\r\n\r\n\
    v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
    a=rtcp:4001\r\na=candidate:1 1 UDP 99 10.0.0.1 4000 typ host raddr 10.0.0.1 rport 4000\r\n\
    m=video 0 RTP/AVP 96\r\nm=audio 4002/2 RTP/AVP 8\r\nc=IN IP6 fd00::1\r\n";

#[test]
fn every_address_port_and_identity_changes_and_the_length_follows() {
    let to = rules(&[
        "10.0.0.1:4000=192.0.2.100:50000",
        "10.0.0.1:4001=192.0.2.100:50001",
        "[fd00::1]:4002=[fd00::9]:50002",
        "10.0.0.1=192.0.2.100",
        "10.0.0.2=192.0.2.2",
        "fd00::1=fd00::9",
    ]);
    let found = rewritten(INVITE, &to, "-0000002a");
    for line in [
        "INVITE sip:100@192.0.2.2:5060 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.100:5060;branch=z9hG4bKabc-0000002a;received=192.0.2.100",
        "From: \"A\" <sip:a@192.0.2.100>;tag=one-0000002a",
        "To: <sip:100@192.0.2.2>",
        "Call-ID: call@10.0.0.1-0000002a",
        "Contact: <sip:a@[fd00::9]:5060>",
        "Replaces: other@x-0000002a;to-tag=t-0000002a;from-tag=f-0000002a",
        "User-Agent: phone/1.2.3.4",
        "o=- 1 1 IN IP4 192.0.2.100",
        "c=IN IP4 192.0.2.100",
        "m=audio 50000 RTP/AVP 0",
        "a=rtcp:50001",
        "a=candidate:1 1 UDP 99 192.0.2.100 50000 typ host raddr 192.0.2.100 rport 4000",
        "m=video 0 RTP/AVP 96",
        "m=audio 50002/2 RTP/AVP 8",
        "c=IN IP6 fd00::9",
    ] {
        assert!(found.contains(&format!("{line}\r\n")), "{line}\n{found}");
    }
    let (head, body) = found.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{found}");
    sip::Message::parse(found.as_bytes()).unwrap();
}

#[test]
fn what_changes_nothing_is_the_same_but_for_a_wrong_length() {
    let right = INVITE.split_once("\r\n\r\n").unwrap().1.len();
    let message = INVITE.replace("999", &right.to_string());
    assert_eq!(rewritten(&message, &Rules::default(), ""), message);
}

#[test]
fn a_number_that_only_looks_like_an_address_stays() {
    let to = rules(&["10.0.0.1=192.0.2.1"]);
    for message in [
        "OPTIONS sip:a@x10.0.0.1 SIP/2.0\r\n\r\n",
        "OPTIONS sip:a@10.0.0.10 SIP/2.0\r\n\r\n",
        "OPTIONS sip:a@110.0.0.1 SIP/2.0\r\n\r\n",
        "OPTIONS sip:a@10.0.0.1.example.com SIP/2.0\r\n\r\n",
        "OPTIONS sip:a@10.0.0.1-b SIP/2.0\r\n\r\n",
    ] {
        assert_eq!(rewritten(message, &to, ""), message);
    }
    assert_eq!(
        rewritten("OPTIONS sip:a@10.0.0.1:99999 SIP/2.0\r\n\r\n", &to, ""),
        "OPTIONS sip:a@192.0.2.1:99999 SIP/2.0\r\n\r\n"
    );
}

#[test]
fn the_media_of_a_description_are_told() {
    let media: Vec<String> =
        Text::parse(INVITE.as_bytes()).media().iter().map(ToString::to_string).collect();
    assert_eq!(media, ["10.0.0.1:4000", "10.0.0.1:4001", "10.0.0.1:4000", "[fd00::1]:4002"]);
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange_and_without_a_length_none_are_lost(
        message in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let text = Text::parse(&message);
        let mut bytes = vec![0; 4_096];
        let mut room = Room::new(&mut bytes);
        text.write(&message, &Rules::default(), b"", &mut room);
        prop_assert!(room.written().is_some());
    }

    #[test]
    fn a_message_with_any_byte_changed_is_written_without_a_fault(at in 0_usize..900, to: u8) {
        let mut message = INVITE.as_bytes().to_vec();
        if let Some(byte) = message.get_mut(at) {
            *byte = to;
        }
        let mut bytes = vec![0; 4_096];
        let mut room = Room::new(&mut bytes);
        Text::parse(&message).write(&message, &rules(&["10.0.0.1=192.0.2.1"]), b"-1", &mut room);
        prop_assert!(room.written().is_some());
    }
}
