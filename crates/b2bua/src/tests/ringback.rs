//! Ringback of our own, where a vendor rings without a sound.

use link::order::Parameters;
use relay::SOUND_BYTES;

use super::*;

impl World {
    /// A call that rings, with ringback of ours half a second later; our INVITE to the vendor, our 180.
    fn rings_silently(&mut self) -> (String, String) {
        let parameters = Parameters { ring_tone_delay_ms: 500, ..Parameters::default() };
        self.order(Order::Parameters(parameters));
        let (_, invite) = self.call_begins(&[0]);
        self.vendor_says(0, &invite, 180, "v", "");
        let ringing = self.caller_gets("SIP/2.0 180 ");
        (invite, ringing)
    }

    fn sound(&mut self) -> Option<SocketAddr> {
        let sound = self.switch.media().poll_sound(self.now, &mut [0; SOUND_BYTES]);
        sound.map(|sound| sound.to)
    }

    fn ends_answered(mut self, invite: &str) {
        self.vendor_says(0, invite, 200, "v", &vendor_sdp());
        self.vendor_gets(0, "ACK ");
        self.commit();
        let answer = self.caller_gets("SIP/2.0 200 ");
        assert!(body(&answer).contains("RTP/AVP 0 8 101"), "the vendor's own description");
        self.wait_ms(20);
        assert_eq!(self.sound(), None);
        self.caller_sends(&caller_request("ACK", 1, &answer, ""));
        self.caller_sends(&caller_request("BYE", 2, &answer, ""));
        self.settles();
    }
}

#[test]
fn a_caller_who_hears_nothing_hears_our_ringback_until_the_answer() {
    let mut world = World::new();
    let (invite, ringing) = world.rings_silently();
    world.wait_ms(499);
    world.is_quiet();
    world.wait_ms(1);
    let sounding = world.caller_gets("SIP/2.0 183 ");
    assert!(body(&sounding).ends_with("m=audio 10000 RTP/AVP 0\r\na=sendonly\r\n"), "{sounding}");
    assert_ne!(header(&sounding, "To"), header(&ringing, "To"), "no dialog of any vendor");
    for _ in 0..3 {
        assert_eq!(world.sound(), Some("198.51.100.7:4000".parse().unwrap()));
        world.wait_ms(20);
    }
    assert_eq!(world.count(Counter::RingTones), 1);
    world.ends_answered(&invite);
}

#[test]
fn early_media_of_the_vendor_is_all_that_is_heard() {
    let mut world = World::new();
    let (invite, _) = world.rings_silently();
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    world.caller_gets("SIP/2.0 183 ");
    world.wait_ms(1_000);
    world.is_quiet();
    assert_eq!(world.sound(), None);
    world.ends_answered(&invite);
}

#[test]
fn a_caller_without_g711_or_without_an_offer_hears_no_ringback_of_ours() {
    for offer in [caller_sdp().replace("RTP/AVP 0 8 101", "RTP/AVP 18 101"), String::new()] {
        let mut world = World::new();
        let parameters = Parameters { ring_tone_delay_ms: 500, ..Parameters::default() };
        world.order(Order::Parameters(parameters));
        let (_, invite) = world.call_with_offer(&[0], &offer);
        world.vendor_says(0, &invite, 180, "v", "");
        world.caller_gets("SIP/2.0 180 ");
        world.wait_ms(1_000);
        world.is_quiet();
        world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
        world.ignore_messages();
        world.vendor_says(0, &invite, 487, "v", "");
        world.settles();
    }
}
