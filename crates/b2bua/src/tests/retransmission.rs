//! Every series of repetitions by the millisecond (RFC 3261 §17 and §13.3.1.4). That of a reliable 1xx
//! stands in `reliable.rs`.

use super::*;

/// What doubles without bound, until 64·T1.
pub(super) const DOUBLING: [u64; 6] = [500, 1_500, 3_500, 7_500, 15_500, 31_500];
/// What doubles up to T2.
pub(super) const CAPPED: [u64; 10] =
    [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

/// When, in ms from now and within 40 s, somebody is sent this very message again.
pub(super) fn repetitions(world: &mut World, who: &str, message: &str) -> Vec<u64> {
    let who: SocketAddr = who.parse().unwrap();
    let mut at = Vec::new();
    for ms in 1..=40_000 {
        world.wait_ms(1);
        let sent = std::mem::take(&mut world.inbox);
        at.extend(sent.iter().filter(|(to, text)| *to == who && text == message).map(|_| ms));
    }
    at
}

/// A world in which nothing else ends a search.
pub(super) fn patient() -> World {
    let mut world = World::new();
    world.set(|parameters| {
        parameters.first_response_timeout_ms = 100_000;
        parameters.invite_timeout_ms = 100_000;
        parameters.search_budget_ms = 100_000;
    });
    world
}

#[test]
fn an_invite_that_nobody_answers() {
    let mut world = patient();
    let (key, invite) = world.call_begins(&[0]);
    let at = repetitions(&mut world, VENDORS[0], &invite);
    assert_eq!(at, DOUBLING, "timer A");
    let record = world.ended_by(key, EndedBy::Server, EndReason::Timeout);
    assert_eq!((record.ended_ms, record.status), (32_000, 408), "timer B");
    world.settles();
}

#[test]
fn an_invite_is_not_repeated_after_a_100() {
    let mut world = patient();
    let (_, invite) = world.call_begins(&[0]);
    world.wait_ms(500);
    assert_eq!(world.vendor_gets(0, "INVITE "), invite);
    world.wait_ms(100);
    world.vendor_says(0, &invite, 100, "", "");
    assert_eq!(repetitions(&mut world, VENDORS[0], &invite), [0; 0]);
    world.settles();
}

#[test]
fn a_bye_that_nobody_answers() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(repetitions(&mut world, VENDORS[0], &bye), CAPPED, "timers E and F");
    assert_eq!(world.count(Counter::TransactionsTimedOut), 1);
    world.settles();
}

#[test]
fn a_failure_that_nobody_acknowledges() {
    let mut world = World::new();
    let (_, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 486, "v", "");
    let failure = world.caller_gets("SIP/2.0 486 ");
    let before = world.switch.transactions_open();
    assert_eq!(repetitions(&mut world, CALLER, &failure), CAPPED, "timers G and H");
    // Timers H and D.
    assert_eq!((before, world.switch.transactions_open()), (2, 0));
    world.settles();
}

#[test]
fn a_200_that_nobody_acknowledges() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(repetitions(&mut world, CALLER, &answer), CAPPED);
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAck);
    assert_eq!(record.ended_ms, 32_000);
    world.settles();
}

#[test]
fn an_ack_is_sent_again_for_each_repeated_200_and_a_failure_s_for_each_repeated_failure() {
    for (status, content) in [(200, vendor_sdp()), (486, String::new())] {
        let mut world = World::new();
        let (_, invite) = world.call_begins(&[0]);
        world.vendor_says(0, &invite, status, "v", &content);
        let ack = world.vendor_gets(0, "ACK ");
        for _ in 0..3 {
            world.wait_ms(500);
            world.vendor_says(0, &invite, status, "v", &content);
            assert_eq!(world.vendor_gets(0, "ACK "), ack);
        }
        world.order(Order::HangUp(link::order::HangUp {
            call: CallKey { slot: 0, ..world.images[0].0 },
            reason: 17,
        }));
        world.settles();
    }
}
