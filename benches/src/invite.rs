//! The message that everybody parses: an INVITE with an offer, 900 bytes, as a carrier sends it.

use sip::{Method, Name, Writer};

/// Its offer.
pub const OFFER: &[u8] = b"v=0\r\n\
o=sbc 3841027356 3841027356 IN IP4 198.51.100.7\r\n\
s=-\r\n\
c=IN IP4 198.51.100.7\r\n\
t=0 0\r\n\
m=audio 16384 RTP/AVP 8 0 18 101\r\n\
a=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:0 PCMU/8000\r\n\
a=rtpmap:18 G729/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:18 annexb=no\r\n\
a=fmtp:101 0-15\r\n\
a=ptime:20\r\n\
a=sendrecv\r\n";

const URI: &str = "sip:+442079460123@192.0.2.1:5060;user=phone";
const VIA: &str = "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-524287-1-3a91c4f07e5b2d68;rport";
const FROM: &str = "\"Support\" <sip:+49301234567@198.51.100.7;user=phone>;tag=gK0c7d41f2";
const TO: &str = "<sip:+442079460123@192.0.2.1;user=phone>";
const CALL_ID: &str = "1-7f3a9c52e8d1@198.51.100.7";
const CONTACT: &str = "<sip:+49301234567@198.51.100.7:5060;transport=udp>";
const IDENTITY: &str = "<sip:+49301234567@198.51.100.7>";

/// Writes it, line by line, with our emitter. `None`: `out` is too short.
pub fn write(out: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(out);
    writer.request(Method::Invite, &[URI.into()]);
    writer.header(Name::Via, &[VIA.into()]);
    writer.header(Name::MaxForwards, &[70_u16.into()]);
    writer.header(Name::From, &[FROM.into()]);
    writer.header(Name::To, &[TO.into()]);
    writer.header(Name::CallId, &[CALL_ID.into()]);
    writer.header(Name::Cseq, &[1_u16.into(), " INVITE".into()]);
    writer.header(Name::Contact, &[CONTACT.into()]);
    writer.header(Name::Allow, &["INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE".into()]);
    writer.header(Name::Supported, &["timer, 100rel".into()]);
    writer.header(Name::PAssertedIdentity, &[IDENTITY.into()]);
    writer.header(Name::UserAgent, &["Example SBC 7.2.10".into()]);
    writer.body(b"application/sdp", OFFER);
    writer.finish()
}

/// Its bytes.
///
/// # Panics
/// When it does not fit its room, which no input can change.
#[must_use]
pub fn bytes() -> &'static [u8] {
    let mut message = vec![0; 2_048];
    let length = write(&mut message).expect("2048 bytes hold it");
    message.truncate(length);
    message.leak()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_a_message_of_900_bytes() {
        let bytes = super::bytes();
        assert_eq!(bytes.len(), 900, "{}", String::from_utf8_lossy(bytes));
        assert!(sip::Message::parse(bytes).is_ok());
        assert!(sip::Sdp::parse(super::OFFER).is_ok());
    }
}
