//! A dataplane dies; the next one takes its calls over.

use super::*;

#[test]
fn a_confirmed_call_talks_again_and_its_bye_is_answered() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    let ports = (media_port(&answer), media_port(&invite));
    world.wait_ms(5_000);
    world.restart();
    assert_eq!(world.count(Counter::CallsAdopted), 1);
    assert_eq!(world.switch.calls_live(), 1);
    let far = world.switch.media().snapshot(ports.0).remote;
    assert_eq!(far, Some("198.51.100.7:4000".parse().unwrap()));
    assert!(world.switch.media().snapshot(ports.1).remote.is_some());
    world.wait_ms(5_000);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(0, "BYE sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!(header(&bye, "CSeq"), "1002 BYE");
    assert_eq!(header(&bye, "Call-ID"), header(&invite, "Call-ID"));
    assert!(header(&invite, "From").ends_with(header(&bye, "From")));
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    assert_eq!(record.ended_ms, 10_000);
    world.settles();
}

#[test]
fn an_early_call_ends_with_its_record() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 180, "v", "");
    world.wait_ms(1_000);
    world.restart();
    assert_eq!(world.count(Counter::CallsNotAdopted), 1);
    world.wait_ms(0);
    let record = world.ended_by(key, EndedBy::Server, EndReason::DataplaneRestart);
    assert_eq!((record.ended_ms, record.answered_ms), (1_000, NEVER));
    world.is_quiet();
    world.settles();
}

#[test]
fn a_vendor_that_answered_in_vain_gets_its_bye() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.restart();
    world.wait_ms(0);
    world.vendor_gets(0, "BYE ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Server, EndReason::DataplaneRestart);
    world.settles();
}

#[test]
fn an_unreadable_checkpoint_ends_its_call() {
    let mut world = World::new();
    let (key, _, _) = world.talking();
    world.images[0].2.truncate(100);
    world.restart();
    world.wait_ms(0);
    world.ended_by(key, EndedBy::Server, EndReason::DataplaneRestart);
    world.settles();
}

#[test]
fn a_slot_whose_record_is_not_stored_yet_is_not_used() {
    let mut world = World::new();
    world.stores = false;
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ended(key);
    world.restart();
    for number in 10..17 {
        world.caller_sends(&invite(number, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        assert_ne!(world.admit().call.slot, key.slot);
    }
    world.caller_sends(&invite(17, &caller_sdp()));
    world.caller_gets("SIP/2.0 503 ");
    world.switch.handle_recorded(key);
    world.caller_sends(&invite(18, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    assert_eq!(world.admit().call.slot, key.slot);
    world.settles();
}

#[test]
fn the_longest_talk_holds_after_a_restart() {
    let mut world = World::new();
    let key = world.talking_at_most(20);
    world.wait_ms(10_000);
    world.restart();
    world.wait_ms(10_000);
    let record = world.ended_by(key, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!(record.ended_ms, 20_000);
    world.settles();
}
