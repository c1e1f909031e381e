//! What a dialog accepts, and whither its requests go.

use super::*;

#[test]
fn record_routes_are_followed_in_both_directions() {
    let mut world = World::new();
    let offer = invite(1, &caller_sdp()).replace(
        "Max-Forwards",
        "Record-Route: <sip:198.51.100.5;lr>\r\nRecord-Route: <sip:198.51.100.6;lr>\r\nMax-Forwards",
    );
    world.caller_sends(&offer);
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route(admit.call, &[0]);
    let inner = world.vendor_gets(0, "INVITE ");
    let accepted = response(&inner, 200, "v", "203.0.113.99:5070", &vendor_sdp()).replace(
        "Contact",
        "Record-Route: <sip:203.0.113.20;lr>, <sip:203.0.113.30;lr>\r\nContact",
    );
    world.vendor_sends(0, &accepted);
    // As a client we reverse the set: the last proxy is the next hop.
    let ack = world.vendor_gets(2, "ACK sip:vendor@203.0.113.99:5070 SIP/2.0");
    assert_eq!(header(&ack, "Route"), "<sip:203.0.113.30;lr>,<sip:203.0.113.20;lr>");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(answer.matches("Record-Route: ").count(), 2);
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &inner, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    // As a server we keep its order.
    let bye = world.gets("198.51.100.5:5060", "BYE sip:1234@198.51.100.7:5060 SIP/2.0");
    assert_eq!(header(&bye, "Route"), "<sip:198.51.100.5;lr>,<sip:198.51.100.6;lr>");
    world.settles();
}

#[test]
fn strict_routers_are_followed_in_their_own_way_by_a_request_and_what_goes_beside_it() {
    let mut world = World::new();
    let routes =
        "Record-Route: <sip:198.51.100.5>\r\nRecord-Route: <sip:198.51.100.6>\r\nMax-Forwards";
    world.caller_sends(&invite(1, &caller_sdp()).replace("Max-Forwards", routes));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &inner, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    let offer = vendor_request(0, "INVITE", 1, &inner, "v", &vendor_sdp());
    world.vendor_sends(0, &offer);
    let router = "198.51.100.5:5060";
    let again = world.gets(router, "INVITE sip:198.51.100.5 SIP/2.0");
    let rest = "<sip:198.51.100.6>,<sip:1234@198.51.100.7:5060>";
    assert_eq!(header(&again, "Route"), rest);
    world.receive(router, OUR_CUSTOMER_SIDE, &response(&again, 180, "", CALLER, ""));
    world.vendor_sends(0, &offer.replacen("INVITE", "CANCEL", 1).replace("1 INVITE", "1 CANCEL"));
    let cancel = world.gets(router, "CANCEL sip:198.51.100.5 SIP/2.0");
    assert_eq!(header(&cancel, "Route"), rest, "the very same way");
    world.receive(router, OUR_CUSTOMER_SIDE, &response(&again, 487, "", CALLER, ""));
    let ack = world.gets(router, "ACK sip:198.51.100.5 SIP/2.0");
    assert_eq!(header(&ack, "Route"), rest);
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &inner, "v", ""));
    let bye = world.gets(router, "BYE sip:198.51.100.5 SIP/2.0");
    assert_eq!(header(&bye, "Route"), rest);
    world.settles();
}

fn carrier(message: &str) -> &str {
    header(message, "Via").split(' ').next().unwrap()
}

/// §8.1.2, RFC 3263 §4.1.
#[test]
fn requests_go_by_the_transport_that_a_contact_or_a_route_names() {
    let mut world = World::new();
    let by_tcp =
        invite(1, &caller_sdp()).replace("198.51.100.7:5060>", "198.51.100.7:5070;transport=tcp>");
    world.caller_sends(&by_tcp);
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    let inner = world.vendor_gets(0, "INVITE ");
    let routed = "Record-Route: <sips:203.0.113.20;lr>\r\nContact";
    let accepted = response(&inner, 200, "v", VENDORS[0], &vendor_sdp());
    world.vendor_sends(0, &accepted.replace("Contact", routed));
    let ack = world.gets("203.0.113.20:5061", "ACK sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!(carrier(&ack), "SIP/2.0/TLS");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(!header(&answer, "Contact").contains("transport"), "it was asked by UDP");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.vendor_sends(0, &vendor_request(0, "INVITE", 1, &inner, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 100 ");
    let offer = world.gets("198.51.100.7:5070", "INVITE sip:1234@198.51.100.7:5070;transport=tcp ");
    assert_eq!(carrier(&offer), "SIP/2.0/TCP");
    assert_eq!(header(&offer, "Contact"), "<sip:192.0.2.1:5060;transport=tcp>");
    world.caller_sends(&response(&offer, 488, "", CALLER, ""));
    let ack = world.gets("198.51.100.7:5070", "ACK ");
    assert_eq!(carrier(&ack), "SIP/2.0/TCP");
    world.vendor_gets(0, "SIP/2.0 488 ");
    let ack = vendor_request(0, "ACK", 1, &inner, "v", "").replace("vACK1", "vINVITE1");
    world.vendor_sends(0, &ack);
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &inner, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    let bye = world.gets("198.51.100.7:5070", "BYE ");
    assert_eq!(carrier(&bye), "SIP/2.0/TCP");
    // A stream repeats for itself.
    world.wait_ms(10_000);
    world.is_quiet();
    world.settles();
}

#[test]
fn a_request_for_no_dialog_gets_481() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    let bye = caller_request("BYE", 2, &answer, "");
    for wrong in [
        bye.replace("call1@alice", "call2@alice"),
        bye.replace(";tag=a1", ";tag=a2"),
        bye.replace("To: <sip:4420@192.0.2.1>;tag=", "To: <sip:4420@192.0.2.1>;tag=0"),
        vendor_request(0, "BYE", 1, &invite, "w", ""),
    ] {
        world.caller_sends(&wrong);
        world.caller_gets("SIP/2.0 481 ");
    }
    assert_eq!(world.count(Counter::DialogUnknown), 4);
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&bye);
    world.settles();
}

#[test]
fn a_sequence_number_is_used_once() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let options = caller_request("OPTIONS", 9, &answer, "");
    world.caller_sends(&options);
    let ok = world.caller_gets("SIP/2.0 200 ");
    assert!(header(&ok, "Allow").contains("INVITE"));
    // Its answer was lost.
    world.caller_sends(&options);
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("BYE", 8, &answer, ""));
    world.caller_gets("SIP/2.0 500 ");
    world.caller_sends(&caller_request("BYE", 9, &answer, ""));
    world.caller_gets("SIP/2.0 500 ");
    assert_eq!(world.count(Counter::SequenceOld), 2);
    world.caller_sends(&caller_request("BYE", 10, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

#[test]
fn an_old_number_is_refused_the_same_when_its_call_is_over() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    world.caller_sends(&caller_request("OPTIONS", 9, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let old = caller_request("INFO", 8, &answer, "");
    world.caller_sends(&old);
    let refusal = world.caller_gets("SIP/2.0 500 ");
    world.caller_sends(&caller_request("BYE", 10, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.ignore_messages();
    world.caller_sends(&old);
    assert_eq!(world.caller_gets("SIP/2.0 500 "), refusal);
    world.settles();
}

#[test]
fn methods_that_we_do_not_do_are_refused_inside_and_outside() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    for (cseq, method, status) in [(2, "REFER", 405), (3, "NOTIFY", 405), (4, "DANCE", 501)] {
        world.caller_sends(&caller_request(method, cseq, &answer, ""));
        let refusal = world.caller_gets(&format!("SIP/2.0 {status} "));
        assert!(header(&refusal, "Allow").contains("BYE"));
        let outside = invite(7, "").replace("INVITE", method);
        world.caller_sends(&outside);
        world.caller_gets(&format!("SIP/2.0 {status} "));
    }
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 5, &answer, ""));
    world.settles();
}

#[test]
fn options_say_whether_calls_can_be_carried() {
    let mut world = World::new();
    let options = invite(1, "").replace("INVITE", "OPTIONS");
    world.caller_sends(&options);
    let ok = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&ok, "Accept"), "application/sdp");
    world.caller_sends(&options);
    assert_eq!(world.caller_gets("SIP/2.0 200 "), ok);
    world.order(Order::Drain(link::order::Drain { draining: 1 }));
    world.caller_sends(&options);
    let refusal = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&refusal, "Retry-After"), "5");
    world.order(Order::Drain(link::order::Drain { draining: 0 }));
    world.switch.set_control_alive(false);
    world.caller_sends(&options);
    world.caller_gets("SIP/2.0 503 ");
    world.settles();
}

#[test]
fn whoever_answers_options_for_us_says_what_we_would_and_only_while_we_would() {
    let mut world = World::new();
    let mut said = [0; 2_048];
    let parameters = |options_in_driver| link::order::Parameters {
        options_in_driver,
        ..link::order::Parameters::default()
    };
    assert_eq!(world.switch.greeting(&mut said), None, "not wanted");
    world.order(Order::Parameters(parameters(1)));
    world.caller_sends(&invite(1, "").replace("INVITE", "OPTIONS"));
    let answer = world.caller_gets("SIP/2.0 200 ");
    let length = world.switch.greeting(&mut said).unwrap();
    let (_, ours) = answer.split_once("\r\nCSeq: 1 OPTIONS\r\n").unwrap();
    assert_eq!(std::str::from_utf8(&said[..length]).unwrap(), ours);
    world.order(Order::Drain(link::order::Drain { draining: 1 }));
    assert_eq!(world.switch.greeting(&mut said), None, "no new calls");
    world.order(Order::Drain(link::order::Drain { draining: 0 }));
    assert!(world.switch.greeting(&mut said).is_some());
    world.switch.set_control_alive(false);
    assert_eq!(world.switch.greeting(&mut said), None, "nobody decides");
    world.settles();
}

#[test]
fn a_reply_goes_to_the_port_in_via_unless_rport_asks_otherwise() {
    let mut world = World::new();
    let options = invite(1, "").replace("INVITE", "OPTIONS");
    world.receive("198.51.100.7:1024", OUR_CUSTOMER_SIDE, &options);
    world.gets("198.51.100.7:1024", "SIP/2.0 200 ");
    world.receive("198.51.100.7:1024", OUR_CUSTOMER_SIDE, &options.replace(";rport", ""));
    world.gets("198.51.100.7:5060", "SIP/2.0 200 ");
    // A maddr would send our answer wherever a stranger points.
    let reflected = options.replace(";rport", ";maddr=203.0.113.66");
    world.receive("198.51.100.7:1024", OUR_CUSTOMER_SIDE, &reflected);
    world.gets("198.51.100.7:5060", "SIP/2.0 200 ");
    world.is_quiet();
    world.settles();
}

#[test]
fn a_bye_to_a_dead_far_end_is_repeated_and_given_up() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.wait_ms(40_000);
    for _ in 0..11 {
        world.vendor_gets(0, "BYE ");
    }
    world.is_quiet();
    assert_eq!(world.count(Counter::TransactionsTimedOut), 1);
    world.settles();
}
