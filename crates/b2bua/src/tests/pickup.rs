//! A call that rings at one phone is picked up from another.

use link::answer::{Pickup, Span};

use super::transfer::target_sdp;
use super::*;

/// Vendor 1 dials the code.
fn dials(offer: &str) -> String {
    with_body(
        &format!(
            "INVITE sip:*8@203.0.113.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {};branch=z9hG4bKdials;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:300@203.0.113.20>;tag=dialling\r\n\
             To: <sip:*8@203.0.113.1>\r\nCall-ID: dials@vendor\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:300@{}>\r\n",
            VENDORS[1], VENDORS[1]
        ),
        offer,
    )
}

impl World {
    /// Vendor 1 dials the code, and control names the call to it.
    fn picks_up(&mut self, ringing: CallKey, call_id: &[u8], offer: &str) -> CallKey {
        self.picks_up_of(3, ringing, call_id, offer)
    }

    /// The same, of this gateway.
    pub(super) fn picks_up_of(
        &mut self,
        gateway: u32,
        ringing: CallKey,
        call_id: &[u8],
        offer: &str,
    ) -> CallKey {
        self.vendor_sends(1, &dials(offer));
        let admit = self.admit();
        self.route_with(admit.call, &[1], |route| {
            route.customer_gateway = gateway;
            let text = Pickup { call: ringing, call_id }.to_text();
            route.texts = Text::new(&text).unwrap();
            let candidate = &mut route.candidates[0];
            candidate.gateway = 0;
            candidate.target = Endpoint::from(OUR_VENDOR_SIDE.parse::<SocketAddr>().unwrap());
            candidate.pickup = Span { at: 0, length: text.len() as u16 };
        });
        admit.call
    }

    /// Vendor 1 hears that there is nothing to pick up.
    fn picks_nothing_up(&mut self, status: &str) {
        self.vendor_gets(1, "SIP/2.0 100 ");
        self.vendor_gets(1, &format!("SIP/2.0 {status} "));
        assert_eq!(self.count(Counter::PickupsRefused), 1);
    }
}

#[test]
fn a_call_that_rings_here_is_answered_there() {
    let mut world = World::new();
    let (ringing, to_phone) = world.call_begins(&[0]);
    world.vendor_says(0, &to_phone, 180, "v", "");
    let rings = world.caller_gets("SIP/2.0 180 ");
    let picking = world.picks_up(ringing, b"call1@alice", &target_sdp());
    world.vendor_gets(1, "SIP/2.0 100 ");
    let cancel = world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &cancel, 200, "v", "");
    world.vendor_says(0, &to_phone, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    world.commit();
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&answer, "To"), header(&rings, "To"), "it is the dialog that rang");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    let picked = world.vendor_gets(1, "SIP/2.0 200 ");
    world.vendor_sends(1, &caller_request("ACK", 1, &picked, ""));
    world.is_quiet();
    world.hear_each_other(media_port(&answer), media_port(&picked));
    assert_eq!(world.count(Counter::Pickups), 1);

    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(1, "BYE ");
    assert_eq!(header(&bye, "Call-ID"), "dials@vendor");
    world.vendor_says(1, &bye, 200, "", "");
    world.is_quiet();
    let record = world.ended_by(ringing, EndedBy::Caller, EndReason::Normal);
    let rang = record.attempts()[0];
    assert_eq!((rang.answered_ms, rang.reason), (rang.ended_ms, EndReason::Cancelled as u8));
    assert!(rang.answered_ms <= record.answered_ms, "by when its start record is written");
    world.ended_by(picking, EndedBy::Callee, EndReason::Normal);
    world.settles();
}

#[test]
fn an_answer_that_crosses_the_pick_up_is_sent_back() {
    let mut world = World::new();
    let (ringing, to_phone) = world.call_begins(&[0]);
    world.vendor_says(0, &to_phone, 180, "v", "");
    world.ignore_messages();
    world.picks_up(ringing, b"call1@alice", &target_sdp());
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &to_phone, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "BYE ");
    world.commit();
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(!body(&answer).is_empty());
    world.vendor_gets(1, "SIP/2.0 100 ");
    let picked = world.vendor_gets(1, "SIP/2.0 200 ");
    world.vendor_sends(1, &caller_request("ACK", 1, &picked, ""));
    world.ignore_messages();
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.vendor_gets(1, "BYE ");
    world.settles();
}

#[test]
fn what_rings_no_more_is_not_picked_up() {
    let mut world = World::new();
    let (ringing, to_phone) = world.call_begins(&[0]);
    world.vendor_says(0, &to_phone, 200, "v", &vendor_sdp());
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.picks_up(ringing, b"call1@alice", &target_sdp());
    world.picks_nothing_up("481");
    world.ignore_messages();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_slot_that_another_call_has_now_is_not_picked_up() {
    let mut world = World::new();
    let (ringing, to_phone) = world.call_begins(&[0]);
    world.vendor_says(0, &to_phone, 180, "v", "");
    world.picks_up(ringing, b"call0@alice", &target_sdp());
    world.picks_nothing_up("481");
    world.ignore_messages();
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.vendor_says(0, &to_phone, 487, "v", "");
    world.settles();
}

#[test]
fn media_that_do_not_fit_leave_the_call_ringing() {
    let mut world = World::new();
    let (ringing, to_phone) = world.call_begins(&[0]);
    world.vendor_says(0, &to_phone, 180, "v", "");
    let other = target_sdp().replace("RTP/AVP 0 8 101", "RTP/AVP 18").replace("rtpmap:101", "x:");
    world.picks_up(ringing, b"call1@alice", &other);
    world.picks_nothing_up("488");
    world.ignore_messages();
    world.vendor_says(0, &to_phone, 200, "v", &vendor_sdp());
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}
