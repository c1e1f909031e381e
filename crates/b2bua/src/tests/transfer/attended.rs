//! Attended transfers: calls that are joined, and those that must not be.

use super::*;

#[test]
fn an_attended_transfer_joins_the_two_that_the_transferor_talked_to() {
    let mut world = World::new();
    let (first, invite, answer) = world.transferable();
    let (second, talks) = world.asks_target();
    world.refers_to_talk(&invite, &talks);
    let offerless = world.vendor_gets(1, "INVITE ");
    assert_eq!(body(&offerless), "");
    world.vendor_says(1, &offerless, 200, "", &target_sdp());
    let again = world.caller_gets("INVITE ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    // The call it asked in ends for the transferor, then the one it gave away.
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(header(&bye, "Call-ID"), "asks@vendor");
    world.vendor_says(0, &bye, 200, "", "");
    world.told_last("200 OK");
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(header(&bye, "Call-ID"), header(&invite, "Call-ID"));
    world.vendor_says(0, &bye, 200, "", "");
    world.is_quiet();
    assert_eq!(world.asks.len(), 0, "nobody new is admitted");
    world.hear_each_other(media_port(&again), media_port(&ack));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.vendor_gets(1, "BYE ");
    for call in [first, second] {
        world.ended_by(call, EndedBy::Caller, EndReason::Normal);
    }
    world.settles();
}

#[test]
fn a_transferor_whose_leg_may_come_back_is_told_to_wait() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    let (_, again) = world.target_answers(&admit);
    world.ignore_messages();
    for (cseq, method) in (2..).zip(["INVITE", "UPDATE", "REFER", "INFO", "MESSAGE"]) {
        let offer = if method == "UPDATE" { vendor_sdp() } else { String::new() };
        world.vendor_sends(0, &vendor_request(0, method, cseq, &invite, "v", &offer));
        world.vendor_gets(0, "SIP/2.0 491 ");
    }
    world.vendor_sends(0, &vendor_request(0, "ACK", 2, &invite, "v", ""));
    world.vendor_sends(0, &vendor_request(0, "OPTIONS", 7, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    caller_says(&mut world, &again, 488, "");
    world.ignore_messages();
    world.vendor_sends(0, &vendor_request(0, "INFO", 8, &invite, "v", ""));
    let passed = world.caller_gets("INFO ");
    caller_says(&mut world, &passed, 200, "");
    world.ignore_messages();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn who_hangs_up_while_another_takes_its_place_in_vain_leaves_nobody_alone() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let (second, talks) = world.asks_target();
    world.refers_to_talk(&invite, &talks);
    let offerless = world.vendor_gets(1, "INVITE ");
    world.vendor_sends(0, &caller_request("BYE", 2, &talks, ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.vendor_says(1, &offerless, 488, "", "");
    world.vendor_gets(1, "ACK ");
    let bye = world.vendor_gets(1, "BYE ");
    world.vendor_says(1, &bye, 200, "", "");
    world.told_last("488 Not Acceptable Here");
    world.ended_by(second, EndedBy::Caller, EndReason::Normal);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn an_attended_transfer_into_a_call_that_is_not_there_fails_and_changes_nothing() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let own_tag = "0".repeat(32);
    for replaces in [
        "asks%40vendor%3Bto-tag%3D1%3Bfrom-tag%3D2".to_owned(),
        format!("asks%40vendor%3Bto-tag%3D{own_tag}%3Bfrom-tag%3D2"),
    ] {
        let cseq = 1 + world.count(Counter::Transfers) as u32;
        world.refers(&invite, cseq, &format!("Refer-To: <sip:7@x?Replaces={replaces}>\r\n"));
        world.vendor_gets(0, "SIP/2.0 202 ");
        world.vendor_gets(0, "NOTIFY ");
        let last = world.vendor_gets(0, "NOTIFY ");
        assert_eq!(body(&last), "SIP/2.0 481 Call/Transaction Does Not Exist\r\n");
    }
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_call_cannot_be_transferred_into_itself() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let from = header(&invite, "From").split_once(";tag=").unwrap().1;
    let call_id = header(&invite, "Call-ID");
    let replaces = format!("{call_id}%3Bto-tag%3D{from}%3Bfrom-tag%3Dv");
    world.refers(&invite, 1, &format!("Refer-To: <sip:7@x?Replaces={replaces}>\r\n"));
    world.vendor_gets(0, "SIP/2.0 202 ");
    world.told("100 Trying", "active;expires=300");
    world.told_last("491 Request Pending");
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn the_two_ends_of_one_conversation_are_not_joined_to_each_other() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let refer = caller_request("REFER", 2, &answer, "");
    world.caller_sends(&with_lines(&refer, "Refer-To: <sip:7777@x>\r\nRefer-Sub: false\r\n"));
    world.caller_gets("SIP/2.0 202 ");
    let admit = world.admit();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &again, 200, "", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(1, "ACK ");
    let bye = world.caller_gets("BYE ");
    caller_says(&mut world, &bye, 200, "");

    let call_id = header(&to_target, "Call-ID");
    let own_tag = header(&to_target, "From").split_once(";tag=").unwrap().1;
    let replaces = format!("{call_id}%3Bto-tag%3D{own_tag}%3Bfrom-tag%3Dt");
    world.refers(&invite, 1, &format!("Refer-To: <sip:7@x?Replaces={replaces}>\r\n"));
    world.vendor_gets(0, "SIP/2.0 202 ");
    world.told("100 Trying", "active;expires=300");
    world.told_last("482 Loop Detected");
    world.is_quiet();
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.vendor_gets(1, "BYE ");
    world.settles();
}

/// The target that is called on behalf of a transferor answers, and both sides of the call take it.
fn join_target(world: &mut World, stayer: usize) -> String {
    let admit = world.admit();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.vendor_gets(stayer, "INVITE ");
    world.vendor_says(stayer, &again, 200, "", &vendor_sdp());
    world.ignore_messages();
    to_target
}

#[test]
fn a_chain_of_three_calls_is_not_made_a_ring() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let lines = "Refer-To: <sip:7777@x>\r\nRefer-Sub: false\r\n";
    world.caller_sends(&with_lines(&caller_request("REFER", 2, &answer, ""), lines));
    world.caller_gets("SIP/2.0 202 ");
    let second = join_target(&mut world, 0);
    let refer = vendor_request(1, "REFER", 1, &second, "t", "");
    world.vendor_sends(1, &with_lines(&refer, lines));
    world.vendor_gets(1, "SIP/2.0 202 ");
    let third = join_target(&mut world, 0);

    // Vendor 0 names the other end of its own conversation, two calls away.
    let call_id = header(&third, "Call-ID");
    let own_tag = header(&third, "From").split_once(";tag=").unwrap().1;
    let replaces = format!("{call_id}%3Bto-tag%3D{own_tag}%3Bfrom-tag%3Dt");
    world.refers(&invite, 1, &format!("Refer-To: <sip:7@x?Replaces={replaces}>\r\n"));
    world.vendor_gets(0, "SIP/2.0 202 ");
    world.told("100 Trying", "active;expires=300");
    world.told_last("491 Request Pending");
    world.is_quiet();
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.vendor_gets(1, "BYE ");
    world.settles();
}
