//! Offers inside a call: hold, resume, glare, and INFO and UPDATE beside them.

use super::*;

fn held() -> String {
    format!("{}a=sendonly\r\n", caller_sdp())
}

#[test]
fn the_caller_holds_and_resumes() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    for (cseq, offer) in [(2, held()), (3, caller_sdp())] {
        world.caller_sends(&caller_request("INVITE", cseq, &answer, &offer));
        world.caller_gets("SIP/2.0 100 ");
        let inner = world.vendor_gets(0, "INVITE sip:vendor@203.0.113.10:5060 SIP/2.0");
        assert_eq!(header(&inner, "CSeq"), format!("{cseq} INVITE"));
        assert_eq!(inner.contains("a=sendonly"), cseq == 2);
        assert_eq!(media_port(&inner), VENDOR_PORT);
        world.vendor_says(0, &inner, 200, "", &vendor_sdp());
        let ack = world.vendor_gets(0, "ACK ");
        assert_eq!(header(&ack, "CSeq"), format!("{cseq} ACK"));
        let accepted = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(media_port(&accepted), CALLER_PORT);
        world.caller_sends(&caller_request("ACK", cseq, &answer, ""));
        world.is_quiet();
        let callee = &world.switch.calls[key.slot as usize].legs;
        assert_eq!(callee[0].media.held, cseq == 2);
    }
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

/// RFC 3311 §4.
#[test]
fn hold_by_update_reaches_a_vendor_that_takes_none_by_re_invite() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    world.caller_sends(&caller_request("UPDATE", 2, &answer, &held()));
    let inner = world.vendor_gets(0, "INVITE sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert!(inner.contains("a=sendonly"));
    // One at a time, from either side.
    world.vendor_sends(0, &vendor_request(0, "INVITE", 1, &invite, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 491 ");
    world.vendor_sends(
        0,
        &vendor_request(0, "ACK", 1, &invite, "v", "").replace("vACK1", "vINVITE1"),
    );
    world.vendor_says(0, &inner, 100, "", "");
    world.vendor_says(0, &inner, 200, "", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(body(&ack), "");
    let accepted = world.caller_gets("SIP/2.0 200 ");
    assert_eq!((header(&accepted, "CSeq"), media_port(&accepted)), ("2 UPDATE", CALLER_PORT));
    assert!(world.switch.calls[key.slot as usize].legs[0].media.held);
    // Nobody acknowledges an UPDATE.
    world.wait_ms(33_000);
    world.is_quiet();
    // Who thinks too long about it is asked no more, and the call goes on.
    world.caller_sends(&caller_request("UPDATE", 3, &answer, &caller_sdp()));
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 100, "", "");
    world.wait_ms(25_000);
    let cancel = world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &cancel, 200, "", "");
    world.vendor_says(0, &inner, 487, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 504 ");
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.vendor_gets(0, "BYE ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

/// RFC 3264 §8.
#[test]
fn one_dialog_hears_of_one_session_whose_version_grows_when_it_changes() {
    let origin = |message: &str| {
        let line = body(message).split("\r\n").find(|line| line.starts_with("o=")).unwrap();
        let words: Vec<_> = line.split(' ').collect();
        (words[1].to_owned(), words[2].parse::<u32>().unwrap())
    };
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0, 1]);
    let early = sdp("203.0.113.10", 5_000);
    world.vendor_says(0, &first, 183, "v", &early);
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.vendor_says(0, &first, 500, "v", "");
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    assert_ne!(origin(&second).0, origin(&first).0, "vendors have sessions of their own");
    world.vendor_says(1, &second, 200, "w", &early.replace("5000", "5002"));
    world.vendor_gets(1, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    let (session, version) = origin(&progress);
    assert_eq!(origin(&answer), (session.clone(), version + 1));
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    // Whoever describes itself anew behind us: the same session, and the same version if nothing changed.
    let again = early.replace("5000", "5002");
    for (cseq, offer, is_new) in [
        (2, again.clone(), false),
        (3, again.replace("o=- ", "o=other 77"), true),
        (4, again.replace("o=- ", "o=other 77"), false),
    ] {
        let before = world.switch.calls[0].legs[0].media.told.version;
        world.vendor_sends(1, &vendor_request(1, "INVITE", cseq, &second, "w", &offer));
        world.vendor_gets(1, "SIP/2.0 100 ");
        let inner = world.caller_gets("INVITE ");
        assert_eq!(origin(&inner), (session.clone(), before + u32::from(is_new)), "{offer}");
        world.caller_sends(&response(&inner, 200, "", CALLER, &caller_sdp()));
        world.caller_gets("ACK ");
        let accepted = world.vendor_gets(1, "SIP/2.0 200 ");
        assert_eq!(origin(&accepted).0, origin(&second).0);
        world.vendor_sends(1, &vendor_request(1, "ACK", cseq, &second, "w", ""));
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn the_vendor_may_ask_without_an_offer() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    world.vendor_sends(0, &vendor_request(0, "INVITE", 1, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 100 ");
    let inner = world.caller_gets("INVITE sip:1234@198.51.100.7:5060 SIP/2.0");
    assert_eq!(body(&inner), "");
    world.caller_sends(&response(&inner, 200, "", CALLER, &caller_sdp()));
    let accepted = world.vendor_gets(0, "SIP/2.0 200 ");
    assert!(body(&accepted).contains("c=IN IP4 203.0.113.1"));
    world.is_quiet();
    world.vendor_sends(0, &vendor_request(0, "ACK", 1, &invite, "v", &vendor_sdp()));
    let ack = world.caller_gets("ACK ");
    assert!(body(&ack).contains("c=IN IP4 192.0.2.1"));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let before = world.switch.media().snapshot(CALLER_PORT);
    let moved = sdp("198.51.100.7", 4_444);
    world.caller_sends(&caller_request("INVITE", 2, &answer, &moved));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 488, "", "");
    world.vendor_gets(0, "ACK ");
    let refusal = world.caller_gets("SIP/2.0 488 ");
    assert_eq!(header(&refusal, "To"), header(&answer, "To"));
    assert_eq!(world.switch.media().snapshot(CALLER_PORT), before);
    world.caller_sends(&caller_request("ACK", 2, &answer, "").replace("ACK2", "INVITE2"));
    // And again, accepted this time.
    world.caller_sends(&caller_request("INVITE", 3, &answer, &moved));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 200, "", &vendor_sdp());
    let far = world.switch.media().snapshot(CALLER_PORT).remote;
    assert_eq!(far, Some("198.51.100.7:4444".parse().unwrap()));
    world.caller_sends(&caller_request("ACK", 3, &answer, ""));
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.settles();
}

#[test]
fn offers_that_meet_are_told_to_wait() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    // From the other side: 491. From the same side: 500 with Retry-After.
    world.vendor_sends(0, &vendor_request(0, "INVITE", 1, &invite, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 491 ");
    world.caller_sends(&caller_request("INVITE", 3, &answer, &held()));
    let refusal = world.caller_gets("SIP/2.0 500 ");
    let seconds: u32 = header(&refusal, "Retry-After").parse().unwrap();
    assert!((1..=10).contains(&seconds));
    assert_eq!(world.count(Counter::Glare), 2);
    world.vendor_says(0, &inner, 491, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 491 ");
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.settles();
}

/// A repetition was judged anew, and its number was old by then: 500, which tells nobody to try again.
#[test]
fn a_refusal_inside_a_call_is_the_same_when_the_request_comes_again() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    let asks = |method: &str, cseq: u32, content: &str| {
        vendor_request(0, method, cseq, &invite, "v", content)
    };
    let requests = [
        (asks("INVITE", 1, &vendor_sdp()), 491),
        (asks("MESSAGE", 2, ""), 405),
        (with_lines(&asks("INFO", 3, ""), "Require: sec-agree\r\n"), 420),
        (asks("INFO", 4, &vendor_sdp()), 415),
        (asks("UPDATE", 5, "x").replace("application/sdp", "text/plain"), 415),
        (asks("NOTIFY", 6, ""), 405),
        (asks("WINK", 7, ""), 501),
        (asks("REFER", 8, ""), 405),
        (with_lines(&asks("PRACK", 9, ""), "RAck: 1 1 INVITE\r\n"), 481),
        (asks("PRACK", 10, ""), 400),
        (asks("OPTIONS", 11, ""), 200),
    ];
    let told = |world: &mut World| {
        let told = requests.iter().map(|(request, status)| {
            world.vendor_sends(0, request);
            world.vendor_gets(0, &format!("SIP/2.0 {status} "))
        });
        told.collect::<Vec<_>>()
    };
    let first = told(&mut world);
    // Nor does it matter that the other offer is settled by now.
    world.vendor_says(0, &inner, 488, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 488 ");
    assert_eq!(told(&mut world), first);
    assert_eq!(world.count(Counter::RequestsRepeated), requests.len() as u64);
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_reinvite_to_a_dialog_that_is_gone_ends_the_call() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 481, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 481 ");
    world.caller_gets("BYE ");
    world.vendor_gets(0, "BYE ");
    world.wait_ms(1_000);
    let record = world.ended_by(key, EndedBy::Callee, EndReason::DialogLost);
    assert_eq!(record.ended_ms, 0);
    world.settles();
}

/// The 481 was quicker than the BYE, or the BYE was lost and came again.
#[test]
fn a_bye_that_a_481_has_overtaken_is_what_ended_the_call() {
    for (method, late_ms) in [("INVITE", 1), ("INFO", 999)] {
        let mut world = World::new();
        let (key, first, answer) = world.talking();
        let offer = if method == "INVITE" { held() } else { String::new() };
        world.caller_sends(&caller_request(method, 2, &answer, &offer));
        let passed = world.vendor_gets(0, &format!("{method} "));
        world.vendor_says(0, &passed, 481, "", "");
        world.wait_ms(late_ms);
        world.ignore_messages();
        assert!(world.images.iter().all(|image| !image.3), "its record waits");
        world.vendor_sends(0, &vendor_request(0, "BYE", 1, &first, "v", ""));
        world.vendor_gets(0, "SIP/2.0 200 ");
        world.wait_ms(1_000);
        let record = world.ended_by(key, EndedBy::Callee, EndReason::Normal);
        assert_eq!(record.attempts()[0].reason, EndReason::Normal as u8);
        assert_eq!(record.ended_ms, 0, "it was over when it was found gone");
        world.settles();
    }
}

#[test]
fn a_caller_whom_a_request_reached_before_the_answer_has_not_lost_its_dialog() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    let mut ask = |number: u32, told: &str| {
        world.vendor_sends(0, &vendor_request(0, "INFO", number, &invite, "v", ""));
        let passed = world.caller_gets("INFO ");
        world.caller_sends(&response(&passed, 481, "", CALLER, ""));
        world.vendor_gets(0, told);
        if number == 1 {
            world.is_quiet();
            world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        }
    };
    ask(1, "SIP/2.0 480 ");
    ask(2, "SIP/2.0 481 ");
    world.ignore_messages();
    world.wait_ms(1_000);
    world.ended_by(key, EndedBy::Caller, EndReason::DialogLost);
    world.settles();
}

#[test]
fn a_reinvite_that_nobody_answers_ends_the_call() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    world.wait_ms(33_000);
    world.ended_by(key, EndedBy::Callee, EndReason::DialogLost);
    world.settles();
}

#[test]
fn a_cancelled_reinvite_is_cancelled_on_the_other_leg() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let offer = caller_request("INVITE", 2, &answer, &held());
    world.caller_sends(&offer);
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 180, "", "");
    let cancel = caller_request("CANCEL", 2, &answer, "").replace("CANCEL2", "INVITE2");
    world.caller_sends(&cancel);
    world.caller_gets("SIP/2.0 200 ");
    let cancel = world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &cancel, 200, "", "");
    world.vendor_says(0, &inner, 487, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 487 ");
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_bye_in_the_middle_of_a_reinvite_ends_both() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.caller_gets("BYE ");
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.vendor_says(0, &inner, 487, "", "");
    world.settles();
}

#[test]
fn an_answer_to_a_reinvite_that_comes_after_the_bye_is_only_acknowledged() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(header(&bye, "CSeq"), "3 BYE");
    for _ in 0..2 {
        world.vendor_says(0, &inner, 200, "", &vendor_sdp());
        let ack = world.vendor_gets(0, "ACK ");
        assert_eq!(header(&ack, "CSeq"), "2 ACK");
    }
    // A second BYE would have the number of the first.
    world.is_quiet();
}

#[test]
fn an_accepted_reinvite_without_ack_ends_the_call() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 200, "", &vendor_sdp());
    world.wait_ms(32_000);
    world.ended_by(key, EndedBy::Server, EndReason::NoAck);
    world.settles();
}

#[test]
fn an_update_with_an_offer_is_an_exchange_without_ack() {
    let mut world = World::new();
    let (_, _, answer) = world.talking_to(UPDATES);
    world.caller_sends(&caller_request("UPDATE", 2, &answer, &held()));
    let inner = world.vendor_gets(0, "UPDATE ");
    assert!(inner.contains("a=sendonly"));
    world.vendor_says(0, &inner, 200, "", &vendor_sdp());
    let accepted = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(media_port(&accepted), CALLER_PORT);
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn an_info_is_passed_on_with_its_body_and_its_answer_back() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let info = caller_request("INFO", 2, &answer, "<media_control/>\r\n")
        .replace("application/sdp", "application/media_control+xml");
    world.caller_sends(&info);
    let inner = world.vendor_gets(0, "INFO ");
    assert_eq!(header(&inner, "Content-Type"), "application/media_control+xml");
    assert_eq!(body(&inner), "<media_control/>\r\n");
    world.vendor_says(0, &inner, 200, "", "");
    world.caller_gets("SIP/2.0 200 ");
    world.is_quiet();
    // One that is never answered does not outlive the call.
    world.caller_sends(&caller_request("INFO", 3, &answer, ""));
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.settles();
}

#[test]
fn an_info_whose_body_would_tell_of_the_other_network_is_refused() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let types =
        ["application/sdp", "Application/SDP;x=y", "message/sip", "multipart/mixed;boundary=x"];
    for (number, content_type) in (2..).zip(types) {
        let info = caller_request("INFO", number, &answer, &caller_sdp());
        world.caller_sends(&info.replace("application/sdp", content_type));
        let refused = world.caller_gets("SIP/2.0 415 ");
        assert_eq!(header(&refused, "Accept"), "application/sdp");
        world.is_quiet();
    }
    world.caller_sends(&caller_request("BYE", 9, &answer, ""));
    world.settles();
}

#[test]
fn new_media_in_a_reinvite_gets_new_ports() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let offer = format!("{}m=video 4002 RTP/AVP 96\r\n", caller_sdp());
    world.caller_sends(&caller_request("INVITE", 2, &answer, &offer));
    let inner = world.vendor_gets(0, "INVITE ");
    assert!(body(&inner).contains("m=video 10002 "), "{inner}");
    world.vendor_says(0, &inner, 200, "", &format!("{}m=video 6002 RTP/AVP 96\r\n", vendor_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let accepted = world.caller_gets("SIP/2.0 200 ");
    assert!(body(&accepted).contains("m=video 10002 "), "{accepted}");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn an_offer_that_is_worked_on_for_ever_is_cancelled() {
    let mut world = World::new();
    world.set(|parameters| parameters.rtp_timeout_s = 0);
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &held()));
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 100, "", "");
    world.wait_ms(180_000);
    world.caller_gets("SIP/2.0 100 ");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &inner, 487, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 487 ");
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

/// RFC 3261 §13.3.1.
#[test]
fn an_offer_that_expires_is_cancelled() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let offer = caller_request("INVITE", 2, &answer, &held());
    world.caller_sends(&with_lines(&offer, "Expires: 20\r\n"));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 180, "", "");
    world.wait_ms(19_999);
    world.is_quiet();
    world.wait_ms(1);
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &inner, 487, "", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 487 ");
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_stream_that_was_taken_away_is_no_silence() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    let video = |port: u16| format!("m=video {port} RTP/AVP 96\r\n");
    for (cseq, port) in [(2, 4_002), (3, 0)] {
        let offer = format!("{}{}", caller_sdp(), video(port));
        world.caller_sends(&caller_request("INVITE", cseq, &answer, &offer));
        world.caller_gets("SIP/2.0 100 ");
        let inner = world.vendor_gets(0, "INVITE ");
        let theirs = if port == 0 { 0 } else { 6_002 };
        world.vendor_says(0, &inner, 200, "", &format!("{}{}", vendor_sdp(), video(theirs)));
        world.vendor_gets(0, "ACK ");
        world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", cseq, &answer, ""));
    }
    let mut rtp = [0_u8; 172];
    rtp[0] = 0x80;
    for sequence in 0..200_u8 {
        rtp[3] = sequence;
        world.wait_ms(1_000);
        let (now, source) = (world.now, "203.0.113.10:6000".parse().unwrap());
        let verdict = world.switch.media().forward(now, media_port(&invite), source, &rtp);
        assert!(matches!(verdict, relay::Verdict::Send { .. }), "{verdict:?}");
    }
    assert_eq!(world.switch.calls_live(), 1);
    world.wait_ms(62_000);
    world.ended_by(key, EndedBy::Server, EndReason::MediaTimeout);
    world.settles();
}
