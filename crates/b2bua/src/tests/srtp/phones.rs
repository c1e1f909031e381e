//! Phones that want keys of media, and keys of their keypads, as the route says.

use link::profile::{Dtmf, Wishes};

use super::*;

/// A phone calls another; our INVITE to it.
fn rings(world: &mut World, offer: &str, wishes: [Wishes; 2]) -> String {
    world.caller_sends(&invite(1, offer));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_to_phones(call, wishes);
    world.vendor_gets(0, "INVITE ")
}

fn keyed(srtp: Srtp) -> Wishes {
    Wishes { srtp, ..Wishes::default() }
}

#[test]
fn a_phone_that_must_have_keys_talks_to_one_without_through_a_kill() {
    for side in 0..2 {
        let mut wishes = [Wishes::default(); 2];
        wishes[side] = keyed(Srtp::Required);
        let is_caller = side == 0;
        let own = line(1, AES_80, 4);
        let [offer, said] = match is_caller {
            true => [caller_offers("RTP/SAVP", &own), vendor_sdp()],
            false => [caller_sdp(), vendor_answers("RTP/SAVP", &own)],
        };
        let mut world = World::new();
        let first = rings(&mut world, &offer, wishes);
        assert_eq!(proto(&first), ["RTP/AVP", "RTP/SAVP"][side]);
        world.vendor_says(0, &first, 200, "v", &said);
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(proto(&answer), ["RTP/SAVP", "RTP/AVP"][side]);
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let keys = |message: &str| told(message).first().map(|ours| (key(AES_80, 4), ours.2));
        let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, keys(&answer));
        let mut callee = Far::new(media_port(&first), VENDOR_MEDIA, keys(&first));
        world.talk(&mut caller, &mut callee);
        world.restart();
        world.talk(&mut caller, &mut callee);
        // What it wants is known after a kill, too.
        let changed = match is_caller {
            true => caller_sdp(),
            false => caller_offers("RTP/SAVP", &own),
        };
        world.caller_sends(&caller_request("INVITE", 2, &answer, &changed));
        world.caller_gets("SIP/2.0 100 ");
        world.caller_gets("SIP/2.0 488 ");
        world.caller_sends(&caller_request("ACK", 2, &answer, ""));
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.settles();
    }
}

#[test]
fn a_phone_without_keys_where_it_must_have_them_is_refused() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_to_phones(call, [keyed(Srtp::Required), Wishes::default()]);
    world.caller_gets("SIP/2.0 488 ");
    world.ended_by(call, EndedBy::Server, EndReason::Srtp);
    world.settles();
}

#[test]
fn a_phone_that_knows_keys_as_info_is_told_of_no_events_and_its_keys_go_on_as_events() {
    for side in 0..2 {
        let mut wishes = [Wishes::default(); 2];
        wishes[side] = Wishes { dtmf: Dtmf::Info, ..Wishes::default() };
        let mut world = World::new();
        let first = rings(&mut world, &caller_sdp(), wishes);
        let has_events = |message: &str| body(message).contains("telephone-event");
        assert_eq!(has_events(&first), side == 0);
        world.vendor_says(0, &first, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(has_events(&answer), side == 1);
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let signal = "Signal=5\r\nDuration=100\r\n";
        let info = caller_request("INFO", 2, &answer, signal);
        world.caller_sends(&info.replace("application/sdp", "application/dtmf-relay"));
        if side == 0 {
            world.caller_gets("SIP/2.0 200 ");
            assert_eq!(world.count(Counter::KeysTurned), 1);
        } else {
            let passed = world.vendor_gets(0, "INFO ");
            assert_eq!(body(&passed), signal);
            world.vendor_says(0, &passed, 200, "", "");
            world.caller_gets("SIP/2.0 200 ");
        }
        world.ignore_messages();
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.settles();
    }
}
