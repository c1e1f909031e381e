//! A transferor who asks for passwords hears news in order, each with its own proof.

use super::*;

/// Vendor 0 transfers, and asks for a password in every request.
fn world_of_challenger() -> (World, String, String) {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    world.profile(0, |profile| profile.transfer = 1);
    world.refers(&invite, 1, "Refer-To: <sip:7777@192.0.2.1>\r\n");
    world.vendor_gets(0, "SIP/2.0 202 ");
    (world, invite, answer)
}

#[test]
fn news_that_must_prove_itself_first_is_not_told_after_later_news() {
    let (mut world, _, answer) = world_of_challenger();
    let early = world.vendor_gets(0, "NOTIFY ");
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    let last = world.vendor_gets(0, "NOTIFY ");
    world.vendor_sends(0, &challenge(&early, 401, &[ASKS]));
    world.is_quiet();
    world.vendor_sends(0, &challenge(&last, 401, &[ASKS]));
    let proven = world.vendor_gets(0, "NOTIFY ");
    assert_eq!(body(&proven), body(&last));
    world.vendor_says(0, &proven, 200, "", "");
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn old_news_that_must_prove_itself_first_is_not_taken_for_that_of_another_transfer() {
    let (mut world, _, answer) = world_of_challenger();
    let early = world.vendor_gets(0, "NOTIFY ");
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    let last = world.vendor_gets(0, "NOTIFY ");
    world.vendor_says(0, &last, 200, "", "");
    // Now the other side tries.
    let lines = "Refer-To: <sip:7777@x>\r\n";
    world.caller_sends(&with_lines(&caller_request("REFER", 2, &answer, ""), lines));
    world.caller_gets("SIP/2.0 202 ");
    let told = world.caller_gets("NOTIFY ");
    caller_says(&mut world, &told, 200, "");
    world.vendor_sends(0, &challenge(&early, 401, &[ASKS]));
    world.is_quiet();
    world.ignore_messages();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn every_request_to_a_transferor_who_asks_for_passwords_has_its_own_number() {
    let (mut world, _, answer) = world_of_challenger();
    let early = world.vendor_gets(0, "NOTIFY ");
    let admit = world.admit();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.caller_gets("INVITE ");
    // Its leg is already on its way out.
    world.vendor_sends(0, &challenge(&early, 401, &[ASKS]));
    let proven = world.vendor_gets(0, "NOTIFY ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    world.vendor_gets(1, "ACK ");
    let last = world.vendor_gets(0, "NOTIFY ");
    let bye = world.vendor_gets(0, "BYE ");
    // Its dialog is over: only the BYE must arrive.
    world.vendor_sends(0, &challenge(&last, 401, &[ASKS]));
    world.is_quiet();
    world.vendor_sends(0, &challenge(&bye, 401, &[ASKS]));
    let ended = world.vendor_gets(0, "BYE ");
    let sent = [&early, &proven, &last, &bye, &ended].map(|request| header(request, "CSeq"));
    assert_eq!(sent, ["2 NOTIFY", "3 NOTIFY", "4 NOTIFY", "5 BYE", "6 BYE"]);
    world.vendor_says(0, &ended, 200, "", "");
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn what_a_transferor_who_is_gone_wants_proof_for_is_not_asked_again() {
    let (mut world, _, answer) = world_of_challenger();
    let news = world.vendor_gets(0, "NOTIFY ");
    world.vendor_says(0, &news, 200, "", "");
    let admit = world.admit();
    world.caller_sends(&caller_request("INFO", 2, &answer, ""));
    let info = world.vendor_gets(0, "INFO ");
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.caller_gets("INVITE ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.ignore_messages();
    // The numbers of its dialog are forgotten, and two of them are used since.
    world.vendor_sends(0, &challenge(&info, 401, &[ASKS]));
    world.caller_gets("SIP/2.0 ");
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}
