//! Strangers who shall hear nothing (`SS_REPLY_UNAUTHORIZED` 0, T-12): whatever they send, no packet leaves for
//! them that control has not decided on. Whoever is known hears all of it.

use super::*;

/// A request of nobody, outside of any call.
fn stray(method: &str, lines: &str) -> String {
    format!(
        "{method} sip:4420@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKstray{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@a.example>;tag=x\r\nTo: <sip:4420@192.0.2.1>{lines}\r\n\
         Call-ID: stray{method}@a\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What a scanner may try, and how whoever is known is answered.
fn knocks() -> Vec<(String, &'static str)> {
    let invite = invite(7, "").replace("User-Agent", "Require: unheard-of\r\nUser-Agent");
    vec![
        (stray("OPTIONS", ""), "SIP/2.0 200 "),
        (stray("OPTIONS", "\r\nRequire: unheard-of"), "SIP/2.0 420 "),
        (stray("BYE", ""), "SIP/2.0 481 "),
        (stray("BYE", ";tag=0123456789abcdef0123456789abcdef"), "SIP/2.0 481 "),
        (stray("INVITE", ";tag=0123456789abcdef0123456789abcdef"), "SIP/2.0 481 "),
        (stray("MESSAGE", ""), "SIP/2.0 405 "),
        (stray("REFER", ""), "SIP/2.0 405 "),
        (stray("PUBLISH", ""), "SIP/2.0 405 "),
        (stray("SUBSCRIBE", ""), "SIP/2.0 "),
        (stray("BREW", ""), "SIP/2.0 501 "),
        (stray("CANCEL", ""), "SIP/2.0 481 "),
        (stray("OPTIONS", "").replace("Call-ID", "Call-Me"), "SIP/2.0 400 "),
        (invite, "SIP/2.0 420 "),
    ]
}

#[test]
fn a_stranger_who_shall_hear_nothing_hears_nothing_whatever_it_sends() {
    for (number, (knock, status)) in knocks().into_iter().enumerate() {
        let mut world = World::new();
        world.caller_sends(&knock);
        world.caller_gets(status);
        let mut world = World::new();
        world.set(|parameters| parameters.reply_unauthorized = 0);
        world.caller_sends(&knock);
        world.caller_gets(status);
        let mut world = World::new();
        world.set(|parameters| parameters.reply_unauthorized = 0);
        world.caller_is_stranger = true;
        world.caller_sends(&knock);
        world.is_quiet();
        assert_eq!(world.withheld, 1, "{number}: {knock}");
        world.settles();
    }
}

#[test]
fn a_stranger_who_cancels_before_control_has_judged_it_hears_nothing() {
    let cancel = beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>");
    for is_stranger in [false, true] {
        let mut world = World::new();
        world.set(|parameters| parameters.reply_unauthorized = 0);
        world.caller_is_stranger = is_stranger;
        world.caller_sends(&invite(1, &caller_sdp()));
        let admit = world.admit();
        world.caller_sends(&cancel);
        if !is_stranger {
            let ok = world.caller_gets("SIP/2.0 200 ");
            let failure = world.caller_gets("SIP/2.0 487 ");
            assert_eq!(header(&ok, "To"), header(&failure, "To"));
        }
        let Some(Ask::Abandon(abandon)) = world.asks.pop() else { panic!("no abandon") };
        assert_eq!((abandon.call, abandon.status), (admit.call, 487));
        // Nor when it sends all of it again.
        world.wait_ms(1_000);
        world.is_quiet();
        world.caller_sends(&invite(1, &caller_sdp()));
        if !is_stranger {
            world.caller_gets("SIP/2.0 487 ");
        }
        world.is_quiet();
        assert!(world.asks.is_empty());
        world.settles();
    }
}

#[test]
fn a_stranger_who_shall_hear_nothing_does_not_hear_that_control_is_away() {
    let mut world = World::new();
    world.set(|parameters| parameters.reply_unauthorized = 0);
    world.caller_is_stranger = true;
    world.caller_sends(&invite(1, &caller_sdp()));
    let admit = world.admit();
    world.wait_ms(60_000);
    world.is_quiet();
    assert!(matches!(world.asks.pop(), Some(Ask::Abandon(it)) if it.call == admit.call));
    world.switch.set_control_alive(false);
    world.caller_sends(&invite(2, &caller_sdp()));
    world.caller_sends(&stray("OPTIONS", ""));
    world.is_quiet();
    world.settles();
}
