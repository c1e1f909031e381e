//! Who waits while others talk, what it may ask meanwhile, and restarts on the way.

use super::*;

#[test]
fn who_waited_and_cannot_say_anything_now_is_asked_again() {
    for (status, lines) in [(491, ""), (500, "Retry-After: 3\r\n")] {
        let mut scene = Scene::new();
        let (admit, _) = scene.consults();
        scene.presses("*#");
        let offerless = scene.world.vendor_gets(1, "INVITE ");
        let busy = with_lines(&response(&offerless, status, "", VENDORS[1], ""), lines);
        scene.world.vendor_sends(1, &busy);
        scene.world.vendor_gets(1, "ACK ");
        scene.world.is_quiet();
        while scene.world.inbox.is_empty() {
            scene.world.wait_ms(50);
        }
        scene.is_finished();
        let bye = scene.world.vendor_gets(0, "BYE ");
        scene.world.vendor_says(0, &bye, 200, "", "");
        scene.caller_ends(&admit);
    }
}

#[test]
fn who_is_called_back_and_answers_when_all_is_over_gets_one_bye() {
    let mut scene = Scene::new();
    scene.consults();
    scene.presses("**");
    scene.world.vendor_gets(1, "BYE ");
    let offerless = scene.world.caller_gets("INVITE ");
    scene.world.vendor_sends(0, &vendor_request(0, "BYE", 1, &scene.invite, "v", ""));
    scene.world.vendor_gets(0, "SIP/2.0 200 ");
    let bye = scene.world.caller_gets("BYE ");
    caller_says(&mut scene.world, &offerless, 200, &caller_sdp());
    scene.world.caller_gets("ACK ");
    caller_says(&mut scene.world, &bye, 200, "");
    scene.world.is_quiet();
    scene.world.settles();
}

#[test]
fn who_waited_and_asks_who_we_are_is_told() {
    let mut scene = Scene::new();
    scene.world.wants(3, |profile| {
        profile.transfer = 1;
        profile.username = Text::cut(USERNAME.as_bytes());
        profile.password = link::profile::Secret(Text::cut(PASSWORD.as_bytes()));
    });
    scene.consults();
    scene.presses("**");
    scene.world.vendor_gets(1, "BYE ");
    let offerless = scene.world.caller_gets("INVITE ");
    scene.world.caller_sends(&challenge(&offerless, 407, &[ASKS]));
    scene.world.caller_gets("ACK ");
    let proven = scene.world.caller_gets("INVITE ");
    assert!(proven.contains("Proxy-Authorization: Digest "), "{proven}");
    caller_says(&mut scene.world, &proven, 200, &caller_sdp());
    let again = scene.world.vendor_gets(0, "INVITE ");
    scene.world.vendor_says(0, &again, 200, "", &vendor_sdp());
    scene.world.ignore_messages();
    scene.talks_as_before();
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.ignore_messages();
    scene.world.settles();
}

#[test]
fn who_waited_and_wants_a_longer_session_gets_one() {
    let mut scene = Scene::new();
    scene.consults();
    scene.presses("**");
    scene.world.vendor_gets(1, "BYE ");
    let offerless = scene.world.caller_gets("INVITE ");
    let short = response(&offerless, 422, "", CALLER, "");
    scene.world.caller_sends(&with_lines(&short, "Min-SE: 300\r\n"));
    scene.world.caller_gets("ACK ");
    scene.world.wait_ms(0);
    let offerless = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &offerless, 200, &caller_sdp());
    let again = scene.world.vendor_gets(0, "INVITE ");
    scene.world.vendor_says(0, &again, 200, "", &vendor_sdp());
    scene.world.ignore_messages();
    scene.talks_as_before();
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.ignore_messages();
    scene.world.settles();
}

#[test]
fn a_restart_during_a_talk_with_the_target_leads_back_to_the_first_call() {
    let mut scene = Scene::new();
    let (admit, _) = scene.consults();
    scene.world.restart();
    scene.world.wait_ms(10);
    scene.world.vendor_gets(1, "BYE ");
    scene.world.wait_ms(1_000);
    scene.world.ended_by(admit.call, EndedBy::Caller, EndReason::DialogLost);
    scene.talks_as_before();
    scene.world.ignore_messages();
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.vendor_gets(0, "BYE ");
    scene.world.ended_by(scene.key, EndedBy::Caller, EndReason::Normal);
    scene.world.settles();
}

#[test]
fn a_restart_on_the_way_to_whoever_waits_leaves_nobody_alone() {
    for ends_target in [false, true] {
        let mut scene = Scene::new();
        let (_, to_target) = scene.consults();
        let (who, bye) = match ends_target {
            true => (1, vendor_request(1, "BYE", 1, &to_target, "t", "")),
            false => (0, vendor_request(0, "BYE", 1, &scene.invite, "v", "")),
        };
        scene.world.vendor_sends(who, &bye);
        scene.world.vendor_gets(who, "SIP/2.0 200 ");
        scene.world.ignore_messages();
        scene.world.restart();
        scene.world.wait_ms(10);
        if ends_target {
            scene.talks_as_before();
            scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
            scene.world.vendor_gets(0, "BYE ");
        } else {
            scene.world.caller_gets("BYE ");
            scene.world.vendor_gets(1, "BYE ");
            scene.world.wait_ms(1_000);
        }
        scene.world.settles();
    }
}

#[test]
fn who_is_brought_together_by_keys_and_shares_no_codec_is_transcoded() {
    let mut scene = Scene::with(|keys| keys.ringback = 1);
    scene.world.media_of(3, &[], |terms| terms.transcode = 1);
    let law = |description: String, number: u8| {
        description.replace("RTP/AVP 0 8 101", &format!("RTP/AVP {number} 101"))
    };
    scene.presses("*17777#");
    let (_, invite) = scene.target_is_called();
    assert!(body(&invite).contains("m=audio "), "{invite}");
    scene.world.vendor_says(1, &invite, 200, "t", &law(target_sdp(), 0));
    scene.world.vendor_gets(1, "ACK ");
    scene.world.commit();
    let again = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &again, 200, &law(caller_sdp(), 8));
    scene.world.caller_gets("ACK ");
    let world = &mut scene.world;
    // It is made in one of the two calls that it passes.
    let numbers = (10_000..10_040).step_by(2);
    let ports = numbers.flat_map(|number| [0, 1].map(|address| Port::new(address, number)));
    let made = ports.filter_map(|port| world.switch.media().transcoding(port));
    let all: Vec<[u8; 2]> = made.map(|it| [it.from.payload_type, it.to.payload_type]).collect();
    assert!(all.contains(&[0, 8]) && all.contains(&[8, 0]), "{all:?}");
    assert_eq!(world.count(Counter::CallsTranscoded), 1);
}
